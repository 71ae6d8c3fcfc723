"""ONNX operators that compute: convolutions, products, pooling, normalisation, functions of each element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from accelsim.workload.imports.constants import Constant
from accelsim.workload.imports.products import add_einsum, add_linear, add_product
from accelsim.workload.imports.translation import Node, Translation, axis_of, broadcast, parameter_path
from accelsim.workload.imports.windows import check_groups, per_axis, spatial, transposed_window, window

Handler = Callable[[Translation, Node], None]

OPERATORS: dict[str, Handler] = {}
"""What translates each operator; quantised and fused ones of other domains share the names."""


def operator(*kinds: str) -> Callable[[Handler], Handler]:
    """Register the translation of operators."""

    def register(handler: Handler) -> Handler:
        OPERATORS.update(dict.fromkeys(kinds, handler))
        return handler

    return register


def _conv_at(t: Translation, node: Node, weight: int, bias: int, *, transposed: bool = False) -> None:
    """Add a convolution whose weights and bias are at these inputs."""
    w = t.needs(node, weight, "weights")
    b = t.constant(node, bias)
    shape = t.shape(node, 0)
    sizes = spatial(node, shape)
    if len(w.shape) != len(shape):
        raise node.wrong(f"weights have {len(w.shape)} axes, the map {len(shape)}")
    groups = int(node.get("group", 1))
    options: dict[str, Any] = {
        "stride": node.get("strides"),
        "dilation": node.get("dilations"),
        "pads": node.get("pads"),
        "auto_pad": node.get("auto_pad", "NOTSET"),
    }
    kernel = w.shape[2:]
    if "kernel_shape" in node.attributes and tuple(node.get("kernel_shape")) != tuple(kernel):
        raise node.wrong(f"kernel_shape is {list(node.get('kernel_shape'))}, its weights are {list(kernel)}")
    if transposed:
        channels = w.shape[1] * groups
        check_groups(node, groups, shape[1], w.shape[0] // max(groups, 1), channels)
        spec = transposed_window(
            node,
            sizes,
            kernel,
            output_padding=node.get("output_padding"),
            output_shape=node.get("output_shape"),
            **options,
        )
    else:
        channels = w.shape[0]
        check_groups(node, groups, shape[1], w.shape[1], channels)
        spec = window(node, sizes, kernel, **options)
    step = t.add(
        node,
        "conv_transpose" if transposed else "conv",
        (shape[0], channels, *spec.made),
        reads=[node.inputs[0]],
        **spec.details,
        channels=channels,
        groups=groups,
        bias=b is not None,
    )
    step.name = parameter_path(w, b)
    step.weights = (w.name,) if w.name else ()


@operator("Conv", "FusedConv")
def _conv(t: Translation, node: Node) -> None:
    _conv_at(t, node, 1, 2)


@operator("ConvTranspose")
def _conv_transpose(t: Translation, node: Node) -> None:
    _conv_at(t, node, 1, 2, transposed=True)


@operator("ConvInteger")
def _conv_integer(t: Translation, node: Node) -> None:
    _conv_at(t, node, 1, 4)


@operator("QLinearConv")
def _qlinear_conv(t: Translation, node: Node) -> None:
    _conv_at(t, node, 3, 8)


def _gemm_at(t: Translation, node: Node, weight: int, bias: int) -> None:
    """Add Y = A B + C, either side transposed, with the weights at an input."""
    a, b = t.shape(node, 0), t.shape(node, weight)
    if len(a) != 2 or len(b) != 2:
        raise node.wrong(f"multiplies tensors of {len(a)} and {len(b)} axes, expected 2 and 2")
    rows, inner = a[::-1] if node.get("transA", 0) else a
    b_rows, columns = b[::-1] if node.get("transB", 0) else b
    if inner != b_rows:
        raise node.wrong(f"multiplies {rows}x{inner} by {b_rows}x{columns}")
    first, second = t.constant(node, 0), t.constant(node, weight)
    if first is not None or second is None:
        add_product(t, node, 0, weight, (rows, columns), rows=rows, inner=inner, columns=columns)
        return
    c = t.constant(node, bias)
    add_linear(t, node, node.inputs[0], second, (rows, columns), inner, columns, bias=c)


@operator("Gemm")
def _gemm(t: Translation, node: Node) -> None:
    _gemm_at(t, node, 1, 2)


@operator("QGemm")
def _qgemm(t: Translation, node: Node) -> None:
    _gemm_at(t, node, 3, 6)


@operator("MatMul", "MatMulInteger")
def _matmul(t: Translation, node: Node) -> None:
    _matmul_at(t, node, 1)


@operator("QLinearMatMul")
def _qlinear_matmul(t: Translation, node: Node) -> None:
    _matmul_at(t, node, 3)


def _matmul_at(t: Translation, node: Node, second: int) -> None:
    a, b = t.shape(node, 0), t.shape(node, second)
    if not a or not b:
        raise node.wrong("multiplies a single number")
    rows, inner = (1, a[0]) if len(a) == 1 else a[-2:]
    b_rows, columns = (b[0], 1) if len(b) == 1 else b[-2:]
    if inner != b_rows:
        raise node.wrong(f"multiplies {rows}x{inner} by {b_rows}x{columns}")
    outer = broadcast(node, a[:-2], b[:-2])
    made = (*outer, *([rows] if len(a) > 1 else []), *([columns] if len(b) > 1 else []))
    weights = t.constant(node, second)
    if weights is not None and prod(b[:-2]) == 1:
        add_linear(t, node, node.inputs[0], weights, made, inner, columns)
    elif t.constant(node, 0) is not None and prod(a[:-2]) == 1:
        add_linear(t, node, node.inputs[second], t.needs(node, 0, "weights"), made, inner, rows)
    else:
        add_product(t, node, 0, second, made, rows=rows, inner=inner, columns=columns)


@operator("Einsum")
def _einsum(t: Translation, node: Node) -> None:
    add_einsum(t, node, str(node.get("equation", "")))


@operator("Attention", "MultiHeadAttention")
def _attention(t: Translation, node: Node) -> None:
    raise node.wrong("fused attention is not supported; export the model with an opset of at most 22")


def _pool_at(t: Translation, node: Node, kind: str) -> None:
    shape = t.shape(node, 0)
    sizes = spatial(node, shape)
    spec = window(
        node,
        sizes,
        per_axis(node, "kernel", node.get("kernel_shape"), len(sizes), 1),
        stride=node.get("strides"),
        dilation=node.get("dilations"),
        pads=node.get("pads"),
        auto_pad=node.get("auto_pad", "NOTSET"),
        ceil_mode=bool(node.get("ceil_mode", 0)),
    )
    made = (*shape[:2], *spec.made)
    if spec.dilation != (1, 1):
        t.add(node, "move", made, reads=[node.inputs[0]], function=f"dilated_{kind}")
        return
    details = {"kernel": spec.kernel, "stride": spec.stride, "padding": spec.padding}
    t.add(node, kind, made, reads=[node.inputs[0]], **details)


@operator("MaxPool")
def _max_pool(t: Translation, node: Node) -> None:
    _pool_at(t, node, "max_pool")


@operator("AveragePool", "LpPool", "QLinearAveragePool")
def _avg_pool(t: Translation, node: Node) -> None:
    _pool_at(t, node, "avg_pool")


@operator("GlobalAveragePool", "GlobalLpPool", "QLinearGlobalAveragePool")
def _global_avg_pool(t: Translation, node: Node) -> None:
    shape = t.shape(node, 0)
    spatial(node, shape)
    t.add(node, "global_avg_pool", (*shape[:2], *(1,) * (len(shape) - 2)), reads=[node.inputs[0]])


@operator("GlobalMaxPool")
def _global_max_pool(t: Translation, node: Node) -> None:
    shape = t.shape(node, 0)
    spatial(node, shape)
    t.add(node, "global_max_pool", (*shape[:2], *(1,) * (len(shape) - 2)), reads=[node.inputs[0]])


@operator("BatchNormalization")
def _batch_norm(t: Translation, node: Node) -> None:
    shape = t.shape(node, 0)
    scale = t.constant(node, 1)
    if len(shape) not in (2, 3, 4):
        raise node.wrong(f"normalises a tensor of {len(shape)} axes")
    if scale is not None and scale.elements != shape[1]:
        raise node.wrong(f"scales {scale.elements} channels of {shape[1]}")
    step = t.add(node, "batch_norm", shape, reads=[node.inputs[0]])
    step.name = parameter_path(scale, t.constant(node, 2))


@operator("LayerNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization")
def _layer_norm(t: Translation, node: Node) -> None:
    function = {"L": "layer_norm", "I": "instance_norm", "G": "group_norm", "R": "rms_norm"}[node.type[0]]
    given = t.constant_inputs(node)
    step = t.add(node, "layer_norm", t.shape(node, 0), reads=t.dynamic(node)[:1], function=function)
    step.params = sum(constant.params for constant in given)
    step.name = parameter_path(*given)


@operator("LRN")
def _lrn(t: Translation, node: Node) -> None:
    shape = t.shape(node, 0)
    if len(shape) not in (3, 4):
        raise node.wrong(f"normalises a tensor of {len(shape)} axes")
    t.add(node, "lrn", shape)


@operator("Softmax", "LogSoftmax", "Hardmax", "QLinearSoftmax")
def _softmax(t: Translation, node: Node) -> None:
    shape = t.shape(node, 0)
    axis_of(node, int(node.get("axis", -1 if len(shape) < 2 else 1)), len(shape))
    t.add(node, "softmax", shape, reads=[node.inputs[0]])


UNARY = {
    "Relu": "relu", "LeakyRelu": "leaky_relu", "PRelu": "prelu", "Elu": "elu", "Selu": "selu", "Celu": "celu",
    "Sigmoid": "sigmoid", "HardSigmoid": "hard_sigmoid", "HardSwish": "hard_swish", "Tanh": "tanh", "Gelu": "gelu",
    "Mish": "mish", "Softplus": "softplus", "Softsign": "softsign", "ThresholdedRelu": "thresholded_relu",
    "Swish": "silu", "Erf": "erf", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Reciprocal": "reciprocal",
    "Neg": "neg", "Abs": "abs", "Floor": "floor", "Ceil": "ceil", "Round": "round", "Sign": "sign", "Sin": "sin",
    "Cos": "cos", "Not": "not", "IsNaN": "isnan", "IsInf": "isinf", "Shrink": "shrink", "QuickGelu": "quick_gelu",
    "FastGelu": "gelu", "QLinearSigmoid": "sigmoid", "QLinearLeakyRelu": "leaky_relu",
}  # fmt: skip
"""Functions of each element, by operator."""


@operator(*UNARY)
def _unary(t: Translation, node: Node) -> None:
    step = t.add(node, "unary", t.shape(node, 0), reads=[node.inputs[0]], function=UNARY[node.type])
    slopes = t.constant_inputs(node) if node.type == "PRelu" else []
    step.params = sum(slope.params for slope in slopes)
    step.name = parameter_path(*slopes)


@operator("Clip")
def _clip(t: Translation, node: Node) -> None:
    limits: list[Any] = [node.get("min"), node.get("max")]
    for index in (1, 2):
        limit = t.constant(node, index)
        if limit is not None and limit.value is not None and limit.value.size == 1:
            limits[index - 1] = float(limit.value.ravel()[0])
    low, high = limits
    function = "clip"
    if low == 0:
        function = "relu6" if high == 6 else "relu" if high is None else "clip"
    t.add(node, "unary", t.shape(node, 0), reads=[node.inputs[0]], function=function)


BINARY = {
    "Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div", "Pow": "pow", "Mod": "mod", "Max": "max", "Min": "min",
    "Sum": "add", "Mean": "mean", "And": "and", "Or": "or", "Xor": "xor", "Equal": "equal", "Less": "less",
    "Greater": "greater", "LessOrEqual": "less_or_equal", "GreaterOrEqual": "greater_or_equal", "Where": "where",
    "BitShift": "bit_shift",
}  # fmt: skip
"""Functions of several tensors, element by element, by operator."""


@operator(*BINARY)
def _binary(t: Translation, node: Node) -> None:
    add_elementwise(t, node, BINARY[node.type], range(max(1, len(node.inputs))))  # none: the first is missing


@operator("QLinearAdd", "QLinearMul")
def _qlinear_binary(t: Translation, node: Node) -> None:
    add_elementwise(t, node, "add" if node.type == "QLinearAdd" else "mul", (0, 3))


def add_elementwise(t: Translation, node: Node, function: str, operands: Sequence[int]) -> None:
    """Add a function of several tensors, or of one and constants."""
    made = broadcast(node, *(t.shape(node, index) for index in operands))
    names = [node.inputs[index] for index in operands]
    reads = [name for name in names if name not in t.constants]
    given = [t.constants[name] for name in names if name in t.constants]
    if len(reads) > 1 and not given and len(reads) == 2:
        t.add(node, "binary", made, reads=reads, function=function)
    elif len(reads) == 1 and len(given) == 1:
        add_constant(t, node, function, reads[0], given[0], made, first=names[0] == reads[0])
    else:
        step = t.add(node, "move", made, reads=reads, function=function)
        step.params = sum(constant.params for constant in given)


def add_constant(
    t: Translation, node: Node, function: str, value: str, constant: Constant, made: Sequence[int], *, first: bool
) -> None:
    """Add a function of a value and a constant, ``first`` if the value is on the left."""
    function = function if first or function in ("add", "mul", "max", "min") else f"reverse_{function}"
    scalar = constant.elements == 1
    step = t.add(node, "unary", made, reads=[value], function=function, constant=constant.shape, scalar=scalar)
    step.params = constant.params
    step.name = parameter_path(constant)
