"""Random small layers, machines with one dataflow, and tilings of the one for the other.

Draws are kept to a few hundred MACs, since every case is also walked in pure Python.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from accelsim.dims import Dim
from accelsim.hardware.spec import Dataflow, EnergyUnit, Fanout, Hardware, Mac, Memory
from accelsim.mapping.kernels import ORDERS
from accelsim.workload.layer import AS_COMPUTED, Layer, Op, Shape, Stored

FLOW = "flow"
"""Name of the one dataflow of a drawn machine."""

ENERGIES = {"mac": 1.0, "dram": (200.0, 190.0), "glb": (6.0, 7.0), "rf": (1.0, 1.5), "acc": (0.5, 0.25), "link": 2.0}
"""Unit energies of drawn machines: all different, so that a count in a wrong column shows."""


@dataclass(frozen=True)
class Case:
    """A layer, a machine and one way to tile the layer."""

    layer: Layer
    hardware: Hardware
    tile: tuple[int, ...]
    order: tuple[int, ...]


def machine(
    rows: str,
    cols: str,
    nest: str,
    *,
    sizes: tuple[int, int] = (2, 2),
    buffer_words: int = 1 << 20,
    words_per_cycle: float | None = 8.0,
    latency_cycles: int = 10,
    read_words_per_row: float = 2.0,
    write_words_per_col: float = 1.0,
    accumulators: int = 2,
    double_buffered: tuple[str, ...] = ("I",),
    switch_cycles: int = 1,
    skips_zeros_of: str | None = None,
    zero_fraction: float = 0.4,
) -> Hardware:
    """Return a machine with one dataflow; ``nest`` is written with blanks between its entries."""
    read = {name: pair[0] for name, pair in ENERGIES.items() if isinstance(pair, tuple)}
    write = {name: pair[1] for name, pair in ENERGIES.items() if isinstance(pair, tuple)}
    return Hardware(
        name="machine",
        clock_mhz=1000.0,
        word_bits=8,
        energy_unit=EnergyUnit.MAC,
        mac=Mac(energy=1.0),
        memories=(
            Memory(
                name="DRAM",
                words_per_cycle=words_per_cycle,
                latency_cycles=latency_cycles,
                read_energy=read["dram"],
                write_energy=write["dram"],
            ),
            Memory(
                name="GLB",
                size_kb=buffer_words / 1024,
                double_buffered=("W", "I", "O"),
                read_energy=read["glb"],
                write_energy=write["glb"],
            ),
            Memory(
                name="RF",
                pe_words={"W": 1, "I": 1},
                double_buffered=double_buffered,
                switch_cycles=switch_cycles if double_buffered else 0,
                read_energy=read["rf"],
                write_energy=write["rf"],
            ),
            Memory(name="ACC", pe_words={"O": accumulators}, read_energy=read["acc"], write_energy=write["acc"]),
        ),
        fanouts=(
            Fanout(
                name="array",
                below="GLB",
                rows=sizes[0],
                cols=sizes[1],
                read_words_per_row=read_words_per_row,
                write_words_per_col=write_words_per_col,
                link_energy=2.0,
            ),
        ),
        dataflows={
            FLOW: Dataflow(
                description="",
                rows=rows,
                cols=cols,
                nest=tuple(nest.split()),
                skips_zeros_of=skips_zeros_of,
            )
        },
        zero_fraction={"W": zero_fraction},
    )


STORED = (AS_COMPUTED, AS_COMPUTED, Stored(0.3), Stored(1.25), Stored(0.5, 0.25, 0.7), Stored(0.1, 2.0, 1.5))
"""Ways to store operands in DRAM: as they are, and in fewer words or more."""


@st.composite
def layers(draw: st.DrawFn, *, most: int = 4, plain: bool = False) -> Layer:
    """Convolutions of every kind (pointwise, strided, dilated, asymmetric, grouped, depthwise) and linear layers.

    Their operands are stored as they are, or by a plan.

    Args:
        draw: Hypothesis's.
        most: Largest bound of most dims.
        plain: Whether there is no padding, no dilation, and no pixel between windows.
    """
    batch = draw(st.sampled_from([1, 1, 1, 2, 3]))
    outputs, inputs = draw(st.integers(1, most)), draw(st.integers(1, most))
    stored = draw(st.sampled_from(STORED))
    if draw(st.integers(0, 9)) == 0:
        shapes = (Shape(inputs, 1, 1),)
        return Layer(name="linear", op=Op.LINEAR, N=batch, K=outputs, C=inputs, input_shapes=shapes, stored=stored)
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    if draw(st.integers(0, 4)) == 0:  # depthwise, with a multiplier
        inputs = 1
    kernel = draw(st.tuples(*[st.sampled_from([1, 1, 2, 3])] * 2))
    dilation = (1, 1) if plain else draw(st.tuples(*[st.sampled_from([1, 1, 2, 3])] * 2))
    padding = (0, 0, 0, 0) if plain else draw(st.tuples(*[st.integers(0, 2)] * 4))
    size = []
    for axis in range(2):
        extent = (kernel[axis] - 1) * dilation[axis] + 1 - sum(padding[2 * axis : 2 * axis + 2])
        size.append(draw(st.integers(max(1, extent), max(1, extent) + most + 1)))
    layer = Layer.conv(
        "conv",
        groups * inputs,
        groups * outputs,
        (size[0], size[1]),
        kernel,
        stride=draw(st.tuples(*(st.sampled_from([1, 1, *range(2, taps + 1 if plain else 4)]) for taps in kernel))),
        padding=padding,
        dilation=dilation,
        groups=groups,
        batch=batch,
    )
    return replace(layer, stored=stored)


@st.composite
def settings_of_a_machine(draw: st.DrawFn) -> dict[str, Any]:
    """Array, ports, registers, DRAM: everything but the dataflow and the buffer."""
    return {
        "sizes": (draw(st.integers(1, 4)), draw(st.integers(1, 4))),
        "words_per_cycle": draw(st.sampled_from([0.5, 1.0, 3.0, 8.0, None])),
        "latency_cycles": draw(st.sampled_from([0, 1, 10, 100])),
        "read_words_per_row": draw(st.sampled_from([0.3, 1.0, 2.0, 3.0])),
        "write_words_per_col": draw(st.sampled_from([0.25, 1.0, 2.0])),
        "accumulators": draw(st.integers(1, 3)),
        "double_buffered": draw(st.sampled_from([("I",), ("W",), ("W", "I"), ()])),
        "switch_cycles": draw(st.integers(0, 3)),
        "zero_fraction": draw(st.sampled_from([0.0, 0.1, 0.4, 0.9])),
    }


@st.composite
def weight_stationary(draw: st.DrawFn) -> dict[str, Any]:
    """Weights in the PEs, on any two of their dims of which one at most adds up; the rest of the nest shuffled."""
    rows = draw(st.sampled_from("GKCRS"))
    cols = draw(st.sampled_from([dim for dim in "GKCRS" if dim != rows and not {rows, dim} <= set("CRS")]))
    return {"rows": rows, "cols": cols, "nest": _around(draw, "RF.W", {rows, cols})}


@st.composite
def input_stationary(draw: st.DrawFn) -> dict[str, Any]:
    """Inputs in the PEs, on any two of their dims; the loops over output pixels outside them."""
    rows = draw(st.sampled_from("NGCP"))
    cols = draw(st.sampled_from([dim for dim in "NGCQ" if dim != rows]))
    # Where inputs shift between PEs, another output channel would shift them back.
    outside = {rows, cols} | set("PQ") | (set("K") if {rows, cols} & set("PQ") else set())
    return {"rows": rows, "cols": cols, "nest": _around(draw, "RF.I", outside)}


@st.composite
def output_stationary(draw: st.DrawFn) -> dict[str, Any]:
    """Partial sums in the PEs, inputs inside them; zero weights skipped or not; K cut by the accumulators or not."""
    rows = draw(st.sampled_from("NGP"))
    cols = draw(st.sampled_from([dim for dim in "NGQ" if dim != rows]))
    skips = draw(st.booleans()) and "G" not in {rows, cols}  # an iteration is skipped if its only weight is zero
    outer = draw(st.permutations("NGPQK"))
    between = ["C"] if skips else draw(st.lists(st.sampled_from("CRS"), unique=True))
    inner = draw(st.permutations([dim for dim in "CRS" if dim not in between]))
    cut = ["K"] if draw(st.booleans()) else []
    nest = [*outer, "ACC.O", *between, "RF.I", *inner, *cut]
    return {"rows": rows, "cols": cols, "nest": " ".join(nest), "skips_zeros_of": "W" if skips else None}


def _around(draw: st.DrawFn, place: str, outside: set[str]) -> str:
    """Return a nest with these and some other dims outside a place, the rest inside it."""
    others = sorted(set("NGKCPQRS") - outside)
    more = draw(st.lists(st.sampled_from(others), unique=True)) if others else []
    inner = [dim for dim in others if dim not in more]
    return " ".join([*draw(st.permutations(sorted(outside) + more)), place, *draw(st.permutations(inner))])


@st.composite
def almost_modelled(draw: st.DrawFn) -> dict[str, Any]:
    """Draw one of the dataflows with two entries of its nest swapped, or another unrolled dim, or another skipping."""
    flow = draw(st.one_of(weight_stationary(), input_stationary(), output_stationary()))
    change = draw(st.sampled_from(["nest", "rows", "cols", "skips_zeros_of"]))
    if change == "nest":
        nest = flow["nest"].split()
        one = draw(st.integers(0, len(nest) - 2))
        other = draw(st.one_of(st.just(one + 1), st.integers(0, len(nest) - 1)))
        nest[one], nest[other] = nest[other], nest[one]
        return flow | {"nest": " ".join(nest)}
    if change == "skips_zeros_of":
        return flow | {change: None if flow.get(change) else "W"}
    other_axis = flow["cols" if change == "rows" else "rows"]
    return flow | {change: draw(st.sampled_from([dim for dim in "NGKCPQRS" if dim != other_axis]))}


@st.composite
def cases(draw: st.DrawFn, flows: st.SearchStrategy[dict[str, Any]] | None = None) -> Case:
    """Draw a layer, a machine with one of the flows (any of those modelled), any tile and any order."""
    any_flow = st.one_of(weight_stationary(), input_stationary(), output_stationary())
    flow = draw(any_flow if flows is None else flows)
    layer = draw(layers())
    tile = tuple(draw(st.integers(1, bound)) for bound in layer.dims[: Dim.R])
    return Case(
        layer,
        machine(**draw(settings_of_a_machine()), **flow),
        (*tile, layer.R, layer.S),
        tuple(draw(st.sampled_from(ORDERS.tolist()))),
    )


SHIPPED = (
    {"rows": "C", "cols": "K", "nest": "G K C R S RF.W N P Q"},
    {"rows": "P", "cols": "Q", "nest": "N G P Q K ACC.O C RF.I R S K", "skips_zeros_of": "W"},
    {"rows": "P", "cols": "Q", "nest": "N G P Q K ACC.O C RF.I R S K"},
    {"rows": "C", "cols": "G", "nest": "N G C P Q RF.I K R S"},
)
"""The reference accelerator's dataflows, one that skips no zeros, and an input-stationary one."""


@st.composite
def searches(draw: st.DrawFn, *, most: int = 4) -> tuple[Layer, Hardware]:
    """A layer and a machine whose buffer has between a tenth and three times the layer's words."""
    layer = draw(layers(most=most))
    words = layer.weights + layer.input_words + layer.output_words
    room = max(3, int(words * draw(st.sampled_from([0.1, 0.2, 0.4, 0.8, 1.5, 3.0]))))
    flow = draw(st.sampled_from(SHIPPED))
    return layer, machine(**draw(settings_of_a_machine()), buffer_words=room, **flow)
