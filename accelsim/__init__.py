"""accelsim: how long a convolutional network takes on a PE-array accelerator, and where cycles and energy go.

    from accelsim import load_network, load_hardware, simulate

    result = simulate(load_network("squeezenext23"), load_hardware("16x16_128KB"))
    result.totals["cycles"], result.layers

Names are imported on first use, so that ``import accelsim`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelsim.alternatives import MappingFront, best_mapping, best_mappings, mapping_front
    from accelsim.explore.runner import explore
    from accelsim.hardware.loader import hardware_names, load_hardware
    from accelsim.hardware.spec import Hardware
    from accelsim.result import Result
    from accelsim.simulation import compare, simulate
    from accelsim.workload.layer import Layer
    from accelsim.workload.loader import load_network, network_names
    from accelsim.workload.network import Network, NetworkBuilder
    from accelsim.workload.pytorch import from_torch

__version__ = "0.1.0"

_HOMES = {
    "Hardware": "hardware.spec",
    "Layer": "workload.layer",
    "MappingFront": "alternatives",
    "Network": "workload.network",
    "NetworkBuilder": "workload.network",
    "Result": "result",
    "best_mapping": "alternatives",
    "best_mappings": "alternatives",
    "compare": "simulation",
    "from_torch": "workload.pytorch",
    "explore": "explore.runner",
    "hardware_names": "hardware.loader",
    "load_hardware": "hardware.loader",
    "load_network": "workload.loader",
    "mapping_front": "alternatives",
    "network_names": "workload.loader",
    "simulate": "simulation",
}

__all__ = [
    "Hardware",
    "Layer",
    "MappingFront",
    "Network",
    "NetworkBuilder",
    "Result",
    "best_mapping",
    "best_mappings",
    "compare",
    "explore",
    "from_torch",
    "hardware_names",
    "load_hardware",
    "load_network",
    "mapping_front",
    "network_names",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'accelsim' has no attribute {name!r}")
    return getattr(import_module(f"accelsim.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
