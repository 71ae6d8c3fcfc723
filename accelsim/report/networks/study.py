"""Simulations behind the report on networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from accelsim.report.networks.counts import MOBILENET_CSV, SHARES, mobilenet_layer
from accelsim.report.published import read_published
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.workload.loader import load_network
from accelsim.workload.network import INPUT, Network

LARGE, SMALL = "16x16_128KB", "8x8_32KB"
"""The two reference accelerators."""

MACHINES = (LARGE, SMALL)

SE_PAIRS: dict[str, tuple[str, str]] = {
    "ResNet-50": ("resnet50", "seresnet50"),
    "ResNet-101": ("resnet101", "seresnet101"),
    "ResNet-152": ("resnet152", "seresnet152"),
    "ResNeXt-50": ("resnext50_32x4d", "seresnext50_32x4d"),
    "ResNeXt-101": ("resnext101_32x4d", "seresnext101_32x4d"),
    "BN-Inception": ("bn_inception", "se_bn_inception"),
}
"""Networks without and with squeeze-and-excitation."""

SETTINGS = ("1x64d", "2x40d", "4x24d", "8x14d", "32x4d")
"""Cardinality x width of a path, the pairs of the ResNeXt paper's Table 2."""

DEPTHS = (50, 101)
"""Depths of ResNeXt that are compared."""

FORMS = {"grouped": "(c) grouped", "split_concat": "(b) split, joined", "aggregated": "(a) split, summed"}
"""Forms of a ResNeXt block -> their names, with the letters of the paper's Figure 3."""

FORM_SETTING = "32x4d"

DEPTH_NETWORKS = {"ResNet-110": "resnet110_cifar", "ResNet-152": "resnet152", "ResNet-1202": "resnet1202_cifar"}
"""Networks for which stochastic depth is counted."""

MOBILENET = "MobileNet"
"""Label of MobileNet."""

Key = tuple[str, str]
"""Label of a network, and name of the accelerator."""


@dataclass(frozen=True)
class Study:
    """Results by label of the network and name of the accelerator."""

    results: Mapping[Key, Result]

    def __getitem__(self, key: Key) -> Result:
        return self.results[key]


def plain_label(name: str) -> str:
    """Return the label of a network without SE."""
    return f"{name}, plain"


def gated_label(name: str) -> str:
    """Return the label of a network with SE."""
    return f"{name}, SE"


def setting_label(depth: int, setting: str) -> str:
    """Return the label of a ResNeXt by depth, and cardinality x width."""
    return f"ResNeXt-{depth} {setting}"


def form_label(form: str) -> str:
    """Return the label of ResNeXt-50 in a form of its block."""
    return f"ResNeXt-50 {FORM_SETTING} {form}"


def layer_network(row: str) -> Network:
    """Return the layers of a row of MobileNet's table on one layer as a network."""
    layers = mobilenet_layer(row)
    names = (INPUT, *(layer.name for layer in layers))
    return Network(
        name=row,
        input_shape=layers[0].input_shapes[0],
        layers=layers,
        inputs={layer.name: (source,) for source, layer in zip(names[:-1], layers, strict=True)},
    )


def layer_table_rows() -> list[str]:
    """Return the names of the rows of MobileNet's table on one layer."""
    return [row["row"] for row in read_published(MOBILENET_CSV) if row["table"] != SHARES]


def jobs() -> dict[str, tuple[str, dict[str, Any], tuple[str, ...]]]:
    """Return what is simulated: label -> network, parameters, accelerators."""
    found: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {}
    for name, (plain, gated) in SE_PAIRS.items():
        # SE-BN-Inception's convolutions have no biases, and what SE adds is counted against the same network.
        parameters = {"conv_bias": False} if plain == "bn_inception" else {}
        found[plain_label(name)] = (plain, parameters, MACHINES)
        found[gated_label(name)] = (gated, {}, MACHINES)
    for depth in DEPTHS:
        for setting in SETTINGS:
            found[setting_label(depth, setting)] = (f"resnext{depth}_{setting}", {}, MACHINES)
    for form in FORMS:
        found[form_label(form)] = (f"resnext50_{FORM_SETTING}", {"form": form}, MACHINES)
    for label, name in DEPTH_NETWORKS.items():
        found[label] = (name, {}, (LARGE,))
    found[MOBILENET] = ("mobilenet", {}, (LARGE,))
    return found


def run_study(progress: Callable[[int, int], None] | None = None) -> Study:
    """Simulate every network of the report.

    Args:
        progress: Called with (simulations done, simulations in all).
    """
    every = [
        (label, name, parameters, machine)
        for label, (name, parameters, machines) in jobs().items()
        for machine in machines
    ]
    results: dict[Key, Result] = {}
    for done, (label, name, parameters, machine) in enumerate(every):
        if progress:
            progress(done, len(every))
        results[label, machine] = simulate(_load(name, tuple(parameters.items())), machine)
    for row in layer_table_rows():
        results[row, LARGE] = simulate(layer_network(row), LARGE)
    if progress:
        progress(len(every), len(every))
    return Study(results)


@cache
def _load(name: str, parameters: tuple[tuple[str, Any], ...]) -> Network:
    return load_network(name, **dict(parameters))
