"""Numba kernels of the buffer-level mapper: how a layer is tiled through the global buffer.

The machine has three levels: DRAM, a double-buffered global buffer, and the array with its register files.
A mapping cuts the layer into tiles along N, G, K, C, P and Q; tile sizes need not divide the dims.
Time follows a lockstep of ping-pong buffers. With tiles 0 .. T-1, C(i) the array's time on tile i, L(i) the
DMA's time to load what tile i needs and the buffer does not hold, and D(i) its time to store what tile i
finished,

    cycles = L(0) + sum_i max(C(i), L(i+1) + D(i-1)) + D(T-1)

where a transfer of w > 0 words takes latency + w / bandwidth. In DRAM an operand may be stored in fewer words, or more,
than the array takes (``LayerArrays.dram_words``); the DMA expands it on the way, so that the buffer, its ports and
partial sums have the array's words. On the array, a *chunk* is the run of iterations
between two changes of the innermost operand tile that the register files keep; it takes max(iterations,
load) if the next tile is loaded meanwhile, else their sum, plus the switch to the new tile. Where zeros are
skipped, the iterations left are binomial and the expected maximum is taken: a chunk with few non-zeros still
waits for its load, one with many does not give the time back. Dims, operands and count columns are indices;
see ``accelsim.dims`` and ``accelsim.mapping.arrays``.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from accelsim.mapping.arrays import Count

N, G, K, C, P, Q, R, S = range(8)
W, I, O = range(3)  # noqa: E741 - the field's names of the operands
ORDERS = np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]], dtype=np.int64)
"""Loop orders over the groups pixels (N, P, Q) = 0, K = 1, C = 2, outermost first; G is outside them all."""


CYCLE_GRAIN = 1024.0
"""Cycles are compared in steps of 1 / 1024: sums of the same terms in another order tie, and bounds stay bounds."""

ENERGY_SLACK = 1e-9
"""Share of an energy that is taken off a bound of it; sums of the same terms in another order differ by far less."""


@nb.njit(cache=True)
def ceil_div(a, b):
    """Return a / b rounded up, for positive integers."""
    return -(-a // b)


@nb.njit(cache=True)
def coprime_steps(stride, dilation):
    """Return (outputs, taps) apart at which two windows meet: an output later, that many taps earlier."""
    a, b = stride, dilation
    while b:
        a, b = b, a % b
    return dilation // a, stride // a


@nb.njit(cache=True)
def touched(outputs, stride, dilation, kernel):
    """Return how many distinct pixels the taps of consecutive outputs meet along one axis, padding included."""
    later, earlier = coprime_steps(stride, dilation)
    return outputs * kernel - max(0, outputs - later) * max(0, kernel - earlier)


@nb.njit(cache=True)
def real_span(first, outputs, stride, dilation, kernel, pad, size):
    """Return how many real pixels lie between the first and the last that a run of outputs touches."""
    low = max(first * stride - pad, 0)
    high = min((first + outputs - 1) * stride - pad + (kernel - 1) * dilation, size - 1)
    return max(0, high - low + 1)


@nb.njit(cache=True)
def real_taps(first, outputs, stride, dilation, kernel, pad, size):
    """Return how many (output, tap) pairs of a run of outputs fall on real pixels."""
    pairs = 0
    for output in range(first, first + outputs):
        for tap in range(kernel):
            pixel = output * stride - pad + tap * dilation
            pairs += 0 <= pixel < size
    return pairs


@nb.njit(cache=True)
def real_touched(first, outputs, stride, dilation, kernel, pad, size):
    """Return how many distinct real pixels the taps of a run of outputs meet."""
    if dilation == 1 and stride <= kernel:
        return real_span(first, outputs, stride, dilation, kernel, pad, size)  # no pixel between is left out
    later, earlier = coprime_steps(stride, dilation)
    pixels = 0
    for output in range(first, first + outputs):
        for tap in range(kernel):
            pixel = output * stride - pad + tap * dilation
            met_before = output - later >= first and tap + earlier < kernel
            pixels += 0 <= pixel < size and not met_before
    return pixels


@nb.njit(cache=True)
def array_reads_along(axis, tile, block, taps_inside, layer):
    """Return the sum over blocks of the pixels that the array fetches along one image axis.

    ``axis`` is 0 for P and 1 for Q. With ``taps_inside`` a block fetches each real pixel that its windows touch
    once; else it fetches one pixel per output and tap. Tiles are cut into blocks, the last being smaller.
    """
    outputs = layer.dims[P + axis]
    kernel = layer.dims[R + axis]
    stride, dilation = layer.stride[axis], layer.dilation[axis]
    pad, size = layer.pad[axis], layer.size[axis]
    if not taps_inside:
        return real_taps(0, outputs, stride, dilation, kernel, pad, size)
    total = 0
    for start in range(0, outputs, tile):
        stop = min(start + tile, outputs)
        for first in range(start, stop, block):
            total += real_touched(first, min(block, stop - first), stride, dilation, kernel, pad, size)
    return total


@nb.njit(cache=True)
def uses(operand, dim):
    """Return whether the dim's index decides which word of the operand is touched."""
    if operand == W:
        return dim in (G, K, C, R, S)
    if operand == I:
        return dim != K
    return dim in (N, G, K, P, Q)


@nb.njit(cache=True)
def block_size(dim, machine):
    """Return how much of a dim the array and its register files take in one iteration or RF tile."""
    if dim == machine.axis_dims[0]:
        return machine.axis_sizes[0]
    if dim == machine.axis_dims[1]:
        return machine.axis_sizes[1]
    return machine.split[dim]


@nb.njit(cache=True)
def rf_tile_words(operand, block, tile, layer, machine):
    """Return the words of an operand's tile in all register files, for the current block sizes."""
    words = 1
    for dim in range(8):
        if not uses(operand, dim):
            continue
        spatial = dim == machine.axis_dims[0] or dim == machine.axis_dims[1] or machine.split[dim] > 1
        held = block[dim] if spatial else (tile[dim] if machine.inside[operand, dim] else 1)
        if operand == I and dim >= P:
            if dim >= R:
                continue
            axis = dim - P
            taps = layer.dims[R + axis] if machine.inside[operand, R + axis] else 1
            held = touched(held, layer.stride[axis], layer.dilation[axis], taps)
        words *= held
    return words


@nb.njit(cache=True)
def streamed_words(operand, block, machine):
    """Return the distinct words of a streaming operand that the array touches in one iteration."""
    words = 1
    for axis in range(2):
        if uses(operand, machine.axis_dims[axis]):
            words *= block[machine.axis_dims[axis]]
    return words


@nb.njit(cache=True)
def iteration_cycles(block, machine):
    """Return the cycles of one iteration: 1, or more if the streaming operands exceed a port."""
    reads = 0
    writes = 0
    for operand in range(2):
        if not machine.in_rf[operand]:
            reads += streamed_words(operand, block, machine)
    if not machine.in_rf[O]:
        words = streamed_words(O, block, machine)
        reads += words
        writes += words
    return max(1.0, reads / machine.read_port, writes / machine.write_port)


@nb.njit(cache=True)
def chunk_cycles(iterations, rate, held, load, machine):
    """Return the expected cycles of one chunk of ``iterations``, with ``load`` cycles to fetch its tile."""
    mean = iterations * machine.skip_density
    if not machine.kept_hidden:
        return mean * rate + load
    if machine.skip_density == 1.0:
        return max(mean * rate, load) + machine.switch_cycles
    most = int(load / rate)
    if most >= iterations:
        return load + machine.switch_cycles
    below = machine.skip_table[0, held, most]
    return load * below + (mean - machine.skip_table[1, held, most]) * rate + machine.switch_cycles


@nb.njit(cache=True)
def tile_cycles(tile, revisit, layer, machine):
    """Return the cycles that the array takes for one buffer tile.

    Args:
        tile: int64[8], size of the tile along every dim.
        revisit: Whether its partial sums come back from an earlier tile.
        layer: The layer.
        machine: The machine.

    Returns:
        float64: pipeline fill, chunks, and drains of the register files.
    """
    rows, cols = machine.axis_dims[0], machine.axis_dims[1]
    split = 0
    for dim in range(8):
        if machine.split[dim] > 1:
            split = dim
    has_split = machine.split[split] > 1
    fill = 0.0
    for axis in range(2):
        dim = machine.axis_dims[axis]
        if not uses(O, dim):
            fill += min(tile[dim], machine.axis_sizes[axis]) - 1
    block = np.ones(8, dtype=np.int64)
    total = 0.0
    first = True
    for row_part in range(2):
        full = tile[rows] // machine.axis_sizes[0]
        row_count = full if row_part == 0 else 1
        block[rows] = machine.axis_sizes[0] if row_part == 0 else tile[rows] - full * machine.axis_sizes[0]
        if row_count == 0 or block[rows] == 0:
            continue
        for col_part in range(2):
            full = tile[cols] // machine.axis_sizes[1]
            col_count = full if col_part == 0 else 1
            block[cols] = machine.axis_sizes[1] if col_part == 0 else tile[cols] - full * machine.axis_sizes[1]
            if col_count == 0 or block[cols] == 0:
                continue
            rate = iteration_cycles(block, machine)
            for split_part in range(2 if has_split else 1):
                split_count = 1
                if has_split:
                    full = tile[split] // machine.split[split]
                    split_count = full if split_part == 0 else 1
                    held = machine.split[split] if split_part == 0 else tile[split] - full * machine.split[split]
                    if split_count == 0 or held == 0:
                        continue
                    block[split] = held
                iterations = 1.0
                chunks = row_count * col_count * split_count
                output_tiles = chunks
                for dim in range(8):
                    if dim in (rows, cols) or machine.split[dim] > 1:
                        iterations *= block[dim] if machine.split[dim] > 1 else 1
                    elif machine.inside[machine.kept, dim]:
                        iterations *= tile[dim]
                    else:
                        chunks *= tile[dim]
                        output_tiles *= tile[dim] if uses(O, dim) else 1
                load = rf_tile_words(machine.kept, block, tile, layer, machine) / machine.read_port
                if not machine.kept_hidden:
                    load = np.ceil(load)
                held = block[split] if has_split else 1
                total += chunks * chunk_cycles(iterations, rate, held, load, machine)
                if first and machine.kept_hidden:
                    fill += load
                if machine.in_rf[O]:
                    words = rf_tile_words(O, block, tile, layer, machine)
                    total += output_tiles * np.ceil(words / machine.write_port)
                    if revisit:
                        total += output_tiles * np.ceil(words / machine.read_port)
                first = False
    return fill + total


@nb.njit(cache=True)
def tile_counts(tile, layer):
    """Return int64[8], the number of tiles along every dim."""
    counts = np.ones(8, dtype=np.int64)
    for dim in range(8):
        counts[dim] = ceil_div(layer.dims[dim], tile[dim])
    return counts


@nb.njit(cache=True)
def reloads(order, counts):
    """Return int64[3], how many times W, I and O cross the DRAM link, per word.

    A tile stays while only loops irrelevant to it run; it comes again when an irrelevant loop that holds a
    relevant one inside it advances.
    """
    groups = np.array([counts[N] * counts[P] * counts[Q], counts[K], counts[C]])
    times = np.ones(3, dtype=np.int64)
    for operand in range(3):
        irrelevant = operand  # W: pixels, I: K, O: C - the groups are numbered so
        inside = False
        for position in range(2, -1, -1):
            group = order[position]
            if group == irrelevant:
                if inside:
                    times[operand] = groups[group]
            elif groups[group] > 1:
                inside = True
    return times


@nb.njit(cache=True)
def tile_span(axis, start, tile, layer):
    """Return the real pixels that the buffer tile from output ``start`` on spans along one image axis."""
    return real_span(
        start,
        min(tile, layer.dims[P + axis] - start),
        layer.stride[axis],
        layer.dilation[axis],
        layer.dims[R + axis],
        layer.pad[axis],
        layer.size[axis],
    )


@nb.njit(cache=True)
def dram_span(axis, tile, layer):
    """Return the sum over tiles of the real pixels that a tile spans along one image axis."""
    total = 0
    for start in range(0, layer.dims[P + axis], tile):
        total += tile_span(axis, start, tile, layer)
    return total


@nb.njit(cache=True)
def access_counts(tile, order, layer, machine):
    """Return float64[len(Count)], everything that the layer moves and computes, in closed form."""
    counts = tile_counts(tile, layer)
    pixels = 1.0
    stored = 1.0
    for axis in range(2):
        pixels *= array_reads_along(
            axis, tile[P + axis], block_size(P + axis, machine), machine.inside[I, R + axis], layer
        )
        stored *= dram_span(axis, tile[P + axis], layer)
    blocks = block_counts(tile, counts, layer, machine)
    return counts_of(counts, blocks, reloads(order, counts), pixels, stored, layer, machine)


@nb.njit(cache=True)
def block_counts(tile, counts, layer, machine):
    """Return int64[8], how many blocks the array takes along every dim, over all tiles."""
    blocks = np.ones(8, dtype=np.int64)
    for dim in range(8):
        blocks[dim] = blocks_along(dim, tile[dim], counts[dim], layer, machine)
    return blocks


@nb.njit(cache=True)
def blocks_along(dim, tile, count, layer, machine):
    """Return how many blocks the array takes along one dim, over all tiles; no block reaches into the next tile."""
    size = block_size(dim, machine)
    rest = layer.dims[dim] - (count - 1) * tile
    return (count - 1) * ceil_div(tile, size) + ceil_div(rest, size)


@nb.njit(cache=True)
def counts_of(counts, blocks, times, pixels, stored, layer, machine):
    """Return what ``access_counts`` does, for ``times`` that W, I and O cross the DRAM link.

    Args:
        counts: int64[8], number of tiles along every dim.
        blocks: int64[8], as of ``block_counts``.
        times: int64[3], as of ``reloads``.
        pixels: Pixels that the array fetches of one input channel in one visit.
        stored: Pixels of one input channel that come from DRAM each time.
        layer: The layer.
        machine: The machine.
    """
    dims = layer.dims
    visits = np.ones(3, dtype=np.int64)
    for operand in range(3):
        for dim in range(8):
            if not uses(operand, dim):
                visits[operand] *= counts[dim] if machine.inside[operand, dim] else blocks[dim]
    weights = float(dims[G] * dims[K] * dims[C] * dims[R] * dims[S])
    outputs = float(dims[N] * dims[G] * dims[K] * dims[P] * dims[Q])
    image = float(dims[N] * dims[G] * dims[C])
    macs = outputs * dims[C] * dims[R] * dims[S]
    executed = macs * machine.skip_density
    out = np.zeros(len(machine.unit_energy))
    out[Count.MAC] = executed
    out[Count.MAC_SKIPPED] = macs - executed
    in_dram = layer.dram_words
    out[Count.DRAM_READ_W] = weights * times[W] * in_dram[W]
    out[Count.DRAM_READ_I] = image * stored * times[I] * in_dram[I]
    out[Count.DRAM_READ_O] = outputs * (times[O] - 1)
    out[Count.DRAM_WRITE_O] = outputs * (times[O] - 1 + in_dram[O])  # all but the last are partial sums
    fetched_w = weights * visits[W] * (1.0 if machine.in_rf[W] else machine.skip_density)
    fetched_i = image * pixels * visits[I]
    out[Count.GLB_READ_W] = fetched_w
    out[Count.GLB_READ_I] = fetched_i
    out[Count.GLB_READ_O] = outputs * (visits[O] - 1) + outputs * times[O]
    out[Count.GLB_WRITE_W] = weights * times[W]
    out[Count.GLB_WRITE_I] = image * stored * times[I]
    out[Count.GLB_WRITE_O] = outputs * visits[O] + out[Count.DRAM_READ_O]
    if machine.in_rf[W]:
        out[Count.RF_READ_W] = executed
        out[Count.RF_WRITE_W] = fetched_w
    if machine.in_rf[I]:
        out[Count.RF_READ_I] = executed
        out[Count.RF_WRITE_I] = fetched_i
    if machine.in_rf[O]:
        # A new sum's first MAC reads nothing, which pays for its drain; a sum that comes back is one word in, one out.
        out[Count.RF_READ_O] = executed + outputs * (visits[O] - 1)
        out[Count.RF_WRITE_O] = executed + outputs * (visits[O] - 1)
    for axis in range(2):
        if not uses(O, machine.axis_dims[axis]):
            out[Count.LINK] += executed
    if machine.in_rf[I] and (machine.axis_dims[0] == P or machine.axis_dims[1] == Q):
        out[Count.LINK] += macs / dims[K] * blocks[K]
    return out


@nb.njit(cache=True)
def energy_of(counts, machine):
    """Return the energy of a count vector, in the machine's unit."""
    energy = 0.0
    for column in range(len(counts)):
        energy += counts[column] * machine.unit_energy[column]
    return energy


@nb.njit(cache=True)
def loop_dims(order):
    """Return int64[6], the dims of the loops over tiles, outermost first."""
    nest = np.zeros(6, dtype=np.int64)
    nest[0] = G
    place = 1
    for position in range(3):
        if order[position] == 0:
            nest[place], nest[place + 1], nest[place + 2] = N, P, Q
            place += 3
        else:
            nest[place] = K if order[position] == 1 else C
            place += 1
    return nest


@nb.njit(cache=True)
def span_table(tile, counts, layer):
    """Return int64[2, most tiles], the real pixels that every tile spans along P and along Q."""
    spans = np.zeros((2, max(counts[P], counts[Q])), dtype=np.int64)
    for axis in range(2):
        for index in range(counts[P + axis]):
            spans[axis, index] = tile_span(axis, index * tile[P + axis], tile[P + axis], layer)
    return spans


@nb.njit(cache=True)
def transfer_cycles(words, machine):
    """Return the cycles of one DRAM transfer; nothing to move takes no time."""
    return machine.dram_latency + words / machine.dram_words_per_cycle if words > 0 else 0.0


@nb.njit(cache=True)
def lockstep(tile, order, layer, machine):
    """Return float64[3]: cycles, cycles that the array works, cycles that the DMA works.

    Walks all tiles; see the module's docstring for the recurrence.
    """
    counts = tile_counts(tile, layer)
    nest = loop_dims(order)
    spans = span_table(tile, counts, layer)
    known = np.full((64, 2), -1.0)  # cycles of a tile, by which dims are cut short and whether it is a revisit
    index = np.zeros(8, dtype=np.int64)
    size = tile.copy()
    cycles, array_busy, dma_busy = 0.0, 0.0, 0.0
    computing = 0.0  # C(step - 1)
    storing = 0.0  # words of D(step - 2)
    outputs = 0.0  # output words of step - 1
    last_w, last_i, last_o = -1, -1, -1
    steps = 1
    for dim in range(6):
        steps *= counts[dim]
    for step in range(steps):
        rest = step
        for position in range(5, -1, -1):
            dim = nest[position]
            index[dim] = rest % counts[dim]
            rest //= counts[dim]
        ragged = 0
        for dim in range(6):
            size[dim] = min(tile[dim], layer.dims[dim] - index[dim] * tile[dim])
            ragged |= (1 << dim) if size[dim] < tile[dim] else 0
        image = (index[N] * counts[P] + index[P]) * counts[Q] + index[Q]
        images = counts[N] * counts[P] * counts[Q]
        tile_w = (index[G] * counts[K] + index[K]) * counts[C] + index[C]
        tile_i = (index[G] * counts[C] + index[C]) * images + image
        tile_o = (index[G] * counts[K] + index[K]) * images + image
        revisit = 1 if index[C] > 0 else 0
        words = float(size[N] * size[G] * size[K] * size[P] * size[Q])
        load = 0.0
        if tile_w != last_w:
            load += size[G] * size[K] * size[C] * size[R] * size[S] * layer.dram_words[W]
        if tile_i != last_i:
            pixels = spans[0, index[P]] * spans[1, index[Q]]
            load += size[N] * size[G] * size[C] * pixels * layer.dram_words[I]
        if tile_o != last_o and revisit == 1:
            load += words
        busy = transfer_cycles(load, machine) + transfer_cycles(storing, machine)
        cycles += max(computing, busy)
        dma_busy += busy
        storing = outputs if step > 0 and tile_o != last_o else 0.0
        if known[ragged, revisit] < 0:
            known[ragged, revisit] = tile_cycles(size, revisit == 1, layer, machine)
        computing = known[ragged, revisit]
        array_busy += computing
        outputs = words * layer.dram_words[O] if index[C] == counts[C] - 1 else words
        last_w, last_i, last_o = tile_w, tile_i, tile_o
    busy = transfer_cycles(storing, machine)
    drain = transfer_cycles(outputs, machine)
    cycles += max(computing, busy) + drain
    return np.rint(cycles * CYCLE_GRAIN) / CYCLE_GRAIN, array_busy, dma_busy + busy + drain


@nb.njit(cache=True)
def extreme_span(axis, tile, largest, layer):
    """Return the largest, or the smallest, number of real pixels that a tile spans along one image axis."""
    extreme = -1
    for start in range(0, layer.dims[P + axis], tile):
        pixels = tile_span(axis, start, tile, layer)
        if extreme < 0 or (pixels > extreme if largest else pixels < extreme):
            extreme = pixels
    return extreme


@nb.njit(cache=True)
def buffer_need(tile, counts, layer):
    """Return int64[3], words that W, I and O take in the buffer; operands cut into several tiles are kept twice."""
    need = np.ones(3, dtype=np.int64)
    fill_need(need, tile, counts, extreme_span(0, tile[P], True, layer), extreme_span(1, tile[Q], True, layer), layer)
    return need


@nb.njit(cache=True)
def fill_need(need, tile, counts, rows, cols, layer):
    """Write what ``buffer_need`` returns, for the most real rows and columns that a tile spans."""
    need[W] = tile[G] * tile[K] * tile[C] * layer.dims[R] * layer.dims[S]
    need[I] = tile[N] * tile[G] * tile[C] * rows * cols
    need[O] = tile[N] * tile[G] * tile[K] * tile[P] * tile[Q]
    for operand in range(3):
        for dim in range(6):
            if uses(operand, dim) and counts[dim] > 1:
                need[operand] *= 2
                break


@nb.njit(cache=True)
def array_total(tile, counts, layer, machine):
    """Return the array's cycles over all tiles, revisits charged as first visits: a lower bound, near exact."""
    size = tile.copy()
    short = 0  # dims whose last tile is cut short
    for dim in range(6):
        short |= (1 << dim) if counts[dim] * tile[dim] > layer.dims[dim] else 0
    total = 0.0
    for ragged in range(64):
        if ragged & ~short:
            continue
        times = 1
        for dim in range(6):
            if (ragged >> dim) & 1:
                size[dim] = layer.dims[dim] - (counts[dim] - 1) * tile[dim]
            else:
                times *= counts[dim] - ((short >> dim) & 1)
                size[dim] = tile[dim]
        if times > 0:
            total += times * tile_cycles(size, False, layer, machine)
    return total


SPANS_OF_TILES, LARGEST_SPAN, SMALLEST_SPAN, FIRST_SPAN, ARRAY_READS = range(5)
"""Columns of ``axis_tables``."""


@nb.njit(cache=True)
def axis_tables(sizes, lengths, layer, machine):
    """Return int64[2, most, 5], what the candidate tile sizes of P and of Q mean in real pixels along their axis.

    Columns: the sum over tiles of the pixels that each spans, the largest and the smallest of these, that of the first
    tile, and the pixels that the array fetches (``array_reads_along``).
    """
    tables = np.zeros((2, sizes.shape[1], 5), dtype=np.int64)
    for axis in range(2):
        block, inside = block_size(P + axis, machine), machine.inside[I, R + axis]
        for number in range(lengths[P + axis]):
            tile = sizes[P + axis, number]
            row = tables[axis, number]
            row[SPANS_OF_TILES] = dram_span(axis, tile, layer)
            row[LARGEST_SPAN] = extreme_span(axis, tile, True, layer)
            row[SMALLEST_SPAN] = extreme_span(axis, tile, False, layer)
            row[FIRST_SPAN] = tile_span(axis, 0, tile, layer)
            row[ARRAY_READS] = array_reads_along(axis, tile, block, inside, layer)
    return tables


@nb.njit(cache=True)
def dma_work(counts, times, stored, all_padding, layer, machine):
    """Return the DMA's cycles over all tiles, if W, I and O cross the link so many ``times``.

    Exact: every step loads something, since each loop changes the tile of W or of I, and a store follows each visit of
    an output. Only where some tile of inputs is all padding may a step load nothing; then a lower bound.

    Args:
        counts: int64[8], number of tiles along every dim.
        times: int64[3], as of ``reloads``.
        stored: Pixels of one input channel that come from DRAM each time.
        all_padding: Whether some tile of inputs has no real pixel.
        layer: The layer.
        machine: The machine.
    """
    dims = layer.dims
    weights = float(dims[G] * dims[K] * dims[C] * dims[R] * dims[S])
    inputs = float(dims[N] * dims[G] * dims[C]) * stored
    outputs = float(dims[N] * dims[G] * dims[K] * dims[P] * dims[Q])
    in_dram = layer.dram_words
    words = weights * times[W] * in_dram[W] + inputs * times[I] * in_dram[I] + outputs * (2 * times[O] - 2 + in_dram[O])
    output_tiles = counts[N] * counts[G] * counts[K] * counts[P] * counts[Q]
    transfers = output_tiles * times[O]
    if not all_padding:
        transfers += output_tiles * counts[C]
    return words / machine.dram_words_per_cycle + machine.dram_latency * transfers


@nb.njit(cache=True)
def edge_cycles(tile, counts, first_pixels, layer, machine):
    """Return the cycles of the first load (``first_pixels`` of a channel) and of the last store; nothing hides them."""
    dims, in_dram = layer.dims, layer.dram_words
    first = tile[K] * dims[R] * dims[S] * in_dram[W] + tile[N] * first_pixels * in_dram[I]
    first *= float(tile[G] * tile[C])
    last = in_dram[O]
    for dim in (N, G, K, P, Q):
        last *= dims[dim] - (counts[dim] - 1) * tile[dim]
    return transfer_cycles(first, machine) + transfer_cycles(last, machine)


@nb.njit(cache=True)
def energy_of_reloads(stored, layer, machine):
    """Return float64[3], the energy that W, I and partial sums cost each time they cross the DRAM link once more."""
    dims, unit = layer.dims, machine.unit_energy
    weights = float(dims[G] * dims[K] * dims[C] * dims[R] * dims[S])
    inputs = float(dims[N] * dims[G] * dims[C]) * stored
    outputs = float(dims[N] * dims[G] * dims[K] * dims[P] * dims[Q])
    more = np.empty(3)
    more[W] = weights * (layer.dram_words[W] * unit[Count.DRAM_READ_W] + unit[Count.GLB_WRITE_W])
    more[I] = inputs * (layer.dram_words[I] * unit[Count.DRAM_READ_I] + unit[Count.GLB_WRITE_I])
    more[O] = outputs * (
        unit[Count.DRAM_READ_O] + unit[Count.GLB_WRITE_O] + unit[Count.DRAM_WRITE_O] + unit[Count.GLB_READ_O]
    )
    return more


@nb.njit(cache=True)
def score(objective, cycles, energy):
    """Return the primary and the tie-breaking value of an objective: 0 cycles, 1 energy, 2 energy x delay."""
    if objective == 0:
        return cycles, energy
    if objective == 1:
        return energy, cycles
    return cycles * energy, cycles


@nb.njit(cache=True)
def iteration_total(tile, layer, machine):
    """Return the iterations that the array runs for the whole layer, ragged blocks counted whole, zeros skipped."""
    return iterations_of(block_counts(tile, tile_counts(tile, layer), layer, machine), layer, machine)


@nb.njit(cache=True)
def iterations_of(blocks, layer, machine):
    """Return what ``iteration_total`` does, for so many ``blocks`` along every dim."""
    total = machine.skip_density
    for dim in range(8):
        on_axis = dim == machine.axis_dims[0] or dim == machine.axis_dims[1]
        total *= blocks[dim] if on_axis else layer.dims[dim]
    return total


@nb.njit(cache=True)
def array_bound(tile, counts, blocks, pixels, layer, machine):
    """Return cycles that the array needs at least for the whole layer: cheaper than ``array_total``, and below it.

    All iterations run, the tiles that the registers keep come through the read port (before the iterations, or at best
    meanwhile) and are switched to, outputs that they keep leave through the write port, and sums that run down an axis
    fill it once a tile.

    Args:
        tile: int64[8], size of the buffer's tile along every dim.
        counts: int64[8], how many there are.
        blocks: int64[8], as of ``block_counts``.
        pixels: Pixels that the array fetches of one input channel in one visit.
        layer: The layer.
        machine: The machine.
    """
    dims = layer.dims
    fetched = float(dims[G] * dims[C])
    fetched *= float(dims[K] * dims[R] * dims[S]) if machine.kept == W else dims[N] * pixels
    chunks = 1.0
    for dim in range(8):
        inside = machine.inside[machine.kept, dim]
        if not uses(machine.kept, dim):
            fetched *= counts[dim] if inside else blocks[dim]
        on_axis = dim == machine.axis_dims[0] or dim == machine.axis_dims[1]
        if on_axis or not inside or machine.split[dim] > 1:
            chunks *= blocks[dim]  # of one, where neither the array nor its registers take the dim in blocks
        else:
            chunks *= counts[dim]
    loads = fetched / machine.read_port
    iterations = iterations_of(blocks, layer, machine)
    drains = float(dims[N] * dims[G] * dims[K] * dims[P] * dims[Q]) / machine.write_port if machine.in_rf[O] else 0.0
    fills = 0.0
    tiles = float(counts[N] * counts[G] * counts[K] * counts[C] * counts[P] * counts[Q])
    for axis in range(2):
        dim, size = machine.axis_dims[axis], machine.axis_sizes[axis]
        if not uses(O, dim):
            rest = dims[dim] - (counts[dim] - 1) * tile[dim]
            fills += tiles / counts[dim] * ((counts[dim] - 1) * (min(tile[dim], size) - 1) + min(rest, size) - 1)
    if machine.kept_hidden:
        return max(iterations, loads) + chunks * machine.switch_cycles + drains + fills
    return iterations + loads + drains + fills


@nb.njit(cache=True, nogil=True)
def evaluate(tile, order, layer, machine):
    """Return (times float64[4], counts float64[len(Count)]) of one tiling and loop order.

    Times are the layer's cycles, those in which the array is busy, those in which the DMA is busy, and those that the
    array's iterations alone need.
    """
    times = np.zeros(4)
    times[0], times[1], times[2] = lockstep(tile, order, layer, machine)
    times[3] = iteration_total(tile, layer, machine)
    return times, access_counts(tile, order, layer, machine)


@nb.njit(cache=True)
def bound_of(objective, cycles, energy):
    """Return a value that no mapping with at least these cycles and energy undercuts, sums in any order."""
    cycles = max(cycles - 1.0, 0.0)
    energy *= 1.0 - ENERGY_SLACK
    return score(objective, cycles, energy)[0]


@nb.njit(cache=True)
def advance(index, lengths):
    """Go on to the next candidate, the last dim fastest; after the last comes the first."""
    for dim in range(5, -1, -1):
        index[dim] += 1
        if index[dim] < lengths[dim]:
            break
        index[dim] = 0


@nb.njit(cache=True)
def cut_tables(sizes, lengths, layer, machine):
    """Return int64[2, 6, most]: into how many tiles, and blocks, every candidate size cuts its dim."""
    tables = np.ones((2, 6, sizes.shape[1]), dtype=np.int64)
    for dim in range(6):
        for number in range(lengths[dim]):
            tile = sizes[dim, number]
            count = ceil_div(layer.dims[dim], tile)
            tables[0, dim, number] = count
            tables[1, dim, number] = blocks_along(dim, tile, count, layer, machine)
    return tables


@nb.njit(cache=True)
def take(index, sizes, cuts, tile, counts, blocks):
    """Write a candidate's tile, and into how many tiles and blocks it cuts every dim."""
    for dim in range(6):
        tile[dim] = sizes[dim, index[dim]]
        counts[dim] = cuts[0, dim, index[dim]]
        blocks[dim] = cuts[1, dim, index[dim]]


@nb.njit(cache=True)
def orders_of(counts):
    """Return how many loop orders differ: loops of one iteration have none, and two groups at least must have more."""
    pixels = counts[N] * counts[P] * counts[Q]
    several = max(min(pixels, counts[K]), min(pixels, counts[C]), min(counts[K], counts[C])) > 1
    return len(ORDERS) if several else 1


@nb.njit(cache=True)
def least_values(sizes, lengths, cuts, tables, layer, machine, objective):
    """Return what every candidate's value is at least, at little cost.

    Every operand crosses the DRAM link once at least, and the array takes ``array_bound`` at least.

    Returns:
        float64[candidates], infinite where the tile does not fit the buffer; and how many mappings fit.
    """
    tile, need = layer.dims.copy(), np.ones(3, dtype=np.int64)
    counts, once = np.ones(8, dtype=np.int64), np.ones(3, dtype=np.int64)
    blocks = block_counts(tile, counts, layer, machine)
    index = lengths - 1  # the last one: the first is next
    total, space = 1, 0
    for dim in range(6):
        total *= lengths[dim]
    lows = np.full(total, np.inf)
    for number in range(total):
        advance(index, lengths)
        take(index, sizes, cuts, tile, counts, blocks)
        down, across = tables[0, index[P]], tables[1, index[Q]]
        fill_need(need, tile, counts, down[LARGEST_SPAN], across[LARGEST_SPAN], layer)
        if need[W] + need[I] + need[O] > machine.buffer_words:
            continue
        space += orders_of(counts)
        stored = float(down[SPANS_OF_TILES] * across[SPANS_OF_TILES])
        fetched = float(down[ARRAY_READS] * across[ARRAY_READS])
        all_padding = down[SMALLEST_SPAN] <= 0 or across[SMALLEST_SPAN] <= 0
        edges = edge_cycles(tile, counts, down[FIRST_SPAN] * across[FIRST_SPAN], layer, machine)
        dma = dma_work(counts, once, stored, all_padding, layer, machine)
        cycles = max(dma, edges + array_bound(tile, counts, blocks, fetched, layer, machine))
        energy = 0.0
        if objective > 0:
            energy = energy_of(counts_of(counts, blocks, once, fetched, stored, layer, machine), machine)
        lows[number] = bound_of(objective, cycles, energy)
    return lows, space


@nb.njit(cache=True, nogil=True)
def solve(sizes, lengths, layer, machine, objective):
    """Search all tilings and loop orders for the best; complete and deterministic.

    A candidate is walked tile by tile only if its lower bound can still win: the larger of the array's whole work
    between the first load and the last store, and the DMA's whole work, with the exact energy. That bound in turn is
    computed only where ``least_values`` leaves a chance. Sweep 0 looks at the most promising candidate alone, so that
    sweep 1 soon finds the candidate of the lowest bound, whose cost prunes most of the others in sweep 2. Ties go to
    that one, then to the first in order.

    Args:
        sizes: int64[6, most], candidate tile sizes of N, G, K, C, P, Q, the largest first.
        lengths: int64[6], how many candidates each dim has.
        layer: The layer.
        machine: The machine.
        objective: As of ``score``.

    Returns:
        (found, tile int64[8], order int64[3], space, walked, times, counts): whether any candidate fits the buffer, the
        best one, the candidates that fit, those walked tile by tile, and what ``evaluate`` says of the best.
    """
    tile = layer.dims.copy()
    best_tile = tile.copy()
    best_order = -1
    best, best_tie = np.inf, np.inf
    walked = 0
    counts, once = np.ones(8, dtype=np.int64), np.ones(3, dtype=np.int64)
    blocks = block_counts(tile, counts, layer, machine)
    index = lengths - 1
    cuts = cut_tables(sizes, lengths, layer, machine)
    tables = axis_tables(sizes, lengths, layer, machine)
    lows, space = least_values(sizes, lengths, cuts, tables, layer, machine, objective)
    promising = np.argmin(lows)
    for sweep in range(3):
        for number in range(len(lows)):
            advance(index, lengths)
            if lows[number] > best or lows[number] == np.inf or (sweep == 0 and number != promising):
                continue
            take(index, sizes, cuts, tile, counts, blocks)
            down, across = tables[0, index[P]], tables[1, index[Q]]
            stored = float(down[SPANS_OF_TILES] * across[SPANS_OF_TILES])
            fetched = float(down[ARRAY_READS] * across[ARRAY_READS])
            all_padding = down[SMALLEST_SPAN] <= 0 or across[SMALLEST_SPAN] <= 0
            least_energy = 0.0
            if objective > 0:
                least_energy = energy_of(counts_of(counts, blocks, once, fetched, stored, layer, machine), machine)
            work = array_total(tile, counts, layer, machine)
            work += edge_cycles(tile, counts, down[FIRST_SPAN] * across[FIRST_SPAN], layer, machine)
            lows[number] = max(lows[number], bound_of(objective, work, least_energy))
            if lows[number] > best:
                continue
            more = energy_of_reloads(stored, layer, machine)
            for order in range(orders_of(counts)):
                times = reloads(ORDERS[order], counts)
                dma = dma_work(counts, times, stored, all_padding, layer, machine)
                cycles = np.floor(max(work, dma) * CYCLE_GRAIN) / CYCLE_GRAIN
                energy = least_energy
                for operand in range(3):
                    energy += (times[operand] - 1) * more[operand]
                if bound_of(objective, cycles, energy) > best or (objective == 0 and cycles > best):
                    continue
                energy = energy_of(counts_of(counts, blocks, times, fetched, stored, layer, machine), machine)
                value, tie = score(objective, cycles, energy)
                if sweep == 2:
                    # Its cycles can only be more, and its energy is what it is: an equal bound wins by the tie alone.
                    if value > best or (value == best and tie >= best_tie):
                        continue
                    walked += 1
                    cycles = lockstep(tile, ORDERS[order], layer, machine)[0]
                    value, tie = score(objective, cycles, energy)
                if value < best or (value == best and tie < best_tie):
                    best, best_tie = value, tie
                    best_order = order
                    for dim in range(8):  # an assignment of slices would compile numpy's error messages: 2 s
                        best_tile[dim] = tile[dim]
        if sweep == 0:
            best_tie = np.inf  # its value is kept as a limit; in sweep 1 it takes part like every other
        elif sweep == 1 and best_order >= 0:
            energy = energy_of(access_counts(best_tile, ORDERS[best_order], layer, machine), machine)
            best, best_tie = score(objective, lockstep(best_tile, ORDERS[best_order], layer, machine)[0], energy)
            walked += 1
    order = ORDERS[max(best_order, 0)]
    times, moved = evaluate(best_tile, order, layer, machine)
    return best_order >= 0, best_tile, order, space, walked, times, moved
