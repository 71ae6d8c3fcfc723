"""What a search found: the Pareto front, the volume that it dominates, and which axes matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from accelsim.explore.evaluate import Outcome
from accelsim.explore.metrics import METRICS
from accelsim.explore.samplers import signed_objectives
from accelsim.explore.space import Space
from accelsim.explore.store import Store


def table(space: Space, store: Store) -> list[dict[str, Any]]:
    """Return every finished point as a row: status, its values by axis, its metrics, reason; in the space's order.

    The order does not depend on the order in which the points were finished.
    """
    parts = [f"{metric}[{name}]" for name in space.base_networks for metric in ("cycles", "energy")]
    columns = [*METRICS, *(parts if len(space.base_networks) > 1 else [])]
    places = [{repr(value): index for index, value in enumerate(axis.items)} for axis in space.axes.values()]

    def order(row: tuple[list[Any], Outcome]) -> tuple[Any, ...]:
        # Values that the axis had in an earlier session and has no more come last.
        known = [place.get(repr(value), len(place)) for place, value in zip(places, row[0], strict=True)]
        return (*known, repr(row[0]))

    return [
        {
            **dict(zip(space.names_of_axes, values, strict=True)),
            "status": outcome.status,
            **{name: outcome.metrics.get(name) for name in columns},
            "reason": outcome.reason,
        }
        for values, outcome in sorted(store.rows(), key=order)
    ]


def objective_values(space: Space, rows: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], np.ndarray]:
    """Return the feasible rows with known objectives, and float64[rows, objectives] in which less is better."""
    kept, values = [], []
    for row in rows:
        if row["status"] != "done":
            continue
        signed = signed_objectives(space, Outcome(status="done", metrics=dict(row)))
        if signed is not None:
            kept.append(row)
            values.append(signed)
    return kept, np.array(values, dtype=np.float64).reshape(len(values), len(space.objectives))


def pareto(values: np.ndarray) -> np.ndarray:
    """Return the indices of the points that no other one dominates, by their first objective.

    Of points that are equal in all objectives, all stay.

    Args:
        values: float64[points, objectives], less is better.
    """
    order = np.lexsort(values.T[::-1])
    front: list[int] = []
    kept = np.empty((0, values.shape[1]))
    for index in order:  # a point can only be dominated by one that stands before it
        point = values[index]
        dominates = (kept <= point).all(axis=1) & (kept < point).any(axis=1)
        if not dominates.any():
            front.append(int(index))
            kept = np.vstack((kept, point))
    return np.array(front, dtype=np.int64)


def hypervolume(values: np.ndarray, reference: Sequence[float] | np.ndarray) -> float:
    """Return the volume between points and a reference that is worse than them in every objective.

    Exact, by slicing along the last objective.

    Args:
        values: float64[points, objectives], less is better; points that are not better than the reference do not count.
        reference: One value per objective.
    """
    limit = np.asarray(reference, dtype=np.float64)
    inside = values[(values < limit).all(axis=1)]
    if len(inside) == 0:
        return 0.0
    if inside.shape[1] == 1:
        return float(limit[0] - inside[:, 0].min())
    inside = inside[np.argsort(inside[:, -1], kind="stable")]
    tops = np.append(inside[1:, -1], limit[-1])
    return float(
        sum(
            (top - point[-1]) * hypervolume(inside[: count + 1, :-1], limit[:-1])
            for count, (point, top) in enumerate(zip(inside, tops, strict=True))
            if top > point[-1]
        )
    )


def front_rows(space: Space, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows on the Pareto front of the space's objectives."""
    kept, values = objective_values(space, rows)
    return [kept[index] for index in pareto(values)] if kept else []


def sensitivity(space: Space, rows: Sequence[Mapping[str, Any]], metric: str) -> dict[str, float]:
    """Return for every axis which share of a metric's variance its value alone explains, over the feasible points.

    The variance of the means over the points with the same value, each weighted by their number, over the variance
    of all. On a full grid, the shares of all axes sum to one less what only their interactions explain.
    """
    known = [row for row in rows if row["status"] == "done" and row[metric] is not None]
    values = np.array([float(row[metric]) for row in known])
    spread = float(values.var()) if len(values) else 0.0
    shares: dict[str, float] = {}
    for name in space.axes:
        groups: dict[str, list[float]] = {}
        for row, value in zip(known, values, strict=True):
            groups.setdefault(repr(row[name]), []).append(float(value))
        between = sum(len(group) * (np.mean(group) - values.mean()) ** 2 for group in groups.values())
        shares[name] = float(between / len(values) / spread) if spread else 0.0
    return shares
