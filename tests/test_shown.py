"""Has everything that is shown its unit and a sentence that defines it: tables, metrics, plots, controls?"""

from __future__ import annotations

import re
from typing import Any

import pytest

from accelsim import simulate
from accelsim.explore.metrics import METRICS as SEARCH_METRICS
from accelsim.report import roofline_table
from accelsim.report.accuracy import plot_comparison
from accelsim.report.intensity import ROOFLINE_COLUMNS
from accelsim.report.plots import METRICS, plot_result
from accelsim.report.ratios.study import FORM_COLUMNS
from accelsim.report.roofline import roofline_figure
from accelsim.report.tables import COMPARISON_COLUMNS, comparison_rows
from accelsim.report.web.data import PAGE_COLUMNS, SHARE_COLUMNS, metrics
from accelsim.report.web.live import Playground
from accelsim.result import COLUMNS, Result
from accelsim.simulation import compare

TABLES: dict[str, Any] = {
    "layers": COLUMNS,
    "comparison": COMPARISON_COLUMNS,
    "roofline": ROOFLINE_COLUMNS,
    "roofline table": roofline_table.COLUMNS,
    "forms": FORM_COLUMNS,
    "page": PAGE_COLUMNS,
    "shares": SHARE_COLUMNS,
    "search": SEARCH_METRICS,
}

NAMES = {"network", "hardware", "layer", "block", "op", "kind", "dataflow", "bound", "limit", "form", "objective"}
NAMES |= {"energy_unit", "pareto", "shape", "array", "what"}
COUNTS = {*"NGKCPQRS", "params", "pes", "repeats", "mappings", "mappings_walked"}
RATIOS = {"utilization", "time_share", "relative_time", "relative_energy"}
"""All that has no unit, and why: it is a name, it counts things that its sentence names, or it is a share."""


@pytest.fixture(scope="module")
def result() -> Result:
    return simulate("squeezenext23", "16x16_128KB")


@pytest.mark.parametrize("table", TABLES)
def test_has_every_column_a_unit_and_a_sentence(table: str) -> None:
    """Only names, counts and shares have no unit; every sentence is one."""
    for name, column in TABLES[table].items():
        assert re.fullmatch(r"\S[^\n]*[.]", column.help), name
        assert bool(column.unit) is (name not in NAMES | COUNTS | RATIOS), name


def test_is_a_column_without_a_unit_what_it_is_said_to_be(result: Result) -> None:
    """Names hold text, counts whole numbers, and shares are near one at most."""
    for record in result.records:
        for name, value in record.items():
            if name in NAMES:
                assert isinstance(value, str), name
            elif name in COUNTS:
                assert value == int(value), name
            elif name in RATIOS:
                assert 0 <= value <= 2, name


def test_has_every_metric_of_the_page_a_unit_and_a_sentence() -> None:
    """A metric of a chart has what its column has; utilization is the one without a dimension."""
    for metric in metrics():
        assert metric["help"].endswith("."), metric["key"]
        assert bool(metric["unit"]) is (metric["key"] != "utilization"), metric["key"]


def test_has_every_control_of_the_live_page_a_sentence_and_every_number_a_unit() -> None:
    """A multiplier is the one number that needs none."""
    for control in Playground("squeezenext23", "16x16_128KB").controls:
        assert control.help.endswith("."), control.name
        assert bool(control.unit) is (not control.choices and control.name != "width"), control.name


UNIT = re.compile(r"\((?:(?:thousand|million|billion) )?(?:cycles|words|MAC energies|% of all PE cycles|ms|%)\)")


@pytest.mark.parametrize("metric", METRICS)
def test_has_every_plot_of_layers_its_unit_on_the_axis(result: Result, metric: str) -> None:
    """The axis says what is drawn and in which unit; every bar stands above its layer's name."""
    axes, strip = plot_result(result, metric).axes
    assert UNIT.search(axes.get_ylabel()), axes.get_ylabel()
    assert all(label.get_text() for label in strip.get_xticklabels())


def test_have_roofline_and_comparison_their_units_on_both_axes(result: Result) -> None:
    """MACs per byte and per cycle; accuracy in percent against ms and energy."""
    left, right = roofline_figure(result).axes
    assert left.get_ylabel() == "MACs per cycle"
    assert all(axes.get_xlabel().startswith("MACs per byte ") for axes in (left, right))
    figure = plot_comparison(comparison_rows(compare(["squeezenext23", "mobilenet"], ["16x16_128KB"])))
    for axes in figure.axes:
        assert UNIT.search(axes.get_xlabel()), axes.get_xlabel()
        assert UNIT.search(axes.get_ylabel()), axes.get_ylabel()
