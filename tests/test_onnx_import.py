"""Does an ONNX file become the network that it is, every node accounted for?"""

import shutil
from math import prod
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="the onnx extra is not installed")

from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from accelsim.errors import WorkloadError
from accelsim.workload.batch_norm import fold_batch_norms
from accelsim.workload.imports.operations import Became, Imported
from accelsim.workload.layer import Layer, Op, Padding, Shape
from accelsim.workload.layer_list_writer import to_yaml
from accelsim.workload.loader import load_network
from accelsim.workload.onnx import import_onnx
from tests.onnx_models import MODELS, ints, model, node, weights
from tests.zoo_digest import layer_line

EXPORTS = Path(__file__).parent / "models"


@pytest.fixture
def read(tmp_path):
    """Return what a model becomes when it is written to a file and imported."""

    def imported(made, **options) -> Imported:
        path = tmp_path / "net.onnx"
        path.write_bytes(made.SerializeToString())
        return import_onnx(path, **options)

    return imported


def only(imported: Imported) -> Layer:
    """Return the one layer of a network."""
    (layer,) = imported.network
    return layer


@pytest.mark.parametrize("name", MODELS)
def test_every_node_is_accounted_for_once(read, name):
    """As many records as nodes, of the same operators."""
    made = MODELS[name]()
    imported = read(made)
    assert sorted(record.type for record in imported.records) == sorted(entry.op_type for entry in made.graph.node)
    layers = {layer.name for layer in imported.network}
    assert all(record.layer in layers for record in imported.records if record.became is Became.ARRAY)


@pytest.mark.parametrize("name", MODELS)
def test_a_written_network_is_read_back_as_it_was(read, tmp_path, name):
    """`accelsim import` loses nothing: layers, edges and input."""
    network = read(MODELS[name]()).network
    path = tmp_path / "net.yaml"
    path.write_text(to_yaml(network), encoding="utf-8")
    again = load_network(path)
    assert (again.layers, dict(again.inputs)) == (network.layers, dict(network.inputs))
    assert again.input_shape == network.input_shape


CONVOLUTIONS = [
    ({"pads": [1, 2, 3, 0]}, (8, 4, 3, 3), Padding(1, 3, 2, 0)),
    ({"strides": [2, 1], "auto_pad": "SAME_UPPER"}, (8, 4, 3, 4), Padding(0, 1, 1, 2)),
    ({"strides": [2, 1], "auto_pad": "SAME_LOWER"}, (8, 4, 3, 4), Padding(1, 0, 2, 1)),
    ({"auto_pad": "VALID", "dilations": [2, 3]}, (8, 4, 3, 3), Padding()),
    ({"group": 4, "kernel_shape": [5, 1], "pads": [2, 0, 2, 0]}, (8, 1, 5, 1), Padding(2, 2, 0, 0)),
    ({"group": 2, "strides": [3, 3]}, (6, 2, 1, 1), Padding()),
]


@pytest.mark.parametrize(("attributes", "shape", "padding"), CONVOLUTIONS)
def test_a_convolution_has_the_shape_that_the_reference_computes(read, attributes, shape, padding):
    """All paddings, groups, dilations and strides: onnx's own evaluator gives the output's shape."""
    made = model(
        [node("Conv", "x w b", **attributes)],
        {"w": weights(*shape), "b": weights(shape[0])},
        input_shape=(1, 4, 12, 10),
    )
    layer = only(read(made))
    (expected,) = ReferenceEvaluator(made).run(None, {"x": weights(1, 4, 12, 10)})
    assert layer.output_shape == expected.shape[1:]
    assert (layer.padding, layer.weights, layer.bias) == (padding, prod(shape), True)
    assert layer.macs == prod(shape[1:]) * expected.size


TRANSPOSED = [
    ({"strides": [2, 2]}, (4, 6, 2, 2)),
    ({"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}, (4, 6, 3, 3)),
    ({"strides": [2, 3], "pads": [1, 0, 0, 2]}, (4, 6, 4, 5)),
    ({"strides": [1, 1], "pads": [1, 1, 1, 1]}, (4, 6, 3, 3)),
    ({"strides": [1, 1], "pads": [2, 2, 2, 2]}, (4, 6, 2, 2)),
    ({"strides": [3, 3]}, (4, 6, 2, 2)),
    ({"strides": [2, 2], "dilations": [2, 1]}, (4, 6, 3, 3)),
    ({"strides": [2, 2], "dilations": [3, 3], "pads": [2, 2, 2, 2]}, (4, 6, 3, 3)),
]


@pytest.mark.parametrize(("attributes", "shape"), TRANSPOSED)
def test_a_transposed_convolution_is_convolutions_with_the_products_that_it_makes(read, attributes, shape):
    """Its shape is the reference's, and its MACs on real pixels are the products that reach the output.

    Counting: with an input and weights of ones, an output pixel is the number of products that it sums, over all.
    """
    made = model(
        [node("ConvTranspose", "x w", **attributes)], {"w": weights(*shape, value=1)}, input_shape=(1, 4, 7, 5)
    )
    network = read(made).network
    (expected,) = ReferenceEvaluator(made).run(None, {"x": weights(1, 4, 7, 5, value=1)})
    assert network.layers[-1].output_shape == expected.shape[1:]
    assert sum(real_products(layer) for layer in network.array_layers) == int(expected.sum())
    assert network.totals["params"] <= prod(shape)


def real_products(layer: Layer) -> int:
    """Return the products of a convolution that meet a real pixel, counted one by one."""

    def along(outputs: int, stride: int, pad: int, taps: int, dilation: int, size: int) -> int:
        places = (o * stride - pad + r * dilation for o in range(outputs) for r in range(taps))
        return sum(0 <= place < size for place in places)

    rows = along(layer.P, layer.stride[0], layer.padding.top, layer.R, layer.dilation[0], layer.H)
    cols = along(layer.Q, layer.stride[1], layer.padding.left, layer.S, layer.dilation[1], layer.W)
    return layer.G * layer.K * layer.C * rows * cols


def test_a_transposed_convolution_without_borders_has_each_tap_meet_each_pixel_once(read):
    """MACs are input pixels x weights, as every counter has it, and the bias counts once."""
    nodes = [node("ConvTranspose", "x w b", strides=[2, 2], pads=[1, 1, 1, 1])]
    network = read(model(nodes, {"w": weights(3, 5, 4, 4), "b": weights(5)})).network
    assert network.totals["macs"] == 8 * 8 * 3 * 5 * 16
    assert (network.totals["params_conv"], network.totals["params_bias"]) == (3 * 5 * 16, 5)


def test_a_transposed_convolution_in_groups_or_of_a_stated_size(read):
    """Cases that onnx's evaluator does not compute: groups keep their channels, a stated size sets the padding."""
    grouped = model(
        [node("ConvTranspose", "x w", strides=[2, 2], group=2)], {"w": weights(4, 3, 2, 2)}, input_shape=(1, 4, 7, 5)
    )
    network = read(grouped).network
    assert [(layer.G, layer.K, layer.C) for layer in network.array_layers] == [(2, 3, 2)] * 4
    assert network.totals["macs"] == 7 * 5 * 4 * 3 * 4
    sized = model(
        [node("ConvTranspose", "x w", strides=[2, 2], output_shape=[14, 11])],
        {"w": weights(4, 6, 3, 3)},
        input_shape=(1, 4, 7, 5),
    )
    assert read(sized).network.layers[-1].output_shape == (6, 14, 11)


POOLS = [
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ("MaxPool", {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 0, 1]}),
    ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1}),
    ("MaxPool", {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}),
    ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 2]}),
    ("GlobalAveragePool", {}),
    ("GlobalMaxPool", {}),
]


@pytest.mark.parametrize(("kind", "attributes"), POOLS)
def test_a_pool_has_the_shape_that_the_reference_computes(read, kind, attributes):
    """Rounding up, paddings on single sides, and pools over all pixels."""
    made = model([node(kind, "x", **attributes)], input_shape=(1, 2, 8, 10))
    (expected, *_) = ReferenceEvaluator(made).run(None, {"x": weights(1, 2, 8, 10)})
    assert only(read(made)).output_shape == expected.shape[1:]


MOVES = [
    (node("Transpose", "x", perm=[0, 2, 3, 1]), {}, Op.TRANSPOSE),
    (node("Slice", "x one two axis"), {"one": ints(1), "two": ints(3), "axis": ints(2)}, Op.SLICE),
    (node("Pad", "x pads"), {"pads": ints(0, 0, 1, 2, 0, 0, 3, 4)}, Op.MOVE),
    (node("Tile", "x repeats"), {"repeats": ints(1, 1, 2, 3)}, Op.MOVE),
    (node("ReduceMean", "x", axes=[1], keepdims=0), {}, Op.MOVE),
    (node("ReduceMax", "x", axes=[-1, -2]), {}, Op.MAX_POOL),
    (node("Resize", "x - - sizes", mode="nearest"), {"sizes": ints(1, 4, 9, 12)}, Op.UPSAMPLE),
    (node("DepthToSpace", "x", blocksize=2), {}, Op.MOVE),
    (node("SpaceToDepth", "x", blocksize=2), {}, Op.MOVE),
    (node("Gather", "x where", axis=1), {"where": ints(0, 1, 2, 3)}, None),
    (node("Gather", "x where", axis=1), {"where": ints(0, 2, 3)}, Op.MOVE),
    (node("Gather", "x where", axis=2), {"where": ints(-1)}, Op.SLICE),
    (node("ArgMax", "x", axis=1, keepdims=1), {}, Op.MOVE),
    (node("Concat", "x x", axis=1), {}, Op.CONCAT),
    (node("Concat", "x x", axis=3), {}, Op.MOVE),
    (node("Softmax", "x", axis=1), {}, Op.SOFTMAX),
    (node("LRN", "x", size=3), {}, Op.LRN),
    (node("HardSwish", "x"), {}, Op.ACTIVATION),
    (node("Expand", "x shape"), {"shape": ints(1, 4, 8, 6)}, None),
    (node("Reshape", "x shape"), {"shape": ints(0, -1, 3)}, None),
    (node("Flatten", "x", axis=2), {}, None),
]


@pytest.mark.parametrize(("entry", "constants", "op"), MOVES, ids=[case[0].op_type for case in MOVES])
def test_movement_of_data_has_the_words_that_the_reference_makes(read, entry, constants, op):
    """An operation that moves data writes as many words as onnx's own evaluator; a view makes no layer at all."""
    entry.output[0] = "m"
    made = model([entry, node("Abs", "m")], constants, input_shape=(1, 4, 8, 6))
    (expected,) = ReferenceEvaluator(made).run(None, {"x": weights(1, 4, 8, 6)})
    network = read(made).network
    assert network.layers[-1].output_words == expected.size
    assert [layer.op for layer in network.layers[:-1]] == ([] if op is None else [op])


def test_products_of_two_values_are_matmuls_in_groups(read):
    """Attention: four heads of 5 x 4 by 4 x 5, then 5 x 5 by 5 x 4; a batch multiplies the groups."""
    network = read(MODELS["attention"]()).network
    first, second = (layer for layer in network if layer.op is Op.MATMUL)
    assert (first.G, first.P, first.C, first.K) == (4, 5, 4, 5)
    assert (second.G, second.P, second.C, second.K) == (4, 5, 5, 4)
    assert first.weights == 4 * 4 * 5
    batched = network.with_batch(3)[first.name]
    assert (batched.G, batched.N, batched.macs, batched.output_shape) == (12, 1, 3 * first.macs, first.output_shape)
    assert batched.with_batch(2).macs == 2 * first.macs


def test_attention_is_the_same_however_an_exporter_takes_it_apart(read):
    """Transpositions that only products read, a scalar factor and a bias apart from its product leave no layer."""
    ops = [layer.op for layer in read(MODELS["attention"]()).network]
    views = [Op.SLICE] * 3
    attention = [Op.MATMUL, Op.SOFTMAX, Op.MATMUL]
    assert ops == [Op.LAYER_NORM, Op.LINEAR, *views, *attention, Op.LINEAR, Op.ADD]
    linear = read(MODELS["attention"]()).network["linear1"]
    assert (linear.C, linear.K, linear.P, linear.bias) == (16, 48, 5, True)


EQUATIONS = [("bhqd,bhkd->bhqk", (2, 3, 5, 4), (2, 3, 6, 4)), ("bqd,bdk->bqk", (2, 5, 4), (2, 4, 6))]


@pytest.mark.parametrize(("equation", "first", "second"), EQUATIONS)
def test_an_einstein_sum_of_two_tensors_is_a_matmul(read, equation, first, second):
    """Groups, rows, inner and columns follow from the letters."""
    made = model([node("Einsum", "a b", equation=equation)], inputs={"a": first, "b": second})
    (expected,) = ReferenceEvaluator(made).run(None, {"a": weights(*first), "b": weights(*second)})
    layer = read(made).network.layers[-1]
    assert layer.op is Op.MATMUL
    assert layer.macs * 2 == expected.size * 4  # per image


SPLIT_UP = {
    "silu": ([node("Sigmoid", "x", "s"), node("Mul", "x s")], {}),
    "hard_swish": ([node("HardSigmoid", "x", "s"), node("Mul", "s x")], {}),
    "gelu": (
        [node("Div", "x root", "d"), node("Erf", "d", "e"), node("Add", "e one", "a"), node("Mul", "x a", "m"),
         node("Mul", "m half")],
        {"root": weights(), "one": weights(), "half": weights()},
    ),
    "gelu of a half": (
        [node("Div", "x root", "d"), node("Erf", "d", "e"), node("Add", "e one", "a"), node("Mul", "x half", "h"),
         node("Mul", "h a")],
        {"root": weights(), "one": weights(), "half": weights()},
    ),
    "layer_norm": (
        [node("ReduceMean", "x", "mean", axes=[-1]), node("Sub", "x mean", "d"), node("Pow", "d two", "p"),
         node("ReduceMean", "p", "var", axes=[-1]), node("Add", "var eps", "v"), node("Sqrt", "v", "s"),
         node("Div", "d s", "n"), node("Mul", "n gamma", "g"), node("Add", "g beta")],
        {"two": weights(), "eps": weights(), "gamma": weights(8), "beta": weights(8)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPLIT_UP)
def test_what_exporters_take_apart_becomes_one_layer_again(read, name):
    """An activation or a normalisation written as several nodes is one layer; all nodes stay on record."""
    nodes, constants = SPLIT_UP[name]
    imported = read(model(nodes, constants))
    layer = only(imported)
    assert layer.detail == name.split()[0]
    assert len(imported.records) == len(nodes)
    assert layer.params == (16 if name == "layer_norm" else 0)


def test_what_others_read_is_not_fused_away(read):
    """A sigmoid that is an output too stays."""
    nodes = [node("Sigmoid", "x", "s"), node("Mul", "x s")]
    assert len(read(model(nodes, outputs=("y", "s"))).network) == 2


def test_a_constant_added_to_channels_is_the_bias(read):
    """Of a product and of a convolution; one that is not per channel stays an operation with parameters."""
    product = [node("MatMul", "x w", "m"), node("Add", "b m")]
    layer = only(read(model(product, {"w": weights(16, 4), "b": weights(4)}, input_shape=(1, 16))))
    assert (layer.op, layer.bias) == (Op.LINEAR, True)
    conv = [node("Conv", "x w", "c"), node("Add", "c b")]
    layer = only(read(model(conv, {"w": weights(4, 3, 1, 1), "b": weights(1, 4, 1, 1)})))
    assert (layer.op, layer.bias) == (Op.CONV, True)
    network = read(model(conv, {"w": weights(4, 3, 1, 1), "b": weights(1, 4, 8, 8)})).network
    assert [layer.params_other for layer in network] == [0, 256]


def test_batch_norms_fold_where_that_is_legal(read):
    """After a convolution, not after an activation; folding leaves a bias and the same MACs."""
    nodes = [
        node("Conv", "x w", "c"),
        node("BatchNormalization", "c s s s s", "n"),
        node("Relu", "n", "r"),
        node("BatchNormalization", "r s s s s"),
    ]
    imported = read(model(nodes, {"w": weights(4, 3, 1, 1), "s": weights(4)}))
    became = [record.became for record in imported.records]
    assert became == [Became.ARRAY, Became.FOLDED, Became.MOVES, Became.MOVES]
    folded = fold_batch_norms(imported.network)
    assert [layer.op for layer in folded] == [Op.CONV, Op.ACTIVATION, Op.BATCH_NORM]
    assert folded.layers[0].bias
    assert folded.totals["macs"] == imported.network.totals["macs"]


def test_quantised_models_have_the_layers_of_the_plain_ones(read):
    """QLinearConv is a convolution; quantisers are views; weights behind one keep their shape."""
    network = read(MODELS["quantised"]()).network
    assert [layer_line(layer) for layer in network] == [
        "3x8x8>4x8x8 k3x3 s1x1 p1x1 g1 b1",
        "4x8x8>5x8x8 k1x1 s1x1 p0x0 g1 b0",
    ]


def test_unknown_operators_are_listed_charged_and_refused_when_strict(read):
    """With the file's shapes they are data movement; `strict` names the first."""
    imported = read(MODELS["unknown"]())
    assert imported.unknown == {"Mystery": 2}
    assert [layer.output_shape for layer in imported.network if layer.detail == "Mystery"] == [(4, 8, 8), (2, 8, 8)]
    with pytest.raises(WorkloadError, match=r"net.onnx: node #2 \(Mystery\): unknown operator$"):
        read(MODELS["unknown"](), strict=True)


def test_open_sizes_are_asked_for_and_taken(read):
    """An open batch is one image; other open sizes have to be given, by shape or by name."""
    made = model([node("Relu", "x")], input_shape=("batch", 3, "height", "width"))
    with pytest.raises(WorkloadError, match=r"no fixed size along axis 2 .'height'.*give the shape of one image"):
        read(made)
    assert read(made, input_shape=(3, 6, 7)).network.input_shape == Shape(3, 6, 7)
    assert read(made, dims={"height": 5, "width": 4}).network.input_shape == Shape(3, 5, 4)


def test_a_fixed_batch_is_divided_out(read):
    """Layers are those of one image, whatever batch the model was exported for."""
    nodes = [node("Conv", "x w", "c"), node("Reshape", "c shape", "r"), node("Gemm", "r v")]
    constants = {"w": weights(4, 3, 1, 1), "shape": ints(6, -1), "v": weights(256, 10)}
    imported = read(model(nodes, constants, input_shape=(6, 3, 8, 8)))
    assert imported.batch == 6
    assert [layer.macs for layer in imported.network] == [4 * 3 * 64, 2560]


def test_several_inputs_are_parts_of_one(read):
    """A network has one input: the models' follow each other in it."""
    made = model([node("Add", "a b")], inputs={"a": (1, 3, 4, 4), "b": (1, 3, 4, 4)})
    network = read(made).network
    assert network.input_shape.words == 2 * 48
    assert [layer.op for layer in network] == [Op.SLICE, Op.SLICE, Op.ADD]


def test_one_dimensional_convolutions_lie_along_the_width(read):
    """A signal is an image of one row."""
    made = model([node("Conv", "x w", pads=[1, 1])], {"w": weights(4, 3, 3)}, input_shape=(1, 3, 20))
    layer = read(made).network["conv1"]
    assert (layer.P, layer.Q, layer.R, layer.S, layer.padding) == (1, 20, 1, 3, Padding(0, 0, 1, 1))


def test_channel_shuffles_are_recognised(read):
    """Reshape, transpose, reshape: the built-in networks' channel shuffle."""
    nodes = [
        node("Reshape", "x split", "s"),
        node("Transpose", "s", "t", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t joined"),
    ]
    layer = only(
        read(model(nodes, {"split": ints(1, 3, 2, 8, 8), "joined": ints(1, 6, 8, 8)}, input_shape=(1, 6, 8, 8)))
    )
    assert (layer.op, layer.detail, layer.output_shape) == (Op.CHANNEL_SHUFFLE, "groups=3", (6, 8, 8))


def test_weights_outside_the_file_are_never_read(read):
    """Only the shape of a tensor that lies elsewhere counts; the place need not exist."""
    made = model([node("Conv", "x w")], {"w": weights(4, 3, 3, 3)})
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/nowhere/weights.bin"
    assert only(read(made)).weights == 108


def test_layers_are_named_after_their_parameters(read):
    """PyTorch's paths become blocks; what has no parameters is counted in the block of what it reads."""
    nodes = [node("Conv", "x layer1.0.conv1.weight", "c", name="n1"), node("Relu", "c", name="n2")]
    network = read(model(nodes, {"layer1.0.conv1.weight": weights(4, 3, 1, 1)}, producer="pytorch")).network
    assert [(layer.name, layer.block) for layer in network] == [
        ("layer1/0/conv1", "layer1/0"),
        ("layer1/0/relu1", "layer1/0"),
    ]
    named = [node("Conv", "x w", "c", name="stem/conv"), node("Relu", "c", name="stem/act")]
    assert [layer.name for layer in read(model(named, {"w": weights(4, 3, 1, 1)})).network] == ["stem/conv", "stem/act"]


@pytest.mark.parametrize(
    ("export", "name"),
    [
        ("tv_squeezenet1_1_224", "squeezenet_v1.1"),
        ("pcv_shufflenet_g3_w1_224", "shufflenet_g3"),
        ("tv_mobilenet_v2_224", "mobilenet_v2"),
        ("caffe_1.0-SqNxt-23v5_227", "squeezenext23v5"),
    ],
)
def test_exports_of_public_models_have_the_layers_of_the_built_in_networks(export, name):
    """MACs, parameters and every layer on the array, of torchvision's, pytorchcv's and the authors' definitions."""
    imported, builtin = import_onnx(EXPORTS / f"{export}.onnx"), load_network(name)
    assert not imported.unknown
    for key in ("macs", "params_conv", "params_linear", "params_bn"):
        assert imported.network.totals[key] == builtin.totals[key]
    lines = [sorted(layer_line(layer) for layer in net.array_layers) for net in (imported.network, builtin)]
    assert lines[0] == lines[1]


def test_a_model_runs_wherever_a_name_does(tmp_path):
    """`simulate` takes the file, and says the same as of the built-in network."""
    from accelsim import simulate

    path = tmp_path / "squeezenet.onnx"
    shutil.copy(EXPORTS / "tv_squeezenet1_1_224.onnx", path)
    ours, builtin = simulate(str(path), "8x8_32KB"), simulate("squeezenet_v1.1", "8x8_32KB")
    for key in ("macs", "params", "cycles", "energy", "dram_words"):
        assert ours.totals[key] == pytest.approx(builtin.totals[key])


def test_products_per_token_cost_what_the_pointwise_convolution_costs(read):
    """A linear layer on 5 tokens is a 1x1 convolution of 5 pixels: same cycles, energy and traffic."""
    from accelsim import simulate

    made = model([node("MatMul", "x w")], {"w": weights(16, 24)}, input_shape=(1, 5, 16))
    linear = simulate(read(made).network, "8x8_32KB").totals
    conv = model([node("Conv", "x w")], {"w": weights(24, 16, 1, 1)}, input_shape=(1, 16, 5, 1))
    pointwise = simulate(read(conv).network, "8x8_32KB").totals
    for key in ("macs", "cycles", "energy", "dram_words", "glb_words"):
        assert linear[key] == pointwise[key]


def test_reference_values_are_stored_as_the_reader_takes_them(read):
    """Shapes stored as typed values, not raw bytes, fold as well."""
    made = model([node("Reshape", "x shape", "r"), node("Gemm", "r w")], {"w": weights(96, 4)})
    shape = numpy_helper.from_array(ints(2, 96), "shape")
    shape.ClearField("raw_data")
    shape.int64_data.extend([2, 96])
    made.graph.initializer.append(shape)
    assert read(made).network.layers[-1].macs == 2 * 96 * 4
