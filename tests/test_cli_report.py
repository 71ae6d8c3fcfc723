"""The commands that show: report, roofline, compare's picture and serve, as processes that a user starts."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

ACCELSIM = [sys.executable, "-m", "accelsim.cli"]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run accelsim in an empty folder; returns the finished process."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*ACCELSIM, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False
        )

    return call


def test_does_report_write_one_page(run: Run, tmp_path: Path) -> None:
    """The page is written where asked, its path printed, and it holds the command, all networks and accelerators."""
    process = run("report", "squeezenext23", "mobilenet", "--hw", "8x8_32KB", "16x16_128KB", "-o", "page.html")
    assert process.returncode == 0, process.stderr
    assert process.stdout == "page.html\n"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    text = (tmp_path / "page.html").read_text()
    assert len(text) < 6_000_000
    assert "accelsim report squeezenext23 mobilenet --hw 8x8_32KB 16x16_128KB -o page.html" in text
    assert "<title>accelsim: squeezenext23, mobilenet on 8x8_32KB, 16x16_128KB</title>" in text


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("report", "alexnet", "--hw", "8x8_32KB", "-o", "."), "a folder of that name is in the way"),
        (("report", "alexnet", "--hw", "8x8_32KB", "--baseline", "mobilenet"), "'mobilenet' is not among"),
        (("report", "alexnt", "--hw", "8x8_32KB"), "did you mean 'alexnet'"),
        (("roofline", "alexnet", "--hw", "8x8_32KB", "--plot", "a.bmp"), "its suffix must be one of"),
        (("compare", "alexnet", "--hw", "8x8_32KB", "--sort", "speed"), "--sort: no column 'speed'"),
        (("run", "alexnet", "--hw", "8x8_32KB", "--top", "0"), "--top must be at least 1, got 0"),
        (("serve", "alexnt", "--port", "0"), "did you mean 'alexnet'"),
    ],
)
def test_is_a_wrong_input_one_sentence(run: Run, arguments: tuple[str, ...], part: str) -> None:
    """Exit status 1, one sentence on standard error that names what is wrong, no traceback."""
    process = run(*arguments)
    assert process.returncode == 1, process.stderr
    sentences = [line for line in process.stderr.splitlines() if "compiling" not in line]
    assert len(sentences) == 1
    assert sentences[0].startswith("accelsim: error: ")
    assert part in sentences[0]


def test_does_roofline_print_in_all_formats(run: Run, tmp_path: Path) -> None:
    """Table, CSV and JSON show the same layers and rates; the picture is written as PNG and SVG."""
    process = run("roofline", "mobilenet", "--hw", "16x16_128KB", "--plot", "roofs")
    assert process.returncode == 0, process.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"roofs.png", "roofs.svg"}
    lines = process.stdout.splitlines()
    assert lines[0].startswith("layer")
    assert any(re.match(r"  depthwise +20\.2% of time", line) for line in lines)
    rows = list(
        csv.DictReader(io.StringIO(run("roofline", "mobilenet", "--hw", "16x16_128KB", "--format", "csv").stdout))
    )
    data = json.loads(run("roofline", "mobilenet", "--hw", "16x16_128KB", "--format", "json").stdout)
    assert [row["layer"] for row in rows] == [entry["layer"] for entry in data["layers"]]
    assert [row["layer"] for row in rows] == [line.split()[0] for line in lines[1 : 1 + len(rows)]]
    assert (data["schema"], data["roofs"]["macs_per_cycle"], data["roofs"]["dram_bytes_per_cycle"]) == (1, 256, 16)


def test_does_compare_draw_and_mark_the_front(run: Run, tmp_path: Path) -> None:
    """The Pareto column marks who is not beaten, and the picture is written."""
    ask = ("compare", "squeezenext23", "alexnet", "resnet50", "--hw", "16x16_128KB", "--plot", "front.svg")
    process = run(*ask, "--columns", "network,pareto")
    assert process.returncode == 0, process.stderr
    cells = [line.split(maxsplit=1) for line in process.stdout.splitlines()]
    assert {name: "".join(mark).strip() for name, *mark in cells} == {
        "network": "pareto",
        "squeezenext23": "time energy",
        "alexnet": "",
        "resnet50": "time energy",
    }
    assert (tmp_path / "front.svg").read_text().lstrip().startswith("<?xml")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is a signal on POSIX only")
def test_does_serve_serve_until_ctrl_c(tmp_path: Path) -> None:
    """It says where, answers there, refuses with a sentence, and Ctrl-C ends it with status 0 and no traceback."""
    process = subprocess.Popen(
        [*ACCELSIM, "serve", "alexnet", "--hw", "8x8_32KB", "--port", "0"],
        cwd=tmp_path,
        env=os.environ | {"ACCELSIM_CACHE_DIR": str(tmp_path / "cache")},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = next(line for line in process.stderr if line.startswith("serving"))
        address = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert address is not None
        with urllib.request.urlopen(address[0], timeout=600) as answer:
            assert b"alexnet on 8x8_32KB, live" in answer.read()
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address[0]}api/simulate?rows=x", timeout=600)
        assert refused.value.code == 400
        assert "error" in json.loads(refused.value.read())
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=600) == 0
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.wait()
