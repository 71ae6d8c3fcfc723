"""The cycle engine: executes a mapping with real numbers, and says what moved, what it took, and what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.compilation import announce
from accelsim.dims import Operand
from accelsim.engine.closed_form import MAC, Transfer
from accelsim.engine.pipeline import Timing, time_of
from accelsim.engine.program import Lowered, lower
from accelsim.engine.tensors import Tensors, padded, random_tensors
from accelsim.errors import InputError
from accelsim.mapping.hierarchy import Machine
from accelsim.mapping.nest import Nest, Place
from accelsim.workload.layer import Layer

if TYPE_CHECKING:
    from accelsim.engine.execute_kernels import State

TICKS_PER_CALL = 20_000
"""Iterations of the array between two calls of the progress callback."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Words that one operand moved over one boundary, over all instances.

    Attributes:
        operand: What was moved.
        source: Name of the outer memory.
        target: Name of the inner memory, or ``MAC``.
        source_words: Words at the outer side.
        target_words: Words at the inner side.
        read_back_words: Partial sums read back.
        link_words: By fan-out crossed, words on its links, read-back included.
        visits: Tiles brought; 0 towards the MACs.
    """

    operand: Operand
    source: str
    target: str
    source_words: int
    target_words: int
    read_back_words: int
    link_words: dict[str, int]
    visits: int


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What one run of a mapping did.

    Attributes:
        outputs: int64[N, G, K, P, Q], what arrived in the outermost memory.
        flows: Words over every boundary.
        macs: Multiply-accumulates.
        iterations: Iterations of the array.
        overflows: Times that a partial sum left the range of the accumulators.
        timing: Where the time went.
    """

    outputs: np.ndarray
    flows: tuple[Flow, ...]
    macs: int
    iterations: int
    overflows: int
    timing: Timing

    @property
    def cycles(self) -> float:
        """Time of the layer."""
        return self.timing.cycles


def execute(
    nest: Nest,
    layer: Layer,
    machine: Machine,
    tensors: Tensors | None = None,
    *,
    accumulator_bits: int = 32,
    trace: bool = False,
    path: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Execution:
    """Execute a (checked) mapping of a layer.

    Args:
        nest: The mapping.
        layer: The layer.
        machine: The machine.
        tensors: The operands; None draws small seeded ones.
        accumulator_bits: Width of partial sums, at most 63; sums outside are counted, not wrapped.
        trace: Whether to keep every event.
        path: Whether to find the critical path.
        progress: Called with (iterations done, iterations in all).

    Raises:
        InputError: The tensors are not the layer's.
        WorkloadError: The layer is too large.
    """
    from accelsim.engine import execute_kernels as kernels  # noqa: PLC0415 - numba is loaded only where it is used

    announce(kernels.run, "the cycle engine's", "a minute")
    lowered = lower(nest, layer, machine)
    values = random_tensors(layer) if tensors is None else tensors
    _check_tensors(layer, values)
    state, ticks = prepare(lowered, layer, machine, values, accumulator_bits)
    while not kernels.run(lowered.program, state, TICKS_PER_CALL):
        if progress:
            progress(int(state.scalar[kernels.TICKS]), ticks)
    if progress:
        progress(ticks, ticks)
    if state.scalar[kernels.FAULT]:
        raise AssertionError(f"mapping of {layer.name}: a tile was asked of a memory that does not hold it")
    shape = (layer.N, layer.G, layer.K, layer.P, layer.Q)
    return Execution(
        outputs=state.words_o[: int(np.prod(shape))].reshape(shape).copy(),
        flows=tuple(_flow(lowered, state, nest, number) for number in range(len(lowered.ways))),
        macs=int(state.scalar[kernels.MACS]),
        iterations=int(state.scalar[kernels.TICKS]),
        overflows=int(state.scalar[kernels.OVERFLOWS]),
        timing=time_of(lowered, state, nest, machine, trace=trace, path=path),
    )


def _check_tensors(layer: Layer, tensors: Tensors) -> None:
    expected = random_shapes(layer)
    for name, tensor, shape in zip(("weights", "inputs"), tensors, expected, strict=True):
        if tensor.shape != shape or tensor.dtype != np.int16:
            raise InputError(
                f"layer {layer.name}: {name} must be int16 of shape {shape}, got {tensor.dtype} of {tensor.shape}"
            )


def random_shapes(layer: Layer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes that the weights and the inputs of a layer must have."""
    from accelsim.engine.tensors import image_size  # noqa: PLC0415

    return (layer.G, layer.K, layer.C, layer.R, layer.S), (layer.N, layer.G, layer.C, *image_size(layer))


def prepare(
    lowered: Lowered, layer: Layer, machine: Machine, tensors: Tensors, accumulator_bits: int
) -> tuple[State, int]:
    """Return the state of a machine that is about to start, and the iterations that it will run."""
    from accelsim.engine import execute_kernels as kernels  # noqa: PLC0415

    program = lowered.program
    ways, points, classes = len(program.way_operand), len(program.point_first), len(program.point_class)
    visits = np.zeros(ways, dtype=np.int64)
    ticks, segments = kernels.survey(program, visits)
    image = padded(layer, tensors.inputs) if machine.stores_padding else tensors.inputs
    words = [0, 0, 0]
    for operand, count, size in zip(
        program.buffer_operand, program.buffer_instances, program.buffer_words, strict=True
    ):
        words[operand] += int(count * size)
    instances, spots = int(program.depth_instances[-1]), int(program.spot_count.max())
    words_w, words_i = np.zeros(words[0] + instances, np.int16), np.zeros(words[1] + instances, np.int16)
    words_w[: tensors.weights.size] = tensors.weights.ravel()
    words_i[: image.size] = image.ravel()
    rows = int(program.buffer_instances.sum())
    origin, extent = np.zeros((rows, 5), np.int64), np.full((rows, 5), -1, np.int64)
    for buffer, (operand, step) in enumerate(lowered.buffers):
        if step == 0:
            extent[program.buffer_row[buffer]] = _whole(operand, layer, image)
    merging = words[1] if program.way_merges.any() else 0
    linear = np.zeros(ways + 2, np.int64)
    linear[ways:] = -program.window[:, 2]
    for way in range(ways):
        if program.way_operand[way] == Operand.I:
            linear[way] = program.buffer_stride[program.way_source[way], 3:] @ linear[ways:]
    total = int(visits.sum())
    state = kernels.State(
        scalar=np.zeros(8, np.int64),
        index=np.zeros(len(program.loop_dim), np.int64),
        linear=linear,
        words_w=words_w,
        words_i=words_i,
        words_o=np.zeros(words[2], np.int64),
        begun=np.zeros(words[2], np.uint8),
        stored_by=np.zeros(words[2], np.int32),
        origin=origin,
        extent=extent,
        fresh=np.zeros((rows, 5), np.int64),
        brought=np.zeros((rows, 5), np.int64),
        start=np.zeros((8, spots), np.int64),
        size=np.zeros((8, spots), np.int64),
        working=np.full((ways, 8, spots), -1, np.int64),
        mark=np.zeros(classes, np.int64),
        first=np.zeros(classes, np.int64),
        word_mark=np.zeros(merging, np.int64),
        bus=np.zeros(merging, np.int16),
        total=np.zeros(instances, np.int64),
        total_back=np.zeros((len(program.net_rate), instances), np.int64),
        line_length=np.zeros(ways, np.int64),
        line=np.zeros((ways, instances), np.int64),
        line_at=np.zeros((ways, instances), np.int64),
        line_to=np.zeros((ways, instances), np.int64),
        line_leader=np.zeros((ways, instances), np.int64),
        line_pixel=np.zeros((ways, 2, instances), np.int64),
        line_range=np.zeros((ways, 2, 2), np.int64),
        line_chosen=np.zeros((points, instances), np.uint8),
        line_words=np.zeros(points, np.int64),
        line_busiest=np.zeros(ways, np.int64),
        line_net=np.zeros(ways),
        limit=np.array([2 ** (accumulator_bits - 1) - 1]),
        point_words=np.zeros(points, np.int64),
        target_words=np.zeros(ways, np.int64),
        back_words=np.zeros(ways, np.int64),
        visit_first=np.cumsum([0, *visits])[:-1],
        visit_count=np.zeros(ways, np.int64),
        visit_words=np.zeros((4, total), np.int32),
        visit_net=np.zeros((2, total)),
        visit_anew=np.zeros(total, np.uint8),
        visit_after=np.zeros(total, np.int32),
        visit_segment=np.zeros(total, np.int32),
        segment_fired=np.zeros(segments, np.int32),
        segment_ticks=np.zeros(segments, np.int32),
        segment_words=np.zeros((4, segments), np.int64),
        segment_net=np.zeros((4, segments)),
    )
    return state, int(ticks)


def _whole(operand: Operand, layer: Layer, image: np.ndarray) -> tuple[int, ...]:
    """Return the extents of an operand's whole tensor."""
    if operand is Operand.I:
        return image.shape
    if operand is Operand.W:
        return layer.G, layer.K, layer.C, layer.R, layer.S
    return layer.N, layer.G, layer.K, layer.P, layer.Q


def _flow(lowered: Lowered, state: State, nest: Nest, number: int) -> Flow:
    way: Transfer = lowered.ways[number]
    first = int(lowered.program.way_points[number])
    target_words, back = int(state.target_words[number]), int(state.back_words[number])
    outer, inner = nest.steps[way.source], nest.steps[way.target] if way.target < len(nest.steps) else None
    assert isinstance(outer, Place)

    def words(point: int) -> int:
        return target_words if point < 0 else int(state.point_words[first + point])

    links = {}
    for name, after, before, forward in lowered.crossings[number]:
        links[name] = words(after) + back - ((words(before) + back) if forward else 0)
    return Flow(
        operand=way.operand,
        source=outer.store,
        target=inner.store if isinstance(inner, Place) else MAC,
        source_words=words(0),
        target_words=target_words,
        read_back_words=back,
        link_words=links,
        visits=int(state.visit_count[number]),
    )
