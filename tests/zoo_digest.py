"""A reference definition as tests and the zoo's checker know it: counts, a line a layer, a hash of all lines."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from accelsim.workload.layer import Layer, Op
from accelsim.workload.network import Network


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


def digest_of_lines(lines: Sequence[str]) -> str:
    """Return the hash by which golden sequences are known, of the lines of their layers."""
    return sha256("\n".join(lines).encode()).hexdigest()[:16]


def digest(layers: Sequence[Layer]) -> str:
    """Return the hash by which golden sequences are known, of the layers."""
    return digest_of_lines([layer_line(layer) for layer in layers])


def check_counts(network: Network, golden: Golden) -> None:
    """Assert that parameters, by what they belong to and in all, and MACs are the golden ones."""
    totals = network.totals
    assert tuple(totals[f"params_{part}"] for part in ("conv", "linear", "bias", "bn")) == golden[:4]
    assert totals["macs"] == golden.macs
    assert totals["params"] == sum(golden[:4])
