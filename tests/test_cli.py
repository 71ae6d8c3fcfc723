"""The command line as a process: what a user types, sees and gets back."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ACCELSIM = [sys.executable, "-m", "accelsim.cli"]


@pytest.fixture
def run(tmp_path):
    """Run accelsim in an empty folder with a cache of its own; returns the finished process."""

    def call(*arguments, **environment):
        return subprocess.run(
            [*ACCELSIM, *arguments],
            cwd=tmp_path,
            env=os.environ | {"ACCELSIM_CACHE_DIR": str(tmp_path / "cache"), "COLUMNS": "80"} | environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return call


def assert_refused(process, *parts):
    """Check for exit status 1, one sentence on standard error that holds all parts, and nothing else."""
    assert process.returncode == 1, process.stderr
    assert process.stdout == ""
    assert "Traceback" not in process.stderr
    assert len([line for line in process.stderr.splitlines() if "compiling" not in line]) == 1
    for part in parts:
        assert part in process.stderr


def test_does_the_main_job_print_a_row_per_layer_and_the_totals(run):
    """The README's command prints all 112 layers of squeezenext23 and a summary, and nothing is an error."""
    process = run("run", "squeezenext23", "--hw", "16x16_128KB")
    assert process.returncode == 0, process.stderr
    rows = [line.split()[0] for line in process.stdout.splitlines() if line and not line.startswith(" ")]
    assert rows[:3] == ["layer", "conv1", "conv2"]
    assert rows[112:114] == ["fc1000", "squeezenext23"]
    assert "not charged" in process.stdout


def test_is_piped_output_plain_and_complete_whatever_the_width(run):
    """A pipe gets no colour codes and every column, also when COLUMNS is small."""
    process = run("run", "alexnet", "--hw", "16x16_128KB", COLUMNS="40")
    assert "\x1b" not in process.stdout
    header = process.stdout.splitlines()[0]
    assert header.startswith("layer")
    assert header.rstrip().endswith("MACs/DRAM byte")


def test_is_json_output_parseable_and_consistent(run):
    """JSON carries the schema, and its totals are the sums of its layers."""
    process = run("run", "alexnet", "--hw", "8x8_32KB", "--format", "json")
    data = json.loads(process.stdout)
    assert data["schema"] == 1
    assert (data["network"], data["hardware"]) == ("alexnet", "8x8_32KB")
    assert data["totals"]["cycles"] == sum(layer["cycles"] for layer in data["layers"])
    assert data["totals"]["macs"] == 724_406_816
    assert {"macs", "params", "cycles", "energy", "energy_unit", "time_ms", "utilization", "dram_words"} <= set(
        data["totals"]
    )
    assert {entry["op"] for entry in data["not_charged"]} == {"activation", "max_pool", "lrn", "dropout", "softmax"}


def test_does_csv_output_have_the_documented_columns(run):
    """CSV has one header, one row per layer and the columns of the contract."""
    process = run("run", "alexnet", "--hw", "16x16_128KB", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(process.stdout)))
    assert [row["layer"] for row in rows] == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
    required = (
        "network hardware layer op kind N G K C P Q R S stride macs weights dataflow cycles compute_cycles dram_cycles "
        "stall_cycles utilization bound energy energy_mac energy_rf energy_noc energy_glb energy_dram dram_read_words "
        "dram_write_words glb_read_words glb_write_words macs_per_dram_byte macs_per_glb_byte"
    )
    assert set(required.split()) <= set(rows[0])


def test_does_a_second_run_give_the_same_answer_from_the_cache(run):
    """Cached, uncached and repeated runs print the same bytes."""
    arguments = ("run", "squeezenet_v1.1", "--hw", "16x16_128KB", "--format", "json")
    first, second = run(*arguments), run(*arguments)
    uncached = run(*arguments, ACCELSIM_NO_CACHE="1")
    assert first.stdout == second.stdout == uncached.stdout
    assert "0 solved layers" not in run("cache").stdout
    assert "0 solved layers" in run("cache", "--clear").stdout


def test_does_a_damaged_cache_do_no_harm(run, tmp_path):
    """A cache file that is not a database is ignored."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "mappings.sqlite").write_bytes(b"not a database at all" * 100)
    process = run("run", "alexnet", "--hw", "16x16_128KB")
    assert process.returncode == 0
    assert process.stderr == ""


def test_does_compare_relate_times_to_the_fastest_or_to_a_baseline(run):
    """The fastest network counts as 1 on each accelerator; a baseline may be named by an alias."""
    names = ("squeezenext23", "squeezenext23v5", "--hw", "16x16_128KB", "--hw", "8x8_32KB")
    rows = json.loads(run("compare", *names, "--format", "json").stdout)["rows"]
    assert [(row["network"], row["hardware"]) for row in rows] == [
        ("squeezenext23", "16x16_128KB"),
        ("squeezenext23v5", "16x16_128KB"),
        ("squeezenext23", "8x8_32KB"),
        ("squeezenext23v5", "8x8_32KB"),
    ]
    assert rows[1]["relative_time"] == rows[3]["relative_time"] == 1
    assert rows[0]["relative_time"] > 1
    rows = json.loads(run("compare", *names, "--baseline", "1.0-SqNxt-23", "--format", "json").stdout)["rows"]
    assert rows[0]["relative_time"] == rows[2]["relative_time"] == 1


def test_do_lists_and_pages_work_in_all_formats(run):
    """The networks and the accelerators can be listed and shown as table, JSON and CSV."""
    for arguments in (("networks",), ("networks", "mobilenet"), ("hw",), ("hw", "16x16_128KB")):
        assert run(*arguments).returncode == 0
        assert json.loads(run(*arguments, "--format", "json").stdout)
        assert len(list(csv.reader(io.StringIO(run(*arguments, "--format", "csv").stdout)))) > 1
    totals = json.loads(run("networks", "mobilenet", "--format", "json").stdout)["totals"]
    assert {"params", "params_conv", "params_linear", "params_bias", "params_bn", "macs"} <= set(totals)


def test_does_out_write_data_plots_and_a_manifest(run, tmp_path):
    """--out leaves the table, the plots and a manifest that repeats the command."""
    process = run("run", "alexnet", "--hw", "16x16_128KB", "--out", "result")
    assert process.returncode == 0, process.stderr
    files = {path.name for path in (tmp_path / "result").iterdir()}
    assert {"layers.csv", "result.json", "manifest.json", "time.png", "time.svg", "energy.png", "energy.svg"} <= files
    manifest = json.loads((tmp_path / "result" / "manifest.json").read_text())
    assert manifest["command"] == "accelsim run alexnet --hw 16x16_128KB --out result"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("run", "squeznext23", "--hw", "16x16_128KB"), ("unknown network 'squeznext23'", "'squeezenext23'")),
        (("run", "alexnet", "--hw", "16x16_128kb"), ("unknown hardware '16x16_128kb'", "'16x16_128KB'")),
        (("run", "./none.yaml", "--hw", "16x16_128KB"), ("none.yaml", "no such file")),
        (("run", "alexnet", "--hw", "none.yaml"), ("none.yaml", "no such file")),
        (("run", ".", "--hw", "16x16_128KB"), ("'.'",)),
        (("run", "", "--hw", "16x16_128KB"), ("''",)),
        (("run", "alexnet", "--hw", "16x16_128KB", "--dataflow", "oss"), ("'oss'", "best, ws, os")),
        (("run", "alexnet", "--hw", "16x16_128KB", "--objective", "speed"), ("'speed'", "cycles, energy, edp")),
        (("run", "alexnet", "--hw", "16x16_128KB", "--engine", "magic"), ("'magic'", "analytical")),
        (("run", "alexnet", "--hw", "16x16_128KB", "--batch", "0"), ("batch", "positive", "0")),
        (("run", "alexnet", "--hw", "16x16_128KB", "--batch", "-3"), ("batch", "positive", "-3")),
        (("run", "alexnet", "--hw", "16x16_128KB", "--out", "/proc/none/here"), ("/proc/none/here",)),
        (("compare", "alexnet", "--hw", "16x16_128KB", "--baseline", "vgg16"), ("'vgg16'", "alexnet")),
        (("networks", "none"), ("'none'",)),
        (("hw", "none"), ("'none'", "16x16_128KB")),
        (("reproduce", "none"), ("'none'", "squeezenext")),
    ],
)
def test_is_a_wrong_name_or_option_refused_in_one_sentence(run, arguments, parts):
    """Wrong names and values end with status 1 and one sentence that names what is allowed."""
    assert_refused(run(*arguments), *parts)


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("size_kb: 128", "size_kb: -5", ("my.yaml:", "memories[1].size_kb", "-5")),
        ("size_kb: 128", "size_kb: big", ("my.yaml:", "memories[1].size_kb", "big")),
        ("size_kb: 128", "size_kbyte: 128", ("my.yaml:", "size_kbyte", "size_kb")),
        ("size_kb: 128", "size_kb: 0.05", ("no tile fits GLB", "words")),
        ("clock_mhz: 1000", "", ("my.yaml", "clock_mhz")),
        ("rows: 16", "rows: 0", ("my.yaml:", "rows", "0")),
        ("word_bits: 16", "word_bits: 16\nword_bits: 8", ("my.yaml:", "word_bits")),
        ("nest: [G,", "nest: [X,", ("my.yaml:", "X")),
    ],
)
def test_is_a_wrong_hardware_file_refused_in_one_sentence(run, tmp_path, old, new, parts):
    """A hardware YAML with one mistake is refused with file, field, what was found and what is allowed."""
    text = run("hw", "16x16_128KB", "--format", "json")
    assert text.returncode == 0
    from accelsim.data import data_file

    source = data_file("hwconfigs", "16x16_128KB").read_text()
    assert old in source
    (tmp_path / "my.yaml").write_text(source.replace(old, new, 1))
    assert_refused(run("run", "alexnet", "--hw", "my.yaml"), *parts)


def test_is_a_kernel_larger_than_its_input_refused_in_one_sentence(run, tmp_path):
    """A layer list whose filter exceeds its input names the layer and both sizes."""
    layers = "[{name: conv1, op: conv, out_channels: 4, kernel: 9}]"
    (tmp_path / "net.yaml").write_text(f"name: small\ninput: [3, 8, 8]\nlayers: {layers}\n")
    assert_refused(run("run", "net.yaml", "--hw", "16x16_128KB"), "conv1", "9", "8")


def test_does_a_closed_pipe_end_in_one_sentence(tmp_path):
    """A reader that leaves early gets no traceback, and status 1."""
    process = subprocess.Popen(
        [*ACCELSIM, "run", "squeezenext23", "--hw", "16x16_128KB", "--format", "csv"],
        cwd=tmp_path,  # elsewhere than a checkout, which would be imported instead of the installed package
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    error = process.stderr.read()
    assert process.wait(300) == 1
    assert "Traceback" not in error
    assert "Exception ignored" not in error
    sentences = [line for line in error.splitlines() if "compiling" not in line]
    assert sentences == ["accelsim: error: standard output was closed before everything was printed"]


def test_does_ctrl_c_end_with_one_line(tmp_path):
    """SIGINT while a network is being solved ends with status 1 and the word interrupted."""
    process = subprocess.Popen(
        [*ACCELSIM, "run", "vgg19", "--hw", "16x16_128KB", "--batch", "64"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"ACCELSIM_CACHE_DIR": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "numba")},
    )
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "interrupted" in error
    assert "Traceback" not in error


def test_does_map_print_several_mappings(run):
    """The best by kind and the front, as text and as JSON."""
    text = run("map", "squeezenext23", "conv68", "--hw", "ref16", "--top", "2", "--objective", "edp")
    assert text.returncode == 0, text.stderr
    assert "best in edp" in text.stdout
    data = json.loads(run("map", "squeezenext23", "conv68", "--hw", "ref16", "--front", "--format", "json").stdout)
    assert data["complete"] is True
    assert [row["rank"] for row in data["results"]] == list(range(1, len(data["results"]) + 1))


def test_are_contradictory_options_of_map_refused(run):
    """Two tables at once, a tolerance or an objective of nothing, and several mappings in one YAML."""
    start = ("map", "squeezenext23", "conv68", "--hw", "ref16")
    assert_refused(run(*start, "--top", "2", "--front"), "--top and --front", "give one")
    assert_refused(run(*start, "--tolerance", "0.1"), "--tolerance", "without --front")
    assert_refused(run(*start, "--top", "2", "--tolerance", "0.1"), "--tolerance", "without --front")
    assert_refused(run(*start, "--front", "--objective", "edp"), "leave --objective edp out")
    assert_refused(run(*start, "--front", "--format", "yaml"), "--format yaml", "text or json")


def test_does_import_stay_light(tmp_path):
    """Importing accelsim pulls in none of the heavy packages."""
    heavy = "numpy numba pandas matplotlib rich click ruamel msgspec"
    code = f"import sys, accelsim; print([m for m in {heavy.split()!r} if m in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert process.stdout == "[]\n"


def test_is_a_missing_option_a_usage_error(run):
    """Wrong usage ends with status 2 and says what is missing."""
    process = run("run", "alexnet")
    assert process.returncode == 2
    assert "--hw" in process.stderr


def test_do_relative_paths_work_from_an_empty_folder(run, tmp_path):
    """Shipped names load from anywhere; a path is taken from where the user stands."""
    assert list(tmp_path.iterdir()) == []
    assert run("networks").returncode == 0
    (tmp_path / "net.yaml").write_text(
        "name: one\ninput: [3, 8, 8]\nlayers:\n  - {name: c, op: conv, out_channels: 4, kernel: 3}\n"
    )
    data = json.loads(run("run", "net.yaml", "--hw", "8x8_32KB", "--format", "json").stdout)
    assert data["totals"]["macs"] == 4 * 3 * 9 * 36


def test_do_the_examples_run():
    """Every script in examples/ runs and prints a table."""
    scripts = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
    assert scripts
    for script in scripts:
        process = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300, check=True)
        assert len(process.stdout.splitlines()) > 2
