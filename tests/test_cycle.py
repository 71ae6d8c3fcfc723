"""Does the cycle engine compute the convolution, and does it move exactly the words that the closed form counts?"""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from nest_strategies import layers, machines, nests

from accelsim.engine.closed_form import evaluate
from accelsim.engine.cycle import execute
from accelsim.engine.tensors import convolve, random_tensors


@given(st.data())
def test_outputs_and_counts_of_any_mapping(data):
    """Any layer, machine and nest: outputs bit for bit, words at both ends, on links, read back; MACs, iterations."""
    layer = data.draw(layers())
    machine = data.draw(machines(unbounded=True))
    nest = data.draw(nests(layer, machine))
    tensors = random_tensors(layer, seed=data.draw(st.integers(0, 99)))
    cost, done = evaluate(nest, layer, machine), execute(nest, layer, machine, tensors)
    np.testing.assert_array_equal(done.outputs, convolve(layer, tensors))
    assert (done.macs, done.iterations, done.overflows) == (cost.macs, cost.iterations, 0)
    for moved, counted in zip(done.flows, cost.traffic, strict=True):
        for field in ("operand", "source", "target", "source_words", "target_words", "read_back_words", "link_words"):
            assert getattr(moved, field) == getattr(counted, field), (field, moved, counted)
