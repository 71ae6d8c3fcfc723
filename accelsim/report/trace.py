"""What happened when: events of one executed layer, as Parquet, as a trace that viewers open, and as a plot.

An event is one tile that is loaded, stored or computed, or the time in which the array stood still. Chrome's trace
format (catapult, "Trace Event Format") takes microseconds; one microsecond stands for one cycle.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.engine.pipeline import Timing
from accelsim.engine.reference import Executed
from accelsim.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("load", "store", "compute", "stall")
COLORS = {"load": "#4477aa", "store": "#aa3377", "compute": "#228833", "stall": "#cccccc"}
ARRAY = "array"
NO_GAP = 1e-6
"""Cycles below which two computations follow each other at once."""


@dataclass(frozen=True, kw_only=True)
class Events:
    """Events of one layer, in order of their start.

    Attributes:
        kind: Index into ``KINDS``.
        lane: Index into ``lanes``: who was busy.
        number: Number of the tile, or of the run of iterations.
        start: Cycle.
        end: Cycle.
        lanes: Names.
    """

    kind: np.ndarray
    lane: np.ndarray
    number: np.ndarray
    start: np.ndarray
    end: np.ndarray
    lanes: tuple[str, ...]


def _events(rows: list[tuple[int, int, int, float, float]], lanes: tuple[str, ...]) -> Events:
    """Return rows of (kind, lane, number, start, end) as events, with the array's gaps as stalls."""
    array = lanes.index(ARRAY)
    busy = sorted(
        (start, end) for kind, lane, _, start, end in rows if lane == array and kind == KINDS.index("compute")
    )
    last, gaps = 0.0, 0
    for start, end in busy:
        if start > last + NO_GAP:
            rows.append((KINDS.index("stall"), array, gaps, last, start))
            gaps += 1
        last = max(last, end)
    columns: list[Any] = list(zip(*sorted(rows, key=lambda row: (row[3], row[1])), strict=True))
    return Events(
        kind=np.array(columns[0], np.int8),
        lane=np.array(columns[1], np.int32),
        number=np.array(columns[2], np.int64),
        start=np.array(columns[3], np.float64),
        end=np.array(columns[4], np.float64),
        lanes=lanes,
    )


def _reversed(way: str) -> str:
    """Return the name of the road that sums take up: ``O GLB -> RF`` becomes ``O RF -> GLB``."""
    operand, _, road = way.partition(" ")
    outer, _, inner = road.partition(" -> ")
    return f"{operand} {inner} -> {outer}"


def nest_events(timing: Timing) -> Events:
    """Return the events of a mapping executed with ``trace=True``.

    Raises:
        InputError: It was executed without.
    """
    trace = timing.trace
    if trace is None:
        raise InputError("the mapping was executed without trace=True, so that there are no events")
    lanes = (ARRAY, *(name for way in trace.names for name in (way, _reversed(way))))
    rows = []
    for kind, way, visit, start, end in zip(trace.kind, trace.way, trace.visit, trace.start, trace.end, strict=True):
        lane = 0 if kind == KINDS.index("compute") else 1 + 2 * int(way) + (kind == KINDS.index("store"))
        rows.append((int(kind), int(lane), int(way if lane == 0 else visit), float(start), float(end)))
    used = sorted({lane for _, lane, _, _, _ in rows} | {0})
    place = {lane: position for position, lane in enumerate(used)}
    return _events(
        [(kind, place[lane], number, start, end) for kind, lane, number, start, end in rows],
        tuple(lanes[lane] for lane in used),
    )


def program_events(executed: Executed) -> Events:
    """Return the events of an executed reference accelerator: its halves swap in lockstep."""
    load, computing, store = executed.tiles.T
    kinds = {name: KINDS.index(name) for name in KINDS}
    rows = [(kinds["load"], 1, 0, 0.0, float(load[0]))]
    now = float(load[0])
    for number, busy in enumerate(computing):
        rows.append((kinds["compute"], 0, number, now, now + float(busy)))
        dma = now
        if number + 1 < len(load) and load[number + 1]:
            rows.append((kinds["load"], 1, number + 1, dma, dma + float(load[number + 1])))
            dma += float(load[number + 1])
        if number and store[number - 1]:
            rows.append((kinds["store"], 1, number - 1, dma, dma + float(store[number - 1])))
            dma += float(store[number - 1])
        now = max(now + float(busy), dma)
    if store[-1]:
        rows.append((kinds["store"], 1, len(store) - 1, now, now + float(store[-1])))
    return _events(rows, (ARRAY, "DMA"))


def save_chrome(events: Events, path: str | os.PathLike[str]) -> Path:
    """Write the events as a trace that chrome://tracing and ui.perfetto.dev open."""
    entries: list[dict[str, object]] = [
        {"ph": "M", "pid": 0, "tid": lane, "name": "thread_name", "args": {"name": name}}
        for lane, name in enumerate(events.lanes)
    ]
    entries += [
        {
            "ph": "X",
            "pid": 0,
            "tid": int(lane),
            "name": f"{KINDS[kind]} {number}",
            "cat": KINDS[kind],
            "ts": float(start),
            "dur": float(end - start),
        }
        for kind, lane, number, start, end in zip(
            events.kind, events.lane, events.number, events.start, events.end, strict=True
        )
    ]
    target = Path(path)
    target.write_text(json.dumps({"traceEvents": entries, "otherData": {"unit": "1 us = 1 cycle"}}), encoding="utf-8")
    return target


def save_parquet(events: Events, path: str | os.PathLike[str]) -> Path:
    """Write the events as a Parquet table: kind, lane, number, start_cycle, end_cycle.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError('Parquet needs pyarrow: pip install "accelsim[parquet]"') from None
    table = pa.table(
        {
            "kind": pa.array([KINDS[kind] for kind in events.kind]),
            "lane": pa.array([events.lanes[lane] for lane in events.lane]),
            "number": events.number,
            "start_cycle": events.start,
            "end_cycle": events.end,
        }
    )
    target = Path(path)
    parquet.write_table(table, target)
    return target


def plot_timeline(
    events: Events, axes: Axes, *, title: str = "", first: float = 0.0, last: float | None = None
) -> None:
    """Draw who was busy when.

    Args:
        events: The events.
        axes: Where to draw.
        title: Title of the plot.
        first: First cycle shown.
        last: Last cycle shown; None for all.
    """
    from matplotlib.patches import Patch  # noqa: PLC0415 - an extra

    until = float(events.end.max()) if last is None else last
    shown = (events.end > first) & (events.start < until)
    lanes = len(events.lanes)
    for kind, name in enumerate(KINDS):
        for lane in range(lanes):
            mine = shown & (events.kind == kind) & (events.lane == lane)
            bars = np.column_stack([events.start[mine], (events.end - events.start)[mine]])
            gap = (until - first) / 700 if mine.sum() < 200 else 0.0  # a gap that tells neighbours apart
            bars[:, 1] = np.maximum(bars[:, 1] - gap, bars[:, 1] / 2)
            axes.broken_barh([tuple(bar) for bar in bars], (lanes - 1 - lane - 0.4, 0.8), facecolors=COLORS[name])
    axes.set_yticks(range(lanes), list(reversed(events.lanes)))
    axes.set_xlim(first, until)
    axes.set_ylim(-0.6, lanes - 0.4)
    axes.set_xlabel("cycles")
    axes.set_title(title, loc="left")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    found = [name for kind, name in enumerate(KINDS) if (shown & (events.kind == kind)).any()]
    handles = [Patch(color=COLORS[name], label=name) for name in found]
    axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(handles), frameon=False)


def save_timeline(events: Events, path: str | os.PathLike[str], *, title: str = "", last: float | None = None) -> Path:
    """Write the timeline as a picture; the suffix says which kind.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError:
        raise MissingExtraError('Plots need matplotlib: pip install "accelsim[plot]"') from None
    figure = Figure(figsize=(11, 1.2 + 0.42 * len(events.lanes)), layout="constrained")
    plot_timeline(events, figure.subplots(), title=title, last=last)
    target = Path(path)
    figure.savefig(target, dpi=150)
    return target
