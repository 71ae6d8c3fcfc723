"""Pictures of the Eyeriss report: published beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from accelsim.report.comparison import Comparison
from accelsim.report.eyeriss.study import Study, dram_traffic, glb_traffic, latency
from accelsim.report.plots import BLUE, GREY, ORANGE, figure_style
from accelsim.report.text import signed_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def table5_figure(study: Study) -> Figure:
    """Draw Table V: published, by the published mapping, and by the best one, with the differences."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    panels = (
        ("processing latency (ms)", latency),
        ("global buffer accesses (MB)", glb_traffic),
        ("DRAM accesses, uncompressed (MB)", dram_traffic),
    )
    with figure_style():
        figure = Figure(figsize=(11, 3.8), layout="constrained")
        for axes, (title, compared) in zip(figure.subplots(1, len(panels)), panels, strict=True):
            _bars(axes, compared(study.published), compared(study.best))
            axes.set_title(title)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _bars(axes: Axes, published: Sequence[Comparison], best: Sequence[Comparison]) -> None:
    width = 0.27
    series = (
        ("Eyeriss, measured", GREY, [comparison.published for comparison in published]),
        ("accelsim, published mapping", BLUE, [comparison.ours for comparison in published]),
        ("accelsim, best mapping", ORANGE, [comparison.ours for comparison in best]),
    )
    for shift, (label, colour, values) in zip((-width, 0.0, width), series, strict=True):
        axes.bar([place + shift for place in range(len(values))], values, width, color=colour, label=label)
    for place, comparison in enumerate(published):
        top = max(values[place] for _, _, values in series)
        axes.annotate(
            signed_percent(comparison.difference),
            (place, top),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize="small",
            color=BLUE,
        )
    axes.set_xticks(range(len(published)), [comparison.row for comparison in published])
    axes.margins(y=0.12)
