"""The files of the report on networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from accelsim.hardware.loader import load_hardware
from accelsim.report.networks.counted import Count
from accelsim.report.networks.depth import depth_rows, expectations
from accelsim.report.networks.memory import block_memories, block_rows, peak_rows, peaks, trained_rows
from accelsim.report.networks.plots import densenet_figure, depth_figure, peak_figure, resnext_figure, se_figure
from accelsim.report.networks.readme import Counts, all_counts, readme
from accelsim.report.networks.resnext import form_costs, form_rows, setting_rows
from accelsim.report.networks.senet import all_parts, se_rows
from accelsim.report.networks.study import LARGE, MOBILENET, Study, layer_table_rows, run_study
from accelsim.report.plots import figure_bytes, figure_style
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
    study, counts = run_study(progress), all_counts()
    texts = {"README.md": readme(study, counts), **tables(study, counts)}
    hardware = load_hardware(LARGE)
    buffer_kib = next(memory.size_kb for memory in hardware.memories if memory.name == "GLB")
    assert buffer_kib is not None
    figures = {
        "se": se_figure(all_parts(study)),
        "resnext": resnext_figure(setting_rows(study), form_costs(study)),
        "stochastic_depth": depth_figure(expectations(study)),
        "densenet_memory": densenet_figure(block_memories()),
        "peak_memory": peak_figure(peaks(), buffer_kib, hardware.word_bits / 8),
    }
    return {
        **{name: text.encode() for name, text in texts.items()},
        **{f"{name}.{kind}": figure_bytes(figure, kind) for name, figure in figures.items() for kind in ("png", "svg")},
    }


def tables(study: Study, counts: Counts) -> dict[str, str]:
    """Return the CSV files."""
    return {
        "counts.csv": _counts_csv(counts.every),
        "se.csv": to_csv(se_rows(study)),
        "resnext_forms.csv": to_csv(form_rows(study)),
        "resnext_settings.csv": to_csv(setting_rows(study)),
        "stochastic_depth.csv": to_csv(depth_rows(study)),
        "densenet_block.csv": to_csv(block_rows()),
        "densenet_training.csv": to_csv(trained_rows()),
        "peak_memory.csv": to_csv(peak_rows()),
        "mobilenet.csv": _mobilenet_csv(study),
    }


def _counts_csv(counts: Sequence[Count]) -> str:
    return to_csv(
        [
            {
                "row": count.row,
                "quantity": count.quantity,
                "unit": count.unit,
                "published": count.printed,
                "ours": "" if count.ours is None else f"{count.ours:.6f}",
                "difference_percent": "" if count.difference is None else f"{100 * count.difference:.2f}",
                "verdict": str(count.verdict),
                "explanation": count.explanation,
                "counts_tried": "; ".join(f"{name}: {value:.6g}" for name, value in count.counts.items()),
                "source": count.source,
            }
            for count in counts
        ]
    )


def _mobilenet_csv(study: Study) -> str:
    results = {MOBILENET: study[MOBILENET, LARGE], **{row: study[row, LARGE] for row in layer_table_rows()}}
    return to_csv(
        [
            {
                "network": name,
                "layer": record["layer"],
                "kind": record["kind"],
                **{column: record[column] for column in ("macs", "weights", "cycles", "bound")},
                "energy": f"{record['energy']:.6g}",
            }
            for name, result in results.items()
            for record in result.records
        ]
    )
