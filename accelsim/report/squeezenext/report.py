"""The SqueezeNext report's files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from accelsim.report.comparison import comparisons_csv
from accelsim.report.plots import figure_bytes, figure_style
from accelsim.report.squeezenext.efficiency import efficiency_rows
from accelsim.report.squeezenext.plots import figure6_figure, figure8_figure, table3_figure
from accelsim.report.squeezenext.readme import readme
from accelsim.report.squeezenext.study import (
    NETWORKS,
    Digits,
    LayerRow,
    Study,
    figure6,
    figure8,
    mac_digits,
    parameter_digits,
    run_study,
    table3_energy,
    table3_time,
    table4_rows,
)
from accelsim.report.tables import to_csv
from accelsim.result import Result


def report_files(progress: Callable[[int, int], None] | None = None) -> dict[str, bytes]:
    """Simulate the study and return the report: file name -> content.

    Args:
        progress: Called with (simulations done, simulations in all).

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with figure_style():
        pass  # what is missing is said before half a minute of simulations, not after
    study = run_study(progress)
    texts = {"README.md": readme(study), **_tables(study)}
    figures = {
        "table3": table3_figure(table3_time(study.large), table3_energy(study.large)),
        "figure6": figure6_figure(figure6(study.large)),
        "figure8": figure8_figure(figure8(study.large)),
    }
    return {
        **{name: text.encode() for name, text in texts.items()},
        **{f"{name}.{kind}": figure_bytes(figure, kind) for name, figure in figures.items() for kind in ("png", "svg")},
    }


def _tables(study: Study) -> dict[str, str]:
    """Return the CSV files."""
    parameters, macs = parameter_digits(study.large), mac_digits(study.large)
    return {
        "table3_time.csv": comparisons_csv(table3_time(study.large), "relative"),
        "table3_energy.csv": comparisons_csv(table3_energy(study.large), "macs"),
        "table3_parameters.csv": _digits_csv(parameters, ("ours_millions", "ours_with_biases_millions")),
        "table3_macs.csv": _digits_csv(macs, ("ours_with_outputs_millions", "ours_millions")),
        "table4.csv": to_csv([_layer_row(row) for row in table4_rows()]),
        "figure6.csv": comparisons_csv(figure6(study.large), "kcycles"),
        "figure8.csv": comparisons_csv(figure8(study.large), "kcycles"),
        "efficiency.csv": to_csv(efficiency_rows(study.large)),
        "totals.csv": to_csv([_totals_row(r, model) for r in (study.large, study.small) for model in NETWORKS]),
    }


def _digits_csv(counted: Sequence[Digits], columns: Sequence[str]) -> str:
    return to_csv(
        [
            {
                "network": digits.model,
                "published_millions": digits.printed,
                **{column: f"{n:.6f}" for column, n in zip(columns, digits.counts.values(), strict=True)},
                "same_digits": digits.agrees,
                "explanation": digits.explanation,
            }
            for digits in counted
        ]
    )


def _layer_row(row: LayerRow) -> dict[str, object]:
    return {
        "layer": row.layer,
        "published_shape": row.published,
        "our_shape": row.ours,
        "published_kmacs": row.published_kmacs,
        "ours_with_outputs_kmacs": row.macs_with_outputs / 1e3,
        "ours_kmacs": row.macs / 1e3,
        "same": row.agrees,
    }


def _totals_row(results: Mapping[str, Result], model: str) -> dict[str, object]:
    totals = results[model].totals
    return {
        "network": model,
        "hardware": results[model].hardware.name,
        **{name: totals[name] for name in ("params", "macs", "cycles", "dram_words", "energy_unit")},
        **{name: f"{totals[name]:.6g}" for name in ("energy", "utilization")},
    }
