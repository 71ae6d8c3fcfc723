"""Does `accelsim map` show a mapping that can be taken back, and refuse what is wrong in one sentence?"""

from __future__ import annotations

import json

import pytest

from accelsim import best_mapping, best_mappings, load_hardware, load_network, mapping_front
from accelsim.engine.general import given_result
from accelsim.errors import InputError
from accelsim.mapping.handwritten import load_mappings
from accelsim.mapping.machine import machine_of
from accelsim.mapping.nest import from_data
from accelsim.report.layer_map import map_layer, plot_map
from accelsim.report.layer_maps import map_front, map_top, plot_maps


@pytest.fixture(scope="module")
def found():
    return map_layer("squeezenext23", "conv68", "ref16", objective="edp")


def test_does_the_text_name_the_nest_the_fill_and_the_search(found):
    """Every memory of the machine, its words, the costs, and how large the space was."""
    text = "\n".join(found.lines())
    assert "DRAM [W, I, O]" in text
    assert "BUF holds W" in text
    assert "of 65536 words" in text
    assert "all covered" in text
    assert f"{found.result.cycles:,} cycles" in text


def test_does_run_take_the_yaml_back_and_say_the_same(found, tmp_path):
    """The mapping written down and evaluated again costs what the search said."""
    path = tmp_path / "maps.yaml"
    path.write_text(found.yaml())
    assert set(load_mappings(path)) == {"conv68"}
    layer = load_network("squeezenext23")["conv68"]
    result = given_result(layer, machine_of(load_hardware("ref16")), load_mappings(path)["conv68"])
    assert result.cycles == found.result.cycles
    assert result.total_energy == pytest.approx(found.result.total_energy)


def test_is_json_parseable_and_whole(found):
    """The same figures as the text, as data."""
    data = json.loads(json.dumps(found.data()))
    assert data["complete"] is True
    assert data["cycles"] == found.result.cycles
    assert data["mappings"] > data["evaluated"] > 0


def test_is_a_picture_written(found, tmp_path):
    """A PNG of a sensible size."""
    pytest.importorskip("matplotlib", reason="pictures need the extra plot")
    plot_map(found, tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 10_000


def test_has_a_fixed_program_no_yaml():
    """Its nest is the hardware file's; the message says what to do instead."""
    fixed = map_layer("squeezenext23", "conv68", "16x16_128KB")
    assert "DRAM keeps W I O" in "\n".join(fixed.lines())
    with pytest.raises(InputError, match="--dataflow any"):
        fixed.yaml()


def test_is_a_wrong_layer_refused():
    """With the nearest name."""
    with pytest.raises(InputError, match=r"no layer .fc100.*fc1000"):
        map_layer("squeezenext23", "fc100", "16x16_128KB")


@pytest.fixture(scope="module")
def several():
    return map_top("squeezenext23", "conv68", "ref16", top=5, objective="edp")


@pytest.fixture(scope="module")
def front():
    return map_front("resnet50", "stage1/unit1/conv2", "ref16", tolerance=0)


def test_are_the_best_mappings_in_order_and_each_of_its_kind(several, found):
    """The first is the mapper's best; no two unroll the same dims along the array's axes."""
    records = several.records()
    assert [row["rank"] for row in records] == [1, 2, 3, 4, 5]
    assert records[0]["edp"] == pytest.approx(found.result.cycles * found.result.total_energy)
    assert [row["edp"] for row in records] == sorted(row["edp"] for row in records)
    dims = [tuple(sorted("".join(filter(str.isalpha, loops)) for loops in row["unrolled"].values())) for row in records]
    assert len(set(dims)) == 5
    assert several.complete
    text = "\n".join(several.lines())
    assert "no mapping of another kind is better" in text
    assert f"{records[4]['cycles']:,}" in text


def test_can_every_listed_mapping_be_taken_back(several):
    """The nest in the data costs what the row says."""
    layer, machine = load_network("squeezenext23")["conv68"], machine_of(load_hardware("ref16"))
    for row in json.loads(json.dumps(several.data()))["results"]:
        result = given_result(layer, machine, from_data(row["nest"]))
        assert (result.cycles, result.total_energy) == (row["cycles"], pytest.approx(row["energy"]))


def test_is_every_mapping_on_the_front_faster_or_cheaper_than_the_others(front):
    """By growing cycles and falling energy; the ends are what the mapper finds for cycles and for energy."""
    rows = front.records()
    assert len(rows) > 2
    assert [row["cycles"] for row in rows] == sorted(row["cycles"] for row in rows)
    assert [row["energy"] for row in rows] == sorted((row["energy"] for row in rows), reverse=True)
    assert front.complete
    assert front.data()["tolerance"] == 0
    layer, hardware = load_network("resnet50")["stage1/unit1/conv2"], load_hardware("ref16")
    assert best_mapping(layer, hardware, objective="cycles").cycles == rows[0]["cycles"]
    assert best_mapping(layer, hardware, objective="energy").total_energy == pytest.approx(rows[-1]["energy"])


def test_are_pictures_of_several_mappings_written(several, front, tmp_path):
    """A PNG of a sensible size for each."""
    pytest.importorskip("matplotlib", reason="pictures need the extra plot")
    for name, maps in (("top", several), ("front", front)):
        plot_maps(maps, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000


def test_is_a_second_question_answered_from_the_cache(monkeypatch, tmp_path):
    """The best mappings and the front of a layer are searched once."""
    monkeypatch.setenv("ACCELSIM_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("ACCELSIM_NO_CACHE", raising=False)
    layer, hardware = load_network("squeezenext23")["conv68"], load_hardware("ref16")
    once = best_mappings(layer, hardware, top=3), mapping_front(layer, hardware)
    monkeypatch.setattr("accelsim.mapping.search.search_top", None)
    monkeypatch.setattr("accelsim.mapping.search.search_front", None)
    again = best_mappings(layer, hardware, top=3), mapping_front(layer, hardware)
    assert [one.cycles for one in once[0]] == [one.cycles for one in again[0]]
    assert once[1].tolerance == again[1].tolerance
    assert [one.total_energy for one in once[1].results] == [one.total_energy for one in again[1].results]


def test_is_a_table_that_cannot_be_refused():
    """In one sentence: fixed programs, several dataflows, counts and tolerances out of range."""
    layer = load_network("squeezenext23")["conv68"]
    with pytest.raises(InputError, match="'best' stands for the fixed program ws; allowed are any"):
        best_mappings(layer, load_hardware("16x16_128KB"), top=3, dataflow="best")
    with pytest.raises(InputError, match="'best' stands for ws, os; allowed are any, ws, os"):
        mapping_front(layer, load_hardware("edge_16x16_L2"), dataflow="best")
    with pytest.raises(InputError, match="top must be 1 to 1000 mappings, got 0"):
        best_mappings(layer, load_hardware("ref16"), top=0)
    with pytest.raises(InputError, match=r"tolerance must be 0 to 1, got -0.5"):
        mapping_front(layer, load_hardware("ref16"), tolerance=-0.5)
    with pytest.raises(InputError, match="unknown objective 'speed'"):
        best_mappings(layer, load_hardware("ref16"), top=1, objective="speed")
