"""From what an execution moved to how long it took: builds the pipeline that the kernels put on the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.dims import USES, Dim, Operand
from accelsim.engine.closed_form import Transfer, transfers
from accelsim.engine.latency import CriticalPath, critical_path
from accelsim.engine.program import Lowered
from accelsim.engine.visits import Moves, moves
from accelsim.mapping.hierarchy import Buffering, Machine, Reduction, Store
from accelsim.mapping.nest import Nest, Place, Unrolling, cuts
from accelsim.workload.layer import Layer

if TYPE_CHECKING:
    from accelsim.engine.execute_kernels import State
    from accelsim.engine.pipeline_kernels import Clock, Pipeline

MOST_EVENTS = 2_000_000
"""Events that a trace keeps; later ones are counted only."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Where the time of a layer went, in cycles.

    Attributes:
        cycles: From the first request to the last word.
        ticks: Iterations of the array.
        fill_cycles: Before the first.
        drain_cycles: After the last.
        port_cycles: By memory, cycles by which its ports slowed the array down.
        network_cycles: Cycles by which networks with a rate did.
        wait_cycles: By operand and memory, cycles in which the array stood still for a tile of that memory.
        trace: Events, if asked for.
        path: What the layer takes at least, if asked for.
    """

    cycles: float
    ticks: int
    fill_cycles: float
    drain_cycles: float
    port_cycles: dict[str, float]
    network_cycles: float
    wait_cycles: dict[tuple[Operand, str], float]
    trace: Trace | None = None
    path: CriticalPath | None = None

    @property
    def stall_cycles(self) -> float:
        """Cycles between the first and the last MAC in which the array did less than it could."""
        return sum(self.port_cycles.values()) + self.network_cycles + sum(self.wait_cycles.values())


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Events in the order in which they ended.

    Attributes:
        kind: int8[events], 0 load or read-back, 1 store, 2 compute.
        way: int32[events], index into ``names``, or the segment of a computation.
        visit: int32[events], number of the tile.
        start: float64[events], cycle.
        end: float64[events], cycle.
        names: Name of every way, ``operand source -> target``.
        lost: Events beyond the most that are kept.
    """

    kind: np.ndarray
    way: np.ndarray
    visit: np.ndarray
    start: np.ndarray
    end: np.ndarray
    names: tuple[str, ...]
    lost: int


def time_of(
    lowered: Lowered, state: State, nest: Nest, machine: Machine, *, trace: bool = False, path: bool = False
) -> Timing:
    """Return how long an executed program takes, with its events and its critical path if asked for."""
    from accelsim.engine import pipeline_kernels as kernels  # noqa: PLC0415 - numba is loaded only where it is used

    pipe, ways = build(executed_moves(state), nest, machine)
    clock = _run(pipe, MOST_EVENTS if trace else 0)
    names = [step.store if isinstance(step, Place) else "" for step in nest.steps]
    waits: dict[tuple[Operand, str], float] = {}
    for number, cycles in zip(ways, clock.waits, strict=True):
        way = lowered.ways[number]
        key = way.operand, names[way.target]
        waits[key] = waits.get(key, 0.0) + float(cycles)
    return Timing(
        cycles=float(clock.total[kernels.TIME]),
        ticks=int(pipe.ticks.sum()),
        fill_cycles=float(clock.total[kernels.FILL]),
        drain_cycles=float(clock.total[kernels.DRAIN]),
        port_cycles={store.name: float(clock.slow[index]) for index, store in enumerate(machine.stores)},
        network_cycles=float(clock.slow[-1]),
        wait_cycles=waits,
        trace=_trace(clock, lowered, ways, names) if trace else None,
        path=critical_path(pipe) if path else None,
    )


def foretold_cycles(nest: Nest, layer: Layer, machine: Machine) -> float:
    """Return how long a (checked) mapping takes on the engine's clock, by the words that its visits should move.

    Nothing is executed: no operands, no memories. The clock's rules are the engine's; the words are not.
    """
    from accelsim.engine import pipeline_kernels as kernels  # noqa: PLC0415

    pipe, _ = build(moves(nest, layer, machine), nest, machine)
    return float(_run(pipe, 0).total[kernels.TIME])


def _run(pipe: Pipeline, room: int) -> Clock:
    """Return the clock of a pipeline that has run to its end; ``room``: events that are kept."""
    from accelsim.engine import pipeline_kernels as kernels  # noqa: PLC0415

    clock = kernels.Clock(
        total=np.zeros(6),
        waits=np.zeros(len(pipe.count)),
        slow=np.zeros(pipe.rates.shape[1] + 1),
        event_kind=np.zeros(room, np.int8),
        event_way=np.zeros(room, np.int32),
        event_visit=np.zeros(room, np.int32),
        event_start=np.zeros(room),
        event_end=np.zeros(room),
    )
    kernels.drive(pipe, clock)
    if clock.total[kernels.STUCK]:
        raise AssertionError("the pipeline is stuck")
    return clock


def _trace(clock: object, lowered: Lowered, ways: list[int], names: list[str]) -> Trace:
    from accelsim.engine import pipeline_kernels as kernels  # noqa: PLC0415

    assert isinstance(clock, kernels.Clock)
    found = int(clock.total[kernels.EVENTS])
    kept = min(found, len(clock.event_kind))
    labels = [
        f"{lowered.ways[number].operand.name} {names[lowered.ways[number].source]} -> "
        f"{names[lowered.ways[number].target]}"
        for number in ways
    ]
    return Trace(
        kind=clock.event_kind[:kept].copy(),
        way=clock.event_way[:kept].copy(),
        visit=clock.event_visit[:kept].copy(),
        start=clock.event_start[:kept].copy(),
        end=clock.event_end[:kept].copy(),
        names=tuple(labels),
        lost=found - kept,
    )


def executed_moves(state: State) -> Moves:
    """Return what the visits and segments of an executed program moved."""
    from accelsim.engine import execute_kernels  # noqa: PLC0415

    last = int(state.scalar[execute_kernels.SEGMENTS])
    fields = {name: getattr(state, name) for name in Moves._fields}
    return Moves(**{name: field[..., :last] if name.startswith("segment") else field for name, field in fields.items()})


def build(moved: Moves, nest: Nest, machine: Machine) -> tuple[Pipeline, list[int]]:
    """Return the pipeline of what was moved, or will be, and the nest's ways that its own stand for."""
    from accelsim.engine import pipeline_kernels  # noqa: PLC0415

    every = transfers(nest)
    ways = [number for number, way in enumerate(every) if way.target < len(nest.steps)]
    place = {number: position for position, number in enumerate(ways)}
    stores = {store.name: index for index, store in enumerate(machine.stores)}
    memory = [stores[step.store] if isinstance(step, Place) else -1 for step in nest.steps]
    sums = np.array([every[number].operand is Operand.O for number in ways], dtype=np.bool_)
    first, count = moved.visit_first[ways], moved.visit_count[ways]
    width = np.array([machine.width(every[number].operand) for number in ways])
    total = len(moved.visit_segment)
    scale = np.repeat(width, count) if total else np.zeros(0)
    visits = moved.visit_words * scale
    summed = np.repeat(sums, count)
    none = np.zeros(total)
    parent = [_neighbour(every, place, number, outer=True) for number in ways]
    child = [_neighbour(every, place, number, outer=False) for number in ways]
    source = [memory[every[number].source] for number in ways]
    target = [memory[every[number].target] for number in ways]
    latency = np.array([store.latency_cycles for store in machine.stores], dtype=np.float64)
    buffering = np.array([list(Buffering).index(machine.stores[index].buffering) for index in target], np.int64)
    sliding = [
        every[number].operand is Operand.I and machine.stores[index].slides
        for number, index in zip(ways, target, strict=True)
    ]
    last = len(moved.segment_ticks)
    fired = _bits(moved.segment_fired, ways)
    reads, writes, mac_memory = _mac_ports(every, moved, memory, machine)
    ticks, least = moved.segment_ticks.astype(np.float64), moved.segment_net.max(axis=0)
    rates = _rates(machine.stores)
    serial = _serial(moved, ways, sliding, buffering, fired)
    inside = _inside(moved, first, count, parent)
    needed = moved.visit_segment.astype(np.int64)
    wanted, load_due = _load_due(needed, serial, inside, first, count, child, buffering, last)
    words = {
        "load_source": np.where(summed, visits[2], visits[0]),
        "load_target": np.where(summed, visits[3], visits[1]),
        "store_source": np.where(summed, visits[0], none),
        "store_target": np.where(summed, visits[1], none),
        "load_least": np.where(summed, moved.visit_net[1], moved.visit_net[0]),
        "store_least": np.where(summed, moved.visit_net[0], none),
    }
    ends = np.repeat(np.array(source, np.int64), count), np.repeat(np.array(target, np.int64), count)
    times = _least_cycles(words, ends, rates) | {"first": wanted, "due": load_due}
    pipe = pipeline_kernels.Pipeline(
        sums=sums,
        source=np.array(source, np.int64),
        target=np.array(target, np.int64),
        buffering=buffering,
        parent=np.array(parent, np.int64),
        child=np.array(child, np.int64),
        first=first,
        count=count,
        pre=latency[source],
        post=latency[source],
        serial=serial,
        **words,
        after=moved.visit_after.astype(np.int64),
        inside=inside,
        opens=needed,
        wanted=wanted,
        load_due=load_due,
        **_stores(times, moved.visit_after, first, count, last),
        fired=fired,
        ticks=ticks,
        ideal=_ideal(ticks, least, reads, writes, rates),
        least=least,
        reads=reads,
        writes=writes,
        rates=rates,
        start_delay=float(max(latency[mac_memory[Operand.W]], latency[mac_memory[Operand.I]])),
        end_delay=float(latency[mac_memory[Operand.O]] + _adder_depth(nest, machine)),
    )
    return pipe, ways


def _neighbour(every: Sequence[Transfer], place: dict[int, int], number: int, *, outer: bool) -> int:
    """Return the way of the same operand outside or inside another one, or -1."""
    other = number - 1 if outer else number + 1
    if other in place and every[other].operand is every[number].operand:
        return place[other]
    return -1


def _inside(moved: Moves, first: np.ndarray, count: np.ndarray, parent: list[int]) -> np.ndarray:
    """Return int64[visits], the visit of the parent that every visit is part of: the last that began before it."""
    inside = np.zeros(len(moved.visit_segment), dtype=np.int64)
    for way, outer in enumerate(parent):
        if outer >= 0:
            mine = slice(first[way], first[way] + count[way])
            around = moved.visit_segment[first[outer] : first[outer] + count[outer]]
            inside[mine] = np.searchsorted(around, moved.visit_segment[mine], side="right") - 1
    return inside


def _serial(moved: Moves, ways: list[int], sliding: list[bool], buffering: np.ndarray, fired: np.ndarray) -> np.ndarray:
    """Return bool[visits], whether the array stands still for a tile.

    It does if the target is single, and where it stops (or starts) for such a one, for windows that begin anew.
    """
    singles = sum(1 << way for way, kind in enumerate(buffering) if kind == list(Buffering).index(Buffering.SINGLE))
    stops = fired & singles != 0
    stops[0] = True
    serial = np.zeros(len(moved.visit_segment), dtype=np.bool_)
    for number, slides, kind in zip(ways, sliding, buffering, strict=True):
        first = moved.visit_first[number]
        mine = slice(first, first + moved.visit_count[number])
        if list(Buffering)[kind] is Buffering.SINGLE:
            serial[mine] = True
        elif list(Buffering)[kind] is Buffering.ROLLING and slides:
            serial[mine] = moved.visit_anew[mine].astype(np.bool_) & stops[moved.visit_segment[mine]]
    return serial


def _ideal(
    ticks: np.ndarray, least: np.ndarray, reads: np.ndarray, writes: np.ndarray, rates: np.ndarray
) -> np.ndarray:
    """Return float64[segments], the cycles that the array takes if nothing else uses its ports and networks."""
    ports = np.stack([reads / rates[0], writes / rates[1], (reads + writes) / rates[2]]).max(axis=(0, 2))
    return np.asarray(np.maximum(np.maximum(ticks, least), ports), dtype=np.float64)


def _least_cycles(
    words: dict[str, np.ndarray], ends: tuple[np.ndarray, np.ndarray], rates: np.ndarray
) -> dict[str, np.ndarray]:
    """Return float64[visits] for ``load`` and ``store``, the cycles of a transfer that has all ports for itself."""
    least = np.minimum(rates[:2], rates[2])
    outer, inner = ends
    cycles = {}
    for kind, reading, writing in (("load", outer, inner), ("store", inner, outer)):
        read, written = (
            words[f"{kind}_{end}"] for end in (("source", "target") if kind == "load" else ("target", "source"))
        )
        ports = np.maximum(read / least[0][reading], written / least[1][writing])
        cycles[kind] = np.maximum(ports, words[f"{kind}_least"])
    return cycles


def _load_due(
    needed: np.ndarray,
    serial: np.ndarray,
    inside: np.ndarray,
    first: np.ndarray,
    count: np.ndarray,
    child: list[int],
    buffering: np.ndarray,
    segments: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return twice int64[visits]: the segments before which a tile is first used, and must be there.

    The first is where the array begins with the tile, or where whoever takes the tile on may begin to do so: when the
    tile before has begun to be used. Both are the same, unless a rolling target lets it be used while it comes.
    """
    first_use, due = needed.copy(), needed.copy()
    taken = needed.copy()  # where a load may begin, its predecessors having been used as the array goes
    rolling = list(Buffering).index(Buffering.ROLLING)
    for way in reversed(range(len(first))):
        mine = slice(first[way], first[way] + count[way])
        own, inner = needed[mine], child[way]
        if inner < 0:
            used, start = own, np.concatenate([[0], own[:-1]])
        else:
            theirs = slice(first[inner], first[inner] + count[inner])
            begins = np.searchsorted(inside[theirs], np.arange(count[way]))
            used = taken[theirs][begins]
            start = np.concatenate([[0], needed[theirs][np.maximum(begins[1:] - 1, 0)]])
        first_use[mine] = used
        due[mine] = np.concatenate([used[1:], [segments]]) if buffering[way] == rolling else used
        taken[mine] = np.where(serial[mine], own, start)
    return first_use, due


def _stores(
    times: dict[str, np.ndarray], after: np.ndarray, first: np.ndarray, count: np.ndarray, segments: int
) -> dict[str, np.ndarray]:
    """Return, for every visit's store, when its room or its sums are wanted again, and how long bringing them takes.

    ``times``: first use and due of every load, and the least cycles of load and store.
    """
    follows = np.full(len(after), -1, dtype=np.int64)
    for begin, visits in zip(first, count, strict=True):
        follows[begin : begin + max(0, visits - 2)] = np.arange(begin + 2, begin + visits)
        back = np.flatnonzero(after[begin : begin + visits] >= 0)
        follows[begin + after[begin + back]] = np.minimum(
            begin + back,
            np.where(follows[begin + after[begin + back]] < 0, 2**60, follows[begin + after[begin + back]]),
        )
    last = follows < 0
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(last | (times["store"] == 0), 0.0, times["load"][follows] / times["store"])
    return {
        "store_due": np.where(last, segments, times["due"][follows]),
        "store_first": np.where(last, segments, times["first"][follows]),
        "follow": ratio,
    }


def _bits(fired: np.ndarray, ways: list[int]) -> np.ndarray:
    """Return the bits of the ways that fire, renumbered to those between two memories."""
    bits = np.zeros(len(fired), dtype=np.int64)
    for position, number in enumerate(ways):
        bits |= ((fired.astype(np.int64) >> number) & 1) << position
    return bits


def _mac_ports(
    every: Sequence[Transfer], moved: Moves, memory: list[int], machine: Machine
) -> tuple[np.ndarray, np.ndarray, dict[Operand, int]]:
    """Return machine words that the MACs read and write in every segment, by memory, and each operand's memory."""
    segments = len(moved.segment_ticks)
    reads, writes = np.zeros((segments, len(machine.stores))), np.zeros((segments, len(machine.stores)))
    feeding: dict[Operand, int] = {}
    for way in every:
        if way.target < len(memory):
            continue
        feeding[way.operand] = memory[way.source]
        words = moved.segment_words[way.operand] * machine.width(way.operand)
        if way.operand is Operand.O:
            writes[:, memory[way.source]] += words
            reads[:, memory[way.source]] += moved.segment_words[3] * machine.width(way.operand)
        else:
            reads[:, memory[way.source]] += words
    return reads, writes, feeding


def _rates(stores: tuple[Store, ...]) -> np.ndarray:
    return np.array(
        [
            [store.read_words_per_cycle for store in stores],
            [store.write_words_per_cycle for store in stores],
            [store.words_per_cycle for store in stores],
        ],
        dtype=np.float64,
    )


def _adder_depth(nest: Nest, machine: Machine) -> int:
    """Return the cycles from a product to the sum of all instances: adders one after the other, or a tree of them."""
    axes = {f"{fanout.name}.{axis.name}": axis for fanout in machine.fanouts for axis in fanout.axes}
    depth = 0
    for step, cut in zip(nest.steps, cuts(nest), strict=True):
        if isinstance(step, Unrolling):
            parts = int(np.prod([cut.bounds[dim] for dim in Dim if dim not in USES[Operand.O]]))
            depth += parts - 1 if axes[step.axis].reduction is Reduction.CHAIN else (parts - 1).bit_length()
    return depth
