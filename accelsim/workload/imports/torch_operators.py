"""PyTorch's ATen operators as steps; their shapes are those that ``torch.export`` found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from accelsim.workload.imports.constants import Constant
from accelsim.workload.imports.onnx_moves import add_concat, add_reduction, add_slice, add_split, add_transpose
from accelsim.workload.imports.onnx_operators import add_constant
from accelsim.workload.imports.operations import Step
from accelsim.workload.imports.products import add_einsum, add_linear, add_product
from accelsim.workload.imports.translation import Node, Translation, axis_of, parameter_path
from accelsim.workload.imports.windows import check_groups, spatial, transposed_window, window


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of an operator.

    Attributes:
        node: Its name, and the tensors that it reads and makes.
        arguments: All arguments by name; tensors are their names.
        made: Shape of every tensor that it makes.
    """

    node: Node
    arguments: Mapping[str, Any]
    made: Sequence[tuple[int, ...]]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an argument; None counts as left out."""
        value = self.arguments.get(name)
        return default if value is None else value

    def tensors(self, *names: str) -> Node:
        """Return the node with these arguments as its inputs, in order; absent ones are empty."""
        inputs = [value if isinstance(value := self.arguments.get(name), str) else "" for name in names]
        return Node(
            name=self.node.name,
            type=self.node.type,
            inputs=inputs,
            outputs=self.node.outputs,
            attributes=self.node.attributes,
        )


Handler = Callable[[Translation, Call], None]

ATEN: dict[str, Handler] = {}
"""What translates each operator, by its name without overload and trailing underscore."""


def aten(*names: str) -> Callable[[Handler], Handler]:
    """Register the translation of operators."""

    def register(handler: Handler) -> Handler:
        ATEN.update(dict.fromkeys(names, handler))
        return handler

    return register


def _each(value: Any, count: int) -> list[int]:
    """Return one number per axis of one number or several."""
    numbers = [value] if isinstance(value, int) else list(value)
    return numbers * count if len(numbers) == 1 else numbers


@aten("conv1d", "conv2d", "conv3d", "convolution", "_convolution")
def _conv(t: Translation, call: Call) -> None:
    node = call.tensors("input", "weight", "bias")
    shape, weights = t.shape(node, 0), t.needs(node, 1, "weights")
    sizes = spatial(node, shape)
    if call.get("transposed", False):
        _conv_transpose(t, call)
        return
    groups, padding = call.get("groups", 1), call.get("padding", 0)
    check_groups(node, groups, shape[1], weights.shape[1], weights.shape[0])
    sides: Any = None
    auto_pad = "NOTSET"
    if isinstance(padding, str):
        auto_pad = "SAME_UPPER" if padding == "same" else "VALID"
    else:
        sides = _each(padding, len(sizes)) * 2
    spec = window(
        node,
        sizes,
        weights.shape[2:],
        stride=_each(call.get("stride", 1), len(sizes)),
        dilation=_each(call.get("dilation", 1), len(sizes)),
        pads=sides,
        auto_pad=auto_pad,
    )
    _add_conv(t, node, "conv", (shape[0], weights.shape[0], *spec.made), weights, spec.details, groups)


@aten("conv_transpose1d", "conv_transpose2d")
def _conv_transpose(t: Translation, call: Call) -> None:
    node = call.tensors("input", "weight", "bias")
    shape, weights = t.shape(node, 0), t.needs(node, 1, "weights")
    sizes, groups = spatial(node, shape), call.get("groups", 1)
    channels = weights.shape[1] * groups
    check_groups(node, groups, shape[1], weights.shape[0] // groups, channels)
    spec = transposed_window(
        node,
        sizes,
        weights.shape[2:],
        stride=_each(call.get("stride", 1), len(sizes)),
        dilation=_each(call.get("dilation", 1), len(sizes)),
        pads=_each(call.get("padding", 0), len(sizes)) * 2,
        output_padding=_each(call.get("output_padding", 0), len(sizes)),
    )
    _add_conv(t, node, "conv_transpose", (shape[0], channels, *spec.made), weights, spec.details, groups)


def _add_conv(
    t: Translation,
    node: Node,
    kind: str,
    made: Sequence[int],
    weights: Constant,
    details: Mapping[str, Any],
    groups: int,
) -> None:
    bias = t.constant(node, 2)
    step = t.add(
        node,
        kind,
        made,
        reads=[node.inputs[0]],
        **details,
        channels=made[1],
        groups=groups,
        bias=bias is not None,
    )
    step.name = parameter_path(weights, bias)
    step.weights = (weights.name,)


@aten("linear")
def _linear(t: Translation, call: Call) -> None:
    node = call.tensors("input", "weight", "bias")
    weights = t.needs(node, 1, "weights")
    features, in_features = weights.shape if len(weights.shape) == 2 else (1, weights.shape[0])
    add_linear(t, node, node.inputs[0], weights, call.made[0], in_features, features, bias=t.constant(node, 2))


@aten("addmm")
def _addmm(t: Translation, call: Call) -> None:
    node = call.tensors("mat1", "mat2", "self")
    in_features, features = t.shape(node, 1)
    weights = t.needs(node, 1, "weights")
    add_linear(t, node, node.inputs[0], weights, call.made[0], in_features, features, bias=t.constant(node, 2))


@aten("matmul", "mm", "bmm", "mv", "dot")
def _matmul(t: Translation, call: Call) -> None:
    factors = ("self", "mat1", "mat2", "other", "vec", "tensor")
    node = call.tensors(*[name for name in factors if name in call.arguments])
    a, b = t.shape(node, 0), t.shape(node, 1)
    rows, inner = (1, a[0]) if len(a) == 1 else a[-2:]
    columns = 1 if len(b) == 1 else b[-1]
    weights = t.constant(node, 1)
    if weights is not None and prod(b[:-2]) == 1:
        add_linear(t, node, node.inputs[0], weights, call.made[0], inner, columns)
    elif t.constant(node, 0) is not None and prod(a[:-2]) == 1:
        add_linear(t, node, node.inputs[1], t.needs(node, 0, "weights"), call.made[0], inner, rows)
    else:
        add_product(t, node, 0, 1, call.made[0], rows=rows, inner=inner, columns=columns)


@aten("einsum")
def _einsum(t: Translation, call: Call) -> None:
    node = call.node
    tensors = [name for name in call.get("tensors", ()) if isinstance(name, str)]
    inner = Node(name=node.name, type=node.type, inputs=tensors, outputs=node.outputs)
    add_einsum(t, inner, str(call.get("equation", "")))


@aten("scaled_dot_product_attention")
def _attention(t: Translation, call: Call) -> None:
    """Two products with a softmax between, and a mask if there is one."""
    node = call.tensors("query", "key", "value", "attn_mask")
    query, key, value = (t.shape(node, index) for index in range(3))
    scores = (*query[:-1], key[-2])
    names = [f"{node.outputs[0]}.{part}" for part in ("scores", "masked", "weights")]
    first = _part(node, names[0], node.inputs[:2])
    add_product(t, first, 0, 1, scores, rows=query[-2], inner=query[-1], columns=key[-2])
    last = names[0]
    if node.inputs[3]:
        mask = t.constants.get(node.inputs[3])
        if mask is not None:
            add_constant(t, _part(node, names[1], []), "add", last, mask, scores, first=True)
        else:
            t.add(_part(node, names[1], []), "binary", scores, reads=[last, node.inputs[3]], function="add")
        last = names[1]
    t.add(_part(node, names[2], []), "softmax", scores, reads=[last])
    second = _part(node, node.outputs[0], [names[2], node.inputs[2]])
    add_product(t, second, 0, 1, (*scores[:-1], value[-1]), rows=scores[-2], inner=scores[-1], columns=value[-1])
    for step in t.graph.steps[-4 if node.inputs[3] else -3 : -1]:
        step.counted = False


def _part(node: Node, output: str, inputs: Sequence[str]) -> Node:
    """Return a node for a part of one that stands for several steps."""
    return Node(name=node.name, type=node.type, inputs=inputs, outputs=[output])


def _pool_details(t: Translation, call: Call, kind: str) -> None:
    node = call.tensors("self")
    shape = t.shape(node, 0)
    sizes = spatial(node, shape)
    kernel = _each(call.get("kernel_size"), len(sizes))
    spec = window(
        node,
        sizes,
        kernel,
        stride=_each(call.get("stride") or kernel, len(sizes)),
        dilation=_each(call.get("dilation", 1), len(sizes)),
        pads=_each(call.get("padding", 0), len(sizes)) * 2,
        ceil_mode=bool(call.get("ceil_mode", False)),
    )
    made = (*shape[:2], *spec.made)
    if spec.dilation != (1, 1):
        t.add(node, "move", made, function=f"dilated_{kind}")
    else:
        t.add(node, kind, made, kernel=spec.kernel, stride=spec.stride, padding=spec.padding)


@aten("max_pool1d", "max_pool2d", "max_pool2d_with_indices")
def _max_pool(t: Translation, call: Call) -> None:
    _pool_details(t, call, "max_pool")


@aten("avg_pool1d", "avg_pool2d")
def _avg_pool(t: Translation, call: Call) -> None:
    _pool_details(t, call, "avg_pool")


@aten("adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d")
def _adaptive_pool(t: Translation, call: Call) -> None:
    node = call.tensors("self")
    shape, made = t.shape(node, 0), call.made[0]
    sizes, outputs = spatial(node, shape), made[2:]
    kind = "avg_pool" if "avg" in node.type else "max_pool"
    if prod(outputs) == 1:
        t.add(node, f"global_{kind}", made)
    elif all(size % output == 0 for size, output in zip(sizes, outputs, strict=True)):
        kernel = [size // output for size, output in zip(sizes, outputs, strict=True)]
        spec = window(node, sizes, kernel, stride=kernel)
        t.add(node, kind, made, kernel=spec.kernel, stride=spec.stride, padding=spec.padding)
    else:
        t.add(node, "move", made, function=f"adaptive_{kind}")


@aten("batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm", "cudnn_batch_norm")
def _batch_norm(t: Translation, call: Call) -> None:
    node = call.tensors("input", "weight", "bias")
    step = t.add(node, "batch_norm", call.made[0], reads=[node.inputs[0]])
    step.name = parameter_path(t.constant(node, 1), t.constant(node, 2))


@aten("layer_norm", "native_layer_norm", "group_norm", "native_group_norm", "instance_norm", "rms_norm")
def _layer_norm(t: Translation, call: Call) -> None:
    node = call.tensors("input", "weight", "bias")
    function = node.type.removeprefix("native_")
    step = t.add(node, "layer_norm", call.made[0], reads=[node.inputs[0]], function=function)
    given = [t.constant(node, index) for index in (1, 2)]
    step.params = sum(constant.params for constant in given if constant is not None)
    step.name = parameter_path(*given)


@aten("softmax", "_softmax", "log_softmax", "_log_softmax", "_safe_softmax")
def _softmax(t: Translation, call: Call) -> None:
    t.add(call.node, "softmax", call.made[0])


UNARY = {
    "relu": "relu", "relu6": "relu6", "leaky_relu": "leaky_relu", "elu": "elu", "selu": "selu", "celu": "celu",
    "sigmoid": "sigmoid", "silu": "silu", "gelu": "gelu", "mish": "mish", "softplus": "softplus", "tanh": "tanh",
    "erf": "erf", "exp": "exp", "log": "log", "sqrt": "sqrt", "rsqrt": "rsqrt", "reciprocal": "reciprocal",
    "neg": "neg", "abs": "abs", "floor": "floor", "ceil": "ceil", "round": "round", "sign": "sign", "sin": "sin",
    "cos": "cos", "logical_not": "not", "log_sigmoid": "log_sigmoid", "hardswish": "hard_swish",
    "hardsigmoid": "hard_sigmoid", "softsign": "softsign",
}  # fmt: skip
"""Functions of each element, by operator."""


@aten(*UNARY)
def _unary(t: Translation, call: Call) -> None:
    t.add(call.node, "unary", call.made[0], reads=t.dynamic(call.node)[:1], function=UNARY[call.node.type])


@aten("prelu", "_prelu_kernel")
def _prelu(t: Translation, call: Call) -> None:
    node = call.tensors("self", "weight")
    slopes = t.constant(node, 1)
    step = t.add(node, "unary", call.made[0], reads=[node.inputs[0]], function="prelu")
    step.params = slopes.params if slopes is not None else 0
    step.name = parameter_path(slopes)


@aten("hardtanh", "clamp", "clip", "clamp_min", "clamp_max")
def _clamp(t: Translation, call: Call) -> None:
    hard = call.node.type == "hardtanh"
    low = call.get("min_val", -1.0) if hard else call.get("min")
    high = call.get("max_val", 1.0) if hard else call.get("max")
    function = "clip"
    if low == 0:
        function = "relu6" if high == 6 else "relu" if high is None else "clip"
    t.add(call.node, "unary", call.made[0], reads=t.dynamic(call.node)[:1], function=function)


BINARY = {
    "add": "add", "sub": "sub", "mul": "mul", "div": "div", "pow": "pow", "maximum": "max", "minimum": "min",
    "rsub": "sub", "remainder": "mod", "fmod": "mod", "eq": "equal", "ne": "not_equal", "lt": "less",
    "gt": "greater", "le": "less_or_equal", "ge": "greater_or_equal", "logical_and": "and", "logical_or": "or",
    "__and__": "and", "__or__": "or", "bitwise_and": "and", "bitwise_or": "or", "floor_divide": "div",
}  # fmt: skip
"""Functions of two tensors, or of one and a number, by operator."""


@aten(*BINARY)
def _binary(t: Translation, call: Call) -> None:
    node, function = call.tensors("self", "other"), BINARY[call.node.type]
    if node.type == "pow":
        node = call.tensors("self", "exponent")
    first, second = node.inputs
    if first and second and first not in t.constants and second not in t.constants:
        t.add(node, "binary", call.made[0], function=function)
        return
    value = second if first in t.constants or not first else first
    constant = t.constants.get(second if value == first else first) or Constant(shape=())
    add_constant(t, node, function, value, constant, call.made[0], first=value == first)


SAME_WORDS = (
    "view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "contiguous", "clone", "dropout",
    "feature_dropout", "alpha_dropout", "detach", "alias", "to", "_to_copy", "type_as", "expand", "expand_as",
    "view_as", "reshape_as", "lift_fresh_copy", "lift_fresh",
)  # fmt: skip
"""Operators that only rename the words of a tensor, as long as there are as many."""


@aten(*SAME_WORDS)
def _same(t: Translation, call: Call) -> None:
    reads = t.dynamic(call.node)[:1]
    if prod(t.graph.shapes[reads[0]]) == prod(call.made[0]):
        t.add(call.node, "view", call.made[0], reads=reads)
    else:
        t.add_move(call.node, call.made, call.node.type)


@aten("permute", "transpose", "t", "swapaxes", "movedim", "numpy_T", "mT")
def _permute(t: Translation, call: Call) -> None:
    node = call.tensors("self")
    shape = t.shape(node, 0)
    perm = list(range(len(shape)))
    if node.type == "permute":
        perm = [axis_of(node, axis, len(shape)) for axis in call.get("dims")]
    elif node.type in ("transpose", "swapaxes"):
        ends = [call.get(name, call.get(other)) for name, other in (("dim0", "axis0"), ("dim1", "axis1"))]
        one, other = (axis_of(node, axis, len(shape)) for axis in ends)
        perm[one], perm[other] = perm[other], perm[one]
    elif node.type in ("t", "mT") and len(shape) > 1:
        perm[-2:] = perm[:-3:-1]
    else:
        t.add_move(call.node, call.made, node.type)
        return
    add_transpose(t, node, shape, perm)


@aten("cat", "concat", "concatenate")
def _cat(t: Translation, call: Call) -> None:
    add_concat(t, call.node, list(call.get("tensors")), call.get("dim", 0))


@aten("slice")
def _slice(t: Translation, call: Call) -> None:
    node = call.tensors("self")
    shape = t.shape(node, 0)
    axis = axis_of(node, call.get("dim", 0), len(shape))
    start, stop, step = slice(call.get("start"), call.get("end"), call.get("step", 1)).indices(shape[axis])
    add_slice(t, node, shape, [(axis, start, stop, step)])


@aten("select")
def _select(t: Translation, call: Call) -> None:
    node = call.tensors("self")
    shape = t.shape(node, 0)
    axis = axis_of(node, call.get("dim"), len(shape))
    place = call.get("index") % shape[axis]
    if shape[axis] == 1:
        t.add(node, "view", call.made[0])
    else:
        t.add(node, "slice", call.made[0], axis=axis, start=place, stop=place + 1, step=1)


@aten("split", "split_with_sizes", "chunk", "tensor_split", "unsafe_chunk", "unsafe_split")
def _split(t: Translation, call: Call) -> None:
    node = call.tensors("self")
    shape = t.shape(node, 0)
    axis = axis_of(node, call.get("dim", 0), len(shape))
    add_split(t, node, shape, axis, [made[axis] for made in call.made])


@aten("unbind")
def _unbind(t: Translation, call: Call) -> None:
    node = call.tensors("self")
    shape = t.shape(node, 0)
    axis = axis_of(node, call.get("dim", 0), len(shape))
    add_split(t, node, shape, axis, [1] * len(call.made))
    for name, made in zip(node.outputs, call.made, strict=True):
        t.graph.shapes[name] = made


@aten("mean", "amax", "sum")
def _mean(t: Translation, call: Call) -> None:
    node = call.tensors("self")
    shape = t.shape(node, 0)
    dims = call.get("dim", range(len(shape)))
    axes = [axis_of(node, axis, len(shape)) for axis in ([dims] if isinstance(dims, int) else dims)]
    function = {"mean": "mean", "amax": "max", "sum": "sum"}[node.type]
    add_reduction(t, node, function, shape, axes or range(len(shape)), keep=bool(call.get("keepdim", False)))


@aten("upsample_nearest1d", "upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d")
@aten("_upsample_nearest_exact2d")
def _resize(t: Translation, call: Call) -> None:
    t.add(call.node, "resize", call.made[0])


@aten("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d")
def _pad(t: Translation, call: Call) -> None:
    if call.made[0] == t.shape(call.node, 0) and not any(call.get("pad", call.get("padding", ()))):
        t.add(call.node, "view", call.made[0])
    else:
        t.add_move(call.node, call.made, "pad")


@aten("channel_shuffle", "native_channel_shuffle")
def _channel_shuffle(t: Translation, call: Call) -> None:
    node = call.tensors("self")
    batch, channels, *pixels = t.shape(node, 0)
    groups = call.get("groups")
    split = (batch, groups, channels // groups, *pixels)
    name = f"{node.outputs[0]}.groups"
    first = t.add(_part(node, name, node.inputs), "view", split)
    first.counted = False
    add_transpose(t, _part(node, node.outputs[0], [name]), split, (0, 2, 1, 3, 4))
    t.graph.shapes[node.outputs[0]] = call.made[0]


@aten("roll")
def _roll(t: Translation, call: Call) -> None:
    """Two slices that change places, axis by axis, as ONNX has it."""
    node = call.tensors("self")
    shape, value = t.shape(node, 0), node.inputs[0]
    moves = list(zip(_each(call.get("dims", []), 1), _each(call.get("shifts"), 1), strict=False))
    moves = [(axis % len(shape), shift % shape[axis]) for axis, shift in moves]
    moves = [(axis, shift) for axis, shift in moves if shift]
    if not moves:
        t.add_move(call.node, call.made, "roll")
        return
    first = len(t.graph.steps)
    for index, (axis, shift) in enumerate(moves):
        cut, parts = shape[axis] - shift, [f"{node.outputs[0]}.{index}.{part}" for part in ("end", "start")]
        for part, (start, stop) in zip(parts, ((cut, shape[axis]), (0, cut)), strict=True):
            add_slice(t, _part(node, part, [value]), shape, [(axis, start, stop, 1)])
        value = node.outputs[0] if index == len(moves) - 1 else f"{node.outputs[0]}.{index}"
        add_concat(t, _part(node, value, parts), parts, axis)
    for step in t.graph.steps[first:-1]:
        step.counted = False


SHAPE_ONLY = frozenset(
    {"new_zeros", "new_ones", "new_full", "new_empty", "zeros_like", "ones_like", "full_like", "empty_like"}
)
"""Operators that read nothing of a tensor but its shape: what they make is a constant."""

MOVES = {
    "pixel_shuffle": "depth_to_space", "pixel_unshuffle": "space_to_depth", "flip": "flip",
    "embedding": "gather", "index": "gather", "index_select": "gather", "gather": "gather", "stack": "concat",
    "repeat": "tile", "tile": "tile", "repeat_interleave": "tile", "where": "where", "masked_fill": "where",
    "argmax": "argmax", "argmin": "argmin", "topk": "topk", "sort": "sort", "cumsum": "cumsum", "var": "var",
    "std": "std", "norm": "norm", "linalg_vector_norm": "norm", "max": "max", "min": "min", "prod": "prod",
    "unfold": "unfold", "im2col": "im2col", "col2im": "col2im", "grid_sampler": "grid_sample",
    "grid_sampler_2d": "grid_sample", "slice_scatter": "scatter", "index_put": "scatter", "one_hot": "one_hot",
    "fill": "fill", "tril": "tril", "triu": "triu", "lift": "copy",
}  # fmt: skip
"""Other data movement, by operator."""


@aten(*MOVES)
def _moves(t: Translation, call: Call) -> None:
    t.add_move(call.node, call.made, MOVES[call.node.type])


def unknown(t: Translation, call: Call) -> Step:
    """Add an unknown operator as data movement."""
    return t.add_move(call.node, call.made, call.node.type, "unknown")
