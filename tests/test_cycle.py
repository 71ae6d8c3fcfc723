"""Does the cycle engine compute the convolution, and does it move exactly the words that the closed form counts?"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nest_strategies import layers, machines, nests, slides

from accelsim.dims import Dim
from accelsim.engine import cycle, execute_kernels
from accelsim.engine.closed_form import evaluate
from accelsim.engine.cycle import execute
from accelsim.engine.executed import execute_all
from accelsim.engine.pipeline import executed_moves, foretold_cycles
from accelsim.engine.program import lower
from accelsim.engine.tensors import convolve, random_tensors
from accelsim.engine.visits import moves
from accelsim.errors import InputError
from accelsim.hardware.loader import load_hardware
from accelsim.mapping.hierarchy import ALL_OPERANDS, Machine, Store
from accelsim.mapping.nest import UNIT, Nest, Place
from accelsim.simulation import simulate
from accelsim.workload.layer import Layer
from accelsim.workload.loader import load_network

SLACK = 0.01
SLACK_CYCLES = 50
"""How far the two engines' times may be apart: the larger of a share and some cycles."""
MOST_OFF = 2.0
"""By what factor the critical path may be off: of 5,000 random cases the worst was 1.58, 90% were below 1.09."""


@st.composite
def cases(draw, sliding=False):
    """A layer, a machine and a mapping of the one onto the other."""
    layer, machine = draw(layers()), draw(machines(unbounded=True, sliding=sliding))
    return layer, machine, draw(nests(layer, machine))


@given(st.data())
def test_outputs_and_counts_of_any_mapping(data):
    """Any layer, machine and nest: outputs bit for bit, words at both ends, on links, read back; MACs, iterations."""
    layer = data.draw(layers())
    machine = data.draw(machines(unbounded=True, sliding=data.draw(st.booleans())))
    nest = data.draw(nests(layer, machine))
    compare(nest, layer, machine, random_tensors(layer, seed=data.draw(st.integers(0, 99))))


@given(slides())
def test_outputs_and_counts_of_windows_that_slide(case):
    """What a window shares with the one before stays in its memory; what is new comes, and nothing else."""
    layer, machine, nest = case
    compare(nest, layer, machine, random_tensors(layer))


def compare(nest, layer, machine, tensors):
    cost, done = evaluate(nest, layer, machine), execute(nest, layer, machine, tensors)
    np.testing.assert_array_equal(done.outputs, convolve(layer, tensors))
    assert (done.macs, done.iterations, done.overflows) == (cost.macs, cost.iterations, 0)
    for moved, counted in zip(done.flows, cost.traffic, strict=True):
        for field in ("operand", "source", "target", "source_words", "target_words", "read_back_words", "link_words"):
            assert getattr(moved, field) == getattr(counted, field), (field, moved, counted)


@given(st.one_of(st.booleans().flatmap(cases), slides()))
def test_every_visit_moves_the_words_that_the_nest_says(case):
    """Words, networks, read-backs and segments of every visit, found without executing anything, are those moved.

    Fed to the clock they give its time; the clock's own rules are the same for both and are not tested here.
    """
    layer, machine, nest = case
    lowered = lower(nest, layer, machine)
    state, _ = cycle.prepare(lowered, layer, machine, random_tensors(layer), 32)
    while not execute_kernels.run(lowered.program, state, cycle.TICKS_PER_CALL):
        pass
    moved, said = executed_moves(state), moves(nest, layer, machine)
    for name in ("visit_segment", "visit_words", "visit_net", "segment_fired", "segment_ticks", "segment_words"):
        np.testing.assert_allclose(getattr(said, name), getattr(moved, name), err_msg=name)
    done = execute(nest, layer, machine)
    assert abs(foretold_cycles(nest, layer, machine) - done.cycles) <= max(SLACK_CYCLES, SLACK * done.cycles)


@given(st.data())
def test_time_is_never_less_than_the_closed_form_allows(data):
    """The closed form is what every part needs at least; docs/engine.md says what waits for what."""
    layer = data.draw(layers())
    machine = data.draw(machines(unbounded=True))
    nest = data.draw(nests(layer, machine))
    cost, done = evaluate(nest, layer, machine), execute(nest, layer, machine)
    assert done.cycles >= cost.cycles - max(SLACK_CYCLES, SLACK * cost.cycles)
    parts = done.timing.fill_cycles + done.timing.ticks + done.timing.stall_cycles + done.timing.drain_cycles
    assert done.cycles == pytest.approx(parts)


@given(st.data())
def test_critical_path_predicts_the_time(data):
    """What waits for whom, and what ports must move in every window, is most of what the clock finds; parts add up."""
    layer = data.draw(layers())
    machine = data.draw(machines(unbounded=True))
    nest = data.draw(nests(layer, machine))
    cost, done = evaluate(nest, layer, machine), execute(nest, layer, machine, path=True)
    path = done.timing.path
    assert sum(path.parts.values()) == pytest.approx(path.cycles)
    assert path.parts["iterations"] == cost.iterations
    least = max(cost.cycles, path.cycles)
    assert 1 / MOST_OFF <= max(done.cycles, SLACK_CYCLES) / max(least, SLACK_CYCLES) <= MOST_OFF


def test_critical_path_of_bursts_is_the_clock_s():
    """W changes with every second tile: the visit that brings W and I takes longer than one that brings I only."""
    layer = Layer.conv("bursts", 8, 8, (1, 32))
    stores = (Store(name="DRAM", words_per_cycle=1.0), Store(name="GLB", words=1000))
    steps = (
        Place(store="DRAM", operands=ALL_OPERANDS, tile=layer.dims, order=(Dim.K, Dim.Q)),
        Place(store="GLB", operands=ALL_OPERANDS, tile=layer.dims._replace(K=4, Q=16), order=tuple(Dim)),
    )
    machine = Machine(name="pair", stores=stores)
    nest = Nest(steps=steps)
    done = execute(nest, layer, machine, path=True)
    assert done.timing.path.cycles == pytest.approx(done.cycles, rel=SLACK)


@given(st.data())
def test_time_without_limits_of_ports_is_the_closed_form_s(data):
    """With ports that serve any number of words at once, both engines take the same time."""
    layer = data.draw(layers())
    drawn = data.draw(machines(unbounded=True))
    free = dict.fromkeys(("read_words_per_cycle", "write_words_per_cycle", "words_per_cycle"), math.inf)
    machine = replace(drawn, stores=tuple(replace(store, **free) for store in drawn.stores))
    nest = data.draw(nests(layer, machine))
    cost, done = evaluate(nest, layer, machine), execute(nest, layer, machine)
    assert abs(done.cycles - cost.cycles) <= SLACK_CYCLES
    assert done.timing.stall_cycles == pytest.approx(0)


def test_an_image_of_one_pixel_under_several_windows():
    """A tile of one stored pixel is not a tile of one window: the others of its windows see padding."""
    layer = Layer.conv("dot", 1, 2, 1, 2, padding=1)
    machine = Machine(name="pair", stores=(Store(name="DRAM"), Store(name="GLB")))
    steps = (
        Place(store="DRAM", operands=ALL_OPERANDS, tile=layer.dims, order=tuple(Dim)),
        Place(store="GLB", operands=ALL_OPERANDS, tile=layer.dims._replace(K=1), order=tuple(Dim)),
    )
    tensors = random_tensors(layer)
    done = execute(Nest(steps=steps), layer, machine, tensors)
    np.testing.assert_array_equal(done.outputs, convolve(layer, tensors))
    assert [flow.source_words for flow in done.flows] == [
        flow.source_words for flow in evaluate(Nest(steps=steps), layer, machine).traffic
    ]


def test_two_halves_in_lockstep():
    """Tiles that take 10 cycles to load and 4 to compute: the DMA sets the pace, and the last computation follows."""
    layer = Layer.conv("pixels", 1, 1, (1, 40))
    stores = (Store(name="DRAM", words_per_cycle=0.4), Store(name="GLB", words=100))
    machine = Machine(name="pair", stores=stores)
    steps = (
        Place(store="DRAM", operands=ALL_OPERANDS, tile=layer.dims, order=tuple(Dim)),
        Place(store="GLB", operands=ALL_OPERANDS, tile=layer.dims._replace(Q=4), order=tuple(Dim)),
    )
    done = execute(Nest(steps=steps), layer, machine)
    words = 1 + 40 + 40  # weight, inputs and outputs share the port
    assert done.cycles == pytest.approx(words / 0.4, abs=4)


def test_progress_is_told_within_a_layer(monkeypatch):
    """Iterations done rise to all of them, one call after the other, long before a layer of one tile ends."""
    monkeypatch.setattr(cycle, "TICKS_PER_CALL", 100)
    layer = Layer.conv("pixels", 2, 3, (1, 80))
    machine = Machine(name="pair", stores=(Store(name="DRAM"), Store(name="GLB")))
    steps = (Place(store="DRAM", operands=ALL_OPERANDS, tile=layer.dims, order=tuple(Dim)),)
    told = []
    execute(Nest(steps=steps), layer, machine, progress=lambda *counts: told.append(counts))
    assert told == [(100, 480), (200, 480), (300, 480), (400, 480), (480, 480)]


def test_progress_of_all_layers_is_told_in_macs():
    """The last word is that all MACs are done; none before says more, or goes back."""
    hardware = load_hardware("8x8_32KB")
    result = simulate(load_network("squeezenext23"), hardware, progress=None)
    layers = sorted(result.layer_results, key=lambda found: found.layer.macs)[:3]
    told = []
    execute_all(layers, hardware, progress=lambda *counts: told.append(counts))
    total = sum(found.layer.macs for found in layers)
    assert told[-1] == (total, total)
    assert told == sorted(told)


def test_overflow_is_reported_and_a_wide_accumulator_holds_the_sum():
    """Large operands leave 32 bits; 48 hold them; the outputs are exact all the same."""
    layer = Layer.conv("loud", 8, 1, 2)
    machine = Machine(name="pair", stores=(Store(name="DRAM"), Store(name="GLB")))
    steps = (
        Place(store="DRAM", operands=ALL_OPERANDS, tile=layer.dims, order=tuple(Dim)),
        Place(store="GLB", operands=ALL_OPERANDS, tile=UNIT, order=tuple(Dim)),
    )
    tensors = random_tensors(layer, magnitude=32767)
    loud = tensors._replace(weights=np.full_like(tensors.weights, 32767), inputs=np.full_like(tensors.inputs, -32767))
    narrow = execute(Nest(steps=steps), layer, machine, loud)
    wide = execute(Nest(steps=steps), layer, machine, loud, accumulator_bits=48)
    assert narrow.overflows > 0
    assert wide.overflows == 0
    np.testing.assert_array_equal(narrow.outputs, convolve(layer, loud))


def test_tensors_of_another_layer_are_refused():
    """The message names the tensor, its shape and the one that is needed."""
    layer, other = Layer.conv("one", 1, 1, 2), Layer.conv("other", 2, 1, 2)
    machine = Machine(name="pair", stores=(Store(name="DRAM"), Store(name="GLB")))
    steps = (Place(store="DRAM", operands=ALL_OPERANDS, tile=layer.dims, order=tuple(Dim)),)
    with pytest.raises(InputError, match=r"one: weights must be int16 of shape \(1, 1, 1, 1, 1\)"):
        execute(Nest(steps=steps), layer, machine, random_tensors(other))
