"""What a simulation says: one row per layer, totals that derive from the rows, and where they came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

from accelsim.dims import Operand
from accelsim.engine.analytical import ENERGY_COMPONENTS, LayerResult
from accelsim.errors import InputError, did_you_mean
from accelsim.hardware.spec import Hardware
from accelsim.mapping.arrays import Count
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

SCHEMA_VERSION = 1
"""Version of the JSON layout."""


@dataclass(frozen=True)
class Column:
    """A column of the per-layer table.

    Attributes:
        unit: Unit of its values; empty for names and plain counts.
        help: One sentence that defines it.
    """

    unit: str
    help: str


COLUMNS: dict[str, Column] = {
    "network": Column("", "Name of the network."),
    "hardware": Column("", "Name of the accelerator."),
    "layer": Column("", "Name of the layer."),
    "block": Column("", "Path of the block that the layer belongs to."),
    "op": Column("", "Operation: conv, linear or matmul."),
    "kind": Column("", "standard, pointwise (1x1), depthwise, grouped, linear or other."),
    "N": Column("", "Batch."),
    "G": Column("", "Convolution groups; a depthwise convolution has one per channel."),
    "K": Column("", "Output channels per group."),
    "C": Column("", "Input channels per group."),
    "P": Column("", "Output height in pixels."),
    "Q": Column("", "Output width in pixels."),
    "R": Column("", "Filter height in pixels."),
    "S": Column("", "Filter width in pixels."),
    "stride": Column("pixels", "Vertical step of the filter."),
    "stride_w": Column("pixels", "Horizontal step of the filter."),
    "macs": Column("MACs", "Multiply-accumulates of the layer, zeros and padding included."),
    "weights": Column("words", "Filter weights."),
    "dataflow": Column("", "Dataflow chosen for the layer."),
    "cycles": Column("cycles", "Time of the layer."),
    "time_ms": Column("ms", "Time of the layer at the accelerator's clock."),
    "compute_cycles": Column("cycles", "Cycles in which the array works, its preload, fill and drain included."),
    "dram_cycles": Column("cycles", "Cycles in which the DMA moves words to and from DRAM, or waits for it."),
    "stall_cycles": Column("cycles", "Cycles in which the array waits for DRAM: cycles less compute_cycles."),
    "utilization": Column("", "MACs executed per PE and cycle; skipped zeros are not executed."),
    "bound": Column("", "What the layer waits for: compute, dram, glb (loads and drains of the array), or a memory."),
    "energy": Column("energy unit", "Energy of the layer, the sum of its components."),
    **{
        f"energy_{component}": Column("energy unit", f"Energy of {what}.")
        for component, what in (
            ("mac", "the multiply-accumulates"),
            ("rf", "the registers in the PEs"),
            ("noc", "the links between PEs"),
            ("glb", "the global buffer, or all memories between DRAM and the PEs"),
            ("dram", "DRAM"),
        )
    },
    "energy_unit": Column("", "What one unit of energy is: MAC (one 16-bit MAC) or pJ."),
    "dram_read_words": Column("words", "Words read from DRAM."),
    "dram_write_words": Column("words", "Words written to DRAM."),
    "glb_read_words": Column("words", "Words read from the global buffer (or buffers), towards the array or DRAM."),
    "glb_write_words": Column("words", "Words written to the global buffer (or buffers), from the array or DRAM."),
    "macs_per_dram_byte": Column("MACs/byte", "Multiply-accumulates per byte moved to or from DRAM."),
    "macs_per_glb_byte": Column("MACs/byte", "Multiply-accumulates per byte moved to or from the global buffer."),
    "macs_executed": Column("MACs", "Multiply-accumulates that the array executes; skipped zeros are not."),
    "mappings": Column("", "Mappings in the space that was searched completely (rounded from 2^63); 1 if given."),
    "mappings_walked": Column("", "Mappings evaluated in full; all others were proven no better."),
}
"""Every column of the per-layer table, in order."""


def _columns_of(memory: str, kind: str) -> list[tuple[int, int]]:
    """Return the count and the operand of everything of a kind that a memory moves."""
    names = {f"{memory}_{kind}_{operand.name}": int(operand) for operand in Operand}
    return [(int(Count[name]), operand) for name, operand in names.items() if name in Count.__members__]


_MOVES = {memory: (_columns_of(memory, "READ"), _columns_of(memory, "WRITE")) for memory in ("DRAM", "GLB")}
"""Columns of the counts that a memory reads, and writes, each with its operand."""


@dataclass(frozen=True)
class Result:
    """A simulated network.

    Attributes:
        network: The network, at the simulated batch.
        hardware: The accelerator.
        layer_results: What every layer on the array costs, in the network's order.
        not_charged: Layers that move data and that the hardware's ``data_operations`` leaves out.
        options: What was asked: dataflow, objective, batch, engine.
    """

    network: Network
    hardware: Hardware
    layer_results: tuple[LayerResult, ...]
    not_charged: tuple[Layer, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> LayerResult:
        for result in self.layer_results:
            if result.layer.name == name:
                return result
        known = [result.layer.name for result in self.layer_results]
        raise InputError(f"no result for layer {name!r} of {self.network.name}{did_you_mean(name, known)}")

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """The per-layer table as plain records, one per layer, with the keys of ``COLUMNS`` in order."""
        return [self._record(result) for result in self.layer_results]

    @property
    def layers(self) -> pd.DataFrame:
        """The per-layer table; ``COLUMNS`` defines each column and its unit."""
        import pandas as pd  # noqa: PLC0415 - a third of a second that tables and JSON do without

        return pd.DataFrame(self.records, columns=list(COLUMNS))

    @cached_property
    def totals(self) -> dict[str, Any]:
        """Sums over the layers, and the network's parameters.

        Keys: ``macs, params, params_conv, params_linear, params_bias, params_bn, params_other, macs_executed, cycles,
        compute_cycles, dram_cycles, stall_cycles, time_ms, energy, energy_mac ... energy_dram, energy_unit,
        utilization, dram_words, dram_read_words, dram_write_words, glb_words, layers, layers_not_charged``.
        """
        summed = {
            name: sum(record[name] for record in self.records)
            for name in (
                "macs_executed",
                "cycles",
                "compute_cycles",
                "dram_cycles",
                "stall_cycles",
                "time_ms",
                "energy",
                *(f"energy_{component}" for component in ENERGY_COMPONENTS),
                "dram_read_words",
                "dram_write_words",
                "glb_read_words",
                "glb_write_words",
            )
        }
        glb_words = summed.pop("glb_read_words") + summed.pop("glb_write_words")
        return {
            **self.network.totals,
            **summed,
            "energy_unit": str(self.hardware.energy_unit),
            "utilization": self._utilization(summed["macs_executed"], summed["cycles"]),
            "dram_words": summed["dram_read_words"] + summed["dram_write_words"],
            "glb_words": glb_words,
            "layers": len(self.layer_results),
            "layers_not_charged": len(self.not_charged),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, in the layout of ``--format json``."""
        return {
            "schema": SCHEMA_VERSION,
            "network": self.network.name,
            "hardware": self.hardware.name,
            "options": dict(self.options),
            "totals": self.totals,
            "layers": self.records,
            "not_charged": [{"layer": layer.name, "op": str(layer.op)} for layer in self.not_charged],
        }

    def to_json(self) -> str:
        """Return ``to_dict`` as JSON text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def save(self, folder: str | PathLike[str], *, command: str = "") -> list[Path]:
        """Write tables, plots and a manifest into ``folder``; see ``accelsim.report.files.save_result``."""
        from accelsim.report.files import save_result  # noqa: PLC0415 - reports import results

        return save_result(self, folder, command=command)

    def plot(self, metric: str = "time", path: str | PathLike[str] | None = None) -> Any:
        """Draw ``time``, ``energy``, ``traffic`` or ``utilization`` per layer; see ``accelsim.report.plots``."""
        from accelsim.report.plots import plot_result  # noqa: PLC0415 - reports import results

        return plot_result(self, metric, path)

    def _utilization(self, macs_executed: float, cycles: int) -> float:
        return float(macs_executed / (self.hardware.pes * cycles))

    @cached_property
    def _word_bytes(self) -> list[float]:
        """Bytes of a word of every operand."""
        return [self.hardware.operand_width(operand) / 8 for operand in Operand]

    def _bytes(self, counts: list[float], memory: str) -> float:
        """Return the bytes that a memory reads and writes, each operand's words in its own width."""
        reads, writes = (
            sum(counts[index] * self._word_bytes[operand] for index, operand in columns) for columns in _MOVES[memory]
        )
        return float(reads + writes)

    def _record(self, result: LayerResult) -> dict[str, Any]:
        layer, counts = result.layer, result.counts.tolist()  # Python's floats are the faster ones, one by one
        dram_read = sum(counts[Count.DRAM_READ_W : Count.DRAM_READ_O + 1])
        dram_write = counts[Count.DRAM_WRITE_O]
        glb_read = sum(counts[Count.GLB_READ_W : Count.GLB_READ_O + 1])
        glb_write = sum(counts[Count.GLB_WRITE_W : Count.GLB_WRITE_O + 1])
        executed = float(counts[Count.MAC])
        return {
            "network": self.network.name,
            "hardware": self.hardware.name,
            "layer": layer.name,
            "block": layer.block,
            "op": str(layer.op),
            "kind": str(layer.kind),
            **layer.dims._asdict(),
            "stride": layer.stride[0],
            "stride_w": layer.stride[1],
            "macs": layer.macs,
            "weights": layer.weights,
            "dataflow": result.mapping.dataflow,
            "cycles": result.cycles,
            "time_ms": result.cycles / self.hardware.clock_mhz / 1e3,
            "compute_cycles": result.array_cycles,
            "dram_cycles": result.dram_cycles,
            "stall_cycles": result.cycles - result.array_cycles,
            "utilization": self._utilization(executed, result.cycles),
            "bound": result.bound,
            "energy": result.total_energy,
            **{f"energy_{component}": value for component, value in result.energy.items()},
            "energy_unit": str(self.hardware.energy_unit),
            "dram_read_words": round(dram_read),
            "dram_write_words": round(dram_write),
            "glb_read_words": float(glb_read),
            "glb_write_words": float(glb_write),
            "macs_per_dram_byte": float(layer.macs / self._bytes(counts, "DRAM")),
            "macs_per_glb_byte": _ratio(layer.macs, self._bytes(counts, "GLB")),
            "macs_executed": executed,
            "mappings": result.space if result.space < 2**63 else float(result.space),  # tables have 64 bits
            "mappings_walked": result.walked,
        }


def _ratio(amount: float, per: float) -> float:
    """Return a ratio; of nothing (a machine without memories between DRAM and the PEs) it is 0."""
    return float(amount / per) if per else 0.0
