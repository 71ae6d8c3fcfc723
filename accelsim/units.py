"""Numbers as text for people, and sizes in text as numbers."""

from __future__ import annotations

_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def engineering(value: float) -> str:
    """Return a number with three to four significant digits and a prefix: ``116 M``, ``7.85 k``, ``42``."""
    for factor, prefix in _PREFIXES:
        if abs(value) >= 0.9995 * factor:
            return f"{_digits(value / factor)} {prefix}"
    return _digits(value)


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal: ``12.3%``."""
    return f"{100 * share:.1f}%"


def _digits(value: float) -> str:
    if value == int(value) and abs(value) < 1000:
        return str(int(value))
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{decimals}f}"
