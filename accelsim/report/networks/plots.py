"""Pictures of the report on networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from accelsim.report.networks.depth import Expectation
from accelsim.report.networks.memory import BlockMemory, Peak
from accelsim.report.networks.resnext import FormCost
from accelsim.report.networks.senet import WHOLE, Part
from accelsim.report.networks.study import DEPTHS, FORMS, LARGE, SE_PAIRS, SETTINGS, SMALL
from accelsim.report.plots import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, figure_style
from accelsim.workload.memory import StoragePlan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLAN_COLOURS = dict(zip(StoragePlan, (VERMILLION, ORANGE, SKY, BLUE), strict=True))


def se_figure(parts: Sequence[Part]) -> Figure:
    """Draw what SE adds to every network, relative to the network without it."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    bars = (
        ("parameters", LARGE, "params", GREY),
        ("MACs", LARGE, "macs", GREEN),
        (f"time, {LARGE}", LARGE, "cycles", BLUE),
        (f"energy, {LARGE}", LARGE, "energy", ORANGE),
        (f"time, {SMALL}", SMALL, "cycles", SKY),
        (f"energy, {SMALL}", SMALL, "energy", VERMILLION),
    )
    with figure_style():
        figure = Figure(figsize=(9.5, 4.2), layout="constrained")
        axes = figure.subplots()
        width = 0.8 / len(bars)
        for index, (label, hardware, quantity, colour) in enumerate(bars):
            growth = {
                part.network: part.growth(quantity)
                for part in parts
                if part.hardware == hardware and part.stage == WHOLE
            }
            positions = [x + (index - (len(bars) - 1) / 2) * width for x in range(len(SE_PAIRS))]
            heights = [100 * growth[name] for name in SE_PAIRS]
            drawn = axes.bar(positions, heights, width, color=colour, label=label)
            axes.bar_label(
                drawn, [f"{height:.{1 if height >= 0.1 else 2}f}" for height in heights], fontsize=6, padding=1
            )
        axes.set_xticks(range(len(SE_PAIRS)), SE_PAIRS)
        axes.tick_params(axis="x", length=0)
        axes.grid(visible=True, axis="y")
        axes.set_ylabel("added (%)")
        axes.set_title("What squeeze-and-excitation adds to a network")
        axes.legend(loc="upper right", ncols=3, bbox_to_anchor=(1.0, 1.0))
        axes.set_ylim(0, 14)
    return figure


def resnext_figure(rows: Sequence[Mapping[str, object]], forms: Sequence[FormCost]) -> Figure:
    """Draw time against cardinality and width, and the time of the three forms of a block."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    with figure_style():
        figure = Figure(figsize=(9.5, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.6, 1))
        styles = {LARGE: ("o-", BLUE), SMALL: ("s--", ORANGE)}
        for depth in DEPTHS:
            for machine, (style, colour) in styles.items():
                cycles = [float(str(row[f"cycles_{machine}"])) for row in rows if row["depth"] == depth]
                left.plot(
                    SETTINGS,
                    [value / cycles[0] for value in cycles],
                    style,
                    color=colour,
                    alpha=1.0 if depth == DEPTHS[0] else 0.5,
                    label=f"ResNeXt-{depth}, {machine}",
                )
        macs = [float(str(row["macs"])) for row in rows if row["depth"] == DEPTHS[0]]
        left.plot(SETTINGS, [value / macs[0] for value in macs], "^:", color=GREY, label=f"MACs, ResNeXt-{DEPTHS[0]}")
        left.set_ylabel(f"relative to {SETTINGS[0]}")
        left.set_xlabel("cardinality x width of a path")
        left.set_title("Time by cardinality and width")
        left.grid(visible=True, axis="y")
        left.legend(loc="upper left")
        heights = [form.network["cycles"] / 1e6 for form in forms]
        drawn = right.bar([FORMS[form.form].replace(" ", "\n", 1) for form in forms], heights, 0.6, color=BLUE)
        right.bar_label(drawn, [f"{height / heights[0]:.2f} x" for height in heights], padding=2)
        right.tick_params(axis="x", length=0)
        right.grid(visible=True, axis="y")
        right.set_ylabel("million cycles")
        right.set_ylim(0, 1.12 * max(heights))
        right.set_title(f"ResNeXt-50 32x4d on {LARGE}, by form")
    return figure


def depth_figure(entries: Sequence[Expectation]) -> Figure:
    """Draw expected cost and its spread, relative to every branch kept."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    quantities = (("training_macs", "training MACs", GREY), ("cycles", "cycles", BLUE), ("energy", "energy", ORANGE))
    with figure_style():
        figure = Figure(figsize=(8.5, 3.8), layout="constrained")
        axes = figure.subplots()
        for index, (name, label, colour) in enumerate(quantities):
            spreads = [getattr(entry, name) for entry in entries]
            axes.bar(
                [x + (index - 1) * 0.26 for x in range(len(entries))],
                [100 * spread.mean / spread.all_kept for spread in spreads],
                0.26,
                yerr=[100 * spread.standard_deviation / spread.all_kept for spread in spreads],
                capsize=3,
                error_kw={"linewidth": 0.9},
                color=colour,
                label=label,
            )
        axes.set_xticks(range(len(entries)), [f"{entry.network}\n{entry.rule}" for entry in entries])
        axes.tick_params(axis="x", length=0)
        axes.grid(visible=True, axis="y")
        axes.axhline(100, color="#666666", linewidth=0.8)
        axes.text(len(entries) - 0.55, 101, "all branches kept: inference", ha="right", va="bottom", fontsize=8)
        axes.set_ylim(0, 112)
        axes.set_ylabel("% of all branches kept")
        axes.set_title(f"Stochastic depth: expected cost of a mini-batch, ± standard deviation ({LARGE})")
        axes.legend(loc="upper left", ncols=3)
    return figure


def densenet_figure(memories: Sequence[BlockMemory]) -> Figure:
    """Draw the storage of the four plans against the depth of the block."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    layers = [memory.layers for memory in memories]
    with figure_style():
        figure = Figure(figsize=(8.5, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        for axes in (left, right):
            for plan, colour in PLAN_COLOURS.items():
                totals = [memory.totals[plan] for memory in memories]
                axes.plot(layers, totals, "o-", markersize=3.5, color=colour, label=str(plan).replace("_", " "))
            axes.plot(
                layers, [memory.paper for memory in memories], ":", color=PURPLE, label="copies by the paper's sum"
            )
            axes.grid(visible=True, axis="both")
            axes.set_xlabel("layers of the block")
        left.set_ylabel("maps of W x H x k words")
        left.set_ylim(0)
        left.set_title("A dense block in training")
        left.legend(loc="upper left")
        right.set_xscale("log", base=2)
        right.set_yscale("log")
        right.set_xticks([4, 8, 16, 32, 64], ["4", "8", "16", "32", "64"])
        right.set_title("The same, both axes logarithmic")
    return figure


def peak_figure(found: Sequence[Peak], buffer_kib: float, word_bytes: float) -> Figure:
    """Draw peak activation memory, the largest first, and the size of the accelerator's buffer."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    ordered = sorted(found, key=lambda peak: peak.peak_words)
    with figure_style():
        figure = Figure(figsize=(8.5, 4.8), layout="constrained")
        axes = figure.subplots()
        names = [peak.name for peak in ordered]
        for words, height, colour, label in (
            ([peak.all_words for peak in ordered], 0.7, GREY, "all maps, none used again"),
            ([peak.planned_words for peak in ordered], 0.7, ORANGE, "planner's memory"),
            ([peak.peak_words for peak in ordered], 0.38, BLUE, "peak: the lower bound"),
        ):
            axes.barh(names, [count * word_bytes / 1024 for count in words], height, color=colour, label=label)
        axes.axvline(buffer_kib, color=VERMILLION, linewidth=1)
        place = (buffer_kib * 1.04, 0.015)
        axes.text(*place, f"buffer of {LARGE}", color=VERMILLION, fontsize=8, transform=axes.get_xaxis_transform())
        axes.set_xscale("log")
        axes.set_xlim(left=buffer_kib / 2)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=True, axis="x")
        axes.set_xlabel(f"KiB, words of {8 * word_bytes:g} bit, one image")
        axes.set_title("Activation memory at inference")
        axes.legend(loc="lower right")
    return figure
