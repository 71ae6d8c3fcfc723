"""The best mapping by trying all: every bypass, place, tile size, unrolling and loop order of a small layer.

Written from what a mapping is (``nest.check``) and what it costs (``closed_form.evaluate``), not from how the mapper
searches. Nothing is pruned but what does not fit. All mappings of one arrangement of places are costed together, as
arrays: words are products over dims, so they are counted dim by dim, piece by piece and pixel by pixel, and the closed
form's own formulas then run on the products. ``Brute.verify`` compares samples with the closed form of one nest.
"""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, field
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest

from accelsim.dims import USES, Dim, Operand
from accelsim.engine import closed_form
from accelsim.errors import InputError
from accelsim.mapping.hierarchy import Reduction
from accelsim.mapping.nest import Nest, Place, Unrolling, check, cuts, windows
from accelsim.workload.layer import Dims

PAIRS = ((Dim.P, Dim.R), (Dim.Q, Dim.S))
BIT = {dim: 1 << dim for dim in Dim}


class TooManyError(Exception):
    """The space is larger than the limit."""


@dataclass(frozen=True)
class Best:
    """The best mapping: its costs, its nest, and how many mappings fit."""

    energy: float
    cycles: float
    nest: Nest
    mappings: int


class Step(NamedTuple):
    """A place (store and operands) or an axis (its name and the axis), without sizes."""

    store: object = None
    operands: frozenset = frozenset()
    name: str = ""
    axis: object = None


class Chain(NamedTuple):
    """One dim's sizes: tile and count by step (1 where there is none), size inside every step, pieces cut there."""

    tiles: tuple
    counts: tuple
    inner: tuple
    bounds: tuple


def brute_force(layer, machine, constraint, objective, *, uneven=False, limit=1_000_000):
    """Return the best of all mappings, or None if none fits.

    Raises:
        TooManyError: There are more than ``limit``.
    """
    best = None
    found = everything(layer, machine, constraint, uneven=uneven, limit=limit)
    for arrangement in found:
        arrangement.verify()
        best = min(filter(None, (best, arrangement.best(objective))), key=lambda one: rank(one, objective))
    return best and Best(best.energy, best.cycles, best.nest, sum(arrangement.number for arrangement in found))


def brute_kinds(layer, machine, constraint, objective, *, uneven=False, limit=1_000_000):
    """Return {kind: rank of its best mapping}, of all mappings.

    Raises:
        TooManyError: There are more than ``limit``.
    """
    best = {}
    for arrangement in everything(layer, machine, constraint, uneven=uneven, limit=limit):
        energy, cycles = arrangement.costs()
        masks = np.stack(arrangement.unrolled(), axis=1)
        for row in np.unique(masks, axis=0):
            rows = np.flatnonzero((masks == row).all(axis=1))
            first, second = rank(Best(energy[rows], cycles[rows], None, 0), objective)
            equal = first <= first.min() * (1 + 1e-12)
            unrolled = dict(zip(arrangement.axes, row.tolist()[: len(arrangement.axes)], strict=True))
            kind = kind_of(unrolled, arrangement.kept, machine, constraint)
            best[kind] = min(best.get(kind, (math.inf, math.inf)), (float(first.min()), float(second[equal].min())))
    return best


def brute_front(layer, machine, constraint, *, uneven=False, limit=1_000_000):
    """Return (energy, cycles) of the mappings that none beats in both, by growing cycles.

    Raises:
        TooManyError: There are more than ``limit``.
    """
    pairs = [arrangement.costs() for arrangement in everything(layer, machine, constraint, uneven=uneven, limit=limit)]
    front = []
    costs = [(float(c), float(e)) for energy, cycles in pairs for e, c in zip(energy, cycles, strict=True)]
    for cycles, energy in sorted(costs):
        if not front or energy < front[-1][0]:
            front.append((energy, cycles))
    return front


def kind_of(unrolled, kept, machine, constraint):
    """Return what tells mappings apart that are ranked: masks of dims by axis, alike ones in order; what is kept."""
    groups = {}
    for fanout in machine.fanouts:
        for axis in fanout.axes:
            name = f"{fanout.name}.{axis.name}"
            dims = axis.allowed & constraint.unroll.get(name, axis.allowed)
            chain = axis.reduction is Reduction.CHAIN
            like = (fanout.name, axis.size, dims, axis.most_dims, axis.shares, chain)
            groups.setdefault(like, []).append(unrolled[name])
    return tuple(tuple(sorted(masks)) for masks in groups.values()), kept


def kind_of_nest(nest, machine, constraint):
    """Return the kind of a mapping."""
    unrolled, kept = {}, {}
    for step, cut in zip(nest.steps, cuts(nest), strict=True):
        if isinstance(step, Unrolling):
            unrolled[step.axis] = sum(BIT[dim] for dim in Dim if cut.bounds[dim] > 1)
        else:
            kept[step.store] = kept.get(step.store, frozenset()) | step.operands
    return kind_of(unrolled, frozenset(kept.items()), machine, constraint)


def everything(layer, machine, constraint, *, uneven, limit):
    """Return all mappings, by arrangement of places; those that have none are left out.

    Raises:
        TooManyError: There are more than ``limit``.
    """
    found, total = [], 0
    for steps in arrangements(machine, uneven=uneven):
        arrangement = Brute(layer, machine, constraint, steps, limit - total)
        total += arrangement.number
        if total > limit:
            raise TooManyError
        if arrangement.number:
            found.append(arrangement)
    return found


def rank(found, objective):
    """What is compared: the objective, then what decides between equals."""
    edp = found.energy * found.cycles
    return {"cycles": (found.cycles, found.energy), "energy": (found.energy, found.cycles), "edp": (edp, found.cycles)}[
        objective
    ]


def arrangements(machine, *, uneven):
    """Yield the steps of every choice of bypasses and of places: one per memory, or one per operand in any order."""
    choices = []
    for index, store in enumerate(machine.stores):
        places = []
        for by in itertools.chain.from_iterable(
            itertools.combinations(sorted(store.may_bypass), count) for count in range(len(store.may_bypass) + 1)
        ):
            kept = store.keeps - frozenset(by)
            if uneven and index > 0:
                places += [tuple(frozenset({o}) for o in order) for order in itertools.permutations(sorted(kept))]
            else:
                places.append((kept,) if kept else ())
        fanout = machine.fanout_below(store.name)
        axes = [Step(name=f"{fanout.name}.{axis.name}", axis=axis) for axis in (fanout.axes if fanout else ())]
        choices.append([[Step(store=store, operands=group) for group in groups] + axes for groups in places])
    for parts in itertools.product(*choices):
        yield list(itertools.chain.from_iterable(parts))


def chains(dim, size, steps, constraint):
    """Return all sizes that one dim can have along the steps, each once."""
    choices = []
    for step in steps:
        if step.store is not None:
            choices.append(range(1, size + 1))
        else:
            free = dim in step.axis.allowed and dim in constraint.unroll.get(step.name, step.axis.allowed)
            choices.append(range(1, (min(step.axis.size, size) if free else 1) + 1))
    found = {}
    choices[0] = [size]
    for sizes in _sequences(choices, [step.store is not None for step in steps], size):
        reach, inner = 1, []
        for n, step in zip(reversed(sizes), reversed(steps), strict=True):
            inner.append(reach)
            reach = n if step.store is not None else reach * n
        inner.reverse()
        outer, bounds = size, []
        for index, reach in enumerate(inner):
            inner[index] = min(reach, outer)
            bounds.append(-(-outer // inner[index]))
            outer = inner[index]
        counts = tuple(1 if step.store is not None else n for n, step in zip(sizes, steps, strict=True))
        places = tuple(1 if step.store is None else n for n, step in zip(sizes, steps, strict=True))
        key = (places, tuple(inner))
        if key not in found or sum(counts) < sum(found[key].counts):
            found[key] = Chain(places, counts, tuple(inner), tuple(bounds))
    return list(found.values())


def _sequences(choices, nested, most):
    """Yield one of every choice, in order; those that are nested do not grow, and are at most ``most``."""
    if not choices:
        yield ()
        return
    for n in choices[0]:
        if nested[0] and n > most:
            continue
        for rest in _sequences(choices[1:], nested[1:], n if nested[0] else most):
            yield (n, *rest)


def orders(loops, stationary):
    """Return {dims that run inside all loops of their operand: an order}, for a zone with these loops (a mask).

    The closed form sees of an order only which loops come after the last one that changes an operand's tile. The
    innermost loop leaves at most one operand in place, so one mask of dims says it all.
    """
    found = {}
    for order in itertools.permutations([dim for dim in Dim if loops & BIT[dim]]):
        if stationary is not None:
            changes = [dim in USES[stationary] for dim in order]
            if changes != sorted(changes, reverse=True):
                continue
        passed = []
        for operand in Operand:
            inside = list(itertools.takewhile(lambda dim, o=operand: dim not in USES[o], reversed(order)))
            passed += inside
        mask = sum(BIT[dim] for dim in passed)
        found.setdefault(mask, order)
    return found


class Run(NamedTuple):
    """A run of indices along a dim, and which piece of the keyed cuts it is."""

    start: int
    size: int
    key: tuple


def runs(size, inner, flags, keyed):
    """Return the runs that cuts into pieces of these sizes leave: all pieces of a flagged cut, else the first."""
    found = [Run(0, size, ())]
    for piece, flag, key in zip(inner, flags, keyed, strict=True):
        found = [
            Run(run.start + offset, min(piece, run.size - offset), (*run.key, offset) if key else run.key)
            for run in found
            for offset in range(0, run.size if flag else 1, piece)
        ]
    return found


def pixels(window, outputs, taps):
    """Return the pixels that runs of outputs and of taps touch: within one piece of the keyed cuts each once."""
    groups = {}
    for run in outputs:
        for tap in taps:
            span = window.interval(run.start, run.size, tap.start, tap.size)
            groups.setdefault((run.key, tap.key), set()).update(range(*span))
    return sum(map(len, groups.values()))


def _nest(steps, dims, chosen, order):
    """Return the nest with the chosen chain of every dim (the others being 1) and orders by step."""
    built = []
    for index, step in enumerate(steps):
        if step.store is None:
            counts = {dim: chain.counts[index] for dim, chain in chosen.items() if chain.counts[index] > 1}
            built.append(Unrolling(axis=step.name, counts=counts))
        else:
            tile = Dims(*(chosen[dim].tiles[index] if dim in chosen else dims[dim] for dim in Dim))
            built.append(
                Place(store=step.store.name, operands=step.operands, tile=tile, order=order.get(index, tuple(Dim)))
            )
    return Nest(steps=tuple(built))


@dataclass
class Brute:
    """All mappings of one arrangement of places, as arrays over mappings."""

    layer: object
    machine: object
    constraint: object
    steps: list
    limit: int
    number: int = field(init=False)
    known_costs: tuple | None = field(init=False, default=None)

    def __post_init__(self):
        self.window = windows(self.layer, self.machine)
        self.dims = [dim for dim in Dim if self.layer.dims[dim] > 1]
        self.chains = {dim: chains(dim, self.layer.dims[dim], self.steps, self.constraint) for dim in self.dims}
        self.zones = [index for index, step in enumerate(self.steps) if step.store is not None]
        self._combine_chains()
        self._keep_what_fits()
        self._add_orders()
        self.number = len(self.passed[0])

    def _table(self, dim, value):
        """Return a value of the chosen chain of a dim, over mappings; 1 for a dim of one."""
        if dim not in self.chains:
            return 1
        return np.array([value(chain) for chain in self.chains[dim]], dtype=np.int64)[self.pick[dim]]

    def _combine_chains(self):
        """Combine the chains of all dims, as far as the axes have instances for them."""
        axes = [index for index, step in enumerate(self.steps) if step.store is None]
        used = {index: np.ones(1, dtype=np.int64) for index in axes}
        sharing = {index: np.zeros(1, dtype=np.int64) for index in axes}
        self.pick = {}
        rows = 1
        for dim in self.dims:
            many = len(self.chains[dim])
            if rows * many > 40 * self.limit:
                raise TooManyError
            old, new = np.repeat(np.arange(rows), many), np.tile(np.arange(many), rows)
            fits = np.ones(rows * many, dtype=bool)
            for index in axes:
                count = np.array([chain.counts[index] for chain in self.chains[dim]])[new]
                used[index] = used[index][old] * count
                sharing[index] = sharing[index][old] + (count > 1)
                axis = self.steps[index].axis
                fits &= (used[index] <= axis.size) & (sharing[index] <= axis.most_dims)
            self.pick = {known: picked[old][fits] for known, picked in self.pick.items()} | {dim: new[fits]}
            used = {index: count[fits] for index, count in used.items()}
            sharing = {index: count[fits] for index, count in sharing.items()}
            rows = int(fits.sum())
        self.rows = rows

    def _keep_what_fits(self):
        """Drop what the memories have no room for; keep a few of those, to be verified."""
        fits = np.ones(self.rows, dtype=bool)
        for store in self.machine.stores:
            total = np.zeros(self.rows)
            for index in self.zones:
                for operand in self.steps[index].operands if self.steps[index].store is store else ():
                    words = self._room(index, operand, store) * self.machine.width(operand)
                    total += words
                    fits &= words <= store.operand_words.get(operand, math.inf)
            fits &= total <= (math.inf if store.words is None else store.words)
        self.unfit = [{d: int(p[row]) for d, p in self.pick.items()} for row in np.flatnonzero(~fits)[:3]]
        self.pick = {dim: picked[fits] for dim, picked in self.pick.items()}
        self.rows = int(fits.sum())

    def _room(self, index, operand, store):
        """Return the words that a place sets aside for an operand."""
        tile = {dim: self._table(dim, lambda chain: chain.tiles[index]) for dim in Dim}
        words = np.ones(self.rows, dtype=np.int64)
        whole = np.ones(self.rows, dtype=bool)
        for dim in USES[operand]:
            whole &= tile[dim] == self.layer.dims[dim]
            if operand is not Operand.I or dim < Dim.P:
                words = words * tile[dim]
        if operand is Operand.I:
            for window, (outputs, taps) in zip(self.window, PAIRS, strict=True):
                span = (tile[outputs] - 1) * window.stride + (tile[taps] - 1) * window.dilation + 1
                words = words * np.minimum(window.size, span)
        return words * np.where(whole, 1, store.room)

    def _add_orders(self):
        """Combine with all orders of the loops in every zone; ``loops`` and ``passed`` are masks of dims, by zone."""
        self.loops, self.passed, self.order = [], [], []
        for index in self.zones:
            loops = np.zeros(self.rows, dtype=np.int64)
            for dim in self.dims:
                loops += np.where(self._table(dim, lambda chain, i=index: chain.bounds[i]) > 1, BIT[dim], 0)
            self.loops.append(loops)
        for zone, index in enumerate(self.zones):
            store = self.steps[index].store
            last = zone + 1 == len(self.zones) or self.steps[self.zones[zone + 1]].store is not store
            stationary = self.constraint.stationary.get(store.name) if last else None
            known = {int(loops): orders(int(loops), stationary) for loops in np.unique(self.loops[zone])}
            self.order.append(known)
            many = np.array([len(known[loops]) for loops in self.loops[zone].tolist()], dtype=np.int64)
            if many.sum() > self.limit:
                raise TooManyError
            passed = [mask for loops in self.loops[zone].tolist() for mask in known[loops]]
            again = np.repeat(np.arange(len(many)), many)
            self.pick = {dim: picked[again] for dim, picked in self.pick.items()}
            self.loops = [loops[again] for loops in self.loops]
            self.passed = [*(masks[again] for masks in self.passed), np.array(passed, dtype=np.int64)]
            self.rows = len(again)

    @property
    def axes(self):
        """Names of the axes."""
        return [step.name for step in self.steps if step.store is None]

    @property
    def kept(self):
        """Operands by memory."""
        kept = {}
        for step in self.steps:
            if step.store is not None:
                kept[step.store.name] = kept.get(step.store.name, frozenset()) | step.operands
        return frozenset(kept.items())

    def unrolled(self):
        """Return the masks of the dims unrolled along every axis, over mappings; zeros if there is no axis."""
        masks = []
        for index, step in enumerate(self.steps):
            if step.store is None:
                masks.append(np.zeros(self.rows, dtype=np.int64))
                for dim in self.dims:
                    masks[-1] += np.where(self._table(dim, lambda chain, i=index: chain.bounds[i]) > 1, BIT[dim], 0)
        return masks or [np.zeros(self.rows, dtype=np.int64)]

    def traffic(self, way):
        """Return the words of one operand over one boundary, as arrays over mappings."""
        counted = {dim: self._counted_zones(way, dim) for dim in self.dims if dim not in USES[way.operand]}
        words = self._product(way, counted, first=False)
        first = self._product(way, counted, first=True)
        tile = self._product(way, {}, first=None)
        names = {index: step.name for index, step in enumerate(self.steps) if step.store is None}
        up = way.operand is Operand.O
        back = {key: words[key] - first[key] if up else 0 for key in first}
        links = {}
        for fanout in self.machine.fanouts:
            inside = [
                i for i, name in names.items() if way.source <= i < way.target and name.startswith(fanout.name + ".")
            ]
            if inside:
                straight = words[False, inside[0]] + back[False, way.source] if fanout.forward else 0
                links[fanout.name] = words[False, inside[-1] + 1] + back[False, way.source] - straight
        source, target = way.source, way.target
        crossings = []
        for fanout in self.machine.fanouts:
            entries = [i for i, name in names.items() if source <= i < target and name.startswith(fanout.name + ".")]
            if entries and way.operand in fanout.words_per_cycle:
                key = (True, entries[0])
                rate = fanout.words_per_cycle[way.operand]
                crossings.append(closed_form.Crossing(fanout.name, rate, words[key], back[key], tile[key]))
        return closed_form.Traffic(
            operand=way.operand,
            source=self.steps[source].store.name,
            target=self.steps[target].store.name if target < len(self.steps) else closed_form.MAC,
            source_words=words[False, source],
            target_words=words[False, target],
            busiest_source_words=words[True, source],
            busiest_target_words=words[True, target],
            read_back_words=back[False, source],
            busiest_read_back_source_words=back[True, source],
            busiest_read_back_target_words=back[True, target],
            link_words=links,
            tile_source_words=tile[True, source],
            tile_target_words=tile[True, target],
            crossings=tuple(crossings),
        )

    def visits(self, way):
        """Return how often a tile comes: the closed form asks it of any machine, but only sliding windows need it."""
        assert not any(store.slides for store in self.machine.stores), "sliding windows are not enumerated"
        return 1

    def _counted_zones(self, way, dim):
        """Return in how many zones, from the outermost in, the loop over a dim that does not change the tile counts."""
        outside = [zone for zone, index in enumerate(self.zones) if index < way.target]
        source = self.steps[way.source].store
        read = source.register_read
        if isinstance(read, dict):
            read = read.get(way.operand, "per_mac")
        if way.target == len(self.steps) and read == "per_mac":
            return np.full(self.rows, len(outside))
        counted = np.zeros(self.rows, dtype=np.int64)
        uses = sum(BIT[used] for used in USES[way.operand])
        for zone in outside:
            changes = (self.loops[zone] & uses) > 0
            inside = (self.passed[zone] & BIT[dim]) > 0
            counted = np.where(changes, np.where(inside, zone, zone + 1), counted)
        return counted

    def _product(self, way, counted, first):
        """Return {(busiest, depth): words}: of all visits, of the first ones, or of a single one (``first`` None)."""
        keys = [(busiest, depth) for busiest in (False, True) for depth in (way.source, way.target)]
        if self.machine.fanouts:
            keys += [(busy, depth) for busy in (False, True) for depth in range(way.source + 1, way.target)]
        total = {key: np.ones(self.rows, dtype=np.int64) for key in keys}
        parts = [(dim,) for dim in self.dims]
        if way.operand is Operand.I:
            parts = [part for part in parts if part[0] < Dim.P] + list(PAIRS)
        known = {}
        for part in parts:
            present = [dim for dim in part if dim in self.chains]
            picks = [self.pick[dim] for dim in present]
            zones = counted.get(part[0], np.zeros(self.rows, dtype=np.int64)) if first is False else 0
            coded = np.zeros(self.rows, dtype=np.int64) + zones
            for dim, pick in zip(present, picks, strict=True):
                coded = coded * len(self.chains[dim]) + pick
            codes, where = np.unique(coded, return_inverse=True)
            table = {key: np.empty(len(codes), dtype=np.int64) for key in keys}
            for number, code in enumerate(codes.tolist()):
                chosen, rest = {}, code
                for dim in reversed(present):
                    rest, at = divmod(rest, len(self.chains[dim]))
                    chosen[dim] = self.chains[dim][at]
                outside = (part, rest, *(chain.inner[: way.target] for chain in chosen.values()))
                if outside not in known:
                    known[outside] = self._part(way, part, chosen, rest, first, keys)
                for key, words in zip(keys, known[outside], strict=True):
                    table[key][number] = words
            for key in keys:
                total[key] = total[key] * table[key][where]
        return total

    def _part(self, way, part, chosen, zones, first, keys):
        """Return the words along one dim, or the two of an image axis, seen from depths of the nest."""
        used = part[0] in USES[way.operand]
        found = []
        for busiest, depth in keys:
            flags, keyed = [], []
            for index, step in enumerate(self.steps[: way.target]):
                if step.store is not None:
                    counts = used or (first is False and self.zones.index(index) < zones)
                    flags.append(first is not None and counts)
                    keyed.append(flags[-1])
                elif index < depth:
                    flags.append(not busiest)
                    keyed.append(True)
                else:
                    shared = way.operand is Operand.O or way.operand in step.axis.shares
                    flags.append(used or not shared)
                    keyed.append(not shared)
            cut = [
                runs(
                    self.layer.dims[dim],
                    chosen[dim].inner[: way.target] if dim in chosen else (1,) * way.target,
                    flags,
                    keyed,
                )
                for dim in part
            ]
            if len(part) == 2:
                found.append(pixels(self.window[PAIRS.index(part)], *cut))
            else:
                found.append(sum(run.size for run in cut[0]) if used else len(cut[0]))
        return found

    def iterations(self):
        """Return the MACs of the fullest PE."""
        total = np.ones(self.rows, dtype=np.int64)
        places = [step.store is not None for step in self.steps]
        for dim, table in self.chains.items():
            own = [len(runs(self.layer.dims[dim], chain.inner, places, places)) for chain in table]
            total = total * np.array(own, dtype=np.int64)[self.pick[dim]]
        return total

    def adder_depth(self):
        """Return the cycles of the adders along the axes that reduce."""
        depth = np.zeros(self.rows, dtype=np.int64)
        for index, step in enumerate(self.steps):
            if step.store is None:
                count = np.ones(self.rows, dtype=np.int64)
                for dim in self.dims:
                    if dim not in USES[Operand.O]:
                        count = count * self._table(dim, lambda chain, i=index: chain.bounds[i])
                levels = np.array([n.bit_length() for n in range(int(count.max()))])
                depth += count - 1 if step.axis.reduction is Reduction.CHAIN else levels[count - 1]
        return depth

    def costs(self):
        """Return the energy and the cycles of every mapping, by the closed form's own formulas."""
        if self.known_costs is not None:
            return self.known_costs
        nest = _nest(self.steps, self.layer.dims, {}, {})
        with (
            mock.patch.object(closed_form, "_Walk", return_value=self),
            mock.patch.object(closed_form, "max", _largest, create=True),
        ):
            cost = closed_form.evaluate(nest, self.layer, self.machine)
            self.known_costs = np.broadcast_to(cost.energy, self.rows), np.broadcast_to(cost.cycles, self.rows)
        return self.known_costs

    def nest(self, row):
        """Return one of the mappings."""
        chosen = {dim: self.chains[dim][picked[row]] for dim, picked in self.pick.items()}
        order = {
            index: self.order[zone][int(self.loops[zone][row])][int(self.passed[zone][row])]
            for zone, index in enumerate(self.zones)
        }
        return _nest(self.steps, self.layer.dims, chosen, order)

    def best(self, objective):
        """Return the best mapping."""
        energy, cycles = self.costs()
        first, second = rank(Best(energy, cycles, None, 0), objective)
        equal = np.flatnonzero(first <= first.min() * (1 + 1e-12))
        row = int(equal[np.argmin(second[equal])])
        return Best(float(energy[row]), float(cycles[row]), self.nest(row), self.number)

    def verify(self):
        """Check samples: what is said to fit passes ``check`` and costs as much, what does not is refused."""
        energy, cycles = self.costs()
        for row in random.Random(self.number).sample(range(self.number), min(3, self.number)):
            nest = self.nest(row)
            check(nest, self.layer, self.machine)
            cost = closed_form.evaluate(nest, self.layer, self.machine)
            assert cost.energy == pytest.approx(energy[row], rel=1e-9)
            assert cost.cycles == pytest.approx(cycles[row], rel=1e-9)
        for picked in self.unfit:
            nest = _nest(self.steps, self.layer.dims, {d: self.chains[d][at] for d, at in picked.items()}, {})
            with pytest.raises(InputError):
                check(nest, self.layer, self.machine)


def _largest(*values, default=None):
    """``max`` of numbers and arrays."""
    found, *others = values if len(values) > 1 else list(values[0]) or [default]
    for value in others:
        found = np.maximum(found, value)
    return found
