"""Random small layers, machines of any hierarchy, and mappings of the one onto the other."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import strategies as st

from accelsim.dims import Dim, Operand
from accelsim.mapping.hierarchy import (
    ALL_OPERANDS,
    Axis,
    Buffering,
    LoopConstraint,
    Machine,
    Reduction,
    RegisterRead,
    SpatialFanout,
    Store,
)
from accelsim.mapping.nest import Nest, Place, Unrolling
from accelsim.workload.layer import Dims, Layer

W, I, O = Operand  # noqa: E741


@st.composite
def layers(draw, most_outputs=5, most_channels=3):
    """Convolutions with every feature, a few hundred MACs."""
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    smallest = [max(1, (k - 1) * d + 1) for k, d in zip(kernel, dilation, strict=True)]
    pad = draw(st.tuples(*[st.integers(0, 2)] * 4))
    size = tuple(draw(st.integers(low, low + most_outputs - 1)) for low in smallest)
    return Layer.conv(
        "layer",
        groups * draw(st.integers(1, most_channels)),
        groups * draw(st.integers(1, most_channels + 1)),
        size,
        kernel,
        stride=draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        padding=tuple(min(p, 2 * s - 1) for p, s in zip(pad, [smallest[0]] * 2 + [smallest[1]] * 2, strict=True)),
        dilation=dilation,
        groups=groups,
        batch=draw(st.sampled_from([1, 1, 2])),
    )


def rates():
    return st.sampled_from([math.inf, 1.0, 2.0, 0.5, 4.0])


def energies():
    return st.sampled_from([0.0, 1.0, 2.0, 6.0, 200.0])


@st.composite
def axes(draw, name):
    return Axis(
        name=name,
        size=draw(st.integers(1, 4)),
        shares=frozenset(draw(st.sets(st.sampled_from([W, I]))) | {O}),
        reduction=draw(st.sampled_from(Reduction)),
        most_dims=draw(st.sampled_from([1, 2, 2])),
    )


@st.composite
def reads(draw, keeps):
    """When MACs read a memory: for all operands, or by operand."""
    if draw(st.booleans()):
        return draw(st.sampled_from(RegisterRead))
    named = sorted(draw(st.sets(st.sampled_from(sorted(keeps)))))
    return {operand: draw(st.sampled_from(RegisterRead)) for operand in named}


@st.composite
def machines(draw, most_stores=4, unbounded=False, sliding=False):
    """Two to four memories, with fan-outs anywhere; ``sliding``: windows may slide, networks may have rates."""
    count = draw(st.integers(2, most_stores))
    stores = [
        Store(
            name="M0",
            words_per_cycle=draw(rates()),
            latency_cycles=draw(st.integers(0, 9)),
            read_energy=200.0,
            write_energy=200.0,
            register_read=draw(reads(ALL_OPERANDS)),
        )
    ]
    for level in range(1, count):
        keeps = (
            frozenset(draw(st.sets(st.sampled_from([W, I, O]), min_size=2))) if draw(st.booleans()) else ALL_OPERANDS
        )
        shared = draw(st.booleans())
        stores.append(
            Store(
                name=f"M{level}",
                keeps=keeps,
                may_bypass=frozenset(draw(st.sets(st.sampled_from(sorted(keeps)), max_size=1))),
                words=None if unbounded or not shared else draw(st.integers(6, 60)),
                operand_words={} if unbounded or shared else {o: draw(st.integers(2, 20)) for o in sorted(keeps)},
                read_words_per_cycle=draw(rates()),
                write_words_per_cycle=draw(rates()),
                words_per_cycle=draw(rates()),
                latency_cycles=draw(st.integers(0, 3)),
                read_energy=draw(energies()),
                write_energy=draw(energies()),
                buffering=draw(st.sampled_from(Buffering)),
                register_read=draw(reads(keeps)),
                slides=sliding and draw(st.booleans()),
            )
        )
    fanouts = []
    for level in range(count):
        if draw(st.integers(0, 2)) == 0 or (level == count - 1 and not fanouts and draw(st.booleans())):
            names = ["x", "y"][: draw(st.integers(1, 2))]
            fanouts.append(
                SpatialFanout(
                    name=f"F{level}",
                    below=f"M{level}",
                    axes=tuple(draw(axes(name)) for name in names),
                    link_energy=draw(energies()),
                    forward=draw(st.booleans()),
                    words_per_cycle={o: draw(rates()) for o in (W, I, O) if sliding and draw(st.booleans())},
                )
            )
    return Machine(
        name="random",
        stores=tuple(stores),
        fanouts=tuple(fanouts),
        mac_energy=1.0,
        operand_bits={O: draw(st.sampled_from([16, 32]))},
        stores_padding=draw(st.booleans()),
    )


@st.composite
def nests(draw, layer, machine, uneven=True):
    """Any mapping, whether it fits the memories or not."""
    tile = layer.dims
    steps = []
    for index, store in enumerate(machine.stores):
        kept = sorted(store.keeps - frozenset(draw(st.sets(st.sampled_from([W, I, O]))) & store.may_bypass))
        groups = [frozenset(kept)] if kept or index == 0 else []
        if index > 0 and uneven and len(kept) > 1 and draw(st.booleans()):
            kept = draw(st.permutations(kept))
            cut = draw(st.integers(1, len(kept) - 1))
            groups = [frozenset(kept[:cut]), frozenset(kept[cut:])]
        for group in groups:
            if index > 0:
                tile = Dims(*(draw(st.integers(1, most)) for most in tile))
            steps.append(
                Place(store=store.name, operands=group, tile=tile, order=tuple(draw(st.permutations(list(Dim)))))
            )
        fanout = machine.fanout_below(store.name)
        for axis in fanout.axes if fanout else ():
            counts, left = {}, axis.size
            for dim in draw(st.lists(st.sampled_from(list(Dim)), max_size=axis.most_dims, unique=True)):
                if dim in axis.allowed and left > 1:
                    counts[dim] = draw(st.integers(1, left))
                    left //= counts[dim]
            steps.append(Unrolling(axis=f"{fanout.name}.{axis.name}", counts=counts))
    return Nest(steps=tuple(steps))


@st.composite
def slides(draw):
    """A layer with overlapping windows, a machine through whose memories they slide, and a mapping that lets them."""
    layer = draw(layers().filter(lambda layer: layer.dims.R > 1 or layer.dims.S > 1))
    machine = draw(machines(unbounded=True, sliding=True))
    machine = replace(machine, stores=tuple(replace(store, slides=True) for store in machine.stores))
    steps = []
    for step in draw(nests(layer, machine)).steps:
        if isinstance(step, Place):
            dim, taps = draw(st.sampled_from([(Dim.P, Dim.R), (Dim.Q, Dim.S)]))
            order = (*(d for d in step.order if d not in (dim, taps)), taps, dim)
            tile = list(step.tile)
            if steps:
                tile[dim], tile[taps] = 1, layer.dims[taps]
                if draw(st.booleans()):  # else another loop inside may be the one that moves the tile on
                    tile[Dim.P], tile[Dim.Q] = min(tile[Dim.P], 2), min(tile[Dim.Q], 2)
            steps.append(replace(step, order=order, tile=Dims(*tile)))
        else:  # axes that share out windows, too
            steps.append(
                draw(st.sampled_from([step, replace(step, counts={Dim.P: 2}), replace(step, counts={Dim.Q: 2})]))
            )
    nested, most = [], layer.dims
    for step in steps:
        if isinstance(step, Place):
            most = Dims(*map(min, step.tile, most))
            nested.append(replace(step, tile=most))
        else:
            nested.append(step)
    return layer, machine, Nest(steps=tuple(nested))


@st.composite
def tiny_layers(draw):
    """Convolutions with few mappings: two or three dims larger than one."""
    kernel = draw(st.sampled_from([(1, 1), (1, 1), (1, 2), (3, 1), (2, 2)]))
    dilation = draw(st.sampled_from([1, 1, 2]))
    smallest = [(k - 1) * dilation + 1 for k in kernel]
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    pad = draw(st.sampled_from([(0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 1, 0), (1, 1, 0, 2)]))
    return Layer.conv(
        "tiny",
        groups * draw(st.sampled_from([1, 1, 2, 3])),
        groups * draw(st.sampled_from([1, 1, 2, 3, 5])),
        tuple(low + draw(st.sampled_from([0, 0, 1, 3])) for low in smallest),
        kernel,
        stride=draw(st.sampled_from([1, 1, 2])),
        padding=tuple(min(p, 2 * s - 1) for p, s in zip(pad, [smallest[0]] * 2 + [smallest[1]] * 2, strict=True)),
        dilation=dilation,
        groups=groups,
        batch=draw(st.sampled_from([1, 1, 1, 2])),
    )


@st.composite
def constraints(draw, machine):
    """No constraint, or some dims per axis and some operands that stay."""
    if draw(st.booleans()):
        return LoopConstraint(name="any")
    names = [f"{fanout.name}.{axis.name}" for fanout in machine.fanouts for axis in fanout.axes]
    return LoopConstraint(
        name="random",
        unroll={name: frozenset(draw(st.sets(st.sampled_from(list(Dim))))) for name in names if draw(st.booleans())},
        stationary={store.name: draw(st.sampled_from([W, I, O])) for store in machine.stores if draw(st.booleans())},
    )
