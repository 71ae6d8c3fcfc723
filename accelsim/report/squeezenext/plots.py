"""Pictures of the SqueezeNext report: published beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from accelsim.report.comparison import Comparison
from accelsim.report.plots import BLUE, GREEN, GREY, ORANGE, SKY, VERMILLION, figure_style
from accelsim.report.squeezenext.study import BLOCKS, LARGE, VARIANTS
from accelsim.report.text import signed_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PUBLISHED_COLOUR, OUR_COLOUR = GREY, BLUE

PART_COLOURS = dict(zip((*BLOCKS, "others"), (VERMILLION, ORANGE, SKY, GREEN, GREY), strict=True))


def table3_figure(time: Sequence[Comparison], energy: Sequence[Comparison]) -> Figure:
    """Draw Table 3's time and energy, a pair of bars a network, with the differences."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    with figure_style():
        figure = Figure(figsize=(9.5, 6.6), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        _pairs(upper, time, 1.0)
        _pairs(lower, energy, 1e9)
        upper.set_ylabel("time, relative to 1.0-SqNxt-23v5")
        lower.set_ylabel("energy (billion MAC energies)")
        lower.set_xticks(range(len(time)), [comparison.row for comparison in time], rotation=35, ha="right")
        upper.set_title(f"SqueezeNext, Table 3 ({LARGE}): published and accelsim, and the difference")
        upper.legend(loc="upper right")
    return figure


def figure6_figure(comparisons: Sequence[Comparison]) -> Figure:
    """Draw Figure 6: a row of bars a variant, the published thousand cycles of every layer beside ours."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    with figure_style():
        figure = Figure(figsize=(10.5, 11), layout="constrained")
        panels = figure.subplots(len(VARIANTS), 1, sharex=True)
        for axes, (variant, model) in zip(panels, VARIANTS.items(), strict=True):
            chosen = [comparison for comparison in comparisons if comparison.series == variant]
            _pairs(axes, chosen, 1.0, differences=False)
            axes.set_ylabel("thousand cycles")
            axes.text(0.5, 0.86, f"{model}", transform=axes.transAxes, ha="center")
            axes.set_xticks(range(len(chosen)), [comparison.row for comparison in chosen], rotation=90)
        panels[0].set_title(f"SqueezeNext, Figure 6 ({LARGE}): every layer, its repeats summed; published and accelsim")
        panels[0].legend(loc="upper right")
    return figure


def figure8_figure(comparisons: Sequence[Comparison]) -> Figure:
    """Draw Figure 8: for every variant two stacked bars, published at the left and ours at the right."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    with figure_style():
        figure = Figure(figsize=(8.5, 4.8), layout="constrained")
        axes = figure.subplots()
        for position, variant in enumerate(VARIANTS):
            parts = {comparison.row: comparison for comparison in comparisons if comparison.series == variant}
            _stack(axes, position - 0.21, [parts[part].published for part in PART_COLOURS], hatch="///")
            _stack(axes, position + 0.21, [parts[part].ours for part in PART_COLOURS], hatch="")
            top = max(parts["total"].published, parts["total"].ours)
            difference = signed_percent(parts["total"].difference)
            axes.text(position + 0.21, top + 12, difference, ha="center", va="bottom", fontsize=8)
        axes.set_xticks(range(len(VARIANTS)), VARIANTS.values())
        axes.tick_params(axis="x", length=0)
        axes.grid(visible=True, axis="y")
        axes.set_ylabel("thousand cycles")
        axes.set_title(f"SqueezeNext, Figure 8 ({LARGE}): published (hatched) and accelsim, and the totals' difference")
        _part_legend(axes)
    return figure


def _pairs(axes: Axes, comparisons: Sequence[Comparison], divisor: float, *, differences: bool = True) -> None:
    """Draw a published and a computed bar for every comparison."""
    positions = range(len(comparisons))
    values = [(c.published / divisor, c.ours / divisor) for c in comparisons]
    axes.bar([x - 0.2 for x in positions], [p for p, _ in values], 0.4, color=PUBLISHED_COLOUR, label="published")
    axes.bar([x + 0.2 for x in positions], [o for _, o in values], 0.4, color=OUR_COLOUR, label="accelsim")
    if differences:
        for position, (comparison, pair) in enumerate(zip(comparisons, values, strict=True)):
            text = signed_percent(comparison.difference)
            axes.annotate(text, (position, max(pair)), (0, 2), textcoords="offset points", ha="center", fontsize=7.5)
    axes.set_xlim(-0.6, len(comparisons) - 0.4)
    axes.set_ylim(0, 1.1 * max(max(pair) for pair in values))
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=True, axis="y")


def _stack(axes: Axes, position: float, heights: Sequence[float], hatch: str) -> None:
    base = 0.0
    for height, colour in zip(heights, PART_COLOURS.values(), strict=True):
        axes.bar(position, height, 0.4, bottom=base, color=colour, hatch=hatch, edgecolor="white", linewidth=0.4)
        base += height


def _part_legend(axes: Axes) -> None:
    """Add the legend of the parts, the uppermost first."""
    from matplotlib.patches import Patch  # noqa: PLC0415 - an extra

    handles = [Patch(color=colour, label=part) for part, colour in PART_COLOURS.items()]
    axes.legend(handles=handles[::-1], loc="upper left", bbox_to_anchor=(1.0, 1.0))
