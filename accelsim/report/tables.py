"""Tables for terminals and pipes: aligned, as wide as the terminal, plain text elsewhere."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from accelsim.report.pareto import pareto_marks
from accelsim.result import COLUMNS, Column, Result
from accelsim.units import engineering, percent
from accelsim.workload.layer import Layer

GAP = 2
"""Spaces between two columns."""

BOUND_STYLES = {"compute": "blue", "dram": "yellow", "glb": "green"}
"""Colour of what a layer waits for, on a terminal."""

COMPARISON_COLUMNS: dict[str, Column] = {
    "network": COLUMNS["network"],
    "hardware": COLUMNS["hardware"],
    "params": Column("", "Parameters of the network: weights, biases and batch norm."),
    "macs": Column("MACs", "Multiply-accumulates of the network, zeros and padding included."),
    "cycles": Column("cycles", "Time of the network: its layers one after the other."),
    "time_ms": Column("ms", "Time of the network at the accelerator's clock."),
    "relative_time": Column("", "Time relative to the baseline on the same accelerator, else to the fastest."),
    "energy": Column("energy unit", "Energy of the network."),
    "energy_unit": COLUMNS["energy_unit"],
    "relative_energy": Column("", "Energy relative to that of the same baseline."),
    "utilization": Column("", "MACs executed per PE and cycle; skipped zeros are not executed."),
    "cycles_per_kmac": Column("cycles/1000 MACs", "Time of a thousand multiply-accumulates."),
    "energy_per_mac": Column("energy unit/MAC", "Energy of a multiply-accumulate, all data movement included."),
    "dram_words": Column("words", "Words read from and written to DRAM."),
    "top1_percent": Column("%", "Published top-1 accuracy on ImageNet; cited, never computed."),
    "pareto": Column("", "In which cost no network on the same accelerator beats it at its accuracy or above."),
}
"""Every column of the table that compares networks and accelerators, in order."""

LONG = 0.05
"""Share of the time from which a layer's time stands out on a terminal."""


@dataclass(frozen=True)
class TextColumn:
    """A column of a printed table.

    Attributes:
        title: Heading, with the unit.
        cells: One text per row.
        keep: The larger, the longer the column stays when the terminal is narrow.
        left: Whether the text is aligned to the left (names) and not to the right (numbers).
        styles: On a terminal, the colour of every cell; empty for none.
    """

    title: str
    cells: list[str]
    keep: int = 0
    left: bool = False
    styles: Sequence[str] = ()

    @property
    def width(self) -> int:
        """Characters that the column needs."""
        return max(len(text) for text in (self.title, *self.cells))


def print_table(columns: Sequence[TextColumn], *, console: Console) -> None:
    """Print the columns that fit the console; say which ones were left out."""
    shown = _fitting(columns, console.width) if console.is_terminal else list(columns)
    width = sum(column.width + GAP for column in shown)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold", width=width)
    for column in shown:
        table.add_column(column.title, justify="left" if column.left else "right", no_wrap=True)
    for row in zip(*(_cells(column) for column in shown), strict=True):
        table.add_row(*row)
    console.print(table, width=max(width, console.width) if not console.is_terminal else None, soft_wrap=True)
    hidden = [column.title for column in columns if column not in shown]
    if hidden:
        console.print(f"not shown at {console.width} characters: {', '.join(hidden)}", style="dim", highlight=False)


def fitted(lines: Sequence[str], width: int | None) -> list[str]:
    """Return lines within a width, what goes on in a next one further right; None leaves them as they are."""
    if width is None:
        return list(lines)
    found = []
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()))
        wrapped = textwrap.wrap(
            line.lstrip(), width, initial_indent=indent, subsequent_indent=indent + "    ", drop_whitespace=True,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        found += [line] if len(line) <= width else wrapped
    return found


def _cells(column: TextColumn) -> list[Text]:
    styles = column.styles or [""] * len(column.cells)
    return [Text(cell, style) for cell, style in zip(column.cells, styles, strict=True)]


def _fitting(columns: Sequence[TextColumn], width: int) -> list[TextColumn]:
    """Return the columns to show, dropping those of the lowest ``keep`` first."""
    shown = list(columns)
    while len(shown) > 2 and sum(column.width + GAP for column in shown) - GAP > width:
        shown.remove(min(shown, key=lambda column: column.keep))
    return shown


def shape_text(layer: Layer) -> str:
    """Return a layer's shape for people: ``64->32 55x55 3x1/2 g4``."""
    text = f"{layer.G * layer.C}->{layer.G * layer.K} {layer.P}x{layer.Q}"
    if layer.R * layer.S > 1 or max(layer.stride) > 1:
        text += f" {layer.R}x{layer.S}"
    if max(layer.stride) > 1:
        text += f"/{layer.stride[0]}" if layer.stride[0] == layer.stride[1] else f"/{layer.stride[0]}x{layer.stride[1]}"
    return text + (f" g{layer.G}" if layer.G > 1 else "")


def layer_columns(result: Result) -> list[TextColumn]:
    """Return the per-layer table of a result as printed by ``accelsim run``."""
    records = result.records
    cycles = sum(record["cycles"] for record in records)
    layers = [entry.layer for entry in result.layer_results]
    unit = result.hardware.energy_unit

    def column(title: str, key: str, keep: int, text: Any, left: bool = False) -> TextColumn:
        return TextColumn(title, [text(record[key]) for record in records], keep, left)

    return [
        column("layer", "layer", 100, str, left=True),
        column("kind", "kind", 50, str, left=True),
        TextColumn("shape", [shape_text(layer) for layer in layers], 60, True),
        column("MACs", "macs", 70, engineering),
        column("flow", "dataflow", 80, str, left=True),
        column("cycles", "cycles", 99, lambda value: f"{value:,}"),
        TextColumn(
            "time",
            [percent(record["cycles"] / cycles) for record in records],
            75,
            styles=["bold red" if record["cycles"] >= LONG * cycles else "" for record in records],
        ),
        TextColumn(
            "bound",
            [record["bound"] for record in records],
            90,
            True,
            styles=[BOUND_STYLES.get(record["bound"], "magenta") for record in records],
        ),
        column("use", "utilization", 85, percent),
        column(f"energy [{unit}]", "energy", 95, engineering),
        TextColumn(
            "DRAM words",
            [engineering(record["dram_read_words"] + record["dram_write_words"]) for record in records],
            65,
        ),
        column("MACs/DRAM byte", "macs_per_dram_byte", 40, lambda value: f"{value:.3g}"),
    ]


def summary_lines(result: Result) -> list[str]:
    """Return the lines that follow the per-layer table: totals, shares, what is not charged."""
    totals = result.totals
    unit = totals["energy_unit"]
    lines = [
        f"{result.network.name} on {result.hardware.name}, {_options_text(result)}",
        f"  time    {totals['cycles']:,} cycles = {totals['time_ms']:.4g} ms at {result.hardware.clock_mhz:g} MHz, "
        f"array in use {percent(totals['utilization'])}",
        f"  energy  {engineering(totals['energy'])} {unit}: "
        + ", ".join(
            f"{name} {percent(totals[f'energy_{name}'] / totals['energy'])}"
            for name in ("mac", "rf", "noc", "glb", "dram")
        ),
        f"  work    {engineering(totals['macs'])} MACs, {engineering(totals['params'])} parameters, "
        f"{engineering(totals['dram_words'])} words to and from DRAM",
    ]
    lines += [f"  {line}" for line in _shares(result)]
    if result.not_charged:
        lines.append(
            f"  not charged ({result.hardware.name}: data_operations: {result.hardware.data_operations}): "
            f"{_count_ops(result)}"
        )
    return lines


def _options_text(result: Result) -> str:
    options = result.options
    space = f" ({options['mapping_space']} mappings)" if "mapping_space" in options else ""
    stored = f", stored as {options['storage']} says" if "storage" in options else ""
    return f"batch {options['batch']}, dataflow {options['dataflow']}{space}, objective {options['objective']}{stored}"


def _shares(result: Result) -> list[str]:
    """Return one line per kind of layer and per bound: its share of MACs, time and energy."""
    totals = result.totals
    lines = []
    for key, what in (("kind", "kind"), ("bound", "bound by")):
        groups: dict[str, dict[str, float]] = {}
        for record in result.records:
            group = groups.setdefault(record[key], {"layers": 0, "macs": 0, "cycles": 0, "energy": 0})
            group["layers"] += 1
            for metric in ("macs", "cycles", "energy"):
                group[metric] += record[metric]
        for name, group in sorted(groups.items(), key=lambda item: -item[1]["cycles"]):
            share = {metric: percent(group[metric] / totals[metric]) for metric in ("macs", "cycles", "energy")}
            lines.append(
                f"{what + ' ' + name:<16} {group['layers']:>4} layers  {share['macs']:>6} of MACs  "
                f"{share['cycles']:>6} of time  {share['energy']:>6} of energy"
            )
    return lines


def _count_ops(result: Result) -> str:
    counts: dict[str, int] = {}
    for layer in result.not_charged:
        counts[str(layer.op)] = counts.get(str(layer.op), 0) + 1
    return ", ".join(f"{op} {count}" for op, count in sorted(counts.items(), key=lambda item: -item[1]))


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return records as CSV text with a header; all rows have the keys of the first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def comparison_rows(results: Sequence[Result], baseline: str | None = None) -> list[dict[str, Any]]:
    """Return one record per result with the keys of ``COMPARISON_COLUMNS``.

    Time and energy are also relative to a baseline network on the same hardware.

    Args:
        results: What ``accelsim.compare`` returns.
        baseline: Name of the network that counts as 1; None takes the fastest of each accelerator.
    """
    rows = []
    for result in results:
        peers = [other for other in results if other.hardware is result.hardware]
        if baseline is None:
            base = min((other.totals for other in peers), key=lambda totals: totals["cycles"])
        else:
            base = next(other.totals for other in peers if other.network.name == baseline)
        totals = result.totals
        rows.append(
            {
                "network": result.network.name,
                "hardware": result.hardware.name,
                "params": totals["params"],
                "macs": totals["macs"],
                "cycles": totals["cycles"],
                "time_ms": totals["time_ms"],
                "relative_time": totals["cycles"] / base["cycles"],
                "energy": totals["energy"],
                "energy_unit": totals["energy_unit"],
                "relative_energy": totals["energy"] / base["energy"],
                "utilization": totals["utilization"],
                "cycles_per_kmac": 1e3 * totals["cycles"] / totals["macs"],
                "energy_per_mac": totals["energy"] / totals["macs"],
                "dram_words": totals["dram_words"],
                "top1_percent": next(
                    (fact.top1_percent for fact in result.network.facts if fact.top1_percent is not None), None
                ),
            }
        )
    return [row | {"pareto": mark} for row, mark in zip(rows, pareto_marks(rows), strict=True)]


def comparison_columns(rows: Sequence[Mapping[str, Any]]) -> list[TextColumn]:
    """Return the table of ``accelsim compare``."""
    formats: list[tuple[str, str, int, Any]] = [
        ("network", "network", 100, str),
        ("hardware", "hardware", 95, str),
        ("parameters", "params", 50, engineering),
        ("MACs", "macs", 60, engineering),
        ("cycles", "cycles", 90, lambda value: f"{value:,}"),
        ("ms", "time_ms", 70, lambda value: f"{value:.4g}"),
        ("time", "relative_time", 98, lambda value: f"{value:.2f}"),
        ("energy", "energy", 85, engineering),
        ("unit", "energy_unit", 20, str),
        ("rel. energy", "relative_energy", 97, lambda value: f"{value:.2f}"),
        ("use", "utilization", 75, percent),
        ("cycles/kMAC", "cycles_per_kmac", 65, lambda value: f"{value:.2f}"),
        ("energy/MAC", "energy_per_mac", 55, lambda value: f"{value:.2f}"),
        ("top-1 %", "top1_percent", 45, lambda value: "" if value is None else f"{value:.1f}"),
        ("Pareto", "pareto", 80, str),
    ]
    return [
        TextColumn(
            title,
            [text(row[key]) for row in rows],
            keep,
            key in ("network", "hardware", "energy_unit", "pareto"),
            ["bold green" if row["pareto"] else "" for row in rows] if key in ("network", "pareto") else (),
        )
        for title, key, keep, text in formats
    ]
