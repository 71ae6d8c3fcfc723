"""Small design spaces for the tests of exploration: a network of three layers, on the 8 x 8 reference accelerator."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

NETWORK = """\
name: three_layers
input: [3, 12, 12]
layers:
  - {name: conv1, op: conv, out_channels: 16, kernel: 3, padding: 1}
  - {name: conv2, op: conv, out_channels: 24}
  - {name: fc, op: linear, features: 10}
"""


def write_network(folder: Path) -> str:
    """Write the network's file, whole at any moment, as other processes may be reading it; return its path."""
    path = folder / "three_layers.yaml"
    new = folder / f"{os.getpid()}.yaml"
    new.write_text(NETWORK, encoding="utf-8")
    new.replace(path)
    return str(path)


def array_space(folder: Path, rows: int = 4, buffers: int = 3, **changes: Any) -> dict[str, Any]:
    """Return a space of ``rows`` x ``buffers`` points of the hardware."""
    return {
        "name": "array",
        "network": write_network(folder),
        "hardware": "8x8_32KB",
        "axes": {
            "rows": {"hardware": "fanouts.array.rows", "from": 4, "to": 3 + rows, "step": 1},
            "buffer": {"hardware": "memories.GLB.size_kb", "from": 8, "to": 8 * 2 ** (buffers - 1), "times": 2},
        },
        "objectives": ["time_ms", "energy"],
    } | changes
