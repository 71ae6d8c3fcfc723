"""How large should array and buffer be? A grid of both for one network, as a table of time, and the Pareto front.

python examples/array_and_buffer.py [NETWORK]
"""

from __future__ import annotations

import sys

import numpy as np

from accelsim import explore
from accelsim.explore.front import pareto

SIDES = [8, 12, 16, 24, 32]
BUFFERS_KB = [16, 32, 64, 128, 256]


def main(network: str = "squeezenext23") -> None:
    """Print time over array and buffer, and the designs that no other beats in time, energy and area together."""
    space = {
        "network": network,
        "hardware": "16x16_128KB",
        "axes": {
            "side": {"hardware": ["fanouts.array.rows", "fanouts.array.cols"], "values": SIDES},
            "buffer_size": {"hardware": "memories.GLB.size_kb", "values": BUFFERS_KB},
        },
    }
    points = {(point.values["side"], point.values["buffer_size"]): point.metrics for point in explore(space)}
    print(f"{network}: time in ms")
    print(f"{'PEs':>8}" + "".join(f"{size:>8} KB" for size in BUFFERS_KB))
    for side in SIDES:
        times = (points[side, size]["time_ms"] for size in BUFFERS_KB)
        print(f"{side:>4}x{side:<3}" + "".join(f"{time:>11.3f}" for time in times))
    print("\nnot beaten in time, energy and area together:")
    designs = sorted(points)
    values = np.array([[points[design][name] for name in ("time_ms", "energy", "area_mm2")] for design in designs])
    for index in pareto(values):
        side, size = designs[index]
        time, energy, area = values[index]
        print(f"{side:>4}x{side:<3}{size:>5} KB{time:>9.3f} ms{energy / 1e6:>9.0f} M{area:>8.2f} mm2")


if __name__ == "__main__":
    main(*sys.argv[1:])
