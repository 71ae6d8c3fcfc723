"""Does a storage plan give each layer the words of DRAM that its bits, zeros and layout take?"""

import json
from dataclasses import replace
from math import ceil

import numpy as np
import pytest

from accelsim.cli import main
from accelsim.engine.analytical import solve_layer
from accelsim.engine.dram import BankedDram, dram
from accelsim.engine.reference import execute_reference
from accelsim.errors import InputError, WorkloadError
from accelsim.hardware.loader import load_hardware
from accelsim.lowering import lower_layer, lower_machine
from accelsim.mapping import kernels
from accelsim.mapping.arrays import Count
from accelsim.report.intensity import layer_points
from accelsim.report.roofline_table import rows
from accelsim.report.verify import verify
from accelsim.simulation import simulate
from accelsim.workload.layer import Layer, Op, Stored
from accelsim.workload.layer_list_writer import to_yaml
from accelsim.workload.network import Network, NetworkBuilder
from accelsim.workload.storage import Coding, WeightFormat, layer_size, stored_bits
from accelsim.workload.storage_plan import LayerStorage, StoragePlan, layer_coding, load_storage, stored_words

REFERENCE = "16x16_128KB"

PLAN = """\
batch: 4
default: {weight_bits: 8, input_bits: 8, density: 0.4, format: csr, index_bits: 4}
layers:
  conv1: {weight_bits: 16, density: 1.0, format: dense}
  "tail/*": {density: 0.2}
  tail/fc: {format: bitmap, output_bits: 32}
"""


def network() -> Network:
    """Three layers with weights."""
    b = NetworkBuilder("net", (3, 16, 16))
    x = b.relu(b.conv(b.input, 16, 3, padding=1, name="conv1"))
    with b.scope("tail"):
        x = b.conv(x, 32, 3, stride=2, padding=1, name="tail/conv")
        b.linear(b.global_avg_pool(x), 10, bias=True, name="tail/fc")
    return b.build()


def plan_of(tmp_path, text: str) -> StoragePlan:
    """Read a plan for the network."""
    path = tmp_path / "net.storage.yaml"
    path.write_text(text)
    return load_storage(path, network())


def test_later_patterns_win_field_by_field(tmp_path):
    """What a pattern does not say is what the ones before it, or the default, say."""
    plan = plan_of(tmp_path, PLAN)
    assert plan.batch == 4
    assert plan.of("conv1") == LayerStorage(
        weight_bits=16, input_bits=8, density=1, format=WeightFormat.DENSE, index_bits=4
    )
    fc = plan.of("tail/fc")
    assert (fc.weight_bits, fc.density, fc.format, fc.output_bits) == (8, 0.2, WeightFormat.BITMAP, 32)
    assert layer_coding(plan, network()["tail/conv"], 16) == Coding(
        weight_bits=8, density=0.2, format=WeightFormat.CSR, index_bits=4, value_bits=16
    )


def test_words_are_those_of_the_layouts_bytes(tmp_path):
    """Bytes of the weights, without biases, in words of the machine; features by their bits."""
    plan, net = plan_of(tmp_path, PLAN), network()
    words = stored_words(net, plan, 16)
    assert set(words) == {"conv1", "tail/conv", "tail/fc"}
    dense = words["conv1"]
    assert (dense.weights, dense.weights_per_word, dense.inputs_per_word) == (16 * 27, 1.0, 0.5)
    assert (dense.inputs, dense.outputs) == (3 * 256 // 2, 16 * 256)
    fc = words["tail/fc"]
    assert fc.weights == ceil((320 * 0.2 * 8 + 320) / 16)
    assert (fc.outputs_per_word, fc.outputs) == (2.0, 20)
    sparse, size = words["tail/conv"], layer_size(net["tail/conv"], layer_coding(plan, net["tail/conv"], 16))
    assert sparse.weights == ceil(size.total_bytes / 2)
    assert sparse.weights_per_word == pytest.approx(sparse.weights / (32 * 16 * 9))


def test_an_empty_plan_changes_nothing():
    """Without a word said, a weight is a word."""
    net = network()
    for layer, words in zip(net.array_layers, stored_words(net, StoragePlan(), 16).values(), strict=True):
        assert (words.weights, words.inputs, words.outputs) == (layer.weights, layer.input_words, layer.output_words)


def test_the_second_factor_of_a_matmul_is_no_weight():
    """It has the bits of inputs, and no zeros to leave out."""
    from accelsim.workload.graph_builder import GraphBuilder

    b = GraphBuilder("net", (8, 4, 1))
    b.matmul(b.input, b.input, 4, 8, 4, name="m")
    plan = StoragePlan(default=LayerStorage(weight_bits=2, density=0.1, format=WeightFormat.CSR, input_bits=8))
    net = b.build()
    assert net["m"].op is Op.MATMUL
    assert stored_words(net, plan, 16)["m"].weights == 16


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "layers: {conv2: {density: 0.5}}",
            "net.storage.yaml:1: layers.conv2: network net has no layer 'conv2'; did you mean 'conv1'",
        ),
        ("default: {density: 0}", "default.density"),
        ("default: {format: zip}", "default.format"),
        ("default: {weight_bits: 32, codebook: true}", "a codebook takes at most 16 weight_bits"),
        ("defaults: {}", "defaults"),
        ("batch: 0", "batch"),
    ],
)
def test_a_wrong_plan_is_refused_with_its_place(tmp_path, text, expected):
    """The file, the field, and what is allowed there."""
    with pytest.raises(WorkloadError) as refused:
        plan_of(tmp_path, text)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("density", [0.03, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("layout", list(WeightFormat))
def test_the_expected_size_is_that_of_random_weights(layout, density):
    """The closed form and the exact count of what an encoder would write agree for independent zeros.

    Over 200,000 weights the count of values alone has a standard deviation of at most 0.13 of a percent at density
    0.9 and 1.3% at 0.03; four of those are allowed.
    """
    layer = Layer.conv("c", 250, 800, 4)
    rng = np.random.default_rng(7)
    weights = (rng.random((800, 250)) < density) * 1.0
    coding = Coding(weight_bits=6, density=density, format=layout, index_bits=3)
    expected = layer_size(layer, coding)
    exact = stored_bits(weights, coding) / 8
    slack = 4 * ((1 - density) / density / weights.size) ** 0.5
    assert expected.value_bytes + expected.position_bytes == pytest.approx(exact, rel=slack + 1e-4)


def test_exact_sizes_of_a_row_counted_by_hand():
    """0 0 5 0 0 0 0 7 0 in every layout, gaps and runs of up to 4."""
    row = np.array([[0, 0, 5, 0, 0, 0, 0, 7, 0]])

    def bits(layout: str) -> int:
        return stored_bits(row, Coding(weight_bits=8, format=WeightFormat(layout), index_bits=2))

    assert bits("dense") == 72
    assert bits("bitmap") == 9 + 16
    assert bits("csr") == 3 * 10  # 5, a filler over four zeros, 7
    assert bits("run_length") == 2 * 9 + 3 * 3  # runs of 2, 4 and 1
    assert bits("compressed_rows") == 2 * (8 + 4) + 2 * 32


def total(result, column: str) -> float:
    """Return the sum of a column over the layers."""
    return sum(record[column] for record in result.records)


PACKED = StoragePlan(default=LayerStorage(weight_bits=4))
"""A quarter of every weight."""


def test_does_an_empty_plan_change_no_number():
    """With words of DRAM as the array's, every figure of every layer is the same."""
    plain, planned = (simulate("alexnet", REFERENCE, storage=plan) for plan in (None, StoragePlan()))
    assert planned.records == plain.records


@pytest.mark.parametrize("objective", ["cycles", "energy"])
def test_are_weights_moved_as_they_are_stored(objective):
    """A quarter of every weight crosses DRAM and is paid for, all of it arrives in the buffer, and no layer loses."""
    plain, planned = (simulate("alexnet", REFERENCE, objective=objective, storage=plan) for plan in (None, PACKED))
    cost = "cycles" if objective == "cycles" else "total_energy"
    for before, after in zip(plain.layer_results, planned.layer_results, strict=True):
        in_dram = after.counts[Count.DRAM_READ_W]
        assert in_dram == pytest.approx(after.counts[Count.GLB_WRITE_W] / 4, rel=1e-12)
        assert after.energy["dram"] == pytest.approx(200 * after.counts[Count.DRAM_READ_W :].sum(), rel=1e-12)
        assert getattr(after, cost) <= getattr(before, cost)
    assert total(planned, "dram_read_words") < 0.4 * total(plain, "dram_read_words")


def test_does_the_mapper_choose_its_tiles_for_the_words_that_are_stored():
    """Its choice beats, under the plan, the tiles that are best without one."""
    layer = Layer.conv("c", 256, 256, 28, 3, padding=1)
    hardware = load_hardware(REFERENCE)
    packed = replace(layer, stored=Stored(weights=0.1))
    choices = {one: solve_layer(one, hardware, "os", "energy") for one in (layer, packed)}

    def dram_energy(tiles: Layer) -> float:
        answer = choices[tiles]
        machine = lower_machine(hardware, "os", packed)
        _, counts = kernels.evaluate(np.array(answer.tile), np.array(answer.order), lower_layer(packed), machine)
        return float(counts @ machine.unit_energy)

    assert (choices[layer].tile, choices[layer].order) != (choices[packed].tile, choices[packed].order)
    assert dram_energy(packed) < dram_energy(layer)


def test_do_both_engines_count_what_is_stored():
    """Executed word by word, weights, inputs and finished outputs cross DRAM as the closed form says."""
    plan = StoragePlan(default=LayerStorage(weight_bits=3, input_bits=8, output_bits=12))
    found = verify(network(), REFERENCE, storage=plan)
    assert found.agrees, [check.differing for check in found.layers]


def test_is_the_batch_of_a_plan_taken_unless_another_is_asked_for():
    """The plan's 4, or the 2 of the call."""
    plan = StoragePlan(batch=4)
    assert simulate(network(), REFERENCE, storage=plan).options["batch"] == 4
    result = simulate(network(), REFERENCE, storage=plan, batch=2)
    assert (result.options["batch"], result["conv1"].layer.N) == (2, 2)
    assert simulate(network(), REFERENCE).options["batch"] == 1


def test_does_a_machine_that_cannot_take_a_plan_say_so():
    """General mappings, searched or given, move whole words; a plan that only sets the batch is fine."""
    for hardware, dataflow in (("ref16", "any"), (REFERENCE, "any")):
        with pytest.raises(
            WorkloadError, match=r"layer conv1: the storage plan packs .*\(W 0.25, I 1, O 1 of a word\)"
        ):
            simulate(network(), hardware, dataflow=dataflow, storage=PACKED)
    with pytest.raises(InputError, match="an address for every word"):
        execute_reference(
            replace(network()["conv1"], stored=Stored(0.5)),
            load_hardware(REFERENCE),
            *("os", (1,) * 8, (0, 1, 2)),
            dram=BankedDram(timings=dram("ddr4")),
        )


def test_do_the_commands_read_a_plan(tmp_path, capsys, monkeypatch):
    """Run takes its batch from the plan unless --batch says another, and names the plan; map and verify take it too."""
    (tmp_path / "net.storage.yaml").write_text("batch: 3\ndefault: {weight_bits: 8}\n")
    (tmp_path / "net.yaml").write_text(to_yaml(network()))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["accelsim", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        return capsys.readouterr().out

    given = ("--hw", REFERENCE, "--storage", "net.storage.yaml")
    assert "batch 3, dataflow best, objective cycles, stored as net.storage.yaml says" in run("run", "net.yaml", *given)
    data = json.loads(run("run", "net.yaml", *given, "--batch", "2", "--format", "json"))
    assert data["options"]["batch"] == 2
    assert data["layers"][0]["N"] == 2
    assert "n in" in run("map", "net.yaml", "conv1", *given)
    assert "all counts equal" in run("verify", "net.yaml", *given)
    assert json.loads(run("roofline", "net.yaml", *given, "--format", "json"))["options"]["storage"]


def test_is_the_ideal_ratio_that_of_the_words_that_are_stored():
    """No layer has more MACs per byte of DRAM than its ideal, and the rates under single dataflows are the plan's."""
    result = simulate("alexnet", REFERENCE, storage=PACKED)
    for point in layer_points(result):
        assert point.macs_per_dram_byte <= point.ideal_macs_per_byte * (1 + 1e-9)
    assert all(row["per_dataflow"] for row in rows(result))
