"""Fan-outs, and the dataflows that run on them; see ``accelsim.hardware.parts``."""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple

import msgspec

from accelsim.dims import USES, Dim, Operand
from accelsim.errors import HardwareError
from accelsim.hardware.fields import (
    AxisName,
    DimName,
    Name,
    NonNegativeFloat,
    OperandName,
    PositiveFloat,
    PositiveInt,
    Rate,
    Spec,
)

REDUCED = frozenset(Dim) - USES[Operand.O]
"""Dims over which partial sums add up: C, R and S."""


class AxisSpec(Spec, frozen=True, kw_only=True):
    """One axis of a fan-out.

    Attributes:
        name: Name, such as ``rows``.
        size: Number of instances along it.
        dims: Dims that may be unrolled along it; all if left out.
        most_dims: How many dims may share it.
        shares: Of W and I, those of which one word read serves all instances that need it (multicast, or passing
            on from neighbour to neighbour); both if left out.
        reduction: How partial sums are added along it: ``none`` (then C, R and S cannot be unrolled here), ``chain``
            (from neighbour to neighbour) or ``tree``.
    """

    name: AxisName
    size: PositiveInt
    dims: Annotated[tuple[DimName, ...], msgspec.Meta(min_length=1)] | None = None
    most_dims: Annotated[int, msgspec.Meta(ge=1, le=8)] = 2
    shares: tuple[Literal["W", "I"], ...] = ("W", "I")
    reduction: Literal["none", "chain", "tree"] = "none"

    def __post_init__(self) -> None:
        dims = set(self.dims or Dim.__members__)
        if self.reduction != "none" and not dims & set("CRS"):
            raise ValueError(
                f"reduction {self.reduction} adds over C, R or S, and none of them is in dims; leave it out"
            )
        if self.reduction == "none" and self.dims is not None and dims & set("CRS"):
            summed = ", ".join(dim for dim in self.dims if dim in "CRS")
            raise ValueError(f"dims has {summed}, over which partial sums add up; it needs reduction chain or tree")

    @property
    def allowed(self) -> frozenset[Dim]:
        """Dims that may be unrolled along it, as its reduction allows."""
        dims = frozenset(Dim[name] for name in self.dims or Dim.__members__)
        return dims - REDUCED if self.reduction == "none" else dims


class Grid(NamedTuple):
    """The array of a fixed program: its PEs and its ports in words per row (or column) and cycle."""

    rows: int
    cols: int
    read_words_per_row: float
    write_words_per_col: float


class Fanout(Spec, frozen=True, kw_only=True):
    """Equal instances of all that follows a memory: a grid of PEs (``rows``, ``cols``), or named axes.

    Attributes:
        name: Name, such as ``array``.
        below: Name of the memory that feeds it.
        axes: Its axes, the outer first.
        rows: Of a grid: PEs along the vertical axis.
        cols: Of a grid: PEs along the horizontal axis.
        read_words_per_row: Of a grid: words that every row takes in per cycle; the read port is this times the rows.
        write_words_per_col: Of a grid: words that every column gives out per cycle; the write port is this times the
            columns.
        link_energy: Energy of moving one machine word over one link; left out, the energy set says it.
        link_mm: Length of a link, for the energy set ``horowitz45``.
        forward: Whether words pass from neighbour to neighbour, so that the first receiver gets its word straight
            from the memory and only the others take a link; else every receiver takes one.
        words_per_cycle: By operand with a network of its own, words that it carries per cycle, in each direction; a
            word for several instances counts once. Absent means unlimited.
    """

    name: Name
    below: Name
    axes: tuple[AxisSpec, ...] = ()
    rows: PositiveInt | None = None
    cols: PositiveInt | None = None
    read_words_per_row: Rate | None = None
    write_words_per_col: Rate | None = None
    link_energy: NonNegativeFloat | None = None
    link_mm: PositiveFloat | None = None
    forward: bool = False
    words_per_cycle: dict[OperandName, Rate] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        fields = ("rows", "cols", "read_words_per_row", "write_words_per_col")
        given = [field for field in fields if getattr(self, field) is not None]
        if self.axes and given:
            raise ValueError(f"fanout {self.name} has both axes and {', '.join(given)}; give axes, or a grid")
        if not self.axes and len(given) < len(fields):
            missing = ", ".join(field for field in fields if field not in given)
            raise ValueError(f"missing {missing if given else f'axes (or, for a fixed program, {missing})'}")
        names = [axis.name for axis in self.axes]
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if twice:
            raise ValueError(f"two axes are called {', '.join(twice)}")
        if self.link_energy is not None and self.link_mm is not None:
            raise ValueError("link_energy is given, so that link_mm would change nothing; give one")
        if self.forward and self.link_energy == 0:
            raise ValueError("forward saves links, and link_energy is 0; leave it out")

    @property
    def grid(self) -> Grid:
        """The array of a fixed program.

        Raises:
            HardwareError: The fan-out has axes instead.
        """
        if (
            self.rows is None
            or self.cols is None
            or self.read_words_per_row is None
            or self.write_words_per_col is None
        ):
            raise HardwareError(f"fanout {self.name} has axes; a fixed program (nest) needs rows and cols")
        return Grid(self.rows, self.cols, self.read_words_per_row, self.write_words_per_col)

    @property
    def all_axes(self) -> tuple[AxisSpec, ...]:
        """Its axes; of a grid: rows, down which partial sums run from PE to PE, and cols."""
        if self.axes:
            return self.axes
        grid = self.grid
        return (AxisSpec(name="rows", size=grid.rows, reduction="chain"), AxisSpec(name="cols", size=grid.cols))

    @property
    def pes(self) -> int:
        """Number of instances."""
        return math.prod(axis.size for axis in self.all_axes)


class Dataflow(Spec, frozen=True, kw_only=True):
    """A named way to run layers: a fixed program of the array (``nest``), or a constraint on mappings.

    Attributes:
        description: One sentence for people.
        unroll: Of a constraint: dims that may be unrolled, by axis (``rows``, or ``array.rows`` if several fan-outs
            have one of that name); axes without an entry are as free as they are.
        stationary: Of a constraint: by memory, the operand whose tile just inside it stays while the memory's
            innermost loops run.
        rows: Of a program: dim unrolled over the rows of the array.
        cols: Of a program: dim unrolled over the columns.
        nest: Of a program: loops inside the buffer's tile, from the outermost in: dims, and ``RF.W`` at the place
            where the registers RF keep their tile of operand W. An operand without a place streams by. A dim that
            stands twice is cut by the registers around its inner loop.
        skips_zeros_of: Of a program: operand whose zero values cost no cycle and no MAC; ``zero_fraction`` says how
            many are.
    """

    description: str
    unroll: dict[str, tuple[DimName, ...]] = msgspec.field(default_factory=dict)
    stationary: dict[str, OperandName] = msgspec.field(default_factory=dict)
    rows: DimName | None = None
    cols: DimName | None = None
    nest: tuple[str, ...] = ()
    skips_zeros_of: OperandName | None = None

    def __post_init__(self) -> None:
        if not self.nest:
            given = [name for name in ("rows", "cols", "skips_zeros_of") if getattr(self, name) is not None]
            if given:
                raise ValueError(f"{', '.join(given)} belong to a fixed program, and there is no nest")
            if not self.unroll and not self.stationary:
                raise ValueError(
                    "missing unroll or stationary (a constraint), or rows, cols and nest (a fixed program)"
                )
            return
        if self.unroll or self.stationary:
            raise ValueError(
                "unroll and stationary belong to a constraint, and nest makes it a fixed program; give one"
            )
        missing = [name for name in ("rows", "cols") if getattr(self, name) is None]
        if missing:
            raise ValueError(f"missing field {missing[0]!r}, the dim that it unrolls")
        self._check_nest()

    def _check_nest(self) -> None:
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
    def axes(self) -> tuple[str, str]:
        """Of a program: the dims unrolled over rows and columns."""
        return self.rows or "", self.cols or ""

    @property
    def places(self) -> dict[Operand, tuple[str, int]]:
        """Of a program: for every operand kept in the PEs, the memory's name and its position in ``nest``."""
        found: dict[Operand, tuple[str, int]] = {}
        for position, entry in enumerate(self.nest):
            memory, dot, operand = entry.rpartition(".")
            if dot and operand in Operand.__members__:
                found[Operand[operand]] = (memory, position)
        return found
