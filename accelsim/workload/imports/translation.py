"""What translating a model node by node needs, whatever the model was read from: values, constants, new steps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from accelsim.errors import WorkloadError
from accelsim.workload.imports.constants import Constant
from accelsim.workload.imports.operations import Graph, Step, checked_shape, shape_text

WITH_PARAMETERS = frozenset({"conv", "conv_transpose", "linear", "batch_norm", "layer_norm"})
"""Kinds of steps that have parameters."""

MAX_RANK = 16
"""Most axes of a tensor."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node of the model as the translators see it.

    Attributes:
        name: Its name, or where it stands.
        type: Its operator.
        inputs: Names of its inputs; empty where an optional one is left out.
        outputs: Names of its outputs; empty where one is not wanted.
        attributes: Plain values; tensors are ``Constant``.
        layer: What its layer is to be called if its parameters have no name; empty: it is counted.
        named: Whether that holds for layers without parameters too; PyTorch's are counted.
    """

    name: str
    type: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    layer: str = ""
    named: bool = False

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def wrong(self, message: str) -> WorkloadError:
        """Return an error about this node."""
        return WorkloadError(f"node {self.name} ({self.type}): {message}")


class Translation:
    """A graph that grows step by step, with the constants of the model."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.constants: dict[str, Constant] = {}

    def constant(self, node: Node, index: int) -> Constant | None:
        """Return an input if it is a constant, else None."""
        return self.constants.get(node.inputs[index]) if index < len(node.inputs) else None

    def needs(self, node: Node, index: int, what: str) -> Constant:
        """Return an input that has to be a constant.

        Raises:
            WorkloadError: It is missing, or computed from the network's input.
        """
        found = self.constant(node, index)
        if found is None:
            absent = index >= len(node.inputs) or not node.inputs[index]
            raise node.wrong(f"its {what} {'are missing' if absent else 'depend on the network input'}")
        return found

    def numbers(self, node: Node, index: int, what: str) -> list[int] | None:
        """Return the whole numbers that an optional input holds.

        Raises:
            WorkloadError: They are not known.
        """
        if index >= len(node.inputs) or not node.inputs[index]:
            return None
        value = self.needs(node, index, what).value
        if value is None:
            raise node.wrong(f"the values of its {what} are not known")
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise node.wrong(f"its {what} are not finite")
        return [int(number) for number in value.ravel()]

    def shape(self, node: Node, index: int) -> tuple[int, ...]:
        """Return the shape of an input, constant or not.

        Raises:
            WorkloadError: There is no such input.
        """
        if index >= len(node.inputs) or not node.inputs[index]:
            raise node.wrong(f"input {index + 1} is missing")
        name = node.inputs[index]
        if name in self.constants:
            return self.constants[name].shape
        return self.graph.shapes[name]

    def dynamic(self, node: Node) -> list[str]:
        """Return the inputs that depend on the network's input."""
        return [name for name in node.inputs if name and name not in self.constants]

    def add(
        self, node: Node, kind: str, shape: Sequence[int], *, reads: Sequence[str] | None = None, **details: Any
    ) -> Step:
        """Add a step that makes the node's first output."""
        output = node.outputs[0]
        if len(shape) > MAX_RANK:
            raise node.wrong(f"tensor {output} has {len(shape)} axes, at most {MAX_RANK} are read")
        self.graph.shapes[output] = checked_shape(f"node {node.name} ({node.type}): tensor {output}", shape)
        step = Step(
            kind=kind,
            reads=list(self.dynamic(node) if reads is None else reads),
            makes=[output],
            node=node.name,
            type=node.type,
            alternative=node.layer if node.named or kind in WITH_PARAMETERS else "",
            details=details,
        )
        self.graph.steps.append(step)
        return step

    def add_move(self, node: Node, shapes: Sequence[Sequence[int]], function: str, kind: str = "move") -> Step:
        """Add data movement that makes all of the node's outputs that are wanted."""
        wanted = [(name, shape) for name, shape in zip(node.outputs, shapes, strict=False) if name]
        step = self.add(node, kind, wanted[0][1], function=function)
        for name, shape in wanted[1:]:
            self.graph.shapes[name] = checked_shape(f"node {node.name} ({node.type}): tensor {name}", shape)
        step.makes = [name for name, _ in wanted]
        step.params = sum(constant.params for constant in self.constant_inputs(node))
        return step

    def constant_inputs(self, node: Node) -> list[Constant]:
        """Return the inputs that are constants."""
        return [self.constants[name] for name in node.inputs if name in self.constants]


def parameter_path(*constants: Constant | None) -> str:
    """Return the module that parameters belong to, slashes between its parts: ``layer1/0/conv1``; else nothing."""
    for constant in constants:
        name = constant.name if constant is not None else ""
        match = re.fullmatch(r"([A-Za-z0-9_.]+?)[._](?:weight|bias|gamma|beta|kernel)(?:_quantized)?", name)
        if match:
            return match[1].strip(".").replace(".", "/")
    return ""


def broadcast(node: Node, *shapes: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of an element-wise operation.

    Raises:
        WorkloadError: The shapes do not fit.
    """
    rank = max(map(len, shapes))
    made = []
    for axis in range(rank):
        sizes = {shape[axis - rank + len(shape)] for shape in shapes if axis - rank + len(shape) >= 0}
        if len(sizes - {1}) > 1:
            raise node.wrong(f"shapes {' and '.join(map(shape_text, shapes))} do not fit")
        made.append(max(sizes) if 0 not in sizes else 0)
    return tuple(made)


def axis_of(node: Node, axis: int, rank: int) -> int:
    """Return an axis counted from the front.

    Raises:
        WorkloadError: There is none such.
    """
    if not -rank <= axis < max(rank, 1):
        raise node.wrong(f"axis {axis} is not one of a tensor with {rank} axes")
    return axis % rank if rank else 0


def resolve_reshape(node: Node, shape: Sequence[int], sizes: Sequence[int], *, zero_copies: bool) -> tuple[int, ...]:
    """Return the sizes of a reshaped tensor: -1 is what is left, 0 what the axis had.

    Raises:
        WorkloadError: The number of elements would change.
    """
    wanted = list(sizes)
    total = int(np.prod([int(size) for size in shape], dtype=object)) if shape else 1
    if zero_copies:
        if any(size == 0 and axis >= len(shape) for axis, size in enumerate(wanted)):
            raise node.wrong(f"reshapes {shape_text(shape)} to {shape_text(wanted)}")
        wanted = [shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    known = 1
    for size in wanted:
        known *= size if size != -1 else 1
    if wanted.count(-1) == 1 and known > 0 and total % known == 0:
        wanted = [total // known if size == -1 else size for size in wanted]
        known = total
    if known != total or min(wanted, default=1) < 0:
        raise node.wrong(f"reshapes {shape_text(shape)} to {shape_text(sizes)}")
    return tuple(wanted)
