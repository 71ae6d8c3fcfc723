"""Numba kernels that execute a program word by word: what the controller, the memories, the links and the MACs do.

Every memory instance holds the words of one tile per operand in its own part of an array, and a record of which tile that
is. A tick is one iteration of the array. When a loop advances, the ways that it fires move tiles: partial sums first, from
the MACs outwards, then all operands from the outermost memory in. A word that several instances need is read by the first
and handed on to the others, which get what that one got. Counts are taken where words move.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from accelsim.engine.program import Program

W, I, O = range(3)  # noqa: E741 - the field's names of the operands
N, G, K, C, P, Q, R, S = range(8)
STARTED, DONE, TICKS, SEGMENTS, STAMP, ACTIVE, MACS, FAULT, OVERFLOWS = range(9)
"""Places in ``State.scalar``."""
NO_FAULT, NOT_HELD = range(2)
"""Values of the fault: none; a tile was asked of a memory that does not hold it."""


class State(NamedTuple):
    """What changes while a program runs.

    Attributes:
        scalar: int64, see the names above.
        index: int64[loops], where every loop stands.
        linear: int64[5], sums of ``Program.linear`` over the loops.
        words_w: int16, words of W in all memories.
        words_i: int16, words of I.
        words_o: int64, words of O.
        begun: uint8, by word of O: whether it holds a partial sum.
        stored_by: int32, by word of O: 1 + the visit that stored it last.
        origin: int64[rows, 5], first word of the tile that every memory instance holds.
        extent: int64[rows, 5], its size; -1 if it holds none.
        start: int64[8, spots], scratch.
        size: int64[8, spots], scratch.
        working: int64[8, spots], sizes at the MACs.
        mark: int64, by class: last stamp seen.
        first: int64, by class: instance that was first.
        word_mark: int64, by word of I: last stamp seen.
        bus: int16, by word of I: what was read.
        active: int64[instances], MACs that work.
        at: int64[3, instances], addresses of their operands, but for the loops' part.
        pixel: int64[2, instances], pixel row and column that they look at, but for the loops' part.
        pixel_range: int64[2, 2], least and greatest of them.
        leader: int64[3, instances], by operand: the position in ``active`` of the MAC that reads the word.
        chosen: uint8[points, instances], whether a MAC's word counts at a point.
        latch: int64[2, instances], operands of the MACs.
        line_words: int64[points], words at a point if every MAC needs one.
        line_busiest: int64[3], words that the busiest source reads for them, by operand.
        limit: int64, largest magnitude of a partial sum.
        point_words: int64[points], words counted at every point.
        target_words: int64[ways], words counted at the targets.
        back_words: int64[ways], partial sums read back.
        visit_first: int64[ways], where a way's visits start.
        visit_count: int64[ways], visits so far.
        visit_words: int32[4, visits], of the busiest instance: source, target, read back at source, at target.
        visit_after: int32[visits], visit whose store must be over before this one reads back, or -1.
        visit_segment: int32[visits], segment that it is needed in.
        segment_fired: int32[segments], bits of the ways that fire before it.
        segment_ticks: int32[segments].
        segment_words: int64[4, segments], words of W, I, O and read-back that the MACs move, busiest source.
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
    start: np.ndarray
    size: np.ndarray
    working: np.ndarray
    mark: np.ndarray
    first: np.ndarray
    word_mark: np.ndarray
    bus: np.ndarray
    active: np.ndarray
    at: np.ndarray
    pixel: np.ndarray
    pixel_range: np.ndarray
    leader: np.ndarray
    chosen: np.ndarray
    latch: np.ndarray
    line_words: np.ndarray
    line_busiest: np.ndarray
    limit: np.ndarray
    point_words: np.ndarray
    target_words: np.ndarray
    back_words: np.ndarray
    visit_first: np.ndarray
    visit_count: np.ndarray
    visit_words: np.ndarray
    visit_after: np.ndarray
    visit_segment: np.ndarray
    segment_fired: np.ndarray
    segment_ticks: np.ndarray
    segment_words: np.ndarray


@nb.njit(cache=True, nogil=True)
def has_work(program: Program, index, dim):
    """Return whether the first instance has anything to do where the loops stand, along one dim."""
    size = program.dims[dim]
    for entry in range(program.chain_begin[dim], program.chain_begin[dim + 1]):
        loop = program.chain_loop[entry]
        if loop >= 0:
            size -= index[loop] * program.chain_inner[entry]
        if size <= 0:
            return False
        size = min(size, program.chain_inner[entry])
    return True


@nb.njit(cache=True, nogil=True)
def advance(program: Program, index, linear):
    """Advance the loops to the next iteration with work; return the loop that advanced, or -1 at the end."""
    for loop in range(len(index) - 1, -1, -1):
        index[loop] += 1
        for row in range(5):
            linear[row] += program.linear[row, loop]
        if index[loop] < program.loop_bound[loop] and (
            not program.loop_ragged[loop] or has_work(program, index, program.loop_dim[loop])
        ):
            return loop
        for row in range(5):
            linear[row] -= index[loop] * program.linear[row, loop]
        index[loop] = 0
    return -1


@nb.njit(cache=True, nogil=True)
def survey(program: Program, visits):
    """Return (ticks, segments) of a program, and count every way's visits in place, before anything is executed."""
    index = np.zeros(len(program.loop_dim), dtype=np.int64)
    linear = np.zeros(5, dtype=np.int64)
    ways = len(program.way_operand)
    fires = np.zeros(len(program.loop_dim) + 1, dtype=np.int64)
    loop = 0
    ticks = 0
    while loop >= 0:
        fires[loop if ticks > 0 else len(index)] += 1
        ticks += 1
        loop = advance(program, index, linear)
    last = 0
    for way in range(ways):
        if program.way_target[way] >= 0:
            visits[way] = 1
            for loop in range(program.way_fires[way]):
                visits[way] += fires[loop]
            last = max(last, program.way_fires[way])
    segments = 1
    for loop in range(last):
        segments += fires[loop]
    return ticks, segments


@nb.njit(cache=True, nogil=True)
def spans(program: Program, index, depth, dim, start, size):
    """Find where every spot's piece of a dim starts and how large it is, at a depth; size 0: no work."""
    begin, end = program.chain_begin[dim], program.chain_begin[dim + 1]
    step = program.depth_step[depth]
    for spot in range(program.spot_count[depth, dim]):
        at = program.spot_first[depth, dim] + spot * (end - begin)
        here, left = 0, program.dims[dim]
        for entry in range(begin, end):
            if program.chain_step[entry] >= step:
                break
            loop = program.chain_loop[entry]
            inner = program.chain_inner[entry]
            offset = (index[loop] if loop >= 0 else program.spot_index[at + entry - begin]) * inner
            here += offset
            left = min(left - offset, inner)
            if left <= 0:
                break
        start[dim, spot] = here
        size[dim, spot] = max(left, 0)


@nb.njit(cache=True, nogil=True)
def take_tile(program: Program, state: State, operand, spot, origin, extent):
    """Note the tile of an instance from its spots; return its words, or -1 if the instance has no work."""
    start, size = state.start, state.size
    for dim in range(8):
        if size[dim, spot[dim]] == 0:
            extent[0] = -1
            return -1
    if operand == W:
        dims = (G, K, C, R, S)
    elif operand == I:
        dims = (N, G, C, P, Q)
    else:
        dims = (N, G, K, P, Q)
    words = 1
    for position in range(5):
        dim = dims[position]
        origin[position] = start[dim, spot[dim]]
        extent[position] = size[dim, spot[dim]]
        if operand == I and position >= 3:
            axis = position - 3
            stride, dilation = program.window[axis, 0], program.window[axis, 1]
            taps = size[R + axis, spot[R + axis]]
            low = origin[position] * stride + start[R + axis, spot[R + axis]] * dilation - program.window[axis, 2]
            high = low + (extent[position] - 1) * stride + (taps - 1) * dilation + 1
            origin[position] = max(low, 0)
            extent[position] = max(origin[position], min(high, program.window[axis, 3])) - origin[position]
        words *= extent[position]
    return words


@nb.njit(cache=True, nogil=True)
def address_in(program: Program, state: State, buffer, instance, origin, extent):
    """Return the address of a tile's first word in a memory instance; note a fault if it is not all held there."""
    row = program.buffer_row[buffer] + instance
    address = program.buffer_first[buffer] + instance * program.buffer_words[buffer]
    empty = False
    held = True
    for position in range(5):
        offset = origin[position] - state.origin[row, position]
        held &= 0 <= offset and offset + extent[position] <= state.extent[row, position]
        empty |= extent[position] == 0
        address += offset * program.buffer_stride[buffer, position]
    if not held and not empty:
        state.scalar[FAULT] = NOT_HELD
    return address


@nb.njit(cache=True, nogil=True)
def home(program: Program, buffer, instance):
    """Return the address of the first word of a memory instance."""
    return program.buffer_first[buffer] + instance * program.buffer_words[buffer]


@nb.njit(cache=True, nogil=True)
def copy_tile(source, at, source_stride, target, to, target_stride, extent):
    """Copy the words of a tile."""
    for a in range(extent[0]):
        for b in range(extent[1]):
            for c in range(extent[2]):
                from_c = at + a * source_stride[0] + b * source_stride[1] + c * source_stride[2]
                to_c = to + a * target_stride[0] + b * target_stride[1] + c * target_stride[2]
                for d in range(extent[3]):
                    for e in range(extent[4]):
                        target[to_c + d * target_stride[3] + e] = source[from_c + d * source_stride[3] + e]


@nb.njit(cache=True, nogil=True)
def merge_tile(source, at, source_stride, target, to, target_stride, extent, mark, stamp, bus):
    """Copy the words of a tile, reading only those that no neighbour has read; return how many were read."""
    reads = 0
    for a in range(extent[0]):
        for b in range(extent[1]):
            for c in range(extent[2]):
                from_c = at + a * source_stride[0] + b * source_stride[1] + c * source_stride[2]
                to_c = to + a * target_stride[0] + b * target_stride[1] + c * target_stride[2]
                for d in range(extent[3]):
                    for e in range(extent[4]):
                        word = from_c + d * source_stride[3] + e
                        if mark[word] != stamp:
                            mark[word] = stamp
                            bus[word] = source[word]
                            reads += 1
                        target[to_c + d * target_stride[3] + e] = bus[word]
    return reads


@nb.njit(cache=True, nogil=True)
def count_merged(at, stride, extent, mark, stamp):
    """Return how many words of a tile have not passed with this stamp yet."""
    passed = 0
    for a in range(extent[0]):
        for b in range(extent[1]):
            for c in range(extent[2]):
                for d in range(extent[3]):
                    row = at + a * stride[0] + b * stride[1] + c * stride[2] + d * stride[3]
                    for e in range(extent[4]):
                        if mark[row + e] != stamp:
                            mark[row + e] = stamp
                            passed += 1
    return passed


@nb.njit(cache=True, nogil=True)
def is_first(program: Program, state: State, place):
    """Return whether the instance at a place of a point's tables is the first of its class since the last stamp."""
    kind = program.point_class[place]
    if state.mark[kind] == state.scalar[STAMP]:
        return False
    state.mark[kind] = state.scalar[STAMP]
    return True


@nb.njit(cache=True, nogil=True)
def begin_visit(program: Program, state: State, way):
    """Open the record of a visit and return its number among all."""
    visit = state.visit_first[way] + state.visit_count[way]
    state.visit_count[way] += 1
    state.visit_segment[visit] = state.scalar[SEGMENTS]
    state.visit_after[visit] = -1
    return visit


@nb.njit(cache=True, nogil=True)
def bring(program: Program, state: State, way, words):
    """Bring tiles of W or I to every instance with work.

    Args:
        program: The program.
        state: Modified in place.
        way: The way.
        words: ``state.words_w`` or ``state.words_i``, modified in place.
    """
    depth, source, target = program.way_depth[way], program.way_source[way], program.way_target[way]
    first = program.point_first[program.way_points[way]]
    merges = program.way_merges[way]
    for dim in range(8):
        spans(program, state.index, depth, dim, state.start, state.size)
    visit = begin_visit(program, state, way)
    busiest, served, serving, group = 0, 0, -1, -1
    for position in range(program.depth_instances[depth]):
        instance = program.point_order[first + position]
        row = program.buffer_row[target] + instance
        origin, extent = state.origin[row], state.extent[row]
        spot = program.place_spot[program.place_first[depth] + instance]
        size = take_tile(program, state, program.way_operand[way], spot, origin, extent)
        if size < 0:
            continue
        if program.point_group[first + instance] != group:
            group = program.point_group[first + instance]
            state.scalar[STAMP] += 1
        giver = instance // program.way_ratio[way]
        if giver != serving:
            busiest, served, serving = max(busiest, served), 0, giver
        at, to = address_in(program, state, source, giver, origin, extent), home(program, target, instance)
        from_stride, stride = program.buffer_stride[source], program.buffer_stride[target]
        read = 0
        if merges:
            stamp = state.scalar[STAMP]
            read = merge_tile(words, at, from_stride, words, to, stride, extent, state.word_mark, stamp, state.bus)
        elif is_first(program, state, first + instance):
            state.first[program.point_class[first + instance]] = instance
            copy_tile(words, at, from_stride, words, to, stride, extent)
            read = size
        else:
            neighbour = state.first[program.point_class[first + instance]]
            copy_tile(words, home(program, target, neighbour), stride, words, to, stride, extent)
        served += read
        state.point_words[program.way_points[way]] += read
        state.target_words[way] += size
        state.visit_words[1, visit] = max(state.visit_words[1, visit], size)
    state.visit_words[0, visit] = max(busiest, served)
    count_points(program, state, way)


@nb.njit(cache=True, nogil=True)
def count_points(program: Program, state: State, way):
    """Count the words of the tiles that targets hold at every point of a way but its source."""
    source, target = program.way_source[way], program.way_target[way]
    for point in range(program.way_points[way] + 1, program.way_points[way + 1]):
        first, group = program.point_first[point], -1
        for position in range(program.depth_instances[program.way_depth[way]]):
            instance = program.point_order[first + position]
            row = program.buffer_row[target] + instance
            origin, extent = state.origin[row], state.extent[row]
            if extent[0] < 0:
                continue
            if program.point_group[first + instance] != group:
                group = program.point_group[first + instance]
                state.scalar[STAMP] += 1
            if program.way_merges[way]:
                at = address_in(program, state, source, instance // program.way_ratio[way], origin, extent)
                stride, stamp = program.buffer_stride[source], state.scalar[STAMP]
                state.point_words[point] += count_merged(at, stride, extent, state.word_mark, stamp)
            elif is_first(program, state, first + instance):
                state.point_words[point] += extent[0] * extent[1] * extent[2] * extent[3] * extent[4]


@nb.njit(cache=True, nogil=True)
def open_sums(program: Program, state: State, way):
    """Make room for tiles of O in every instance with work, and read back the partial sums that there are."""
    depth, source, target = program.way_depth[way], program.way_source[way], program.way_target[way]
    first = program.point_first[program.way_points[way]]
    for dim in range(8):
        spans(program, state.index, depth, dim, state.start, state.size)
    visit = begin_visit(program, state, way)
    state.scalar[STAMP] += 1
    served, back, serving = 0, 0, -1
    for position in range(program.depth_instances[depth]):
        instance = program.point_order[first + position]
        row = program.buffer_row[target] + instance
        origin, extent = state.origin[row], state.extent[row]
        spot = program.place_spot[program.place_first[depth] + instance]
        size = take_tile(program, state, O, spot, origin, extent)
        if size < 0:
            continue
        giver = instance // program.way_ratio[way]
        if giver != serving:
            served, back, serving = 0, 0, giver
        at, to = address_in(program, state, source, giver, origin, extent), home(program, target, instance)
        state.visit_after[visit] = max(state.visit_after[visit], state.stored_by[at] - 1)
        chosen = is_first(program, state, first + instance)
        returned = open_tile(state, at, program.buffer_stride[source], to, program.buffer_stride[target], extent, chosen)
        served += size if chosen else 0
        back += returned
        state.point_words[program.way_points[way]] += size if chosen else 0
        state.target_words[way] += size
        state.back_words[way] += returned
        record = state.visit_words[:, visit]
        record[0], record[1] = max(record[0], served), max(record[1], size)
        record[2], record[3] = max(record[2], back), max(record[3], returned)
    count_points(program, state, way)


@nb.njit(cache=True, nogil=True)
def open_tile(state: State, at, source_stride, to, target_stride, extent, chosen):
    """Fill a tile of O with the partial sums of its source, or with zeros; return how many were read back."""
    returned = 0
    for a in range(extent[0]):
        for b in range(extent[1]):
            for c in range(extent[2]):
                from_c = at + a * source_stride[0] + b * source_stride[1] + c * source_stride[2]
                to_c = to + a * target_stride[0] + b * target_stride[1] + c * target_stride[2]
                for d in range(extent[3]):
                    for e in range(extent[4]):
                        word, place = from_c + d * source_stride[3] + e, to_c + d * target_stride[3] + e
                        # One of those that add up gets the sum back; the others start from a zero that counts as one.
                        state.begun[place] = state.begun[word]
                        state.words_o[place] = 0
                        if chosen and state.begun[word]:
                            state.words_o[place] = state.words_o[word]
                            returned += 1
    return returned


@nb.njit(cache=True, nogil=True)
def close_sums(program: Program, state: State, way):
    """Send the tiles of O that the targets hold up to their sources, added up where several have a part."""
    depth, source, target = program.way_depth[way], program.way_source[way], program.way_target[way]
    first = program.point_first[program.way_points[way]]
    state.scalar[STAMP] += 1
    for position in range(program.depth_instances[depth]):
        instance = program.point_order[first + position]
        row = program.buffer_row[target] + instance
        extent = state.extent[row]
        if extent[0] < 0:
            continue
        at = address_in(program, state, source, instance // program.way_ratio[way], state.origin[row], extent)
        to, stride = home(program, target, instance), program.buffer_stride[target]
        chosen = is_first(program, state, first + instance)
        close_tile(state, at, program.buffer_stride[source], to, stride, extent, chosen)
        state.stored_by[at] = state.visit_count[way]


@nb.njit(cache=True, nogil=True)
def close_tile(state: State, at, source_stride, to, target_stride, extent, chosen):
    """Write a tile of O over the source's words, or add it to what an instance of the same sums has written."""
    for a in range(extent[0]):
        for b in range(extent[1]):
            for c in range(extent[2]):
                from_c = at + a * source_stride[0] + b * source_stride[1] + c * source_stride[2]
                to_c = to + a * target_stride[0] + b * target_stride[1] + c * target_stride[2]
                for d in range(extent[3]):
                    for e in range(extent[4]):
                        word, place = from_c + d * source_stride[3] + e, to_c + d * target_stride[3] + e
                        state.words_o[word] = state.words_o[place] + (0 if chosen else state.words_o[word])
                        state.begun[word] = 1
                        check_range(state, state.words_o[word])


@nb.njit(cache=True, nogil=True)
def check_range(state: State, value):
    """Count a partial sum that the accumulators cannot hold."""
    if value > state.limit[0] or value < -state.limit[0] - 1:
        state.scalar[OVERFLOWS] += 1


@nb.njit(cache=True, nogil=True)
def find_active(program: Program, state: State):
    """List the MACs with work, and who reads for whom; return whether anything has changed."""
    depth = len(program.depth_step) - 1
    changed = state.scalar[STARTED] == 0
    for dim in range(8):
        spans(program, state.index, depth, dim, state.start, state.size)
        for spot in range(program.spot_count[depth, dim]):
            changed |= state.size[dim, spot] != state.working[dim, spot]
            state.working[dim, spot] = state.size[dim, spot]
    if not changed:
        return False
    count = 0
    state.pixel_range[:, 0], state.pixel_range[:, 1] = 2**62, -(2**62)
    for instance in range(program.depth_instances[depth]):
        works = True
        for dim in range(8):
            works &= state.size[dim, program.place_spot[program.place_first[depth] + instance, dim]] > 0
        if works:
            state.active[count] = instance
            for axis in range(2):
                state.pixel[axis, count] = program.mac_pixel[axis, instance]
                state.pixel_range[axis, 0] = min(state.pixel_range[axis, 0], program.mac_pixel[axis, instance])
                state.pixel_range[axis, 1] = max(state.pixel_range[axis, 1], program.mac_pixel[axis, instance])
            count += 1
    state.scalar[ACTIVE] = count
    for way in range(len(program.way_operand)):
        if program.way_target[way] < 0:
            find_leaders(program, state, way)
            locate(program, state, way)
    return True


@nb.njit(cache=True, nogil=True)
def find_leaders(program: Program, state: State, way):
    """Choose for every MAC the one that reads its word: the first with the same word on a shared line."""
    operand, count = program.way_operand[way], state.scalar[ACTIVE]
    busiest, served, serving = 0, 0, -1
    for point in range(program.way_points[way], program.way_points[way + 1]):
        first = program.point_first[point]
        source = point == program.way_points[way]
        state.scalar[STAMP] += 1
        state.line_words[point] = 0
        for number in range(count):
            instance = state.active[number]
            kind = program.point_class[first + instance]
            chosen = is_first(program, state, first + instance)
            state.chosen[point, number] = chosen
            state.line_words[point] += chosen
            if not source:
                continue
            if chosen:
                state.first[kind] = number
            state.leader[operand, number] = state.first[kind]
            if instance // program.way_ratio[way] != serving:
                busiest, served, serving = max(busiest, served), 0, instance // program.way_ratio[way]
            served += chosen
    state.line_busiest[operand] = max(busiest, served)


@nb.njit(cache=True, nogil=True)
def locate(program: Program, state: State, way):
    """Find the addresses of the MACs' words of an operand in the memories that feed them."""
    operand, source = program.way_operand[way], program.way_source[way]
    for number in range(state.scalar[ACTIVE]):
        instance = state.active[number]
        address = program.buffer_first[source] + program.mac_base[operand, instance]
        if operand == I:
            row = program.buffer_row[source] + instance // program.way_ratio[way]
            for position in range(3, 5):
                address -= state.origin[row, position] * program.buffer_stride[source, position]
        state.at[operand, number] = address


@nb.njit(cache=True, nogil=True)
def read_weights(program: Program, state: State, way):
    """Bring every MAC its word of W; return the words that the busiest source reads."""
    offset = state.linear[W]
    for number in range(state.scalar[ACTIVE]):
        leader = state.leader[W, number]
        if leader == number:
            state.latch[W, number] = state.words_w[state.at[W, number] + offset]
        else:
            state.latch[W, number] = state.latch[W, leader]
    for point in range(program.way_points[way], program.way_points[way + 1]):
        state.point_words[point] += state.line_words[point]
    state.target_words[way] += state.scalar[ACTIVE]
    return state.line_busiest[W]


@nb.njit(cache=True, nogil=True)
def read_inputs(program: Program, state: State, way):
    """Bring every MAC its word of I, generating the padding; return the words that the busiest source reads."""
    inside = True
    for axis in range(2):
        inside &= state.pixel_range[axis, 0] + state.linear[3 + axis] >= 0
        inside &= state.pixel_range[axis, 1] + state.linear[3 + axis] < program.window[axis, 3]
    if not inside:
        return read_edge(program, state, way)
    offset = state.linear[I]
    for number in range(state.scalar[ACTIVE]):
        leader = state.leader[I, number]
        if leader == number:
            state.latch[I, number] = state.words_i[state.at[I, number] + offset]
        else:
            state.latch[I, number] = state.latch[I, leader]
    for point in range(program.way_points[way], program.way_points[way + 1]):
        state.point_words[point] += state.line_words[point]
    state.target_words[way] += state.scalar[ACTIVE]
    return state.line_busiest[I]


@nb.njit(cache=True, nogil=True)
def read_edge(program: Program, state: State, way):
    """Do as ``read_inputs`` where some pixels are padding."""
    offset, height, width = state.linear[I], program.window[0, 3], program.window[1, 3]
    point, reads = program.way_points[way], 0
    for number in range(state.scalar[ACTIVE]):
        row, col = state.pixel[0, number] + state.linear[3], state.pixel[1, number] + state.linear[4]
        leader = state.leader[I, number]
        if not (0 <= row < height and 0 <= col < width):
            state.latch[I, number] = 0
            continue
        if leader == number:
            state.latch[I, number] = state.words_i[state.at[I, number] + offset]
            reads += 1
        else:
            state.latch[I, number] = state.latch[I, leader]
        state.target_words[way] += 1
        for other in range(point + 1, program.way_points[way + 1]):
            state.point_words[other] += state.chosen[other, number]
    state.point_words[point] += reads
    return min(reads, state.line_busiest[I])


@nb.njit(cache=True, nogil=True)
def read_sums(program: Program, state: State, way):
    """Send the MACs' last sums on and bring the next ones back; return the sums of the busiest source and those back."""
    offset, back = state.linear[O], 0
    for number in range(state.scalar[ACTIVE]):
        if state.leader[O, number] == number:
            word = state.at[O, number] + offset
            if state.begun[word]:
                back += 1
            else:
                state.begun[word] = 1
                state.words_o[word] = 0
    for point in range(program.way_points[way], program.way_points[way + 1]):
        state.point_words[point] += state.line_words[point]
    state.target_words[way] += state.scalar[ACTIVE]
    state.back_words[way] += back
    return state.line_busiest[O], min(back, state.line_busiest[O])


@nb.njit(cache=True, nogil=True)
def multiply(state: State):
    """Let every MAC with work do one multiplication and add it to its sum."""
    offset, limit = state.linear[O], state.limit[0]
    overflows = 0
    for number in range(state.scalar[ACTIVE]):
        word = state.at[O, number] + offset
        value = state.words_o[word] + state.latch[W, number] * state.latch[I, number]
        state.words_o[word] = value
        overflows += value > limit or value < -limit - 1
    state.scalar[OVERFLOWS] += overflows
    state.scalar[MACS] += state.scalar[ACTIVE]


@nb.njit(cache=True, nogil=True)
def move_tiles(program: Program, state: State, loop):
    """Move the tiles of all ways that a loop's advance fires; return their bits."""
    fired = 0
    ways = len(program.way_operand)
    for way in range(ways - 1, -1, -1):
        if program.way_target[way] >= 0 and program.way_operand[way] == O and loop < program.way_fires[way]:
            if state.scalar[STARTED]:
                close_sums(program, state, way)
    for way in range(ways):
        if program.way_target[way] < 0 or loop >= program.way_fires[way]:
            continue
        fired |= 1 << way
        if program.way_operand[way] == O:
            open_sums(program, state, way)
        else:
            bring(program, state, way, state.words_w if program.way_operand[way] == W else state.words_i)
    return fired


@nb.njit(cache=True, nogil=True)
def tick(program: Program, state: State, loop):
    """Bring the MACs what a loop's advance changes, and multiply."""
    segment = state.scalar[SEGMENTS] - 1
    for way in range(len(program.way_operand)):
        if program.way_target[way] >= 0 or loop >= program.way_fires[way]:
            continue
        if program.way_operand[way] == W:
            state.segment_words[W, segment] += read_weights(program, state, way)
        elif program.way_operand[way] == I:
            state.segment_words[I, segment] += read_inputs(program, state, way)
        else:
            words, back = read_sums(program, state, way)
            state.segment_words[O, segment] += words
            state.segment_words[3, segment] += back
    multiply(state)
    state.segment_ticks[segment] += 1
    state.scalar[TICKS] += 1


@nb.njit(cache=True, nogil=True)
def run(program: Program, state: State, ticks):
    """Run a program for a number of ticks, or to its end; return whether it has ended. State is modified in place."""
    for _ in range(ticks):
        loop = -1
        if state.scalar[STARTED]:
            loop = advance(program, state.index, state.linear)
            if loop < 0:
                for way in range(len(program.way_operand) - 1, -1, -1):
                    if program.way_target[way] >= 0 and program.way_operand[way] == O:
                        close_sums(program, state, way)
                state.scalar[DONE] = 1
                return True
        fired = move_tiles(program, state, loop)
        if fired or not state.scalar[STARTED]:
            state.segment_fired[state.scalar[SEGMENTS]] = fired
            state.scalar[SEGMENTS] += 1
        regrouped = False
        if loop < 0 or program.loop_regroups[loop]:
            regrouped = find_active(program, state)
        if fired and not regrouped:
            for way in range(len(program.way_operand)):
                if program.way_target[way] < 0 and program.way_operand[way] == I:
                    locate(program, state, way)
        tick(program, state, loop)
        state.scalar[STARTED] = 1
    return False
