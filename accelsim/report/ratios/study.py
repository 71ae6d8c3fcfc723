"""Simulations behind the report on compute/bandwidth ratios, and the rows of its tables.

The worked example is one layer of MobileNet (A. Howard et al., arXiv:1704.04861): 3x3 from 512 to 512 channels of
14 x 14 pixels. Factored into a depthwise 3x3 and a pointwise one, it has 52.3 instead of 462 million MACs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from accelsim.errors import NoMappingError
from accelsim.hardware.loader import load_hardware
from accelsim.hardware.spec import Hardware
from accelsim.report.intensity import harmonic, ideal_bytes, layer_points, roofs
from accelsim.result import Column, Result
from accelsim.simulation import simulate
from accelsim.workload.layer import Layer
from accelsim.workload.loader import load_network
from accelsim.workload.network import INPUT, Network

LARGE, SMALL = "16x16_128KB", "8x8_32KB"

MACHINES = (LARGE, SMALL)
"""The two reference accelerators."""

MOBILENET, SQUEEZENEXT = "mobilenet", "squeezenext23"

NETWORKS = (MOBILENET, SQUEEZENEXT, "squeezenext23v5")
"""Networks that are compared by kind of layer."""

CHANNELS, PIXELS, GROUPS = 512, 14, 32
"""Channels and pixels of the worked example; groups of its grouped form, as many as ResNeXt has paths."""

FORMS: dict[str, tuple[str, ...]] = {
    "standard": ("standard",),
    "grouped": ("grouped",),
    "depthwise": ("depthwise",),
    "pointwise": ("pointwise",),
    "separable": ("depthwise", "pointwise"),
}
"""Form of the layer -> the convolutions that it is made of."""

BEST = "best"
"""The dataflow that is the faster one of the hardware's for every layer."""

ARRAYS = (4, 8, 16, 32, 64)
"""Rows, and columns, of the arrays that are swept."""

BUFFERS_KIB = (16, 32, 64, 128, 256, 512)
"""Sizes of the global buffers that are swept."""

SWEPT = ("standard", "pointwise", "depthwise")
"""Forms that are swept."""

FORM_COLUMNS: dict[str, Column] = {
    "hardware": Column("", "Name of the accelerator."),
    "form": Column("", "Form of the layer; separable is depthwise, then pointwise."),
    "dataflow": Column("", "Dataflow asked for; best is the faster one of every layer."),
    "objective": Column("", "What the mappings are chosen for: cycles or energy."),
    "macs": Column("MACs", "Multiply-accumulates."),
    "ideal_macs_per_byte": Column("MACs/byte", "If every weight, output and needed input moved once."),
    "macs_per_dram_byte": Column("MACs/byte", "Per byte moved to or from DRAM by the best mapping."),
    "macs_per_array_byte": Column("MACs/byte", "Per byte moved between global buffer and array by the best mapping."),
    "attainable_macs_per_cycle": Column("MACs/cycle", "The lowest roof: array, DRAM, or the buffer's ports."),
    "limit": Column("", "Which roof is the lowest: compute, dram or glb; of two layers, one name each."),
    "reached_macs_per_cycle": Column("MACs/cycle", "MACs over cycles."),
    "cycles": Column("cycles", "Time."),
    "energy": Column("energy unit", "Energy, in MACs on the reference accelerators."),
}
"""Columns of ``forms.csv``."""


Key = TypeVar("Key")

FormKey = tuple[str, str, str, str]
"""Form, accelerator, dataflow and objective."""

TIME, ENERGY = "cycles", "energy"
"""What mappings are chosen for."""


@dataclass(frozen=True)
class Study:
    """What is simulated.

    Attributes:
        networks: By network and accelerator.
        forms: By form, accelerator, dataflow and objective; without an entry where no mapping exists.
        sweep: By form, rows of the array and size of the buffer in KiB.
    """

    networks: Mapping[tuple[str, str], Result]
    forms: Mapping[FormKey, Result]
    sweep: Mapping[tuple[str, int, int], Result]


def form_network(form: str) -> Network:
    """Return one form of the worked example as a network."""
    made = {
        "standard": Layer.conv("standard", CHANNELS, CHANNELS, PIXELS, 3, padding=1),
        "grouped": Layer.conv("grouped", CHANNELS, CHANNELS, PIXELS, 3, padding=1, groups=GROUPS),
        "depthwise": Layer.conv("depthwise", CHANNELS, CHANNELS, PIXELS, 3, padding=1, groups=CHANNELS),
        "pointwise": Layer.conv("pointwise", CHANNELS, CHANNELS, PIXELS),
    }
    layers = tuple(made[name] for name in FORMS[form])
    sources = (INPUT, *(layer.name for layer in layers))
    return Network(
        name=form,
        input_shape=layers[0].input_shapes[0],
        layers=layers,
        inputs={layer.name: (source,) for source, layer in zip(sources[:-1], layers, strict=True)},
    )


def run_study(progress: Callable[[int, int], None] | None = None) -> Study:
    """Simulate everything.

    Args:
        progress: Called with (simulations done, simulations in all).
    """
    machines = {name: load_hardware(name) for name in MACHINES}
    dataflows = {name: (BEST, *machine.dataflows) for name, machine in machines.items()}
    networks = [(network, name) for network in NETWORKS for name in MACHINES]
    forms = [(form, name, flow, TIME) for form in FORMS for name in MACHINES for flow in dataflows[name]]
    forms += [(form, name, BEST, ENERGY) for form in FORMS for name in MACHINES]
    sweep = [(form, rows, size) for form in SWEPT for rows in ARRAYS for size in BUFFERS_KIB]
    total, done = len(networks) + len(forms) + len(sweep), 0

    def run(network: Network, hardware: Hardware, dataflow: str = BEST, objective: str = TIME) -> Result | None:
        nonlocal done
        if progress:
            progress(done, total)
        done += 1
        try:
            return simulate(network, hardware, dataflow=dataflow, objective=objective)
        except NoMappingError:
            return None

    found = Study(
        networks=_known((key, run(load_network(key[0]), machines[key[1]])) for key in networks),
        forms=_known((key, run(form_network(key[0]), machines[key[1]], key[2], key[3])) for key in forms),
        sweep=_known((key, run(form_network(key[0]), swept_hardware(*key[1:]))) for key in sweep),
    )
    if progress:
        progress(total, total)
    return found


def _known(pairs: Iterable[tuple[Key, Result | None]]) -> dict[Key, Result]:
    return {key: result for key, result in pairs if result is not None}


def swept_hardware(rows: int, buffer_kib: int) -> Hardware:
    """Return the larger reference accelerator with another array and buffer, all else equal."""
    return load_hardware(
        LARGE, **{"fanouts.array.rows": rows, "fanouts.array.cols": rows, "memories.GLB.size_kb": buffer_kib}
    )


def form_rows(study: Study) -> list[dict[str, Any]]:
    """Return a row per form, accelerator, dataflow and objective, with the keys of ``FORM_COLUMNS``."""
    rows = []
    for (form, hardware, dataflow, objective), result in study.forms.items():
        points, totals = layer_points(result), result.totals
        word_bytes = result.hardware.word_bits / 8
        rows.append(
            {
                "hardware": hardware,
                "form": form,
                "dataflow": dataflow,
                "objective": objective,
                "macs": totals["macs"],
                "ideal_macs_per_byte": totals["macs"]
                / sum(ideal_bytes(entry.layer, result.hardware) for entry in result.layer_results),
                "macs_per_dram_byte": totals["macs"] / (word_bytes * totals["dram_words"]),
                "macs_per_array_byte": harmonic(points, "macs_per_array_byte"),
                "attainable_macs_per_cycle": harmonic(points, "attainable"),
                "limit": "+".join(point.limit for point in points),
                "reached_macs_per_cycle": totals["macs"] / totals["cycles"],
                "cycles": totals["cycles"],
                "energy": totals["energy"],
            }
        )
    return rows


def kind_rows(study: Study) -> list[dict[str, Any]]:
    """Return a row per network, accelerator and kind of layer: shares, ratios, rates."""
    rows = []
    for (network, hardware), result in study.networks.items():
        totals, points = result.totals, layer_points(result)
        for kind in dict.fromkeys(point.kind for point in points):
            records = [record for record in result.records if record["kind"] == kind]
            chosen = [point for point in points if point.kind == kind]
            sums = {key: sum(record[key] for record in records) for key in ("macs", "cycles", "energy")}
            waiting = sum(record["cycles"] for record in records if record["bound"] == "dram")
            rows.append(
                {
                    "network": network,
                    "hardware": hardware,
                    "kind": kind,
                    "layers": len(records),
                    "share_of_macs": sums["macs"] / totals["macs"],
                    "share_of_time": sums["cycles"] / totals["cycles"],
                    "share_of_energy": sums["energy"] / totals["energy"],
                    "ideal_macs_per_byte": harmonic(chosen, "ideal_macs_per_byte"),
                    "macs_per_dram_byte": harmonic(chosen, "macs_per_dram_byte"),
                    "macs_per_array_byte": harmonic(chosen, "macs_per_array_byte"),
                    "attainable_macs_per_cycle": harmonic(chosen, "attainable"),
                    "reached_macs_per_cycle": sums["macs"] / sums["cycles"],
                    "time_bound_by_dram": waiting / sums["cycles"],
                }
            )
    return rows


def sweep_rows(study: Study) -> list[dict[str, Any]]:
    """Return a row per form, array and buffer: rate, share of the array's, and what bounds it."""
    rows = []
    for (form, array, buffer_kib), result in study.sweep.items():
        (record,), (point,) = result.records, layer_points(result)
        rows.append(
            {
                "form": form,
                "array": f"{array}x{array}",
                "buffer_kib": buffer_kib,
                "dataflow": record["dataflow"],
                "bound": record["bound"],
                "macs_per_dram_byte": point.macs_per_dram_byte,
                "reached_macs_per_cycle": point.reached,
                "share_of_array": point.reached / roofs(result.hardware).macs_per_cycle,
                "stalled": record["stall_cycles"] / record["cycles"],
                "cycles": record["cycles"],
                "energy": record["energy"],
            }
        )
    return rows


@dataclass(frozen=True)
class Left:
    """What is left on an accelerator of the factor in MACs between the standard layer and the separable one.

    Attributes:
        hardware: Name of the accelerator.
        dataflow: Dataflow of both.
        objective: What the mappings of both are chosen for.
        macs: MACs of the standard layer over those of the separable one.
        time: The same of cycles.
        energy: The same of energy.
    """

    hardware: str
    dataflow: str
    objective: str
    macs: float
    time: float
    energy: float


def what_is_left(study: Study) -> list[Left]:
    """Return the factors for every accelerator, dataflow and objective under which both forms have a mapping."""
    found = []
    for (form, hardware, dataflow, objective), result in study.forms.items():
        separable = study.forms.get(("separable", hardware, dataflow, objective))
        if form == "standard" and separable is not None:
            ratio = {key: result.totals[key] / separable.totals[key] for key in ("macs", "cycles", "energy")}
            found.append(Left(hardware, dataflow, objective, ratio["macs"], ratio["cycles"], ratio["energy"]))
    return found
