"""What the optimal mapper costs by the size of the problem: memory levels, dims, buffer words; written to reports/.

    python -m benchmarks.mapper_scale [--out reports/mapper] [--only levels|dims|buffer]

Every search is run warm in this process, one at a time: once to compile and to fill the tables of its machine, and, if
that took less than two seconds of CPU time, three times more, of which the median counts. ``complete`` says whether the
search has proven its answer or has ended at its limit of bounds; then its time is that of reaching the limit.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelsim.errors import NoMappingError
from accelsim.mapping.hierarchy import ANY, Axis, Buffering, Machine, SpatialFanout, Store
from accelsim.mapping.search import MOST_BOUNDS, search
from accelsim.report.files import check_folder, write_whole
from accelsim.report.plots import BLUE, ORANGE, figure_bytes, figure_style
from accelsim.report.text import markdown_table
from accelsim.workload.layer import Layer

OBJECTIVE = "edp"
SLOW_SECONDS = 2.0
REPEATS = 3

LAYER = Layer.conv("3x3 64->64 28x28", 64, 64, 28, 3, padding=1)
"""The layer of the sweeps over levels and over the buffer: six dims larger than one (K, C, P, Q, R, S)."""

LAYERS = {
    1: Layer.conv("1x1 1->256 1x1", 1, 256, 1),
    2: Layer.conv("1x1 256->256 1x1", 256, 256, 1),
    3: Layer.conv("1x1 256->256 1x1, batch 16", 256, 256, 1, batch=16),
    4: Layer.conv("1x1 64->64 28x28", 64, 64, 28, 1),
    5: Layer.conv("3x1 64->64 28x28", 64, 64, 28, (3, 1), padding=(1, 1, 0, 0)),
    6: LAYER,
    7: Layer.conv("3x3 64->64 28x28, batch 4", 64, 64, 28, 3, padding=1, batch=4),
}
"""By how many dims are larger than one."""

BUFFERS = (2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288)
"""Words of the buffer next to the array."""

LEVELS = (2, 3, 4, 5)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One search: the sweep and its value, the layer, the machine, the space."""

    sweep: str
    value: int
    layer: Layer
    machine: Machine
    space: str


def machine(levels: int, buffer_words: int = 65536) -> Machine:
    """Return ref16 with other memories: a DRAM, buffers of a quarter of each other's size, registers in the PEs.

    Two levels are DRAM and registers; three are ref16; four and five have larger buffers between DRAM and the buffer,
    each four times as large as the one inside it and a little dearer.
    """
    outer = Store(name="DRAM", words_per_cycle=4, read_energy=200, write_energy=200)
    buffers = [
        Store(
            name=f"BUF{number}",
            words=buffer_words * 4**number,
            read_words_per_cycle=16,
            write_words_per_cycle=16,
            read_energy=6 * 2**number,
            write_energy=6 * 2**number,
            buffering=Buffering.ROLLING,
        )
        for number in reversed(range(levels - 2))
    ]
    registers = Store(name="RF", words=96, read_energy=1, write_energy=1, buffering=Buffering.ROLLING)
    stores = (outer, *buffers, registers)
    axes = (Axis(name="rows", size=16), Axis(name="cols", size=16))
    return Machine(
        name=f"{levels} memories",
        stores=stores,
        fanouts=(SpatialFanout(name="array", below=stores[-2].name, axes=axes),),
        mac_energy=1,
        stores_padding=True,
    )


def cases(only: str | None) -> Iterator[Case]:
    """Yield what is searched."""
    for space in ("uniform", "uneven"):
        sweeps: dict[str, list[tuple[int, Layer, Machine]]] = {
            "levels": [(levels, LAYER, machine(levels)) for levels in LEVELS],
            "dims": [(count, layer, machine(3)) for count, layer in LAYERS.items()],
            "buffer": [(words, LAYER, machine(3, words)) for words in BUFFERS],
        }
        for sweep, values in sweeps.items():
            for value, layer, own in values if only in (None, sweep) else ():
                yield Case(sweep=sweep, value=value, layer=layer, machine=own, space=space)


def measure(case: Case) -> dict[str, Any]:
    """Return the row of one search."""
    row: dict[str, Any] = {
        "sweep": case.sweep,
        "value": case.value,
        "space": case.space,
        "layer": case.layer.name,
        "memories": len(case.machine.stores),
        "buffer_words": case.machine.stores[-2].words or "",
    }
    times: list[float] = []
    while len(times) <= REPEATS and (not times or times[0] < SLOW_SECONDS):
        start = time.process_time()
        try:
            found = search(case.layer, case.machine, ANY, OBJECTIVE, uneven=case.space == "uneven")
        except NoMappingError:
            return row | {"complete": "no mapping fits"}
        times.append(time.process_time() - start)
    return row | {
        "cpu_seconds": round(statistics.median(times[1:] or times), 5),
        "mappings": f"{float(found.space):.3g}",
        "evaluated": found.evaluated,
        "bounds": found.bounded,
        "complete": found.complete,
        "cycles": math.ceil(found.cycles),
        "energy": round(found.energy),
    }


def main() -> None:
    """Measure, and write table, picture and text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="reports/mapper")
    parser.add_argument("--only", choices=["levels", "dims", "buffer"])
    options = parser.parse_args()
    folder = check_folder(Path(options.out))
    search(Layer.conv("warm", 4, 4, 4, 3), machine(3), ANY, OBJECTIVE)
    rows = []
    for case in cases(options.only):
        rows.append(measure(case))
        print(" ".join(str(value) for value in rows[-1].values()), flush=True)
    figure = draw(rows)
    files = {
        "scale.csv": to_csv(rows),
        "scale.png": figure_bytes(figure, "png"),
        "scale.svg": figure_bytes(figure, "svg"),
        "README.md": readme(rows).encode(),
    }
    for name, data in files.items():
        print(f"wrote {write_whole(folder / name, data)}")


FIELDS = (
    "sweep",
    "value",
    "space",
    "layer",
    "memories",
    "buffer_words",
    "cpu_seconds",
    "bounds",
    "evaluated",
    "mappings",
    "complete",
    "cycles",
    "energy",
)
"""Columns of the table."""


def to_csv(rows: list[dict[str, Any]]) -> bytes:
    """Return the table as a CSV file."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def draw(rows: list[dict[str, Any]]) -> Any:
    """Return the picture: CPU time over levels, dims and buffer words; hollow marks ended at the limit."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    labels = {
        "levels": "memories (3x3 64->64 28x28)",
        "dims": "dims larger than one (3 memories)",
        "buffer": "buffer, words (3x3 64->64 28x28)",
    }
    with figure_style():
        figure = Figure(figsize=(11, 3.8), layout="constrained")
        panels = figure.subplots(1, 3, sharey=True)
        for axes, (sweep, label) in zip(panels, labels.items(), strict=True):
            for space, color in (("uniform", BLUE), ("uneven", ORANGE)):
                own = [row for row in rows if (row["sweep"], row["space"]) == (sweep, space) and "cpu_seconds" in row]
                if not own:
                    continue
                x, y = [row["value"] for row in own], [1e3 * row["cpu_seconds"] for row in own]
                axes.plot(x, y, color=color, linewidth=1.2, label=space)
                for complete in (True, False):
                    chosen = [(a, b) for a, b, row in zip(x, y, own, strict=True) if row["complete"] is complete]
                    face = color if complete else "white"
                    axes.scatter(*(zip(*chosen, strict=True) if chosen else ((), ())), s=26, zorder=3, color=face,
                                 edgecolors=color)  # fmt: skip
            axes.set_yscale("log")
            if sweep == "buffer":
                axes.set_xscale("log", base=2)
            else:
                axes.set_xticks(sorted({row["value"] for row in rows if row["sweep"] == sweep}) or [0])
            axes.set_xlabel(label)
            axes.grid(visible=True, axis="y")
        panels[0].set_ylabel("CPU time of a search, ms")
        panels[0].legend(loc="upper left")
        figure.suptitle("Optimal mapper, edp, 16x16 PEs; hollow: ended at the limit of bounds, not proven", fontsize=10)
    return figure


def readme(rows: list[dict[str, Any]]) -> str:
    """Return the text beside the picture, from the rows."""
    text = ["# What the mapper costs", ""]
    text += [
        "CPU time of `accelsim.mapping.search.search` (objective edp, dataflow any), warm, in one process; written by",
        "`python -m benchmarks.mapper_scale`. A search ends at its limit of "
        f"{MOST_BOUNDS:,} bounds; then its mapping is the best",
        "found, not proven (`complete` False), and its time is that of reaching the limit.",
        "",
        "The machine is `ref16` with one shared register file of 96 words per PE; two memories are DRAM and registers,",
        "four and five have buffers of four and sixteen times the size between DRAM and the buffer. Padding is stored.",
        "",
        "![CPU time by memories, dims and buffer size](scale.png)",
        "",
    ]
    titles = {"levels": "Memories", "dims": "Dims larger than one", "buffer": "Words of the buffer"}
    for sweep, title in titles.items():
        own = [row for row in rows if row["sweep"] == sweep]
        if not own:
            continue
        table = []
        for row in own:
            seconds = row.get("cpu_seconds")
            table.append(
                (
                    row["value"],
                    row["layer"],
                    row["space"],
                    "" if seconds is None else f"{1e3 * seconds:,.1f}",
                    f"{row['bounds']:,}" if "bounds" in row else "",
                    f"{row['evaluated']:,}" if "evaluated" in row else "",
                    row.get("mappings", ""),
                    {True: "yes", False: "no"}.get(row["complete"], row["complete"]),
                )
            )
        header = (title, "layer", "space", "CPU time, ms", "bounds", "evaluated", "mappings", "complete")
        text += [f"## {title}", "", markdown_table(header, table)]
    return "\n".join(text)


if __name__ == "__main__":
    main()
