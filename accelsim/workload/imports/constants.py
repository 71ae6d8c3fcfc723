"""Constants of a model while it is read: their shapes, and their values where these are few.

Shapes that a model computes (``Shape``, ``Gather``, ``Concat``, ``Reshape``...) are folded here with NumPy. Anything
with more than ``MAX_VALUES`` elements keeps its shape only, so that nothing large is ever made.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import Any

import numpy as np

MAX_VALUES = 1 << 14
"""Most elements of a constant whose values are computed."""


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A tensor that does not depend on the network's input.

    Attributes:
        shape: Its shape.
        value: Its values if they are known and few, else None.
        learned: Learned parameters that it is made of: the elements of a tensor of floating-point numbers that the
            model carries, or of several; what a gather or an expansion repeats counts once.
        name: The tensor that the model carries and that it is, or is made of; empty if there is none.
    """

    shape: tuple[int, ...]
    value: np.ndarray | None = None
    learned: int = 0
    name: str = ""

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def params(self) -> int:
        """Learned parameters; a single number is an attribute in disguise."""
        return self.learned if self.elements > 1 else 0


def fold(kind: str, inputs: Sequence[Constant | None], attributes: Mapping[str, Any]) -> np.ndarray | None:
    """Return the value of an operator of known constants, or None if it is not computed here.

    Args:
        kind: ONNX operator.
        inputs: Its inputs; None where an optional one is left out.
        attributes: Its attributes.
    """
    compute = _FOLD.get(kind)
    if compute is None or any(x is not None and x.value is None for x in inputs):
        return None
    values = [None if x is None else x.value for x in inputs]
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = compute(values, attributes)
    except (ValueError, IndexError, TypeError, KeyError, OverflowError, ZeroDivisionError, MemoryError):
        return None
    if result is None:
        return None
    result = np.asarray(result)
    return result if result.size <= MAX_VALUES and result.dtype.kind in "biuf" else None


Values = Sequence[Any]
Attributes = Mapping[str, Any]


def _axes(v: Values, a: Attributes) -> list[int]:
    given = v[1] if len(v) > 1 and v[1] is not None else a.get("axes")
    return [] if given is None else [int(axis) for axis in np.asarray(given).ravel()]


def _unsqueeze(v: Values, a: Attributes) -> np.ndarray:
    axes = _axes(v, a)
    rank = v[0].ndim + len(axes)
    if rank > 16:
        raise ValueError
    return np.asarray(np.expand_dims(v[0], tuple(axis % rank for axis in axes)))


def _squeeze(v: Values, a: Attributes) -> np.ndarray:
    axes = _axes(v, a)
    return np.asarray(np.squeeze(v[0], tuple(axes) if axes else None))


def _gather(v: Values, a: Attributes) -> np.ndarray | None:
    if v[1].size * max(1, v[0].size) > MAX_VALUES * 16:
        return None
    return np.asarray(np.take(v[0], v[1].astype(np.int64), axis=a.get("axis", 0)))


def _slice(v: Values, a: Attributes) -> np.ndarray:
    starts = np.ravel(v[1] if len(v) > 1 and v[1] is not None else a["starts"])
    stops = np.ravel(v[2] if len(v) > 2 and v[2] is not None else a["ends"])
    axes = np.ravel(v[3]) if len(v) > 3 and v[3] is not None else np.ravel(a.get("axes", np.arange(len(starts))))
    steps = np.ravel(v[4]) if len(v) > 4 and v[4] is not None else np.ones(len(starts), dtype=np.int64)
    cut: list[slice] = [slice(None)] * v[0].ndim
    for start, stop, axis, step in zip(starts, stops, axes, steps, strict=True):
        cut[int(axis)] = slice(*slice(int(start), int(stop), int(step)).indices(v[0].shape[int(axis)]))
        if int(step) < 0 and cut[int(axis)].stop < 0:
            cut[int(axis)] = slice(cut[int(axis)].start, None, int(step))
    return np.asarray(v[0][tuple(cut)])


def _reshape(v: Values, a: Attributes) -> np.ndarray:
    sizes = [int(size) for size in v[1].ravel()]
    if not a.get("allowzero", 0):
        sizes = [v[0].shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return np.reshape(v[0], sizes)


def _divide(v: Values, _: Attributes) -> np.ndarray:
    if v[0].dtype.kind in "iu" and v[1].dtype.kind in "iu":
        quotient = np.abs(v[0]) // np.abs(v[1])
        return np.asarray(np.sign(v[0]) * np.sign(v[1]) * quotient)  # ONNX cuts towards zero
    return np.asarray(v[0] / v[1])


def _range(v: Values, _: Attributes) -> np.ndarray | None:
    start, stop, step = (x.ravel()[0] for x in v)
    if step == 0 or not (stop - start) / step <= MAX_VALUES:
        return None
    return np.arange(start, stop, step)


def _full(v: Values, a: Attributes) -> np.ndarray | None:
    sizes = [int(size) for size in v[0].ravel()]
    if min(sizes, default=1) < 0 or prod(sizes) > MAX_VALUES:
        return None
    fill = a.get("value")
    return np.full(sizes, 0.0 if fill is None else np.ravel(fill)[0])


def _expand(v: Values, _: Attributes) -> np.ndarray | None:
    sizes = np.broadcast_shapes(v[0].shape, tuple(int(size) for size in v[1].ravel()))
    return np.broadcast_to(v[0], sizes) if prod(sizes) <= MAX_VALUES else None


def _tile(v: Values, _: Attributes) -> np.ndarray | None:
    repeats = [int(count) for count in v[1].ravel()]
    if min(repeats, default=1) < 0 or prod(repeats) * v[0].size > MAX_VALUES:
        return None
    return np.tile(v[0], repeats)


def _cast(v: Values, a: Attributes) -> np.ndarray:
    floats, booleans = (1, 10, 11, 16), 9
    to = a.get("to", 1)
    kind: type = np.float64 if to in floats else np.bool_ if to == booleans else np.int64
    return np.asarray(v[0].astype(kind))


def _reduce(function: Callable[..., Any]) -> Callable[[Values, Attributes], Any]:
    def compute(v: Values, a: Attributes) -> Any:
        axes = _axes(v, a)
        return function(v[0], axis=tuple(axes) if axes else None, keepdims=bool(a.get("keepdims", 1)))

    return compute


def _two(function: Callable[[Any, Any], Any]) -> Callable[[Values, Attributes], Any]:
    def compute(v: Values, _: Attributes) -> Any:
        return function(v[0], v[1]) if _fits(v) else None

    return compute


def _several(function: Callable[[Any, Any], Any]) -> Callable[[Values, Attributes], Any]:
    return lambda v, _: reduce(function, v) if _fits(v) else None


def _fits(v: Values) -> bool:
    """Tell whether tensors that are broadcast against each other stay small."""
    return prod(np.broadcast_shapes(*(x.shape for x in v))) <= MAX_VALUES


def _one(function: Callable[[Any], Any]) -> Callable[[Values, Attributes], Any]:
    return lambda v, _: function(v[0])


_FOLD: dict[str, Callable[[Values, Attributes], Any]] = {
    "Identity": _one(np.asarray),
    "Cast": _cast,
    "Size": lambda v, _: np.array(v[0].size),
    "Gather": _gather,
    "Concat": lambda v, a: np.concatenate(v, axis=a["axis"]),
    "Slice": _slice,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Flatten": lambda v, a: np.reshape(v[0], (prod(v[0].shape[: a.get("axis", 1)]), -1)),
    "Transpose": lambda v, a: np.transpose(v[0], a.get("perm")),
    "Add": _two(np.add),
    "Sub": _two(np.subtract),
    "Mul": _two(np.multiply),
    "Div": lambda v, a: _two(lambda *_: _divide(v, a))(v, a),
    "Mod": _two(np.mod),
    "Pow": _two(lambda x, y: np.power(x.astype(np.float64), y).astype(x.dtype)),
    "Max": _several(np.maximum),
    "Min": _several(np.minimum),
    "Sum": _several(np.add),
    "Equal": _two(np.equal),
    "Less": _two(np.less),
    "Greater": _two(np.greater),
    "LessOrEqual": _two(np.less_equal),
    "GreaterOrEqual": _two(np.greater_equal),
    "And": _two(np.logical_and),
    "Or": _two(np.logical_or),
    "Not": _one(np.logical_not),
    "Neg": _one(np.negative),
    "Abs": _one(np.abs),
    "Floor": _one(np.floor),
    "Ceil": _one(np.ceil),
    "Round": _one(np.round),
    "Sqrt": _one(np.sqrt),
    "Exp": _one(np.exp),
    "Reciprocal": _one(lambda x: 1 / x),
    "Where": lambda v, _: np.where(v[0], v[1], v[2]) if _fits(v) else None,
    "Range": _range,
    "ConstantOfShape": _full,
    "Expand": _expand,
    "Tile": _tile,
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceMean": _reduce(np.mean),
}
"""How each operator on constants is computed."""
