"""Compute/bandwidth ratios: MACs per byte that a layer needs and gets, and the MACs per cycle that they allow.

Ideal traffic moves every weight, every output and every input that is needed once. A layer's rate is at most that of
the array, what the DRAM channel feeds it at the layer's MACs per DRAM byte, and what the buffer's ports feed it
likewise (S. Williams et al., *Roofline*, CACM 2009). Latencies, fills and drains are in no roof: none is quite reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from accelsim.dims import Operand
from accelsim.engine.general import NestResult
from accelsim.mapping.arrays import Count
from accelsim.result import Column, Result
from accelsim.workload.layer import Op

if TYPE_CHECKING:
    from accelsim.engine.analytical import LayerResult
    from accelsim.hardware.spec import Hardware
    from accelsim.workload.layer import Layer

ROOFLINE_COLUMNS: dict[str, Column] = {
    "layer": Column("", "Name of the first of the layers of this shape."),
    "repeats": Column("", "How many layers have this shape."),
    "kind": Column("", "standard, pointwise (1x1), depthwise, grouped, linear or other."),
    "dataflow": Column("", "Dataflow chosen for the layer."),
    "macs": Column("MACs", "Multiply-accumulates of one of the layers."),
    "time_share": Column("", "Share of the network's time that the layers of this shape take together."),
    "ideal_macs_per_byte": Column("MACs/byte", "If every weight, output and needed input moved once."),
    "macs_per_dram_byte": Column("MACs/byte", "Multiply-accumulates per byte moved to or from DRAM by the mapping."),
    "macs_per_array_byte": Column(
        "MACs/byte",
        "Per byte moved between buffer and array (of other machines than fixed programs: in and out of buffers).",
    ),
    "peak": Column("MACs/cycle", "What the array can do: its PEs, more where it skips zeros."),
    "dram_roof": Column("MACs/cycle", "What DRAM's bandwidth allows at the layer's MACs per DRAM byte."),
    "buffer_roof": Column(
        "MACs/cycle",
        "What the buffer's ports to the array allow, or the busiest memory or network inside of DRAM.",
    ),
    "attainable": Column("MACs/cycle", "The lowest of the three: what the layer could reach at best."),
    "reached": Column("MACs/cycle", "What the layer reaches: its MACs over its cycles, skipped zeros included."),
    "limit": Column("", "Which of the three is the lowest: compute, dram or glb (anything inside of DRAM)."),
}
"""Every column of the roofline table, in order."""


@dataclass(frozen=True, kw_only=True)
class Roofs:
    """What an accelerator can do at most.

    Attributes:
        macs_per_cycle: MACs per cycle of all PEs.
        dram_bytes_per_cycle: Bytes per cycle to and from DRAM, together.
        read_bytes_per_cycle: Bytes per cycle from the buffer into the array.
        write_bytes_per_cycle: Bytes per cycle from the array into the buffer.
    """

    macs_per_cycle: float
    dram_bytes_per_cycle: float
    read_bytes_per_cycle: float
    write_bytes_per_cycle: float

    @property
    def array_bytes_per_cycle(self) -> float:
        """Bytes per cycle through both ports: the buffer's roof if traffic used them evenly."""
        return self.read_bytes_per_cycle + self.write_bytes_per_cycle


@dataclass(frozen=True, kw_only=True)
class LayerPoint:
    """Layers of one shape in a roofline; attributes as ``ROOFLINE_COLUMNS`` defines them."""

    layer: str
    repeats: int
    kind: str
    dataflow: str
    macs: int
    time_share: float
    ideal_macs_per_byte: float
    macs_per_dram_byte: float
    macs_per_array_byte: float
    peak: float
    dram_roof: float
    buffer_roof: float
    reached: float

    @property
    def attainable(self) -> float:
        """The lowest roof."""
        return min(self.peak, self.dram_roof, self.buffer_roof)

    @property
    def limit(self) -> str:
        """What the lowest roof is: ``compute``, ``dram`` or ``glb``."""
        roofs = {"compute": self.peak, "dram": self.dram_roof, "glb": self.buffer_roof}
        return min(roofs, key=lambda name: roofs[name])

    def record(self) -> dict[str, Any]:
        """Return the row of the table, with the keys of ``ROOFLINE_COLUMNS``; None where there is no roof."""
        values = {name: getattr(self, name) for name in ROOFLINE_COLUMNS}
        return {name: None if value == inf else value for name, value in values.items()}


def roofs(hardware: Hardware) -> Roofs:
    """Return what an accelerator can do at most; only the buffer of fixed programs has ports for all its traffic."""
    word_bytes = hardware.word_bits / 8
    reads = writes = inf
    if hardware.programs:
        grid = hardware.fanouts[0].grid
        reads, writes = grid.read_words_per_row * grid.rows, grid.write_words_per_col * grid.cols
    dram = hardware.memories[0]
    both = (dram.read_words_per_cycle or inf) + (dram.write_words_per_cycle or inf)
    return Roofs(
        macs_per_cycle=hardware.pes,
        dram_bytes_per_cycle=min(dram.words_per_cycle or inf, both) * word_bytes,
        read_bytes_per_cycle=reads * word_bytes,
        write_bytes_per_cycle=writes * word_bytes,
    )


def ideal_words(layer: Layer) -> dict[Operand, int]:
    """Return the words of a layer's weights, outputs, and of those inputs that it needs, each counted once."""
    inputs = layer.input_words
    if layer.op is Op.CONV:
        rows = _touched(layer.P, layer.R, layer.stride[0], layer.dilation[0], layer.padding.top, layer.H)
        cols = _touched(layer.Q, layer.S, layer.stride[1], layer.dilation[1], layer.padding.left, layer.W)
        inputs = layer.N * layer.G * layer.C * rows * cols
    return {Operand.W: layer.weights, Operand.I: inputs, Operand.O: layer.output_words}


def ideal_bytes(layer: Layer, hardware: Hardware) -> float:
    """Return the bytes of ``ideal_words`` in DRAM, each operand in its own width and as it is stored."""
    return sum(
        words * layer.stored[operand] * hardware.operand_width(operand) / 8
        for operand, words in ideal_words(layer).items()
    )


def _touched(outputs: int, taps: int, stride: int, dilation: int, pad: int, size: int) -> int:
    """Return how many real input pixels along an axis some window of the layer touches."""
    pixels = {at * stride - pad + tap * dilation for at in range(outputs) for tap in range(taps)}
    return sum(0 <= pixel < size for pixel in pixels)


def layer_points(result: Result) -> list[LayerPoint]:
    """Return a point for every distinct shape of layer, in the network's order."""
    most = roofs(result.hardware)
    records = {record["layer"]: record for record in result.records}
    groups: dict[object, list[str]] = {}
    entries = {entry.layer.name: entry for entry in result.layer_results}
    for name, entry in entries.items():
        groups.setdefault(entry.layer.shape_key, []).append(name)
    cycles = result.totals["cycles"]
    points = []
    for names in groups.values():
        share = sum(records[name]["cycles"] for name in names) / cycles
        first = names[0]
        points.append(_point(entries[first], records[first], most, result.hardware, share, len(names)))
    return points


def harmonic(points: Sequence[LayerPoint], attribute: str) -> float:
    """Return all MACs of the points over the sum of each one's MACs per what the attribute is per."""
    macs = sum(point.macs * point.repeats for point in points)
    return float(macs / sum(point.macs * point.repeats / getattr(point, attribute) for point in points))


def _point(
    entry: LayerResult, record: dict[str, Any], most: Roofs, hardware: Hardware, time_share: float, repeats: int
) -> LayerPoint:
    layer = entry.layer
    macs, word_bytes = layer.macs, hardware.word_bits / 8
    reads, writes = word_bytes * record["glb_read_words"], word_bytes * record["glb_write_words"]
    if hardware.programs:
        # A word that is filled into the buffer is one write there, one that is drained to DRAM one read.
        packed = layer.output_words * (1 - layer.stored.outputs)  # words that DRAM saves of the finished outputs
        reads -= word_bytes * (record["dram_write_words"] + packed)
        writes -= word_bytes * float(sum(entry.counts[[Count.GLB_WRITE_W, Count.GLB_WRITE_I, Count.DRAM_READ_O]]))
    ports = max(_time(reads, most.read_bytes_per_cycle), _time(writes, most.write_bytes_per_cycle))
    if isinstance(entry, NestResult):
        outermost = hardware.memories[0].name
        ports = max((busy for name, busy in entry.cost.busy_cycles.items() if name != outermost), default=0.0)
    return LayerPoint(
        layer=layer.name,
        repeats=repeats,
        kind=str(layer.kind),
        dataflow=record["dataflow"],
        macs=macs,
        time_share=time_share,
        ideal_macs_per_byte=macs / ideal_bytes(layer, hardware),
        macs_per_dram_byte=record["macs_per_dram_byte"],
        macs_per_array_byte=macs / (reads + writes) if reads + writes else inf,
        peak=most.macs_per_cycle * macs / record["macs_executed"],
        dram_roof=record["macs_per_dram_byte"] * most.dram_bytes_per_cycle,
        buffer_roof=macs / ports if ports else inf,
        reached=macs / record["cycles"],
    )


def _time(transferred: float, per_cycle: float) -> float:
    return transferred / per_cycle if per_cycle else 0.0
