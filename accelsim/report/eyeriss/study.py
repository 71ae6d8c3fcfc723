"""Eyeriss's five convolutions of AlexNet as measured (JSSC 2017, Table V) and as computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from accelsim.dims import Operand
from accelsim.engine.closed_form import Cost, active_pes, evaluate
from accelsim.mapping.hierarchy import Machine
from accelsim.mapping.nest import Nest
from accelsim.mapping.row_stationary import RowStationary, row_stationary_nest
from accelsim.report.comparison import Comparison, half_last_digit
from accelsim.report.eyeriss.chip import GLB, eyeriss, hardware
from accelsim.report.eyeriss.optimum import Best, best_mapping
from accelsim.report.published import read_published
from accelsim.workload.layer import Layer
from accelsim.workload.loader import load_network

BATCH = 4
TABLE3, TABLE5 = "eyeriss_mapping_alexnet.csv", "eyeriss_alexnet.csv"
LAYERS = ("CONV1", "CONV2", "CONV3", "CONV4", "CONV5")
CONTRADICTED = "CONV3"
"""The layer whose mapping in Table III cannot give the buffer traffic of Table V."""

MAPPED_ALIKE = "CONV4"
"""The layer whose q, r and t give it."""

MEGABYTE = 1e6
DRAM = "DRAM"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One layer on the machine.

    Attributes:
        layer: Its name in the paper.
        mapping: What it was mapped by.
        nest: The same as a loop nest.
        cost: What that costs.
        active_pes: PEs with work.
        word_bytes: Bytes of a word.
    """

    layer: str
    mapping: RowStationary
    nest: Nest
    cost: Cost
    active_pes: int
    word_bytes: int

    @property
    def passes(self) -> int:
        """How often the array is given new filters and inputs."""
        dims, mapping = alexnet_layer(self.layer).dims, self.mapping
        groups = -(-dims.K // (mapping.p * mapping.t)) * -(-dims.C // (mapping.q * mapping.r))
        return dims.G * groups * -(-dims.N // mapping.n) * -(-dims.P // mapping.e)

    @property
    def filter_load_cycles(self) -> float:
        """Cycles in which the array waits for filters."""
        return sum(
            crossing.words / crossing.rate
            for flow in self.cost.traffic
            if flow.operand is Operand.W
            for crossing in flow.crossings
        )

    @property
    def processing_ms(self) -> float:
        """Time with all DRAM traffic overlapped, as the paper's processing latency."""
        return self.cost.cycles / (hardware().clock_mhz * 1e3)

    @property
    def glb_words(self) -> dict[Operand, int]:
        """Words between the global buffer and the PEs, by operand; partial sums both ways."""
        return {
            flow.operand: flow.source_words + flow.read_back_words for flow in self.cost.traffic if flow.source == GLB
        }

    @property
    def dram_words(self) -> dict[Operand, int]:
        """Words to and from DRAM, by operand."""
        return {
            flow.operand: flow.source_words + flow.read_back_words for flow in self.cost.traffic if flow.source == DRAM
        }

    @property
    def glb_mb(self) -> float:
        """Global buffer accesses, in 10^6 bytes."""
        return sum(self.glb_words.values()) * self.word_bytes / MEGABYTE

    @property
    def dram_mb(self) -> float:
        """DRAM accesses without compression, in 10^6 bytes."""
        return sum(self.dram_words.values()) * self.word_bytes / MEGABYTE


@dataclass(frozen=True, kw_only=True)
class Study:
    """All layers by several mappings.

    Attributes:
        published: By Table III as printed.
        measured: By the mappings that agree with Table V.
        best: By those of least energy x delay.
        searched: What was searched for them, a layer each.
    """

    published: Sequence[Run]
    measured: Sequence[Run]
    best: Sequence[Run]
    searched: Sequence[Best]

    @property
    def by_mapping(self) -> dict[str, Sequence[Run]]:
        """The runs by the name of the mapping."""
        return {"published": self.published, "measured": self.measured, "best": self.best}


def run_study(progress: Callable[[int, int], None] | None = None) -> Study:
    """Evaluate the published mappings and search the best.

    Args:
        progress: Called with (layers done, layers in all) before every layer's search and after the last.
    """
    machine = eyeriss()
    searched = []
    for done, name in enumerate(LAYERS):
        if progress:
            progress(done, len(LAYERS))
        searched.append(best_mapping(alexnet_layer(name), machine))
    if progress:
        progress(len(LAYERS), len(LAYERS))
    return Study(
        published=run_all(published_mappings()),
        measured=run_all(measured_mappings()),
        best=run_all({name: found.mapping for name, found in zip(LAYERS, searched, strict=True)}),
        searched=searched,
    )


def run_layer(name: str, mapping: RowStationary, machine: Machine, layer: Layer | None = None) -> Run:
    """Evaluate a mapping.

    Args:
        name: Name in the paper.
        mapping: The mapping.
        machine: The machine.
        layer: The layer; by default AlexNet's of that name, with the paper's batch.

    Raises:
        InputError: The mapping does not fit.
    """
    layer = alexnet_layer(name) if layer is None else layer
    nest = row_stationary_nest(mapping, layer, machine)
    return Run(
        layer=name,
        mapping=mapping,
        nest=nest,
        cost=evaluate(nest, layer, machine),
        active_pes=active_pes(nest, layer, machine),
        word_bytes=machine.word_bits // 8,
    )


def alexnet_layer(name: str) -> Layer:
    """Return a convolution of AlexNet by its name in the paper, with the paper's batch."""
    return load_network("alexnet")[name.lower()].with_batch(BATCH)


def published_mappings() -> dict[str, RowStationary]:
    """Return Table III, by layer."""
    return {
        row["layer"]: RowStationary(**{key: int(row[key]) for key in ("m", "n", "e", "p", "q", "r", "t")})
        for row in read_published(TABLE3)
    }


def measured_mappings() -> dict[str, RowStationary]:
    """Return the mappings that agree with Table V: those of Table III, but for one layer the next one's q, r and t."""
    mappings = published_mappings()
    alike = mappings[MAPPED_ALIKE]
    return {**mappings, CONTRADICTED: replace(mappings[CONTRADICTED], q=alike.q, r=alike.r, t=alike.t)}


def run_all(mappings: Mapping[str, RowStationary]) -> list[Run]:
    """Evaluate a mapping for every layer."""
    machine = eyeriss()
    return [run_layer(name, mappings[name], machine) for name in LAYERS]


def latency(runs: Sequence[Run]) -> list[Comparison]:
    """Return the processing latencies in ms."""
    return [_comparison("processing latency", run, "processing_latency_ms", run.processing_ms) for run in runs]


def pes(runs: Sequence[Run]) -> list[Comparison]:
    """Return the numbers of active PEs."""
    return [_comparison("active PEs", run, "active_pes", run.active_pes) for run in runs]


def glb_traffic(runs: Sequence[Run]) -> list[Comparison]:
    """Return the global buffer's accesses in MB."""
    return [_comparison("global buffer", run, "glb_access_mb", run.glb_mb) for run in runs]


def dram_traffic(runs: Sequence[Run]) -> list[Comparison]:
    """Return the DRAM accesses in MB; the published ones, measured after compression, times the ratio."""
    found = []
    for run in runs:
        row = _row(run.layer)
        size, ratio = row["dram_access_mb_compressed"], row["dram_compression"]
        doubt = half_last_digit(size) * float(ratio) + half_last_digit(ratio) * float(size)
        found.append(
            Comparison(
                series="DRAM",
                row=run.layer,
                published=float(size) * float(ratio),
                ours=run.dram_mb,
                accuracy=doubt,
            )
        )
    return found


def _comparison(series: str, run: Run, column: str, ours: float) -> Comparison:
    text = _row(run.layer)[column]
    return Comparison(series=series, row=run.layer, published=float(text), ours=ours, accuracy=half_last_digit(text))


def _row(layer: str) -> dict[str, str]:
    return next(row for row in read_published(TABLE5) if row["layer"] == layer)
