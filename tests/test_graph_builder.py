"""Do the operations of imported networks cost and refuse what they should?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nest_strategies import machines, nests

from accelsim.engine.closed_form import evaluate
from accelsim.errors import WorkloadError
from accelsim.lowering import lower_layer
from accelsim.workload.graph_builder import GraphBuilder
from accelsim.workload.layer import Layer, Op, Shape
from accelsim.workload.network import Network, NetworkBuilder

small = st.integers(1, 5)


def built(shape: tuple[int, int, int]) -> GraphBuilder:
    """Return an empty network of an input."""
    return GraphBuilder("net", shape)


def layer_of(b: GraphBuilder) -> Layer:
    """Return the one layer built."""
    (layer,) = b.build()
    return layer


@given(st.data(), small, small, small, small)
def test_a_matmul_moves_what_the_grouped_pointwise_convolution_of_its_dims_moves(data, groups, columns, inner, rows):
    """The same mapping on any machine gives the same counts: rows are pixels, the second factor is the weights."""
    b = built((groups * inner, rows, 1))
    factor = b.move(b.input, shape=Shape(groups * columns, inner, 1), function="expand")
    b.matmul(b.input, factor, rows, inner, columns, groups=groups, name="m")
    matmul = b.build()["m"]
    conv = Layer.conv("c", groups * inner, groups * columns, (rows, 1), groups=groups)
    assert matmul.dims == conv.dims
    machine = data.draw(machines(unbounded=True))
    nest = data.draw(nests(conv, machine))
    assert evaluate(nest, matmul, machine) == evaluate(nest, conv, machine)


@given(st.data(), small, small, small, small)
def test_a_linear_layer_per_pixel_is_the_pointwise_convolution(data, features, channels, height, width):
    """In the closed form, and in what the kernels of the first engine take."""
    b = built((channels, height, width))
    b.linear(b.input, features, per_pixel=True)
    linear, conv = layer_of(b), Layer.conv("c", channels, features, (height, width))
    machine = data.draw(machines(unbounded=True))
    nest = data.draw(nests(conv, machine))
    assert evaluate(nest, linear, machine) == evaluate(nest, conv, machine)
    for ours, theirs in zip(lower_layer(linear), lower_layer(conv), strict=True):
        assert (ours == theirs).all()
    assert (linear.params, linear.input_words, linear.output_words) == (
        conv.params,
        conv.input_words,
        conv.output_words,
    )


def test_a_linear_layer_over_a_map_reads_one_flat_pixel():
    """All of a map's words are its input channels, also if the map is one pixel high."""
    for shape in ((4, 3, 3), (12, 1, 1), (4, 1, 9)):
        layer = Layer.conv("c", 1, 1, 1)
        b = built(shape)
        b.linear(b.input, 7)
        layer = layer_of(b)
        assert (layer.C, layer.P, layer.Q, layer.array_input_size) == (shape[0] * shape[1] * shape[2], 1, 1, (1, 1))


def test_each_image_of_a_batch_has_its_own_second_factor():
    """A batch of a matmul multiplies groups and all words; weights of other layers do not grow."""
    b = built((8, 5, 1))
    x = b.linear(b.input, 8, per_pixel=True, name="fc")
    b.matmul(x, b.input, 5, 8, 5, name="m")
    once, batched = b.build(), b.build().with_batch(4)
    assert (batched["m"].G, batched["m"].weights) == (4, 4 * once["m"].weights)
    assert (batched["m"].input_words, batched["m"].output_words) == (4 * 40, 4 * 25)
    assert batched["m"].output_shape == once["m"].output_shape
    assert batched["fc"].weights == once["fc"].weights
    assert batched.totals["macs"] == 4 * once.totals["macs"]


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (
            lambda b: b.matmul(b.input, b.input, 3, 4, 5),
            "the first factor, input of shape 4x2x2, does not have the words of 1 x 3 x 4",
        ),
        (lambda b: b.reshape(b.input, Shape(4, 2, 1)), "has 16 words, 4x2x1 has 8"),
        (lambda b: b.transpose(b.input, Shape(4, 2, 1)), "has 16 words, 4x2x1 has 8"),
        (lambda b: b.slice(b.input, Shape(4, 2, 3)), "a slice of 4x2x3 is larger than input of shape 4x2x2"),
        (
            lambda b: b.interleave(b.input, b.input, shape=Shape(4, 2, 2)),
            "its inputs have more words than its output of 4x2x2",
        ),
        (lambda b: b.elementwise(b.input, "add", params=-1), "params_other must not be negative, got -1"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(build, expected):
    """The message names the layer, both shapes and what is wrong."""
    with pytest.raises(WorkloadError, match=expected):
        build(built((4, 2, 2)))


def test_views_lie_in_what_they_are_views_of():
    """The memory planner gives reshapes and slices no storage of their own, and copies some."""
    from accelsim.workload.memory import liveness

    b = built((4, 4, 4))
    x = b.relu(b.input, name="a")
    x = b.slice(b.reshape(x, Shape(16, 4, 1), name="r"), Shape(8, 4, 1), name="s")
    b.transpose(x, Shape(4, 8, 1), name="t")
    live = liveness(b.build(), in_place=False)
    assert {buffer.name: buffer.layers for buffer in live.buffers} == {
        "input": ("input",),
        "a": ("a", "r", "s"),
        "t": ("t",),
    }


def test_other_parameters_count_in_the_totals():
    """Gamma and beta of a layer norm, a position embedding."""
    b = built((8, 5, 1))
    b.layer_norm(b.elementwise(b.input, "add", params=40), params=16)
    totals = b.build().totals
    assert (totals["params"], totals["params_other"]) == (56, 56)


def test_a_network_has_a_largest_number_of_layers(monkeypatch):
    """A parameter that asks for more ends with a sentence, not with an hour."""
    monkeypatch.setattr("accelsim.workload.network.MAX_LAYERS", 3)
    b = NetworkBuilder("net", (1, 1, 1))
    x = b.relu(b.relu(b.relu(b.input)))
    assert isinstance(b.build(), Network)
    with pytest.raises(WorkloadError, match="network net: has more than 3 layers"):
        b.relu(x)
    assert [layer.op for layer in b.build()] == [Op.ACTIVATION] * 3
