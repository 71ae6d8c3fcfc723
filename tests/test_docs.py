"""Does every command of the documentation work, and print what the pages say?"""

import csv
import doctest
import importlib
import shutil
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import accelsim
from accelsim.yamlio import parse_yaml
from tests import docs_blocks
from tests.docs_blocks import ROOT, Command, blocks, check_output, pages

PAGES = {str(page.relative_to(ROOT)): page for page in pages()}
RUNNABLE = [
    name
    for name, page in PAGES.items()
    if any(block.language in docs_blocks.RUN and block.reason is None for block in blocks(page))
]
FIGURES = ROOT / "docs" / "figures"


@pytest.mark.skipif(shutil.which("bash") is None or sys.platform == "win32", reason="the commands are for a shell")
@pytest.mark.parametrize("name", RUNNABLE)
def test_does_every_command_of_the_page_work(name, tmp_path):
    """In the order of the page, in an empty folder, with the output that the page shows."""
    if any("import onnx" in block.text for block in blocks(PAGES[name])):
        pytest.importorskip("onnx", reason="the onnx extra is not installed")
    assert docs_blocks.run_page(PAGES[name], tmp_path) > 0


def test_are_there_pages_and_commands():
    """An extraction that finds nothing would let everything pass."""
    found = [block for page in PAGES.values() for block in blocks(page)]
    assert len(RUNNABLE) >= 10
    assert sum(block.language in docs_blocks.RUN and block.reason is None for block in found) >= 25


@pytest.mark.parametrize("name", PAGES)
def test_has_every_block_that_is_not_run_a_reason(name):
    for block in blocks(PAGES[name]):
        assert block.reason is None or len(block.reason.split()) >= 3, block.where


@pytest.mark.parametrize("name", PAGES)
def test_is_every_command_in_a_fence(name):
    """An indented block would not be run."""
    for number, line in enumerate(PAGES[name].read_text(encoding="utf-8").splitlines(), 1):
        assert not line.startswith(("    accelsim ", "    pip ", "    python ", "    $ ")), f"{name}:{number}"


@pytest.mark.parametrize("name", PAGES)
def test_is_every_yaml_block_valid(name):
    for block in blocks(PAGES[name]):
        if block.language == "yaml":
            parse_yaml(block.text, block.where)


def test_is_output_compared_line_by_line():
    """The comparison itself: lines left out, ends of lines left out, and what is wrong."""
    printed = "a 1\nb 2\nc 3\n"
    for good in ("a 1\nb 2\nc 3\n", "...\nc 3\n", "a 1\n...\n", "a ...\n...\n", "...\n"):
        check_output(Command("page", "x", 0, good), printed)
    for wrong in ("a 1\nc 3\n", "a 1\n", "...\nb 2\n", "a 2\n...\n"):
        with pytest.raises(AssertionError, match="prints something else"):
            check_output(Command("page", "x", 0, wrong), printed)


def script(name: str):
    """Return a module of ``docs/scripts``."""
    spec = spec_from_file_location(name, ROOT / "docs" / "scripts" / f"{name}.py")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_are_the_figures_what_the_script_draws(tmp_path):
    """The numbers in the tutorial's figures are computed again; the pictures exist and are small."""
    pytest.importorskip("matplotlib", reason="the plot extra is not installed")
    drawn = {path.name: path for path in script("figures").draw(tmp_path)}
    assert set(drawn) == {path.name for path in FIGURES.iterdir()}
    with drawn["tutorial.csv"].open() as new, (FIGURES / "tutorial.csv").open() as old:
        assert list(csv.reader(new)) == list(csv.reader(old))
    for path in FIGURES.iterdir():
        assert path.stat().st_size < 200_000, path.name
        assert path.suffix == ".csv" or path.name in (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")


def accelsim_commands() -> dict[str, list[str]]:
    """Return every command with the names of its options."""
    from accelsim.cli import app

    return {
        name: [opt for entry in each.params for opt in entry.opts if opt[:1] == "-"]
        for name, each in app.commands.items()
    }


def test_has_every_key_and_column_a_meaning():
    """The pages made from the code: every public key of every file, and none without an explanation."""
    pytest.importorskip("griffe", reason="the docs extra is not installed")
    made = script("reference").pages()
    for key in ("double_buffered", "words_per_cycle", "most_dims", "zero_fraction"):
        assert f"`{key}`" in made["reference/hardware-keys.md"]
    assert "\n## op: conv\n" in made["reference/network-keys.md"]
    for page in ("hardware", "network", "explore", "storage"):
        rows = [line for line in made[f"reference/{page}-keys.md"].splitlines() if line.startswith("| `")]
        assert rows
        assert all(line.split(" | ")[-1].strip(" |") for line in rows), page
    commands = accelsim_commands()
    for command, options in commands.items():
        section = made["reference/cli.md"].split(f"\n## accelsim {command}\n")[1].split("\n## ")[0]
        assert all(f"`{option}`" in section for option in options), command
    for name in accelsim.__all__:
        assert f".{name}\n" in made["reference/api.md"]


MODULES = [path for path in sorted((ROOT / "accelsim").rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


def test_are_there_examples():
    assert len(MODULES) >= 5


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(Path(path).relative_to(ROOT)))
def test_do_the_examples_in_docstrings_hold(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0
