"""Simulations behind the SqueezeNext report, and its published numbers beside theirs.

Everything follows from the networks, the two accelerators and the files of ``accelsim.report.published``; the only
knowledge here is what the paper calls things.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from accelsim.report.comparison import Comparison, half_last_digit
from accelsim.report.published import read_published, reading_accuracy_kcycles
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.workload.layer import Layer, Op
from accelsim.workload.loader import load_network
from accelsim.workload.network import Network

LARGE, SMALL = "16x16_128KB", "8x8_32KB"
"""The two reference accelerators."""

NETWORKS = {
    "AlexNet": "alexnet",
    "SqueezeNet v1.0": "squeezenet_v1.0",
    "SqueezeNet v1.1": "squeezenet_v1.1",
    "Tiny Darknet": "tiny_darknet",
    "1.0-SqNxt-23": "squeezenext23",
    "1.0-SqNxt-23v2": "squeezenext23v2",
    "1.0-SqNxt-23v3": "squeezenext23v3",
    "1.0-SqNxt-23v4": "squeezenext23v4",
    "1.0-SqNxt-23v5": "squeezenext23v5",
    "MobileNet": "mobilenet",
    "2.0-SqNxt-23": "squeezenext23_w2.0",
    "2.0-SqNxt-23v4": "squeezenext23v4_w2.0",
    "2.0-SqNxt-23v5": "squeezenext23v5_w2.0",
}
"""Table 3's name of a network -> accelsim's."""

REFERENCE = "1.0-SqNxt-23v5"
"""The network whose time is 1 in Table 3."""

BASELINE = "1.0-SqNxt-23"
"""The network whose layer names Table 4 and Figure 6 use."""

VARIANTS = {
    "v1": "1.0-SqNxt-23",
    "v2": "1.0-SqNxt-23v2",
    "v3": "1.0-SqNxt-23v3",
    "v4": "1.0-SqNxt-23v4",
    "v5": "1.0-SqNxt-23v5",
}
"""Figures 6 and 8: variant -> Table 3's name."""

BLOCKS = ("conv1", "block1", "block2", "block3")
"""Figure 8's parts, but for the total and for ``others``, which is all the rest."""

TABLE3 = "squeezenext_table3_16x16_128KB.csv"
TABLE4 = "squeezenext_table4_layers.csv"
FIGURE6 = "squeezenext_fig6_16x16_128KB.csv"
FIGURE8 = "squeezenext_fig8_16x16_128KB.csv"

Place = tuple[str, bool, int]
"""Where a layer stands: block, whether in its first unit, position in the unit (or among layers of no block)."""


@dataclass(frozen=True)
class Study:
    """The results by Table 3's network name, on the large and on the small accelerator."""

    large: Mapping[str, Result]
    small: Mapping[str, Result]


def run_study(progress: Callable[[int, int], None] | None = None, hardware: Sequence[str] = (LARGE, SMALL)) -> Study:
    """Simulate Table 3's networks.

    Args:
        progress: Called with (simulations done, simulations in all).
        hardware: Which of the two accelerators to simulate.
    """
    jobs = list(product(hardware, NETWORKS.items()))
    results: dict[str, dict[str, Result]] = {LARGE: {}, SMALL: {}}
    for done, (machine, (model, name)) in enumerate(jobs):
        if progress:
            progress(done, len(jobs))
        results[machine][model] = simulate(load_network(name), machine)
    if progress:
        progress(len(jobs), len(jobs))
    return Study(large=results[LARGE], small=results[SMALL])


# --- Table 3 ------------------------------------------------------------------------------------


def table3_time(results: Mapping[str, Result]) -> list[Comparison]:
    """Return the time of every network relative to the reference network's."""
    reference = results[REFERENCE].totals["cycles"]
    return [
        Comparison(
            series="time",
            row=row["model"],
            published=float(row["time_relative"]),
            ours=results[row["model"]].totals["cycles"] / reference,
            accuracy=half_last_digit(row["time_relative"]),
        )
        for row in read_published(TABLE3)
    ]


def table3_energy(results: Mapping[str, Result]) -> list[Comparison]:
    """Return the energy of every network, in MACs."""
    return [
        Comparison(
            series="energy",
            row=row["model"],
            published=float(row["energy_normalised"]),
            ours=results[row["model"]].totals["energy"],
            accuracy=half_last_digit(row["energy_normalised"]),
        )
        for row in read_published(TABLE3)
    ]


@dataclass(frozen=True, kw_only=True)
class Digits:
    """A count that a table prints with few digits.

    Attributes:
        model: The network.
        printed: What the table prints, in millions.
        counts: Ways of counting -> our count, in millions; the first is the usual one.
        elsewhere: Networks of the table with the same digits, whose usual count gives them.
    """

    model: str
    printed: str
    counts: Mapping[str, float]
    elsewhere: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether the usual count, rounded, is what is printed."""
        return rounds_to(next(iter(self.counts.values())), self.printed)

    @property
    def difference(self) -> float:
        """The usual count relative to the printed number."""
        return next(iter(self.counts.values())) / float(self.printed) - 1

    @property
    def explanation(self) -> str:
        """A count that gives the printed digits, or an empty string if none does."""
        for name, count in self.counts.items():
            if rounds_to(count, self.printed):
                return name
        if self.elsewhere:
            return f"the count of {' and '.join(self.elsewhere)}"
        for name, count in self.counts.items():
            if 0 <= count - float(self.printed) < 2 * half_last_digit(self.printed):
                return f"{name}, cut off instead of rounded"
        return ""


def rounds_to(value: float, printed: str) -> bool:
    """Whether a value, rounded to as many digits, is what is printed."""
    return abs(value - float(printed)) <= half_last_digit(printed) * (1 + 1e-9)


def parameter_digits(results: Mapping[str, Result]) -> list[Digits]:
    """Return Table 3's parameters: weights, biases, batch norm's gamma and beta."""
    return [
        Digits(model=row["model"], printed=row["params_m"], counts=_parameter_counts(results[row["model"]].network))
        for row in read_published(TABLE3)
    ]


def mac_digits(results: Mapping[str, Result]) -> list[Digits]:
    """Return Table 3's MACs, which add one per output element to those of convolutions and linear layers."""
    rows = read_published(TABLE3)
    counts = {row["model"]: _mac_counts(results[row["model"]].network) for row in rows}
    agreeing = [row for row in rows if rounds_to(next(iter(counts[row["model"]].values())), row["macs_m"])]
    return [
        Digits(
            model=row["model"],
            printed=row["macs_m"],
            counts=counts[row["model"]],
            elsewhere=tuple(other["model"] for other in agreeing if other["macs_m"] == row["macs_m"]),
        )
        for row in rows
    ]


def _parameter_counts(network: Network) -> dict[str, float]:
    params = network.totals["params"]
    absent = sum(layer.G * layer.K for layer in network.array_layers if layer.op is Op.CONV and not layer.bias)
    return {
        "parameters": params / 1e6,
        "parameters and one bias per channel of every convolution": (params + absent) / 1e6,
    }


def _mac_counts(network: Network) -> dict[str, float]:
    return {
        "MACs and one per output element": paper_macs(network.array_layers) / 1e6,
        "MACs": network.totals["macs"] / 1e6,
    }


def paper_macs(layers: Sequence[Layer]) -> int:
    """Return MACs as the paper counts them: one more per output element, as if every layer added a bias."""
    return sum(layer.macs + layer.output_words for layer in layers)


# --- Table 4, Figures 6 and 8 -------------------------------------------------------------------


def layer_groups(network: Network) -> dict[str, list[Layer]]:
    """Return the layers of a SqueezeNext under the names of Table 4, which are the baseline's.

    A name stands for a place: a position in the first unit of a block, or the same position in all its other
    units. In the other variants blocks have other numbers of units, so that a layer's own name does not tell.
    """
    names = {place: group[0].name for place, group in _by_place(load_network(NETWORKS[BASELINE])).items()}
    return {names[place]: group for place, group in _by_place(network).items()}


def _by_place(network: Network) -> dict[Place, list[Layer]]:
    positions: Counter[str] = Counter()
    groups: dict[Place, list[Layer]] = {}
    for layer in network.array_layers:
        section, _, unit = layer.block.partition("/")
        place = (section, unit in ("", "unit1"), positions[layer.block])
        positions[layer.block] += 1
        groups.setdefault(place, []).append(layer)
    return groups


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """A row of Table 4 beside ours.

    Attributes:
        layer: Name of the layer, the first of its repeats.
        published: Shape and repeats as printed.
        ours: Shape and repeats of ours.
        published_kmacs: Thousand MACs of all repeats, as printed.
        macs_with_outputs: Our MACs of all repeats and one per output element.
        macs: Our MACs of all repeats.
    """

    layer: str
    published: str
    ours: str
    published_kmacs: int
    macs_with_outputs: int
    macs: int

    @property
    def agrees(self) -> bool:
        """Whether shape, repeats and MACs to the digits printed are the same."""
        return self.published == self.ours and rounds_to(self.macs_with_outputs / 1e3, str(self.published_kmacs))


def table4_rows() -> list[LayerRow]:
    """Return every row of Table 4 beside ours."""
    groups = layer_groups(load_network(NETWORKS[BASELINE]))
    rows = []
    for row in read_published(TABLE4):
        group = groups[row["layer"]]
        first = group[0]
        shape = (first.H, first.C, first.S, first.R, first.stride[0], first.Q, first.K, len(group))
        columns = ("input_size", "input_channels", "kernel_w", "kernel_h", "stride", "output_size", "output_channels")
        rows.append(
            LayerRow(
                layer=row["layer"],
                published=_shape_text(*(int(row[column]) for column in (*columns, "repeats"))),
                ours=_shape_text(*shape),
                published_kmacs=int(row["kilo_macs_all_repeats"]),
                macs_with_outputs=paper_macs(group),
                macs=sum(layer.macs for layer in group),
            )
        )
    return rows


def _shape_text(
    size: int, channels: int, width: int, height: int, stride: int, outputs: int, filters: int, repeats: int
) -> str:
    step = f"/{stride}" if stride > 1 else ""
    times = f", {repeats} times" if repeats > 1 else ""
    return f"{size}² x {channels}, {width}x{height}{step}, {outputs}² x {filters}{times}"


def figure6(results: Mapping[str, Result]) -> list[Comparison]:
    """Return thousand cycles of every layer of every variant, the repeats of a layer summed."""
    accuracy = reading_accuracy_kcycles(FIGURE6)
    comparisons = []
    for variant, model in VARIANTS.items():
        result = results[model]
        cycles = {record["layer"]: record["cycles"] for record in result.records}
        groups = layer_groups(result.network)
        comparisons += [
            Comparison(
                series=variant,
                row=row["layer"],
                published=float(row[f"{variant}_kcycles"]),
                ours=sum(cycles[layer.name] for layer in groups[row["layer"]]) / 1e3,
                accuracy=accuracy,
            )
            for row in read_published(FIGURE6)
        ]
    return comparisons


def figure8(results: Mapping[str, Result]) -> list[Comparison]:
    """Return thousand cycles of every part and of all of every variant."""
    accuracy = reading_accuracy_kcycles(FIGURE8)
    return [
        Comparison(series=row["variant"], row=part, published=float(row[column]), ours=ours[part], accuracy=accuracy)
        for row in read_published(FIGURE8)
        for ours in [_part_kcycles(results[VARIANTS[row["variant"]]])]
        for part, column in {"total": "total_kcycles", **{name: name for name in (*BLOCKS, "others")}}.items()
    ]


def _part_kcycles(result: Result) -> dict[str, float]:
    parts: dict[str, float] = {"total": 0.0}
    for record in result.records:
        part = figure8_part(str(record["layer"]), str(record["block"]))
        for name in ("total", part):
            parts[name] = parts.get(name, 0.0) + record["cycles"] / 1e3
    return parts


def figure8_part(layer: str, block: str) -> str:
    """Return the part of Figure 8 that a layer of this name and block belongs to."""
    part = block.partition("/")[0] or layer
    return part if part in BLOCKS else "others"


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """All bars of Figure 6 that show the same layer, in any variant.

    Attributes:
        bars: The bars.
        repeats: How many layers each bar stands for.
    """

    bars: tuple[Comparison, ...]
    repeats: tuple[int, ...]

    @property
    def per_layer(self) -> tuple[float, ...]:
        """What every bar says of one layer, in thousand cycles."""
        return tuple(bar.published / count for bar, count in zip(self.bars, self.repeats, strict=True))

    @property
    def comparison(self) -> Comparison:
        """One layer, as all bars together have it."""
        layers = sum(self.repeats)
        return Comparison(
            series="all variants",
            row=self.bars[0].row,
            published=sum(bar.published for bar in self.bars) / layers,
            ours=sum(bar.ours for bar in self.bars) / layers,
            accuracy=math.sqrt(sum(bar.accuracy**2 for bar in self.bars)) / layers,
        )


def pooled_figure6(comparisons: Sequence[Comparison], results: Mapping[str, Result]) -> list[Pooled]:
    """Return Figure 6's bars by the layer that they show, a 3x1 and a 1x3 filter taken as the same."""
    pools: dict[object, list[tuple[Comparison, int]]] = {}
    groups = {variant: layer_groups(results[model].network) for variant, model in VARIANTS.items()}
    for comparison in comparisons:
        group = groups[comparison.series][comparison.row]
        layer = group[0]
        key = (layer.op, layer.C, layer.K, layer.P, layer.stride, layer.H, frozenset((layer.R, layer.S)))
        pools.setdefault(key, []).append((comparison, len(group)))
    return [
        Pooled(bars=tuple(bar for bar, _ in pool), repeats=tuple(count for _, count in pool)) for pool in pools.values()
    ]
