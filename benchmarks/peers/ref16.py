"""The common ground on which accelsim and its peers are compared: one machine, three layers, and the peers' terms.

``ref16``: 16x16 PEs of one 16-bit MAC a cycle; in every PE register files of 16 (I), 64 (W) and 16 (O) words; a buffer
of 64 Ki words, 16 read and 16 written a cycle; a DRAM of 4 words a cycle in all; no bypass. A word costs 1 in a
register file, 6 in the buffer, 200 in DRAM, a MAC 1; multicast and reduction are free; the padded input is stored.

What the tools charge for the same mapping differs; ``machine`` states their terms as a machine of ours, and
``docs/peers.md`` explains every difference that is left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from accelsim.dims import USES, Dim, Operand
from accelsim.engine.closed_form import MAC, Cost
from accelsim.mapping.hierarchy import Axis, Buffering, Machine, RegisterRead, SpatialFanout, Store
from accelsim.mapping.nest import Nest, cuts
from accelsim.workload.layer import Layer

WORD_BITS = 16
ARRAY = (16, 16)
REGISTER_WORDS = {Operand.I: 16, Operand.W: 64, Operand.O: 16}
BUFFER_WORDS = 65536
BUFFER_WORDS_PER_CYCLE = 16
DRAM_WORDS_PER_CYCLE = 4
MAC_ENERGY, REGISTER_ENERGY, BUFFER_ENERGY, DRAM_ENERGY = 1, 1, 6, 200

LAYERS = {
    "3x3": Layer.conv("3x3", 64, 64, 56, 3, padding=1),
    "1x1": Layer.conv("1x1", 512, 512, 14),
    "depthwise": Layer.conv("depthwise", 512, 512, 14, 3, padding=1, groups=512),
}
"""The layers that are compared if none are named."""


def layer(text: str) -> Layer:
    """Return a layer by its name in ``LAYERS``, or from ``IN,OUT,SIZE,KERNEL[,STRIDE[,GROUPS]]``; padding is same."""
    if text in LAYERS:
        return LAYERS[text]
    numbers = [int(number) for number in text.split(",")]
    channels, filters, size, kernel, stride, groups = numbers + [1] * (6 - len(numbers))
    return Layer.conv(text, channels, filters, size, kernel, stride=stride, padding=kernel // 2, groups=groups)


ZIGZAG = {Operand.W: RegisterRead.ON_CHANGE, Operand.I: RegisterRead.ON_CHANGE, Operand.O: RegisterRead.PER_MAC}
"""When ZigZag charges a register: W and I when the word is another one, partial sums at every MAC."""

TERMS: dict[str, RegisterRead | dict[Operand, RegisterRead]] = {
    "ZigZag": ZIGZAG,
    "per_mac": RegisterRead.PER_MAC,
    "on_change": RegisterRead.ON_CHANGE,
}
"""Ways of charging registers by name; AccelForge's is ``per_mac``."""


def machine(terms: str, buffering: Buffering = Buffering.ROLLING) -> Machine:
    """Return ref16: one register file per PE, split between the operands.

    Args:
        terms: When a MAC reads its registers, a key of ``TERMS``.
        buffering: How tiles get into the buffer and the registers; the peers use the whole capacity for one tile.
    """
    registers = Store(
        name="rf",
        operand_words=REGISTER_WORDS,
        read_energy=REGISTER_ENERGY,
        write_energy=REGISTER_ENERGY,
        buffering=buffering,
        register_read=TERMS[terms],
    )
    return _around(f"ref16 {terms}", (registers,), buffering)


def _around(name: str, registers: tuple[Store, ...], buffering: Buffering) -> Machine:
    dram = Store(name="dram", words_per_cycle=DRAM_WORDS_PER_CYCLE, read_energy=DRAM_ENERGY, write_energy=DRAM_ENERGY)
    buffer = Store(
        name="buffer",
        words=BUFFER_WORDS,
        read_words_per_cycle=BUFFER_WORDS_PER_CYCLE,
        write_words_per_cycle=BUFFER_WORDS_PER_CYCLE,
        read_energy=BUFFER_ENERGY,
        write_energy=BUFFER_ENERGY,
        buffering=buffering,
    )
    axes = (Axis(name="rows", size=ARRAY[0]), Axis(name="cols", size=ARRAY[1]))
    return Machine(
        name=name,
        stores=(dram, buffer, *registers),
        fanouts=(SpatialFanout(name="array", below="buffer", axes=axes),),
        mac_energy=MAC_ENERGY,
        word_bits=WORD_BITS,
        stores_padding=True,
    )


@dataclass(frozen=True, order=True)
class Term:
    """One thing that is charged: words of an operand read from or written to a level, going down or up.

    Attributes:
        level: ``rf``, ``buffer`` or ``dram``.
        operand: Operand.
        action: ``read`` or ``write``.
        way: ``down`` (towards the MACs) or ``up``; partial sums going down are being read back.
    """

    level: str
    operand: Operand
    action: str
    way: str


ENERGY = {"rf": REGISTER_ENERGY, "buffer": BUFFER_ENERGY, "dram": DRAM_ENERGY}
"""Energy of one word by level."""


def words(cost: Cost) -> dict[Term, int]:
    """Return what the closed form counts, term by term."""
    found: dict[Term, int] = {}
    for flow in cost.traffic:
        ends = (flow.source, "read", flow.source_words), (flow.target, "write", flow.target_words)
        if flow.operand is Operand.O:
            back = flow.read_back_words
            _add(found, flow.operand, "down", ((flow.source, "read", back), (flow.target, "write", back)))
            ends = (flow.source, "write", flow.source_words), (flow.target, "read", flow.target_words)
        _add(found, flow.operand, "up" if flow.operand is Operand.O else "down", ends)
    return found


def words_as_zigzag(cost: Cost, nest: Nest, layer: Layer) -> dict[Term, int]:
    """Return the same counts under the three rules in which ZigZag differs.

    It reads a partial sum back at every visit, the first included, wherever a reduction is not finished at the level
    below; where several PEs add up to one sum, every one of them gets it back; and pixels that neighbouring PEs share
    only because a filter is wider than one tap inside them are read from the buffer for each.
    """
    found = words(cost)
    reduces = any(cut.bounds[dim] > 1 for cut in cuts(nest) for dim in Dim if dim not in USES[Operand.O])
    for flow in cost.traffic:
        if flow.operand is Operand.O and (flow.read_back_words or (flow.target == MAC and reduces)):
            found[Term(_level(flow.source), Operand.O, "read", "down")] = flow.source_words
            if flow.target != MAC:
                found[Term(_level(flow.target), Operand.O, "write", "down")] = flow.target_words
        elif flow.operand is Operand.I and _level(flow.target) == "rf":
            read = round(flow.target_words * _distinct_share(nest, layer))
            found[Term(_level(flow.source), Operand.I, "read", "down")] = read
    return found


def _distinct_share(nest: Nest, layer: Layer) -> float:
    """Return how many different pixels PEs of one tap and one output each would need, per PE."""
    spatial, temporal = dict.fromkeys(Dim, 1.0), dict.fromkeys(Dim, 1)
    for cut in cuts(nest):
        for dim in Dim:
            if cut.spatial:
                spatial[dim] *= cut.bounds[dim]
            else:
                temporal[dim] *= cut.bounds[dim]
    share = {dim: min(spatial[dim], layer.dims[dim] / temporal[dim]) for dim in Dim}
    distinct = share[Dim.N] * share[Dim.G] * share[Dim.C]
    for output, tap, stride, dilation in zip((Dim.P, Dim.Q), (Dim.R, Dim.S), layer.stride, layer.dilation, strict=True):
        a, b, common = int(share[output]), int(share[tap]), math.gcd(stride, dilation)
        distinct *= a * b - max(0, b - stride // common) * (a - dilation // common)
    return distinct / math.prod(share.values())


def energy(found: dict[Term, int], macs: int) -> float:
    """Return the energy of counted words and MACs."""
    return macs * MAC_ENERGY + sum(count * ENERGY[term.level] for term, count in found.items())


def _add(found: dict[Term, int], operand: Operand, way: str, ends: Sequence[tuple[str, str, int]]) -> None:
    for store, action, count in ends:
        if store != MAC and count:
            term = Term(_level(store), operand, action, way)
            found[term] = found.get(term, 0) + count


def _level(store: str) -> str:
    return store.split("_", maxsplit=1)[0]
