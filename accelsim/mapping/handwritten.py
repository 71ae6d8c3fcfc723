"""Mappings in YAML files: by layer, the steps of a loop nest, written by hand or by accelsim.

A step is a place of tiles, such as ``{memory: GLB, operands: [W, I, O], tile: {K: 16, C: 3}, order: [C]}``, or an
unrolling, such as ``{axis: array.rows, unroll: {K: 16}}``; ``docs/hardware.md`` has a whole file.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike

from accelsim.errors import InputError
from accelsim.mapping.hierarchy import Machine
from accelsim.mapping.nest import Nest, check, from_data, to_data
from accelsim.workload.layer import Layer
from accelsim.yamlio import at, read_yaml


def load_mappings(path: str | PathLike[str]) -> dict[str, Nest]:
    """Read mappings by layer.

    Returns:
        The mapping of every layer named in the file.

    Raises:
        InputError: The file cannot be read, or a step is wrong; names the file, the line, the layer and the step.
    """
    document = read_yaml(path)
    mappings = {}
    for layer, steps in document.data.items():
        try:
            mappings[str(layer)] = from_data(steps)
        except InputError as wrong:
            raise InputError(at(document, (layer,), str(wrong))) from None
    return mappings


def check_mapping(nest: Nest, layer: Layer, machine: Machine) -> None:
    """Check that a mapping is one of a layer on a machine.

    Raises:
        InputError: It is not; names the layer, the machine, the step, what was found and what is allowed.
    """
    try:
        check(nest, layer, machine)
    except InputError as wrong:
        raise InputError(f"layer {layer.name} on {machine.name}: {wrong}") from None


def to_yaml(mappings: Mapping[str, Nest]) -> str:
    """Return mappings as ``load_mappings`` reads them, one step a line."""
    import json  # noqa: PLC0415 - a step in JSON is one in YAML, too

    lines = []
    for layer, nest in mappings.items():
        lines.append(f"{json.dumps(layer)}:")
        lines += [f"  - {json.dumps(step)}" for step in to_data(nest)]
    return "\n".join(lines) + "\n"
