"""Numbers and tables as text for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from accelsim.units import percent

_WORDS = ((1e9, "billion "), (1e6, "million "), (1e3, "thousand "), (1.0, ""))
_PICOJOULES = ((1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ"))


@dataclass(frozen=True)
class Scale:
    """A unit of a size that suits the values.

    Attributes:
        divisor: How many basic units it is.
        unit: Its name, such as ``thousand cycles``.
    """

    divisor: float
    unit: str

    def text(self, value: float) -> str:
        """Return a value, given in basic units, with three or four digits and the unit."""
        scaled = value / self.divisor
        digits = 0 if scaled >= 1000 or self.divisor == 1 else 1 if scaled >= 100 else 2 if scaled >= 10 else 3
        return f"{scaled:,.{digits}f} {self.unit}"


def count_scale(largest: float, noun: str) -> Scale:
    """Return the scale (one, thousand, million, billion) in which the largest of the values has up to three digits."""
    divisor, word = next((entry for entry in _WORDS if largest >= entry[0]), _WORDS[-1])
    return Scale(divisor, word + noun)


def energy_scale(largest: float, unit: str) -> Scale:
    """Return the scale of energies given in ``unit`` (``MAC`` or ``pJ``) that suits the largest of them."""
    if unit != "pJ":
        return count_scale(largest, f"{unit} energies")
    return Scale(*next((entry for entry in _PICOJOULES if largest >= entry[0]), _PICOJOULES[-1]))


def whole_percent(share: float) -> str:
    """Return a share as a percentage without decimals: ``12%``."""
    return f"{100 * share:.0f}%"


def percent_of(part: float, whole: float) -> str:
    """Return a part's share of a whole as a percentage, ``-`` where the whole is nothing."""
    return percent(part / whole) if whole else "-"


def signed_percent(difference: float) -> str:
    """Return a relative difference as a percentage with its sign: ``+4.2%``."""
    return f"{100 * difference:+.1f}%"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; columns of numbers, but for the first, are aligned to the right."""
    body = [[str(cell) for cell in row] for row in rows]
    rules = ["---:" if column and _numeric([row[column] for row in body]) else "---" for column in range(len(header))]
    lines = [list(header), rules, *body]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in lines) + "\n"


def _numeric(cells: Sequence[str]) -> bool:
    """Whether cells hold digits and signs only, or nothing."""
    return any(cells) and not any(character.isalpha() for cell in cells for character in cell)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")
