"""How full a layer's mapping makes the memories: the words that every operand's tile takes there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from accelsim.dims import USES, Dim, Operand
from accelsim.mapping.machine import machine_of
from accelsim.mapping.mapping import NestMapping
from accelsim.workload.layer import window_extent

if TYPE_CHECKING:
    from accelsim.engine.analytical import LayerResult
    from accelsim.hardware.spec import Hardware
    from accelsim.mapping.hierarchy import Machine
    from accelsim.mapping.nest import Nest
    from accelsim.workload.layer import Layer


@dataclass(frozen=True, kw_only=True)
class Fill:
    """What one memory holds at most while a layer runs.

    Attributes:
        memory: Its name.
        capacity_words: What it can hold, in machine words; None if it is unbounded.
        words: By operand, the machine words set aside; with double buffering twice the tile, unless it is whole.
        tiles: By operand, the tile's size along the dims that it depends on.
    """

    memory: str
    capacity_words: int | None
    words: Mapping[Operand, float]
    tiles: Mapping[Operand, Mapping[Dim, int]] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return it as plain data for a page."""
        return {
            "memory": self.memory,
            "capacity_words": self.capacity_words,
            "words": {operand.name: words for operand, words in self.words.items()},
            "tiles": {
                operand.name: " ".join(f"{dim.name}{size}" for dim, size in tile.items() if size > 1) or "1"
                for operand, tile in self.tiles.items()
            },
        }


def buffer_fills(result: LayerResult, hardware: Hardware) -> list[Fill]:
    """Return how full a layer's mapping makes every bounded memory; of those in the PEs, one instance.

    Args:
        result: The layer's result.
        hardware: The accelerator that it is of.
    """
    if isinstance(result.mapping, NestMapping):
        return nest_fills(result.mapping.nest, result.layer, machine_of(hardware))
    memory = hardware.outer_memories[1]
    doubled = {Operand[name] for name in memory.double_buffered}
    words = _tile_words(result.layer, result.mapping.tile)
    whole = {operand: _whole(operand, result.mapping.tile, result.layer) for operand in Operand}
    return [
        Fill(
            memory=memory.name,
            capacity_words=memory.capacity_words(hardware.word_bits),
            words={o: words[o] * (2 if o in doubled and not whole[o] else 1) for o in Operand},
            tiles={o: _relevant(o, result.mapping.tile) for o in Operand},
        )
    ]


def nest_fills(nest: Nest, layer: Layer, machine: Machine) -> list[Fill]:
    """Return how full a loop nest makes every bounded memory of a machine of any hierarchy, the outermost first."""
    from accelsim.mapping.nest import room_words, windows  # noqa: PLC0415 - only where there is such a nest

    window = windows(layer, machine)
    fills = []
    for store in machine.stores:
        capacity = store.words if store.words is not None else sum(store.operand_words.values()) or None
        places = [place for place in nest.places if place.store == store.name]
        words = {
            operand: room_words(operand, place.tile, layer, store, window) * machine.width(operand)
            for place in places
            for operand in sorted(place.operands)
        }
        tiles = {operand: _relevant(operand, place.tile) for place in places for operand in sorted(place.operands)}
        if capacity is not None and words:
            fills.append(Fill(memory=store.name, capacity_words=capacity, words=words, tiles=tiles))
    return fills


def _whole(operand: Operand, tile: tuple[int, ...], layer: Layer) -> bool:
    return all(tile[dim] >= layer.dims[dim] for dim in USES[operand])


def _relevant(operand: Operand, tile: tuple[int, ...]) -> dict[Dim, int]:
    return {dim: tile[dim] for dim in Dim if dim in USES[operand]}


def _tile_words(layer: Layer, tile: tuple[int, ...]) -> dict[Operand, int]:
    """Return the words of the largest tile of every operand; of inputs those from first to last pixel touched."""
    rows = _most_pixels(layer.P, tile[Dim.P], layer.stride[0], layer.dilation[0], layer.R, layer.padding.top, layer.H)
    cols = _most_pixels(layer.Q, tile[Dim.Q], layer.stride[1], layer.dilation[1], layer.S, layer.padding.left, layer.W)
    return {
        Operand.W: tile[Dim.G] * tile[Dim.K] * tile[Dim.C] * layer.R * layer.S,
        Operand.I: tile[Dim.N] * tile[Dim.G] * tile[Dim.C] * rows * cols,
        Operand.O: tile[Dim.N] * tile[Dim.G] * tile[Dim.K] * tile[Dim.P] * tile[Dim.Q],
    }


def _most_pixels(outputs: int, tile: int, stride: int, dilation: int, taps: int, pad: int, size: int) -> int:
    """Return the most real input pixels that any tile of outputs spans along an axis."""
    starts = range(0, outputs, tile)
    return max(window_extent(at, min(tile, outputs - at), stride, dilation, taps, pad, size) for at in starts)
