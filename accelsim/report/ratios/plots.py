"""Pictures of the report on compute/bandwidth ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from accelsim.report.plots import BLACK, BLUE, GREEN, GREY, ORANGE, figure_style
from accelsim.report.ratios.study import ARRAYS, BEST, BUFFERS_KIB, MACHINES, SWEPT, TIME, Left
from accelsim.report.roofline import KIND_MARKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]


def forms_figure(rows: Sequence[Row]) -> Figure:
    """Draw MACs per byte and per cycle of every form of the layer, under its best dataflow, on each accelerator."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    with figure_style():
        figure = Figure(figsize=(11, 6.4), layout="constrained")
        grid = figure.subplots(2, len(MACHINES), sharex=True, sharey="row")
        for column, machine in enumerate(MACHINES):
            chosen = [row for row in rows if _fastest(row, machine)]
            upper, lower = grid[0][column], grid[1][column]
            _bars(
                upper,
                chosen,
                {
                    "ideal_macs_per_byte": ("every word moved once", GREY),
                    "macs_per_dram_byte": ("to and from DRAM", ORANGE),
                    "macs_per_array_byte": ("between buffer and array", GREEN),
                },
            )
            _bars(
                lower,
                chosen,
                {
                    "attainable_macs_per_cycle": ("attainable: the lowest roof", GREY),
                    "reached_macs_per_cycle": ("reached", BLUE),
                },
            )
            upper.set_title(f"3x3, 512 to 512 channels, 14x14 pixels, on {machine}")
        for axes, label in zip(grid[:, 0], ("MACs per byte", "MACs per cycle"), strict=True):
            axes.set_ylabel(f"{label}, logarithmic")
        for axes in grid[:, -1]:
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _fastest(row: Row, machine: str) -> bool:
    return (row["hardware"], row["dataflow"], row["objective"]) == (machine, BEST, TIME)


def _bars(axes: Axes, rows: Sequence[Row], series: Mapping[str, tuple[str, str]]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter  # noqa: PLC0415 - an extra

    width = 0.8 / len(series)
    for index, (key, (label, colour)) in enumerate(series.items()):
        xs = [at + (index - (len(series) - 1) / 2) * width for at in range(len(rows))]
        bars = axes.bar(xs, [row[key] for row in rows], width * 0.94, color=colour, label=label)
        axes.bar_label(bars, fmt="{:.3g}", fontsize=6.5, padding=1)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.margins(y=0.12)
    axes.set_xticks(range(len(rows)), [row["form"] for row in rows])
    axes.tick_params(axis="x", length=0, labelbottom=True)
    axes.grid(visible=True, axis="y")


def left_figure(left: Sequence[Left]) -> Figure:
    """Draw how much of the factor in MACs is left in time and in energy, per accelerator and dataflow."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    with figure_style():
        figure = Figure(figsize=(11, 4.4), layout="constrained")
        axes = figure.subplots()
        series = {"macs": ("MACs", GREY), "time": ("time", BLUE), "energy": ("energy", ORANGE)}
        for index, (key, (label, colour)) in enumerate(series.items()):
            xs = [at + (index - 1) * 0.27 for at in range(len(left))]
            bars = axes.bar(xs, [getattr(entry, key) for entry in left], 0.25, color=colour, label=label)
            axes.bar_label(bars, fmt="{:.1f}", fontsize=7.5, padding=1)
        axes.set_xticks(
            range(len(left)), [f"{entry.hardware}\n{entry.dataflow}\nleast {entry.objective}" for entry in left]
        )
        axes.tick_params(axis="x", length=0)
        axes.grid(visible=True, axis="y")
        axes.set_ylabel("standard / separable")
        axes.set_title("One layer, 3x3 or depthwise 3x3 and pointwise: how many times less")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def sweep_figure(rows: Sequence[Row]) -> Figure:
    """Draw the share of the array's MACs per cycle over array and buffer size, with a frame where DRAM bounds."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    with figure_style():
        figure = Figure(figsize=(12, 4.1), layout="constrained")
        panels = figure.subplots(1, len(SWEPT), sharey=True)
        image = None
        for axes, form in zip(panels, SWEPT, strict=True):
            cells = {(row["array"], row["buffer_kib"]): row for row in rows if row["form"] == form}
            table = [[cells[f"{n}x{n}", size] for size in BUFFERS_KIB] for n in ARRAYS]
            shares = [[100 * row["share_of_array"] for row in line] for line in table]
            image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=120, origin="lower", aspect="auto")
            for y, line in enumerate(table):
                for x, row in enumerate(line):
                    value = 100 * row["share_of_array"]
                    ink = BLACK if value > 60 else "#FFFFFF"
                    text = f"{value:.0f}%\n{row['bound']}"
                    axes.text(x, y, text, ha="center", va="center", fontsize=7, color=ink)
                    if row["bound"] == "dram":
                        frame = Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, fill=False, ec=ORANGE, lw=1.8)
                        axes.add_patch(frame)
            axes.set_xticks(range(len(BUFFERS_KIB)), [str(size) for size in BUFFERS_KIB])
            axes.set_yticks(range(len(ARRAYS)), [f"{n}x{n}" for n in ARRAYS])
            axes.tick_params(length=0)
            axes.set_xlabel("global buffer (KiB)")
            axes.set_title(form)
        panels[0].set_ylabel("array")
        assert image is not None
        figure.colorbar(image, ax=panels, label="MACs per cycle, % of the PEs", pad=0.01)
        figure.supxlabel("orange frame: bound by DRAM; above 100%: zero weights skipped", fontsize=8, x=0.01, ha="left")
    return figure


def kinds_figure(rows: Sequence[Row]) -> Figure:
    """Draw, for every network and accelerator, the shares of MACs, time and energy by kind of layer."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    shares = {"share_of_macs": "MACs", "share_of_time": "time", "share_of_energy": "energy"}
    with figure_style():
        figure = Figure(figsize=(10, 5.6), layout="constrained")
        panels = figure.subplots(len(MACHINES), 1, sharex=True)
        for axes, machine in zip(panels, MACHINES, strict=True):
            chosen = [row for row in rows if row["hardware"] == machine]
            names = list(dict.fromkeys(row["network"] for row in chosen))
            labels = [f"{name}: {share}" for name in names for share in shares.values()]
            base = [0.0] * len(labels)
            for kind in KIND_MARKS:
                values = [
                    sum(100 * row[key] for row in chosen if (row["network"], row["kind"]) == (name, kind))
                    for name in names
                    for key in shares
                ]
                if any(values):
                    axes.barh(range(len(labels)), values, left=base, color=KIND_MARKS[kind][1], label=kind, ec="white")
                base = [low + value for low, value in zip(base, values, strict=True)]
            axes.set_yticks(range(len(labels)), labels)
            axes.invert_yaxis()
            axes.set_xlim(0, 100)
            axes.grid(visible=True, axis="x")
            axes.set_title(f"on {machine}")
        panels[-1].set_xlabel("share of the network (%)")
        panels[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
