"""Are results saved whole, with what is needed to make them again, and are their pictures right and legible?"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import logging
import os
import sys
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from accelsim.errors import InputError, MissingExtraError
from accelsim.hardware.loader import load_hardware
from accelsim.hardware.spec import EnergyUnit
from accelsim.report import files
from accelsim.report.files import check_folder, save_result, to_csv, to_parquet_bytes, write_whole
from accelsim.report.plots import METRICS, figure_bytes, layer_bars, plot_result
from accelsim.report.summary import summary_markdown
from accelsim.report.text import count_scale, energy_scale, markdown_table, percent_of, signed_percent
from accelsim.result import COLUMNS, Result
from accelsim.simulation import simulate
from accelsim.workload.loader import load_network
from accelsim.workload.network import Network, NetworkBuilder

HARDWARE = "16x16_128KB"

ADDITIVE = {"time": "cycles", "energy": "energy", "traffic": "dram_words"}
"""Metric -> the total that its bars add up to."""


def chain(layers: int, stem: str = "conv") -> Network:
    """A network whose layers all differ in shape, so that each has a bar of its own."""
    b = NetworkBuilder("chain", (3, 8, 8))
    x = b.input
    for number in range(layers):
        x = b.conv(x, 4 + number, name=f"{stem}{number}")
    return b.build()


@pytest.fixture(scope="module")
def mobilenet() -> Result:
    return simulate("mobilenet", HARDWARE)


@pytest.fixture(scope="module")
def squeezenext() -> Result:
    return simulate("squeezenext23", HARDWARE)


@pytest.fixture(scope="module")
def small() -> Result:
    return simulate(chain(4), HARDWARE)


# --- writing ------------------------------------------------------------------------------------


def test_is_a_file_written_with_what_it_should_hold(tmp_path: Path) -> None:
    """The bytes arrive, an older file of the name goes, nothing else stays, and others may read it as usual."""
    path = tmp_path / "layers.csv"
    path.write_bytes(b"old")
    assert write_whole(path, b"new") == path
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["layers.csv"]
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_does_a_failing_write_leave_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """A full disk, whenever it shows, leaves the old content, no other file, and one sentence with path and reason."""
    path = tmp_path / "layers.csv"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, step, full)
    with pytest.raises(InputError, match=r"^cannot write .*layers\.csv: no space left on device$"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["layers.csv"]


def test_does_an_interrupted_write_leave_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of a write passes on, and leaves the old content and no other file."""
    path = tmp_path / "layers.csv"
    path.write_bytes(b"old")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["layers.csv"]


def test_is_a_missing_folder_made_and_left_empty(tmp_path: Path) -> None:
    """A folder is made with its parents, and the test whether it can be written leaves nothing in it."""
    folder = check_folder(tmp_path / "a" / "b")
    assert folder == tmp_path / "a" / "b"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("below", ["", "deeper"])
def test_is_a_file_in_the_way_named(tmp_path: Path, below: str) -> None:
    """A file where the folder or one of its parents should be is refused in one sentence with the path."""
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match=r"^cannot write into folder .*out.*: a file is in the way$"):
        check_folder(tmp_path / "out" / below)
    assert (tmp_path / "out").read_text() == "mine"


def test_is_a_folder_in_the_way_of_a_file_named(tmp_path: Path, small: Result) -> None:
    """A folder with the name of a file to write is refused, and stays."""
    (tmp_path / "summary.md").mkdir()
    with pytest.raises(InputError, match=r"summary\.md: a folder of that name is in the way$"):
        save_result(small, tmp_path)
    assert (tmp_path / "summary.md").is_dir()


def test_is_an_unwritable_folder_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that exists but lets nothing be written is found out before anything is simulated."""
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
    else:  # nothing stops root but the file system itself

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(InputError, match=r"^cannot write into folder .*: permission denied$"):
        check_folder(tmp_path)
    tmp_path.chmod(0o700)


# --- what is saved ------------------------------------------------------------------------------


def test_does_saving_write_every_file(tmp_path: Path, small: Result) -> None:
    """Tables, pictures, summary and manifest are written, and the paths returned are the files there."""
    written = save_result(small, tmp_path / "out")
    names = {"layers.csv", "layers.parquet", "result.json", "summary.md", "manifest.json"}
    names |= {f"{metric}.{kind}" for metric in (*METRICS, "roofline") for kind in ("png", "svg")}
    assert {path.name for path in written} == names
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == json.loads(small.to_json())


def test_does_the_manifest_say_how_to_make_the_files_again(tmp_path: Path, mobilenet: Result) -> None:
    """Versions, command, options, network and hardware are in it, with a digest of the hardware and of every file."""
    written = save_result(mobilenet, tmp_path, command="accelsim run mobilenet")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["command"] == "accelsim run mobilenet"
    assert manifest["options"] == {"dataflow": "best", "objective": "cycles", "batch": 1, "engine": "analytical"}
    assert manifest["network"]["family"] == "mobilenet"
    assert manifest["network"]["parameters"]["resolution"] == 224
    assert any(fact.get("top1_percent") == 70.6 for fact in manifest["network"]["facts"])
    assert msgspec.convert(manifest["hardware"], type(mobilenet.hardware)) == mobilenet.hardware
    assert {"numpy", "numba", "pandas"} <= {name for name, version in manifest["packages"].items() if version}
    assert manifest["not_written"] == {}
    digests = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    others = [path for path in written if path.name != "manifest.json"]
    assert digests == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in others}


def test_does_the_manifest_tell_networks_and_accelerators_apart(tmp_path: Path) -> None:
    """One changed number of the hardware, or one changed layer, changes its digest; the same input does not."""

    def digests(network: Network, **overrides: object) -> tuple[str, str]:
        result = simulate(network, load_hardware(HARDWARE, **overrides))
        manifest = json.loads(save_result(result, tmp_path)[-1].read_text())
        return manifest["network"]["sha256"], manifest["hardware_sha256"]

    base = digests(chain(1))
    assert digests(chain(1)) == base
    other_machine = digests(chain(1), **{"memories.DRAM.latency_cycles": 101})
    assert (other_machine[0] == base[0], other_machine[1] == base[1]) == (True, False)
    other_network = digests(chain(2))
    assert (other_network[0] == base[0], other_network[1] == base[1]) == (False, True)


def test_do_files_go_on_without_the_extras(
    tmp_path: Path, small: Result, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without pyarrow and matplotlib all else is written; one warning and the manifest say what to install."""
    for name in ("pyarrow", "matplotlib", "matplotlib.style"):
        monkeypatch.setitem(sys.modules, name, None)
    with caplog.at_level(logging.WARNING, logger="accelsim"):
        written = {path.name for path in save_result(small, tmp_path)}
    assert written == {"layers.csv", "result.json", "summary.md", "manifest.json"}
    assert [record.getMessage().count("pip install 'accelsim[plot]'") for record in caplog.records] == [1]
    left_out = json.loads((tmp_path / "manifest.json").read_text())["not_written"]
    assert "pip install 'accelsim[parquet]'" in left_out["layers.parquet"]
    assert "pip install 'accelsim[plot]'" in left_out["time.svg"]
    with pytest.raises(MissingExtraError, match=r"pip install 'accelsim\[parquet\]'"):
        to_parquet_bytes(small)
    with pytest.raises(MissingExtraError, match=r"pip install 'accelsim\[plot\]'"):
        plot_result(small)


def test_does_parquet_return_the_table(mobilenet: Result) -> None:
    """The Parquet file reads back as the very DataFrame, and its columns know their units."""
    import pandas as pd
    import pyarrow.parquet as pq

    data = to_parquet_bytes(mobilenet)
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(data)), mobilenet.layers)
    schema = pq.read_schema(io.BytesIO(data))
    assert schema.field("cycles").metadata[b"unit"] == b"cycles"
    assert schema.field("bound").metadata[b"help"].decode() == COLUMNS["bound"].help


def test_does_csv_return_the_table(mobilenet: Result) -> None:
    """The CSV file reads back as the very DataFrame, column by column."""
    import pandas as pd

    read = pd.read_csv(io.StringIO(to_csv(mobilenet)), keep_default_na=False)
    pd.testing.assert_frame_equal(read, mobilenet.layers, check_dtype=False, check_exact=True)
    assert next(csv.reader(io.StringIO(to_csv(mobilenet)))) == list(COLUMNS)


# --- the summary --------------------------------------------------------------------------------


def table_after(page: str, heading: str) -> list[list[str]]:
    """Rows of the first Markdown table after a heading, its header left out."""
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


def test_does_the_summary_split_everything(mobilenet: Result) -> None:
    """Shares of MACs, time and energy add up to the whole over kinds and over bounds; layers do too."""
    page = summary_markdown(mobilenet)
    for heading in ("By kind of layer", "By what the layer waits for"):
        rows = table_after(page, heading)
        assert sum(int(row[1]) for row in rows) == 28
        for column in (2, 3, 4):
            assert sum(float(row[column].rstrip("%")) for row in rows) == pytest.approx(100, abs=0.3)
    assert {row[0] for row in table_after(page, "By kind of layer")} == {
        "standard",
        "depthwise",
        "pointwise",
        "linear",
    }


def test_does_the_summary_name_what_is_left_out_and_assumed(mobilenet: Result) -> None:
    """Layers that are not charged are counted by operation, and every assumption of the hardware is there."""
    page = summary_markdown(mobilenet)
    counted = {row[0]: int(row[1]) for row in table_after(page, "Layers not charged")}
    assert sum(counted.values()) == len(mobilenet.not_charged)
    assert (counted["batch_norm"], counted["softmax"]) == (27, 1)
    assert all(f"- `{path}`: {reason}\n" in page for path, reason in mobilenet.hardware.assumptions.items())


def test_are_the_slowest_layers_listed_first(squeezenext: Result) -> None:
    """The list of slowest layers starts with the slowest and holds ten."""
    rows = table_after(summary_markdown(squeezenext), "The 10 slowest layers")
    cycles = sorted((record["cycles"] for record in squeezenext.records), reverse=True)
    assert [int(row[4].replace(",", "")) for row in rows] == cycles[:10]


# --- pictures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ADDITIVE)
@pytest.mark.parametrize("network", ["alexnet", "squeezenext23", "mobilenet"])
def test_do_bars_add_up_to_the_totals(network: str, metric: str) -> None:
    """Every bar has its layers' cycles, energy or DRAM words, none is negative, no layer is lost or counted twice."""
    result = simulate(network, HARDWARE)
    bars = layer_bars(result, metric)
    total = result.totals[ADDITIVE[metric]]
    assert sum(sum(bar.segments.values()) for bar in bars) == pytest.approx(total, rel=1e-12)
    assert min(min(bar.segments.values()) for bar in bars) >= -1e-9 * total
    assert sum(bar.repeats for bar in bars) == len(result.layer_results)
    assert len(bars) == len({entry.layer.shape_key for entry in result.layer_results})


@pytest.mark.parametrize("metric", ADDITIVE)
def test_are_the_bars_drawn_the_layers_bars(squeezenext: Result, metric: str) -> None:
    """Heights in the picture, in the axis' unit, add up to the totals; names, repeats and dataflows are those."""
    figure = plot_result(squeezenext, metric)
    axes, strip = figure.axes
    total = squeezenext.totals[ADDITIVE[metric]]
    divisor = {"time": 1e3, "energy": 1e6, "traffic": 1e6}[metric]
    assert sum(patch.get_height() for patch in axes.patches) * divisor == pytest.approx(total)
    labels = [text.get_text() for text in strip.get_xticklabels()]
    assert labels[0] == "conv1"
    assert "conv8  ×5" in labels  # noqa: RUF001 - the sign of multiplication
    assert len(labels) == len(strip.patches) == len(layer_bars(squeezenext, metric))
    flows = {bar.get_label(): len(bar.patches) for bar in strip.containers}
    assert flows == {"ws": len(labels) - 1, "os": 1}


def test_do_pictures_say_what_they_show(squeezenext: Result) -> None:
    """Network, hardware, total and options are in the title, the unit is on the axis, all colours are named."""
    time, energy = plot_result(squeezenext, "time"), plot_result(squeezenext, "energy")
    assert time.axes[0].get_ylabel() == "time (thousand cycles)"
    assert energy.axes[0].get_ylabel() == "energy (million MAC energies)"
    titles = [figure.axes[0].get_title(loc="left") for figure in (time, energy)]
    for title in titles:
        assert title.startswith("squeezenext23 on 16x16_128KB\n")
        assert "dataflow best, objective cycles, batch 1" in title
    assert count_scale(1e6, "cycles").text(squeezenext.totals["cycles"]) in titles[0]
    assert energy_scale(1e9, "MAC").text(squeezenext.totals["energy"]) in titles[1]
    named = [text.get_text() for text in time.axes[0].get_legend().get_texts()]
    assert named == [
        "waiting for DRAM",
        "array: preload, fill, drain",
        "multiply-accumulates",
        "",
        "dataflow",
        "ws",
        "os",
    ]
    # The links of this accelerator cost nothing: a colour that no bar has is not in the legend.
    named = [text.get_text() for text in energy.axes[0].get_legend().get_texts()]
    assert named[:4] == ["DRAM", "global buffer", "registers", "MAC units"]


def test_does_the_energy_axis_follow_the_unit() -> None:
    """Hardware whose energies are picojoules gets an axis in joules of a fitting size."""
    hardware = msgspec.structs.replace(load_hardware(HARDWARE), energy_unit=EnergyUnit.PJ)
    result = simulate(chain(4), hardware)
    largest = max(sum(bar.segments.values()) for bar in layer_bars(result, "energy"))
    assert 1e3 <= largest < 1e6
    assert plot_result(result, "energy").axes[0].get_ylabel() == "energy (nJ)"


@pytest.mark.parametrize(
    ("layers", "stem"), [(1, "conv"), (4, "conv"), (130, "stage1/unit2/branch3x3_double_and_longer/conv")]
)
def test_is_nothing_cut_off_or_on_top_of_each_other(layers: int, stem: str) -> None:
    """At 1, 4 and 130 bars all text is inside the picture, and names of neighbours have room beside each other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = plot_result(simulate(chain(layers, stem), HARDWARE), "time")
    FigureCanvasAgg(figure).draw()
    page = figure.bbox
    axes, strip = figure.axes
    names = strip.get_xticklabels()
    for text in (axes.title, axes._left_title, axes.yaxis.label, *names, *axes.get_legend().get_texts()):
        box = text.get_window_extent()
        assert page.x0 <= box.x0, text.get_text()
        assert box.x1 <= page.x1, text.get_text()
        assert page.y0 <= box.y0, text.get_text()
        assert box.y1 <= page.y1, text.get_text()
    boxes = [text.get_window_extent() for text in names]
    assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))
    assert axes.get_legend().get_window_extent().x0 >= axes.bbox.x1
    assert axes.bbox.height >= 1.5 * figure.dpi


def test_is_the_same_picture_the_same_bytes(small: Result) -> None:
    """Drawn twice, PNG and SVG are equal byte for byte, and the SVG carries no date."""
    for kind in ("png", "svg"):
        first, second = (figure_bytes(plot_result(small, "time"), kind) for _ in range(2))
        assert first == second
    assert b"<dc:date>" not in figure_bytes(plot_result(small, "time"), "svg")


def test_does_drawing_leave_the_callers_settings_alone(small: Result) -> None:
    """A user's own matplotlib settings neither change nor change the picture."""
    import matplotlib as mpl

    plain = figure_bytes(plot_result(small, "time"), "png")
    with mpl.rc_context({"font.size": 30.0, "axes.facecolor": "red"}):
        assert figure_bytes(plot_result(small, "time"), "png") == plain
        assert mpl.rcParams["font.size"] == 30.0


def test_is_a_picture_saved_as_its_name_says(tmp_path: Path, small: Result) -> None:
    """A suffix decides the format, none means PNG and SVG, and a wrong one is refused with those allowed."""
    plot_result(small, "energy", tmp_path / "one.svg")
    plot_result(small, "energy", tmp_path / "two")
    assert {path.name for path in tmp_path.iterdir()} == {"one.svg", "two.png", "two.svg"}
    assert (tmp_path / "two.png").read_bytes()[:4] == b"\x89PNG"
    assert b"<svg" in (tmp_path / "one.svg").read_bytes()
    with pytest.raises(InputError, match=r"\.png, \.svg, \.pdf"):
        plot_result(small, "energy", tmp_path / "three.bmp")
    with pytest.raises(InputError, match=r"unknown metric 'enrgy'; did you mean 'energy'"):
        plot_result(small, "enrgy")


def test_are_a_networks_long_names_shortened_in_the_middle() -> None:
    """A label keeps the start, which says the block, and the end, which says the layer."""
    result = simulate(chain(1, "stage1/unit2/branch3x3_double_and_longer/conv"), HARDWARE)
    label = layer_bars(result, "time")[0].label
    assert label.startswith("stage1/unit2")
    assert label.endswith("conv0")
    assert len(label) < 36


# --- text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(7, "7 cycles"), (999, "999 cycles"), (1000, "1.000 thousand cycles"), (1_524_659, "1.525 million cycles")],
)
def test_does_the_unit_fit_the_number(value: float, text: str) -> None:
    """Numbers are told in the largest unit that leaves a digit before the point."""
    assert count_scale(value, "cycles").text(value) == text


def test_are_energies_told_in_joules_or_macs() -> None:
    """Picojoules turn into nano, micro and millijoules; energies of one MAC into thousands and millions."""
    assert energy_scale(2.5e6, "pJ").text(2.5e6) == "2.500 µJ"
    assert energy_scale(12.0, "pJ").text(12.0) == "12 pJ"
    assert energy_scale(2.5e9, "MAC").text(2.5e9) == "2.500 billion MAC energies"


def test_are_markdown_tables_aligned_and_escaped() -> None:
    """Columns of numbers but the first are aligned to the right, and a bar in a cell does not end the cell."""
    text = markdown_table(("name", "size", "note"), [("a|b", "+1.5%", "x"), ("c", "2 / 3", "")])
    assert text.splitlines() == [
        "| name | size | note |",
        "| --- | ---: | --- |",
        "| a\\|b | +1.5% | x |",
        "| c | 2 / 3 |  |",
    ]


def test_are_shares_of_nothing_no_error() -> None:
    """An accelerator whose energies are all 0 has no shares of energy, and its summary is still written."""
    assert percent_of(0.0, 0.0) == "-"
    assert signed_percent(-0.0439) == "-4.4%"
    free = {
        f"memories.{name}.{access}_energy": 0 for name in ("DRAM", "GLB", "RF", "ACC") for access in ("read", "write")
    }
    hardware = load_hardware(HARDWARE, **free, **{"mac.energy": 0})
    result = simulate(load_network("alexnet"), hardware)
    assert "| dram | 0 MAC energies | - |" in summary_markdown(result)
    plot_result(result, "energy")
