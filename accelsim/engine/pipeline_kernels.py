"""Numba kernels that put an executed program on the clock: array, DMA channels, buffers with credits, ports.

The array runs *segments*, the ticks between two moves of tiles, one tick a cycle if its ports keep up. Every way has a
DMA channel of its own that runs ahead of the array as far as credits allow, one tile at a time and in order:

- double: a tile can come in when the one before the last has been used up; it can be used when it is all there;
- rolling: the same credit, but the tile can be used while it comes in, and be used up only when it is all there;
- single: the array stops where the mapping changes the tile, and the tiles go and come one after the other; a window
  in a rolling memory through which inputs slide comes then, too, before the array goes on, if it starts anew.

Partial sums have a second channel, which stores a tile when it is complete; a tile that comes back waits for its own
store. A transfer reads at one memory and writes at the other, and is no faster than the networks between them; every
port serves words at its rate. While the array runs, a transfer gets the share of the ports with which it ends when the
array, at its present pace, needs it, and the array goes as fast as its ports then allow; what nobody needs goes to the
transfer that is due first. Rates hold on average: a port of half a word a cycle takes two cycles for a word, one of
four words moves a single word in a quarter of a cycle. A memory's latency delays the first tile of a channel and the
last store only: later requests are sent ahead.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

SINGLE, DOUBLE, ROLLING = range(3)
IDLE, DELAYED, MOVING, HELD, AFTER = range(5)
"""States of a channel: nothing to do; waits for a latency; moves; all moved, but the source's tile still comes in; the
latency of the last store."""
TIME, FILL, RUN, DRAIN, EVENTS, STUCK = range(6)
"""Places in ``Clock.total``."""
LOAD, STORE, COMPUTE, STALL = range(4)
"""Kinds of events."""
ALMOST = 1e-9


class Pipeline(NamedTuple):
    """What is to be run; one entry per way between two memories unless said otherwise.

    Attributes:
        sums: bool, whether it moves partial sums.
        source: int64, index of the outer memory.
        target: int64, index of the inner memory.
        buffering: int64, of the target.
        parent: int64, the way that fills the source's place, or -1.
        child: int64, the way that empties the target's place, or -1: the MACs.
        first: int64, where its visits start.
        count: int64, number of visits.
        pre: float64, latency of the first tile.
        post: float64, latency of the last store.
        serial: bool[visits], whether the array stands still while it comes.
        load_source: float64[visits], machine words that a load, or a read-back, takes from the source's port.
        load_target: float64[visits], and brings to the target's.
        store_source: float64[visits], machine words that a store brings to the source's port.
        store_target: float64[visits], and takes from the target's.
        load_least: float64[visits], cycles that a load, or a read-back, takes on the slowest network with a rate.
        store_least: float64[visits], and a store.
        after: int64[visits], store that must be over before a read-back.
        inside: int64[visits], visit of the parent that it is part of.
        opens: int64[visits], segment that begins with it.
        wanted: int64[visits], segment before which whoever takes a tile can begin with it.
        load_due: int64[visits], segment before which its load must be over if the array is not to wait.
        store_due: int64[visits], and its store, with the load that it makes room for.
        store_first: int64[visits], segment before which what that load brings is first used.
        follow: float64[visits], least cycles of that load over those of the store.
        fired: int64[segments], bits of the ways whose next visit the array starts.
        ticks: float64[segments].
        ideal: float64[segments], cycles of the array if nothing but its own words takes its ports and networks.
        least: float64[segments], cycles that its words take on the slowest network with a rate.
        reads: float64[segments, memories], machine words that the MACs read in a segment.
        writes: float64[segments, memories], and write.
        rates: float64[3, memories], words per cycle read, written, together.
        start_delay: float64, latency of the memories next to the MACs.
        end_delay: float64, cycles from the last MAC to the first store.
    """

    sums: np.ndarray
    source: np.ndarray
    target: np.ndarray
    buffering: np.ndarray
    parent: np.ndarray
    child: np.ndarray
    first: np.ndarray
    count: np.ndarray
    pre: np.ndarray
    post: np.ndarray
    serial: np.ndarray
    load_source: np.ndarray
    load_target: np.ndarray
    store_source: np.ndarray
    store_target: np.ndarray
    load_least: np.ndarray
    store_least: np.ndarray
    after: np.ndarray
    inside: np.ndarray
    opens: np.ndarray
    wanted: np.ndarray
    load_due: np.ndarray
    store_due: np.ndarray
    store_first: np.ndarray
    follow: np.ndarray
    fired: np.ndarray
    ticks: np.ndarray
    ideal: np.ndarray
    least: np.ndarray
    reads: np.ndarray
    writes: np.ndarray
    rates: np.ndarray
    start_delay: float
    end_delay: float


class Clock(NamedTuple):
    """What the run says; modified in place.

    Attributes:
        total: float64[6], time, cycles before the first tick, until the last tick, after it, events, whether it got
        stuck.
        waits: float64[ways], cycles in which the array waited for a way.
        slow: float64[memories + 1], cycles that a memory's ports, and at the end networks, held the running array up.
        event_kind: int8[events], recorded events; none if empty.
        event_way: int32[events], way, or the segment of a computation.
        event_visit: int32[events].
        event_start: float64[events].
        event_end: float64[events].
    """

    total: np.ndarray
    waits: np.ndarray
    slow: np.ndarray
    event_kind: np.ndarray
    event_way: np.ndarray
    event_visit: np.ndarray
    event_start: np.ndarray
    event_end: np.ndarray


@nb.njit(cache=True, nogil=True)
def used_up(child, first, count, inside, way, passed, done):
    """Return how many visits of a way whoever uses them has finished with."""
    user = child[way]
    if user < 0:
        return passed[way]
    if done[user] == count[user]:
        return count[way]
    return inside[first[user] + done[user]]


@nb.njit(cache=True, nogil=True)
def can_load(
    buffering, serial, parent, child, first, count, inside, after, sums, way, begun, coming, loaded, stored, passed
):
    """Return whether a way's next tile has its words at the source and, unless it is serial, its room at the target."""
    visit = begun[way]
    if visit >= count[way] or loaded[way] < visit:
        return False
    at, outer = first[way] + visit, parent[way]
    if outer >= 0:
        there = coming[outer] if buffering[outer] == ROLLING else loaded[outer]
        if there <= inside[at]:
            return False
    if sums[way] and stored[way] <= after[at]:
        return False
    if serial[at]:
        return True
    room = stored[way] if sums[way] else used_up(child, first, count, inside, way, passed, loaded)
    return visit < room + 2


@nb.njit(cache=True, nogil=True)
def can_store(buffering, child, first, count, inside, way, sent, stored, loaded, passed):
    """Return whether a way's next tile of partial sums is complete, or at least begun if the target is rolling."""
    visit = sent[way]
    if visit >= count[way] or stored[way] < visit:
        return False
    if buffering[way] == ROLLING:
        return loaded[way] > visit
    return used_up(child, first, count, inside, way, passed, stored) > visit


@nb.njit(cache=True, nogil=True)
def speed_of(least, words_a, rate_a, shared_a, words_b, rate_b, shared_b):
    """Return the fraction of a transfer per cycle that the ports of its two ends, and networks between, allow."""
    speed = 1.0 / least if least > 0 else np.inf
    if words_a > 0:
        speed = min(speed, min(rate_a, shared_a) / words_a)
    if words_b > 0:
        speed = min(speed, min(rate_b, shared_b) / words_b)
    return speed


@nb.njit(cache=True, nogil=True)
def array_speed(ticks, least, reads, writes, segment, asked, rates):
    """Return the fraction of a segment per cycle that the array runs, and what slows it down, or -1: as in ``slow``.

    ``asked``: float64[2, memories], words that transfers must have read and written by its end.
    """
    speed, slowest = 1.0 / ticks[segment], -1
    if least[segment] > ticks[segment]:
        speed, slowest = 1.0 / least[segment], rates.shape[1]
    for memory in range(rates.shape[1]):
        read, written = reads[segment, memory] + asked[0, memory], writes[segment, memory] + asked[1, memory]
        if read + written == 0:
            continue
        most = rates[2, memory] / (read + written)
        if read > 0:
            most = min(most, rates[0, memory] / read)
        if written > 0:
            most = min(most, rates[1, memory] / written)
        if most < speed:
            speed, slowest = most, memory
    return speed, slowest


@nb.njit(cache=True, nogil=True)
def take(left, outer, inner, words_outer, words_inner, up):
    """Take the words per cycle of a transfer from what is left of the ports, in place."""
    port_outer, port_inner = (1, 0) if up else (0, 1)
    left[port_outer, outer] = max(0.0, left[port_outer, outer] - words_outer)
    left[2, outer] = max(0.0, left[2, outer] - words_outer)
    left[port_inner, inner] = max(0.0, left[port_inner, inner] - words_inner)
    left[2, inner] = max(0.0, left[2, inner] - words_inner)


@nb.njit(cache=True, nogil=True)
def missing(buffering, bits, coming, loaded, passed):
    """Return a way whose next tile the array waits for, or -1."""
    for way in range(len(passed)):
        if (bits >> way) & 1 and buffering[way] != SINGLE:
            there = coming[way] if buffering[way] == ROLLING else loaded[way]
            if there <= passed[way]:
                return way
    return -1


@nb.njit(cache=True, nogil=True)
def unfinished(buffering, bits, loaded, passed):
    """Return a rolling way whose tile still comes in where the array would leave it, or -1."""
    for way in range(len(passed)):
        if (bits >> way) & 1 and buffering[way] == ROLLING and loaded[way] <= passed[way]:
            return way
    return -1


@nb.njit(cache=True, nogil=True)
def drive(pipe: Pipeline, clock: Clock):
    """Run a pipeline to its end."""
    buffering, parent, child, sums = pipe.buffering, pipe.parent, pipe.child, pipe.sums
    first, count, inside, after = pipe.first, pipe.count, pipe.inside, pipe.after
    store_first, follow = pipe.store_first, pipe.follow
    wanted, load_due, store_due, ideal = pipe.wanted, pipe.load_due, pipe.store_due, pipe.ideal
    load_source, load_target, store_source, store_target = (
        pipe.load_source, pipe.load_target, pipe.store_source, pipe.store_target,
    )  # fmt: skip
    source, target, pre, post, rates = pipe.source, pipe.target, pipe.pre, pipe.post, pipe.rates
    fired, ticks, all_reads, all_writes = pipe.fired, pipe.ticks, pipe.reads, pipe.writes
    event_kind, event_way, event_visit = clock.event_kind, clock.event_way, clock.event_visit
    event_start, event_end, total = clock.event_start, clock.event_end, clock.total
    serial, least, load_least, store_least = pipe.serial, pipe.least, pipe.load_least, pipe.store_least
    waits, slow, room = clock.waits, clock.slow, len(clock.event_kind)
    events = 0
    ways, segments, memories = len(count), len(ticks), rates.shape[1]
    begun, coming, loaded = np.zeros(ways, np.int64), np.zeros(ways, np.int64), np.zeros(ways, np.int64)
    sent, stored, passed = np.zeros(ways, np.int64), np.zeros(ways, np.int64), np.zeros(ways, np.int64)
    state, left_over = np.zeros(2 * ways, np.int64), np.zeros(2 * ways)
    until, since, speed = np.zeros(2 * ways), np.zeros(2 * ways), np.zeros(2 * ways)
    left, asked = np.zeros((3, memories)), np.zeros((2, memories))
    order, share_of, start_of = np.zeros(2 * ways, np.int64), np.zeros(2 * ways), np.zeros(segments + 1)
    start_of[1:] = np.cumsum(ideal)
    every = (1 << ways) - 1
    now, segment, cursor, ready_at, run_since, remaining = 0.0, 0, 0, -1.0, 0.0, 0.0
    running, arrived, ended, ended_at = False, True, False, np.inf
    waiting = -1
    while True:
        moved = True
        while moved:
            moved = False
            bits = fired[segment] if segment < segments else every
            if not running and not ended:
                if not arrived and unfinished(buffering, bits, loaded, passed) < 0:
                    for way in range(ways):
                        passed[way] += (bits >> way) & 1
                    arrived, cursor, moved = True, 0, True
                    if segment == segments:
                        ended, ended_at = True, now + pipe.end_delay
                        total[RUN] = now
            # Single buffers change their tiles one after the other: sums out from the inner to the outer, then all in.
            while arrived and cursor < 2 * ways and (not ended or now >= ended_at):
                way = ways - 1 - cursor if cursor < ways else cursor - ways
                if (bits >> way) & 1:
                    single = buffering[way] == SINGLE
                    if cursor < ways and single and sums[way] and stored[way] < passed[way]:
                        break
                    if cursor >= ways and not ended and serial[first[way] + passed[way]] and loaded[way] <= passed[way]:
                        break
                cursor += 1
                moved = True
            if (
                arrived
                and not running
                and not ended
                and cursor == 2 * ways
                and missing(buffering, bits, coming, loaded, passed) < 0
            ):
                if ready_at < 0:
                    ready_at = now + (pipe.start_delay if segment == 0 else 0.0)
                if now >= ready_at:
                    running, arrived, remaining, run_since, moved = True, False, 1.0, now, True
                    ready_at = -1.0
                    if segment == 0:
                        total[FILL] = now
            for way in range(ways):
                single = begun[way] < count[way] and serial[first[way] + begun[way]]
                mine = arrived and cursor == ways + way
                if state[2 * way] == IDLE and (not single or mine) and not ended:
                    if can_load(
                        buffering, serial, parent, child, first, count, inside, after, sums, way, begun, coming, loaded,
                        stored, passed,
                    ):  # fmt: skip
                        delay = pre[way] if begun[way] == 0 and not sums[way] else 0.0
                        begun[way] += 1
                        since[2 * way], until[2 * way] = now, now + delay
                        state[2 * way] = DELAYED if delay > 0 else MOVING
                        coming[way] += delay == 0
                        left_over[2 * way], moved = 1.0, True
                mine = arrived and cursor == ways - 1 - way
                if sums[way] and state[2 * way + 1] == IDLE and (not single or mine) and (not ended or now >= ended_at):
                    if can_store(buffering, child, first, count, inside, way, sent, stored, loaded, passed):
                        sent[way] += 1
                        since[2 * way + 1], state[2 * way + 1] = now, MOVING
                        left_over[2 * way + 1], moved = 1.0, True
            # Whatever waits for a time that has come, or has nothing to move, is over at once.
            for channel in range(2 * ways):
                way = channel // 2
                if state[channel] == DELAYED and now >= until[channel]:
                    state[channel], moved = MOVING, True
                    coming[way] += 1
                if state[channel] == MOVING:
                    visit = first[way] + (begun[way] - 1 if channel % 2 == 0 else sent[way] - 1)
                    a = load_source[visit] if channel % 2 == 0 else store_source[visit]
                    b = load_target[visit] if channel % 2 == 0 else store_target[visit]
                    if left_over[channel] <= ALMOST or (a == 0 and b == 0):
                        state[channel], moved = HELD, True
                if state[channel] == HELD:
                    if channel % 2 == 0:
                        outer, mine_in = parent[way], inside[first[way] + begun[way] - 1]
                        if outer >= 0 and loaded[outer] <= mine_in:
                            last = begun[way] == count[way] or inside[first[way] + begun[way]] > mine_in
                            if last:
                                continue
                        loaded[way] += 1
                        state[channel], moved = IDLE, True
                        if events < room:
                            event_kind[events], event_way[events], event_visit[events] = LOAD, way, loaded[way] - 1
                            event_start[events], event_end[events] = since[channel], now
                        events += 1
                    else:
                        if (
                            buffering[way] == ROLLING
                            and used_up(child, first, count, inside, way, passed, stored) < sent[way]
                        ):
                            continue
                        last = sent[way] == count[way]
                        until[channel] = now + (post[way] if last else 0.0)
                        state[channel], moved = AFTER, True
                if state[channel] == AFTER and now >= until[channel]:
                    stored[way] += 1
                    state[channel], moved = IDLE, True
                    if events < room:
                        event_kind[events], event_way[events], event_visit[events] = STORE, way, stored[way] - 1
                        event_start[events], event_end[events] = since[channel], now
                    events += 1
        if ended and now >= ended_at:
            finished = True
            for way in range(ways):
                finished &= not sums[way] or stored[way] == count[way]
            if finished:
                break
        step = np.inf
        left[:] = rates
        asked[:] = 0.0
        pace, slowest = 0.0, -1
        for channel in range(2 * ways):
            way, up = channel // 2, channel % 2
            share_of[channel], speed[channel] = 0.0, -1.0
            if state[channel] != MOVING:
                continue
            visit = first[way] + (sent[way] if up else begun[way]) - 1
            order[channel] = store_first[visit] if up else wanted[visit]
            if running:
                due, ends = store_due[visit] if up else load_due[visit], start_of[segment + 1]
                time = max(start_of[due], ends) - ends + remaining * ideal[segment]
                more = left_over[channel] + follow[visit] if up else left_over[channel]
                share_of[channel] = more * ideal[segment] / time
                a = store_source[visit] if up else load_source[visit]
                b = store_target[visit] if up else load_target[visit]
                asked[up, source[way]] += share_of[channel] * a
                asked[1 - up, target[way]] += share_of[channel] * b
        if running:
            pace, slowest = array_speed(ticks, least, all_reads, all_writes, segment, asked, rates)
            for channel in range(2 * ways):
                if share_of[channel] > 0:
                    way, up = channel // 2, channel % 2
                    visit = first[way] + (sent[way] if up else begun[way]) - 1
                    most = store_least[visit] if up else load_least[visit]
                    if pace * share_of[channel] * most > 1.0:
                        pace, slowest = 1.0 / (share_of[channel] * most), memories
            step = min(step, remaining / pace)
            for memory in range(memories):
                reads, writes = all_reads[segment, memory] * pace, all_writes[segment, memory] * pace
                left[0, memory] = max(0.0, left[0, memory] - reads - pace * asked[0, memory])
                left[1, memory] = max(0.0, left[1, memory] - writes - pace * asked[1, memory])
                both = reads + writes + pace * (asked[0, memory] + asked[1, memory])
                left[2, memory] = max(0.0, left[2, memory] - both)
        elif arrived and ready_at >= 0:
            step = min(step, ready_at - now)
        if ended and now < ended_at:
            step = min(step, ended_at - now)
        while True:
            best, oldest = -1, 2**62
            for channel in range(2 * ways):
                if state[channel] == MOVING and speed[channel] < 0 and order[channel] < oldest:
                    best, oldest = channel, order[channel]
            if best < 0:
                break
            way, up = best // 2, best % 2
            visit = first[way] + (sent[way] if up else begun[way]) - 1
            outer, inner = source[way], target[way]
            a = store_source[visit] if up else load_source[visit]
            b = store_target[visit] if up else load_target[visit]
            port_a, port_b = (1, 0) if up else (0, 1)
            most = store_least[visit] if up else load_least[visit]
            sure = pace * share_of[best]
            share = speed_of(0.0, a, left[port_a, outer], left[2, outer], b, left[port_b, inner], left[2, inner])
            if most > 0:
                share = min(share, max(0.0, 1.0 / most - sure))
            speed[best] = share + sure
            if share == np.inf:
                step = 0.0
                left_over[best] = 0.0
                continue
            take(left, outer, inner, share * a, share * b, up)
            if speed[best] > 0:
                step = min(step, left_over[best] / speed[best])
        for channel in range(2 * ways):
            if state[channel] == DELAYED or state[channel] == AFTER:
                step = min(step, max(0.0, until[channel] - now))
        if step == np.inf:
            total[STUCK] = 1
            break
        for channel in range(2 * ways):
            if state[channel] == MOVING and speed[channel] > 0 and speed[channel] < np.inf:
                left_over[channel] -= speed[channel] * step
                if left_over[channel] < ALMOST * speed[channel] * max(1.0, now):
                    left_over[channel] = 0.0
        if running:
            if slowest >= 0:
                slow[slowest] += step * (1.0 - pace * ticks[segment])
            remaining -= pace * step
        elif not ended and step > 0 and segment > 0:
            waiting = missing(buffering, fired[segment] if segment < segments else every, coming, loaded, passed)
            if cursor < 2 * ways and arrived:
                waiting = ways - 1 - cursor if cursor < ways else cursor - ways
            elif not arrived:
                waiting = unfinished(buffering, fired[segment] if segment < segments else every, loaded, passed)
            if waiting >= 0:
                waits[waiting] += step
        now += step
        if running and remaining <= ALMOST * pace * max(1.0, now):
            if events < room:
                event_kind[events], event_way[events], event_visit[events] = COMPUTE, segment, 0
                event_start[events], event_end[events] = run_since, now
            events += 1
            running, arrived = False, False
            segment += 1
    total[TIME], total[EVENTS] = now, events
    total[DRAIN] = now - total[RUN]
