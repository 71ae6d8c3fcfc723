"""Do the arrays of the reference accelerators, executed on real numbers, compute, move and take what they should?"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from stand_in import unit_nest
from strategies import FLOW, cases
from twins import Rules, walk

from accelsim.cli import app
from accelsim.engine.reference import execute_reference
from accelsim.engine.tensors import convolve, random_tensors
from accelsim.errors import AccelsimError
from accelsim.hardware.loader import load_hardware
from accelsim.lowering import lower_layer, lower_machine
from accelsim.mapping import kernels
from accelsim.mapping.arrays import Count
from accelsim.mapping.machine import machine_of
from accelsim.report.verify import Verification, verify
from accelsim.simulation import simulate
from accelsim.workload.layer import Layer
from accelsim.workload.network import Network

PHYSICAL = Rules(loads_next_tile=True, padding_takes_port=False, first_visit_takes_port=False)
"""What the executed array does: a chunk waits for the next one's words, and only words that exist pass a port."""


def counted(case, share):
    """Counts of the closed form if that share of the MACs is executed."""
    machine = lower_machine(case.hardware, FLOW, case.layer)._replace(skip_density=share)
    return kernels.access_counts(np.array(case.tile), np.array(case.order), lower_layer(case.layer), machine)


@given(cases(), st.sampled_from([0.0, 0.4, 1.0]), st.integers(0, 9))
def test_outputs_and_counts_of_any_program(case, zeros, seed):
    """Any layer, dataflow, tiling, share of zeros: outputs bit for bit, all counts for the zeros that there are."""
    tensors = random_tensors(case.layer, seed, zero_fraction=zeros)
    done = execute_reference(case.layer, case.hardware, FLOW, case.tile, case.order, tensors)
    np.testing.assert_array_equal(done.outputs, convolve(case.layer, tensors))
    share = done.counts[Count.MAC] / case.layer.macs
    np.testing.assert_allclose(done.counts, counted(case, share), rtol=1e-9, atol=1e-6)
    if case.hardware.dataflows[FLOW].skips_zeros_of is None:
        assert share == 1.0
    else:
        assert share == pytest.approx(np.count_nonzero(tensors.weights) / tensors.weights.size)


@given(cases())
def test_time_equals_a_walk_with_the_same_rules(case):
    """Without zeros, the array's and the layer's time are those of the pure-Python walk."""
    tensors = random_tensors(case.layer)
    done = execute_reference(case.layer, case.hardware, FLOW, case.tile, case.order, tensors)
    dense = replace_zeros(case)
    seen = walk(case.layer, dense, FLOW, case.tile, case.order, PHYSICAL)
    assert done.array_cycles == pytest.approx(seen.array_cycles)
    assert done.cycles == pytest.approx(seen.cycles)
    assert done.dram_cycles == pytest.approx(seen.dma_cycles)


def replace_zeros(case):
    """The case's hardware, on which no weight is expected to be zero."""
    return msgspec.structs.replace(case.hardware, zero_fraction=dict.fromkeys(case.hardware.zero_fraction, 1e-12))


def one(layer):
    """A network of one layer."""
    return Network(name=layer.name, input_shape=layer.input_shapes[0], layers=(layer,), inputs={layer.name: ("input",)})


def test_overflow_is_reported():
    """A sum beyond the accumulators is counted, and the wide accumulator holds it."""
    layer = Layer.conv("loud", 64, 1, 1)
    tensors = random_tensors(layer, magnitude=32767)
    tensors = tensors._replace(weights=np.abs(tensors.weights), inputs=np.abs(tensors.inputs))
    hardware = load_hardware("16x16_128KB")
    run = [
        execute_reference(layer, hardware, "ws", layer.dims, (0, 1, 2), tensors, accumulator_bits=bits).overflows
        for bits in (32, 48)
    ]
    assert run[0] > 0
    assert run[1] == 0


@pytest.mark.parametrize("hardware", ["8x8_32KB", "16x16_128KB"])
def test_a_network_is_verified(hardware):
    """Convolutions of every kind on both accelerators: both engines agree."""
    layers = [
        Layer.conv("standard", 8, 20, 18, 3, padding=1),
        Layer.conv("depthwise", 20, 20, 18, 3, padding=1, groups=20, stride=2),
        Layer.conv("pointwise", 20, 33, 9),
    ]
    found = [verify(one(layer), hardware) for layer in layers]
    assert all(check.agrees for verification in found for check in verification.layers)
    assert all(verification.layers[0].outputs_equal for verification in found)
    wrong = replace(found[0].layers[0], differing=("MAC: 1 executed, 2 expected",))
    assert not replace(found[0], layers=(wrong,)).agrees


def test_the_command_line_verifies_and_traces(tmp_path, monkeypatch):
    """Exit status 0 with a table where all agree, 1 with a sentence where not; a folder of what happened."""
    small = one(Layer.conv("conv", 8, 8, 6, 3))
    monkeypatch.setattr("accelsim.simulation.load_network", lambda name: small)
    runner = CliRunner()
    done = runner.invoke(app, ["verify", "small", "--hw", "8x8_32KB"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "outputs and all counts equal" in done.output
    traced = runner.invoke(
        app, ["trace", "small", "conv", "--hw", "8x8_32KB", "--dram", "ddr4", "--out", str(tmp_path)]
    )
    assert traced.exit_code == 0
    assert (tmp_path / "trace.json").exists()
    monkeypatch.setattr(Verification, "agrees", False)
    wrong = runner.invoke(app, ["verify", "small", "--hw", "8x8_32KB"])
    assert isinstance(wrong.exception, AccelsimError)


def test_a_general_machine_is_verified():
    """A mapping given by hand on a machine of any hierarchy: both engines agree on outputs and counts."""
    layer = Layer.conv("conv", 4, 6, 6, 3, padding=1)
    hardware = load_hardware("eyeriss")
    nest = unit_nest(layer, machine_of(hardware))
    found = verify(one(layer), hardware, mappings={"conv": nest})
    assert found.layers[0].agrees
    assert found.layers[0].outputs_equal
    run = simulate(one(layer), hardware, mappings={"conv": nest}, engine="cycle")
    assert run.totals["cycles"] == pytest.approx(found.cycles, abs=1)
