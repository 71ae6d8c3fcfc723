"""What the parts of a hardware description have in common: kinds of values, and strictness."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec

PositiveInt = Annotated[int, msgspec.Meta(gt=0, le=1_000_000)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0, le=1e12)]
Words = Annotated[int, msgspec.Meta(gt=0, le=1_000_000_000)]
Bits = Annotated[int, msgspec.Meta(gt=0, le=1024)]
Rate = Annotated[float, msgspec.Meta(ge=1e-6, le=1e12)]
NonNegativeInt = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
NonNegativeFloat = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
OperandName = Literal["W", "I", "O"]
DimName = Literal["N", "G", "K", "C", "P", "Q", "R", "S"]
Name = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
AxisName = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$")]


class EnergyUnit(StrEnum):
    """What one unit of energy is."""

    MAC = "MAC"
    PJ = "pJ"


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every part of a hardware description."""
