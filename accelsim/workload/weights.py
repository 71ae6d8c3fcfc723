"""Bits and density of a model's actual weights, read piece by piece; nothing else is done with them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

import numpy as np

from accelsim.errors import WorkloadError
from accelsim.workload.imports.onnx_file import OnnxFile, Payload, read_onnx
from accelsim.workload.imports.operations import Imported

CHUNK_BYTES = 1 << 24
"""Bytes read at a time."""

_TYPES: Mapping[int, tuple[str, int]] = {
    1: ("<u4", 32),
    2: ("u1", 8),
    3: ("u1", 8),
    4: ("<u2", 16),
    5: ("<u2", 16),
    6: ("<u4", 32),
    10: ("<u2", 16),
    11: ("<u8", 64),
    16: ("<u2", 16),
}
"""For ONNX's types of weights: how the bytes of a value are read, and its bits; zero is all bits 0."""

_SIGNED_ZEROS = frozenset({1, 10, 11, 16})
"""Types in which the sign bit alone is zero too."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a layer's weights are.

    Attributes:
        bits: Bits of one weight in the model.
        density: Share that is not zero.
    """

    bits: int
    density: float


def measure_onnx(path: str | PathLike[str], imported: Imported) -> dict[str, Measured]:
    """Return bits and density of the weights of layers of an imported ONNX file.

    Values outside the file are read where they lie beside it. Layers whose weights cannot be read so are left out.

    Args:
        path: The file.
        imported: What ``import_onnx`` made of it.

    Raises:
        WorkloadError: The file cannot be read.
    """
    file = read_onnx(fspath(path))
    tensors = {tensor.name: tensor for tensor in file.model.graph.initializer}
    found = {}
    for layer, names in imported.weights.items():
        if all(name in tensors for name in names):
            parts = [_measure(file, tensors[name]) for name in names]
            counts = [part for part in parts if part is not None]
            if counts and len(counts) == len(parts) and sum(count for _, count, _ in counts):
                kept, count = sum(kept for kept, _, _ in counts), sum(count for _, count, _ in counts)
                found[layer] = Measured(bits=max(bits for _, _, bits in counts), density=kept / count)
    return found


def measure_torch(module: Any, imported: Imported) -> dict[str, Measured]:
    """Return bits and density of the weights of layers of an imported PyTorch module.

    Args:
        module: The module; on the ``meta`` device it has no weights, and the result is empty.
        imported: What ``import_torch`` made of it.
    """
    tensors = dict(module.named_parameters())
    found = {}
    for layer, names in imported.weights.items():
        parts = [tensors[name] for name in names if name in tensors]
        if parts and all(part.device.type != "meta" for part in parts):
            kept, count = sum(int(part.count_nonzero()) for part in parts), sum(part.numel() for part in parts)
            found[layer] = Measured(bits=8 * parts[0].element_size(), density=kept / count)
    return found


def storage_text(measured: Mapping[str, Measured]) -> str:
    """Return the text of a storage plan's YAML file that says what was measured."""
    import json  # noqa: PLC0415

    lines = [
        "# Measured from the model's weights; see load_storage for what can be added.",
        "layers:",
    ]
    lines += [
        f"  {json.dumps(name)}: {{weight_bits: {entry.bits}, density: {max(entry.density, 1e-9):.6g}}}"
        for name, entry in measured.items()
    ]
    return "\n".join(lines) + "\n"


def _measure(file: OnnxFile, tensor: Any) -> tuple[int, int, int] | None:
    """Return how many values are not zero, how many there are, and the bits of one; None if they cannot be read."""
    if tensor.data_type not in _TYPES:
        return None
    kind, bits = _TYPES[tensor.data_type]
    sign = np.array(1 << (bits - 1), dtype=kind) if tensor.data_type in _SIGNED_ZEROS else None
    kept = count = 0
    for piece in _pieces(file, tensor):
        values = piece[: len(piece) // np.dtype(kind).itemsize * np.dtype(kind).itemsize].view(kind)
        zeros = values == 0
        if sign is not None:
            zeros |= values == sign
        kept += int(values.size - np.count_nonzero(zeros))
        count += int(values.size)
    return kept, count, bits


def _pieces(file: OnnxFile, tensor: Any) -> Iterator[np.ndarray]:
    """Yield the bytes of a tensor's values, wherever they are kept as they are in memory."""
    payload = file.payloads.get(tensor.name)
    if payload is not None:
        if payload.number in (4, 9, 10):  # float_data, raw_data, double_data
            yield from _read(file.path, payload)
    elif tensor.data_location == 1:
        yield from _external(file, tensor)
    elif tensor.raw_data:
        yield np.frombuffer(tensor.raw_data, dtype=np.uint8)
    elif len(tensor.float_data):
        yield np.array(tensor.float_data, dtype="<f4").view(np.uint8)


def _external(file: OnnxFile, tensor: Any) -> Iterator[np.ndarray]:
    """Yield what lies outside the model's file: only a plain file in the model's own folder is opened."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if not location or "\0" in location or os.path.isabs(location):
        return
    folder = os.path.dirname(os.path.abspath(file.path))
    path = os.path.join(folder, location)
    inside = os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep)
    if not inside or not os.path.isfile(path):
        return
    try:
        start = int(entries.get("offset", "0"))
        stop = start + int(entries["length"]) if "length" in entries else os.path.getsize(path)
    except ValueError:
        return
    if 0 <= start <= stop <= os.path.getsize(path):
        yield from _read(path, Payload(9, start, stop))


def _read(path: str, payload: Payload) -> Iterator[np.ndarray]:
    try:
        with open(path, "rb") as stream:
            stream.seek(payload.start)
            left = payload.stop - payload.start
            while left > 0 and (piece := stream.read(min(left, CHUNK_BYTES))):
                left -= len(piece)
                yield np.frombuffer(piece, dtype=np.uint8)
    except OSError as wrong:
        raise WorkloadError(f"{path}: cannot be read: {wrong.strerror}") from None
