"""Does a simulated network add up, answer the same however it is run, and react to the hardware as it should?"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from typing import Any

import numpy as np
import pytest
from conftest import INTERPRETED
from hypothesis import given
from hypothesis import strategies as st
from strategies import FLOW, SHIPPED, layers, machine

from accelsim import simulation
from accelsim.engine.analytical import ENERGY_COMPONENTS, solve_layer
from accelsim.errors import HardwareError, InputError, WorkloadError
from accelsim.hardware.loader import load_hardware
from accelsim.hardware.spec import Hardware
from accelsim.lowering import lower_layer, lower_machine
from accelsim.mapping import kernels
from accelsim.mapping.arrays import Count
from accelsim.mapping.mapping import OBJECTIVES
from accelsim.result import COLUMNS, Result
from accelsim.simulation import compare, simulate
from accelsim.workload.layer import Layer, Op
from accelsim.workload.network import Network, NetworkBuilder

REFERENCE = "16x16_128KB"
SIDE = 4 if INTERPRETED else 8
"""PEs along each axis of the small accelerator."""


def small_hardware(**overrides: Any) -> Hardware:
    """Return the reference accelerator with a small array and a buffer that layers have to be cut for."""
    small = {"fanouts.array.rows": SIDE, "fanouts.array.cols": SIDE, "memories.GLB.size_kb": 4}
    return load_hardware(REFERENCE, **small | overrides)


def small_network() -> Network:
    """Return every kind of layer that runs on the array, twins among them, and layers that do not."""
    builder = NetworkBuilder("small", (3, 12, 12))
    x = builder.conv_relu(builder.input, 8, 3, stride=2, bias=True)
    for name in ("twin1", "twin2"):
        with builder.scope(name):
            x = builder.conv_relu(x, 8, 3, padding=1)
    x = builder.depthwise(x, 3, padding=1)
    x = builder.conv(x, 16, 1)
    x = builder.conv(x, 16, (1, 3), padding=(0, 1), groups=2)
    x = builder.max_pool(x, 5)
    builder.linear(x, 10, bias=True)
    return builder.build()


@pytest.fixture(scope="module")
def result() -> Result:
    """Return the small network on the small accelerator."""
    return simulate(small_network(), small_hardware())


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Solve every layer anew."""
    monkeypatch.setenv("ACCELSIM_NO_CACHE", "1")


@pytest.mark.parametrize(
    ("options", "error", "parts"),
    [
        ({"objective": "speed"}, InputError, ["unknown objective 'speed'", "allowed are cycles, energy, edp"]),
        ({"objective": "cycle"}, InputError, ["did you mean 'cycles'?"]),
        ({"engine": "analytic"}, InputError, ["unknown engine 'analytic'", "did you mean 'analytical'?"]),
        ({"dataflow": "rs"}, HardwareError, ["has no dataflow 'rs'", "it has best, ws, os"]),
        ({"batch": 0}, WorkloadError, ["batch must be a positive integer, got 0"]),
        ({"batch": 1.5}, WorkloadError, ["batch must be a positive integer, got 1.5"]),
        ({"batch": True}, WorkloadError, ["batch must be a positive integer, got True"]),
    ],
)
def test_is_a_wrong_option_refused(options, error, parts):
    """The sentence names the option, what was given and what is allowed, before anything is solved."""
    with pytest.raises(error) as refused:
        simulate(small_network(), small_hardware(), **options)
    for part in parts:
        assert part in str(refused.value)


def test_is_a_network_without_array_layers_refused():
    """There is nothing to simulate in a network that only moves data."""
    builder = NetworkBuilder("pool", (3, 8, 8))
    builder.max_pool(builder.input, 2)
    with pytest.raises(InputError, match="network pool: no layer runs on the array"):
        simulate(builder.build(), small_hardware())


def test_do_names_stand_for_networks_and_accelerators(monkeypatch):
    """A text is loaded by name; compare runs every network on every accelerator, the accelerators outermost."""
    networks = {"a": small_network(), "b": small_network()}
    machines = {"x": small_hardware(name="x"), "y": small_hardware(name="y", **{"memories.DRAM.latency_cycles": 1})}
    monkeypatch.setattr(simulation, "load_network", networks.__getitem__)
    monkeypatch.setattr(simulation, "load_hardware", machines.__getitem__)
    assert simulate("a", "x").network.layers == networks["a"].layers
    results = compare(["a", networks["b"]], ["x", machines["y"]], objective="edp")
    assert [r.hardware.name for r in results] == ["x", "x", "y", "y"]
    assert [r.to_dict() for r in results] == [
        simulate(network, hardware, objective="edp").to_dict()
        for hardware in machines.values()
        for network in networks.values()
    ]
    assert {r.options["objective"] for r in results} == {"edp"}


def count_calls(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[object, str]]:
    """Count the calls of the mapper by layer shape and dataflow."""
    calls: Counter[tuple[object, str]] = Counter()
    solve = simulation.solve_layer

    def counted(layer: Layer, hardware: Hardware, dataflow: str, objective: str) -> Any:
        calls[layer.shape_key, dataflow] += 1
        return solve(layer, hardware, dataflow, objective)

    monkeypatch.setattr(simulation, "solve_layer", counted)
    return calls


@pytest.mark.usefixtures("no_cache")
def test_are_identical_layers_solved_once(monkeypatch):
    """One search per shape and dataflow, and its answer stands for every layer of the shape."""
    calls = count_calls(monkeypatch)
    done = simulate(small_network(), small_hardware())
    shapes = {layer.shape_key for layer in small_network().array_layers}
    assert calls == {(shape, flow): 1 for shape in shapes for flow in ("ws", "os")}
    assert len(shapes) < len(done.layer_results)
    one, other = (name for name in (r["layer"] for r in done.records) if name.startswith("twin"))
    assert done[one].layer.name == one
    assert (done[one].cycles, done[one].energy) == (done[other].cycles, done[other].energy)
    with pytest.raises(InputError, match="no result for layer 'twin'"):
        done["twin"]


def test_is_nothing_solved_twice_across_runs(monkeypatch):
    """The second run finds all answers on disk and says exactly the same."""
    hardware = small_hardware(clock_mhz=123)
    first = simulate(small_network(), hardware).to_dict()
    calls = count_calls(monkeypatch)
    assert simulate(small_network(), hardware).to_dict() == first
    assert not calls


@pytest.mark.usefixtures("no_cache")
def test_are_results_independent_of_the_number_of_threads(monkeypatch):
    """One worker, many workers, and a second time: the same tables to the last digit."""
    seen = []
    for cpus in (1, 2, 16, 2):
        monkeypatch.setattr(os, "cpu_count", lambda cpus=cpus: cpus)
        seen.append(simulate(small_network(), small_hardware()).to_dict())
    assert all(other == seen[0] for other in seen)


@pytest.mark.usefixtures("no_cache")
def test_is_progress_told_to_the_end():
    """Progress counts from 0 to the number of searches and stops there."""
    told: list[tuple[int, int]] = []
    simulate(small_network(), small_hardware(), progress=lambda *counts: told.append(counts))
    assert told == [(count, told[-1][1]) for count in range(told[-1][1] + 1)]
    assert len(told) >= len({layer.shape_key for layer in small_network().array_layers})


def test_do_records_have_the_columns_in_order(result):
    """Every row has exactly the documented columns; layers that only move data are listed apart."""
    assert [list(record) for record in result.records] == [list(COLUMNS)] * len(result.records)
    assert list(result.layers.columns) == list(COLUMNS)
    assert len(result.layers) == len(result.network.array_layers) == result.totals["layers"]
    assert [layer.op for layer in result.not_charged] == [Op.ACTIVATION] * 3 + [Op.MAX_POOL]
    assert result.totals["layers_not_charged"] == 4


def test_are_totals_the_sums_of_the_rows(result):
    """Whatever is a total and a column adds up; what is neither derives from sums."""
    totals, rows = result.totals, result.layers
    summed = set(totals) & set(COLUMNS) - {"energy_unit", "utilization"}
    assert {"cycles", "energy", "macs", "time_ms", "dram_read_words"} <= summed
    for name in summed:
        assert totals[name] == pytest.approx(rows[name].sum(), rel=1e-12)
    assert totals["dram_words"] == (rows["dram_read_words"] + rows["dram_write_words"]).sum()
    assert totals["glb_words"] == pytest.approx((rows["glb_read_words"] + rows["glb_write_words"]).sum(), rel=1e-12)
    assert totals["utilization"] == pytest.approx(rows["macs_executed"].sum() / (SIDE**2 * rows["cycles"].sum()))
    assert totals["time_ms"] == pytest.approx(totals["cycles"] / (result.hardware.clock_mhz * 1e6) * 1e3)
    assert totals["params"] == small_network().totals["params"]
    assert totals["energy_unit"] == "MAC"


def test_do_energy_components_add_up_to_the_counts_times_their_costs(result):
    """Energy is the sum over counts of count x energy per access, component by component."""
    hardware = result.hardware
    dram, buffer, registers, accumulators = hardware.memories
    for row, layer_result in zip(result.records, result.layer_results, strict=True):
        counts = {count.name: layer_result.counts[count] for count in Count}
        assert row["energy"] == pytest.approx(sum(row[f"energy_{part}"] for part in ENERGY_COMPONENTS), rel=1e-12)
        assert row["energy_mac"] == pytest.approx(counts["MAC"] * hardware.mac.energy)
        assert row["energy_noc"] == pytest.approx(counts["LINK"] * hardware.fanouts[0].link_energy)
        assert row["energy_dram"] == pytest.approx(
            sum(counts[f"DRAM_READ_{o}"] for o in "WIO") * dram.read_energy + counts["DRAM_WRITE_O"] * dram.write_energy
        )
        assert row["energy_glb"] == pytest.approx(
            sum(
                counts[f"GLB_READ_{o}"] * buffer.read_energy + counts[f"GLB_WRITE_{o}"] * buffer.write_energy
                for o in "WIO"
            )
        )
        assert row["energy_rf"] == pytest.approx(
            sum(
                counts[f"RF_READ_{o}"] * registers.read_energy + counts[f"RF_WRITE_{o}"] * registers.write_energy
                for o in "WI"
            )
            + counts["RF_READ_O"] * accumulators.read_energy
            + counts["RF_WRITE_O"] * accumulators.write_energy
        )


def test_does_every_row_keep_what_physics_demands(result):
    """No layer beats its lower bounds: PEs, words that must move once, the array's and the DMA's own work."""
    for row, layer_result in zip(result.records, result.layer_results, strict=True):
        layer = layer_result.layer
        assert row["cycles"] >= row["macs_executed"] / SIDE**2
        assert row["cycles"] >= math.floor(
            max(row["compute_cycles"], row["dram_cycles"], layer_result.iteration_cycles)
        )
        assert row["compute_cycles"] >= layer_result.iteration_cycles
        assert row["stall_cycles"] == pytest.approx(row["cycles"] - row["compute_cycles"])
        assert row["dram_read_words"] >= layer.weights + layer.input_words
        assert row["dram_write_words"] >= layer.output_words
        moved = row["dram_read_words"] + row["dram_write_words"]
        dram = result.hardware.memory("DRAM")
        assert row["dram_cycles"] >= moved / dram.words_per_cycle + 2 * dram.latency_cycles
        assert row["macs_per_dram_byte"] == pytest.approx(row["macs"] / (2 * moved))
        assert row["macs_per_glb_byte"] == pytest.approx(
            row["macs"] / (2 * (row["glb_read_words"] + row["glb_write_words"]))
        )
        assert 0 < row["utilization"] <= 1
        assert row["macs_executed"] + layer_result.counts[Count.MAC_SKIPPED] == pytest.approx(row["macs"])
        assert row["macs_executed"] == pytest.approx(row["macs"] * (0.6 if row["dataflow"] == "os" else 1.0))


def test_are_cycles_those_of_the_mapper_rounded_up(result):
    """A layer's cycles are a whole number, the first that is not below what the mapper computed."""
    for layer_result in result.layer_results:
        answer = solve_layer(layer_result.layer, result.hardware, layer_result.mapping.dataflow, "cycles")
        assert answer
        assert isinstance(layer_result.cycles, int)
        assert 0 <= layer_result.cycles - answer.times[0] < 1
        assert (layer_result.mapping.tile, layer_result.mapping.order) == (answer.tile, answer.order)


def test_is_the_bound_that_is_named_the_larger_side(result):
    """A layer waits for DRAM where the DMA works longest; else for its MACs or for the buffer's ports."""
    bounds = set()
    for hardware in (small_hardware(), small_hardware(**{"memories.DRAM.words_per_cycle": 1000})):
        for row, layer_result in zip(
            simulate(small_network(), hardware).records, simulate(small_network(), hardware).layer_results, strict=True
        ):
            assert (row["bound"] == "dram") == (row["dram_cycles"] > row["compute_cycles"])
            if row["bound"] == "glb":
                assert layer_result.iteration_cycles < row["compute_cycles"] / 2
            bounds.add(row["bound"])
    assert {"dram", "compute"} <= bounds


def test_does_a_result_survive_json(result):
    """The JSON text reads back as the same data, with the layout's version, names, options and no NaN."""
    data = json.loads(result.to_json())
    assert data == result.to_dict()
    assert data["schema"] == 1
    assert (data["network"], data["hardware"]) == ("small", REFERENCE)
    assert data["options"] == {"dataflow": "best", "objective": "cycles", "batch": 1, "engine": "analytical"}
    assert data["layers"] == result.layers.to_dict("records")
    assert {"macs", "params", "cycles", "energy", "energy_unit", "time_ms", "utilization", "dram_words"} <= set(
        data["totals"]
    )


def test_does_the_mapping_shown_cover_the_layer(result):
    """Every dim's loops cover its bound, tiles are no larger than the layer, and the text names the places."""
    for layer_result in result.layer_results:
        mapping = layer_result.mapping
        assert all(1 <= tile <= bound for tile, bound in zip(mapping.tile, layer_result.layer.dims, strict=True))
        assert sorted(mapping.order) == [0, 1, 2]
        assert "DRAM keeps W I O" in str(mapping)
        assert "GLB keeps W I O" in str(mapping)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_is_best_the_better_dataflow_layer_by_layer(objective):
    """For each objective no dataflow alone beats "best" on any layer, and best is one of them."""
    hardware = small_hardware()
    best, *alone = [
        simulate(small_network(), hardware, dataflow=flow, objective=objective) for flow in ("best", "ws", "os")
    ]
    value = {
        "cycles": lambda row: row["cycles"],
        "energy": lambda row: row["energy"],
        "edp": lambda row: row["cycles"] * row["energy"],
    }[objective]
    chosen = set()
    for rows in zip(best.records, *(one.records for one in alone), strict=True):
        assert value(rows[0]) == min(value(row) for row in rows[1:])
        chosen.add(rows[0]["dataflow"])
    assert chosen <= {"ws", "os"}


def test_does_each_objective_get_the_least_of_its_own():
    """No other objective finds fewer cycles than cycles, less energy than energy, or a smaller product than edp."""
    hardware = small_hardware(**{"memories.GLB.size_kb": 1})
    rows = {objective: simulate(small_network(), hardware, objective=objective).records for objective in OBJECTIVES}
    for own in OBJECTIVES:
        for other in OBJECTIVES:
            for mine, theirs in zip(rows[own], rows[other], strict=True):
                if own == "edp":
                    assert mine["cycles"] * mine["energy"] <= theirs["cycles"] * theirs["energy"]
                else:
                    assert mine[own] <= theirs[own]


def test_does_a_batch_scale_work_and_share_weights():
    """A batch has as many MACs as its images together, takes no longer, and reads no more from DRAM."""
    hardware = small_hardware()
    one, four = (simulate(small_network(), hardware, batch=batch) for batch in (1, 4))
    assert four.totals["macs"] == 4 * one.totals["macs"]
    assert four.totals["params"] == one.totals["params"]
    assert four.options["batch"] == 4
    for single, many in zip(one.records, four.records, strict=True):
        assert many["N"] == 4
        assert single["cycles"] < many["cycles"] <= 4 * single["cycles"]
    energies = [
        simulate(small_network(), hardware, batch=batch, objective="energy").totals["energy"] for batch in (1, 4)
    ]
    assert energies[1] <= 4 * energies[0] * (1 + 1e-12)


@pytest.mark.parametrize(
    ("path", "worse", "better"),
    [
        ("memories.GLB.size_kb", 1, 64),
        ("memories.DRAM.words_per_cycle", 1, 64),
        ("memories.DRAM.latency_cycles", 1000, 0),
        ("memories.RF.switch_cycles", 9, 0),
        ("fanouts.array.read_words_per_row", 0.25, 8),
        ("fanouts.array.write_words_per_col", 0.25, 8),
        ("zero_fraction.W", 0.1, 0.8),
    ],
)
def test_does_better_hardware_never_cost_cycles(path, worse, better):
    """A better part makes no layer slower, and makes the network faster."""
    slow, fast = (simulate(small_network(), small_hardware(**{path: value})) for value in (worse, better))
    for before, after in zip(slow.records, fast.records, strict=True):
        assert after["cycles"] <= before["cycles"]
    assert fast.totals["cycles"] < slow.totals["cycles"]


@given(layers(), st.sampled_from(SHIPPED), st.integers(0, 2), st.integers(0, 2))
def test_does_an_array_of_twice_the_size_need_no_more_iterations(layer, flow, rows, cols):
    """With the whole layer in the buffer, each doubling of an axis leaves as many iterations or fewer."""
    counts = []
    for double in (1, 2):
        hardware = machine(**flow, sizes=(double * 2**rows, double * 2**cols))
        arrays = lower_layer(layer)
        counts.append(kernels.iteration_total(arrays.dims.copy(), arrays, lower_machine(hardware, FLOW, layer)))
    assert counts[1] <= counts[0]


def test_does_an_aligned_layer_take_a_quarter_of_the_iterations_on_twice_the_array():
    """Where channels and pixels are multiples of both arrays, four times the PEs do the work in a quarter."""
    layer = Layer.conv("aligned", 8, 8, 8, 3, padding=1)
    for flow, left in ((SHIPPED[0], 1.0), (SHIPPED[1], 0.6)):
        for side in (2, 4):
            hardware = machine(**flow, sizes=(side, side))
            arrays = lower_layer(layer)
            iterations = kernels.iteration_total(arrays.dims.copy(), arrays, lower_machine(hardware, FLOW, layer))
            assert iterations == pytest.approx(left * layer.macs / side**2)


def test_is_a_depthwise_layer_the_slower_per_mac():
    """On an array with few words a cycle, a depthwise layer takes several times as long per MAC as a standard one."""
    rows = simulate(small_network(), small_hardware()).layers
    per_mac = rows["cycles"] / rows["macs"]
    depthwise, standard = (per_mac[rows["kind"] == kind].min() for kind in ("depthwise", "standard"))
    assert depthwise > 2 * standard


def test_does_the_clock_change_time_and_nothing_else():
    """Cycles and energy know no clock."""
    slow, fast = (simulate(small_network(), small_hardware(clock_mhz=mhz)).layers for mhz in (500, 1000))
    assert np.array_equal(slow["time_ms"], 2 * fast["time_ms"])
    assert slow.drop(columns="time_ms").equals(fast.drop(columns="time_ms"))
