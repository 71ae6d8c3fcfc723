"""How much of the front do 400 evaluations find? Samplers against the full grid of 2,000 points; writes a report.

    python benchmarks/explore_front.py [STORE] [REPORT_FOLDER]

The grid is evaluated into STORE (default: explore_front.sqlite); the points that samplers propose are found there.
"""

from __future__ import annotations

import csv
import io
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from accelsim import explore
from accelsim.explore.front import hypervolume, objective_values, pareto, table
from accelsim.explore.space import load_space
from accelsim.explore.store import Store
from accelsim.report.plots import BLUE, GREEN, GREY, ORANGE, figure_bytes, figure_style
from accelsim.report.text import markdown_table

SPACE: dict[str, Any] = {
    "name": "array_buffer_accumulators",
    "network": "squeezenext23",
    "hardware": "16x16_128KB",
    "axes": {
        "rows": {"hardware": "fanouts.array.rows", "from": 4, "to": 40, "step": 4},
        "cols": {"hardware": "fanouts.array.cols", "from": 4, "to": 40, "step": 4},
        "buffer": {"hardware": "memories.GLB.size_kb", "from": 16, "to": 256, "times": 2},
        "accumulators": {"hardware": "memories.ACC.pe_words.O", "values": [1, 2, 4, 8]},
    },
}
OBJECTIVES = (("time_ms", "energy", "area_mm2"), ("time_ms", "area_mm2"), ("energy", "area_mm2"))
SAMPLERS = {"random": GREY, "lhs": GREEN, "nsga2": BLUE, "tpe": ORANGE}
SEEDS = range(5)
EVALUATIONS = 400
STEPS = (25, 50, 100, 150, 200, 300, 400)
MARGIN = 0.1
"""The reference is beyond the worst values on the grid's front by this share of its extent."""

GOAL = 0.95


def shares(store: str, objectives: Sequence[str]) -> tuple[int, dict[str, np.ndarray]]:
    """Return the size of the grid's front, and per sampler float64[seeds, steps], the share of its hypervolume."""
    space = load_space(SPACE | {"objectives": list(objectives)})
    opened = Store(store, space, read_only=True)
    _, values = objective_values(space, table(space, opened))
    opened.close()
    front = values[pareto(values)]
    reference = front.max(axis=0) + MARGIN * (front.max(axis=0) - front.min(axis=0))
    whole = hypervolume(front, reference)
    found = {}
    for name in SAMPLERS:
        rows = []
        for seed in SEEDS:
            sampler = {"name": name, "points": EVALUATIONS, "seed": seed}
            points = explore(SPACE | {"objectives": list(objectives), "sampler": sampler}, store=store, workers=0)
            seen = np.array([[point.metrics[metric] for metric in objectives] for point in points])
            rows.append([hypervolume(seen[:step], reference) / whole for step in STEPS])
            print(f"{' '.join(objectives)}: {name}, seed {seed}: {rows[-1][-1]:.4f}", flush=True)
        found[name] = np.array(rows)
    return len(front), found


def readme(results: dict[tuple[str, ...], tuple[int, dict[str, np.ndarray]]]) -> str:
    """Return the report."""
    worst, chance = (
        min(float(np.median(found[name][:, -1])) for _, found in results.values()) for name in ("nsga2", "random")
    )
    lines = [
        "# Samplers against the full grid",
        "",
        "Written by `python benchmarks/explore_front.py`. squeezenext23 on 2,000 accelerators (rows x columns x buffer",
        f"x accumulators): the share of the full grid's hypervolume that up to {EVALUATIONS} evaluations reach, median",
        f"of {len(SEEDS)} seeds (least, most). The reference point lies {MARGIN:.0%} of the front's extent beyond its",
        "worst values.",
        "",
        f"Goal: NSGA-II at least {GOAL:.0%}. Reached: {worst:.1%} at the least ({'yes' if worst >= GOAL else 'no'}).",
        f"The space is forgiving: {EVALUATIONS} random points, a fifth of it, reach {chance:.1%} at the least;",
        "where samplers differ is the last percent, and how soon it is reached.",
        "",
        "",
    ]
    rows = []
    for objectives, (size, found) in results.items():
        for name, values in found.items():
            cells = [f"{statistics.median(values[:, i]):.3f}" for i in range(len(STEPS) - 1)]
            last = values[:, -1]
            rows.append(
                [
                    ", ".join(objectives),
                    size,
                    name,
                    *cells,
                    f"{np.median(last):.4f} ({last.min():.4f}, {last.max():.4f})",
                ]
            )
    return "\n".join(lines) + markdown_table(["objectives", "front", "sampler", *map(str, STEPS)], rows) + "\n"


def picture(results: dict[tuple[str, ...], tuple[int, dict[str, np.ndarray]]], kind: str) -> bytes:
    """Return the share over the evaluations, one panel per set of objectives; median, and the range of the seeds."""
    with figure_style():
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

        figure = Figure(figsize=(4 * len(results), 3.6), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(results), sharey=True))
        for axes, (objectives, (_, found)) in zip(panels, results.items(), strict=True):
            for name, values in found.items():
                axes.plot(STEPS, np.median(values, axis=0), color=SAMPLERS[name], label=name)
                axes.fill_between(STEPS, values.min(axis=0), values.max(axis=0), color=SAMPLERS[name], alpha=0.2)
            axes.axhline(GOAL, color="#666666", linewidth=0.8, linestyle=":")
            axes.set_ylim(0.7, 1.005)
            axes.set_xlabel("evaluations (of 2,000)")
            axes.set_title(", ".join(objectives))
            axes.grid(visible=True, axis="y")
        panels[0].set_ylabel("share of the grid's hypervolume")
        panels[-1].legend(loc="lower right")
    return figure_bytes(figure, kind)


def main(store: str = "explore_front.sqlite", reports: str = "reports/explore") -> None:
    """Evaluate the grid, run the samplers, write the report."""
    for _ in explore(SPACE, store=store):
        pass
    results = {objectives: shares(store, objectives) for objectives in OBJECTIVES}
    folder = Path(reports)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(readme(results), encoding="utf-8")
    for kind in ("png", "svg"):
        (folder / f"hypervolume.{kind}").write_bytes(picture(results, kind))
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(["objectives", "sampler", "seed", "evaluations", "share"])
    for objectives, (_, found) in results.items():
        for name, values in found.items():
            for seed, row in zip(SEEDS, values, strict=True):
                rows.writerows(
                    [" ".join(objectives), name, seed, step, f"{share:.6f}"]
                    for step, share in zip(STEPS, row, strict=True)
                )
    (folder / "hypervolume.csv").write_text(stream.getvalue(), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
