"""Runs a network under both engines and says where they agree: outputs, every count, cycles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accelsim.engine.executed import Comparison, execute_all
from accelsim.hardware.loader import load_hardware
from accelsim.hardware.spec import Hardware
from accelsim.report.tables import TextColumn
from accelsim.simulation import simulate
from accelsim.workload.network import Network

CYCLES_TOLERANCE = 0.01
"""Share by which the time of a network may differ."""
LAYER_CYCLES = 50.0
"""Cycles by which the time of a layer may differ without a word."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """A network under both engines.

    Attributes:
        network: Name.
        hardware: Name.
        layers: One comparison per distinct layer.
        occurrences: How often every distinct layer stands in the network.
    """

    network: str
    hardware: str
    layers: tuple[Comparison, ...]
    occurrences: tuple[int, ...]

    @property
    def expected_cycles(self) -> float:
        """Time of the network by the closed form."""
        return sum(times * layer.expected_cycles for layer, times in zip(self.layers, self.occurrences, strict=True))

    @property
    def cycles(self) -> float:
        """Time of the network as executed."""
        return sum(times * layer.cycles for layer, times in zip(self.layers, self.occurrences, strict=True))

    @property
    def cycles_difference(self) -> float:
        """By what share the executed time is longer."""
        return self.cycles / self.expected_cycles - 1

    @property
    def agrees(self) -> bool:
        """Whether all outputs and counts are equal and the time is within the tolerance."""
        return all(layer.agrees for layer in self.layers) and abs(self.cycles_difference) <= CYCLES_TOLERANCE

    def records(self) -> list[dict[str, Any]]:
        """Return one row per distinct layer."""
        return [
            {
                "layer": check.expected.layer.name,
                "times": times,
                "dataflow": check.expected.mapping.dataflow,
                "macs": check.expected.layer.macs,
                "outputs_equal": check.outputs_equal,
                "counts_equal": not check.differing,
                "overflows": check.overflows,
                "cycles": check.expected_cycles,
                "cycles_path": check.path_cycles,
                "cycles_executed": check.cycles,
                "cycles_difference": check.cycles / check.expected_cycles - 1,
                "differing": "; ".join(check.differing),
                "cause": check.cause if self._differs(check) else "",
            }
            for check, times in zip(self.layers, self.occurrences, strict=True)
        ]

    @staticmethod
    def _differs(check: Comparison) -> bool:
        apart = abs(check.cycles - check.expected_cycles)
        return apart > max(LAYER_CYCLES, CYCLES_TOLERANCE * check.expected_cycles)

    def lines(self) -> list[str]:
        """Return the verdict for people."""
        wrong = [check.expected.layer.name for check in self.layers if not check.agrees]
        counts = "outputs and all counts equal" if not wrong else f"outputs or counts differ in {', '.join(wrong)}"
        within = "within" if abs(self.cycles_difference) <= CYCLES_TOLERANCE else "NOT within"
        return [
            f"{len(self.layers)} distinct layers: {counts}",
            f"cycles {self.expected_cycles:.0f} by the closed form, {self.cycles:.0f} executed "
            f"({self.cycles_difference:+.2%}, {within} {CYCLES_TOLERANCE:.0%})",
        ]


def verify(
    network: Network | str,
    hardware: Hardware | str,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Verification:
    """Run a network under both engines.

    Args:
        network: The network, or what ``load_network`` takes.
        hardware: The accelerator, or what ``load_hardware`` takes.
        seed: Of the operands.
        progress: Called with (MACs done, MACs in all).
        options: As of ``simulate``.
    """
    machine = load_hardware(hardware) if isinstance(hardware, str) else hardware
    result = simulate(network, machine, **options)
    times = Counter(found.layer.shape_key for found in result.layer_results)
    distinct = {found.layer.shape_key: found for found in reversed(result.layer_results)}
    kept = [found for found in result.layer_results if distinct[found.layer.shape_key] is found]
    checks = execute_all(kept, machine, check_outputs=True, seed=seed, progress=progress)
    return Verification(
        network=result.network.name,
        hardware=machine.name,
        layers=tuple(checks),
        occurrences=tuple(times[found.layer.shape_key] for found in kept),
    )


def columns(verification: Verification) -> list[TextColumn]:
    """Return the table that ``accelsim verify`` prints."""
    rows = verification.records()
    paths = ["-" if row["cycles_path"] is None else f"{row['cycles_path']:.0f}" for row in rows]
    yes = {True: "equal", False: "DIFFER", None: "-"}
    return [
        TextColumn("layer", [row["layer"] for row in rows], keep=9, left=True),
        TextColumn("times", [str(row["times"]) for row in rows]),
        TextColumn("dataflow", [row["dataflow"] for row in rows], keep=2, left=True),
        TextColumn("outputs", [yes[row["outputs_equal"]] for row in rows], keep=8, left=True),
        TextColumn("counts", [yes[row["counts_equal"]] for row in rows], keep=8, left=True),
        TextColumn("cycles", [f"{row['cycles']:.0f}" for row in rows], keep=5),
        TextColumn("path", paths, keep=3),
        TextColumn("executed", [f"{row['cycles_executed']:.0f}" for row in rows], keep=6),
        TextColumn("difference", [f"{row['cycles_difference']:+.2%}" for row in rows], keep=7),
        TextColumn("why", [row["differing"] or row["cause"] for row in rows], keep=4, left=True),
    ]
