"""Is a layer's arithmetic that of the convolution it stands for, and does it refuse what cannot exist?"""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import WorkloadError
from accelsim.workload.layer import Kind, Layer, Op, Padding, Shape, pair, resolve_padding, window_extent

small = st.integers(1, 7)


@st.composite
def convolutions(draw: st.DrawFn) -> Layer:
    """Small convolutions of every kind whose kernel fits the padded input."""
    kernel = (draw(small), draw(small))
    dilation = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    padding = tuple(draw(st.integers(0, 3)) for _ in range(4))
    size = tuple(
        draw(st.integers(max(1, (kernel[axis] - 1) * dilation[axis] + 1 - sum(padding[2 * axis : 2 * axis + 2])), 20))
        for axis in range(2)
    )
    groups = draw(st.integers(1, 3))
    return Layer.conv(
        "c",
        groups * draw(st.integers(1, 3)),
        groups * draw(st.integers(1, 3)),
        size,
        kernel,
        stride=(draw(st.integers(1, 4)), draw(st.integers(1, 4))),
        padding=padding,
        dilation=dilation,
        groups=groups,
        batch=draw(st.integers(1, 2)),
    )


def starts(size: int, kernel: int, stride: int, dilation: int, before: int, after: int) -> list[int]:
    """Every first pixel of a window that stays within the padded input, by trying each pixel."""
    return [
        start
        for start in range(-before, size + after)
        if (start + before) % stride == 0 and start + (kernel - 1) * dilation < size + after
    ]


@given(st.integers(0, 9), small, st.integers(1, 4), st.integers(1, 3), small, st.integers(0, 5), st.integers(1, 30))
def test_window_extent_is_the_hull_of_the_windows_on_real_pixels(first, outputs, stride, dilation, kernel, pad, size):
    """The closed form counts exactly the real pixels between the first and the last window's ends."""
    ends = [(o * stride - pad, o * stride - pad + (kernel - 1) * dilation) for o in range(first, first + outputs)]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    real = [pixel for pixel in range(size) if low <= pixel <= high]
    assert window_extent(first, outputs, stride, dilation, kernel, pad, size) == len(real)


@given(convolutions())
def test_output_size_is_the_number_of_windows_that_fit(layer):
    """P and Q equal a count of window positions, tried one by one."""
    pads = (layer.padding[:2], layer.padding[2:])
    sizes, kernels, outputs = (layer.H, layer.W), (layer.R, layer.S), (layer.P, layer.Q)
    for axis in range(2):
        windows = starts(sizes[axis], kernels[axis], layer.stride[axis], layer.dilation[axis], *pads[axis])
        assert outputs[axis] == len(windows)


@given(convolutions())
def test_macs_are_one_per_weight_and_output_that_it_feeds(layer):
    """MACs equal the multiplications of a convolution carried out channel by channel."""
    per_pair_of_maps = len(list(product(range(layer.P), range(layer.Q), range(layer.R), range(layer.S))))
    pairs = sum(
        1
        for source, target in product(range(layer.G * layer.C), range(layer.G * layer.K))
        if source // layer.C == target // layer.K
    )
    assert layer.macs == layer.N * pairs * per_pair_of_maps
    assert layer.weights == pairs * layer.R * layer.S


@given(convolutions())
def test_input_words_are_the_real_pixels_that_the_windows_span(layer):
    """The footprint counts pixels of the image between the outermost window ends, and never padding."""
    spans = []
    for size, kernel, axis in ((layer.H, layer.R, 0), (layer.W, layer.S, 1)):
        before, after = layer.padding[2 * axis], layer.padding[2 * axis + 1]
        windows = starts(size, kernel, layer.stride[axis], layer.dilation[axis], before, after)
        high = windows[-1] + (kernel - 1) * layer.dilation[axis]
        spans.append(sum(windows[0] <= pixel <= high for pixel in range(size)))
    assert layer.input_words == layer.N * layer.input_shapes[0].channels * spans[0] * spans[1]
    assert layer.output_words == layer.N * layer.output_shape.words


def test_footprint_leaves_out_pixels_that_no_window_reaches():
    """A 1x1 convolution of stride 2 on 56 pixels never reads the last row and column."""
    layer = Layer.conv("c", 32, 64, 56, stride=2)
    assert (layer.P, layer.input_words) == (28, 32 * 55 * 55)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"kernel": 1}, Kind.POINTWISE),
        ({"kernel": 3}, Kind.STANDARD),
        ({"kernel": (1, 3)}, Kind.STANDARD),
        ({"kernel": 3, "groups": 2}, Kind.GROUPED),
        ({"kernel": 1, "groups": 2}, Kind.GROUPED),
        ({"kernel": 3, "groups": 8}, Kind.DEPTHWISE),
        ({"kernel": 1, "groups": 8}, Kind.DEPTHWISE),
    ],
)
def test_kind_of_a_convolution(options, kind):
    """Groups decide before the kernel does."""
    assert Layer.conv("c", 8, 8, 9, **options).kind is kind


def test_kind_of_other_layers():
    """Linear layers are a kind of their own; whatever moves data is 'other'."""
    shape = (Shape(8, 3, 3),)
    assert Layer(name="l", op=Op.LINEAR, K=5, C=72, input_shapes=shape).kind is Kind.LINEAR
    assert Layer(name="a", op=Op.ADD, G=8, P=3, Q=3, input_shapes=shape * 2).kind is Kind.OTHER


def test_data_moving_layers_have_no_macs_and_no_weights():
    """A batch norm costs parameters and traffic, but neither MACs nor weights on the array."""
    layer = Layer(name="b", op=Op.BATCH_NORM, G=8, P=3, Q=3, input_shapes=(Shape(8, 3, 3),))
    assert (layer.macs, layer.weights, layer.params_bn, layer.params) == (0, 0, 16, 16)
    assert (layer.input_words, layer.output_words, layer.arithmetic_intensity) == (72, 72, 0)


def test_params_split_into_weights_and_bias():
    """A bias is one parameter an output channel, over all groups."""
    layer = Layer.conv("c", 8, 12, 9, 3, groups=4, bias=True)
    assert (layer.params_weights, layer.params_bias, layer.params) == (12 * 2 * 9, 12, 228)


def test_batch_multiplies_work_and_maps_but_not_weights():
    """Weights are shared by the images of a batch."""
    one = Layer.conv("c", 8, 12, 9, 3)
    four = one.with_batch(4)
    assert (four.macs, four.input_words, four.output_words) == (4 * one.macs, 4 * one.input_words, 4 * one.output_words)
    assert (four.weights, four.params) == (one.weights, one.params)


def test_shape_key_is_equal_for_layers_of_equal_cost_only():
    """Name and block do not count, everything that moves a cycle does."""
    base = Layer.conv("a", 8, 12, 9, 3, padding=1, block="x")
    assert base.shape_key == Layer.conv("b", 8, 12, 9, 3, padding=1, block="y").shape_key
    others = [
        Layer.conv("a", 8, 12, 9, 3, padding=(1, 1, 0, 2)),
        Layer.conv("a", 8, 12, 9, 3, padding=1, groups=2),
        Layer.conv("a", 8, 12, 10, 3, padding=(1, 0, 1, 0)),
        base.with_batch(2),
    ]
    assert all(base.shape_key != other.shape_key for other in others)


@given(st.integers(1, 40), small, st.integers(1, 5), st.integers(1, 3))
def test_same_padding_gives_one_output_a_stride(size, kernel, stride, dilation):
    """'same' means ceil(size / stride) outputs, with the odd pixel of padding at the end."""
    pads = resolve_padding("c", "same", (size, size), (kernel, kernel), (stride, stride), (dilation, dilation))
    layer = Layer.conv("c", 1, 1, size, kernel, stride=stride, padding=tuple(pads), dilation=dilation)
    outputs = layer.P
    assert outputs == -(-size // stride)
    assert 0 <= pads.bottom - pads.top <= 1
    assert pads[:2] == pads[2:]


def test_padding_and_pairs_read_one_two_or_four_numbers():
    """Two numbers are vertical and horizontal, four are top, bottom, left, right."""
    where = ((9, 9), (3, 3), (1, 1), (1, 1))
    assert resolve_padding("c", 2, *where) == Padding(2, 2, 2, 2)
    assert resolve_padding("c", (1, 2), *where) == Padding(1, 1, 2, 2)
    assert resolve_padding("c", (1, 2, 3, 4), *where) == Padding(1, 2, 3, 4)
    assert (pair(3), pair((1, 2)), pair([2, 1])) == ((3, 3), (1, 2), (2, 1))


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        ((8, 8, 9, 3), {"groups": 3}, "layer c: groups 3 do not divide 8 input channels"),
        ((9, 8, 9, 3), {"groups": 3}, "layer c: groups 3 do not divide 8 output channels"),
        ((8, 8, 5, 7), {}, "layer c: kernel spans 7 pixels, larger than its input of 5 with padding 0+0"),
        ((8, 8, (9, 2), 3), {"padding": (0, 0, 0, 0)}, "kernel spans 3 pixels, larger than its input of 2"),
        ((8, 8, 5, 3), {"dilation": 3}, "kernel spans 7 pixels"),
        ((8, 8, 9, 0), {}, "must be at least 1, got channels 8 -> 8, kernel 0x0"),
        ((0, 8, 9, 3), {}, "got channels 0 -> 8"),
        ((8, -1, 9, 3), {}, "got channels 8 -> -1"),
        ((8, 8, 9, 3), {"stride": 0}, "stride (0, 0)"),
        ((8, 8, 9, 3), {"dilation": (1, 0)}, "dilation (1, 0)"),
        ((8, 8, 9, 3), {"groups": 0}, "groups 0"),
        ((8, 8, 9, 3), {"padding": -1}, "padding must not be negative, got (-1, -1, -1, -1)"),
        ((8, 8, 9, 3), {"padding": (1, 2, 3)}, "padding must have 1, 2 or 4 numbers, got 3"),
        ((8, 8, 9, 3), {"padding": "valid"}, "padding must be numbers or 'same', got 'valid'"),
        ((8, 8, 9, 3), {"batch": 0}, "layer c: N must be a positive integer, got 0"),
        ((8, 8, 9, 3), {"batch": 1.5}, "layer c: N must be a positive integer, got 1.5"),
    ],
)
def test_a_convolution_that_cannot_exist_is_refused(arguments, options, sentence):
    """One sentence names the layer and the numbers that do not fit."""
    with pytest.raises(WorkloadError) as refused:
        Layer.conv("c", *arguments, **options)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"C": 4}, "groups x input channels per group is 1 x 4, but the input has 8 channels"),
        ({"P": 8}, "output is 8x9, but input 9x9, kernel 1x1"),
        ({"input_shapes": ()}, "needs at least one input"),
        ({"stride": (0, 1)}, r"stride must be at least 1, got \(0, 1\)"),
        ({"padding": Padding(0, 0, -1, 0)}, "padding must not be negative"),
    ],
)
def test_a_layer_whose_dims_contradict_each_other_is_refused(fields, sentence):
    """A layer object that exists is consistent."""
    good = {"name": "c", "op": Op.CONV, "K": 8, "C": 8, "P": 9, "Q": 9, "input_shapes": (Shape(8, 9, 9),)}
    Layer(**good)
    with pytest.raises(WorkloadError, match=f"layer c: {sentence}"):
        Layer(**{**good, **fields})
