"""Puts names beside the points of a picture so that they cover neither each other nor the points."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin, sqrt
from typing import TYPE_CHECKING, Any

from accelsim.report.plots import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

RINGS = (0.0, 5.0, 10.0, 16.0, 22.0, 28.0, 36.0, 44.0, 54.0, 66.0, 80.0)
"""Distances, in points, at which a place for a name is looked for, beyond the nearest one."""

_STEPS = (0, 22, 2, 12, 10, 14, 1, 23, 4, 20, 6, 18, 3, 21, 5, 19, 11, 13, 8, 16)

DIRECTIONS = tuple(step * pi / 12 for step in _STEPS)
"""Directions in which it is looked for, the best first: right, left, above, below."""

GAP = 5.0
"""Points between a point and a name beside it."""

FAR = 10.0
"""Distance, in points, from which a thin line joins the name to its point."""


def place_names(
    axes: Axes,
    points: Sequence[tuple[float, float, str]],
    size: float = 7.5,
    avoid: Sequence[tuple[float, float]] = (),
    areas: Sequence[float] = (),
) -> None:
    """Write a name beside every point, at the nearest place that is free; the limits of the axes must be final.

    Args:
        axes: Where the points are drawn.
        points: (x, y, name) in data coordinates; the first ones get the better places.
        size: Size of the text in points.
        avoid: Other points, without a name, that no name should cover.
        areas: Area of the mark at every point, in square points, as scatter takes it; names start outside of it.
    """
    axes.figure.canvas.draw()  # the layout must be known, else pixels are not
    per_point = axes.figure.dpi / 72
    dots = [_pair(axes.transData.transform((x, y))) for x, y, _ in points]
    others = [_pair(axes.transData.transform(point)) for point in avoid]
    half = 3 * per_point
    taken = [_box(dot[0] - half, dot[1] - half, 2 * half, 2 * half) for dot in (*dots, *others)]
    radii = [sqrt(area / pi) for area in areas] or [0.0] * len(points)
    for (x, y, name), dot, radius in zip(points, dots, radii, strict=True):
        text = axes.annotate(name, (x, y), (0, 0), textcoords="offset points", fontsize=size, va="bottom", zorder=4)
        extent = text.get_window_extent()
        distance, offset, box = _free_place(axes, dot, (extent.width, extent.height), taken, per_point, radius)
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
