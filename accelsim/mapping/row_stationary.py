"""Row-stationary mappings as Eyeriss describes them, and as loop nests.

A PE keeps a row of ``p`` filters and ``q`` channels and slides a row of inputs past it; a *set* of R x e PEs convolves
in two dims, filter rows along the array's rows, output rows along its columns; ``r x t`` sets work on other channels
and other filters. One *pass* brings every input and filter to the array once: p x t filters, q x r channels, e output
rows, n images. The global buffer holds n x q x r input maps and the partial sums of n x m output maps, so that inputs
serve m / (p t) passes and partial sums stay until all channels are added.

Source: Y.-H. Chen, T. Krishna, J. Emer, V. Sze, JSSC 52(1), 2017, sections IV-A and V-A, Tables II and III.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from accelsim.dims import Dim, Operand
from accelsim.errors import InputError
from accelsim.mapping.hierarchy import Machine
from accelsim.mapping.nest import Nest, Place, Unrolling, check
from accelsim.workload.layer import Dims, Layer

OUTER_ORDER = (Dim.G, Dim.N, Dim.P, Dim.K, Dim.C)
"""Loops over what the global buffer holds; channels innermost, so that partial sums stay in it."""


@dataclass(frozen=True, kw_only=True)
class RowStationary:
    """The parameters of JSSC 2017, Table II, with the paper's letters.

    Attributes:
        m: Output channels whose partial sums are in the global buffer.
        n: Images of a pass.
        e: Output rows of a pass: the width of a PE set.
        p: Filters in a PE.
        q: Channels in a PE.
        r: PE sets that take different channels; their partial sums are added in the array.
        t: PE sets that take different filters; they share the inputs.
    """

    m: int
    n: int
    e: int
    p: int
    q: int
    r: int
    t: int

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise InputError(f"row-stationary mapping: {field.name} must be positive, got {vars(self)[field.name]}")


@dataclass(frozen=True, kw_only=True)
class Folding:
    """How the PE sets of a pass lie in the physical array.

    A set wider than the array is cut into segments that lie above each other; sets that add up (``r``) lie above each
    other, since partial sums pass between neighbours of a column.

    Attributes:
        segments: Segments of a set.
        width: Columns of a segment.
        filters_above: Sets for different filters above each other.
        filters_beside: Those beside each other.
    """

    segments: int
    width: int
    filters_above: int
    filters_beside: int


def fold(mapping: RowStationary, layer: Layer, rows: int, cols: int) -> Folding | None:
    """Return how the sets fit an array of ``rows x cols`` PEs, side by side first; None: they do not."""
    segments = -(-mapping.e // cols)
    width = min(mapping.e, cols)
    above_each_other = rows // (layer.dims.R * mapping.r * segments)
    for beside in range(min(mapping.t, cols // width), 0, -1):
        above = mapping.t // beside
        if above * beside == mapping.t and above <= above_each_other:
            return Folding(segments=segments, width=width, filters_above=above, filters_beside=beside)
    return None


def row_stationary_nest(mapping: RowStationary, layer: Layer, machine: Machine) -> Nest:
    """Return the loop nest of a row-stationary mapping, checked.

    Args:
        mapping: Its parameters. Those larger than the layer are cut down to it.
        layer: A convolution.
        machine: One fan-out of two axes, ``rows`` and ``cols`` in this order. Memories above it that keep partial sums
            hold what the global buffer does, others the filters of a pass; those below it hold what a PE does.

    Raises:
        InputError: The mapping fits neither the array nor the memories; says what does not.
    """
    fanout = machine.fanouts[0]
    rows, cols = fanout.axes
    folding = fold(mapping, layer, rows.size, cols.size)
    if folding is None:
        raise InputError(
            f"mapping of {layer.name}: {mapping.r} x {mapping.t} sets of {layer.dims.R} x {mapping.e} PEs do not fit "
            f"{rows.size} x {cols.size}"
        )
    whole = layer.dims
    in_pe = _tile(whole, K=mapping.p, C=mapping.q, S=whole.S)
    in_pass = _tile(
        whole,
        N=mapping.n,
        K=mapping.p * mapping.t,
        C=mapping.q * mapping.r,
        P=mapping.e,
        Q=whole.Q,
        R=whole.R,
        S=whole.S,
    )
    in_buffer = in_pass._replace(K=min(mapping.m, whole.K))
    steps: list[Place | Unrolling] = []
    order: tuple[Dim, ...]
    above = True
    for store in machine.stores:
        if store is machine.stores[0]:
            tile, order = whole, OUTER_ORDER
        elif above and Operand.O in store.keeps:
            tile, order = in_buffer, (Dim.K,)
        elif above:
            tile, order = in_pass, ()
        else:
            tile, order = in_pe, (Dim.S, Dim.C, Dim.K)
        steps.append(Place(store=store.name, operands=store.keeps, tile=tile, order=order))
        if store.name == fanout.below:
            steps[-1] = Place(store=store.name, operands=store.keeps, tile=tile, order=(*order, Dim.N, Dim.Q))
            up = {Dim.R: whole.R, Dim.P: folding.segments, Dim.C: mapping.r, Dim.K: folding.filters_above}
            across = {Dim.P: folding.width, Dim.K: folding.filters_beside}
            steps += [
                Unrolling(axis=f"{fanout.name}.{axis.name}", counts={dim: n for dim, n in counts.items() if n > 1})
                for axis, counts in ((rows, up), (cols, across))
            ]
            above = False
    nest = Nest(steps=tuple(steps))
    check(nest, layer, machine)
    return nest


def _tile(whole: Dims, **sizes: int) -> Dims:
    """Return a tile of the sizes given, one along the other dims, nowhere larger than the layer."""
    return Dims(*(min(sizes.get(dim.name, 1), most) for dim, most in zip(Dim, whole, strict=True)))
