"""The report's page: every number in it is computed, the verdicts too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

from accelsim.dims import Operand
from accelsim.report.comparison import Comparison, Verdict
from accelsim.report.eyeriss.goals import verdicts
from accelsim.report.eyeriss.study import (
    BATCH,
    CONTRADICTED,
    LAYERS,
    MAPPED_ALIKE,
    MEGABYTE,
    Run,
    Study,
    alexnet_layer,
    dram_traffic,
    glb_traffic,
    latency,
    pes,
)
from accelsim.report.text import markdown_table, signed_percent, whole_percent

W, I, O = Operand  # noqa: E741 - the field's names


def readme(study: Study) -> str:
    """Return the page."""
    return "\n".join(
        [
            "# Eyeriss on AlexNet: silicon and accelsim\n",
            _introduction(),
            "## Goals\n",
            _goals(study),
            "## Table V beside accelsim\n\n![Table V](table5.png)\n",
            _table5(study.published),
            f"## {CONTRADICTED}: Table III and Table V disagree\n",
            _contradiction(study),
            "## Where the time goes\n",
            _time(study.measured),
            "## What moves\n",
            _traffic(study.measured),
            "## The published mapping beside the best\n",
            _best(study),
        ]
    )


def _introduction() -> str:
    return (
        "Written by `accelsim reproduce eyeriss`. Published numbers: Y.-H. Chen, T. Krishna, J. Emer, V. Sze, "
        "*Eyeriss: An Energy-Efficient Reconfigurable Accelerator for Deep Convolutional Neural Networks*, IEEE JSSC "
        f"52(1), 2017: Table V, measured at 1 V and 200 MHz with batches of {BATCH}, and Table III, the mapping. One "
        "description of the machine serves all layers; `docs/eyeriss.md` says how the paper was read. Differences are "
        "ours relative to the published number. DRAM accesses were measured after compression and are compared times "
        "the ratio that the table gives; accelsim has no compression.\n"
    )


def _goals(study: Study) -> str:
    rows = [
        (which, *_goal_row(verdict))
        for which, runs in (
            ("Table III as printed", study.published),
            (f"Table III, {CONTRADICTED} with the q, r, t of {MAPPED_ALIKE}", study.measured),
        )
        for verdict in verdicts(runs)
    ]
    return markdown_table(("mapping", "what", "goal for each", "largest difference", "verdict"), rows)


def _goal_row(verdict: Verdict) -> tuple[object, ...]:
    inside = len(verdict.comparisons) - len(verdict.missed)
    return (
        verdict.goal,
        whole_percent(verdict.each) if verdict.each else "equal",
        f"{signed_percent(verdict.largest.difference)} ({verdict.largest.row})"
        if verdict.largest.difference
        else "none",
        "met" if verdict.met else f"**not met**: {inside} of {len(verdict.comparisons)} within",
    )


def _table5(runs: Sequence[Run]) -> str:
    columns = (latency(runs), glb_traffic(runs), dram_traffic(runs))
    rows = [
        (
            active.row,
            f"{active.published:g} / {active.ours:g}",
            *(_cell(column[index]) for column in columns),
        )
        for index, active in enumerate(pes(runs))
    ]
    header = ("layer", "active PEs", "processing latency, ms", "global buffer, MB", "DRAM, MB")
    return "Published / ours (difference), by the mapping of Table III as printed.\n\n" + markdown_table(header, rows)


def _cell(comparison: Comparison) -> str:
    return f"{comparison.published:.1f} / {comparison.ours:.2f} ({signed_percent(comparison.difference)})"


def _contradiction(study: Study) -> str:
    index = LAYERS.index(CONTRADICTED)
    printed, other = study.published[index], study.measured[index]
    glb = [glb_traffic(runs)[index] for runs in (study.published, study.measured)]
    once = [_outputs_mb(run) for run in (printed, other)]
    every = markdown_table(
        ("layer", "published, MB", "ours", "ours and the outputs once"),
        [
            (run.layer, f"{c.published:.1f}", f"{c.ours:.2f}", f"{c.ours + _outputs_mb(run):.2f}")
            for run, c in zip(study.measured, glb_traffic(study.measured), strict=True)
        ],
    )
    return (
        f"With {_letters(printed)}, as Table III and Figure 5 print, {CONTRADICTED} moves "
        f"{glb[0].ours + once[0]:.1f} MB between buffer and array, and Table V says {glb[0].published:.1f}. With "
        f"{_letters(other)}, those of "
        f"{MAPPED_ALIKE} and CONV5, it moves {glb[1].ours + once[1]:.1f} MB: what Table V says. Both fit the chip, "
        "keep 156 PEs busy and move the same words to and from DRAM. We cannot ask the chip, so both are shown: as "
        f"printed, {CONTRADICTED}'s buffer traffic misses the goal.\n\n"
        "That the count itself is right, the other layers show: what they lack to Table V is one reading of every "
        "output, be it to send it to DRAM or, as the bias, in the first pass, in which accelsim reads no partial sums. "
        "With it, Table V comes out to its last "
        f"digit:\n\n{every}"
    )


def _letters(run: Run) -> str:
    return f"q = {run.mapping.q}, r = {run.mapping.r}, t = {run.mapping.t}"


def _outputs_mb(run: Run) -> float:
    return alexnet_layer(run.layer).output_words * run.word_bytes / MEGABYTE


def _time(runs: Sequence[Run]) -> str:
    rows = []
    for run, comparison in zip(runs, latency(runs), strict=True):
        stops = run.filter_load_cycles
        rows.append(
            (
                run.layer,
                f"{run.passes:,}",
                f"{run.cost.iterations / run.passes:,.0f}",
                f"{stops / run.passes:,.0f}",
                f"{(run.cost.stop_cycles - stops) / run.passes:,.0f}",
                f"{run.cost.busy_cycles['array'] / run.passes:,.0f}",
                f"{run.processing_ms:.2f}",
                f"{comparison.published:.1f}",
                signed_percent(comparison.difference),
            )
        )
    header = (
        "layer",
        "passes",
        "MACs of a PE",
        "load of filters",
        "first window",
        "busiest network",
        "ours, ms",
        "published, ms",
        "difference",
    )
    return (
        "Cycles a pass. A pass starts with its filters (4 words a cycle) and the first window of its inputs (1 word a "
        "cycle), as the paper says that it *takes time to load data from the GLB into the PE array to ramp up each "
        "processing pass*; then the PEs do a MAC a cycle. If the busiest network (partial sums at 4 words a cycle "
        "each way, or inputs) takes longer in all, the layer waits for it. "
        f"{CONTRADICTED} is mapped like {MAPPED_ALIKE}.\n\n"
        f"{markdown_table(header, rows)}\n"
        "CONV4 and CONV5 have the same passes and differ only in their number, 384 and 256. The chip took "
        f"{_ratio(runs)} times as long for the one as for the other, so no time of a pass gives both; ours lies "
        "between.\n"
    )


def _ratio(runs: Sequence[Run]) -> str:
    measured = {comparison.row: comparison.published for comparison in latency(runs)}
    return f"{measured['CONV4'] / measured['CONV5']:.2f}"


def _traffic(runs: Sequence[Run]) -> str:
    rows = []
    for run in runs:
        scale = run.word_bytes / MEGABYTE
        glb, dram = run.glb_words, run.dram_words
        rows.append(
            (
                run.layer,
                *(f"{words * scale:.2f}" for words in (glb[I], glb[O], dram[I], dram[W], dram[O])),
            )
        )
    header = ("layer", "buffer: inputs", "buffer: partial sums", "DRAM: inputs", "DRAM: filters", "DRAM: outputs")
    return (
        "MB. The paper's buffer accesses are the words between the buffer and the array: neither the filters, which "
        "have a buffer of their own, nor what goes to and from DRAM. Inputs are stored with their padding (Table III's "
        "sizes say so), those of a strip with its halo. Filters come again for every group of images and every "
        "strip.\n\n" + markdown_table(header, rows)
    )


def _best(study: Study) -> str:
    rows = []
    for run, best, searched in zip(study.published, study.best, study.searched, strict=True):
        rows.append(
            (
                run.layer,
                " ".join(map(str, astuple(run.mapping))),
                " ".join(map(str, astuple(best.mapping))),
                f"{run.cost.energy / 1e6:,.0f} / {best.cost.energy / 1e6:,.0f}",
                f"{run.processing_ms:.2f} / {best.processing_ms:.2f}",
                f"{run.glb_mb:.1f} / {best.glb_mb:.1f}",
                f"{run.dram_mb:.2f} / {best.dram_mb:.2f}",
                f"{run.active_pes} / {best.active_pes}",
                signed_percent(best.cost.edp / run.cost.edp - 1),
                f"{searched.space:,}",
            )
        )
    header = (
        "layer",
        "published: m n e p q r t",
        "best",
        "energy (10⁶ MACs)",
        "ms",
        "buffer, MB",
        "DRAM, MB",
        "PEs",
        "energy x delay",
        "mappings",
    )
    return (
        "Published / best. The best has the least energy x delay of all parameters of Table II that fit the chip, "
        "its buffer's 25 banks included, each of which holds either inputs or partial sums; energies are the "
        "normalised ones of the row-stationary paper (MAC 1, register file 1, array 2, buffer 6, DRAM 200). Nothing "
        f"of it was tuned to Table III.\n\n{markdown_table(header, rows)}"
    )
