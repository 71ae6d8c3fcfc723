"""What there is: pages about the networks and the accelerators that come with accelsim."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from accelsim.errors import InputError
from accelsim.hardware import costs
from accelsim.hardware.loader import hardware_names, load_hardware
from accelsim.hardware.spec import Dataflow, Fanout, Hardware, Memory
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
    rows = []
    for machine in map(load_hardware, hardware_names()):
        buffers = [m for m in machine.memories if m.bounded and not machine.in_pes(m)]
        rows.append(
            {
                "hardware": machine.name,
                "pes": machine.pes,
                "buffers_kb": sum(costs.capacity_kb(machine, m) * machine.instances(m) for m in buffers),
                "area_mm2": costs.area(machine).total_mm2,
                "dataflows": " ".join(machine.dataflows) or "any",
                "clock_mhz": machine.clock_mhz,
                "source": machine.source,
                "description": machine.description,
            }
        )
    columns = [
        TextColumn("hardware", [str(row["hardware"]) for row in rows], 100, True),
        TextColumn("PEs", [str(row["pes"]) for row in rows], 90),
        TextColumn("buffers/KiB", [f"{row['buffers_kb']:g}" for row in rows], 85),
        TextColumn("mm2 at 45 nm", [f"{row['area_mm2']:.2f}" for row in rows], 60),
        TextColumn("clock/MHz", [f"{row['clock_mhz']:g}" for row in rows], 70),
        TextColumn("dataflows", [str(row["dataflows"]) for row in rows], 80, True),
        TextColumn("description", [str(row["description"]) for row in rows], 50, True),
    ]
    return Page({"hardware": rows}, rows, columns)


def hardware_page(name: str) -> Page:
    """Return one accelerator: levels, energies, area, dataflows, source, and every assumption with its reason."""
    machine = load_hardware(name)
    rows = [_memory_row(machine, memory) for memory in machine.memories]
    titles = ("memory", "size", "words/cycle", "latency/cycles", "read energy", "write energy", "buffering", "number")
    columns = [
        TextColumn(title, [_number(row[key]) for row in rows], 100 - position, key in ("memory", "size"))
        for position, (title, key) in enumerate(zip(titles, rows[0], strict=True))
    ]
    sizes = costs.area(machine)
    lines = [machine.description, f"source: {machine.source}"]
    lines.append(
        f"clock {machine.clock_mhz:g} MHz, {machine.word_bits}-bit words, energies in {machine.energy_unit}, "
        f"MAC {costs.mac_energy(machine):.4g}" + (f", energy set {machine.energy}" if machine.energy else "")
    )
    lines += [f"{operand} has {bits} bits" for operand, bits in machine.operand_bits.items()]
    lines.append(
        f"area at 45 nm {sizes.total_mm2:.3g} mm2: MACs {sizes.mac_mm2:.3g}, in the PEs {sizes.registers_mm2:.3g}, "
        f"buffers {sizes.buffers_mm2:.3g}; without wires, control and pads"
    )
    lines += [_fanout_text(machine, fanout) for fanout in machine.fanouts]
    for key, flow in machine.dataflows.items():
        lines += [f"dataflow {key}: {flow.description}", f"  {_flow_text(flow)}"]
    if not machine.programs:
        lines.append(f"dataflow any: no constraint; {machine.mapping_space} mappings are searched")
    lines += [f"zeros of {operand}: {percent(share)}" for operand, share in machine.zero_fraction.items()]
    lines += ["assumptions:"] + [f"  {field}: {reason}" for field, reason in machine.assumptions.items()]
    return Page(msgspec.to_builtins(machine), rows, columns, lines)


def _memory_row(machine: Hardware, memory: Memory) -> dict[str, Any]:
    """Return a memory as a row of its accelerator's page."""
    size = "unbounded" if not memory.bounded else f"{costs.capacity_kb(machine, memory):g} KiB"
    own = memory.pe_words or memory.operand_words
    if own is not None:
        size = " ".join(f"{operand}:{words}" for operand, words in own.items()) + " words a PE" * machine.in_pes(memory)
    elif memory.kept != ("W", "I", "O"):
        size += f" for {' '.join(memory.kept)}"
    rates = (
        (memory.words_per_cycle, ""),
        (memory.read_words_per_cycle, " read"),
        (memory.write_words_per_cycle, " written"),
    )
    bandwidth = ", ".join(f"{rate:g}{way}" for rate, way in rates if rate is not None)
    waits = " ".join(memory.double_buffered)
    if not machine.programs and memory.bounded:
        waits = memory.buffering or "double"
    return {
        "memory": memory.name,
        "size": size,
        "words_per_cycle": bandwidth,
        "latency_cycles": memory.latency_cycles,
        "read_energy": costs.read_energy(machine, memory),
        "write_energy": costs.write_energy(machine, memory),
        "double_buffered": waits,
        "instances": machine.instances(memory),
    }


def _fanout_text(machine: Hardware, fanout: Fanout) -> str:
    """Return a fan-out as a line of its accelerator's page."""
    energy = f"link energy {costs.link_energy(machine, fanout):.4g}"
    if not fanout.axes:
        grid = fanout.grid
        return (
            f"{fanout.name}: {grid.rows} x {grid.cols} PEs below {fanout.below}, {energy}, "
            f"per cycle {grid.read_words_per_row:g} words into a row and {grid.write_words_per_col:g} out of a column"
        )
    axes = [
        f"{axis.name} {axis.size} ({' '.join(dim.name for dim in sorted(axis.allowed))}"
        + (f", sums by {axis.reduction})" if axis.reduction != "none" else ")")
        for axis in fanout.axes
    ]
    passing = ", from neighbour to neighbour" if fanout.forward else ""
    return f"{fanout.name}: {' x '.join(axes)} below {fanout.below}, {energy}{passing}"


def _flow_text(flow: Dataflow) -> str:
    """Return a dataflow as a line of its accelerator's page."""
    if flow.nest:
        return f"rows {flow.axes[0]}, cols {flow.axes[1]}, nest {' '.join(flow.nest)}"
    parts = [f"{axis} unrolls {' '.join(dims) or 'nothing'}" for axis, dims in flow.unroll.items()]
    parts += [f"{operand} stays inside {memory}" for memory, operand in flow.stationary.items()]
    return ", ".join(parts)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
