"""Numba kernels that execute a program word by word: what the controller, the memories, the links and the MACs do.

Every memory instance holds the words of one tile per operand in its own part of an array, and a record of which tile
that is. A tick is one iteration of the array. When a loop advances, the ways that it fires move tiles: partial sums
first, from the MACs outwards, then all operands from the outermost memory in. A word that several instances need is
read by the first and handed on to the others, which get what that one got. Counts are taken where words move.

Where a target holds one word (a MAC's operand latch, a register), its instances form a *line*: who works, who reads
and at which address is found once and holds until a ragged edge changes it; a visit is then one pass over the line.
Inner functions take plain arrays: numba counts references to every array of a named tuple that is passed.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from accelsim.engine.program import Program

W, I, O = range(3)  # noqa: E741 - the field's names of the operands
N, G, K, C, P, Q, R, S = range(8)
STARTED, DONE, TICKS, SEGMENTS, STAMP, MACS, FAULT, OVERFLOWS = range(8)
"""Places in ``State.scalar``."""
NO_FAULT, NOT_HELD = range(2)
"""Values of the fault: none; a tile was asked of a memory that does not hold it."""


class State(NamedTuple):
    """What changes while a program runs.

    Attributes:
        scalar: int64, see the names above.
        index: int64[loops], where every loop stands.
        linear: int64[ways + 2], sums of ``Program.linear`` over the loops.
        words_w: int16, words of W in all memories, and behind them the latches of the MACs.
        words_i: int16, words of I, likewise.
        words_o: int64, words of O in all memories.
        begun: uint8, by word of O: whether it holds a partial sum.
        stored_by: int32, by word of O: 1 + the visit that stored it last.
        origin: int64[rows, 5], first word of the tile that every memory instance holds.
        extent: int64[rows, 5], its size; -1 if it holds none.
        fresh: int64[rows, 5], where the words of that tile start that its last visit brought.
        brought: int64[rows, 5], their extents; less than the tile if its window slid.
        start: int64[8, spots], scratch.
        size: int64[8, spots], scratch.
        working: int64[ways, 8, spots], sizes when the way's line was formed; -1 before.
        mark: int64, by class: last stamp seen.
        first: int64, by class: instance, or place in the line, that was first.
        word_mark: int64, by word of I: last stamp seen.
        bus: int16, by word of I: what was read.
        total: int64[instances], scratch.
        total_back: int64[nets, instances], scratch; zeros between visits.
        line_length: int64[ways], instances with work.
        line: int64[ways, instances], which they are.
        line_at: int64[ways, instances], where their words are at the source, but for the loops' part.
        line_to: int64[ways, instances], where they go.
        line_leader: int64[ways, instances], the place in the line of the one that reads the word.
        line_pixel: int64[ways, 2, instances], pixel row and column that they look at, but for the loops' part.
        line_range: int64[ways, 2, 2], least and greatest of them.
        line_chosen: uint8[points, instances], whether a word counts at a point.
        line_words: int64[points], words at a point if every instance needs one.
        line_busiest: int64[ways], words that the busiest source reads for them.
        line_net: float64[ways], cycles that they take on the slowest network with a rate.
        limit: int64[1], largest magnitude of a partial sum.
        point_words: int64[points], words counted at every point.
        target_words: int64[ways], words counted at the targets.
        back_words: int64[ways], partial sums read back.
        visit_first: int64[ways], where a way's visits start.
        visit_count: int64[ways], visits so far.
        visit_words: int32[4, visits], of the busiest instance: source, target, read back at source, at target.
        visit_net: float64[2, visits], cycles on the slowest network with a rate, there and (sums) back.
        visit_anew: uint8[visits], whether a window that slides starts anew.
        visit_after: int32[visits], visit whose store must be over before this one reads back, or -1.
        visit_segment: int32[visits], segment that it is needed in.
        segment_fired: int32[segments], bits of the ways that fire before it.
        segment_ticks: int32[segments].
        segment_words: int64[4, segments], words of W, I, O and read-back that the MACs move, busiest source.
        segment_net: float64[4, segments], cycles that they take on the slowest network with a rate.
    """

    scalar: np.ndarray
    index: np.ndarray
    linear: np.ndarray
    words_w: np.ndarray
    words_i: np.ndarray
    words_o: np.ndarray
    begun: np.ndarray
    stored_by: np.ndarray
    origin: np.ndarray
    extent: np.ndarray
    fresh: np.ndarray
    brought: np.ndarray
    start: np.ndarray
    size: np.ndarray
    working: np.ndarray
    mark: np.ndarray
    first: np.ndarray
    word_mark: np.ndarray
    bus: np.ndarray
    total: np.ndarray
    total_back: np.ndarray
    line_length: np.ndarray
    line: np.ndarray
    line_at: np.ndarray
    line_to: np.ndarray
    line_leader: np.ndarray
    line_pixel: np.ndarray
    line_range: np.ndarray
    line_chosen: np.ndarray
    line_words: np.ndarray
    line_busiest: np.ndarray
    line_net: np.ndarray
    limit: np.ndarray
    point_words: np.ndarray
    target_words: np.ndarray
    back_words: np.ndarray
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


@nb.njit(cache=True, nogil=True)
def has_work(size, index, begin, end, chain_loop, chain_inner):
    """Return whether the first instance has anything to do where the loops stand, along one dim."""
    for entry in range(begin, end):
        loop = chain_loop[entry]
        if loop >= 0:
            size -= index[loop] * chain_inner[entry]
        if size <= 0:
            return False
        size = min(size, chain_inner[entry])
    return True


@nb.njit(cache=True, nogil=True)
def advance(program: Program, index, linear):
    """Advance the loops to the next iteration with work; return the loop that advanced, or -1 at the end."""
    steps, bound, ragged = program.linear, program.loop_bound, program.loop_ragged
    for loop in range(len(index) - 1, -1, -1):
        index[loop] += 1
        for row in range(len(linear)):
            linear[row] += steps[row, loop]
        if index[loop] < bound[loop]:
            dim = program.loop_dim[loop]
            begin, end = program.chain_begin[dim], program.chain_begin[dim + 1]
            if not ragged[loop] or has_work(
                program.dims[dim], index, begin, end, program.chain_loop, program.chain_inner
            ):
                return loop
        for row in range(len(linear)):
            linear[row] -= index[loop] * steps[row, loop]
        index[loop] = 0
    return -1


@nb.njit(cache=True, nogil=True)
def survey(program: Program, visits):
    """Return (ticks, segments) of a program, and count every way's visits in place, before anything is executed."""
    index = np.zeros(len(program.loop_dim), dtype=np.int64)
    linear = np.zeros(0, dtype=np.int64)
    fires = np.zeros(len(program.loop_dim), dtype=np.int64)
    ticks = 1
    loop = advance(program, index, linear)
    while loop >= 0:
        fires[loop] += 1
        ticks += 1
        loop = advance(program, index, linear)
    last = 0
    for way in range(len(program.way_operand)):
        if program.way_target[way] >= 0:
            visits[way] = 1 + fires[: program.way_fires[way]].sum()
            last = max(last, program.way_fires[way])
    return ticks, 1 + fires[:last].sum()


@nb.njit(cache=True, nogil=True)
def spans(program: Program, index, depth, start, size):
    """Find where every spot's piece of every dim starts and how large it is, at a depth; size 0: no work."""
    chain_step, chain_loop, chain_inner = program.chain_step, program.chain_loop, program.chain_inner
    spot_index, step = program.spot_index, program.depth_step[depth]
    for dim in range(8):
        begin, end = program.chain_begin[dim], program.chain_begin[dim + 1]
        for spot in range(program.spot_count[depth, dim]):
            at = program.spot_first[depth, dim] + spot * (end - begin)
            here, left = 0, program.dims[dim]
            for entry in range(begin, end):
                if chain_step[entry] >= step:
                    break
                loop, inner = chain_loop[entry], chain_inner[entry]
                offset = (index[loop] if loop >= 0 else spot_index[at + entry - begin]) * inner
                here += offset
                left = min(left - offset, inner)
                if left <= 0:
                    break
            start[dim, spot] = here
            size[dim, spot] = max(left, 0)


@nb.njit(cache=True, nogil=True)
def take_tile(operand, spots, place, start, size, window, origin, extent, row):
    """Note the tile of an instance from its spots; return its words, or -1 if the instance has no work."""
    for dim in range(8):
        if size[dim, spots[place, dim]] == 0:
            extent[row, 0] = -1
            return -1
    words = 1
    for position in range(5):
        if operand == W:
            dim = position + 1 if position < 3 else position + 3
        elif operand == I:
            dim = position if position < 2 else position + 1
        else:
            dim = position if position < 3 else position + 1
        here, wide = start[dim, spots[place, dim]], size[dim, spots[place, dim]]
        if operand == I and position >= 3:
            axis = position - 3
            stride, dilation = window[axis, 0], window[axis, 1]
            tap, taps = start[R + axis, spots[place, R + axis]], size[R + axis, spots[place, R + axis]]
            low = here * stride + tap * dilation - window[axis, 2]
            high = low + (wide - 1) * stride + (taps - 1) * dilation + 1
            here = max(low, 0)
            wide = max(here, min(high, window[axis, 3])) - here
        origin[row, position] = here
        extent[row, position] = wide
        words *= wide
    return words


@nb.njit(cache=True, nogil=True)
def address_in(first, strides, buffer, outer, origin, extent, begin, size, row):
    """Return where a memory instance (``outer``: its row) holds what starts at ``begin[row]``, or -1 if not all of it.

    ``size[row]`` are its extents; nothing at all is held anywhere.
    """
    address = first
    empty, held = False, True
    for position in range(5):
        offset = begin[row, position] - origin[outer, position]
        held &= 0 <= offset and offset + size[row, position] <= extent[outer, position]
        empty |= size[row, position] == 0
        address += offset * strides[buffer, position]
    return address if held or empty else -1


@nb.njit(cache=True, nogil=True)
def copy_tile(words, at, source, to, target, strides, extent, row):
    """Copy the words of a tile; ``source`` and ``target`` say with which strides."""
    for a in range(extent[row, 0]):
        for b in range(extent[row, 1]):
            for c in range(extent[row, 2]):
                from_c = at + a * strides[source, 0] + b * strides[source, 1] + c * strides[source, 2]
                to_c = to + a * strides[target, 0] + b * strides[target, 1] + c * strides[target, 2]
                for d in range(extent[row, 3]):
                    from_d, to_d = from_c + d * strides[source, 3], to_c + d * strides[target, 3]
                    for e in range(extent[row, 4]):
                        words[to_d + e] = words[from_d + e]


@nb.njit(cache=True, nogil=True)
def merge_tile(words, at, source, to, target, strides, extent, row, mark, stamp, bus):
    """Copy the words of a tile, reading only those that no neighbour has read; return how many were read.

    ``to`` -1 copies nothing.
    """
    reads = 0
    for a in range(extent[row, 0]):
        for b in range(extent[row, 1]):
            for c in range(extent[row, 2]):
                from_c = at + a * strides[source, 0] + b * strides[source, 1] + c * strides[source, 2]
                to_c = to + a * strides[target, 0] + b * strides[target, 1] + c * strides[target, 2]
                for d in range(extent[row, 3]):
                    from_d, to_d = from_c + d * strides[source, 3], to_c + d * strides[target, 3]
                    for e in range(extent[row, 4]):
                        if mark[from_d + e] != stamp:
                            mark[from_d + e] = stamp
                            bus[from_d + e] = words[from_d + e]
                            reads += 1
                        if to >= 0:
                            words[to_d + e] = bus[from_d + e]
    return reads


@nb.njit(cache=True, nogil=True)
def keep(words, to, target, strides, origin, extent, fresh, brought, row, axis, low, high):
    """Keep of a window that slides what the one before it held, moved to its place; return how many pixels.

    Args:
        words: Words of I, modified in place.
        to: Where the tile's words start.
        target: Buffer that holds the tile.
        strides: Address steps of the buffers.
        origin: First word of every row's tile.
        extent: Its size.
        fresh: Where what is to be brought starts, modified in place.
        brought: The size of that, modified in place.
        row: The instance's row.
        axis: Along which the window slides, 3 or 4; -1 keeps nothing.
        low: Where the window before began along the axis.
        high: Where it ended.
    """
    for position in range(5):
        fresh[row, position], brought[row, position] = origin[row, position], extent[row, position]
    if axis < 0:
        return 0
    begin = origin[row, axis]
    kept = max(0, min(high, begin + extent[row, axis]) - begin)
    if low > begin or kept == 0:
        return 0
    brought[row, axis] = kept
    # Windows move on towards higher addresses, so that no word is overwritten before it has been moved.
    copy_tile(words, to + (begin - low) * strides[target, axis], target, to, target, strides, brought, row)
    fresh[row, axis] = begin + kept
    brought[row, axis] = extent[row, axis] - kept
    return kept


@nb.njit(cache=True, nogil=True)
def begin_visit(scalar, visit_first, visit_count, visit_segment, way):
    """Open the record of a visit and return its number among all."""
    visit = visit_first[way] + visit_count[way]
    visit_count[way] += 1
    visit_segment[visit] = scalar[SEGMENTS]
    return visit


@nb.njit(cache=True, nogil=True)
def bring(program: Program, state: State, way, words, slides):
    """Bring tiles of W or I to every instance with work.

    Args:
        program: The program.
        state: Modified in place.
        way: The way.
        words: ``state.words_w`` or ``state.words_i``, modified in place.
        slides: Whether the tile moves on along the axis in which its windows slide.
    """
    operand, depth = program.way_operand[way], program.way_depth[way]
    source, target, ratio = program.way_source[way], program.way_target[way], program.way_ratio[way]
    first, merges = program.point_first[program.way_points[way]], program.way_merges[way]
    place, source_row, target_row = program.place_first[depth], program.buffer_row[source], program.buffer_row[target]
    source_home, source_words = program.buffer_first[source], program.buffer_words[source]
    target_home, target_words = program.buffer_first[target], program.buffer_words[target]
    order, groups, classes = program.point_order, program.point_group, program.point_class
    spots, strides, window = program.place_spot, program.buffer_stride, program.window
    start, size, origin, extent, scalar = state.start, state.size, state.origin, state.extent, state.scalar
    fresh, brought, axis = state.fresh, state.brought, 3 + program.way_slide[way] if slides else -1
    mark, leader, word_mark, bus = state.mark, state.first, state.word_mark, state.bus
    spans(program, state.index, depth, start, size)
    visit = begin_visit(scalar, state.visit_first, state.visit_count, state.visit_segment, way)
    busiest, served, serving, group = 0, 0, -1, -1
    total_read, total_words, largest = 0, 0, 0
    for position in range(program.depth_instances[depth]):
        instance = order[first + position]
        row = target_row + instance
        low = origin[row, axis] if slides else 0
        high = low + extent[row, axis] if slides and extent[row, 0] >= 0 else low
        count = take_tile(operand, spots, place + instance, start, size, window, origin, extent, row)
        if count < 0:
            continue
        if groups[first + instance] != group:
            group = groups[first + instance]
            scalar[STAMP] += 1
        giver = instance // ratio
        if giver != serving:
            busiest, served, serving = max(busiest, served), 0, giver
        home, outer = source_home + giver * source_words, source_row + giver
        at = address_in(home, strides, source, outer, origin, extent, origin, extent, row)
        to = target_home + instance * target_words
        kept = keep(words, to, target, strides, origin, extent, fresh, brought, row, axis, low, high)
        if kept:
            count = count // extent[row, axis] * (extent[row, axis] - kept)
            at += kept * strides[source, axis] if at >= 0 else 0
            to += kept * strides[target, axis]
        read, kind = 0, classes[first + instance]
        if at < 0:
            scalar[FAULT] = NOT_HELD
        elif merges:
            read = merge_tile(words, at, source, to, target, strides, brought, row, word_mark, scalar[STAMP], bus)
        elif mark[kind] != scalar[STAMP]:
            mark[kind] = scalar[STAMP]
            leader[kind] = instance
            copy_tile(words, at, source, to, target, strides, brought, row)
            read = count
        else:
            chief = target_home + leader[kind] * target_words + (kept * strides[target, axis] if kept else 0)
            copy_tile(words, chief, target, to, target, strides, brought, row)
        served += read
        total_read += read
        total_words += count
        largest = max(largest, count)
    state.point_words[program.way_points[way]] += total_read
    state.target_words[way] += total_words
    state.visit_words[0, visit] = max(busiest, served)
    state.visit_words[1, visit] = largest
    state.visit_anew[visit] = not slides
    count_nets(program, state, way, visit, words)
    if program.way_points[way + 1] > program.way_points[way] + 1:
        count_points(program, state, way, words)


@nb.njit(cache=True, nogil=True)
def new_words(program: Program, state: State, way, words, instance, kind, stamp):
    """Return how many of the words that an instance was brought nobody with the same stamp was brought before."""
    source, target = program.way_source[way], program.way_target[way]
    row = program.buffer_row[target] + instance
    if program.way_merges[way]:
        outer = instance // program.way_ratio[way]
        home = program.buffer_first[source] + outer * program.buffer_words[source]
        outer += program.buffer_row[source]
        at = address_in(
            home, program.buffer_stride, source, outer, state.origin, state.extent, state.fresh, state.brought, row
        )
        return merge_tile(
            words, at, source, -1, target, program.buffer_stride, state.brought, row, state.word_mark, stamp, state.bus
        )
    if state.mark[kind] == stamp:
        return 0
    state.mark[kind] = stamp
    count = 1
    for position in range(5):
        count *= state.brought[row, position]
    return count


@nb.njit(cache=True, nogil=True)
def count_nets(program: Program, state: State, way, visit, words):
    """Note the cycles that a visit's words take on the networks with a rate, at the busiest instance above each."""
    instances, row = program.depth_instances[program.way_depth[way]], program.buffer_row[program.way_target[way]]
    for net in range(program.way_nets[way], program.way_nets[way + 1]):
        first, group, total = program.net_first[net], -1, state.total
        total[:instances] = 0
        for position in range(instances):
            instance = program.net_order[first + position]
            if state.extent[row + instance, 0] < 0:
                continue
            if program.net_group[first + instance] != group:
                group = program.net_group[first + instance]
                state.scalar[STAMP] += 1
            stamp, kind = state.scalar[STAMP], program.net_class[first + instance]
            total[program.net_above[first + instance]] += new_words(program, state, way, words, instance, kind, stamp)
        cycles = total[:instances].max() / program.net_rate[net]
        state.visit_net[0, visit] = max(state.visit_net[0, visit], cycles)


@nb.njit(cache=True, nogil=True)
def count_points(program: Program, state: State, way, words):
    """Count the words of the tiles that targets hold at every point of a way but its source."""
    target = program.way_target[way]
    for point in range(program.way_points[way] + 1, program.way_points[way + 1]):
        first, group = program.point_first[point], -1
        for position in range(program.depth_instances[program.way_depth[way]]):
            instance = program.point_order[first + position]
            row = program.buffer_row[target] + instance
            if state.extent[row, 0] < 0:
                continue
            if program.point_group[first + instance] != group:
                group = program.point_group[first + instance]
                state.scalar[STAMP] += 1
            stamp, kind = state.scalar[STAMP], program.point_class[first + instance]
            state.point_words[point] += new_words(program, state, way, words, instance, kind, stamp)


@nb.njit(cache=True, nogil=True)
def open_sums(program: Program, state: State, way):
    """Make room for tiles of O in every instance with work, and read back the partial sums that there are."""
    depth, source, target = program.way_depth[way], program.way_source[way], program.way_target[way]
    first, ratio = program.point_first[program.way_points[way]], program.way_ratio[way]
    origin, extent, scalar = state.origin, state.extent, state.scalar
    words_o, begun, visit_words, strides = state.words_o, state.begun, state.visit_words, program.buffer_stride
    spans(program, state.index, depth, state.start, state.size)
    visit = begin_visit(scalar, state.visit_first, state.visit_count, state.visit_segment, way)
    scalar[STAMP] += 1
    served, back, serving, after = 0, 0, -1, -1
    for position in range(program.depth_instances[depth]):
        instance = program.point_order[first + position]
        row = program.buffer_row[target] + instance
        place = program.place_first[depth] + instance
        count = take_tile(O, program.place_spot, place, state.start, state.size, program.window, origin, extent, row)
        if count < 0:
            continue
        giver = instance // ratio
        if giver != serving:
            served, back, serving = 0, 0, giver
        home = program.buffer_first[source] + giver * program.buffer_words[source]
        outer = program.buffer_row[source] + giver
        at = address_in(home, strides, source, outer, origin, extent, origin, extent, row)
        if at < 0:
            scalar[FAULT] = NOT_HELD
            continue
        after = max(after, state.stored_by[at] - 1)
        kind = program.point_class[first + instance]
        chosen = state.mark[kind] != scalar[STAMP]
        state.mark[kind] = scalar[STAMP]
        to = program.buffer_first[target] + instance * program.buffer_words[target]
        keep(words_o, to, target, strides, origin, extent, state.fresh, state.brought, row, -1, 0, 0)
        returned = open_tile(words_o, begun, at, source, to, target, strides, extent, row, chosen)
        served += count if chosen else 0
        back += returned
        state.point_words[program.way_points[way]] += count if chosen else 0
        state.target_words[way] += count
        state.back_words[way] += returned
        visit_words[0, visit] = max(visit_words[0, visit], served)
        visit_words[1, visit] = max(visit_words[1, visit], count)
        visit_words[2, visit] = max(visit_words[2, visit], back)
        visit_words[3, visit] = max(visit_words[3, visit], returned)
        for net in range(program.way_nets[way], program.way_nets[way + 1]):
            state.total_back[net, program.net_above[program.net_first[net] + instance]] += returned
    for net in range(program.way_nets[way], program.way_nets[way + 1]):
        cycles = state.total_back[net].max() / program.net_rate[net]
        state.visit_net[1, visit] = max(state.visit_net[1, visit], cycles)
        state.total_back[net] = 0
    state.visit_after[visit] = after
    count_nets(program, state, way, visit, state.words_w)
    count_points(program, state, way, state.words_w)


@nb.njit(cache=True, nogil=True)
def open_tile(words, begun, at, source, to, target, strides, extent, row, chosen):
    """Fill a tile of O with the partial sums of its source, or with zeros; return how many were read back."""
    returned = 0
    for a in range(extent[row, 0]):
        for b in range(extent[row, 1]):
            for c in range(extent[row, 2]):
                from_c = at + a * strides[source, 0] + b * strides[source, 1] + c * strides[source, 2]
                to_c = to + a * strides[target, 0] + b * strides[target, 1] + c * strides[target, 2]
                for d in range(extent[row, 3]):
                    for e in range(extent[row, 4]):
                        word, place = from_c + d * strides[source, 3] + e, to_c + d * strides[target, 3] + e
                        # One of those that add up gets the sum back; the others start from a zero that counts as one.
                        begun[place] = begun[word]
                        words[place] = 0
                        if chosen and begun[word]:
                            words[place] = words[word]
                            returned += 1
    return returned


@nb.njit(cache=True, nogil=True)
def close_sums(program: Program, state: State, way):
    """Send the tiles of O that the targets hold up to their sources, added up where several have a part."""
    depth, source, target = program.way_depth[way], program.way_source[way], program.way_target[way]
    first, strides = program.point_first[program.way_points[way]], program.buffer_stride
    scalar, extent = state.scalar, state.extent
    scalar[STAMP] += 1
    for position in range(program.depth_instances[depth]):
        instance = program.point_order[first + position]
        row = program.buffer_row[target] + instance
        if extent[row, 0] < 0:
            continue
        giver = instance // program.way_ratio[way]
        home = program.buffer_first[source] + giver * program.buffer_words[source]
        outer = program.buffer_row[source] + giver
        at = address_in(home, strides, source, outer, state.origin, extent, state.origin, extent, row)
        if at < 0:
            scalar[FAULT] = NOT_HELD
            continue
        kind = program.point_class[first + instance]
        chosen = state.mark[kind] != scalar[STAMP]
        state.mark[kind] = scalar[STAMP]
        to = program.buffer_first[target] + instance * program.buffer_words[target]
        scalar[OVERFLOWS] += close_tile(
            state.words_o, state.begun, at, source, to, target, strides, extent, row, chosen, state.limit[0]
        )
        state.stored_by[at] = state.visit_count[way]


@nb.njit(cache=True, nogil=True)
def close_tile(words, begun, at, source, to, target, strides, extent, row, chosen, limit):
    """Write a tile of O over the source's words, or add it to what an instance of the same sums has written.

    Returns how many sums are larger than the accumulators hold.
    """
    overflows = 0
    for a in range(extent[row, 0]):
        for b in range(extent[row, 1]):
            for c in range(extent[row, 2]):
                from_c = at + a * strides[source, 0] + b * strides[source, 1] + c * strides[source, 2]
                to_c = to + a * strides[target, 0] + b * strides[target, 1] + c * strides[target, 2]
                for d in range(extent[row, 3]):
                    for e in range(extent[row, 4]):
                        word, place = from_c + d * strides[source, 3] + e, to_c + d * strides[target, 3] + e
                        value = words[place] + (0 if chosen else words[word])
                        words[word] = value
                        begun[word] = 1
                        overflows += value > limit or value < -limit - 1
    return overflows


@nb.njit(cache=True, nogil=True)
def regroup(program: Program, state: State, way):
    """Form a way's line anew if pieces at its target are not as large as when it was formed; return whether it was."""
    depth = program.way_depth[way]
    working, size = state.working, state.size
    spans(program, state.index, depth, state.start, size)
    changed = False
    for dim in range(8):
        for spot in range(program.spot_count[depth, dim]):
            changed |= size[dim, spot] != working[way, dim, spot]
            working[way, dim, spot] = size[dim, spot]
    if not changed:
        return False
    length, place = 0, program.way_place[way]
    for axis in range(2):
        state.line_range[way, axis, 0], state.line_range[way, axis, 1] = 2**62, -(2**62)
    for instance in range(program.depth_instances[depth]):
        works = True
        for dim in range(8):
            works &= size[dim, program.place_spot[program.place_first[depth] + instance, dim]] > 0
        if works:
            state.line[way, length] = instance
            for axis in range(2):
                pixel = program.pixel[axis, place + instance]
                state.line_pixel[way, axis, length] = pixel
                state.line_range[way, axis, 0] = min(state.line_range[way, axis, 0], pixel)
                state.line_range[way, axis, 1] = max(state.line_range[way, axis, 1], pixel)
            length += 1
    state.line_length[way] = length
    find_leaders(program, state, way)
    locate(program, state, way)
    return True


@nb.njit(cache=True, nogil=True)
def find_leaders(program: Program, state: State, way):
    """Choose for every instance of a line who reads its word: the first with the same word on a shared wire."""
    length, ratio = state.line_length[way], program.way_ratio[way]
    mark, first_of, classes = state.mark, state.first, program.point_class
    busiest, served, serving = 0, 0, -1
    for point in range(program.way_points[way], program.way_points[way + 1]):
        first, at_source = program.point_first[point], point == program.way_points[way]
        state.scalar[STAMP] += 1
        stamp, words = state.scalar[STAMP], 0
        for number in range(length):
            instance = state.line[way, number]
            kind = classes[first + instance]
            chosen = mark[kind] != stamp
            mark[kind] = stamp
            state.line_chosen[point, number] = chosen
            words += chosen
            if not at_source:
                continue
            if chosen:
                first_of[kind] = number
            state.line_leader[way, number] = first_of[kind]
            if instance // ratio != serving:
                busiest, served, serving = max(busiest, served), 0, instance // ratio
            served += chosen
        state.line_words[point] = words
    state.line_busiest[way] = max(busiest, served)
    state.line_net[way] = 0.0
    for net in range(program.way_nets[way], program.way_nets[way + 1]):
        first = program.net_first[net]
        state.total[:] = 0
        state.scalar[STAMP] += 1
        for number in range(length):
            instance = state.line[way, number]
            kind = program.net_class[first + instance]
            state.total[program.net_above[first + instance]] += mark[kind] != state.scalar[STAMP]
            mark[kind] = state.scalar[STAMP]
        state.line_net[way] = max(state.line_net[way], state.total.max() / program.net_rate[net])


@nb.njit(cache=True, nogil=True)
def net_share(state: State, way, words):
    """Return the cycles of a line's words on its slowest network, where the busiest source moves so many of them."""
    return state.line_net[way] * words / state.line_busiest[way] if words else 0.0


@nb.njit(cache=True, nogil=True)
def locate(program: Program, state: State, way):
    """Find the addresses at both ends of a line's words; those of inputs depend on where the source's tile starts."""
    source, target, ratio = program.way_source[way], program.way_target[way], program.way_ratio[way]
    strides, origin, place = program.buffer_stride, state.origin, program.way_place[way]
    inputs = program.way_operand[way] == I
    for number in range(state.line_length[way]):
        instance = state.line[way, number]
        address = program.buffer_first[source] + program.base[place + instance]
        if inputs:
            row = program.buffer_row[source] + instance // ratio
            address -= origin[row, 3] * strides[source, 3] + origin[row, 4] * strides[source, 4]
        state.line_at[way, number] = address
        state.line_to[way, number] = program.buffer_first[target] + instance if target >= 0 else number
    if target < 0 and program.way_operand[way] != O:
        latches = len(state.words_w) if program.way_operand[way] == W else len(state.words_i)
        for number in range(state.line_length[way]):
            state.line_to[way, number] += latches - state.line.shape[1]


@nb.njit(cache=True, nogil=True)
def hand_out(words, offset, length, at, to, leader, way):
    """Bring every instance of a line its word of W or I: those in the lead read, the others get what that one got."""
    for number in range(length):
        chief = leader[way, number]
        if chief == number:
            words[to[way, number]] = words[at[way, number] + offset]
        else:
            words[to[way, number]] = words[to[way, chief]]


@nb.njit(cache=True, nogil=True)
def hand_out_edge(words, offset, length, at, to, leader, way, pixel, row, col, height, width, line, ratio):
    """Do as ``hand_out`` where some pixels are padding, which is generated.

    Returns words read, those that the busiest source reads, and words brought.
    """
    reads, brought, busiest, before, serving = 0, 0, 0, 0, -1
    for number in range(length):
        if not (0 <= pixel[way, 0, number] + row < height and 0 <= pixel[way, 1, number] + col < width):
            words[to[way, number]] = 0
            continue
        chief, giver = leader[way, number], line[way, number] // ratio
        if giver != serving:
            busiest, before, serving = max(busiest, reads - before), reads, giver
        if chief == number:
            words[to[way, number]] = words[at[way, number] + offset]
            reads += 1
        else:
            words[to[way, number]] = words[to[way, chief]]
        brought += 1
    return reads, max(busiest, reads - before), brought


@nb.njit(cache=True, nogil=True)
def visit_line(program: Program, state: State, way):
    """Bring a line its words of W or I; return (words that the busiest source reads, words of the busiest target)."""
    operand, length = program.way_operand[way], state.line_length[way]
    points = len(state.linear) - 2
    row, col, offset = state.linear[points], state.linear[points + 1], state.linear[way]
    height, width = program.window[0, 3], program.window[1, 3]
    if operand == W:
        hand_out(state.words_w, offset, length, state.line_at, state.line_to, state.line_leader, way)
    elif (
        state.line_range[way, 0, 0] + row >= 0
        and state.line_range[way, 0, 1] + row < height
        and state.line_range[way, 1, 0] + col >= 0
        and state.line_range[way, 1, 1] + col < width
    ):
        hand_out(state.words_i, offset, length, state.line_at, state.line_to, state.line_leader, way)
    else:
        reads, busiest, brought = hand_out_edge(
            state.words_i, offset, length, state.line_at, state.line_to, state.line_leader, way, state.line_pixel,
            row, col, height, width, state.line, program.way_ratio[way],
        )  # fmt: skip
        state.target_words[way] += brought
        state.point_words[program.way_points[way]] += reads
        for point in range(program.way_points[way] + 1, program.way_points[way + 1]):
            for number in range(length):
                real = 0 <= state.line_pixel[way, 0, number] + row < height
                real &= 0 <= state.line_pixel[way, 1, number] + col < width
                state.point_words[point] += real and state.line_chosen[point, number]
        return busiest, min(brought, 1)
    for point in range(program.way_points[way], program.way_points[way + 1]):
        state.point_words[point] += state.line_words[point]
    state.target_words[way] += length
    return state.line_busiest[way], 1


@nb.njit(cache=True, nogil=True)
def begin_sums(words, begun, offset, length, at, leader, way):
    """Let every instance in the lead of a line of O start its sum at the source; return how many were there already."""
    back = 0
    for number in range(length):
        if leader[way, number] == number:
            word = at[way, number] + offset
            if begun[word]:
                back += 1
            else:
                begun[word] = 1
                words[word] = 0
    return back


@nb.njit(cache=True, nogil=True)
def open_line(words, begun, stored_by, offset, length, at, to, leader, way):
    """Let registers read their partial sums back, or start from zero; return (read back, last to store them)."""
    back, after = 0, 0
    for number in range(length):
        word, place = at[way, number] + offset, to[way, number]
        begun[place] = begun[word]
        words[place] = 0
        after = max(after, stored_by[word])
        if begun[word] and leader[way, number] == number:
            words[place] = words[word]
            back += 1
    return back, after - 1


@nb.njit(cache=True, nogil=True)
def close_line(words, begun, stored_by, offset, length, at, to, leader, way, visit, limit):
    """Send the sums of a line of registers up, added up where several have a part; return how many are too large."""
    overflows = 0
    for number in range(length):
        word = at[way, number] + offset
        value = words[to[way, number]] + (0 if leader[way, number] == number else words[word])
        words[word] = value
        begun[word] = 1
        stored_by[word] = visit
        overflows += value > limit or value < -limit - 1
    return overflows


@nb.njit(cache=True, nogil=True)
def open_sums_line(program: Program, state: State, way):
    """Do as ``open_sums`` for a line of registers."""
    length = state.line_length[way]
    visit = begin_visit(state.scalar, state.visit_first, state.visit_count, state.visit_segment, way)
    back, after = open_line(
        state.words_o, state.begun, state.stored_by, state.linear[way], length, state.line_at, state.line_to,
        state.line_leader, way,
    )  # fmt: skip
    for point in range(program.way_points[way], program.way_points[way + 1]):
        state.point_words[point] += state.line_words[point]
    state.target_words[way] += length
    state.back_words[way] += back
    state.visit_after[visit] = after
    state.visit_words[0, visit], state.visit_words[1, visit] = state.line_busiest[way], 1
    state.visit_words[2, visit], state.visit_words[3, visit] = min(back, state.line_busiest[way]), min(back, 1)
    state.visit_net[0, visit] = state.line_net[way]
    state.visit_net[1, visit] = net_share(state, way, state.visit_words[2, visit])


@nb.njit(cache=True, nogil=True)
def multiply(words_o, words_w, words_i, offset, length, at, to, way_w, way_i, way_o, limit):
    """Let every MAC with work do one multiplication and add it to its sum; return how many sums are too large."""
    overflows = 0
    for number in range(length):
        word = at[way_o, number] + offset
        product = np.int64(words_w[to[way_w, number]]) * np.int64(words_i[to[way_i, number]])
        value = words_o[word] + product
        words_o[word] = value
        overflows += value > limit or value < -limit - 1
    return overflows


@nb.njit(cache=True, nogil=True)
def close_ways(program: Program, state: State, loop, before):
    """Send the tiles of O up that a loop's advance takes away, the innermost first; ``before``: addresses before it."""
    for way in range(len(program.way_operand) - 1, -1, -1):
        if program.way_target[way] < 0 or program.way_operand[way] != O or loop >= program.way_fires[way]:
            continue
        if program.way_single[way]:
            state.scalar[OVERFLOWS] += close_line(
                state.words_o, state.begun, state.stored_by, before[way], state.line_length[way], state.line_at,
                state.line_to, state.line_leader, way, state.visit_count[way], state.limit[0],
            )  # fmt: skip
        else:
            close_sums(program, state, way)


@nb.njit(cache=True, nogil=True)
def open_ways(program: Program, state: State, loop):
    """Bring the tiles of all ways that a loop's advance fires, from the outermost memory in; return their bits."""
    fired = 0
    regroups = loop < 0 or program.loop_regroups[loop]
    for way in range(len(program.way_operand)):
        if program.way_target[way] < 0 or loop >= program.way_fires[way]:
            continue
        fired |= 1 << way
        operand = program.way_operand[way]
        slides = program.way_slide[way] >= 0 and loop == program.way_fires[way] - 1
        if program.way_single[way]:
            if not (regroups and regroup(program, state, way)) and operand == I:
                locate(program, state, way)
            if operand == O:
                open_sums_line(program, state, way)
            else:
                visit = begin_visit(state.scalar, state.visit_first, state.visit_count, state.visit_segment, way)
                state.visit_words[0, visit], state.visit_words[1, visit] = visit_line(program, state, way)
                state.visit_net[0, visit] = net_share(state, way, state.visit_words[0, visit])
                state.visit_anew[visit] = not slides
        elif operand == O:
            open_sums(program, state, way)
        else:
            bring(program, state, way, state.words_w if operand == W else state.words_i, slides)
    return fired


@nb.njit(cache=True, nogil=True)
def tick(program: Program, state: State, loop, macs, fired):
    """Bring the MACs what a loop's advance changes, and multiply; ``macs``: int64[3], their ways of W, I and O."""
    segment = state.scalar[SEGMENTS] - 1
    regroups = loop < 0 or program.loop_regroups[loop]
    for operand in range(3):
        way = macs[operand]
        if not (regroups and regroup(program, state, way)) and operand == I and fired:
            locate(program, state, way)
        if loop >= program.way_fires[way]:
            continue
        if operand != O:
            words = visit_line(program, state, way)[0]
            state.segment_words[operand, segment] += words
            state.segment_net[operand, segment] += net_share(state, way, words)
            continue
        back = begin_sums(
            state.words_o, state.begun, state.linear[way], state.line_length[way], state.line_at, state.line_leader, way
        )
        for point in range(program.way_points[way], program.way_points[way + 1]):
            state.point_words[point] += state.line_words[point]
        state.target_words[way] += state.line_length[way]
        state.back_words[way] += back
        state.segment_words[O, segment] += state.line_busiest[way]
        back = min(back, state.line_busiest[way])
        state.segment_words[3, segment] += back
        state.segment_net[O, segment] += state.line_net[way]
        state.segment_net[3, segment] += net_share(state, way, back)
    state.scalar[OVERFLOWS] += multiply(
        state.words_o, state.words_w, state.words_i, state.linear[macs[O]], state.line_length[macs[O]], state.line_at,
        state.line_to, macs[W], macs[I], macs[O], state.limit[0],
    )  # fmt: skip
    state.scalar[MACS] += state.line_length[macs[O]]
    state.segment_ticks[segment] += 1
    state.scalar[TICKS] += 1


@nb.njit(cache=True, nogil=True)
def run(program: Program, state: State, ticks):
    """Run a program for a number of ticks, or to its end; return whether it has ended. State is modified in place."""
    macs = np.zeros(3, dtype=np.int64)
    for way in range(len(program.way_operand)):
        if program.way_target[way] < 0:
            macs[program.way_operand[way]] = way
    before = np.zeros(len(state.linear), dtype=np.int64)
    moving = 0
    for way in range(len(program.way_operand)):
        if program.way_target[way] >= 0:
            moving = max(moving, program.way_fires[way])
    for _ in range(ticks):
        loop, fired = -1, 0
        if state.scalar[STARTED]:
            for row in range(len(before)):
                before[row] = state.linear[row]
            loop = advance(program, state.index, state.linear)
            if loop < 0:
                close_ways(program, state, -1, before)
                state.scalar[DONE] = 1
                return True
            if loop < moving:
                close_ways(program, state, loop, before)
        if loop < moving:
            fired = open_ways(program, state, loop)
        if fired or not state.scalar[STARTED]:
            state.segment_fired[state.scalar[SEGMENTS]] = fired
            state.scalar[SEGMENTS] += 1
        tick(program, state, loop, macs, fired)
        state.scalar[STARTED] = 1
    return False
