"""Writes results to disk: every file whole or not at all, with a manifest that says how to make them again."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import platform
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from accelsim.result import Result

log = logging.getLogger("accelsim")

MANIFEST_SCHEMA = 1
"""Version of the layout of ``manifest.json``."""

RECORDED_PACKAGES = ("numpy", "numba", "pandas", "msgspec", "pyarrow", "matplotlib")
"""Packages whose versions the manifest records; null where one is not installed."""


def save_result(result: Result, folder: str | PathLike[str], *, command: str = "") -> list[Path]:
    """Write a result's tables, pictures and manifest.

    ``layers.csv``, ``layers.parquet``, ``result.json``, ``summary.md``, ``mappings.yaml`` (of machines without fixed
    programs); ``time``, ``energy``, ``traffic``, ``utilization`` and ``roofline`` as PNG and SVG; and
    ``manifest.json``, last. What needs a package that is not installed is left out; the manifest says so, and one
    warning is logged for the pictures.

    Args:
        result: The result.
        folder: Where to; made if it does not exist.
        command: The command line that asked for it, for the manifest.

    Returns:
        The files written.

    Raises:
        InputError: The folder or a file in it cannot be written.
    """
    target = check_folder(folder)
    contents, left_out = _contents(result)
    written = [write_whole(target / name, data) for name, data in contents.items()]
    manifest = _manifest(result, command, contents, left_out)
    written.append(write_whole(target / "manifest.json", _json_bytes(manifest)))
    return written


def to_csv(result: Result) -> str:
    """Return the per-layer table as CSV, a line a layer below a header."""
    from accelsim.report import tables  # noqa: PLC0415 - this module also serves callers that print no table

    return tables.to_csv(result.records)


def to_parquet_bytes(result: Result) -> bytes:
    """Return the per-layer table as Parquet, with every column's unit and definition in its metadata.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError(
            "Parquet needs pyarrow, which is not installed: pip install 'accelsim[parquet]'"
        ) from None
    from accelsim.result import COLUMNS  # noqa: PLC0415 - and others that simulate nothing

    table = pa.Table.from_pandas(result.layers, preserve_index=False)
    fields = [
        field.with_metadata({"unit": COLUMNS[field.name].unit, "help": COLUMNS[field.name].help})
        for field in table.schema
    ]
    stream = io.BytesIO()
    pq.write_table(table.cast(pa.schema(fields, metadata=table.schema.metadata)), stream)
    return stream.getvalue()


def check_folder(folder: str | PathLike[str]) -> Path:
    """Make a folder, with its parents, and find out whether files can be written into it.

    Returns:
        Its path.

    Raises:
        InputError: It cannot be made or written into; says why.
    """
    path = Path(folder)
    with _explained(f"cannot write into folder {path}"):
        path.mkdir(parents=True, exist_ok=True)
        probe = _temporary_name(path / "probe")
        try:
            probe.touch(exist_ok=False)
        finally:
            probe.unlink(missing_ok=True)
    return path


def write_whole(path: Path, data: bytes) -> Path:
    """Write a file whole or not at all: an older file of that name stays until the new one is complete.

    Args:
        path: The file; its folder exists.
        data: What it holds.

    Returns:
        The path.

    Raises:
        InputError: The file cannot be written; says why.
    """
    temporary = _temporary_name(path)
    with _explained(f"cannot write {path}"):
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # else a power cut after the rename can leave an empty file
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    return path


def _temporary_name(path: Path) -> Path:
    """Return a free name in the same folder, since a rename is whole only within one file system."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn the operating system's errors into one sentence that starts with ``what``."""
    try:
        yield
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{what}: a file is in the way") from None
    except IsADirectoryError:
        raise InputError(f"{what}: a folder of that name is in the way") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{what}: {reason[:1].lower()}{reason[1:]}") from None


def _contents(result: Result) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return what every file holds, and for those left out the reason."""
    from accelsim.mapping.handwritten import to_yaml  # noqa: PLC0415 - this module also serves callers without
    from accelsim.mapping.mapping import NestMapping  # noqa: PLC0415
    from accelsim.report.summary import summary_markdown  # noqa: PLC0415 - only where there is a result to sum up

    contents = {
        "layers.csv": to_csv(result).encode(),
        "result.json": (result.to_json() + "\n").encode(),
        "summary.md": summary_markdown(result).encode(),
    }
    mappings = {entry.layer.name: entry.mapping for entry in result.layer_results}
    nests = {layer: mapping.nest for layer, mapping in mappings.items() if isinstance(mapping, NestMapping)}
    if nests:
        contents["mappings.yaml"] = to_yaml(nests).encode()
    left_out: dict[str, str] = {}
    try:
        contents["layers.parquet"] = to_parquet_bytes(result)
    except MissingExtraError as missing:
        left_out["layers.parquet"] = str(missing)
    try:
        contents |= _pictures(result)
    except MissingExtraError as missing:
        log.warning("no pictures are written: %s", missing)
        from accelsim.report.plots import METRICS  # noqa: PLC0415 - names only, no matplotlib

        pictures = [f"{name}.{kind}" for name in (*METRICS, "roofline") for kind in ("png", "svg")]
        left_out |= dict.fromkeys(pictures, str(missing))
    return contents, left_out


def _pictures(result: Result) -> dict[str, bytes]:
    from accelsim.report.plots import METRICS, figure_bytes, plot_result  # noqa: PLC0415 - matplotlib is an extra
    from accelsim.report.roofline import roofline_figure  # noqa: PLC0415 - matplotlib is an extra

    figures = {metric: plot_result(result, metric) for metric in METRICS} | {"roofline": roofline_figure(result)}
    return {f"{name}.{kind}": figure_bytes(figure, kind) for name, figure in figures.items() for kind in ("png", "svg")}


def _manifest(result: Result, command: str, contents: dict[str, bytes], left_out: dict[str, str]) -> dict[str, Any]:
    """Return where the files come from: versions, inputs, command, and a digest of every file."""
    return {
        "schema": MANIFEST_SCHEMA,
        "command": command,
        "options": dict(result.options),
        **versions(),
        **inputs(result),
        "files": {name: {"bytes": len(data), "sha256": _sha256(data)} for name, data in contents.items()},
        "not_written": left_out,
    }


def versions() -> dict[str, Any]:
    """Return what computed a result: the versions of accelsim, Python and its packages, and the time."""
    import accelsim  # noqa: PLC0415 - the package itself, for its version

    return {
        "accelsim": accelsim.__version__,
        "written_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in RECORDED_PACKAGES},
    }


def inputs(result: Result) -> dict[str, Any]:
    """Return what a result was computed from: its network and its hardware, with a digest of each."""
    from msgspec import to_builtins  # noqa: PLC0415 - with a result it is loaded already

    network, hardware = result.network, to_builtins(result.hardware)
    return {
        "network": {
            "name": network.name,
            "family": network.family,
            "parameters": dict(network.parameters),
            "input_shape": list(network.input_shape),
            "facts": to_builtins(network.facts),
            "sha256": _sha256(_json_bytes([[repr(layer), network.inputs[layer.name]] for layer in network.layers])),
        },
        "hardware": hardware,
        "hardware_sha256": _sha256(_json_bytes(hardware)),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _json_bytes(data: Any) -> bytes:
    # A builder's parameters may hold anything; their text says enough to find out what they were.
    return (json.dumps(data, indent=1, default=str) + "\n").encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
