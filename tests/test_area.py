"""Area at 45 nm: published points, laws between them, sums, refusals and sources."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import HardwareError
from accelsim.hardware import area
from accelsim.hardware.area import (
    add_um2,
    array_area,
    flip_flop_um2,
    mac_um2,
    multiply_um2,
    provenance,
    sram_law,
    sram_um2,
    storage_um2,
)

TABLES = Path(area.__file__).parent / "tables"

widths_bits = st.integers(1, 512)
capacities_kb = st.floats(0.0625, 65536)


def _rows(name: str) -> list[dict[str, str]]:
    with (TABLES / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("bits", "um2"), [(8, 36), (16, 67), (32, 137)])
def test_is_an_adder_as_large_as_printed(bits: int, um2: float) -> None:
    """The law goes through all three published widths."""
    assert add_um2(bits) == pytest.approx(um2, rel=1e-12)


@pytest.mark.parametrize(("bits", "um2"), [(8, 282), (32, 3495)])
def test_is_a_multiplier_as_large_as_printed(bits: int, um2: float) -> None:
    """The law goes through both published widths."""
    assert multiply_um2(bits, bits) == pytest.approx(um2, rel=1e-12)


def test_how_large_is_a_16_bit_mac() -> None:
    """The multiplier lies at the geometric mean of the published ones, the adder is at the accumulator's width."""
    assert multiply_um2(16, 16) == pytest.approx(math.sqrt(282 * 3495), rel=1e-12)
    assert mac_um2(16, 16, 32) == pytest.approx(math.sqrt(282 * 3495) + 137, rel=1e-12)


def _relative_errors(per_bit_um2: float, per_column_um2: float) -> list[float]:
    return [
        (float(row["capacity_kb"]) * 8192 * per_bit_um2 + int(row["width_bits"]) * per_column_um2)
        / float(row["area_um2"])
        - 1
        for row in _rows("sram_cacti_45nm.csv")
    ]


def test_how_far_is_the_sram_law_from_cacti() -> None:
    """A share per bit and one per column miss CACTI's points by 7.0% rms, 27% at most."""
    errors = _relative_errors(*sram_law())
    assert len(errors) == 75
    assert math.sqrt(sum(error**2 for error in errors) / len(errors)) == pytest.approx(0.0696, abs=5e-5)
    assert max(map(abs, errors)) == pytest.approx(0.267, abs=5e-4)


def test_is_the_sram_law_the_best_of_its_kind() -> None:
    """No neighbouring pair of coefficients has smaller relative errors."""
    per_bit, per_column = sram_law()
    best = sum(error**2 for error in _relative_errors(per_bit, per_column))
    for change in ((1.01, 1), (0.99, 1), (1, 1.01), (1, 0.99)):
        worse = _relative_errors(per_bit * change[0], per_column * change[1])
        assert best < sum(error**2 for error in worse)


def test_is_the_area_of_a_bit_plausible() -> None:
    """A bit with its share of the periphery lies between a bare 45 nm cell and a whole 153 Mbit test chip."""
    per_bit, _ = sram_law()
    assert 0.346 < per_bit < 119e6 / (153 * 2**20)


@pytest.mark.parametrize("capacity_kb", [0.5, 8, 128, 1024])
def test_does_the_function_use_the_law(capacity_kb: float) -> None:
    """A macro is the law's sum of capacity and width."""
    per_bit, per_column = sram_law()
    assert sram_um2(capacity_kb, 64) == pytest.approx(capacity_kb * 8192 * per_bit + 64 * per_column, rel=1e-12)


def test_when_is_storage_made_of_flip_flops() -> None:
    """A few words are flip-flops, more words the smallest macro, half a KiB and above a macro of its size."""
    assert storage_um2(2 / 1024, 16) == flip_flop_um2(16) == pytest.approx(16 * 5.98)
    assert storage_um2(0.25, 16) == sram_um2(0.25, 16) == sram_um2(0.5, 16)
    assert storage_um2(1, 16) == sram_um2(1, 16) > sram_um2(0.5, 16)


@given(capacities_kb, capacities_kb, widths_bits, widths_bits)
def test_is_a_larger_or_wider_memory_never_smaller(one_kb: float, two_kb: float, one: int, two: int) -> None:
    """Area grows with capacity and with width, for macros and for the cheaper of macro and flip-flops."""
    small, large = sorted((one_kb, two_kb))
    narrow, wide = sorted((one, two))
    for function in (sram_um2, storage_um2):
        assert function(small, narrow) <= function(large, narrow)
        assert function(small, narrow) <= function(small, wide)


@given(widths_bits, widths_bits, widths_bits, widths_bits)
def test_is_a_wider_mac_always_larger(one: int, two: int, other: int, accumulator: int) -> None:
    """Area grows with the width of either operand and of the accumulator."""
    narrow, wide = sorted((one, two))
    if narrow == wide:
        return
    assert mac_um2(narrow, other, accumulator) < mac_um2(wide, other, accumulator)
    assert mac_um2(other, narrow, accumulator) < mac_um2(other, wide, accumulator)
    assert mac_um2(other, accumulator, narrow) < mac_um2(other, accumulator, wide)


def test_does_an_array_add_up() -> None:
    """The total is the PEs' MACs and registers and the buffers beside them."""
    parts = array_area(pes=256, mac_um2=1000, pe_storages=((0.5, 16), (2 / 1024, 16)), buffers=((128, 64), (64, 64)))
    assert parts.mac_mm2 == pytest.approx(0.256)
    assert parts.registers_mm2 == pytest.approx(256 * (storage_um2(0.5, 16) + storage_um2(2 / 1024, 16)) / 1e6)
    assert parts.buffers_mm2 == pytest.approx((sram_um2(128, 64) + sram_um2(64, 64)) / 1e6)
    assert parts.total_mm2 == pytest.approx(parts.mac_mm2 + parts.registers_mm2 + parts.buffers_mm2)


def test_how_far_apart_are_neighbouring_pes() -> None:
    """The pitch is the side of a square PE, without the buffers: 0.1 mm for 0.01 mm2."""
    assert array_area(pes=4, mac_um2=10_000, buffers=((128, 64),)).pe_pitch_mm == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sram_um2(-8, 64), "capacity_kb must be a positive number of KiB, got -8"),
        (lambda: sram_um2(0.001, 64), "a memory of 0.001 KiB holds 8.192 bits, less than one access of 64 bits"),
        (lambda: storage_um2(1, 0), "width_bits must be a positive number of bits, got 0"),
        (lambda: add_um2(math.inf), "bits must be a positive number of bits, got inf"),  # type: ignore[arg-type]
        (lambda: multiply_um2(0, 8), "weight_bits must be a positive number of bits, got 0"),
        (lambda: flip_flop_um2(0), "bits must be a positive number of bits, got 0"),
        (lambda: array_area(pes=0, mac_um2=1), "pes must be a positive number of PEs, got 0"),
        (lambda: array_area(pes=1, mac_um2=0), "mac_um2 must be a positive number of um2, got 0"),
    ],
)
def test_is_an_impossible_size_refused_in_one_sentence(call: object, message: str) -> None:
    """The error names the size, what is allowed and what was given."""
    with pytest.raises(HardwareError) as caught:
        call()  # type: ignore[operator]
    assert str(caught.value) == message


def test_does_every_number_name_its_source() -> None:
    """Provenance has every published row and every fitted number, each with a unit and a source."""
    constants = provenance()
    published = [float(row["area_um2"]) for row in _rows("area_45nm.csv")]
    assert [constant.value for constant in constants][: len(published)] == published
    assert all(constant.unit and constant.source for constant in constants)
    values = {constant.name: constant.value for constant in constants}
    assert (values["sram per bit of capacity"], values["sram per bit of width"]) == sram_law()
    assert values["integer multiply exponent"] == pytest.approx(math.log(3495 / 282, 4), rel=1e-12)
