"""Fewer blocks early or more late? Every distribution of SqueezeNext's blocks with the MACs of the authors' v5.

The authors moved units from the early sections to the late ones, from [6, 6, 8, 1] (v1) to [2, 4, 14, 1] (v5), since
their array works badly on large maps with few channels. Here all ways to share 21 units among four sections, at several
widths, are simulated on both reference accelerators; those within 1% of v5's MACs are compared with v1 and v5.

    python examples/codesign.py [STORE_FOLDER] [REPORT_FOLDER]

Results are kept in STORE_FOLDER (default: the working directory), so that a second run only prints.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelsim import explore, load_network, simulate
from accelsim.explore.front import table
from accelsim.explore.space import Space, load_space
from accelsim.explore.store import Store

WIDTHS = [0.875, 1.0, 1.125]
MACS_TOLERANCE = 0.01
INTRODUCTION = [
    "Written by `python examples/codesign.py`. All ways to share 21 units among the four sections, with v5's first",
    "layer and shortcuts. Time and energy are what was searched for; what accuracy they would reach is not known.",
]
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


def search(hardware: str, folder: Path) -> list[dict[str, Any]]:
    """Return all designs of one accelerator, those with other MACs too."""
    space, where = space_for(hardware), folder / f"codesign_{hardware}.sqlite"
    for _ in explore(space, store=where):
        pass
    store = Store(str(where), space, read_only=True)
    rows = table(space, store)
    store.close()
    return [row for row in rows if row["width"] in WIDTHS]


def report(hardware: str, folder: Path) -> list[str]:
    """Return the lines of one accelerator's table."""
    rows = search(hardware, folder)
    equal = [row for row in rows if row["status"] == "done"]
    authors = {name: simulate(network, hardware).totals for name, network in PUBLISHED.items()}
    v5 = authors["v5"]
    slim = [row for row in equal if row["params"] <= v5["params"]]
    better = sum(row["time_ms"] <= v5["time_ms"] and row["energy"] <= v5["energy"] for row in equal)
    widths = sorted({format(row["width"], "g") for row in equal})
    lines = [
        f"## {hardware}",
        "",
        f"{len(rows)} designs; {len(equal)} have v5's MACs within {MACS_TOLERANCE:.0%}, of width {', '.join(widths)}.",
        f"{better} of them, v5 itself included, are at least as good as v5 in both time and energy;",
        f"{len(slim)} have no more parameters than v5.",
        "",
        "| design | blocks | time/ms | to v5 | energy/M | to v5 | MACs/M | parameters/M |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, network in PUBLISHED.items():
        lines.append(_row(f"the authors' {name}", load_network(network).parameters["blocks"], authors[name], v5))
    for what, chosen in (("", equal), (", parameters as v5 at most", slim)):
        for name, metric in (("fastest", "time_ms"), ("least energy", "energy"), ("least energy x delay", "edp")):
            best = min(chosen, key=lambda row: row[metric])
            lines.append(_row(f"{name}{what}", best["blocks"], best, v5))
    return [*lines, ""]


def _row(design: str, blocks: object, figures: Mapping[str, Any], v5: Mapping[str, Any]) -> str:
    cells = [design, str(blocks)]
    for metric, scale, digits in (("time_ms", 1, 4), ("energy", 1e6, 1)):
        cells += [f"{figures[metric] / scale:.{digits}f}", f"{100 * (figures[metric] / v5[metric] - 1):+.1f}%"]
    cells += [f"{figures['macs'] / 1e6:.1f}", f"{figures['params'] / 1e6:.3f}"]
    return f"| {' | '.join(cells)} |"


def main(stores: str = ".", reports: str = "") -> None:
    """Print a table per accelerator, and write them to ``codesign.md`` if a folder is given."""
    lines = ["# SqueezeNext's blocks and width under v5's MACs", "", *INTRODUCTION, ""]
    for hardware in ("8x8_32KB", "16x16_128KB"):
        lines += report(hardware, Path(stores))
    print("\n".join(lines))
    if reports:
        Path(reports, "codesign.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
