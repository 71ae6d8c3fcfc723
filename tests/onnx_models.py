"""Small ONNX models built node by node, for tests and the fuzzer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

OPSET = 17


def weights(*shape: int, value: float = 0.5) -> np.ndarray:
    """Return weights of a shape."""
    return np.full(shape, value, dtype=np.float32)


def ints(*values: int) -> np.ndarray:
    """Return a list of whole numbers, as shapes and axes are stored."""
    return np.array(values, dtype=np.int64)


def model(
    nodes: Sequence[NodeProto],
    constants: Mapping[str, np.ndarray] | None = None,
    *,
    input_shape: Sequence[int | str] = (1, 3, 8, 8),
    inputs: Mapping[str, Sequence[int | str]] | None = None,
    outputs: Sequence[str] = ("y",),
    stated: Mapping[str, Sequence[int]] | None = None,
    opset: int = OPSET,
    producer: str = "",
) -> ModelProto:
    """Return a model of nodes that read ``x`` (or ``inputs``) and make ``outputs``."""
    given = {"x": input_shape} if inputs is None else inputs
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in given.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
        value_info=[
            helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
            for name, shape in (stated or {}).items()
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name=producer)
    made.ir_version = 8
    return made


def node(kind: str, inputs: str, outputs: str = "y", **attributes: Any) -> NodeProto:
    """Return a node; tensors are separated by blanks, a dash leaves one out."""
    return helper.make_node(kind, [name.strip("-") for name in inputs.split()], outputs.split(), **attributes)


def convolutional() -> ModelProto:
    """Convolutions of all kinds, batch norm, pools, a gate, a concatenation, an upsampling and a classifier."""
    nodes = [
        node("Conv", "x w1 b1", "c1", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("BatchNormalization", "c1 s s s s", "n1"),
        node("Relu", "n1", "r1"),
        node("Conv", "r1 w2", "c2", group=8, auto_pad="SAME_UPPER"),
        node("Clip", "c2 zero six", "r2"),
        node("Conv", "r2 w3", "c3", dilations=[2, 1], pads=[2, 1, 2, 1]),
        node("Add", "c3 r1", "a1"),
        node("MaxPool", "a1", "p1", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        node("GlobalAveragePool", "p1", "g1"),
        node("Sigmoid", "g1", "gate"),
        node("Mul", "p1 gate", "m1"),
        node("Concat", "m1 p1", "cat", axis=1),
        node("Resize", "cat - scales", "up", mode="nearest"),
        node("AveragePool", "up", "p2", kernel_shape=[2, 2], strides=[2, 2]),
        node("ReduceMean", "p2", "mean", axes=[2, 3], keepdims=0),
        node("Flatten", "mean", "flat"),
        node("Gemm", "flat w4 b4", "y", transB=1),
    ]
    constants = {
        "w1": weights(8, 3, 3, 3),
        "b1": weights(8),
        "s": weights(8),
        "w2": weights(8, 1, 3, 3),
        "zero": np.float32(0),
        "six": np.float32(6),
        "w3": weights(8, 8, 3, 3),
        "scales": np.array([1, 1, 2, 2], dtype=np.float32),
        "w4": weights(10, 16),
        "b4": weights(10),
    }
    return model(nodes, constants, input_shape=("batch", 3, 16, 16))


def attention() -> ModelProto:
    """One block of a transformer, its shapes computed by the model."""
    nodes = [
        node("LayerNormalization", "x g g", "n"),
        node("MatMul", "n wq", "q0"),
        node("Add", "q0 bq", "q"),
        node("Split", "q third", "a b c", axis=2),
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "n0", axis=0),
        node("Concat", "n0 heads", "split", axis=0),
        *(node("Reshape", f"{name} split", f"{name}h") for name in "abc"),
        *(node("Transpose", f"{name}h", f"{name}t", perm=[0, 2, 1, 3]) for name in "ac"),
        node("Transpose", "bh", "bt", perm=[0, 2, 3, 1]),
        node("MatMul", "at bt", "s0"),
        node("Div", "s0 root", "s1"),
        node("Softmax", "s1", "s2", axis=-1),
        node("MatMul", "s2 ct", "o0"),
        node("Transpose", "o0", "o1", perm=[0, 2, 1, 3]),
        node("Reshape", "o1 joined", "o2"),
        node("MatMul", "o2 wo", "o3"),
        node("Add", "o3 x", "y"),
    ]
    constants = {
        "g": weights(16),
        "wq": weights(16, 48),
        "bq": weights(48),
        "third": ints(16, 16, 16),
        "zero": ints(0),
        "heads": ints(5, 4, 4),
        "root": np.float32(2),
        "joined": ints(0, 5, 16),
        "wo": weights(16, 16),
    }
    return model(nodes, constants, input_shape=("batch", 5, 16))


def quantised() -> ModelProto:
    """A convolution in 8 bit, and one between quantisers."""
    nodes = [
        node("QuantizeLinear", "x scale zero", "xq"),
        node("QLinearConv", "xq scale zero w scale zero scale zero bias", "cq", pads=[1, 1, 1, 1]),
        node("DequantizeLinear", "cq scale zero", "c"),
        node("DequantizeLinear", "w2 scale zero", "w2f"),
        node("Conv", "c w2f", "y"),
    ]
    constants = {
        "scale": np.float32(0.1),
        "zero": np.int8(0),
        "w": np.ones((4, 3, 3, 3), dtype=np.int8),
        "bias": np.ones(4, dtype=np.int32),
        "w2": np.ones((5, 4, 1, 1), dtype=np.int8),
    }
    return model(nodes, constants)


def decoder() -> ModelProto:
    """Transposed convolutions, slices, padding and other movement of data."""
    nodes = [
        node("ConvTranspose", "x w1 b1", "t1", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
        node("Slice", "t1 one two axis", "s1"),
        node("Pad", "s1 pads", "p1"),
        node("DepthToSpace", "t1", "d1", blocksize=2),
        node("Transpose", "d1", "n1", perm=[0, 2, 3, 1]),
        node("Tile", "p1 pads", "tiled"),
        node("TopK", "p1 k", "top where"),
        node("Unsqueeze", "top axis", "un"),
        node("Squeeze", "un axis", "y"),
        node("Expand", "n1 shape", "z"),
    ]
    constants = {
        "w1": weights(3, 4, 3, 3),
        "b1": weights(4),
        "one": ints(1),
        "two": ints(3),
        "axis": ints(1),
        "pads": ints(0, 0, 1, 1, 0, 0, 1, 1),
        "k": ints(2),
        "shape": ints(1, 32, 32, 1),
    }
    kept = [entry for entry in nodes if entry.op_type != "Tile"]
    return model(kept, constants, outputs=("y", "z"))


def unknown_operators() -> ModelProto:
    """Two operators that nobody knows, with shapes stated."""
    nodes = [node("Conv", "x w", "c"), node("Mystery", "c", "m"), node("Mystery", "m", "u"), node("Relu", "u")]
    return model(nodes, {"w": weights(4, 3, 1, 1)}, stated={"m": (1, 4, 8, 8), "u": (1, 2, 8, 8)})


MODELS: dict[str, Callable[[], ModelProto]] = {
    "convolutional": convolutional,
    "attention": attention,
    "quantised": quantised,
    "decoder": decoder,
    "unknown": unknown_operators,
}
"""Models that hold every kind of operator."""
