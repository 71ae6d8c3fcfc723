"""Does the builder infer the graph that was meant, and are a network's totals those of its layers?"""

import pytest

from accelsim.errors import WorkloadError
from accelsim.workload.layer import Kind, Layer, Op, Shape
from accelsim.workload.network import INPUT, Network, NetworkBuilder


def residual() -> Network:
    """A network with a residual block, a depthwise convolution and a linear layer."""
    b = NetworkBuilder("tiny", (3, 32, 32), family="tests", parameters={"width": 1})
    x = b.conv_bn(b.input, 16, 3, stride=2, padding=1)
    with b.scope("block1"), b.scope("unit1"):
        y = b.conv_bn(x, 16, 3, padding=1, groups=16, name="dw")
        y = b.conv_bn(y, 16, act=None)
        x = b.relu(b.add(x, y))
    x = b.global_avg_pool(x)
    b.softmax(b.linear(x, 10, bias=True, name="fc"))
    return b.build()


def test_layers_are_named_after_their_operation_and_place():
    """Counters run per scope; a given name is kept as it is."""
    assert [layer.name for layer in residual()] == [
        "conv1",
        "conv1/bn",
        "conv1/relu",
        "dw",
        "dw/bn",
        "dw/relu",
        "block1/unit1/conv1",
        "block1/unit1/conv1/bn",
        "block1/unit1/add1",
        "block1/unit1/activation1",
        "global_avg_pool1",
        "fc",
        "softmax1",
    ]
    assert residual()["dw"].block == residual()["block1/unit1/add1"].block == "block1/unit1"
    assert residual()["fc"].block == ""


def test_edges_follow_the_calls():
    """Every layer reads what it was given, and the image is called 'input'."""
    net = residual()
    assert net.inputs["conv1"] == (INPUT,)
    assert net.inputs["block1/unit1/add1"] == ("conv1/relu", "block1/unit1/conv1/bn")
    assert net.outputs == ("softmax1",)


def test_totals_split_parameters_by_what_they_belong_to():
    """Conv, linear, bias and batch norm are counted apart and add up."""
    conv, linear, bias, bn = 3 * 16 * 9 + 16 * 9 + 16 * 16, 160, 10, 3 * 2 * 16
    macs = 16 * 16 * conv + linear
    assert residual().totals == {
        "params": conv + linear + bias + bn,
        "params_conv": conv,
        "params_linear": linear,
        "params_bias": bias,
        "params_bn": bn,
        "params_other": 0,
        "macs": macs,
    }


def test_breakdown_by_kind_covers_all_array_layers():
    """The kinds' layers, MACs and weights add up to the network's."""
    net = residual()
    kinds = net.by_kind()
    assert list(kinds) == [Kind.STANDARD, Kind.POINTWISE, Kind.DEPTHWISE, Kind.LINEAR]
    assert kinds[Kind.DEPTHWISE] == {"layers": 1, "macs": 16 * 16 * 144, "params": 144}
    assert sum(kind["macs"] for kind in kinds.values()) == net.totals["macs"]
    assert sum(kind["layers"] for kind in kinds.values()) == len(net.array_layers) == 4


def test_batch_norm_folds_only_into_the_one_layer_before_it():
    """After an add, or behind a convolution that somebody else reads too, it has to stay."""
    b = NetworkBuilder("n", (3, 8, 8))
    alone = b.conv_bn(b.input, 4, name="alone", act=None)
    shared = b.conv(alone, 4, name="shared")
    kept = b.batch_norm(shared, name="kept")
    b.batch_norm(b.add(shared, kept), name="after_add")
    assert b.build().folded_batch_norms() == {"alone/bn"}


def test_with_batch_changes_every_layer_and_nothing_else():
    """MACs grow with the batch, parameters do not."""
    net = residual()
    batch = net.with_batch(4)
    assert {layer.N for layer in batch} == {4}
    assert batch.totals == {**net.totals, "macs": 4 * net.totals["macs"]}


@pytest.mark.parametrize("batch", [0, -1, 1.5, True, "2"])
def test_a_batch_must_be_a_positive_integer(batch):
    """Anything else is refused with what was found."""
    with pytest.raises(WorkloadError, match=f"batch must be a positive integer, got {batch!r}"):
        residual().with_batch(batch)


def test_shapes_of_operations_that_move_data():
    """Every operation's output shape, on one 12-channel map of 7x9 pixels."""
    b = NetworkBuilder("n", (12, 7, 9))
    x = b.input
    assert b.max_pool(x, 3, stride=2).shape == (12, 3, 4)
    assert b.max_pool(x, 2, stride=2, ceil_mode=True).shape == (12, 4, 5)
    assert b.avg_pool(x, 3, padding=1).shape == (12, 3, 3)
    assert b.global_avg_pool(x).shape == (12, 1, 1)
    assert b.concat(x, x, x).shape == (36, 7, 9)
    assert b.mul(x, b.global_avg_pool(x)).shape == (12, 7, 9)
    assert b.channel_shuffle(x, 3).shape == (12, 7, 9)
    assert b.slice_channels(x, 2, 5).shape == (3, 7, 9)
    assert b.pad_channels(x, 20, stride=2).shape == (20, 4, 5)
    assert b.upsample(x, 3).shape == (12, 21, 27)
    assert b.flatten(x).shape == (12 * 63, 1, 1)
    assert b.depthwise(x, 3, padding=1).shape == (12, 7, 9)
    assert b.linear(x, 5).shape == (5, 1, 1)
    assert b.build()["linear1"].C == 12 * 63


def test_ceil_mode_never_starts_a_window_in_the_padding():
    """Rounding up may not invent an output that sees no pixel: 4 pixels, 2x2/3 with padding 1 give 2, not 3."""
    b = NetworkBuilder("n", (1, 5, 5))
    assert b.max_pool(b.input, 2, stride=3, padding=1, ceil_mode=True).shape == (1, 2, 2)
    assert b.max_pool(b.input, 3, stride=2, ceil_mode=True).shape == (1, 2, 2)


def fresh() -> NetworkBuilder:
    """A builder with an 8x9x9 image and a 4x9x9 map."""
    b = NetworkBuilder("n", (8, 9, 9))
    b.conv(b.input, 4, name="c")
    return b


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda b: b.add(b.input, b.tensor("c")), "layer add1: adds input of shape 8x9x9 and c of shape 4x9x9"),
        (lambda b: b.add(b.input), "layer add1: add reads at least 2 inputs, got 1"),
        (lambda b: b.concat(), "layer concat1: concat reads at least 1 input, got 0"),
        (
            lambda b: b.concat(b.input, b.max_pool(b.input, 3)),
            "layer concat1: joins input of 9x9 pixels and max_pool1 of 3x3",
        ),
        (lambda b: b.mul(b.input, b.tensor("c")), "layer mul1: scales input of shape 8x9x9 by c of shape 4x9x9"),
        (lambda b: b.conv(b.input, 6, groups=4), "layer conv1: groups 4 do not divide 6 output channels"),
        (lambda b: b.conv(b.input, 4, 11), "layer conv1: kernel spans 11 pixels, larger than its input of 9"),
        (lambda b: b.max_pool(b.input, 10), "layer max_pool1: kernel spans 10 pixels"),
        (lambda b: b.max_pool(b.input, 3, stride=0), "layer max_pool1: kernel and stride must be at least 1"),
        (lambda b: b.channel_shuffle(b.input, 3), "layer channel_shuffle1: groups 3 do not divide 8 channels"),
        (lambda b: b.slice_channels(b.input, 4, 9), "layer slice_channels1: slice 4:9 is not within 8 channels"),
        (lambda b: b.slice_channels(b.input, 4, 4), "slice 4:4 is not within 8 channels"),
        (lambda b: b.pad_channels(b.input, 4), "layer pad_channels1: cannot pad 8 channels to 4"),
        (lambda b: b.pad_channels(b.input, 9, stride=0), "layer pad_channels1: stride must be at least 1, got 0"),
        (lambda b: b.upsample(b.input, 0), "layer upsample1: P must be a positive integer, got 0"),
        (lambda b: b.linear(b.input, 0, name="fc"), "layer fc: K must be a positive integer, got 0"),
        (lambda b: b.conv(b.input, 4, name="c"), "network n: two layers are named 'c'"),
        (lambda b: b.conv(b.input, 4, name="input"), "network n: 'input' is the image"),
        (lambda b: b.tensor("d"), "network n: no layer 'd'"),
        (lambda b: b.build()["cc"], "network n has no layer 'cc'; did you mean 'c'?"),
    ],
)
def test_a_graph_that_cannot_exist_is_refused(call, sentence):
    """One sentence names the layer and both sides of the contradiction."""
    with pytest.raises(WorkloadError) as refused:
        call(fresh())
    assert sentence in str(refused.value)


@pytest.mark.parametrize("shape", [(3, 0, 8), (3, 8, -8), (3, 8.0, 8), (True, 8, 8)])
def test_an_image_must_have_positive_sizes(shape):
    """The image is checked when the builder is made."""
    with pytest.raises(WorkloadError, match="network n: input must be three positive integers"):
        NetworkBuilder("n", shape)


def test_a_network_without_layers_is_refused():
    """An empty builder cannot be built."""
    with pytest.raises(WorkloadError, match="network n: has no layers"):
        NetworkBuilder("n", (3, 8, 8)).build()


def layer(name: str) -> Layer:
    """A layer that only has a name."""
    return Layer(name=name, op=Op.ACTIVATION, G=3, P=8, Q=8, input_shapes=(Shape(3, 8, 8),))


@pytest.mark.parametrize(
    ("names", "inputs", "sentence"),
    [
        ("ab", {"a": ("b",), "b": ("a",)}, "layer a reads 'b', which does not come before it"),
        ("ab", {"a": ("input",), "b": ("z",)}, "layer b reads 'z', which does not exist"),
        ("aa", {"a": ("input",)}, "two layers are named 'a'"),
        ("ab", {"a": ("input",)}, "nothing says what layer b reads"),
    ],
)
def test_a_network_checks_its_own_graph(names, inputs, sentence):
    """However it was made, a network object that exists can run in its order."""
    with pytest.raises(WorkloadError, match=f"network n: {sentence}"):
        Network(name="n", input_shape=Shape(3, 8, 8), layers=tuple(map(layer, names)), inputs=inputs)
