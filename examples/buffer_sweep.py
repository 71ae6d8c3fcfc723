"""How much buffer does a network need? Time and DRAM traffic of SqueezeNext over the global buffer's size.

Run with ``python examples/buffer_sweep.py [NETWORK]``.
"""

from __future__ import annotations

import sys

from accelsim import load_hardware, load_network, simulate

SIZES_KB = (16, 32, 64, 128, 256)


def main(name: str = "squeezenext23") -> None:
    """Print one row per buffer size."""
    network = load_network(name)
    print(f"{name} on the 16 x 16 reference accelerator")
    print(f"{'buffer/KiB':>10}{'kcycles':>10}{'DRAM kwords':>13}{'energy/MAC':>12}")
    for size_kb in SIZES_KB:
        hardware = load_hardware("16x16_128KB", **{"memories.GLB.size_kb": size_kb})
        totals = simulate(network, hardware).totals
        print(
            f"{size_kb:>10}{totals['cycles'] / 1e3:>10.0f}{totals['dram_words'] / 1e3:>13.0f}"
            f"{totals['energy'] / totals['macs']:>12.2f}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
