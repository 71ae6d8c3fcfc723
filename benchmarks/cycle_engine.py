"""How many MACs a second the cycle engine executes, beside a plain convolution in numba on the same layers.

    python benchmarks/cycle_engine.py squeezenext23 alexnet --hw 16x16_128KB

Times are of the second run, when all kernels are compiled; CPU time is that of all threads together.
"""

from __future__ import annotations

import argparse
import resource
import time

import numba as nb
import numpy as np

from accelsim import load_hardware, load_network, simulate
from accelsim.engine.executed import execute_all
from accelsim.engine.tensors import convolve, padded, random_tensors
from accelsim.workload.layer import Layer


@nb.njit(nogil=True)
def plain(weights, image, outputs, stride, dilation):
    """Convolve with seven loops around a multiply-accumulate of integers, and nothing else."""
    images, groups, kernels, rows, cols = outputs.shape
    channels, height, width = weights.shape[2:]
    for n in range(images):
        for g in range(groups):
            for k in range(kernels):
                for c in range(channels):
                    for r in range(height):
                        for s in range(width):
                            weight = np.int64(weights[g, k, c, r, s])
                            for p in range(rows):
                                row = p * stride[0] + r * dilation[0]
                                for q in range(cols):
                                    col = q * stride[1] + s * dilation[1]
                                    outputs[n, g, k, p, q] += weight * image[n, g, c, row, col]


def plain_seconds(layers: list[Layer]) -> float:
    """Return the seconds of the plain convolution of all layers on one core; the results are checked."""
    seconds = 0.0
    for layer in layers:
        tensors = random_tensors(layer)
        image = padded(layer, tensors.inputs)
        outputs = np.zeros((layer.N, layer.G, layer.K, layer.P, layer.Q), np.int64)
        begun = time.perf_counter()
        plain(tensors.weights, image, outputs, layer.stride, layer.dilation)
        seconds += time.perf_counter() - begun
        assert np.array_equal(outputs, convolve(layer, tensors))
    return seconds


def main() -> None:
    """Run the networks that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--hw", default="16x16_128KB")
    options = parser.parse_args()
    hardware = load_hardware(options.hw)
    for name in options.networks:
        result = simulate(load_network(name), hardware)
        found = list({layer.layer.shape_key: layer for layer in result.layer_results}.values())
        macs = sum(layer.layer.macs for layer in found)
        for run in ("compiling", "warm"):
            wall, cpu = time.perf_counter(), time.process_time()
            execute_all(found, hardware)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(f"{name} {run}: {macs / 1e6:.0f} million MACs, {wall:.2f} s, {cpu:.2f} s of CPU", end="")
            print(f", {macs / wall / 1e6:.0f} million MACs a second")
        plain_seconds([Layer.conv("warm", 1, 1, 2)])
        seconds = plain_seconds([layer.layer for layer in found])
        print(f"{name} plain numba convolution, one core: {seconds:.2f} s, {macs / seconds / 1e6:.0f} million a second")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB")


if __name__ == "__main__":
    main()
