"""Numba kernels for the critical path of a pipeline: how long it takes at least, by who waits for whom and by ports.

The pipeline's event-driven clock shares ports out as time goes on. Here nothing is simulated: every *segment* of the
array starts as soon as four kinds of constraints allow, and the last store ends the layer.

- *Reuse*: a load follows the one before on its channel, the use of the tile whose room it takes, its words' arrival at
  the source, and the store of the sums that it reads back; it takes what its ports and networks need for it alone.
- *Stops*: where a single-buffered memory changes its tile, stores from the inside out and loads from the outside in
  follow each other, and the array waits.
- *Ports*: in every *window*, from one use of a way's tile to the next (and, as a rolling target has two for a load, to
  the one after), a port moves all words that can neither come earlier nor go later, the MACs' own among them.
- *Streams*: a segment takes its ticks, and what its ports and networks need for the words of the MACs alone, with those
  of tiles that can only come while it runs.

The sum over windows of the largest of these is what a maximum of totals, as in the closed form, leaves out: bursts of
loads, streams that stand still with the array, memories that start empty after a stop, sums that return at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from accelsim.engine.pipeline_kernels import DOUBLE, ROLLING, SINGLE, Pipeline

FILL, TICKS, STREAMS, STOPS, TILES, PORTS, DRAIN = range(7)
"""What the time of a path is for: places in ``parts``."""
SAME = 1e-9
"""Cycles below which two times are one."""


class Windows(NamedTuple):
    """Open windows, two per way, and the whole layer as the last; modified in place.

    Attributes:
        start: int64[windows], segment that it begins with; -1 before the first.
        time: float64[windows], when that segment began.
        read: float64[windows, memories], machine words read in it.
        written: float64[windows, memories], and written.
    """

    start: np.ndarray
    time: np.ndarray
    read: np.ndarray
    written: np.ndarray


class Times(NamedTuple):
    """When transfers begin and end, by visit, and when the array arrives at a segment; modified in place.

    Attributes:
        begin: float64[visits], load.
        end: float64[visits], load.
        stored: float64[visits], end of the store.
        arrival: float64[segments + 1], when the array has left the segment before.
        opened: int64[ways], visits that have been brought.
        loaded: float64[ways], end of the last load.
        sent: float64[ways], end of the last store.
    """

    begin: np.ndarray
    end: np.ndarray
    stored: np.ndarray
    arrival: np.ndarray
    opened: np.ndarray
    loaded: np.ndarray
    sent: np.ndarray


@nb.njit(cache=True, nogil=True)
def port_cycles(rates, read, written):
    """Return the cycles that the slowest memory needs for words read and written, each float64[memories]."""
    cycles = 0.0
    for memory in range(len(read)):
        both = read[memory] + written[memory]
        if both > 0:
            cycles = max(cycles, both / rates[2, memory])
            cycles = max(cycles, read[memory] / rates[0, memory], written[memory] / rates[1, memory])
    return cycles


@nb.njit(cache=True, nogil=True)
def transfer_cycles(pipe: Pipeline, way, visit, up):
    """Return the cycles of a load, or (``up``) a store, that has all ports for itself."""
    outer, inner = (1, 0) if up else (0, 1)
    outer_words = pipe.store_source[visit] if up else pipe.load_source[visit]
    inner_words = pipe.store_target[visit] if up else pipe.load_target[visit]
    cycles = pipe.store_least[visit] if up else pipe.load_least[visit]
    source, target = pipe.source[way], pipe.target[way]
    if outer_words > 0:
        cycles = max(cycles, outer_words / min(pipe.rates[outer, source], pipe.rates[2, source]))
    if inner_words > 0:
        cycles = max(cycles, inner_words / min(pipe.rates[inner, target], pipe.rates[2, target]))
    return cycles


@nb.njit(cache=True, nogil=True)
def add_words(pipe: Pipeline, way, visit, up, read, written):
    """Add the words of a load, or (``up``) a store, to what memories read and write, in place."""
    source, target = pipe.source[way], pipe.target[way]
    if up:
        written[source] += pipe.store_source[visit]
        read[target] += pipe.store_target[visit]
    else:
        read[source] += pipe.load_source[visit]
        written[target] += pipe.load_target[visit]


@nb.njit(cache=True, nogil=True)
def count_in(pipe: Pipeline, windows: Windows, way, visit, up, earliest):
    """Count a transfer in every open window within which it must happen: those not younger than its earliest start."""
    for window in range(len(windows.start)):
        if windows.start[window] <= earliest:
            add_words(pipe, way, visit, up, windows.read[window], windows.written[window])


@nb.njit(cache=True, nogil=True)
def store_tiles(pipe: Pipeline, windows: Windows, times: Times, scratch, segment, bits, now, ended):
    """Let the partial sums that a segment replaces go up, the innermost first; return when the array may go on."""
    at_end, arrival = segment == len(pipe.ticks), now
    for way in range(len(pipe.count) - 1, -1, -1):
        if not (bits >> way) & 1 or not pipe.sums[way] or times.opened[way] == 0:
            continue
        number, kind, child = times.opened[way] - 1, pipe.buffering[way], pipe.child[way]
        visit = pipe.first[way] + number
        complete = ended if at_end else arrival
        if child >= 0:
            complete = times.stored[pipe.first[child] + times.opened[child] - 1]
        begin = max(times.end[visit] if kind == ROLLING else complete, times.sent[way])
        end = max(begin + transfer_cycles(pipe, way, visit, True), complete)
        if kind == ROLLING and begin >= windows.time[way] - SAME:
            scratch[0], scratch[1] = windows.read[way], windows.written[way]
            if times.begin[visit] >= windows.time[way] - SAME:
                add_words(pipe, way, visit, False, scratch[0], scratch[1])
            add_words(pipe, way, visit, True, scratch[0], scratch[1])
            end = max(end, windows.time[way] + port_cycles(pipe.rates, scratch[0], scratch[1]))
        if number == pipe.count[way] - 1:
            end += pipe.post[way]
        times.stored[visit], times.sent[way] = end, end
        if kind == SINGLE:
            now = max(now, end)
            count_in(pipe, windows, way, visit, True, segment)
        elif number > 0:  # its room is needed a visit later: only the store before this one is due
            count_in(pipe, windows, way, visit - 1, True, pipe.opens[visit - (kind == ROLLING)])
        if at_end and kind != SINGLE:
            count_in(pipe, windows, way, visit, True, -1)
    return now


@nb.njit(cache=True, nogil=True)
def room_from(pipe: Pipeline, times: Times, way, number):
    """Return when the room of a way's next tile is free: that of the tile before the last."""
    first, child = pipe.first[way], pipe.child[way]
    if number < 2:
        return 0.0
    if pipe.sums[way]:
        return times.stored[first + number - 2]
    if child < 0:
        return times.arrival[pipe.opens[first + number - 1]]
    last = times.opened[child] - 1
    while last >= 0 and pipe.inside[pipe.first[child] + last] > number - 2:
        last -= 1
    return times.end[pipe.first[child] + last] if last >= 0 else 0.0


@nb.njit(cache=True, nogil=True)
def load_tiles(pipe: Pipeline, windows: Windows, times: Times, segment, bits, now):
    """Bring the tiles that a segment starts with, the outermost first; return when those that stop the array are there.

    Loads are found where they are needed; they begin where they can.
    """
    for way in range(len(pipe.count)):
        if not (bits >> way) & 1:
            continue
        number, parent = times.opened[way], pipe.parent[way]
        visit = pipe.first[way] + number
        begin = max(times.loaded[way], now if pipe.serial[visit] else room_from(pipe, times, way, number))
        around = pipe.first[parent] + pipe.inside[visit] if parent >= 0 else -1
        rolls = parent >= 0 and pipe.buffering[parent] == ROLLING
        if parent >= 0:
            begin = max(begin, times.begin[around] if rolls else times.end[around])
        if pipe.sums[way] and pipe.after[visit] >= 0:
            begin = max(begin, times.stored[pipe.first[way] + pipe.after[visit]])
        if number == 0 and not pipe.sums[way]:
            begin += pipe.pre[way]
        end = begin + transfer_cycles(pipe, way, visit, False)
        if rolls:
            end = max(end, times.end[around])
        times.begin[visit], times.end[visit], times.loaded[way] = begin, end, end
        times.opened[way] += 1
        if pipe.serial[visit]:
            now = max(now, end)
            count_in(pipe, windows, way, visit, False, segment)
        elif pipe.buffering[way] == DOUBLE:
            count_in(pipe, windows, way, visit, False, pipe.opens[visit - 1] if number > 0 else -1)
        elif number > 0:  # a rolling tile must be all there a visit later
            count_in(pipe, windows, way, visit - 1, False, pipe.opens[visit - 2] if number > 1 else -1)
    return now


@nb.njit(cache=True, nogil=True)
def tiles_ready(pipe: Pipeline, times: Times, bits, now):
    """Return when all tiles that a segment starts with are there, or at least begun if they roll."""
    for way in range(len(pipe.count)):
        visit = pipe.first[way] + times.opened[way] - 1
        if (bits >> way) & 1 and not pipe.serial[visit]:
            now = max(now, times.begin[visit] if pipe.buffering[way] == ROLLING else times.end[visit])
    return now


@nb.njit(cache=True, nogil=True)
def close_windows(pipe: Pipeline, windows: Windows, bits, now):
    """Return when ports have moved all that must happen in the windows that end here."""
    ways = len(pipe.count)
    for way in range(ways):
        if (bits >> way) & 1:
            for window in (way, ways + way):
                cycles = port_cycles(pipe.rates, windows.read[window], windows.written[window])
                now = max(now, windows.time[window] + cycles)
    return now


@nb.njit(cache=True, nogil=True)
def open_windows(windows: Windows, segment, bits, now):
    """Begin new windows of the ways that a segment fires; the last one goes on as the first half of a double one."""
    ways = len(windows.start) // 2
    for way in range(ways):
        if (bits >> way) & 1:
            windows.start[ways + way], windows.time[ways + way] = windows.start[way], windows.time[way]
            windows.read[ways + way], windows.written[ways + way] = windows.read[way], windows.written[way]
            windows.start[way], windows.time[way] = segment, now
            windows.read[way], windows.written[way] = 0.0, 0.0


@nb.njit(cache=True, nogil=True)
def segment_cycles(pipe: Pipeline, times: Times, scratch, segment, bits, now):
    """Return how long the array takes for a segment that starts now."""
    scratch[0], scratch[1] = pipe.reads[segment], pipe.writes[segment]
    for way in range(len(pipe.count)):
        visit = pipe.first[way] + times.opened[way] - 1
        if (bits >> way) & 1 and pipe.buffering[way] == ROLLING and not pipe.serial[visit]:
            if times.begin[visit] >= now - SAME:
                add_words(pipe, way, visit, False, scratch[0], scratch[1])
    return max(pipe.ideal[segment], port_cycles(pipe.rates, scratch[0], scratch[1]))


@nb.njit(cache=True, nogil=True)
def walk(pipe: Pipeline, windows: Windows, times: Times, parts):
    """Follow the critical path from segment to segment and return its length.

    Args:
        pipe: The pipeline.
        windows: Modified in place; all -1 and zeros before.
        times: Modified in place; zeros before.
        parts: float64[7], what the time is for, modified in place.
    """
    ways, segments = len(pipe.count), len(pipe.ticks)
    scratch = np.zeros((2, pipe.rates.shape[1]))
    every, now = (1 << ways) - 1, 0.0
    for segment in range(segments + 1):
        bits = pipe.fired[segment] if segment < segments else every
        before = now
        for way in range(ways):  # a rolling tile must be all there before the array leaves it
            if (bits >> way) & 1 and pipe.buffering[way] == ROLLING and times.opened[way] > 0:
                now = max(now, times.end[pipe.first[way] + times.opened[way] - 1])
        times.arrival[segment] = now
        parts[TILES] += now - before
        if segment == segments:
            break
        stopped = store_tiles(pipe, windows, times, scratch, segment, bits, now, now)
        stopped = load_tiles(pipe, windows, times, segment, bits, stopped)
        there = tiles_ready(pipe, times, bits, stopped)
        started = close_windows(pipe, windows, bits, there)
        if segment == 0:
            started += pipe.start_delay
            parts[FILL] += started
        else:
            parts[STOPS] += stopped - now
            parts[TILES] += there - stopped
            parts[PORTS] += started - there
        open_windows(windows, segment, bits, started)
        cycles = segment_cycles(pipe, times, scratch, segment, bits, started)
        parts[TICKS] += pipe.ticks[segment]
        parts[STREAMS] += cycles - pipe.ticks[segment]
        windows.read[:] += pipe.reads[segment]
        windows.written[:] += pipe.writes[segment]
        now = started + cycles
    end = store_tiles(pipe, windows, times, scratch, segments, every, now, now + pipe.end_delay)
    end = max(end, now + pipe.end_delay)
    for way in range(ways):
        if pipe.sums[way]:
            end = max(end, times.sent[way])
    whole = port_cycles(pipe.rates, windows.read[2 * ways], windows.written[2 * ways])
    parts[PORTS] += max(0.0, whole - end)
    parts[DRAIN] += end - now
    return max(end, whole)
