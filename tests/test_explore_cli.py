"""The explore command as a process: a search, its status, front, exports, pictures, and what stops it."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from explore_spaces import NETWORK

ACCELSIM = [sys.executable, "-m", "accelsim.cli"]

SPACE = """\
name: array
network: three_layers.yaml
hardware: 8x8_32KB
axes:
  rows: {hardware: fanouts.array.rows, from: 4, to: 9, step: 1}
  buffer: {hardware: memories.GLB.size_kb, from: 8, to: 32, times: 2}
constraints: {area_mm2: {max: 0.2}}
objectives: [time_ms, area_mm2]
"""


@pytest.fixture
def explore(tmp_path):
    """Run ``accelsim explore space.yaml`` with further arguments in a folder of its own; returns the process."""
    (tmp_path / "three_layers.yaml").write_text(NETWORK)
    (tmp_path / "space.yaml").write_text(SPACE)

    def call(*arguments, binary=False):
        return subprocess.run(
            [*ACCELSIM, "explore", "space.yaml", *arguments],
            cwd=tmp_path,
            env=os.environ | {"ACCELSIM_CACHE_DIR": str(tmp_path / "cache"), "COLUMNS": "200"},
            capture_output=True,
            text=not binary,
            timeout=300,
            check=False,
        )

    return call


def test_does_a_search_print_its_front_and_go_on(explore, tmp_path):
    """The front comes on standard output, the second time from the store alone, which is a file beside."""
    first = explore("--workers", "1", "--format", "json")
    assert first.returncode == 0, first.stderr
    data = json.loads(first.stdout)
    assert data["objectives"] == ["time_ms", "area_mm2"]
    assert all(row["status"] == "done" and row["area_mm2"] <= 0.2 for row in data["front"])
    assert "18 points are finished in space.sqlite" in first.stderr
    assert (tmp_path / "space.sqlite").exists()
    for again in (explore("--format", "json"), explore("--front", "--format", "json")):
        assert again.stdout == first.stdout
    table = explore("--front").stdout.splitlines()
    assert table[0].split()[:4] == ["rows", "buffer", "time_ms", "area_mm2"]
    assert len(table) == 1 + len(data["front"])


def test_are_status_exports_and_pictures_made_from_the_store(explore, tmp_path):
    """All finished points are exported, infeasible ones with their reason; pictures are files."""
    assert explore("--workers", "1").returncode == 0
    status = explore("--status").stdout
    assert "18 points finished" in status
    assert "0 in work, 0 processes alive" in status
    assert "best time_ms:" in status
    assert json.loads(explore("--status", "--format", "json").stdout)["grid"] == 18
    rows = list(csv.DictReader(io.StringIO(explore("--export", "csv").stdout)))
    assert len(rows) == 18
    assert [(row["rows"], row["buffer"]) for row in rows[:4]] == [("4", "8"), ("4", "16"), ("4", "32"), ("5", "8")]
    bad = [row for row in rows if row["status"] == "infeasible"]
    assert bad
    assert all(row["reason"].startswith("area_mm2 is") and not row["cycles"] for row in bad)
    parquet = pytest.importorskip("pyarrow.parquet", reason="the parquet extra is not installed")
    table = parquet.read_table(io.BytesIO(explore("--export", "parquet", binary=True).stdout))
    assert table.num_rows == 18
    assert table.schema.field("area_mm2").metadata[b"unit"] == b"mm2"
    assert table.column("rows").to_pylist() == [int(row["rows"]) for row in rows]
    pytest.importorskip("matplotlib", reason="the plot extra is not installed")
    pictures = explore("--plot", "pictures").stdout.split()
    assert {os.path.basename(path) for path in pictures} == {
        f"{name}.{kind}" for name in ("front", "parallel", "sensitivity") for kind in ("png", "svg")
    }
    assert all((tmp_path / path).stat().st_size > 1000 for path in pictures)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--status"], "store space.sqlite: no such file"),
        (["--sampler", "magic"], "unknown sampler 'magic'; known are grid, random, lhs, nsga2, tpe"),
        (["--sampler", "random"], "sampler random needs points"),
        (["--workers", "-1"], "workers must be at least 0, got -1"),
        (["--store", "no/where.sqlite"], "store no/where.sqlite: cannot be opened"),
        (["--cluster", "tcp://127.0.0.1:1"], "cluster"),
    ],
)
def test_is_wrong_use_one_sentence(explore, arguments, message):
    """Exit status 1, no traceback, nothing on standard output."""
    if "--cluster" in arguments:
        pytest.importorskip("distributed", reason="the cluster extra is not installed")
    process = explore(*arguments)
    assert process.returncode == 1
    assert process.stdout == ""
    assert "Traceback" not in process.stderr
    assert message in process.stderr


def test_do_options_take_the_place_of_the_files_sampler(explore):
    """A random sample of a size and seed, into the same store as the grid."""
    assert "5 points are finished" in explore("--sampler", "random", "--points", "5", "--seed", "3").stderr
    assert "5 points finished" in explore("--status").stdout
    assert "18 points are finished" in explore().stderr


def test_does_ctrl_c_stop_cleanly_and_say_how_to_go_on(tmp_path):
    """Finished points are kept, claims are given up, the workers are gone, and the same command ends the search."""
    (tmp_path / "three_layers.yaml").write_text(NETWORK)
    (tmp_path / "space.yaml").write_text(SPACE.replace("to: 9", "to: 400").replace("max: 0.2}", "max: 100}"))
    environment = os.environ | {"ACCELSIM_NO_CACHE": "1"}
    command = [*ACCELSIM, "explore", "space.yaml"]
    process = subprocess.Popen(
        [*command, "--workers", "1"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    finished = 0
    while finished < 3 and time.monotonic() < deadline:
        time.sleep(0.2)
        status = subprocess.run(
            [*command, "--status", "--format", "json"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        finished = json.loads(status.stdout)["counts"].get("done", 0) if status.returncode == 0 else 0
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "points are finished in space.sqlite; run the same command again to go on" in errors
    assert "Traceback" not in errors
    status = json.loads(
        subprocess.run([*command, "--status", "--format", "json"], cwd=tmp_path, capture_output=True, check=True).stdout
    )
    assert status["counts"]["done"] >= finished
    assert set(status["counts"]) == {"done"}
    assert status["writers"] == 0
