"""What an accelerator is: memories, array, dataflows, energies. Values that refuse to be wrong.

A hardware YAML maps one to one onto these types; ``accelsim.hardware.loader`` reads it. Energies are per
word (or per MAC) in the unit that the config names; times are in cycles of ``clock_mhz``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from accelsim.dims import Dim, Operand
from accelsim.errors import HardwareError

PositiveInt = Annotated[int, msgspec.Meta(gt=0)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]
NonNegativeInt = Annotated[int, msgspec.Meta(ge=0)]
NonNegativeFloat = Annotated[float, msgspec.Meta(ge=0)]
OperandName = Literal["W", "I", "O"]
DimName = Literal["N", "G", "K", "C", "P", "Q", "R", "S"]
Name = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]


class EnergyUnit(StrEnum):
    """What one unit of energy is."""

    MAC = "MAC"
    PJ = "pJ"


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every part of a hardware description."""


class Mac(Spec, frozen=True, kw_only=True):
    """The multiply-accumulate unit.

    Attributes:
        energy: Energy of one MAC.
    """

    energy: NonNegativeFloat


class Memory(Spec, frozen=True, kw_only=True):
    """One storage level.

    Attributes:
        name: Name, such as ``GLB``.
        size_kb: Capacity shared by all operands, in KiB; absent means unbounded (DRAM) or ``pe_words``.
        pe_words: For registers in every PE: words of each operand in use; an operand that is absent is not kept.
        words_per_cycle: Bandwidth shared by reads and writes.
        latency_cycles: Cycles that every transfer waits before its first word arrives.
        double_buffered: Operands whose next tile is loaded (or last one stored) while this one is in use.
        switch_cycles: Cycles that the array stands still when a double-buffered tile changes.
        read_energy: Energy of reading one word.
        write_energy: Energy of writing one word.
    """

    name: Name
    size_kb: PositiveFloat | None = None
    pe_words: dict[OperandName, PositiveInt] | None = None
    words_per_cycle: PositiveFloat | None = None
    latency_cycles: NonNegativeInt = 0
    double_buffered: tuple[OperandName, ...] = ()
    switch_cycles: NonNegativeInt = 0
    read_energy: NonNegativeFloat
    write_energy: NonNegativeFloat

    def __post_init__(self) -> None:
        if self.size_kb is not None and self.pe_words is not None:
            raise ValueError(f"memory {self.name} has both size_kb (shared) and pe_words (in every PE); give one")

    def size_words(self, word_bits: int) -> int | None:
        """Shared capacity in words of ``word_bits``, or None if unbounded or per PE."""
        return None if self.size_kb is None else int(self.size_kb * 1024 * 8) // word_bits


class Fanout(Spec, frozen=True, kw_only=True):
    """A grid of PEs below a memory.

    Attributes:
        name: Name, such as ``array``.
        below: Name of the memory that feeds it.
        rows: PEs along the vertical axis.
        cols: PEs along the horizontal axis.
        read_words_per_row: Words that every row takes in per cycle; the array's read port is this times the rows.
        write_words_per_col: Words that every column gives out per cycle.
        link_energy: Energy of moving one word from a PE to its neighbour.
    """

    name: Name
    below: Name
    rows: PositiveInt
    cols: PositiveInt
    read_words_per_row: PositiveFloat
    write_words_per_col: PositiveFloat
    link_energy: NonNegativeFloat

    @property
    def pes(self) -> int:
        """Number of PEs."""
        return self.rows * self.cols


class Dataflow(Spec, frozen=True, kw_only=True):
    """A named constraint on mappings: what is unrolled on which axis, and what stays in the PEs.

    Attributes:
        description: One sentence for people.
        rows: Dim unrolled over the rows of the array.
        cols: Dim unrolled over the columns.
        nest: Loops inside the buffer's tile, from the outermost in: dims, and ``RF.W`` at the place where
            the registers RF keep their tile of operand W. An operand without a place streams by. A dim that
            stands twice is cut by the registers around its inner loop.
        skips_zeros_of: Operand whose zero values cost no cycle and no MAC.
    """

    description: str
    rows: DimName
    cols: DimName
    nest: tuple[str, ...]
    skips_zeros_of: OperandName | None = None

    def __post_init__(self) -> None:
        if self.rows == self.cols:
            raise ValueError(f"rows and cols must unroll different dims, both unroll {self.rows}")
        for entry in self.nest:
            if "." not in entry and entry not in Dim.__members__:
                raise ValueError(f"nest must hold dims ({', '.join(Dim.__members__)}) and places (RF.W), got {entry!r}")
        missing = [dim for dim in Dim.__members__ if dim not in self.nest]
        if missing:
            raise ValueError(f"nest must hold every dim, lacks {', '.join(missing)}")
        twice = [entry for entry in dict.fromkeys(self.nest) if self.nest.count(entry) > 1]
        if len(twice) > 1 or any(self.nest.count(entry) > 2 for entry in twice):
            raise ValueError(f"nest may hold one dim twice (its inner loop held by registers), got {', '.join(twice)}")

    @property
    def places(self) -> dict[Operand, tuple[str, int]]:
        """For every operand kept in the PEs: the memory's name and its position in ``nest``."""
        found: dict[Operand, tuple[str, int]] = {}
        for position, entry in enumerate(self.nest):
            memory, dot, operand = entry.rpartition(".")
            if dot and operand in Operand.__members__:
                found[Operand[operand]] = (memory, position)
        return found


class Hardware(Spec, frozen=True, kw_only=True):
    """An accelerator.

    Attributes:
        name: Name, such as ``16x16_128KB``.
        description: One sentence for people.
        source: Where the figures come from.
        clock_mhz: Clock frequency.
        word_bits: Width of a word of every operand.
        energy_unit: What the energies are given in.
        mac: The MAC unit.
        memories: Storage levels, the outermost first.
        fanouts: Grids of PEs.
        dataflows: The dataflows that the array can run.
        zero_fraction: Share of zeros of an operand, for dataflows that skip them.
        data_operations: How operations that only move data are charged.
        assumptions: What the source leaves open: field path -> the reason for its value.
    """

    name: Name
    description: str = ""
    source: str = ""
    clock_mhz: PositiveFloat
    word_bits: PositiveInt
    energy_unit: EnergyUnit
    mac: Mac
    memories: tuple[Memory, ...]
    fanouts: tuple[Fanout, ...]
    dataflows: dict[str, Dataflow]
    zero_fraction: dict[OperandName, Annotated[float, msgspec.Meta(ge=0, lt=1)]] = {}
    data_operations: Literal["ignored"] = "ignored"
    assumptions: dict[str, str] = {}

    def __post_init__(self) -> None:
        names = [memory.name for memory in self.memories] + [fanout.name for fanout in self.fanouts]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two memories or fanouts are named {name!r}")
        for fanout in self.fanouts:
            if fanout.below not in names:
                raise ValueError(f"fanout {fanout.name} is below {fanout.below!r}, which is not a memory")
        if not self.dataflows:
            raise ValueError("dataflows must hold at least one dataflow")
        for name, dataflow in self.dataflows.items():
            self._check_places(name, dataflow)

    def _check_places(self, name: str, dataflow: Dataflow) -> None:
        registers = {memory.name: memory for memory in self.memories if memory.pe_words}
        for entry in dataflow.nest:
            memory, dot, operand = entry.rpartition(".")
            if dot and (memory not in registers or operand not in (registers[memory].pe_words or {})):
                known = [f"{m.name}.{operand}" for m in registers.values() for operand in m.pe_words or ()]
                raise ValueError(
                    f"dataflow {name}: nest has {entry!r}; the PEs have {', '.join(known) or 'no registers'}"
                )
        if dataflow.skips_zeros_of and dataflow.skips_zeros_of not in self.zero_fraction:
            raise ValueError(f"dataflow {name} skips zeros of {dataflow.skips_zeros_of}, which has no zero_fraction")

    def memory(self, name: str) -> Memory:
        """Return the memory of that name.

        Raises:
            HardwareError: There is none.
        """
        for memory in self.memories:
            if memory.name == name:
                return memory
        raise HardwareError(f"{self.name}: has no memory {name!r}")
