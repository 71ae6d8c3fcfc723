"""The files of the report on compute/bandwidth ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from accelsim.report.plots import figure_bytes, figure_style
from accelsim.report.ratios.plots import forms_figure, kinds_figure, left_figure, sweep_figure
from accelsim.report.ratios.readme import readme
from accelsim.report.ratios.study import (
    LARGE,
    MOBILENET,
    SQUEEZENEXT,
    Study,
    form_rows,
    kind_rows,
    run_study,
    sweep_rows,
    what_is_left,
)
from accelsim.report.roofline import roofline_figure
from accelsim.report.tables import to_csv


def report_files(progress: Callable[[int, int], None] | None = None) -> dict[str, bytes]:
    """Simulate the study and return the report: file name -> content.

    Args:
        progress: Called with (simulations done, simulations in all).

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with figure_style():
        pass  # what is missing is said before the simulations, not after
    study = run_study(progress)
    texts = {"README.md": readme(study), **tables(study)}
    figures = {
        "forms": forms_figure(form_rows(study)),
        "left": left_figure(what_is_left(study)),
        "sweep": sweep_figure(sweep_rows(study)),
        "kinds": kinds_figure(kind_rows(study)),
        **{f"roofline_{name}": roofline_figure(study.networks[name, LARGE]) for name in (MOBILENET, SQUEEZENEXT)},
    }
    return {
        **{name: text.encode() for name, text in texts.items()},
        **{f"{name}.{kind}": figure_bytes(figure, kind) for name, figure in figures.items() for kind in ("png", "svg")},
    }


def tables(study: Study) -> dict[str, str]:
    """Return the CSV files."""
    left = [vars(entry) for entry in what_is_left(study)]
    return {
        "forms.csv": _rounded_csv(form_rows(study)),
        "left.csv": _rounded_csv(left),
        "sweep.csv": _rounded_csv(sweep_rows(study)),
        "kinds.csv": _rounded_csv(kind_rows(study)),
    }


def _rounded_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return records as CSV with six digits, so that the last bits of a sum do not change the file."""
    return to_csv(
        [{key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()} for row in rows]
    )
