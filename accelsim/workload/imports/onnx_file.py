"""Reading of an ONNX file without its weights: the file is walked where it lies, and large payloads are left there.

A model is protocol-buffer fields, each a number, a wire type and a value. Of a tensor with more than
``KEPT_BYTES`` of values only the name, type, shape and the place of the values in the file are read, so that a model
of any size takes little memory; values kept outside the file are never touched. What is left is parsed by the
``onnx`` package.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from accelsim.errors import MissingExtraError, WorkloadError, did_you_mean

KEPT_BYTES = 8192
"""Largest values that are read: shapes and axes are far below, tables of a thousand indices just so."""

MAX_STRUCTURE_BYTES = 64_000_000
"""Most bytes of everything but values; a model of 100,000 nodes has a third of it."""

MAX_FIELDS = 3_000_000
"""Most fields walked, about ten seconds."""

MAX_DEPTH = 24
"""Deepest nesting of messages walked."""

_NESTED: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Messages that can hold tensors, and the numbers of the fields that lead there."""

_PAYLOADS = frozenset({4, 5, 6, 7, 9, 10, 11})
"""Fields of a tensor that hold its values."""

_RAW_DATA = 9
_TENSOR_NAME = 8


@dataclass(frozen=True)
class Payload:
    """Where a tensor's values are in the file: ``raw`` bytes in order, or packed numbers of field ``number``."""

    number: int
    start: int
    stop: int


@dataclass(frozen=True)
class OnnxFile:
    """A model without its large payloads.

    Attributes:
        path: The file.
        model: The ``onnx.ModelProto``.
        payloads: For each tensor by name whose values were left in the file, where they are.
    """

    path: str
    model: Any
    payloads: Mapping[str, Payload]


def onnx_package() -> Any:
    """Import the ``onnx`` package.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import onnx  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise MissingExtraError('reading ONNX files needs the onnx package: pip install "accelsim[onnx]"') from None
    return onnx


def read_onnx(path: str) -> OnnxFile:
    """Read an ONNX file.

    Raises:
        WorkloadError: It is missing, cannot be read, or is no ONNX model.
        MissingExtraError: The ``onnx`` package is not installed.
    """
    onnx = onnx_package()
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - comes with onnx

    with _mapped(path) as data:
        payloads: dict[str, Payload] = {}
        try:
            walker = _Walker(data, payloads)
            stripped = walker.message(0, len(data), "model", 0)
        except _BrokenError as wrong:
            raise WorkloadError(f"{path}: is not an ONNX model, or is damaged: {wrong}") from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(stripped)
    except (DecodeError, RecursionError):
        raise WorkloadError(f"{path}: is not an ONNX model, or is damaged") from None
    if not model.HasField("graph") or not model.ir_version:
        raise WorkloadError(f"{path}: is not an ONNX model, or is damaged: it has no graph")
    if any(isinstance(name, bytes) for name in _names(model)):  # what is no UTF-8 text is not decoded
        raise WorkloadError(f"{path}: is not an ONNX model, or is damaged: a name is not UTF-8 text")
    return OnnxFile(path, model, payloads)


def _names(model: Any) -> Iterator[str | bytes]:
    """Yield every name in a model that is read."""
    graph = model.graph
    yield model.producer_name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
        yield from (attribute.t.name for attribute in node.attribute)
        yield from (text for entry in node.metadata_props for text in (entry.key, entry.value))
    yield from (tensor.name for tensor in graph.initializer)
    yield from (text for tensor in graph.initializer for e in tensor.external_data for text in (e.key, e.value))
    yield from (tensor.values.name for tensor in graph.sparse_initializer)
    for info in (*graph.input, *graph.output, *graph.value_info):
        yield info.name
        yield from (axis.dim_param for axis in info.type.tensor_type.shape.dim)
    yield from (entry.domain for entry in model.opset_import)


class _BrokenError(Exception):
    """The bytes are no protocol-buffer message."""


class _mapped:  # noqa: N801 - used like a function
    """A file's bytes, mapped and not read."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> memoryview:
        path = self._path
        try:
            with open(path, "rb") as stream:
                if not os.path.isfile(path):
                    raise WorkloadError(f"{path}: is not a regular file")
                if os.fstat(stream.fileno()).st_size == 0:
                    raise WorkloadError(f"{path}: is empty")
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise WorkloadError(
                f"{path}: no such file{did_you_mean(os.path.basename(path), _neighbours(path))}"
            ) from None
        except IsADirectoryError:
            raise WorkloadError(f"{path}: is a directory, expected an ONNX file") from None
        except OSError as wrong:
            raise WorkloadError(f"{path}: cannot be read: {wrong.strerror}") from None
        self._view = memoryview(self._map)
        return self._view

    def __exit__(self, *_: object) -> None:
        self._view.release()
        self._map.close()


def _neighbours(path: str) -> list[str]:
    """Return the ONNX files beside a path, for suggestions."""
    try:
        return [name for name in os.listdir(os.path.dirname(path) or ".") if name.endswith(".onnx")]
    except OSError:
        return []


class _Walker:
    """Copies messages without the large payloads of their tensors."""

    def __init__(self, data: memoryview, payloads: dict[str, Payload]) -> None:
        self.data = data
        self.payloads = payloads
        self.fields = 0
        self.copied = 0

    def message(self, start: int, stop: int, kind: str, depth: int) -> bytes:
        """Return the bytes of the message from ``start`` to ``stop``, large payloads left out."""
        if depth > MAX_DEPTH:
            raise _BrokenError("its messages are nested too deeply")
        if kind == "tensor":
            return self._tensor(start, stop)
        nested = _NESTED[kind]
        pieces: list[bytes] = []
        for number, begin, body, end in self._fields(start, stop):
            inner = nested.get(number)
            if inner is None or body is None:
                pieces.append(self._copy(begin, end))
                continue
            content = self.message(body, end, inner, depth + 1)
            pieces.append(_varint(number << 3 | 2) + _varint(len(content)) + content)
        return b"".join(pieces)

    def _tensor(self, start: int, stop: int) -> bytes:
        pieces: list[bytes] = []
        name, left = "", None
        for number, begin, body, end in self._fields(start, stop):
            if number in _PAYLOADS and body is not None and end - body > KEPT_BYTES:
                left = Payload(number, body, end)
                continue
            if number == _TENSOR_NAME and body is not None and end - body <= KEPT_BYTES:
                name = bytes(self.data[body:end]).decode("utf-8", "replace")
            pieces.append(self._copy(begin, end))
        if left is not None and name:
            self.payloads[name] = left
        return b"".join(pieces)

    def _copy(self, begin: int, end: int) -> bytes:
        self.copied += end - begin
        if self.copied > MAX_STRUCTURE_BYTES:
            raise _BrokenError(
                f"it holds more than {MAX_STRUCTURE_BYTES / 1e6:.0f} MB beside the values of its tensors"
            )
        return bytes(self.data[begin:end])

    def _fields(self, start: int, stop: int) -> Iterator[tuple[int, int, int | None, int]]:
        """Yield number, first byte, first byte of the body if it has a length, and end of every field."""
        place = start
        while place < stop:
            self.fields += 1
            if self.fields > MAX_FIELDS:
                raise _BrokenError(f"it has more than {MAX_FIELDS} fields")
            begin = place
            key, place = self._read_varint(place, stop)
            body, wire = None, key & 7
            if wire == 0:
                _, place = self._read_varint(place, stop)
            elif wire == 1:
                place += 8
            elif wire == 5:
                place += 4
            elif wire == 2:
                length, body = self._read_varint(place, stop)
                place = body + length
            else:
                raise _BrokenError(f"byte {begin} begins no field")
            if place > stop or not key >> 3:
                raise _BrokenError(f"the field at byte {begin} runs past the end of what holds it")
            yield key >> 3, begin, body, place

    def _read_varint(self, place: int, stop: int) -> tuple[int, int]:
        value = shift = 0
        while place < stop and shift < 70:
            byte = self.data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, place
            shift += 7
        raise _BrokenError(f"a number at byte {place} has no end")


def _varint(value: int) -> bytes:
    pieces = bytearray()
    while value > 0x7F:
        pieces.append(value & 0x7F | 0x80)
        value >>= 7
    pieces.append(value)
    return bytes(pieces)
