"""accelsim's mapper against ZigZag's on ref16, in one run on one core: time, energy, cycles and EDP, each way.

    PYTHONPATH=. python -m benchmarks.peers.compare [LAYER ...] [--effort 6s] [--repeats 5]

Needs the extra ``peers``. For every layer:

- what each search found and the CPU seconds that it took (ours warm: the median of repeats, after a run that compiles
  and fills the tables of the machine), and how many times faster ours is than every effort of ZigZag's;
- every mapping in our terms, with the registers counted three ways (``ZigZag``: W and I when the word is another one,
  sums at every MAC; ``per_mac``: all at every MAC, as AccelForge does; ``on_change``), and as ZigZag's own cost model
  judges it. Ours are searched in each of the three. A mapping whose tiles do not divide the layer is charged by ZigZag
  as if they did, which is marked ``<=``;
- whether our EDP is above that of any mapping of ZigZag's, in any of the countings.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from accelsim.engine.closed_form import evaluate
from accelsim.errors import InputError
from accelsim.mapping.hierarchy import ANY, Machine
from accelsim.mapping.nest import Nest
from accelsim.mapping.search import Found, search
from accelsim.workload.layer import Layer
from benchmarks.peers import peer_zigzag, ref16

ACCELFORGE = {"3x3": (844.1e6, 853.0), "1x1": (433.9e6, 11.0)}
"""Energy and CPU seconds that AccelForge was measured to need (on 3x3: K on rows, reductions on columns, given)."""

SLOW_SECONDS = 2.0
"""A search that takes longer is not repeated."""

MACHINES = {terms: ref16.machine(terms) for terms in ref16.TERMS}


@dataclass(frozen=True, kw_only=True)
class Ours:
    """One search of ours.

    Attributes:
        space: ``uniform`` or ``uneven``.
        terms: How registers are counted, a key of ``ref16.TERMS``.
        objective: What is least.
        found: What was found.
        seconds: CPU seconds, warm.
    """

    space: str
    terms: str
    objective: str
    found: Found
    seconds: float

    @property
    def name(self) -> str:
        """What was asked for."""
        return f"ours {self.space} {self.terms} {self.objective}"


def solve(layer: Layer, space: str, terms: str, objective: str, repeats: int) -> Ours:
    """Return what our mapper finds on ref16, and its time once everything is compiled."""
    times: list[float] = []
    while len(times) <= repeats and (not times or min(times) < SLOW_SECONDS):
        start = time.process_time()
        found = search(layer, MACHINES[terms], ANY, objective, uneven=space == "uneven")
        times.append(time.process_time() - start)
    seconds = statistics.median(times[1:] or times)
    return Ours(space=space, terms=terms, objective=objective, found=found, seconds=seconds)


def warm_up() -> None:
    """Have all kernels compiled or loaded."""
    for machine in MACHINES.values():
        search(Layer.conv("warm", 4, 4, 4, 1), machine, ANY, "edp")


def compare(layer: Layer, efforts: Sequence[str], repeats: int) -> bool:
    """Print the comparison on one layer; return whether ours is nowhere above ZigZag's."""
    print(f"== {layer.name}: {layer.macs / 1e6:.1f}e6 MACs")
    theirs = _run_zigzag(layer, efforts)
    wanted = [(terms, "edp") for terms in ref16.TERMS] + [("per_mac", "energy")]
    ours = [solve(layer, space, *what, repeats) for space in ("uniform", "uneven") for what in wanted]
    print(f"{'search':<34}{'CPU/s':>9}{'evaluated':>11}{'of':>10}  complete{'':>4}times faster than ZigZag")
    for effort, result in theirs.items():
        print(f"{'ZigZag ' + effort:<34}{result.seconds:>9.2f}{result.tried:>11}")
    for mine in ours:
        faster = ", ".join(f"{result.seconds / mine.seconds:.1f} ({effort})" for effort, result in theirs.items())
        found = mine.found
        print(
            f"{mine.name:<34}{mine.seconds:>9.4f}{found.evaluated:>11}{found.space:>10.1e}  "
            f"{found.complete!s:<12}{faster}"
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


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A mapping in every counting: energy and cycles by name of the counting."""

    name: str
    costs: dict[str, tuple[float, float]]
    exact: bool

    def edp(self, counting: str) -> float:
        """Return energy times cycles."""
        energy, cycles = self.costs[counting]
        return energy * cycles


MODEL = "ZigZag's model"
"""The counting that is ZigZag's own cost model, not the closed form in its terms."""


def judged(name: str, nest: Nest, layer: Layer, machines: dict[str, Machine]) -> Judged:
    """Return a mapping's costs in every counting."""
    costs = {}
    for terms, machine in machines.items():
        cost = evaluate(nest, layer, machine)
        costs[terms] = cost.energy, cost.cycles
    there = peer_zigzag.judge(nest, layer)
    costs[MODEL] = there.energy, there.cycles
    return Judged(name=name, costs=costs, exact=peer_zigzag.divides(nest, layer))


def _judge(layer: Layer, theirs: dict[str, peer_zigzag.Result], ours: Sequence[Ours]) -> bool:
    print(f"{'energy/e6, cycles, EDP/e12 in':<34}" + "".join(f"{name:>32}" for name in (*MACHINES, MODEL)))
    peers = [judged(f"ZigZag {effort}", found.nest, layer, MACHINES) for effort, found in theirs.items()]
    own = [judged(mine.name, mine.found.nest, layer, MACHINES) for mine in ours]
    for one in (*peers, *own):
        columns = []
        for counting, (energy, cycles) in one.costs.items():
            mark = "<=" if counting == MODEL and not one.exact else ""
            columns.append(f"{mark:>3}{energy / 1e6:>9.1f}{cycles:>10.0f}{one.edp(counting) / 1e12:>10.3f}")
        print(f"{one.name:<34}" + "".join(columns))
    if layer.name in ACCELFORGE:
        energy, seconds = ACCELFORGE[layer.name]
        print(f"AccelForge, measured once, in its terms (per_mac): {energy / 1e6:.1f}e6 in {seconds:.0f} s")
    good = True
    print("EDP, ours over the best of ZigZag's:")
    for counting in (*MACHINES, MODEL):
        best = min(one.edp(counting) for one in peers)
        shares = {}
        for space in ("uniform", "uneven"):
            least = [
                one.edp(counting)
                for one, mine in zip(own, ours, strict=True)
                if mine.space == space and counting in {MODEL, mine.terms}
            ]
            shares[space] = min(least) / best
        good = good and min(shares.values()) <= 1 + 1e-9
        print(f"  {counting:<16}" + "".join(f"{space} {share:.4f}  " for space, share in shares.items()))
    print(flush=True)
    return good


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
    warm_up()
    good = [
        compare(ref16.layer(name), options.effort or ["free", "6s", "33s"], options.repeats) for name in options.layers
    ]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
