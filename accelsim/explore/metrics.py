"""What is known of a point: names, units and directions of its metrics, and the area of an accelerator."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.hardware.area import ArrayArea, array_area, mac_um2
from accelsim.hardware.energy import ACCESS_BITS
from accelsim.hardware.spec import Hardware
from accelsim.hardware.tables import BITS_PER_KB


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
    """Return the area of an accelerator's MACs, registers and buffers; unbounded memories are outside the chip.

    Sums are words, as in the registers. Every operand's registers in a PE are a storage of their own (a tile in wait
    takes the same room again), every buffer is one macro.
    """
    bits = hardware.word_bits
    in_pes = [
        words * (1 + (operand in memory.double_buffered)) * bits / BITS_PER_KB
        for memory in hardware.memories
        for operand, words in (memory.pe_words or {}).items()
    ]
    return array_area(
        pes=pe_count(hardware),
        mac_um2=mac_um2(bits, bits, bits),
        pe_storages=tuple((capacity_kb, bits) for capacity_kb in in_pes),
        buffers=tuple((memory.size_kb, ACCESS_BITS) for memory in hardware.memories if memory.size_kb is not None),
    )


def pe_count(hardware: Hardware) -> int:
    """Return the number of PEs."""
    return sum(fanout.pes for fanout in hardware.fanouts)


def buffer_kb(hardware: Hardware) -> float:
    """Return the capacity of all buffers outside the PEs in KiB."""
    return sum(memory.size_kb or 0.0 for memory in hardware.memories)
