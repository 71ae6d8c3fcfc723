"""accelsim's mapper against ZigZag's on ref16, in one run on one core: time, energy, cycles and EDP, each way.

    PYTHONPATH=. python -m benchmarks.peers.compare [LAYER ...] [--effort 6s] [--repeats 5]

Needs the extra ``peers``. For every layer:

- what each search found, the CPU seconds that it took (ours warm: the median of repeats after one that compiles), and
  how many times faster ours is than every effort of ZigZag's;
- every mapping in our terms (``on_change``: registers are read and written when the word is another one; ``per_mac``:
  at every MAC, as AccelForge does), and in ZigZag's, as ZigZag itself judges it; ``as ZigZag`` are searches of ours in
  its terms (``on_change`` for W and I, ``per_mac`` for O). A mapping whose tiles do not divide the layer is charged by
  ZigZag as if they did, which is marked ``<=``;
- whether our EDP is above ZigZag's in either's terms.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from accelsim.dims import Operand
from accelsim.engine.closed_form import evaluate
from accelsim.errors import InputError
from accelsim.mapping.hierarchy import ANY, Machine, RegisterRead
from accelsim.mapping.nest import Nest
from accelsim.mapping.search import search
from accelsim.workload.layer import Layer
from benchmarks.peers import peer_zigzag, ref16

ACCELFORGE = {"3x3": (844.1e6, 853.0), "1x1": (433.9e6, 11.0)}
"""Energy and CPU seconds that AccelForge was measured to need (on 3x3: K on rows, reductions on columns, given)."""


@dataclass(frozen=True, kw_only=True)
class Ours:
    """One search of ours.

    Attributes:
        name: What was asked for.
        nest: The mapping.
        edp: Its energy times cycles, in the terms of its search.
        seconds: CPU seconds, warm.
        space: Mappings in the space.
        evaluated: Mappings evaluated.
        complete: Whether the search was.
    """

    name: str
    nest: Nest
    edp: float
    seconds: float
    space: int
    evaluated: int
    complete: bool


def solve(layer: Layer, read: RegisterRead, objective: str, repeats: int, *, uneven: bool) -> Ours:
    """Return what our mapper finds on ref16, and the median time of its repeats once compiled."""
    name = f"ours {'uneven' if uneven else 'uniform'} {read} {objective}"
    return _timed(name, layer, ref16.machine(read), objective, repeats, uneven=uneven)


def solve_as_zigzag(layer: Layer, *, uneven: bool) -> Ours:
    """Return what our mapper finds in ZigZag's terms: the best over the orders of a register file per operand."""
    name = f"ours {'uneven' if uneven else 'uniform'} as ZigZag edp"
    runs = [
        _timed(name, layer, ref16.matched_machine(ref16.Terms.ZIGZAG, order), "edp", 1, uneven=uneven)
        for order in itertools.permutations(Operand)
    ]
    best = min(runs, key=lambda run: run.edp)
    return replace(
        best,
        nest=ref16.with_joint_registers(best.nest),
        seconds=sum(run.seconds for run in runs),
        space=sum(run.space for run in runs),
        evaluated=sum(run.evaluated for run in runs),
        complete=all(run.complete for run in runs),
    )


def _timed(name: str, layer: Layer, machine: Machine, objective: str, repeats: int, *, uneven: bool) -> Ours:
    times: list[float] = []
    for _ in range(repeats + 1):
        start = time.process_time()
        found = search(layer, machine, ANY, objective, uneven=uneven)
        times.append(time.process_time() - start)
    return Ours(
        name=name,
        nest=found.nest,
        edp=found.energy * found.cycles,
        seconds=statistics.median(times[1:]),
        space=found.space,
        evaluated=found.evaluated,
        complete=found.complete,
    )


def compare(layer: Layer, efforts: Sequence[str], repeats: int) -> bool:
    """Print the comparison on one layer; return whether ours is nowhere above ZigZag's."""
    print(f"== {layer.name}: {layer.macs / 1e6:.1f}e6 MACs")
    theirs = _run_zigzag(layer, efforts)
    wanted = [(RegisterRead.ON_CHANGE, "edp"), (RegisterRead.PER_MAC, "edp"), (RegisterRead.PER_MAC, "energy")]
    ours = [solve(layer, *what, repeats, uneven=uneven) for uneven in (False, True) for what in wanted]
    ours += [solve_as_zigzag(layer, uneven=uneven) for uneven in (False, True)]
    print(f"{'search':<34}{'CPU/s':>9}{'evaluated':>11}{'of':>10}  complete{'':>4}times faster than ZigZag")
    for effort, found in theirs.items():
        print(f"{'ZigZag ' + effort:<34}{found.seconds:>9.2f}{found.tried:>11}")
    for mine in ours:
        faster = ", ".join(f"{found.seconds / mine.seconds:.0f} ({effort})" for effort, found in theirs.items())
        print(
            f"{mine.name:<34}{mine.seconds:>9.4f}{mine.evaluated:>11}{mine.space:>10.1e}  {mine.complete!s:<12}{faster}"
        )
    return _judge(layer, theirs, ours)


def _run_zigzag(layer: Layer, efforts: Sequence[str]) -> dict[str, peer_zigzag.Result]:
    found: dict[str, peer_zigzag.Result] = {}
    for effort in efforts:
        chosen = peer_zigzag.EFFORTS[effort]
        if chosen.unrolled and any(layer.dims[dim] < count for dim, count in chosen.unrolled.values()):
            continue
        try:
            found[effort] = peer_zigzag.search(layer, chosen)
        except InputError as error:
            print(f"ZigZag {effort}: {error}")
    return found


def _judge(layer: Layer, theirs: dict[str, peer_zigzag.Result], ours: Sequence[Ours]) -> bool:
    print(f"{'mapping':<34}{'in our terms, on_change':>32}{'per_mac':>11}{'in the terms of ZigZag':>36}")
    print(f"{'':<34}{'energy/e6':>11}{'cycles':>10}{'EDP/e12':>11}{'energy/e6':>11}", end="")
    print(f"{'':>3}{'energy/e6':>11}{'cycles':>10}{'EDP/e12':>12}")
    best_here = {True: float("inf"), False: float("inf")}
    best_there = {True: float("inf"), False: float("inf")}
    mappings = [(f"ZigZag {effort}", found.nest) for effort, found in theirs.items()]
    mappings += [(mine.name, mine.nest) for mine in ours]
    for name, nest in mappings:
        mine = name.startswith("ours")
        here = evaluate(nest, layer, ref16.machine(RegisterRead.ON_CHANGE))
        reading = evaluate(nest, layer, ref16.machine(RegisterRead.PER_MAC))
        there = peer_zigzag.judge(nest, layer)
        best_here[mine] = min(best_here[mine], here.edp)
        best_there[mine] = min(best_there[mine], there.edp)
        mark = "" if peer_zigzag.divides(nest, layer) else "<="
        print(
            f"{name:<34}{here.energy / 1e6:>11.1f}{here.cycles:>10.0f}{here.edp / 1e12:>11.3f}"
            f"{reading.energy / 1e6:>11.1f}{mark:>3}{there.energy / 1e6:>11.1f}{there.cycles:>10.0f}"
            f"{there.edp / 1e12:>12.3f}"
        )
    if layer.name in ACCELFORGE:
        print(f"AccelForge, measured once, in its terms (per_mac): {ACCELFORGE[layer.name][0] / 1e6:.1f}e6")
    good = best_here[True] <= best_here[False], best_there[True] <= best_there[False]
    print(f"EDP, ours over ZigZag's: {best_here[True] / best_here[False]:.3f} in our terms, ", end="")
    print(f"{best_there[True] / best_there[False]:.3f} in those of ZigZag\n", flush=True)
    return all(good)


def main() -> None:
    """Print the comparison of every layer; exit with 1 if ours is above ZigZag's anywhere."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layers", nargs="*", default=list(ref16.LAYERS))
    parser.add_argument("--effort", action="append", choices=list(peer_zigzag.EFFORTS))
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    if sentence := peer_zigzag.missing():
        print(sentence)
        return
    os.environ["ACCELSIM_NO_CACHE"] = "1"
    good = [
        compare(ref16.layer(name), options.effort or ["free", "6s", "33s"], options.repeats) for name in options.layers
    ]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
