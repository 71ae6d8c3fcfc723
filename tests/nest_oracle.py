"""Walks a mapping iteration by iteration through a model of every buffer, with sets of words, and counts."""

from __future__ import annotations

import itertools
from collections import defaultdict

from accelsim.dims import USES, Dim, Operand
from accelsim.mapping.hierarchy import RegisterRead
from accelsim.mapping.nest import Place, Unrolling


class Oracle:
    """Counts of one mapping.

    ``moved[operand, source, target]`` is a dict of counts; ``steps`` the iterations of the array, ``macs`` the MACs.
    """

    def __init__(self, nest, layer, machine):
        self.nest, self.layer, self.machine = nest, layer, machine
        self.inner, self.bound = self._sizes()
        self.axes = {f"{f.name}.{a.name}": a for f in machine.fanouts for a in f.axes}
        self.stores = {store.name: store for store in machine.stores}
        self.moved = defaultdict(lambda: defaultdict(int))
        self.per_source = defaultdict(lambda: defaultdict(int))
        self.tags, self.seen, self.held = {}, defaultdict(set), {}
        self.steps = self.macs = 0
        self.targets = defaultdict(list)
        for operand in Operand:
            kept = [i for i, s in enumerate(nest.steps) if isinstance(s, Place) and operand in s.operands]
            for source, target in zip(kept, [*kept[1:], len(nest.steps)], strict=True):
                self.targets[target].append((operand, source, self._changing(operand, source, target)))
        whole = tuple(range(bound) for bound in layer.dims)
        self._walk(0, {(): whole}, ())

    def _sizes(self):
        """Sizes inside every step, and the most iterations of its loops, from the steps themselves."""
        sizes = [None] * len(self.nest.steps)
        inside = [1] * 8
        for index in range(len(sizes) - 1, -1, -1):
            sizes[index] = list(inside)
            step = self.nest.steps[index]
            inside = list(step.tile) if isinstance(step, Place) else [inside[d] * step.counts.get(d, 1) for d in Dim]
        bounds, outer = [], list(self.layer.dims)
        for inner in sizes:
            bounds.append([len(range(0, outer[d], inner[d])) for d in Dim])
            outer = [min(outer[d], inner[d]) for d in Dim]
        return sizes, bounds

    def _changing(self, operand, source, target):
        """Loops (step, dim) outside the target whose advance brings the tile again."""
        loops = [
            (index, dim)
            for index in range(target)
            if isinstance(self.nest.steps[index], Place)
            for dim in self.nest.steps[index].order
            if self.bound[index][dim] > 1
        ]
        if target == len(self.nest.steps):
            store = self.stores[self.nest.steps[source].store]
            read = store.register_read
            if isinstance(read, dict):
                read = read.get(operand, RegisterRead.PER_MAC)
            if read is RegisterRead.PER_MAC:
                return [*loops, None]
        while loops and loops[-1][1] not in USES[operand]:
            loops.pop()
        return loops

    def _walk(self, index, tiles, now):
        """Visit what is inside a step. ``tiles``: by instance (one entry per axis passed), a range per dim."""
        for operand, source, loops in self.targets[index]:
            self._arrive(operand, source, index, loops, tiles, now)
        if index == len(self.nest.steps):
            self.steps += 1
            self.macs += len(tiles)
            return
        step, inner = self.nest.steps[index], self.inner[index]
        if isinstance(step, Unrolling):
            parts = {}
            for instance, tile in tiles.items():
                for place in itertools.product(*(range(0, len(tile[d]), inner[d]) for d in Dim)):
                    parts[(*instance, place)] = tuple(
                        tile[d][at : at + inner[d]] for d, at in zip(Dim, place, strict=True)
                    )
            self._walk(index + 1, parts, now)
            return
        for at in itertools.product(*(range(self.bound[index][d]) for d in step.order)):
            offsets = dict(zip(step.order, at, strict=True))
            part = {}
            for instance, tile in tiles.items():
                cut = tuple(tile[d][offsets.get(d, 0) * inner[d] :][: inner[d]] for d in Dim)
                if all(len(run) for run in cut):
                    part[instance] = cut
            if part:
                self._walk(index + 1, part, (*now, *(((index, d), i) for d, i in offsets.items())))

    def _arrive(self, operand, source, target, loops, tiles, now):
        values = dict(now)
        tag = (self.steps,) if None in loops else tuple(values[loop] for loop in loops)
        passed = [i for i, s in enumerate(self.nest.steps[:target]) if isinstance(s, Unrolling)]
        above = sum(i < source for i in passed)
        groups = defaultdict(list)
        for instance, tile in tiles.items():
            if self.tags.get((operand, source, target, instance)) != tag:
                self.tags[operand, source, target, instance] = tag
                held = self.words(operand, tile)
                if operand is Operand.I and self._slides(source, target, loops):
                    held = self._slid((source, target, instance), tag, held)
                groups[instance[:above]].append((instance, held))
        for outer, members in groups.items():
            self._deliver((operand, source, target), outer, members, passed, above)

    def _slides(self, source, target, loops):
        """Whether the window slides into the target along the innermost loop that moves it on."""
        if target == len(self.nest.steps) or not self.stores[self.nest.steps[target].store].slides or not loops:
            return False
        dims = {Dim.P: (Dim.P, Dim.R), Dim.Q: (Dim.Q, Dim.S)}.get(loops[-1][1], ())
        spatial = [i for i in range(source, target) if isinstance(self.nest.steps[i], Unrolling)]
        return bool(dims) and all(self.bound[index][dim] == 1 for index in spatial for dim in dims)

    def _slid(self, key, tag, held):
        """What is new in a window, given that what it shares with the window before it in the same slide is there."""
        slide, before = self.held.get(key, (None, set()))
        self.held[key] = (tag[:-1], held)
        return held - before if slide == tag[:-1] else held

    def _deliver(self, way, outer, members, passed, above):
        operand = way[0]
        count, mine = self.moved[way], self.per_source[(*way, outer)]
        words = sum(len(held) for _, held in members)
        count["target"] += words
        for instance, held in members:
            self.per_source[(*way, "target", instance)]["words"] += len(held)
        for position in range(above, len(passed) + 1):
            reached = self._distinct(operand, members, passed, position)
            if position == above:
                count["source"] += reached
                mine["source"] += reached
                base = reached
            if position > above:
                count[f"link{passed[position - 1]}"] += reached
        if operand is Operand.O:
            union = set().union(*(held for _, held in members))
            back = len(union & self.seen[(*way, outer)])
            self.seen[(*way, outer)] |= union
            count["back"] += back
            mine["back"] += back
        assert base <= words

    def _distinct(self, operand, members, passed, position):
        """Words that pass at the depth of an axis: one for all instances inside that share it."""
        parts = defaultdict(set)
        for instance, held in members:
            key = [*instance[:position]]
            for depth in range(position, len(passed)):
                axis = self.axes[self.nest.steps[passed[depth]].axis]
                if operand is not Operand.O and operand not in axis.shares:
                    key.append(instance[depth])
                else:
                    key.append(None)
            parts[tuple(key)] |= held
        return sum(map(len, parts.values()))

    def words(self, operand, tile):
        """Set of the words that a tile of an operand holds."""
        if operand is not Operand.I:
            return set(itertools.product(*(tile[d] for d in Dim if d in USES[operand])))
        spans = []
        for axis, (size, outputs, taps) in enumerate(
            ((self.layer.H, tile[4], tile[6]), (self.layer.W, tile[5], tile[7]))
        ):
            before, after = (self.layer.padding[2 * axis], self.layer.padding[2 * axis + 1])
            touched = {
                p * self.layer.stride[axis] + r * self.layer.dilation[axis] - before for p in outputs for r in taps
            }
            real = range(-before, size + after) if self.machine.stores_padding else range(size)
            spans.append([pixel for pixel in range(min(touched), max(touched) + 1) if pixel in real])
        return set(itertools.product(tile[0], tile[1], tile[3], *spans))
