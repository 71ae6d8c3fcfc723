"""Silicon area at 45 nm: arithmetic, flip-flops and SRAM, and the sum over an array.

Cells and macros only: wires between blocks, control, clock tree, pads and the gaps of placement are not in it.
Every number comes from the files of ``accelsim/hardware/tables``; ``docs/energy.md`` explains the laws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from accelsim.hardware.tables import (
    BITS_PER_KB,
    Constant,
    checked,
    checked_word,
    interpolate,
    points,
    power_law,
    read_table,
)

SMALLEST_SRAM_KB = 0.5
"""Assumption: no macro is built smaller than the smallest that the fit knows."""

UM2_PER_MM2 = 1_000_000

_TABLE = "area_45nm.csv"
_CACTI = "sram_cacti_45nm.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayArea:
    """Area of an array of PEs and the buffers beside it.

    Attributes:
        mac_mm2: All MACs.
        registers_mm2: All storage inside the PEs.
        buffers_mm2: The memories outside the PEs.
        pes: Number of PEs.
    """

    mac_mm2: float
    registers_mm2: float
    buffers_mm2: float
    pes: int

    @property
    def total_mm2(self) -> float:
        """Sum of the parts."""
        return self.mac_mm2 + self.registers_mm2 + self.buffers_mm2

    @property
    def pe_pitch_mm(self) -> float:
        """Side of one PE if it is square: the shortest link between neighbours."""
        return math.sqrt((self.mac_mm2 + self.registers_mm2) / self.pes)


def add_um2(bits: int) -> float:
    """Integer adder: straight lines through the published widths."""
    return interpolate(points(_TABLE, "integer add", "bits", "area_um2"), checked("bits", bits, "bits"))


def multiply_um2(weight_bits: int, input_bits: int) -> float:
    """Integer multiplier: a power of the product of the widths, through 8 x 8 and 32 x 32 bits."""
    checked("weight_bits", weight_bits, "bits")
    checked("input_bits", input_bits, "bits")
    factor, exponent = multiply_law()
    return factor * math.pow(weight_bits * input_bits, exponent / 2)


def mac_um2(weight_bits: int, input_bits: int, accumulator_bits: int) -> float:
    """A multiplier and an adder at the accumulator's width, without registers."""
    return multiply_um2(weight_bits, input_bits) + add_um2(accumulator_bits)


def flip_flop_um2(bits: float) -> float:
    """Storage of ``bits`` in flip-flops."""
    ((_, um2),) = points(_TABLE, "flip-flop", "bits", "area_um2")
    return checked("bits", bits, "bits") * um2


def sram_um2(capacity_kb: float, width_bits: int) -> float:
    """A single-port SRAM macro of at least ``SMALLEST_SRAM_KB``.

    Raises:
        HardwareError: The memory cannot hold one word of that width.
    """
    checked_word(capacity_kb, width_bits)
    per_bit, per_column = sram_law()
    return max(capacity_kb, SMALLEST_SRAM_KB) * BITS_PER_KB * per_bit + width_bits * per_column


def storage_um2(capacity_kb: float, width_bits: int) -> float:
    """The smaller of an SRAM macro and flip-flops.

    Raises:
        HardwareError: The memory cannot hold one word of that width.
    """
    return min(sram_um2(capacity_kb, width_bits), flip_flop_um2(capacity_kb * BITS_PER_KB))


def array_area(
    *,
    pes: int,
    mac_um2: float,
    pe_storages: tuple[tuple[float, int], ...] = (),
    buffers: tuple[tuple[float, int], ...] = (),
) -> ArrayArea:
    """Sum an array and its buffers.

    Args:
        pes: Number of PEs.
        mac_um2: Area of one PE's MAC.
        pe_storages: ``(capacity_kb, width_bits)`` of every storage in one PE.
        buffers: ``(capacity_kb, width_bits)`` of every memory outside the PEs.

    Returns:
        The areas in mm2.

    Raises:
        HardwareError: A number is not positive, or a memory cannot hold one word.
    """
    checked("pes", pes, "PEs")
    checked("mac_um2", mac_um2, "um2")
    return ArrayArea(
        mac_mm2=pes * mac_um2 / UM2_PER_MM2,
        registers_mm2=pes * sum(storage_um2(*storage) for storage in pe_storages) / UM2_PER_MM2,
        buffers_mm2=sum(storage_um2(*buffer) for buffer in buffers) / UM2_PER_MM2,
        pes=pes,
    )


@cache
def multiply_law() -> tuple[float, float]:
    """Return ``(factor, exponent)`` of a multiplier's um2 over its bits."""
    return power_law(points(_TABLE, "integer multiply", "bits", "area_um2"))


@cache
def sram_law() -> tuple[float, float]:
    """Return um2 per bit of capacity and per bit of width, fitted to CACTI's points by relative error."""
    rows = [
        (float(row["capacity_kb"]) * BITS_PER_KB, float(row["width_bits"]), float(row["area_um2"]))
        for row in read_table(_CACTI)
    ]
    scaled = [(bits / um2, width / um2) for bits, width, um2 in rows]
    bits_bits = sum(b * b for b, _ in scaled)
    bits_width = sum(b * w for b, w in scaled)
    width_width = sum(w * w for _, w in scaled)
    bits_one, width_one = sum(b for b, _ in scaled), sum(w for _, w in scaled)
    determinant = bits_bits * width_width - bits_width**2
    return (
        (bits_one * width_width - width_one * bits_width) / determinant,
        (width_one * bits_bits - bits_one * bits_width) / determinant,
    )


def provenance() -> tuple[Constant, ...]:
    """Return every number that the areas rest on, with its unit and source."""
    published = tuple(
        Constant(
            name=f"{row['component']} {row['bits']} bits",
            value=float(row["area_um2"]),
            unit="um2",
            source=row["source"],
        )
        for row in read_table(_TABLE)
    )
    per_bit, per_column = sram_law()
    fit = f"fit: least squares through {read_table(_CACTI)[0]['source']}"
    return (
        *published,
        Constant(
            name="integer multiply exponent",
            value=multiply_law()[1],
            unit="1",
            source="fit: through the published widths",
        ),
        Constant(name="sram per bit of capacity", value=per_bit, unit="um2", source=fit),
        Constant(name="sram per bit of width", value=per_column, unit="um2", source=fit),
        Constant(
            name="smallest sram", value=SMALLEST_SRAM_KB, unit="KiB", source="assumption: the fit's smallest point"
        ),
    )
