"""Do the kernels say what a walk through the machine sees, and is what they call the best the best?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import msgspec
import numpy as np
import pytest
from conftest import INTERPRETED
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import FLOW, SHIPPED, Case, almost_modelled, cases, layers, machine, searches
from twins import Rules, buffer_words_needed, walk

from accelsim.dims import Dim
from accelsim.engine.analytical import solve_layer
from accelsim.errors import HardwareError
from accelsim.hardware.loader import load_hardware
from accelsim.hardware.spec import Hardware
from accelsim.lowering import lower_layer, lower_machine, tile_candidates
from accelsim.mapping import kernels
from accelsim.mapping.arrays import Count, LayerArrays, MachineArrays
from accelsim.mapping.mapping import OBJECTIVES
from accelsim.workload.layer import Layer, Op, Shape

TIMES = ("cycles", "array_cycles", "dma_cycles", "iterations")
HALF_GRAIN = 0.5 / kernels.CYCLE_GRAIN
"""How far rounding to grains may move a layer's cycles."""
MOST = 3 if INTERPRETED else 4
"""Largest bound of most dims."""


def lowered(layer: Layer, hardware: Hardware, dataflow: str = FLOW) -> tuple[LayerArrays, MachineArrays]:
    """Return a layer and a machine as kernels take them."""
    return lower_layer(layer), lower_machine(hardware, dataflow, layer)


def evaluated(case: Case, dataflow: str = FLOW) -> tuple[dict[str, float], dict[Count, float]]:
    """Return the times and counts that the kernels give for a case."""
    times, counts = kernels.evaluate(
        np.array(case.tile, dtype=np.int64),
        np.array(case.order, dtype=np.int64),
        *lowered(case.layer, case.hardware, dataflow),
    )
    return dict(zip(TIMES, times, strict=True)), {count: counts[count] for count in Count}


def check_against_walk(case: Case, dataflow: str = FLOW) -> None:
    """Demand that all times and counts equal those of the twin."""
    seen = walk(case.layer, case.hardware, dataflow, case.tile, case.order)
    times, counts = evaluated(case, dataflow)
    wrong = {
        name: (value, getattr(seen, name))
        for name, value in times.items()
        if value != pytest.approx(getattr(seen, name), rel=1e-9, abs=HALF_GRAIN * 1.01 if name == "cycles" else 1e-9)
    }
    wrong |= {
        count.name: (value, seen.counts[count])
        for count, value in counts.items()
        if value != pytest.approx(seen.counts[count], rel=1e-12, abs=1e-9)
    }
    assert not wrong, "(kernels, walk)"


@given(cases())
def test_do_times_and_counts_equal_the_walk(case):
    """Every time, word and MAC of any dataflow that the kernels model is the one counted loop by loop."""
    check_against_walk(case)


@given(st.data())
def test_do_the_shipped_dataflows_equal_the_walk(data):
    """WS and OS as the reference accelerator's YAML spells them, on a small array, agree with the walk."""
    hardware = load_hardware(
        "16x16_128KB",
        **{"fanouts.array.rows": data.draw(st.integers(1, 4)), "fanouts.array.cols": data.draw(st.integers(1, 4))},
    )
    layer = data.draw(layers())
    tile = tuple(data.draw(st.integers(1, bound)) for bound in layer.dims[: Dim.R])
    order = tuple(data.draw(st.sampled_from(kernels.ORDERS.tolist())))
    case = Case(layer, hardware, (*tile, layer.R, layer.S), order)
    for dataflow in hardware.dataflows:
        check_against_walk(case, dataflow)


@given(st.data())
def test_is_the_room_that_a_tiling_takes_that_of_its_largest_tiles(data):
    """An operand takes its largest tile, pixels between windows included and padding not; twice if it has several."""
    layer = data.draw(layers())
    tile = (*(data.draw(st.integers(1, bound)) for bound in layer.dims[: Dim.R]), layer.R, layer.S)
    arrays, sizes = lower_layer(layer), np.array(tile, dtype=np.int64)
    need = kernels.buffer_need(sizes, kernels.tile_counts(sizes, arrays), arrays)
    assert need.sum() == buffer_words_needed(layer, tile)


def tilings(ranges: list[Any], arrays: LayerArrays, machine_arrays: MachineArrays) -> Iterator[tuple[Any, Any]]:
    """Yield every tile of the given sizes that fits, with every order that makes a difference."""
    for sizes in product(*ranges):
        tile = np.array([*sizes, *arrays.dims[Dim.R :]], dtype=np.int64)
        counts = kernels.tile_counts(tile, arrays)
        if kernels.buffer_need(tile, counts, arrays).sum() > machine_arrays.buffer_words:
            continue
        cut = [counts[Dim.N] * counts[Dim.P] * counts[Dim.Q] > 1, counts[Dim.K] > 1, counts[Dim.C] > 1]
        for order in kernels.ORDERS if sum(cut) > 1 else kernels.ORDERS[:1]:
            yield tile, order


def candidates_of(layer: Layer, hardware: Hardware, *, whole_blocks: bool) -> Iterator[tuple[Any, Any]]:
    """Yield all tilings that fit of the sizes that the mapper tries."""
    arrays, machine_arrays = lowered(layer, hardware)
    sizes, lengths = tile_candidates(arrays, machine_arrays, whole_blocks=whole_blocks)
    ranges = [row[:length] for row, length in zip(sizes, lengths, strict=True)]
    return tilings(ranges, arrays, machine_arrays)


def fits_in_whole_blocks(layer: Layer, hardware: Hardware) -> bool:
    """Return whether some tile of whole blocks of the array fits."""
    return next(candidates_of(layer, hardware, whole_blocks=True), None) is not None


def candidates(layer: Layer, hardware: Hardware) -> list[tuple[Any, Any]]:
    """Return all that the mapper searches: tiles of whole blocks that fit, or if there are none, smaller ones."""
    return list(candidates_of(layer, hardware, whole_blocks=fits_in_whole_blocks(layer, hardware)))


def scores(tiling: tuple[Any, Any], arrays: LayerArrays, machine_arrays: MachineArrays) -> list[float]:
    """Return the value of a tiling for every objective, written out."""
    times, counts = kernels.evaluate(*tiling, arrays, machine_arrays)
    cycles, energy = float(times[0]), float(counts @ machine_arrays.unit_energy)
    return [cycles, energy, cycles * energy]


def best_value(layer: Layer, hardware: Hardware, objective: int) -> float:
    """Return the value of the mapper's answer, infinite if it finds none."""
    answer = solve_layer(layer, hardware, FLOW, OBJECTIVES[objective])
    if answer is None:
        return math.inf
    return scores((np.array(answer.tile), np.array(answer.order)), *lowered(layer, hardware))[objective]


def best_of_all_sizes(layer: Layer, hardware: Hardware, objective: int) -> float:
    """Return the least value over all tile sizes from 1 to the dim, infinite if none fits."""
    arrays, machine_arrays = lowered(layer, hardware)
    ranges = [range(1, bound + 1) for bound in layer.dims[: Dim.R]]
    values = [scores(tiling, arrays, machine_arrays)[objective] for tiling in tilings(ranges, arrays, machine_arrays)]
    return min(values, default=math.inf)


@given(searches(most=MOST))
def test_does_no_candidate_beat_the_mapper(search):
    """Of all candidate tiles and orders none is better for any objective; what it reports is what it found."""
    arrays, machine_arrays = lowered(*search)
    every = candidates(*search)
    values = [scores(tiling, arrays, machine_arrays) for tiling in every]
    for objective, name in enumerate(OBJECTIVES):
        answer = solve_layer(*search, FLOW, name)
        assert (answer is None) == (not every)
        if answer:
            assert answer.space == len(every)
            assert 1 <= answer.walked <= answer.space + 1  # the one with the lowest bound is walked before the others
            mine = (np.array(answer.tile), np.array(answer.order))
            best = min(value[objective] for value in values)
            assert scores(mine, arrays, machine_arrays)[objective] == pytest.approx(best, rel=1e-9)
            times, counts = kernels.evaluate(*mine, arrays, machine_arrays)
            assert (answer.times, answer.counts) == (tuple(times), tuple(counts))


@given(searches(most=MOST))
def test_do_the_bounds_that_come_first_bound_every_mapping(search):
    """A candidate costs in no order less than it is said to, for any objective; none that fits is lost."""
    arrays, machine_arrays = lowered(*search)
    sizes, lengths = tile_candidates(arrays, machine_arrays)
    values: dict[tuple[int, ...], list[list[float]]] = {}
    for tile, order in candidates_of(*search, whole_blocks=True):
        values.setdefault(tuple(tile[: Dim.R]), []).append(scores((tile, order), arrays, machine_arrays))
    cuts = kernels.cut_tables(sizes, lengths, arrays, machine_arrays)
    tables = kernels.axis_tables(sizes, lengths, arrays, machine_arrays)
    tiles = list(product(*(row[:length] for row, length in zip(sizes, lengths, strict=True))))
    for objective in range(len(OBJECTIVES)):
        lows, space = kernels.least_values(sizes, lengths, cuts, tables, arrays, machine_arrays, objective)
        assert space == sum(map(len, values.values()))
        for low, tile in zip(lows, tiles, strict=True):
            found = values.get(tuple(tile), [])
            assert math.isinf(low) == (not found)
            assert all(low <= value[objective] for value in found)


@given(layers(most=MOST, plain=True), st.data())
def test_are_the_candidates_enough_for_the_least_energy(layer, data):
    """With one PE and no padding, no tile size of all 1 to the dim takes less energy than the mapper's."""
    words = layer.weights + layer.input_words + layer.output_words
    hardware = machine(
        **data.draw(st.sampled_from(SHIPPED)),
        sizes=(1, 1),
        accumulators=1,
        buffer_words=max(3, int(words * data.draw(st.sampled_from([0.2, 0.4, 0.8, 1.5])))),
    )
    assert best_value(layer, hardware, 1) == pytest.approx(best_of_all_sizes(layer, hardware, 1), rel=1e-9)


@given(searches(most=MOST))
def test_is_a_mapping_found_wherever_one_fits(search):
    """The mapper gives up only if no tile of any size fits the buffer."""
    assert math.isinf(best_value(*search, 1)) == math.isinf(best_of_all_sizes(*search, 1))


BETTER = {
    "bandwidth": ("memories", 0, "words_per_cycle", lambda value: value and value * 1.5),
    "latency": ("memories", 0, "latency_cycles", lambda value: value // 2),
    "buffer": ("memories", 1, "size_kb", lambda value: value * 1.5),
    "read port": ("fanouts", 0, "read_words_per_row", lambda value: value * 1.5),
    "write port": ("fanouts", 0, "write_words_per_col", lambda value: value * 1.5),
}
"""Parts of a machine that can be made better: where they are, and how."""


@given(searches(most=MOST), st.sampled_from(sorted(BETTER)), st.integers(0, 2))
def test_does_a_better_part_never_make_the_optimum_worse(search, part, objective):
    """A larger buffer, a faster DRAM and wider ports never cost anything, whatever else the layer waits for."""
    layer, hardware = search
    assume(part != "buffer" or fits_in_whole_blocks(layer, hardware))
    field, index, name, improve = BETTER[part]
    parts = list(getattr(hardware, field))
    parts[index] = msgspec.structs.replace(parts[index], **{name: improve(getattr(parts[index], name))})
    better = msgspec.structs.replace(hardware, **{field: tuple(parts)})
    assert best_value(layer, better, objective) <= best_value(layer, hardware, objective) * (1 + 1e-9)


@given(searches(most=MOST), st.sampled_from(OBJECTIVES))
def test_is_the_answer_the_same_every_time_and_on_every_thread(search, objective):
    """Repeated calls and four at once give the same tile, order, space, walk, times and counts."""

    def solve() -> Any:
        return solve_layer(*search, FLOW, objective)

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(solve) for _ in range(4)]
        answers = [solve(), solve(), *(future.result() for future in futures)]
    assert all(answer == answers[0] for answer in answers)


def pointwise(inputs: int, outputs: int, size: int | tuple[int, int], **options: Any) -> Layer:
    """Return a convolution of one tap unless ``kernel`` says more."""
    return Layer.conv("layer", inputs, outputs, size, **options)


def case(layer: Layer, hardware: Hardware, *tile: int) -> Case:
    """Return a case of the first loop order, its tile given along N, G, K, C, P, Q."""
    return Case(layer, hardware, (*tile, layer.R, layer.S), (0, 1, 2))


def test_do_partial_sums_that_come_back_pass_the_accumulators():
    """Sums that an earlier tile began are written into the accumulators, and read out of them, once a visit."""
    check_against_walk(case(pointwise(2, 1, 1), machine(**SHIPPED[2]), 1, 1, 1, 1, 1, 1))


@pytest.mark.parametrize(
    ("kernel", "stride", "sizes"), [((1, 3), 1, (1, 1)), (1, 2, (1, 2))], ids=["three taps", "one tap"]
)
def test_do_registers_take_only_the_pixels_that_dilated_windows_touch(kernel, stride, sizes):
    """A block of inputs is the pixels that its taps meet; the dilation of a single tap means nothing."""
    layer = pointwise(1, 1, 5, kernel=kernel, stride=stride, dilation=2)
    check_against_walk(case(layer, machine(**SHIPPED[2], sizes=sizes), 1, 1, 1, 1, layer.P, layer.Q))


SMARTER = {
    "weights stay for the next buffer tile": (
        Rules(registers_survive=True),
        case(pointwise(1, 1, (1, 2)), machine(**SHIPPED[0]), 1, 1, 1, 1, 1, 1),
    ),
    "inputs of one channel stay for all output channels": (
        Rules(registers_survive=True),
        case(pointwise(1, 4, (1, 2)), machine(**SHIPPED[2]), 1, 1, 4, 1, 1, 2),
    ),
    "the last chunk loads nothing": (
        Rules(loads_next_tile=True),
        case(pointwise(1, 1, 2), machine(**SHIPPED[2], read_words_per_row=0.5), 1, 1, 1, 1, 2, 2),
    ),
    "padding needs no port": (
        Rules(padding_takes_port=False),
        case(pointwise(1, 1, 2, kernel=3, padding=1), machine(**SHIPPED[2]), 1, 1, 1, 1, 2, 2),
    ),
    "new sums are not read": (
        Rules(first_visit_takes_port=False),
        case(pointwise(2, 2, 2), machine(**SHIPPED[0], read_words_per_row=1.0), 1, 1, 2, 2, 2, 2),
    ),
}
"""Cases in which a controller that follows the definition to the letter is faster than the modelled one."""


@pytest.mark.parametrize(("rules", "example"), SMARTER.values(), ids=SMARTER)
def test_does_every_simplification_cost_cycles(rules, example):
    """The array of the model is slower in a case made for it than one that follows the smarter rule."""
    smarter = walk(example.layer, example.hardware, FLOW, example.tile, example.order, rules)
    assert smarter.array_cycles < evaluated(example)[0]["array_cycles"]


def has_equal_chunks(case: Case) -> bool:
    """Return whether no block of the array, no run of accumulators and no tile is cut short."""
    _, machine_arrays = lowered(case.layer, case.hardware)
    return all(
        bound % tile == 0 and tile % kernels.block_size(dim, machine_arrays) == 0
        for dim, bound, tile in zip(Dim, case.layer.dims, case.tile, strict=True)
    )


@given(cases(), st.sampled_from([rules for rules, _ in SMARTER.values()]))
def test_do_the_simplifications_err_on_the_slow_side(case, rules):
    """No smarter rule makes the array slower; to load the next chunk's words only among equal chunks."""
    assume(not rules.loads_next_tile or has_equal_chunks(case))
    smarter = walk(case.layer, case.hardware, FLOW, case.tile, case.order, rules)
    assert smarter.array_cycles <= evaluated(case)[0]["array_cycles"] * (1 + 1e-9)


NOT_MODELLED = {
    "an unrolled dim inside the inputs' place": case(
        pointwise(2, 4, (1, 2)), machine("C", "K", "N G C P Q RF.I K R S"), 1, 1, 4, 2, 1, 2
    ),
    "an unrolled dim inside the weights' place": case(
        pointwise(2, 4, (4, 1)), machine("C", "P", "G K C R S RF.W N P Q", double_buffered=()), 1, 1, 4, 2, 4, 1
    ),
    "weights that all rows hold": case(pointwise(2, 2, 2), machine("C", "P", "P G K C R S RF.W N Q"), 1, 1, 2, 2, 2, 2),
    "inputs that do not shift": case(
        pointwise(1, 4, (1, 2)), machine("P", "Q", "N G C P Q RF.I R S K"), 1, 1, 4, 1, 1, 2
    ),
    "output columns on rows": case(pointwise(1, 1, 2), machine("Q", "P", SHIPPED[2]["nest"]), 1, 1, 1, 1, 2, 2),
    "filter rows on rows": case(
        pointwise(1, 1, (3, 2), kernel=(2, 1)), machine("R", "Q", "N G C P Q R RF.I K S"), 1, 1, 1, 1, 2, 2
    ),
    "output rows inside the inputs' place": case(
        pointwise(1, 1, (3, 1), kernel=(2, 1)),
        machine("C", "K", "N G C K Q RF.I P R S", sizes=(1, 1)),
        1,
        1,
        1,
        1,
        2,
        1,
    ),
    "a reduction outside the accumulators": case(
        pointwise(2, 1, (1, 2)), machine("P", "Q", "N G C P Q K ACC.O RF.I R S K"), 1, 1, 1, 2, 1, 2
    ),
    "accumulators inside the inputs' place": case(
        pointwise(1, 2, (1, 2), kernel=(1, 2)), machine("N", "G", "N G C RF.I P Q K ACC.O R S"), 1, 1, 2, 1, 1, 1
    ),
    "more sums than accumulators": case(
        pointwise(1, 1, (1, 2)), machine("N", "G", "N G P K ACC.O Q C RF.I R S"), 1, 1, 1, 1, 1, 2
    ),
    "a dim that is unrolled and cut by registers": case(
        pointwise(1, 8, (1, 2)), machine("K", "Q", SHIPPED[2]["nest"]), 1, 1, 8, 1, 1, 2
    ),
    "skipping with groups unrolled": case(
        pointwise(2, 2, 1, groups=2), machine("P", "G", SHIPPED[2]["nest"], skips_zeros_of="W"), 1, 2, 1, 1, 1, 1
    ),
    "skipping with weights unrolled": case(
        pointwise(2, 2, 2), machine(**SHIPPED[0], skips_zeros_of="W"), 1, 1, 2, 2, 2, 2
    ),
    "skipping with channels inside the inputs' place": case(
        pointwise(4, 1, 1),
        machine("P", "Q", "N G P Q K ACC.O RF.I C R S", skips_zeros_of="W", read_words_per_row=3.0),
        *(1, 1, 1, 4, 1, 1),
    ),
    "inputs that shift back for every output channel": case(
        pointwise(1, 4, 2, kernel=2, padding=1),
        machine("P", "Q", "N G P Q K ACC.O C RF.I R K S"),
        *(1, 1, 4, 1, 3, 3),
    ),
    "skipping with filter rows outside the inputs' place": case(
        pointwise(1, 4, 2, kernel=3, padding=1),
        machine("P", "Q", "N G P Q K ACC.O C R RF.I S K", skips_zeros_of="W", read_words_per_row=1.0),
        *(1, 1, 4, 1, 2, 2),
    ),
}
"""Dataflows that the spec can describe and the kernels get wrong, each with a tiny layer that showed it."""


def is_accepted(example: Case) -> bool:
    """Return whether the bridge takes the dataflow of a case."""
    try:
        lower_machine(example.hardware, FLOW, example.layer)
    except HardwareError:
        return False
    return True


@pytest.mark.parametrize("example", NOT_MODELLED.values(), ids=NOT_MODELLED)
def test_is_a_dataflow_that_the_kernels_would_get_wrong_refused(example):
    """The kernels count these otherwise than the walk does, so that the bridge must not let them through."""
    assert not is_accepted(example)


@given(cases(almost_modelled()))
def test_is_every_dataflow_that_is_accepted_modelled(case):
    """Whatever is near a dataflow that works is either refused or counted as the walk counts it."""
    if is_accepted(case):
        check_against_walk(case)


@given(cases())
def test_is_every_dataflow_that_is_modelled_accepted(case):
    """The bridge refuses none of the dataflows that the kernels get right."""
    assert is_accepted(case)


def test_does_a_matmul_read_all_of_its_rows():
    """A product of 4 rows by 3 columns with 3 by 2 reads 12 inputs."""
    layer = Layer(name="matmul", op=Op.MATMUL, K=2, C=3, P=4, input_shapes=(Shape(3, 4, 1),))
    check_against_walk(case(layer, machine(**SHIPPED[0]), 1, 1, 2, 3, 4, 1))


@pytest.mark.parametrize(
    ("layer", "tile"),
    [
        (pointwise(1, 1, 8, stride=2), (1, 1, 1, 1, 4, 4, 1, 1)),
        (pointwise(1, 1, 4, kernel=3, padding=1), (1, 1, 1, 1, 2, 4, 3, 3)),
    ],
    ids=["strided", "padded"],
)
def test_does_the_buffer_have_room_for_what_the_dma_brings(layer, tile):
    """The room of an input tile is the words that are written there: pixels skipped included, padding not."""
    arrays, sizes = lower_layer(layer), np.array(tile, dtype=np.int64)
    need = kernels.buffer_need(sizes, kernels.tile_counts(sizes, arrays), arrays)
    assert need.sum() == buffer_words_needed(layer, tile)


def test_is_the_mapper_right_where_outputs_see_only_padding():
    """A tile whose inputs are all padding loads nothing and waits for nothing, and the mapper knows."""
    layer = pointwise(2, 4, 1, padding=(0, 0, 0, 1), groups=2)
    hardware = machine(
        **SHIPPED[0],
        sizes=(1, 1),
        buffer_words=11,
        words_per_cycle=0.5,
        read_words_per_row=1.0,
        write_words_per_col=0.25,
        accumulators=1,
        switch_cycles=0,
    )
    best = min(scores(tiling, *lowered(layer, hardware))[2] for tiling in candidates(layer, hardware))
    assert best_value(layer, hardware, 2) == pytest.approx(best, rel=1e-9)


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="sizes below a block are tried only where no block fits")
def test_are_tiles_smaller_than_a_block_tried_where_a_block_fits():
    """No tile size of all 1 to the dim takes less energy than the mapper's, also where the buffer is tight."""
    layer = pointwise(3, 8, (1, 3))
    hardware = machine(**SHIPPED[0], sizes=(1, 2), buffer_words=23)
    assert best_value(layer, hardware, 1) == pytest.approx(best_of_all_sizes(layer, hardware, 1), rel=1e-9)


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="sizes below a block are tried only where no block fits")
@pytest.mark.parametrize("objective", [0, 1])
def test_does_a_buffer_that_takes_a_block_never_cost_more_than_one_that_does_not(objective):
    """A word more of buffer, which lets the first whole block in, makes nothing worse."""
    layer = pointwise(2, 3, 1)
    small, large = (machine(**SHIPPED[0], sizes=(1, 2), buffer_words=words) for words in (9, 10))
    assert best_value(layer, large, objective) <= best_value(layer, small, objective)
