"""The words of every single visit and segment of a mapping, from the nest alone: nothing is executed.

The closed form adds up the words of all visits of a way, a product over dims of sums over pieces. Here the sums over
those loops that bring the tile again are left out: what remains is one factor per dim (pixels: one per image axis) for
every value of its loops, and the words of a visit are the product of its factors. The array runs a *segment* between
two moves of tiles; its MACs' words are the same products, summed over the loops inside.

Words are those of the busiest instance at either end: the largest factor over all instances outside.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from accelsim.dims import USES, Dim, Operand
from accelsim.engine.closed_form import Transfer, _Walk, transfers
from accelsim.mapping.hierarchy import Machine
from accelsim.mapping.nest import Nest, Place, Window
from accelsim.workload.layer import Layer

PIXELS = {Dim.P: 0, Dim.R: 0, Dim.Q: 1, Dim.S: 1}
"""Image axis that a dim moves windows along."""


class Moves(NamedTuple):
    """What every visit and every segment moves; visits way by way, in order. ``State`` of an execution has the same.

    Attributes:
        visit_first: int64[ways], where a way's visits start.
        visit_count: int64[ways], number of visits; 0 towards the MACs.
        visit_words: [4, visits], of the busiest instance: source, target, read back at source, at target.
        visit_net: float64[2, visits], cycles on the slowest network with a rate, there and (sums) back.
        visit_anew: bool[visits], whether a window that slides starts anew.
        visit_after: int64[visits], visit whose store must be over before this one reads back, or -1.
        visit_segment: int64[visits], segment that it is needed in.
        segment_fired: int64[segments], bits of the ways that fire before it.
        segment_ticks: int64[segments].
        segment_words: [4, segments], words of W, I, O and read-back that the MACs move, busiest source.
        segment_net: float64[4, segments], cycles that they take on the slowest network with a rate.
    """

    visit_first: np.ndarray
    visit_count: np.ndarray
    visit_words: np.ndarray
    visit_net: np.ndarray
    visit_anew: np.ndarray
    visit_after: np.ndarray
    visit_segment: np.ndarray
    segment_fired: np.ndarray
    segment_ticks: np.ndarray
    segment_words: np.ndarray
    segment_net: np.ndarray


class Entry(NamedTuple):
    """One cut of a dim: its step, the size of its pieces, how many, and its loop, or -1 if it is spatial."""

    step: int
    inner: int
    bound: int
    loop: int


class Pieces(NamedTuple):
    """The pieces of one dim.

    Attributes:
        start: int64, one axis per entry.
        size: int64, likewise; 0 where there is no work.
        entries: What the axes are.
    """

    start: np.ndarray
    size: np.ndarray
    entries: tuple[Entry, ...]


def moves(nest: Nest, layer: Layer, machine: Machine) -> Moves:
    """Return what every visit and every segment of a (checked) mapping moves."""
    return _Visits(nest, layer, machine).moves()


def segments_of(nest: Nest, layer: Layer, machine: Machine) -> int:
    """Return an upper bound of the segments of a mapping: how much work ``moves`` is."""
    return math.prod(_Visits(nest, layer, machine).grid)


class _Visits(_Walk):
    """Factors of all visits of one mapping."""

    def __init__(self, nest: Nest, layer: Layer, machine: Machine) -> None:
        super().__init__(nest, layer, machine)
        self.ways = transfers(nest)
        self.order = [
            (index, dim)
            for index, step in enumerate(nest.steps)
            if isinstance(step, Place)
            for dim in step.order
            if self.cuts[index].bounds[dim] > 1
        ]
        self.bounds = [self.cuts[index].bounds[dim] for index, dim in self.order]
        self.fires = [self._fires(way) for way in self.ways]
        to_memory = [fires for way, fires in zip(self.ways, self.fires, strict=True) if not self._feeds_macs(way)]
        self.moving = max(to_memory, default=0)
        self.grid = tuple(self.bounds[: self.moving])

    def moves(self) -> Moves:
        """Return what every visit and every segment moves."""
        works = self._works(self.moving)
        number = np.cumsum(works.ravel()).reshape(self.grid) - 1  # of the segment that begins where the loops stand
        segments = int(works.sum())
        fired = np.zeros(segments, np.int64)
        visits: list[dict[str, np.ndarray]] = []
        words, net = np.zeros((4, segments)), np.zeros((4, segments))
        for position, (way, fires) in enumerate(zip(self.ways, self.fires, strict=True)):
            if self._feeds_macs(way):
                self._macs(way, fires, works, number, words, net)
                visits.append({})
                continue
            found = self._visits(way, fires, works, number)
            fired[found["segment"]] |= 1 << position
            visits.append(found)
        count = np.array([len(found["segment"]) if found else 0 for found in visits], np.int64)
        return Moves(
            visit_first=np.cumsum([0, *count])[:-1],
            visit_count=count,
            **{f"visit_{name}": _joined(visits, name) for name in ("words", "net", "anew", "after", "segment")},
            segment_fired=fired,
            segment_ticks=self._ticks()[works],
            segment_words=words,
            segment_net=net,
        )

    def _feeds_macs(self, way: Transfer) -> bool:
        return way.target == len(self.nest.steps)

    def _fires(self, way: Transfer) -> int:
        """Return how many of the outermost loops bring the tile again."""
        again = self._loops(way)
        return sum(again[index][dim] for index, dim in self.order)

    def _visits(self, way: Transfer, fires: int, works: np.ndarray, number: np.ndarray) -> dict[str, np.ndarray]:
        """Return what every visit of a way between two memories moves, by field of ``Moves``."""
        inside = (slice(None),) * fires + (0,) * (self.moving - fires)
        alive = np.asarray(works[inside])
        segment = np.asarray(number[inside])[alive]
        source, back_source = (part[alive] for part in self._both(way, fires, way.source))
        target, back_target = (part[alive] for part in self._both(way, fires, way.target))
        net, back_net = np.zeros(len(segment)), np.zeros(len(segment))
        for rate, entry in self._networks(way):
            there, back = (part[alive] / rate for part in self._both(way, fires, entry))
            net, back_net = np.maximum(net, there), np.maximum(back_net, back)
        return {
            "segment": segment,
            "words": np.stack([source, target, back_source, back_target]),
            "net": np.stack([net, back_net]),
            "anew": self._anew(way, fires)[alive],
            "after": self._after(way, fires, alive),
        }

    def _both(self, way: Transfer, fires: int, seen_from: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the words of every visit, seen from a step, and those of them that are read back."""
        words = self._product(way, fires, seen_from)
        if way.operand is not Operand.O:
            return words, np.zeros_like(words)
        return words, words - self._product(way, fires, seen_from, first=True)

    def _macs(
        self, way: Transfer, fires: int, works: np.ndarray, number: np.ndarray, words: np.ndarray, net: np.ndarray
    ) -> None:
        """Add what the MACs move of an operand in every segment, in place."""
        outer = min(fires, self.moving)
        inside = (slice(None),) * outer + (0,) * (self.moving - outer)
        alive = np.asarray(works[inside])
        segment = np.asarray(number[inside])[alive]
        rows = (way.operand, 3)
        for row, part in zip(rows, self._both(way, fires, way.source), strict=True):
            words[row, segment] += part[alive]
        for rate, entry in self._networks(way):
            for row, part in zip(rows, self._both(way, fires, entry), strict=True):
                net[row, segment] = np.maximum(net[row, segment], part[alive] / rate)

    def _networks(self, way: Transfer) -> list[tuple[float, int]]:
        """Return the networks with a rate that a way crosses: words a cycle, and the step where it enters."""
        found = []
        for fanout in self.machine.fanouts:
            rate = fanout.words_per_cycle.get(way.operand)
            entries = self._axes_crossed(way, fanout)
            if rate is not None and entries:
                found.append((rate / self.machine.width(way.operand), entries[0]))
        return found

    def _product(self, way: Transfer, fires: int, seen_from: int, *, first: bool = False) -> np.ndarray:
        """Return the words of every visit, over the loops that bring the tile; a MAC's, over those that move tiles.

        ``first`` leaves out visits of partial sums that have been there before.
        """
        shape = self.bounds[: min(fires, self.moving)]
        words = np.ones(shape)
        for group in _groups(way.operand):
            found = [self._dim(dim, way.target, fires) for dim in group]
            if len(group) == 2:
                factor, entries = self._pixels(way, PIXELS[group[0]], found[0], found[1], seen_from)
            else:
                factor, entries = self._factor(way, group[0], found[0], seen_from)
                if first and group[0] not in USES[way.operand]:
                    factor = _only_first(factor, entries)
            words *= self._placed(factor, entries, shape)
        return words

    def _dim(self, dim: Dim, until: int, fires: int) -> Pieces:
        """Return the pieces of a dim that the cuts before a step leave, loops that bring nothing at their first."""
        start, left = np.zeros((), np.int64), np.array(self.layer.dims[dim], np.int64)
        entries = []
        numbers = {key: number for number, key in enumerate(self.order)}
        for index in range(until):
            cut = self.cuts[index]
            if cut.bounds[dim] == 1:
                continue
            loop = -1 if cut.spatial else numbers[index, dim]
            bound = cut.bounds[dim] if loop < fires else 1
            offset = np.arange(bound) * cut.inner[dim]
            start = start[..., None] + offset
            left = np.clip(left[..., None] - offset, 0, cut.inner[dim])
            entries.append(Entry(index, cut.inner[dim], bound, loop))
        return Pieces(start, left, tuple(entries))

    def _factor(self, way: Transfer, dim: Dim, pieces: Pieces, seen_from: int) -> tuple[np.ndarray, tuple[Entry, ...]]:
        """Return a dim's factor by its loops: sizes of what is used, else how many pieces need words of their own."""
        used = dim in USES[way.operand]
        factor = pieces.size.astype(np.float64) if used else (pieces.size > 0).astype(np.float64)
        for axis in reversed(range(len(pieces.entries))):
            entry = pieces.entries[axis]
            if entry.loop < 0 and entry.step >= seen_from:
                together = not used and self._shares(entry.step, way.operand)
                factor = factor.max(axis, keepdims=True) if together else factor.sum(axis, keepdims=True)
        return _most(factor, pieces.entries), pieces.entries

    def _pixels(
        self, way: Transfer, image_axis: int, runs: Pieces, taps: Pieces, seen_from: int
    ) -> tuple[np.ndarray, tuple[Entry, ...]]:
        """Return an image axis's factor by its loops: pixels, what neighbours share or what slides counted once."""
        entries = runs.entries + taps.entries
        outer = (...,) + (None,) * len(taps.entries)
        low, high = _interval(self.window[image_axis], runs.start[outer], runs.size[outer], taps.start, taps.size)
        slide = self._slide(way, self._loops(way))
        for axis, entry in enumerate(entries):
            if (
                slide
                and entry.loop >= 0
                and self.order[entry.loop] == slide
                and slide[1] in (Dim.P, Dim.Q)[image_axis : image_axis + 1]
            ):
                low = _fresh(low, high, axis)
        inside = [
            axis
            for axis, entry in enumerate(entries)
            if entry.loop < 0 and entry.step >= seen_from and self._shares(entry.step, Operand.I)
        ]
        factor = _union(low, high, inside)
        for axis, entry in enumerate(entries):
            if entry.loop < 0 and entry.step >= seen_from and axis not in inside:
                factor = factor.sum(axis, keepdims=True)
        return _most(factor, entries), entries

    def _placed(self, factor: np.ndarray, entries: tuple[Entry, ...], shape: list[int]) -> np.ndarray:
        """Return a factor with its loops where they stand in the nest; those that move no tiles are summed up."""
        for axis, entry in enumerate(entries):
            if entry.loop >= len(shape):
                factor = factor.sum(axis, keepdims=True)
        loops = [entry.loop for entry in entries]
        axes = sorted((axis for axis, loop in enumerate(loops) if 0 <= loop < len(shape)), key=lambda axis: loops[axis])
        rest = [axis for axis in range(len(loops)) if axis not in axes]
        placed = factor.transpose(axes + rest).reshape([factor.shape[axis] for axis in axes])
        places = {loops[axis] for axis in axes}
        return placed.reshape([bound if loop in places else 1 for loop, bound in enumerate(shape)])

    def _works(self, loops: int) -> np.ndarray:
        """Return bool over the first loops: whether the first instance has work there."""
        works = np.ones(self.bounds[:loops], dtype=np.bool_)
        for dim in Dim:
            pieces = self._dim(dim, len(self.nest.steps), loops)
            alive = _first_instance(pieces) > 0
            works &= self._placed(alive, pieces.entries, self.bounds[:loops]).astype(np.bool_)
        return works

    def _ticks(self) -> np.ndarray:
        """Return int64 over the loops that move tiles: iterations of those inside."""
        ticks = np.ones(self.grid, dtype=np.int64)
        for dim in Dim:
            pieces = self._dim(dim, len(self.nest.steps), len(self.order))
            ticks *= self._placed((_first_instance(pieces) > 0).astype(np.int64), pieces.entries, list(self.grid))
        return ticks

    def _anew(self, way: Transfer, fires: int) -> np.ndarray:
        """Return bool over the loops that bring a tile: whether its window does not slide there."""
        anew = np.ones(self.bounds[:fires], dtype=np.bool_)
        if self._slide(way, self._loops(way)):
            anew[..., 1:] = False
        return anew

    def _after(self, way: Transfer, fires: int, alive: np.ndarray) -> np.ndarray:
        """Return the visit before where it stored what this one begins with, else -1.

        Stores are in order, and the room of a tile is that of the one before the last: older ones are over.
        """
        place = np.zeros(self.bounds[:fires], np.int64)
        for loop, (index, dim) in enumerate(self.order[:fires]):
            if index >= way.source and dim in USES[Operand.O]:
                steps = np.arange(self.bounds[loop]).reshape([-1 if at == loop else 1 for at in range(fires)])
                place = place * self.bounds[loop] + steps
        where = place[alive]
        after = np.full(len(where), -1, np.int64)
        if way.operand is Operand.O:
            same = np.flatnonzero(where[1:] == where[:-1])
            after[same + 1] = same
        return after


def _groups(operand: Operand) -> list[tuple[Dim, ...]]:
    """Return the dims whose factors stand alone: windows of inputs move with two dims at once."""
    if operand is not Operand.I:
        return [(dim,) for dim in Dim]
    return [(Dim.N,), (Dim.G,), (Dim.K,), (Dim.C,), (Dim.P, Dim.R), (Dim.Q, Dim.S)]


def _interval(
    window: Window, output: np.ndarray, outputs: np.ndarray, tap: np.ndarray, taps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the half-open intervals of stored pixels that runs of outputs and taps touch, as ``Window.interval``."""
    first = output * window.stride - window.pad + tap * window.dilation
    last = first + (outputs - 1) * window.stride + (taps - 1) * window.dilation
    low = np.maximum(first, 0)
    high = np.maximum(low, np.minimum(last + 1, window.size))
    return low, np.where((outputs > 0) & (taps > 0), high, low)


def _fresh(low: np.ndarray, high: np.ndarray, axis: int) -> np.ndarray:
    """Return where what is new begins in windows that slide along an axis of the arrays."""
    here, there = np.moveaxis(low, axis, 0), np.moveaxis(high, axis, 0)
    kept = np.maximum(0, np.minimum(there[:-1], there[1:]) - here[1:])
    kept = np.where(here[:-1] <= here[1:], kept, 0)
    fresh = here.copy()
    fresh[1:] += kept
    return np.moveaxis(fresh, 0, axis)


def _union(low: np.ndarray, high: np.ndarray, axes: list[int]) -> np.ndarray:
    """Return how many integers lie in the intervals along some axes, each counted once; the axes stay, of length 1."""
    shape = [1 if axis in axes else length for axis, length in enumerate(low.shape)]
    rest = [axis for axis in range(low.ndim) if axis not in axes]
    low, high = (
        array.transpose(rest + axes).reshape(*(array.shape[axis] for axis in rest), -1) for array in (low, high)
    )
    order = np.argsort(low, axis=-1, kind="stable")
    low, high = np.take_along_axis(low, order, -1), np.take_along_axis(high, order, -1)
    covered = np.maximum.accumulate(high, axis=-1)
    before = np.concatenate([np.zeros_like(covered[..., :1]), covered[..., :-1]], axis=-1)
    counted: np.ndarray = np.maximum(0, high - np.maximum(low, before)).sum(axis=-1)
    return counted.reshape(shape).astype(np.float64)


def _most(factor: np.ndarray, entries: tuple[Entry, ...]) -> np.ndarray:
    """Return the factor of the busiest of the instances that are left; their axes stay, of length 1."""
    axes = tuple(axis for axis, entry in enumerate(entries) if entry.loop < 0)
    return factor.max(axis=axes, keepdims=True) if axes else factor


def _only_first(factor: np.ndarray, entries: tuple[Entry, ...]) -> np.ndarray:
    """Return a factor that is zero but where all its loops stand at their first iteration."""
    only = np.zeros_like(factor)
    first = tuple(0 if entry.loop >= 0 else slice(None) for entry in entries)
    only[first] = factor[first]
    return only


def _first_instance(pieces: Pieces) -> np.ndarray:
    """Return the sizes of the first instance's pieces; the axes of others stay, of length 1."""
    return pieces.size[tuple(slice(0, 1) if entry.loop < 0 else slice(None) for entry in pieces.entries)]


def _joined(visits: list[dict[str, np.ndarray]], name: str) -> np.ndarray:
    """Return a field of all ways' visits, one after the other."""
    parts = [found[name] for found in visits if found]
    if not parts:
        return {"words": np.zeros((4, 0)), "net": np.zeros((2, 0))}.get(name, np.zeros(0, np.int64))
    return np.concatenate(parts, axis=-1)
