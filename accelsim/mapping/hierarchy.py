"""A machine of any hierarchy: memories, spatial fan-outs, the MAC, and dataflows as constraints.

Sizes are in machine words; an operand of another width counts as ``bits / word_bits`` words in capacity, bandwidth
and energy, while counts stay in words of the operand. Energies are in the machine's unit, times in cycles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from accelsim.dims import USES, Dim, Operand
from accelsim.errors import HardwareError

ALL_DIMS = frozenset(Dim)
ALL_OPERANDS = frozenset(Operand)
REDUCED = frozenset(Dim) - USES[Operand.O]
"""Dims over which partial sums are added: C, R and S."""


class Buffering(StrEnum):
    """How the next tile gets into a memory.

    SINGLE: after the last use of this one; the array waits. DOUBLE: meanwhile, into a second half, so that a tile takes
    twice its words. ROLLING: word by word in place of words that are no longer used; overlaps at no extra room.
    """

    SINGLE = "single"
    DOUBLE = "double"
    ROLLING = "rolling"


class RegisterRead(StrEnum):
    """When the MAC reads the memory next to it: for every MAC, or only when the word is another one."""

    PER_MAC = "per_mac"
    ON_CHANGE = "on_change"


class Reduction(StrEnum):
    """How partial sums are added along an axis: not at all, from neighbour to neighbour, or by a tree of adders."""

    NONE = "none"
    CHAIN = "chain"
    TREE = "tree"


@dataclass(frozen=True, kw_only=True)
class Store:
    """One memory of the hierarchy; below a fan-out, one of its equal instances.

    Attributes:
        name: Name, such as ``buffer``.
        keeps: Operands that it can hold; the others pass it by.
        may_bypass: Those of them that a mapping may let by.
        words: Capacity shared by all operands, in machine words; None is unbounded or ``operand_words``.
        operand_words: Capacity of each operand's own part, in machine words; an operand without one is unbounded.
        read_words_per_cycle: Words read per cycle.
        write_words_per_cycle: Words written per cycle.
        words_per_cycle: Words read or written per cycle, together.
        latency_cycles: Cycles before the first word of a transfer arrives; paid once in the first fill, once in
            the last drain.
        read_energy: Energy of reading one machine word.
        write_energy: Energy of writing one machine word.
        buffering: How the next tile gets in.
        register_read: When MACs fed by this memory read it, for all operands or by operand (``per_mac`` if absent).
        slides: Whether inputs slide through it: if the innermost loop that moves their tile on is P or Q, only the
            pixels that the tile before did not hold come, unless axes on the way share out P or R, or Q or S. A
            rolling memory starts a slide anew after every stop of the array, which waits for the whole first window.
    """

    name: str
    keeps: frozenset[Operand] = ALL_OPERANDS
    may_bypass: frozenset[Operand] = frozenset()
    words: int | None = None
    operand_words: Mapping[Operand, int] = field(default_factory=dict)
    read_words_per_cycle: float = math.inf
    write_words_per_cycle: float = math.inf
    words_per_cycle: float = math.inf
    latency_cycles: int = 0
    read_energy: float = 0.0
    write_energy: float = 0.0
    buffering: Buffering = Buffering.DOUBLE
    register_read: RegisterRead | Mapping[Operand, RegisterRead] = RegisterRead.PER_MAC
    slides: bool = False

    def __post_init__(self) -> None:
        for name in ("read_words_per_cycle", "write_words_per_cycle", "words_per_cycle"):
            if not getattr(self, name) > 0:
                raise HardwareError(f"memory {self.name}: {name} must be positive, got {getattr(self, name)}")
        for name in ("latency_cycles", "read_energy", "write_energy"):
            if not 0 <= getattr(self, name) < math.inf:
                raise HardwareError(
                    f"memory {self.name}: {name} must be finite, not negative, got {getattr(self, name)}"
                )
        if self.words is not None and self.words < 1:
            raise HardwareError(f"memory {self.name}: words must be positive, got {self.words}")
        if self.words is not None and self.operand_words:
            raise HardwareError(f"memory {self.name} has both words (shared) and operand_words; give one")
        for operand, words in self.operand_words.items():
            if words < 1 or operand not in self.keeps:
                raise HardwareError(
                    f"memory {self.name}: operand_words of {operand.name} must be positive and the operand "
                    f"kept, got {words}"
                )
        if not self.may_bypass <= self.keeps:
            raise HardwareError(f"memory {self.name}: may_bypass names an operand that it does not keep")
        if isinstance(self.register_read, Mapping) and not self.keeps.issuperset(self.register_read):
            raise HardwareError(f"memory {self.name}: register_read names an operand that it does not keep")

    def reads_per_mac(self, operand: Operand) -> bool:
        """Whether every MAC that this memory feeds with an operand reads it, also if the word is the same."""
        read = self.register_read
        return (read.get(operand) if isinstance(read, Mapping) else read) is not RegisterRead.ON_CHANGE

    @property
    def stays_at_mac(self) -> bool:
        """Whether a word of some operand stays at the MAC until another one is needed."""
        return any(not self.reads_per_mac(operand) for operand in self.keeps)

    @property
    def room(self) -> int:
        """How many times its words a tile takes."""
        return 2 if self.buffering is Buffering.DOUBLE else 1


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of a fan-out.

    Attributes:
        name: Name, such as ``rows``.
        size: Number of instances along it.
        dims: Dims that may be unrolled along it.
        most_dims: How many dims may share it.
        shares: Operands of which one word read serves all instances that need it (multicast, or passing on).
        reduction: How partial sums are added along it; C, R and S cannot be unrolled along an axis that does not.
    """

    name: str
    size: int
    dims: frozenset[Dim] = ALL_DIMS
    most_dims: int = 2
    shares: frozenset[Operand] = ALL_OPERANDS
    reduction: Reduction = Reduction.TREE

    def __post_init__(self) -> None:
        if self.size < 1 or self.most_dims < 1:
            raise HardwareError(f"axis {self.name}: size and most_dims must be positive")

    @property
    def allowed(self) -> frozenset[Dim]:
        """Dims that may be unrolled along it, as its reduction allows."""
        return self.dims - (REDUCED if self.reduction is Reduction.NONE else frozenset())


@dataclass(frozen=True, kw_only=True)
class SpatialFanout:
    """Equal instances of all that follows a memory.

    Attributes:
        name: Name, such as ``array``.
        below: Name of the memory that feeds it.
        axes: Its axes, the outer first.
        link_energy: Energy of one machine word on one link.
        forward: Whether words pass from neighbour to neighbour: the first receiver gets its word straight from the
            memory and only the others take a link; else every receiver takes one.
        words_per_cycle: By operand with a network of its own, the machine words that it carries per cycle, in each
            direction; a shared word counts once, however many instances take it.
    """

    name: str
    below: str
    axes: tuple[Axis, ...]
    link_energy: float = 0.0
    forward: bool = False
    words_per_cycle: Mapping[Operand, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for operand, rate in self.words_per_cycle.items():
            if not rate > 0:
                raise HardwareError(
                    f"fan-out {self.name}: words_per_cycle of {operand.name} must be positive, got {rate}"
                )


@dataclass(frozen=True, kw_only=True)
class Machine:
    """An accelerator.

    Attributes:
        name: Name.
        stores: Memories, the outermost first; that one is unbounded and keeps everything.
        fanouts: Spatial fan-outs, at most one below each memory.
        mac_energy: Energy of one MAC.
        word_bits: Width of a machine word.
        operand_bits: Width of operands that are not a machine word wide.
        stores_padding: Whether the padding lies in memory like any pixel; else it is generated where it is needed.
    """

    name: str
    stores: tuple[Store, ...]
    fanouts: tuple[SpatialFanout, ...] = ()
    mac_energy: float = 0.0
    word_bits: int = 16
    operand_bits: Mapping[Operand, int] = field(default_factory=dict)
    stores_padding: bool = False

    def __post_init__(self) -> None:
        names = [store.name for store in self.stores]
        if not 2 <= len(self.stores) <= 5:
            raise HardwareError(f"{self.name}: 2 to 5 memories can be modelled, got {len(self.stores)}")
        if len(set(names)) < len(names):
            raise HardwareError(f"{self.name}: two memories have the same name, got {', '.join(names)}")
        outermost = self.stores[0]
        if outermost.words is not None or outermost.operand_words or outermost.keeps != ALL_OPERANDS:
            raise HardwareError(
                f"{self.name}: memory {outermost.name} is outermost; it must be unbounded and keep W, I, O"
            )
        if outermost.may_bypass:
            raise HardwareError(f"{self.name}: memory {outermost.name} is outermost; nothing can bypass it")
        feeding = [fanout.below for fanout in self.fanouts]
        for name in feeding:
            if name not in names:
                raise HardwareError(f"{self.name}: a fan-out is below {name!r}, which is none of {', '.join(names)}")
        if len(set(feeding)) < len(feeding):
            raise HardwareError(f"{self.name}: two fan-outs are below the same memory, give one with more axes")
        axes = [f"{fanout.name}.{axis.name}" for fanout in self.fanouts for axis in fanout.axes]
        if len(set(axes)) < len(axes):
            raise HardwareError(f"{self.name}: two axes have the same name, got {', '.join(axes)}")

    def fanout_below(self, store: str) -> SpatialFanout | None:
        """Return the fan-out that a memory feeds, or None."""
        return next((fanout for fanout in self.fanouts if fanout.below == store), None)

    def width(self, operand: Operand) -> float:
        """Machine words that one word of an operand takes."""
        return self.operand_bits.get(operand, self.word_bits) / self.word_bits


@dataclass(frozen=True, kw_only=True)
class LoopConstraint:
    """A dataflow as data: what a mapping has to respect.

    Attributes:
        name: Name, such as ``ws``.
        unroll: By axis (``"array.rows"``), the dims that may be unrolled there; axes without an entry are free.
        stationary: By memory, the operand whose tile just inside it stays while the memory's innermost loops run.
    """

    name: str
    unroll: Mapping[str, frozenset[Dim]] = field(default_factory=dict)
    stationary: Mapping[str, Operand] = field(default_factory=dict)


ANY = LoopConstraint(name="any")
"""No constraint."""


def dataflow(name: str, machine: Machine) -> LoopConstraint:
    """Return one of the field's dataflows as a constraint on the machine's innermost fan-out.

    ``ws``, ``is`` and ``os`` keep an operand in the PEs: its tile stays while the loops next to the array run. ``os``
    comes as ``os`` (any outputs), ``os_soc_mop`` (one channel, many pixels), ``os_moc_sop`` (many channels, one
    pixel) and
    ``os_moc_mop`` (both). ``rs`` unrolls R and P (with K, C) over rows and P, K over columns; ``nlr`` unrolls C and K
    only.

    Raises:
        HardwareError: Unknown name, or a machine without a fan-out of two axes for a dataflow that needs one.
    """
    if name == "any":
        return ANY
    fanout = machine.fanouts[-1] if machine.fanouts else None
    if fanout is None or len(fanout.axes) != 2:
        raise HardwareError(f"{machine.name}: dataflow {name} needs a fan-out with two axes")
    rows, cols = (f"{fanout.name}.{axis.name}" for axis in fanout.axes)
    pixels, channels = frozenset({Dim.N, Dim.P, Dim.Q}), frozenset({Dim.G, Dim.K})
    table: dict[str, tuple[frozenset[Dim] | None, frozenset[Dim] | None, Operand | None]] = {
        "ws": (USES[Operand.W], USES[Operand.W], Operand.W),
        "is": (USES[Operand.I], USES[Operand.I], Operand.I),
        "os": (USES[Operand.O], USES[Operand.O], Operand.O),
        "os_soc_mop": (pixels, pixels, Operand.O),
        "os_moc_sop": (channels, channels, Operand.O),
        "os_moc_mop": (pixels, channels, Operand.O),
        "rs": (frozenset({Dim.R, Dim.C, Dim.K, Dim.G}), frozenset({Dim.P, Dim.K, Dim.G}), None),
        "nlr": (frozenset({Dim.C}), frozenset({Dim.K, Dim.G}), None),
    }
    if name not in table:
        raise HardwareError(f"unknown dataflow {name!r}; known are any, {', '.join(table)}")
    on_rows, on_cols, operand = table[name]
    unroll = {axis: dims for axis, dims in ((rows, on_rows), (cols, on_cols)) if dims is not None}
    return LoopConstraint(name=name, unroll=unroll, stationary={} if operand is None else {fanout.below: operand})
