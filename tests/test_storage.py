"""Does a compressed model take the bytes that the formats' definitions and the publications say?"""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import WorkloadError
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network
from accelsim.workload.storage import (
    Coding,
    WeightFormat,
    deep_compression,
    filler_share,
    layer_size,
    model_size,
    runs_per_value,
)
from accelsim.workload.zoo import build


@pytest.fixture(scope="module")
def squeezenet() -> Network:
    """SqueezeNet v1.0."""
    return build("squeezenet")


@pytest.fixture(scope="module")
def alexnet() -> Network:
    """The original, grouped AlexNet."""
    return build("alexnet")


def csr_entries(kept: list[bool], index_bits: int) -> int:
    """Count the entries of relative indexing by walking the weights."""
    entries = gap = 0
    for weight in kept:
        if weight or gap == 2**index_bits - 1:
            entries += 1
            gap = 0
        else:
            gap += 1
    return entries


def zero_runs(kept: list[bool], run_bits: int) -> int:
    """Count the runs of zeros, none longer than ``2**run_bits``, by walking the weights."""
    runs = length = 0
    for weight in kept:
        length = 0 if weight else length + 1
        runs += length % 2**run_bits == 1
    return runs


def test_is_squeezenet_at_32_bit_the_published_4_8_mb(squeezenet: Network) -> None:
    """1,248,424 words of four bytes are the 4.8 MB of arXiv:1602.07360, Table 2, in units of 2^20."""
    size = model_size(squeezenet)
    assert size.total_bytes == 4 * 1_248_424
    assert round(size.total_mib, 1) == 4.8


def test_is_squeezenet_at_8_bit_the_published_0_66_mb(squeezenet: Network) -> None:
    """8 bit at 33% density in the released file's layout: 0.66 MB (Table 2), 660 KB (the authors' repository)."""
    assert round(model_size(squeezenet, deep_compression(8, 0.33)).total_mb, 3) == 0.660


def test_does_the_6_bit_figure_need_entropy_coded_positions(squeezenet: Network) -> None:
    """The published 0.47 MB is what positions at their entropy give; plain indices give 14% more."""
    plain = model_size(squeezenet, deep_compression(6, 0.33)).total_mb
    bound = model_size(
        squeezenet, Coding(weight_bits=6, density=0.33, format=WeightFormat.ENTROPY, codebook=True)
    ).total_mb
    assert round(bound, 2) == 0.47
    assert plain / 0.47 == pytest.approx(1.14, abs=0.005)


def test_is_alexnet_the_published_240_mb_and_27_mb_when_pruned(alexnet: Network) -> None:
    """32-bit AlexNet and its 11% of kept values (arXiv:1602.07360, Table 2), before indices."""
    assert model_size(alexnet).total_mb == pytest.approx(240, abs=5)
    kept = model_size(alexnet, Coding(density=0.11, format=WeightFormat.BITMAP))
    assert sum(layer.value_bytes for layer in kept.layers) / 1e6 == pytest.approx(27, abs=0.5)


@pytest.mark.parametrize(
    ("layer", "bits", "density", "published_percent", "tolerance"),
    [
        ("conv1", 8, 0.84, 32.6, 0.2),
        ("conv2", 8, 0.38, 14.5, 0.2),
        ("conv3", 8, 0.35, 13.1, 0.2),
        ("conv4", 8, 0.37, 14.1, 0.2),
        ("conv5", 8, 0.37, 14.0, 0.2),
        ("fc6", 5, 0.09, 3.0, 0.3),  # clustered zeros: fewer gaps overflow than independent ones would
        ("fc7", 5, 0.09, 3.0, 0.3),
        ("fc8", 5, 0.25, 7.3, 0.2),
    ],
)
def test_are_alexnet_s_layers_as_small_as_deep_compression_prints(
    alexnet: Network, layer: str, bits: int, density: float, published_percent: float, tolerance: float
) -> None:
    """Share of the 32-bit size after pruning and quantisation, arXiv:1510.00149, Table 4, column P+Q."""
    compressed = layer_size(alexnet[layer], deep_compression(bits, density)).total_bytes
    dense = layer_size(alexnet[layer], Coding()).total_bytes
    assert 100 * compressed / dense == pytest.approx(published_percent, abs=tolerance)


@pytest.mark.parametrize("density", [0.05, 0.33, 0.8])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_are_expected_entries_those_of_random_zeros(density: float, bits: int) -> None:
    """Both formulas agree with walking 200,000 weights whose zeros fall independently."""
    source = random.Random(7)
    kept = [source.random() < density for _ in range(200_000)]
    values = sum(kept)
    assert csr_entries(kept, bits) / values == pytest.approx(1 + filler_share(density, bits), rel=0.02)
    assert zero_runs(kept, bits) / values == pytest.approx(runs_per_value(density, bits), rel=0.02)


def test_are_the_bytes_of_every_format_those_of_its_definition() -> None:
    """A layer of 1000 weights at density 0.5 and 8 bits, by hand."""
    layer = Layer.conv("c", 10, 100, 4, bias=True)
    sizes = {
        form: layer_size(layer, Coding(format=form, weight_bits=8, density=0.5, index_bits=2)) for form in WeightFormat
    }
    assert {size.value_bytes for form, size in sizes.items() if form is not WeightFormat.DENSE} == {500}
    assert sizes[WeightFormat.DENSE].value_bytes == 1000
    assert {size.other_bytes for size in sizes.values()} == {400}
    positions = {form: size.position_bytes for form, size in sizes.items()}
    assert positions[WeightFormat.DENSE] == 0
    assert positions[WeightFormat.BITMAP] == 125
    assert positions[WeightFormat.ENTROPY] == 125
    # 500 values, 1/15 fillers each: 533.3 indices of 2 bits, 33.3 filler values of 8, and the entry count.
    assert positions[WeightFormat.CSR] == 134 + 33 + 4
    # 500 flags, 266.7 runs of 1 + 2 bits, and the entry count.
    assert positions[WeightFormat.RUN_LENGTH] == 163 + 4


def test_does_a_format_s_name_mean_the_format() -> None:
    """A plain string, as a file or a command line gives it, selects the same layout."""
    layer = Layer.conv("c", 10, 100, 4)
    for form in WeightFormat:
        by_name = Coding(density=0.5, format=form.value)  # type: ignore[arg-type]
        assert layer_size(layer, by_name) == layer_size(layer, Coding(density=0.5, format=form))


def test_does_a_codebook_cost_its_table() -> None:
    """Four bits of index need 16 values of 32 bits."""
    layer = Layer.conv("c", 8, 8, 4)
    assert layer_size(layer, Coding(weight_bits=4, codebook=True)).codebook_bytes == 64
    assert layer_size(layer, Coding(weight_bits=4)).codebook_bytes == 0


def test_do_batch_norms_count_and_views_do_not() -> None:
    """MobileNet v2 at 32 bit takes four bytes for each parameter, gamma and beta included."""
    network = build("mobilenet_v2")
    size = model_size(network)
    assert size.total_bytes == 4 * network.totals["params"]
    assert {layer.name for layer in size.layers} == {layer.name for layer in network if layer.params}


def test_can_single_layers_have_their_own_coding(squeezenet: Network) -> None:
    """Only the layer that is named changes."""
    base = model_size(squeezenet, Coding(weight_bits=16))
    mixed = model_size(squeezenet, Coding(weight_bits=16), layers={"conv10": Coding(weight_bits=8)})
    assert base.total_bytes - mixed.total_bytes == squeezenet["conv10"].params_weights
    with pytest.raises(WorkloadError, match="no layer 'conv100'; did you mean 'conv10'"):
        model_size(squeezenet, layers={"conv100": Coding()})


@given(
    density=st.floats(0.01, 1),
    weight_bits=st.integers(8, 32),  # with fewer, the value that marks a filler says much about the positions itself
    index_bits=st.integers(1, 12),
    form=st.sampled_from([WeightFormat.CSR, WeightFormat.RUN_LENGTH, WeightFormat.BITMAP]),
)
def test_does_no_format_beat_the_entropy(density: float, weight_bits: int, index_bits: int, form: WeightFormat) -> None:
    """The entropy of the positions is a lower bound for every code of them."""
    layer = Layer.conv("c", 64, 64, 8, 3)
    size = layer_size(layer, Coding(weight_bits=weight_bits, density=density, index_bits=index_bits, format=form))
    bound = layer_size(layer, Coding(weight_bits=weight_bits, density=density, format=WeightFormat.ENTROPY))
    assert size.position_bytes >= bound.position_bytes


def test_is_the_overhead_the_share_of_the_positions() -> None:
    """A bitmap beside 1-bit weights that are all kept is half of the model."""
    b = build("vgg", depth=11)
    sizes = model_size(b, Coding(weight_bits=1, value_bits=1, format=WeightFormat.BITMAP))
    assert sizes.overhead == pytest.approx(0.5, abs=1e-3)
    assert model_size(b).overhead == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"density": 0}, "density must be above 0 and at most 1, got 0"),
        ({"density": 1.01}, "density must be above 0 and at most 1, got 1.01"),
        ({"weight_bits": 0}, "weight_bits must be an integer from 1 to 64, got 0"),
        ({"index_bits": 2.5}, "index_bits must be an integer from 1 to 64, got 2.5"),
        ({"format": "zip"}, "must be one of dense, csr, run_length, bitmap, compressed_rows, entropy, got 'zip'"),
        ({"codebook": True}, "a codebook takes at most 16 weight_bits, got 32"),
    ],
)
def test_is_an_impossible_coding_refused(options: dict[str, object], message: str) -> None:
    """The error names the field, what is allowed and what was given."""
    with pytest.raises(WorkloadError, match=message):
        Coding(**options)  # type: ignore[arg-type]
