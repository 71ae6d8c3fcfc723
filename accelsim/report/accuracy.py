"""Accuracy against time and energy for many networks, after the SqueezeNext paper's Figure 7.

Accuracy is cited, never computed: it is the first published top-1 figure of the network's file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from os import PathLike
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError
from accelsim.report.labels import place_names
from accelsim.report.pareto import COSTS, on_front
from accelsim.report.plots import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    STYLE,
    VERMILLION,
    figure_style,
    targets,
    write_figure,
)
from accelsim.report.text import Scale, energy_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LARGEST_AREA = 3000.0
"""Area of the largest bubble, in square points."""

_COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY)


def plot_comparison(rows: Sequence[Mapping[str, Any]], path: str | PathLike[str] | None = None) -> Figure:
    """Draw accuracy against time and energy, a row of panels per accelerator; the area of a point is the model's size.

    A line joins the networks that no other one beats. Networks without a published accuracy are named, not drawn.

    Args:
        rows: What ``comparison_rows`` returns.
        path: File to save to, as PNG, SVG or PDF by its suffix; without a suffix, as PNG and SVG.

    Raises:
        InputError: No network has a published accuracy, the suffix is unknown, or the file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    drawn = [row for row in rows if row["top1_percent"] is not None]
    if not drawn:
        raise InputError("none of the networks has a published accuracy to plot against")
    wanted = targets(path)
    machines = list(dict.fromkeys(row["hardware"] for row in rows))
    with figure_style():
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

        figure = Figure(figsize=(12.5, 1.0 + 4.4 * len(machines)), layout="constrained")
        grid = figure.subplots(len(machines), 2, squeeze=False)
        per_million = LARGEST_AREA / max(row["params"] / 1e6 for row in drawn)
        by_machine = [[row for row in drawn if row["hardware"] == machine] for machine in machines]
        for panels, machine, chosen in zip(grid, machines, by_machine, strict=True):
            for axes, cost in zip(panels, COSTS, strict=True):
                _draw_panel(axes, chosen, cost, per_million)
            panels[0].set_title(f"on {machine}")
        _size_legend(grid[0, 1], drawn, per_million)
        _name_missing(figure, rows)
        for panels, chosen in zip(grid, by_machine, strict=True):
            for axes, cost in zip(panels, COSTS, strict=True):
                divisor = _scale(chosen, cost).divisor
                names = [(row[COSTS[cost]] / divisor, row["top1_percent"], row["network"]) for row in chosen]
                place_names(axes, names, areas=[per_million * row["params"] / 1e6 for row in chosen], pale=True)
    write_figure(figure, wanted)
    return figure


def _scale(rows: Sequence[Mapping[str, Any]], cost: str) -> Scale:
    if cost == "time":
        return Scale(1.0, "ms")
    return energy_scale(max(row["energy"] for row in rows), rows[0]["energy_unit"])


def _draw_panel(axes: Axes, rows: Sequence[Mapping[str, Any]], cost: str, per_million: float) -> None:
    """Draw bubbles, front and axes; names follow when the layout is known."""
    scale = _scale(rows, cost)
    xs = [row[COSTS[cost]] / scale.divisor for row in rows]
    ys = [row["top1_percent"] for row in rows]
    areas = [per_million * row["params"] / 1e6 for row in rows]
    colours = [_COLOURS[index % len(_COLOURS)] for index in range(len(rows))]
    axes.scatter(xs, ys, s=areas, c=colours, alpha=0.45, lw=0)
    axes.scatter(xs, ys, s=9, c=colours, zorder=3)
    front = sorted((x, y) for x, y, row in zip(xs, ys, rows, strict=True) if on_front(row, rows, cost))
    axes.plot([x for x, _ in front], [y for _, y in front], color=GREY, lw=1.2, ls="--", zorder=1)
    axes.set_xscale("log")
    _limits(axes, xs, ys)
    axes.set_xlabel(f"{cost} ({scale.unit}), logarithmic")
    axes.set_ylabel("published top-1 accuracy (%)")
    axes.grid(visible=True, axis="both")


def _limits(axes: Axes, xs: Sequence[float], ys: Sequence[float]) -> None:
    """Leave room for bubbles and names, and numbers on the axis that people read."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter  # noqa: PLC0415 - an extra

    axes.set_xlim(min(xs) / 1.9, max(xs) * 2.1)
    height = max(ys) - min(ys) or 1.0
    axes.set_ylim(min(ys) - 0.15 * height - 0.5, max(ys) + 0.2 * height + 0.5)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _size_legend(axes: Axes, rows: Sequence[Mapping[str, Any]], per_million: float) -> None:
    """Show what areas mean, for three sizes of the range."""
    largest = max(row["params"] for row in rows) / 1e6
    sizes = [size for size in (0.5, 1, 2, 5, 10, 25, 60, 140) if size <= 1.2 * largest][-3:]
    handles = [
        axes.scatter([], [], s=per_million * size, color=GREY, alpha=0.6, lw=0, label=f"{size:g} M parameters")
        for size in sizes
    ]
    letter = STYLE["legend.fontsize"]  # a legend's spaces are in sizes of its letters
    widest = sqrt(per_million * sizes[-1]) / letter if sizes else 0.0
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        labelspacing=widest,
        borderpad=0.5 + widest / 2,
        handletextpad=0.5 + widest / 2,
    )


def _name_missing(figure: Figure, rows: Sequence[Mapping[str, Any]]) -> None:
    missing = list(dict.fromkeys(row["network"] for row in rows if row["top1_percent"] is None))
    text = "dashed: networks that no other one beats in both accuracy and cost"
    if missing:
        text += f"; not drawn, as no accuracy is published: {', '.join(missing)}"
    figure.supxlabel(text, fontsize=8, x=0.01, ha="left")
