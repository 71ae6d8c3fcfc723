"""What the reproduction of Eyeriss is held to."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.report.comparison import Verdict
from accelsim.report.eyeriss.study import Run, dram_traffic, glb_traffic, latency, pes

LATENCY_EACH = 0.10
PES_EACH = 0.0
TRAFFIC_EACH = 0.20


def verdicts(runs: Sequence[Run]) -> list[Verdict]:
    """Judge all that Table V says of every layer."""
    judged = (
        ("processing latency", LATENCY_EACH, latency(runs)),
        ("active PEs", PES_EACH, pes(runs)),
        ("global buffer accesses", TRAFFIC_EACH, glb_traffic(runs)),
        ("DRAM accesses", TRAFFIC_EACH, dram_traffic(runs)),
    )
    return [Verdict(goal=what, each=each, mean=None, comparisons=tuple(found)) for what, each, found in judged]
