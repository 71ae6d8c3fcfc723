"""The mapping of one layer: its loop nest as text and data, how full it makes the memories, and a picture of both."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from accelsim.dims import Operand
from accelsim.engine.general import NestResult
from accelsim.errors import InputError, did_you_mean
from accelsim.mapping.handwritten import to_yaml
from accelsim.mapping.mapping import NestMapping
from accelsim.report.occupancy import Fill, buffer_fills, nest_fills
from accelsim.report.plots import figure_style, targets, write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from accelsim.engine.analytical import LayerResult
    from accelsim.hardware.spec import Hardware
    from accelsim.workload.layer import Layer
    from accelsim.workload.network import Network
    from accelsim.workload.storage_plan import StoragePlan

COLORS = {Operand.W: "#0072B2", Operand.I: "#E69F00", Operand.O: "#009E73"}
"""Okabe and Ito's palette: told apart by the colour-blind, too."""


@dataclass(frozen=True, kw_only=True)
class LayerMap:
    """A layer's best mapping.

    Attributes:
        hardware: The accelerator.
        result: What the layer costs.
        fills: How full the memories are.
    """

    hardware: Hardware
    result: LayerResult
    fills: list[Fill]

    def lines(self) -> list[str]:
        """Return what people read: the nest, the fill of every memory, the costs, the size of the search."""
        result, unit = self.result, self.hardware.energy_unit
        lines = [f"{result.layer.name} on {self.hardware.name}, dataflow {result.mapping.dataflow}", ""]
        lines += [f"  {line}" for line in str(result.mapping).splitlines()]
        lines.append("")
        for fill in self.fills:
            words = ", ".join(f"{operand.name} {count:g}" for operand, count in fill.words.items())
            share = f" = {sum(fill.words.values()) / fill.capacity_words:.1%}" if fill.capacity_words else ""
            lines.append(f"  {fill.memory} holds {words} of {fill.capacity_words} words{share}")
        lines += [
            f"  {result.cycles:,} cycles, bound by {result.bound}; energy {result.total_energy:,.0f} {unit}",
            f"  {self._search()}",
        ]
        return lines

    def data(self) -> dict[str, Any]:
        """Return it as plain data, as ``--format json`` prints it."""
        result = self.result
        return {
            "schema": 1,
            "layer": result.layer.name,
            "hardware": self.hardware.name,
            "dataflow": result.mapping.dataflow,
            "nest": str(result.mapping).splitlines(),
            "fills": [fill.plain() for fill in self.fills],
            "cycles": result.cycles,
            "energy": result.total_energy,
            "energy_unit": self.hardware.energy_unit,
            "bound": result.bound,
            "mappings": result.space,
            "evaluated": result.walked,
            "complete": getattr(result, "complete", True),
        }

    def yaml(self) -> str:
        """Return the mapping as ``accelsim run --mapping`` takes it.

        Raises:
            InputError: It is that of a fixed program, which has no nest of its own.
        """
        if not isinstance(self.result.mapping, NestMapping):
            raise InputError(
                f"{self.hardware.name} runs {self.result.layer.name} by its fixed program "
                f"{self.result.mapping.dataflow}; only searched mappings have a YAML form: try --dataflow any"
            )
        return to_yaml({self.result.layer.name: self.result.mapping.nest})

    def _search(self) -> str:
        size = f"{self.result.space:,}" if self.result.space < 10**9 else f"{float(self.result.space):.3g}"
        done = "all covered" if getattr(self.result, "complete", True) else "the search ended at its limit"
        return f"best of {size} mappings, {done}; {self.result.walked:,} evaluated, the others bounded"


def map_layer(
    network: Network | str,
    layer: str,
    hardware: Hardware | str,
    *,
    batch: int | None = None,
    storage: StoragePlan | str | PathLike[str] | None = None,
    **options: Any,
) -> LayerMap:
    """Return the best mapping of one layer; options as of ``simulate``.

    Raises:
        InputError: The network has no such layer on the array, or an option is wrong.
        NoMappingError: Nothing fits.
    """
    from accelsim.mapping.machine import machine_of  # noqa: PLC0415
    from accelsim.simulation import solve_one  # noqa: PLC0415 - numba is loaded only where it is used

    own, hw = find_layer(network, layer, hardware, batch=batch, storage=storage)
    result = solve_one(own, hw, **options)
    if isinstance(result, NestResult) and isinstance(result.mapping, NestMapping):
        fills = nest_fills(result.mapping.nest, result.layer, machine_of(hw))
    else:
        fills = buffer_fills(result, hw)
    return LayerMap(hardware=hw, result=result, fills=fills)


def find_layer(
    network: Network | str,
    layer: str,
    hardware: Hardware | str,
    *,
    batch: int | None = None,
    storage: StoragePlan | str | PathLike[str] | None = None,
) -> tuple[Layer, Hardware]:
    """Return a layer of a network, by name, and an accelerator; options as of ``simulate``.

    Raises:
        InputError: The network has no such layer on the array, or a name is wrong.
    """
    from accelsim.hardware.loader import load_hardware  # noqa: PLC0415
    from accelsim.simulation import placed  # noqa: PLC0415 - numba is loaded only where it is used

    hw = load_hardware(hardware) if isinstance(hardware, str) else hardware
    net, _ = placed(network, hw, batch, storage)
    names = {own.name: own for own in net.array_layers}
    if layer not in names:
        raise InputError(
            f"network {net.name}: no layer {layer!r} runs on the array{did_you_mean(layer, names)}; "
            f"see `accelsim networks {net.name}`"
        )
    return names[layer], hw


def plot_map(found: LayerMap, path: str | PathLike[str]) -> None:
    """Draw the nest as text beside bars of how full every memory is.

    Args:
        found: The mapping.
        path: File to save to, as PNG, SVG or PDF by its suffix; without a suffix, as PNG and SVG.

    Raises:
        InputError: The suffix is unknown, or the file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    wanted = targets(path)
    with figure_style():
        figure = _figure(found)
    write_figure(figure, wanted)


def _figure(found: LayerMap) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    lines = str(found.result.mapping).splitlines()
    height = max(2.5, 0.28 * len(lines) + 1.2)
    figure = Figure(figsize=(13, height), layout="constrained")
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": (3, 2)})
    left.axis("off")
    left.set_title(f"{found.result.layer.name} on {found.hardware.name}: loop nest", loc="left")
    left.text(0, 1, "\n".join(lines), family="monospace", fontsize=9, va="top", transform=left.transAxes)
    shown = [fill for fill in found.fills if fill.capacity_words]
    seen: set[Operand] = set()
    for row, fill in enumerate(reversed(shown)):
        start = 0.0
        for operand, words in fill.words.items():
            share = 100 * words / float(fill.capacity_words or 1)
            label = operand.name if operand not in seen else None
            right.barh(row, share, left=start, color=COLORS[operand], label=label)
            seen.add(operand)
            start += share
    right.set_yticks(range(len(shown)), [f"{fill.memory}\n{fill.capacity_words:,} words" for fill in reversed(shown)])
    right.set_xlim(0, 100)
    right.set_xlabel("words set aside, % of capacity")
    right.set_title("how full the memories are", loc="left")
    if seen:
        right.legend(loc="lower right", title="operand")
    return figure
