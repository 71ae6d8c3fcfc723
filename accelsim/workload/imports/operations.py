"""The graph of operations that importers read a model into, before it becomes layers.

A ``Step`` is one operation on values, which are tensors that depend on the network's input; weights and other
constants are details of the step that uses them. Shapes are whole tensors', batch included. What a step's ``details``
hold depends on its kind:

=================  ===================================================================================================
conv               kernel, stride, dilation (vertical, horizontal), padding (top, bottom, left, right), groups,
                   channels (of the output), bias
conv_transpose     the same; ``padding`` as the operator states it, of the result
linear             in_features, features, bias
matmul             rows, inner, columns of each group; two values
max_pool,          kernel, stride, padding
avg_pool
global_avg_pool,   nothing
global_max_pool
unary, binary      function; unary is any function of each element, constants included
batch_norm, lrn,   nothing
softmax, view
layer_norm         function (layer_norm, group_norm, ...)
concat             axis
resize             nothing
transpose          perm
slice              axis, start, stop, step if one axis is cut, else nothing
split              axis, bounds (start and stop of every value made)
move, unknown      function
=================  ===================================================================================================
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import prod
from typing import Any

from accelsim.errors import WorkloadError
from accelsim.workload.layer import Shape
from accelsim.workload.network import Network

MAX_ELEMENTS = 10**11
"""Elements of the largest tensor that is believed: a hundred times the largest weights in use."""

ARRAY_KINDS = frozenset({"conv", "conv_transpose", "linear", "matmul"})
"""Kinds of steps that run on the array."""


class Became(StrEnum):
    """What an imported node has become."""

    ARRAY = "array"
    MOVES = "moves data"
    VIEW = "view"
    FOLDED = "folded"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class NodeRecord:
    """What became of one node of the model.

    Attributes:
        node: Its name in the model.
        type: Its operator.
        became: What it is now.
        layer: The layer that it is, or is folded into; empty if there is none.
    """

    node: str
    type: str
    became: Became
    layer: str = ""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A network read from a model, and the account of the model's nodes.

    Attributes:
        network: The network, for one image.
        records: One record per node of the model.
        batch: Images at a time that the model was made for.
        weights: For each layer with weights that the model holds, the names of the tensors that hold them.
    """

    network: Network
    records: tuple[NodeRecord, ...]
    batch: int = 1
    weights: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def unknown(self) -> Counter[str]:
        """Operators that are not known, with how many nodes have each."""
        return Counter(record.type for record in self.records if record.became is Became.UNKNOWN)

    def summary(self) -> list[str]:
        """Return lines that say what became of the nodes, operator by operator."""
        kinds: dict[Became, Counter[str]] = {became: Counter() for became in Became}
        for record in self.records:
            kinds[record.became][record.type] += 1
        lines = [f"{len(self.records)} nodes, {len(self.network)} layers"]
        for became, types in kinds.items():
            if types:
                listed = ", ".join(f"{kind} {count}" for kind, count in sorted(types.items()))
                lines.append(f"  {became} ({sum(types.values())}): {listed}")
        return lines


@dataclass(kw_only=True)
class Step:
    """One operation.

    Attributes:
        kind: What it does; the module's description lists the kinds.
        reads: Values that it reads, in order.
        makes: Values that it makes.
        node: Name of the model's node, for messages.
        type: The node's operator.
        name: Name for its layer, with slashes between blocks: the path of its parameters.
        alternative: Name for its layer if its parameters have none; empty: it is counted.
        details: Attributes by kind.
        params: Learned parameters that are neither weights nor bias nor a batch norm's.
        weights: Names of the tensors that hold its weights.
        absorbed: Nodes, as (name, operator), that were folded into this one.
        counted: Whether it stands for its node; of a node that is several steps, one does.
    """

    kind: str
    reads: list[str]
    makes: list[str]
    node: str
    type: str
    name: str = ""
    alternative: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    params: int = 0
    weights: tuple[str, ...] = ()
    absorbed: list[tuple[str, str]] = field(default_factory=list)
    counted: bool = True

    @property
    def nodes(self) -> list[tuple[str, str]]:
        """The nodes, as (name, operator), that it stands for."""
        return [*([(self.node, self.type)] if self.counted else []), *self.absorbed]


@dataclass(kw_only=True)
class Graph:
    """A model as steps in the order in which they run.

    Attributes:
        name: Name of the model.
        inputs: Values that the network is given.
        outputs: Values that it returns.
        shapes: Shape of every value, batch included.
        steps: The operations.
        folded: Nodes, as (name, operator), that depend on constants only.
        batch: Images at a time.
    """

    name: str
    inputs: list[str]
    outputs: list[str]
    shapes: dict[str, tuple[int, ...]]
    steps: list[Step] = field(default_factory=list)
    folded: list[tuple[str, str]] = field(default_factory=list)
    batch: int = 1

    def readers(self) -> dict[str, list[Step]]:
        """Return the steps that read each value, once per reading."""
        found: dict[str, list[Step]] = defaultdict(list)
        for step in self.steps:
            for value in step.reads:
                found[value].append(step)
        return found

    def makers(self) -> dict[str, Step]:
        """Return the step that makes each value."""
        return {value: step for step in self.steps for value in step.makes}


def checked_shape(what: str, sizes: Sequence[int]) -> tuple[int, ...]:
    """Return a tensor's shape if one can be so.

    Raises:
        WorkloadError: A size below 1, or more elements than are believed.
    """
    for size in sizes:
        if size < 1:
            raise WorkloadError(f"{what} has the impossible shape {shape_text(sizes)}")
    if prod(sizes) > MAX_ELEMENTS:
        raise WorkloadError(
            f"{what} of shape {shape_text(sizes)} has {prod(sizes):.3g} elements, at most {MAX_ELEMENTS:.0e} are read"
        )
    return tuple(sizes)


def printable(text: str, most: int = 400) -> str:
    """Return text from a model fit for one line of a terminal: what is not printable ASCII becomes a question mark."""
    clean = re.sub(r"[^\x20-\x7e]", "?", text)
    return clean if len(clean) <= most else f"{clean[: most - 3]}..."


def shape_text(sizes: Sequence[int]) -> str:
    """Return a shape as people write it, cut if it is long."""
    return "x".join(str(size) for size in sizes[:8]) + ("x..." if len(sizes) > 8 else "") if sizes else "()"


def image_sizes(what: str, sizes: Sequence[int], batch: int) -> tuple[int, ...]:
    """Return the sizes of one image's part of a tensor: the batch divided out of the first axis that has it.

    Raises:
        WorkloadError: No axis has the batch.
    """
    for axis, size in enumerate(sizes):
        if size % batch == 0:
            rest = size // batch
            kept = [*sizes[:axis], *([rest] if rest > 1 else []), *sizes[axis + 1 :]]
            return tuple(kept)
        if batch == 1:
            break
    if not sizes:
        return ()
    raise WorkloadError(
        f"{what} of shape {shape_text(sizes)} has no axis with the batch of {batch}; export the model with batch 1"
    )


def image_shape(what: str, sizes: Sequence[int], batch: int) -> Shape:
    """Return one image's part of a tensor as channels, height and width.

    Two axes are those of tokens, positions x features; three are channels, height and width; of more, those of size 1
    are left out and the last ones joined.

    Raises:
        WorkloadError: No axis has the batch.
    """
    rest = image_sizes(what, sizes, batch)
    if len(rest) < 2:
        return Shape(prod(rest), 1, 1)
    if len(rest) == 2:
        return Shape(rest[1], rest[0], 1)
    while len(rest) > 3 and 1 in rest:
        rest = (*rest[: rest.index(1)], *rest[rest.index(1) + 1 :])
    return Shape(rest[0], rest[1], prod(rest[2:]))
