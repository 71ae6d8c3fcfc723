"""What an accelerator is: memories, array, dataflows, energies. Values that refuse to be wrong.

A hardware YAML maps one to one onto these types; ``accelsim.hardware.loader`` reads it. Energies are per
word (or per MAC) in the unit that the config names; times are in cycles of ``clock_mhz``. A field that would
change nothing where it stands is refused, not ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec

from accelsim.dims import Dim, Operand
from accelsim.errors import HardwareError, did_you_mean
from accelsim.typecheck import Problem, path_text

PositiveInt = Annotated[int, msgspec.Meta(gt=0, le=1_000_000)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0, le=1e12)]
Rate = Annotated[float, msgspec.Meta(ge=1e-6, le=1e12)]
NonNegativeInt = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
NonNegativeFloat = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
OperandName = Literal["W", "I", "O"]
DimName = Literal["N", "G", "K", "C", "P", "Q", "R", "S"]
Name = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]

CHOICES_OF_DATAFLOW = ("best", "any")
"""Words that ask for the best of all dataflows, so that no dataflow may be called so."""


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
    """One storage level: unbounded (neither size), a buffer (``size_kb``), or registers in every PE (``pe_words``).

    Attributes:
        name: Name, such as ``GLB``.
        size_kb: Capacity of a buffer, shared by all operands, in KiB.
        pe_words: Of registers: words of each operand that every PE keeps; an operand that is absent is not kept.
        words_per_cycle: Bandwidth to the level below, shared by reads and writes; absent means unlimited. A
            memory that feeds an array has none: its ports are the fanout's.
        latency_cycles: Cycles that a transfer to or from the level below waits before its first word.
        double_buffered: Operands whose next tile is loaded (or last one stored) while this one is in use.
        switch_cycles: Of registers: cycles that the array stands still when a double-buffered tile changes.
        read_energy: Energy of reading one word.
        write_energy: Energy of writing one word.
    """

    name: Name
    size_kb: PositiveFloat | None = None
    pe_words: Annotated[dict[OperandName, PositiveInt], msgspec.Meta(min_length=1)] | None = None
    words_per_cycle: Rate | None = None
    latency_cycles: NonNegativeInt = 0
    double_buffered: tuple[OperandName, ...] = ()
    switch_cycles: NonNegativeInt = 0
    read_energy: NonNegativeFloat
    write_energy: NonNegativeFloat

    def __post_init__(self) -> None:
        if self.size_kb is not None and self.pe_words is not None:
            raise ValueError(f"memory {self.name} has both size_kb (shared) and pe_words (in every PE); give one")
        twice = [name for name in dict.fromkeys(self.double_buffered) if self.double_buffered.count(name) > 1]
        if twice:
            raise ValueError(f"double_buffered names {', '.join(twice)} twice")
        if self.switch_cycles and not self.double_buffered:
            raise ValueError(f"switch_cycles needs an operand in double_buffered, got {self.switch_cycles} and none")
        if self.pe_words is None:
            self._check_outside_the_pes()
        else:
            self._check_registers(self.pe_words)

    def _check_outside_the_pes(self) -> None:
        if self.switch_cycles:
            raise ValueError(f"switch_cycles is a field of registers (pe_words), got {self.switch_cycles}")
        if self.size_kb is None and self.double_buffered:
            raise ValueError(
                f"double_buffered needs a size (size_kb or pe_words), got {', '.join(self.double_buffered)}"
            )

    def _check_registers(self, pe_words: dict[OperandName, int]) -> None:
        if self.words_per_cycle is not None or self.latency_cycles:
            raise ValueError(
                "registers (pe_words) serve their PE within the cycle: "
                "words_per_cycle and latency_cycles are fields of memories outside the PEs"
            )
        for operand in self.double_buffered:
            if operand not in pe_words:
                raise ValueError(f"double_buffered names {operand}, but pe_words holds {', '.join(pe_words)}")

    def size_words(self, word_bits: int) -> int | None:
        """Shared capacity in words of ``word_bits``, or None if unbounded or per PE."""
        return None if self.size_kb is None else int(self.size_kb * 1024 * 8) // word_bits


class Fanout(Spec, frozen=True, kw_only=True):
    """A grid of PEs below a memory.

    Attributes:
        name: Name, such as ``array``.
        below: Name of the buffer that feeds it.
        rows: PEs along the vertical axis.
        cols: PEs along the horizontal axis.
        read_words_per_row: Words that every row takes in per cycle; the array's read port is this times the rows.
        write_words_per_col: Words that every column gives out per cycle; the write port is this times the columns.
        link_energy: Energy of moving one word from a PE to its neighbour.
    """

    name: Name
    below: Name
    rows: PositiveInt
    cols: PositiveInt
    read_words_per_row: Rate
    write_words_per_col: Rate
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
        skips_zeros_of: Operand whose zero values cost no cycle and no MAC; ``zero_fraction`` says how many are.
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
        kept = [entry.rpartition(".")[2] for entry in self.nest if "." in entry]
        again = [operand for operand in dict.fromkeys(kept) if kept.count(operand) > 1]
        if again:
            raise ValueError(f"nest may keep an operand at one place only, keeps {', '.join(again)} at several")
        twice = [entry for entry in twice if "." not in entry]
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


class Description(Spec, frozen=True, kw_only=True):
    """The fields of an accelerator's description, each of them right by itself.

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
    memories: Annotated[tuple[Memory, ...], msgspec.Meta(min_length=1)]
    fanouts: Annotated[tuple[Fanout, ...], msgspec.Meta(min_length=1)]
    dataflows: Annotated[dict[Name, Dataflow], msgspec.Meta(min_length=1)]
    zero_fraction: dict[OperandName, Annotated[float, msgspec.Meta(ge=0, lt=1)]] = {}
    data_operations: Literal["ignored"] = "ignored"
    assumptions: dict[str, str] = {}


class Hardware(Description, frozen=True, kw_only=True):
    """An accelerator: a description whose parts fit each other; the fields are those of ``Description``."""

    def __post_init__(self) -> None:
        problem = misfit(self)
        if problem is not None:
            raise ValueError(f"{path_text(problem[0])}: {problem[1]}")

    def memory(self, name: str) -> Memory:
        """Return the memory of that name.

        Raises:
            HardwareError: There is none.
        """
        for memory in self.memories:
            if memory.name == name:
                return memory
        raise HardwareError(f"{self.name}: has no memory {name!r}")

    @property
    def outer_memories(self) -> tuple[Memory, ...]:
        """The memories outside the PEs, the outermost first."""
        return tuple(memory for memory in self.memories if memory.pe_words is None)

    def register_words(self, dataflow: str, operand: Operand) -> int:
        """Return the words that every PE holds of an operand that the dataflow keeps there."""
        memory, _ = self.dataflows[dataflow].places[operand]
        words = self.memory(memory).pe_words or {}
        return next(count for name, count in words.items() if name == operand.name)


def misfit(description: Description) -> Problem | None:
    """Return the first place where parts of a description do not fit each other, and how; or None."""
    for check in (_name_misfits, _fanout_misfits, _dataflow_misfits, _assumption_misfits):
        for problem in check(description):
            return problem
    return None


def _name_misfits(description: Description) -> Iterator[Problem]:
    """Find memories and fanouts that share a name."""
    first: dict[str, str] = {}
    for field in ("memories", "fanouts"):
        for index, part in enumerate(getattr(description, field)):
            if part.name in first:
                yield (field, index, "name"), f"the name {part.name!r} is that of {first[part.name]} already"
            first[part.name] = f"{field}[{index}]"


def _fanout_misfits(description: Description) -> Iterator[Problem]:
    """Find fanouts below something else than a buffer, and fields of that buffer that the fanout's ports replace."""
    buffers = [memory.name for memory in description.memories if memory.size_kb is not None]
    for index, fanout in enumerate(description.fanouts):
        if fanout.below not in buffers:
            yield (
                ("fanouts", index, "below"),
                f"expected the name of a memory with size_kb ({', '.join(buffers) or 'there is none'}), "
                f"got {fanout.below!r}{did_you_mean(fanout.below, buffers)}",
            )
        for place, memory in enumerate(description.memories):
            for field in ("words_per_cycle", "latency_cycles"):
                if memory.name == fanout.below and getattr(memory, field):
                    yield (
                        ("memories", place, field),
                        f"{memory.name} feeds {fanout.name}, whose read_words_per_row and write_words_per_col are its "
                        "ports; leave this field out",
                    )


def _dataflow_misfits(description: Description) -> Iterator[Problem]:
    """Find reserved names, places that the PEs do not have, and zeros of which nobody says how many there are."""
    registers = [memory for memory in description.memories if memory.pe_words is not None]
    places = [f"{memory.name}.{operand}" for memory in registers for operand in memory.pe_words or ()]
    for name, dataflow in description.dataflows.items():
        if name in CHOICES_OF_DATAFLOW:
            yield ("dataflows", name), f"{name!r} asks for the best of all dataflows and cannot be the name of one"
        for index, entry in enumerate(dataflow.nest):
            if "." in entry and entry not in places:
                yield (
                    ("dataflows", name, "nest", index),
                    f"expected a dim or a place in the PEs ({', '.join(places) or 'there is none'}), "
                    f"got {entry!r}{did_you_mean(entry, places)}",
                )
        skipped = dataflow.skips_zeros_of
        if skipped and skipped not in description.zero_fraction:
            known = ", ".join(description.zero_fraction) or "there is none"
            yield (
                ("dataflows", name, "skips_zeros_of"),
                f"expected an operand that zero_fraction gives ({known}), got {skipped!r}",
            )


def _assumption_misfits(description: Description) -> Iterator[Problem]:
    """Find reasons for fields that do not exist."""
    fields = {path for path in _field_paths(msgspec.to_builtins(description)) if not path.startswith("assumptions")}
    for path in description.assumptions:
        if path not in fields:
            yield ("assumptions", path), f"no field has this path{did_you_mean(path, sorted(fields), count=1)}"


def _field_paths(value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of all values inside ``value``; entries of lists go by their name."""
    named = value if isinstance(value, dict) else {}
    if isinstance(value, list | tuple):
        named = {entry["name"]: entry for entry in value if isinstance(entry, dict) and "name" in entry}
    for key, child in named.items():
        inner = f"{path}.{key}" if path else str(key)
        yield inner
        yield from _field_paths(child, inner)
