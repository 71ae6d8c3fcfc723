"""Reads hardware: by name, from a YAML file, with overrides by field path."""

from __future__ import annotations

import copy
import numbers
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import msgspec

from accelsim.data import data_files, data_names
from accelsim.errors import HardwareError, did_you_mean
from accelsim.hardware.checks import misfit
from accelsim.hardware.spec import Description, Hardware
from accelsim.yamlio import Document, at, convert, read_yaml


def hardware_names() -> list[str]:
    """Return the names of the accelerators that come with accelsim, sorted."""
    return data_names("hwconfigs")


def load_hardware(source: str | PathLike[str], **overrides: Any) -> Hardware:
    """Load an accelerator.

    Args:
        source: Name of one that comes with accelsim, or path of a YAML file.
        overrides: New values by field path, such as ``**{"memories.GLB.size_kb": 64, "fanouts.array.rows": 8}``;
            entries of lists are addressed by their name. Numbers of numpy are taken as numbers, tuples as lists.

    Returns:
        The accelerator.

    Raises:
        HardwareError: Unknown name, a file that cannot be read, or a description that cannot exist.

    Examples:
        >>> load_hardware("16x16_128KB", **{"memories.GLB.size_kb": 64}).memory("GLB").size_kb
        64.0
    """
    document = read_yaml(_path(fspath(source)), HardwareError)
    if overrides:
        document = _override(document, overrides)
    description = convert(document, Description, HardwareError)
    problem = misfit(description)
    if problem is not None:
        raise HardwareError(at(document, *problem))
    return Hardware(**msgspec.structs.asdict(description))


def _path(source: str) -> Path:
    if source.endswith((".yaml", ".yml")) or "/" in source or "\\" in source:
        return _file(Path(source))
    known = data_files("hwconfigs")
    if source not in known:
        raise HardwareError(
            f"unknown hardware {source!r}{did_you_mean(source, known)}; known are {', '.join(known)}, "
            "or give the path of a YAML file"
        )
    return known[source]


def _file(path: Path) -> Path:
    """Return a path, unless it is no file and its stem is a name that the user may have meant."""
    if not path.exists() and path.stem in data_files("hwconfigs"):
        raise HardwareError(f"{path}: no such file; did you mean {path.stem!r}, which comes with accelsim?")
    return path


def _override(document: Document, overrides: dict[str, Any]) -> Document:
    """Return a copy of the document with the fields at the given paths replaced."""
    data = copy.deepcopy(document.data)
    for path, value in overrides.items():
        *parents, field = path.split(".")
        if not field:
            raise HardwareError(f"override {path!r}: names no field; a path is like memories.GLB.size_kb")
        node: Any = data
        for step in parents:
            node = _descend(node, step, path)
        if not isinstance(node, dict):
            raise HardwareError(f"override {path!r}: {parents[-1]!r} has no fields")
        node[field] = _plain(value)
    return Document(f"{document.path} with overrides", data, document.lines)


def _plain(value: Any) -> Any:
    """Return a value as a YAML file would give it."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real | tuple):
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _descend(node: Any, step: str, path: str) -> Any:
    """Return the child of a mapping by key, or of a list by the ``name`` of its entry."""
    children = node if isinstance(node, dict) else {}
    if isinstance(node, list):
        children = {entry["name"]: entry for entry in node if isinstance(entry, dict) and "name" in entry}
    if step not in children:
        names = [str(name) for name in children]
        raise HardwareError(f"override {path!r}: no {step!r}{did_you_mean(step, names)}; there are {', '.join(names)}")
    return children[step]
