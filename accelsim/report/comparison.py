"""A published number beside ours, and the verdict on many of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from accelsim.report.tables import to_csv


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One published number and the one that accelsim computes.

    Attributes:
        series: What was measured or which variant it belongs to, such as ``v3``.
        row: Its row: a network, a layer, a block.
        published: As published.
        ours: As computed, in the same unit.
        accuracy: How far the published number may be from what its authors had: half of the last digit
            printed, or the accuracy to which a figure could be measured. In the same unit.
    """

    series: str
    row: str
    published: float
    ours: float
    accuracy: float

    @property
    def difference(self) -> float:
        """Ours relative to the published number: 0.05 is 5 % more."""
        return self.ours / self.published - 1.0

    def within(self, band: float) -> bool:
        """Whether the difference is at most ``band``, of either sign."""
        return abs(self.difference) <= band

    def within_reading(self, band: float) -> bool:
        """Whether some number that would have been published as this one is within ``band``."""
        return abs(self.ours - self.published) - self.accuracy <= band * self.published


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a set of comparisons stands to its goal.

    Attributes:
        goal: What was to be reached, as a sentence's beginning: ``Table 3, relative time``.
        each: Largest difference that a single number may have.
        mean: Largest mean difference (of absolute values); None: any.
        comparisons: What is judged.
    """

    goal: str
    each: float
    mean: float | None
    comparisons: tuple[Comparison, ...]

    @property
    def largest(self) -> Comparison:
        """The comparison with the largest difference of either sign."""
        return max(self.comparisons, key=lambda comparison: abs(comparison.difference))

    @property
    def mean_difference(self) -> float:
        """Mean of the differences' absolute values."""
        return mean_difference(self.comparisons)

    @property
    def missed(self) -> tuple[Comparison, ...]:
        """The comparisons beyond ``each``."""
        return tuple(comparison for comparison in self.comparisons if not comparison.within(self.each))

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return not self.missed and (self.mean is None or self.mean_difference <= self.mean)


def mean_difference(comparisons: Sequence[Comparison]) -> float:
    """Return the mean of the differences' absolute values."""
    return sum(abs(comparison.difference) for comparison in comparisons) / len(comparisons)


def half_last_digit(text: str) -> float:
    """Return half of what the last printed digit is worth: 0.005 for ``8.26``, 5e7 for ``1.5E10``."""
    exponent = Decimal(text).as_tuple().exponent
    assert isinstance(exponent, int)  # else the text is not a number
    return float(Decimal(5).scaleb(exponent - 1))


def comparisons_csv(comparisons: Iterable[Comparison], unit: str) -> str:
    """Return comparisons as CSV, the unit in the names of the columns that have it."""
    rows = [
        {
            "series": comparison.series,
            "row": comparison.row,
            f"published_{unit}": comparison.published,
            f"accuracy_{unit}": comparison.accuracy,
            f"ours_{unit}": f"{comparison.ours:.6g}",
            "difference_percent": f"{100 * comparison.difference:.2f}",
        }
        for comparison in comparisons
    ]
    return to_csv(rows)
