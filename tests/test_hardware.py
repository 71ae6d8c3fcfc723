"""Is a hardware description read as it was meant, does every number in it count, and is every mistake told?"""

from __future__ import annotations

import io
import re
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from ruamel.yaml import YAML

from accelsim.data import data_file
from accelsim.dims import Operand
from accelsim.errors import AccelsimError, HardwareError, InputError, NoMappingError
from accelsim.hardware.loader import hardware_names, load_hardware
from accelsim.hardware.spec import EnergyUnit, Hardware, Memory
from accelsim.simulation import simulate
from accelsim.workload.network import Network, NetworkBuilder

REFERENCE = "16x16_128KB"
TEXT = data_file("hwconfigs", REFERENCE).read_text()
SMALL = {"fanouts.array.rows": 4, "fanouts.array.cols": 4, "memories.GLB.size_kb": 1}
"""Overrides that make the reference accelerator tight for a tiny network."""


def tiny_network() -> Network:
    """Return two convolutions that the small accelerator has to cut into tiles, of which WS and OS both suit one."""
    builder = NetworkBuilder("tiny", (3, 8, 8))
    first = builder.conv(builder.input, 6, 3, padding=1)
    builder.conv(first, 9, 1)
    return builder.build()


def sentence(text: str, tmp_path: Path) -> str:
    """Return the error of a hardware file with this text, having checked that it is one line without a traceback."""
    path = tmp_path / "hw.yaml"
    path.write_text(text)
    with pytest.raises(HardwareError) as refused:
        load_hardware(path)
    message = str(refused.value)
    assert message.count("\n") == 0
    return message.replace(str(tmp_path) + "/", "")


def changed(old: str, new: str) -> str:
    """Return the reference accelerator's YAML with the first ``old`` replaced."""
    assert old in TEXT
    return TEXT.replace(old, new, 1)


def test_is_the_reference_accelerator_the_papers():
    """Array, buffer, DRAM and energies are those of DESIGN.md section 5, in both sizes."""
    for name, pes, size_kb in (("16x16_128KB", 16, 128), ("8x8_32KB", 8, 32)):
        hardware = load_hardware(name)
        fanout = hardware.fanouts[0]
        dram, buffer, registers, _ = hardware.memories
        assert (hardware.name, fanout.rows, fanout.cols, fanout.pes) == (name, pes, pes, pes**2)
        assert buffer.size_kb == size_kb
        assert buffer.capacity_words(hardware.word_bits) == size_kb * 512
        assert (dram.latency_cycles, dram.words_per_cycle) == (100, 8)
        assert dram.words_per_cycle * hardware.word_bits / 8 * hardware.clock_mhz * 1e6 == 16e9
        assert (hardware.mac.energy, registers.read_energy, buffer.read_energy, dram.read_energy) == (1, 1, 6, 200)
        assert hardware.zero_fraction == {"W": 0.4}
        assert hardware.energy_unit is EnergyUnit.MAC


def test_do_both_reference_accelerators_share_their_assumptions():
    """Nothing but the name, its description, the array and the buffer differ between 16x16 and 8x8."""
    small = load_hardware("8x8_32KB")
    alike = load_hardware(
        REFERENCE,
        name=small.name,
        description=small.description,
        **{"fanouts.array.rows": 8, "fanouts.array.cols": 8, "memories.GLB.size_kb": 32},
    )
    assert alike == small


def test_does_every_shipped_accelerator_load_under_its_name():
    """Each file's name is the accelerator's, and its path loads the same."""
    assert hardware_names() == sorted(hardware_names())
    assert REFERENCE in hardware_names()
    for name in hardware_names():
        assert load_hardware(name).name == name
        assert load_hardware(data_file("hwconfigs", name)) == load_hardware(str(data_file("hwconfigs", name)))


def test_does_a_description_survive_the_round_trip(tmp_path):
    """Written as YAML and read again it is equal, field by field."""
    for name in hardware_names():
        hardware = load_hardware(name)
        plain = msgspec.to_builtins(hardware)
        stream = io.StringIO()
        YAML(typ="safe", pure=True).dump(strip_none(plain), stream)
        path = tmp_path / f"{name}.yaml"
        path.write_text(stream.getvalue())
        assert load_hardware(path) == hardware


def strip_none(value: Any) -> Any:
    """Return plain data without the fields that are None."""
    if isinstance(value, dict):
        return {key: strip_none(child) for key, child in value.items() if child is not None}
    return [strip_none(child) for child in value] if isinstance(value, list | tuple) else value


def test_do_overrides_reach_every_kind_of_field():
    """Entries of lists go by their name; an absent one can be set; numpy numbers and tuples are plain values."""
    hardware = load_hardware(
        REFERENCE,
        **{
            "clock_mhz": 500,
            "memories.GLB.size_kb": np.float64(64),
            "memories.DRAM.latency_cycles": np.int64(7),
            "memories.RF.double_buffered": ("W", "I"),
            "memories.RF.switch_cycles": 3,
            "fanouts.array.rows": 4,
            "zero_fraction.I": 0.5,
            "dataflows.ws.rows": "R",
        },
    )
    assert hardware.clock_mhz == 500
    assert hardware.memory("GLB").size_kb == 64
    assert hardware.memory("DRAM").latency_cycles == 7
    assert hardware.memory("RF").double_buffered == ("W", "I")
    assert hardware.memory("RF").switch_cycles == 3
    assert hardware.fanouts[0].pes == 64
    assert hardware.zero_fraction == {"W": 0.4, "I": 0.5}
    assert hardware.dataflows["ws"].rows == "R"
    assert load_hardware(REFERENCE).clock_mhz == 1000


def test_where_do_registers_keep_their_tiles():
    """A dataflow's places are the memory's name and the position in the nest, operand by operand."""
    flows = load_hardware(REFERENCE).dataflows
    assert flows["ws"].places == {Operand.W: ("RF", 5)}
    assert flows["os"].places == {Operand.O: ("ACC", 5), Operand.I: ("RF", 7)}


def numeric_fields(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield the override path and the value of every number in plain data."""
    if isinstance(value, list):
        value = {entry["name"]: entry for entry in value if isinstance(entry, dict)}
    if isinstance(value, dict):
        for key, child in value.items():
            yield from numeric_fields(child, f"{path}.{key}" if path else key)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


NUMBERS = dict(numeric_fields(YAML(typ="safe", pure=True).load(TEXT)))
SPARE = ("memories.RF.pe_words.W", "memories.RF.pe_words.I")
"""Registers of which the dataflows use one word: more would change nothing, so more are refused."""


def outputs(hardware: Hardware) -> list[Any]:
    """Return all that simulate says of the tiny network, in every dataflow and for two objectives."""
    return [
        (result.totals, result.records)
        for objective in ("cycles", "edp")
        for dataflow in ("best", *hardware.dataflows)
        for result in [simulate(tiny_network(), hardware, dataflow=dataflow, objective=objective)]
    ]


@pytest.mark.parametrize("path", SPARE)
def test_are_registers_that_no_dataflow_uses_refused(path):
    """A second word of weights or inputs is an error, not a knob that does nothing."""
    with pytest.raises(HardwareError, match="one word of W and one of I"):
        outputs(load_hardware(REFERENCE, **SMALL | {path: 2}))


@pytest.mark.parametrize("path", [path for path in NUMBERS if path not in SPARE])
def test_does_every_number_change_some_output(path):
    """No knob is dead: each number of the YAML, changed alone, moves a result, its unit included."""
    value = SMALL.get(path, NUMBERS[path])
    other = 0.2 if path == "zero_fraction.W" else value * 2 if value else 1
    before = outputs(load_hardware(REFERENCE, **SMALL))
    after = outputs(load_hardware(REFERENCE, **SMALL | {path: other}))
    assert after != before


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("memories.DRAM.switch_cycles", 1),
        ("memories.DRAM.double_buffered", ["W"]),
        ("memories.GLB.switch_cycles", 1),
        ("memories.GLB.words_per_cycle", 1),
        ("memories.GLB.latency_cycles", 1),
        ("memories.RF.words_per_cycle", 1),
        ("memories.RF.latency_cycles", 1),
        ("memories.ACC.words_per_cycle", 1),
        ("memories.ACC.latency_cycles", 1),
        ("memories.GLB.double_buffered", ["W"]),
        ("memories.ACC.double_buffered", ["O"]),
        ("memories.ACC.switch_cycles", 1),
    ],
)
def test_is_a_field_that_the_reference_leaves_out_alive_or_refused(path, value):
    """A field that is set where it could mean nothing is an error, not a knob that does nothing."""
    refusal, after = "", None
    try:
        after = outputs(load_hardware(REFERENCE, **SMALL | {path: value}))
    except HardwareError as refused:
        refusal = str(refused)
    if refusal:
        assert path.rpartition(".")[2] in refusal
    else:
        assert after != outputs(load_hardware(REFERENCE, **SMALL))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("16x16", ["unknown hardware '16x16'", "did you mean '16x16_128KB' or", "known are 16x16_128KB, 8x8_32KB"]),
        ("8x8_32kb", ["unknown hardware '8x8_32kb'", "did you mean '8x8_32KB'"]),
        ("tpu", ["unknown hardware 'tpu'", "known are", "or give the path of a YAML file"]),
        ("", ["unknown hardware ''", "known are"]),
        ("no/such.yaml", ["no/such.yaml: no such file"]),
        ("16x16_128KB.yaml", ["16x16_128KB.yaml: no such file", "did you mean '16x16_128KB'"]),
        (".yaml/", [".yaml: no such file"]),
    ],
)
def test_is_an_unknown_accelerator_refused_with_the_nearest_names(name, parts, tmp_path, monkeypatch):
    """The sentence names what was asked for, what is near it and what there is."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HardwareError) as refused:
        load_hardware(name)
    for part in parts:
        assert part in str(refused.value)


ALLOWED_DIMS = "one of C, G, K, N, P, Q, R, S"


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        # Keys
        (
            "size_kb",
            "sise_kb",
            ["hw.yaml:19: memories[1].sise_kb: unknown key", "did you mean 'size_kb'?", "allowed: name"],
        ),
        ("fanouts:", "fanout:", ["hw.yaml:34: fanout: unknown key", "did you mean 'fanouts'?"]),
        (
            "    size_kb: 128\n",
            "    size_kb: 128\n    size_kb: 64\n",
            ["hw.yaml:20: key 'size_kb' is repeated", "line 19"],
        ),
        ("    read_energy: 6\n", "", ["hw.yaml:18: memories[1]: missing field 'read_energy', a number"]),
        ("name: 16x16_128KB\n", "", ["hw.yaml:1: missing field 'name'"]),
        # Numbers
        ("size_kb: 128", "size_kb: -5", ["hw.yaml:19: memories[1].size_kb: expected a number above 0", "got -5"]),
        ("size_kb: 128", "size_kb: 0", ["memories[1].size_kb: expected a number above 0", "got 0"]),
        ("size_kb: 128", "size_kb: big", ["memories[1].size_kb: expected a number above 0", "got 'big'"]),
        ("size_kb: 128", "size_kb: '128'", ["memories[1].size_kb: expected a number above 0", "got '128'"]),
        ("size_kb: 128", "size_kb: .inf", ["memories[1].size_kb: expected a number", "of at most 1e+12, got inf"]),
        ("clock_mhz: 1000", "clock_mhz: 1 GHz", ["hw.yaml:5: clock_mhz: expected a number", "got '1 GHz'"]),
        ("clock_mhz: 1000", "clock_mhz: .nan", ["hw.yaml:5: '.nan' is not a number"]),
        ("word_bits: 16", "word_bits: 16.0", ["hw.yaml:6: word_bits: expected a whole number", "got 16.0"]),
        ("rows: 16", "rows: 0", ["hw.yaml:37: fanouts[0].rows: expected a whole number above 0", "got 0"]),
        ("rows: 16", "rows: true", ["fanouts[0].rows: expected a whole number above 0", "got true"]),
        ("rows: 16", "rows: 99999999999999999999", ["fanouts[0].rows: expected a whole number", "of at most 1e+06"]),
        (
            "per_row: 2",
            "per_row: 1e-320",
            ["fanouts[0].read_words_per_row: expected a number from 1e-06", "got 1e-320"],
        ),
        ("cycles: 100", "cycles: -1", ["hw.yaml:15: memories[0].latency_cycles: expected a whole number", "got -1"]),
        ("cycles: 100", "cycles: 1.5", ["memories[0].latency_cycles: expected a whole number", "got 1.5"]),
        ("energy: 1\n", "energy: -1\n", ["hw.yaml:10: mac.energy: expected a number", "got -1"]),
        ("{W: 0.4}", "{W: 1}", ["hw.yaml:43: zero_fraction.W: expected a number of at least 0 and below 1, got 1"]),
        ("{W: 1, I: 1}", "{W: 0}", ["hw.yaml:24: memories[2].pe_words.W: expected a whole number above 0", "got 0"]),
        # Words
        ("energy_unit: MAC", "energy_unit: mac", ["hw.yaml:7: energy_unit: expected one of MAC, pJ, got 'mac'"]),
        ("rows: C", "rows: X", [f"hw.yaml:48: dataflows.ws.rows: expected {ALLOWED_DIMS}, got 'X'"]),
        ("{W: 1, I: 1}", "{W: 1, Z: 1}", ["memories[2].pe_words.Z: as a key expected one of I, O, W, got 'Z'"]),
        ("{W: 0.4}", "{X: 0.4}", ["zero_fraction.X: as a key expected one of I, O, W, got 'X'"]),
        ("[I]", "[X]", ["hw.yaml:25: memories[2].double_buffered[0]: expected one of I, O, W, got 'X'"]),
        ("ignored", "vector", ["hw.yaml:58: data_operations: expected 'ignored', got 'vector'"]),
        ("name: 16x16_128KB", "name: my chip", ["hw.yaml:1: name: expected text that matches", "got 'my chip'"]),
        # Shapes of data
        ("mac:\n  energy: 1", "mac: 1", ["hw.yaml:9: mac: expected a mapping, got 1"]),
        ("[I]", "I", ["memories[2].double_buffered: expected a list, got 'I'"]),
        (
            "[G, K, C, R, S, RF.W, N, P, Q]",
            "GKCRSNPQ",
            ["hw.yaml:50: dataflows.ws.nest: expected a list, got 'GKCRSNPQ'"],
        ),
        ("{W: 1, I: 1}", "{}", ["memories[2].pe_words: expected a mapping that is not empty"]),
        # Parts that do not fit each other
        (
            "{W: 1, I: 1}",
            "{W: 1, I: 1}\n    size_kb: 1",
            ["memories[2]: memory RF has both size_kb", "pe_words", "give one"],
        ),
        ("[I]", "[I, I]", ["hw.yaml:23: memories[2]: double_buffered names I twice"]),
        ("[I]", "[O]", ["memories[2]: double_buffered names O, but pe_words holds W, I"]),
        ("name: GLB", "name: DRAM", ["hw.yaml:18: memories[1].name: the name 'DRAM' is that of memories[0]"]),
        ("name: array", "name: GLB", ["hw.yaml:35: fanouts[0].name: the name 'GLB' is that of memories[1]"]),
        (
            "below: GLB",
            "below: GBL",
            ["hw.yaml:36: fanouts[0].below: expected", "(GLB), got 'GBL'; did you mean 'GLB'?"],
        ),
        (
            "below: GLB",
            "below: RF",
            ["hw.yaml:36: fanouts[0].below: expected the name of a memory with size_kb", "'RF'"],
        ),
        (
            "of: W",
            "of: I",
            ["hw.yaml:56: dataflows.os.skips_zeros_of: expected an operand that zero_fraction gives (W)"],
        ),
        ("  ws:", "  best:", ["hw.yaml:46: dataflows.best: 'best' asks for the best of all dataflows"]),
        ("word_bits: 16", "  word_bits: 16", ["hw.yaml:6: not valid YAML"]),
        (
            "  clock_mhz: The",
            "  clock_ghz: The",
            ["hw.yaml:61: assumptions.clock_ghz: no field", "did you mean 'clock_mhz'?"],
        ),
        # Nests
        ("rows: C", "rows: K", ["hw.yaml:46: dataflows.ws: rows and cols must unroll different dims, both unroll K"]),
        ("RF.W, N, P, Q", "RF.W, N, P", ["hw.yaml:46: dataflows.ws: nest must hold every dim, lacks Q"]),
        (
            "RF.W, N",
            "RF, N",
            ["dataflows.ws: nest must hold dims (N, G, K, C, P, Q, R, S) and places (RF.W), got 'RF'"],
        ),
        ("RF.W, N", "7, N", ["hw.yaml:50: dataflows.ws.nest[5]: expected text, got 7"]),
        ("RF.W, N", "REG.W, N", ["hw.yaml:50: dataflows.ws.nest[5]: expected", "(RF.W, RF.I, ACC.O), got 'REG.W'"]),
        ("RF.W, N", "GLB.W, N", ["hw.yaml:50: dataflows.ws.nest[5]", "got 'GLB.W'"]),
        ("RF.W, N", "RF.O, N", ["hw.yaml:50: dataflows.ws.nest[5]", "got 'RF.O'; did you mean 'RF.W' or 'RF.I'?"]),
        ("RF.W, N", "RF.W, RF.W, N", ["dataflows.ws: nest may keep an operand at one place only, keeps W at several"]),
        ("RF.W, N", "RF.W, K, C, N", ["dataflows.ws: nest may hold one dim twice", "got K, C"]),
        ("K, ACC.O", "K, K, K, ACC.O", ["hw.yaml:51: dataflows.os: nest may hold one dim twice", "got K"]),
    ],
)
def test_is_a_mistake_in_a_file_told_in_one_sentence(old, new, parts, tmp_path):
    """The sentence names the file, the line, the field, what was found and what is allowed."""
    message = sentence(changed(old, new), tmp_path)
    assert message.startswith("hw.yaml")
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "hw.yaml: is empty"),
        ("- a\n- b\n", "hw.yaml:1: top level must be a mapping of keys to values, got a list of 2"),
        ("name: [\n", "hw.yaml:2: not valid YAML"),
        (
            TEXT[: TEXT.index("memories:")] + TEXT[TEXT.index("fanouts:") :],
            "hw.yaml:1: missing field 'memories', a list",
        ),
        (
            TEXT.replace("    size_kb: 128\n    double_buffered: [W, I, O]\n", ""),
            "fanouts[0].below: expected the name of a memory with size_kb",
        ),
    ],
    ids=["empty", "list", "broken", "no memories", "no buffer"],
)
def test_is_a_file_without_a_machine_refused(text, part, tmp_path):
    """A file that describes no accelerator at all is told so."""
    assert part in sentence(text, tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        ("memories.GLB.size_kb", -1, ["16x16_128KB.yaml with overrides:19: memories[1].size_kb: expected", "got -1"]),
        ("memories.GLB.size_kb", "64", ["memories[1].size_kb: expected a number", "got '64'"]),
        ("memories.GLB.size", 1, ["memories[1].size: unknown key", "did you mean 'size_kb'"]),
        (
            "memories.GBL.size_kb",
            1,
            ["override 'memories.GBL.size_kb': no 'GBL'; did you mean 'GLB'?", "DRAM, GLB, RF, ACC"],
        ),
        ("memory.GLB.size_kb", 1, ["no 'memory'; did you mean 'memories'?", "there are name, description"]),
        ("memories.1.size_kb", 1, ["no '1'", "there are DRAM, GLB, RF, ACC"]),
        ("memories.GLB", 1, ["override 'memories.GLB': 'memories' has no fields"]),
        ("mac.energy.unit", 1, ["override 'mac.energy.unit': 'energy' has no fields"]),
        ("size_kb", 1, ["size_kb: unknown key", "allowed: name"]),
        ("", 1, ["override '': names no field"]),
        ("memories.", 1, ["override 'memories.': names no field"]),
        ("fanouts.array.rows", 3.0, ["fanouts[0].rows: expected a whole number above 0", "got 3.0"]),
        ("fanouts.array.rows", True, ["fanouts[0].rows: expected a whole number above 0", "got true"]),
        (
            "memories.GLB.name",
            "SRAM",
            ["fanouts[0].below: expected the name of a memory with size_kb (SRAM), got 'GLB'"],
        ),
        ("clock_mhz", float("nan"), ["clock_mhz: expected a number above 0", "got nan"]),
    ],
)
def test_is_a_wrong_override_refused(path, value, parts):
    """The sentence names the path and what there is, or the field that it set."""
    with pytest.raises(HardwareError) as refused:
        load_hardware(REFERENCE, **{path: value})
    for part in parts:
        assert part in str(refused.value)


def test_does_a_part_built_in_code_refuse_to_be_wrong():
    """The checks hold without a file: by constructor, and when a field of an accelerator is replaced."""
    with pytest.raises(ValueError, match="both size_kb"):
        Memory(name="M", size_kb=1.0, pe_words={"W": 1}, read_energy=1.0, write_energy=1.0)
    hardware = load_hardware(REFERENCE)
    with pytest.raises(
        ValueError, match=r"fanouts\[0\].below: expected the name of a memory with size_kb \(there is none\)"
    ):
        msgspec.structs.replace(hardware, memories=hardware.memories[:1])
    with pytest.raises(HardwareError, match="16x16_128KB: has no memory 'L2'"):
        hardware.memory("L2")


BUFFER = "  - name: L2\n    size_kb: 8\n    read_energy: 2\n    write_energy: 2\n"


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("  - name: GLB", BUFFER + "  - name: GLB", ["one buffer with size_kb", "got memories DRAM, L2, GLB outside"]),
        ("  - name: DRAM", BUFFER + "  - name: DRAM", ["got memories L2, DRAM, GLB outside"]),
        ("    words_per_cycle: 8", "    size_kb: 9", ["an unbounded memory", "got memories DRAM, GLB outside the PEs"]),
        ("RF.W, N", "N", ["dataflow ws: the PEs keep nothing; they must keep W, I, or I and O"]),
        (
            "N, P, Q]\n",
            "N, P, Q, P]\n",
            ["dataflow ws: with W in the PEs no dim may stand twice", "nest G K C R S RF.W N P Q P"],
        ),
    ],
    ids=["two buffers", "memory above DRAM", "bounded DRAM", "nothing kept", "inner loop"],
)
def test_is_a_hierarchy_that_the_engine_does_not_model_refused(old, new, parts, tmp_path):
    """A machine that can be described and not simulated is told so with its name, before any search."""
    path = tmp_path / "hw.yaml"
    path.write_text(changed(old, new))
    with pytest.raises(HardwareError) as refused:
        simulate(tiny_network(), load_hardware(path))
    assert str(refused.value).startswith("16x16_128KB: ")
    for part in parts:
        assert part in str(refused.value)


def with_buffer(words: int) -> Hardware:
    """Return the small accelerator with a buffer of so many words."""
    return load_hardware(REFERENCE, **SMALL | {"memories.GLB.size_kb": words * 2 / 1024})


def one_window() -> Network:
    """Return a network whose two outputs see windows that overlap, so that two tiles take more room than one."""
    builder = NetworkBuilder("windows", (1, 3, 4))
    builder.conv(builder.input, 1, 3)
    return builder.build()


def least_buffer_words(network: Network) -> int:
    """Return the words of the smallest buffer in which a network finds a mapping, by trying halves."""

    def works(words: int) -> bool:
        try:
            simulate(network, with_buffer(words), dataflow="ws")
        except NoMappingError:
            return False
        return True

    return bisect_left(range(1000), True, lo=1, key=works)


def test_is_a_buffer_too_small_for_any_tile_told_with_level_operands_and_words():
    """The error names the layer, the buffer, the accelerator, the words that are needed by operand, and those there."""
    with pytest.raises(NoMappingError) as refused:
        simulate(tiny_network(), with_buffer(25), dataflow="ws")
    numbers = re.fullmatch(
        r"layer (conv\d): no tile fits GLB of 16x16_128KB: "
        r"the smallest needs (\d+) words \(W (\d+), I (\d+), O (\d+)\), it has 25",
        str(refused.value),
    )
    assert numbers
    total, *by_operand = map(int, numbers.groups()[1:])
    assert total == sum(by_operand) > 25


@pytest.mark.parametrize("network", [tiny_network(), one_window()], ids=["channels", "windows"])
def test_is_a_buffer_refused_for_one_word_that_is_missing(network):
    """A mapping is found in the smallest buffer that one fits; a word less is an error that says what is needed."""
    least = least_buffer_words(network)
    assert simulate(network, with_buffer(least), dataflow="ws").totals["cycles"] > 0
    with pytest.raises(NoMappingError) as refused:
        simulate(network, with_buffer(least - 1), dataflow="ws")
    assert f"needs {least} words" in str(refused.value)
    assert str(refused.value).endswith(f"it has {least - 1}")


def test_is_an_unknown_dataflow_refused_with_those_there_are():
    """The sentence lists the hardware's dataflows and the word for all of them."""
    with pytest.raises(InputError, match=r"16x16_128KB has no dataflow 'osx'; did you mean 'os'.*it has best, ws, os"):
        simulate(tiny_network(), load_hardware(REFERENCE, **SMALL), dataflow="osx")


def test_are_all_errors_of_the_package_of_one_family():
    """What a caller has to catch is AccelsimError."""
    assert issubclass(HardwareError, AccelsimError)
    assert issubclass(NoMappingError, AccelsimError)
