"""A mapping: the loop nest that says in which order a layer is computed, where, and what stays where."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.dims import Dim, Operand
from accelsim.hardware.spec import Hardware
from accelsim.mapping.nest import Nest, to_text
from accelsim.workload.layer import Layer

OBJECTIVES = ("cycles", "energy", "edp")
"""What a mapping can be the best of; the index is what kernels take."""


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop of a nest.

    Attributes:
        dim: The dim it runs over.
        step: How far it advances: the size of what is inside it. The last step may be shorter.
        bound: The size that it covers.
        axis: ``rows`` or ``cols`` for a spatial loop, else empty.
    """

    dim: Dim
    step: int
    bound: int
    axis: str = ""

    @property
    def count(self) -> int:
        """Number of iterations."""
        return -(-self.bound // self.step)


@dataclass(frozen=True, slots=True)
class Place:
    """The place in a nest at which a memory keeps the tiles of some operands."""

    memory: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A loop nest, outermost first.

    Attributes:
        dataflow: Name of the dataflow that it obeys.
        tile: int per dim, size of the buffer's tile.
        order: Loop order of the tile groups pixels, K, C as kernels number them.
        nest: Loops and places.
    """

    dataflow: str
    tile: tuple[int, ...]
    order: tuple[int, ...]
    nest: tuple[Loop | Place, ...]

    def __str__(self) -> str:
        lines: list[str] = []
        depth = 0
        for entry in self.nest:
            indent = "  " * depth
            if isinstance(entry, Place):
                lines.append(f"{indent}{entry.memory} keeps {' '.join(operand.name for operand in entry.operands)}")
            elif entry.count > 1:
                how = f"parallel over {entry.axis}" if entry.axis else "for"
                dim = entry.dim.name.lower()
                lines.append(f"{indent}{how} {dim} in {entry.count} x {entry.step} of {entry.bound}")
                depth += 1
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class NestMapping:
    """A mapping on a machine of any hierarchy.

    Attributes:
        dataflow: Name of the constraint that it obeys, ``any`` for none, ``given`` if it was not searched.
        nest: The loop nest.
    """

    dataflow: str
    nest: Nest

    def __str__(self) -> str:
        return to_text(self.nest)


def build_mapping(
    layer: Layer, hardware: Hardware, dataflow: str, tile: tuple[int, ...], order: tuple[int, ...]
) -> Mapping:
    """Return the nest of a buffer tiling under a dataflow.

    Args:
        layer: The layer.
        hardware: The accelerator.
        dataflow: Name of one of its dataflows.
        tile: Size of the buffer's tile along every dim.
        order: Loop order over tiles, as the indices of the groups pixels (N, P, Q) = 0, K = 1, C = 2.
    """
    memories = [memory.name for memory in hardware.outer_memories]
    groups = ((Dim.N, Dim.P, Dim.Q), (Dim.K,), (Dim.C,))
    everything = tuple(Operand)
    nest: list[Loop | Place] = [Place(memories[0], everything)]
    outer = (Dim.G, *(dim for group in order for dim in groups[group]))
    nest += [Loop(dim, tile[dim], layer.dims[dim]) for dim in outer]
    nest.append(Place(memories[1], everything))
    nest += _array_nest(hardware, dataflow, tile)
    return Mapping(dataflow=dataflow, tile=tile, order=order, nest=tuple(nest))


def _array_nest(hardware: Hardware, dataflow: str, tile: tuple[int, ...]) -> list[Loop | Place]:
    """Return the loops inside the buffer's tile: blocks over the array, the array's axes, what registers keep."""
    flow = hardware.dataflows[dataflow]
    grid = hardware.fanouts[0].grid
    axes = {Dim[flow.axes[0]]: ("rows", grid.rows), Dim[flow.axes[1]]: ("cols", grid.cols)}
    nest: list[Loop | Place] = []
    spatial = [Loop(dim, 1, min(size, tile[dim]), axis) for dim, (axis, size) in axes.items()]
    seen: set[Dim] = set()
    for entry in flow.nest:
        memory, dot, operand_name = entry.rpartition(".")
        if dot:
            nest.append(Place(memory, (Operand[operand_name],)))
            continue
        dim = Dim[entry]
        step = 1
        if dim in axes:
            step = axes[dim][1]
        elif flow.nest.count(entry) > 1:
            step = hardware.register_words(dataflow, Operand.O)  # partial sums hold the inner loop
        if dim in seen:
            nest.append(Loop(dim, 1, min(step, tile[dim])))
        else:
            nest.append(Loop(dim, min(step, tile[dim]), tile[dim]))
        seen.add(dim)
    return [*nest, *spatial]
