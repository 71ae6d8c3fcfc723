"""Networks by name, alias, family or file."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from accelsim.data import data_files, data_names
from accelsim.errors import WorkloadError, did_you_mean
from accelsim.workload.network import Fact, Network
from accelsim.workload.zoo import FAMILIES, build
from accelsim.yamlio import Document, at, convert, read_yaml

if TYPE_CHECKING:
    from accelsim.workload.imports.operations import Imported

log = logging.getLogger("accelsim")

_FACTORY = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*:[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class NetworkFacts:
    """What a named network's file says of it, without building it.

    Attributes:
        name: Name of the network.
        family: Family that builds it; empty if the file lists the layers itself.
        aliases: Other names that it is known by.
        parameters: What the family is given.
        facts: Published figures, with their sources.
    """

    name: Annotated[str, Meta(min_length=1)]
    family: str = ""
    aliases: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()


def network_names() -> list[str]:
    """Return the names of the networks that come with accelsim, sorted.

    Examples:
        >>> network_names()[:2]
        ['alexnet', 'bn_inception']
    """
    return data_names("networks")


def network_facts(name: str) -> NetworkFacts:
    """Return what a shipped network's file says of it; cheap, as nothing is built.

    Args:
        name: Name or alias.

    Raises:
        WorkloadError: There is no such network.
    """
    path = _shipped(name)
    if path is None:
        raise WorkloadError(f"unknown network {name!r}{did_you_mean(name, network_names())}")
    document = read_yaml(path, WorkloadError)
    header = {key: value for key, value in document.data.items() if key not in ("input", "layers")}
    return convert(Document(document.path, header, document.lines), NetworkFacts, WorkloadError)


def load_network(source: str | PathLike[str], **parameters: Any) -> Network:
    """Load a network.

    Args:
        source: Name or alias of a network that comes with accelsim, path of a YAML file (anything that
            ends in ``.yaml`` or ``.yml``, or has a separator in it), path of an ONNX file (``.onnx``),
            ``package.module:factory`` of a PyTorch module (imports the package and calls the factory, which runs its
            code), or name of a family.
        parameters: Parameters of the family; they take the place of a named network's own. A network
            that they change has them in its name, and has no published facts. Of an ONNX file or a PyTorch module
            the options of ``load_model``.

    Returns:
        The network.

    Raises:
        WorkloadError: Unknown name, a file that cannot be read, or a network that cannot exist.

    Examples:
        >>> net = load_network("squeezenext", depth=23, width=1.5)
        >>> net.totals["macs"]
        472270784
        >>> load_network("squeezenet_v1.1")["fire2/squeeze1x1"].dims.C
        64
    """
    text = fspath(source)
    if is_model(text):
        return load_model(text, **parameters).network
    if not isinstance(source, str) or _is_path(text):
        return _from_file(text, parameters)
    shipped = _shipped(text)
    if shipped is not None:
        return _from_file(str(shipped), parameters)
    if text in FAMILIES:
        return _from_family(text, text, {}, parameters)
    known = [*network_names(), *FAMILIES]
    raise WorkloadError(
        f"unknown network {text!r}{did_you_mean(text, known) or '; see `accelsim networks` for those there are'}"
    )


def is_model(source: str) -> bool:
    """Tell whether a source is a model to import: an ONNX file, or ``package.module:factory``."""
    return source.endswith(".onnx") or is_factory(source)


def is_factory(source: str) -> bool:
    """Tell whether a source is ``package.module:factory``, whose code would be run."""
    return not source.endswith(".onnx") and _FACTORY.fullmatch(source) is not None


def load_model(
    source: str,
    *,
    name: str | None = None,
    input_shape: Sequence[int] | None = None,
    dims: Mapping[str, int] | None = None,
    strict: bool = False,
) -> Imported:
    """Import an ONNX file or a PyTorch module, with the account of what became of every node.

    Unknown operators are logged as a warning.

    Args:
        source: Path of an ONNX file, or ``package.module:factory``.
        name: Name of the network; default: the file's or the factory's.
        input_shape: Channels, height and width of one image; default: the file's, or 3 x 224 x 224.
        dims: Sizes of axes that an ONNX file names but leaves open.
        strict: Whether an unknown operator is an error.

    Raises:
        WorkloadError: The model cannot be read, or is no network that can be.
        MissingExtraError: The package that reads it is not installed.
    """
    if source.endswith(".onnx"):
        from accelsim.workload.onnx import import_onnx  # noqa: PLC0415 - an optional extra

        imported = import_onnx(source, name=name, input_shape=input_shape, dims=dims, strict=strict)
    else:
        from accelsim.workload.pytorch import IMAGE_SHAPE, import_torch, load_factory  # noqa: PLC0415

        log.warning("%s: importing it, which runs its code", source)
        module, shape = load_factory(source), input_shape or IMAGE_SHAPE
        imported = import_torch(module, shape, name=name or source.rpartition(":")[2], strict=strict)
    if imported.unknown:
        listed = ", ".join(f"{kind} {count}" for kind, count in sorted(imported.unknown.items()))
        log.warning("%s: unknown operators, taken as data movement: %s", source, listed)
    return imported


def _is_path(source: str) -> bool:
    return source.endswith((".yaml", ".yml")) or "/" in source or "\\" in source


def _shipped(name: str) -> Path | None:
    """Return the file of a shipped network by name or alias."""
    files = data_files("networks")
    if name in files:
        return files[name]
    # Reading a file as text is a hundred times cheaper than parsing it, and only one can have the alias.
    mentions = re.compile(rf"^aliases:.*(?:\n[ \-].*)*(?<![\w.\-]){re.escape(name)}(?![\w.\-])", re.MULTILINE | re.I)
    for path in files.values():
        if mentions.search(path.read_text(encoding="utf-8")):
            aliases = read_yaml(path, WorkloadError).data.get("aliases", [])
            if name.casefold() in (str(alias).casefold() for alias in aliases):
                return path
    return None


def _from_file(path: str, parameters: Mapping[str, Any]) -> Network:
    """Build the network that a file describes, by family or layer by layer."""
    document = read_yaml(path, WorkloadError)
    if "layers" in document.data:
        if "family" in document.data:
            raise WorkloadError(at(document, ("family",), "a file with 'layers' cannot have a family too"))
        if parameters:
            raise WorkloadError(f"{path}: lists its layers, so it has no parameter {next(iter(parameters))!r}")
        # Imported here: a network of a family does not need the forty types of a layer list.
        from accelsim.workload.layer_list import build_layer_list  # noqa: PLC0415

        return build_layer_list(document)
    if "family" not in document.data:
        wanted = "needs 'family' (and its 'parameters') or 'layers' (a list of layers, with 'input')"
        raise WorkloadError(at(document, (), wanted))
    entry = convert(document, NetworkFacts, WorkloadError)
    if entry.family not in FAMILIES:
        problem = f"unknown network family {entry.family!r}{did_you_mean(entry.family, FAMILIES)}"
        raise WorkloadError(at(document, ("family",), problem))
    try:
        network = _from_family(entry.name, entry.family, entry.parameters, parameters)
    except WorkloadError as wrong:
        if parameters:
            raise
        raise WorkloadError(f"{path}:{document.line(('parameters',))}: {wrong}") from None
    return network if _changes(entry.parameters, parameters) else replace(network, facts=entry.facts)


def _from_family(name: str, family: str, own: Mapping[str, Any], given: Mapping[str, Any]) -> Network:
    """Build a family's network, named after what the given parameters change."""
    changes = _changes(own, given)
    if changes:
        name = f"{name}({', '.join(f'{key}={value}' for key, value in changes.items())})"
    return build(family, **{"name": name, **own, **given})


def _changes(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given parameters that make another network of it."""
    return {key: value for key, value in given.items() if key != "name" and (key not in own or own[key] != value)}
