"""Lowers a mapping to the program that the cycle engine's controller runs: plain arrays for the kernels.

A *loop* is a temporal loop of more than one iteration, a *digit* a spatial one. An *instance* of a memory is one value
of all digits outside it. A *way* is an operand's road from one place to the next that keeps it, or to the MACs. The
controller brings a way's tile again when one of its first ``way_fires`` loops advances; no other rule is built in.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from accelsim.dims import USES, Dim, Operand
from accelsim.engine.closed_form import Transfer, transfers
from accelsim.errors import WorkloadError
from accelsim.mapping.hierarchy import Machine, SpatialFanout, Store
from accelsim.mapping.nest import Cut, Nest, Place, Unrolling, Window, cuts, windows
from accelsim.workload.layer import Layer

PIXEL_DIMS = (Dim.P, Dim.Q)
TAP_DIMS = (Dim.R, Dim.S)
Crossing = tuple[str, int, int, bool]
MOST_TICKS = 2**40
"""Most iterations of the array that one run can count."""


class Program(NamedTuple):
    """A lowered mapping; int64 arrays unless said otherwise.

    Attributes:
        dims: [8], the layer's dims.
        window: [2, 4], stride, dilation, padding and stored size along height and width.
        loop_dim: [loops], dim of every loop, the outermost first.
        loop_inner: [loops], how far an iteration advances.
        loop_bound: [loops], iterations in a full tile.
        loop_ragged: [loops], whether its dim's pieces can be cut short, so that an iteration can be without work.
        loop_regroups: [loops], whether an iteration of it or of a loop inside can change which MACs work.
        linear: [ways + 2, loops], what one iteration adds to the address at every way's source, and to the pixel row
            and column.
        chain_begin: [9], first entry of every dim in the chain of cuts.
        chain_step: [entries], step of the cut.
        chain_inner: [entries], size of its pieces.
        chain_loop: [entries], its loop, or -1 if it is spatial.
        depth_step: [depths], steps outside which tiles are looked at; the last is the MACs.
        depth_instances: [depths], instances there.
        spot_count: [depths, 8], spots: values of the digits of one dim outside the depth.
        spot_first: [depths, 8], where their indices start in ``spot_index``.
        spot_index: index of every chain entry at every spot.
        place_first: [depths], where the depth's instances start in ``place_spot``.
        place_spot: [rows, 8], spot of every instance along every dim.
        way_operand: [ways], operand, ways of one operand from the outermost in.
        way_source: [ways], buffer read from.
        way_target: [ways], buffer filled, or -1 for the MACs.
        way_depth: [ways], depth of the target.
        way_fires: [ways], how many of the first loops bring the tile again.
        way_ratio: [ways], target instances per source instance.
        way_merges: [ways], whether neighbours can need overlapping, not only equal, words at the same time.
        way_slide: [ways], axis of the image along which its last loop slides inputs into the target, or -1.
        way_points: [ways + 1], first point of every way; the first of a way is its source.
        point_first: [points], where the instances' classes start in ``point_class``; equal class: served by one word.
        point_classes: [points], number of classes.
        point_class: classes, by target instance.
        point_group: groups of instances that one read can serve, by target instance.
        point_order: target instances, group by group.
        way_single: [ways], whether the target holds one word of the operand; MACs do.
        way_place: [ways], where the way's target instances start in ``base`` and ``pixel``.
        base: spatial part of the address at the source, by target instance.
        pixel: [2, ...], spatial part of the pixel row and column, by target instance.
        way_nets: [ways + 1], first network with a rate that every way crosses.
        net_rate: float64[nets], words of the operand per cycle.
        net_first: [nets], where the target instances start in ``net_class``.
        net_class: classes of what is one word at the network's entry, by target instance.
        net_group: groups of instances that one word there can serve, by target instance.
        net_order: target instances, group by group.
        net_above: instance above the network, by target instance.
        buffer_operand: [buffers].
        buffer_first: [buffers], where its words start among the operand's.
        buffer_words: [buffers], words of one instance.
        buffer_stride: [buffers, 5], address step along every dim of the tensor.
        buffer_instances: [buffers].
        buffer_row: [buffers], first row of its instances in tables of held tiles.
    """

    dims: np.ndarray
    window: np.ndarray
    loop_dim: np.ndarray
    loop_inner: np.ndarray
    loop_bound: np.ndarray
    loop_ragged: np.ndarray
    loop_regroups: np.ndarray
    linear: np.ndarray
    chain_begin: np.ndarray
    chain_step: np.ndarray
    chain_inner: np.ndarray
    chain_loop: np.ndarray
    depth_step: np.ndarray
    depth_instances: np.ndarray
    spot_count: np.ndarray
    spot_first: np.ndarray
    spot_index: np.ndarray
    place_first: np.ndarray
    place_spot: np.ndarray
    way_operand: np.ndarray
    way_source: np.ndarray
    way_target: np.ndarray
    way_depth: np.ndarray
    way_fires: np.ndarray
    way_ratio: np.ndarray
    way_merges: np.ndarray
    way_slide: np.ndarray
    way_points: np.ndarray
    point_first: np.ndarray
    point_classes: np.ndarray
    point_class: np.ndarray
    point_group: np.ndarray
    point_order: np.ndarray
    way_single: np.ndarray
    way_place: np.ndarray
    base: np.ndarray
    pixel: np.ndarray
    way_nets: np.ndarray
    net_rate: np.ndarray
    net_first: np.ndarray
    net_class: np.ndarray
    net_group: np.ndarray
    net_order: np.ndarray
    net_above: np.ndarray
    buffer_operand: np.ndarray
    buffer_first: np.ndarray
    buffer_words: np.ndarray
    buffer_stride: np.ndarray
    buffer_instances: np.ndarray
    buffer_row: np.ndarray


@dataclass(frozen=True)
class Digit:
    """One spatial loop: its step, dim, count and piece size."""

    step: int
    dim: Dim
    count: int
    inner: int


@dataclass(frozen=True)
class Lowered:
    """A program and what its indices stand for.

    Attributes:
        program: The arrays.
        ways: The ways, in the program's order.
        crossings: By way, per fan-out crossed: its name, the points after and before its axes (-1: the target), and
            whether neighbours pass words on.
        buffers: By buffer, operand and step.
    """

    program: Program
    ways: tuple[Transfer, ...]
    crossings: tuple[tuple[Crossing, ...], ...]
    buffers: tuple[tuple[Operand, int], ...]


def lower(nest: Nest, layer: Layer, machine: Machine) -> Lowered:
    """Return the program of a (checked) mapping.

    Raises:
        WorkloadError: The layer has too many iterations to be executed.
    """
    if math.prod(layer.dims) > MOST_TICKS:
        raise WorkloadError(f"layer {layer.name}: {math.prod(layer.dims):.3g} MACs, at most 2^40 can be executed")
    return _Lowering(nest, layer, machine).lowered()


class _Lowering:
    """Builds the arrays of one program."""

    def __init__(self, nest: Nest, layer: Layer, machine: Machine) -> None:
        self.nest, self.layer, self.machine = nest, layer, machine
        self.cuts: tuple[Cut, ...] = cuts(nest)
        self.window: tuple[Window, Window] = windows(layer, machine)
        self.ways = tuple(transfers(nest))
        self.loops = [
            (index, dim)
            for index, step in enumerate(nest.steps)
            if isinstance(step, Place)
            for dim in step.order
            if self.cuts[index].bounds[dim] > 1
        ]
        self.digits = [
            Digit(index, dim, self.cuts[index].bounds[dim], self.cuts[index].inner[dim])
            for index, step in enumerate(nest.steps)
            if isinstance(step, Unrolling)
            for dim in Dim
            if self.cuts[index].bounds[dim] > 1
        ]
        self.depths = sorted({way.target for way in self.ways} | {way.source for way in self.ways} | {len(nest.steps)})
        self.buffers = [(way.operand, way.source) for way in self.ways]
        axes = {f"{fanout.name}.{axis.name}": axis for fanout in machine.fanouts for axis in fanout.axes}
        self.shares = [
            {Operand.O, *axes[step.axis].shares} if isinstance(step, Unrolling) else set() for step in nest.steps
        ]

    def lowered(self) -> Lowered:
        ways, crossings = self._way_arrays()
        program = Program(
            dims=_ints(self.layer.dims),
            window=_ints(self.window),
            **self._loop_arrays(),
            **self._place_arrays(),
            **ways,
            **self._base_arrays(),
            **self._net_arrays(),
            **self._buffer_arrays(),
        )
        return Lowered(program, self.ways, crossings, tuple(self.buffers))

    def _digits_outside(self, step: int) -> list[Digit]:
        return [digit for digit in self.digits if digit.step < step]

    def _instances(self, step: int) -> np.ndarray:
        """Return int64[instances, digits], the value of every digit outside a step."""
        counts = [digit.count for digit in self._digits_outside(step)]
        return np.indices(counts).reshape(len(counts), -1).T if counts else np.zeros((1, 0), dtype=np.int64)

    def _chain(self, dim: Dim) -> list[tuple[int, int, int]]:
        """Return (step, piece size, loop or -1) of every cut of a dim that cuts."""
        loops = {key: number for number, key in enumerate(self.loops)}
        return [
            (index, cut.inner[dim], -1 if cut.spatial else loops[index, dim])
            for index, cut in enumerate(self.cuts)
            if cut.bounds[dim] > 1
        ]

    def _ragged(self, dim: Dim) -> bool:
        sizes = [self.layer.dims[dim], *(inner for _, inner, _ in self._chain(dim))]
        return any(outer % inner for outer, inner in itertools.pairwise(sizes))

    def _loop_arrays(self) -> dict[str, np.ndarray]:
        chains = [self._chain(dim) for dim in Dim]
        entries = [entry for chain in chains for entry in chain]
        spatial = {digit.dim for digit in self.digits}
        cut_short = [self._ragged(dim) and dim in spatial for _, dim in self.loops]
        regroups = [any(cut_short[number:]) for number in range(len(self.loops))]
        return {
            "loop_dim": _ints([dim for _, dim in self.loops]),
            "loop_inner": _ints([self.cuts[index].inner[dim] for index, dim in self.loops]),
            "loop_bound": _ints([self.cuts[index].bounds[dim] for index, dim in self.loops]),
            "loop_ragged": _ints([self._ragged(dim) for _, dim in self.loops]),
            "loop_regroups": _ints(regroups),
            "linear": self._linear(),
            "chain_begin": _ints(np.cumsum([0, *map(len, chains)])),
            "chain_step": _ints([step for step, _, _ in entries]),
            "chain_inner": _ints([inner for _, inner, _ in entries]),
            "chain_loop": _ints([loop for _, _, loop in entries]),
        }

    def _linear(self) -> np.ndarray:
        rows = np.zeros((len(self.ways) + 2, len(self.loops)), dtype=np.int64)
        for column, (index, dim) in enumerate(self.loops):
            for row, way in enumerate(self.ways):
                step = self._step_address(way.operand, way.source, dim, inside=index >= way.source)
                rows[row, column] = step * self.cuts[index].inner[dim]
            for axis in range(2):
                rows[axis - 2, column] = self._step_pixel(axis, dim) * self.cuts[index].inner[dim]
        return rows

    def _step_pixel(self, axis: int, dim: Dim) -> int:
        window = self.window[axis]
        return {PIXEL_DIMS[axis]: window.stride, TAP_DIMS[axis]: window.dilation}.get(dim, 0)

    def _step_address(self, operand: Operand, source: int, dim: Dim, *, inside: bool) -> int:
        """Return what one step along a dim adds to an address: pixels are absolute, all else from the tile on."""
        strides = self._strides(operand, source)
        if operand is Operand.I and dim >= Dim.P:
            return sum(strides[3 + axis] * self._step_pixel(axis, dim) for axis in range(2))
        kept = _tensor_dims(operand)
        return strides[kept.index(dim)] if inside and dim in kept else 0

    def _shape(self, operand: Operand, step: int) -> list[int]:
        """Return the five extents of the largest tile of an operand at a place."""
        place = self.nest.steps[step]
        assert isinstance(place, Place)
        if step == 0 and operand is Operand.I:
            return [place.tile.N, place.tile.G, place.tile.C, self.window[0].size, self.window[1].size]
        extents = [place.tile[dim] for dim in _tensor_dims(operand)]
        if operand is Operand.I:
            extents += [
                self.window[axis].most_pixels(place.tile[PIXEL_DIMS[axis]], place.tile[TAP_DIMS[axis]])
                for axis in range(2)
            ]
        return extents

    def _strides(self, operand: Operand, step: int) -> list[int]:
        """Return the address steps along the axes of a tile; a tile of one word has one address."""
        shape = self._shape(operand, step)
        return [math.prod(shape[position + 1 :]) if math.prod(shape) > 1 else 0 for position in range(5)]

    def _place_arrays(self) -> dict[str, np.ndarray]:
        counts = np.ones((len(self.depths), 8), dtype=np.int64)
        first = np.zeros((len(self.depths), 8), dtype=np.int64)
        index: list[int] = []
        rows: list[np.ndarray] = []
        for depth, step in enumerate(self.depths):
            digits, table = self._digits_outside(step), self._instances(step)
            spots = np.zeros((len(table), 8), dtype=np.int64)
            for dim in Dim:
                mine = [column for column, digit in enumerate(digits) if digit.dim is dim]
                values, spots[:, dim] = np.unique(table[:, mine], axis=0, return_inverse=True)
                counts[depth, dim], first[depth, dim] = len(values), len(index)
                by_step = {digits[column].step: position for position, column in enumerate(mine)}
                for value in values:
                    index += [int(value[by_step[at]]) if at in by_step else 0 for at, _, _ in self._chain(dim)]
            rows.append(spots)
        return {
            "depth_step": _ints(self.depths),
            "depth_instances": _ints([len(table) for table in rows]),
            "spot_count": counts,
            "spot_first": first,
            "spot_index": _ints(index),
            "place_first": _ints(np.cumsum([0, *map(len, rows)])[:-1]),
            "place_spot": np.concatenate(rows),
        }

    def _offsets(self, operand: Operand, source: int, target: int) -> np.ndarray:
        """Return int64[instances of the target, 5], where in the source's tile the spatial loops put each."""
        digits, table = self._digits_outside(target), self._instances(target)
        offsets = np.zeros((len(table), 5), dtype=np.int64)
        kept = _tensor_dims(operand)
        for column, digit in enumerate(digits):
            if operand is Operand.I and digit.dim >= Dim.P:
                for axis in range(2):
                    offsets[:, 3 + axis] += table[:, column] * digit.inner * self._step_pixel(axis, digit.dim)
            elif digit.step >= source and digit.dim in kept:
                offsets[:, kept.index(digit.dim)] += table[:, column] * digit.inner
        return offsets

    def _keyed(self, way: Transfer, step: int) -> list[int]:
        """Return the digits that tell instances apart for a word that passes at the depth of a step."""
        return [
            column
            for column, digit in enumerate(self._digits_outside(way.target))
            if digit.step < step or way.operand not in self.shares[digit.step]
        ]

    def _way_arrays(self) -> tuple[dict[str, np.ndarray], tuple[tuple[Crossing, ...], ...]]:
        columns: dict[str, list[int]] = {
            name: [] for name in ("operand", "source", "target", "depth", "fires", "ratio", "merges", "slide")
        }
        points, firsts, sizes = [0], [], []
        classes: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
        groups: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
        order: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
        crossings = []
        for number, way in enumerate(self.ways):
            to_mac = way.target == len(self.nest.steps)
            table = self._instances(way.target)
            offsets = self._offsets(way.operand, way.source, way.target)
            crossed, steps = self._points(way)
            crossings.append(tuple(crossed))
            for step in steps:
                keys = table[:, self._keyed(way, step)]
                _, group = np.unique(keys, axis=0, return_inverse=True)
                _, same = np.unique(np.column_stack([keys, offsets]), axis=0, return_inverse=True)
                firsts.append(sum(map(len, classes)))
                sizes.append(int(same.max()) + 1)
                classes.append(same.ravel())
                groups.append(group.ravel())
                order.append(np.argsort(group.ravel(), kind="stable"))
            points.append(len(firsts))
            columns["operand"].append(way.operand)
            columns["source"].append(number)
            columns["target"].append(-1 if to_mac else number + 1)
            columns["depth"].append(self.depths.index(way.target))
            columns["fires"].append(self._fires(way))
            columns["ratio"].append(len(table) // len(self._instances(way.source)))
            columns["merges"].append(self._merges(way))
            columns["slide"].append(self._slide(way))
        arrays = {f"way_{name}": _ints(values) for name, values in columns.items()}
        arrays |= {
            "way_points": _ints(points),
            "point_first": _ints(firsts),
            "point_classes": _ints(sizes),
            "point_class": np.concatenate(classes),
            "point_group": np.concatenate(groups),
            "point_order": np.concatenate(order),
        }
        return arrays, tuple(crossings)

    def _points(self, way: Transfer) -> tuple[list[Crossing], list[int]]:
        """Return the fan-outs that a way crosses, with points after and before, and the step of every point."""
        steps, keyed = [way.source], [self._keyed(way, way.source)]
        every = self._keyed(way, way.target)

        def point(step: int) -> int:
            keys = self._keyed(way, step)
            if keys == every:
                return -1
            if keys not in keyed:
                keyed.append(keys)
                steps.append(step)
            return keyed.index(keys)

        crossed = []
        for fanout in self.machine.fanouts:
            names = {f"{fanout.name}.{axis.name}" for axis in fanout.axes}
            inside = [
                index
                for index in range(way.source, way.target)
                if isinstance(step := self.nest.steps[index], Unrolling) and step.axis in names
            ]
            if inside:
                crossed.append((fanout.name, point(inside[-1] + 1), point(inside[0]), fanout.forward))
        return crossed, steps

    def _store(self, step: int) -> Store:
        place = self.nest.steps[step]
        assert isinstance(place, Place)
        return next(store for store in self.machine.stores if store.name == place.store)

    def _slide(self, way: Transfer) -> int:
        """Return the axis along which the last loop that fires a way slides windows into its target, or -1.

        Instances that share windows out along the axis, or the taps of one, have no window that moves on.
        """
        fires = self._fires(way)
        if way.operand is not Operand.I or way.target == len(self.nest.steps) or not fires:
            return -1
        dim = self.loops[fires - 1][1]
        if dim not in PIXEL_DIMS or not self._store(way.target).slides:
            return -1
        axis = PIXEL_DIMS.index(dim)
        parted = any(
            digit.dim in (dim, TAP_DIMS[axis]) and way.source <= digit.step < way.target for digit in self.digits
        )
        return -1 if parted else axis

    def _fires(self, way: Transfer) -> int:
        """Return how many of the first loops bring the tile again."""
        outside = [loop for loop in self.loops if loop[0] < way.target]
        if way.target == len(self.nest.steps) and self._store(way.source).reads_per_mac(way.operand):
            return len(self.loops)
        while outside and outside[-1][1] not in USES[way.operand]:
            outside.pop()
        return len(outside)

    def _net_arrays(self) -> dict[str, np.ndarray]:
        """Return, for every network with a rate, whose words are one at its entry and who enters together."""
        nets, rates, firsts = [0], [], []
        columns: dict[str, list[np.ndarray]] = {
            name: [np.zeros(0, dtype=np.int64)] for name in ("class", "group", "order", "above")
        }
        for way in self.ways:
            table = self._instances(way.target)
            offsets = self._offsets(way.operand, way.source, way.target)
            for fanout, entry in self._entries(way):
                outside = [column for column, digit in enumerate(self.digits) if digit.step < entry]
                keys = table[:, self._keyed(way, entry)]
                group = _numbered(keys)
                rates.append(fanout.words_per_cycle[way.operand] / self.machine.width(way.operand))
                firsts.append(sum(map(len, columns["class"])))
                columns["class"].append(_numbered(np.column_stack([keys, offsets])))
                columns["group"].append(group)
                columns["order"].append(np.argsort(group, kind="stable"))
                columns["above"].append(_numbered(table[:, outside]))
            nets.append(len(rates))
        arrays = {f"net_{name}": np.concatenate(parts) for name, parts in columns.items()}
        return arrays | {
            "way_nets": _ints(nets),
            "net_rate": np.array(rates, dtype=np.float64),
            "net_first": _ints(firsts),
        }

    def _entries(self, way: Transfer) -> list[tuple[SpatialFanout, int]]:
        """Return the fan-outs whose network for the operand has a rate, with the step where a way enters each."""
        found = []
        for fanout in self.machine.fanouts:
            names = {f"{fanout.name}.{axis.name}" for axis in fanout.axes}
            steps = range(way.source, way.target)
            inside = [at for at in steps if getattr(self.nest.steps[at], "axis", None) in names]
            if inside and way.operand in fanout.words_per_cycle:
                found.append((fanout, inside[0]))
        return found

    def _merges(self, way: Transfer) -> bool:
        if way.operand is not Operand.I or way.target == len(self.nest.steps):
            return False
        return any(
            digit.dim >= Dim.P and digit.step >= way.source and way.operand in self.shares[digit.step]
            for digit in self._digits_outside(way.target)
        )

    def _base_arrays(self) -> dict[str, np.ndarray]:
        first, single = [0], []
        bases, pixels = [], []
        for way in self.ways:
            offsets = self._offsets(way.operand, way.source, way.target)
            ratio = len(offsets) // len(self._instances(way.source))
            words = math.prod(self._shape(way.operand, way.source))
            strides = np.array(self._strides(way.operand, way.source))
            bases.append(offsets @ strides + np.arange(len(offsets)) // ratio * words)
            pixels.append(offsets[:, 3:].T)
            first.append(first[-1] + len(offsets))
            single.append(way.target == len(self.nest.steps) or self._is_single(way.operand, way.target))
        return {
            "way_single": _ints(single),
            "way_place": _ints(first[:-1]),
            "base": np.concatenate(bases),
            "pixel": np.concatenate(pixels, axis=1),
        }

    def _is_single(self, operand: Operand, step: int) -> bool:
        """Return whether tiles at a place are one word: of inputs, one window position, not an image of one pixel."""
        place = self.nest.steps[step]
        assert isinstance(place, Place)
        if operand is Operand.I and max(place.tile[Dim.P :]) > 1:
            return False
        return math.prod(self._shape(operand, step)) == 1

    def _buffer_arrays(self) -> dict[str, np.ndarray]:
        words = [math.prod(self._shape(*key)) for key in self.buffers]
        instances = [len(self._instances(step)) for _, step in self.buffers]
        first = []
        filled = dict.fromkeys(Operand, 0)
        for (operand, _), size, count in zip(self.buffers, words, instances, strict=True):
            first.append(filled[operand])
            filled[operand] += size * count
        return {
            "buffer_operand": _ints([operand for operand, _ in self.buffers]),
            "buffer_first": _ints(first),
            "buffer_words": _ints(words),
            "buffer_stride": _ints([self._strides(*key) for key in self.buffers]),
            "buffer_instances": _ints(instances),
            "buffer_row": _ints(np.cumsum([0, *instances])[:-1]),
        }


def _tensor_dims(operand: Operand) -> list[Dim]:
    """Return the dims along the axes of an operand's tensor; those of inputs end with a pixel row and column."""
    return sorted(dim for dim in USES[operand] if operand is not Operand.I or dim < Dim.P)


def _numbered(rows: np.ndarray) -> np.ndarray:
    """Return int64[rows], a number for every row; equal rows have the same."""
    return np.unique(rows, axis=0, return_inverse=True)[1].ravel().astype(np.int64)


def _ints(values: object) -> np.ndarray:
    return np.array(values, dtype=np.int64)
