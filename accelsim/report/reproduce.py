"""Published tables beside what accelsim computes, written as a report that one command regenerates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from os import PathLike
from pathlib import Path

from accelsim.errors import InputError, did_you_mean
from accelsim.report.files import check_folder, write_whole

Progress = Callable[[int, int], None]
"""Called with (simulations done, simulations in all)."""


@dataclass(frozen=True)
class Table:
    """What can be reproduced.

    Attributes:
        description: What it is, for people.
        module: Module with a function ``report_files(progress)``, which returns file name -> content.
    """

    description: str
    module: str


TABLES: dict[str, Table] = {
    "squeezenext": Table(
        "SqueezeNext (arXiv:1803.10615): Tables 3 and 4, Figures 6 and 8, on 16x16 PEs with a 128 KB buffer",
        "accelsim.report.squeezenext.report",
    ),
    "networks": Table(
        "Networks of the literature: published parameters, MACs and sizes, and what their ideas cost",
        "accelsim.report.networks.report",
    ),
    "eyeriss": Table(
        "Eyeriss in silicon (JSSC 2017): Table V, AlexNet's convolutions by the mapping of Table III",
        "accelsim.report.eyeriss.report",
    ),
    "roofline": Table(
        "Compute/bandwidth ratios: standard, grouped, depthwise and pointwise convolutions; MobileNet and SqueezeNext",
        "accelsim.report.ratios.report",
    ),
}
"""What ``reproduce`` knows, by name."""


def reproduce(
    table: str = "squeezenext", folder: str | PathLike[str] | None = None, *, progress: Progress | None = None
) -> list[Path]:
    """Simulate what a paper published, and write published numbers, ours and their differences.

    Writes ``README.md`` with all tables and the verdict on the goals, a CSV file a table, and pictures as PNG and SVG.

    Args:
        table: A name in ``TABLES``.
        folder: Where to; by default ``reports/`` and the table's name, in the working directory.
        progress: Called before every simulation and after the last.

    Returns:
        The files written.

    Raises:
        InputError: There is no such table, or the folder cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    if table not in TABLES:
        raise InputError(f"no published table {table!r}{did_you_mean(table, TABLES)}; known are {', '.join(TABLES)}")
    target = check_folder(Path("reports") / table if folder is None else folder)
    contents: dict[str, bytes] = import_module(TABLES[table].module).report_files(progress)
    return [write_whole(target / name, data) for name, data in contents.items()]
