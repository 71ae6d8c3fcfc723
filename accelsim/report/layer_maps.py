"""Mappings of one layer side by side, the best of several kinds or the front: table, data, and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from accelsim.alternatives import best_mappings, mapping_front
from accelsim.dims import Dim, Operand
from accelsim.engine.general import NestResult
from accelsim.mapping.arrays import Count
from accelsim.mapping.machine import machine_of
from accelsim.mapping.mapping import NestMapping
from accelsim.mapping.nest import Nest, Place, Unrolling, to_data
from accelsim.report.layer_map import find_layer
from accelsim.report.plots import BLUE, GREY, ORANGE, figure_style, targets, write_figure
from accelsim.report.text import energy_scale
from accelsim.units import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from accelsim.hardware.spec import Hardware
    from accelsim.workload.network import Network
    from accelsim.workload.storage_plan import StoragePlan

MOST_LABELS = 12
"""Mappings that a picture numbers."""


@dataclass(frozen=True, kw_only=True)
class LayerMaps:
    """Several mappings of a layer.

    Attributes:
        hardware: The accelerator.
        results: What the layer costs under each, in order.
        question: What they are, as a sentence that goes on after the layer's name.
        proof: What is proven of all others.
        tolerance: Of a front, the share by which its mappings may be worse than those that they stand for; else None.
        complete: Whether the whole space was covered.
    """

    hardware: Hardware
    results: tuple[NestResult, ...]
    question: str
    proof: str
    tolerance: float | None
    complete: bool

    def records(self) -> list[dict[str, Any]]:
        """Return one record per mapping: costs, what is unrolled on every axis, what memories keep, the nest."""
        lowest = min(_edp(result) for result in self.results)
        return [
            {
                "rank": rank,
                "cycles": result.cycles,
                "energy": result.total_energy,
                "energy_unit": self.hardware.energy_unit,
                "edp": _edp(result),
                "relative_edp": _edp(result) / lowest,
                "utilization": result.counts[Count.MAC] / (self.hardware.pes * result.cycles),
                "bound": result.bound,
                "unrolled": unrolled(result),
                "keeps": keeps(result),
                "nest": to_data(_nest(result)),
            }
            for rank, result in enumerate(self.results, 1)
        ]

    def lines(self) -> list[str]:
        """Return the table that people read."""
        passed = any(store.may_bypass for store in machine_of(self.hardware).stores)
        header = ["", "cycles", f"energy/{self.hardware.energy_unit}", "EDP", "rel. EDP", "use", "bound", "unrolled"]
        rows = [
            [
                str(row["rank"]),
                f"{row['cycles']:,}",
                f"{row['energy']:,.0f}",
                f"{row['edp']:.5g}",
                f"{row['relative_edp']:.4f}",
                percent(row["utilization"]),
                row["bound"],
                "; ".join(f"{axis} {loops}" for axis, loops in row["unrolled"].items()),
                *(["; ".join(f"{memory} {kept}" for memory, kept in row["keeps"].items())] if passed else []),
            ]
            for row in self.records()
        ]
        header += ["kept"] if passed else []
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        left = {header.index(name) for name in ("bound", "unrolled", "kept") if name in header}
        text = [
            "  ".join(
                cell.ljust(width) if column in left else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in (header, *rows)
        ]
        first = self.results[0]
        title = f"{first.layer.name} on {self.hardware.name}, dataflow {first.mapping.dataflow}: {self.question}"
        size = f"{first.space:,}" if first.space < 10**9 else f"{float(first.space):.3g}"
        return [title, "", *text, "", f"of {size} mappings, {first.walked:,} evaluated; {self.proof}"]

    def data(self) -> dict[str, Any]:
        """Return it as plain data, as ``--format json`` prints it."""
        first = self.results[0]
        return {
            "schema": 1,
            "layer": first.layer.name,
            "hardware": self.hardware.name,
            "dataflow": first.mapping.dataflow,
            "mappings": first.space,
            "evaluated": first.walked,
            "complete": self.complete,
            **({} if self.tolerance is None else {"tolerance": self.tolerance}),
            "results": self.records(),
        }


def map_top(
    network: Network | str,
    layer: str,
    hardware: Hardware | str,
    *,
    top: int,
    objective: str,
    batch: int | None = None,
    storage: StoragePlan | str | PathLike[str] | None = None,
    **options: Any,
) -> LayerMaps:
    """Return the best mappings of a layer that differ in kind; options as of ``best_mappings``.

    Raises:
        InputError: The network has no such layer on the array, or an option is wrong.
        NoMappingError: Nothing fits.
    """
    own, hw = find_layer(network, layer, hardware, batch=batch, storage=storage)
    results = best_mappings(own, hw, top=top, objective=objective, **options)
    complete = results[0].complete
    end = "no mapping of another kind is better" if len(results) == top else "there is no mapping of another kind"
    return LayerMaps(
        hardware=hw,
        results=tuple(results),
        question=f"best in {objective}, by what is unrolled and kept",
        proof=end if complete else "others may be better: " + _why_open(hw),
        tolerance=None,
        complete=complete,
    )


def map_front(
    network: Network | str,
    layer: str,
    hardware: Hardware | str,
    *,
    tolerance: float,
    batch: int | None = None,
    storage: StoragePlan | str | PathLike[str] | None = None,
    **options: Any,
) -> LayerMaps:
    """Return the front of a layer's mappings in cycles and energy; options as of ``mapping_front``.

    Raises:
        InputError: The network has no such layer on the array, or an option is wrong.
        NoMappingError: Nothing fits.
    """
    own, hw = find_layer(network, layer, hardware, batch=batch, storage=storage)
    front = mapping_front(own, hw, tolerance=tolerance, **options)
    proof = "none has fewer cycles and less energy than one of these"
    if front.tolerance > 0:
        proof += f" by more than {100 * front.tolerance:.3g}%"
    if not front.complete:
        proof = f"whether {proof} is not proven: " + _why_open(hw)
    return LayerMaps(
        hardware=hw,
        results=front.results,
        question="front of cycles and energy",
        proof=proof,
        tolerance=front.tolerance,
        complete=front.complete,
    )


def unrolled(result: NestResult) -> dict[str, str]:
    """Return by axis what is unrolled along it: ``{"array.rows": "K16 C2"}``; axes with nothing are left out."""
    found = {}
    for step in _nest(result).steps:
        if isinstance(step, Unrolling):
            loops = [f"{dim.name}{step.counts[dim]}" for dim in Dim if step.counts.get(dim, 1) > 1]
            if loops:
                found[step.axis] = " ".join(loops)
    return found


def keeps(result: NestResult) -> dict[str, str]:
    """Return by memory inside the outermost the operands that it keeps: ``{"BUF": "W I O"}``."""
    steps = [step for step in _nest(result).steps if isinstance(step, Place)]
    found: dict[str, set[Operand]] = {}
    for step in steps[1:]:
        found.setdefault(step.store, set()).update(step.operands)
    return {store: " ".join(operand.name for operand in sorted(operands)) for store, operands in found.items()}


def plot_maps(found: LayerMaps, path: str | PathLike[str]) -> None:
    """Draw cycles and energy of every mapping; of a front, the line that no mapping passes.

    Args:
        found: The mappings.
        path: File to save to, as PNG, SVG or PDF by its suffix; without a suffix, as PNG and SVG.

    Raises:
        InputError: The suffix is unknown, or the file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    wanted = targets(path)
    with figure_style():
        figure = _figure(found)
    write_figure(figure, wanted)


def _figure(found: LayerMaps) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter  # noqa: PLC0415

    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    energy = energy_scale(max(result.total_energy for result in found.results), found.hardware.energy_unit)
    x = [float(result.cycles) for result in found.results]
    y = [result.total_energy / energy.divisor for result in found.results]
    if found.tolerance is not None:
        axes.step(x, y, where="post", color=GREY, linewidth=1, zorder=1)
    axes.scatter(x, y, s=22, color=BLUE, zorder=2)
    best = min(range(len(x)), key=lambda index: _edp(found.results[index]))
    axes.scatter(
        x[best], y[best], s=130, marker="*", color=ORANGE, zorder=3, label=f"least EDP: {_edp(found.results[best]):.4g}"
    )
    _label(axes, x, y, skip=best)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.ticklabel_format(axis="y", style="plain", useOffset=False)
    axes.set_xlabel("time, cycles")
    axes.set_ylabel(f"energy, {energy.unit}")
    axes.grid(visible=True, axis="both")
    axes.margins(0.08)
    axes.legend(loc="upper right")
    first = found.results[0]
    axes.set_title(f"{first.layer.name} on {found.hardware.name}: {found.question}")
    return figure


def _label(axes: Axes, x: list[float], y: list[float], *, skip: int) -> None:
    """Number some mappings by their rank: all if they are few, else the ends; points that coincide share a label."""
    chosen = range(len(x)) if len(x) <= MOST_LABELS else (0, len(x) - 1)
    where: dict[tuple[float, float], list[str]] = {}
    for index in chosen:
        where.setdefault((x[index], y[index]), []).append(str(index + 1))
    for (left, bottom), ranks in where.items():
        offset = (8, 5) if skip < len(x) and (left, bottom) == (x[skip], y[skip]) else (5, 4)
        axes.annotate(", ".join(ranks), (left, bottom), xytext=offset, textcoords="offset points", fontsize=8)


def _why_open(hardware: Hardware) -> str:
    """Return why a search is not complete."""
    machine = machine_of(hardware)
    if any(store.slides for store in machine.stores) or any(fanout.words_per_cycle for fanout in machine.fanouts):
        return "the mapper does not see sliding windows or networks with rates"
    return "the search ended at its limit, or does not cover all mappings of such a machine (docs/mapper.md)"


def _nest(result: NestResult) -> Nest:
    assert isinstance(result.mapping, NestMapping)
    return result.mapping.nest


def _edp(result: NestResult) -> float:
    return result.cycles * result.total_energy
