"""Products of tensors: by weights, of two values, and as Einstein sums."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod

from accelsim.workload.imports.constants import Constant
from accelsim.workload.imports.translation import Node, Translation, parameter_path


def add_linear(
    t: Translation,
    node: Node,
    value: str,
    weights: Constant,
    made: Sequence[int],
    in_features: int,
    features: int,
    *,
    bias: Constant | None = None,
) -> None:
    """Add the product of a value by weights, all but one of its axes rows."""
    if weights.elements != in_features * features:
        raise node.wrong(f"{weights.elements} weights for {in_features} x {features} features")
    if bias is not None and bias.elements != features:
        bias = None if bias.elements == 1 else bias
        if bias is not None:
            raise node.wrong(f"adds {bias.elements} biases to {features} features")
    step = t.add(node, "linear", made, reads=[value], in_features=in_features, features=features, bias=bias is not None)
    step.name = parameter_path(weights, bias)
    step.weights = (weights.name,) if weights.name else ()


def add_product(
    t: Translation, node: Node, first: int, second: int, made: Sequence[int], *, rows: int, inner: int, columns: int
) -> None:
    """Add the product of two values, of which each image has its own."""
    for index in (first, second):
        if t.constant(node, index) is not None:
            raise node.wrong("a different matrix of weights for each group is not supported")
    reads = [node.inputs[first], node.inputs[second]]
    t.add(node, "matmul", made, reads=reads, rows=rows, inner=inner, columns=columns)


def add_einsum(t: Translation, node: Node, equation: str) -> None:
    """Add an Einstein sum of two tensors that is a product of matrices in groups.

    Raises:
        WorkloadError: It is another one.
    """
    match = re.fullmatch(r"([A-Za-z]+),([A-Za-z]+)->([A-Za-z]*)", equation.replace(" ", ""))
    if match is None or len(node.inputs) != 2 or any(len(set(part)) != len(part) for part in match.groups()):
        raise node.wrong(f"equation {equation[:60]!r} is not a product of two tensors")
    labels = match.groups()
    sizes: dict[str, int] = {}
    for index in range(2):
        shape = t.shape(node, index)
        if len(shape) != len(labels[index]):
            raise node.wrong(f"equation {equation[:60]!r} does not fit a tensor of {len(shape)} axes")
        for label, size in zip(labels[index], shape, strict=True):
            if sizes.setdefault(label, size) != size:
                raise node.wrong(f"axis {label} of equation {equation[:60]!r} has sizes {sizes[label]} and {size}")
    first, second, result = (set(part) for part in labels)
    if not result <= first | second or (first ^ second) - result:
        raise node.wrong(f"equation {equation[:60]!r} is not a product of two tensors")
    made = [sizes[label] for label in labels[2]]
    inner, rows, columns = (
        prod(sizes[label] for label in part) for part in ((first & second) - result, first - second, second - first)
    )
    groups = prod(sizes[label] for label in first & second & result)
    for index, features in ((1, columns), (0, rows)):
        weights = t.constant(node, index)
        if weights is not None and groups == 1:
            add_linear(t, node, node.inputs[1 - index], weights, made, inner, features)
            return
    add_product(t, node, 0, 1, made, rows=rows, inner=inner, columns=columns)
