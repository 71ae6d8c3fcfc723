"""The parts of an accelerator's description, each of them right by itself: what a hardware YAML holds.

``docs/hardware.md`` shows every key by example. Energies are per machine word (or per MAC) in the unit that the config
names; times are in cycles of ``clock_mhz``. A field that would change nothing where it stands is refused, not ignored.

There are two ways to say what an array does. A dataflow with a ``nest`` is a fixed program; with it go a grid of PEs
(``rows``, ``cols`` and their ports) and their registers (``pe_words``). A dataflow without is a constraint on the
mappings of a machine of any hierarchy; with it go fan-outs with named axes and memories of any kind.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec

from accelsim.dims import Operand
from accelsim.hardware.fabric import AxisSpec, Dataflow, Fanout, Grid
from accelsim.hardware.fields import (
    Bits,
    EnergyUnit,
    Name,
    NonNegativeFloat,
    NonNegativeInt,
    OperandName,
    PositiveFloat,
    PositiveInt,
    Rate,
    Spec,
    Words,
)

__all__ = ["AxisSpec", "Dataflow", "Description", "EnergyUnit", "Fanout", "Grid", "Mac", "Memory"]


RegisterReads = Literal["per_mac", "on_change"]
"""When a MAC reads the memory next to it: every time, or when the word is another one."""


class Mac(Spec, frozen=True, kw_only=True):
    """The multiply-accumulate unit.

    Attributes:
        energy: Energy of one MAC; left out, the energy set says it.
    """

    energy: NonNegativeFloat | None = None


class Memory(Spec, frozen=True, kw_only=True):
    """One storage level: the unbounded outermost (no size), a buffer, or registers in every PE.

    Attributes:
        name: Name, such as ``GLB``.
        size_kb: Capacity shared by all operands, in KiB.
        size_words: The same in machine words.
        operand_words: Capacity in machine words of each operand's own part; an operand that is absent is not kept.
        pe_words: Of the registers of a grid: words of each operand that every PE keeps; an absent one is not kept.
        keeps: Operands that it can hold; all if left out.
        may_bypass: Those of them that a mapping may let by.
        words_per_cycle: Words read or written per cycle, together. Next to a fixed program: bandwidth to the level
            below; a memory that feeds a grid has none, its ports are the grid's. Absent means unlimited.
        read_words_per_cycle: Words read per cycle; absent means unlimited.
        write_words_per_cycle: Words written per cycle; absent means unlimited.
        latency_cycles: Cycles that a transfer to or from the level below waits before its first word.
        double_buffered: Next to a fixed program: operands whose next tile is loaded (or last one stored) while this
            one is in use.
        buffering: How the next tile gets in: ``double`` (if left out), ``single`` or ``rolling``.
        switch_cycles: Of registers: cycles that the array stands still when a double-buffered tile changes.
        register_read: When the MACs that this memory feeds read it: ``per_mac`` (if left out) or ``on_change``, for all
            operands or by operand.
        slides: Whether windows of inputs slide through it, so that only new pixels come.
        read_energy: Energy of reading one machine word; left out, the energy set says it.
        write_energy: Energy of writing one machine word; left out, the energy set says it.
        access_bits: Bits that a buffer gives at once, for the energy set ``horowitz45``; 64 if left out.
    """

    name: Name
    size_kb: PositiveFloat | None = None
    size_words: Words | None = None
    operand_words: Annotated[dict[OperandName, Words], msgspec.Meta(min_length=1)] | None = None
    pe_words: Annotated[dict[OperandName, PositiveInt], msgspec.Meta(min_length=1)] | None = None
    keeps: Annotated[tuple[OperandName, ...], msgspec.Meta(min_length=1)] | None = None
    may_bypass: tuple[OperandName, ...] = ()
    words_per_cycle: Rate | None = None
    read_words_per_cycle: Rate | None = None
    write_words_per_cycle: Rate | None = None
    latency_cycles: NonNegativeInt = 0
    double_buffered: tuple[OperandName, ...] = ()
    buffering: Literal["single", "double", "rolling"] | None = None
    switch_cycles: NonNegativeInt = 0
    register_read: RegisterReads | dict[OperandName, RegisterReads] | None = None
    slides: bool = False
    read_energy: NonNegativeFloat | None = None
    write_energy: NonNegativeFloat | None = None
    access_bits: Bits | None = None

    def __post_init__(self) -> None:
        sizes = {
            "size_kb (shared)": self.size_kb,
            "size_words (shared)": self.size_words,
            "operand_words (by operand)": self.operand_words,
            "pe_words (in every PE)": self.pe_words,
        }
        given = [name for name, size in sizes.items() if size is not None]
        if len(given) > 1:
            raise ValueError(f"memory {self.name} has both {' and '.join(given)}; give one")
        for field in ("double_buffered", "keeps", "may_bypass"):
            names = getattr(self, field) or ()
            twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
            if twice:
                raise ValueError(f"{field} names {', '.join(twice)} twice")
        if self.switch_cycles and not self.double_buffered:
            raise ValueError(f"switch_cycles needs an operand in double_buffered, got {self.switch_cycles} and none")
        if self.pe_words is None:
            self._check_outside_the_pes(bounded=bool(given))
        else:
            self._check_registers(self.pe_words)
        self._check_rates()

    def _check_outside_the_pes(self, *, bounded: bool) -> None:
        if self.switch_cycles:
            raise ValueError(f"switch_cycles is a field of registers (pe_words), got {self.switch_cycles}")
        if not bounded and self.double_buffered:
            raise ValueError(
                f"double_buffered needs a size (size_kb or pe_words), got {', '.join(self.double_buffered)}"
            )
        if self.operand_words is not None and self.keeps is not None:
            raise ValueError("operand_words says which operands are kept; leave keeps out")
        if self.slides and "I" not in self.kept:
            raise ValueError(f"slides is about inputs, and {', '.join(self.kept)} is kept; leave it out")
        for name in self.may_bypass:
            if name not in self.kept:
                raise ValueError(f"may_bypass names {name}, but {', '.join(self.kept)} are kept")
        for name in self.register_read if isinstance(self.register_read, dict) else ():
            if name not in self.kept:
                raise ValueError(f"register_read names {name}, but {', '.join(self.kept)} are kept")

    def _check_registers(self, pe_words: dict[OperandName, int]) -> None:
        if self.words_per_cycle is not None or self.latency_cycles:
            raise ValueError(
                "registers (pe_words) serve their PE within the cycle: "
                "words_per_cycle and latency_cycles are fields of memories outside the PEs"
            )
        for operand in self.double_buffered:
            if operand not in pe_words:
                raise ValueError(f"double_buffered names {operand}, but pe_words holds {', '.join(pe_words)}")

    def _check_rates(self) -> None:
        """Refuse a rate that another one makes meaningless."""
        if self.words_per_cycle is None:
            return
        rates = (self.read_words_per_cycle, self.write_words_per_cycle)
        for field, rate in zip(("read_words_per_cycle", "write_words_per_cycle"), rates, strict=True):
            if rate is not None and rate >= self.words_per_cycle:
                raise ValueError(
                    f"{field} {rate:g} never holds anything up beside words_per_cycle {self.words_per_cycle:g}, "
                    "which reads and writes share; leave it out"
                )
        if None not in rates and sum(rate or 0.0 for rate in rates) <= self.words_per_cycle:
            raise ValueError(
                f"words_per_cycle {self.words_per_cycle:g} never holds anything up beside read_words_per_cycle "
                f"{rates[0]:g} and write_words_per_cycle {rates[1]:g}; leave it out"
            )

    @property
    def kept(self) -> tuple[OperandName, ...]:
        """Operands that it can hold."""
        if self.keeps is not None:
            return self.keeps
        return tuple(self.operand_words or self.pe_words or ("W", "I", "O"))

    @property
    def bounded(self) -> bool:
        """Whether it has a size."""
        return any(size is not None for size in (self.size_kb, self.size_words, self.operand_words, self.pe_words))

    def capacity_words(self, word_bits: int) -> int | None:
        """Capacity shared by operands in words of ``word_bits``, or None if unbounded or by operand."""
        if self.size_words is not None:
            return self.size_words
        return None if self.size_kb is None else int(self.size_kb * 1024 * 8) // word_bits


class Description(Spec, frozen=True, kw_only=True):
    """The fields of an accelerator's description.

    Attributes:
        name: Name, such as ``16x16_128KB``.
        description: One sentence for people.
        source: Where the figures come from.
        clock_mhz: Clock frequency.
        word_bits: Width of a machine word, in which sizes, rates and energies are given.
        operand_bits: Width of operands that are not a machine word wide.
        energy_unit: What the energies are given in.
        energy: Named set of unit energies that fills those left out.
        mac: The MAC unit.
        memories: Storage levels, the outermost first.
        fanouts: Grids of PEs, or fan-outs with axes.
        dataflows: The dataflows that the array can run; ``any`` (no constraint) always exists.
        mapping_space: Which mappings are searched unless asked otherwise: ``uniform`` (one place per memory) or
            ``uneven`` (each operand's tile at its own place).
        stores_padding: Whether padding lies in memory like any pixel; else it is generated where it is needed.
        zero_fraction: Share of zeros of an operand, for programs that skip them.
        data_operations: How operations that only move data are charged.
        assumptions: What the source leaves open: field path -> the reason for its value.
    """

    name: Name
    description: str = ""
    source: str = ""
    clock_mhz: PositiveFloat
    word_bits: PositiveInt
    operand_bits: dict[OperandName, Bits] = msgspec.field(default_factory=dict)
    energy_unit: EnergyUnit
    energy: Literal["eyeriss", "horowitz45"] | None = None
    mac: Mac = Mac()
    memories: Annotated[tuple[Memory, ...], msgspec.Meta(min_length=1)]
    fanouts: Annotated[tuple[Fanout, ...], msgspec.Meta(min_length=1)]
    dataflows: dict[Name, Dataflow] = msgspec.field(default_factory=dict)
    mapping_space: Literal["uniform", "uneven"] = "uniform"
    stores_padding: bool = False
    zero_fraction: dict[OperandName, Annotated[float, msgspec.Meta(ge=0, lt=1)]] = msgspec.field(default_factory=dict)
    data_operations: Literal["ignored"] = "ignored"
    assumptions: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def programs(self) -> tuple[str, ...]:
        """Names of the dataflows that are fixed programs."""
        return tuple(name for name, flow in self.dataflows.items() if flow.nest)

    @property
    def pes(self) -> int:
        """Number of PEs: the product of all fan-outs."""
        return math.prod(fanout.pes for fanout in self.fanouts)

    def operand_width(self, operand: Operand) -> int:
        """Bits of one word of an operand."""
        return next((bits for name, bits in self.operand_bits.items() if name == operand.name), self.word_bits)

    def position(self, memory: str) -> int:
        """Index of the memory of that name, -1 if there is none."""
        return next((index for index, entry in enumerate(self.memories) if entry.name == memory), -1)

    def in_pes(self, memory: Memory) -> bool:
        """Whether a memory lies in the PEs: below the innermost fan-out."""
        innermost = max(self.position(fanout.below) for fanout in self.fanouts)
        return memory.pe_words is not None or self.position(memory.name) > innermost

    def instances(self, memory: Memory) -> int:
        """Number of instances of a memory, as the fan-outs around it make them."""
        place = self.position(memory.name)
        return math.prod(fanout.pes for fanout in self.fanouts if self.position(fanout.below) < place)
