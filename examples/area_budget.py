"""The best accelerator within an area, for a set of networks that share it.

    python examples/area_budget.py [MM2]

Every network counts by its share of the inferences. The array's sides, the buffer and the accumulators vary; designs
above the budget are not simulated.
"""

from __future__ import annotations

import sys

from accelsim import explore

INFERENCES = {"squeezenext23v5": 4, "tiny_darknet": 2, "mobilenet": 1}


def main(budget_mm2: str = "0.8") -> None:
    """Print the designs of the least energy x delay."""
    space = {
        "name": "area_budget",
        "networks": INFERENCES,
        "hardware": "16x16_128KB",
        "options": {"objective": "edp"},
        "axes": {
            "rows": {"hardware": "fanouts.array.rows", "from": 8, "to": 32, "step": 4},
            "cols": {"hardware": "fanouts.array.cols", "from": 8, "to": 32, "step": 4},
            "buffer": {"hardware": "memories.GLB.size_kb", "from": 32, "to": 256, "times": 2},
            "accumulators": {"hardware": "memories.ACC.pe_words.O", "values": [1, 2, 4]},
        },
        "constraints": {"area_mm2": {"max": float(budget_mm2)}},
        "objectives": ["edp"],
        "sampler": {"name": "lhs", "points": 150, "seed": 1},
    }
    points = list(explore(space))
    feasible = sorted((point for point in points if point.is_feasible), key=lambda point: point.metrics["edp"])
    print(f"{len(points)} designs, {len(feasible)} of at most {budget_mm2} mm2; the best energy x delay:")
    print(f"{'array':>8}{'buffer/KB':>11}{'accumulators':>14}{'area/mm2':>10}{'time/ms':>9}{'energy/M':>10}{'edp':>9}")
    for point in feasible[:10]:
        values, metrics = point.values, point.metrics
        print(
            f"{values['rows']:>5}x{values['cols']:<2}{values['buffer']:>11}{values['accumulators']:>14}"
            f"{metrics['area_mm2']:>10.3f}{metrics['time_ms']:>9.2f}{metrics['energy'] / 1e6:>10.0f}"
            f"{metrics['edp'] / feasible[0].metrics['edp']:>9.3f}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
