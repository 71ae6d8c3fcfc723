"""SCALE-Sim and accelsim's cycle engine on the same layers, the same 16x16 array, the same schedule: cycles, CPU time.

    PYTHONPATH=. python -m benchmarks.peers.cycle_scalesim [LAYER ...] [--dataflow ws] [--alone]

Needs the extra ``peers`` (scalesim); ``--alone`` prints our side only. Array, scratchpads and schedules are those of
``peer_scalesim``, which says what each side models. Here our side is executed: int16 operands pass from DRAM through
the scratchpads to the PEs and sums come back; the outputs are compared with a convolution in NumPy, and every count
with the closed form. SCALE-Sim generates the addresses of the same traffic and computes no values.

"as it" adds the cycles in which SCALE-Sim's array runs empty after every fold (rows + columns - 2), which ours only
does after the last. Times are CPU seconds, ours of the second run, when all kernels are compiled, without the check.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import numpy as np

from accelsim.engine.closed_form import evaluate
from accelsim.engine.cycle import execute
from accelsim.engine.executed import COMPARED
from accelsim.engine.tensors import convolve, random_tensors
from accelsim.workload.layer import Layer
from benchmarks.peers import ref16
from benchmarks.peers.peer_scalesim import Run, machine, nest, ours, run, theirs


def executed(layer: Layer, dataflow: str) -> Run:
    """Return what the cycle engine says of the schedule, its outputs and counts checked."""
    chosen, mapping, tensors = machine(dataflow), nest(layer, dataflow), random_tensors(layer)
    execute(mapping, layer, chosen, tensors)
    start = time.process_time()
    done = execute(mapping, layer, chosen, tensors)
    seconds = time.process_time() - start
    if not np.array_equal(done.outputs, convolve(layer, tensors)):
        raise AssertionError(f"{layer.name} {dataflow}: the outputs are not the convolution")
    for moved, counted in zip(done.flows, evaluate(mapping, layer, chosen).traffic, strict=True):
        if any(getattr(moved, field) != getattr(counted, field) for field in COMPARED):
            raise AssertionError(f"{layer.name} {dataflow}: {moved} is not {counted}")
    closed = ours(layer, dataflow)
    return Run(
        cycles=done.cycles,
        emptied=done.cycles + closed.emptied - closed.cycles,
        seconds=seconds,
        words=closed.words,
    )


def rows(layers: list[str], dataflows: list[str], *, alone: bool) -> Iterator[str]:
    """Yield the lines of the table."""
    yield (
        f"{'layer':<14}{'flow':<6}{'MACs/1e6':>9}{'SCALE-Sim cycles':>17}{'executed':>10}{'as it':>10}{'ratio':>7}"
        f"{'SCALE-Sim/s':>13}{'ours/s':>8}{'faster':>8}{'1e6 MACs/s':>12}"
    )
    for name, dataflow in itertools.product(layers, dataflows):
        layer = ref16.layer(name)
        here = executed(layer, dataflow)
        there = None if alone else theirs(layer, dataflow)
        cycles, ratio, seconds, faster = "-", "-", "-", "-"
        if there is not None:
            cycles, ratio = f"{there.cycles:.0f}", f"{here.emptied / there.cycles:.3f}"
            seconds, faster = f"{there.seconds:.1f}", f"{there.seconds / here.seconds:.0f}"
        yield (
            f"{name:<14}{dataflow:<6}{layer.macs / 1e6:>9.1f}{cycles:>17}{here.cycles:>10.0f}{here.emptied:>10.0f}"
            f"{ratio:>7}{seconds:>13}{here.seconds:>8.2f}{faster:>8}{layer.macs / here.seconds / 1e6:>12.0f}"
        )


if __name__ == "__main__":
    run(rows, __doc__)
