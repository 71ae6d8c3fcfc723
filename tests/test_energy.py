"""Energy sets: published points, laws between them, refusals, and where every number comes from."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import HardwareError
from accelsim.hardware import energy
from accelsim.hardware.energy import (
    ENERGY_SETS,
    Horowitz45,
    add_pj,
    dram_word_pj,
    energy_set,
    link_word_pj,
    mac_pj,
    multiply_pj,
    provenance,
    sram_access_pj,
    sram_fixed_share,
    sram_law,
    sram_width_points,
    sram_word_pj,
)

TABLES = Path(energy.__file__).parent / "tables"

widths_bits = st.integers(1, 512)
capacities_kb = st.floats(0.0625, 65536)


def _rows(name: str) -> list[dict[str, str]]:
    with (TABLES / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("bits", "pj"), [(8, 0.03), (16, 0.05), (32, 0.1)])
def test_does_an_addition_cost_what_horowitz_prints(bits: int, pj: float) -> None:
    """The law goes through all three published widths."""
    assert add_pj(bits) == pytest.approx(pj, rel=1e-12)


@pytest.mark.parametrize(("bits", "pj"), [(8, 0.2), (32, 3.1)])
def test_does_a_multiplication_cost_what_horowitz_prints(bits: int, pj: float) -> None:
    """The law goes through both published widths."""
    assert multiply_pj(bits, bits) == pytest.approx(pj, rel=1e-12)


def test_what_does_a_16_bit_multiplication_cost_between_the_published_widths() -> None:
    """The law gives 0.787 pJ, a fifth below the 1.0 pJ that is often quoted as an estimate."""
    assert multiply_pj(16, 16) == pytest.approx(math.sqrt(0.2 * 3.1), rel=1e-12)
    assert multiply_pj(16, 16) == pytest.approx(0.787, abs=5e-4)


def test_does_a_mac_add_at_the_width_of_its_accumulator() -> None:
    """A MAC is one multiplication of the operands and one addition of the accumulator."""
    assert mac_pj(8, 8, 32) == pytest.approx(0.2 + 0.1, rel=1e-12)
    assert mac_pj(8, 8, 16) == pytest.approx(0.2 + 0.05, rel=1e-12)


def test_does_only_the_product_of_operand_widths_matter() -> None:
    """A 4 x 16 bit multiplier has as many cells as an 8 x 8 bit one."""
    assert multiply_pj(4, 16) == pytest.approx(multiply_pj(8, 8), rel=1e-12)


@pytest.mark.parametrize(("capacity_kb", "pj", "residual"), [(8, 10, 0.0160), (32, 20, -0.0219), (1024, 100, 0.0063)])
def test_how_far_is_the_sram_law_from_the_published_points(capacity_kb: float, pj: float, residual: float) -> None:
    """A power of the capacity misses each of Horowitz's three points by the documented residual."""
    assert sram_access_pj(capacity_kb, 64) / pj - 1 == pytest.approx(residual, abs=5e-5)


def test_does_the_width_law_follow_cacti() -> None:
    """A fixed share and a share in proportion to the width miss CACTI's points by 7.4% rms, 21% at most."""
    share = sram_fixed_share()
    errors = [(share + (1 - share) * width) / ratio - 1 for width, ratio in sram_width_points()]
    assert len(errors) == 75
    assert math.sqrt(sum(error**2 for error in errors) / len(errors)) == pytest.approx(0.074, abs=5e-4)
    assert max(map(abs, errors)) == pytest.approx(0.211, abs=5e-4)


def test_is_the_width_share_the_best_one() -> None:
    """No other fixed share has smaller relative errors over CACTI's points."""

    def squares(share: float) -> float:
        return sum(((share + (1 - share) * width) / ratio - 1) ** 2 for width, ratio in sram_width_points())

    best = squares(sram_fixed_share())
    assert best < squares(sram_fixed_share() + 0.001)
    assert best < squares(sram_fixed_share() - 0.001)


def test_does_cacti_grow_with_capacity_as_the_law_does() -> None:
    """An independent model's 64-bit accesses lie 14 to 34% below the law from 0.5 KiB to 2 MiB."""
    rows = [row for row in _rows("sram_cacti_45nm.csv") if row["width_bits"] == "64"]
    ratios = [
        (float(row["read_pj"]) + float(row["write_pj"])) / 2 / sram_access_pj(float(row["capacity_kb"]), 64)
        for row in rows
    ]
    assert len(ratios) == 13
    assert 0.66 <= min(ratios) < max(ratios) <= 0.86


def test_do_horowitz_and_eyeriss_agree_on_the_hierarchy() -> None:
    """Relative to a 16-bit MAC both sets agree within a factor of two, at Eyeriss's sizes."""
    ours, theirs = energy_set("horowitz45"), energy_set("eyeriss")
    for relative in (
        lambda unit: unit.register_word_energy(0.5, 16),
        lambda unit: unit.buffer_word_energy(108, 16),
        lambda unit: unit.link_word_energy(16, 1.5),
        lambda unit: unit.dram_word_energy(16),
    ):
        ratio = relative(ours) / ours.mac_energy(16, 16, 32) / relative(theirs)
        assert 1 / 2 < ratio < 2


def test_what_are_eyeriss_costs() -> None:
    """The five published numbers, whatever the sizes."""
    eyeriss = energy_set("eyeriss")
    assert eyeriss.unit == "MAC"
    assert eyeriss.mac_energy(16, 16, 32) == 1
    assert eyeriss.register_word_energy(0.5, 16) == eyeriss.register_word_energy(0.03125, 16) == 1
    assert eyeriss.link_word_energy(16, 1) == 2
    assert eyeriss.buffer_word_energy(108, 16) == eyeriss.buffer_word_energy(32, 16) == 6
    assert eyeriss.dram_word_energy(16) == 200


def test_is_dram_charged_by_the_bit_and_by_the_named_end_of_its_range() -> None:
    """A 64-bit access is 1300 pJ unless the high end is asked for, a 16-bit word a quarter of it."""
    assert dram_word_pj(64) == Horowitz45().dram_word_energy(64) == 1300
    assert dram_word_pj(64, "high") == Horowitz45("high").dram_word_energy(64) == 2600
    assert dram_word_pj(16) == 325


def test_what_does_a_wire_cost() -> None:
    """256 bits over 10 mm are the published 310 pJ, and one bit over one mm its share."""
    assert link_word_pj(256, 10) == pytest.approx(310, rel=1e-12)
    assert link_word_pj(1, 1) == pytest.approx(0.1211, abs=5e-5)


def test_does_a_word_pay_its_share_of_a_wide_access() -> None:
    """Four 16-bit words share a 64-bit access; a 16-bit access costs more than a quarter of it."""
    assert sram_word_pj(32, 16) == pytest.approx(sram_access_pj(32, 64) / 4, rel=1e-12)
    assert sram_word_pj(32, 16, 16) == sram_access_pj(32, 16) > sram_word_pj(32, 16)
    assert sram_word_pj(32, 128, 64) == pytest.approx(2 * sram_access_pj(32, 64), rel=1e-12)


def test_does_a_pe_access_a_word_and_a_buffer_64_bits() -> None:
    """Registers are as wide as the word, buffers as wide as the published accesses unless told otherwise."""
    unit = energy_set("horowitz45")
    assert unit.register_word_energy(0.5, 16) == sram_access_pj(0.5, 16)
    assert unit.buffer_word_energy(32, 16) == sram_access_pj(32, 64) / 4
    assert unit.buffer_word_energy(32, 16, 128) == sram_access_pj(32, 128) / 8


def test_where_does_the_law_end_for_tiny_memories() -> None:
    """One 16-bit register costs 16 flip-flops, as the law would give less; 16 such registers follow the law."""
    factor, exponent = sram_law()
    assert sram_access_pj(2 / 1024, 16) == pytest.approx(16 * 0.009, rel=1e-12)
    law = factor * (32 / 1024) ** exponent * (sram_fixed_share() + (1 - sram_fixed_share()) / 4)
    assert sram_access_pj(32 / 1024, 16) == pytest.approx(law, rel=1e-12)


@given(capacities_kb, capacities_kb, widths_bits, widths_bits)
def test_does_a_larger_or_wider_memory_never_cost_less(one_kb: float, two_kb: float, one: int, two: int) -> None:
    """The energy of an access grows with capacity and with width."""
    small, large = sorted((one_kb, two_kb))
    narrow, wide = sorted((one, two))
    assert sram_access_pj(small, narrow) <= sram_access_pj(large, narrow)
    assert sram_access_pj(small, narrow) <= sram_access_pj(small, wide)
    assert sram_word_pj(small, narrow) <= sram_word_pj(large, narrow)


@given(widths_bits, widths_bits, widths_bits, widths_bits)
def test_does_a_wider_mac_always_cost_more(one: int, two: int, other: int, accumulator: int) -> None:
    """The energy of a MAC grows with the width of either operand and of the accumulator."""
    narrow, wide = sorted((one, two))
    if narrow == wide:
        return
    assert mac_pj(narrow, other, accumulator) < mac_pj(wide, other, accumulator)
    assert mac_pj(other, narrow, accumulator) < mac_pj(other, wide, accumulator)
    assert mac_pj(other, accumulator, narrow) < mac_pj(other, accumulator, wide)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sram_access_pj(0, 16), "capacity_kb must be a positive number of KiB, got 0"),
        (lambda: sram_access_pj(math.nan, 16), "capacity_kb must be a positive number of KiB, got nan"),
        (lambda: sram_access_pj(8, -1), "width_bits must be a positive number of bits, got -1"),
        (lambda: sram_access_pj(0.001, 16), "a memory of 0.001 KiB holds 8.192 bits, less than one access of 16 bits"),
        (lambda: add_pj(0), "bits must be a positive number of bits, got 0"),
        (lambda: multiply_pj(8, 0), "input_bits must be a positive number of bits, got 0"),
        (lambda: link_word_pj(16, -1), "length_mm must be a positive number of mm, got -1"),
        (lambda: dram_word_pj(16, "middle"), "dram cost must be low or high, got 'middle'"),  # type: ignore[arg-type]
        (
            lambda: energy_set("horowitz"),
            "unknown energy set 'horowitz'; did you mean 'horowitz45'?; known are eyeriss, horowitz45",
        ),
        (
            lambda: energy_set("eyeriss").mac_energy(8, 16, 32),
            "energy set eyeriss is for words of 16 bits, got 8; give the energies themselves, or use horowitz45",
        ),
    ],
)
def test_is_an_impossible_size_refused_in_one_sentence(call: object, message: str) -> None:
    """The error names the size, what is allowed and what was given."""
    with pytest.raises(HardwareError) as caught:
        call()  # type: ignore[operator]
    assert str(caught.value) == message


@pytest.mark.parametrize("name", [entry.name for entry in ENERGY_SETS])
def test_does_every_number_name_its_source(name: str) -> None:
    """Provenance has every published row, each with a unit and a source."""
    constants = provenance(name)
    assert len({constant.name for constant in constants}) == len(constants)
    for constant in constants:
        assert constant.unit
        assert constant.source
    table, column = {"eyeriss": ("energy_eyeriss.csv", "energy"), "horowitz45": ("energy_45nm.csv", "energy_pj")}[name]
    published = [float(row[column]) for row in _rows(table)]
    assert [constant.value for constant in constants][: len(published)] == published


def test_does_provenance_name_the_fits() -> None:
    """The fitted numbers are listed with the values that the laws use."""
    values = {constant.name: constant.value for constant in provenance("horowitz45")}
    assert (values["sram capacity factor"], values["sram capacity exponent"]) == sram_law()
    assert values["sram fixed share"] == sram_fixed_share()
    assert values["integer multiply exponent"] == pytest.approx(math.log(3.1 / 0.2, 4), rel=1e-12)
