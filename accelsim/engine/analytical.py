"""The closed-form engine: cycles, energy and traffic of a layer under its best mapping."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

import msgspec
import numpy as np

from accelsim import cache
from accelsim.compilation import announce
from accelsim.dims import Operand
from accelsim.errors import WorkloadError
from accelsim.hardware.spec import Hardware
from accelsim.lowering import TILED_DIMS, lower_layer, lowered, tile_candidates
from accelsim.mapping.arrays import Count
from accelsim.mapping.mapping import OBJECTIVES, NestMapping, build_mapping
from accelsim.mapping.mapping import Mapping as LoopNest
from accelsim.workload.layer import Layer

ENERGY_COMPONENTS = {
    "mac": (Count.MAC, Count.MAC),
    "rf": (Count.RF_READ_W, Count.RF_WRITE_O),
    "noc": (Count.LINK, Count.LINK),
    "glb": (Count.GLB_READ_W, Count.GLB_WRITE_O),
    "dram": (Count.DRAM_READ_W, Count.DRAM_WRITE_O),
}
"""First and last count that each component of the energy sums."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the mapper says of one layer and dataflow: plain data, as the cache keeps it.

    Attributes:
        tile: Size of the buffer's tile along every dim.
        order: Loop order over the tiles, as of ``build_mapping``.
        space: Number of mappings in the space.
        walked: How many of them were evaluated in full.
        times: Cycles of the layer, of the array, of the DMA, and of the array's iterations alone.
        counts: One number per ``Count``.
    """

    tile: tuple[int, ...]
    order: tuple[int, ...]
    space: int
    walked: int
    times: tuple[float, ...]
    counts: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class LayerResult:
    """What one layer costs.

    Attributes:
        layer: The layer.
        mapping: The best mapping found.
        cycles: Time of the layer, rounded up.
        array_cycles: Cycles in which the array works on a tile, preload, fill and drain included.
        iteration_cycles: Cycles that its multiply-accumulates alone need, skipped ones left out.
        dram_cycles: Cycles in which the DMA transfers or waits for DRAM.
        counts: float64 per ``Count``, words moved and MACs executed.
        energy: Energy by component (mac, rf, noc, glb, dram), in the hardware's unit.
        space: Number of mappings in the space searched, all of them covered.
        walked: How many of them were evaluated in full; the others were proven worse by a lower bound.
    """

    layer: Layer
    mapping: LoopNest | NestMapping
    cycles: int
    array_cycles: float
    iteration_cycles: float
    dram_cycles: float
    counts: np.ndarray
    energy: dict[str, float]
    space: int
    walked: int

    @property
    def total_energy(self) -> float:
        """Energy of the layer, in the hardware's unit."""
        return sum(self.energy.values())

    @property
    def bound(self) -> str:
        """What the layer waits for: ``dram``, ``compute``, or ``glb`` (loads and drains of the array)."""
        if self.dram_cycles > self.array_cycles:
            return "dram"
        return "compute" if 2 * self.iteration_cycles >= self.array_cycles else "glb"


def solve_layer(layer: Layer, hardware: Hardware, dataflow: str, objective: str) -> Answer | None:
    """Return the best mapping of a layer under one dataflow, or None if no tile fits the buffer.

    Args:
        layer: A layer that runs on the array.
        hardware: The accelerator.
        dataflow: Name of one of its dataflows.
        objective: One of ``OBJECTIVES``; ties go to the other quantity.

    Raises:
        WorkloadError: The layer is too large.
    """
    from accelsim.mapping import kernels  # noqa: PLC0415 - numba is loaded only where something is searched

    announce(kernels.solve, "the mapper's", "15 s")
    arrays, machine = lower_layer(layer), lowered(hardware).arrays(dataflow, layer)
    for whole_blocks in (True, False):
        try:
            sizes, lengths = tile_candidates(arrays, machine, whole_blocks=whole_blocks)
        except WorkloadError as wrong:
            raise WorkloadError(f"layer {layer.name}: {wrong}") from None
        found, tile, order, space, walked, times, counts = kernels.solve(
            sizes, lengths, arrays, machine, OBJECTIVES.index(objective)
        )
        if found:
            break
    else:
        return None
    return Answer(
        tile=tuple(map(int, tile)),
        order=tuple(map(int, order)),
        space=int(space),
        walked=int(walked),
        times=tuple(map(float, times)),
        counts=tuple(map(float, counts)),
    )


def question(layer: Layer, hardware: Hardware, dataflow: str, objective: str) -> bytes:
    """Return the cache key of what ``solve_layer`` would compute."""
    return cache.key_of(lower_layer(layer), lowered(hardware).key(dataflow, layer), objective)


def best_of(results: Iterable[LayerResult], objective: str) -> LayerResult:
    """Return the best of some results of a layer; ties go to the first.

    Args:
        results: What the layer costs under every dataflow to choose from, one at least.
        objective: One of ``OBJECTIVES``.
    """
    return min(results, key=lambda result: _score(float(result.cycles), result.total_energy, objective))


def layer_result(layer: Layer, hardware: Hardware, dataflow: str, answer: Answer) -> LayerResult:
    """Return what a layer costs under what ``solve_layer`` says for a dataflow."""
    cycles, array_cycles, dram_cycles, iteration_cycles = answer.times
    return LayerResult(
        layer=layer,
        mapping=build_mapping(layer, hardware, dataflow, answer.tile, answer.order),
        cycles=math.ceil(cycles),
        array_cycles=array_cycles,
        iteration_cycles=iteration_cycles,
        dram_cycles=dram_cycles,
        counts=np.array(answer.counts),
        energy=_energy(hardware, dataflow, answer),
        space=answer.space,
        walked=answer.walked,
    )


def best_answer(answers: Mapping[str, Answer], hardware: Hardware, objective: str) -> str:
    """Return the dataflow that ``best_of`` would choose from its answer's result, without building the others' nests.

    Args:
        answers: What ``solve_layer`` says, by dataflow; one at least.
        hardware: The accelerator.
        objective: One of ``OBJECTIVES``.
    """
    if len(answers) == 1:
        return next(iter(answers))
    values = {
        flow: _score(math.ceil(answer.times[0]), sum(_energy(hardware, flow, answer).values()), objective)
        for flow, answer in answers.items()
    }
    return min(values, key=values.__getitem__)


def _energy(hardware: Hardware, dataflow: str, answer: Answer) -> dict[str, float]:
    spent = (np.array(answer.counts) * lowered(hardware).unit_energies(dataflow)).tolist()
    return {name: float(sum(spent[first : last + 1])) for name, (first, last) in ENERGY_COMPONENTS.items()}


def _score(cycles: float, energy: float, objective: str) -> tuple[float, float]:
    return {"cycles": (cycles, energy), "energy": (energy, cycles), "edp": (cycles * energy, cycles)}[objective]


def why_nothing_fits(layer: Layer, hardware: Hardware) -> str:
    """Return the sentence that names the smallest need, operand by operand, and what the buffer has."""
    from accelsim.mapping import kernels  # noqa: PLC0415

    arrays = lower_layer(layer)
    needs = []
    # An operand that is cut takes two tiles of room, so that a whole one may take less: try both along every dim.
    for cut in product((True, False), repeat=len(TILED_DIMS)):
        tile = arrays.dims.copy()
        tile[: len(TILED_DIMS)][list(cut)] = 1
        needs.append(kernels.buffer_need(tile, kernels.tile_counts(tile, arrays), arrays))
    need = min(needs, key=np.sum)
    _, buffer = hardware.outer_memories
    parts = ", ".join(f"{operand.name} {int(need[operand])}" for operand in Operand)
    return (
        f"layer {layer.name}: no tile fits {buffer.name} of {hardware.name}: the smallest needs {int(need.sum())} "
        f"words ({parts}), it has {buffer.capacity_words(hardware.word_bits)}"
    )
