"""Executes one layer of a network and writes what happened when: table, trace for viewers, timeline."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from accelsim.engine.analytical import LayerResult
from accelsim.engine.cycle import execute
from accelsim.engine.dram import BankedDram, DramTimings
from accelsim.engine.general import NestResult
from accelsim.engine.reference import execute_reference
from accelsim.errors import InputError
from accelsim.hardware.loader import load_hardware
from accelsim.hardware.spec import Hardware
from accelsim.mapping.machine import machine_of
from accelsim.mapping.mapping import Mapping as LoopNest
from accelsim.mapping.mapping import NestMapping
from accelsim.report.trace import Events, nest_events, program_events, save_chrome, save_parquet, save_timeline
from accelsim.simulation import placed, simulate
from accelsim.workload.network import Network
from accelsim.workload.storage_plan import StoragePlan


def layer_events(result: LayerResult, hardware: Hardware, dram: DramTimings | None = None) -> Events:
    """Return the events of a layer under its mapping.

    Args:
        result: The layer, with the mapping that is executed.
        hardware: The accelerator.
        dram: A DRAM with banks behind the DMA of a reference accelerator; None takes the hardware's bandwidth.

    Raises:
        InputError: Banks are asked of a general machine.
    """
    if isinstance(result, NestResult):
        if dram is not None:
            raise InputError(f"{hardware.name}: a DRAM with banks is modelled behind fixed programs only")
        assert isinstance(result.mapping, NestMapping)
        done = execute(result.mapping.nest, result.layer, machine_of(hardware), trace=True)
        return nest_events(done.timing)
    mapping = result.mapping
    assert isinstance(mapping, LoopNest)
    banks = None if dram is None else BankedDram(timings=dram)
    executed = execute_reference(result.layer, hardware, mapping.dataflow, mapping.tile, mapping.order, dram=banks)
    return program_events(executed)


def trace_layer(
    network: Network | str,
    layer: str,
    hardware: Hardware | str,
    folder: str | os.PathLike[str],
    *,
    dram: DramTimings | None = None,
    batch: int | None = None,
    storage: StoragePlan | str | os.PathLike[str] | None = None,
    **options: Any,
) -> list[Path]:
    """Execute one layer of a network and write ``trace.parquet``, ``trace.json`` and ``timeline.svg`` to a folder.

    Args:
        network: The network, or what ``load_network`` takes.
        layer: Name of the layer.
        hardware: The accelerator, or what ``load_hardware`` takes.
        folder: Where to write; made if it does not exist.
        dram: As of ``layer_events``.
        batch: As of ``simulate``, as all that follow.
        storage: Not together with ``dram``.
        options: Others.
    """
    machine = load_hardware(hardware) if isinstance(hardware, str) else hardware
    net, images = placed(network, machine, batch, storage)
    chosen = net[layer]
    if not chosen.on_array:
        raise InputError(f"layer {layer} of {net.name} only moves data; no array executes it")
    alone = Network(
        name=net.name, input_shape=chosen.input_shapes[0], layers=(chosen,), inputs={chosen.name: ("input",)}
    )
    events = layer_events(simulate(alone, machine, batch=images, **options)[layer], machine, dram)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    title = f"{net.name} {layer} on {machine.name}"
    return [
        save_parquet(events, target / "trace.parquet"),
        save_chrome(events, target / "trace.json"),
        save_timeline(events, target / "timeline.svg", title=title),
    ]
