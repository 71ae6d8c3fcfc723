"""A result in one page of Markdown: totals, where time and energy go, what was left out, what was assumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from accelsim.engine.analytical import ENERGY_COMPONENTS
from accelsim.report.text import count_scale, energy_scale, markdown_table, percent_of
from accelsim.units import percent

if TYPE_CHECKING:
    from accelsim.result import Result

SLOWEST = 10
"""How many of the slowest layers the page lists."""

Record = dict[str, Any]


def summary_markdown(result: Result) -> str:
    """Return the page."""
    totals = result.totals
    sections = [
        f"# {result.network.name} on {result.hardware.name}\n",
        _totals(result, totals),
        "## By kind of layer\n",
        _breakdown(result.records, "kind", lambda record: str(record["kind"])),
        "## By what the layer waits for\n",
        _breakdown(result.records, "bound", lambda record: str(record["bound"])),
        "## Energy by component\n",
        _components(totals),
        f"## The {min(SLOWEST, len(result.records))} slowest layers\n",
        _slowest(result.records),
        "## Layers not charged\n",
        _not_charged(result),
        "## Assumptions\n",
        _assumptions(result),
    ]
    return "\n".join(sections)


def _totals(result: Result, totals: Record) -> str:
    energy = energy_scale(totals["energy"], totals["energy_unit"])
    cycles = count_scale(totals["cycles"], "cycles")
    rows = [
        ("time", f"{cycles.text(totals['cycles'])}, {totals['time_ms']:.4g} ms at {result.hardware.clock_mhz:g} MHz"),
        ("waiting for DRAM", f"{percent(totals['stall_cycles'] / totals['cycles'])} of the time"),
        ("energy", energy.text(totals["energy"])),
        ("MACs", count_scale(totals["macs"], "MACs").text(totals["macs"])),
        ("MACs executed", count_scale(totals["macs_executed"], "MACs").text(totals["macs_executed"])),
        ("parameters", f"{totals['params']:,}"),
        ("utilization", f"{percent(totals['utilization'])} of the array's MACs per cycle"),
        ("DRAM traffic", count_scale(totals["dram_words"], "words").text(totals["dram_words"])),
        ("layers on the array", f"{totals['layers']}"),
        *((option, f"{value}") for option, value in result.options.items()),
    ]
    return markdown_table(("quantity", "value"), rows)


def _breakdown(records: Sequence[Record], title: str, key: Callable[[Record], str]) -> str:
    """Return shares of layers, MACs, time and energy, and the time a MAC takes, by a property of the layers."""
    cycles = sum(record["cycles"] for record in records)
    energy = sum(record["energy"] for record in records)
    macs = sum(record["macs"] for record in records)
    rows = []
    for name in dict.fromkeys(map(key, records)):
        part = [record for record in records if key(record) == name]
        part_macs, part_cycles = sum(r["macs"] for r in part), sum(r["cycles"] for r in part)
        rows.append(
            (
                name,
                len(part),
                percent_of(part_macs, macs),
                percent_of(part_cycles, cycles),
                percent_of(sum(r["energy"] for r in part), energy),
                f"{1e3 * part_cycles / part_macs:.2f}",
            )
        )
    return markdown_table((title, "layers", "MACs", "time", "energy", "cycles per thousand MACs"), rows)


def _components(totals: Record) -> str:
    scale = energy_scale(totals["energy"], totals["energy_unit"])
    rows = [
        (name, scale.text(totals[f"energy_{name}"]), percent_of(totals[f"energy_{name}"], totals["energy"]))
        for name in ENERGY_COMPONENTS
    ]
    return markdown_table(("component", "energy", "share"), rows)


def _slowest(records: Sequence[Record]) -> str:
    cycles = sum(record["cycles"] for record in records)
    rows = [
        (
            record["layer"],
            record["kind"],
            record["dataflow"],
            record["bound"],
            f"{record['cycles']:,}",
            percent_of(record["cycles"], cycles),
            percent(record["utilization"]),
        )
        for record in sorted(records, key=lambda record: -record["cycles"])[:SLOWEST]
    ]
    return markdown_table(("layer", "kind", "dataflow", "bound", "cycles", "time", "utilization"), rows)


def _not_charged(result: Result) -> str:
    if not result.not_charged:
        return "None: every layer of the network runs on the array.\n"
    counts = Counter(str(layer.op) for layer in result.not_charged)
    table = markdown_table(("operation", "layers"), sorted(counts.items()))
    return (
        f"{result.hardware.name} has `data_operations: {result.hardware.data_operations}`, so these cost neither time "
        f"nor energy:\n\n{table}"
    )


def _assumptions(result: Result) -> str:
    hardware = result.hardware
    source = f"Source: {hardware.source}.\n\n" if hardware.source else ""
    if not hardware.assumptions:
        return f"{source}{hardware.name} names none.\n"
    return source + "".join(f"- `{path}`: {reason}\n" for path, reason in hardware.assumptions.items())
