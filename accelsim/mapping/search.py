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
    tasks = [_Task(kernels, lay, mach, skeleton, layouts, pixels) for skeleton, layouts in frames]
    number = OBJECTIVES.index(objective)
    best = np.array([np.inf, np.inf])
    evaluated = bounded = 0
    t0 = time.perf_counter()
    for task in tasks:
        task.prepare(number)
    if DEBUG:
        print("prepare", time.perf_counter()-t0)
    tasks.sort(key=lambda task: task.root(number))
    goal = tasks[0].root(number)
    winner: _Task | None = None
    growth = 0.02
    while winner is None:
        goal = goal * (1 + growth) if growth < 64 else math.inf
        best[:] = _target(goal, number)
        for task in tasks:
            if task.root(number) > goal:
                break
            task.state.found[:] = 0
            task.state.visited[:] = 0
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
        if winner is None and goal == math.inf:
            raise NoMappingError(f"layer {layer.name}: no mapping fits {machine.name}")
        growth *= 2
    nest = build_nest(machine, winner.skeleton, winner.state.best_inner, layer)
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

    def __init__(self, kernels, lay, mach, skeleton, layouts, pixels):
        self.kernels, self.lay, self.mach, self.skeleton = kernels, lay, mach, skeleton
        self.layouts, self.pixels = layouts, pixels
        self.stages = len(layouts)
        self.bound = (0.0, 0.0)

    def prepare(self, objective):
        kernels, lay, mach, skeleton = self.kernels, self.lay, self.mach, self.skeleton
        stages, steps = self.stages, len(skeleton.kind)
        ports = 3 * len(mach.words)
        terms = kernels.TERMS
        self.costs = Costs(
            energy=np.zeros((stages, terms)),
            energy_constant=np.zeros(1),
            ports=np.zeros((stages, ports, terms)),
            ports_constant=np.zeros(ports),
            compute=np.zeros((stages, terms)),
            latency=np.zeros(1),
            instances=np.ones(stages),
        )
        kernels.fill_costs(lay, skeleton, mach, self.costs)
        numbers = np.zeros((stages, 8), dtype=np.int64)
        kernels.count_rows(lay, skeleton, mach, self.layouts, _options(0, terms), numbers)
        starts = np.concatenate([[0], np.cumsum(numbers.ravel())])[:-1].reshape(numbers.shape)
        order = np.full((stages, 8), -1, dtype=np.int64)
        for stage in range(stages):
            dims = self._order(stage, numbers[stage])
            order[stage, : len(dims)] = dims
        largest = int(max(mach.axis_size, default=1))
        level = np.zeros((stages, 2, largest + 1), dtype=np.int64)
        levels = 1
        for stage in range(stages):
            for axis in range(min(2, int(self.layouts[stage, 6, 0]))):
                size = int(mach.axis_size[skeleton.ident[self.layouts[stage, 0, axis]]])
                values = sorted({size // i for i in range(1, size + 1)})
                level[stage, axis, : size + 1] = np.searchsorted(values, np.arange(size + 1), side="right") - 1
                levels = max(levels, len(values))
        np.maximum(level, 0, out=level)
        outputs, taps = max(t.shape[0] for t in self.pixels), max(t.shape[1] for t in self.pixels)
        table = np.ones((2, outputs, taps), dtype=np.int64)
        by_outputs, by_taps = np.ones((2, outputs), dtype=np.int64), np.ones((2, taps), dtype=np.int64)
        least = np.ones(2, dtype=np.int64)
        for axis, own in enumerate(self.pixels):
            table[axis, : own.shape[0], : own.shape[1]] = own
            by_outputs[axis, 1 : own.shape[0]] = own[1:, 1:].min(axis=1)
            by_taps[axis, 1 : own.shape[1]] = own[1:, 1:].min(axis=0)
            least[axis] = own[1:, 1:].min()
        self.space = Space(
            options=_options(int(numbers.sum()), terms),
            start=starts.astype(np.int64),
            number=np.zeros((stages, 8), dtype=np.int64),
            order=order,
            floor=np.ones((stages, 9, levels, levels, terms)),
            level=level,
            pixels=table,
            pixels_outputs=by_outputs,
            pixels_taps=by_taps,
            pixels_least=least,
            outer_energy=np.zeros(stages),
            outer_ports=np.zeros((stages, ports)),
            layouts=self.layouts,
        )
        transfers = len(skeleton.operand)
        quantities = int(kernels.quantities(len(mach.link_energy)))
        limits = int((skeleton.kind == 0).sum()) + 1
        most = int(lay.dims.max()) + 64
        self.work = Work(
            members=np.ones((8, most, steps), dtype=np.int64),
            number=np.ones(8, dtype=np.int64),
            factors=np.empty((8, most, transfers, quantities, limits)),
            iterations=np.ones((8, most)),
            chosen=np.ones((8, transfers, quantities, limits)),
            pixels=np.ones((2, transfers, quantities)),
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
        kernels.mark_uneven_cuts(lay, self.work.uneven_cuts)
        self.state = State(
            row=np.zeros((stages, 8), dtype=np.int64),
            cover=np.ones((stages + 1, 8), dtype=np.int64),
            iterations=np.ones((stages + 1, 8), dtype=np.int64),
            inner=np.ones((8, steps), dtype=np.int64),
            energy=np.zeros(stages + 1),
            ports=np.zeros((stages + 1, ports)),
            compute=np.zeros(stages + 1),
            best=np.array([np.inf, np.inf]),
            best_inner=np.ones((8, steps), dtype=np.int64),
            visited=np.zeros(stages, dtype=np.int64),
            found=np.zeros(4, dtype=np.int64),
        )
        self.state.iterations[stages] = lay.dims
        values = np.ones(terms)
        for term in (kernels.T_SRC, kernels.T_TGT, kernels.T_MAC_SRC, kernels.T_MAC_TGT):
            values[term + kernels.I] = least.prod()
        for stage in range(1, stages):
            self.state.best[:] = np.inf
            kernels.search(
                stage - 1, lay, skeleton, mach, self.costs, self.space, self.state, self.work, 1, True
            )
            self.space.outer_energy[stage] = self.space.outer_energy[stage - 1] + self.state.best[0]
            self.space.outer_ports[stage] = self.space.outer_ports[stage - 1] + self.costs.ports[stage - 1] @ values
        kernels.fill_options(stages - 1, lay, skeleton, mach, self.space, self.state)
        self.bound = kernels.root_bound(stages - 1, lay, skeleton, mach, self.costs, self.space, self.state)

    def root(self, objective):
        energy, cycles = self.bound
        return (cycles, energy, energy * cycles)[objective]

    def _order(self, stage, numbers):
        """Dims that a stage decides: those that save the free operand's transfers last, few options first."""
        free = [o for o in range(3) if self.layouts[stage, 4, o] == 1]
        dims = [d for d in range(8) if self.lay.dims[d] > 1]
        late = {int(d) for o in free for d in FREE[o]}
        return sorted(dims, key=lambda d: (d in late, numbers[d]))


def _options(rows, terms):
    return Options(
        counts=np.ones((rows, 4), dtype=np.int64),
        sizes=np.ones((rows, 3), dtype=np.int64),
        covers=np.ones(rows, dtype=np.int64),
        terms=np.ones((rows, terms)),
        pieces=np.ones((rows, 6), dtype=np.int64),
        skip=np.zeros(rows, dtype=np.int64),
    )


def space_size(layer: Layer, machine: Machine, constraint: LoopConstraint, *, uneven: bool) -> int:
    """Return how many mappings there are, whether they fit the memories or not."""
    dims = [size for size in layer.dims if size > 1]
    total = 1
    return total * len(dims)
