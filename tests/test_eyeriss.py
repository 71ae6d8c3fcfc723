"""Does accelsim agree with Eyeriss in silicon (Y.-H. Chen et al., JSSC 52(1), 2017, Table V), by its own mapping?"""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from accelsim.dims import Operand
from accelsim.engine.closed_form import evaluate
from accelsim.errors import InputError, NoMappingError
from accelsim.mapping.hierarchy import ANY, Axis, Machine, SpatialFanout, Store
from accelsim.mapping.nest import tile_words, windows
from accelsim.mapping.row_stationary import RowStationary, fold, row_stationary_nest
from accelsim.mapping.search import search
from accelsim.report.eyeriss.chip import eyeriss
from accelsim.report.eyeriss.optimum import best_mapping, candidates, lower_bound
from accelsim.report.eyeriss.study import (
    CONTRADICTED,
    LAYERS,
    TABLE3,
    alexnet_layer,
    dram_traffic,
    glb_traffic,
    latency,
    measured_mappings,
    pes,
    published_mappings,
    run_all,
)
from accelsim.report.published import read_published
from accelsim.workload.layer import Layer

REPORT = Path(__file__).resolve().parent.parent / "reports" / "eyeriss"

W, I, O = Operand  # noqa: E741


@pytest.fixture(scope="module")
def published():
    return run_all(published_mappings())


@pytest.fixture(scope="module")
def measured():
    return run_all(measured_mappings())


def test_processing_latency_is_within_a_tenth(published, measured):
    """Table V: 16.5, 39.2, 21.8, 16.0 and 10.0 ms; by Table III's mappings, and by those that Table V agrees with."""
    for comparison in (*latency(published), *latency(measured)):
        assert comparison.within(0.10), comparison


def test_active_pes_are_equal(published, measured):
    """Table V: 154, 135, 156, 156, 156 of 168."""
    for comparison in (*pes(published), *pes(measured)):
        assert comparison.ours == comparison.published, comparison


def test_dram_traffic_is_within_a_fifth(published, measured):
    """Table V, measured after compression, times the compression that Table V gives."""
    for comparison in (*dram_traffic(published), *dram_traffic(measured)):
        assert comparison.within(0.20), comparison


def test_buffer_traffic_is_within_a_fifth(published, measured):
    """Table V: 18.5, 77.6, 50.2, 37.4, 24.9 MB; one layer's mapping in Table III cannot give it."""
    missed = [comparison.row for comparison in glb_traffic(published) if not comparison.within(0.20)]
    assert missed == [CONTRADICTED]
    for comparison in glb_traffic(measured):
        assert comparison.within(0.20), comparison


def test_what_the_chip_counts_as_buffer_traffic(measured):
    """With one more reading of every output (to DRAM, or as the bias), Table V comes out to the last digit."""
    for run, comparison in zip(measured, glb_traffic(measured), strict=True):
        outputs_mb = alexnet_layer(run.layer).output_words * run.word_bytes / 1e6
        assert abs(comparison.ours + outputs_mb - comparison.published) < 0.06, comparison


def test_tiles_in_the_buffer_are_those_of_table_3(published):
    """Table III: KB of inputs and of partial sums in the global buffer, as printed."""
    machine = eyeriss()
    for run, row in zip(published, read_published(TABLE3), strict=True):
        place = next(place for place in run.nest.places if place.store == "GLB")
        window = windows(alexnet_layer(run.layer), machine)
        for operand, column in ((I, "glb_ifmap_kb"), (O, "glb_psum_kb")):
            kb = tile_words(operand, place.tile, window) * 2 / 1024
            assert abs(kb - float(row[column])) <= 0.06, (run.layer, operand, kb)


def test_inputs_reach_the_array_once_a_pass(published):
    """Section IV-A: in a pass, each input is read only once from the buffer, and partial sums go back only once."""
    for run in published:
        layer, mapping = alexnet_layer(run.layer), run.mapping
        dims = layer.dims
        strips = [min(mapping.e, dims.P - at) for at in range(0, dims.P, mapping.e)]
        rows = sum((strip - 1) * layer.stride[0] + dims.R for strip in strips)
        width = (dims.Q - 1) * layer.stride[1] + dims.S
        passes_over_filters = -(-dims.K // (mapping.p * mapping.t))
        words = dims.N * dims.G * dims.C * rows * width * passes_over_filters
        assert run.glb_words[I] == words
        passes_over_channels = -(-dims.C // (mapping.q * mapping.r))
        assert run.glb_words[O] == layer.output_words * (2 * passes_over_channels - 1)


def test_a_pass_ramps_up_by_its_filters_and_first_windows(published):
    """Section VI-A: the array waits for the filters, 4 words a cycle, then for the first windows, a word a cycle."""
    for run in published:
        layer, mapping = alexnet_layer(run.layer), run.mapping
        dims, channels = layer.dims, mapping.q * mapping.r
        filters = mapping.p * mapping.t * channels * dims.R * dims.S
        strips = [min(mapping.e, dims.P - at) for at in range(0, dims.P, mapping.e)]
        rows = (strips[0] - 1) * layer.stride[0] + dims.R
        assert run.cost.stop_cycles == run.passes * (filters / 4 + channels * rows * dims.S), run.layer
        assert run.filter_load_cycles == run.passes * filters / 4


def test_partial_sums_hold_up_a_layer_whose_passes_are_short(published):
    """CONV3 as printed waits for 64 x 169 x 4 partial sums a pass, at 4 words a cycle (section V-B)."""
    cost = published[LAYERS.index("CONV3")].cost
    assert cost.bound == "array"
    assert cost.cycles == 384 * 64 * 169 * 4 / 4


def test_folding_is_that_of_figure_5():
    """CONV1 lies twice side by side, CONV2 in two segments, CONV3 four times above each other, CONV4 two by two."""
    folded = {name: fold(mapping, alexnet_layer(name), 12, 14) for name, mapping in published_mappings().items()}
    assert [(f.segments, f.width, f.filters_above, f.filters_beside) for f in folded.values()] == [
        (1, 7, 1, 2),
        (2, 14, 1, 1),
        (1, 13, 4, 1),
        (1, 13, 2, 1),
        (1, 13, 2, 1),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": 3}, "do not fit 12 x 14"),
        ({"q": 2, "p": 8, "m": 64}, "SPAD needs 22 words of I"),
        ({"p": 24, "t": 1}, "FILTER_SPAD needs 264 words"),
        ({"e": 0}, "e must be positive, got 0"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(change, message):
    sizes = {key: getattr(published_mappings()["CONV1"], key) for key in ("m", "n", "e", "p", "q", "r", "t")}
    with pytest.raises(InputError, match=message):
        row_stationary_nest(RowStationary(**{**sizes, **change}), alexnet_layer(LAYERS[0]), eyeriss())


@pytest.fixture(scope="module")
def small():
    """A layer in which every parameter has a choice."""
    return Layer.conv("small", 6, 10, (9, 7), (3, 3), padding=(1, 1, 1, 1), batch=2)


def test_the_bound_of_a_mapping_is_one(small):
    """No row-stationary mapping that fits has less energy x delay than its lower bound."""
    machine, checked = eyeriss(), 0
    for mapping in islice(candidates(small, machine), 0, None, 23):
        cost = evaluate(row_stationary_nest(mapping, small, machine), small, machine)
        assert lower_bound(mapping, small, machine) <= cost.edp * (1 + 1e-12), mapping
        checked += 1
    assert checked > 50


def test_the_best_mapping_is_the_best_of_all(small):
    """Best first with a bound finds what evaluating every mapping finds."""
    machine = eyeriss()
    tight = replace(machine, fanouts=(replace(machine.fanouts[0], axes=_axes(machine, 6, 5)),))
    best = best_mapping(small, tight)
    every = [(evaluate(row_stationary_nest(m, small, tight), small, tight).edp, m) for m in candidates(small, tight)]
    assert best.space == len(every) > best.evaluated
    assert evaluate(row_stationary_nest(best.mapping, small, tight), small, tight).edp == min(edp for edp, _ in every)


def _axes(machine, *sizes):
    return tuple(replace(axis, size=size) for axis, size in zip(machine.fanouts[0].axes, sizes, strict=True))


def test_a_layer_without_a_mapping_is_named():
    with pytest.raises(NoMappingError, match="tall: no row-stationary mapping fits eyeriss"):
        best_mapping(Layer.conv("tall", 1, 1, (13, 1), (13, 1)), eyeriss())


def test_conv1_was_mapped_in_the_best_way():
    """Table III's mapping of CONV1 has the least energy x delay of all that fit the chip."""
    assert best_mapping(alexnet_layer("CONV1"), eyeriss()).mapping == published_mappings()["CONV1"]


def test_banks_explain_the_channels_of_the_last_layers():
    """CONV4 and CONV5 have q = 3 although 4 fit the pads and 100 KB: no bank holds both inputs and partial sums."""
    mapping = replace(published_mappings()["CONV4"], q=4)
    layer = alexnet_layer("CONV4")
    row_stationary_nest(mapping, layer, eyeriss())
    assert mapping not in set(candidates(layer, eyeriss()))
    assert published_mappings()["CONV4"] in set(candidates(layer, eyeriss()))


def test_the_report_is_what_is_computed(published, measured):
    """The committed table holds today's numbers."""
    with (REPORT / "table5.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for name, runs in (("published", published), ("measured", measured)):
        ours = [row for row in rows if row["mapping"] == name]
        assert [row["layer"] for row in ours] == list(LAYERS)
        for row, run in zip(ours, runs, strict=True):
            assert row["ours_processing_latency_ms"] == f"{run.processing_ms:.6g}"
            assert row["ours_glb_access_mb"] == f"{run.glb_mb:.6g}"
            assert row["ours_dram_access_mb"] == f"{run.dram_mb:.6g}"
            assert row["energy_macs"] == f"{run.cost.energy:.6g}"


def test_the_mapper_does_not_call_complete_what_it_does_not_see():
    """Slides and networks' rates are evaluated, not searched; without them the mapper's word stands."""
    layer = Layer.conv("small", 1, 2, (1, 2), (1, 1))
    dram, spad = Store(name="DRAM"), Store(name="SPAD", words=16)
    fanout = SpatialFanout(name="array", below="DRAM", axes=(Axis(name="rows", size=2),))
    for slides, rates, complete in ((True, {}, False), (False, {W: 4}, False), (False, {}, True)):
        machine = Machine(
            name="small",
            stores=(dram, replace(spad, slides=slides)),
            fanouts=(replace(fanout, words_per_cycle=rates),),
        )
        assert search(layer, machine, ANY, "edp").complete is complete
