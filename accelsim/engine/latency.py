"""The critical path of a pipeline: what the times of its parts add up to if nothing waits that need not.

It stands between the closed form, a maximum of totals, and the clock of the cycle engine, which shares ports out from
event to event; ``accelsim.engine.latency_kernels`` says which constraints it takes into account.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from accelsim.engine.pipeline_kernels import Pipeline

NAMES = (
    "the fill",
    "iterations",
    "ports that the MACs' words take longer than an iteration",
    "stops of single-buffered memories",
    "tiles that wait for their room, their source or their own store",
    "ports that move more than is computed meanwhile (bursts)",
    "the drain",
)
"""What the time of a path is for, in the order of the kernels' parts."""
ITERATIONS = 1
"""Place of the part that is no loss."""


@dataclass(frozen=True, kw_only=True)
class CriticalPath:
    """How long a pipeline takes at least.

    Attributes:
        cycles: Length of the path.
        parts: What for, by name; they add up to the length.
    """

    cycles: float
    parts: dict[str, float]

    @property
    def largest_loss(self) -> tuple[str, float]:
        """What takes most of the time but the iterations, and its cycles."""
        losses = {name: cycles for place, (name, cycles) in enumerate(self.parts.items()) if place != ITERATIONS}
        name = max(losses, key=lambda key: losses[key])
        return name, losses[name]


def critical_path(pipe: Pipeline) -> CriticalPath:
    """Return the critical path of a pipeline, as ``accelsim.engine.pipeline.build`` makes it."""
    from accelsim.engine import latency_kernels as kernels  # noqa: PLC0415 - numba is loaded only where it is used

    ways, visits, memories = len(pipe.count), len(pipe.opens), pipe.rates.shape[1]
    windows = kernels.Windows(
        start=np.full(2 * ways + 1, -1, np.int64),
        time=np.zeros(2 * ways + 1),
        read=np.zeros((2 * ways + 1, memories)),
        written=np.zeros((2 * ways + 1, memories)),
    )
    times = kernels.Times(
        begin=np.zeros(visits),
        end=np.zeros(visits),
        stored=np.zeros(visits),
        arrival=np.zeros(len(pipe.ticks) + 1),
        opened=np.zeros(ways, np.int64),
        loaded=np.zeros(ways),
        sent=np.zeros(ways),
    )
    parts = np.zeros(len(NAMES))
    cycles = kernels.walk(pipe, windows, times, parts)
    return CriticalPath(cycles=float(cycles), parts=dict(zip(NAMES, parts.tolist(), strict=True)))
