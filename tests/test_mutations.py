"""Is a mistake in either engine caught by comparing the two?

Each mutation breaks one rule, in the cycle engine by changing the program that its controller runs, in the closed form
by replacing one of its functions. Unbroken, the engines agree on the same mapping.
"""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.dims import Dim, Operand
from accelsim.engine import closed_form, cycle, reference
from accelsim.engine.closed_form import evaluate
from accelsim.engine.executed import COMPARED
from accelsim.engine.program import lower
from accelsim.engine.tensors import convolve, random_tensors
from accelsim.hardware.loader import load_hardware
from accelsim.mapping.hierarchy import ALL_OPERANDS, Axis, Machine, Reduction, SpatialFanout, Store
from accelsim.mapping.nest import Nest, Place, Unrolling
from accelsim.workload.layer import Dims, Layer

W, I, O = Operand  # noqa: E741
LAYER = Layer.conv("conv", 4, 6, 7, 3, padding=1)
MACHINE = Machine(
    name="small",
    stores=(Store(name="DRAM"), Store(name="GLB"), Store(name="RF")),
    fanouts=(
        SpatialFanout(
            name="array",
            below="GLB",
            axes=(Axis(name="rows", size=3, reduction=Reduction.CHAIN), Axis(name="cols", size=2)),
        ),
    ),
)
NEST = Nest(
    steps=(
        Place(
            store="DRAM",
            operands=ALL_OPERANDS,
            tile=LAYER.dims,
            order=(Dim.K, Dim.C, Dim.P, Dim.N, Dim.G, Dim.Q, Dim.R, Dim.S),
        ),
        Place(
            store="GLB",
            operands=ALL_OPERANDS,
            tile=Dims(1, 1, 3, 2, 3, 7, 3, 3),
            order=(Dim.C, Dim.K, Dim.Q, Dim.S, Dim.N, Dim.G, Dim.P, Dim.R),
        ),
        Unrolling(axis="array.rows", counts={Dim.R: 3}),
        Unrolling(axis="array.cols", counts={Dim.P: 2}),
        Place(
            store="RF",
            operands=ALL_OPERANDS,
            tile=Dims(1, 1, 2, 1, 2, 2, 1, 2),
            order=(Dim.Q, Dim.K, Dim.P, Dim.S, Dim.N, Dim.G, Dim.C, Dim.R),
        ),
    )
)


def disagreements(monkeypatch, mutate=None):
    """Names of what differs between the two engines, and ``outputs``; the mutation changes the lowered program."""

    def lowered(nest, layer, machine):
        found = lower(nest, layer, machine)
        if mutate is not None:
            mutate(found)
        return found

    monkeypatch.setattr(cycle, "lower", lowered)
    tensors = random_tensors(LAYER)
    cost = evaluate(NEST, LAYER, MACHINE)
    try:
        done = cycle.execute(NEST, LAYER, MACHINE, tensors)
    except AssertionError:
        return {"fault"}
    wrong = {
        field
        for moved, counted in zip(done.flows, cost.traffic, strict=True)
        for field in COMPARED
        if getattr(moved, field) != getattr(counted, field)
    }
    if not np.array_equal(done.outputs, convolve(LAYER, tensors)):
        wrong.add("outputs")
    if (done.macs, done.iterations) != (cost.macs, cost.iterations):
        wrong.add("macs")
    return wrong


def way(found, operand, target):
    """Number of an operand's way to a memory: 0 to the buffer, 1 to the registers."""
    return [number for number, road in enumerate(found.ways) if road.operand is operand][target]


def too_much_reuse(operand, target):
    def mutate(found):
        found.program.way_fires[way(found, operand, target)] -= 1

    return mutate


def no_reuse(operand, target):
    def mutate(found):
        number = way(found, operand, target)
        found.program.way_fires[number] = found.program.way_fires[number + 1]

    return mutate


def lost_halo(found):
    found.program.window[0, 1] = 0


def no_padding(found):
    found.program.window[:, 2] = 0


def lost_sharing(found):
    point = found.program.way_points[way(found, W, 1)]
    first = found.program.point_first[point]
    instances = found.program.depth_instances[found.program.way_depth[way(found, W, 1)]]
    found.program.point_class[first : first + instances] = np.arange(instances)


def lost_addition(found):
    point = found.program.way_points[way(found, O, 1)]
    first = found.program.point_first[point]
    instances = found.program.depth_instances[found.program.way_depth[way(found, O, 1)]]
    found.program.point_class[first : first + instances] = np.arange(instances)


def wrong_neighbour(found):
    point = found.program.way_points[way(found, W, 1)]
    first = found.program.point_first[point]
    instances = found.program.depth_instances[found.program.way_depth[way(found, W, 1)]]
    found.program.point_class[first : first + instances] = 0


def test_unbroken_engines_agree(monkeypatch):
    """The mapping of this file, as it is."""
    assert disagreements(monkeypatch) == set()


@pytest.mark.parametrize(
    ("mutate", "seen"),
    [
        (too_much_reuse(W, 0), "outputs"),
        (too_much_reuse(I, 0), "fault"),
        (too_much_reuse(W, 1), "outputs"),
        (too_much_reuse(O, 1), "outputs"),
        (no_reuse(W, 0), "source_words"),
        (no_reuse(O, 0), "read_back_words"),
        (lost_halo, "outputs"),
        (no_padding, "outputs"),
        (lost_sharing, "source_words"),
        (lost_addition, "outputs"),
        (wrong_neighbour, "outputs"),
    ],
)
def test_a_broken_program_is_caught(monkeypatch, mutate, seen):
    """A wrong reuse rule, a lost halo, a forgotten drain, a sum that is overwritten, a word for the wrong PE."""
    wrong = disagreements(monkeypatch, mutate)
    assert seen in wrong or "fault" in wrong


def every_loop(self, road):
    return [[index < road.target] * len(Dim) for index in range(len(self.cuts))]


@pytest.mark.parametrize(
    ("name", "replacement", "seen"),
    [
        ("_loops", every_loop, "source_words"),
        ("_first_visits", lambda self, road, loops, shared_from, *, busiest: 0, "read_back_words"),
        ("_shares", lambda self, index, operand: False, "source_words"),
        ("iterations", lambda self: LAYER.macs, "macs"),
    ],
)
def test_a_broken_closed_form_is_caught(monkeypatch, name, replacement, seen):
    """No reuse, sums never new, no multicast, an array of one PE."""
    monkeypatch.setattr(closed_form._Walk, name, replacement)
    assert seen in disagreements(monkeypatch)


def test_a_lost_union_is_caught(monkeypatch):
    """Overlapping windows of neighbours counted twice."""
    monkeypatch.setattr(closed_form, "_union", lambda intervals: sum(high - low for low, high in intervals))
    assert "source_words" in disagreements(monkeypatch)


def test_a_stale_buffer_of_a_reference_accelerator_is_caught(monkeypatch):
    """Inputs that are taken for those of the tile before."""
    monkeypatch.setattr(reference, "_identity", lambda operand, scope: operand if operand is I else object())
    layer = Layer.conv("conv", 16, 8, 12, 3, padding=1)
    tensors = random_tensors(layer)
    done = reference.execute_reference(
        layer, load_hardware("8x8_32KB"), "ws", (1, 1, 8, 8, 12, 12, 3, 3), (0, 1, 2), tensors
    )
    assert not np.array_equal(done.outputs, convolve(layer, tensors))
