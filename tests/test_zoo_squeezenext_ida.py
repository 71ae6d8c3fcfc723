"""SqueezeNext with Iterative Deep Aggregation: what it adds to the plain network, and how far it is from the paper."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from accelsim.errors import WorkloadError
from accelsim.workload.layer import Layer, Op
from accelsim.workload.loader import load_network
from accelsim.workload.network import Network
from accelsim.workload.zoo import squeezenext

PUBLISHED_M = {23: 0.9, 34: 1.3, 44: 1.5}
"""Tables 1 and 2 of arXiv:1803.10615v2: millions of parameters, to one decimal."""

CHANNELS = (32, 64, 128, 256)
ADDED = (
    *(f"ida{section}/{part}" for section in (2, 3, 4) for part in ("pool", "project", "concat", "node")),
    *(
        f"ida{section}/{part}/{after}"
        for section in (2, 3, 4)
        for part in ("project", "node")
        for after in ("bn", "relu")
    ),
)

depths = pytest.mark.parametrize("depth", PUBLISHED_M)


def with_and_without(depth: int) -> tuple[Network, Network]:
    """Return the variant and the plain network of a depth."""
    return load_network(f"squeezenext{depth}_ida"), load_network(f"squeezenext{depth}")


def conv_bn_params(fan_in: int, channels: int) -> int:
    """Parameters of a 1x1 convolution with its batch norm."""
    return channels * (fan_in + 2)


def weights_shape(layer: Layer) -> tuple[int, ...]:
    """Return input and output channels, kernel and groups of a convolution."""
    return (layer.C, layer.K, layer.R, layer.S, layer.G)


def readings(network: Network) -> dict[str, int]:
    """Parameters that each natural reading of IDA adds to a plain network."""
    steps = list(pairwise(CHANNELS))
    last = CHANNELS[-1]
    project = sum(conv_bn_params(shallow, deep) for shallow, deep in steps)
    units = network.parameters["blocks"]
    return {
        "projection, concat, node": project + sum(conv_bn_params(2 * deep, deep) for _, deep in steps),
        "projection, sum, node": project + sum(conv_bn_params(deep, deep) for _, deep in steps),
        "concat, node": sum(conv_bn_params(shallow + deep, deep) for shallow, deep in steps),
        "projection, sum": project,
        "all projected to the last": sum(conv_bn_params(c, last) for c in CHANNELS[:-1])
        + 3 * conv_bn_params(2 * last, last),
        "between units": sum((count - 1) * conv_bn_params(2 * c, c) for count, c in zip(units, CHANNELS, strict=True)),
    }


@depths
def test_it_loads_under_its_name_and_the_papers(depth):
    """The name, the paper's own as an alias, and the family with its parameters are one network."""
    network = load_network(f"squeezenext{depth}_ida")
    assert load_network(f"1.0-SqNxt-{depth}-IDA").layers == network.layers
    assert load_network("squeezenext", depth=depth, ida=True).layers == network.layers
    assert network.parameters["ida"] is True
    assert network.facts[0].params_m == PUBLISHED_M[depth]


@depths
def test_nothing_of_the_plain_network_changes_but_the_input_of_the_last_1x1(depth):
    """Without the added layers, layers, their order and their inputs are the plain network's."""
    network, plain = with_and_without(depth)
    kept = [layer for layer in network if not layer.name.startswith("ida")]
    assert kept == list(plain)
    changed = {layer.name for layer in kept if network.inputs[layer.name] != plain.inputs[layer.name]}
    last = plain.array_layers[-2].name
    assert changed == {last}
    assert network.inputs[last] == ("ida4/node/relu",)
    assert plain.parameters["ida"] is False


@depths
def test_what_is_added_is_a_pool_a_projection_a_concat_and_a_node_a_section(depth):
    """Names and number of the added layers, and the parameters and MACs they bring, at every depth alike."""
    network, plain = with_and_without(depth)
    assert {layer.name for layer in network} - {layer.name for layer in plain} == set(ADDED)
    added = {key: network.totals[key] - plain.totals[key] for key in plain.totals}
    assert added == {
        "params": 216_832,
        "params_conv": 215_040,
        "params_linear": 0,
        "params_bias": 0,
        "params_bn": 1_792,
        "params_other": 0,
        "macs": 24_084_480,
    }
    assert added["params"] == readings(plain)["projection, concat, node"]
    assert added["macs"] == 3 * 28 * 28 * (32 * 64 + 128 * 64)


@depths
@pytest.mark.parametrize(("section", "pixels"), [(2, 28), (3, 14), (4, 7)])
def test_each_node_has_the_shape_of_its_section(depth, section, pixels):
    """The aggregate so far, halved and projected, joins the section's output; the node returns to its channels."""
    network = load_network(f"squeezenext{depth}_ida")
    shallow, deep = CHANNELS[section - 2], CHANNELS[section - 1]
    pool, project, concat, node = (network[f"ida{section}/{part}"] for part in ("pool", "project", "concat", "node"))
    assert (pool.op, pool.R, pool.S, pool.stride, pool.output_shape) == (
        Op.MAX_POOL, 2, 2, (2, 2), (shallow, pixels, pixels)
    )  # fmt: skip
    assert weights_shape(project) == (shallow, deep, 1, 1, 1)
    assert weights_shape(node) == (2 * deep, deep, 1, 1, 1)
    assert node.output_shape == (deep, pixels, pixels)
    of_section = [layer.name for layer in network if layer.block.startswith(f"block{section}/")]
    assert network.inputs[concat.name] == (f"ida{section}/project/relu", of_section[-1])
    before = f"ida{section - 1}/node/relu"
    if section == 2:
        before = [layer.name for layer in network if layer.block.startswith("block1/")][-1]
    assert network.inputs[pool.name] == (before,)


@depths
def test_parameters_are_within_4_percent_of_the_papers_and_equal_in_its_digits(depth):
    """The published figure has one decimal; the note states the computed one and the difference."""
    network = load_network(f"squeezenext{depth}_ida")
    params_m = network.totals["params"] / 1e6
    assert params_m == pytest.approx(PUBLISHED_M[depth], rel=0.04)
    assert round(params_m, 1) == PUBLISHED_M[depth]
    stated = re.search(r"computed ([\d.]+)M, ([\d.]+)% (above|below) the published", network.facts[0].note)
    assert stated is not None
    difference = 100 * (params_m / PUBLISHED_M[depth] - 1)
    assert stated.groups() == (f"{params_m:.3f}", f"{abs(difference):.1f}", "above" if difference > 0 else "below")
    assert "reading of the text" in network.facts[0].note


def test_no_other_natural_reading_gives_the_published_digits_at_all_depths():
    """Of the readings that the family's description lists, one fits the three figures."""
    fits = {}
    for depth, published in PUBLISHED_M.items():
        plain = load_network(f"squeezenext{depth}")
        for name, added in readings(plain).items():
            fits.setdefault(name, []).append(round((plain.totals["params"] + added) / 1e6, 1) == published)
    assert [name for name, found in fits.items() if all(found)] == ["projection, concat, node"]


def test_the_description_lists_what_the_readings_come_to():
    """The table in the module's description is computed, not remembered."""
    table = [tuple(row) for row in re.findall(r" {2,}([\d.]{5})  ([\d.]{5})  ([\d.]{5})$", squeezenext.__doc__, re.M)]
    plains = [load_network(f"squeezenext{depth}") for depth in PUBLISHED_M]
    expected = [
        tuple(f"{(plain.totals['params'] + readings(plain)[name]) / 1e6:.3f}" for plain in plains)
        for name in readings(plains[0])
    ]
    assert table == expected


def test_it_goes_with_every_other_parameter():
    """Widths, versions and groups aggregate too; nodes and projections stay in one group."""
    network = load_network("squeezenext", version=5, width=2.0, groups=2, ida=True)
    assert [network[f"ida{section}/node"].K for section in (2, 3, 4)] == [128, 256, 512]
    assert {network[f"ida{section}/{part}"].G for section in (2, 3, 4) for part in ("project", "node")} == {1}


def test_layers_that_would_do_nothing_are_left_out():
    """Equal channels need no projection, and a map that a section does not shrink needs no pooling."""
    narrow = load_network("squeezenext", width=0.01, ida=True)
    assert "ida2/project" not in {layer.name for layer in narrow}
    tiny = load_network("squeezenext", resolution=16, ida=True)
    assert "ida4/pool" not in {layer.name for layer in tiny}
    assert tiny.totals["params"] == load_network("squeezenext23_ida").totals["params"]


@pytest.mark.parametrize("value", ["yes", 1, None, [True]])
def test_ida_is_true_or_false(value):
    """Anything else is refused in one sentence that names the family and the parameter."""
    with pytest.raises(WorkloadError, match=r"^family squeezenext: ida: expected true or false, got [^.]+$"):
        load_network("squeezenext", ida=value)
