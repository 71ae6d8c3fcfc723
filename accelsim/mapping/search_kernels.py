"""Numba kernels of the optimal mapper.

Part 1 counts what one mapping moves, exactly, as products over dims: the twin of ``accelsim.engine.closed_form``.
"""

from __future__ import annotations

import numba as nb
import numpy as np

N, G, K, C, P, Q, R, S = range(8)
W, I, O = range(3)  # noqa: E741 - the field's names of the operands

USES = np.array(
    [[0, 1, 1, 1, 0, 0, 1, 1], [1, 1, 0, 1, 1, 1, 1, 1], [1, 1, 1, 0, 1, 1, 0, 0]],
    dtype=np.int64,
)
"""Whether a dim's index decides which word of the operand a MAC touches."""

FREE_OF = np.array([W, -1, I, O, W, W, O, O], dtype=np.int64)
"""The operand that a dim does not change, or -1."""

EVERY = np.ones(8, dtype=np.bool_)
"""All dims."""

REDUCING = (1 << C) | (1 << R) | (1 << S)
"""Bit mask of the dims over which partial sums are added."""

READ, WRITE, BOTH = range(3)
SINGLE, DOUBLE, ROLLING = range(3)
SRC, TGT, SRC_BUSY, TGT_BUSY, TILE_SRC, TILE_TGT, LINK = range(7)
"""Quantities of a transfer; from LINK on, two for every fan-out: words leaving it, words entering it."""


@nb.njit(cache=True)
def count_and_sum(size, inner, flags, depth, sizes, times):
    """Return how many pieces the flagged cuts leave of a run, and the sum of their sizes.

    An unflagged cut goes to its first piece only. ``sizes`` and ``times`` are workspaces, modified in place.
    """
    sizes[0], times[0] = size, 1.0
    n = 1
    for index in range(depth):
        step = inner[index]
        if flags[index]:
            whole = 0.0
            kept = 0
            for j in range(n):
                pieces = sizes[j] // step
                rest = sizes[j] - pieces * step
                weight = times[j]
                whole += weight * pieces
                if rest > 0:
                    sizes[kept], times[kept] = rest, weight
                    kept += 1
            if whole > 0:
                sizes[kept], times[kept] = step, whole
                kept += 1
            n = kept
        else:
            for j in range(n):
                sizes[j] = min(sizes[j], step)
    count = 0.0
    total = 0.0
    for j in range(n):
        count += times[j]
        total += times[j] * sizes[j]
    return count, total


@nb.njit(cache=True)
def quantities(fanouts):
    """Return the number of quantities of a transfer."""
    return LINK + 2 * fanouts


@nb.njit(cache=True)
def seen_from(quantity, source, target, kind, ident, axis_fanout, link_energy):
    """Return (step from which axes are seen from outside, or -1 if the quantity does not exist; busiest; one visit)."""
    if quantity < LINK:
        inside = quantity == TGT or quantity == TGT_BUSY or quantity == TILE_TGT
        return (target if inside else source), quantity >= SRC_BUSY, quantity >= TILE_SRC
    fanout = (quantity - LINK) // 2
    if link_energy[fanout] == 0.0:
        return -1, False, False
    first = -1
    last = -1
    for step in range(source, target):
        if kind[step] == 1 and axis_fanout[ident[step]] == fanout:
            last = step
            if first < 0:
                first = step
    if first < 0:
        return -1, False, False
    return (last + 1 if (quantity - LINK) % 2 == 0 else first), False, False


@nb.njit(cache=True)
def set_flags(flags, keyed, used, limit, shared_from, busiest, once, target, operand, kind, ident, axis_shares):
    """Set which cuts outside the target count for a dim, and which part windows that would else be one."""
    zone = 0
    for step in range(target):
        if kind[step] == 0:
            flags[step] = not once and (used or zone < limit)
            keyed[step] = flags[step]
            zone += 1
        elif step < shared_from:
            flags[step] = not busiest
            keyed[step] = True
        else:
            shared = operand == O or (axis_shares[ident[step]] >> operand) & 1 == 1
            flags[step] = used or not shared
            keyed[step] = flags[step] and not (operand != O and shared)
    return zone


@nb.njit(cache=True)
def dim_factors(dim, size, inner, skeleton, machine, out, flags, keyed, sizes, times):
    """Write a dim's factor of every quantity of every transfer.

    Args:
        dim: The dim.
        size: Its bound.
        inner: int64[steps], sizes inside every step.
        skeleton: The skeleton.
        machine: The machine.
        out: float64[transfers, quantities, limits], modified in place. A limit is the number of zones, from the
            outermost in, whose loops count if the operand does not depend on the dim.
        flags: bool[steps], workspace.
        keyed: bool[steps], workspace.
        sizes: int64[steps + 2], workspace.
        times: float64[steps + 2], workspace.
    """
    kind, ident, axis_shares = skeleton.kind, skeleton.ident, machine.axis_shares
    axis_fanout, link_energy = machine.axis_fanout, machine.link_energy
    for transfer in range(len(skeleton.operand)):
        operand, source, target = skeleton.operand[transfer], skeleton.source[transfer], skeleton.target[transfer]
        used = USES[operand, dim] == 1
        window = operand == I and dim >= P
        for quantity in range(out.shape[1]):
            shared_from, busiest, once = seen_from(quantity, source, target, kind, ident, axis_fanout, link_energy)
            if shared_from < 0 or window:
                out[transfer, quantity, :] = 1.0
                continue
            limit = 0
            while True:
                zones = set_flags(
                    flags, keyed, used, limit, shared_from, busiest, once, target, operand, kind, ident, axis_shares
                )
                count, total = count_and_sum(size, inner, flags, target, sizes, times)
                if used or once:
                    out[transfer, quantity, :] = total if used else count
                    break
                out[transfer, quantity, limit] = count
                limit += 1
                if limit > zones:
                    break


@nb.njit(cache=True)
def runs(size, inner, flags, keyed, depth, start, length, group):
    """Write the runs that the flagged cuts leave: start, length, and a number that keyed cuts tell apart.

    ``start``, ``length`` and ``group`` are int64[2, at least size], modified in place; returns (row, number of runs).
    """
    row = 0
    start[0, 0], length[0, 0], group[0, 0] = 0, size, 0
    n = 1
    most = size
    for index in range(depth):
        step = inner[index]
        if step >= most:
            continue
        bound = -(-most // step)
        most = step
        other = 1 - row
        m = 0
        for j in range(n):
            last = length[row, j] if flags[index] else 1
            for offset in range(0, last, step):
                start[other, m] = start[row, j] + offset
                length[other, m] = min(step, length[row, j] - offset)
                group[other, m] = group[row, j] * bound + offset // step if keyed[index] else group[row, j]
                m += 1
        n = m
        row = other
    return row, n


@nb.njit(cache=True)
def clip_span(run, outputs, tap, taps, window):
    """Return the half-open interval of stored pixels that a run of outputs and a run of taps touches."""
    first = run * window[0] - window[2] + tap * window[1]
    last = first + (outputs - 1) * window[0] + (taps - 1) * window[1]
    low = max(first, 0)
    return low, max(low, min(last + 1, window[3]))


@nb.njit(cache=True)
def sort_by_group(start, length, group, n):
    """Sort runs by group, then start, in place; they come nearly sorted."""
    for i in range(1, n):
        a, b, c = start[i], length[i], group[i]
        j = i - 1
        while j >= 0 and (group[j] > c or (group[j] == c and start[j] > a)):
            start[j + 1], length[j + 1], group[j + 1] = start[j], length[j], group[j]
            j -= 1
        start[j + 1], length[j + 1], group[j + 1] = a, b, c


@nb.njit(cache=True)
def window_words(outputs, taps, inner_outputs, inner_taps, window, flags, keyed, depth, space, pairs):
    """Return the pixels along one image axis: unions of pieces that no keyed cut parts, summed.

    Args:
        outputs: Bound of the output dim.
        taps: Bound of the filter dim.
        inner_outputs: int64[steps], its sizes.
        inner_taps: int64[steps], its sizes.
        window: int64[4], stride, dilation, padding, stored pixels.
        flags: bool[steps].
        keyed: bool[steps].
        depth: Number of cuts.
        space: int64[6, 2, length], workspace.
        pairs: int64[2, length], workspace.
    """
    row_o, n_o = runs(outputs, inner_outputs, flags, keyed, depth, space[0], space[1], space[2])
    row_t, n_t = runs(taps, inner_taps, flags, keyed, depth, space[3], space[4], space[5])
    so, lo, go = space[0, row_o], space[1, row_o], space[2, row_o]
    st, lt, gt = space[3, row_t], space[4, row_t], space[5, row_t]
    parted = True
    for index in range(depth):
        if flags[index] and not keyed[index]:
            parted = False
    total = 0
    if parted:
        for j in range(n_t):
            for i in range(n_o):
                low, high = clip_span(so[i], lo[i], st[j], lt[j], window)
                total += high - low
        return total
    sort_by_group(so, lo, go, n_o)
    sort_by_group(st, lt, gt, n_t)
    first_o = 0
    while first_o < n_o:
        end_o = first_o
        while end_o < n_o and go[end_o] == go[first_o]:
            end_o += 1
        first_t = 0
        while first_t < n_t:
            end_t = first_t
            while end_t < n_t and gt[end_t] == gt[first_t]:
                end_t += 1
            n = 0
            for i in range(first_o, end_o):
                for j in range(first_t, end_t):
                    low, high = clip_span(so[i], lo[i], st[j], lt[j], window)
                    k = n - 1
                    while k >= 0 and pairs[0, k] > low:
                        pairs[0, k + 1], pairs[1, k + 1] = pairs[0, k], pairs[1, k]
                        k -= 1
                    pairs[0, k + 1], pairs[1, k + 1] = low, high
                    n += 1
            end = 0
            for k in range(n):
                total += max(0, pairs[1, k] - max(pairs[0, k], end))
                end = max(end, pairs[1, k])
            first_t = end_t
        first_o = end_o
    return total


@nb.njit(cache=True)
def window_factors(axis, dims, inner, window, skeleton, machine, out, flags, keyed, space, pairs):
    """Write the inputs' factor along one image axis of every quantity of every transfer of the inputs.

    Args:
        axis: 0 for P and R, 1 for Q and S.
        dims: int64[8].
        inner: int64[8, steps].
        window: int64[2, 4].
        skeleton: The skeleton.
        machine: The machine.
        out: float64[transfers, quantities], modified in place; 1 for other operands.
        flags: Workspace as of ``dim_factors``.
        keyed: The same.
        space: Workspace as of ``window_words``.
        pairs: The same.
    """
    for transfer in range(len(skeleton.operand)):
        for quantity in range(out.shape[1]):
            out[transfer, quantity] = 1.0
            if skeleton.operand[transfer] != I:
                continue
            source, target = skeleton.source[transfer], skeleton.target[transfer]
            shared_from, busiest, once = seen_from(
                quantity, source, target, skeleton.kind, skeleton.ident, machine.axis_fanout, machine.link_energy
            )
            if shared_from < 0:
                continue
            set_flags(
                flags, keyed, True, 0, shared_from, busiest, once, target, I, skeleton.kind, skeleton.ident,
                machine.axis_shares,
            )  # fmt: skip
            out[transfer, quantity] = window_words(
                dims[P + axis],
                dims[R + axis],
                inner[P + axis],
                inner[R + axis],
                window[axis],
                flags,
                keyed,
                skeleton.target[transfer],
                space,
                pairs,
            )


@nb.njit(cache=True)
def dim_iterations(size, inner, skeleton, flags, sizes, times):
    """Return the iterations along a dim of the fullest PE."""
    for step in range(len(skeleton.kind)):
        flags[step] = skeleton.kind[step] == 0
    count, _ = count_and_sum(size, inner, flags, len(skeleton.kind), sizes, times)
    return count


@nb.njit(cache=True)
def counted_zones(operand, target, per_mac, loops, kind, stays):
    """Return how many zones count, from the outermost in, for dims that the operand does not depend on.

    ``loops`` is bool[steps, 3]: whether a zone has a loop over a dim that the operand depends on.
    """
    zones = 0
    for step in range(target):
        zones += kind[step] == 0
    if per_mac:
        return zones
    for step in range(target - 1, -1, -1):
        if kind[step] == 1:
            continue
        zones -= 1
        if loops[step, operand]:
            return zones if stays[step] == operand else zones + 1
    return 0


@nb.njit(cache=True)
def rate(memory, kind, machine):
    """Return the words per cycle of a memory's reads or writes."""
    return min(machine.rates[memory, kind], machine.rates[memory, BOTH])


@nb.njit(cache=True)
def port_cycles(reads, writes, memory, machine):
    """Return the cycles that a memory's ports need."""
    rates = machine.rates[memory]
    return max(reads / rates[READ], writes / rates[WRITE], (reads + writes) / rates[BOTH])


@nb.njit(cache=True)
def transfer_cycles(source_words, target_words, up, source, target, width, machine):
    """Return the time of a transfer at the slower of its two ends."""
    outer = rate(source, WRITE if up else READ, machine)
    inner = rate(target, READ if up else WRITE, machine)
    return max(source_words * width / outer, target_words * width / inner)


@nb.njit(cache=True)
def adder_cycles(inner, dims, skeleton, machine):
    """Return the depth of the adders along the axes that reduce."""
    depth = 0.0
    for step in range(1, len(skeleton.kind)):
        if skeleton.kind[step] == 0:
            continue
        count = 1
        for dim in range(8):
            if USES[O, dim] == 0:
                count *= -(-inner[dim, step - 1] // inner[dim, step])
        depth += adder_depth(count, machine.axis_chain[skeleton.ident[step]])
    return depth


@nb.njit(cache=True)
def adder_depth(count, chain):
    """Return the cycles in which partial sums of that many instances are added."""
    if chain:
        return count - 1
    depth = 0
    rest = count - 1
    while rest > 0:
        depth += 1
        rest >>= 1
    return depth


FRONT = 3
"""The objective of a search for all mappings that none beats in both energy and cycles."""


@nb.njit(cache=True)
def covered(energy, cycles, front):
    """Return whether a mapping of a front has no more energy and cycles, but for the front's tolerance.

    ``front`` is float64[2 + 2 x rows]: how many mappings it has; the factor of the tolerance; energy and cycles of
    each, by growing cycles, so that energies fall.
    """
    low, high = 0, int(front[0])
    limit = cycles * front[1]
    while low < high:
        middle = (low + high) // 2
        if front[3 + 2 * middle] <= limit:
            low = middle + 1
        else:
            high = middle
    return low > 0 and front[2 * low] <= energy * front[1]


@nb.njit(cache=True)
def worse(energy, cycles, best, objective):
    """Return whether a mapping with at least these costs cannot beat the best; ties are no improvement.

    Costs within a billionth count as equal, so that the order of sums cannot decide. For a front, ``best`` is all of it
    (see ``covered``).
    """
    if objective == FRONT:
        return covered(energy, cycles, best)
    if best[0] == np.inf:
        return False
    if objective == 0:
        now, other, limit, tie = cycles, energy, best[1], best[0]
    elif objective == 1:
        now, other, limit, tie = energy, cycles, best[0], best[1]
    else:
        now, other, limit, tie = energy * cycles, cycles, best[0] * best[1], best[1]
    if now > limit * (1 + 1e-9):
        return True
    return now >= limit * (1 - 1e-9) and other >= tie * (1 - 1e-9)


@nb.njit(cache=True)
def combine(inner, dims, factors, pixels, picked, iterations, skeleton, machine, value, reads, writes, loops, limits,
            best, objective):  # fmt: skip
    """Return (energy, cycles) of a mapping from the factors of its dims; cycles are infinite if it is seen to be worse.

    Args:
        inner: int64[8, steps], sizes inside every step.
        dims: int64[8].
        factors: float64[8, ..., transfers, quantities, limits].
        pixels: float64[2, ..., transfers, quantities].
        picked: int64[10], which factors of every dim, and which pixels of both axes.
        iterations: Iterations of the fullest PE.
        skeleton: The skeleton.
        machine: The machine.
        value: float64[quantities + 2], workspace.
        reads: float64[memories], workspace.
        writes: float64[memories], workspace.
        loops: bool[steps, 3], workspace.
        limits: int64[transfers], workspace.
        best: float64[2], energy and cycles to beat.
        objective: As of ``search``.
    """
    steps = len(skeleton.kind)
    loops[:] = False
    for step in range(steps):
        if skeleton.kind[step] == 1:
            continue
        for dim in range(8):
            outer = dims[dim] if step == 0 else inner[dim, step - 1]
            if inner[dim, step] < outer:
                for operand in range(3):
                    if USES[operand, dim]:
                        loops[step, operand] = True
    energy = spent(dims, factors, pixels, picked, skeleton, machine, loops, limits)
    if worse(energy, iterations, best, objective):
        return energy, np.inf
    reads[:] = 0.0
    writes[:] = 0.0
    fill = 0.0
    stop = 0.0
    feeding = 0
    taking = 0
    for transfer in range(len(skeleton.operand)):
        operand = skeleton.operand[transfer]
        source = skeleton.ident[skeleton.source[transfer]]
        at_mac = skeleton.target[transfer] == steps
        target = -1 if at_mac else skeleton.ident[skeleton.target[transfer]]
        width = machine.width[operand]
        up = operand == O
        for quantity in range(SRC_BUSY, LINK):
            value[quantity] = words_of(transfer, quantity, limits[transfer], factors, pixels, picked)
        back_source = 0.0
        back_target = 0.0
        if up:
            taking |= 1 << source
            back_source = value[SRC_BUSY] - words_of(transfer, SRC_BUSY, 0, factors, pixels, picked)
            back_target = value[TGT_BUSY] - words_of(transfer, TGT_BUSY, 0, factors, pixels, picked)
            reads[source] += width * back_source
            writes[source] += width * value[SRC_BUSY]
        else:
            feeding |= 1 << source
            reads[source] += width * value[SRC_BUSY]
        if at_mac:
            continue
        if up:
            reads[target] += width * value[TGT_BUSY]
            writes[target] += width * back_target
        else:
            writes[target] += width * value[TGT_BUSY]
        if machine.buffering[target] == DOUBLE:
            fill += transfer_cycles(value[TILE_SRC], value[TILE_TGT], up, source, target, width, machine)
        elif machine.buffering[target] == SINGLE:
            stop += transfer_cycles(value[SRC_BUSY], value[TGT_BUSY], up, source, target, width, machine)
            stop += transfer_cycles(back_source, back_target, False, source, target, width, machine)
    latency = 0.0
    busy = 0.0
    for memory in range(len(reads)):
        latency += machine.latency[memory] * (((feeding >> memory) & 1) + ((taking >> memory) & 1))
        busy = max(busy, port_cycles(reads[memory], writes[memory], memory, machine))
    compute = latency + fill + iterations + stop + adder_cycles(inner, dims, skeleton, machine)
    return energy, max(compute, latency + busy)


@nb.njit(cache=True)
def words_of(transfer, quantity, limit, factors, pixels, picked):
    """Return a quantity of a transfer: the product of its factors."""
    words = pixels[0, picked[8], transfer, quantity] * pixels[1, picked[9], transfer, quantity]
    for dim in range(8):
        words *= factors[dim, picked[dim], transfer, quantity, limit]
    return words


@nb.njit(cache=True)
def spent(dims, factors, pixels, picked, skeleton, machine, loops, limits):
    """Return the energy of a mapping, and write how many zones count for every transfer; as for ``combine``."""
    steps = len(skeleton.kind)
    macs = 1.0
    for dim in range(8):
        macs *= dims[dim]
    energy = macs * machine.mac_energy[0]
    for transfer in range(len(skeleton.operand)):
        operand = skeleton.operand[transfer]
        source = skeleton.ident[skeleton.source[transfer]]
        at_mac = skeleton.target[transfer] == steps
        target = -1 if at_mac else skeleton.ident[skeleton.target[transfer]]
        width = machine.width[operand]
        up = operand == O
        limit = counted_zones(
            operand, skeleton.target[transfer], skeleton.per_mac[transfer], loops, skeleton.kind, skeleton.stays
        )
        limits[transfer] = limit
        leaves = words_of(transfer, SRC, limit, factors, pixels, picked)
        back = leaves - words_of(transfer, SRC, 0, factors, pixels, picked) if up else 0.0
        for fanout in range(len(machine.link_energy)):
            step, _, _ = seen_from(
                LINK + 2 * fanout, skeleton.source[transfer], skeleton.target[transfer], skeleton.kind, skeleton.ident,
                machine.axis_fanout, machine.link_energy,
            )  # fmt: skip
            if step >= 0:
                leaving = words_of(transfer, LINK + 2 * fanout, limit, factors, pixels, picked)
                entering = words_of(transfer, LINK + 2 * fanout + 1, limit, factors, pixels, picked)
                links = leaving - entering if machine.forward[fanout] else leaving + back
                energy += links * width * machine.link_energy[fanout]
        if up:
            energy += width * (leaves * machine.write_energy[source] + back * machine.read_energy[source])
        else:
            energy += width * leaves * machine.read_energy[source]
        if at_mac:
            continue
        arrives = words_of(transfer, TGT, limit, factors, pixels, picked)
        if up:
            energy += width * (arrives * machine.read_energy[target] + back * machine.write_energy[target])
        else:
            energy += width * arrives * machine.write_energy[target]
    return energy


# Part 2: bounds. A stage decides the sizes at the places of one memory and the unrollings above it, given the stages
# inside it. An option is one dim's choice. Its terms bound, from below and for whatever is chosen outside, the dim's
# factor of what the stage moves.

T_SRC, T_TGT, T_MAC_SRC, T_MAC_TGT, T_TILE_SRC, T_TILE_TGT, T_PASS = 0, 3, 6, 9, 12, 15, 18
T_ITER = 21
TERMS = 22
"""Terms of an option: by operand, words leaving the outer and entering the inner place, the same for the MAC, words of
one visit at both ends, words of what one pass over the array covers; iterations of the fullest PE."""

STOPPED, OMITTED = 1, 2
"""Why a search is not complete: it has reached its limit; mappings that an option stands for were left out."""

FEW_OUTPUTS = 32
"""Where cuts are not alike (next to padding, or with gaps between windows), all that an option stands for is looked
at only if a dim is at most this large."""

EVALUATION_COSTS = 5
"""How many bounds an exact evaluation takes the time of, about; the limit of a search counts both."""

ALONE, WITH_STAYS = 1, 2
"""How a stage is looked at alone."""

MOST_GAPS = 128
"""Up to how many outputs along an axis gaps between windows are counted in bounds."""

ROWS_A_BOUND = 1
"""How many options are written in the time of a bound, about; the limit of a search counts both."""

MAX_AXES = 4
MAX_PLACES = 3


@nb.njit(cache=True)
def ceil_div(a, b):
    """Return a / b rounded up, for positive integers."""
    return -(-a // b)


@nb.njit(cache=True)
def window_bounds(dims, window, axis):
    """Return what one image axis costs at least, by the sizes of the pieces of outputs and taps.

    Cutting a run of outputs between x - 1 and x fetches the pixels again that windows on both sides touch. All cuts
    cost the same, except those near the padding, which may cost less. Every part of the taps is a run of its own. Where
    windows of a part leave gaps, only the pixels that its taps touch are sure.

    Returns:
        int64[outputs + 1, taps + 1]: pixels, over all pieces, for pieces of at most that many outputs and taps.
        int64: pixels touched at least by one tap.
    """
    outputs, taps = dims[P + axis], dims[R + axis]
    stride, dilation, pad, size = window[axis, 0], window[axis, 1], window[axis, 2], window[axis, 3]
    table = np.zeros((outputs + 1, taps + 1), dtype=np.int64)
    part_words = np.zeros((taps + 1, taps + 1, outputs), dtype=np.int64)  # by end, length, cuts
    seen = np.zeros(size + 1, dtype=np.bool_)
    touched = 0
    for end in range(1, taps + 1):
        seen[:] = False
        distinct = 0
        for length in range(1, end + 1):
            tap = end - length
            for output in range(outputs):
                pixel = output * stride - pad + tap * dilation
                if 0 <= pixel < size and not seen[pixel]:
                    seen[pixel] = True
                    distinct += 1
            reach = (length - 1) * dilation + 1
            low, high = clip_span(0, outputs, tap, length, window[axis])
            again = reach - stride
            cheap = 0
            if again > 0:
                first = tap * dilation - pad
                for x in range(1, outputs):
                    if x * stride + first < 0 or (x - 1) * stride + first + reach > size:
                        cheap += 1
            for cuts in range(outputs):
                words = high - low + max(0, cuts - cheap) * max(0, again)
                if reach < stride or (dilation > 1 and length > 1):
                    words = distinct
                part_words[end, length, cuts] = words
        touched = max(touched, distinct)
    best = np.zeros((outputs + 1, taps + 1), dtype=np.int64)  # by number of cuts, taps so far
    for part in range(1, taps + 1):
        for end in range(1, taps + 1):
            for cuts in range(outputs):
                least = 2**60
                for length in range(1, min(part, end) + 1):
                    least = min(least, best[cuts, end - length] + part_words[end, length, cuts])
                best[cuts, end] = least
        for piece in range(1, outputs + 1):
            table[piece, part] = max(touched, best[ceil_div(outputs, piece) - 1, taps])
    for piece in range(1, outputs + 1):  # larger pieces can be cut up, so that they cost no more
        for part in range(1, taps + 1):
            if piece > 1:
                table[piece, part] = min(table[piece, part], table[piece - 1, part])
            if part > 1:
                table[piece, part] = min(table[piece, part], table[piece, part - 1])
    return table, touched


@nb.njit(cache=True)
def most_pieces(outputs, cuts, table):
    """Write the most pieces into which nested cuts leave runs of outputs.

    Args:
        outputs: Bound of the dim.
        cuts: How many cuts there are outside the innermost, at most.
        table: int64[outputs + 1, outputs + 1], by length of a run and size of the innermost pieces, modified in place.
    """
    for length in range(outputs + 1):
        for own in range(1, outputs + 1):
            table[length, own] = ceil_div(length, own)
    for _ in range(cuts):
        before = table.copy()
        for length in range(outputs + 1):
            for own in range(1, min(length, outputs) + 1):
                for size in range(own, length + 1):
                    rest = length % size
                    pieces = length // size * before[size, own] + (before[rest, own] if rest > 0 else 0)
                    table[length, own] = max(table[length, own], pieces)


@nb.njit(cache=True)
def gap_pixels(dims, window, axis, cuts):
    """Return the pixels along an image axis, at least, by the size of pieces of outputs, where one tap leaves gaps.

    Every piece fetches the gaps between its outputs, so that n pieces of all outputs fetch stride x outputs less
    n x (stride - 1) pixels. Zero where windows leave no gaps, or padding may hide some.
    """
    outputs = dims[P + axis]
    words = np.zeros(outputs + 1, dtype=np.int64)
    stride, pad, size = window[axis, 0], window[axis, 2], window[axis, 3]
    if dims[R + axis] > 1 or stride == 1 or pad != 0 or (outputs - 1) * stride + 1 > size or outputs > MOST_GAPS:
        return words
    table = np.zeros((outputs + 1, outputs + 1), dtype=np.int64)
    most_pieces(outputs, cuts, table)
    for own in range(1, outputs + 1):
        words[own] = outputs * stride - table[outputs, own] * (stride - 1)
    return words


@nb.njit(cache=True)
def stage_layout(stage, skeleton, machine, layout):
    """Describe a stage: its axes and places, and what is moved into them.

    ``layout`` is int64[8, 4], modified in place: rows are 0 axes (steps, then -1), 1 places (the same), 2 by operand
    the transfer into this stage or -1, 3 by operand the index of its place, 4 by operand whether the loops outside
    that do not change its tile may be free, 5 by operand the transfer to the MAC or -1, 6 how many axes, places, and
    whether it is the last stage, 7 by operand whether the MAC's word stays while the last zone's loops run.
    """
    layout[:] = -1
    first, end = skeleton.stage_start[stage], skeleton.stage_start[stage + 1]
    axes = 0
    places = 0
    for step in range(first, end):
        if skeleton.kind[step] == 1:
            layout[0, axes] = step
            axes += 1
        else:
            layout[1, places] = step
            places += 1
    last = stage + 2 == len(skeleton.stage_start)
    layout[6, 0], layout[6, 1], layout[6, 2] = axes, places, last
    before = first - 1
    while skeleton.kind[before] == 1:
        before -= 1
    final = len(skeleton.kind) - 1
    while skeleton.kind[final] == 1:
        final -= 1
    for transfer in range(len(skeleton.operand)):
        operand, target = skeleton.operand[transfer], skeleton.target[transfer]
        if target == len(skeleton.kind):
            if last:
                layout[5, operand] = transfer
            if last or first <= final < end:
                layout[7, operand] = skeleton.stays[final] == operand and skeleton.per_mac[transfer] == 0
        elif first <= target < end:
            layout[2, operand] = transfer
            for place in range(places):
                if layout[1, place] == target:
                    layout[3, operand] = place
            layout[4, operand] = skeleton.stays[before] == operand and layout[3, operand] == 0


@nb.njit(cache=True)
def shared_count(operand, counts, layout, skeleton, machine, inside_of):
    """Return over how many instances of a stage's axes one word of an operand is shared."""
    shared = 1
    for axis in range(layout[6, 0]):
        step = layout[0, axis]
        if step > inside_of and (operand == O or (machine.axis_shares[skeleton.ident[step]] >> operand) & 1):
            shared *= counts[axis]
    return shared


@nb.njit(cache=True)
def fill_terms(dim, size, counts, sizes, iterations, layout, skeleton, machine, terms, pieces):
    """Write the terms of an option.

    Args:
        dim: The dim.
        size: Its bound.
        counts: int64[MAX_AXES], instances along every axis of the stage.
        sizes: int64[MAX_PLACES], tile sizes at the stage's places.
        iterations: Iterations that the option leaves at least.
        layout: Of the stage.
        skeleton: The skeleton.
        machine: The machine.
        terms: float64[TERMS], modified in place.
        pieces: int64[6], sizes by which inputs are cut along an image axis, in the order of the terms; modified in
            place.
    """
    axes, places = layout[6, 0], layout[6, 1]
    spread = 1
    for axis in range(axes):
        spread *= counts[axis]
    outermost = sizes[0] if places > 0 else 1
    whole_pass = min(size, spread * outermost)
    terms[:] = 1.0
    pieces[:] = 1
    terms[T_ITER] = iterations
    for operand in range(3):
        used = USES[operand, dim] == 1
        window = operand == I and dim >= P
        transfer = layout[2, operand]
        if transfer >= 0:
            own = sizes[layout[3, operand]]
            shared = shared_count(operand, counts, layout, skeleton, machine, -1)
            if window:
                pieces[0], pieces[1] = min(size, own * shared), own
                pieces[4], pieces[5] = (min(size, own * shared) if layout[3, operand] == 0 else own), own
            elif used:
                if layout[3, operand] == 0:
                    terms[T_TILE_SRC + operand] = whole_pass
                else:
                    terms[T_TILE_SRC + operand] = max(own, (whole_pass // outermost) * own)
                terms[T_TILE_TGT + operand] = own
            else:
                arriving = ceil_div(whole_pass, own) if layout[4, operand] else ceil_div(size, own)
                terms[T_TGT + operand] = arriving
                terms[T_SRC + operand] = ceil_div(arriving, shared)
                terms[T_TILE_SRC + operand] = max(1, min(spread, size) // shared)
        if used and not window:
            terms[T_PASS + operand] = whole_pass
        transfer = layout[5, operand]
        if transfer < 0:
            continue
        shared = shared_count(operand, counts, layout, skeleton, machine, skeleton.source[transfer])
        if window:
            pieces[2], pieces[3] = min(size, shared), 1
        elif not used:
            arriving = size
            if layout[7, operand] == 1:
                if places == 0:
                    arriving = min(spread, size)
                elif skeleton.fixed[0] and (places > 1 or layout[4, operand]):
                    arriving = ceil_div(whole_pass, outermost)
                else:
                    arriving = ceil_div(size, sizes[places - 1])
            terms[T_MAC_TGT + operand] = arriving
            terms[T_MAC_SRC + operand] = ceil_div(arriving, shared)


@nb.njit(cache=True)
def last_iterations(size, spread, own):
    """Return the iterations of the fullest PE if passes of ``spread`` runs of ``own`` cover ``size``, at least."""
    cover = spread * own
    return (size // cover) * own + min(own, size % cover)


@nb.njit(cache=True)
def redundant(dim, size, counts, own, change, inner_iterations, layout, skeleton, machine):
    """Return whether an option with one instance less (or a tile smaller by one) does no worse in any term.

    ``change`` is the axis whose count would be less, or -1 for the tile.
    """
    spread = 1
    for axis in range(layout[6, 0]):
        spread *= counts[axis]
    exact = layout[6, 2] == 1 and layout[6, 1] > 0
    smaller = own - (change < 0)
    pieces, fewer = ceil_div(size, own), ceil_div(size, smaller)
    if fewer > pieces:
        return False
    less = spread if change < 0 else spread // counts[change] * (counts[change] - 1)
    if exact:
        if last_iterations(size, less, smaller) > last_iterations(size, spread, own):
            return False
    elif ceil_div(inner_iterations, less) > ceil_div(inner_iterations, spread):
        return False
    for operand in range(3):
        shared = shared_count(operand, counts, layout, skeleton, machine, -1)
        before = shared
        if change >= 0:
            step = layout[0, change]
            if operand == O or (machine.axis_shares[skeleton.ident[step]] >> operand) & 1:
                before = shared // counts[change] * (counts[change] - 1)
        if ceil_div(pieces, before) > ceil_div(pieces, shared):
            return False
    return True


@nb.njit(cache=True)
def own_words(operand, sizes, window):
    """Return the words that a tile of an operand needs room for; ``sizes`` is int64[8]."""
    words = 1.0
    for dim in range(8):
        if USES[operand, dim] and not (operand == I and dim >= P):
            words *= sizes[dim]
    if operand == I:
        for axis in range(2):
            span = (sizes[P + axis] - 1) * window[axis, 0] + (sizes[R + axis] - 1) * window[axis, 1] + 1
            words *= min(window[axis, 3], span)
    return words


@nb.njit(cache=True)
def fits_alone(dim, sizes, memory, lay, layout, machine, tile, roomy):
    """Return whether tiles of these sizes along one dim, and of one index along the others, fit the memory.

    With ``roomy``, every tile takes its words once, however it is buffered.
    """
    total = 0.0
    for operand in range(3):
        if layout[2, operand] < 0:
            continue
        whole = True
        for other in range(8):
            tile[other] = sizes[layout[3, operand]] if other == dim else 1
            if USES[operand, other] and other == dim and tile[other] < lay.dims[other]:
                whole = False
        room = 1 if whole or roomy else machine.room[memory]
        words = own_words(operand, tile, lay.window) * machine.width[operand] * room
        total += words
        if words > machine.operand_words[memory, operand]:
            return False
    return total <= machine.words[memory]


@nb.njit(cache=True)
def place_roles(dim, layout):
    """Return (last place that has the size chosen for the operand that the dim is free of, place of the inputs or -1).

    Operands placed further in depend on the dim and gain nothing from a larger tile along it; only inputs may, along
    the image's axes, where pieces overlap.
    """
    free = FREE_OF[dim]
    if free < 0 or layout[6, 1] == 0:
        return -1, -1
    own = layout[3, free] if layout[2, free] >= 0 else layout[6, 1] - 1
    pixels = layout[3, I] if dim >= P and layout[2, I] >= 0 else -1
    return own, pixels


@nb.njit(cache=True)
def any_sizes(dim, layout):
    """Return whether a dim may have another size at every place of a stage.

    So it is if the operand that the dim is free of is not kept in the stage's memory but gains from its loops, or
    gains from the last loops before the MAC: then all that decides is which loops run inside which place.
    """
    free = FREE_OF[dim]
    places = layout[6, 1]
    if free < 0 or places < 2:
        return False
    if layout[2, free] < 0:
        return True
    return layout[7, free] == 1


@nb.njit(cache=True)
def next_sizes(sizes, low, size, places, every):
    """Advance to the next sequence of sizes that does not grow inwards; return whether there is one."""
    for place in range(places - 1, -1, -1):
        larger = next_size(sizes[place], size, every)
        if larger <= (sizes[place - 1] if place > 0 else size):
            sizes[place] = larger
            for inner in range(place + 1, places):
                sizes[inner] = low
            return True
    return False


@nb.njit(cache=True)
def set_sizes(sizes, own, pixels, low, own_place, pixel_place, places):
    """Set tile sizes at a stage's places: ``own`` out to its place, ``pixels`` where inputs differ, else the least."""
    for place in range(places):
        size = own if place <= own_place else low
        if place <= pixel_place:
            size = max(size, pixels)
        sizes[place] = size


@nb.njit(cache=True)
def next_size(current, size, every):
    """Return the next larger tile size: the next integer, or the least that changes how many pieces there are."""
    if every:
        return current + 1
    pieces = ceil_div(size, current)
    return size + 1 if pieces <= 1 else ceil_div(size, pieces - 1)


@nb.njit(cache=True)
def wasteful(dim, size, counts, own, low, iterations, layout, skeleton, machine):
    """Return whether one instance less on some axis, or a tile smaller by one, does no worse in any term."""
    spread = 1
    for axis in range(layout[6, 0]):
        spread *= counts[axis]
    taps = dim >= R
    for axis in range(layout[6, 0]):
        if counts[axis] == 1:
            continue
        if spread // counts[axis] * (counts[axis] - 1) * own >= size:
            return True
        if machine.by_kind[0] and counts[axis] == 2:
            continue
        if not taps and redundant(dim, size, counts, own, axis, iterations, layout, skeleton, machine):
            return True
    if own == low or layout[6, 2] == 0:
        return False
    if spread * (own - 1) >= size:
        return True
    return not taps and redundant(dim, size, counts, own, -1, iterations, layout, skeleton, machine)


@nb.njit(cache=True)
def options_of(dim, least, iterations, lay, skeleton, machine, layout, start, options, count_only):
    """Write the options of a dim in a stage, from row ``start`` on, and return how many there are.

    Args:
        dim: The dim.
        least: int64[8], what the stages inside cover of every dim.
        iterations: int64[8], iterations that they leave, at least.
        lay: The layer.
        skeleton: The skeleton.
        machine: The machine.
        layout: Of the stage.
        start: First row to write.
        options: The table.
        count_only: Whether nothing is to be written.
    """
    size, low = lay.dims[dim], least[dim]
    axes, places, last = layout[6, 0], layout[6, 1], layout[6, 2] == 1
    own_place, pixel_place = place_roles(dim, layout)
    kernel = lay.dims[dim + 2] if P <= dim < R else lay.dims[dim]
    two = dim >= P and kernel > 1 and pixel_place >= 0 and pixel_place != own_place
    every = last or dim >= R
    memory = skeleton.ident[layout[1, 0]] if places > 0 else 0
    most = np.ones(MAX_AXES, dtype=np.int64)
    combinations = 1
    for axis in range(axes):
        number = skeleton.ident[layout[0, axis]]
        if (machine.axis_dims[number] >> dim) & 1 and machine.axis_most[number] > 0:
            most[axis] = min(machine.axis_size[number], size)
        combinations *= most[axis]
    counts = np.ones(MAX_AXES, dtype=np.int64)
    sizes = np.ones(MAX_PLACES, dtype=np.int64)
    tile = np.ones(8, dtype=np.int64)
    n = 0
    for number in range(combinations):
        rest = number
        spread = 1
        for axis in range(axes - 1, -1, -1):
            counts[axis] = 1 + rest % most[axis]
            rest //= most[axis]
            spread *= counts[axis]
        own = low
        if any_sizes(dim, layout):
            if spread > 1 and not fits_spread(size, low, counts, axes):
                continue
            for place in range(places):
                sizes[place] = low
            while True:
                if not last or fits_alone(dim, sizes, memory, lay, layout, machine, tile, False):
                    if not count_only:
                        row = start + n
                        options.counts[row] = counts
                        options.sizes[row] = sizes
                        options.covers[row] = min(size, spread * sizes[0])
                        options.iterations[row] = (
                            last_iterations(size, spread, sizes[0]) if last else ceil_div(iterations[dim], spread)
                        )
                    n += 1
                if not next_sizes(sizes, low, size, places, every):
                    break
            continue
        while own <= size:
            if spread > 1 and not fits_spread(size, low, counts, axes):
                break
            if not wasteful(dim, size, counts, own, low, iterations[dim], layout, skeleton, machine):
                pixels = low
                ever = False
                while pixels <= size:
                    outside = pixel_place < own_place
                    if two and outside and pixels < own:
                        pixels = own
                        continue
                    if two and not outside and pixels > own:
                        break
                    set_sizes(sizes, own, pixels, low, own_place, pixel_place if two else -1, places)
                    if last and places > 0 and not fits_alone(dim, sizes, memory, lay, layout, machine, tile, True):
                        break
                    ever = True
                    if not last or places == 0 or fits_alone(dim, sizes, memory, lay, layout, machine, tile, False):
                        if not count_only:
                            row = start + n
                            outermost = sizes[0] if places > 0 else 1
                            options.counts[row] = counts
                            options.sizes[row] = sizes
                            options.covers[row] = min(size, spread * outermost)
                            left = ceil_div(iterations[dim], spread)
                            if last and places > 0:
                                left = last_iterations(size, spread, outermost)
                            options.iterations[row] = left
                        n += 1
                    if not two:
                        break
                    pixels = next_size(pixels, size, every)
                if not ever:
                    break
            if own_place < 0:
                break
            own = next_size(own, size, every)
    return n


@nb.njit(cache=True)
def fits_spread(size, low, counts, axes):
    """Return whether every instance of the axes has something to do with tiles of the least size."""
    spread = low
    for axis in range(axes):
        spread *= counts[axis]
    for axis in range(axes):
        if counts[axis] > 1 and spread // counts[axis] * (counts[axis] - 1) >= size:
            return False
    return True


@nb.njit(cache=True)
def axes_between(operand, first, end, skeleton, machine):
    """Return over how many instances of the axes in a range of steps a word of the operand could be shared."""
    count = 1.0
    for step in range(first, end):
        if skeleton.kind[step] == 1:
            axis = skeleton.ident[step]
            if operand == O or (machine.axis_shares[axis] >> operand) & 1:
                count *= machine.axis_size[axis]
    return count


@nb.njit(cache=True)
def all_axes(end, skeleton, machine):
    """Return the number of instances of all axes outside a step."""
    count = 1.0
    for step in range(end):
        if skeleton.kind[step] == 1:
            count *= machine.axis_size[skeleton.ident[step]]
    return count


@nb.njit(cache=True)
def link_costs(transfer, skeleton, machine):
    """Return (fan-outs crossed, link energy of the last, whether it forwards)."""
    crossed = 0
    energy = 0.0
    forward = False
    before = -1
    for step in range(skeleton.source[transfer], skeleton.target[transfer]):
        if skeleton.kind[step] == 1:
            fanout = machine.axis_fanout[skeleton.ident[step]]
            if fanout != before:
                crossed += 1
                before = fanout
                energy = machine.link_energy[fanout]
                forward = machine.forward[fanout] == 1
    return crossed, energy, forward


@nb.njit(cache=True)
def fill_costs(lay, skeleton, machine, costs):
    """Write what terms cost; ``costs`` comes zeroed and is modified in place."""
    steps = len(skeleton.kind)
    stages = len(skeleton.stage_start) - 1
    macs = 1.0
    for dim in range(8):
        macs *= lay.dims[dim]
    costs.energy_constant[0] = macs * machine.mac_energy[0]
    feeding = 0
    taking = 0
    for stage in range(stages):
        costs.instances[stage] = all_axes(skeleton.stage_start[stage], skeleton, machine)
    for transfer in range(len(skeleton.operand)):
        operand = skeleton.operand[transfer]
        width = machine.width[operand]
        up = operand == O
        at_mac = skeleton.target[transfer] == steps
        stage = skeleton.target_stage[transfer]
        source = skeleton.ident[skeleton.source[transfer]]
        target = -1 if at_mac else skeleton.ident[skeleton.target[transfer]]
        src = (T_MAC_SRC if at_mac else T_SRC) + operand
        tgt = (T_MAC_TGT if at_mac else T_TGT) + operand
        words = 1.0
        for dim in range(8):
            if USES[operand, dim] and not (operand == I and dim >= P):
                words *= lay.dims[dim]
        unknown = axes_between(operand, skeleton.source[transfer], skeleton.stage_start[stage], skeleton, machine)
        leaving = width * words / unknown
        if up:
            taking |= 1 << source
        else:
            feeding |= 1 << source
        # Reading partial sums back: not at the first visit, which every instance outside has that adds up the same sum.
        apart = 1.0
        for step in range(skeleton.source[transfer]):
            if skeleton.kind[step] == 1 and machine.axis_dims[skeleton.ident[step]] & REDUCING:
                apart *= machine.axis_size[skeleton.ident[step]]
        inside = at_mac and skeleton.source[transfer] >= skeleton.stage_start[stage]
        # energy
        each = machine.write_energy[source] + machine.read_energy[source] if up else machine.read_energy[source]
        if up and not at_mac:
            each += machine.write_energy[target]
        arriving = 0.0
        if not at_mac:
            arriving = machine.read_energy[target] if up else machine.write_energy[target]
        if up:
            first = machine.read_energy[source] + (0.0 if at_mac else machine.write_energy[target])
            if inside:
                known = 1.0
                for step in range(skeleton.stage_start[stage], skeleton.source[transfer]):
                    if skeleton.kind[step] == 1 and machine.axis_dims[skeleton.ident[step]] & REDUCING:
                        known *= machine.axis_size[skeleton.ident[step]]
                costs.first[0] = width * words * first * apart / known
            else:
                costs.energy_constant[0] -= width * words * first * apart
        crossed, link, forward = link_costs(transfer, skeleton, machine)
        if link > 0.0 and forward and crossed == 1:
            # Links take what arrives less what leaves; a part of it is charged, no more than leaving costs anyway.
            moved = min(link, each)
            each -= moved
            arriving += moved
        elif link > 0.0 and not forward:
            arriving += link
            if up:
                each += link
                costs.energy_constant[0] -= width * words * link * apart
        costs.energy[stage, src] += leaving * each
        costs.energy[stage, tgt] += width * words * arriving
        # ports
        for outer in (True, False):
            if at_mac and not outer:
                continue
            memory = source if outer else target
            step = skeleton.source[transfer] if outer else skeleton.target[transfer]
            instances = all_axes(step, skeleton, machine)
            term = src if outer else tgt
            through = (leaving if outer else width * words) / instances
            if operand == I and instances > 1 and lay.window[0, 2] + lay.window[1, 2] > 0:
                through = 0.0  # the first instance, of which ports are counted, may have nothing but padding
            kind = WRITE if up == outer else READ
            for port in (kind, BOTH):
                costs.ports[stage, 3 * memory + port, term] += through / machine.rates[memory, port]
            if up:
                again = READ if outer else WRITE
                for port in (again, BOTH):
                    costs.ports[stage, 3 * memory + port, src] += leaving / instances / machine.rates[memory, port]
                    costs.ports_constant[3 * memory + port] -= (
                        width * words * apart / instances / machine.rates[memory, port]
                    )
        # waiting
        if at_mac:
            continue
        outer_rate = rate(source, WRITE if up else READ, machine)
        inner_rate = rate(target, READ if up else WRITE, machine)
        at_source = outer_rate < np.inf
        slowest = outer_rate if at_source else inner_rate
        if machine.buffering[target] == DOUBLE:
            costs.compute[stage, (T_TILE_SRC if at_source else T_TILE_TGT) + operand] += width / slowest
            if operand != I or lay.window[0, 2] + lay.window[1, 2] == 0:  # a first tile may lie in the padding
                for later in range(stage + 1, stages):
                    costs.compute[later, T_PASS + operand] += width / slowest
        elif machine.buffering[target] == SINGLE:
            step = skeleton.source[transfer] if at_source else skeleton.target[transfer]
            amount = (leaving if at_source else width * words) / all_axes(step, skeleton, machine)
            costs.compute[stage, src if at_source else tgt] += amount / slowest
    latency = 0.0
    for memory in range(len(machine.latency)):
        latency += machine.latency[memory] * (((feeding >> memory) & 1) + ((taking >> memory) & 1))
    costs.latency[0] = latency


@nb.njit(cache=True)
def least_sum(prices, raised, product, a):
    """Return the least of sum(prices x factors) for factors of at least 1 whose product over ``raised`` is given.

    ``a`` is float64[3], a workspace.
    """
    total = 0.0
    n = 0
    for i in range(3):
        if raised[i]:
            j = n
            while j > 0 and a[j - 1] > prices[i]:
                a[j] = a[j - 1]
                j -= 1
            a[j] = prices[i]
            n += 1
        else:
            total += prices[i]
    if n == 0:
        return total
    if product <= 1.0:
        for i in range(n):
            total += a[i]
        return total
    together = 1.0
    for m in range(1, n + 1):
        together *= a[m - 1]
        if m == 1:
            level = together * product
        elif m == 2:
            level = np.sqrt(together * product)
        else:
            level = np.cbrt(together * product)
        if m == n or level <= a[m]:
            for i in range(m, n):
                total += a[i]
            return total + m * level
    return total


@nb.njit(cache=True)
def fill_floor(variant, lay, layout, skeleton, machine, space):
    """Fill the table of least products for the order of dims of a stage's variant; see ``Space.floor``."""
    floor = space.floor[variant]
    options = space.options
    levels = np.ones(2, dtype=np.int64)
    for axis in range(min(2, layout[6, 0])):
        size = machine.axis_size[skeleton.ident[layout[0, axis]]]
        levels[axis] = space.level[variant, axis, size] + 1
    dims = 0
    while dims < 8 and space.order[variant, dims] >= 0:
        dims += 1
    floor[dims, : levels[0], : levels[1]] = 1.0
    for position in range(dims - 1, -1, -1):
        dim = space.order[variant, position]
        table = floor[position]
        table[: levels[0], : levels[1]] = np.inf
        first = space.start[variant, dim]
        for row in range(first, first + space.number[variant, dim]):
            # the least that must be left of an axis for the option's count, among what can be left
            i = 0
            j = 0
            if layout[6, 0] > 0:
                size = machine.axis_size[skeleton.ident[layout[0, 0]]]
                i = space.level[variant, 0, size // (size // options.counts[row, 0])]
            if layout[6, 0] > 1:
                size = machine.axis_size[skeleton.ident[layout[0, 1]]]
                j = space.level[variant, 1, size // (size // options.counts[row, 1])]
            for term in range(TERMS):
                table[i, j, term] = min(table[i, j, term], options.terms[row, term])
        for i in range(levels[0]):
            for j in range(levels[1]):
                for term in range(TERMS):
                    if i > 0:
                        table[i, j, term] = min(table[i, j, term], table[i - 1, j, term])
                    if j > 0:
                        table[i, j, term] = min(table[i, j, term], table[i, j - 1, term])
        for i in range(levels[0]):
            for j in range(levels[1]):
                for term in range(TERMS):
                    table[i, j, term] *= floor[position + 1, i, j, term]


@nb.njit(cache=True)
def fill_rows(variant, dim, lay, skeleton, machine, space):
    """Write the terms of a dim's options, and what depends on them."""
    options = space.options
    first, end = space.start[variant, dim], space.start[variant, dim] + space.number[variant, dim]
    following = end
    for kind in range(6):
        space.largest[variant, dim, kind] = 1
    layout = space.layouts[variant]
    plain = layout[6, 0] == 0 and layout[6, 1] == 1
    for row in range(end - 1, first - 1, -1):
        own = options.sizes[row, 0]
        if plain and space.remembered[variant, dim, own]:
            options.terms[row] = space.remembered_terms[variant, dim, own]
            options.pieces[row] = space.remembered_pieces[variant, dim, own]
            options.terms[row, T_ITER] = options.iterations[row]
        else:
            fill_terms(
                dim, lay.dims[dim], options.counts[row], options.sizes[row], options.iterations[row], layout,
                skeleton, machine, options.terms[row], options.pieces[row],
            )  # fmt: skip
            if plain:
                space.remembered[variant, dim, own] = True
                space.remembered_terms[variant, dim, own] = options.terms[row]
                space.remembered_pieces[variant, dim, own] = options.pieces[row]
        for kind in range(6):
            space.largest[variant, dim, kind] = max(space.largest[variant, dim, kind], options.pieces[row, kind])
        if row + 1 < end and options.counts[row + 1, 0] != options.counts[row, 0]:
            following = row + 1
        options.skip[row] = following


@nb.njit(cache=True)
def fill_options(stage, lay, skeleton, machine, space, state):
    """Write the options of every dim of a stage whose inside has changed, and the least products of their terms."""
    variant = state.variant[stage]
    layout = space.layouts[variant]
    for position in range(8):
        dim = space.order[variant, position]
        if dim < 0:
            break
        low, left = state.cover[stage + 1, dim], state.iterations[stage + 1, dim]
        if state.known[variant, dim, 0] == low and state.known[variant, dim, 1] == left:
            continue
        state.known[variant, dim, 0], state.known[variant, dim, 1] = low, left
        space.number[variant, dim] = options_of(
            dim, state.cover[stage + 1], state.iterations[stage + 1], lay, skeleton, machine, layout,
            space.start[variant, dim], space.options, False,
        )  # fmt: skip
        fill_rows(variant, dim, lay, skeleton, machine, space)
        state.found[1] += space.number[variant, dim] // ROWS_A_BOUND
    fill_floor(variant, lay, layout, skeleton, machine, space)


@nb.njit(cache=True)
def fill_last(variant, lay, skeleton, machine, space):
    """Write the terms of the options of a variant of the last stage, which are given."""
    for dim in range(8):
        if lay.dims[dim] > 1:
            fill_rows(variant, dim, lay, skeleton, machine, space)
    fill_floor(variant, lay, space.layouts[variant], skeleton, machine, space)


@nb.njit(cache=True)
def set_variant(stage, variant, skeleton, space, state):
    """Choose which operand stays while the innermost loops just outside a stage run."""
    state.variant[stage] = variant
    first = 0 if stage == 0 else skeleton.stage_start[stage - 1]
    for step in range(first, skeleton.stage_start[stage]):
        if skeleton.kind[step] == 0:
            skeleton.stays[step] = space.stays[variant]
            skeleton.once[step] = space.once[variant]


@nb.njit(cache=True)
def reusable(layout, left, at, rests, raised, spans, grow):
    """Return how much larger the tile sizes can get, as a product, that save the transfers of some operands.

    Along the dims that an operand does not depend on, a larger tile saves transfers, but takes room for the other
    operands whose tiles grow with it. ``left[at]`` is by operand how much its undecided dims can grow; ``rests`` is by
    operand how much its tile can; ``raised`` by operand whether its transfers are looked at; ``grow`` a workspace.
    """
    for operand in range(3):
        grow[operand] = 1.0
        if raised[operand] and layout[2, operand] >= 0:
            grow[operand] = left[at, operand]
            for other in range(3):
                if other != operand and covers(operand, other, layout, spans):
                    grow[operand] = min(grow[operand], rests[other])
    bound = grow[0] * grow[1] * grow[2]
    for other in range(3):
        product = 1.0
        members = 0
        for operand in range(3):
            if operand == other or not raised[operand]:
                continue
            if covers(operand, other, layout, spans):
                members += 1
            else:
                product *= grow[operand]
        if raised[other]:
            product *= grow[other]
        if members == 2:
            bound = min(bound, rests[other] * product)
    return bound


@nb.njit(cache=True)
def covers(operand, other, layout, spans):
    """Return whether tiles of another operand grow with what saves an operand's transfers, in proportion."""
    if layout[2, other] < 0 or layout[2, operand] < 0:
        return False
    if other == I and spans:
        return False
    return layout[3, other] <= layout[3, operand]


@nb.njit(cache=True)
def next_row(row, end, at, free, used, layout, limits, counts, skip):
    """Return the next option, from a row on, that the axes have room for, or -1; write what is left of them.

    ``free[at]`` and ``used[at]`` are what is left of every axis and how many dims it has; the rows after are written.
    """
    axes = layout[6, 0]
    while row < end:
        fits = True
        for axis in range(axes):
            taken = counts[row, axis]
            if taken > (free[at, axis] if used[at, axis] < limits[axis] else 1):
                if axis == 0:
                    return -1
                row = skip[row] if axis == 1 else row + 1
                fits = False
                break
            free[at + 1, axis] = free[at, axis] // taken if taken > 1 else free[at, axis]
            used[at + 1, axis] = used[at, axis] + (taken > 1)
        if fits:
            return row
    return -1


@nb.njit(cache=True)
def has_room(sizes, decided, room, dims, window, layout, width, more, most, operand_words):
    """Return whether the tiles fit their memory, undecided dims at their least; write their words into ``room``."""
    total = 0.0
    for operand in range(3):
        room[operand] = 0.0
        if layout[2, operand] < 0:
            continue
        place = layout[3, operand]
        whole = True
        words = width[operand]
        for dim in range(8):
            if USES[operand, dim]:
                if not (operand == I and dim >= P):
                    words *= sizes[place, dim]
                if decided[dim] and sizes[place, dim] < dims[dim]:
                    whole = False
        if operand == I:
            for axis in range(2):
                span = (sizes[place, P + axis] - 1) * window[axis, 0] + 1
                span += (sizes[place, R + axis] - 1) * window[axis, 1]
                words *= min(window[axis, 3], span)
        if not whole:
            words *= more
        room[operand] = words
        total += words
        if words > operand_words[operand]:
            return False
    return total <= most


@nb.njit(cache=True)
def add_pixels(dim, own, row, decided, pieces, pixel, at, dims, window, pixels, gaps, largest):
    """Bring the least pixels of an image axis up to date with a decided dim.

    ``own[row]`` are the sizes of its pieces by kind; ``pieces`` and ``pixel[at]`` are modified in place.
    """
    axis = (dim - P) % 2
    mate = dim + 2 if dim < R else dim - 2
    together = decided[mate]
    for kind in range(6):
        size = own[row, kind]
        pieces[kind, dim] = size
        other = pieces[kind, mate] if together else largest[mate, kind]
        if dims[mate] == 1 or (kind >= 4 and not together):
            other = 1
        outputs = size if dim < R else other
        taps = other if dim < R else size
        if kind >= 4:
            low, high = clip_span(0, outputs, 0, taps, window[axis])
            pixel[at, axis, kind] = high - low
        else:
            pixel[at, axis, kind] = pixels[axis, outputs, taps]
            if kind < 2 and dim < R:
                pixel[at, axis, kind] = max(pixel[at, axis, kind], gaps[axis, own[row, 1]])


@nb.njit(cache=True)
def fill_values(values, active, terms, at, floor, i, j, pixel):
    """Write the products of the terms over all dims, at least: those decided, and the floor of the others."""
    for k in range(len(active)):
        term = active[k]
        values[term] = terms[at, term] * floor[at, i, j, term]
        if term % 3 == I and term < T_PASS:
            values[term] *= pixel[at, 0, term // 3] * pixel[at, 1, term // 3]


@nb.njit(cache=True)
def shared_bound(costs, terms, at, pixel, left, budget, room, spans, values, layout, across, more, most, operand_words,
                 raised, rests, prices, grow):  # fmt: skip
    """Return by how much undecided dims cost more than ``values``, since they share instances and room.

    What saves one operand's transfers takes instances and room from what saves another's. The product of the factors
    is at least the product of the undecided bounds over all that is left to share; the sum is least where the factors'
    parts are equal (inequality of the means).

    ``costs`` is float64[terms], energy or the cycles of a port; ``across`` bool[3], by operand whether its words cross
    the stage's axes on their way to the MAC; the rest is as of ``decide``.
    """
    total = room[0] + room[1] + room[2]
    for operand in range(3):
        rests[operand] = np.inf
        if layout[2, operand] >= 0 and room[operand] > 0:
            rests[operand] = operand_words[operand] * more / room[operand]
            shared = (most * more - (total - room[operand])) / room[operand]
            rests[operand] = min(rests[operand], shared)
    gain = 0.0
    for side in range(2):
        simple = 0.0
        product = 1.0
        several = 0
        for operand in range(3):
            to_mac = side == 0 and across[operand]
            kind = 2 if to_mac else side
            term = 3 * kind + operand
            kept = layout[2, operand] >= 0 and layout[4, operand] == 0
            raised[operand] = (to_mac or kept) and left[at, operand] > 1 and costs[term] > 0
            own = costs[term] * values[term]
            simple += own
            if raised[operand]:
                several += 1
                product *= left[at, operand]
                prices[operand] = costs[term] * terms[at, term]
                if operand == I:
                    prices[operand] *= pixel[at, 0, kind] * pixel[at, 1, kind]
            else:
                prices[operand] = own if costs[term] > 0 else 0.0
        if several == 0:
            continue
        product /= reusable(layout, left, at, rests, raised, spans, grow)
        if side == 0:
            product /= budget
        gain += max(0.0, least_sum(prices, raised, product, grow) - simple)
    return gain


@nb.njit(cache=True)
def busiest_port(values, active, limited, prices, base, extra):
    """Return the cycles of the busiest port: what is sure from elsewhere, the terms, what is charged beside them."""
    busy = 0.0
    for port in limited:
        cycles = base[port] + extra[port]
        for k in range(len(active)):
            cycles += prices[port, active[k]] * values[active[k]]
        busy = max(busy, cycles)
    return busy


@nb.njit(cache=True)
def least_cycles(running, latency, values, active, waiting_prices, limited, port_prices, base, extra):
    """Return the least cycles of a mapping: of the array, with what it waits for, or of the busiest port.

    Args:
        running: Cycles of the array before the terms' waiting is added.
        latency: Cycles that both have.
        values: float64[terms].
        active: The terms that cost something.
        waiting_prices: float64[terms], cycles in which the array waits.
        limited: As of ``busiest_port``, like what follows.
        port_prices: float64[ports, terms].
        base: float64[ports].
        extra: float64[ports].
    """
    for k in range(len(active)):
        running += waiting_prices[active[k]] * values[active[k]]
    return latency + max(running, busiest_port(values, active, limited, port_prices, base, extra))


@nb.njit(cache=True)
def split_waiting(values, active, waiting_prices):
    """Return the cycles in which the array waits for a stage's own tiles, and for first tiles of stages outside."""
    own, outside = 0.0, 0.0
    for k in range(len(active)):
        term = active[k]
        if term < T_PASS:
            own += waiting_prices[term] * values[term]
        else:
            outside += waiting_prices[term] * values[term]
    return own, outside


@nb.njit(cache=True)
def fill_base(stage, costs, space, state):
    """Write the port cycles that are sure from the stages inside and outside."""
    for port in costs.limited:
        state.base[stage, port] = (
            state.ports[stage + 1, port] + costs.ports_constant[port] + space.outer_ports[stage, port]
        )


@nb.njit(cache=True)
def active_terms(stage, costs):
    """Return the terms of a stage that cost something."""
    found = np.empty(TERMS, dtype=np.int64)
    n = 0
    for term in range(T_ITER):
        costly = costs.energy[stage, term] != 0.0 or costs.compute[stage, term] != 0.0
        for port in costs.limited:
            costly = costly or costs.ports[stage, port, term] != 0.0
        if costly:
            found[n] = term
            n += 1
    return found[:n].copy()


@nb.njit(cache=True)
def search(first_stage, lay, skeleton, machine, costs, space, state, work, objective, alone):
    """Choose sizes stage by stage, from the innermost out; cut off what cannot beat the best.

    Args:
        first_stage: The stage to begin with.
        lay: The layer.
        skeleton: The skeleton.
        machine: The machine.
        costs: The costs of terms.
        space: The tables, modified in place.
        state: What is chosen, modified in place.
        work: Arrays for exact counts, modified in place.
        objective: 0 cycles, 1 energy, 2 their product, the other quantity deciding between equals; or ``FRONT``.
        alone: If not 0, only the first stage's energy is looked at, to bound it from below, under the variants that
            are set; ``state.best[0]`` becomes the bound, of mappings in which the array waits for at most
            ``state.best[1]`` cycles. ``WITH_STAYS`` looks at what stays in the next stage too.
    """
    stage = first_stage
    fresh = True
    if not alone:
        set_variant(stage, space.variants[stage], skeleton, space, state)
    while stage <= first_stage and state.found[3] & STOPPED == 0:
        variant = state.variant[stage]
        chosen = True
        if fresh and (stage < first_stage or alone):
            fill_options(stage, lay, skeleton, machine, space, state)
        elif fresh:
            chosen = not worse(space.root[variant, 0], space.root[variant, 1], state.best, objective)
        if chosen:
            chosen = decide(stage, fresh, lay, skeleton, machine, costs, space, state, objective, alone)
        if not chosen and not alone and variant + 1 < space.variants[stage + 1]:
            set_variant(stage, variant + 1, skeleton, space, state)
            fresh = True
        elif not chosen:
            stage += 1
            fresh = False
        elif stage == 0:
            evaluate_chain(lay, skeleton, machine, space, state, work, objective)
            fresh = False
        else:
            stage -= 1
            set_variant(stage, space.variants[stage], skeleton, space, state)
            fresh = True


@nb.njit(cache=True)
def busy_instances(row, size, axes, places, counts, sizes):
    """Return over how many instances with something to do an option spreads its dim."""
    spread = 1
    for axis in range(axes):
        spread *= counts[row, axis]
    return min(spread, ceil_div(size, sizes[row, 0]) if places > 0 else size)


@nb.njit(cache=True)
def first_pixels(variant, axis, kind, lay, space):
    """Return the least pixels along an image axis while nothing is decided: those of the largest pieces."""
    if kind >= 4:
        low, high = clip_span(0, 1, 0, 1, lay.window[axis])
        return float(high - low)
    return space.pixels[axis, space.largest[variant, P + axis, kind], space.largest[variant, R + axis, kind]]


@nb.njit(cache=True)
def passes_by(operand, dim, taps):
    """Return whether instances along a dim may share words of an operand; of inputs, overlapping windows may."""
    return FREE_OF[dim] == operand or (operand == I and dim >= P and taps > 1)


@nb.njit(cache=True)
def begin(stage, count, lay, skeleton, machine, space, state):
    """Prepare a stage in which nothing is decided."""
    variant = state.variant[stage]
    layout, order = space.layouts[variant], space.order[variant]
    for axis in range(2):
        for kind in range(6):
            state.pixel[stage, 0, axis, kind] = first_pixels(variant, axis, kind, lay, space)
    state.terms[stage, 0] = 1.0
    for dim in range(8):
        state.decided[stage, dim] = True
        for place in range(MAX_PLACES):
            state.sizes[stage, place, dim] = state.cover[stage + 1, dim]
        for kind in range(6):
            state.pieces[stage, kind, dim] = 1
    for axis in range(layout[6, 0]):
        state.free[stage, 0, axis] = machine.axis_size[skeleton.ident[layout[0, axis]]]
        state.used[stage, 0, axis] = 0
    state.remaining[stage, count] = 1.0
    for operand in range(3):
        state.left[stage, count, operand] = 1.0
    for position in range(count - 1, -1, -1):
        dim = order[position]
        state.decided[stage, dim] = False
        for operand in range(3):
            state.left[stage, position, operand] = state.left[stage, position + 1, operand]
        if FREE_OF[dim] >= 0:
            state.left[stage, position, FREE_OF[dim]] *= lay.dims[dim] / state.cover[stage + 1, dim]
        state.remaining[stage, position] = state.remaining[stage, position + 1] * state.iterations[stage + 1, dim]
    taps = lay.dims[R] * lay.dims[S]
    for operand in range(3):
        state.together[stage, 0, operand] = 1.0
        state.apart[stage, count, operand] = 1.0
        for position in range(count - 1, -1, -1):
            dim = order[position]
            state.apart[stage, position, operand] = state.apart[stage, position + 1, operand]
            if passes_by(operand, dim, taps):
                state.apart[stage, position, operand] *= ceil_div(lay.dims[dim], state.cover[stage + 1, dim])
    state.position[stage] = 0
    if count > 0:
        state.rows[stage, 0] = space.start[variant, order[0]] - 1


@nb.njit(cache=True)
def free_inside(stage, lay, skeleton, machine, costs, space, state, freed, passes):
    """Write what the operand costs, at least, that the next stage takes to stay while this stage's last loops run.

    Nothing is known of the stages inside. ``passes`` is how many words of it one pass over the array can cover at most.
    """
    inside = space.layouts[state.variant[stage + 1]]
    for operand in range(3):
        freed[operand] = 0.0
        if inside[2, operand] < 0 or inside[4, operand] != 1:
            continue
        freed[operand] = costs.energy[stage + 1, T_SRC + operand] + costs.energy[stage + 1, T_TGT + operand]
        if operand == I:
            for axis in range(2):
                freed[operand] *= space.pixels[axis, lay.dims[P + axis], lay.dims[R + axis]]
        memory = skeleton.ident[inside[1, 0]]
        passes[operand] = min(machine.words[memory], machine.operand_words[memory, operand]) / machine.width[operand]
        for axis in range(inside[6, 0]):
            passes[operand] *= machine.axis_size[skeleton.ident[inside[0, axis]]]


@nb.njit(cache=True)
def again_alone(operand, most, sizes, place, decided, lay):
    """Return how often a tile is brought that stays while a stage's last loops run, at least, less one.

    Its tile in the next stage has ``most`` words; if that of this stage has more, a loop inside changes it.
    """
    words = 1.0
    for dim in range(8):
        if USES[operand, dim] and not (operand == I and dim >= P):
            words *= sizes[place, dim]
    if operand == I or words <= most:
        return 0.0
    pieces = 1.0
    for dim in range(8):
        if FREE_OF[dim] == operand and decided[dim]:
            pieces *= lay.dims[dim] // sizes[place, dim]
    return pieces - 1.0


@nb.njit(cache=True)
def moves(operand, sizes, than, decided):
    """Return whether a loop over a decided dim, from sizes down to others, changes an operand's tile."""
    for dim in range(8):
        if USES[operand, dim] and decided[dim] and sizes[dim] > than[dim]:
            return True
    return False


@nb.njit(cache=True)
def multiples(operand, sizes, decided, passes, dims):
    """Return in how many pieces of given sizes, along dims that do not change an operand, whole passes are run."""
    pieces = 1.0
    for dim in range(8):
        if FREE_OF[dim] == operand and decided[dim]:
            size = sizes[dim]
            pieces *= max(1, dims[dim] // size + (dims[dim] % size >= passes[dim]))
    return pieces


@nb.njit(cache=True)
def charge_stays(innermost, inside, stays, outer_stays, first, last, least, decided, covered, dims, freed, pending,
                 freed_ports, pending_ports, stopped, limited, extra):  # fmt: skip
    """Return what it costs that tiles which stay while a zone's last loops run are brought again for those outside.

    The transfers into a stage take the tile of one operand to stay while the innermost loops just outside run, that is,
    to be brought once for all of these. It is brought again for every iteration of the loops outside those by which it
    is changed: loops in the same zone, or further out.

    Args:
        innermost: Whether there is no stage outside.
        inside: Layout of the stage inside.
        stays: Operand that stays just outside that stage.
        outer_stays: Operand that stays just outside this stage.
        first: int64[8], tile sizes at the stage's outermost place.
        last: int64[8], at its innermost.
        least: int64[8], what the stages inside cover.
        decided: bool[8].
        covered: int64[8], what this stage covers, of the decided dims.
        dims: int64[8].
        freed: float64[3], energy of the transfers into the stage inside.
        pending: float64[3], energy of those further in whose tile no loop has changed yet.
        freed_ports: float64[3, ports], port cycles of the same.
        pending_ports: float64[3, ports].
        stopped: bool[3], whether a loop changes a tile here, modified in place.
        limited: The ports looked at.
        extra: float64[ports], port cycles, added to in place.
    """
    energy = 0.0
    for operand in range(3):
        here = inside[2, operand] >= 0 and inside[4, operand] == 1
        own = freed[operand] if here else 0.0
        stopped[operand] = True
        if own + pending[operand] <= 0.0:
            continue
        pieces, pieces_pending = 1.0, 1.0
        if moves(operand, last, least, decided):
            pieces = multiples(operand, last, decided, least, dims)
            pieces_pending = pieces
            if stays != operand and pending[operand] > 0.0:
                pieces_pending = multiples(operand, least, EVERY, least, dims)
        elif moves(operand, first, last, decided):
            pieces = multiples(operand, first, decided, least, dims)
            pieces_pending = pieces
        else:
            stopped[operand] = False
            if not innermost or outer_stays == operand:
                continue
            if moves(operand, dims, covered, decided):
                pieces = multiples(operand, covered, decided, least, dims)
                pieces_pending = pieces
        if pieces + pieces_pending <= 2.0:
            continue
        energy += own * (pieces - 1.0) + pending[operand] * (pieces_pending - 1.0)
        for port in limited:
            if here:
                extra[port] += freed_ports[operand, port] * (pieces - 1.0)
            extra[port] += pending_ports[operand, port] * (pieces_pending - 1.0)
    return energy


@nb.njit(cache=True)
def charge_passing(after, row, dim, budget, layout, ident, axis_size, axis_shares, counts, entering, entering_ports,
                   passing, together, apart, limited, taps, extra):  # fmt: skip
    """Return what words cost that pass a stage by on their way further in, beyond what the stages inside assume.

    These assume that all instances of the axes share them. They do only along dims that do not change the operand.

    Args:
        after: How many dims are decided.
        row: The option chosen last.
        dim: Of this dim.
        budget: Instances left.
        layout: Of the stage.
        ident: Axes by step.
        axis_size: int64[axes].
        axis_shares: int64[axes], bit masks of operands.
        counts: int64[rows, axes], instances of every option.
        entering: float64[3], energy that is assumed.
        entering_ports: float64[3, ports], port cycles that are assumed.
        passing: float64[3], how many times more it is, modified in place.
        together: float64[9, 3], instances that share a word so far, modified in place.
        apart: float64[9, 3], how many more can.
        limited: The ports looked at.
        taps: Taps of a filter.
        extra: float64[ports], port cycles, added to in place.
    """
    energy = 0.0
    for operand in range(3):
        passing[operand] = 1.0
        if layout[2, operand] >= 0 or entering[operand] <= 0.0:
            continue
        shared, most = 1.0, 1.0
        for axis in range(layout[6, 0]):
            number = ident[layout[0, axis]]
            if operand == O or (axis_shares[number] >> operand) & 1:
                most *= axis_size[number]
                if passes_by(operand, dim, taps):
                    shared *= counts[row, axis]
        shared *= together[after - 1, operand]
        together[after, operand] = shared
        ratio = most / (shared * min(budget, apart[after, operand]))
        if ratio <= 1.0:
            continue
        passing[operand] = ratio
        energy += entering[operand] * (ratio - 1.0)
        for port in limited:
            extra[port] += entering_ports[operand, port] * (ratio - 1.0)
    return energy


@nb.njit(cache=True)
def exchangeable(layout, ident, size, dims, most, shares, chain, fanout, by_kind):
    """Return two axes of a stage that can change places, and the mask of the dims for which they can; (-1, -1, 0).

    Dims unrolled along one can be unrolled along the other. Sums that are added along axes of other kinds cannot.
    """
    for a in range(layout[6, 0]):
        for b in range(a + 1, layout[6, 0]):
            one, other = ident[layout[0, a]], ident[layout[0, b]]
            if fanout[one] != fanout[other] or size[one] != size[other] or most[one] != most[other]:
                continue
            if shares[one] != shares[other]:
                continue
            same = chain[one] == chain[other] and dims[one] == dims[other]
            if by_kind and not same:
                continue
            mask = dims[one] & dims[other]
            return a, b, mask if same else mask & ~REDUCING
    return -1, -1, 0


@nb.njit(cache=True)
def exchanged(after, count, order, rows, counts, a, b, mask):
    """Return whether what is chosen so far costs the same with two axes exchanged, and is searched that way.

    Of both, the mapping counts in which the first dim with other numbers of instances along the two has more along the
    first. Sizes are cut by all instances of both axes, in whichever order, so that nothing depends on it.
    """
    unequal = False
    for position in range(after):
        row = rows[position]
        on_a, on_b = counts[row, a], counts[row, b]
        if on_a == on_b == 1:
            continue
        if not (mask >> order[position]) & 1:
            return False
        if on_a != on_b and not unequal:
            if on_a > on_b:
                return False
            unequal = True
    if not unequal:
        return False
    for position in range(after, count):
        if not (mask >> order[position]) & 1:
            return False
    return True


@nb.njit(cache=True)
def worse_outside(energy, running, waiting, latency, busy, front, points, best, objective):
    """Return whether no choice outside, by its energy and the waiting that comes with it, can beat the best.

    Args:
        energy: Energy without that of the stages outside.
        running: Cycles of the array but for the first tiles of the stages outside.
        waiting: Cycles of those, at least.
        latency: Cycles that array and ports both have.
        busy: Cycles of the busiest port.
        front: float64[points, 2], as of ``Space.front``.
        points: How many there are.
        best: As of ``worse``.
        objective: The same.
    """
    for k in range(points):
        cycles = latency + max(running + max(waiting, front[k, 1]), busy)
        if not worse(energy + front[k, 0], cycles, best, objective):
            return False
    return True


@nb.njit(cache=True)
def decide(stage, fresh, lay, skeleton, machine, costs, space, state, objective, alone):
    """Choose options of a stage, dim by dim; the arguments are those of ``search``.

    Args:
        fresh: Whether to begin, or to go on after the last choice.

    Returns:
        bool: Whether there is a choice, or none any more.
    """
    stages = len(costs.instances)
    variant = state.variant[stage]
    layout = space.layouts[variant]
    order = space.order[variant]
    floor = space.floor[variant]
    first_row = space.start[variant]
    number = space.number[variant]
    level = space.level[variant]
    least = state.cover[stage + 1]
    prices_energy = costs.energy[stage]
    option_terms, option_sizes = space.options.terms, space.options.sizes
    option_counts, option_pieces, option_skip = space.options.counts, space.options.pieces, space.options.skip
    axes, places = layout[6, 0], layout[6, 1]
    memory = skeleton.ident[layout[1, 0]] if places > 0 else 0
    active = active_terms(stage, costs)
    count = 0
    while count < 8 and order[count] >= 0:
        count += 1
    rows, terms, pixel = state.rows[stage], state.terms[stage], state.pixel[stage]
    free, used, sizes = state.free[stage], state.used[stage], state.sizes[stage]
    decided, pieces, left = state.decided[stage], state.pieces[stage], state.left[stage]
    remaining = state.remaining[stage]
    limits = np.ones(MAX_AXES, dtype=np.int64)
    across = np.zeros(3, dtype=np.bool_)
    for operand in range(3):
        if axes > 0 and layout[2, operand] < 0 and layout[5, operand] >= 0 and layout[7, operand] != 1:
            across[operand] = skeleton.source[layout[5, operand]] < layout[0, 0]
    sharing = places > 0 or across.any()
    own, passes_wait, busy = 0.0, 0.0, 0.0
    firsts, reduced = state.firsts[stage], state.reduced[stage]
    raised = np.zeros(3, dtype=np.bool_)
    rests, prices, grow, room = np.ones(3), np.ones(3), np.ones(3), np.ones(3)
    values = np.ones(TERMS)
    spans = lay.dims[R] * lay.dims[S] > 1
    for axis in range(2):
        plain = lay.window[axis, 2] == 0 and (lay.dims[P + axis] - 1) * lay.window[axis, 0] + 1 <= lay.window[axis, 3]
        spans = spans or not plain
    mirrored = stage == stages - 1 and not alone and space.mirrored[0] == 1
    for axis in range(axes):
        limits[axis] = machine.axis_most[skeleton.ident[layout[0, axis]]]
    if fresh:
        begin(stage, count, lay, skeleton, machine, space, state)
    freed, passes = np.zeros(3), np.ones(3)
    if alone == WITH_STAYS and places > 0:
        free_inside(stage, lay, skeleton, machine, costs, space, state, freed, passes)
    extra = state.extra[stage]
    charged = 0.0
    limited, latency, taps = costs.limited, costs.latency[0], lay.dims[R] * lay.dims[S]
    base, port_prices, waiting_prices = state.base[stage], costs.ports[stage], costs.compute[stage]
    fill_base(stage, costs, space, state)
    instances, first_price = costs.instances[stage], costs.first[0]
    width, window = machine.width, lay.window
    more, most, operand_words = machine.room[memory], machine.words[memory], machine.operand_words[memory]
    pixels, gap_words, largest = space.pixels, space.gaps[stage], space.largest[variant]
    charges_stays, charges_passing = False, False
    inside, stays = layout, 0
    if not alone and stage < stages - 1:
        inside, stays = space.layouts[state.variant[stage + 1]], space.stays[state.variant[stage + 1]]
        for operand in range(3):
            here = inside[2, operand] >= 0 and inside[4, operand] == 1 and state.freed[stage + 1, operand] > 0.0
            charges_stays = charges_stays or here or state.pending[stage + 1, operand] > 0.0
            state.stopped[stage, operand] = True
            state.passing[stage, operand] = 1.0
            if axes > 0 and layout[2, operand] < 0 and state.open[stage + 1, operand] > 0.0:
                charges_passing = True
    inner_energy = state.energy[stage + 1] + space.outer_energy[variant] + costs.energy_constant[0]
    best = state.best
    first_axis, second_axis, movable = exchangeable(
        layout, skeleton.ident, machine.axis_size, machine.axis_dims, machine.axis_most, machine.axis_shares,
        machine.axis_chain, machine.axis_fanout, machine.by_kind[0] == 1,
    )  # fmt: skip
    front, points = space.front[variant], space.points[variant]
    at_front = not alone and objective >= 2 and points > 1
    nodes = 0
    position = state.position[stage]
    if count == 0:
        state.position[stage] = -1
        if position < 0:
            return False
        fill_values(values, active, terms, 0, floor, 0, 0, pixel)
        if not alone:
            close_stage(stage, values, lay, costs, space, state)
            if stage == stages - 1:
                state.energy[stage] -= costs.first[0]
            return True
        energy = 0.0
        for k in range(len(active)):
            energy += prices_energy[active[k]] * values[active[k]]
        best[0] = min(best[0], energy)
        return False
    while position >= 0:
        dim = order[position]
        end = first_row[dim] + number[dim]
        if mirrored and (dim == P or dim == Q):
            # P and Q can change places: the option of that decided first comes no earlier than the other's
            mate = P + Q - dim
            if decided[mate]:
                end = min(end, first_row[dim] + state.row[stage, mate] - first_row[mate] + 1)
        row = next_row(
            rows[position] + 1, end, position, free, used, layout, limits, option_counts,
            option_skip,
        )  # fmt: skip
        if row < 0:
            decided[dim] = False
            for place in range(places):
                sizes[place, dim] = least[dim]
            position -= 1
            continue
        rows[position] = row
        decided[dim] = True
        state.covered[stage, dim] = space.options.covers[row]
        if places > 0:
            for place in range(places):
                sizes[place, dim] = option_sizes[row, place]
            if not has_room(sizes, decided, room, lay.dims, window, layout, width, more, most, operand_words):
                continue
        after = position + 1
        if first_axis >= 0 and exchanged(after, count, order, rows, option_counts, first_axis, second_axis, movable):
            continue
        nodes += 1
        if nodes + state.found[1] > state.found[4]:
            state.found[3] |= STOPPED
            break
        for k in range(len(active)):
            term = active[k]
            terms[after, term] = terms[position, term] * option_terms[row, term]
        terms[after, T_ITER] = terms[position, T_ITER] * option_terms[row, T_ITER]
        for axis in range(2):
            for kind in range(6):
                pixel[after, axis, kind] = pixel[position, axis, kind]
        if dim >= P:
            add_pixels(
                dim, option_pieces, row, decided, pieces, pixel, after, lay.dims, window, pixels, gap_words, largest
            )
        i = level[0, free[after, 0] if used[after, 0] < limits[0] else 1] if axes > 0 else 0
        j = level[1, free[after, 1] if used[after, 1] < limits[1] else 1] if axes > 1 else 0
        fill_values(values, active, terms, after, floor, i, j, pixel)
        budget = 1.0
        for axis in range(axes):
            if used[after, axis] < limits[axis]:
                budget *= free[after, axis]
        # partial sums that need not be read back, at most
        if USES[O, dim] == 0:
            firsts[after] = firsts[position] * busy_instances(
                row, lay.dims[dim], axes, places, option_counts, option_sizes
            )
        else:
            firsts[after] = firsts[position]
        adders = 0.0
        for axis in range(axes):
            reduced[after, axis] = reduced[position, axis]
            if USES[O, dim] == 0:
                reduced[after, axis] *= option_counts[row, axis]
            adders += adder_depth(reduced[after, axis], machine.axis_chain[skeleton.ident[layout[0, axis]]])
        unread = first_price * firsts[after] * min(budget, left[after, O])
        cycles = 0.0
        if not alone and objective != 1:
            iterations = terms[after, T_ITER] * max(floor[after, i, j, T_ITER], remaining[after] / budget)
            running = state.compute[stage + 1] + adders + iterations / instances
            cycles = latency + running
            if objective == 0 and cycles > best[1] * (1 + 1e-9):
                continue
        energy = 0.0 if alone else inner_energy
        if stage == stages - 1:
            energy -= unread
        elif not alone:
            charged = 0.0
            for port in limited:
                extra[port] = 0.0
            if charges_stays:
                charged += charge_stays(
                    stage == 0, inside, stays, space.stays[variant], sizes[0], sizes[places - 1], least, decided,
                    state.covered[stage], lay.dims, state.freed[stage + 1], state.pending[stage + 1],
                    state.freed_ports[stage + 1], state.pending_ports[stage + 1], state.stopped[stage], limited,
                    extra,
                )  # fmt: skip
            if charges_passing:
                charged += charge_passing(
                    after, row, dim, budget, layout, skeleton.ident, machine.axis_size, machine.axis_shares,
                    option_counts, state.open[stage + 1], state.open_ports[stage + 1], state.passing[stage],
                    state.together[stage], state.apart[stage], limited, taps, extra,
                )  # fmt: skip
            energy += charged
        elif places > 0:
            for operand in range(3):
                if freed[operand] > 0:
                    energy += freed[operand] * again_alone(operand, passes[operand], sizes, places - 1, decided, lay)
        for k in range(len(active)):
            energy += prices_energy[active[k]] * values[active[k]]
        if alone and best[1] < np.inf:
            own, _ = split_waiting(values, active, waiting_prices)
            if own > best[1]:
                continue
        if not alone and objective != 1:
            if objective == 2 and energy * cycles > best[0] * best[1] * (1 + 1e-9):
                continue
            cycles = least_cycles(running, latency, values, active, waiting_prices, limited, port_prices, base, extra)
            if objective == 0 and cycles > best[1] * (1 + 1e-9):
                continue
        if alone:
            if energy >= best[0]:
                continue
        elif (objective == 2 and energy * cycles > best[0] * best[1] * (1 + 1e-9)) or (
            objective == 1 and energy > best[0] * (1 + 1e-9)
        ):
            continue
        if after < count and sharing:
            energy += shared_bound(
                prices_energy, terms, after, pixel, left, budget, room, spans, values, layout, across, more, most,
                operand_words, raised, rests, prices, grow,
            )  # fmt: skip
            if not alone and objective != 1 and not worse(energy, cycles, best, objective):
                own, passes_wait = split_waiting(values, active, waiting_prices)
                busy = 0.0
                for port in limited:
                    words = base[port] + extra[port]
                    for k in range(len(active)):
                        words += port_prices[port, active[k]] * values[active[k]]
                    words += shared_bound(
                        port_prices[port], terms, after, pixel, left, budget, room, spans, values, layout, across,
                        more, most, operand_words, raised, rests, prices, grow,
                    )  # fmt: skip
                    busy = max(busy, words)
                cycles = latency + max(running + own + passes_wait, busy)
        if alone:
            if energy >= best[0]:
                continue
        else:
            if objective == 1 and energy >= best[0] * (1 - 1e-9):
                iterations = terms[after, T_ITER] * max(floor[after, i, j, T_ITER], remaining[after] / budget)
                running = state.compute[stage + 1] + adders + iterations / instances
                cycles = least_cycles(
                    running, latency, values, active, waiting_prices, limited, port_prices, base, extra
                )
            if worse(energy, cycles, best, objective):
                continue
            if at_front:
                if after == count or not sharing:
                    own, passes_wait = split_waiting(values, active, waiting_prices)
                    busy = busiest_port(values, active, limited, port_prices, base, extra)
                if worse_outside(
                    energy - space.outer_energy[variant], running + own, passes_wait, latency, busy, front, points,
                    best, objective,
                ):  # fmt: skip
                    continue
        state.row[stage, dim] = row
        if after < count:
            position = after
            rows[position] = first_row[order[position]] - 1
        elif alone:
            best[0] = energy
        else:
            close_stage(stage, values, lay, costs, space, state)
            state.compute[stage] += adders
            if stage < stages - 1:
                carry_stays(stage, charged, extra, costs, space, state)
            if stage == stages - 1:
                state.energy[stage] -= costs.first[0] * firsts[count]
            state.position[stage] = position
            state.found[1] += nodes
            return True
    state.found[1] += nodes
    return False


@nb.njit(cache=True)
def close_stage(stage, values, lay, costs, space, state):
    """Write down what a stage has decided: sizes, what it covers, and what it costs at least."""
    options = space.options
    for dim in range(8):
        if lay.dims[dim] == 1:
            state.cover[stage, dim] = 1
            state.iterations[stage, dim] = 1
            continue
        row = state.row[stage, dim]
        state.cover[stage, dim] = options.covers[row]
        state.iterations[stage, dim] = options.terms[row, T_ITER]
    energy, compute = state.energy[stage + 1], state.compute[stage + 1]
    for term in range(T_ITER):
        energy += costs.energy[stage, term] * values[term]
        if term < T_PASS:
            compute += costs.compute[stage, term] * values[term]
    state.energy[stage], state.compute[stage] = energy, compute
    layout = space.layouts[state.variant[stage]]
    last = layout[6, 2] == 1
    for operand in range(3):
        kept = layout[2, operand] >= 0
        term = (T_SRC if kept else T_MAC_SRC) + operand
        if kept or last:
            state.open[stage, operand] = costs.energy[stage, term] * values[term]
        else:
            state.open[stage, operand] = state.open[stage + 1, operand]
        for port in costs.limited:
            if kept or last:
                state.open_ports[stage, operand, port] = costs.ports[stage, port, term] * values[term]
            else:
                state.open_ports[stage, operand, port] = state.open_ports[stage + 1, operand, port]
    for operand in range(3):
        state.pending[stage, operand] = 0.0
        state.freed[stage, operand] = 0.0
        for term in (T_SRC + operand, T_TGT + operand):
            state.freed[stage, operand] += costs.energy[stage, term] * values[term]
    for port in costs.limited:
        cycles = state.ports[stage + 1, port]
        for term in range(T_ITER):
            cycles += costs.ports[stage, port, term] * values[term]
        state.ports[stage, port] = cycles
        for operand in range(3):
            state.pending_ports[stage, operand, port] = 0.0
            src, tgt = T_SRC + operand, T_TGT + operand
            state.freed_ports[stage, operand, port] = (
                costs.ports[stage, port, src] * values[src] + costs.ports[stage, port, tgt] * values[tgt]
            )


@nb.njit(cache=True)
def carry_stays(stage, charged, extra, costs, space, state):
    """Add to a closed stage what was charged to it; what no loop has changed yet waits for the next stage."""
    inside = space.layouts[state.variant[stage + 1]]
    state.energy[stage] += charged
    for port in costs.limited:
        state.ports[stage, port] += extra[port]
    for operand in range(3):
        if space.layouts[state.variant[stage]][2, operand] < 0:
            state.open[stage, operand] *= state.passing[stage, operand]
            for port in costs.limited:
                state.open_ports[stage, operand, port] *= state.passing[stage, operand]
        if state.stopped[stage, operand]:
            continue
        here = inside[2, operand] >= 0 and inside[4, operand] == 1
        state.pending[stage, operand] = state.pending[stage + 1, operand]
        if here:
            state.pending[stage, operand] += state.freed[stage + 1, operand]
        for port in costs.limited:
            state.pending_ports[stage, operand, port] = state.pending_ports[stage + 1, operand, port]
            if here:
                state.pending_ports[stage, operand, port] += state.freed_ports[stage + 1, operand, port]


# Part 3: from options to mappings. An option stands for all that it is no worse than: tile sizes that give the same
# number of pieces, and instances and sizes that were left out as wasteful. Where pieces divide evenly the option itself
# is the best of them; else all are evaluated exactly.


@nb.njit(cache=True)
def same_options(dim, stage, lay, skeleton, machine, space, state, work):
    """List the options that the chosen one stands for; see ``Work.option``."""
    layout = space.layouts[state.variant[stage]]
    size = lay.dims[dim]
    row = state.row[stage, dim]
    axes, places = layout[6, 0], layout[6, 1]
    last = layout[6, 2] == 1
    table = work.option[stage]
    for axis in range(MAX_AXES):
        table[0, axis] = space.options.counts[row, axis]
    for place in range(MAX_PLACES):
        table[0, MAX_AXES + place] = space.options.sizes[row, place]
    n = 1
    own_place, _ = place_roles(dim, layout)
    if dim < R and not any_sizes(dim, layout):
        k = 0
        counts = np.ones(MAX_AXES, dtype=np.int64)
        while k < n:
            for change in range(-1, axes):
                for axis in range(MAX_AXES):
                    counts[axis] = table[k, axis]
                own = table[k, MAX_AXES] if places > 0 else 1
                if change >= 0:
                    number = skeleton.ident[layout[0, change]]
                    if not (machine.axis_dims[number] >> dim) & 1 or counts[change] >= machine.axis_size[number]:
                        continue
                    counts[change] += 1
                elif not last or places == 0 or own_place < 0:
                    continue
                else:
                    own += 1
                spread = 1
                for axis in range(axes):
                    spread *= counts[axis]
                wasted = spread // counts[change] * (counts[change] - 1) if change >= 0 else spread
                if wasted * (own if change >= 0 else own - 1) >= size:
                    continue
                if not redundant(dim, size, counts, own, change, state.iterations[stage + 1, dim], layout, skeleton,
                                 machine):  # fmt: skip
                    continue
                known = n == len(table)
                for other in range(n):
                    same = True
                    for axis in range(MAX_AXES):
                        same = same and table[other, axis] == counts[axis]
                    known = known or (same and (places == 0 or table[other, MAX_AXES] == own))
                if known:
                    continue
                for axis in range(MAX_AXES):
                    table[n, axis] = counts[axis]
                for place in range(MAX_PLACES):
                    table[n, MAX_AXES + place] = table[k, MAX_AXES + place]
                    if change < 0 and place <= own_place:
                        table[n, MAX_AXES + place] = max(own, table[k, MAX_AXES + place])
                n += 1
            k += 1
    work.options[stage] = n


@nb.njit(cache=True)
def divides(size, inner, skeleton, dim):
    """Return whether along a chain of sizes every tile is a whole number of what is inside it, or the whole dim."""
    outer = size
    for step in range(len(skeleton.kind)):
        if skeleton.kind[step] == 0 and outer % inner[step] != 0 and outer != size:
            return False
        outer = inner[step]
    return True


@nb.njit(cache=True)
def write_steps(stage, counts, sizes, cover, size, inner, layout, skeleton):
    """Write the sizes inside a stage's steps into a chain, and return what the stage covers.

    ``cover`` is what the stages inside cover. The size inside the stage's last place is set here, that inside the step
    before the stage by its caller.
    """
    axes, places = layout[6, 0], layout[6, 1]
    for place in range(places):
        step = layout[1, place]
        inner[step] = sizes[place + 1] if place + 1 < places else cover
    reach = sizes[0] if places > 0 else cover
    for axis in range(axes - 1, -1, -1):
        inner[layout[0, axis]] = min(size, reach)
        reach = min(size, reach * counts[axis])
    return reach


@nb.njit(cache=True)
def next_member(sizes, first, low, size, places):
    """Advance to the next sequence of sizes with the same numbers of pieces; return whether there is one."""
    for place in range(places - 1, -1, -1):
        larger = sizes[place] + 1
        if larger < next_size(first[place], size, False) and (place == 0 or larger <= sizes[place - 1]):
            sizes[place] = larger
            for inner in range(place + 1, places):
                sizes[inner] = max(first[inner], low)
            return True
    return False


@nb.njit(cache=True)
def gaps(dim, lay, skeleton, work):
    """Return whether windows of an output dim may leave gaps between them, so that more pieces can mean fewer pixels.

    Both the output dim and the filter's dim along the same axis have the chains of the options themselves already.
    Where a piece is one output there is nothing to cut.
    """
    axis = dim - P
    taps = lay.dims[dim + 2]
    if lay.dims[dim] == 1:
        return False
    if lay.window[axis, 1] > 1 and taps > 1:
        return True
    for step in range(len(skeleton.kind) - 1):
        if work.members[dim, 0, step] > 1 and work.members[dim + 2, 0, step] < lay.window[axis, 0]:
            return True
    return False


@nb.njit(cache=True)
def chains_of(dim, lay, skeleton, machine, space, state, work):
    """List the chains of sizes that a dim's chosen options stand for; return False if there are too many to hold."""
    size = lay.dims[dim]
    members = work.members[dim]
    stages = len(skeleton.stage_start) - 1
    steps = len(skeleton.kind)
    now, then = work.chains[0], work.chains[1]
    # the options themselves
    cover = 1
    for stage in range(stages - 1, -1, -1):
        row = state.row[stage, dim]
        cover = write_steps(stage, space.options.counts[row], space.options.sizes[row], cover, size, members[0],
                            space.layouts[state.variant[stage]], skeleton)  # fmt: skip
        before = skeleton.stage_start[stage] - 1
        members[0, before] = cover
    work.number[dim] = 1
    if dim >= R:
        return True
    rough = dim >= P and gaps(dim, lay, skeleton, work)
    uneven = dim >= P and work.uneven_cuts[dim - P].any()
    if dim >= P:
        work.rough[dim - P] = rough
    uneven = uneven or rough
    if uneven and size > FEW_OUTPUTS and lay.dims[dim + 2] > 1:
        uneven = False
        work.rough[dim - P] = False
        state.found[3] |= OMITTED
    if not uneven and divides(size, members[0], skeleton, dim):
        count = dim_iterations(size, members[0], skeleton, work.flags, work.sizes, work.times)
        if count <= state.iterations[0, dim]:
            return True
    # all others, from the innermost stage out; a partial chain keeps what it covers at its end
    n = 1
    now[0] = 1
    sizes = np.ones(MAX_PLACES, dtype=np.int64)
    first_sizes = np.ones(MAX_PLACES, dtype=np.int64)
    for stage in range(stages - 1, -1, -1):
        same_options(dim, stage, lay, skeleton, machine, space, state, work)
        layout = space.layouts[state.variant[stage]]
        places, last = layout[6, 1], layout[6, 2] == 1
        own_place, pixel_place = place_roles(dim, layout)
        m = 0
        for k in range(n):
            low = now[k, steps]
            for number in range(work.options[stage]):
                option = work.option[stage, number]
                counts, chosen = option[:MAX_AXES], option[MAX_AXES:]
                if places > 1 and any_sizes(dim, layout):
                    for place in range(MAX_PLACES):
                        first_sizes[place] = chosen[place]
                        sizes[place] = max(chosen[place], low) if place < places else 1
                    while True:
                        if m == len(members):
                            return False
                        then[m] = now[k]
                        then[m, steps] = write_steps(stage, counts, sizes, low, size, then[m, :steps], layout, skeleton)
                        then[m, skeleton.stage_start[stage] - 1] = then[m, steps]
                        m += 1
                        if last or not next_member(sizes, first_sizes, low, size, places):
                            break
                    continue
                own_first = chosen[0] if own_place >= 0 else low
                pixel_first = chosen[pixel_place] if pixel_place >= 0 else 1
                if pixel_place >= 0 and own_place >= 0 and pixel_place < own_place:
                    own_first = chosen[own_place]
                own_end, pixel_end = own_first + 1, pixel_first + 1
                if not last:
                    own_end = next_size(own_first, size, False) if own_place >= 0 else low + 1
                    pixel_end = next_size(pixel_first, size, False) if pixel_place >= 0 else pixel_first + 1
                if places == 0:
                    own_first, own_end = low, low + 1
                for own in range(max(own_first, low), max(own_end, low + (own_place < 0))):
                    for pixels in range(pixel_first, pixel_end):
                        if pixel_place >= 0 and pixels < low and pixel_place > own_place:
                            continue
                        set_sizes(sizes, own, pixels, low, own_place, pixel_place, places)
                        if m == len(members):
                            return False
                        then[m] = now[k]
                        then[m, steps] = write_steps(stage, counts, sizes, low, size, then[m, :steps], layout, skeleton)
                        then[m, skeleton.stage_start[stage] - 1] = then[m, steps]
                        m += 1
                        if pixel_place < 0 or pixel_place == own_place:
                            break
                    if stage == 0 and not last and not uneven and own % low == 0 and own_place >= 0:
                        break
        for k in range(m):
            now[k] = then[k]
        n = m
    for k in range(n):
        members[k] = now[k, :steps]
    work.number[dim] = n
    return True


@nb.njit(cache=True)
def known_factors(dim, n, size, steps, skeleton, machine, work):
    """Write the factors of a chain, from the memory of earlier ones if it is there."""
    chain = work.members[dim, n]
    places = work.memory_chains.shape[1]
    place = 0
    for step in range(steps):
        place = (place * 31 + chain[step]) % places
    while True:
        same = True
        for step in range(steps):
            same = same and work.memory_chains[dim, place, step] == chain[step]
        taken = False
        for other in range(n if not same else 0):
            taken = taken or work.origin[dim, other] == place
        if not taken:
            break
        place = (place + 1) % places
    if not same:
        dim_factors(dim, size, chain, skeleton, machine, work.memory_factors[dim, place], work.flags, work.keyed,
                    work.sizes, work.times)  # fmt: skip
        work.memory_iterations[dim, place] = dim_iterations(size, chain, skeleton, work.flags, work.sizes, work.times)
        for step in range(steps):
            work.memory_chains[dim, place, step] = chain[step]
    work.origin[dim, n] = place
    work.iterations[dim, n] = work.memory_iterations[dim, place]


@nb.njit(cache=True)
def known_pixels(axis, lay, steps, skeleton, machine, work):
    """Return where the factors of the inputs along an image axis are remembered; write them if they are not."""
    place = 0
    for step in range(steps):
        place = (place * 31 + work.inner[P + axis, step]) % work.memory_pairs.shape[1]
        place = (place * 31 + work.inner[R + axis, step]) % work.memory_pairs.shape[1]
    same = True
    for step in range(steps):
        same = same and work.memory_pairs[axis, place, 0, step] == work.inner[P + axis, step]
        same = same and work.memory_pairs[axis, place, 1, step] == work.inner[R + axis, step]
    if not same:
        window_factors(axis, lay.dims, work.inner, lay.window, skeleton, machine, work.memory_pixels[axis, place],
                       work.flags, work.keyed, work.runs, work.pairs)  # fmt: skip
        for step in range(steps):
            work.memory_pairs[axis, place, 0, step] = work.inner[P + axis, step]
            work.memory_pairs[axis, place, 1, step] = work.inner[R + axis, step]
    return place


@nb.njit(cache=True)
def fill_members(dim, lay, skeleton, machine, work):
    """Write the factors of a dim's chains, and drop chains that another one beats in everything."""
    members, size = work.members[dim], lay.dims[dim]
    steps = len(skeleton.kind)
    n = 0
    few = size <= FEW_OUTPUTS or lay.dims[min(dim + 2, S)] == 1
    whole = P <= dim < R and ((work.uneven_cuts[dim - P].any() and few) or work.rough[dim - P])
    alone = whole and lay.dims[dim + 2] == 1
    whole = whole and not alone
    for k in range(work.number[dim]):
        for step in range(steps):
            members[n, step] = members[k, step]
        known_factors(dim, n, size, steps, skeleton, machine, work)
        if alone:
            work.inner[dim], work.inner[dim + 2] = members[n], 1
            window_factors(dim - P, lay.dims, work.inner, lay.window, skeleton, machine, work.windows[dim - P, n],
                           work.flags, work.keyed, work.runs, work.pairs)  # fmt: skip
        if work.number[dim] == 1 or whole:
            n += 1
            continue
        beaten = False
        kept = 0
        for other in range(n):
            if not beaten and no_worse(dim, other, n, size, steps, alone, skeleton, machine, work):
                beaten = True
            if beaten or not no_worse(dim, n, other, size, steps, alone, skeleton, machine, work):
                if kept < other:
                    move_member(dim, other, kept, work)
                kept += 1
        if not beaten:
            if kept < n:
                move_member(dim, n, kept, work)
            kept += 1
        n = kept
    work.number[dim] = n


@nb.njit(cache=True)
def move_member(dim, source, target, work):
    """Move a chain with its factors, in place."""
    work.members[dim, target] = work.members[dim, source]
    work.origin[dim, target] = work.origin[dim, source]
    work.iterations[dim, target] = work.iterations[dim, source]
    if P <= dim < R:
        work.windows[dim - P, target] = work.windows[dim - P, source]


@nb.njit(cache=True)
def no_worse(dim, one, other, size, steps, alone, skeleton, machine, work):
    """Return whether a chain costs no more than another one whatever is chosen for the other dims."""
    a, b = work.members[dim, one], work.members[dim, other]
    if work.iterations[dim, one] > work.iterations[dim, other]:
        return False
    outer_a, outer_b = size, size
    for step in range(steps):
        if a[step] > b[step]:
            return False
        if skeleton.kind[step] == 0 and a[step] < outer_a and b[step] == outer_b:
            return False
        if skeleton.kind[step] == 1 and ceil_div(outer_a, a[step]) > ceil_div(outer_b, b[step]):
            return False
        if machine.by_kind[0] and skeleton.kind[step] == 1 and (outer_a > a[step]) != (outer_b > b[step]):
            return False
        outer_a, outer_b = a[step], b[step]
    fa, fb = work.memory_factors[dim, work.origin[dim, one]], work.memory_factors[dim, work.origin[dim, other]]
    for transfer in range(fa.shape[0]):
        for quantity in range(fa.shape[1]):
            entering = quantity > LINK and (quantity - LINK) % 2 == 1
            for limit in range(fa.shape[2]):
                if fa[transfer, quantity, limit] > fb[transfer, quantity, limit]:
                    return False
                if entering and fa[transfer, quantity, limit] < fb[transfer, quantity, limit]:
                    return False
    if alone:
        wa, wb = work.windows[dim - P, one], work.windows[dim - P, other]
        for transfer in range(wa.shape[0]):
            for quantity in range(wa.shape[1]):
                entering = quantity > LINK and (quantity - LINK) % 2 == 1
                if wa[transfer, quantity] > wb[transfer, quantity]:
                    return False
                if entering and wa[transfer, quantity] < wb[transfer, quantity]:
                    return False
    elif dim >= P:
        for depth in range(1, steps + 1):
            for busiest in (False, True):
                for step in range(depth):
                    work.flags[step] = skeleton.kind[step] == 0 or not busiest
                ca, _ = count_and_sum(size, a, work.flags, depth, work.sizes, work.times)
                cb, _ = count_and_sum(size, b, work.flags, depth, work.sizes, work.times)
                if ca > cb:
                    return False
    for step in range(1, steps):
        # a tile that is whole takes its room once
        if skeleton.kind[step] == 0 and b[step - 1] == size and a[step - 1] < size:
            return False
    return True


@nb.njit(cache=True)
def evaluate_chain(lay, skeleton, machine, space, state, work, objective):
    """Evaluate all mappings that the chosen options stand for, and keep the best."""
    for dim in range(7, -1, -1):  # filters before outputs: gaps between windows depend on them
        same = dim < P or dim >= R or not work.renewed[dim + 2]
        for stage in range(len(skeleton.stage_start) - 1):
            same = same and work.rows[dim, stage] == state.row[stage, dim]
            work.rows[dim, stage] = state.row[stage, dim]
        work.renewed[dim] = not same
        if same:
            continue
        if lay.dims[dim] == 1:
            work.members[dim, 0] = 1
            work.number[dim] = 1
        elif not chains_of(dim, lay, skeleton, machine, space, state, work):
            state.found[3] |= OMITTED
        fill_members(dim, lay, skeleton, machine, work)
    pick = np.zeros(8, dtype=np.int64)
    while True:
        if state.found[1] > state.found[4]:
            state.found[3] |= STOPPED
            return
        evaluate_pick(pick, lay, skeleton, machine, state, work, objective)
        dim = 0
        while dim < 8:
            pick[dim] += 1
            if pick[dim] < work.number[dim]:
                break
            pick[dim] = 0
            dim += 1
        if dim == 8:
            return


@nb.njit(cache=True)
def evaluate_pick(pick, lay, skeleton, machine, state, work, objective):
    """Evaluate one mapping and keep it if it is the best."""
    steps = len(skeleton.kind)
    iterations = 1.0
    for dim in range(8):
        for step in range(steps):
            work.inner[dim, step] = work.members[dim, pick[dim], step]
        work.picked[dim] = work.origin[dim, pick[dim]]
        iterations *= work.iterations[dim, pick[dim]]
    for axis in range(2):
        work.picked[8 + axis] = known_pixels(axis, lay, steps, skeleton, machine, work)
    energy, cycles = combine(work.inner, lay.dims, work.memory_factors, work.memory_pixels, work.picked, iterations,
                             skeleton, machine, work.value, work.reads, work.writes, work.loops, work.limits,
                             state.best, objective)  # fmt: skip
    state.found[2] += 1
    state.found[1] += EVALUATION_COSTS
    if not worse(energy, cycles, state.best, objective) and legal(work.inner, lay, skeleton, machine):
        state.found[0] += 1
        if objective == FRONT:
            keep_on_front(energy, cycles, skeleton, machine, state, work)
        else:
            keep_ranked(energy, cycles, objective, skeleton, machine, state, work)


@nb.njit(cache=True)
def alike(axis, other, machine):
    """Return whether two axes of a fan-out allow the same."""
    return (
        machine.axis_fanout[axis] == machine.axis_fanout[other]
        and machine.axis_size[axis] == machine.axis_size[other]
        and machine.axis_dims[axis] == machine.axis_dims[other]
        and machine.axis_most[axis] == machine.axis_most[other]
        and machine.axis_shares[axis] == machine.axis_shares[other]
        and machine.axis_chain[axis] == machine.axis_chain[other]
    )


@nb.njit(cache=True)
def write_kind(inner, skeleton, machine, kind):
    """Write what tells ranked mappings apart: the dims on every axis, then what the memories keep.

    ``kind`` is int64[axes + 1], bit masks, modified in place; what axes that are alike have is sorted.
    """
    axes = len(kind) - 1
    kind[:] = 0
    for step in range(len(skeleton.kind)):
        if skeleton.kind[step] == 0:
            kind[axes] |= skeleton.operands[step] << (3 * skeleton.ident[step])
            continue
        for dim in range(8):
            if inner[dim, step] < inner[dim, step - 1]:
                kind[skeleton.ident[step]] |= 1 << dim
    for axis in range(axes):
        for other in range(axis + 1, axes):
            if kind[other] < kind[axis] and alike(axis, other, machine):
                kind[axis], kind[other] = kind[other], kind[axis]


@nb.njit(cache=True)
def insert_kept(row, energy, cycles, kind, skeleton, state, work):
    """Insert the mapping in ``work.inner`` before a row of those kept; of a full table the last falls out."""
    steps = len(skeleton.kind)
    last = min(state.kept[0], len(state.kept_task) - 1)
    for k in range(last, row, -1):
        state.kept_costs[k] = state.kept_costs[k - 1]
        state.kept_kind[k] = state.kept_kind[k - 1]
        state.kept_inner[k] = state.kept_inner[k - 1]
        state.kept_stays[k] = state.kept_stays[k - 1]
        state.kept_task[k] = state.kept_task[k - 1]
    state.kept_costs[row, 0], state.kept_costs[row, 1] = energy, cycles
    state.kept_kind[row] = kind
    state.kept_inner[row, :, :steps] = work.inner
    state.kept_stays[row, :steps] = skeleton.stays
    state.kept_task[row] = state.kept[1]
    state.kept[0] = last + 1


@nb.njit(cache=True)
def drop_kept(row, state):
    """Drop a row of those kept."""
    for k in range(row, state.kept[0] - 1):
        state.kept_costs[k] = state.kept_costs[k + 1]
        state.kept_kind[k] = state.kept_kind[k + 1]
        state.kept_inner[k] = state.kept_inner[k + 1]
        state.kept_stays[k] = state.kept_stays[k + 1]
        state.kept_task[k] = state.kept_task[k + 1]
    state.kept[0] -= 1


@nb.njit(cache=True)
def keep_ranked(energy, cycles, objective, skeleton, machine, state, work):
    """Keep a mapping if it is the best of its kind so far, and its kind among the best; the last one must be beaten."""
    kind = np.zeros(len(machine.axis_size) + 1, dtype=np.int64)
    write_kind(work.inner, skeleton, machine, kind)
    for row in range(state.kept[0]):
        same = True
        for k in range(len(kind)):
            same = same and state.kept_kind[row, k] == kind[k]
        if same:
            if worse(energy, cycles, state.kept_costs[row], objective):
                return
            drop_kept(row, state)
            break
    row = 0
    while row < state.kept[0] and worse(energy, cycles, state.kept_costs[row], objective):
        row += 1
    if row == len(state.kept_task):
        return
    insert_kept(row, energy, cycles, kind, skeleton, state, work)
    if state.kept[0] == len(state.kept_task):
        state.best[0], state.best[1] = state.kept_costs[-1, 0], state.kept_costs[-1, 1]


@nb.njit(cache=True)
def keep_on_front(energy, cycles, skeleton, machine, state, work):
    """Put a mapping on the front, and take off those that it beats."""
    row = 0
    while row < state.kept[0] and state.kept_costs[row, 1] < cycles:
        row += 1
    while row < state.kept[0] and state.kept_costs[row, 0] >= energy:
        drop_kept(row, state)
    if state.kept[0] == len(state.kept_task):
        state.found[3] |= OMITTED
        return
    kind = np.zeros(len(machine.axis_size) + 1, dtype=np.int64)
    write_kind(work.inner, skeleton, machine, kind)
    insert_kept(row, energy, cycles, kind, skeleton, state, work)
    state.best[0] = state.kept[0]
    for k in range(state.kept[0]):
        state.best[2 + 2 * k], state.best[3 + 2 * k] = state.kept_costs[k, 0], state.kept_costs[k, 1]


@nb.njit(cache=True)
def legal(inner, lay, skeleton, machine):
    """Return whether tiles fit their memories and no zone has a loop that it may not have."""
    steps = len(skeleton.kind)
    for memory in range(len(machine.words)):
        total = 0.0
        for step in range(1, steps):
            if skeleton.kind[step] == 1 or skeleton.ident[step] != memory:
                continue
            tile = inner[:, step - 1]
            for operand in range(3):
                if not (skeleton.operands[step] >> operand) & 1:
                    continue
                whole = True
                for dim in range(8):
                    if USES[operand, dim] and tile[dim] < lay.dims[dim]:
                        whole = False
                words = own_words(operand, tile, lay.window) * machine.width[operand]
                if not whole:
                    words *= machine.room[memory]
                total += words
                if words > machine.operand_words[memory, operand]:
                    return False
        if total > machine.words[memory]:
            return False
    for step in range(steps):
        if skeleton.kind[step] == 0 and skeleton.once[step]:
            for dim in range(8):
                outer = lay.dims[dim] if step == 0 else inner[dim, step - 1]
                if (skeleton.once[step] >> dim) & 1 and inner[dim, step] < outer:
                    return False
        elif skeleton.kind[step] == 1:
            unrolled = 0
            instances = 1
            for dim in range(8):
                count = ceil_div(inner[dim, step - 1], inner[dim, step])
                unrolled += count > 1
                instances *= count
            axis = skeleton.ident[step]
            if unrolled > machine.axis_most[axis] or instances > machine.axis_size[axis]:
                return False
    return True


@nb.njit(cache=True)
def count_rows(lay, skeleton, machine, layouts, options, numbers):
    """Write how many options every dim has in every stage's variants at most; ``options`` may be empty."""
    ones = np.ones(8, dtype=np.int64)
    iterations = lay.dims
    for variant in range(len(layouts)):
        for dim in range(8):
            numbers[variant, dim] = 0
            if lay.dims[dim] > 1:
                numbers[variant, dim] = options_of(
                    dim, ones, iterations, lay, skeleton, machine, layouts[variant], 0, options, True
                )


@nb.njit(cache=True)
def root_bound(stage, variant, lay, skeleton, machine, costs, space, state):
    """Return the least energy and cycles of any mapping under a variant of the last stage whose options are filled."""
    layout = space.layouts[variant]
    order = space.order[variant]
    count = 0
    while count < 8 and order[count] >= 0:
        count += 1
    pixel = np.ones((1, 2, 6))
    for axis in range(2):
        for kind in range(6):
            pixel[0, axis, kind] = first_pixels(variant, axis, kind, lay, space)
    i, j = 0, 0
    if layout[6, 0] > 0:
        i = space.level[variant, 0, machine.axis_size[skeleton.ident[layout[0, 0]]]]
    if layout[6, 0] > 1:
        j = space.level[variant, 1, machine.axis_size[skeleton.ident[layout[0, 1]]]]
    values = np.ones(TERMS)
    active = active_terms(stage, costs)
    fill_values(values, active, np.ones((1, TERMS)), 0, space.floor[variant], i, j, pixel)
    energy = state.energy[stage + 1] + space.outer_energy[variant] + costs.energy_constant[0]
    for term in active:
        energy += costs.energy[stage, term] * values[term]
    reduced, instances = 1.0, 1.0
    for dim in range(8):
        reduced *= lay.dims[dim] if USES[O, dim] == 0 else 1
    for axis in range(layout[6, 0]):
        instances *= machine.axis_size[skeleton.ident[layout[0, axis]]]
    energy -= costs.first[0] * min(reduced, instances)
    iterations = space.floor[variant, 0, i, j, T_ITER]
    fill_base(stage, costs, space, state)
    running = state.compute[stage + 1] + iterations / costs.instances[stage]
    cycles = least_cycles(
        running, costs.latency[0], values, active, costs.compute[stage], costs.limited, costs.ports[stage],
        state.base[stage], state.extra[stage],
    )  # fmt: skip
    return energy, cycles


@nb.njit(cache=True)
def mark_uneven_cuts(lay, marks):
    """Mark the cuts between outputs at which fewer pixels are fetched again than at others, next to the padding."""
    marks[:] = False
    for axis in range(2):
        stride, dilation, pad, size = lay.window[axis]
        outputs, taps = lay.dims[P + axis], lay.dims[R + axis]
        reach = (taps - 1) * dilation + 1
        again = -1
        for x in range(1, outputs):
            low = min(max(x * stride - pad, 0), size)
            high = min(max((x - 1) * stride - pad + reach, 0), size)
            if again < 0 or high - low > again:
                again = high - low
        for x in range(1, outputs):
            low = min(max(x * stride - pad, 0), size)
            high = min(max((x - 1) * stride - pad + reach, 0), size)
            marks[axis, x] = high - low < again


# Part 4: a mapping to begin with. A walk through mappings of one skeleton, each evaluated exactly, that takes changes
# for the worse up to a threshold that falls to nothing. It proves nothing; the search does, and is quicker the better
# the mapping is that it has to beat.


@nb.njit(cache=True)
def draw(seed, below):
    """Return a number from 0 up to ``below``, exclusive; ``seed`` is uint64[1], modified in place."""
    # Knuth's constants for 64 bits (The Art of Computer Programming, volume 2, section 3.3.4)
    seed[0] = seed[0] * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    return np.int64((seed[0] >> np.uint64(33)) % np.uint64(below))


@nb.njit(cache=True)
def draw_scaled(seed, most):
    """Return a number from 1 to ``most``, small ones as often as large ones, by powers of two."""
    powers = 0
    while 2 << powers <= most:
        powers += 1
    low = 1 << draw(seed, powers + 1)
    return low + draw(seed, min(2 * low, most + 1) - low)


@nb.njit(cache=True)
def write_chain(dim, size, factors, work, member):
    """Write the sizes inside every step into a chain, from how often the steps within repeat them."""
    reach = 1
    for step in range(factors.shape[1] - 1, -1, -1):
        work.members[dim, member, step] = reach
        reach = min(size, reach * factors[dim, step])


@nb.njit(cache=True)
def evened(dim, step, size, factors):
    """Return the least number of repeats in a step that leaves as few pieces of a dim as those that it has."""
    within = 1
    for inside in range(step + 1, factors.shape[1]):
        within = min(size, within * factors[dim, inside])
    left = ceil_div(size, within)
    return ceil_div(left, ceil_div(left, factors[dim, step]))


@nb.njit(cache=True)
def change_factors(factors, most, dims, seed):
    """Change how often one or two dims are repeated in some steps; return the dims, the second -1 if there is none.

    Args:
        factors: int64[8, steps], modified in place; the outermost step repeats what is left.
        most: int64[8, steps], how often a step can repeat a dim.
        dims: int64[8].
        seed: As of ``draw``.
    """
    steps = most.shape[1]
    first = draw(seed, 8)
    while dims[first] == 1:
        first = (first + 1) % 8
    step = 1 + draw(seed, steps - 1)
    kind = draw(seed, 3)
    if kind == 0:
        factors[first, step] = draw_scaled(seed, min(most[first, step], dims[first]))
        factors[first, step] = evened(first, step, dims[first], factors)
        return first, -1
    times = 2 + draw(seed, 3)
    if kind == 1:
        other = draw(seed, steps)
        factors[first, step] = ceil_div(factors[first, step], times)
        if other > 0:
            factors[first, other] = min(most[first, other], dims[first], factors[first, other] * times)
            factors[first, other] = evened(first, other, dims[first], factors)
        return first, -1
    second = draw(seed, 8)
    while dims[second] == 1:
        second = (second + 1) % 8
    if draw(seed, 2) == 0:
        times, factors[first, step] = factors[first, step], 1
        factors[second, step] = min(most[second, step], dims[second], times)
    else:
        factors[first, step] = ceil_div(factors[first, step], times)
        factors[second, step] = min(most[second, step], dims[second], factors[second, step] * times)
    factors[second, step] = evened(second, step, dims[second], factors)
    return first, second if second != first else -1


@nb.njit(cache=True)
def walked_costs(first, second, lay, skeleton, machine, work):
    """Return energy and cycles of the mapping that is picked, of which the chains of two dims are new; or infinity."""
    steps = len(skeleton.kind)
    for dim in range(8):
        for step in range(steps):
            work.inner[dim, step] = work.members[dim, work.number[dim], step]
    if not legal(work.inner, lay, skeleton, machine):
        return np.inf, np.inf
    for dim in (first, second):
        if dim >= 0:
            known_factors(dim, work.number[dim], lay.dims[dim], steps, skeleton, machine, work)
    iterations = 1.0
    for dim in range(8):
        work.picked[dim] = work.origin[dim, work.number[dim]]
        iterations *= work.iterations[dim, work.number[dim]]
    for axis in range(2):
        work.picked[8 + axis] = known_pixels(axis, lay, steps, skeleton, machine, work)
    anything = np.full(2, np.inf)
    return combine(work.inner, lay.dims, work.memory_factors, work.memory_pixels, work.picked, iterations, skeleton,
                   machine, work.value, work.reads, work.writes, work.loops, work.limits, anything, 2)  # fmt: skip


@nb.njit(cache=True)
def walk(moves, number, threshold, lay, skeleton, machine, space, state, work, objective):
    """Walk through mappings of a skeleton, and keep the best.

    Args:
        moves: How many changes are tried.
        number: Which walk: others take other ways.
        threshold: By what share the first changes may be for the worse.
        lay: The layer.
        skeleton: The skeleton.
        machine: The machine.
        space: The variants.
        state: The mappings kept, modified in place.
        work: Workspace, modified in place.
        objective: 0 cycles, 1 energy, 2 their product.
    """
    steps, stages = len(skeleton.kind), len(space.variants) - 1
    seed = np.full(1, np.uint64(number), dtype=np.uint64)
    most = np.full((8, steps), 2**30, dtype=np.int64)
    for step in range(steps):
        if skeleton.kind[step] == 1:
            axis = skeleton.ident[step]
            for dim in range(8):
                most[dim, step] = machine.axis_size[axis] if (machine.axis_dims[axis] >> dim) & 1 else 1
    factors = np.ones((8, steps), dtype=np.int64)
    before = factors.copy()
    chosen = space.variants[:stages].copy()
    for stage in range(stages):
        set_variant(stage, chosen[stage], skeleton, space, state)
    # a dim's chain at hand is its member 0, the one that is tried member 1; ``number`` says which
    several = False
    for dim in range(8):
        work.number[dim] = 0
        write_chain(dim, lay.dims[dim], factors, work, 0)
        known_factors(dim, 0, lay.dims[dim], steps, skeleton, machine, work)
        several = several or lay.dims[dim] > 1
    energy, cycles = walked_costs(-1, -1, lay, skeleton, machine, work)
    if not several or steps == 1 or energy == np.inf:
        return
    now = (cycles, energy, energy * cycles)[objective]
    for move in range(moves):
        first, second, stage = -1, -1, -1
        if draw(seed, 8) == 0:
            stage = draw(seed, stages)
            choices = space.variants[stage + 1] - space.variants[stage]
            set_variant(stage, space.variants[stage] + draw(seed, choices), skeleton, space, state)
        else:
            before[:] = factors
            first, second = change_factors(factors, most, lay.dims, seed)
            for dim in (first, second):
                if dim >= 0:
                    write_chain(dim, lay.dims[dim], factors, work, 1)
                    work.number[dim] = 1
        energy, cycles = walked_costs(first, second, lay, skeleton, machine, work)
        state.found[2] += 1
        value = (cycles, energy, energy * cycles)[objective]
        left = 1 - move / moves
        taken = value <= now * (1 + threshold * left * left) and value < np.inf
        if taken:
            now = value
            if not worse(energy, cycles, state.best, objective):
                keep_ranked(energy, cycles, objective, skeleton, machine, state, work)
        for dim in (first, second):
            if dim >= 0:
                if taken:
                    write_chain(dim, lay.dims[dim], factors, work, 0)
                    work.origin[dim, 0] = work.origin[dim, 1]
                    work.iterations[dim, 0] = work.iterations[dim, 1]
                work.number[dim] = 0
        if stage >= 0 and taken:
            chosen[stage] = state.variant[stage]
        elif stage >= 0:
            set_variant(stage, chosen[stage], skeleton, space, state)
        elif not taken:
            factors[:] = before
