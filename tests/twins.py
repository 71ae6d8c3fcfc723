"""Slow, obvious twins of the kernels: they walk the machine loop by loop and count the words they see.

Nothing here is a closed form. A word is a coordinate: W (g, k, c, r, s), I (n, g, c, row, column),
O (n, g, k, p, q). A *scope* says which range of every dim is being worked on; each loop of a nest narrows
one of them. The buffer holds one tile of each operand and fetches another when the loops that decide it
advance. The registers fetch a tile every time that its place in the nest is entered, the array runs one
iteration at every innermost point, and time adds up chunk by chunk and then tile by tile in lockstep.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise, product

from accelsim.dims import USES, Dim, Operand
from accelsim.hardware.spec import Hardware
from accelsim.mapping.arrays import Count
from accelsim.workload.layer import Layer, Op

N, G, K, C, P, Q, R, S = Dim
W, I, O = Operand  # noqa: E741 - the field's names of the operands

TILED = (N, G, K, C, P, Q)
GROUPS = ((N, P, Q), (K,), (C,))

Scope = dict[Dim, range]
Words = set[tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Choices that the machine's definition leaves open; the defaults are those of the kernels.

    Attributes:
        registers_survive: A register tile stays when its place is entered again for the same tile, also in
            the next buffer tile, in place of being fetched again.
        loads_next_tile: While a chunk runs, the next chunk's words are loaded (none during the last one), in
            place of as many words as its own tile has.
        padding_takes_port: Generated padding pixels take time on the port like fetched ones.
        first_visit_takes_port: Streamed partial sums take time on the read port also where none exist yet.
    """

    registers_survive: bool = False
    loads_next_tile: bool = False
    padding_takes_port: bool = True
    first_visit_takes_port: bool = True


@dataclass
class Walk:
    """What a walk over a whole layer saw.

    Attributes:
        cycles: Time of the layer.
        array_cycles: Time in which the array was busy.
        dma_cycles: Time in which the DMA was busy.
        iterations: Iterations of the array, zeros skipped.
        counts: Words and MACs per ``Count``.
    """

    cycles: float
    array_cycles: float
    dma_cycles: float
    iterations: float
    counts: dict[Count, float]


def image_size(layer: Layer, axis: int) -> int:
    """Return how many real pixels the input has along an axis; without windows every output has its own."""
    if layer.op is Op.CONV:
        return (layer.H, layer.W)[axis]
    return layer.dims[P + axis]


def touched(layer: Layer, scope: Scope, axis: int) -> set[int]:
    """Return the input pixels along an axis that some output and tap of the scope meet, padding included."""
    pad = (layer.padding.top, layer.padding.left)[axis]
    pairs = product(scope[Dim(P + axis)], scope[Dim(R + axis)])
    return {output * layer.stride[axis] - pad + tap * layer.dilation[axis] for output, tap in pairs}


def real(layer: Layer, pixels: Iterable[int], axis: int) -> list[int]:
    """Return the pixels that the image has; the others are padding."""
    return [pixel for pixel in pixels if 0 <= pixel < image_size(layer, axis)]


def words_of(layer: Layer, operand: Operand, scope: Scope, *, whole_span: bool = False) -> Words:
    """Return the words of an operand that a scope needs, without padding.

    Args:
        layer: The layer.
        operand: The operand.
        scope: The range of every dim.
        whole_span: Whether inputs are all the pixels from the first touched to the last, as a DMA copies
            them, or just the touched ones.
    """
    if operand is W:
        return set(product(scope[G], scope[K], scope[C], scope[R], scope[S]))
    if operand is O:
        return set(product(scope[N], scope[G], scope[K], scope[P], scope[Q]))
    axes = []
    for axis in range(2):
        pixels = touched(layer, scope, axis)
        axes.append(real(layer, range(min(pixels), max(pixels) + 1) if whole_span else pixels, axis))
    return set(product(scope[N], scope[G], scope[C], *axes))


def port_words(layer: Layer, operand: Operand, scope: Scope, rules: Rules) -> int:
    """Return how many words of a scope pass a port."""
    if operand is I and rules.padding_takes_port:
        pixels = len(touched(layer, scope, 0)) * len(touched(layer, scope, 1))
        return len(scope[N]) * len(scope[G]) * len(scope[C]) * pixels
    return len(words_of(layer, operand, scope))


def identity(operand: Operand, scope: Scope) -> tuple[range, ...]:
    """Return what decides which tile of an operand a scope needs."""
    return tuple(scope[dim] for dim in sorted(USES[operand]))


def cut(whole: range, step: int) -> Iterator[range]:
    """Cut a range into pieces of ``step``; the last may be shorter."""
    for start in range(whole.start, whole.stop, step):
        yield range(start, min(start + step, whole.stop))


def buffer_tiles(layer: Layer, tile: tuple[int, ...], order: tuple[int, ...]) -> Iterator[Scope]:
    """Yield the scope of every buffer tile, in the order in which they are computed."""
    nest = [G, *(dim for group in order for dim in GROUPS[group])]
    for ranges in product(*(list(cut(range(layer.dims[dim]), tile[dim])) for dim in nest)):
        yield {R: range(layer.R), S: range(layer.S), **dict(zip(nest, ranges, strict=True))}


def buffer_words_needed(layer: Layer, tile: tuple[int, ...]) -> int:
    """Return the words a tiling takes in the buffer: an operand's largest tile, twice if it has several."""
    total = 0
    for operand in Operand:
        tiles = {}
        for scope in buffer_tiles(layer, tile, (0, 1, 2)):
            tiles[identity(operand, scope)] = len(words_of(layer, operand, scope, whole_span=True))
        total += max(tiles.values()) * (2 if len(tiles) > 1 else 1)
    return total


@dataclass
class Chunk:
    """The iterations between two changes of the innermost register tile.

    Attributes:
        load: Cycles to fetch its tile; 0 if it was there.
        changes_tile: Whether the tile was exchanged for it.
        by_weight: Cycles of the iterations that one weight decides, if zeros are skipped; else by position.
    """

    load: float
    changes_tile: bool
    by_weight: Counter[object] = field(default_factory=Counter)

    def expected_cycles(self, density: float, other: float) -> float:
        """Return the mean of the larger of its iterations' time and ``other``.

        Args:
            density: Probability of a weight not to be zero, which its iterations are skipped for.
            other: Cycles that pass anyway.
        """
        if density == 1.0:
            return max(sum(self.by_weight.values()), other)
        times = set(self.by_weight.values())
        assert len(times) == 1, "weights whose iterations take different times"
        each, weights = times.pop(), len(self.by_weight)
        return sum(
            math.comb(weights, left) * density**left * (1 - density) ** (weights - left) * max(left * each, other)
            for left in range(weights + 1)
        )


class Array:
    """The PE array with its registers, which runs one buffer tile at a time and counts."""

    def __init__(self, layer: Layer, hardware: Hardware, dataflow: str, rules: Rules) -> None:
        self.layer, self.rules = layer, rules
        self.flow = hardware.dataflows[dataflow]
        fanout = hardware.fanouts[0]
        self.axes = {Dim[self.flow.rows]: fanout.rows, Dim[self.flow.cols]: fanout.cols}
        self.read_port = fanout.rows * fanout.read_words_per_row
        self.write_port = fanout.cols * fanout.write_words_per_col
        self.places = self.flow.places
        self.kept = max((o for o in self.places if o is not O), key=lambda o: self.places[o][1])
        registers = hardware.memory(self.places[self.kept][0])
        self.hidden = self.kept.name in registers.double_buffered
        self.switch = registers.switch_cycles
        self.held_words = {o: (hardware.memory(m).pe_words or {})[o.name] for o, (m, _) in self.places.items()}
        self.density = 1.0
        if self.flow.skips_zeros_of:
            self.density -= hardware.zero_fraction[self.flow.skips_zeros_of]
        self.always: Counter[Count] = Counter()
        self.unless_skipped: Counter[Count] = Counter()
        self.iterations = 0
        self.begun: Words = set()
        self.in_registers: dict[Operand, tuple[range, ...]] = {}
        self.accumulating: Scope | None = None
        self.chunks: list[Chunk] = []
        self.drains = 0.0

    def run(self, tile: Scope, *, last_of_outputs: bool) -> float:
        """Compute one buffer tile and return the cycles that it takes."""
        self.chunks, self.drains = [], 0.0
        if not self.rules.registers_survive:
            self.in_registers.clear()
        depth = sum(min(len(tile[dim]), size) - 1 for dim, size in self.axes.items() if dim not in USES[O])
        self._loop(0, tile)
        if self.rules.registers_survive and last_of_outputs:
            self._drain()
        if not self.hidden:
            computing = sum(math.ceil(chunk.load) + chunk.expected_cycles(self.density, 0) for chunk in self.chunks)
            return depth + computing + self.drains
        meanwhile = [chunk.load for chunk in self.chunks]
        if self.rules.loads_next_tile:
            meanwhile = [*meanwhile[1:], 0.0]
        computing = sum(
            chunk.expected_cycles(self.density, other) for chunk, other in zip(self.chunks, meanwhile, strict=True)
        )
        switching = self.switch * sum(chunk.changes_tile for chunk in self.chunks)
        return depth + self.chunks[0].load + computing + switching + self.drains

    def _loop(self, position: int, scope: Scope) -> None:
        """Run the nest from a position on."""
        if position == len(self.flow.nest):
            self._iterate(scope)
            return
        entry = self.flow.nest[position]
        if "." in entry:
            operand = Operand[entry.partition(".")[2]]
            self._enter(operand, scope)
            self._loop(position + 1, scope)
            if operand is O and not self.rules.registers_survive:
                self._drain()
            return
        dim = Dim[entry]
        for piece in cut(scope[dim], self._step(dim, position)):
            self._loop(position + 1, {**scope, dim: piece})

    def _step(self, dim: Dim, position: int) -> int:
        """Return how far the loop at a position advances."""
        again = [later for later in range(position + 1, len(self.flow.nest)) if self.flow.nest[later] == dim.name]
        if dim in self.axes:
            return self.axes[dim]
        if again:
            around = [o for o, (_, place) in self.places.items() if position < place < again[0] and dim in USES[o]]
            return self.held_words[min(around)]
        return 1

    def _enter(self, operand: Operand, scope: Scope) -> None:
        """Bring the tile of an operand into the registers."""
        stays = self.rules.registers_survive and self.in_registers.get(operand) == identity(operand, scope)
        if not stays and operand is O:
            self._drain()
        self.in_registers[operand] = identity(operand, scope)
        if operand is self.kept and not (stays and self.chunks):
            load = 0.0 if stays else port_words(self.layer, operand, scope, self.rules) / self.read_port
            self.chunks.append(Chunk(load, not stays))
        if operand is I:
            self.pe_inputs: dict[tuple[int, int], tuple[int, ...]] = {}
        if stays:
            return
        words = words_of(self.layer, operand, scope)
        if operand is O:
            self.accumulating = scope
            back = words & self.begun
            self.always[Count.GLB_READ_O] += len(back)
            self.always[Count.RF_WRITE_O] += len(back)
            self.always[Count.RF_READ_O] -= len(words - back)  # the first accumulation writes without reading
            self.drains += math.ceil(len(words) / self.read_port) if back else 0
            return
        receivers = math.prod(len(scope[dim]) for dim in self.axes if dim not in USES[operand])
        self.always[Count[f"GLB_READ_{operand.name}"]] += len(words)
        self.always[Count[f"RF_WRITE_{operand.name}"]] += len(words) * receivers

    def _drain(self) -> None:
        """Send the accumulated outputs to the buffer."""
        if self.accumulating is None:
            return
        words = words_of(self.layer, O, self.accumulating)
        self.always[Count.RF_READ_O] += len(words)
        self.always[Count.GLB_WRITE_O] += len(words)
        self.drains += math.ceil(len(words) / self.write_port)
        self.begun |= words
        self.accumulating = None
        self.in_registers.pop(O, None)

    def _iterate(self, scope: Scope) -> None:
        """Let every PE of the block do one MAC."""
        reads, writes = 0, 0
        self.iterations += 1
        for operand in (W, I):
            if operand not in self.places:
                skippable = self.unless_skipped if operand is W else self.always
                skippable[Count[f"GLB_READ_{operand.name}"]] += len(words_of(self.layer, operand, scope))
                reads += port_words(self.layer, operand, scope, self.rules)
        if O not in self.places:
            words = words_of(self.layer, O, scope)
            back = words & self.begun
            self.always[Count.GLB_READ_O] += len(back)
            self.always[Count.GLB_WRITE_O] += len(words)
            reads += len(words if self.rules.first_visit_takes_port else back)
            writes += len(words)
            self.begun |= words
        weights = frozenset(words_of(self.layer, W, scope))
        assert self.density == 1.0 or len(weights) == 1, "an iteration is skipped if its only weight is zero"
        owner = weights if self.density < 1.0 else self.iterations
        self.chunks[-1].by_weight[owner] += max(1.0, reads / self.read_port, writes / self.write_port)
        self._multiply(scope)

    def _multiply(self, scope: Scope) -> None:
        """Count the MACs of one iteration, the registers that they use and the links between PEs."""
        rows, cols = self.axes
        for row, col in product(scope[rows], scope[cols]):
            self.unless_skipped[Count.MAC] += 1
            for operand in self.places:
                self.unless_skipped[Count[f"RF_READ_{operand.name}"]] += 1
            if O in self.places:
                self.unless_skipped[Count.RF_WRITE_O] += 1
            self.unless_skipped[Count.LINK] += sum(dim not in USES[O] for dim in self.axes)
            if I in self.places and {P, Q} & set(self.axes):
                pe = {**scope, rows: range(row, row + 1), cols: range(col, col + 1)}
                pixel = tuple(min(pe[dim]) for dim in (N, G, C)) + tuple(
                    min(touched(self.layer, pe, a)) for a in (0, 1)
                )
                self.always[Count.LINK] += self.pe_inputs.get((row, col)) != pixel
                self.pe_inputs[row, col] = pixel


def walk(
    layer: Layer,
    hardware: Hardware,
    dataflow: str,
    tile: tuple[int, ...],
    order: tuple[int, ...],
    rules: Rules = Rules(),
) -> Walk:
    """Walk a whole layer.

    Args:
        layer: A layer that runs on the array.
        hardware: A machine with DRAM, one buffer and one array.
        dataflow: Name of one of its dataflows.
        tile: Size of the buffer's tile along every dim.
        order: Loop order over tiles: the groups pixels (N, P, Q) = 0, K = 1, C = 2, outermost first.
        rules: What the definition leaves open.
    """
    array = Array(layer, hardware, dataflow, rules)
    counts = array.always
    loads: list[float] = []  # words in DRAM of what tile i needs and the buffer does not hold
    stores: list[float] = []  # words in DRAM of what the buffer gives up when tile i is done
    computing: list[float] = []
    held: dict[Operand, tuple[range, ...]] = {}
    in_dram: Words = set()
    scopes = list(buffer_tiles(layer, tile, order))
    for here, after in pairwise([*scopes, None]):
        assert here is not None
        load = 0.0
        for operand in Operand:
            words = words_of(layer, operand, here, whole_span=True)
            if held.get(operand) == identity(operand, here) or (operand is O and not words & in_dram):
                continue
            came = len(words) * (1.0 if operand is O else layer.stored[operand])
            load += came
            counts[Count[f"DRAM_READ_{operand.name}"]] += came
            counts[Count[f"GLB_WRITE_{operand.name}"]] += len(words)
        held = {operand: identity(operand, here) for operand in Operand}
        leaves = after is None or held[O] != identity(O, after)
        outputs = words_of(layer, O, here) if leaves else set()
        loads.append(load)
        left = len(outputs) * (layer.stored.outputs if here[C].stop == layer.C else 1.0)
        stores.append(left)
        computing.append(array.run(here, last_of_outputs=leaves))
        in_dram |= outputs
        counts[Count.GLB_READ_O] += len(outputs)
        counts[Count.DRAM_WRITE_O] += left
    return Walk(
        *_lockstep(loads, computing, stores, hardware),
        iterations=array.iterations * array.density,
        counts=_totals(array),
    )


def _totals(array: Array) -> dict[Count, float]:
    """Return all counts, each iteration that zeros may skip weighted with its probability to run."""
    macs = array.unless_skipped[Count.MAC]
    totals = {count: array.always[count] + array.density * array.unless_skipped[count] for count in Count}
    totals[Count.MAC_SKIPPED] = macs - totals[Count.MAC]
    return totals


def _lockstep(
    loads: list[float], computing: list[float], stores: list[float], hardware: Hardware
) -> tuple[float, float, float]:
    """Return the time, the array's and the DMA's, of a pipeline in which all swap halves at once."""
    dram = hardware.memories[0]
    bandwidth = math.inf if dram.words_per_cycle is None else dram.words_per_cycle

    def transfer(words: float) -> float:
        return dram.latency_cycles + words / bandwidth if words else 0.0

    cycles = dma = transfer(loads[0])
    for step, busy in enumerate(computing):
        moved = transfer(loads[step + 1]) if step + 1 < len(loads) else 0.0
        moved += transfer(stores[step - 1]) if step else 0.0
        cycles += max(busy, moved)
        dma += moved
    drain = transfer(stores[-1])
    return cycles + drain, sum(computing), dma + drain
