"""Roofline picture: every layer as a point by kind, below the roofs of DRAM and of the global buffer."""

from __future__ import annotations

from collections.abc import Sequence
from math import atan, degrees, isfinite, sqrt
from os import PathLike
from typing import TYPE_CHECKING

from accelsim.report.intensity import LayerPoint, Roofs, layer_points, roofs
from accelsim.report.labels import place_names
from accelsim.report.plots import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILLION,
    figure_style,
    targets,
    write_figure,
)
from accelsim.report.text import whole_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from accelsim.result import Result

KIND_MARKS = {
    "standard": ("o", BLUE),
    "pointwise": ("s", GREEN),
    "depthwise": ("v", VERMILLION),
    "grouped": ("^", PURPLE),
    "linear": ("D", ORANGE),
    "other": ("X", GREY),
}
"""Marker and colour of every kind of layer."""

LABELLED = 4
"""How many points, those with the largest share of the time, have their layer's name beside them."""

LEVELS = {"DRAM": "macs_per_dram_byte", "global buffer": "macs_per_array_byte"}
"""Level -> what its axis shows."""


def roofline_figure(result: Result) -> Figure:
    """Draw the layers of a result below its accelerator's roofs, once for DRAM and once for the global buffer.

    A point is all layers of one shape; its area is their share of the time. A thin line leads from a point's MACs per
    DRAM byte to those it would have if every word moved once.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    points, most = layer_points(result), roofs(result.hardware)
    with figure_style():
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

        figure = Figure(figsize=(11.5, 5.2), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        placed = []
        slowest = sorted(points, key=lambda point: -point.time_share)[:LABELLED]
        for axes, (level, key) in zip(panels, LEVELS.items(), strict=True):
            _draw_level(axes, points, most, level, key)
            names = [(getattr(point, key), point.reached, _name(point)) for point in slowest]
            placed.append((axes, names, [(getattr(point, key), point.reached) for point in points]))
        panels[0].set_ylabel("MACs per cycle")
        panels[0].set_title(f"{result.network.name} on {result.hardware.name}")
        asked = ", ".join(f"{name} {value}" for name, value in result.options.items())
        panels[1].set_title(f"area of a point: its share of the time\n{asked}", fontsize=8.5)
        _legend(panels[1], points)
        for axes, names, others in placed:
            place_names(axes, names, size=7.0, avoid=others, areas=[_area(point) for point in slowest])
    return figure


def plot_roofline(result: Result, path: str | PathLike[str]) -> None:
    """Draw ``roofline_figure`` into a file: PNG, SVG or PDF by its suffix; without a suffix, PNG and SVG.

    Raises:
        InputError: The suffix is unknown, or the file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    wanted = targets(path)
    figure = roofline_figure(result)
    write_figure(figure, wanted)


def _draw_level(axes: Axes, points: Sequence[LayerPoint], most: Roofs, level: str, key: str) -> None:
    """Draw one panel."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter  # noqa: PLC0415 - an extra

    bytes_per_cycle = most.dram_bytes_per_cycle if level == "DRAM" else most.array_bytes_per_cycle
    for point in points:
        marker, colour = KIND_MARKS[point.kind]
        intensity = getattr(point, key)
        if level == "DRAM":
            axes.plot([intensity, point.ideal_macs_per_byte], [point.reached] * 2, color=colour, lw=0.7, alpha=0.6)
        axes.scatter(
            intensity,
            point.reached,
            s=_area(point),
            marker=marker,
            color=colour,
            alpha=0.75,
            ec="white",
            lw=0.5,
            zorder=3,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    values = [value for point in points for value in (getattr(point, key), point.ideal_macs_per_byte)]
    ridge = max(point.peak for point in points) / bytes_per_cycle
    values = [value for value in values if isfinite(value)] + [ridge / 6, ridge] * (ridge > 0)
    low, high = min(values) / 1.6, max(values) * 2
    _draw_roofs(axes, points, most.macs_per_cycle, bytes_per_cycle, (low, high))
    axes.set_xlim(low, high)
    axes.set_ylim(min(point.reached for point in points) / 1.8, 2.2 * max(point.peak for point in points))
    inside = "between buffer and array" if isfinite(bytes_per_cycle) else "in and out of the memories before the PEs"
    axes.set_xlabel(f"MACs per byte {'to and from DRAM' if level == 'DRAM' else inside}")
    axes.grid(visible=True, which="major", axis="both")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


def _area(point: LayerPoint) -> float:
    """Return the area of a point, in square points."""
    return 22 + 900 * point.time_share


def _draw_roofs(
    axes: Axes, points: Sequence[LayerPoint], peak: float, bytes_per_cycle: float, span: tuple[float, float]
) -> None:
    """Draw the array's roof, the higher one where it skips zeros, and the slope of the bandwidth."""
    low, high = span
    highest = max(peak, *(point.peak for point in points))
    axes.plot([low, high], [peak, peak], color=BLACK, lw=1.2)
    axes.annotate(f"{peak:g} PEs", (high, peak), (-3, -9), textcoords="offset points", ha="right", fontsize=7.5)
    if highest > 1.001 * peak:
        axes.plot([low, high], [highest, highest], color=BLACK, lw=1.0, ls="--")
        axes.annotate(
            f"{highest:.0f} with zeros skipped", (high, highest), (-3, 3), textcoords="offset points", ha="right",
            fontsize=7.5,
        )  # fmt: skip
    if isfinite(bytes_per_cycle) and bytes_per_cycle > 0:
        ridge = highest / bytes_per_cycle
        axes.plot([low, ridge], [low * bytes_per_cycle, highest], color=BLACK, lw=1.2)
        middle = sqrt(low * ridge)
        axes.text(
            middle,
            1.08 * middle * bytes_per_cycle,
            f"{bytes_per_cycle:g} bytes per cycle",
            rotation=degrees(atan(bytes_per_cycle)),
            transform_rotates_text=True,
            rotation_mode="anchor",
            ha="center",
            va="bottom",
            fontsize=7.5,
        )


def _name(point: LayerPoint) -> str:
    repeats = f" ×{point.repeats}" if point.repeats > 1 else ""  # noqa: RUF001 - the sign of multiplication
    return f"{point.layer}{repeats}, {whole_percent(point.time_share)}"


def _legend(axes: Axes, points: Sequence[LayerPoint]) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415 - an extra

    found = {point.kind for point in points}
    handles = [
        Line2D([], [], marker=marker, color=colour, ls="", label=kind)
        for kind, (marker, colour) in KIND_MARKS.items()
        if kind in found
    ]
    handles.append(Line2D([], [], color=GREY, lw=0.9, label="to ideal: each\nword moved once"))
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0))
