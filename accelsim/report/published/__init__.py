"""Published figures as data; ``README.md`` beside this file names their sources."""

from __future__ import annotations

import csv
from importlib.resources import files


def read_published(name: str) -> list[dict[str, str]]:
    """Return the rows of one of the CSV files of this folder, as printed text by column."""
    text = (files(__name__) / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def reading_accuracy_kcycles(name: str) -> float:
    """Return how exactly the figure behind a file could be measured, in thousand cycles; 0 for printed text."""
    source = next(row for row in read_published("sources.csv") if row["file"] == name)
    return float(source["accuracy_kcycles"] or 0)
