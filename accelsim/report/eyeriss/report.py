"""The Eyeriss report's files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from accelsim.dims import Operand
from accelsim.report.eyeriss.plots import table5_figure
from accelsim.report.eyeriss.readme import readme
from accelsim.report.eyeriss.study import Run, dram_traffic, glb_traffic, latency, pes, run_study
from accelsim.report.plots import figure_bytes, figure_style
from accelsim.report.tables import to_csv

W, I, O = Operand  # noqa: E741 - the field's names


def report_files(progress: Callable[[int, int], None] | None = None) -> dict[str, bytes]:
    """Evaluate the study and return the report: file name -> content.

    Args:
        progress: Called with (layers done, layers in all).

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with figure_style():
        pass  # what is missing is said before the search, not after
    study = run_study(progress)
    figure = table5_figure(study)
    texts = {
        "README.md": readme(study),
        "table5.csv": to_csv([row for name, runs in study.by_mapping.items() for row in _rows(name, runs)]),
    }
    return {
        **{name: text.encode() for name, text in texts.items()},
        **{f"table5.{kind}": figure_bytes(figure, kind) for kind in ("png", "svg")},
    }


def _rows(name: str, runs: Sequence[Run]) -> list[dict[str, object]]:
    columns = {
        "processing_latency_ms": latency(runs),
        "active_pes": pes(runs),
        "glb_access_mb": glb_traffic(runs),
        "dram_access_mb": dram_traffic(runs),
    }
    rows = []
    for index, run in enumerate(runs):
        row: dict[str, object] = {"mapping": name, "layer": run.layer}
        row |= {letter: getattr(run.mapping, letter) for letter in ("m", "n", "e", "p", "q", "r", "t")}
        for column, comparisons in columns.items():
            comparison = comparisons[index]
            row[f"published_{column}"] = f"{comparison.published:g}"
            row[f"ours_{column}"] = f"{comparison.ours:.6g}"
            row[f"{column}_difference_percent"] = f"{100 * comparison.difference:.2f}"
        scale = run.word_bytes / 1e6
        row |= {f"glb_{operand.name}_mb": f"{run.glb_words[operand] * scale:.4f}" for operand in (I, O)}
        row |= {f"dram_{operand.name}_mb": f"{run.dram_words[operand] * scale:.4f}" for operand in (I, W, O)}
        row |= {"iterations": run.cost.iterations, "stop_cycles": f"{run.cost.stop_cycles:g}"}
        row |= {"bound": run.cost.bound, "energy_macs": f"{run.cost.energy:.6g}"}
        rows.append(row)
    return rows
