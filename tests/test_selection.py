"""Do --sort, --columns and --top show what they say, and is a table right at every width?"""

from __future__ import annotations

import csv
import io

import pytest
from click.testing import CliRunner
from rich.console import Console

from accelsim import simulate
from accelsim.cli import app
from accelsim.errors import InputError
from accelsim.report.selection import Selection, definitions
from accelsim.report.tables import COMPARISON_COLUMNS, fitted, layer_columns, print_table, summary_lines
from accelsim.result import COLUMNS, Result


@pytest.fixture(scope="module")
def result() -> Result:
    return simulate("squeezenext23", "16x16_128KB")


def printed(*arguments: str) -> list[str]:
    """Lines that a command prints into a pipe."""
    outcome = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout.splitlines()


def drawn(result: Result, selection: Selection, width: int, *, terminal: bool) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=terminal, color_system="standard" if terminal else None)
    print_table(selection.text_columns(result.records, COLUMNS, layer_columns(result)), console=console)
    return stream.getvalue()


@pytest.mark.parametrize(("sort", "reverse"), [("cycles", True), ("-cycles", False)])
def test_does_sort_order_numbers_from_the_largest(result: Result, sort: str, reverse: bool) -> None:
    """Numbers come from the largest, with a minus from the smallest; equal ones keep the network's order."""
    order = Selection(sort=sort).order(result.records)
    cycles = [record["cycles"] for record in result.records]
    assert order == sorted(range(len(cycles)), key=cycles.__getitem__, reverse=reverse)


def test_does_sort_order_names_from_a_and_nothing_last() -> None:
    """Names come from A; rows without a value come last either way."""
    rows = [{"name": "b", "x": None}, {"name": "a", "x": 1.0}, {"name": "c", "x": 2.0}]
    assert Selection(sort="name").order(rows) == [1, 0, 2]
    assert Selection(sort="-name").order(rows) == [2, 0, 1]
    assert Selection(sort="x").order(rows) == [2, 1, 0]
    assert Selection(sort="-x").order(rows) == [1, 2, 0]


def test_do_columns_and_top_choose(result: Result) -> None:
    """Only the columns asked for are there, in that order, and only so many rows."""
    records = Selection(sort="energy", columns=("energy", "layer"), top=3).records(result.records)
    assert [list(record) for record in records] == [["energy", "layer"]] * 3
    assert [record["energy"] for record in records] == sorted((r["energy"] for r in result.records), reverse=True)[:3]


def test_is_a_wrong_column_named() -> None:
    """An unknown column is refused with those there are, and so is a table without rows."""
    with pytest.raises(InputError, match=r"--sort: no column 'cycels'; did you mean 'cycles'.*there are network, "):
        Selection(sort="cycels").check(COLUMNS)
    with pytest.raises(InputError, match=r"--columns: no column 'layers'; did you mean 'layer'"):
        Selection(columns=("cycles", "layers")).check(COLUMNS)
    with pytest.raises(InputError, match="--top must be at least 1, got 0"):
        Selection(top=0).check(COLUMNS)


def test_does_the_command_line_take_them() -> None:
    """The same selection reaches table and CSV; JSON, which holds everything, refuses it."""
    ask = ("run", "squeezenext23", "--hw", "16x16_128KB", "--sort", "-utilization", "--top", "2")
    ask += ("--columns", "layer, utilization,cycles")
    lines = printed(*ask)
    assert lines[0].split() == ["layer", "utilization", "cycles", "[cycles]"]
    assert lines[1].split() == ["fc1000", "2.9%", "17,522"]
    rows = list(csv.DictReader(io.StringIO("\n".join(printed(*ask, "--format", "csv")))))
    assert [row["layer"] for row in rows] == [line.split()[0] for line in lines[1:3]]
    outcome = CliRunner().invoke(app, [*ask, "--format", "json"])
    assert isinstance(outcome.exception, InputError)
    assert "--format json holds everything" in str(outcome.exception)


def test_are_columns_explained_on_request() -> None:
    """`--columns help` lists every column with its unit and definition."""
    lines = printed("run", "squeezenext23", "--hw", "16x16_128KB", "--columns", "help")
    assert lines == definitions(COLUMNS)
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("dram_read_words ")] == [
        f"{COLUMNS['dram_read_words'].help} [words]"
    ]
    assert all(column.help.endswith(".") for column in COMPARISON_COLUMNS.values())


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_does_a_table_fit_the_terminal(result: Result, width: int) -> None:
    """No line is longer than the terminal; the layer and its cycles stay; what is left out is told."""
    lines = drawn(result, Selection(top=5), width, terminal=True)
    plain = Console(file=io.StringIO(), width=width)  # rich's own reading of the colour codes
    from rich.text import Text

    texts = [Text.from_ansi(line) for line in lines.splitlines()]
    assert all(text.cell_len <= width for text in texts if not text.plain.startswith("not shown"))
    assert texts[0].plain.startswith("layer")
    assert "cycles" in texts[0].plain
    assert ("not shown at" in lines) is (width < 150)
    assert plain.width == width


def test_is_a_terminal_coloured_and_a_pipe_not(result: Result) -> None:
    """On a terminal what bounds a layer has a colour of its own; a pipe gets no codes, and all columns."""
    seen = drawn(result, Selection(top=5), 200, terminal=True)
    assert "\x1b[34mcompute" in seen
    assert "\x1b[33mdram" in seen
    piped = drawn(result, Selection(top=5), 40, terminal=False)
    assert "\x1b" not in piped
    assert piped.splitlines()[0].split()[-2:] == ["MACs/DRAM", "byte"]
    assert len({line.rstrip() and line.index("os" if "os" in line else "ws") for line in piped.splitlines()[1:6]}) == 1


def test_do_several_accelerators_follow_one_option() -> None:
    """`compare NET --hw A B` is `compare NET --hw A --hw B`; without a network in front, the rest are networks."""
    short = printed("compare", "alexnet", "--hw", "8x8_32KB", "16x16_128KB", "--columns", "network,hardware")
    assert short == printed(
        "compare", "alexnet", "--hw", "8x8_32KB", "--hw", "16x16_128KB", "--columns", "network,hardware"
    )
    assert [line.split()[1] for line in short[1:]] == ["8x8_32KB", "16x16_128KB"]
    first = printed("compare", "--hw", "8x8_32KB", "alexnet", "squeezenet", "--columns", "network")
    assert [line.strip() for line in first[1:]] == ["alexnet", "squeezenet_v1.0"]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_do_the_lines_below_a_table_fit_a_terminal(result: Result, width: int) -> None:
    """No word is lost or cut, and what goes on stands further right; in a pipe lines stay as they are."""
    lines = summary_lines(result)
    shown = fitted(lines, width)
    assert max(map(len, shown)) <= width
    assert " ".join(shown).split() == " ".join(lines).split()
    begun = {line.split()[0] for line in lines if line}
    assert all(line.startswith("    ") for line in shown if line and line.split()[0] not in begun)
    assert fitted(lines, None) == lines
