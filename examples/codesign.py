"""Fewer blocks early or more late? Every distribution of SqueezeNext's blocks with the MACs of the authors' v5.

The authors moved units from the early sections to the late ones, from [6, 6, 8, 1] (v1) to [2, 4, 14, 1] (v5), since
their array works badly on large maps with few channels. Here all ways to share 21 units among four sections, at several
widths, are simulated on both reference accelerators; those within 1% of v5's MACs are compared with v1 and v5.

    python examples/codesign.py [STORE_FOLDER] [REPORT_FOLDER]

Results are kept in STORE_FOLDER (default: the working directory), so that a second run only prints.
"""

from __future__ import annotations

import sys
from pathlib import Path

from accelsim import explore, load_network, simulate
from accelsim.explore.front import front_rows, table
from accelsim.explore.space import Space, load_space
from accelsim.explore.store import Store

WIDTHS = [0.75, 0.875, 1.0, 1.125, 1.25, 1.375, 1.5]
MACS_TOLERANCE = 0.01
PUBLISHED = {"v1": "squeezenext23", "v5": "squeezenext23v5"}


def space_for(hardware: str) -> Space:
    """Return the space of one accelerator: the first layer and the shortcuts are v5's."""
    macs = load_network(PUBLISHED["v5"]).totals["macs"]
    return load_space(
        {
            "name": f"codesign_{hardware}",
            "network": PUBLISHED["v5"],
            "hardware": hardware,
            "axes": {
                "width": {"network": "width", "values": WIDTHS},
                "blocks": {"network": "blocks", "total": 21, "parts": 4},
            },
            "constraints": {"macs": {"min": (1 - MACS_TOLERANCE) * macs, "max": (1 + MACS_TOLERANCE) * macs}},
            "objectives": ["time_ms", "energy"],
        }
    )


def search(hardware: str, folder: Path) -> tuple[int, int, list[dict[str, object]]]:
    """Return how many designs there are, how many have v5's MACs, and the front."""
    space, where = space_for(hardware), folder / f"codesign_{hardware}.sqlite"
    count = sum(1 for _ in explore(space, store=where))
    store = Store(str(where), space, read_only=True)
    rows = table(space, store)
    store.close()
    return count, sum(row["status"] == "done" for row in rows), [dict(row) for row in front_rows(space, rows)]


def report(hardware: str, folder: Path) -> list[str]:
    """Return the lines of one accelerator's table."""
    count, equal, front = search(hardware, folder)
    lines = [
        f"## {hardware}",
        "",
        f"{count} designs, {equal} with v5's MACs within {MACS_TOLERANCE:.0%}; the Pareto front of time and energy:",
        "",
        "| design | blocks | width | time/ms | energy/M | MACs/M | parameters/M |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, network in PUBLISHED.items():
        totals = simulate(network, hardware).totals
        blocks = load_network(network).parameters["blocks"]
        lines.append(_row(f"the authors' {name}", blocks, 1.0, totals))
    for place, row in enumerate(sorted(front, key=lambda row: float(str(row["time_ms"]))), 1):
        lines.append(_row(f"found, {place}", row["blocks"], row["width"], row))
    return [*lines, ""]


def _row(design: str, blocks: object, width: object, figures: dict[str, object]) -> str:
    numbers = {name: float(str(figures[name])) for name in ("time_ms", "energy", "macs", "params")}
    return (
        f"| {design} | {blocks} | {width} | {numbers['time_ms']:.4f} | {numbers['energy'] / 1e6:.1f} "
        f"| {numbers['macs'] / 1e6:.1f} | {numbers['params'] / 1e6:.3f} |"
    )


def main(stores: str = ".", reports: str = "") -> None:
    """Print a table per accelerator, and write them to ``codesign.md`` if a folder is given."""
    lines = ["# SqueezeNext's blocks and width under v5's MACs", "", "Written by `python examples/codesign.py`.", ""]
    for hardware in ("8x8_32KB", "16x16_128KB"):
        lines += report(hardware, Path(stores))
    print("\n".join(lines))
    if reports:
        Path(reports, "codesign.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
