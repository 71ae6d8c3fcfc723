"""How tests know the layers of a reference definition: one line a layer, and a short hash of all lines."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from accelsim.workload.layer import Layer, Op


class Golden(NamedTuple):
    """Parameters by what they belong to, MACs, and the digest of the sequence of layers on the array."""

    conv: int
    linear: int
    bias: int
    bn: int
    macs: int
    digest: str


def layer_line(layer: Layer) -> str:
    """Describe a layer by what references state too: shapes, kernel, stride, padding, groups, bias."""
    if layer.op is Op.LINEAR:
        return f"{layer.C}>{layer.K} b{layer.bias:d}"
    top, bottom, left, right = layer.padding
    padding = f"{top}x{left}" if (top, left) == (bottom, right) else f"{top}+{bottom}x{left}+{right}"
    return (
        f"{layer.input_shapes[0]}>{layer.output_shape} k{layer.R}x{layer.S} s{layer.stride[0]}x{layer.stride[1]} "
        f"p{padding} g{layer.G} b{layer.bias:d}"
    )


def digest(layers: Sequence[Layer]) -> str:
    """Return the hash by which golden sequences are known."""
    return sha256("\n".join(layer_line(layer) for layer in layers).encode()).hexdigest()[:16]
