"""ONNX operators that move, cut, join or rename data, and those that quantise it."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, prod

import numpy as np

from accelsim.workload.imports.constants import Constant
from accelsim.workload.imports.onnx_operators import operator
from accelsim.workload.imports.operations import shape_text
from accelsim.workload.imports.translation import Node, Translation, axis_of, broadcast, resolve_reshape


@operator("Identity", "Cast", "CastLike", "Dropout", "QuantizeLinear", "DequantizeLinear", "Alias")
def _same(t: Translation, node: Node) -> None:
    t.add(node, "view", t.shape(node, 0), reads=[node.inputs[0]])


@operator("DynamicQuantizeLinear")
def _dynamic_quantize(t: Translation, node: Node) -> None:
    t.add(node, "unary", t.shape(node, 0), reads=[node.inputs[0]], function="quantize")
    for name in node.outputs[1:]:
        if name:  # the scale and zero point depend on the input, but are single numbers
            t.constants[name] = Constant(shape=())


@operator("Reshape")
def _reshape(t: Translation, node: Node) -> None:
    sizes = t.numbers(node, 1, "shape")
    if sizes is None:
        sizes = [int(size) for size in node.get("shape", ())]
    made = resolve_reshape(node, t.shape(node, 0), sizes, zero_copies=not node.get("allowzero", 0))
    t.add(node, "view", made, reads=[node.inputs[0]])


@operator("Flatten")
def _flatten(t: Translation, node: Node) -> None:
    shape = t.shape(node, 0)
    axis = int(node.get("axis", 1))
    axis = axis if axis == len(shape) else axis_of(node, axis, len(shape))
    t.add(node, "view", (prod(shape[:axis]), prod(shape[axis:])))


@operator("Squeeze")
def _squeeze(t: Translation, node: Node) -> None:
    shape = t.shape(node, 0)
    given = node.get("axes") if "axes" in node.attributes else t.numbers(node, 1, "axes")
    axes = [axis for axis, size in enumerate(shape) if size == 1] if given is None else given
    gone = {axis_of(node, int(axis), len(shape)) for axis in axes}
    if any(shape[axis] != 1 for axis in gone):
        raise node.wrong(f"squeezes axes {sorted(gone)} of shape {shape_text(shape)}")
    t.add(node, "view", [size for axis, size in enumerate(shape) if axis not in gone], reads=[node.inputs[0]])


@operator("Unsqueeze")
def _unsqueeze(t: Translation, node: Node) -> None:
    shape = t.shape(node, 0)
    axes = node.get("axes") if "axes" in node.attributes else t.numbers(node, 1, "axes")
    if axes is None:
        raise node.wrong("has no axes")
    rank = len(shape) + len(axes)
    added = {axis_of(node, int(axis), rank) for axis in axes}
    if len(added) != len(axes):
        raise node.wrong(f"adds the axes {list(axes)[:8]}, some of them twice")
    sizes = iter(shape)
    t.add(node, "view", [1 if axis in added else next(sizes) for axis in range(rank)], reads=[node.inputs[0]])


@operator("Transpose")
def _transpose(t: Translation, node: Node) -> None:
    shape = t.shape(node, 0)
    perm = [int(axis) for axis in node.get("perm", range(len(shape))[::-1])]
    add_transpose(t, node, shape, perm)


def add_transpose(t: Translation, node: Node, shape: Sequence[int], perm: Sequence[int]) -> None:
    """Add a transposition; one that only moves axes of size 1 is a view."""
    if sorted(perm) != list(range(len(shape))):
        raise node.wrong(f"perm {list(perm)[:8]} is no order of {len(shape)} axes")
    made = [shape[axis] for axis in perm]
    moved = [axis for axis in perm if shape[axis] > 1]
    if moved == sorted(moved):
        t.add(node, "view", made)
    else:
        t.add(node, "transpose", made, perm=tuple(perm))


@operator("Concat", "QLinearConcat")
def _concat(t: Translation, node: Node) -> None:
    names = [name for name in node.inputs if name]
    if node.type == "QLinearConcat":
        names = names[2::3]
    add_concat(t, node, names, int(node.get("axis", 1)))


def add_concat(t: Translation, node: Node, names: Sequence[str], axis: int) -> None:
    """Add a concatenation of values and constants."""
    shapes = [t.constants[name].shape if name in t.constants else t.graph.shapes[name] for name in names]
    if not shapes:
        raise node.wrong("joins nothing")
    axis = axis_of(node, axis, len(shapes[0]))
    others = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(others) > 1 or len({len(shape) for shape in shapes}) > 1:
        raise node.wrong(f"joins shapes {', '.join(map(shape_text, shapes[:6]))} along axis {axis}")
    made = list(shapes[0])
    made[axis] = sum(shape[axis] for shape in shapes)
    reads = [name for name in names if name not in t.constants]
    if len(names) == 1:
        t.add(node, "view", made, reads=reads)
        return
    step = t.add(node, "concat", made, reads=reads, axis=axis)
    step.params = sum(t.constants[name].params for name in names if name in t.constants)


@operator("Slice")
def _slice(t: Translation, node: Node) -> None:
    shape = t.shape(node, 0)
    if "starts" in node.attributes:
        starts, stops, axes, steps = list(node.get("starts")), list(node.get("ends", [])), node.get("axes"), None
    else:
        starts, stops = (t.numbers(node, index, "bounds") or [] for index in (1, 2))
        axes, steps = t.numbers(node, 3, "axes"), t.numbers(node, 4, "steps")
    axes = list(range(len(starts))) if axes is None else [axis_of(node, int(axis), len(shape)) for axis in axes]
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(stops) == len(axes) == len(steps) or 0 in steps or len(axes) > len(shape):
        raise node.wrong("its starts, ends, axes and steps do not fit each other")
    cuts = [
        (axis, *slice(start, stop, step).indices(shape[axis]))
        for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True)
    ]
    add_slice(t, node, shape, [(axis, start, stop, step) for axis, start, stop, step in cuts])


def add_slice(t: Translation, node: Node, shape: Sequence[int], cuts: Sequence[tuple[int, int, int, int]]) -> None:
    """Add a part of a tensor: along some axes from a start to a stop in steps."""
    made = list(shape)
    for axis, start, stop, step in cuts:
        made[axis] = len(range(start, stop, step))
    cut = [entry for entry in cuts if made[entry[0]] != shape[entry[0]]]
    reads = [node.inputs[0]]
    if not cut:
        t.add(node, "view", made, reads=reads)
    elif len(cut) == 1:
        axis, start, stop, step = cut[0]
        t.add(node, "slice", made, reads=reads, axis=axis, start=start, stop=stop, step=step)
    else:
        t.add(node, "slice", made, reads=reads)


@operator("Split")
def _split(t: Translation, node: Node) -> None:
    shape = t.shape(node, 0)
    axis = axis_of(node, int(node.get("axis", 0)), len(shape))
    sizes = node.get("split") if "split" in node.attributes else t.numbers(node, 1, "sizes")
    if sizes is None:
        count = len(node.outputs)
        each = -(-shape[axis] // count)
        sizes = [min(each, shape[axis] - each * index) for index in range(count)]
    add_split(t, node, shape, axis, [int(size) for size in sizes])


def add_split(t: Translation, node: Node, shape: Sequence[int], axis: int, sizes: Sequence[int]) -> None:
    """Add the parts of a tensor along an axis, each a slice."""
    if sum(sizes) != shape[axis] or min(sizes, default=0) < 1 or len(sizes) < len(node.outputs):
        raise node.wrong(f"splits {shape[axis]} into {list(sizes)[:8]}")
    wanted, bounds, start = [], [], 0
    for name, size in zip(node.outputs, sizes, strict=False):
        if name:
            wanted.append(name)
            bounds.append((start, start + size))
        start += size
    step = t.add(node, "split", shape, reads=[node.inputs[0]], axis=axis, bounds=tuple(bounds))
    step.makes = wanted
    for name, (first, last) in zip(wanted, bounds, strict=True):
        t.graph.shapes[name] = (*shape[:axis], last - first, *shape[axis + 1 :])


@operator("Gather")
def _gather(t: Translation, node: Node) -> None:
    shape, index = t.shape(node, 0), t.shape(node, 1)
    axis = axis_of(node, int(node.get("axis", 0)), len(shape))
    made = (*shape[:axis], *index, *shape[axis + 1 :])
    known = t.constant(node, 1)
    if known is not None and known.elements == 1 and known.value is not None and node.inputs[0] not in t.constants:
        place = int(known.value.ravel()[0])
        place += shape[axis] if place < 0 else 0
        if not 0 <= place < shape[axis]:
            raise node.wrong(f"takes element {place} of an axis of {shape[axis]}")
        kind = "slice" if shape[axis] > 1 else "view"
        cut = {"axis": axis, "start": place, "stop": place + 1, "step": 1} if kind == "slice" else {}
        t.add(node, kind, made, reads=[node.inputs[0]], **cut)
        return
    index_values = None if known is None or node.inputs[0] in t.constants else known.value
    if index_values is not None and np.array_equal(index_values.ravel(), np.arange(shape[axis])):
        t.add(node, "view", made, reads=[node.inputs[0]])  # every element, in order
        return
    t.add_move(node, [made], "gather")


@operator("Expand")
def _expand(t: Translation, node: Node) -> None:
    shape, sizes = t.shape(node, 0), t.numbers(node, 1, "shape")
    made = broadcast(node, shape, sizes or ())
    if prod(made) == prod(shape):
        t.add(node, "view", made, reads=[node.inputs[0]])
    else:
        t.add_move(node, [made], "expand")


@operator("Tile")
def _tile(t: Translation, node: Node) -> None:
    shape, repeats = t.shape(node, 0), t.numbers(node, 1, "repeats") or []
    if len(repeats) != len(shape):
        raise node.wrong(f"repeats {repeats[:8]} of a tensor with {len(shape)} axes")
    t.add_move(node, [[size * count for size, count in zip(shape, repeats, strict=True)]], "tile")


@operator("Pad")
def _pad(t: Translation, node: Node) -> None:
    shape = t.shape(node, 0)
    pads = node.get("pads") if "pads" in node.attributes else t.numbers(node, 1, "pads")
    axes = t.numbers(node, 3, "axes")
    chosen = range(len(shape)) if axes is None else [axis_of(node, axis, len(shape)) for axis in axes]
    pads = [int(pad) for pad in pads or ()]
    if len(pads) != 2 * len(chosen):
        raise node.wrong(f"pads {pads[:8]} of a tensor with {len(shape)} axes")
    made = list(shape)
    for place, axis in enumerate(chosen):
        made[axis] += pads[place] + pads[place + len(chosen)]
    if made == list(shape) and not any(pads):
        t.add(node, "view", made, reads=[node.inputs[0]])
    else:
        t.add_move(node, [made], "pad")


@operator("Resize", "Upsample")
def _resize(t: Translation, node: Node) -> None:
    shape = t.shape(node, 0)
    sizes = t.numbers(node, 3, "sizes")
    if node.get("axes") is not None:
        raise node.wrong("resizes some axes only, which is not supported; state all of them")
    if sizes is None:
        given = node.get("scales")
        for index in (2, 1):
            constant = t.constant(node, index)
            known = constant is not None and constant.value is not None and constant.elements == len(shape)
            if given is None and known and constant is not None and constant.value is not None:
                given = [float(scale) for scale in constant.value.ravel()]
        if given is None or len(given) != len(shape):
            raise node.wrong("neither its sizes nor its scales are known")
        if not all(0 < scale < 1e6 for scale in given):
            raise node.wrong(f"scales {list(given)[:8]} are out of range")
        sizes = [floor(size * scale + 1e-6) for size, scale in zip(shape, given, strict=True)]
    if len(sizes) != len(shape):
        raise node.wrong(f"resizes a tensor with {len(shape)} axes to {len(sizes)} sizes")
    t.add(node, "resize", sizes, reads=[node.inputs[0]])


REDUCTIONS = {
    "ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "max", "ReduceMin": "min", "ReduceProd": "prod",
    "ReduceL1": "l1", "ReduceL2": "l2", "ReduceLogSumExp": "log_sum_exp", "ReduceSumSquare": "sum_square",
}  # fmt: skip
"""Reductions over axes, by operator."""


@operator(*REDUCTIONS)
def _reduce(t: Translation, node: Node) -> None:
    shape = t.shape(node, 0)
    given = node.get("axes") if "axes" in node.attributes else t.numbers(node, 1, "axes")
    if not given and node.get("noop_with_empty_axes", 0):
        t.add(node, "view", shape, reads=[node.inputs[0]])
        return
    axes = [axis_of(node, int(axis), len(shape)) for axis in given or range(len(shape))]
    add_reduction(t, node, REDUCTIONS[node.type], shape, axes, keep=bool(node.get("keepdims", 1)))


def add_reduction(
    t: Translation, node: Node, function: str, shape: Sequence[int], axes: Sequence[int], *, keep: bool
) -> None:
    """Add a reduction over axes; the mean or maximum over all pixels is a global pool."""
    over = sorted(set(axes))
    made = [1 if axis in over else size for axis, size in enumerate(shape) if keep or axis not in over]
    reads = [node.inputs[0]]
    if len(shape) == 4 and over == [2, 3] and function in ("mean", "max"):
        t.add(node, "global_avg_pool" if function == "mean" else "global_max_pool", made, reads=reads)
    else:
        t.add(node, "move", made, reads=reads, function=function)


@operator("ArgMax", "ArgMin")
def _arg(t: Translation, node: Node) -> None:
    shape = t.shape(node, 0)
    axis = axis_of(node, int(node.get("axis", 0)), len(shape))
    function = "argmax" if node.type == "ArgMax" else "argmin"
    keep = bool(node.get("keepdims", 1))
    made = [1 if place == axis else size for place, size in enumerate(shape) if keep or place != axis]
    t.add(node, "move", made, function=function)


@operator("TopK")
def _topk(t: Translation, node: Node) -> None:
    shape = list(t.shape(node, 0))
    count = (t.numbers(node, 1, "count") or [int(node.get("k", 1))])[0]
    shape[axis_of(node, int(node.get("axis", -1)), len(shape))] = count
    t.add_move(node, [shape, shape], "topk")


@operator("DepthToSpace", "SpaceToDepth")
def _depth_to_space(t: Translation, node: Node) -> None:
    shape, block = t.shape(node, 0), int(node.get("blocksize", 0))
    if len(shape) != 4 or block < 1:
        raise node.wrong(f"blocksize {block} of a tensor with {len(shape)} axes")
    batch, channels, height, width = shape
    if node.type == "DepthToSpace":
        fits, made = channels % block**2 == 0, (batch, channels // block**2, height * block, width * block)
    else:
        fits = height % block == 0 and width % block == 0
        made = (batch, channels * block**2, height // block, width // block)
    if not fits:
        raise node.wrong(f"blocks of {block} do not divide shape {shape_text(shape)}")
    t.add_move(node, [made], "depth_to_space" if node.type == "DepthToSpace" else "space_to_depth")


@operator("ScatterND", "ScatterElements", "Trilu", "CumSum", "ReverseSequence", "EyeLike", "Bernoulli")
def _like_input(t: Translation, node: Node) -> None:
    t.add_move(node, [t.shape(node, 0)], node.type.lower())


@operator("OneHot")
def _one_hot(t: Translation, node: Node) -> None:
    depth = t.numbers(node, 1, "depth") or [1]
    t.add_move(node, [(*t.shape(node, 0), depth[0])], "one_hot")


@operator("ConstantOfShape")
def _constant_of_shape(t: Translation, node: Node) -> None:
    t.add(node, "move", t.numbers(node, 0, "shape") or (), function="fill")
