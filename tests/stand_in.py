"""A mapper for tests of what goes around it: the best of a few mappings, the same every time."""

from __future__ import annotations

import random
from dataclasses import dataclass

from accelsim.dims import Dim
from accelsim.engine.closed_form import evaluate
from accelsim.errors import InputError, NoMappingError
from accelsim.mapping.hierarchy import Machine
from accelsim.mapping.nest import UNIT, Nest, Place, Unrolling, check
from accelsim.workload.layer import Dims, Layer

ORDER = (Dim.N, Dim.G, Dim.P, Dim.Q, Dim.K, Dim.C, Dim.R, Dim.S)


TRIALS = 16


@dataclass(frozen=True)
class Found:
    """What a mapper says."""

    nest: Nest
    cycles: float
    energy: float
    space: int
    evaluated: int
    complete: bool


def unit_nest(
    layer: Layer, machine: Machine, tiles: dict[str, Dims] | None = None, counts=None, *, bypass: bool = True
) -> Nest:
    """Return a nest with one place per memory, tiles of size 1 unless given, nothing unrolled unless given."""
    steps: list[Place | Unrolling] = []
    for index, store in enumerate(machine.stores):
        tile = layer.dims if index == 0 else (tiles or {}).get(store.name, UNIT)
        kept = store.keeps - (store.may_bypass if bypass else frozenset())
        if kept:
            steps.append(Place(store=store.name, operands=kept, tile=tile, order=ORDER))
        fanout = machine.fanout_below(store.name)
        for axis in fanout.axes if fanout else ():
            name = f"{fanout.name}.{axis.name}"
            steps.append(Unrolling(axis=name, counts=(counts or {}).get(name, {})))
    return Nest(steps=tuple(steps))


def search(layer, machine, constraint, objective="edp", *, uneven=False) -> Found:
    """Return the best of some random nests that fit, the one with all tiles of size 1 among them."""
    draw = random.Random(0)
    best = None
    for trial in range(TRIALS):
        tiles, inner = {}, layer.dims
        for store in machine.stores[1:]:
            inner = Dims(*(draw.choice([1, draw.randint(1, most), most]) if trial else 1 for most in inner))
            tiles[store.name] = inner
        counts = {}
        for fanout in machine.fanouts if trial else ():
            for axis in fanout.axes:
                name = f"{fanout.name}.{axis.name}"
                allowed = sorted(axis.allowed & constraint.unroll.get(name, frozenset(Dim)))
                if allowed:
                    dim = draw.choice(allowed)
                    counts[name] = {dim: min(axis.size, layer.dims[dim])}
        nest = unit_nest(layer, machine, tiles, counts)
        try:
            check(nest, layer, machine)
        except InputError:
            continue
        cost = evaluate(nest, layer, machine)
        score = {"cycles": cost.cycles, "energy": cost.energy, "edp": cost.edp}[objective]
        if best is None or score < best[0]:
            best = score, Found(nest, cost.cycles, cost.energy, 2**70 + uneven, TRIALS, complete=True)
    if best is None:
        raise NoMappingError("none of them fits")
    return best[1]
