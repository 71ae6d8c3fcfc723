"""Does a network on a machine of any hierarchy cost what its mappings cost, searched or given by hand?"""

from __future__ import annotations

import subprocess
import sys
import types
from collections import Counter
from dataclasses import replace

import pytest
import stand_in
from hypothesis import given
from hypothesis import strategies as st
from nest_strategies import layers, machines, nests

from accelsim import cache
from accelsim.dims import Dim, Operand
from accelsim.engine.closed_form import evaluate
from accelsim.engine.general import NestSearch, given_result
from accelsim.errors import HardwareError, InputError, NoMappingError
from accelsim.hardware.loader import load_hardware
from accelsim.mapping.handwritten import load_mappings, to_yaml
from accelsim.mapping.hierarchy import ANY, LoopConstraint
from accelsim.mapping.machine import constraint_of, machine_of
from accelsim.mapping.nest import Place, check
from accelsim.simulation import compare, dataflow_names, simulate
from accelsim.workload.network import NetworkBuilder

W, I, O = Operand.W, Operand.I, Operand.O  # noqa: E741


def network():
    """Return three convolutions, two of them alike."""
    builder = NetworkBuilder("little", (3, 8, 8))
    first = builder.conv(builder.input, 4, 3, padding=1, name="first")
    twin = builder.conv(first, 4, 1, name="twin1")
    builder.conv(twin, 4, 1, name="twin2")
    return builder.build()


@pytest.fixture
def mapper(monkeypatch):
    """Let the stand-in search, in a cache of its own; return how often it did, by layer."""
    calls: Counter[str] = Counter()

    def counted(layer, *arguments, **options):
        calls[layer.name] += 1
        return stand_in.search(layer, *arguments, **options)

    module = types.ModuleType("accelsim.mapping.search")
    module.search = counted
    monkeypatch.setitem(sys.modules, "accelsim.mapping.search", module)
    return calls


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    """Keep answers in a folder of this test."""
    monkeypatch.setenv("ACCELSIM_CACHE_DIR", str(tmp_path / "cache"))


@given(st.data())
def test_do_the_components_hold_every_count_and_all_the_energy(data):
    """Words and energy of all memories and links of any machine end in one component each."""
    layer, machine = data.draw(layers()), data.draw(machines(unbounded=True))
    nest = data.draw(nests(layer, machine))
    cost = evaluate(nest, layer, machine)
    result = given_result(layer, machine, nest)
    assert sum(result.energy.values()) == pytest.approx(cost.energy)
    assert result.energy["dram"] == cost.energy_parts["M0"]
    assert result.energy["noc"] == pytest.approx(sum(cost.energy_parts[fanout.name] for fanout in machine.fanouts))
    words = sum(cost.read_words.values()) + sum(cost.written_words.values()) + sum(cost.link_words.values())
    assert result.counts.sum() == layer.macs + words
    assert result.cycles - 1 < cost.cycles <= result.cycles
    assert result.array_cycles == cost.compute_cycles
    assert result.bound == cost.bound.lower()


def test_are_memories_sorted_into_components_by_where_they_lie():
    """Below the innermost fan-out is rf, the outermost is dram, the two buffers and both networks add up."""
    hardware = load_hardware("cluster4_8x8")
    machine = machine_of(hardware)
    layer = network()["first"]
    nest = stand_in.unit_nest(layer, machine)
    parts = evaluate(nest, layer, machine).energy_parts
    energy = given_result(layer, machine, nest).energy
    assert energy == pytest.approx(
        {
            "mac": parts["MAC"],
            "rf": parts["RF"],
            "noc": parts["chip"] + parts["array"],
            "glb": parts["L2"] + parts["GLB"],
            "dram": parts["DRAM"],
        }
    )


@pytest.mark.usefixtures("own_cache")
def test_does_the_table_hold_the_costs_of_the_mapping_found(mapper):
    """Every column of a row is that of the closed form for the mapping; bytes are of each operand's own width."""
    hardware = load_hardware("gemmini_16x16")
    result = simulate(network(), hardware, dataflow="any", objective="edp")
    assert mapper == {"first": 1, "twin2": 1}
    for row, layer_result in zip(result.records, result.layer_results, strict=True):
        cost = evaluate(layer_result.mapping.nest, layer_result.layer, machine_of(hardware))
        read, written = cost.read_words, cost.written_words
        moved = {o: read.get(("DRAM", o), 0) + written.get(("DRAM", o), 0) for o in Operand}
        assert row["dataflow"] == "any"
        assert row["dram_read_words"] == sum(read.get(("DRAM", o), 0) for o in Operand)
        assert row["dram_write_words"] == written["DRAM", O]
        buffers = [(name, o) for name in ("SPAD", "ACC") for o in Operand]
        assert row["glb_read_words"] == sum(read.get(key, 0) for key in buffers)
        assert row["glb_write_words"] == sum(written.get(key, 0) for key in buffers)
        assert row["macs_per_dram_byte"] == pytest.approx(row["macs"] / (moved[W] + moved[I] + 4 * moved[O]))
        assert row["energy"] == pytest.approx(cost.energy)
        assert row["cycles"] - 1 < cost.cycles <= row["cycles"]
        assert row["stall_cycles"] == row["cycles"] - cost.compute_cycles
        assert row["dram_cycles"] == cost.latency_cycles + cost.busy_cycles["DRAM"]
        assert row["utilization"] == pytest.approx(row["macs"] / (256 * row["cycles"]))
        assert (row["mappings"], row["mappings_walked"]) == (2**70, stand_in.TRIALS)
        assert row["energy_unit"] == "pJ"
    assert result.options["mapping_space"] == "uniform"
    assert result.totals["energy"] == pytest.approx(sum(row["energy"] for row in result.records))


@pytest.mark.usefixtures("own_cache")
def test_is_a_search_answered_from_the_cache_only_if_all_of_it_is_the_same(mapper):
    """The second run searches nothing; another space, objective, dataflow or size of anything does."""
    hardware = load_hardware("edge_16x16_L2")
    once = simulate(network(), hardware, dataflow="any")
    assert mapper.total() == 2
    assert simulate(network(), hardware, dataflow="any").to_dict() == once.to_dict()
    assert simulate(network(), load_hardware("edge_16x16_L2", name="other", clock_mhz=9), dataflow="any").records
    assert mapper.total() == 2
    for count, options in enumerate(
        (
            {"dataflow": "any", "mapping_space": "uneven"},
            {"dataflow": "any", "objective": "energy"},
            {"dataflow": "ws"},
            {"dataflow": "any", "batch": 2},
        ),
        2,
    ):
        simulate(network(), hardware, **options)
        assert mapper.total() == 2 * count
    for count, (path, value) in enumerate(
        (
            ("memories.BUF.size_kb", 32),
            ("memories.L2.latency_cycles", 21),
            ("memories.RF.register_read", "per_mac"),
            ("fanouts.array.axes.rows.size", 8),
            ("stores_padding", True),
            ("operand_bits", {"O": 16}),
        ),
        6,
    ):
        simulate(network(), load_hardware("edge_16x16_L2", **{path: value}), dataflow="any")
        assert mapper.total() == 2 * count


def test_do_equal_questions_have_equal_keys_and_unequal_ones_not():
    """A key depends on neither names nor the order in which sets were filled."""
    machine = machine_of(load_hardware("ref16"))
    layer = network()["first"]
    search = NestSearch(machine=machine, constraint=ANY, objective="edp", uneven=False)
    assert search.question(layer) == replace(search, machine=replace(machine, name="x")).question(layer)
    assert search.question(layer) == search.question(replace(layer, name="x"))
    axes = [LoopConstraint(name="x", unroll={"array.rows": frozenset(d)}) for d in ((Dim.N, Dim.S), (Dim.S, Dim.N))]
    assert len({replace(search, constraint=axis).question(layer) for axis in axes}) == 1
    others = [
        replace(search, constraint=axes[0]),
        replace(search, objective="energy"),
        replace(search, uneven=True),
        replace(search, machine=replace(machine, mac_energy=2.0)),
    ]
    assert len({other.question(layer) for other in [search, *others]}) == 5


@pytest.mark.usefixtures("own_cache", "mapper")
def test_is_best_the_best_of_the_named_dataflows():
    """For every layer the named dataflow with the least; without any named one, no constraint."""
    hardware = load_hardware("gemmini_16x16")
    best, ws, os = (simulate(network(), hardware, dataflow=flow) for flow in ("best", "ws", "os"))
    for rows in zip(best.records, ws.records, os.records, strict=True):
        assert rows[0]["cycles"] == min(row["cycles"] for row in rows[1:])
        assert rows[0]["dataflow"] in ("ws", "os")
    assert {row["dataflow"] for row in simulate(network(), "ref16").records} == {"any"}


@pytest.mark.usefixtures("own_cache", "mapper")
def test_can_the_reference_accelerator_be_given_any_mapping():
    """``any`` searches the general machine; the fixed programs stay what ``best`` chooses from."""
    any_mapping = simulate(network(), "8x8_32KB", dataflow="any")
    assert {row["dataflow"] for row in any_mapping.records} == {"any"}
    assert any_mapping.options["mapping_space"] == "uniform"
    best = simulate(network(), "8x8_32KB")
    assert {row["dataflow"] for row in best.records} <= {"ws", "os"}
    assert "mapping_space" not in best.options


@pytest.mark.usefixtures("own_cache", "mapper")
def test_can_a_constraint_stand_beside_fixed_programs(tmp_path):
    """A dataflow of the user's own joins the programs that best chooses from."""
    mine = {"description": "Rows of outputs.", "unroll": {"rows": ["P"], "cols": ["Q"]}}
    hardware = load_hardware("8x8_32KB", **{"dataflows.mine": mine})
    rows = simulate(network(), hardware, dataflow="mine").records
    assert {row["dataflow"] for row in rows} == {"mine"}
    both = simulate(network(), hardware).records
    programs = simulate(network(), "8x8_32KB").records
    for together, own, fixed in zip(both, rows, programs, strict=True):
        assert together["cycles"] == min(own["cycles"], fixed["cycles"])


@pytest.mark.usefixtures("own_cache", "mapper")
def test_is_a_machine_too_small_for_a_layer_told_what_is_enough():
    """The error of a run is the sentence that names layer, memory, operands and words."""
    hardware = load_hardware("ref16", **{"memories.BUF.size_words": 2})
    with pytest.raises(NoMappingError) as refused:
        simulate(network(), hardware)
    assert str(refused.value) == (
        "layer first: no mapping fits ref16: BUF is too small: the smallest tiles need 3 words (W 1, I 1, O 1), "
        "it has 2; 3 words are enough"
    )


@pytest.mark.usefixtures("own_cache", "mapper")
def test_do_networks_compare_on_machines_of_any_kind():
    """Fixed programs and general machines stand side by side."""
    results = compare([network()], ["8x8_32KB", "ref16", "cluster4_8x8"], objective="energy")
    assert [result.hardware.name for result in results] == ["8x8_32KB", "ref16", "cluster4_8x8"]
    assert all(result.totals["cycles"] > 0 for result in results)


def test_are_wrong_choices_refused():
    """The sentence says what was asked and what there is."""
    with pytest.raises(InputError, match="unknown mapping space 'even'; did you mean 'uneven'"):
        simulate(network(), "ref16", mapping_space="even")
    with pytest.raises(InputError, match="search limit must be a positive whole number of bounds, got 0"):
        simulate(network(), "ref16", search_limit=0)
    with pytest.raises(HardwareError, match=r"ref16 has no dataflow 'rss'.*it has best, any, ws, is, os"):
        simulate(network(), "ref16", dataflow="rss")
    assert dataflow_names(load_hardware("ref16"), "best") == ("any",)
    with pytest.raises(HardwareError, match="dataflow ws needs a fan-out with two axes"):
        constraint_of(
            load_hardware("ref16", **{"fanouts.array.axes": [{"name": "lanes", "size": 4, "reduction": "tree"}]}), "ws"
        )


# Mappings by hand


def file_of(path, text):
    path.write_text(text)
    return path


def test_does_a_mapping_survive_its_file(tmp_path):
    """Written and read again it is the same nest, whatever the layer is called."""
    machine = machine_of(load_hardware("cluster4_8x8"))
    mappings = {
        name: stand_in.search(layer, machine, ANY).nest
        for name, layer in (("a/b: c", network()["first"]), ("7", network()["twin1"]))
    }
    assert load_mappings(file_of(tmp_path / "m.yaml", to_yaml(mappings))) == mappings


@pytest.mark.usefixtures("own_cache")
def test_are_given_mappings_evaluated_as_they_are_and_the_rest_searched(mapper, tmp_path):
    """A layer in the file has the cost of its mapping; its twin that is not is searched."""
    hardware = load_hardware("ref16")
    machine, layer = machine_of(hardware), network()["twin1"]
    nest = stand_in.unit_nest(layer, machine)
    path = file_of(tmp_path / "m.yaml", to_yaml({"twin1": nest}))
    result = simulate(network(), hardware, mappings=path)
    row = next(row for row in result.records if row["layer"] == "twin1")
    assert row["energy"] == pytest.approx(evaluate(nest, layer, machine).energy)
    assert (row["dataflow"], row["mappings"], row["mappings_walked"]) == ("given", 1, 1)
    assert [row["dataflow"] for row in result.records] == ["any", "given", "any"]
    assert mapper == {"first": 1, "twin2": 1}
    assert simulate(network(), hardware, mappings={"twin1": nest}).to_dict() == result.to_dict()


@pytest.mark.usefixtures("own_cache")
def test_does_a_saved_result_hold_mappings_that_run_takes_back(mapper, tmp_path):
    """``mappings.yaml`` of a result, given to a run, gives the same costs without a search."""
    result = simulate(network(), "cluster4_8x8", dataflow="any", objective="energy")
    paths = {path.name: path for path in result.save(tmp_path / "out")}
    mapper.clear()
    again = simulate(network(), "cluster4_8x8", mappings=paths["mappings.yaml"])
    assert not mapper
    assert [row["energy"] for row in again.records] == [row["energy"] for row in result.records]
    assert [row["cycles"] for row in again.records] == [row["cycles"] for row in result.records]
    fixed = {path.name for path in simulate(network(), "8x8_32KB").save(tmp_path / "fixed")}
    assert fixed == set(paths) - {"mappings.yaml"}


def test_is_a_given_mapping_checked_on_the_reference_accelerator(tmp_path):
    """Registers that no mapping must use can be left out, and what is used must fit."""
    hardware = load_hardware("8x8_32KB")
    machine = machine_of(hardware)
    nests = {layer.name: stand_in.unit_nest(layer, machine) for layer in network().array_layers}
    assert {row["dataflow"] for row in simulate(network(), hardware, mappings=nests).records} == {"given"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["m.yaml: is empty"]),
        ("twin1: 5\n", ["m.yaml:1: twin1: mapping: expected a list of steps, got int"]),
        ("\ntwin1:\n  - {memory: DRAM, tiles: {}}\n", ["m.yaml:2: twin1: mapping: step 0: expected memory, operands"]),
        ("twin1:\n  - {memory: DRAM, tile: {Z: 3}}\n", ["m.yaml:1: twin1: mapping: step 0: 'Z' is none of N, G, K"]),
        ("twin1:\n  - {memory: DRAM, tile: {K: 0}}\n", ["step 0: K must be a positive integer, got 0"]),
        ("twin9:\n  - {memory: DRAM}\n", ["a mapping is given for 'twin9'", "no layer of little", "'twin1'"]),
        (
            "twin1:\n  - {memory: DRAM, operands: [W, I, O]}\n",
            ["layer twin1 on ref16: mapping: memory BUF must keep W, I, O"],
        ),
        ("twin1:\n  - {memory: RAM, operands: [W, I, O]}\n", ["layer twin1 on ref16: mapping: memory DRAM must keep"]),
    ],
)
def test_is_a_wrong_mapping_refused_in_one_sentence(text, parts, tmp_path):
    """The sentence names the file and the line, or the layer and the machine, and what is wrong."""
    with pytest.raises(InputError) as refused:
        simulate(network(), "ref16", mappings=file_of(tmp_path / "m.yaml", text))
    message = str(refused.value).replace(f"{tmp_path}/", "")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_is_a_mapping_that_does_not_fit_refused_with_words_needed_and_there():
    """A tile larger than its memory is told with both."""
    hardware = load_hardware("ref16", **{"memories.RF.operand_words": {"W": 15, "I": 16, "O": 16}})
    layer = network()["twin1"]
    nest = stand_in.unit_nest(layer, machine_of(hardware), {"BUF": layer.dims, "RF": layer.dims._replace(P=1, Q=1)})
    with pytest.raises(InputError, match=r"layer twin1 on ref16: .*memory RF needs 16 words of W, it has 15"):
        simulate(network(), hardware, mappings={"twin1": nest})


def run(*arguments, cwd):
    """Run accelsim as a process."""
    return subprocess.run(
        [sys.executable, "-m", "accelsim.cli", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_does_the_command_line_evaluate_mappings_by_hand(tmp_path):
    """``run --mapping`` prints the costs of the file's mappings; a wrong file ends with one sentence and status 1."""
    layers = {layer.name: layer for layer in load_named("alexnet")}
    machine = machine_of(load_hardware("ref16"))
    nests = {name: stand_in.unit_nest(layer, machine) for name, layer in layers.items()}
    file_of(tmp_path / "m.yaml", to_yaml(nests))
    done = run("run", "alexnet", "--hw", "ref16", "--mapping", "m.yaml", "--format", "csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(",given,") == len(nests)
    wrong = run("run", "alexnet", "--hw", "ref16", "--mapping", "none.yaml", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == "accelsim: error: none.yaml: no such file; did you mean 'm.yaml'?\n"


def load_named(name):
    from accelsim.workload.loader import load_network

    return load_network(name).array_layers


def test_does_the_mapper_itself_find_nothing_worse_than_the_stand_in():
    """What the table holds is what the mapper promises: for each objective no more than any mapping tried here."""
    for objective in ("cycles", "energy", "edp"):
        result = simulate(network(), "ref16", objective=objective)
        for row, layer_result in zip(result.records, result.layer_results, strict=True):
            other = stand_in.search(layer_result.layer, machine_of(result.hardware), ANY, objective)
            mine = {"cycles": row["cycles"] - 1, "energy": row["energy"], "edp": (row["cycles"] - 1) * row["energy"]}
            theirs = {"cycles": other.cycles, "energy": other.energy, "edp": other.cycles * other.energy}
            assert mine[objective] <= theirs[objective] * (1 + 1e-9)
            assert layer_result.complete


def test_does_the_stand_in_keep_what_a_mapper_promises():
    """Its mappings are mappings, places and all; else the tests above would test nothing."""
    machine = machine_of(load_hardware("edge_16x16_L2"))
    for layer in network().array_layers:
        found = stand_in.search(layer, machine, ANY)
        check(found.nest, layer, machine)
        assert any(isinstance(step, Place) and max(step.tile) > 1 for step in found.nest.steps[1:])


def test_is_the_cache_in_use():
    """The tests of it would pass without one otherwise."""
    assert cache.enabled()
