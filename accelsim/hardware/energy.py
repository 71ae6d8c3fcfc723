"""Energy per operation and per word: sets of unit energies by name.

``eyeriss`` is the normalised table of Eyeriss, in multiples of one 16-bit MAC. ``horowitz45`` is in pJ at 45 nm:
arithmetic as a function of its widths, SRAM as a function of its capacity and width. Every number comes from
the files of ``accelsim/hardware/tables``; ``provenance`` lists them, ``docs/energy.md`` explains the laws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal, Protocol

from accelsim.errors import HardwareError, did_you_mean
from accelsim.hardware.tables import (
    Constant,
    checked,
    checked_word,
    interpolate,
    points,
    power_law,
    read_table,
)

ACCESS_BITS = 64
"""Width of the published SRAM and DRAM accesses."""

DramCost = Literal["low", "high"]

_TABLE = "energy_45nm.csv"
_CACTI = "sram_cacti_45nm.csv"


class EnergySet(Protocol):
    """What a hardware file needs to know of a set of unit energies; all results are in ``unit``."""

    @property
    def name(self) -> str:
        """Name in a hardware file."""

    @property
    def unit(self) -> Literal["MAC", "pJ"]:
        """What one unit of energy is."""

    def mac_energy(self, weight_bits: int, input_bits: int, accumulator_bits: int) -> float:
        """Energy of one multiply-accumulate."""

    def register_word_energy(self, capacity_kb: float, word_bits: int) -> float:
        """Energy of reading or writing one word of a register file in a PE."""

    def buffer_word_energy(self, capacity_kb: float, word_bits: int, access_bits: int = ACCESS_BITS) -> float:
        """Energy of reading or writing one word of a buffer that gives ``access_bits`` at once."""

    def dram_word_energy(self, word_bits: int) -> float:
        """Energy of reading or writing one word of DRAM."""

    def link_word_energy(self, word_bits: int, length_mm: float) -> float:
        """Energy of moving one word over a link."""


@dataclass(frozen=True, slots=True)
class Eyeriss:
    """Eyeriss's normalised costs: five numbers for 16-bit words, which know neither sizes nor lengths."""

    name: ClassVar[str] = "eyeriss"
    unit: ClassVar[Literal["MAC"]] = "MAC"

    def mac_energy(self, weight_bits: int, input_bits: int, accumulator_bits: int) -> float:
        """One MAC of 16-bit operands, whatever its accumulator."""
        checked("accumulator_bits", accumulator_bits, "bits")
        return self._cost("mac", weight_bits, input_bits)

    def register_word_energy(self, capacity_kb: float, word_bits: int) -> float:
        """A word of a register file, published for 0.5 kB."""
        checked_word(capacity_kb, word_bits)
        return self._cost("register file 0.5 kB", word_bits)

    def buffer_word_energy(self, capacity_kb: float, word_bits: int, access_bits: int = ACCESS_BITS) -> float:
        """A word of the global buffer, published for more than 100 kB."""
        checked_word(capacity_kb, max(word_bits, checked("access_bits", access_bits, "bits")))
        return self._cost("global buffer >100 kB", word_bits)

    def dram_word_energy(self, word_bits: int) -> float:
        """A word of DRAM."""
        return self._cost("dram", word_bits)

    def link_word_energy(self, word_bits: int, length_mm: float) -> float:
        """A word to the neighbouring PE, published for 1 to 2 mm."""
        checked("length_mm", length_mm, "mm")
        return self._cost("neighbour PE 1-2 mm", word_bits)

    def _cost(self, component: str, *widths_bits: int) -> float:
        for bits in widths_bits:
            if bits != 16:
                raise HardwareError(
                    f"energy set eyeriss is for words of 16 bits, got {bits}; "
                    "give the energies themselves, or use horowitz45"
                )
        return next(float(row["energy"]) for row in read_table("energy_eyeriss.csv") if row["component"] == component)


@dataclass(frozen=True, slots=True)
class Horowitz45:
    """Energies in pJ at 45 nm, 0.9 V.

    Attributes:
        dram: Which end of the published range a DRAM access costs.
    """

    dram: DramCost = "low"

    name: ClassVar[str] = "horowitz45"
    unit: ClassVar[Literal["pJ"]] = "pJ"

    def mac_energy(self, weight_bits: int, input_bits: int, accumulator_bits: int) -> float:
        """See ``mac_pj``."""
        return mac_pj(weight_bits, input_bits, accumulator_bits)

    def register_word_energy(self, capacity_kb: float, word_bits: int) -> float:
        """See ``sram_access_pj``; a register file is accessed a word at a time."""
        return sram_access_pj(capacity_kb, word_bits)

    def buffer_word_energy(self, capacity_kb: float, word_bits: int, access_bits: int = ACCESS_BITS) -> float:
        """See ``sram_word_pj``."""
        return sram_word_pj(capacity_kb, word_bits, access_bits)

    def dram_word_energy(self, word_bits: int) -> float:
        """See ``dram_word_pj``."""
        return dram_word_pj(word_bits, self.dram)

    def link_word_energy(self, word_bits: int, length_mm: float) -> float:
        """See ``link_word_pj``."""
        return link_word_pj(word_bits, length_mm)


ENERGY_SETS: tuple[EnergySet, ...] = (Eyeriss(), Horowitz45())


def energy_set(name: str) -> EnergySet:
    """Return the energy set of that name.

    Raises:
        HardwareError: There is none.
    """
    known = {entry.name: entry for entry in ENERGY_SETS}
    if name not in known:
        raise HardwareError(f"unknown energy set {name!r}{did_you_mean(name, known)}; known are {', '.join(known)}")
    return known[name]


def add_pj(bits: int) -> float:
    """Integer addition: straight lines through the published widths."""
    return interpolate(points(_TABLE, "integer add", "bits", "energy_pj"), checked("bits", bits, "bits"))


def multiply_pj(weight_bits: int, input_bits: int) -> float:
    """Integer multiplication: a power of the product of the widths, through 8 x 8 and 32 x 32 bits."""
    checked("weight_bits", weight_bits, "bits")
    checked("input_bits", input_bits, "bits")
    factor, exponent = multiply_law()
    return factor * math.pow(weight_bits * input_bits, exponent / 2)


def mac_pj(weight_bits: int, input_bits: int, accumulator_bits: int) -> float:
    """One multiplication and one addition at the accumulator's width."""
    return multiply_pj(weight_bits, input_bits) + add_pj(accumulator_bits)


def sram_access_pj(capacity_kb: float, width_bits: int) -> float:
    """One read or write of ``width_bits`` at once, never less than that many flip-flops take.

    Raises:
        HardwareError: The memory cannot hold one word of that width.
    """
    checked_word(capacity_kb, width_bits)
    factor, exponent = sram_law()
    share = sram_fixed_share()
    by_law = factor * math.pow(capacity_kb, exponent) * (share + (1 - share) * width_bits / ACCESS_BITS)
    return max(by_law, width_bits * _per_bit("flip-flop access"))


def sram_word_pj(capacity_kb: float, word_bits: int, access_bits: int = ACCESS_BITS) -> float:
    """One word of a memory that gives ``access_bits`` at once, all of which are used.

    A word wider than an access takes several of them.

    Raises:
        HardwareError: The memory cannot hold one word or one access.
    """
    checked_word(capacity_kb, word_bits)
    return sram_access_pj(capacity_kb, access_bits) * word_bits / access_bits


def dram_word_pj(word_bits: int, cost: DramCost = "low") -> float:
    """One word of DRAM, in proportion to its bits.

    Raises:
        HardwareError: ``cost`` is not one of the published range's ends.
    """
    if cost not in ("low", "high"):
        raise HardwareError(f"dram cost must be low or high, got {cost!r}")
    return checked("word_bits", word_bits, "bits") * _per_bit(f"dram access {cost}")


def link_word_pj(word_bits: int, length_mm: float) -> float:
    """One word of random data over a wire, in proportion to its bits and length."""
    bits_mm = checked("word_bits", word_bits, "bits") * checked("length_mm", length_mm, "mm")
    return bits_mm * _per_bit("wire 10 mm") / 10


@cache
def multiply_law() -> tuple[float, float]:
    """Return ``(factor, exponent)`` of a multiplication's pJ over its bits."""
    return power_law(points(_TABLE, "integer multiply", "bits", "energy_pj"))


@cache
def sram_law() -> tuple[float, float]:
    """Return ``(factor, exponent)`` of a 64-bit access's pJ over the capacity in KiB."""
    return power_law(points(_TABLE, "sram access", "capacity_kb", "energy_pj"))


@cache
def sram_fixed_share() -> float:
    """Return the share of a 64-bit access that does not depend on its width, fitted to CACTI's points.

    Reads and writes count alike, and every point by its relative error.
    """
    pairs = sram_width_points()
    above = sum((1 - width) * (ratio - width) / ratio**2 for width, ratio in pairs)
    return above / sum(((1 - width) / ratio) ** 2 for width, ratio in pairs)


@cache
def sram_width_points() -> tuple[tuple[float, float], ...]:
    """Return CACTI's ``(width, energy)``, both relative to 64 bits of the same capacity."""
    energy = {
        (row["capacity_kb"], int(row["width_bits"])): float(row["read_pj"]) + float(row["write_pj"])
        for row in read_table(_CACTI)
    }
    return tuple((width / ACCESS_BITS, pj / energy[size, ACCESS_BITS]) for (size, width), pj in energy.items())


def provenance(name: str) -> tuple[Constant, ...]:
    """Return every number that an energy set rests on, with its unit and source.

    Raises:
        HardwareError: There is no set of that name.
    """
    if energy_set(name).unit == "MAC":
        return tuple(
            Constant(name=row["component"], value=float(row["energy"]), unit=row["unit"], source=row["source"])
            for row in read_table("energy_eyeriss.csv")
        )
    published = tuple(
        Constant(name=_label(row), value=float(row["energy_pj"]), unit="pJ", source=row["source"])
        for row in read_table(_TABLE)
    )
    fits = (
        ("integer multiply exponent", multiply_law()[1], "1", "through the published widths"),
        ("sram capacity factor", sram_law()[0], "pJ", "least squares through the three published capacities"),
        ("sram capacity exponent", sram_law()[1], "1", "least squares through the three published capacities"),
        ("sram fixed share", sram_fixed_share(), "1", f"least squares through {read_table(_CACTI)[0]['source']}"),
    )
    return published + tuple(Constant(name=n, value=v, unit=u, source=f"fit: {s}") for n, v, u, s in fits)


def _label(row: dict[str, str]) -> str:
    size = f" {row['capacity_kb']} KiB" if row["capacity_kb"] else ""
    return f"{row['component']}{size} {row['bits']} bits"


@cache
def _per_bit(component: str) -> float:
    """Return a published energy per bit of its access, in pJ."""
    ((bits, pj),) = points(_TABLE, component, "bits", "energy_pj")
    return pj / bits
