"""Does accelsim agree with Eyeriss in silicon (Y.-H. Chen et al., JSSC 52(1), 2017, Table V), by its own mapping?"""

from __future__ import annotations

import pytest

from accelsim.dims import Operand
from accelsim.errors import InputError
from accelsim.mapping.nest import tile_words, windows
from accelsim.mapping.row_stationary import RowStationary, fold, row_stationary_nest
from accelsim.report.eyeriss.machine import eyeriss
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
    """With partial sums read in the first pass too (the bias), Table V's figures come out to the last digit."""
    for run, comparison in zip(measured, glb_traffic(measured), strict=True):
        first_reads_mb = alexnet_layer(run.layer).output_words * run.word_bytes / 1e6
        assert abs(comparison.ours + first_reads_mb - comparison.published) < 0.06, comparison


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
        ({"q": 2, "p": 8, "m": 64}, "spads needs 22 words of I"),
        ({"p": 24, "t": 1}, "filter_spad needs 264 words"),
        ({"e": 0}, "e must be positive, got 0"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(change, message):
    sizes = {key: getattr(published_mappings()["CONV1"], key) for key in ("m", "n", "e", "p", "q", "r", "t")}
    with pytest.raises(InputError, match=message):
        row_stationary_nest(RowStationary(**{**sizes, **change}), alexnet_layer(LAYERS[0]), eyeriss())
