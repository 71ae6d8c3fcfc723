"""The search through one skeleton: its tables, its bounds, its workspace.

Tables that several skeletons share are made once: the options of the last stage depend on no skeleton and, of a layer,
on the size of one dim and its window, so that they are kept from layer to layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from accelsim.dims import Operand
from accelsim.mapping.search_arrays import Costs, LayerArrays, MachineArrays, Options, Skeleton, Space, State, Work
from accelsim.mapping.skeletons import Frame

PLACES_REMEMBERED = 251
"""How many chains of sizes, and pairs of them, have their factors remembered; a prime, since it divides a hash."""

MOST_BOUNDS_ALONE = 10_000
"""After how many bounds a search that only bounds a stage from below ends without an answer."""

MOST_POINTS = 12
"""How many points a front of energy and waiting has at most."""

WAITING_STEP = 0.65
"""By what factor one limit of waiting is tighter than the one before."""

MOST_ENERGY = 8.0
"""Tighter limits of waiting are not looked at from this multiple of the least energy on."""

MOST_OPTIONS = 5_000_000
"""How many options the tables of all skeletons may have, about 1.5 GB; others are not searched, only walked through."""

MEMBERS_MORE = 64
"""How many chains more than the largest dim one choice of options may stand for."""

Shape = tuple[int, int, int, int, int]
"""Stages, variants, steps, transfers and zones of a skeleton: what its workspace depends on."""


@dataclass(frozen=True)
class _Given:
    """Options of the last stage, by dim one after the other."""

    counts: np.ndarray
    sizes: np.ndarray
    covers: np.ndarray
    iterations: np.ndarray
    number: np.ndarray


class _TooManyError(Exception):
    """A table would have more than ``MOST_OPTIONS`` options."""


class LastStage:
    """The options of the last stage: they depend on no skeleton, and on a layer by a few numbers only."""

    def __init__(
        self, kernels: ModuleType, lay: LayerArrays, mach: MachineArrays, memory: dict[Any, tuple[np.ndarray, ...]]
    ) -> None:
        self.kernels, self.lay, self.mach, self.memory = kernels, lay, mach, memory
        self.known: dict[bytes, _Given] = {}
        self.options = 0  # of the tables of all skeletons so far

    def __call__(self, layout: np.ndarray, skeleton: Skeleton) -> _Given:
        """Return the options of a skeleton's last stage."""
        signature = layout[[0, 1, 2, 3, 6]].copy()
        signature[2] = signature[2] >= 0
        key = signature.tobytes()
        if key not in self.known:
            parts = [self._dim(dim, key, layout, skeleton) for dim in range(8)]
            joined = [np.concatenate([part[k] for part in parts]) for k in range(4)]
            number = np.array([len(part[2]) for part in parts], dtype=np.int64)
            self.known[key] = _Given(joined[0], joined[1], joined[2], joined[3], number)
        return self.known[key]

    def _dim(self, dim: int, signature: bytes, layout: np.ndarray, skeleton: Skeleton) -> tuple[np.ndarray, ...]:
        kernels, lay = self.kernels, self.lay
        size = int(lay.dims[dim])
        if size == 1:
            return _rows(_options(0, 1))
        window = (lay.window[dim % 2].tobytes(), int(lay.dims[6 + dim % 2])) if dim >= 4 else ()
        key = (signature, dim, size, window)
        if key not in self.memory:
            ones = np.ones(8, dtype=np.int64)
            arguments = (dim, ones, lay.dims, lay, skeleton, self.mach, layout, 0)
            rows = kernels.options_of(*arguments, _options(0, 1), True)
            if rows > MOST_OPTIONS:
                raise _TooManyError
            table = _options(rows, 1)
            kernels.options_of(*arguments, table, False)
            self.memory[key] = _rows(table)
        return self.memory[key]


class Task:
    """The search through one skeleton."""

    def __init__(
        self,
        kernels: ModuleType,
        lay: LayerArrays,
        mach: MachineArrays,
        frame: Frame,
        layouts: np.ndarray,
        pixels: list[np.ndarray],
        gaps: Callable[[int, int], np.ndarray],
        given: LastStage,
        shared: dict[Shape, tuple[State, Work]],
        known_alone: dict[Any, np.ndarray],
    ) -> None:
        self.known_alone = known_alone
        self.kernels, self.lay, self.mach, self.skeleton = kernels, lay, mach, frame.skeleton
        self.layouts, self.pixels, self.given = layouts, pixels, given
        self.gap_pixels = gaps
        self.choices = frame.choices
        self.stages = len(frame.choices)
        self.variants = np.concatenate([[0], np.cumsum([len(choice) for choice in frame.choices])]).astype(np.int64)
        self.stage_of = np.repeat(np.arange(self.stages), [len(choice) for choice in frame.choices])
        self.least = np.array([own[1:, 1:].min() for own in pixels])
        skeleton = self.skeleton
        zones = int((skeleton.kind == 0).sum())
        shape = (self.stages, len(layouts), len(skeleton.kind), len(skeleton.operand), zones)
        if shape not in shared:
            state = _state(kernels, mach, self.stages, len(layouts), len(skeleton.kind))
            shared[shape] = (state, _work(kernels, lay, mach, self.stages, *shape[2:]))
        self.state, self.work = shared[shape]
        self._prepare()

    def _prepare(self) -> None:
        kernels, lay, mach, skeleton = self.kernels, self.lay, self.mach, self.skeleton
        stages, last, every = self.stages, int(self.variants[-2]), len(self.layouts)
        terms, largest = kernels.TERMS, int(lay.dims.max())
        self.costs = _costs(mach, stages, terms)
        kernels.fill_costs(lay, skeleton, mach, self.costs)
        given, numbers = [], np.zeros((every, 8), dtype=np.int64)
        if last:
            kernels.count_rows(lay, skeleton, mach, self.layouts[:last], _options(0, terms), numbers)
        try:
            given = [self.given(layout, skeleton) for layout in self.layouts[last:]]
            numbers[last:] = [rows.number for rows in given]
            self.given.options += int(numbers.sum())
            self.too_large = self.given.options > MOST_OPTIONS
        except _TooManyError:
            self.too_large = True
        if self.too_large:
            self.given.options -= int(numbers.sum())
            given, numbers[:] = [], 0
        starts = np.concatenate([[0], np.cumsum(numbers.ravel())])[:-1].reshape(numbers.shape)
        order = np.full((every, 8), -1, dtype=np.int64)
        for variant in range(every):
            dims = self._order(variant, numbers[variant])
            order[variant, : len(dims)] = dims
        level, levels = _levels(self.layouts, skeleton, mach)
        options = _options(int(numbers.sum()), terms)
        for rows, start in zip(given, starts[last:, 0], strict=False):  # none if there are too many
            part = slice(start, start + len(rows.covers))
            options.counts[part], options.sizes[part] = rows.counts, rows.sizes
            options.covers[part], options.iterations[part] = rows.covers, rows.iterations
        numbers[:last] = 0
        self.space = Space(
            variants=self.variants,
            stays=np.array([int(operand) for choice in self.choices for operand, _ in choice], dtype=np.int64),
            once=np.array([once for choice in self.choices for _, once in choice], dtype=np.int64),
            root=np.zeros((every, 2)),
            options=options,
            start=starts.astype(np.int64),
            number=numbers,
            order=order,
            floor=np.ones((every, 9, levels, levels, terms)),
            level=level,
            pixels=_padded(self.pixels),
            largest=np.ones((every, 8, 6), dtype=np.int64),
            outer_energy=np.zeros(every),
            front=np.zeros((every, MOST_POINTS, 2)),
            points=np.ones(every, dtype=np.int64),
            outer_ports=np.zeros((stages, 3 * len(mach.words))),
            layouts=self.layouts,
            gaps=self._gaps(),
            remembered=np.zeros((every, 8, largest + 1), dtype=np.bool_),
            remembered_terms=np.empty((every, 8, largest + 1, terms)),
            remembered_pieces=np.empty((every, 8, largest + 1, 6), dtype=np.int64),
            mirrored=np.array([_mirrored(lay, mach, skeleton, self.choices)], dtype=np.int64),
        )
        self.state.known[:] = 0
        if self.too_large:
            return
        for stage in range(1, stages):
            self._bound_outside(stage)
        self.reset()
        for variant in range(last, every):
            kernels.fill_last(variant, lay, skeleton, mach, self.space)
            self.space.root[variant] = kernels.root_bound(
                stages - 1, variant, lay, skeleton, mach, self.costs, self.space, self.state
            )

    def _bound_outside(self, stage: int) -> None:
        """Bound what the stages outside one take: their energy alone, by the stage's variant, and their words."""
        kernels, space = self.kernels, self.space
        first, end = self.variants[stage], self.variants[stage + 1]
        for variant in range(first, end):
            sums = []
            for outer in range(self.variants[stage - 1], first):
                further = space.front[outer, : space.points[outer]]
                own = self._alone(stage, outer, variant)
                sums.append((own[:, np.newaxis] + further[np.newaxis]).reshape(-1, 2))
            front = _thinned(_lowest(np.concatenate(sums)), MOST_POINTS)
            space.front[variant, : len(front)], space.points[variant] = front, len(front)
            space.outer_energy[variant] = front[:, 0].min()
        values = np.ones(kernels.TERMS)
        values[kernels.T_ITER] = 0
        for term in (kernels.T_SRC, kernels.T_TGT, kernels.T_MAC_SRC, kernels.T_MAC_TGT):
            values[term + kernels.I] = self.least.prod()
        space.outer_ports[stage] = space.outer_ports[stage - 1] + self.costs.ports[stage - 1] @ values

    def _alone(self, stage: int, outer: int, variant: int) -> np.ndarray:
        """Return what a variant of the stage outside another one's variant takes at least, looked at alone.

        Rows are energy and the cycles that the array waits for first tiles; every mapping takes no less of both than
        one of the rows.
        """
        kernels, space, state = self.kernels, self.space, self.state
        state.variant[stage - 1], state.variant[stage] = outer, variant
        freed, passes = np.zeros(3), np.ones(3)
        kernels.free_inside(stage - 1, self.lay, self.skeleton, self.mach, self.costs, space, state, freed, passes)
        layout = self.layouts[outer].copy()  # told from others' by memories, axes, and what is moved, not by numbers
        layout[:2] = np.where(layout[:2] >= 0, self.skeleton.ident[layout[:2]], -1)
        layout[[2, 5]] = layout[[2, 5]] >= 0
        costs = self.costs
        outside = (layout.tobytes(), costs.energy[stage - 1].tobytes(), costs.compute[stage - 1].tobytes())
        if outside not in self.known_alone:
            self.known_alone[outside] = self._by_waiting(stage)
        front = self.known_alone[outside]
        if not freed.any():
            return front
        inside = (*outside, freed.tobytes(), passes[freed > 0].tobytes())
        if inside not in self.known_alone:
            more, whole = self._least(stage, kernels.WITH_STAYS, MOST_BOUNDS_ALONE)
            raised = np.maximum(front, [more, 0.0]) if whole else front
            self.known_alone[inside] = _lowest(raised)
        return self.known_alone[inside]

    def _by_waiting(self, stage: int) -> np.ndarray:
        """Return the least energy of the stage outside another one by how long the array waits for its tiles.

        A mapping that waits for more than a limit takes that limit, and the least energy under a looser one, at least.
        """
        kernels, lay = self.kernels, self.lay
        least, _ = self._least(stage, kernels.ALONE, np.iinfo(np.int64).max)
        words = np.where(kernels.USES == 1, lay.dims, 1).astype(float)
        words[kernels.I, 4:] = 1.0
        words[kernels.I, 4:6] = lay.window[:, 3]
        tiles = self.costs.compute[stage - 1, kernels.T_TILE_SRC : kernels.T_PASS].reshape(2, 3).sum(axis=0)
        limit = float(words.prod(axis=1) @ tiles)
        points, energy = [], least
        for _ in range(MOST_POINTS - 1 if limit > 0 else 0):
            limit *= WAITING_STEP
            points.append((energy, limit))
            energy = max(energy, self._least(stage, kernels.ALONE, np.iinfo(np.int64).max, limit)[0])
            if energy > least * MOST_ENERGY:
                break
        points.append((energy, 0.0))
        return _lowest(np.array(points))

    def _least(self, stage: int, alone: int, most: int, waiting: float = np.inf) -> tuple[float, bool]:
        """Return the least energy of the stage outside another one, and whether ``most`` bounds were enough.

        Only mappings count in which the array waits for at most ``waiting`` cycles.
        """
        state = self.state
        state.cover[:] = 1
        state.iterations[:] = self.lay.dims
        state.best[:] = np.inf, waiting
        state.found[1], state.found[3], state.found[4] = 0, 0, most
        self.kernels.search(
            stage - 1, self.lay, self.skeleton, self.mach, self.costs, self.space, state, self.work, 1, alone
        )
        return float(state.best[0]), not state.found[3]

    def _gaps(self) -> np.ndarray:
        """Return ``Space.gaps``: places outside a stage, and outside the inputs' place within it, can cut."""
        kernels, lay = self.kernels, self.lay
        table = np.zeros((self.stages, 2, int(lay.dims[4:6].max()) + 1), dtype=np.int64)
        places = 0
        for stage, layout in enumerate(self.layouts[self.variants[:-1]]):
            cuts = places + max(0, int(layout[3, kernels.I]))
            for axis in range(2):
                words = self.gap_pixels(axis, cuts)
                table[stage, axis, : len(words)] = words
            places += int(layout[6, 1])
        return table

    def reset(self) -> None:
        """Forget what an earlier search has chosen and found."""
        state = self.state
        state.cover[:] = 1
        state.iterations[:] = self.lay.dims
        state.energy[-1] = state.compute[-1] = 0.0
        state.ports[-1] = 0.0
        state.known[:] = 0
        state.found[:] = 0
        state.found[4] = np.iinfo(np.int64).max
        self.work.memory_chains[:] = 0
        self.work.memory_pairs[:] = 0
        self.work.rows[:] = -1

    def root(self, objective: int) -> float:
        """Return what the objective is at least."""
        roots = self.space.root[self.variants[-2] :]
        return float(min(rank(energy, cycles, objective) for energy, cycles in roots))

    def _order(self, variant: int, numbers: np.ndarray) -> list[int]:
        """Return the dims in the order in which a stage decides them.

        What decides much of the energy comes first; what saves the free operand's transfers, last.
        """
        kernels = self.kernels
        stage = self.stage_of[variant]
        weight = np.zeros(4)
        weight[:3] = self.costs.energy[stage, kernels.T_SRC : kernels.T_SRC + 3]
        weight[kernels.I] *= self.least.prod()
        weight[:3][self.layouts[variant, 4, :3] == 1] = -1.0
        dims = [d for d in range(8) if self.lay.dims[d] > 1]
        return sorted(dims, key=lambda d: (-weight[kernels.FREE_OF[d]], numbers[d]))


def _mirrored(
    lay: LayerArrays, mach: MachineArrays, skeleton: Skeleton, choices: tuple[tuple[tuple[Operand, int], ...], ...]
) -> bool:
    """Return whether P and Q, and R and S, can change places in every mapping at no cost.

    They cannot if mappings that unroll other dims are told apart.
    """
    alike = all(lay.dims[a] == lay.dims[a + 1] for a in (4, 6)) and bool((lay.window[0] == lay.window[1]).all())
    masks = [*mach.axis_dims, *skeleton.once, *(once for choice in choices for _, once in choice)]
    return (
        alike
        and not mach.by_kind[0]
        and all((int(mask) >> a) & 1 == (int(mask) >> (a + 1)) & 1 for mask in masks for a in (4, 6))
    )


def rank(energy: float, cycles: float, objective: int) -> float:
    """Return what an objective (its index in ``OBJECTIVES``) makes least."""
    return (cycles, energy, energy * cycles)[objective]


def _lowest(points: np.ndarray) -> np.ndarray:
    """Return the points (energy, cycles) that no other one is below in both, by growing energy."""
    kept: list[np.ndarray] = []
    for point in points[np.lexsort((points[:, 1], points[:, 0]))]:
        if np.isfinite(point).all() and (not kept or point[1] < kept[-1][1]):
            kept.append(point)
    return np.array(kept) if kept else np.array([[np.inf, np.inf]])


def _thinned(points: np.ndarray, most: int) -> np.ndarray:
    """Return at most so many points, each no higher in both than those that it stands for; by growing energy."""
    if len(points) <= most:
        return points
    parts = np.array_split(points, most)
    return np.array([part.min(axis=0) for part in parts])


def _rows(table: Options) -> tuple[np.ndarray, ...]:
    return table.counts, table.sizes, table.covers, table.iterations


def _options(rows: int, terms: int) -> Options:
    return Options(
        counts=np.ones((rows, 4), dtype=np.int64),
        sizes=np.ones((rows, 3), dtype=np.int64),
        covers=np.ones(rows, dtype=np.int64),
        terms=np.empty((rows, terms)),
        pieces=np.empty((rows, 6), dtype=np.int64),
        iterations=np.ones(rows, dtype=np.int64),
        skip=np.empty(rows, dtype=np.int64),
    )


def _costs(mach: MachineArrays, stages: int, terms: int) -> Costs:
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


def _levels(layouts: np.ndarray, skeleton: Skeleton, mach: MachineArrays) -> tuple[np.ndarray, int]:
    """Return ``Space.level`` and the most levels that an axis has."""
    largest = int(max(mach.axis_size, default=1))
    level = np.zeros((len(layouts), 2, largest + 1), dtype=np.int64)
    levels = 1
    for variant, layout in enumerate(layouts):
        for axis in range(min(2, int(layout[6, 0]))):
            size = int(mach.axis_size[skeleton.ident[layout[0, axis]]])
            values = sorted({size // i for i in range(1, size + 1)})
            level[variant, axis, : size + 1] = np.searchsorted(values, np.arange(size + 1), side="right") - 1
            levels = max(levels, len(values))
    return np.maximum(level, 0), levels


def _padded(pixels: list[np.ndarray]) -> np.ndarray:
    """Return the tables of both image axes as one array."""
    table = np.ones((2, max(t.shape[0] for t in pixels), max(t.shape[1] for t in pixels)), dtype=np.int64)
    for axis, own in enumerate(pixels):
        table[axis, : own.shape[0], : own.shape[1]] = own
    return table


def _work(
    kernels: ModuleType, lay: LayerArrays, mach: MachineArrays, stages: int, steps: int, transfers: int, zones: int
) -> Work:
    quantities = int(kernels.quantities(len(mach.link_energy)))
    most = int(lay.dims.max()) + MEMBERS_MORE
    places = max(PLACES_REMEMBERED, most + 1)
    work = Work(
        members=np.ones((8, most, steps), dtype=np.int64),
        number=np.ones(8, dtype=np.int64),
        origin=np.zeros((8, most), dtype=np.int64),
        iterations=np.ones((8, most)),
        memory_chains=np.zeros((8, places, steps), dtype=np.int64),
        memory_factors=np.zeros((8, places, transfers, quantities, zones + 1)),
        memory_iterations=np.empty((8, places)),
        memory_pairs=np.zeros((2, places, 2, steps), dtype=np.int64),
        memory_pixels=np.zeros((2, places, transfers, quantities)),
        picked=np.zeros(10, dtype=np.int64),
        loops=np.zeros((steps, 3), dtype=np.bool_),
        limits=np.zeros(transfers, dtype=np.int64),
        chains=np.ones((2, most, steps + 1), dtype=np.int64),
        rows=np.full((8, stages), -1, dtype=np.int64),
        renewed=np.ones(8, dtype=np.bool_),
        windows=np.zeros((2, most, transfers, quantities)),
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
        rough=np.zeros(2, dtype=np.bool_),
        uneven_cuts=np.zeros((2, int(lay.dims[4:6].max()) + 1), dtype=np.bool_),
    )
    kernels.mark_uneven_cuts(lay, work.uneven_cuts)
    return work


def _state(kernels: ModuleType, mach: MachineArrays, stages: int, variants: int, steps: int) -> State:
    ports, terms = 3 * len(mach.words), kernels.TERMS
    return State(
        row=np.zeros((stages, 8), dtype=np.int64),
        cover=np.ones((stages + 1, 8), dtype=np.int64),
        iterations=np.ones((stages + 1, 8), dtype=np.int64),
        variant=np.zeros(stages, dtype=np.int64),
        energy=np.zeros(stages + 1),
        ports=np.zeros((stages + 1, ports)),
        compute=np.zeros(stages + 1),
        freed=np.zeros((stages + 1, 3)),
        freed_ports=np.zeros((stages + 1, 3, ports)),
        pending=np.zeros((stages + 1, 3)),
        pending_ports=np.zeros((stages + 1, 3, ports)),
        stopped=np.ones((stages, 3), dtype=np.bool_),
        covered=np.ones((stages, 8), dtype=np.int64),
        extra=np.zeros((stages, ports)),
        base=np.zeros((stages, ports)),
        open=np.zeros((stages + 1, 3)),
        open_ports=np.zeros((stages + 1, 3, ports)),
        passing=np.ones((stages, 3)),
        together=np.ones((stages, 9, 3)),
        apart=np.ones((stages, 9, 3)),
        best=np.array([np.inf, np.inf]),
        known=np.zeros((variants, 8, 2), dtype=np.int64),
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
        reduced=np.ones((stages, 9, 4), dtype=np.int64),
        remaining=np.ones((stages, 9)),
        found=np.zeros(5, dtype=np.int64),
        **kept_table(0, len(mach.axis_size), 0),
    )


def kept_table(rows: int, axes: int, steps: int) -> dict[str, np.ndarray]:
    """Return an empty table of mappings to be kept, as fields of ``State``."""
    return {
        "kept": np.zeros(2, dtype=np.int64),
        "kept_costs": np.zeros((rows, 2)),
        "kept_kind": np.zeros((rows, axes + 1), dtype=np.int64),
        "kept_inner": np.ones((rows, 8, steps), dtype=np.int64),
        "kept_stays": np.zeros((rows, steps), dtype=np.int64),
        "kept_task": np.zeros(rows, dtype=np.int64),
    }
