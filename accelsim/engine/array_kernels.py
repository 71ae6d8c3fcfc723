"""Numba kernel that executes one buffer tile on the array of a reference accelerator, whose program is fixed.

The nest of the dataflow runs iteration by iteration. Registers are filled whenever the place of their operand is
entered, accumulators drain when it is left; every iteration is one multiply-accumulate in every PE of the block,
unless its weight is zero and the array skips zeros. A *chunk* is the run of iterations between two entries of the
innermost place. If its operand is double-buffered, the next chunk's words come in meanwhile; else the array waits for
them.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from accelsim.mapping.arrays import Count

W, I, O = range(3)  # noqa: E741 - the field's names of the operands
N, G, K, C, P, Q, R, S = range(8)
COUNTS = len(Count)
MAC, SKIPPED, LINK = int(Count.MAC), int(Count.MAC_SKIPPED), int(Count.LINK)
RF_READ, RF_WRITE = int(Count.RF_READ_W), int(Count.RF_WRITE_W)
GLB_READ, GLB_WRITE = int(Count.GLB_READ_W), int(Count.GLB_WRITE_W)

MOST_CHANNELS = 2**20
"""More than a layer has groups, or channels in a group."""


class Array(NamedTuple):
    """An array and its program.

    Attributes:
        loop_dim: int64[loops], dim of every loop of the nest, the outermost first.
        loop_step: int64[loops], how far it advances.
        place: int64[3], loops outside the place of every operand in the registers, or -1 if they do not keep it.
        kept: int64, operand whose place is innermost, inputs or weights.
        hidden: int64, whether its next tile is loaded while the array computes.
        axis_dim: int64[2], dims of rows and columns.
        axis_size: int64[2], rows and columns.
        skips: int64, whether iterations of a zero weight are skipped.
        window: int64[2, 4], stride, dilation, padding and size along height and width.
        rates: float64[3], words per cycle read from and written to the buffer, and cycles of a switch of tiles.
    """

    loop_dim: np.ndarray
    loop_step: np.ndarray
    place: np.ndarray
    kept: int
    hidden: int
    axis_dim: np.ndarray
    axis_size: np.ndarray
    skips: int
    window: np.ndarray
    rates: np.ndarray


class Buffers(NamedTuple):
    """A tile of every operand in the buffer, and what of it the registers hold, at the same addresses.

    Attributes:
        words_w: int16[G, K, C, R, S], flat.
        words_i: int16[N, G, C, H, W], flat.
        words_o: int64[N, G, K, P, Q], flat.
        begun: uint8, whether a word of O holds a partial sum.
        held_w: int16, W in the registers.
        held_i: int16, I in the registers.
        held_o: int64, O in the accumulators.
        stride: int64[3, 5], address steps.
        origin: int64[5], where the tile of I starts.
        seen: int64, by word of I: number of the register tile that it came with.
        last_pixel: int64[rows, cols, 3], image, row and column of the pixel that a PE saw last.
    """

    words_w: np.ndarray
    words_i: np.ndarray
    words_o: np.ndarray
    begun: np.ndarray
    held_w: np.ndarray
    held_i: np.ndarray
    held_o: np.ndarray
    stride: np.ndarray
    origin: np.ndarray
    seen: np.ndarray
    last_pixel: np.ndarray


@nb.njit(cache=True, nogil=True)
def uses(operand, dim):
    """Return whether a dim's index decides which word of an operand a MAC touches."""
    if operand == W:
        return dim in (G, K, C, R, S)
    if operand == I:
        return dim != K
    return dim in (N, G, K, P, Q)


@nb.njit(cache=True, nogil=True)
def step_of(operand, dim, array: Array, stride):
    """Return how far the address of an operand moves with one step along a dim."""
    if not uses(operand, dim):
        return 0
    if operand == W:
        return stride[W, dim - 1 if dim < P else dim - 3]
    if operand == O:
        return stride[O, dim if dim < C else dim - 1]
    if dim >= P:
        axis = (dim - P) % 2
        return array.window[axis, 0 if dim < R else 1] * stride[I, 3 + axis]
    return stride[I, dim if dim < K else dim - 1]


@nb.njit(cache=True, nogil=True)
def address(operand, start, tile, array: Array, buffers: Buffers):
    """Return the address of the first word that the scope from ``start`` on touches; of inputs it may be padding."""
    at = 0
    for dim in range(8):
        offset = start[dim] if operand == I and dim >= P else start[dim] - tile[dim]
        at += offset * step_of(operand, dim, array, buffers.stride)
    if operand == I:
        for axis in range(2):
            at -= (array.window[axis, 2] + buffers.origin[3 + axis]) * buffers.stride[I, 3 + axis]
    return at


@nb.njit(cache=True, nogil=True)
def fill_weights(start, size, tile, array: Array, buffers: Buffers, counts):
    """Copy the scope's weights to the registers; return the words that pass the port."""
    first, words = address(W, start, tile, array, buffers), 0
    stride = buffers.stride
    for g in range(size[G]):
        for k in range(size[K]):
            for c in range(size[C]):
                for r in range(size[R]):
                    at = first + g * stride[W, 0] + k * stride[W, 1] + c * stride[W, 2] + r * stride[W, 3]
                    for s in range(size[S]):
                        buffers.held_w[at + s] = buffers.words_w[at + s]
                        words += 1
    receivers = 1
    for axis in range(2):
        receivers *= 1 if uses(W, array.axis_dim[axis]) else size[array.axis_dim[axis]]
    counts[GLB_READ + W] += words
    counts[RF_WRITE + W] += words * receivers
    return words


@nb.njit(cache=True, nogil=True)
def fill_inputs(start, size, tile, array: Array, buffers: Buffers, counts, number):
    """Copy the real pixels that the scope's windows touch to the registers; return the words that pass the port."""
    words = 0
    window, stride, seen = array.window, buffers.stride, buffers.seen
    first = address(I, start, tile, array, buffers)
    for n in range(size[N]):
        for g in range(size[G]):
            for c in range(size[C]):
                image = first + n * stride[I, 0] + g * stride[I, 1] + c * stride[I, 2]
                for p in range(size[P]):
                    for r in range(size[R]):
                        down = p * window[0, 0] + r * window[0, 1]
                        row = start[P] * window[0, 0] + start[R] * window[0, 1] - window[0, 2] + down
                        if not 0 <= row < window[0, 3]:
                            continue
                        for q in range(size[Q]):
                            for s in range(size[S]):
                                along = q * window[1, 0] + s * window[1, 1]
                                col = start[Q] * window[1, 0] + start[S] * window[1, 1] - window[1, 2] + along
                                at = image + down * stride[I, 3] + along
                                if 0 <= col < window[1, 3] and seen[at] != number:
                                    seen[at] = number
                                    buffers.held_i[at] = buffers.words_i[at]
                                    words += 1
    receivers = 1
    for axis in range(2):
        receivers *= 1 if uses(I, array.axis_dim[axis]) else size[array.axis_dim[axis]]
    counts[GLB_READ + I] += words
    counts[RF_WRITE + I] += words * receivers
    return words


@nb.njit(cache=True, nogil=True)
def move_sums(start, size, tile, array: Array, buffers: Buffers, counts, drain):
    """Fill the accumulators with the scope's partial sums, or drain them; return the words that pass the port."""
    first, words, new = address(O, start, tile, array, buffers), 0, 0
    stride, begun = buffers.stride, buffers.begun
    for n in range(size[N]):
        for g in range(size[G]):
            for k in range(size[K]):
                for p in range(size[P]):
                    at = first + n * stride[O, 0] + g * stride[O, 1] + k * stride[O, 2] + p * stride[O, 3]
                    for q in range(size[Q]):
                        if drain:
                            buffers.words_o[at + q] = buffers.held_o[at + q]
                            begun[at + q] = 1
                            words += 1
                        elif begun[at + q]:
                            buffers.held_o[at + q] = buffers.words_o[at + q]
                            words += 1
                        else:
                            buffers.held_o[at + q] = 0
                            new += 1
    if drain:
        counts[RF_READ + O] += words
        counts[GLB_WRITE + O] += words
    else:
        counts[GLB_READ + O] += words
        counts[RF_WRITE + O] += words
        counts[RF_READ + O] -= new  # the first accumulation writes without reading
    return words


@nb.njit(cache=True, nogil=True)
def stream_sums(first, step_a, step_b, rows, cols, words_o, begun):
    """Start the sums of an iteration that streams them; return (sums, those that were there already)."""
    words, back = 0, 0
    for a in range(rows if step_a else 1):
        for b in range(cols if step_b else 1):
            at = first + a * step_a + b * step_b
            words += 1
            if begun[at]:
                back += 1
            else:
                begun[at] = 1
                words_o[at] = 0
    return words, back


@nb.njit(cache=True, nogil=True)
def multiply(words_w, words_i, words_o, at, step, pixel, rows, cols, window, limit):
    """Do one MAC in every PE of a block; return (pixels of it that are real, sums that are too large)."""
    real, overflows = 0, 0
    for a in range(rows):
        for b in range(cols):
            row = pixel[0, 0] + a * pixel[0, 1] + b * pixel[0, 2]
            col = pixel[1, 0] + a * pixel[1, 1] + b * pixel[1, 2]
            value = np.int64(0)
            if 0 <= row < window[0, 3] and 0 <= col < window[1, 3]:
                value = np.int64(words_i[at[I] + a * step[I, 0] + b * step[I, 1]])
                real += 1
            to = at[O] + a * step[O, 0] + b * step[O, 1]
            total = words_o[to] + value * words_w[at[W] + a * step[W, 0] + b * step[W, 1]]
            words_o[to] = total
            overflows += total > limit or total < -limit - 1
    return real, overflows


@nb.njit(cache=True, nogil=True)
def shift_inputs(image, pixel, rows, cols, last_pixel):
    """Pass every PE of a block its pixel, padding too, unless it has it; return how many came over a link."""
    moved = 0
    for a in range(rows):
        for b in range(cols):
            row = pixel[0, 0] + a * pixel[0, 1] + b * pixel[0, 2]
            col = pixel[1, 0] + a * pixel[1, 1] + b * pixel[1, 2]
            moved += last_pixel[a, b, 0] != image or last_pixel[a, b, 1] != row or last_pixel[a, b, 2] != col
            last_pixel[a, b, 0], last_pixel[a, b, 1], last_pixel[a, b, 2] = image, row, col
    return moved


@nb.njit(cache=True, nogil=True)
def iterate(start, size, tile, array: Array, buffers: Buffers, counts, limit, scratch):
    """Run one iteration; return (cycles, 0 if its weight is zero and it is skipped; sums that are too large)."""
    dims, place, window = array.axis_dim, array.place, array.window
    rows, cols = size[dims[0]], size[dims[1]]
    at, step, pixel = scratch[0], scratch[1:4], scratch[4:6]
    reads, writes = 0, 0
    for operand in range(3):
        at[operand] = address(operand, start, tile, array, buffers)
        for axis in range(2):
            step[operand, axis] = step_of(operand, dims[axis], array, buffers.stride)
    for axis in range(2):
        pixel[axis, 0] = start[P + axis] * window[axis, 0] + start[R + axis] * window[axis, 1] - window[axis, 2]
        for other in range(2):
            dim = dims[other]
            pixel[axis, 1 + other] = window[axis, 0] * (dim == P + axis) + window[axis, 1] * (dim == R + axis)
    if place[I] >= 0 and (dims[0] == P or dims[1] == Q):
        image = (start[N] * MOST_CHANNELS + start[G]) * MOST_CHANNELS + start[C]
        counts[LINK] += shift_inputs(image, pixel, rows, cols, buffers.last_pixel)
    words_w = buffers.held_w if place[W] >= 0 else buffers.words_w
    skipped = array.skips and words_w[at[W]] == 0
    adding = (not uses(O, dims[0])) + (not uses(O, dims[1]))
    if place[O] < 0:
        words, back = stream_sums(at[O], step[O, 0], step[O, 1], rows, cols, buffers.words_o, buffers.begun)
        counts[GLB_READ + O] += back
        counts[GLB_WRITE + O] += words
        reads, writes = reads + back, writes + words
    if skipped:
        counts[SKIPPED] += rows * cols
        return 0.0, 0
    words_i = buffers.held_i if place[I] >= 0 else buffers.words_i
    words_o = buffers.held_o if place[O] >= 0 else buffers.words_o
    real, overflows = multiply(words_w, words_i, words_o, at, step, pixel, rows, cols, window, limit)
    if place[W] < 0:
        words = (rows if step[W, 0] else 1) * (cols if step[W, 1] else 1)
        counts[GLB_READ + W] += words
        reads += words
    if place[I] < 0:
        words = real // ((1 if step[I, 0] else rows) * (1 if step[I, 1] else cols))
        counts[GLB_READ + I] += words
        reads += words
    counts[MAC] += rows * cols
    counts[LINK] += rows * cols * adding
    for operand in range(3):
        if place[operand] >= 0:
            counts[RF_READ + operand] += rows * cols
            if operand == O:
                counts[RF_WRITE + O] += rows * cols
    return max(1.0, reads / array.rates[0], writes / array.rates[1]), overflows


@nb.njit(cache=True, nogil=True)
def run_tile(tile, extent, array: Array, buffers: Buffers, counts, limit):
    """Execute one buffer tile.

    Args:
        tile: int64[8], where the tile starts along every dim.
        extent: int64[8], its size.
        array: The array.
        buffers: Modified in place.
        counts: float64[COUNTS], added to.
        limit: Largest magnitude of a partial sum.

    Returns:
        (cycles that the array takes, those of its iterations, sums that are too large).
    """
    loops, place, kept = len(array.loop_dim), array.place, array.kept
    here, low, high = np.zeros(loops, np.int64), np.zeros(loops, np.int64), np.zeros(loops, np.int64)
    start, size = tile.copy(), extent.copy()
    open_start, open_size = tile.copy(), extent.copy()
    scratch = np.zeros((6, 3), np.int64)
    total, iterations, running, number, overflows = 0.0, 0.0, 0.0, 0, 0
    for axis in range(2):
        if not uses(O, array.axis_dim[axis]):
            total += min(extent[array.axis_dim[axis]], array.axis_size[axis]) - 1
    buffers.seen[:] = -1
    opened, advanced = False, 0
    for loop in range(loops):
        low[loop] = -1
    while advanced >= 0:
        for loop in range(advanced, loops):  # a loop that advanced keeps its place; those inside start again
            dim = array.loop_dim[loop]
            if loop > advanced or low[loop] < 0:
                low[loop], high[loop] = tile[dim], tile[dim] + extent[dim]
                for outer in range(loop):
                    if array.loop_dim[outer] == dim:
                        low[loop], high[loop] = here[outer], min(here[outer] + array.loop_step[outer], high[outer])
                here[loop] = low[loop]
        first = low[0] >= 0 and number == 0
        for operand in range(3):
            if place[operand] < 0 or (not first and advanced >= place[operand]):
                continue
            for dim in range(8):  # the scope of the place: what the loops outside it leave
                start[dim], size[dim] = tile[dim], extent[dim]
            for loop in range(place[operand]):
                dim = array.loop_dim[loop]
                start[dim], size[dim] = here[loop], min(array.loop_step[loop], high[loop] - here[loop])
            load = 0.0
            if operand == O:
                if opened:
                    drained = move_sums(open_start, open_size, tile, array, buffers, counts, True)
                    total += np.ceil(drained / array.rates[1])
                back = move_sums(start, size, tile, array, buffers, counts, False)
                total += np.ceil(back / array.rates[0])
                opened = True
                for dim in range(8):
                    open_start[dim], open_size[dim] = start[dim], size[dim]
                continue
            number += 1
            if operand == W:
                load = fill_weights(start, size, tile, array, buffers, counts) / array.rates[0]
            else:
                load = fill_inputs(start, size, tile, array, buffers, counts, number) / array.rates[0]
                buffers.last_pixel[:] = -1
            if operand == kept:
                if not array.hidden:
                    total += running + np.ceil(load)
                elif first:
                    total += load + array.rates[2]
                else:
                    total += max(running, load) + array.rates[2]
                running = 0.0
        for dim in range(8):
            start[dim], size[dim] = tile[dim], extent[dim]
        for loop in range(loops):
            dim = array.loop_dim[loop]
            start[dim], size[dim] = here[loop], min(array.loop_step[loop], high[loop] - here[loop])
        took, large = iterate(start, size, tile, array, buffers, counts, limit, scratch)
        running += took
        iterations += took
        overflows += large
        number += 1
        advanced = loops - 1
        while advanced >= 0:
            here[advanced] += array.loop_step[advanced]
            if here[advanced] < high[advanced]:
                break
            advanced -= 1
    total += running
    if opened:
        total += np.ceil(move_sums(open_start, open_size, tile, array, buffers, counts, True) / array.rates[1])
    return total, iterations, overflows
