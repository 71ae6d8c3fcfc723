"""Lowering of imported operations to layers: the one road from a model, whatever it was read from, to a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from math import prod
from typing import Any

from accelsim.errors import WorkloadError
from accelsim.workload.graph_builder import GraphBuilder
from accelsim.workload.imports.fusion import FREE, fuse
from accelsim.workload.imports.operations import (
    ARRAY_KINDS,
    Became,
    Graph,
    Imported,
    NodeRecord,
    Step,
    image_shape,
    image_sizes,
    printable,
)
from accelsim.workload.imports.transposed import phases
from accelsim.workload.layer import Shape, conv_output_size
from accelsim.workload.network import INPUT, Tensor

BLOCK_KINDS = frozenset({"unary", "binary", "batch_norm"})
"""Kinds that, without a name of their own, belong to the block of what they read first."""

MAX_PHASES = 4096
"""Most ordinary convolutions that one transposed convolution becomes; a stride of 32 makes 1024."""

JOINED = {"add": "add", "sub": "add", "mul": "mul", "div": "mul"}
"""Builder's call for each function of two maps; others are data movement."""


def to_network(graph: Graph) -> Imported:
    """Return the network that a graph of operations is.

    Args:
        graph: The graph; fused in place first.

    Raises:
        WorkloadError: A shape does not fit, or nothing is computed.
    """
    fuse(graph)
    return _Lowering(graph).run()


class _Lowering:
    """Adds one layer after the other to a builder and keeps account of the nodes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.records: list[NodeRecord] = [
            NodeRecord(node=node, type=kind, became=Became.FOLDED) for node, kind in graph.folded
        ]
        self.tensors: dict[str, Tensor] = {}
        self.weights: dict[str, tuple[str, ...]] = {}
        self.views: dict[tuple[str, Shape], Tensor] = {}
        self.blocks: dict[str, str] = {INPUT: ""}
        self.names = {INPUT}
        self.counts: Counter[str] = Counter()
        shapes = [self.shape(value) for value in graph.inputs]
        whole = shapes[0] if len(shapes) == 1 else Shape(sum(shape.words for shape in shapes), 1, 1)
        self.b = GraphBuilder(graph.name, whole)
        self._read_inputs(shapes)

    def _read_inputs(self, shapes: list[Shape]) -> None:
        """Give every input its tensor: the image, or the part of it that stands for one of several."""
        for value, shape in zip(self.graph.inputs, shapes, strict=True):
            x = self.b.input
            if len(shapes) > 1:
                x = self.b.slice(x, shape, name=self.unique(value))
                self.blocks[x.name] = ""
            self.tensors[value] = x

    def run(self) -> Imported:
        """Lower every step."""
        for step in self.graph.steps:
            became, layer = self.lower(step)
            if step.counted:
                self.records.append(NodeRecord(node=step.node, type=step.type, became=became, layer=layer))
            self.records += [
                NodeRecord(node=node, type=kind, became=Became.FOLDED, layer=layer) for node, kind in step.absorbed
            ]
        network = self.b.build()
        norms = network.folded_batch_norms()
        records = (replace(r, became=Became.FOLDED) if r.layer in norms else r for r in self.records)
        return Imported(network=network, records=tuple(records), batch=self.graph.batch, weights=self.weights)

    def lower(self, step: Step) -> tuple[Became, str]:
        """Add a step's layer, and say what it has become and the layer's name."""
        if step.kind in FREE:
            for value in step.makes:
                self.tensors[value] = self.tensors[step.reads[0]]
            return (Became.VIEW if step.kind == "view" else Became.FOLDED), ""
        try:
            out, became = self._add(step)
        except WorkloadError as wrong:
            raise WorkloadError(f"node {step.node} ({step.type}): {wrong}") from None
        return became, out.name

    def _add(self, step: Step) -> tuple[Tensor, Became]:
        wanted = printable(step.name or step.alternative, 100)
        block = wanted.rpartition("/")[0]
        if not wanted and step.kind in BLOCK_KINDS:
            block = self.blocks[self.tensors[step.reads[0]].name]
        name = self.unique(wanted) if wanted else self.numbered(step, block)
        with self.b.scope(block) if block else nullcontext():
            out, became = LOWER[step.kind](self, step, name)
        self.blocks[out.name] = block
        self.tensors[step.makes[0]] = out
        if step.weights:
            self.weights[out.name] = step.weights
        return out, became

    def unique(self, name: str) -> str:
        """Return ``name``, with a number if it is taken."""
        name = candidate = printable(name, 120)
        while candidate in self.names:
            self.counts[name] += 1
            candidate = f"{name}_{self.counts[name] + 1}"
        self.names.add(candidate)
        return candidate

    def numbered(self, step: Step, block: str) -> str:
        """Return the next name of a step's kind in its block."""
        what = step.details["function"] if step.kind in ("unary", "binary", "move", "unknown") else step.kind
        what = "slice" if what == "split" else what
        return self.next_name(f"{block}/{what}" if block else what)

    def next_name(self, stem: str) -> str:
        """Return ``stem`` with the next number that gives a name not yet taken."""
        self.counts[f"#{stem}"] += 1
        gap = "_" if stem[-1:].isdigit() else ""
        return self.unique(f"{stem}{gap}{self.counts[f'#{stem}']}")

    def shape(self, value: str) -> Shape:
        """Return a value's shape for one image."""
        return image_shape(f"tensor {value}", self.graph.shapes[value], self.graph.batch)

    def sizes(self, value: str) -> tuple[int, ...]:
        """Return a value's sizes for one image."""
        return image_sizes(f"tensor {value}", self.graph.shapes[value], self.graph.batch)

    def read(self, value: str, shape: Shape | None = None) -> Tensor:
        """Return a value's tensor, as a view of ``shape`` where it has another."""
        x = self.tensors[value]
        if shape is None or x.shape == shape:
            return x
        key = (x.name, shape)
        if key not in self.views:
            self.views[key] = self.b.reshape(x, shape, name=self.next_name("view"))
            self.blocks[self.views[key].name] = self.blocks[x.name]
        return self.views[key]

    def map(self, value: str) -> Tensor:
        """Return a value's tensor as a map of channels: one of three axes, batch included, is a row of pixels."""
        shape = self.shape(value)
        sizes = self.graph.shapes[value]
        if len(sizes) == 3:
            shape = Shape(sizes[1], 1, sizes[2])
        elif len(sizes) == 4:
            shape = Shape(*sizes[1:])
        return self.read(value, shape)

    def made(self, step: Step) -> Shape:
        """Return the shape of what a step makes."""
        return self.shape(step.makes[0])


def _conv(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    d = step.details
    x = low.map(step.reads[0])
    out = low.b.conv(
        x,
        d["channels"],
        d["kernel"],
        stride=d["stride"],
        padding=d["padding"],
        dilation=d["dilation"],
        groups=d["groups"],
        bias=d["bias"],
        name=name,
    )
    return out, Became.ARRAY


def _conv_transpose(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    d = step.details
    x = low.map(step.reads[0])
    made = low.graph.shapes[step.makes[0]]
    shape = Shape(d["channels"], *((1, made[2]) if len(made) == 3 else made[2:4]))
    if prod(d["stride"]) > MAX_PHASES:
        raise WorkloadError(f"stride {d['stride']} makes more than {MAX_PHASES} convolutions of it")
    parts: list[Tensor] = []
    for label, phase in phases(d, (x.shape.height, x.shape.width), (shape.height, shape.width)):
        source = x
        if phase.crop != (x.shape.height, x.shape.width):
            source = low.b.slice(x, Shape(x.channels, *phase.crop), name=low.unique(f"{name}/crop{label}"))
            low.blocks[source.name] = ""
        parts.append(
            low.b.conv(
                source,
                d["channels"],
                phase.kernel,
                padding=phase.padding,
                dilation=phase.dilation,
                groups=d["groups"],
                bias=d["bias"] and not parts,  # one bias for all phases
                name=low.unique(f"{name}/phase{label}"),
            )
        )
        low.blocks[parts[-1].name] = ""
        low.weights[parts[-1].name] = step.weights
    if len(parts) == 1 and parts[0].shape == shape:
        return parts[0], Became.ARRAY
    return low.b.interleave(*parts, shape=shape, name=low.unique(f"{name}/interleave")), Became.ARRAY


def _linear(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    d = step.details
    x = low.read(step.reads[0])
    rows = x.shape.words // d["in_features"]
    if rows * d["in_features"] != x.shape.words:
        raise WorkloadError(f"reads {x.shape.words} words of an image, not a multiple of {d['in_features']} features")
    if rows > 1 and x.channels != d["in_features"]:
        x = low.read(step.reads[0], Shape(d["in_features"], rows, 1))
    return low.b.linear(x, d["features"], bias=d["bias"], per_pixel=rows > 1, name=name), Became.ARRAY


def _matmul(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    rows, inner, columns = (step.details[size] for size in ("rows", "inner", "columns"))
    groups = max(1, prod(low.sizes(step.makes[0])) // (rows * columns))
    factors = [low.read(value) for value in step.reads]
    if factors[1].shape.words == inner * columns:
        groups, rows = 1, rows * groups  # one second factor for all
    elif factors[0].shape.words == inner * rows:
        groups, columns = 1, columns * groups
    else:
        needs = (Shape(groups * inner, rows, 1), Shape(groups * columns, inner, 1))
        factors = [_expanded(low, x, need) for x, need in zip(factors, needs, strict=True)]
    return low.b.matmul(factors[0], factors[1], rows, inner, columns, groups=groups, name=name), Became.ARRAY


def _expanded(low: _Lowering, x: Tensor, shape: Shape) -> Tensor:
    """Return a factor repeated for as many groups as the other one has."""
    if x.shape.words == shape.words:
        return x
    out = low.b.move(x, shape=shape, function="expand", name=low.next_name("expand"))
    low.blocks[out.name] = ""
    return out


def _pool(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    d = step.details
    x = low.map(step.reads[0])
    build = low.b.max_pool if step.kind == "max_pool" else low.b.avg_pool
    made = low.graph.shapes[step.makes[0]]
    wanted = (1, made[2]) if len(made) == 3 else tuple(made[2:4])
    pads = d["padding"]
    floor = tuple(
        conv_output_size(step.node, size, d["kernel"][axis], d["stride"][axis], pads[2 * axis], pads[2 * axis + 1], 1)
        for axis, size in enumerate((x.shape.height, x.shape.width))
    )
    out = build(x, d["kernel"], stride=d["stride"], padding=pads, ceil_mode=floor != wanted, name=name)
    if out.shape[1:] != wanted:
        raise WorkloadError(f"pools {x.shape} to {out.shape}, but the model says {wanted[0]}x{wanted[1]} pixels")
    return out, Became.MOVES


def _global_pool(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    x = low.map(step.reads[0])
    if step.kind == "global_max_pool":
        return low.b.max_pool(x, (x.shape.height, x.shape.width), name=name), Became.MOVES
    return low.b.global_avg_pool(x, name=name), Became.MOVES


def _unary(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    x = low.read(step.reads[0])
    if x.shape.words != low.made(step).words:  # a constant that is larger than the map
        return _move(low, step, name)
    return low.b.elementwise(x, step.details["function"], params=step.params, name=name), Became.MOVES


def _binary(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    made = low.made(step)
    first, second = (low.read(value) for value in step.reads)
    call = JOINED.get(step.details["function"])
    if call is None or max(first.shape.words, second.shape.words) != made.words:
        return _move(low, step, name)
    if first.shape.words == second.shape.words:
        if first.shape != second.shape:
            second = low.read(step.reads[1], first.shape)
        return getattr(low.b, call)(first, second, name=name), Became.MOVES
    first, second = sorted((low.map(value) for value in step.reads), key=lambda x: -x.shape.words)
    fits = all(factor in (1, size) for factor, size in zip(second.shape, first.shape, strict=True))
    if call == "mul" and fits:
        return low.b.mul(first, second, name=name), Became.MOVES
    return _move(low, step, name)


def _concat(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    shapes = [low.graph.shapes[value] for value in step.reads]
    made = low.graph.shapes[step.makes[0]]
    along_channels = step.details["axis"] == 1 and len(made) in (3, 4) and len(step.reads) > 1
    if along_channels and sum(shape[1] for shape in shapes) == made[1] and not step.params:
        return low.b.concat(*(low.map(value) for value in step.reads), name=name), Became.MOVES
    return _move(low, step, name)


def _resize(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    x = low.map(step.reads[0])
    made = low.graph.shapes[step.makes[0]]
    size = (1, made[2]) if len(made) == 3 else tuple(made[2:4])
    if len(made) not in (3, 4) or x.channels != made[1]:
        return _move(low, step, name)
    factor = size[0] // x.shape.height
    if size == (x.shape.height * factor, x.shape.width * factor):
        return low.b.upsample(x, factor, name=name), Became.MOVES
    return low.b.upsample(x, size=(size[0], size[1]), name=name), Became.MOVES


def _transpose(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    sizes, perm = low.graph.shapes[step.reads[0]], step.details["perm"]
    if len(sizes) == 5 and tuple(perm) == (0, 2, 1, 3, 4) and sizes[0] == low.graph.batch:
        groups, inside, height, width = sizes[1:]
        x = low.read(step.reads[0], Shape(groups * inside, height, width))
        return low.b.channel_shuffle(x, groups, name=name), Became.MOVES
    return low.b.transpose(low.read(step.reads[0]), low.made(step), name=name), Became.MOVES


def _slice(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    d, sizes = step.details, low.graph.shapes[step.reads[0]]
    if d.get("axis") == 1 and d["step"] == 1 and len(sizes) in (3, 4):
        return low.b.slice_channels(low.map(step.reads[0]), d["start"], d["stop"], name=name), Became.VIEW
    return low.b.slice(low.read(step.reads[0]), low.made(step), name=name), Became.VIEW


def _split(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    axis, sizes = step.details["axis"], low.graph.shapes[step.reads[0]]
    x = low.map(step.reads[0]) if axis == 1 and len(sizes) in (3, 4) else low.read(step.reads[0])
    parts: list[Tensor] = []
    for index, (value, (start, stop)) in enumerate(zip(step.makes, step.details["bounds"], strict=True)):
        part = name if index == 0 else low.next_name("slice")
        if axis == 1 and len(sizes) in (3, 4):
            parts.append(low.b.slice_channels(x, start, stop, name=part))
        else:
            parts.append(low.b.slice(x, low.shape(value), name=part))
        low.tensors[value] = parts[-1]
        low.blocks[part] = ""
    return parts[0], Became.VIEW


def _move(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    tensors = [low.read(value) for value in step.reads]
    made = [low.shape(value) for value in step.makes]
    shape = made[0] if len(made) == 1 else Shape(sum(shape.words for shape in made), 1, 1)
    function = step.details.get("function", step.kind)
    out = low.b.move(*tensors, shape=shape, function=function, params=step.params, name=name)
    parts = {}
    if len(made) > 1:
        for value, part in zip(step.makes, made, strict=True):
            parts[value] = low.b.slice(out, part, name=low.next_name(f"{name}/part"))
            low.blocks[parts[value].name] = ""
    low.tensors.update(parts)
    return parts.get(step.makes[0], out), Became.UNKNOWN if step.kind == "unknown" else Became.MOVES


def _per_channel(call: str) -> Callable[[_Lowering, Step, str], tuple[Tensor, Became]]:
    """Return the lowering of an operation on a map of channels that keeps its shape."""

    def add(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
        build: Callable[..., Any] = getattr(low.b, call)
        return build(low.map(step.reads[0]), name=name), Became.MOVES

    return add


def _layer_norm(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    x = low.read(step.reads[0])
    return low.b.layer_norm(x, step.details["function"], params=step.params, name=name), Became.MOVES


def _softmax(low: _Lowering, step: Step, name: str) -> tuple[Tensor, Became]:
    return low.b.softmax(low.read(step.reads[0]), name=name), Became.MOVES


LOWER: dict[str, Callable[[_Lowering, Step, str], tuple[Tensor, Became]]] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "linear": _linear,
    "matmul": _matmul,
    "max_pool": _pool,
    "avg_pool": _pool,
    "global_avg_pool": _global_pool,
    "global_max_pool": _global_pool,
    "unary": _unary,
    "binary": _binary,
    "batch_norm": _per_channel("batch_norm"),
    "lrn": _per_channel("lrn"),
    "layer_norm": _layer_norm,
    "softmax": _softmax,
    "concat": _concat,
    "resize": _resize,
    "transpose": _transpose,
    "slice": _slice,
    "split": _split,
    "move": _move,
    "unknown": _move,
}
"""How each kind of step becomes a layer."""

assert set(LOWER) >= ARRAY_KINDS
