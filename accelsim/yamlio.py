"""Strict reading of YAML: every value knows its line, and every mistake is one sentence that says where.

``read_yaml`` turns a file into plain data with the line of every key; ``convert`` turns that data into a
dataclass or ``msgspec.Struct``, whose annotations are the only schema; ``at`` places a message of a later
check. Repeated keys, unknown keys, missing fields, merge keys and tags are refused.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import inspect
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from accelsim.errors import AccelsimError, InputError, did_you_mean
from accelsim.typecheck import YamlPath, found, mismatch, path_text, refused

MAX_BYTES = 2_000_000
"""Largest file read: ten thousand layers, ten seconds of parsing."""

MAX_VALUES = 200_000
"""Most values a file may hold once its aliases are written out; stops small files that explode."""

MAX_DEPTH = 50
"""Deepest nesting."""

T = TypeVar("T")

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Document:
    """A YAML file as plain data.

    Attributes:
        path: The file, as messages name it.
        data: Its top-level mapping; values are dict, list, str, int, float, bool or None.
        lines: Line (from 1) of every value, by its path; of a mapping's value, the line of its key.
    """

    path: str
    data: dict[str, Any]
    lines: Mapping[YamlPath, int] = field(default_factory=dict, repr=False)

    def line(self, path: YamlPath = ()) -> int:
        """Return the line of the value at ``path``, or of the nearest value around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def where(self, path: YamlPath = ()) -> str:
        """Return ``"hw.yaml:14: memories[1].size_kb"``; for the whole document ``"hw.yaml:1"``."""
        place = f"{self.path}:{self.line(path)}"
        return f"{place}: {path_text(path)}" if path else place


def at(document: Document, path: YamlPath, message: str) -> str:
    """Return ``message`` with the file, the line and the field that it is about."""
    return f"{document.where(path)}: {message}"


def read_yaml(path: str | PathLike[str], error: type[InputError] = InputError) -> Document:
    """Read a YAML file whose top level is a mapping.

    Args:
        path: The file.
        error: What to raise when the file is wrong.

    Returns:
        Its data, with the line of every value.

    Raises:
        InputError: As ``error``: the file is missing, cannot be read, is not UTF-8, is empty, too large,
            not valid YAML, repeats a key, or is not a mapping at the top.
    """
    shown = fspath(path)
    kind: Any = error
    document = _parsed(read_text(shown, error), shown, kind)
    return Document(document.path, copy.deepcopy(document.data), document.lines)


@lru_cache(maxsize=32)
def _parsed(text: str, path: str, error: Any) -> Document:
    """Parse a file once: a search over a machine's fields reads the same text a thousand times."""
    return parse_yaml(text, path, error)


def parse_yaml(text: str, path: str, error: type[InputError] = InputError) -> Document:
    """Read YAML text as ``read_yaml`` reads a file; ``path`` is what messages call it."""
    yaml = YAML(typ="safe", pure=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ReusedAnchorWarning)
            root = yaml.compose(text)
        if root is None:
            raise error(f"{path}: is empty")
        builder = _DataBuilder(path, error)
        data = builder.build(root, ())
    except MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        place = f"{path}:{mark.line + 1}" if mark else path
        reason = " ".join(part for part in (wrong.context, wrong.problem) if part)
        raise error(f"{place}: not valid YAML: {' '.join(reason.split())}") from None
    except YAMLError as wrong:
        raise error(f"{path}: not valid YAML: {' '.join(str(wrong).split())}") from None
    except ReusedAnchorWarning as wrong:
        raise error(f"{path}: not valid YAML: {str(wrong).strip().splitlines()[0]}") from None
    except RecursionError:
        raise error(f"{path}: is nested too deeply") from None
    if not isinstance(data, dict):
        line = builder.lines[()]
        raise error(f"{path}:{line}: top level must be a mapping of keys to values, got {found(data)}")
    return Document(path, data, builder.lines)


def convert(document: Document, type_: type[T], error: type[InputError] = InputError) -> T:
    """Turn a document into an instance of a dataclass or ``msgspec.Struct``, strictly.

    Nothing is coerced (a word is never a number), keys that the type does not have are refused, and so
    are values outside the type's constraints. A ``ValueError`` or an ``InputError`` from a type's own
    ``__post_init__`` is reported with the place of the mapping that it was built from.

    Args:
        document: The document.
        type_: The type of its top level.
        error: What to raise when it does not fit.

    Returns:
        The instance.

    Raises:
        InputError: As ``error``, in one sentence with file, line, field, what was found and what is allowed.
    """
    schema = _schema(type_)  # type: ignore[arg-type]  # mypy takes a type variable's type for unhashable
    problem = mismatch(document.data, schema, ())
    if problem is not None:
        raise error(at(document, *problem))
    try:
        return msgspec.convert(document.data, type_, strict=True)
    except (msgspec.ValidationError, AccelsimError) as wrong:
        path, reason = refused(document.data, schema, ()) or ((), str(wrong))
        raise error(at(document, path, reason)) from None


@cache
def _schema(type_: type) -> inspect.Type:
    """Describe a type once: a search builds a thousand accelerators."""
    return inspect.type_info(type_)


def read_text(path: str, error: type[InputError] = InputError) -> str:
    """Return the text of a file that is no larger than ``MAX_BYTES``.

    Raises:
        InputError: As ``error``: the file is missing, cannot be read, is not UTF-8, or is too large.
    """
    try:
        # Read one byte over the limit and no more: the path may be a device that never ends.
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise error(f"{path}: no such file{did_you_mean(Path(path).name, _neighbours(path))}") from None
    except IsADirectoryError:
        raise error(f"{path}: is a directory, expected a YAML file") from None
    except OSError as wrong:
        raise error(f"{path}: cannot be read: {wrong.strerror}") from None
    except ValueError as wrong:
        raise error(f"{path!r}: is not a path: {wrong}") from None
    if len(content) > MAX_BYTES:
        raise error(f"{path}: is larger than {MAX_BYTES / 1e6:g} MB, the most that is read")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = content.count(b"\n", 0, wrong.start) + 1
        raise error(f"{path}:{line}: is not UTF-8 text (byte 0x{content[wrong.start]:02x})") from None


def _neighbours(path: str) -> list[str]:
    """Return the YAML files beside a path, for suggestions."""
    try:
        return [file.name for file in Path(path).parent.iterdir() if file.suffix in (".yaml", ".yml")]
    except OSError:
        return []


class _DataBuilder:
    """Turns composed nodes into plain data and notes the line of each value."""

    def __init__(self, path: str, error: type[InputError]) -> None:
        self.lines: dict[YamlPath, int] = {}
        self._path = path
        self._error = error
        self._open: set[int] = set()
        self._values = 0

    def build(self, node: Node, path: YamlPath, line: int | None = None) -> Any:
        """Return the data of ``node``; ``line`` is that of its key, if it has one."""
        line = node.start_mark.line + 1 if line is None else line
        self.lines[path] = line
        self._values += 1
        if self._values > MAX_VALUES:
            raise self._wrong(line, f"the file holds more than {MAX_VALUES} values once its aliases are written out")
        if len(path) > MAX_DEPTH:
            raise self._wrong(line, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            raise self._wrong(line, "an alias refers to a value that contains it")
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                self._check_tag(node, "seq")
                return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
            assert isinstance(node, MappingNode)
            return self._mapping(node, path)
        finally:
            self._open.remove(id(node))

    def _mapping(self, node: MappingNode, path: YamlPath) -> dict[str | int, Any]:
        self._check_tag(node, "map")
        data: dict[str | int, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                raise self._wrong(line, "a key must be text or a whole number")
            if key_node.value == "<<" and key_node.tag == _TAG + "merge":
                raise self._wrong(line, "merge keys (<<) are not supported; repeat the fields")
            key = self._scalar(key_node)
            if isinstance(key, bool) or not isinstance(key, str | int):
                raise self._wrong(line, f"a key must be text or a whole number, got {found(key)}")
            if key in data:
                raise self._wrong(line, f"key {key!r} is repeated (first on line {self.lines[(*path, key)]})")
            data[key] = self.build(value_node, (*path, key), line)
        return data

    def _scalar(self, node: ScalarNode) -> str | int | float | bool | None:
        line = node.start_mark.line + 1
        kind = str(node.tag).removeprefix(_TAG)
        text = node.value
        try:
            match kind:
                # A date is text here: no field of a network or of a machine is a point in time.
                case "str" | "timestamp":
                    return str(text)
                case "int":
                    return _integer(text)
                case "float":
                    number = float(text.lower().replace("_", "").replace(".inf", "inf"))
                    if not math.isnan(number) and (math.isfinite(number) or "inf" in text.lower()):
                        return number
                case "bool":
                    return bool(text.lower() == "true")
                case "null":
                    return None
        except ValueError:
            pass
        if kind in ("int", "float"):
            raise self._wrong(line, f"{text[:40]!r} is not a number that can be used")
        raise self._wrong(line, f"tags are not supported, got {str(node.tag)!r}")

    def _check_tag(self, node: Node, kind: str) -> None:
        if str(node.tag) != _TAG + kind:
            raise self._wrong(node.start_mark.line + 1, f"tags are not supported, got {str(node.tag)!r}")

    def _wrong(self, line: int, message: str) -> InputError:
        return self._error(f"{self._path}:{line}: {message}")


def _integer(text: str) -> int:
    """Return a YAML 1.2 integer: decimal (leading zeros allowed), 0x, 0o or 0b."""
    digits = text.replace("_", "").lower()
    return int(digits, 0 if digits.lstrip("+-")[:2] in ("0x", "0o", "0b") else 10)
