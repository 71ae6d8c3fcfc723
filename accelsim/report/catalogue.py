"""What there is: pages about the networks and the accelerators that come with accelsim."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from accelsim.errors import InputError
from accelsim.hardware.loader import hardware_names, load_hardware
from accelsim.report.tables import TextColumn, shape_text
from accelsim.units import engineering, percent
from accelsim.workload.loader import NetworkFacts, load_network, network_facts, network_names
from accelsim.workload.memory import liveness
from accelsim.workload.network import Fact, Network
from accelsim.workload.storage import model_size


@dataclass(frozen=True)
class Page:
    """A page in all the forms in which it can be printed.

    Attributes:
        data: For JSON.
        rows: For CSV.
        columns: For a terminal.
        lines: What follows the table in a terminal.
    """

    data: Any
    rows: Sequence[Mapping[str, Any]]
    columns: Sequence[TextColumn]
    lines: Sequence[str] = ()


def network_list(pattern: str = "", progress: Callable[[int, int], None] | None = None) -> Page:
    """Return the list of named networks: computed parameters, MACs and layers, published accuracy and its source.

    Args:
        pattern: Show only networks whose name, family, alias or source contains this text, whatever its case.
        progress: Called with (networks built, networks in all).

    Raises:
        InputError: No network matches.
    """
    named = {name: network_facts(name) for name in network_names()}
    wanted = [
        name
        for name, facts in named.items()
        if pattern.lower() in " ".join([name, facts.family, *facts.aliases, *(f.source for f in facts.facts)]).lower()
    ]
    if not wanted:
        raise InputError(f"no network matches {pattern!r}; `accelsim networks` lists all {len(named)}")
    rows = []
    for count, name in enumerate(wanted, 1):
        rows.append(_network_row(name, named[name]))
        if progress:
            progress(count, len(wanted))
    formats: list[tuple[str, str, int, Callable[[Any], str]]] = [
        ("network", "network", 100, str),
        ("family", "family", 60, str),
        ("params", "params", 90, engineering),
        ("macs", "MACs", 90, engineering),
        ("layers", "layers", 80, str),
        ("top1_percent", "top-1 %", 70, _published),
        ("top5_percent", "top-5 %", 50, _published),
        ("source", "source of the accuracy", 40, str),
        ("aliases", "also called", 30, str),
    ]
    columns = [
        TextColumn(title, [text(row[key]) for row in rows], keep, isinstance(rows[0][key], str))
        for key, title, keep, text in formats
    ]
    return Page({"networks": rows}, rows, columns, ["layers: those on the array; accuracy is cited, never computed"])


def _network_row(name: str, facts: NetworkFacts) -> dict[str, Any]:
    net = load_network(name)
    cited = next((fact for fact in facts.facts if fact.top1_percent is not None), Fact(source=""))
    return {
        "network": name,
        "family": facts.family,
        "params": net.totals["params"],
        "macs": net.totals["macs"],
        "layers": len(net.array_layers),
        "top1_percent": cited.top1_percent,
        "top5_percent": cited.top5_percent,
        "source": cited.source,
        "aliases": " ".join(facts.aliases),
    }


def _published(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def network_page(net: Network) -> Page:
    """Return a network's layers, totals, breakdown by kind, and published figures beside computed ones."""
    rows = [
        {
            "layer": layer.name,
            "op": str(layer.op),
            "kind": str(layer.kind),
            **layer.dims._asdict(),
            "stride": layer.stride[0],
            "macs": layer.macs,
            "params": layer.params,
        }
        for layer in net.layers
    ]
    columns = [
        TextColumn("layer", [layer.name for layer in net.array_layers], 100, True),
        TextColumn("kind", [str(layer.kind) for layer in net.array_layers], 80, True),
        TextColumn("shape", [shape_text(layer) for layer in net.array_layers], 90, True),
        TextColumn("MACs", [f"{layer.macs:,}" for layer in net.array_layers], 95),
        TextColumn("params", [f"{layer.params:,}" for layer in net.array_layers], 94),
    ]
    data = {
        "schema": 1,
        "network": net.name,
        "family": net.family,
        "parameters": dict(net.parameters),
        "input": list(net.input_shape),
        "totals": net.totals,
        "by_kind": {str(kind): sums for kind, sums in net.by_kind().items()},
        "facts": [msgspec.to_builtins(fact) for fact in net.facts],
        "layers": rows,
    }
    return Page(data, rows, columns, _network_lines(net))


def _network_lines(net: Network) -> list[str]:
    totals = net.totals
    others = len(net) - len(net.array_layers)
    weights = totals["params_conv"] + totals["params_linear"]
    lines = [
        f"{net.name}: input {net.input_shape}, {len(net.array_layers)} layers on the array, {others} that move data",
        f"  {totals['macs']:,} MACs",
        f"  {totals['params']:,} parameters: conv {totals['params_conv']:,}, linear {totals['params_linear']:,}, "
        f"bias {totals['params_bias']:,}, batch norm {totals['params_bn']:,}"
        + (f", other {totals['params_other']:,}" if totals["params_other"] else ""),
    ]
    lines += [
        f"  {kind!s:<10} {sums['layers']:>4} layers  {percent(sums['macs'] / totals['macs']):>6} of MACs  "
        f"{percent(sums['params'] / weights):>6} of weights"
        for kind, sums in net.by_kind().items()
    ]
    live = liveness(net)
    lines.append(
        f"  activations: at most {live.peak_words:,} words alive at a time, in {live.peak_layer} "
        f"(batch 1, layers in this order, activations in place)"
    )
    lines.append(f"  weights: {model_size(net).total_bytes / 1e6:.2f} MB at 32 bits")
    return lines + [f"  {_fact_text(fact, totals)}" for fact in net.facts]


def _fact_text(fact: Fact, totals: Mapping[str, int]) -> str:
    """Return a published figure beside the computed one, in one line."""
    figures = [
        f"{value:g} M {what} (here {computed / 1e6:.4g})"
        for value, what, computed in (
            (fact.params_m, "parameters", totals["params"]),
            (fact.macs_m, "MACs", totals["macs"]),
        )
        if value is not None
    ]
    figures += [
        f"{value:g}% {what}"
        for value, what in ((fact.top1_percent, "top-1"), (fact.top5_percent, "top-5"))
        if value is not None
    ]
    return f"published: {', '.join(figures + [fact.note] * bool(fact.note))}; {fact.source}"


def hardware_list() -> Page:
    """Return the list of accelerators."""
    machines = [load_hardware(name) for name in hardware_names()]
    rows = [
        {
            "hardware": machine.name,
            "pes": sum(fanout.pes for fanout in machine.fanouts),
            "buffers_kb": sum(memory.size_kb or 0 for memory in machine.memories),
            "dataflows": " ".join(machine.dataflows),
            "clock_mhz": machine.clock_mhz,
            "source": machine.source,
            "description": machine.description,
        }
        for machine in machines
    ]
    columns = [
        TextColumn("hardware", [str(row["hardware"]) for row in rows], 100, True),
        TextColumn("PEs", [str(row["pes"]) for row in rows], 90),
        TextColumn("buffers/KiB", [f"{row['buffers_kb']:g}" for row in rows], 85),
        TextColumn("clock/MHz", [f"{row['clock_mhz']:g}" for row in rows], 70),
        TextColumn("dataflows", [str(row["dataflows"]) for row in rows], 80, True),
        TextColumn("description", [str(row["description"]) for row in rows], 50, True),
    ]
    return Page({"hardware": rows}, rows, columns)


def hardware_page(name: str) -> Page:
    """Return one accelerator: levels, energies, dataflows, source, and every assumption with its reason."""
    machine = load_hardware(name)
    rows = []
    for memory in machine.memories:
        size = "unbounded" if memory.size_kb is None else f"{memory.size_kb:g} KiB"
        if memory.pe_words:
            size = " ".join(f"{operand}:{words}" for operand, words in memory.pe_words.items()) + " words a PE"
        bandwidth = "" if memory.words_per_cycle is None else f"{memory.words_per_cycle:g}"
        rows.append(
            {
                "memory": memory.name,
                "size": size,
                "words_per_cycle": bandwidth,
                "latency_cycles": memory.latency_cycles,
                "read_energy": memory.read_energy,
                "write_energy": memory.write_energy,
                "double_buffered": " ".join(memory.double_buffered),
            }
        )
    titles = ("memory", "size", "words/cycle", "latency/cycles", "read energy", "write energy", "double-buffered")
    columns = [
        TextColumn(title, [_number(row[key]) for row in rows], 100 - position, key in ("memory", "size"))
        for position, (title, key) in enumerate(zip(titles, rows[0], strict=True))
    ]
    lines = [machine.description, f"source: {machine.source}"]
    lines.append(
        f"clock {machine.clock_mhz:g} MHz, {machine.word_bits}-bit words, energies in {machine.energy_unit}, "
        f"MAC {machine.mac.energy:g}"
    )
    lines += [
        f"{fanout.name}: {fanout.rows} x {fanout.cols} PEs below {fanout.below}, link energy {fanout.link_energy:g}, "
        f"per cycle {fanout.read_words_per_row:g} words into a row and {fanout.write_words_per_col:g} out of a column"
        for fanout in machine.fanouts
    ]
    for key, flow in machine.dataflows.items():
        lines.append(f"dataflow {key}: {flow.description}")
        lines.append(f"  rows {flow.rows}, cols {flow.cols}, nest {' '.join(flow.nest)}")
    lines += [f"zeros of {operand}: {percent(share)}" for operand, share in machine.zero_fraction.items()]
    lines += ["assumptions:"] + [f"  {field}: {reason}" for field, reason in machine.assumptions.items()]
    return Page(msgspec.to_builtins(machine), rows, columns, lines)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float | int) else str(value)
