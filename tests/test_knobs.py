"""Does every field of every accelerator's file change some output, and do the documents' examples hold?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import stand_in
from ruamel.yaml import YAML

from accelsim.data import data_file
from accelsim.dims import Dim
from accelsim.errors import HardwareError, InputError
from accelsim.hardware import costs
from accelsim.hardware.loader import hardware_names, load_hardware
from accelsim.hardware.spec import Hardware
from accelsim.mapping.handwritten import load_mappings
from accelsim.mapping.hierarchy import ANY, Machine
from accelsim.mapping.machine import constraint_of, machine_of
from accelsim.mapping.nest import UNIT, Nest, check
from accelsim.simulation import simulate
from accelsim.workload.layer import Dims, Layer
from accelsim.workload.network import Network, NetworkBuilder

GENERAL = [name for name in hardware_names() if not load_hardware(name).programs]
DOCUMENT = Path(__file__).parents[1] / "docs" / "hardware.md"


def tiny_network() -> Network:
    """Return two convolutions that use every dim but the batch."""
    builder = NetworkBuilder("tiny", (6, 7, 9))
    first = builder.conv(builder.input, 8, 3, padding=1)
    builder.conv(first, 8, 3, groups=2)
    return builder.build()


def numeric_fields(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield the override path and the value of every number in plain data."""
    if isinstance(value, list):
        value = {entry["name"]: entry for entry in value if isinstance(entry, dict)}
    if isinstance(value, dict):
        for key, child in value.items():
            yield from numeric_fields(child, f"{path}.{key}" if path else key)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


def numbers(name: str) -> dict[str, float]:
    """Return every number of an accelerator's file by its path."""
    return dict(numeric_fields(YAML(typ="safe", pure=True).load(data_file("hwconfigs", name).read_text())))


@cache
def some_mappings(name: str) -> dict[str, Nest]:
    """Return a mapping of every layer that fits an accelerator, with tiles and unrollings larger than one."""
    machine = machine_of(load_hardware(name))
    return {layer.name: stand_in.search(layer, machine, ANY, "cycles").nest for layer in tiny_network().array_layers}


def probes(layer: Layer, machine: Machine) -> Iterator[Nest]:
    """Yield nests at the edge of what a machine takes: two words along a dim down to a memory, all dims of an axis."""
    yield stand_in.unit_nest(layer, machine, bypass=False)
    for index in range(1, len(machine.stores)):
        for dim in Dim:
            tile = UNIT._replace(**{dim.name: min(2, layer.dims[dim])})
            tiles = {store.name: tile for store in machine.stores[1 : index + 1]}
            yield stand_in.unit_nest(layer, machine, tiles, bypass=False)
    for fanout in machine.fanouts:
        for axis in fanout.axes:
            counts = {f"{fanout.name}.{axis.name}": dict.fromkeys(sorted(axis.allowed)[: axis.most_dims], 2)}
            tiles = {store.name: Dims(*map(min, layer.dims, (2,) * 8)) for store in machine.stores[1:2]}
            yield stand_in.unit_nest(layer, machine, tiles, counts)


@cache
def probes_of(name: str) -> list[Nest]:
    return list(probes(tiny_network()["conv1"], machine_of(load_hardware(name))))


def outputs(name: str, **overrides: Any) -> Any:
    """Return what accelsim says of the tiny network under some mappings, and which probes it refuses."""
    hardware = load_hardware(name, **overrides)
    layer, machine = tiny_network()["conv1"], machine_of(hardware)
    taken = []
    for nest in probes_of(name):
        try:
            check(nest, layer, machine)
        except InputError:
            taken.append(False)
        else:
            taken.append(True)
    try:
        result = simulate(tiny_network(), hardware, mappings=some_mappings(name))
    except InputError:
        return taken, None
    return taken, result.totals, result.records


@cache
def outputs_of(name: str) -> Any:
    return outputs(name)


@pytest.mark.parametrize(("name", "path"), [(name, path) for name in GENERAL for path in numbers(name)])
def test_does_every_number_change_some_output(name, path):
    """No knob is dead: each number, raised or lowered alone, moves a result, allows or forbids a mapping."""
    value = numbers(name)[path]
    loaded = 0
    for other in (value * 2, value / 2, value / 64, value / 512, value / 2048, value / 4096, value / 1e5):
        whole = isinstance(value, int) and "per_cycle" not in path and "size_kb" not in path
        changed = max(1, int(other)) if whole else other
        try:
            load_hardware(name, **{path: changed})
        except HardwareError:
            continue  # such as a rate that no longer holds anything up beside the others
        loaded += 1
        if changed != value and outputs(name, **{path: changed}) != outputs_of(name):
            return
    assert loaded == 0, f"{name}: {path} changes nothing"


@pytest.mark.parametrize("name", GENERAL)
def test_does_every_memory_count_in_the_area(name):
    """A larger memory of any kind, and more PEs, is a larger chip."""
    before = costs.area(load_hardware(name)).total_mm2
    for path, value in numbers(name).items():
        if re.search(r"size_kb|size_words|operand_words|axes\.\w+\.size", path):
            assert costs.area(load_hardware(name, **{path: 64 * value})).total_mm2 > before, path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("memories.SUMS.keeps", ["I", "O"]),
        ("memories.L2.may_bypass", []),
        ("memories.L2.buffering", "rolling"),
        ("memories.SUMS.buffering", "double"),
        ("memories.RF.register_read", "per_mac"),
        ("memories.RF.operand_words", {"W": 16}),
        ("memories.L2.slides", False),
        ("fanouts.array.words_per_cycle", {"I": 8}),
        ("fanouts.chip.forward", True),
        ("fanouts.array.forward", False),
        ("fanouts.array.below", "RF"),
        ("fanouts.chip.axes.clusters.dims", ["K"]),
        ("fanouts.chip.axes.clusters.shares", ["W", "I"]),
        ("fanouts.array.axes.rows.reduction", "tree"),
        ("stores_padding", True),
        ("operand_bits", {"O": 16}),
    ],
)
def test_does_every_choice_change_the_machine(path, value, tmp_path):
    """What is no number reaches the machine, too, whose every field the engine's tests cover."""
    text = document_example("# a machine word")
    before = machine_of(load(text, tmp_path))
    assert machine_of(load(text, tmp_path, **{path: value})) != before


def load(text: str, tmp_path: Path, **overrides: Any) -> Hardware:
    """Load a hardware file of this text."""
    path = tmp_path / "hw.yaml"
    path.write_text(text)
    return load_hardware(path, **overrides)


def document_example(mark: str) -> str:
    """Return the YAML block of the document that has a mark."""
    blocks = re.findall(r"```yaml[^\n]*\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return next(block for block in blocks if mark in block)


def test_does_the_documents_accelerator_load(tmp_path):
    """The example with every key is one that accelsim takes, dataflow and all."""
    hardware = load(document_example("# a machine word"), tmp_path)
    assert [store.name for store in machine_of(hardware).stores] == ["DRAM", "L2", "SUMS", "RF"]
    assert constraint_of(hardware, "mine").stationary


def test_does_the_document_name_every_key():
    """A key of the schema that the document does not show would not be found."""
    text = DOCUMENT.read_text()
    for part in ("Description", "Memory", "Fanout", "AxisSpec", "Dataflow"):
        from accelsim.hardware import parts

        for field in getattr(parts, part).__struct_fields__:
            assert re.search(rf"\b{field}\b", text), f"{part}.{field}"


def test_does_the_documents_mapping_run(tmp_path):
    """The example of a mapping by hand is one of its layer on ref16."""
    path = tmp_path / "mapping.yaml"
    path.write_text(document_example("conv1:"))
    builder = NetworkBuilder("one", (3, 57, 57))
    builder.conv(builder.input, 64, 3, name="conv1")
    result = simulate(builder.build(), "ref16", mappings=path)
    assert load_mappings(path)["conv1"].uniform
    assert result.records[0]["utilization"] > 0.3


def test_does_the_document_list_every_accelerator():
    """Each file that ships is in the document's table."""
    for name in hardware_names():
        assert f"`{name}`" in DOCUMENT.read_text()
