"""What the mapper's kernels take: named tuples of plain arrays.

Numba's cache of compiled kernels does not see this file: after a change here, touch ``search_kernels.py``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class LayerArrays(NamedTuple):
    """A layer.

    Attributes:
        dims: int64[8].
        window: int64[2, 4], along the image's height and width: stride, dilation, padding before, stored pixels.
    """

    dims: np.ndarray
    window: np.ndarray


class MachineArrays(NamedTuple):
    """A machine; ``inf`` stands for no limit.

    Attributes:
        words: float64[memories], shared capacity in machine words.
        operand_words: float64[memories, 3], capacity of each operand's own part, in machine words.
        room: int64[memories], how many times its words a tile takes that is not whole.
        rates: float64[memories, 3], machine words per cycle read, written, together.
        latency: float64[memories], cycles.
        buffering: int64[memories], 0 single, 1 double, 2 rolling.
        read_energy: float64[memories], per machine word.
        write_energy: float64[memories], per machine word.
        axis_size: int64[axes].
        axis_dims: int64[axes], bit mask of dims that may be unrolled.
        axis_most: int64[axes], how many dims may share the axis.
        axis_shares: int64[axes], bit mask of operands of which one read serves all instances.
        axis_chain: int64[axes], whether partial sums are added from neighbour to neighbour, not by a tree.
        axis_fanout: int64[axes], fan-out that the axis belongs to.
        link_energy: float64[fan-outs], per machine word and link.
        forward: int64[fan-outs], whether only receivers after the first take a link.
        mac_energy: float64[1].
        width: float64[3], machine words that a word of each operand takes.
        by_kind: int64[1], whether mappings that unroll other dims are told apart: none stands for another one then.
    """

    words: np.ndarray
    operand_words: np.ndarray
    room: np.ndarray
    rates: np.ndarray
    latency: np.ndarray
    buffering: np.ndarray
    read_energy: np.ndarray
    write_energy: np.ndarray
    axis_size: np.ndarray
    axis_dims: np.ndarray
    axis_most: np.ndarray
    axis_shares: np.ndarray
    axis_chain: np.ndarray
    axis_fanout: np.ndarray
    link_energy: np.ndarray
    forward: np.ndarray
    mac_energy: np.ndarray
    width: np.ndarray
    by_kind: np.ndarray


class Skeleton(NamedTuple):
    """What is fixed before sizes are chosen: places, their order, and which loops run innermost in every zone.

    A zone is the loops inside one place, down to the next step. Steps are the outermost first.

    Attributes:
        kind: int64[steps], 0 a place, 1 an axis.
        ident: int64[steps], index of the memory or of the axis.
        operands: int64[steps], bit mask of the operands kept at a place.
        stays: int64[steps], operand whose irrelevant loops run innermost in the zone of a place.
        once: int64[steps], bit mask of dims that may not have a loop in the zone of a place.
        stage: int64[steps], stage that decides the sizes; -1 for the outermost place.
        stage_start: int64[stages + 1], first step of every stage.
        operand: int64[transfers], what is moved.
        source: int64[transfers], step of the outer place.
        target: int64[transfers], step of the inner place; the number of steps stands for the MAC.
        target_stage: int64[transfers], stage of the target; for the MAC, the last.
        per_mac: int64[transfers], whether every MAC counts.
        fixed: int64[1], whether the loops of the operand that ``stays`` innermost must have one iteration for its
            own dims in the last memory, so that its word stays even longer.
    """

    kind: np.ndarray
    ident: np.ndarray
    operands: np.ndarray
    stays: np.ndarray
    once: np.ndarray
    stage: np.ndarray
    stage_start: np.ndarray
    operand: np.ndarray
    source: np.ndarray
    target: np.ndarray
    target_stage: np.ndarray
    per_mac: np.ndarray
    fixed: np.ndarray


class Options(NamedTuple):
    """A table of options: what one dim can be in one stage.

    Attributes:
        counts: int64[rows, 4], instances along the stage's axes.
        sizes: int64[rows, 3], tile sizes at the stage's places.
        covers: int64[rows], what the stage and those inside cover of the dim.
        terms: float64[rows, terms], factors of what the stage moves, at least.
        pieces: int64[rows, 6], sizes by which inputs are cut along an image axis.
        iterations: int64[rows], iterations that the option leaves at least.
        skip: int64[rows], the next row with another count on the first axis, or the second.
    """

    counts: np.ndarray
    sizes: np.ndarray
    covers: np.ndarray
    terms: np.ndarray
    pieces: np.ndarray
    iterations: np.ndarray
    skip: np.ndarray


class Costs(NamedTuple):
    """What the terms of a stage cost, at least: linear in products of the dims' terms.

    Attributes:
        energy: float64[stages, terms].
        energy_constant: float64[1].
        ports: float64[stages, 3 x memories, terms], cycles of every memory's reads, writes, both.
        ports_constant: float64[3 x memories].
        compute: float64[stages, terms], cycles in which the array waits for first tiles, or for what is
            single-buffered.
        latency: float64[1], cycles.
        instances: float64[stages], instances of all axes outside a stage.
        first: float64[1], energy saved for every instance that begins partial sums, where the last stage decides.
        limited: int64[...], the ports whose rate is limited.
    """

    energy: np.ndarray
    energy_constant: np.ndarray
    ports: np.ndarray
    ports_constant: np.ndarray
    compute: np.ndarray
    latency: np.ndarray
    instances: np.ndarray
    first: np.ndarray
    limited: np.ndarray


class Space(NamedTuple):
    """Workspace of one skeleton's search.

    A variant is a stage with a choice of the operand that stays while the innermost loops just outside it run.

    Attributes:
        variants: int64[stages + 1], first variant of every stage.
        stays: int64[variants], the operand that stays.
        once: int64[variants], bit mask of dims that may have no loop just outside.
        root: float64[variants, 2], of the last stage's variants: energy and cycles of any mapping, at least.
        options: The table of options.
        start: int64[variants, 8], first row of a dim's options.
        number: int64[variants, 8], how many there are.
        order: int64[variants, 8], dims in the order in which a stage decides them, then -1.
        floor: float64[variants, 9, levels, levels, terms], least product of the terms of the dims from a position on,
            by what is left of the stage's first two axes.
        level: int64[variants, 2, largest axis + 1], index of what is left of an axis.
        pixels: int64[2, outputs + 1, taps + 1], pixels along an image axis at least, by the sizes of pieces.
        largest: int64[variants, 8, 6], largest pieces that any option of a dim has, by kind.
        outer_energy: float64[variants], energy that the stages outside take at least.
        front: float64[variants, points, 2], what they take by how long the array waits for their first tiles: energy
            and cycles, of which one point is a lower bound of both in any mapping.
        points: int64[variants], how many points there are.
        outer_ports: float64[stages, 3 x memories], cycles of every port that the stages outside take at least.
        layouts: int64[variants, 8, 4].
        gaps: int64[stages, 2, outputs + 1], pixels along an image axis at least, by the size of pieces, where windows
            of one tap leave gaps; else 0.
        remembered: bool[variants, 8, largest dim + 1], by tile size, whether terms are remembered (of stages of one
            place and no axes).
        remembered_terms: float64[variants, 8, largest dim + 1, terms].
        remembered_pieces: int64[variants, 8, largest dim + 1, 6].
        mirrored: int64[1], whether both image axes are alike, so that their sizes can change places.
    """

    variants: np.ndarray
    stays: np.ndarray
    once: np.ndarray
    root: np.ndarray
    options: Options
    start: np.ndarray
    number: np.ndarray
    order: np.ndarray
    floor: np.ndarray
    level: np.ndarray
    pixels: np.ndarray
    largest: np.ndarray
    outer_energy: np.ndarray
    front: np.ndarray
    points: np.ndarray
    outer_ports: np.ndarray
    layouts: np.ndarray
    gaps: np.ndarray
    remembered: np.ndarray
    remembered_terms: np.ndarray
    remembered_pieces: np.ndarray
    mirrored: np.ndarray


class State(NamedTuple):
    """What the search has chosen so far, and the best that it has found.

    Attributes:
        row: int64[stages, 8], chosen option of every dim.
        cover: int64[stages + 1, 8], what a stage and those inside cover.
        iterations: int64[stages + 1, 8], iterations at least.
        variant: int64[stages], variant of every stage.
        energy: float64[stages + 1], energy of the stages inside, at least.
        ports: float64[stages + 1, 3 x memories], the same for port cycles.
        compute: float64[stages + 1], the same for waiting.
        freed: float64[stages + 1, 3], energy of every operand's transfers into a stage, at least.
        freed_ports: float64[stages + 1, 3, 3 x memories], port cycles of the same.
        pending: float64[stages + 1, 3], energy of transfers into stages inside whose tile no loop has changed yet.
        pending_ports: float64[stages + 1, 3, 3 x memories], port cycles of the same.
        stopped: bool[stages, 3], whether a loop of a stage changes those, as far as it is decided.
        covered: int64[stages, 8], what a stage and those inside cover of the decided dims.
        extra: float64[stages, 3 x memories], port cycles of what is charged beside the terms.
        base: float64[stages, 3 x memories], port cycles that are sure from the stages inside and outside.
        open: float64[stages + 1, 3], energy at the source of the transfers that enter a stage, or pass it by, at least.
        open_ports: float64[stages + 1, 3, 3 x memories], port cycles of the same.
        passing: float64[stages, 3], how many times more they cost for the instances of the stage's axes.
        together: float64[stages, 9, 3], how many instances so far share a word of an operand that passes by.
        apart: float64[stages, 9, 3], how many more can, for the undecided dims.
        best: float64[2], energy and cycles that must be beaten; or a front, as of ``covered``.
        known: int64[variants, 8, 2], for what the options of a dim were written: what is covered inside, iterations.
        position: int64[stages], position in its order of dims that a stage is at; -1 when it is through.
        rows: int64[stages, 9], option at every position.
        terms: float64[stages, 9, terms], products of the terms so far.
        pixel: float64[stages, 9, 2, 6], pixels along the image's axes so far, at least.
        free: int64[stages, 9, 4], instances left along every axis.
        used: int64[stages, 9, 4], dims on every axis.
        sizes: int64[stages, 3, 8], tile sizes at the stage's places, undecided dims at their least.
        decided: bool[stages, 8].
        pieces: int64[stages, 6, 8], sizes by which inputs are cut.
        left: float64[stages, 9, 3], how much the undecided dims can grow, by the operand that does not depend on them.
        firsts: float64[stages, 9], instances so far that each begin the same partial sums.
        reduced: int64[stages, 9, 4], instances so far along every axis that are added up.
        remaining: float64[stages, 9], iterations of the undecided dims if nothing is unrolled.
        found: int64[5], mappings that beat what was best, bounds computed, mappings evaluated, why it
            is not complete (0: it is), and how many bounds may be computed.
        kept: int64[2], how many mappings are kept, and the number of the skeleton that is searched.
        kept_costs: float64[rows, 2], their energy and cycles.
        kept_kind: int64[rows, axes + 1], what tells them apart.
        kept_inner: int64[rows, 8, steps of the longest skeleton], their sizes.
        kept_stays: int64[rows, steps of the longest skeleton], their operands that stay.
        kept_task: int64[rows], the skeletons that they are of.
    """

    row: np.ndarray
    cover: np.ndarray
    iterations: np.ndarray
    variant: np.ndarray
    energy: np.ndarray
    ports: np.ndarray
    compute: np.ndarray
    freed: np.ndarray
    freed_ports: np.ndarray
    pending: np.ndarray
    pending_ports: np.ndarray
    stopped: np.ndarray
    covered: np.ndarray
    extra: np.ndarray
    base: np.ndarray
    open: np.ndarray
    open_ports: np.ndarray
    passing: np.ndarray
    together: np.ndarray
    apart: np.ndarray
    best: np.ndarray
    known: np.ndarray
    position: np.ndarray
    rows: np.ndarray
    terms: np.ndarray
    pixel: np.ndarray
    free: np.ndarray
    used: np.ndarray
    sizes: np.ndarray
    decided: np.ndarray
    pieces: np.ndarray
    left: np.ndarray
    firsts: np.ndarray
    reduced: np.ndarray
    remaining: np.ndarray
    found: np.ndarray
    kept: np.ndarray
    kept_costs: np.ndarray
    kept_kind: np.ndarray
    kept_inner: np.ndarray
    kept_stays: np.ndarray
    kept_task: np.ndarray


class Work(NamedTuple):
    """Workspace for exact counts.

    Attributes:
        members: int64[8, most, steps], by dim, the chains of sizes that an option of every stage stands for.
        number: int64[8], how many there are.
        origin: int64[8, most], where their factors are remembered.
        iterations: float64[8, most], their iterations.
        memory_chains: int64[8, places, steps], chains whose factors are remembered.
        memory_factors: float64[8, places, transfers, quantities, limits].
        memory_iterations: float64[8, places].
        memory_pairs: int64[2, places, 2, steps], chains of outputs and taps whose pixels are remembered.
        memory_pixels: float64[2, places, transfers, quantities].
        picked: int64[10], what of it a mapping has: by dim, then by image axis.
        loops: bool[steps, 3].
        limits: int64[transfers].
        chains: int64[2, most, steps + 1].
        rows: int64[8, stages], the options whose chains are in ``members``.
        renewed: bool[8], whether they were made anew for the mapping at hand.
        windows: float64[2, most, transfers, quantities], factors of inputs where filters have one tap along the axis.
        option: int64[stages, 64, 7], the options that one option stands for: counts, then sizes.
        options: int64[stages], how many there are.
        inner: int64[8, steps].
        flags: bool[steps + 1].
        keyed: bool[steps + 1].
        sizes: int64[steps + 3].
        times: float64[steps + 3].
        runs: int64[6, 2, largest dim + 2].
        pairs: int64[2, outputs x taps + 2].
        value: float64[quantities + 2].
        reads: float64[memories].
        writes: float64[memories].
        rough: bool[2], whether windows along an image axis may leave gaps under what is chosen.
        uneven_cuts: bool[2, outputs + 1], whether a cut between two outputs fetches fewer pixels again than others.
    """

    members: np.ndarray
    number: np.ndarray
    origin: np.ndarray
    iterations: np.ndarray
    memory_chains: np.ndarray
    memory_factors: np.ndarray
    memory_iterations: np.ndarray
    memory_pairs: np.ndarray
    memory_pixels: np.ndarray
    picked: np.ndarray
    loops: np.ndarray
    limits: np.ndarray
    chains: np.ndarray
    rows: np.ndarray
    renewed: np.ndarray
    windows: np.ndarray
    option: np.ndarray
    options: np.ndarray
    inner: np.ndarray
    flags: np.ndarray
    keyed: np.ndarray
    sizes: np.ndarray
    times: np.ndarray
    runs: np.ndarray
    pairs: np.ndarray
    value: np.ndarray
    reads: np.ndarray
    writes: np.ndarray
    rough: np.ndarray
    uneven_cuts: np.ndarray
