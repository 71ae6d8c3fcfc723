"""A mapping of a layer onto a machine of any hierarchy.

A nest is a sequence of steps, the outermost first. A *place* is where the tile of some operands is kept in a memory;
its loops run inside it, from its tile down to what the next step covers. An *unrolling* cuts the tile over the
instances of an axis. Inside the last step is one MAC. A mapping is uniform if every memory has one place for all its
operands, uneven if some memory has several.

Sizes are nested, not multiplied: along every dim a tile of the next place is as large as stated, except the last of a
row, which takes what is left. An axis that unrolls a dim ``n`` times covers ``n`` tiles of what is inside it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from accelsim.dims import USES, Dim, Operand
from accelsim.errors import InputError
from accelsim.mapping.hierarchy import Machine, Store
from accelsim.workload.layer import Dims, Layer

UNIT = Dims(*(1,) * len(Dim))


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where tiles of operands are kept.

    Attributes:
        store: Name of the memory.
        operands: Whose tiles are kept here.
        tile: Size of the tile along every dim.
        order: Dims of the loops inside this place, the outermost first; dims not named have one iteration.
    """

    store: str
    operands: frozenset[Operand]
    tile: Dims
    order: tuple[Dim, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Unrolling:
    """Spatial loops over one axis.

    Attributes:
        axis: Name of the fan-out and the axis, such as ``array.rows``.
        counts: Instances along every dim that is unrolled.
    """

    axis: str
    counts: Mapping[Dim, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Nest:
    """A mapping.

    Attributes:
        steps: Places and unrollings, the outermost first.
    """

    steps: tuple[Place | Unrolling, ...]

    @property
    def places(self) -> tuple[Place, ...]:
        """The places, the outermost first."""
        return tuple(step for step in self.steps if isinstance(step, Place))

    @property
    def uniform(self) -> bool:
        """Whether every memory has one place."""
        names = [place.store for place in self.places]
        return len(set(names)) == len(names)


class Cut(NamedTuple):
    """One step of the chain of tile sizes.

    Attributes:
        step: Index of the step in the nest.
        spatial: Whether instances of an axis share the pieces out, or a loop visits them one after the other.
        inner: int per dim, size of the pieces.
        bounds: int per dim, most pieces that a tile is cut into.
    """

    step: int
    spatial: bool
    inner: Dims
    bounds: Dims


def cuts(nest: Nest) -> tuple[Cut, ...]:
    """Return the chain of tile sizes: one cut per step, in the order of the steps."""
    inner = UNIT
    inners: list[Dims] = []
    for step in reversed(nest.steps):
        inners.append(inner)
        if isinstance(step, Place):
            inner = step.tile
        else:
            inner = Dims(*(size * step.counts.get(dim, 1) for dim, size in zip(Dim, inner, strict=True)))
    inners.reverse()
    chain = []
    outer = nest.places[0].tile
    for index, (step, sizes) in enumerate(zip(nest.steps, inners, strict=True)):
        clipped = Dims(*(min(size, most) for size, most in zip(sizes, outer, strict=True)))
        bounds = Dims(*(-(-most // size) for size, most in zip(clipped, outer, strict=True)))
        chain.append(Cut(index, isinstance(step, Unrolling), clipped, bounds))
        outer = clipped
    return tuple(chain)


class Window(NamedTuple):
    """What decides the pixels that a run of outputs and a run of taps touch along one image axis."""

    stride: int
    dilation: int
    pad: int
    size: int

    def interval(self, output: int, outputs: int, tap: int, taps: int) -> tuple[int, int]:
        """Return the half-open interval of stored pixels from the first to the last that are touched."""
        first = output * self.stride - self.pad + tap * self.dilation
        last = first + (outputs - 1) * self.stride + (taps - 1) * self.dilation
        low = max(first, 0)
        return low, max(low, min(last + 1, self.size))

    def most_pixels(self, outputs: int, taps: int) -> int:
        """Return the pixels that a tile of that many outputs and taps needs room for."""
        return min(self.size, (outputs - 1) * self.stride + (taps - 1) * self.dilation + 1)


def windows(layer: Layer, machine: Machine) -> tuple[Window, Window]:
    """Return the windows along the image's height and width, as the machine stores the image."""
    pads = (layer.padding.top, layer.padding.bottom), (layer.padding.left, layer.padding.right)
    found = []
    for axis, (size, (before, after)) in enumerate(zip(layer.array_input_size, pads, strict=True)):
        stored = size + before + after if machine.stores_padding else size
        pad = 0 if machine.stores_padding else before
        found.append(Window(layer.stride[axis], layer.dilation[axis], pad, stored))
    return found[0], found[1]


def tile_words(operand: Operand, tile: Dims, window: tuple[Window, Window]) -> int:
    """Return the words that the tile of an operand needs room for."""
    words = 1
    for dim, size in zip(Dim, tile, strict=True):
        if dim in USES[operand] and not (operand is Operand.I and dim >= Dim.P):
            words *= size
    if operand is Operand.I:
        words *= window[0].most_pixels(tile.P, tile.R) * window[1].most_pixels(tile.Q, tile.S)
    return words


def room_words(operand: Operand, tile: Dims, layer: Layer, store: Store, window: tuple[Window, Window]) -> int:
    """Return the words of the operand that the memory sets aside: twice the tile if double-buffered and not whole."""
    whole = all(size == bound for dim, size, bound in zip(Dim, tile, layer.dims, strict=True) if dim in USES[operand])
    return tile_words(operand, tile, window) * (1 if whole else store.room)


def check(nest: Nest, layer: Layer, machine: Machine) -> None:
    """Check that a mapping is one of the layer on the machine.

    Raises:
        InputError: It is not; the message names the step, what was found and what is allowed.
    """
    _check_sequence(nest, machine)
    places = nest.places
    if places[0].tile != layer.dims:
        raise InputError(f"mapping of {layer.name}: the outermost tile is {places[0].tile}, the layer {layer.dims}")
    for outer, place in itertools.pairwise(places):
        for dim, size, most in zip(Dim, place.tile, outer.tile, strict=True):
            if not 1 <= size <= most:
                raise InputError(
                    f"mapping of {layer.name}: the tile of {place.store} has {dim.name} = {size}, allowed are 1 "
                    f"to {most}"
                )
    for step, cut in zip(nest.steps, cuts(nest), strict=True):
        if isinstance(step, Unrolling):
            continue
        missing = [dim.name for dim in Dim if cut.bounds[dim] > 1 and dim not in step.order]
        if missing or len(set(step.order)) < len(step.order):
            raise InputError(
                f"mapping of {layer.name}: the order of {step.store} must name every loop once, lacks "
                f"{', '.join(missing)}"
            )
    _check_room(nest, layer, machine)


def _check_sequence(nest: Nest, machine: Machine) -> None:
    """Check that memories, operands and axes come in the machine's order, and that unrollings fit their axes."""
    steps = list(nest.steps)
    for index, store in enumerate(machine.stores):
        kept: set[Operand] = set()
        while steps and isinstance(steps[0], Place) and steps[0].store == store.name:
            place = steps.pop(0)
            assert isinstance(place, Place)
            if not place.operands <= store.keeps or kept & place.operands or (index > 0 and not place.operands):
                raise InputError(f"mapping: memory {store.name} cannot have a place for {_names(place.operands)}")
            kept |= place.operands
        if not store.keeps - store.may_bypass <= kept:
            raise InputError(f"mapping: memory {store.name} must keep {_names(store.keeps - store.may_bypass - kept)}")
        fanout = machine.fanout_below(store.name)
        for axis in fanout.axes if fanout else ():
            name = f"{fanout.name}.{axis.name}" if fanout else ""
            step = steps.pop(0) if steps else None
            if not isinstance(step, Unrolling) or step.axis != name:
                raise InputError(f"mapping: expected the unrolling of axis {name} below memory {store.name}")
            counts = {dim: count for dim, count in step.counts.items() if count > 1}
            if (
                math.prod(counts.values()) > axis.size
                or len(counts) > axis.most_dims
                or min(step.counts.values(), default=1) < 1
            ):
                raise InputError(f"mapping: axis {name} has {axis.size} instances for at most {axis.most_dims} dims")
            if not set(counts) <= axis.allowed:
                raise InputError(f"mapping: axis {name} cannot unroll {_names(set(counts) - axis.allowed)}")
    if steps or nest.places[0].operands != frozenset(Operand):
        raise InputError("mapping: places and unrollings do not follow the memories from the outermost in")


def _check_room(nest: Nest, layer: Layer, machine: Machine) -> None:
    window = windows(layer, machine)
    for store in machine.stores:
        need = {
            operand: room_words(operand, place.tile, layer, store, window) * machine.width(operand)
            for place in nest.places
            if place.store == store.name
            for operand in place.operands
        }
        total = sum(need.values())
        if store.words is not None and total > store.words:
            raise InputError(
                f"mapping of {layer.name}: memory {store.name} needs {total:g} words, it has {store.words}"
            )
        for operand, words in store.operand_words.items():
            if need.get(operand, 0) > words:
                raise InputError(
                    f"mapping of {layer.name}: memory {store.name} needs {need[operand]:g} words of {operand.name}, "
                    f"it has {words}"
                )


def _names(values: Any) -> str:
    return ", ".join(value.name for value in sorted(values)) or "nothing"


def to_text(nest: Nest) -> str:
    """Return the loop nest for people, one line per step."""
    lines = []
    for depth, (step, cut) in enumerate(zip(nest.steps, cuts(nest), strict=True)):
        if isinstance(step, Unrolling):
            loops = [f"{dim.name}:{cut.bounds[dim]}" for dim in Dim if cut.bounds[dim] > 1]
            lines.append(f"{'  ' * depth}{step.axis} parallel {' '.join(loops) or '-'}")
            continue
        tile = " ".join(f"{dim.name}{size}" for dim, size in zip(Dim, step.tile, strict=True) if size > 1)
        loops = [f"{dim.name}:{cut.bounds[dim]}" for dim in step.order if cut.bounds[dim] > 1]
        lines.append(
            f"{'  ' * depth}{step.store} [{_names(step.operands)}] tile {tile or '1'} for {' '.join(loops) or '-'}"
        )
    return "\n".join(lines)


def to_data(nest: Nest) -> list[dict[str, Any]]:
    """Return the mapping as plain data, as YAML holds it."""
    data: list[dict[str, Any]] = []
    for step in nest.steps:
        if isinstance(step, Unrolling):
            data.append({"axis": step.axis, "unroll": {dim.name: n for dim, n in sorted(step.counts.items())}})
        else:
            data.append(
                {
                    "memory": step.store,
                    "operands": [operand.name for operand in sorted(step.operands)],
                    "tile": {dim.name: size for dim, size in zip(Dim, step.tile, strict=True) if size > 1},
                    "order": [dim.name for dim in step.order],
                }
            )
    return data


def from_data(data: Any) -> Nest:
    """Return the mapping that plain data describes.

    Raises:
        InputError: A key, a dim, an operand or a number is wrong.
    """
    if not isinstance(data, list) or not data:
        raise InputError(f"mapping: expected a list of steps, got {type(data).__name__}")
    steps: list[Place | Unrolling] = []
    for number, entry in enumerate(data):
        where = f"mapping: step {number}"
        keys = set(entry) if isinstance(entry, dict) else set()
        if keys == {"axis", "unroll"}:
            steps.append(Unrolling(axis=str(entry["axis"]), counts=_sizes(entry["unroll"], where)))
        elif keys and keys <= {"memory", "operands", "tile", "order"} and "memory" in keys:
            sizes = _sizes(entry.get("tile", {}), where)
            steps.append(
                Place(
                    store=str(entry["memory"]),
                    operands=frozenset(_member(Operand, name, where) for name in entry.get("operands", [])),
                    tile=Dims(*(sizes.get(dim, 1) for dim in Dim)),
                    order=tuple(_member(Dim, name, where) for name in entry.get("order", [])),
                )
            )
        else:
            raise InputError(
                f"{where}: expected memory, operands, tile, order, or axis, unroll; got {sorted(map(str, keys))}"
            )
    if not isinstance(steps[0], Place):
        raise InputError("mapping: the first step must be a memory")
    return Nest(steps=tuple(steps))


def _sizes(data: Any, where: str) -> dict[Dim, int]:
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected sizes by dim, got {data!r}")
    for name, size in data.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise InputError(f"{where}: {name} must be a positive integer, got {size!r}")
    return {_member(Dim, name, where): size for name, size in data.items()}


def _member(kind: Any, name: Any, where: str) -> Any:
    if name not in kind.__members__:
        raise InputError(f"{where}: {name!r} is none of {', '.join(kind.__members__)}")
    return kind[name]
