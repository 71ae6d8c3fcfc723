"""The optimal mapper: the best mapping of a layer on a machine, of all that there are, with proof.

The search goes through skeletons (``accelsim.mapping.skeletons``) and, for each, chooses sizes from the innermost stage
out and dim by dim. What is chosen so far bounds energy and cycles from below, whatever else is chosen; what cannot beat
the best is cut off. To begin with a good best, the search is run for a target just above the bound, and again for a
looser one until it finds something; the last run is complete.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from accelsim.compilation import announce
from accelsim.dims import Operand
from accelsim.errors import NoMappingError
from accelsim.mapping.hierarchy import ANY, LoopConstraint, Machine
from accelsim.mapping.mapping import OBJECTIVES
from accelsim.mapping.nest import Nest
from accelsim.mapping.search_arrays import MachineArrays, State
from accelsim.mapping.search_tasks import LastStage, Task, kept_table, rank
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

MOST_BOUNDS = 8_000_000
"""After how many bounds a search ends, complete or not, unless told otherwise: some seconds."""

BOUNDS_BEFORE_WALK = 20_000
"""After how many bounds without a mapping one is looked for by walks."""

WALK_MOVES = 2000
"""How many changes a walk tries."""

WALK_THRESHOLDS = (0.1, 0.3, 1.0)
"""By what share the first changes of walks, one after the other, may be for the worse."""

FIRST_WALKS = 12
"""How many walks are made for a first mapping."""

FEWEST_WALKS, MOST_WALKS = 4, 72
"""How many walks are made when the limit is reached: one for every ``BOUNDS_A_WALK`` of the limit, but so many."""

BOUNDS_A_WALK = 10_000
"""How many bounds a walk takes the time of, about."""

MOST_WALKED = 24
"""Through how many skeletons walks are made."""

FRONT_STEPS = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Tolerances for which a front is searched before the one that is asked for."""

MOST_ON_FRONT = 1000
"""Mappings that a front can have."""

EQUAL = 1e-9
"""The share within which costs are equal."""

EDP = OBJECTIVES.index("edp")

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

    def rank(self, objective: str) -> float:
        """Return what the objective makes least."""
        return rank(self.energy, self.cycles, OBJECTIVES.index(objective))


@dataclass(frozen=True, kw_only=True)
class Front:
    """Mappings that no other one beats in both energy and cycles.

    Attributes:
        mappings: By growing cycles and falling energy: the fastest, that of least energy, and so many between them that
            for every mapping there is one with no more energy and cycles, but for the tolerance.
        tolerance: The share by which that may be missed, as far as it is proven.
        complete: Whether the tolerance is proven to be what was asked for; else the search has ended at its limit, or
            the machine is of a kind whose mappings are not all covered.
    """

    mappings: tuple[Found, ...]
    tolerance: float
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

    Where a search through uneven mappings ends at its limit, the uniform ones among them are searched by themselves.

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
    (found,) = search_top(layer, machine, constraint, objective, top=1, uneven=uneven, most_bounds=most_bounds)
    if not uneven or found.complete:
        return found
    (uniform,) = search_top(layer, machine, constraint, objective, top=1, most_bounds=most_bounds)
    best = min(found, uniform, key=lambda one: one.rank(objective))
    return replace(
        best,
        space=found.space,
        evaluated=found.evaluated + uniform.evaluated,
        bounded=found.bounded + uniform.bounded,
        complete=False,
    )


def search_top(
    layer: Layer,
    machine: Machine,
    constraint: LoopConstraint = ANY,
    objective: str = "edp",
    *,
    top: int,
    uneven: bool = False,
    most_bounds: int | None = MOST_BOUNDS,
) -> list[Found]:
    """Return the best mappings of a layer that differ in kind, the best first; fewer if there are no more kinds.

    Two mappings are of one kind if every axis has the same dims unrolled along it, by whatever counts, and every memory
    keeps the same operands; axes of a fan-out that allow the same may be swapped. Sizes, counts and loop orders make no
    other kind. Of every kind there is the best mapping. Kinds that are equal in the objective, and in what decides
    ties, come in the order in which they were found, which is always the same.

    What is cut off cannot beat the last of the table; what an option stands for without being listed is of its kind.

    Args:
        layer: As of ``search``, like what is not named here.
        machine: The machine.
        constraint: The dataflow.
        objective: What the best is.
        top: How many mappings at most.
        uneven: As of ``search``.
        most_bounds: As of ``search``; over the limit, the table is filled up by one run without a target.

    Raises:
        NoMappingError: No mapping fits the machine.
    """
    tasks = _tasks(layer, machine, constraint, uneven=uneven, apart=top > 1)
    hunt = _Hunt(tasks, top, most_bounds)
    hunt.rank(OBJECTIVES.index(objective))
    return _results(hunt, layer, machine, constraint, uneven=uneven, complete=hunt.complete)


def search_front(
    layer: Layer,
    machine: Machine,
    constraint: LoopConstraint = ANY,
    *,
    tolerance: float = 0.01,
    uneven: bool = False,
    most_bounds: int | None = MOST_BOUNDS,
) -> Front:
    """Return the front of energy and cycles of a layer's mappings.

    The fastest mapping and that of least energy are searched first. One search then cuts off what cannot have less
    energy, or fewer cycles, than a mapping on the front by more than the tolerance. It is run for looser tolerances
    first, so that the front is there early; the last run is complete.

    Args:
        layer: As of ``search``, like what is not named here.
        machine: The machine.
        constraint: The dataflow.
        tolerance: By what share mappings on the front may be worse than what they stand for; 0 asks for all.
        uneven: As of ``search``.
        most_bounds: After how many bounds each of the three searches ends with what it has, or None.

    Raises:
        NoMappingError: No mapping fits the machine.
    """
    tasks = _tasks(layer, machine, constraint, uneven=uneven, apart=False)
    ends = [_Hunt(tasks, 1, most_bounds) for _ in range(2)]
    for objective, end in enumerate(ends):
        end.rank(objective)
    hunt = _Hunt(tasks, MOST_ON_FRONT, most_bounds)
    hunt.begin_front(ends)
    proven = hunt.front_tolerance()
    for step in (*FRONT_STEPS, tolerance):
        if tolerance <= step < proven or step == tolerance:
            hunt.run_front(step)
            proven = min(proven, step if hunt.complete else hunt.front_tolerance())
        if not hunt.complete:
            break
    complete = hunt.complete and all(end.complete for end in ends)
    hunt.evaluated += sum(end.evaluated for end in ends)
    hunt.bounded += sum(end.bounded for end in ends)
    found = _results(hunt, layer, machine, constraint, uneven=uneven, complete=complete)
    return Front(mappings=tuple(found), tolerance=max(0.0, proven), complete=found[0].complete)


def _tasks(layer: Layer, machine: Machine, constraint: LoopConstraint, *, uneven: bool, apart: bool) -> list[Task]:
    """Return the searches through all skeletons; ``apart`` is whether kinds of mappings are told apart."""
    from accelsim.mapping import search_kernels as kernels  # noqa: PLC0415 - numba is loaded only where it is used

    announce(kernels.search, "the optimal mapper's", "two minutes")
    lay = lower_layer(layer, machine)
    mach = _remembered(_machines, machine, constraint, lambda: lower_machine(machine, constraint))
    known_frames = _remembered(
        _frames[uneven], machine, constraint, lambda: _frames_of(kernels, machine, constraint, mach, uneven=uneven)
    )
    mach = mach._replace(by_kind=np.array([apart], dtype=np.int64))
    pixels = [kernels.window_bounds(lay.dims, lay.window, axis)[0] for axis in range(2)]
    gaps = functools.cache(lambda axis, cuts: kernels.gap_pixels(lay.dims, lay.window, axis, cuts))
    given = LastStage(kernels, lay, mach, _remembered(_options[apart], machine, constraint, _table))
    shared: dict[Any, Any] = {}
    known_alone: dict[Any, np.ndarray] = {}
    return [
        Task(kernels, lay, mach, frame, layouts, pixels, gaps, given, shared, known_alone)
        for frame, layouts in known_frames
    ]


def _results(
    hunt: _Hunt, layer: Layer, machine: Machine, constraint: LoopConstraint, *, uneven: bool, complete: bool
) -> list[Found]:
    """Return the mappings that a hunt has kept."""
    if hunt.number == 0:
        raise NoMappingError(f"layer {layer.name}: no mapping fits {machine.name}")
    space = space_size(layer, machine, constraint, uneven=uneven)
    complete = complete and _covered(machine, uneven=uneven)
    found = []
    for row in range(hunt.number):
        skeleton = hunt.tasks[int(hunt.kept["kept_task"][row])].skeleton
        steps = len(skeleton.kind)
        skeleton = skeleton._replace(stays=hunt.kept["kept_stays"][row, :steps])
        energy, cycles = hunt.kept["kept_costs"][row]
        found.append(
            Found(
                nest=build_nest(machine, skeleton, hunt.kept["kept_inner"][row, :, :steps], layer),
                cycles=float(cycles),
                energy=float(energy),
                space=space,
                evaluated=hunt.evaluated,
                bounded=hunt.bounded,
                complete=complete,
            )
        )
    return found


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
    """Runs over all skeletons that fill one table of mappings: one target, or one tolerance, after the other."""

    def __init__(self, tasks: list[Task], rows: int, most_bounds: int | None) -> None:
        self.tasks = tasks
        self.most = np.iinfo(np.int64).max if most_bounds is None else most_bounds
        self.kept = kept_table(rows, len(tasks[0].mach.axis_size), max(len(task.skeleton.kind) for task in tasks))
        self.best = np.array([np.inf, np.inf])
        self.evaluated = self.bounded = 0
        self.searched = [number for number, task in enumerate(tasks) if not task.too_large]
        self.complete = len(self.searched) == len(tasks)

    @property
    def number(self) -> int:
        """How many mappings are kept."""
        return int(self.kept["kept"][0])

    @property
    def full(self) -> bool:
        """Whether there are as many mappings as are asked for."""
        return self.number == len(self.kept["kept_task"])

    @property
    def over(self) -> bool:
        """Whether the limit is reached."""
        return self.bounded >= self.most

    def rank(self, objective: int) -> None:
        """Fill the table with the best mappings; it is not full only if there are no more."""
        least = min((self.tasks[number].root(objective) for number in self.searched), default=math.inf)
        share = FIRST_STEP
        if len(self.searched) < len(self.tasks):
            self.walk(MOST_WALKS, objective)
            share = LOOSEST if self.value(objective) < math.inf else share
        while True:
            goal = least * (1 + share) if share < LOOSEST else math.inf
            before = self.value(objective)
            self.run(goal, objective)
            if self.over and len(self.kept["kept_task"]) == 1:
                self.walk(min(MOST_WALKS, max(FEWEST_WALKS, self.most // BOUNDS_A_WALK)), objective)
            value = self.value(objective)
            if math.isinf(goal) or (value < math.inf and (goal >= before or value < before or self.over)):
                break
            if math.isinf(value) and len(self.kept["kept_task"]) == 1 and self.bounded >= BOUNDS_BEFORE_WALK:
                self.walk(FIRST_WALKS, objective)
                share = LOOSEST if self.number else share
            share *= STEP_GROWTH_OVER if self.over else STEP_GROWTH

    def value(self, objective: int) -> float:
        """Return what has to be beaten: the last of a full table."""
        if not self.full:
            return math.inf
        energy, cycles = map(float, self.kept["kept_costs"][-1])
        return rank(energy, cycles, objective)

    def walk(self, walks: int, objective: int) -> None:
        """Look for a good mapping by walks through the skeletons, those of the lowest bounds first."""
        self.best[:] = self.kept["kept_costs"][-1] if self.full else math.inf
        order = self._by_bound(range(len(self.tasks)), objective)
        each = -(-walks // min(len(order), MOST_WALKED))
        for number in order[:MOST_WALKED]:
            if self.tasks[number].root(objective) >= self.value(objective):
                break
            task = self.tasks[number]
            for walk in range(each):
                state = self._begin(number)
                threshold = WALK_THRESHOLDS[walk % len(WALK_THRESHOLDS)]
                task.kernels.walk(
                    WALK_MOVES, walk, threshold, task.lay, task.skeleton, task.mach, task.space, state, task.work,
                    objective,
                )  # fmt: skip
                self.evaluated += int(state.found[2])

    def run(self, goal: float, objective: int) -> None:
        """Look for the best mappings that beat a goal; over the limit, every skeleton gets its share of a quarter."""
        known = self.full and self.value(objective) <= goal
        self.best[:] = self.kept["kept_costs"][-1] if known else _target(goal, objective)
        quota = self.most // (4 * len(self.tasks)) + 1 if self.over else None
        for number in self._by_bound(self.searched, objective):
            if self.tasks[number].root(objective) > min(goal, self.value(objective) * (1 + EQUAL)):
                break
            self._search(number, objective, quota)

    def begin_front(self, ends: Sequence[_Hunt]) -> None:
        """Begin a front with the best mappings in cycles and in energy."""
        self.best = np.zeros(2 + 2 * len(self.kept["kept_task"]))
        (fastest, least) = ends
        if fastest.number and fastest.kept["kept_costs"][0, 0] <= least.kept["kept_costs"][0, 0] * (1 + 1e-9):
            ends = [fastest]
        for row, end in enumerate(ends if fastest.number else ()):
            for name in ("kept_costs", "kept_kind", "kept_inner", "kept_stays", "kept_task"):
                self.kept[name][row] = end.kept[name][0]
            self.kept["kept"][0] = row + 1
        costs = self.kept["kept_costs"][: self.number]
        self.best[0], self.best[2 : 2 + costs.size] = self.number, costs.ravel()

    def run_front(self, tolerance: float) -> None:
        """Look for all mappings that nothing on the front covers."""
        if self.number == 0:
            return
        self.best[1] = 1 + max(tolerance, EQUAL)
        kernels = self.tasks[0].kernels
        for number in self._by_bound(self.searched, EDP):
            task = self.tasks[number]
            if not all(kernels.covered(*root, self.best) for root in task.space.root[task.variants[-2] :]):
                self._search(number, kernels.FRONT, None)

    def front_tolerance(self) -> float:
        """Return the tolerance that the fastest mapping and that of least energy prove by themselves."""
        if self.number == 0:
            return 0.0
        costs = self.kept["kept_costs"][: self.number]
        return float((costs / costs.min(axis=0)).max(axis=1).min()) - 1

    def _by_bound(self, numbers: Sequence[int], objective: int) -> list[int]:
        """Return numbers of tasks, those of the lowest bounds first."""
        return sorted(numbers, key=lambda number: self.tasks[number].root(objective))

    def _begin(self, number: int) -> State:
        """Return the state with which a task begins."""
        self.tasks[number].reset()
        self.kept["kept"][1] = number
        return self.tasks[number].state._replace(best=self.best, **self.kept)

    def _search(self, number: int, objective: int, quota: int | None) -> None:
        task = self.tasks[number]
        state = self._begin(number)
        state.found[4] = max(0, self.most - self.bounded) if quota is None else quota
        task.kernels.search(
            task.stages - 1, task.lay, task.skeleton, task.mach, task.costs, task.space, state, task.work, objective,
            0,
        )  # fmt: skip
        self.evaluated += int(state.found[2])
        self.bounded += int(state.found[1])
        self.complete = self.complete and not state.found[3]


def _target(goal: float, objective: int) -> tuple[float, float]:
    """Return the energy and cycles that a mapping has to beat to reach the goal."""
    huge = 1e300
    if math.isinf(goal):
        return math.inf, math.inf
    return ((huge, goal), (goal, huge), (goal, 1.0))[objective]


_machines: dict[Any, tuple[Machine, MachineArrays]] = {}
_frames: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})
_options: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})


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
