"""Draws the tutorial's figures and writes the numbers in them: ``python docs/scripts/figures.py [FOLDER]``.

The numbers are in ``tutorial.csv`` beside the pictures, which the tests compute again.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from accelsim import compare, load_hardware, simulate
from accelsim.report.accuracy import plot_comparison
from accelsim.report.roofline import plot_roofline
from accelsim.report.tables import comparison_rows

NETWORKS = ("squeezenet_v1.1", "squeezenext23v5", "squeezenext23v5_w2.0", "mobilenet", "mobilenet_v2")
HARDWARE = ("16x16_128KB", "8x8_32KB")
BLUE, ORANGE = "#0072B2", "#D55E00"  # Okabe and Ito's, which the colour-blind can tell apart
DRAM_WORDS_PER_CYCLE = (4, 8, 16, 32)


def shares() -> list[dict[str, float | str]]:
    """Return time and depthwise share of MobileNet for several bandwidths of DRAM."""
    rows: list[dict[str, float | str]] = []
    for hardware in HARDWARE:
        for rate in DRAM_WORDS_PER_CYCLE:
            machine = load_hardware(hardware, **{"memories.DRAM.words_per_cycle": rate})
            layers = simulate("mobilenet", machine).layers
            depthwise = layers[layers["kind"] == "depthwise"]
            rows.append(
                {
                    "hardware": hardware,
                    "dram_words_per_cycle": rate,
                    "cycles": int(layers["cycles"].sum()),
                    "depthwise_cycles": int(depthwise["cycles"].sum()),
                }
            )
    return rows


def plot_shares(rows: list[dict[str, float | str]], path: Path) -> None:
    """Draw the share of time that depthwise layers take, against DRAM's bandwidth."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - the numbers are computed without it

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for hardware, colour, marker in zip(HARDWARE, (BLUE, ORANGE), "os", strict=True):
        own = [row for row in rows if row["hardware"] == hardware]
        share = [100 * float(row["depthwise_cycles"]) / float(row["cycles"]) for row in own]
        axes.plot([row["dram_words_per_cycle"] for row in own], share, color=colour, marker=marker, label=hardware)
    axes.set_xscale("log", base=2)
    axes.set_xticks(DRAM_WORDS_PER_CYCLE, [str(rate) for rate in DRAM_WORDS_PER_CYCLE])
    axes.set_xlabel("DRAM bandwidth, words per cycle")
    axes.set_ylabel("depthwise layers, % of time")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    axes.set_title("MobileNet: 3% of the MACs")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def draw(folder: Path) -> list[Path]:
    """Write all figures and ``tutorial.csv`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    results = compare(NETWORKS, HARDWARE)
    plot_comparison(comparison_rows(results, None), folder / "networks.svg")
    plot_roofline(next(r for r in results if r.network.name == "mobilenet"), folder / "roofline.svg")
    rows = shares()
    plot_shares(rows, folder / "bandwidth.svg")
    with (folder / "tutorial.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["figure", "hardware", "what", "value"])
        for result in results:
            for total in ("cycles", "energy", "macs"):
                name = f"{result.network.name} {total}"
                table.writerow(["networks", result.hardware.name, name, f"{result.totals[total]:.6g}"])
        for row in rows:
            for total in ("cycles", "depthwise_cycles"):
                name = f"{row['dram_words_per_cycle']} words per cycle {total}"
                table.writerow(["bandwidth", row["hardware"], name, f"{row[total]:.6g}"])
    return sorted(folder.iterdir())


if __name__ == "__main__":
    for written in draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "figures"):
        print(written)
