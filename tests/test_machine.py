"""Does a hardware file of any hierarchy become the machine that it says, and is every mistake in one told?"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from accelsim.data import data_file
from accelsim.dims import Dim, Operand
from accelsim.errors import HardwareError
from accelsim.hardware import costs
from accelsim.hardware.energy import energy_set
from accelsim.hardware.loader import hardware_names, load_hardware
from accelsim.mapping.hierarchy import (
    ALL_DIMS,
    ALL_OPERANDS,
    ANY,
    Axis,
    Buffering,
    LoopConstraint,
    Machine,
    Reduction,
    RegisterRead,
    SpatialFanout,
    Store,
)
from accelsim.mapping.machine import STANDARD_DATAFLOWS, constraint_of, machine_of

W, I, O = Operand.W, Operand.I, Operand.O  # noqa: E741

EXAMPLE = """\
name: example
clock_mhz: 500
word_bits: 8
operand_bits: {O: 32}
energy_unit: pJ
energy: horowitz45
memories:
  - name: DRAM
    words_per_cycle: 16
    latency_cycles: 50
  - name: L2
    size_kb: 64
    may_bypass: [W]
    words_per_cycle: 48
    read_words_per_cycle: 32
    access_bits: 128
  - name: SUMS
    size_words: 4096
    keeps: [O]
    buffering: single
    read_energy: 2
    write_energy: 3
  - name: RF
    operand_words: {W: 16, I: 8}
    buffering: rolling
    register_read: on_change
    slides: true
fanouts:
  - name: chip
    below: L2
    axes:
      - {name: clusters, size: 2, dims: [K, P], shares: [I]}
    link_energy: 5
  - name: array
    below: SUMS
    axes:
      - {name: rows, size: 8, dims: [C, R, S], most_dims: 3, reduction: chain}
      - {name: cols, size: 4, dims: [K, Q], most_dims: 1}
    link_mm: 0.5
    forward: true
    words_per_cycle: {W: 8}
dataflows:
  mine:
    description: "Weights stay."
    unroll: {rows: [C], array.cols: [K]}
    stationary: {SUMS: W}
mapping_space: uneven
stores_padding: true
assumptions:
  fanouts.array.axes.rows.size: A reason.
"""


def load(text: str, tmp_path: Path, **overrides: object):
    """Load a hardware file of this text."""
    path = tmp_path / "hw.yaml"
    path.write_text(text)
    return load_hardware(path, **overrides)


@pytest.fixture
def example(tmp_path):
    """Return the example, loaded."""
    return load(EXAMPLE, tmp_path)


def test_does_a_file_become_the_machine_that_it_describes(example):
    """Every field arrives in its place: sizes in words, rates, operands, axes, and the energies of the set."""
    pj = energy_set("horowitz45")
    buffer = pj.buffer_word_energy(64, 8, 128)
    register = pj.register_word_energy(24 / 1024, 8)
    assert machine_of(example) == Machine(
        name="example",
        word_bits=8,
        operand_bits={O: 32},
        stores_padding=True,
        mac_energy=pj.mac_energy(8, 8, 32),
        stores=(
            Store(
                name="DRAM",
                words_per_cycle=16,
                latency_cycles=50,
                read_energy=pj.dram_word_energy(8),
                write_energy=pj.dram_word_energy(8),
            ),
            Store(
                name="L2",
                words=65536,
                may_bypass=frozenset({W}),
                words_per_cycle=48,
                read_words_per_cycle=32,
                read_energy=buffer,
                write_energy=buffer,
            ),
            Store(
                name="SUMS",
                words=4096,
                keeps=frozenset({O}),
                buffering=Buffering.SINGLE,
                read_energy=2,
                write_energy=3,
            ),
            Store(
                name="RF",
                keeps=frozenset({W, I}),
                operand_words={W: 16, I: 8},
                buffering=Buffering.ROLLING,
                register_read=RegisterRead.ON_CHANGE,
                slides=True,
                read_energy=register,
                write_energy=register,
            ),
        ),
        fanouts=(
            SpatialFanout(
                name="chip",
                below="L2",
                link_energy=5,
                axes=(
                    Axis(
                        name="clusters",
                        size=2,
                        dims=frozenset({Dim.K, Dim.P}),
                        shares=frozenset({I, O}),
                        reduction=Reduction.NONE,
                    ),
                ),
            ),
            SpatialFanout(
                name="array",
                below="SUMS",
                link_energy=pj.link_word_energy(8, 0.5),
                forward=True,
                words_per_cycle={W: 8},
                axes=(
                    Axis(
                        name="rows",
                        size=8,
                        dims=frozenset({Dim.C, Dim.R, Dim.S}),
                        most_dims=3,
                        reduction=Reduction.CHAIN,
                    ),
                    Axis(
                        name="cols",
                        size=4,
                        dims=frozenset({Dim.K, Dim.Q}),
                        most_dims=1,
                        reduction=Reduction.NONE,
                    ),
                ),
            ),
        ),
    )


def test_does_a_dataflow_become_the_constraint_that_it_describes(example):
    """Axes go by their short or full name; ``any`` is no constraint."""
    assert constraint_of(example, "mine") == LoopConstraint(
        name="mine",
        unroll={"array.rows": frozenset({Dim.C}), "array.cols": frozenset({Dim.K})},
        stationary={"SUMS": W},
    )
    assert constraint_of(example, "any") is ANY


def test_are_the_fields_dataflows_there_by_name(example):
    """A machine with two axes next to its PEs can be given each; an unknown one is refused with all there are."""
    for name in STANDARD_DATAFLOWS:
        assert constraint_of(example, name).name == name
    with pytest.raises(
        HardwareError, match=r"no dataflow 'wss'; did you mean 'ws'.*it has best, mine, any, ws, is, os"
    ):
        constraint_of(example, "wss")
    with pytest.raises(HardwareError, match="dataflow ws is a fixed program, not a constraint"):
        constraint_of(load_hardware("16x16_128KB"), "ws")


def test_is_the_reference_accelerator_the_same_machine_in_general():
    """Ports, sizes, energies, buffering and registers of the fixed programs' machine are those of its description."""
    hardware = load_hardware("16x16_128KB")
    machine = machine_of(hardware)
    assert [store.name for store in machine.stores] == ["DRAM", "GLB", "ACC.O", "RF.I", "RF.W"]
    dram, buffer, sums, inputs, weights = machine.stores
    assert (dram.words_per_cycle, dram.latency_cycles, dram.read_energy) == (8, 100, 200)
    assert (buffer.words, buffer.room, buffer.read_energy) == (65536, 2, 6)
    assert (buffer.read_words_per_cycle, buffer.write_words_per_cycle, buffer.words_per_cycle) == (32, 16, math.inf)
    assert [(s.operand_words, s.room, s.read_energy, s.may_bypass) for s in (sums, inputs, weights)] == [
        ({O: 2}, 1, 0, {O}),
        ({I: 2}, 2, 1, {I}),
        ({W: 1}, 1, 1, {W}),
    ]
    (fanout,) = machine.fanouts
    assert (fanout.below, fanout.link_energy, fanout.forward) == ("GLB", 0, True)
    assert [(axis.name, axis.size, axis.dims) for axis in fanout.axes] == [
        ("rows", 16, ALL_DIMS),
        ("cols", 16, ALL_DIMS),
    ]
    assert [axis.reduction for axis in fanout.axes] == [Reduction.CHAIN, Reduction.NONE]
    assert all(axis.shares == ALL_OPERANDS for axis in fanout.axes)


@pytest.mark.parametrize("name", hardware_names())
def test_is_every_shipped_accelerator_a_machine_with_a_source_and_reasons(name):
    """Each converts with its dataflows, says where it is from, and reasons about each figure that it assumes."""
    hardware = load_hardware(name)
    machine = machine_of(hardware)
    assert math.prod(axis.size for fanout in machine.fanouts for axis in fanout.axes) == hardware.pes
    for flow in ("any", *hardware.dataflows):
        if flow not in hardware.programs:
            assert constraint_of(hardware, flow).name == flow
    assert len(hardware.description) > 20
    assert len(hardware.source) > 20
    assert hardware.assumptions
    for path, reason in hardware.assumptions.items():
        assert reason.endswith("."), path
    assert costs.area(hardware).total_mm2 > 0


def test_are_the_published_sizes_those_of_the_papers():
    """PEs and on-chip bytes of every chip are what its paper or manual says."""
    kib = {
        "eyeriss": (168, 108 + 168 * (224 + 12 + 24) * 2 / 1024),
        "diannao": (256, 36),
        "shidiannao": (64, 256 + 64 * 50 * 2 / 1024),
        "tpu_v1": (65536, 24 * 1024 + 4096 + 256 + 128),
        "nvdla_small": (64, 128 + 1 + 64 * 2 / 1024),
        "nvdla_large": (2048, 512 + 4 + 2048 * 2 / 1024),
        "gemmini_16x16": (256, 320 + 256 * 10 / 1024),
        "ref16": (256, 128 + 256 * 96 * 2 / 1024),
    }
    for name, (pes, total) in kib.items():
        hardware = load_hardware(name)
        assert hardware.pes == pes
        found = sum(
            costs.capacity_kb(hardware, memory) * hardware.instances(memory)
            for memory in hardware.memories
            if memory.bounded
        )
        assert found == pytest.approx(total), name


def test_is_ref16_the_machine_of_the_comparison():
    """Sizes, rates, energies and padding are those that the peers were given; the MAC's reads are a choice."""
    machine = machine_of(load_hardware("ref16"))
    dram, buffer, registers = machine.stores
    assert (machine.mac_energy, dram.read_energy, buffer.write_energy, registers.read_energy) == (1, 200, 6, 1)
    assert (dram.words_per_cycle, buffer.read_words_per_cycle, buffer.write_words_per_cycle) == (4, 16, 16)
    assert (buffer.words, registers.operand_words) == (65536, {I: 16, W: 64, O: 16})
    assert not any(store.may_bypass for store in machine.stores)
    assert (machine.fanouts[0].link_energy, machine.stores_padding, machine.word_bits) == (0, True, 16)
    other = load_hardware("ref16", **{"memories.RF.register_read": "on_change"})
    assert machine_of(other).stores[2].register_read is RegisterRead.ON_CHANGE


def test_can_every_operand_have_its_own_register_read():
    """Those that are not named are read for every MAC; a keyword path reaches one of them."""
    reads = {"W": "on_change", "I": "on_change", "O": "per_mac"}
    named = machine_of(load_hardware("ref16", **{"memories.RF.register_read": reads})).stores[2]
    assert [named.reads_per_mac(operand) for operand in (W, I, O)] == [False, False, True]
    one = machine_of(load_hardware("ref16", **{"memories.RF.register_read": {"W": "on_change"}})).stores[2]
    assert [one.reads_per_mac(operand) for operand in (W, I, O)] == [False, True, True]
    assert one.stays_at_mac
    assert not machine_of(load_hardware("ref16")).stores[2].stays_at_mac


def test_do_given_energies_and_sizes_win_over_the_set(tmp_path):
    """A set fills only what is left out, and follows the size of what it fills."""
    one = load(EXAMPLE, tmp_path)
    larger = load(EXAMPLE, tmp_path, **{"memories.L2.size_kb": 256})
    assert costs.read_energy(larger, larger.memories[1]) == pytest.approx(
        costs.read_energy(one, one.memories[1]) * 4**0.4726, rel=1e-3
    )
    own = load(EXAMPLE, tmp_path, **{"memories.L2.read_energy": 7, "mac": {"energy": 9}})
    assert (costs.read_energy(own, own.memories[1]), costs.mac_energy(own)) == (7, 9)
    assert costs.write_energy(own, own.memories[1]) == costs.write_energy(one, one.memories[1])


def test_does_area_count_every_instance(tmp_path):
    """Two clusters have two of what lies below their fan-out, and one of what lies above it."""
    one, two = (load(EXAMPLE, tmp_path, **{"fanouts.chip.axes.clusters.size": size}) for size in (1, 2))
    assert (one.pes, two.pes) == (32, 64)
    assert [two.instances(memory) for memory in two.memories] == [1, 1, 2, 64]
    small, large = costs.area(one), costs.area(two)
    assert large.mac_mm2 == pytest.approx(2 * small.mac_mm2)
    assert large.registers_mm2 == pytest.approx(2 * small.registers_mm2)
    assert small.buffers_mm2 < large.buffers_mm2 < 2 * small.buffers_mm2


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        # Levels
        ("    size_kb: 64\n", "", ["hw.yaml:11: memories[1]: missing size_kb, size_words or operand_words"]),
        ("    latency_cycles: 50", "    size_kb: 9", ["hw.yaml:10: memories[0].size_kb: DRAM is outermost"]),
        ("    latency_cycles: 50", "    keeps: [W]", ["memories[0].keeps: DRAM is outermost"]),
        ("    latency_cycles: 50", "    buffering: single", ["memories[0].buffering: DRAM is outermost"]),
        ("    latency_cycles: 50", "    slides: true", ["memories[0].slides: DRAM is outermost"]),
        ("keeps: [O]", "keeps: [O]\n    slides: true", ["memories[2]: slides is about inputs, and O is kept"]),
        ("{W: 8}", "{W: 0}", ["fanouts[1].words_per_cycle", "expected a number"]),
        ("size_kb: 64", "size_kb: 0.0001", ["hw.yaml:12: memories[1].size_kb: a memory of 0.0001 KiB does not hold"]),
        ("size_kb: 64", "size_kb: 64\n    size_words: 9", ["memories[1]: memory L2 has both size_kb", "give one"]),
        ("may_bypass: [W]", "may_bypass: [W, W]", ["hw.yaml:11: memories[1]: may_bypass names W twice"]),
        ("keeps: [O]", "keeps: [O]\n    may_bypass: [W]", ["memories[2]: may_bypass names W, but O are kept"]),
        ("  - name: RF", "  - name: RF\n    keeps: [W]", ["memories[3]: operand_words says which operands are kept"]),
        ("buffering: single", "buffering: doubled", ["memories[2].buffering: expected one of double, rolling, single"]),
        ("words_per_cycle: 16", "words_per_cycle: 0", ["hw.yaml:9: memories[0].words_per_cycle: expected a number"]),
        (
            "read_words_per_cycle: 32",
            "read_words_per_cycle: 48",
            ["memories[1]: read_words_per_cycle 48 never holds anything up", "leave it out"],
        ),
        (
            "read_words_per_cycle: 32",
            "read_words_per_cycle: 32\n    write_words_per_cycle: 16",
            ["memories[1]: words_per_cycle 48 never holds anything up"],
        ),
        (
            "    keeps: [O]",
            "    keeps: [W, I]\n    register_read: per_mac",
            ["hw.yaml:20: memories[2].register_read: no MAC reads SUMS"],
        ),
        (
            "register_read: on_change",
            "register_read: {O: on_change}",
            ["memories[3]: register_read names O, but W, I are kept"],
        ),
        (
            "    keeps: [O]",
            "    register_read: {W: on_change}",
            ["hw.yaml:19: memories[2].register_read.W: no MAC reads W from SUMS: a memory inside it keeps W"],
        ),
        (
            "register_read: on_change",
            "register_read: {W: never}",
            ["memories[3].register_read.W: expected one of on_change, per_mac, got 'never'"],
        ),
        (
            "register_read: on_change",
            "register_read: never",
            ["memories[3].register_read: expected one of on_change, per_mac", "got 'never'"],
        ),
        # Fan-outs
        (
            "below: L2",
            "below: L3",
            ["hw.yaml:30: fanouts[0].below: expected the name of a memory (DRAM, L2, SUMS, RF)"],
        ),
        ("below: SUMS", "below: L2", ["hw.yaml:35: fanouts[1].below: L2 feeds chip already"]),
        ("{name: cols, size: 4", "{name: rows, size: 4", ["hw.yaml:34: fanouts[1]: two axes are called rows"]),
        ("size: 8", "size: 0", ["hw.yaml:37: fanouts[1].axes[0].size: expected a whole number above 0", "got 0"]),
        (
            "dims: [K, P]",
            "dims: [K, C]",
            ["hw.yaml:32: fanouts[0].axes[0]: dims has C, over which partial sums add up; it needs reduction"],
        ),
        (
            "dims: [K, P]",
            "dims: [K, P], reduction: tree",
            ["fanouts[0].axes[0]: reduction tree adds over C, R or S, and none of them is in dims"],
        ),
        ("shares: [I]", "shares: [O]", ["fanouts[0].axes[0].shares[0]: expected one of I, W, got 'O'"]),
        (
            "most_dims: 3",
            "most_dims: 4",
            ["hw.yaml:37: fanouts[1].axes[0].most_dims: 4 dims cannot share it, only C, R"],
        ),
        (
            "link_energy: 5",
            "link_energy: 0\n    forward: true",
            ["fanouts[0]: forward saves links, and link_energy is 0"],
        ),
        (
            "link_energy: 5",
            "link_energy: 5\n    link_mm: 1",
            ["fanouts[0]: link_energy is given, so that link_mm would"],
        ),
        (
            "    axes:\n      - {name: clusters, size: 2, dims: [K, P], shares: [I]}\n",
            "    rows: 4\n",
            ["fanouts[0]: missing cols, read_words_per_row, write_words_per_col"],
        ),
        (
            "    axes:\n      - {name: clusters, size: 2, dims: [K, P], shares: [I]}\n",
            "    rows: 4\n    cols: 4\n    read_words_per_row: 1\n    write_words_per_col: 1\n",
            ["hw.yaml:31: fanouts[0].rows: is a field for fixed programs, and no dataflow has a nest"],
        ),
        # Dataflows
        ("rows: [C]", "row: [C]", ["hw.yaml:45: dataflows.mine.unroll.row: there is no such axis", "'rows'"]),
        ("rows: [C]", "rows: [P]", ["dataflows.mine.unroll.rows: P cannot be unrolled there; allowed are C, R, S"]),
        (
            "rows: [C]",
            "rows: [S, R, C]",
            ["dataflows.mine.unroll.rows: these are all dims that the axis allows anyway"],
        ),
        ("{SUMS: W}", "{SUM: W}", ["hw.yaml:46: dataflows.mine.stationary.SUM: there is no such memory", "'SUMS'"]),
        ("  mine:", "  given:", ["hw.yaml:43: dataflows.given: 'given' stands for a mapping by hand"]),
        (
            "    unroll: {rows: [C], array.cols: [K]}\n    stationary: {SUMS: W}\n",
            "",
            ["hw.yaml:43: dataflows.mine: missing unroll or stationary"],
        ),
        ("    stationary:", "    rows: C\n    stationary:", ["dataflows.mine: rows belong to a fixed program"]),
        # Widths, energies
        ("{O: 32}", "{O: 8}", ["hw.yaml:4: operand_bits.O: a machine word has 8 bits anyway; leave it out"]),
        ("energy: horowitz45\n", "", ["hw.yaml:1: mac: missing field 'energy', a number", "or name an energy set"]),
        ("energy: horowitz45", "energy: horowitz", ["hw.yaml:6: energy: expected one of eyeriss, horowitz45"]),
        ("energy_unit: pJ", "energy_unit: MAC", ["hw.yaml:5: energy_unit: energy set horowitz45 is in pJ, got MAC"]),
        ("energy: horowitz45", "energy: eyeriss", ["energy: energy set eyeriss is for words of 16 bits, got 8"]),
        ("    link_mm: 0.5\n", "", ["hw.yaml:34: fanouts[1]: missing field 'link_mm', the length of a link"]),
        (
            "    write_energy: 3",
            "    write_energy: 3\n    access_bits: 64",
            ["hw.yaml:23: memories[2].access_bits: only a buffer whose energies come from the set horowitz45"],
        ),
        (
            "    register_read: on_change",
            "    register_read: on_change\n    access_bits: 8",
            ["memories[3].access_bits: only a buffer"],
        ),
        ("access_bits: 128", "access_bits: 1000000", ["memories[1].access_bits: expected a whole number"]),
        # Fields of fixed programs
        ("stores_padding", "zero_fraction: {W: 0.4}\nstores_padding", ["zero_fraction: is a field for fixed programs"]),
        (
            "    buffering: single",
            "    double_buffered: [O]",
            ["memories[2].double_buffered: is a field for fixed programs, and no dataflow has a nest"],
        ),
        (
            "operand_words: {W: 16, I: 8}",
            "pe_words: {W: 16}",
            ["hw.yaml:24: memories[3].pe_words: is a field for fixed programs"],
        ),
        ("uneven", "even", ["mapping_space: expected one of uneven, uniform, got 'even'; did you mean 'uneven'"]),
    ],
)
def test_is_a_mistake_in_a_machine_told_in_one_sentence(old, new, parts, tmp_path):
    """The sentence names the file, the line, the field, what was found and what is allowed."""
    assert old in EXAMPLE
    with pytest.raises(HardwareError) as refused:
        load(EXAMPLE.replace(old, new, 1), tmp_path)
    message = str(refused.value).replace(f"{tmp_path}/", "")
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("    double_buffered: [W, I, O]", "    buffering: double", "memories[1].buffering: the fixed program of ws"),
        ("    double_buffered: [W, I, O]", "    may_bypass: [W]", "memories[1].may_bypass: the fixed program of ws"),
        ("    double_buffered: [W, I, O]", "    slides: true", "memories[1].slides: the fixed program of ws"),
        (
            "    link_energy: 0",
            "    link_energy: 0\n    words_per_cycle: {W: 1}",
            "fanouts[0].words_per_cycle: the fixed program of ws",
        ),
        ("size_kb: 128", "size_words: 65536", "memories[1].size_words: the fixed program of ws"),
        ("word_bits: 16", "word_bits: 16\noperand_bits: {O: 32}", "operand_bits: the fixed program of ws (nest)"),
        ("word_bits: 16", "word_bits: 16\nstores_padding: true", "stores_padding: the fixed program of ws (nest)"),
        ("    link_energy: 0", "    link_energy: 1\n    forward: true", "fanouts[0].forward: the fixed program of ws"),
        ("energy_unit: MAC", "energy_unit: MAC\nenergy: eyeriss", "energy: every energy is given"),
        ("    link_energy: 0", "    link_energy: 0\n    axes: [{name: x, size: 2}]", "has both axes and rows, cols"),
    ],
)
def test_is_a_field_that_a_fixed_program_does_not_know_refused(old, new, part, tmp_path):
    """A general field beside the reference accelerator's programs would change nothing, so it is an error."""
    text = data_file("hwconfigs", "16x16_128KB").read_text()
    assert old in text
    with pytest.raises(HardwareError) as refused:
        load(text.replace(old, new, 1), tmp_path)
    assert part in str(refused.value)


@pytest.mark.parametrize("count", [1, 6])
def test_is_a_hierarchy_of_too_few_or_too_many_levels_refused(count, tmp_path):
    """Two to five memories can be modelled."""
    levels = [
        f"  - {{name: M{n}, read_energy: 1, write_energy: 1{', size_words: 9' * bool(n)}}}\n" for n in range(count)
    ]
    text = (
        "name: x\nclock_mhz: 1\nword_bits: 8\nenergy_unit: pJ\nmac: {energy: 1}\nmemories:\n"
        + "".join(levels)
        + "fanouts:\n  - {name: a, below: M0, link_energy: 1, axes: [{name: x, size: 2}]}\n"
    )
    with pytest.raises(HardwareError, match=f"hw.yaml:6: memories: expected 2 to 5 memories.*got {count}"):
        load(text, tmp_path)
