"""Which rows and columns of a table are shown, and in which order: ``--sort``, ``--columns`` and ``--top``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from accelsim.errors import InputError, did_you_mean
from accelsim.report.tables import TextColumn
from accelsim.result import Column
from accelsim.units import engineering, percent

SHARES = frozenset({"utilization", "time_share"})
"""Columns without a unit that people read as percentages."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What of a table is shown.

    Attributes:
        sort: Column to sort by: numbers from the largest, names from A; a ``-`` before it turns that round. Empty
            keeps the order.
        columns: Columns to show, in this order; empty shows the usual ones.
        top: How many rows to show, after sorting; None shows all.
    """

    sort: str = ""
    columns: tuple[str, ...] = ()
    top: int | None = None

    def __bool__(self) -> bool:
        return bool(self.sort or self.columns) or self.top is not None

    def check(self, known: Mapping[str, Column]) -> None:
        """Check that all columns exist and that the number of rows can be shown.

        Raises:
            InputError: They do not, or it cannot.
        """
        asked = [("--sort", self.sort.removeprefix("-"))] if self.sort else []
        for option, name in [*asked, *(("--columns", name) for name in self.columns)]:
            if name not in known:
                there = ", ".join(known)
                raise InputError(f"{option}: no column {name!r}{did_you_mean(name, known)}; there are {there}")
        if self.top is not None and self.top < 1:
            raise InputError(f"--top must be at least 1, got {self.top}")

    def order(self, records: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return the indices of the records to show, in order; records without a value come last."""
        indices = list(range(len(records)))
        key = self.sort.removeprefix("-")
        if key:
            with_value = [index for index in indices if records[index][key] is not None]
            names = any(isinstance(records[index][key], str) for index in with_value)
            with_value.sort(key=lambda index: records[index][key], reverse=names == self.sort.startswith("-"))
            indices = with_value + [index for index in indices if records[index][key] is None]
        return indices[: self.top]

    def records(self, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the records to show, with the columns to show."""
        return [
            {name: records[index][name] for name in self.columns or records[index]} for index in self.order(records)
        ]

    def text_columns(
        self, records: Sequence[Mapping[str, Any]], known: Mapping[str, Column], usual: Sequence[TextColumn]
    ) -> list[TextColumn]:
        """Return the columns to print.

        Args:
            records: All rows.
            known: Unit and definition of their columns.
            usual: The columns to print if none are asked for, with a cell for each of the rows.
        """
        wanted = [column_of(name, known[name], records) for name in self.columns] or list(usual)
        order = self.order(records)
        keep = {column.title: len(wanted) - place for place, column in enumerate(wanted)} if self.columns else {}
        return [
            replace(
                column,
                cells=[column.cells[index] for index in order],
                styles=[column.styles[index] for index in order] if column.styles else [],
                keep=keep.get(column.title, column.keep),
            )
            for column in wanted
        ]


def column_of(name: str, description: Column, records: Sequence[Mapping[str, Any]]) -> TextColumn:
    """Return a column of records as text, its unit in the heading."""
    values = [record[name] for record in records]
    unit = description.unit
    if unit == "energy unit":
        unit = "/".join(dict.fromkeys(str(record.get("energy_unit", unit)) for record in records))
    return TextColumn(
        f"{name} [{unit}]" if unit else name,
        [_text(name, value) for value in values],
        left=any(isinstance(value, str) for value in values),
    )


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if name in SHARES:
        return percent(value)
    if isinstance(value, int):
        return f"{value:,}"
    return engineering(value) if abs(value) >= 1e4 else f"{value:.4g}"


def definitions(known: Mapping[str, Column]) -> list[str]:
    """Return a line for every column: name, unit, definition."""
    width = max(len(name) for name in known)
    return [
        f"{name:<{width}}  {column.help}" + (f" [{column.unit}]" if column.unit else "")
        for name, column in known.items()
    ]
