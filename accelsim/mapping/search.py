"""The optimal mapper: the best mapping of a layer on a machine, of all that there are, with proof.

The search goes through skeletons (``accelsim.mapping.skeletons``) and, for each, chooses sizes from the innermost stage
out and dim by dim. What is chosen so far bounds energy and cycles from below, whatever else is chosen; what cannot beat
the best is cut off. To begin with a good best, the search is run for a target just above the bound, and again for a
looser one until it finds something; the last run is complete.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from accelsim.compilation import announce
from accelsim.dims import Operand
from accelsim.errors import NoMappingError
from accelsim.mapping.hierarchy import ANY, LoopConstraint, Machine
from accelsim.mapping.mapping import OBJECTIVES
from accelsim.mapping.nest import Nest
from accelsim.mapping.search_arrays import MachineArrays
from accelsim.mapping.search_tasks import LastStage, Task
from accelsim.mapping.skeletons import Frame, build_nest, frames, lower_layer, lower_machine, placings
from accelsim.workload.layer import Layer

FIRST_STEP = 0.01
"""How far above the bound the first target is, as a share of the bound."""

STEP_GROWTH = 1.4
"""How much further every next target is."""

STEP_GROWTH_OVER = 2.0
"""The same once the limit is reached without a mapping."""

LOOSEST = 1e6
"""From this share on there is no target."""

MOST_BOUNDS = 5_000_000
"""After how many bounds a search ends, complete or not, unless told otherwise: some seconds."""

REMEMBERED_MACHINES = 64
"""Of how many machines arrays and tables are kept."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best mapping.

    Attributes:
        nest: The mapping.
        cycles: Its time.
        energy: Its energy, in the machine's unit.
        space: Number of mappings that there are: tile sizes, loop orders, places, unrollings, bypasses; many of them
            fit no memory.
        evaluated: How many of them were evaluated exactly.
        bounded: How many bounds were computed to exclude the others.
        complete: Whether all others are proven to be no better; else the search has ended at its limit, or the machine
            is of a kind whose mappings are not all covered.
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
    most_bounds: int | None = MOST_BOUNDS,
) -> Found:
    """Return the best mapping of a layer.

    Args:
        layer: A layer that runs on the array.
        machine: The machine.
        constraint: The dataflow.
        objective: ``cycles`` (ties: energy), ``energy`` (ties: cycles) or ``edp`` (ties: cycles).
        uneven: Whether operands may be kept at places of their own within a memory.
        most_bounds: After how many bounds the search ends with the best so far, or None to go on to the end. If there
            is no mapping by then, a quarter as many go into every looser target until one is found.

    Raises:
        NoMappingError: No mapping fits the machine.
    """
    from accelsim.mapping import search_kernels as kernels  # noqa: PLC0415 - numba is loaded only where it is used

    announce(kernels.search, "the optimal mapper's", "two minutes")
    number = OBJECTIVES.index(objective)
    lay = lower_layer(layer, machine)
    mach = _remembered(_machines, machine, constraint, lambda: lower_machine(machine, constraint))
    known_frames = _remembered(
        _frames[uneven], machine, constraint, lambda: _frames_of(kernels, machine, constraint, mach, uneven=uneven)
    )
    pixels = [kernels.window_bounds(lay.dims, lay.window, axis)[0] for axis in range(2)]
    gaps = functools.cache(lambda axis, cuts: kernels.gap_pixels(lay.dims, lay.window, axis, cuts))
    given = LastStage(kernels, lay, mach, _remembered(_options, machine, constraint, _table))
    shared: dict[Any, Any] = {}
    known_alone: dict[Any, float] = {}
    tasks = [
        Task(kernels, lay, mach, frame, layouts, pixels, gaps, given, shared, known_alone)
        for frame, layouts in known_frames
    ]
    tasks.sort(key=lambda task: task.root(number))
    hunt = _Hunt(kernels, tasks, number, most_bounds)
    share = FIRST_STEP
    while hunt.winner is None:
        goal = tasks[0].root(number) * (1 + share) if share < LOOSEST else math.inf
        hunt.run(goal)
        if hunt.winner is None and math.isinf(goal):
            raise NoMappingError(f"layer {layer.name}: no mapping fits {machine.name}")
        share *= STEP_GROWTH_OVER if hunt.over else STEP_GROWTH
    return Found(
        nest=build_nest(machine, hunt.skeleton, hunt.sizes, layer),
        cycles=float(hunt.best[1]),
        energy=float(hunt.best[0]),
        space=space_size(layer, machine, constraint, uneven=uneven),
        evaluated=hunt.evaluated,
        bounded=hunt.bounded,
        complete=hunt.complete and _covered(machine, uneven=uneven),
    )


def _covered(machine: Machine, *, uneven: bool) -> bool:
    """Return whether the search is known to cover all mappings of such machines.

    Not seen are windows that slide and networks with rates. Where a word stays at the MAC and memories may be passed
    by, or in uneven mappings with either, brute force has found mappings that are better by little.
    """
    if any(store.slides for store in machine.stores) or any(fanout.words_per_cycle for fanout in machine.fanouts):
        return False
    stays = any(store.stays_at_mac for store in machine.stores)
    passed = any(store.may_bypass or len(store.keeps) < len(Operand) for store in machine.stores)
    return not (stays and passed) and not (uneven and (stays or passed))


class _Hunt:
    """Runs over all skeletons, one target after the other."""

    def __init__(self, kernels: Any, tasks: list[Task], objective: int, most_bounds: int | None) -> None:
        self.kernels, self.tasks, self.objective = kernels, tasks, objective
        self.most = np.iinfo(np.int64).max if most_bounds is None else most_bounds
        self.best = np.array([np.inf, np.inf])
        self.winner: Task | None = None
        self.skeleton = tasks[0].skeleton
        self.sizes = np.empty((0, 0), dtype=np.int64)
        self.evaluated = self.bounded = 0
        self.complete = True

    @property
    def over(self) -> bool:
        """Whether the limit is reached."""
        return self.bounded >= self.most

    def run(self, goal: float) -> None:
        """Look for the best mapping that beats a goal; over the limit, every skeleton gets its share of a quarter."""
        self.best[:] = _target(goal, self.objective)
        anything = self.over
        for task in self.tasks:
            if task.root(self.objective) > goal:
                break
            task.reset()
            state = task.state._replace(best=self.best)
            quota = self.most // (4 * len(self.tasks)) + 1
            state.found[4] = quota if anything else max(0, self.most - self.bounded)
            self.kernels.search(
                task.stages - 1, task.lay, task.skeleton, task.mach, task.costs, task.space, state, task.work,
                self.objective, 0,
            )  # fmt: skip
            self.evaluated += int(state.found[2])
            self.bounded += int(state.found[1])
            self.complete = self.complete and not state.found[3]
            if state.found[0]:
                self.winner, self.sizes = task, state.best_inner.copy()
                self.skeleton = task.skeleton._replace(stays=state.best_stays.copy())


def _target(goal: float, objective: int) -> tuple[float, float]:
    """Return the energy and cycles that a mapping has to beat to reach the goal."""
    huge = 1e300
    if math.isinf(goal):
        return math.inf, math.inf
    return ((huge, goal), (goal, huge), (goal, 1.0))[objective]


_machines: dict[Any, tuple[Machine, MachineArrays]] = {}
_frames: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})
_options: dict[Any, Any] = {}


def _table() -> dict[Any, tuple[np.ndarray, ...]]:
    return {}


def _remembered(memory: dict[Any, Any], machine: Machine, constraint: LoopConstraint, make: Callable[[], T]) -> T:
    """Return what was made of a machine and a constraint before, or make it."""
    key = (
        id(machine),
        tuple(sorted((axis, tuple(sorted(dims))) for axis, dims in constraint.unroll.items())),
        tuple(sorted(constraint.stationary.items())),
    )
    known = memory.get(key)
    if known is None or known[0] is not machine:
        if len(memory) >= REMEMBERED_MACHINES:
            memory.clear()
        known = memory[key] = (machine, make())
    value: T = known[1]
    return value


def _frames_of(
    kernels: Any, machine: Machine, constraint: LoopConstraint, mach: MachineArrays, *, uneven: bool
) -> list[tuple[Frame, np.ndarray]]:
    """Return the skeletons with the layouts of their stages' variants."""
    found = []
    for frame in frames(machine, constraint, uneven=uneven):
        layouts = np.zeros((sum(len(choice) for choice in frame.choices), 8, 4), dtype=np.int64)
        variant = 0
        for stage, choice in enumerate(frame.choices):
            for operand, _ in choice:
                stays = frame.skeleton.stays.copy()
                begin = 0 if stage == 0 else frame.skeleton.stage_start[stage - 1]
                stays[begin : frame.skeleton.stage_start[stage]] = operand
                kernels.stage_layout(stage, frame.skeleton._replace(stays=stays), mach, layouts[variant])
                variant += 1
        found.append((frame, layouts))
    return found


def space_size(layer: Layer, machine: Machine, constraint: LoopConstraint = ANY, *, uneven: bool = False) -> int:
    """Return how many mappings there are, whether they fit the memories or not.

    For every choice of bypasses and order of places: nested tile sizes along every dim (any integers), unrollings of
    every axis, and orders of the loops of every zone.
    """
    sizes = [size for size in layer.dims if size > 1]
    unrollings = 1
    for fanout in machine.fanouts:
        for axis in fanout.axes:
            allowed = axis.allowed & constraint.unroll.get(f"{fanout.name}.{axis.name}", axis.allowed)
            unrollings *= _unrollings(axis.size, sum(layer.dims[dim] > 1 for dim in allowed), axis.most_dims)
    total = 0
    for groups in placings(machine, uneven=uneven):
        places = sum(len(places) for places in groups) - 1
        nested = math.prod(math.comb(size + places - 1, places) for size in sizes)
        total += nested * math.factorial(len(sizes)) ** (places + 1)
    return total * unrollings


def _unrollings(size: int, dims: int, most: int) -> int:
    """Return in how many ways at most ``most`` of some dims can share an axis."""
    ways = [0] * (size + 1)  # by instances used: ordered products of counts of at least 2
    ways[1] = 1
    total = 1
    for used in range(1, min(most, dims) + 1):
        then = [0] * (size + 1)
        for before, number in enumerate(ways):
            for count in range(2, size // before + 1 if number else 0):
                then[before * count] += number
        ways = then
        total += sum(ways) * math.comb(dims, used)
    return total
