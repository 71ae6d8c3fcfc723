"""The optimal mapper: the best mapping of a layer on a machine, of all that there are, with proof.

The search goes through skeletons (``accelsim.mapping.skeletons``) and, for each, chooses sizes from the innermost stage
out and dim by dim. What is chosen so far bounds energy and cycles from below, whatever else is chosen; what cannot beat the
best is cut off. To begin with a good best, the search is run for a target just above the bound, and again for a looser
one until it finds something; the last run is complete.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from accelsim.dims import Dim
from accelsim.errors import NoMappingError
from accelsim.mapping.hierarchy import ANY, LoopConstraint, Machine
from accelsim.mapping.mapping import OBJECTIVES
from accelsim.mapping.nest import Nest
from accelsim.mapping.search_arrays import Costs, LayerArrays, MachineArrays, Options, Skeleton, Space, State, Work
from accelsim.mapping.skeletons import FREE, build_nest, lower_layer, lower_machine, skeletons
from accelsim.workload.layer import Layer


DEBUG = False
import time


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best mapping.

    Attributes:
        nest: The mapping.
        cycles: Its time.
        energy: Its energy, in the machine's unit.
        space: Number of mappings that there are: tile sizes, loop orders, places, unrollings, bypasses.
        evaluated: How many of them were evaluated exactly.
        bounded: How many bounds were computed to exclude the others.
        complete: Whether all others are proven to be no better.
    """

    nest: Nest
    cycles: float
    energy: float
    space: int
    evaluated: int
    bounded: int
    complete: bool


def search(
    layer: Layer,
    machine: Machine,
    constraint: LoopConstraint = ANY,
    objective: str = "edp",
    *,
    uneven: bool = False,
) -> Found:
    """Return the best mapping of a layer.

    Args:
        layer: A layer that runs on the array.
        machine: The machine.
        constraint: The dataflow.
        objective: ``cycles`` (ties: energy), ``energy`` (ties: cycles) or ``edp`` (ties: cycles).
        uneven: Whether operands may be kept at places of their own within a memory.

    Raises:
        NoMappingError: No mapping fits the machine.
    """
    from accelsim.mapping import search_kernels as kernels  # noqa: PLC0415 - numba is loaded only where it is used

    lay = lower_layer(layer, machine)
    mach = _machine(machine, _Key(constraint))
    frames = _skeletons(machine, _Key(constraint), uneven)
    pixels = [kernels.window_bounds(lay.dims, lay.window, axis)[0] for axis in range(2)]
    number = OBJECTIVES.index(objective)
    t0 = time.perf_counter()
    given = _LastStage(kernels, lay, mach, _memory(machine, _Key(constraint)))
    shared: dict = {}
    tasks = [_Task(kernels, lay, mach, skeleton, layouts, pixels, given, shared) for skeleton, layouts in frames]
    best = np.array([np.inf, np.inf])
    evaluated = bounded = 0
    if DEBUG:
        print("prepare", time.perf_counter() - t0)
    tasks.sort(key=lambda task: task.root(number))
    root = tasks[0].root(number)
    goal = root
    winner: _Task | None = None
    growth = 0.01
    while winner is None:
        goal = root * (1 + growth) if growth < 1e6 else math.inf
        best[:] = _target(goal, number)
        for task in tasks:
            if task.root(number) > goal:
                break
            task.reset()
            t0=time.perf_counter()
            kernels.search(
                task.stages - 1, lay, task.skeleton, mach, task.costs, task.space, task.state._replace(best=best), task.work,
                number, False,
            )  # fmt: skip
            evaluated += int(task.state.found[2])
            if DEBUG:
                print(goal, task.skeleton.stays[task.skeleton.kind==0], task.bound, task.state.found, task.state.visited, best, time.perf_counter()-t0)
            bounded += int(task.state.found[1])
            if task.state.found[0]:
                winner = task
                sizes = task.state.best_inner.copy()
        if winner is None and goal == math.inf:
            raise NoMappingError(f"layer {layer.name}: no mapping fits {machine.name}")
        growth *= 1.4
    nest = build_nest(machine, winner.skeleton, sizes, layer)
    return Found(
        nest=nest,
        cycles=float(best[1]),
        energy=float(best[0]),
        space=space_size(layer, machine, constraint, uneven=uneven),
        evaluated=evaluated,
        bounded=bounded,
        complete=True,
    )


def _target(goal: float, objective: int) -> tuple[float, float]:
    """Return the energy and cycles that a mapping has to beat to reach the goal."""
    huge = 1e300
    if math.isinf(goal):
        return math.inf, math.inf
    return ((huge, goal), (goal, huge), (goal, 1.0))[objective]


class _Key:
    """A constraint as a key of a cache: equal and hashed by its content."""

    def __init__(self, constraint: LoopConstraint) -> None:
        self.constraint = constraint
        self._content = (
            constraint.name,
            tuple(sorted((axis, tuple(sorted(dims))) for axis, dims in constraint.unroll.items())),
            tuple(sorted(constraint.stationary.items())),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)


_machines: dict[tuple[int, _Key], tuple[Machine, MachineArrays]] = {}


def _machine(machine: Machine, key: _Key) -> MachineArrays:
    known = _machines.get((id(machine), key))
    if known is None or known[0] is not machine:
        if len(_machines) > 256:
            _machines.clear()
        known = _machines[id(machine), key] = (machine, lower_machine(machine, key.constraint))
    return known[1]


_memories: dict[tuple[int, _Key], tuple[Machine, dict]] = {}


def _memory(machine: Machine, key: _Key) -> dict:
    known = _memories.get((id(machine), key))
    if known is None or known[0] is not machine:
        if len(_memories) > 16:
            _memories.clear()
        known = _memories[id(machine), key] = (machine, {})
    return known[1]


_frames: dict[tuple[int, _Key, bool], tuple[Machine, list[tuple[Skeleton, np.ndarray]]]] = {}


def _skeletons(machine: Machine, key: _Key, uneven: bool) -> list[tuple[Skeleton, np.ndarray]]:
    known = _frames.get((id(machine), key, uneven))
    if known is None or known[0] is not machine:
        if len(_frames) > 256:
            _frames.clear()
        from accelsim.mapping import search_kernels as kernels  # noqa: PLC0415

        found = []
        for skeleton in skeletons(machine, key.constraint, uneven=uneven):
            layouts = np.zeros((len(skeleton.stage_start) - 1, 8, 4), dtype=np.int64)
            for stage in range(len(layouts)):
                kernels.stage_layout(stage, skeleton, _machine(machine, key), layouts[stage])
            found.append((skeleton, layouts))
        known = _frames[id(machine), key, uneven] = (machine, found)
    return known[1]


class _Task:
    """The search through one skeleton."""

    def __init__(self, kernels, lay, mach, skeleton, layouts, pixels, given, shared):
        self.kernels, self.lay, self.mach, self.skeleton = kernels, lay, mach, skeleton
        self.layouts, self.pixels, self.given = layouts, pixels, given
        self.stages = len(layouts)
        self.least = np.array([own[1:, 1:].min() for own in pixels])
        shape = (self.stages, len(skeleton.kind), len(skeleton.operand), int((skeleton.kind == 0).sum()))
        if shape not in shared:
            shared[shape] = (_state(kernels, lay, mach, *shape), _work(kernels, lay, mach, *shape))
        self.state, self.work = shared[shape]
        self.prepare()

    def prepare(self):
        kernels, lay, mach, skeleton = self.kernels, self.lay, self.mach, self.skeleton
        stages = self.stages
        ports, terms = 3 * len(mach.words), kernels.TERMS
        self.costs = _costs(mach, stages, terms)
        kernels.fill_costs(lay, skeleton, mach, self.costs)
        last = self.given(self.layouts[-1], skeleton, stages - 1)
        numbers = np.zeros((stages, 8), dtype=np.int64)
        if stages > 1:
            kernels.count_rows(lay, skeleton, mach, self.layouts[:-1], _options(0, terms), numbers)
        numbers[-1] = last.number
        starts = np.concatenate([[0], np.cumsum(numbers.ravel())])[:-1].reshape(numbers.shape)
        order = np.full((stages, 8), -1, dtype=np.int64)
        for stage in range(stages):
            dims = self._order(stage, numbers[stage])
            order[stage, : len(dims)] = dims
        level, levels = _levels(self.layouts, skeleton, mach)
        options = _options(int(numbers.sum()), terms)
        offset = int(starts[-1, 0])
        options.counts[offset:], options.sizes[offset:] = last.counts, last.sizes
        options.covers[offset:], options.iterations[offset:] = last.covers, last.iterations
        self.space = Space(
            options=options,
            start=starts.astype(np.int64),
            number=np.concatenate([np.zeros((stages - 1, 8), dtype=np.int64), numbers[-1:]]),
            order=order,
            floor=np.ones((stages, 9, levels, levels, terms)),
            level=level,
            pixels=_padded(self.pixels),
            largest=np.ones((stages, 8, 6), dtype=np.int64),
            outer_energy=np.zeros(stages),
            outer_ports=np.zeros((stages, ports)),
            layouts=self.layouts,
        )
        state = self.state
        state.known[:] = 0
        values = np.ones(terms)
        values[kernels.T_ITER] = 0
        for term in (kernels.T_SRC, kernels.T_TGT, kernels.T_MAC_SRC, kernels.T_MAC_TGT):
            values[term + kernels.I] = self.least.prod()
        for stage in range(1, stages):
            state.cover[:] = 1
            state.iterations[:] = lay.dims
            state.best[:] = np.inf
            kernels.search(stage - 1, lay, skeleton, mach, self.costs, self.space, state, self.work, 1, True)
            self.space.outer_energy[stage] = self.space.outer_energy[stage - 1] + state.best[0]
            self.space.outer_ports[stage] = self.space.outer_ports[stage - 1] + self.costs.ports[stage - 1] @ values
        self.reset()
        kernels.fill_last(lay, skeleton, mach, self.space)
        self.bound = kernels.root_bound(stages - 1, lay, skeleton, mach, self.costs, self.space, state)

    def reset(self):
        state = self.state
        state.cover[:] = 1
        state.iterations[:] = self.lay.dims
        state.energy[-1] = state.compute[-1] = 0.0
        state.ports[-1] = 0.0
        state.known[:] = 0
        state.found[:] = 0
        state.visited[:] = 0
        self.work.memory_chains[:] = 0
        self.work.memory_pairs[:] = 0

    def root(self, objective):
        energy, cycles = self.bound
        return (cycles, energy, energy * cycles)[objective]

    def _order(self, stage, numbers):
        """Return the dims in the order in which a stage decides them.

        What decides much of the energy comes first; what saves the free operand's transfers, last.
        """
        kernels = self.kernels
        weight = np.zeros(4)
        weight[:3] = self.costs.energy[stage, kernels.T_SRC : kernels.T_SRC + 3]
        weight[kernels.I] *= self.least.prod()
        weight[:3][self.layouts[stage, 4, :3] == 1] = -1.0
        dims = [d for d in range(8) if self.lay.dims[d] > 1]
        return sorted(dims, key=lambda d: (-weight[kernels.FREE_OF[d]], numbers[d]))


@dataclass(frozen=True)
class _Given:
    """Options of the last stage, by dim one after the other."""

    counts: np.ndarray
    sizes: np.ndarray
    covers: np.ndarray
    iterations: np.ndarray
    number: np.ndarray


class _LastStage:
    """The options of the last stage: they depend on no skeleton, and on a layer by a few numbers only."""

    def __init__(self, kernels, lay, mach, memory):
        self.kernels, self.lay, self.mach, self.memory = kernels, lay, mach, memory
        self.known: dict[bytes, _Given] = {}

    def __call__(self, layout, skeleton, stage):
        signature = layout[[0, 1, 2, 3, 6]].copy()
        signature[2] = signature[2] >= 0
        key = signature.tobytes()
        if key not in self.known:
            parts = [self._dim(dim, key, layout, skeleton, stage) for dim in range(8)]
            joined = [np.concatenate([part[k] for part in parts]) for k in range(4)]
            self.known[key] = _Given(*joined, number=np.array([len(part[2]) for part in parts], dtype=np.int64))
        return self.known[key]

    def _dim(self, dim, signature, layout, skeleton, stage):
        kernels, lay = self.kernels, self.lay
        size = int(lay.dims[dim])
        if size == 1:
            return _rows(_options(0, 1))
        window = (lay.window[dim % 2].tobytes(), int(lay.dims[6 + dim % 2])) if dim >= 4 else ()
        key = (signature, dim, size, window)
        if key not in self.memory:
            ones = np.ones(8, dtype=np.int64)
            arguments = (dim, stage, ones, lay.dims, lay, skeleton, self.mach, layout, 0)
            rows = kernels.options_of(*arguments, _options(0, 1), True)
            table = _options(rows, 1)
            kernels.options_of(*arguments, table, False)
            self.memory[key] = _rows(table)
        return self.memory[key]


def _rows(table):
    return table.counts, table.sizes, table.covers, table.iterations


def _options(rows, terms):
    return Options(
        counts=np.ones((rows, 4), dtype=np.int64),
        sizes=np.ones((rows, 3), dtype=np.int64),
        covers=np.ones(rows, dtype=np.int64),
        terms=np.empty((rows, terms)),
        pieces=np.empty((rows, 6), dtype=np.int64),
        iterations=np.ones(rows, dtype=np.int64),
        skip=np.empty(rows, dtype=np.int64),
    )


def _costs(mach, stages, terms):
    ports = 3 * len(mach.words)
    return Costs(
        energy=np.zeros((stages, terms)),
        energy_constant=np.zeros(1),
        ports=np.zeros((stages, ports, terms)),
        ports_constant=np.zeros(ports),
        compute=np.zeros((stages, terms)),
        latency=np.zeros(1),
        instances=np.ones(stages),
        first=np.zeros(1),
        limited=np.flatnonzero(np.isfinite(mach.rates).ravel()),
    )


def _levels(layouts, skeleton, mach):
    """Return ``Space.level`` and the most levels that an axis has."""
    largest = int(max(mach.axis_size, default=1))
    level = np.zeros((len(layouts), 2, largest + 1), dtype=np.int64)
    levels = 1
    for stage, layout in enumerate(layouts):
        for axis in range(min(2, int(layout[6, 0]))):
            size = int(mach.axis_size[skeleton.ident[layout[0, axis]]])
            values = sorted({size // i for i in range(1, size + 1)})
            level[stage, axis, : size + 1] = np.searchsorted(values, np.arange(size + 1), side="right") - 1
            levels = max(levels, len(values))
    return np.maximum(level, 0), levels


def _padded(pixels):
    """Return the tables of both image axes as one array."""
    table = np.ones((2, max(t.shape[0] for t in pixels), max(t.shape[1] for t in pixels)), dtype=np.int64)
    for axis, own in enumerate(pixels):
        table[axis, : own.shape[0], : own.shape[1]] = own
    return table


def _work(kernels, lay, mach, stages, steps, transfers, zones):
    quantities = int(kernels.quantities(len(mach.link_energy)))
    most = int(lay.dims.max()) + 64
    places = 251
    work = Work(
        members=np.ones((8, most, steps), dtype=np.int64),
        number=np.ones(8, dtype=np.int64),
        origin=np.zeros((8, most), dtype=np.int64),
        iterations=np.ones((8, most)),
        memory_chains=np.zeros((8, places, steps), dtype=np.int64),
        memory_factors=np.empty((8, places, transfers, quantities, zones + 1)),
        memory_iterations=np.empty((8, places)),
        memory_pairs=np.zeros((2, places, 2, steps), dtype=np.int64),
        memory_pixels=np.empty((2, places, transfers, quantities)),
        picked=np.zeros(10, dtype=np.int64),
        loops=np.zeros((steps, 3), dtype=np.bool_),
        windows=np.empty((2, most, transfers, quantities)),
        option=np.ones((stages, 64, 7), dtype=np.int64),
        options=np.zeros(stages, dtype=np.int64),
        inner=np.ones((8, steps), dtype=np.int64),
        flags=np.zeros(steps + 1, dtype=np.bool_),
        keyed=np.zeros(steps + 1, dtype=np.bool_),
        sizes=np.zeros(steps + 3, dtype=np.int64),
        times=np.zeros(steps + 3),
        runs=np.zeros((6, 2, int(lay.dims.max()) + 2), dtype=np.int64),
        pairs=np.zeros((2, int((lay.dims[4:6] * lay.dims[6:8]).max()) + 2), dtype=np.int64),
        value=np.zeros(quantities + 2),
        reads=np.zeros(len(mach.words)),
        writes=np.zeros(len(mach.words)),
        uneven_cuts=np.zeros((2, int(lay.dims[4:6].max()) + 1), dtype=np.bool_),
    )
    kernels.mark_uneven_cuts(lay, work.uneven_cuts)
    return work


def _state(kernels, lay, mach, stages, steps, transfers, zones):
    ports, terms = 3 * len(mach.words), kernels.TERMS
    return State(
        row=np.zeros((stages, 8), dtype=np.int64),
        cover=np.ones((stages + 1, 8), dtype=np.int64),
        iterations=np.ones((stages + 1, 8), dtype=np.int64),
        inner=np.ones((8, steps), dtype=np.int64),
        energy=np.zeros(stages + 1),
        ports=np.zeros((stages + 1, ports)),
        compute=np.zeros(stages + 1),
        freed=np.zeros((stages + 1, 3)),
        best=np.array([np.inf, np.inf]),
        best_inner=np.ones((8, steps), dtype=np.int64),
        known=np.zeros((stages, 8, 2), dtype=np.int64),
        position=np.zeros(stages, dtype=np.int64),
        rows=np.full((stages, 9), -1, dtype=np.int64),
        terms=np.ones((stages, 9, terms)),
        pixel=np.ones((stages, 9, 2, 6)),
        free=np.ones((stages, 9, 4), dtype=np.int64),
        used=np.zeros((stages, 9, 4), dtype=np.int64),
        sizes=np.ones((stages, 3, 8), dtype=np.int64),
        decided=np.ones((stages, 8), dtype=np.bool_),
        pieces=np.ones((stages, 6, 8), dtype=np.int64),
        left=np.ones((stages, 9, 3)),
        firsts=np.ones((stages, 9)),
        remaining=np.ones((stages, 9)),
        visited=np.zeros(stages, dtype=np.int64),
        found=np.zeros(4, dtype=np.int64),
    )


def space_size(layer: Layer, machine: Machine, constraint: LoopConstraint, *, uneven: bool) -> int:
    """Return how many mappings there are, whether they fit the memories or not."""
    dims = [size for size in layer.dims if size > 1]
    total = 1
    return total * len(dims)
