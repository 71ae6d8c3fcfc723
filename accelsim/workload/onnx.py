"""Networks from ONNX files.

Every node is accounted for: it becomes a layer, a view, is folded into another, or is unknown and listed. Weights are
not read, only their shapes; values kept outside the file are never touched; no code of the model's is run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from accelsim.errors import WorkloadError
from accelsim.workload.imports import onnx_moves
from accelsim.workload.imports.constants import MAX_VALUES, Constant, fold
from accelsim.workload.imports.lowering import to_network
from accelsim.workload.imports.onnx_file import OnnxFile, onnx_package, read_onnx
from accelsim.workload.imports.onnx_operators import OPERATORS
from accelsim.workload.imports.operations import MAX_ELEMENTS, Graph, Imported, checked_shape, printable, shape_text
from accelsim.workload.imports.translation import MAX_RANK, Node, Translation

DOMAINS = ("", "ai.onnx", "com.microsoft")
"""Domains whose operators are known, as far as they are."""

_NUMPY_TYPES: Mapping[int, str] = {
    1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8", 12: "<u4",
    13: "<u8",
}  # fmt: skip
"""NumPy's type for each of ONNX's types of values that are read."""

_FLOATS = frozenset({1, 10, 11, 16})

_INT, _INTS = 2, 7
_ATTRIBUTE_TYPES: Mapping[str, int] = {
    **dict.fromkeys(
        ("group", "axis", "keepdims", "ceil_mode", "transA", "transB", "allowzero", "blocksize", "k"), _INT
    ),
    **dict.fromkeys(("noop_with_empty_axes", "start", "end", "to"), _INT),
    **dict.fromkeys(("strides", "dilations", "pads", "kernel_shape", "perm", "axes", "starts", "ends", "split"), _INTS),
    **dict.fromkeys(("output_padding", "output_shape", "shape", "value_ints"), _INTS),
    **dict.fromkeys(("auto_pad", "equation"), 3),
    **dict.fromkeys(("min", "max", "value_float"), 1),
    "value_int": _INT,
    "value_floats": 6,
    "scales": 6,
    "value": 4,
}
"""ONNX's number of the type that each attribute has to have where it is read."""

assert onnx_moves.REDUCTIONS  # its import registers the operators that move data


def import_onnx(
    path: str | PathLike[str],
    *,
    name: str | None = None,
    input_shape: Sequence[int] | None = None,
    dims: Mapping[str, int] | None = None,
    strict: bool = False,
) -> Imported:
    """Read a network from an ONNX file.

    Args:
        path: The file.
        name: Name of the network; default: the file's, without its ending.
        input_shape: Channels, height and width of one image, where the model leaves them open or others are wanted.
        dims: Sizes of axes that the model names but leaves open; an open first axis is the batch and needs none.
        strict: Whether an unknown operator is an error.

    Returns:
        The network, for one image, and the account of the nodes.

    Raises:
        WorkloadError: The file is no ONNX model, is damaged, or does not describe a network that can be.
        MissingExtraError: The ``onnx`` package is not installed.
    """
    shown = fspath(path)
    try:
        file = read_onnx(shown)
        reader = _Reader(file, name or Path(shown).stem, input_shape, dims or {}, strict)
        return to_network(reader.read())
    except WorkloadError as wrong:
        text = str(wrong).removeprefix(f"{shown}: ")
        raise WorkloadError(f"{shown}: {printable(text)}") from None
    except UnicodeDecodeError:
        raise WorkloadError(f"{shown}: is not an ONNX model, or is damaged: a name is not UTF-8 text") from None
    except RecursionError:
        raise WorkloadError(f"{shown}: is nested too deeply") from None


class _Reader:
    """Turns a model into a graph of operations."""

    def __init__(
        self,
        file: OnnxFile,
        name: str,
        input_shape: Sequence[int] | None,
        dims: Mapping[str, int],
        strict: bool,
    ) -> None:
        self.file = file
        self.strict = strict
        self.dims = dims
        self.input_shape = input_shape
        self.t = Translation(Graph(name=name, inputs=[], outputs=[], shapes={}))
        self.stated: dict[str, tuple[int, ...]] = {}
        self.by_torch = file.model.producer_name == "pytorch"

    def read(self) -> Graph:
        """Return the graph."""
        proto, graph = self.file.model.graph, self.t.graph
        self._check_opset()
        for tensor in proto.initializer:
            self._define(tensor.name)
            self.t.constants[tensor.name] = self._constant(tensor, tensor.name)
        for tensor in proto.sparse_initializer:
            self._define(tensor.values.name)
            sizes = tuple(tensor.dims)
            self.t.constants[tensor.values.name] = Constant(shape=sizes, learned=prod(sizes), name=tensor.values.name)
        self._read_inputs(proto)
        self.stated = {info.name: shape for info in proto.value_info if (shape := _stated_shape(info))}
        makers = {output: node for node in proto.node for output in node.output if output}
        for index, node in enumerate(proto.node):
            self._read_node(node, index, makers)
        graph.outputs = [output.name for output in proto.output if output.name in graph.shapes]
        for output in proto.output:
            if output.name not in graph.shapes and output.name not in self.t.constants:
                raise WorkloadError(f"output {output.name!r} is not made by any node")
        if not graph.outputs:
            raise WorkloadError("no output depends on an input")
        return graph

    def _define(self, name: str) -> None:
        """Refuse a second definition of a tensor."""
        if name in self.t.constants or name in self.t.graph.shapes:
            raise WorkloadError(f"tensor {name!r} is defined twice")

    def _check_opset(self) -> None:
        """Refuse versions of the operator set that nothing is known of."""
        newest = onnx_package().defs.onnx_opset_version()
        for entry in self.file.model.opset_import:
            if entry.domain in ("", "ai.onnx") and not 1 <= entry.version <= newest:
                raise WorkloadError(f"uses version {entry.version} of the ONNX operators; 1 to {newest} are known here")

    def _read_inputs(self, proto: Any) -> None:
        """Define the inputs that no initialiser gives."""
        given = [info for info in proto.input if info.name not in self.t.constants]
        if not given:
            raise WorkloadError("has no input")
        for info in given:
            self._define(info.name)
            self.t.graph.shapes[info.name] = self._input_shape(info, alone=len(given) == 1)
        shapes = [self.t.graph.shapes[info.name] for info in given]
        first = {shape[0] if len(shape) > 1 else 1 for shape in shapes}
        self.t.graph.batch = first.pop() if len(first) == 1 else 1
        self.t.graph.inputs = [info.name for info in given]

    def _input_shape(self, info: Any, *, alone: bool) -> tuple[int, ...]:
        if not info.type.HasField("tensor_type") or not info.type.tensor_type.HasField("shape"):
            raise WorkloadError(f"input {info.name!r} has no shape")
        axes = info.type.tensor_type.shape.dim
        if len(axes) > MAX_RANK:
            raise WorkloadError(f"input {info.name!r} has {len(axes)} axes, at most {MAX_RANK} are read")
        chosen = self.input_shape if alone else None
        if chosen is not None and len(chosen) != len(axes) - 1:
            raise WorkloadError(
                f"input {info.name!r} has {len(axes) - 1} axes beside the batch, the given shape {shape_text(chosen)} "
                f"has {len(chosen)}"
            )
        sizes = []
        for index, axis in enumerate(axes):
            if chosen is not None and index:
                sizes.append(int(chosen[index - 1]))
            elif axis.HasField("dim_value") and (axis.dim_value or not index):
                sizes.append(axis.dim_value or 1)
            elif axis.dim_param in self.dims:
                sizes.append(int(self.dims[axis.dim_param]))
            elif index == 0:
                sizes.append(1)
            else:
                label = f" ({axis.dim_param!r})" if axis.dim_param else ""
                raise WorkloadError(
                    f"input {info.name!r} has no fixed size along axis {index}{label}: give the shape of one image"
                )
        return checked_shape(f"input {info.name!r}", sizes)

    def _constant(self, tensor: Any, name: str, *, in_node: bool = False) -> Constant:
        """Return a tensor that the file carries; PyTorch keeps nothing learned in a node."""
        sizes = tuple(tensor.dims)
        if len(sizes) > MAX_RANK or min(sizes, default=0) < 0:
            raise WorkloadError(f"tensor {name!r} has the impossible shape {shape_text(sizes)}")
        learned = prod(sizes) if tensor.data_type in _FLOATS and not (self.by_torch and in_node) else 0
        constant = Constant(shape=sizes, learned=learned, name=name)
        if constant.elements > MAX_ELEMENTS:
            raise WorkloadError(
                f"tensor {name!r} of shape {shape_text(sizes)} has {constant.elements:.3g} elements, "
                f"at most {MAX_ELEMENTS:.0e} are read"
            )
        if constant.elements > MAX_VALUES or name in self.file.payloads:
            return constant
        value = _values(tensor, sizes)
        return Constant(shape=sizes, value=value, learned=constant.learned, name=name)

    def _read_node(self, proto: Any, index: int, makers: Mapping[str, Any]) -> None:
        """Translate one node, or fold it if it depends on constants only."""
        t = self.t
        node = self._node(proto, index)
        for name in node.inputs:
            if name and name not in t.constants and name not in t.graph.shapes:
                raise node.wrong(_undefined(name, makers))
        for name in node.outputs:
            if name:
                self._define(name)
        if not any(node.outputs):
            raise node.wrong("makes nothing")
        known = proto.domain in DOMAINS
        if (known and node.type in ("Constant", "Shape")) or not t.dynamic(node):
            self._fold(node, known)
            t.graph.folded.append((node.name, node.type))
        elif known and node.type in OPERATORS and node.outputs[0]:
            OPERATORS[node.type](t, node)
        else:
            self._unknown(node)

    def _node(self, proto: Any, index: int) -> Node:
        name = proto.name or f"#{index + 1}"
        attributes = {}
        for attribute in proto.attribute:
            wanted = _ATTRIBUTE_TYPES.get(attribute.name, attribute.type)
            if proto.domain in DOMAINS and attribute.type != wanted:
                raise WorkloadError(f"node {name} ({proto.op_type}): attribute {attribute.name} has the wrong type")
            attributes[attribute.name] = self._attribute(attribute)
        return Node(
            name=name[:200],
            type=printable(proto.op_type or "?", 80),
            inputs=list(proto.input),
            outputs=list(proto.output),
            attributes=attributes,
            layer=self._layer_name(proto),
            named=not self.by_torch,
        )

    def _layer_name(self, proto: Any) -> str:
        """Return the layer's name that the node's own gives: PyTorch's are paths of modules, or counted."""
        if not self.by_torch:
            return _path([part for part in proto.name.split("/") if part])
        scopes = next((p.value for p in proto.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "")
        paths = re.findall(r"'([A-Za-z0-9_.]*)'", scopes)[:-1]
        if paths and paths[-1]:
            return str(paths[-1]).replace(".", "/")
        parts = [part for part in proto.name.split("/") if part][:-1]
        return _path(parts) if proto.name.startswith("/") else ""

    def _attribute(self, attribute: Any) -> Any:
        """Return an attribute's plain value; subgraphs are of no use here."""
        kinds = {1: "f", 2: "i", 6: "floats", 7: "ints"}
        if attribute.type in kinds:
            value = getattr(attribute, kinds[attribute.type])
            return list(value) if attribute.type > 2 else value
        if attribute.type == 3:
            return attribute.s.decode("utf-8", "replace")
        if attribute.type == 4:
            return self._constant(attribute.t, attribute.t.name or "", in_node=True)
        return None

    def _fold(self, node: Node, known: bool) -> None:
        """Define the constants that a node makes of constants."""
        t = self.t
        given = [t.constants.get(name) if name else None for name in node.inputs]
        value: np.ndarray | None = None
        if node.type == "Constant":
            self.t.constants[node.outputs[0]] = _constant_node(node)
            return
        if node.type == "Shape":
            sizes = list(t.shape(node, 0))
            value = np.array(sizes[slice(node.get("start", 0), node.get("end"))], dtype=np.int64)
            given = []
        elif known:
            attributes = {
                key: x.value if isinstance(x, Constant) else x for key, x in node.attributes.items() if x is not None
            }
            value = fold(node.type, given, attributes)
        origin = next((x for x in given if x is not None and x.name), None)
        learned = sum(x.learned for x in given if x is not None)
        label = origin.name if origin is not None else ""
        if value is not None:
            t.constants[node.outputs[0]] = Constant(shape=value.shape, value=value, learned=learned, name=label)
            return
        for name, shape in self._folded_shapes(node, given, known).items():
            t.constants[name] = Constant(shape=shape, learned=learned, name=label)

    def _folded_shapes(self, node: Node, given: Sequence[Constant | None], known: bool) -> dict[str, tuple[int, ...]]:
        """Return the shapes of constants too large to compute: as if their large inputs were the network's."""
        wanted = [name for name in node.outputs if name]
        scratch = Translation(Graph(name="", inputs=[], outputs=[], shapes={}))
        unknown = {name for name, x in zip(node.inputs, given, strict=True) if x is not None and x.value is None}
        large = unknown or (node.inputs[:1] if node.type != "ConstantOfShape" else ())
        for name in node.inputs:
            if name and name in large:
                scratch.graph.shapes[name] = self.t.constants[name].shape
            elif name:
                scratch.constants[name] = self.t.constants[name]
        if known and node.type in OPERATORS and node.outputs[0]:
            OPERATORS[node.type](scratch, node)
            return {name: scratch.graph.shapes.get(name, ()) for name in wanted}
        missing = [name for name in wanted if name not in self.stated]
        if missing:
            raise node.wrong(f"the shape of {missing[0]!r} is not known: the operator is not, and the file states none")
        return {name: self.stated[name] for name in wanted}

    def _unknown(self, node: Node) -> None:
        """Charge an unknown operator as data movement."""
        if self.strict:
            raise node.wrong("unknown operator")
        missing = [name for name in node.outputs if name and name not in self.stated]
        if missing:
            raise node.wrong(f"unknown operator, and the file does not state the shape of its output {missing[0]!r}")
        self.t.add_move(
            Node(name=node.name, type=node.type, inputs=node.inputs, outputs=[name for name in node.outputs if name]),
            [self.stated[name] for name in node.outputs if name],
            node.type,
            "unknown",
        )


def _undefined(name: str, makers: Mapping[str, Any]) -> str:
    """Say why a node cannot read a tensor."""
    if name in makers:
        later = makers[name].name or makers[name].op_type
        return f"reads {name!r}, which only a later node ({later}) makes: the graph has a cycle or is out of order"
    return f"reads {name!r}, which no input, initialiser or node gives"


def _stated_shape(info: Any) -> tuple[int, ...] | None:
    """Return the shape that the file states for a tensor, if all of it is fixed and possible."""
    if not info.type.HasField("tensor_type") or not info.type.tensor_type.HasField("shape"):
        return None
    axes = info.type.tensor_type.shape.dim
    sizes = tuple(axis.dim_value if axis.HasField("dim_value") else 0 for axis in axes)
    return sizes if sizes and min(sizes) > 0 and len(sizes) <= MAX_RANK else None


def _values(tensor: Any, sizes: tuple[int, ...]) -> np.ndarray | None:
    """Return the values of a small tensor, or None if the file does not hold them as it should."""
    if tensor.data_location == 1 or tensor.data_type not in _NUMPY_TYPES:
        return None
    kind = np.dtype(_NUMPY_TYPES[tensor.data_type])
    try:
        if tensor.raw_data:
            return np.frombuffer(tensor.raw_data, dtype=kind).reshape(sizes)
        fields = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
        stored = next((values for field in fields if len(values := getattr(tensor, field))), ())
        return np.array(list(stored)).astype(kind).reshape(sizes)
    except (ValueError, OverflowError):
        return None


def _constant_node(node: Node) -> Constant:
    """Return what a Constant node holds."""
    value = node.get("value")
    if isinstance(value, Constant):
        return value
    for key in ("value_int", "value_float", "value_ints", "value_floats"):
        if key in node.attributes:
            return Constant(shape=np.shape(node.get(key)), value=np.asarray(node.get(key)))
    if not node.outputs[0]:
        raise node.wrong("makes nothing")
    return Constant(shape=())


def _path(parts: Sequence[str]) -> str:
    """Return a path of modules: where PyTorch repeats one, as in layer1/layer1.0, the longer says it all."""
    kept: list[str] = []
    for part in parts:
        if kept and part.startswith(f"{kept[-1]}."):
            kept.pop()
        kept.append(part)
    return "/".join(kept).replace(".", "/")
