"""The cycle engine for the reference accelerators, whose arrays have fixed programs: executes a buffer tiling."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.compilation import announce
from accelsim.dims import USES, Dim, Operand
from accelsim.engine.dram import BankedDram, runs_of
from accelsim.engine.tensors import Tensors, image_size, random_tensors
from accelsim.errors import InputError
from accelsim.hardware.spec import Hardware
from accelsim.lowering import lower_layer, lower_machine
from accelsim.mapping.arrays import Count
from accelsim.workload.layer import AS_COMPUTED, Layer, Op

if TYPE_CHECKING:
    from accelsim.engine.array_kernels import Array, Buffers

GROUPS = ((Dim.N, Dim.P, Dim.Q), (Dim.K,), (Dim.C,))
"""Groups of dims whose loops over tiles an order arranges."""


@dataclass(frozen=True, kw_only=True)
class Executed:
    """What one run of a tiling did.

    Attributes:
        outputs: int64[N, G, K, P, Q], what arrived in DRAM.
        counts: float64 per ``Count``.
        cycles: Time of the layer.
        array_cycles: Cycles in which the array works on a tile.
        dram_cycles: Cycles in which the DMA moves words or waits for DRAM.
        iteration_cycles: Cycles of the multiply-accumulates alone.
        overflows: Times that a partial sum left the range of the accumulators.
        tiles: Start and size of every tile, cycles of its load, its computation and its store.
    """

    outputs: np.ndarray
    counts: np.ndarray
    cycles: float
    array_cycles: float
    dram_cycles: float
    iteration_cycles: float
    overflows: int
    tiles: np.ndarray


def execute_reference(
    layer: Layer,
    hardware: Hardware,
    dataflow: str,
    tile: Sequence[int],
    order: Sequence[int],
    tensors: Tensors | None = None,
    *,
    accumulator_bits: int = 32,
    dram: BankedDram | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Executed:
    """Execute a buffer tiling of a layer under one of the hardware's dataflows.

    Zero weights are skipped where the dataflow skips them: those that the tensors have, at the places that they have.

    Args:
        layer: The layer.
        hardware: An accelerator of the reference's kind.
        dataflow: Name of one of its dataflows.
        tile: Size of the buffer's tile along every dim.
        order: Loop order over tiles, as the indices of the groups pixels (N, P, Q) = 0, K = 1, C = 2.
        tensors: The operands; None draws small seeded ones with the hardware's share of zero weights.
        accumulator_bits: Width of partial sums, at most 63; sums outside are counted, not wrapped.
        dram: A DRAM with banks, in place of the hardware's bandwidth; its latency stays. W, I and O lie one after the
            other, row-major.
        progress: Called with (tiles done, tiles in all).

    Raises:
        InputError: Banks are asked of operands that are not stored word by word.
    """
    from accelsim.engine import array_kernels as kernels  # noqa: PLC0415 - numba is loaded only where it is used

    if dram is not None and layer.stored != AS_COMPUTED:
        raise InputError(
            f"layer {layer.name}: a DRAM with banks has an address for every word, and the storage plan packs them: "
            "leave one of the two out"
        )
    announce(kernels.run_tile, "the cycle engine's", "half a minute")
    if tensors is None:
        tensors = random_tensors(layer, zero_fraction=hardware.zero_fraction.get("W", 0.0))
    return _Run(layer, hardware, dataflow, tensors, accumulator_bits, dram).run(
        list(tiles(layer, tile, order)), progress
    )


def tiles(layer: Layer, tile: Sequence[int], order: Sequence[int]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield start and size of every tile along every dim, in the order in which they are computed."""
    nest = [Dim.G, *(dim for group in order for dim in GROUPS[group])]
    for starts in itertools.product(*(range(0, layer.dims[dim], tile[dim]) for dim in nest)):
        start, size = [0] * 8, list(layer.dims)
        for dim, at in zip(nest, starts, strict=True):
            start[dim], size[dim] = at, min(tile[dim], layer.dims[dim] - at)
        yield tuple(start), tuple(size)


class _Run:
    """One execution: the tensors in DRAM, the buffer, the array."""

    def __init__(
        self, layer: Layer, hardware: Hardware, dataflow: str, tensors: Tensors, bits: int, dram: BankedDram | None
    ) -> None:
        self.layer, self.hardware, self.tensors = layer, hardware, tensors
        self.arrays, self.machine = lower_layer(layer), lower_machine(hardware, dataflow, layer)
        self.outputs = np.zeros((layer.N, layer.G, layer.K, layer.P, layer.Q), np.int64)
        self.in_dram = np.zeros(self.outputs.shape, np.bool_)
        self.counts = np.zeros(len(Count))
        self.array = self._array(dataflow)
        self.limit = 2 ** (bits - 1) - 1
        self.dram = dram

    def _array(self, name: str) -> Array:
        from accelsim.engine import array_kernels as kernels  # noqa: PLC0415 - numba is loaded only where it is used

        machine, flow = self.machine, self.hardware.dataflows[name]
        loops: list[Dim] = []
        place = [-1, -1, -1]
        for entry in flow.nest:
            if "." in entry:
                place[Operand[entry.partition(".")[2]]] = len(loops)
            else:
                loops.append(Dim[entry])
        steps = []
        for position, dim in enumerate(loops):
            again = dim in loops[position + 1 :]
            on_axis = dim in (machine.axis_dims[0], machine.axis_dims[1])
            axis = list(machine.axis_dims).index(dim) if on_axis else 0
            steps.append(int(machine.axis_sizes[axis]) if on_axis else int(machine.split[dim]) if again else 1)
        window = [
            [self.layer.stride[axis], self.layer.dilation[axis], pad, size]
            for axis, (pad, size) in enumerate(zip(self._pads(), image_size(self.layer), strict=True))
        ]
        return kernels.Array(
            loop_dim=np.array(loops, np.int64),
            loop_step=np.array(steps, np.int64),
            place=np.array(place, np.int64),
            kept=int(machine.kept),
            hidden=int(machine.kept_hidden),
            axis_dim=machine.axis_dims,
            axis_size=machine.axis_sizes,
            skips=int(flow.skips_zeros_of is not None),
            window=np.array(window, np.int64),
            rates=np.array([machine.read_port, machine.write_port, machine.switch_cycles]),
        )

    def _pads(self) -> tuple[int, int]:
        return (self.layer.padding.top, self.layer.padding.left) if self.layer.op is Op.CONV else (0, 0)

    def run(
        self,
        scopes: list[tuple[tuple[int, ...], tuple[int, ...]]],
        progress: Callable[[int, int], None] | None,
    ) -> Executed:
        from accelsim.engine import array_kernels as kernels  # noqa: PLC0415

        buffers = self._buffers(scopes)
        loads, stores, computing, iterations, overflows = [], [], [], 0.0, 0
        for number, (start, size) in enumerate(scopes):
            before = scopes[number - 1] if number else None
            after = scopes[number + 1] if number + 1 < len(scopes) else None
            loads.append(self._load(buffers, start, size, before))
            took, mine, large = kernels.run_tile(
                np.array(start), np.array(size), self.array, buffers, self.counts, self.limit
            )
            computing.append(took)
            iterations += mine
            overflows += large
            leaves = after is None or _identity(Operand.O, after) != _identity(Operand.O, (start, size))
            stores.append(self._store(buffers, start, size) if leaves else 0.0)
            if progress:
                progress(number + 1, len(scopes))
        cycles, dram, table = self._lockstep(loads, computing, stores)
        return Executed(
            outputs=self.outputs,
            counts=self.counts,
            cycles=cycles,
            array_cycles=sum(computing),
            dram_cycles=dram,
            iteration_cycles=iterations,
            overflows=overflows,
            tiles=table,
        )

    def _buffers(self, scopes: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> Buffers:
        from accelsim.engine import array_kernels as kernels  # noqa: PLC0415

        most = [
            max(math.prod(part.stop - part.start for part in self._box(o, *scope)) for scope in scopes) for o in Operand
        ]
        return kernels.Buffers(
            words_w=np.zeros(most[0], np.int16),
            words_i=np.zeros(most[1], np.int16),
            words_o=np.zeros(most[2], np.int64),
            begun=np.zeros(most[2], np.uint8),
            held_w=np.zeros(most[0], np.int16),
            held_i=np.zeros(most[1], np.int16),
            held_o=np.zeros(most[2], np.int64),
            stride=np.zeros((3, 5), np.int64),
            origin=np.zeros(5, np.int64),
            seen=np.zeros(most[1], np.int64),
            last_pixel=np.full((*self.machine.axis_sizes, 3), -1, np.int64),
        )

    def _box(self, operand: Operand, start: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
        """Return the part of an operand's tensor that a tile needs: of inputs, the pixels that its windows span."""
        kept = sorted(dim for dim in USES[operand] if operand is not Operand.I or dim < Dim.P)
        parts = [slice(start[dim], start[dim] + size[dim]) for dim in kept]
        if operand is Operand.I:
            for axis in range(2):
                stride, dilation, pad, extent = (int(value) for value in self.array.window[axis])
                low = start[Dim.P + axis] * stride + start[Dim.R + axis] * dilation - pad
                high = low + (size[Dim.P + axis] - 1) * stride + (size[Dim.R + axis] - 1) * dilation + 1
                parts.append(slice(max(low, 0), max(low, 0, min(high, extent))))
        return tuple(parts)

    def _load(
        self,
        buffers: Buffers,
        start: tuple[int, ...],
        size: tuple[int, ...],
        before: tuple[tuple[int, ...], tuple[int, ...]] | None,
    ) -> float:
        """Bring what the buffer does not hold of a tile; return the time of the DMA."""
        moved, banked = 0.0, 0.0
        for operand, words, tensor in (
            (Operand.W, buffers.words_w, self.tensors.weights),
            (Operand.I, buffers.words_i, self.tensors.inputs),
            (Operand.O, buffers.words_o, self.outputs),
        ):
            box = self._box(operand, start, size)
            if before is not None and _identity(operand, before) == _identity(operand, (start, size)):
                continue
            part = tensor[box]
            buffers.stride[operand] = [math.prod(part.shape[position + 1 :]) for position in range(5)]
            words[: part.size] = part.ravel()
            come = part.size
            if operand is Operand.I:
                buffers.origin[:] = [edge.start for edge in box]
            if operand is Operand.O:
                buffers.begun[: part.size] = self.in_dram[box].ravel()
                come = int(self.in_dram[box].sum())
            in_dram = come if operand is Operand.O else come * self.layer.stored[operand]  # O comes as partial sums
            self.counts[Count[f"DRAM_READ_{operand.name}"]] += in_dram
            self.counts[Count[f"GLB_WRITE_{operand.name}"]] += come
            moved += in_dram
            banked += self._banked_cycles(operand, box) if come else 0.0
        return self._transfer_cycles(moved, banked)

    def _transfer_cycles(self, words: float, banked: float) -> float:
        """Return the time of a transfer; nothing to move takes no time."""
        if not words:
            return 0.0
        return self.machine.dram_latency + (words / self.machine.dram_words_per_cycle if self.dram is None else banked)

    def _banked_cycles(self, operand: Operand, box: tuple[slice, ...]) -> float:
        """Return the cycles that the banks need for a part of an operand's tensor."""
        if self.dram is None:
            return 0.0
        tensors = (self.tensors.weights, self.tensors.inputs, self.outputs)
        first, length = runs_of(tensors[operand].shape, box)
        base = sum(tensor.size for tensor in tensors[:operand])
        word_bytes = -(-self.hardware.word_bits // 8)
        busy_ns = self.dram.transfer_ns((first + base) * word_bytes, length * word_bytes)
        return busy_ns * self.hardware.clock_mhz / 1000

    def _store(self, buffers: Buffers, start: tuple[int, ...], size: tuple[int, ...]) -> float:
        """Send the outputs of a tile to DRAM; return the time of the DMA."""
        box = self._box(Operand.O, start, size)
        part = self.outputs[box]
        part[...] = buffers.words_o[: part.size].reshape(part.shape)
        self.in_dram[box] = True
        self.counts[Count.GLB_READ_O] += part.size
        finished = start[Dim.C] + size[Dim.C] == self.layer.C
        in_dram = part.size * self.layer.stored[Operand.O] if finished else part.size
        self.counts[Count.DRAM_WRITE_O] += in_dram
        return self._transfer_cycles(in_dram, self._banked_cycles(Operand.O, box))

    @staticmethod
    def _lockstep(load: list[float], computing: list[float], store: list[float]) -> tuple[float, float, np.ndarray]:
        """Return the time of halves that swap at once, the DMA's, and (load, computation, store) of every tile."""
        cycles = load[0]
        for number, busy in enumerate(computing):
            following = load[number + 1] if number + 1 < len(load) else 0.0
            cycles += max(busy, following + (store[number - 1] if number else 0.0))
        return cycles + store[-1], sum(load) + sum(store), np.column_stack([load, computing, store])


def _identity(operand: Operand, scope: tuple[tuple[int, ...], tuple[int, ...]]) -> tuple[tuple[int, int], ...]:
    """Return what decides which tile of an operand a scope needs."""
    return tuple((scope[0][dim], scope[1][dim]) for dim in sorted(USES[operand]))
