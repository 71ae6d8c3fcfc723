"""What an accelerator is: a description whose parts fit each other.

``accelsim.hardware.parts`` has the parts, ``accelsim.hardware.loader`` reads them from YAML.
"""

from __future__ import annotations

from accelsim.dims import Operand
from accelsim.errors import HardwareError
from accelsim.hardware.checks import CHOICES_OF_DATAFLOW, misfit
from accelsim.hardware.parts import (
    AxisSpec,
    Dataflow,
    Description,
    EnergyUnit,
    Fanout,
    Mac,
    Memory,
)
from accelsim.typecheck import path_text

__all__ = [
    "CHOICES_OF_DATAFLOW",
    "AxisSpec",
    "Dataflow",
    "Description",
    "EnergyUnit",
    "Fanout",
    "Hardware",
    "Mac",
    "Memory",
]


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
        return tuple(memory for memory in self.memories if not self.in_pes(memory))

    def register_words(self, dataflow: str, operand: Operand) -> int:
        """Return the words that every PE holds of an operand that the program keeps there."""
        memory, _ = self.dataflows[dataflow].places[operand]
        words = self.memory(memory).pe_words or {}
        return next(count for name, count in words.items() if name == operand.name)
