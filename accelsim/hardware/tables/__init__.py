"""Cited figures of energy and area as data, and the fits through them; ``docs/energy.md`` shows both."""

from __future__ import annotations

import csv
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from accelsim.errors import HardwareError


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """One number that a result rests on.

    Attributes:
        name: What it is of.
        value: The number.
        unit: Its unit.
        source: Where it is printed, or the assumption or the fit that it comes from.
    """

    name: str
    value: float
    unit: str
    source: str


@cache
def read_table(name: str) -> tuple[dict[str, str], ...]:
    """Return the rows of one of the CSV files of this folder, as text by column."""
    text = (files(__name__) / name).read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


@cache
def points(table: str, component: str, x: str, y: str) -> tuple[tuple[float, float], ...]:
    """Return the ``(x, y)`` of every row of a component, ascending in ``x``."""
    rows = [row for row in read_table(table) if row["component"] == component]
    return tuple(sorted((float(row[x]), float(row[y])) for row in rows))


def interpolate(known: Sequence[tuple[float, float]], x: float) -> float:
    """Return y at ``x`` on straight lines through known points, from the origin to past the last one."""
    chain = [(0.0, 0.0), *known]
    after = min(max(bisect_left([point[0] for point in chain], x), 1), len(chain) - 1)
    (x0, y0), (x1, y1) = chain[after - 1], chain[after]
    return y1 + (x - x1) * (y1 - y0) / (x1 - x0)


def power_law(known: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return ``(factor, exponent)`` of ``y = factor * x ** exponent``, least squares in the logarithms."""
    logs = [(math.log(x), math.log(y)) for x, y in known]
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    exponent = sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)
    return math.exp(mean_y - exponent * mean_x), exponent


def checked(name: str, value: float, unit: str) -> float:
    """Return a size that is a positive, finite number.

    Raises:
        HardwareError: It is not.
    """
    if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
        raise HardwareError(f"{name} must be a positive number of {unit}, got {value!r}")
    return value


def checked_word(capacity_kb: float, width_bits: float) -> None:
    """Check a memory's size and the width of an access to it.

    Raises:
        HardwareError: One of them is not positive, or the memory cannot hold one word of that width.
    """
    checked("capacity_kb", capacity_kb, "KiB")
    checked("width_bits", width_bits, "bits")
    if width_bits > capacity_kb * BITS_PER_KB * (1 + 1e-9):
        raise HardwareError(
            f"a memory of {capacity_kb:g} KiB holds {capacity_kb * BITS_PER_KB:g} bits, "
            f"less than one access of {width_bits:g} bits"
        )


BITS_PER_KB = 1024 * 8
"""Bits in one KiB; ``kb`` in names is KiB, as in hardware files."""
