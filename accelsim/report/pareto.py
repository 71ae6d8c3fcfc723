"""Which networks no other one beats: accuracy against what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COSTS = {"time": "time_ms", "energy": "energy"}
"""What accuracy is bought with -> its column in the table that compares networks."""


def pareto_marks(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return for every row in which costs no other row beats it.

    A row is marked with ``time`` if no network on the same accelerator is at least as accurate and as fast, and
    better in one of both; likewise with ``energy``. Rows without a published accuracy have no mark and beat nobody.

    Args:
        rows: Records with ``hardware``, ``top1_percent``, ``time_ms`` and ``energy``.

    Returns:
        ``"time energy"``, ``"time"``, ``"energy"`` or an empty text, one per row.
    """
    return [" ".join(cost for cost in COSTS if on_front(row, rows, cost)) for row in rows]


def on_front(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], cost: str) -> bool:
    """Return whether no row on the same accelerator is at least as accurate and as cheap, and better in one of both."""
    key = COSTS[cost]
    if row["top1_percent"] is None:
        return False
    for other in rows:
        if other["hardware"] != row["hardware"] or other["top1_percent"] is None:
            continue
        gains = other["top1_percent"] - row["top1_percent"], row[key] - other[key]
        if min(gains) >= 0 and max(gains) > 0:
            return False
    return True
