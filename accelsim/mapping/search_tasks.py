"""The search through one skeleton: its tables, its bounds, its workspace.

Tables that several skeletons share are made once: the options of the last stage depend on no skeleton and, of a layer,
on the size of one dim and its window, so that they are kept from layer to layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from accelsim.mapping.search_arrays import Costs, LayerArrays, MachineArrays, Options, Skeleton, Space, State, Work

PLACES_REMEMBERED = 251
"""How many chains of sizes, and pairs of them, have their factors remembered; a prime, since it divides a hash."""

MEMBERS_MORE = 64
"""How many chains more than the largest dim one choice of options may stand for."""

Shape = tuple[int, int, int, int]
"""Stages, steps, transfers and zones of a skeleton: what its workspace depends on."""


@dataclass(frozen=True)
class _Given:
    """Options of the last stage, by dim one after the other."""

    counts: np.ndarray
    sizes: np.ndarray
    covers: np.ndarray
    iterations: np.ndarray
    number: np.ndarray


class LastStage:
    """The options of the last stage: they depend on no skeleton, and on a layer by a few numbers only."""

    def __init__(
        self, kernels: ModuleType, lay: LayerArrays, mach: MachineArrays, memory: dict[Any, tuple[np.ndarray, ...]]
    ) -> None:
        self.kernels, self.lay, self.mach, self.memory = kernels, lay, mach, memory
        self.known: dict[bytes, _Given] = {}

    def __call__(self, layout: np.ndarray, skeleton: Skeleton, stage: int) -> _Given:
        """Return the options of a skeleton's last stage."""
        signature = layout[[0, 1, 2, 3, 6]].copy()
        signature[2] = signature[2] >= 0
        key = signature.tobytes()
        if key not in self.known:
            parts = [self._dim(dim, key, layout, skeleton, stage) for dim in range(8)]
            joined = [np.concatenate([part[k] for part in parts]) for k in range(4)]
            number = np.array([len(part[2]) for part in parts], dtype=np.int64)
            self.known[key] = _Given(joined[0], joined[1], joined[2], joined[3], number)
        return self.known[key]

    def _dim(
        self, dim: int, signature: bytes, layout: np.ndarray, skeleton: Skeleton, stage: int
    ) -> tuple[np.ndarray, ...]:
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


class Task:
    """The search through one skeleton."""

    def __init__(
        self,
        kernels: ModuleType,
        lay: LayerArrays,
        mach: MachineArrays,
        skeleton: Skeleton,
        layouts: np.ndarray,
        pixels: list[np.ndarray],
        given: LastStage,
        shared: dict[Shape, tuple[State, Work]],
    ) -> None:
        self.kernels, self.lay, self.mach, self.skeleton = kernels, lay, mach, skeleton
        self.layouts, self.pixels, self.given = layouts, pixels, given
        self.stages = len(layouts)
        self.least = np.array([own[1:, 1:].min() for own in pixels])
        shape = (self.stages, len(skeleton.kind), len(skeleton.operand), int((skeleton.kind == 0).sum()))
        if shape not in shared:
            shared[shape] = (_state(kernels, mach, *shape[:2]), _work(kernels, lay, mach, *shape))
        self.state, self.work = shared[shape]
        self._prepare()

    def _prepare(self) -> None:
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
            state.found[3] = 0
            state.found[4] = np.iinfo(np.int64).max
            kernels.search(stage - 1, lay, skeleton, mach, self.costs, self.space, state, self.work, 1, True)
            self.space.outer_energy[stage] = self.space.outer_energy[stage - 1] + state.best[0]
            self.space.outer_ports[stage] = self.space.outer_ports[stage - 1] + self.costs.ports[stage - 1] @ values
        self.reset()
        kernels.fill_last(lay, skeleton, mach, self.space)
        self.bound = kernels.root_bound(stages - 1, lay, skeleton, mach, self.costs, self.space, state)

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
        state.visited[:] = 0
        self.work.memory_chains[:] = 0
        self.work.memory_pairs[:] = 0

    def root(self, objective: int) -> float:
        """Return what the objective is at least."""
        energy, cycles = self.bound
        return float((cycles, energy, energy * cycles)[objective])

    def _order(self, stage: int, numbers: np.ndarray) -> list[int]:
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
    for stage, layout in enumerate(layouts):
        for axis in range(min(2, int(layout[6, 0]))):
            size = int(mach.axis_size[skeleton.ident[layout[0, axis]]])
            values = sorted({size // i for i in range(1, size + 1)})
            level[stage, axis, : size + 1] = np.searchsorted(values, np.arange(size + 1), side="right") - 1
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
    places = PLACES_REMEMBERED
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


def _state(kernels: ModuleType, mach: MachineArrays, stages: int, steps: int) -> State:
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
        reduced=np.ones((stages, 9, 4), dtype=np.int64),
        remaining=np.ones((stages, 9)),
        visited=np.zeros(stages, dtype=np.int64),
        found=np.zeros(5, dtype=np.int64),
    )
