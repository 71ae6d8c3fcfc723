"""What is known of a point: names, units and directions of its metrics, and the area of an accelerator."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.hardware import costs
from accelsim.hardware.area import ArrayArea
from accelsim.hardware.spec import Hardware


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a point.

    Attributes:
        unit: Its unit; empty for plain counts.
        help: One sentence that defines it.
        early: Whether it is known before anything is simulated.
        maximise: Whether more is better.
    """

    unit: str
    help: str
    early: bool = False
    maximise: bool = False


METRICS: dict[str, Metric] = {
    "cycles": Metric("cycles", "Time of all inferences."),
    "time_ms": Metric("ms", "Time of all inferences at the accelerator's clock."),
    "energy": Metric("energy unit", "Energy of all inferences, in the unit of the accelerator."),
    "edp": Metric("energy unit ms", "Energy times time."),
    "utilization": Metric("", "MACs executed per PE and cycle.", maximise=True),
    "dram_words": Metric("words", "Words moved to and from DRAM."),
    "area_mm2": Metric("mm2", "Area of MACs, registers and buffers at 45 nm.", early=True),
    "pes": Metric("", "Number of PEs.", early=True),
    "buffer_kb": Metric("KiB", "Capacity of the buffers outside the PEs.", early=True),
    "params": Metric("", "Parameters of all networks.", early=True),
    "macs": Metric("MACs", "Multiply-accumulates of all inferences.", early=True),
    "top1_percent": Metric("%", "Published top-1 accuracy, where there is one.", early=True, maximise=True),
}
"""Every metric by name, in the order of tables."""


def hardware_area(hardware: Hardware) -> ArrayArea:
    """Return the area of an accelerator's MACs and memories; the unbounded outermost one is outside the chip."""
    return costs.area(hardware)


def pe_count(hardware: Hardware) -> int:
    """Return the number of PEs."""
    return hardware.pes


def buffer_kb(hardware: Hardware) -> float:
    """Return the capacity of all buffers outside the PEs in KiB."""
    buffers = [memory for memory in hardware.outer_memories if memory.bounded]
    return sum(costs.capacity_kb(hardware, memory) * hardware.instances(memory) for memory in buffers)
