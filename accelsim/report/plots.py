"""Pictures of results, layer by layer: time, energy, DRAM traffic, utilization; and the style of all pictures.

Figures are drawn through matplotlib's objects, without pyplot, so that they neither need a display nor share state
with the caller's own plots. The same result gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.engine.analytical import LayerResult
from accelsim.errors import InputError, MissingExtraError, did_you_mean
from accelsim.mapping.arrays import Count
from accelsim.report.files import write_whole
from accelsim.report.text import Scale, count_scale, energy_scale, whole_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure

    from accelsim.result import Result

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE, GREY = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
    "#BBBBBB",
)
"""Okabe and Ito's palette, which the colour-blind can tell apart, and a grey."""

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "savefig.dpi": 150,
    "svg.hashsalt": "accelsim",  # names inside an SVG are random without it
}
"""How all of accelsim's pictures look, over matplotlib's defaults."""

METRICS = ("time", "energy", "traffic", "utilization")
"""What ``plot_result`` can draw; all but the last add up over the layers."""

FORMATS = ("png", "svg", "pdf")
"""What a picture can be saved as."""

LONGEST_LABEL = 34
"""Characters of a layer's name that a tick shows; of a longer name the middle is left out."""

LABEL_INCHES = 0.065
"""Width of a character of a tick's label; the figure grows with the longest label."""

_SEGMENTS: dict[str, dict[str, tuple[str, str]]] = {
    "time": {
        "iterations": ("multiply-accumulates", BLUE),
        "overhead": ("array: preload, fill, drain", SKY),
        "stall": ("waiting for DRAM", ORANGE),
    },
    "energy": {
        "mac": ("MAC units", BLUE),
        "rf": ("registers", SKY),
        "noc": ("links between PEs", PURPLE),
        "glb": ("global buffer", GREEN),
        "dram": ("DRAM", ORANGE),
    },
    "traffic": {
        "weights": ("weights", BLUE),
        "inputs": ("inputs", SKY),
        "partial_sums": ("partial sums read back", PURPLE),
        "outputs": ("outputs, partial sums among them", ORANGE),
    },
}
"""Component -> (name in the legend, colour), the lowest of a bar first."""

BOUND_COLOURS = {"compute": BLUE, "dram": ORANGE, "glb": GREEN}
"""Colour of what a layer waits for."""

_TITLES = {"traffic": "DRAM traffic"}
"""Names of metrics on the axis, where they differ."""

_OTHER_BOUNDS = (PURPLE, YELLOW, SKY, VERMILLION)
"""Colours of bounds that only other machines have."""

_DATAFLOW_FILLS = ((GREY, ""), ("#FFFFFF", "////"), (YELLOW, ""), (GREEN, "...."), (PURPLE, "xx"), (BLACK, ""))
"""Colour and hatch of the dataflows in the strip below the bars, in the hardware's order."""


@dataclass(frozen=True)
class Bar:
    """Layers of one shape, drawn as one bar.

    Attributes:
        layer: Name of the first of them.
        repeats: How many there are.
        dataflow: Dataflow chosen for all of them.
        segments: By component, in cycles, in the hardware's unit of energy, or in words: the sum over the layers; for
            utilization the share of one of them, under what it waits for.
    """

    layer: str
    repeats: int
    dataflow: str
    segments: Mapping[str, float]

    @property
    def label(self) -> str:
        """The name, shortened, and the repeats."""
        name = self.layer
        if len(name) > LONGEST_LABEL:
            half = (LONGEST_LABEL - 1) // 2
            name = f"{name[:half]}…{name[-half:]}"
        return name if self.repeats == 1 else f"{name}  ×{self.repeats}"  # noqa: RUF001 - the sign of multiplication


def layer_bars(result: Result, metric: str) -> list[Bar]:
    """Return the bars of a picture: layers of equal shape together, where the first of them stands.

    A bar's segments add up to the cycles, the energy or the DRAM words of its layers, or to the utilization of one.

    Raises:
        InputError: The metric is unknown.
    """
    if metric not in METRICS:
        raise InputError(f"unknown metric {metric!r}{did_you_mean(metric, METRICS)}; allowed are {', '.join(METRICS)}")
    records = {record["layer"]: record for record in result.records}
    bars = []
    for group in layer_groups(result):
        first, record = group[0], records[group[0].layer.name]
        times = 1 if metric == "utilization" else len(group)
        bars.append(
            Bar(
                layer=first.layer.name,
                repeats=len(group),
                dataflow=record["dataflow"],
                segments={name: times * value for name, value in _segments(metric, first, record).items()},
            )
        )
    return bars


def layer_groups(result: Result) -> list[list[LayerResult]]:
    """Return the layers of equal shape together, in the order of the first of each."""
    groups: dict[tuple[object, ...], list[LayerResult]] = {}
    for layer_result in result.layer_results:
        groups.setdefault(layer_result.layer.shape_key, []).append(layer_result)
    return list(groups.values())


def plot_result(result: Result, metric: str = "time", path: str | PathLike[str] | None = None) -> Figure:
    """Draw the time, energy or DRAM traffic of every layer, stacked by component, or its utilization.

    Layers of equal shape share a bar, which is their sum; of utilization it is that of one, in the colour of what it
    waits for. A strip below the bars shows every layer's dataflow.

    Args:
        result: The result.
        metric: One of ``METRICS``.
        path: File to save to, as PNG, SVG or PDF by its suffix; without a suffix, as PNG and SVG.

    Returns:
        The figure.

    Raises:
        InputError: The metric or the suffix is unknown, or the file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    bars = layer_bars(result, metric)
    wanted = targets(path)
    scale = _scale(result, metric, max(sum(bar.segments.values()) for bar in bars))
    with figure_style():
        figure = _draw(result, metric, bars, scale)
    write_figure(figure, wanted)
    return figure


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw inside with accelsim's style, whatever the user's own settings are.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib.style  # noqa: PLC0415 - an extra, and half a second
    except ImportError:
        raise MissingExtraError(
            "pictures need matplotlib, which is not installed: pip install 'accelsim[plot]'"
        ) from None
    with matplotlib.style.context(["default", STYLE]):
        yield


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """Return a figure as a file's content, the same bytes every time.

    Args:
        figure: The figure.
        kind: One of ``FORMATS``.
    """
    metadata = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    stream = io.BytesIO()
    with figure_style():
        figure.savefig(stream, format=kind, metadata=metadata)
    return stream.getvalue()


def write_figure(figure: Figure, files: Sequence[Path]) -> None:
    """Write a figure into files, each as its suffix says; see ``targets``.

    Raises:
        InputError: A file cannot be written.
    """
    for target in files:
        write_whole(target, figure_bytes(figure, target.suffix[1:].lower()))


def targets(path: str | PathLike[str] | None) -> list[Path]:
    """Return the files to save a picture to: by its suffix, or PNG and SVG without one; none for None.

    Raises:
        InputError: The suffix is unknown.
    """
    if path is None:
        return []
    target = Path(path)
    if not target.suffix:
        return [target.with_suffix(".png"), target.with_suffix(".svg")]
    if target.suffix[1:].lower() not in FORMATS:
        raise InputError(f"cannot save a picture as {target}: its suffix must be one of .{', .'.join(FORMATS)}")
    return [target]


def _segments(metric: str, result: LayerResult, record: Mapping[str, Any]) -> dict[str, float]:
    """Return the parts of one layer's bar."""
    if metric == "time":
        return {
            "iterations": result.iteration_cycles,
            "overhead": result.array_cycles - result.iteration_cycles,
            "stall": result.cycles - result.array_cycles,
        }
    if metric == "energy":
        return dict(result.energy)
    if metric == "traffic":
        return dram_words(result)
    return {record["bound"]: record["utilization"]}


def dram_words(result: LayerResult) -> dict[str, float]:
    """Return the words that a layer moves to and from DRAM, by what they are."""
    counts = result.counts
    return {
        "weights": float(counts[Count.DRAM_READ_W]),
        "inputs": float(counts[Count.DRAM_READ_I]),
        "partial_sums": float(counts[Count.DRAM_READ_O]),
        "outputs": float(counts[Count.DRAM_WRITE_O]),
    }


def _scale(result: Result, metric: str, largest: float) -> Scale:
    if metric == "energy":
        return energy_scale(largest, str(result.hardware.energy_unit))
    if metric == "utilization":
        return Scale(0.01, "% of all PE cycles")
    return count_scale(largest, "cycles" if metric == "time" else "words")


def _components(metric: str, bars: Sequence[Bar]) -> dict[str, tuple[str, str]]:
    """Return name in the legend and colour of every component, the lowest of a bar first."""
    if metric != "utilization":
        return _SEGMENTS[metric]
    found = dict.fromkeys(name for bar in bars for name in bar.segments)
    known = {name: colour for name, colour in BOUND_COLOURS.items() if name in found}
    others = [name for name in found if name not in BOUND_COLOURS]
    known |= {name: _OTHER_BOUNDS[index % len(_OTHER_BOUNDS)] for index, name in enumerate(others)}
    return {name: (f"bound by {name}", colour) for name, colour in known.items()}


def _draw(result: Result, metric: str, bars: Sequence[Bar], scale: Scale) -> Figure:
    """Return the figure: title, stacked bars, the strip of dataflows, legends at the right."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    from matplotlib.patches import Patch  # noqa: PLC0415

    width = min(max(7.2, 3.4 + 0.19 * len(bars)), 60.0)
    longest = max(len(bar.label) for bar in bars)
    figure = Figure(figsize=(width, 4.2 + LABEL_INCHES * longest), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.02, hspace=0.0)  # type: ignore[union-attr, call-arg]
    axes, strip = figure.subplots(2, 1, sharex=True, height_ratios=[20, 1])
    _draw_bars(axes, metric, bars, scale)
    names = dict.fromkeys([*result.hardware.dataflows, *(bar.dataflow for bar in bars)])  # any and given have no entry
    dataflows = _draw_strip(strip, bars, list(names))
    # One legend in three parts: two would need a place each, and the layout only makes room for one beside the axes.
    components = axes.get_legend_handles_labels()[0]
    blank, heading = (Patch(visible=False, label=text) for text in ("", "dataflow"))
    axes.legend(handles=[*components[::-1], blank, heading, *dataflows], loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.set_ylabel(f"{_TITLES.get(metric, metric)} ({scale.unit})")
    axes.set_title(_title(result, metric))
    return figure


def _draw_bars(axes: Axes, metric: str, bars: Sequence[Bar], scale: Scale) -> None:
    positions = range(len(bars))
    base = [0.0] * len(bars)
    for component, (label, colour) in _components(metric, bars).items():
        heights = [bar.segments.get(component, 0.0) / scale.divisor for bar in bars]
        if any(heights):
            axes.bar(positions, heights, width=0.78, bottom=base, color=colour, label=label)
        base = [low + height for low, height in zip(base, heights, strict=True)]
    axes.set_xlim(-0.6, len(bars) - 0.4)
    axes.set_ylim(0, 1.05 * max(base) or 1.0)  # nothing to show is shown as an empty axis, too
    axes.tick_params(axis="x", length=0, labelbottom=False)
    axes.grid(visible=True, axis="y")


def _draw_strip(strip: Axes, bars: Sequence[Bar], dataflows: Sequence[str]) -> list[BarContainer]:
    """Draw one cell a bar in its dataflow's fill, and the names of the layers below; return the legend's entries."""
    entries = []
    for index, dataflow in enumerate(dataflows):
        chosen = [position for position, bar in enumerate(bars) if bar.dataflow == dataflow]
        colour, hatch = _DATAFLOW_FILLS[index % len(_DATAFLOW_FILLS)]
        if chosen:
            cells = strip.bar(chosen, 1, width=1.0, color=colour, hatch=hatch, edgecolor="#666666", linewidth=0.4)
            cells.set_label(dataflow)
            entries.append(cells)
    strip.set_ylim(0, 1)
    strip.set_yticks([])
    strip.spines[["left", "bottom"]].set_visible(False)
    strip.set_xticks(range(len(bars)), [bar.label for bar in bars], rotation=90)
    strip.tick_params(axis="x", length=0)
    return entries


def _title(result: Result, metric: str) -> str:
    """Return network and hardware; the totals; what was asked for."""
    totals = result.totals
    if metric == "time":
        total = count_scale(totals["cycles"], "cycles").text(totals["cycles"])
        total += f" ({totals['time_ms']:.4g} ms at {result.hardware.clock_mhz:g} MHz)"
    elif metric == "energy":
        total = energy_scale(totals["energy"], totals["energy_unit"]).text(totals["energy"])
    elif metric == "traffic":
        total = count_scale(totals["dram_words"], "words").text(totals["dram_words"])
    else:
        total = f"{whole_percent(totals['stall_cycles'] / totals['cycles'])} of the time waiting for DRAM"
    macs = count_scale(totals["macs"], "MACs").text(totals["macs"])
    asked = ", ".join(f"{name} {value}" for name, value in result.options.items())
    return (
        f"{result.network.name} on {result.hardware.name}\n"
        f"{total}, {macs}, utilization {whole_percent(totals['utilization'])}\n{asked}"
    )
