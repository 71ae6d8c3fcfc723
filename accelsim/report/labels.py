"""Puts names beside the points of a picture so that they cover neither each other nor the points."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin, sqrt
from typing import TYPE_CHECKING, Any

from accelsim.report.plots import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

RINGS = (0.0, 5.0, 10.0, 16.0, 22.0, 28.0, 36.0, 44.0, 54.0, 66.0, 80.0)
"""Distances, in points, at which a place for a name is looked for, beyond the nearest one."""

_STEPS = (0, 22, 2, 12, 10, 14, 1, 23, 4, 20, 6, 18, 3, 21, 5, 19, 11, 13, 8, 16)

DIRECTIONS = tuple(step * pi / 12 for step in _STEPS)
"""Directions in which it is looked for, the best first: right, left, above, below."""

GAP = 5.0
"""Points between a point and a name beside it."""

LARGE = 12.0
"""Radius, in points, from which a pale mark has room for a name."""

FAR = 10.0
"""Distance, in points, from which a thin line joins the name to its point."""


def place_names(
    axes: Axes,
    points: Sequence[tuple[float, float, str]],
    size: float = 7.5,
    avoid: Sequence[tuple[float, float]] = (),
    areas: Sequence[float] = (),
    *,
    pale: bool = False,
) -> None:
    """Write a name beside every point, at the nearest place that is free; the limits of the axes must be final.

    Free is what no other name, no text that is there already, and no other point's mark covers. Names have a white
    rim, so that they can be read across lines.

    Args:
        axes: Where the points are drawn.
        points: (x, y, name) in data coordinates; the first ones get the better places.
        size: Size of the text in points.
        avoid: Other points, without a name, that no name should cover.
        areas: Area of the mark at every point, in square points, as scatter takes it; names start outside of it.
        pale: Whether marks are so pale that a point's name may lie on its own, where that is large.
    """
    from matplotlib.patheffects import AbstractPathEffect, withStroke  # noqa: PLC0415 - an extra

    axes.figure.canvas.draw()  # the layout must be known, else pixels are not
    per_point = axes.figure.dpi / 72
    dots = [_pair(axes.transData.transform((x, y))) for x, y, _ in points]
    others = [_pair(axes.transData.transform(point)) for point in avoid]
    half = 3 * per_point
    taken = [_box(dot[0] - half, dot[1] - half, 2 * half, 2 * half) for dot in (*dots, *others)]
    taken += [box for text in axes.texts for box in _boxes_of(text)]
    radii = [sqrt(area / 2) for area in areas] or [0.0] * len(points)  # half the diagonal of a square or diamond
    marks = [_square(dot, 0.7 * radius * per_point) for dot, radius in zip(dots, radii, strict=True)]
    rim: list[AbstractPathEffect] = [withStroke(linewidth=2.0, foreground="white", alpha=0.8)]
    for index, ((x, y, name), dot, radius) in enumerate(zip(points, dots, radii, strict=True)):
        text = axes.annotate(name, (x, y), (0, 0), textcoords="offset points", fontsize=size, va="bottom", zorder=4)
        text.set_path_effects(rim)
        extent = text.get_window_extent()
        start = 0.0 if pale and radius > LARGE else radius
        there = [*taken, *(mark for other, mark in enumerate(marks) if other != index)]
        distance, offset, box = _free_place(axes, dot, (extent.width, extent.height), there, per_point, start)
        text.set_position((offset[0] / per_point, offset[1] / per_point))
        taken.append(box)
        if distance >= FAR:
            ends = [_pair(axes.transData.inverted().transform(end)) for end in (dot, _nearest(box, dot))]
            axes.plot([end[0] for end in ends], [end[1] for end in ends], color=GREY, lw=0.6, zorder=2)


def _free_place(
    axes: Axes,
    dot: tuple[float, float],
    size: tuple[float, float],
    taken: Sequence[Bbox],
    per_point: float,
    radius: float,
) -> tuple[float, tuple[float, float], Bbox]:
    """Return distance, offset in pixels and box of the first place that covers nothing; else of the least bad one."""
    best: tuple[float, float, tuple[float, float], Bbox] | None = None
    width, height = size
    for ring in RINGS:
        for angle in DIRECTIONS:
            reach = (max(GAP, radius + 2) + ring) * per_point
            across, up = cos(angle), sin(angle)
            left = reach * across - (0 if across > 0.1 else width if across < -0.1 else width / 2)
            low = reach * up - height / 2 * (1 - up)
            box = _box(dot[0] + left, dot[1] + low, width, height)
            bad = sum(_overlap(box, other) for other in taken) + _outside(axes, box)
            if best is None or bad < best[0] - 1e-6:
                best = bad, ring, (left, low), box
            if best[0] == 0:
                return best[1:]
    assert best is not None
    return best[1:]


def _boxes_of(text: Text) -> list[Bbox]:
    """Return what a text covers: one box, or of a rotated one several along its diagonal."""
    extent = text.get_window_extent()
    if not text.get_rotation():
        return [extent]
    pieces = 8
    width, height = extent.width / pieces, extent.height / pieces
    return [_box(extent.x0 + piece * width, extent.y0 + piece * height, width, height) for piece in range(pieces)]


def _square(middle: tuple[float, float], half: float) -> Bbox:
    return _box(middle[0] - half, middle[1] - half, 2 * half, 2 * half)


def _box(left: float, low: float, width: float, height: float) -> Bbox:
    from matplotlib.transforms import Bbox  # noqa: PLC0415 - an extra

    return Bbox.from_bounds(left, low, width, height)


def _overlap(first: Bbox, second: Bbox) -> float:
    """Return the area that two boxes share."""
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    return float(max(width, 0.0) * max(height, 0.0))


def _outside(axes: Axes, box: Bbox) -> float:
    """Return the area of a box that is outside the axes."""
    return _overlap(box, box) - _overlap(box, axes.bbox)


def _pair(values: Any) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _nearest(box: Bbox, dot: tuple[float, float]) -> tuple[float, float]:
    """Return the point of a box that is nearest to a dot."""
    return min(max(dot[0], box.x0), box.x1), min(max(dot[1], box.y0), box.y1)
