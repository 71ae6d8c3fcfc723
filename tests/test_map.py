"""Does `accelsim map` show a mapping that can be taken back, and refuse what is wrong in one sentence?"""

from __future__ import annotations

import json

import pytest

from accelsim import load_hardware, load_network
from accelsim.engine.general import given_result
from accelsim.errors import InputError
from accelsim.mapping.handwritten import load_mappings
from accelsim.mapping.machine import machine_of
from accelsim.report.layer_map import map_layer, plot_map


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
