"""Any network as the YAML text of a list of layers, from which the same layers are built again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from accelsim.workload.layer import NO_PADDING, Layer, Op, conv_output_size
from accelsim.workload.network import INPUT, Network

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that JSON leaves as they are and YAML does not take as they are."""

_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def to_yaml(network: Network, *, comment: str = "") -> str:
    """Return a network as the text of a YAML file that lists its layers.

    Args:
        network: The network, for one image.
        comment: Lines for the top of the file.
    """
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    lines += [f"name: {_scalar(network.name)}", f"input: {list(network.input_shape)}", "layers:"]
    previous = INPUT
    for layer in network:
        reads = list(network.inputs[layer.name])
        fields: dict[str, Any] = {"name": layer.name, "op": layer.op.value}
        if reads != [previous]:
            fields["inputs"] = reads[0] if len(reads) == 1 else reads
        fields |= {key: value for key, value in _FIELDS.get(layer.op, _nothing)(layer).items() if value is not None}
        if layer.block:
            fields["block"] = layer.block
        lines.append(f"  - {{{', '.join(f'{key}: {_value(value)}' for key, value in fields.items())}}}")
        previous = layer.name
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else _scalar(value)


def _scalar(text: str) -> str:
    """Return text as YAML reads it back: plain where nothing can be mistaken, else in quotes."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    if plain:
        return text
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))


def _nothing(_: Layer) -> dict[str, Any]:
    return {}


def _pair(numbers: tuple[int, int], default: tuple[int, int] | None = (1, 1)) -> int | list[int] | None:
    """Return two numbers as one where they are equal, or None where they are the default."""
    if numbers == default:
        return None
    return numbers[0] if numbers[0] == numbers[1] else list(numbers)


def _padding(layer: Layer) -> int | list[int] | None:
    if layer.padding == NO_PADDING:
        return None
    return layer.padding[0] if len(set(layer.padding)) == 1 else list(layer.padding)


def _conv(layer: Layer) -> dict[str, Any]:
    return {
        "out_channels": layer.G * layer.K,
        "kernel": _pair((layer.R, layer.S)),
        "stride": _pair(layer.stride),
        "padding": _padding(layer),
        "dilation": _pair(layer.dilation),
        "groups": layer.G if layer.G > 1 else None,
        "bias": layer.bias or None,
    }


def _linear(layer: Layer) -> dict[str, Any]:
    return {"features": layer.K, "bias": layer.bias or None, "per_pixel": layer.P * layer.Q > 1 or None}


def _matmul(layer: Layer) -> dict[str, Any]:
    groups = layer.image_groups
    return {"rows": layer.P, "inner": layer.C, "columns": layer.K, "groups": groups if groups > 1 else None}


def _pool(layer: Layer) -> dict[str, Any]:
    pads, size = layer.padding, (layer.H, layer.W)
    rounded_down = tuple(
        conv_output_size(layer.name, size[axis], (layer.R, layer.S)[axis], layer.stride[axis], *sides, 1)
        for axis, sides in enumerate((pads[:2], pads[2:]))
    )
    return {
        "kernel": _pair((layer.R, layer.S), None),
        "stride": _pair(layer.stride, (layer.R, layer.S)),
        "padding": _padding(layer),
        "ceil_mode": rounded_down != (layer.P, layer.Q) or None,
    }


def _detail(layer: Layer) -> dict[str, Any]:
    """Return the function, and what it learns."""
    return {"function": layer.detail, "params": layer.params_other or None}


def _shape(layer: Layer) -> dict[str, Any]:
    return {"shape": list(layer.output_shape)}


def _slice_channels(layer: Layer) -> dict[str, Any]:
    start, _, stop = layer.detail.partition(":")
    return {"start": int(start), "stop": int(stop)}


def _upsample(layer: Layer) -> dict[str, Any]:
    key, _, value = layer.detail.partition("=")
    return {"factor": int(value)} if key == "factor" else {"size": [int(size) for size in value.split("x")]}


_FIELDS: dict[Op, Callable[[Layer], dict[str, Any]]] = {
    Op.CONV: _conv,
    Op.LINEAR: _linear,
    Op.MATMUL: _matmul,
    Op.MAX_POOL: _pool,
    Op.AVG_POOL: _pool,
    Op.ACTIVATION: _detail,
    Op.LAYER_NORM: _detail,
    Op.CHANNEL_SHUFFLE: lambda layer: {"groups": int(layer.detail.partition("=")[2])},
    Op.UPSAMPLE: _upsample,
    Op.PAD_CHANNELS: lambda layer: {"channels": layer.G, "stride": layer.stride[0]},
    Op.SLICE_CHANNELS: _slice_channels,
    Op.RESHAPE: _shape,
    Op.TRANSPOSE: _shape,
    Op.SLICE: _shape,
    Op.INTERLEAVE: _shape,
    Op.MOVE: lambda layer: _detail(layer) | _shape(layer),
}
"""The fields of every operation that has any beside its name and inputs."""
