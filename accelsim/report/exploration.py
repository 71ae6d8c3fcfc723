"""What a search found, for people and other programs: tables, CSV, Parquet, and pictures, all from its store."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import InputError, MissingExtraError
from accelsim.explore.front import objective_values, pareto, sensitivity
from accelsim.explore.metrics import METRICS
from accelsim.explore.space import Space
from accelsim.explore.store import Status
from accelsim.report.files import check_folder, write_whole
from accelsim.report.plots import BLUE, GREY, ORANGE, figure_bytes, figure_style
from accelsim.report.tables import TextColumn, to_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]

MAX_LINES = 2000
"""Most points that parallel coordinates show; beyond, every n-th, and the whole front."""

LABELLED_TICKS = 12
"""Most values of an axis that are written beside it."""


def front_columns(space: Space, rows: Rows) -> list[TextColumn]:
    """Return the printed table of points: axes, objectives, and what else tells them apart."""
    shown = [*space.objectives, *(name for name in METRICS if name not in space.objectives)]
    columns = [
        TextColumn(name, [value_text(row[name]) for row in rows], keep=len(METRICS) + 1, left=True)
        for name in space.axes
    ]
    for rank, name in enumerate(shown):
        cells = ["" if row[name] is None else f"{row[name]:.5g}" for row in rows]
        if any(cells):
            columns.append(TextColumn(name, cells, keep=len(METRICS) - rank))
    return columns


def status_lines(space: Space, where: str, status: Status) -> list[str]:
    """Return how far a search is, from its store alone."""
    counts = status.counts
    finished = sum(counts.get(name, 0) for name in ("done", "infeasible", "failed"))
    lines = [
        f"{space.name} in {where}: {finished} points finished "
        f"({', '.join(f'{counts.get(name, 0)} {name}' for name in ('done', 'infeasible', 'failed'))}), "
        f"{counts.get('claimed', 0)} in work, {status.writers} processes alive",
        f"full grid: {space.size} points; sampler {space.sampler.name}"
        + (f", {space.sampler.points} points" if space.sampler.points else ""),
    ]
    if finished:
        lines.append(f"processor time: {status.seconds:.1f} s, {1e3 * status.seconds / finished:.1f} ms a point")
    return lines


def best_lines(space: Space, rows: Rows) -> list[str]:
    """Return the best feasible point of every objective."""
    kept, values = objective_values(space, rows)
    lines = []
    for column, name in enumerate(space.objectives):
        if kept:
            best = kept[int(values[:, column].argmin())]
            design = ", ".join(f"{axis} {value_text(best[axis])}" for axis in space.axes)
            lines.append(f"best {name}: {best[name]:.5g} {METRICS[name].unit} with {design}")
    return lines or ["no feasible point yet"]


def export_bytes(rows: Rows, kind: str) -> bytes:
    """Return all rows as ``csv`` or ``parquet``; values that are lists are JSON text.

    Raises:
        InputError: There are no rows.
        MissingExtraError: pyarrow is not installed.
    """
    if not rows:
        raise InputError("the store has no finished point to export")
    flat = [
        {name: json.dumps(value) if isinstance(value, list) else value for name, value in row.items()} for row in rows
    ]
    if kind == "csv":
        return to_csv(flat).encode()
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError(
            "Parquet needs pyarrow, which is not installed: pip install 'accelsim[parquet]'"
        ) from None
    metrics = {name: pa.float64() for name in METRICS}
    columns = {name: [row[name] for row in flat] for name in flat[0]}
    arrays = [pa.array(_one_type(values), type=metrics.get(name)) for name, values in columns.items()]
    fields = [
        pa.field(name, array.type, metadata={"unit": METRICS[name].unit, "help": METRICS[name].help})
        if name in METRICS
        else pa.field(name, array.type)
        for name, array in zip(columns, arrays, strict=True)
    ]
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), stream)
    return stream.getvalue()


def save_pictures(space: Space, rows: Rows, folder: str | PathLike[str]) -> list[Path]:
    """Write the front, parallel coordinates and the sensitivity as PNG and SVG into a folder.

    Returns:
        The files written.

    Raises:
        InputError: There is no feasible point, or the folder cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    target = check_folder(folder)
    kept, _ = objective_values(space, rows)
    if not kept:
        raise InputError("the store has no feasible point to draw")
    drawings: dict[str, Callable[[Space, Rows], Figure]] = {
        "parallel": draw_parallel,
        "sensitivity": draw_sensitivity,
    }
    if len(space.objectives) > 1:
        drawings = {"front": draw_front, **drawings}
    written = []
    for name, draw in drawings.items():
        with figure_style():
            figure = draw(space, rows)
        written += [write_whole(target / f"{name}.{kind}", figure_bytes(figure, kind)) for kind in ("png", "svg")]
    return written


def draw_front(space: Space, rows: Rows) -> Figure:
    """Draw the first objective over each other one: all feasible points, and the Pareto front."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    kept, values = objective_values(space, rows)
    front = [kept[index] for index in pareto(values)]
    first, *others = space.objectives
    figure = Figure(figsize=(5.6 * len(others), 4.4), layout="constrained")
    for axes, other in zip(np.atleast_1d(figure.subplots(1, len(others))), others, strict=True):
        axes.scatter(_column(kept, other), _column(kept, first), s=9, color=GREY, label=f"{len(kept)} points")
        path = sorted(front, key=lambda row: float(row[other]))
        style = "-" if len(others) == 1 else ""  # a front in more dimensions is no line in two
        axes.plot(
            _column(path, other),
            _column(path, first),
            style,
            color=BLUE,
            marker="o",
            markersize=4,
            drawstyle="steps-post",
            label=f"{len(front)} on the front",
        )
        axes.set_xlabel(_label(other))
        axes.set_ylabel(_label(first))
        axes.grid(visible=True, axis="both")
        axes.legend()
    figure.suptitle(f"{space.name}: {first} and {', '.join(others)}", x=0.01, ha="left")
    return figure


def draw_parallel(space: Space, rows: Rows) -> Figure:
    """Draw every feasible point as a line over all axes and objectives; those on the front in colour."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    kept, values = objective_values(space, rows)
    on_front = set(map(int, pareto(values)))
    step = -(-len(kept) // MAX_LINES)
    names = [*space.axes, *space.objectives]
    heights = [_heights(space, name, kept) for name in names]
    figure = Figure(figsize=(max(6.0, 1.5 * len(names)), 4.8), layout="constrained")
    axes = figure.subplots()
    for index in sorted(range(len(kept)), key=lambda index: index in on_front):
        if index in on_front or index % step == 0:
            line = [column[index] for column in heights]
            colour, width, alpha = (ORANGE, 1.2, 0.9) if index in on_front else (GREY, 0.5, 0.35)
            axes.plot(range(len(names)), line, color=colour, linewidth=width, alpha=alpha)
    for place, name in enumerate(names):
        axes.axvline(place, color="#666666", linewidth=0.8)
        _write_scale(axes, place, space, name, kept)
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.25, len(names) - 0.3)
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_title(f"{space.name}: {len(kept)} feasible points, {len(on_front)} on the front in colour")
    return figure


def draw_sensitivity(space: Space, rows: Rows) -> Figure:
    """Draw which share of every objective's variance each axis alone explains."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    names = list(space.axes)[::-1]
    count = len(space.objectives)
    figure = Figure(figsize=(1.5 + 3.6 * count, 1.6 + 0.35 * len(names)), layout="constrained")
    for axes, objective in zip(np.atleast_1d(figure.subplots(1, count, sharey=True)), space.objectives, strict=True):
        shares = sensitivity(space, rows, objective)
        axes.barh(names, [100 * shares[name] for name in names], color=BLUE)
        axes.set_xlim(0, 100)
        axes.set_xlabel(f"share of variance of {objective} (%)")
        axes.grid(visible=True, axis="x")
    figure.suptitle(f"{space.name}: what each axis explains alone", x=0.01, ha="left")
    return figure


def value_text(value: Any) -> str:
    """Return a value of an axis as people write it."""
    if isinstance(value, list):
        return f"[{','.join(value_text(item) for item in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _one_type(values: list[Any]) -> list[Any]:
    """Return the values as they are, or as text where a column mixes kinds that Parquet does not."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or len(kinds) <= 1:
        return values
    return [None if value is None else str(value) for value in values]


def _label(metric: str) -> str:
    unit = METRICS[metric].unit
    told = not unit or metric.endswith(unit) or unit.startswith("energy unit")  # which only the accelerator knows
    return metric if told else f"{metric} ({unit})"


def _column(rows: Rows, name: str) -> list[float]:
    return [float(row[name]) for row in rows]


def _heights(space: Space, name: str, rows: Rows) -> list[float]:
    """Return where on the vertical scale every row is: by index on an axis, by value of an objective."""
    if name in space.axes:
        places = {repr(value): index for index, value in enumerate(space.axes[name].items)}
        span = max(1, len(places) - 1)
        return [places.get(repr(row[name]), 0) / span for row in rows]
    values = _column(rows, name)
    low, high = min(values), max(values)
    return [(value - low) / (high - low or 1.0) for value in values]


def _write_scale(axes: Axes, place: int, space: Space, name: str, rows: Rows) -> None:
    """Write values beside a vertical scale."""
    if name in space.axes:
        items = space.axes[name].items
        step = -(-len(items) // LABELLED_TICKS)
        marks = [(index / max(1, len(items) - 1), value_text(items[index])) for index in range(0, len(items), step)]
    else:
        values = _column(rows, name)
        marks = [(0.0, f"{min(values):.4g}"), (1.0, f"{max(values):.4g}")]
    for height, text in marks:
        axes.annotate(text, (place, height), xytext=(3, 0), textcoords="offset points", fontsize=7, va="center")
