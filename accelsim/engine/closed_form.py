"""The closed form: what a mapping moves, computes, costs and takes, on a machine of any hierarchy.

Counting
    The controller runs a fixed program. A tile of an operand is brought to its place once for every iteration of the
    loops outside it, less the innermost run of loops that do not change it: going outwards, loops over dims that the
    operand does not use and loops of one iteration are passed until the first that changes the tile. (A loop has one
    iteration if it has in a full tile; what is cut short at an edge does not change the program.) The words of all
    visits
    are a product over dims: sizes of used dims add up, unused dims multiply by their iterations; inputs take the pixels
    between the first and the last that the windows of a tile touch, halos fetched again unless they slide through the
    memory. Instances of a shared axis
    that
    need the same word are served by one read at the source, and one write at each receiver; the windows of neighbouring
    instances are fetched as one if no loop over them runs inside the axis. Partial sums go up at the end of every
    visit, added
    up over the axes on the way; a visit that is not the first reads them back, to one instance of those that add up.
    The MAC reads the nearest memory that keeps the operand: for each MAC, or only when the word changes.

Time
    Array, memories and links are rate-bound and overlap, except that a memory with single buffering stops the array
    while its
    tiles come and go, and with it a sliding one that rolls, whose first window after such a stop must come before the
    next MAC. A network of a fan-out that has a rate counts as a memory. With the words that the busiest instance moves,

        cycles = max( fill + iterations + stops + drain,  latencies + max over memories of (words / words per cycle) )

    *Iterations*: MACs of the fullest PE. *Fill*: from the outermost memory in, the latency of every memory that feeds
    W or I
    and, where the receiver is double-buffered, the transfer of the first tiles. *Drain*: a full tile of O out through
    every double-buffered memory, latency of every memory that takes it, and the depth of the adders along the axes
    (chain: instances
    less one, tree: its levels). *Latencies*: those in fill and drain. A transfer runs at the slower of its two ends.

    For one double-buffered memory with tiles 0 .. T-1 this is the least that the lockstep of ping-pong halves,
    ``L(0) + sum max(C(i), L(i+1) + D(i-1)) + D(T-1)``, can take for the same tiles and one latency; the two agree
    when the tiles
    are equal and either side is the slower one throughout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from accelsim.dims import USES, Dim, Operand
from accelsim.mapping.hierarchy import Buffering, Machine, Reduction, SpatialFanout, Store
from accelsim.mapping.nest import Cut, Nest, Place, Unrolling, Window, cuts, windows
from accelsim.workload.layer import Layer

WINDOW_DIMS = (Dim.P, Dim.Q, Dim.R, Dim.S)
MAC = "MAC"
"""What the innermost transfers feed."""


class Piece(NamedTuple):
    """A run of indices along one dim, and its offset within the piece around it, cut by cut."""

    start: int
    size: int
    path: tuple[int, ...]


class Crossing(NamedTuple):
    """Words of one operand that enter (O: leave) a network with a rate, at the busiest instance above it.

    Attributes:
        fanout: Name of the fan-out.
        rate: Machine words per cycle.
        words: Words of all visits.
        back_words: Of partial sums, words read back.
        tile_words: Words of one full visit.
    """

    fanout: str
    rate: float
    words: int
    back_words: int
    tile_words: int


class Transfer(NamedTuple):
    """An operand's way from one place to the next that keeps it.

    Attributes:
        operand: What is moved.
        source: Index of the outer place's step.
        target: Index of the inner place's step; the number of steps stands for the MAC.
    """

    operand: Operand
    source: int
    target: int


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Words that one operand moves over one boundary.

    Attributes:
        operand: What is moved.
        source: Name of the outer memory.
        target: Name of the inner memory, or ``MAC``.
        source_words: Words at the outer side, over all its instances.
        target_words: Words at the inner side, over all its instances.
        busiest_source_words: Words at the outer side of the busiest instance.
        busiest_target_words: Words at the inner side of the busiest instance.
        read_back_words: Of partial sums: words read back, over all instances (one for one at both sides).
        busiest_read_back_source_words: Those of the busiest outer instance.
        busiest_read_back_target_words: Those of the busiest inner instance.
        link_words: By fan-out crossed, words on its links, read-back included.
        tile_source_words: Words at the outer side of one full visit, busiest instance.
        tile_target_words: Words at the inner side of one full visit, one instance.
        crossings: Networks with a rate between the two.
    """

    operand: Operand
    source: str
    target: str
    source_words: int
    target_words: int
    busiest_source_words: int
    busiest_target_words: int
    read_back_words: int
    busiest_read_back_source_words: int
    busiest_read_back_target_words: int
    link_words: dict[str, int]
    tile_source_words: int
    tile_target_words: int
    crossings: tuple[Crossing, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a mapping costs.

    Attributes:
        machine: The machine.
        traffic: Words over every boundary.
        macs: Multiply-accumulates.
        iterations: Those of the fullest PE.
        stop_cycles: Cycles in which single-buffered memories stop the array.
        fill_cycles: Before the first MAC.
        drain_cycles: After the last.
        latency_cycles: Latencies in fill and drain.
    """

    machine: Machine
    traffic: tuple[Traffic, ...]
    macs: int
    iterations: int
    stop_cycles: float
    fill_cycles: float
    drain_cycles: float
    latency_cycles: float

    @cached_property
    def read_words(self) -> dict[tuple[str, Operand], int]:
        """Words read, by memory and operand, over all instances."""
        return self._words(read=True)

    @cached_property
    def written_words(self) -> dict[tuple[str, Operand], int]:
        """Words written, by memory and operand, over all instances."""
        return self._words(read=False)

    @cached_property
    def link_words(self) -> dict[tuple[str, Operand], int]:
        """Words on links, by fan-out and operand."""
        total: dict[tuple[str, Operand], int] = {}
        for flow in self.traffic:
            for name, words in flow.link_words.items():
                total[name, flow.operand] = total.get((name, flow.operand), 0) + words
        return total

    @cached_property
    def energy_parts(self) -> dict[str, float]:
        """Energy of the MACs, of every memory and of every fan-out's links."""
        width = self.machine.width
        parts = {MAC: self.macs * self.machine.mac_energy}
        for store in self.machine.stores:
            parts[store.name] = sum(
                width(operand)
                * (
                    self.read_words.get((store.name, operand), 0) * store.read_energy
                    + self.written_words.get((store.name, operand), 0) * store.write_energy
                )
                for operand in Operand
            )
        for fanout in self.machine.fanouts:
            words = sum(self.link_words.get((fanout.name, operand), 0) * width(operand) for operand in Operand)
            parts[fanout.name] = words * fanout.link_energy
        return parts

    @property
    def energy(self) -> float:
        """Energy of the layer."""
        return sum(self.energy_parts.values())

    @cached_property
    def busy_cycles(self) -> dict[str, float]:
        """Cycles that the busiest instance of every memory, and of every network with a rate, needs for its words."""
        busy = {store.name: _port_cycles(store, self.traffic, self.machine) for store in self.machine.stores}
        for fanout in self.machine.fanouts:
            if fanout.words_per_cycle:
                busy[fanout.name] = _network_cycles(fanout.name, self.traffic, self.machine)
        return busy

    @property
    def compute_cycles(self) -> float:
        """Cycles from the first fill to the last drain if no memory held the array up."""
        return self.fill_cycles + self.iterations + self.stop_cycles + self.drain_cycles

    @property
    def cycles(self) -> float:
        """Time of the layer."""
        return max(self.compute_cycles, self.latency_cycles + max(self.busy_cycles.values()))

    @property
    def bound(self) -> str:
        """What the layer waits for: ``compute``, or the name of a memory or a fan-out."""
        name = max(self.busy_cycles, key=lambda store: self.busy_cycles[store])
        return name if self.latency_cycles + self.busy_cycles[name] > self.compute_cycles else "compute"

    @property
    def edp(self) -> float:
        """Energy times cycles."""
        return self.energy * self.cycles

    def _words(self, *, read: bool) -> dict[tuple[str, Operand], int]:
        total: dict[tuple[str, Operand], int] = {}
        for flow in self.traffic:
            up = flow.operand is Operand.O
            outer = (flow.source_words if read != up else 0) + (flow.read_back_words if read else 0)
            inner = (flow.target_words if read == up else 0) + (0 if read else flow.read_back_words)
            for name, words in ((flow.source, outer), (flow.target, inner)):
                if name != MAC:
                    total[name, flow.operand] = total.get((name, flow.operand), 0) + words
        return total


def _port_cycles(store: Store, traffic: Sequence[Traffic], machine: Machine) -> float:
    """Return the cycles that a memory's ports need for the words of its busiest instance."""
    reads = writes = 0.0
    for flow in traffic:
        width, up = machine.width(flow.operand), flow.operand is Operand.O
        if flow.source == store.name:
            reads += width * (flow.busiest_read_back_source_words if up else flow.busiest_source_words)
            writes += width * (flow.busiest_source_words if up else 0)
        if flow.target == store.name:
            reads += width * (flow.busiest_target_words if up else 0)
            writes += width * (flow.busiest_read_back_target_words if up else flow.busiest_target_words)
    return max(
        reads / store.read_words_per_cycle,
        writes / store.write_words_per_cycle,
        (reads + writes) / store.words_per_cycle,
    )


def _network_cycles(fanout: str, traffic: Sequence[Traffic], machine: Machine) -> float:
    """Return the cycles that the busiest of a fan-out's networks needs, one an operand and direction."""
    busy: dict[tuple[Operand, bool], float] = {}
    for flow in traffic:
        for crossing in flow.crossings:
            if crossing.fanout == fanout:
                for back, words in ((False, crossing.words), (True, crossing.back_words)):
                    cycles = words * machine.width(flow.operand) / crossing.rate
                    busy[flow.operand, back] = busy.get((flow.operand, back), 0.0) + cycles
    return max(busy.values(), default=0.0)


def evaluate(nest: Nest, layer: Layer, machine: Machine) -> Cost:
    """Return what a (checked) mapping of a layer costs."""
    walk = _Walk(nest, layer, machine)
    ways = transfers(nest)
    traffic = tuple(walk.traffic(way) for way in ways)
    stores = {store.name: store for store in machine.stores}
    stops = _stops(walk, ways, nest, stores)
    stop = fill = drain = 0.0
    feeding: set[str] = set()
    taking: set[str] = set()
    for way, flow in zip(ways, traffic, strict=True):
        if flow.target == MAC:
            (taking if flow.operand is Operand.O else feeding).add(flow.source)
            continue
        inner = stores[flow.target]
        networks = tuple((crossing.rate, crossing.tile_words) for crossing in flow.crossings)
        first = _transfer_cycles(flow, flow.tile_source_words, flow.tile_target_words, networks, stores, machine)
        if inner.buffering is Buffering.SINGLE:
            stop += _stop_cycles(flow, stores, machine)
        elif inner.slides and inner.buffering is Buffering.ROLLING and flow.operand is Operand.I:
            stop += min(stops, walk.new_windows(way)) * first
        if flow.operand is Operand.O:
            taking.add(flow.source)
            drain += first if inner.buffering is Buffering.DOUBLE else 0.0
        else:
            feeding.add(flow.source)
            fill += first if inner.buffering is Buffering.DOUBLE else 0.0
    fill_latency = sum(stores[name].latency_cycles for name in sorted(feeding))
    drain_latency = sum(stores[name].latency_cycles for name in sorted(taking))
    return Cost(
        machine=machine,
        traffic=traffic,
        macs=layer.macs,
        iterations=walk.iterations(),
        stop_cycles=stop,
        fill_cycles=fill + fill_latency,
        drain_cycles=drain + drain_latency + walk.adder_depth(),
        latency_cycles=float(fill_latency + drain_latency),
    )


def active_pes(nest: Nest, layer: Layer, machine: Machine) -> int:
    """Return how many PEs of all fan-outs have work while the tiles are full."""
    walk = _Walk(nest, layer, machine)
    every = [[cut.spatial] * len(Dim) for cut in walk.cuts]
    return math.prod(len(walk._pieces(dim, every, len(every))) for dim in Dim)


def transfers(nest: Nest) -> list[Transfer]:
    """Return the ways of all operands between the places that keep them, and to the MAC."""
    ways = []
    for operand in Operand:
        kept = [index for index, step in enumerate(nest.steps) if isinstance(step, Place) and operand in step.operands]
        ways += [
            Transfer(operand, source, target) for source, target in zip(kept, [*kept[1:], len(nest.steps)], strict=True)
        ]
    return ways


def _stops(walk: _Walk, ways: Sequence[Transfer], nest: Nest, stores: dict[str, Store]) -> int:
    """Return how often the array stops for a tile of W or I in a single-buffered memory; at least once, to start."""
    stops = 1
    for way in ways:
        step = nest.steps[way.target] if way.target < len(nest.steps) else None
        if not isinstance(step, Place) or way.operand is Operand.O:
            continue
        if stores[step.store].buffering is Buffering.SINGLE:
            stops = max(stops, walk.visits(way))
    return stops


def _transfer_cycles(
    flow: Traffic,
    source_words: int,
    target_words: int,
    networks: tuple[tuple[float, int], ...],
    stores: dict[str, Store],
    machine: Machine,
    *,
    back: bool = False,
) -> float:
    """Return the time of a transfer at the slowest of its two ends and the networks (rate, words) between."""
    outer, inner, width = stores[flow.source], stores[flow.target], machine.width(flow.operand)
    up = flow.operand is Operand.O and not back
    outer_rate = min(outer.write_words_per_cycle if up else outer.read_words_per_cycle, outer.words_per_cycle)
    inner_rate = min(inner.read_words_per_cycle if up else inner.write_words_per_cycle, inner.words_per_cycle)
    ends = max(source_words * width / outer_rate, target_words * width / inner_rate)
    return max(ends, *(words * width / rate for rate, words in networks)) if networks else ends


def _stop_cycles(flow: Traffic, stores: dict[str, Store], machine: Machine) -> float:
    networks = tuple((crossing.rate, crossing.words) for crossing in flow.crossings)
    down = _transfer_cycles(flow, flow.busiest_source_words, flow.busiest_target_words, networks, stores, machine)
    back = _transfer_cycles(
        flow,
        flow.busiest_read_back_source_words,
        flow.busiest_read_back_target_words,
        tuple((crossing.rate, crossing.back_words) for crossing in flow.crossings),
        stores,
        machine,
        back=True,
    )
    return down + back


class _Walk:
    """Counts along the chain of tile sizes of one mapping."""

    def __init__(self, nest: Nest, layer: Layer, machine: Machine) -> None:
        self.nest, self.layer, self.machine = nest, layer, machine
        self.cuts: tuple[Cut, ...] = cuts(nest)
        self._known_pieces: dict[tuple[Any, ...], list[Piece]] = {}
        self._known_pixels: dict[tuple[Any, ...], int] = {}
        self.window: tuple[Window, Window] = windows(layer, machine)
        self.axes = {f"{fanout.name}.{axis.name}": (fanout, axis) for fanout in machine.fanouts for axis in fanout.axes}
        self.stores = {store.name: store for store in machine.stores}

    def iterations(self) -> int:
        """Return the MACs of the fullest PE."""
        every = [[not cut.spatial] * len(Dim) for cut in self.cuts]
        return math.prod(len(self._pieces(dim, every, len(self.cuts))) for dim in Dim)

    def adder_depth(self) -> int:
        """Return the cycles of the adders along the axes that reduce."""
        depth = 0
        for step, cut in zip(self.nest.steps, self.cuts, strict=True):
            if isinstance(step, Unrolling):
                count = math.prod(cut.bounds[dim] for dim in Dim if dim not in USES[Operand.O])
                chain = self.axes[step.axis][1].reduction is Reduction.CHAIN
                depth += count - 1 if chain else (count - 1).bit_length()
        return depth

    def traffic(self, way: Transfer) -> Traffic:
        """Return the words of one operand over one boundary."""
        operand, source, target = way
        loops = self._loops(way)
        first = [[False] * len(Dim) for _ in self.cuts]
        ends: dict[tuple[bool, int], int] = {}
        back: dict[tuple[bool, int], int] = {}
        for busiest in (False, True):
            for shared_from in (source, target):
                ends[busiest, shared_from] = self._words(way, loops, shared_from, busiest=busiest)
            visits = self._words(way, loops, source, busiest=busiest)
            back[busiest, source] = visits - self._first_visits(way, loops, source, busiest=busiest)
        inner = self._words(way, loops, target, busiest=True)
        back[True, target] = inner - self._first_visits(way, loops, target, busiest=True)
        up = operand is Operand.O
        back_words = back[False, source] if up else 0
        return Traffic(
            operand=operand,
            source=self._store(source).name,
            target=self._store(target).name if target < len(self.nest.steps) else MAC,
            source_words=ends[False, source],
            target_words=ends[False, target],
            busiest_source_words=ends[True, source],
            busiest_target_words=ends[True, target],
            read_back_words=back_words,
            busiest_read_back_source_words=back[True, source] if up else 0,
            busiest_read_back_target_words=back[True, target] if up else 0,
            link_words=self._links(way, loops, back_words),
            tile_source_words=self._words(way, first, source, busiest=True),
            tile_target_words=self._words(way, first, target, busiest=True),
            crossings=self._crossings(way, loops),
        )

    def visits(self, way: Transfer) -> int:
        """Return how often an instance's tile of the operand is brought."""
        return self._times(way, self._loops(way))

    def _times(self, way: Transfer, loops: list[list[bool]]) -> int:
        """Return how often some loops outside a place repeat, in one instance."""
        every = [[False] * len(Dim) if cut.spatial else row for cut, row in zip(self.cuts, loops, strict=True)]
        return math.prod(len(self._pieces(dim, every, way.target)) for dim in Dim)

    def new_windows(self, way: Transfer) -> int:
        """Return how often the inputs' window begins anew in an instance, rather than slide on or stay."""
        loops = self._loops(way)
        slide = self._slide(way, loops)
        if slide is not None:
            index, dim = slide
            loops[index][dim] = False
        return self._times(way, loops)

    def _store(self, index: int) -> Store:
        step = self.nest.steps[index]
        assert isinstance(step, Place)
        return self.stores[step.store]

    def _loops(self, way: Transfer) -> list[list[bool]]:
        """Return bool[cuts][dims]: whether the loop brings the tile again (else it stays while the loop runs)."""
        again = [[False] * len(Dim) for _ in self.cuts]
        per_mac = way.target == len(self.nest.steps) and self._store(way.source).reads_per_mac(way.operand)
        changes = per_mac
        for index in range(way.target - 1, -1, -1):
            step = self.nest.steps[index]
            for dim in reversed(step.order if isinstance(step, Place) else ()):
                changes = changes or (dim in USES[way.operand] and self.cuts[index].bounds[dim] > 1)
                again[index][dim] = changes
        return again

    def _first_visits(self, way: Transfer, loops: list[list[bool]], shared_from: int, *, busiest: bool) -> int:
        """Return the words of visits in which no partial sum has been there before."""
        used = USES[way.operand]
        first = [[again and dim in used for dim, again in zip(Dim, row, strict=True)] for row in loops]
        return self._words(way, first, shared_from, busiest=busiest)

    def _slide(self, way: Transfer, loops: list[list[bool]]) -> tuple[int, Dim] | None:
        """Return the loop (step, dim) along which the inputs slide into their memory, or None.

        It is the innermost loop that moves the tile on, if that is one over rows or columns of outputs of which the
        instances on the way do not share out the windows.
        """
        if way.operand is not Operand.I or way.target == len(self.nest.steps) or not self._store(way.target).slides:
            return None
        for index in range(way.target - 1, -1, -1):
            step = self.nest.steps[index]
            for dim in reversed(step.order if isinstance(step, Place) else ()):
                if loops[index][dim] and self.cuts[index].bounds[dim] > 1:
                    taps = {Dim.P: Dim.R, Dim.Q: Dim.S}.get(dim)
                    parted = taps is not None and any(
                        cut.spatial and (cut.bounds[dim] > 1 or cut.bounds[taps] > 1)
                        for cut in self.cuts[way.source : way.target]
                    )
                    return None if taps is None or parted else (index, dim)
        return None

    def _axes_crossed(self, way: Transfer, fanout: SpatialFanout) -> list[int]:
        """Return the steps of a fan-out's axes between the two places, from the outermost in."""
        return [
            index
            for index in range(way.source, way.target)
            if isinstance(step := self.nest.steps[index], Unrolling) and self.axes[step.axis][0] is fanout
        ]

    def _crossings(self, way: Transfer, loops: list[list[bool]]) -> tuple[Crossing, ...]:
        """Return the words over every network with a rate between the two places."""
        crossings = []
        first = [[False] * len(Dim) for _ in self.cuts]
        for fanout in self.machine.fanouts:
            rate = fanout.words_per_cycle.get(way.operand)
            entries = self._axes_crossed(way, fanout)
            if rate is None or not entries:
                continue
            words = self._words(way, loops, entries[0], busiest=True)
            up = way.operand is Operand.O
            back = words - self._first_visits(way, loops, entries[0], busiest=True) if up else 0
            tile = self._words(way, first, entries[0], busiest=True)
            crossings.append(Crossing(fanout.name, rate, words, back, tile))
        return tuple(crossings)

    def _links(self, way: Transfer, loops: list[list[bool]], back: int) -> dict[str, int]:
        """Return the words on the links of every fan-out between the two places."""
        links: dict[str, int] = {}
        for fanout in self.machine.fanouts:
            inside = self._axes_crossed(way, fanout)
            if inside:
                words = self._words(way, loops, inside[-1] + 1, busiest=False) + back
                straight = self._words(way, loops, inside[0], busiest=False) + back
                links[fanout.name] = words - (straight if fanout.forward else 0)
        return links

    def _words(self, way: Transfer, loops: list[list[bool]], shared_from: int, *, busiest: bool) -> int:
        """Return the words of all visits, counted at the depth of one step.

        Args:
            way: The operand and its two places.
            loops: bool[cuts][dims], loops whose iterations count.
            shared_from: Axes from this step in are seen from outside: a shared word counts once.
            busiest: Count one instance, the first and so the fullest, of all that lies outside.
        """
        every = []
        for index, cut in enumerate(self.cuts):
            if not cut.spatial:
                every.append(loops[index])
            elif index < shared_from:
                every.append([not busiest] * len(Dim))
            else:
                every.append([dim in USES[way.operand] or not self._shares(index, way.operand) for dim in Dim])
        words = 1
        for dim in Dim:
            pieces = [] if way.operand is Operand.I and dim in WINDOW_DIMS else self._pieces(dim, every, way.target)
            if dim not in USES[way.operand]:
                words *= len(pieces)
            elif pieces:
                words *= sum(piece.size for piece in pieces)
        if way.operand is Operand.I:
            keyed = [
                [again or (cut.spatial and index < shared_from) for again in row]
                for index, (cut, row) in enumerate(zip(self.cuts, every, strict=True))
            ]
            slide = self._slide(way, loops)
            if slide:
                keyed[slide[0]][slide[1]] = False
            for index in range(shared_from, len(self.cuts)):
                if self.cuts[index].spatial and self._shares(index, way.operand):
                    keyed[index] = [False] * len(Dim)
            for axis in range(2):
                words *= self._window_words(axis, every, keyed, way.target)
        return words

    def _shares(self, index: int, operand: Operand) -> bool:
        step = self.nest.steps[index]
        assert isinstance(step, Unrolling)
        return operand is Operand.O or operand in self.axes[step.axis][1].shares

    def _window_words(self, axis: int, every: list[list[bool]], keyed: list[list[bool]], depth: int) -> int:
        """Return the pixels along one image axis: unions of pieces that no keyed cut parts, summed."""
        dims = ((Dim.P, Dim.R), (Dim.Q, Dim.S))[axis]
        known = (axis, *((every[index][dim], keyed[index][dim]) for dim in dims for index in range(depth)))
        if known not in self._known_pixels:
            groups: dict[tuple[int, ...], list[tuple[int, int]]] = {}
            taps = self._pieces(dims[1], every, depth)
            for run in self._pieces(dims[0], every, depth):
                for tap in taps:
                    key = tuple(
                        piece.path[index] if keyed[index][dim] else 0
                        for piece, dim in zip((run, tap), dims, strict=True)
                        for index in range(depth)
                    )
                    interval = self.window[axis].interval(run.start, run.size, tap.start, tap.size)
                    groups.setdefault(key, []).append(interval)
            self._known_pixels[known] = sum(_union(intervals) for intervals in groups.values())
        return self._known_pixels[known]

    def _pieces(self, dim: Dim, every: list[list[bool]], depth: int) -> list[Piece]:
        """Return the runs along a dim that the cuts before a step leave: all, or only the first of a cut."""
        known = (dim, *(every[index][dim] for index in range(depth)))
        if known not in self._known_pieces:
            pieces = [Piece(0, self.layer.dims[dim], ())]
            for index in range(depth):
                inner = self.cuts[index].inner[dim]
                pieces = [
                    Piece(piece.start + offset, min(inner, piece.size - offset), (*piece.path, offset))
                    for piece in pieces
                    for offset in range(0, piece.size if every[index][dim] else 1, inner)
                ]
            self._known_pieces[known] = pieces
        return self._known_pieces[known]


def _union(intervals: list[tuple[int, int]]) -> int:
    """Return how many integers lie in the half-open intervals, each counted once."""
    covered, end = 0, 0
    for low, high in sorted(intervals):
        covered += max(0, high - max(low, end))
        end = max(end, high)
    return covered
