"""Measures searches: cost per point, kills, a full disk, a Dask cluster. Prints what docs/exploring.md quotes.

python benchmarks/explore_scale.py rate [POINTS...]   processor and wall time per point, cheap points
python benchmarks/explore_scale.py grid               1,000 accelerators x squeezenext23
python benchmarks/explore_scale.py any [LIMIT]         200 machines of three memories x squeezenext23, any mapping
python benchmarks/explore_scale.py kill [TIMES]       SIGKILL at random times, then compare with an undisturbed run
python benchmarks/explore_scale.py disk               a file system of 1 MB that is full (needs root)
python benchmarks/explore_scale.py dask               throughput of 1 and 2 worker processes, and the overheads
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from accelsim import explore
from accelsim.errors import InputError
from accelsim.explore import runner
from accelsim.explore.space import load_space
from accelsim.explore.store import Store

NETWORK = """\
name: three_layers
input: [3, 12, 12]
layers:
  - {name: conv1, op: conv, out_channels: 16, kernel: 3, padding: 1}
  - {name: conv2, op: conv, out_channels: 24}
  - {name: fc, op: linear, features: 10}
"""

SEARCH = """\
import json, sys
from accelsim import explore
for point in explore(json.loads(sys.argv[1]), store=sys.argv[2]):
    if point.is_new:
        print("new", flush=True)
"""

ROUNDS = 3
"""How often the throughput of one and of two workers is measured, in turns."""

GRID: dict[str, Any] = {
    "name": "grid1000",
    "network": "squeezenext23",
    "hardware": "16x16_128KB",
    "axes": {
        "rows": {"hardware": "fanouts.array.rows", "from": 8, "to": 35, "step": 3},
        "cols": {"hardware": "fanouts.array.cols", "from": 8, "to": 35, "step": 3},
        "buffer": {"hardware": "memories.GLB.size_kb", "values": [16, 24, 32, 48, 64, 96, 128, 192, 256, 384]},
    },
}


ANY: dict[str, Any] = {
    "name": "any200",
    "network": "squeezenext23",
    "hardware": "ref16",
    "axes": {
        "buffer": {
            "hardware": "memories.BUF.size_words",
            "values": [16384, 24576, 32768, 49152, 65536, 98304, 131072, 262144, 524288, 1048576],
        },
        "rate": {"hardware": "memories.DRAM.words_per_cycle", "values": [2, 4, 8, 16]},
        "weights": {"hardware": "memories.RF.operand_words.W", "values": [16, 32, 64, 128, 256]},
    },
}


def cheap_space(folder: Path, points: int) -> dict[str, Any]:
    """Return a space of about ``points`` points that cost little: what is left is the search's own cost."""
    path = folder / "three_layers.yaml"
    path.write_text(NETWORK)
    side = round(points**0.5)
    return {
        "network": str(path),
        "hardware": "8x8_32KB",
        "axes": {
            "rows": {"hardware": "fanouts.array.rows", "from": 4, "to": 3 + side, "step": 1},
            "cols": {"hardware": "fanouts.array.cols", "from": 4, "to": 3 + side, "step": 1},
        },
    }


def cpu_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, kinds))


def timed(space: dict[str, Any], folder: Path, **options: Any) -> tuple[int, float, float, float]:
    """Run a search; return points, wall seconds, processor seconds in all, and those of the evaluations alone."""
    wall, cpu, inside, count = time.monotonic(), cpu_seconds(), 0.0, 0
    for point in explore(space, store=folder / f"{time.monotonic_ns()}.sqlite", **options):
        count += 1
        inside += point.outcome.seconds
    return count, time.monotonic() - wall, cpu_seconds() - cpu, inside


def rate(*sizes: str) -> None:
    """Print the cost per point at several sizes."""
    print(f"{'points':>7}{'wall s':>9}{'cpu s':>9}{'cpu ms/point':>14}{'of it evaluation':>18}")
    with tempfile.TemporaryDirectory() as name:
        for size in sizes or ("100", "1000", "10000"):
            count, wall, cpu, inside = timed(cheap_space(Path(name), int(size)), Path(name))
            print(
                f"{count:>7}{wall:>9.1f}{cpu:>9.1f}{1e3 * cpu / count:>14.2f}{1e3 * inside / count:>18.2f}", flush=True
            )


def grid() -> None:
    """Print what 1,000 accelerators cost."""
    with tempfile.TemporaryDirectory() as name:
        count, wall, cpu, inside = timed(GRID, Path(name))
    print(f"{count} points: wall {wall:.1f} s, processor {cpu:.1f} s, of it evaluation {inside:.1f} s")


def any_mapping(limit: str = "20000") -> None:
    """Print what 200 machines cost whose mappings are searched up to a limit of bounds."""
    options = {"dataflow": "any", "objective": "edp", "search_limit": int(limit)}
    with tempfile.TemporaryDirectory() as name:
        count, wall, cpu, inside = timed(ANY | {"options": options}, Path(name))
    print(f"{count} points: wall {wall:.1f} s, processor {cpu:.1f} s, of it evaluation {inside:.1f} s")


def kill(times: str = "10") -> None:
    """Kill a search at random times, let it end, and compare with one that was not disturbed."""
    generator = random.Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        space, where = cheap_space(folder, 2500), folder / "killed.sqlite"
        for number in range(int(times)):
            command = [sys.executable, "-c", SEARCH, json.dumps(space), str(where)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            process.stdout.readline()  # the workers are at work
            seconds = 4 * generator.random()
            time.sleep(seconds)
            process.kill()
            new = 1 + len(process.communicate()[0].split())
            print(f"kill {number + 1}: {seconds:.2f} s after the first new point, {new} reported", flush=True)
        points = list(explore(space, store=where))
        kept = sum(not point.is_new for point in points)
        killed = {tuple(point.values.values()): point.metrics for point in points}
        undisturbed = {tuple(point.values.values()): point.metrics for point in explore(space)}
        print(f"{len(points)} points, {kept} of them from before the last start; ", end="")
        print(f"each once: {len(killed) == len(points)}, same as undisturbed: {killed == undisturbed}")


def disk() -> None:
    """Fill a file system of 1 MB with a store, then make room and go on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = folder / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
        try:
            space, where = cheap_space(folder, 2500), small / "points.sqlite"
            try:
                print(f"no error after {sum(1 for _ in explore(space, store=where))} points")
            except InputError as full:
                print(f"error: {full}")
            subprocess.run(["mount", "-o", "remount,size=50m", small], check=True)
            points = list(explore(space, store=where))
            kept = sum(not point.is_new for point in points)
            print(f"with room: {len(points)} points, {kept} of them from before")
            subprocess.run(["mount", "-o", "remount,ro", small], check=True)
            try:
                list(explore(space | {"axes": GRID["axes"]}, store=where))
            except InputError as refused:
                print(f"read-only: {refused}")
            store = Store(str(where), load_space(space), read_only=True)
            print(f"read-only: {store.status().counts}")
            store.close()
        finally:
            subprocess.run(["umount", small], check=True)


def dask() -> None:
    """Print the throughput of 1 and 2 single-threaded Dask workers in turns, and what a chunk costs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        buffers = {"hardware": "memories.GLB.size_kb", "values": [48, 96, 192, 384]}
        space = GRID | {"axes": GRID["axes"] | {"buffer": buffers}}
        ratios, limits = [], []
        for _ in range(ROUNDS):
            rates, each = [], []
            for workers in (1, 2):
                with DaskProcesses(folder, workers) as cluster:
                    list(explore(cheap_space(folder, 16 * workers), cluster=cluster.address))  # starts numba
                    count, wall, _, inside = timed(space, folder, cluster=cluster.address)
                rates.append(count / wall)
                each.append(inside / count)
                print(f"{workers} workers: {count} points in {wall:.1f} s, evaluation {inside:.1f} s", flush=True)
            ratios.append(rates[1] / rates[0])
            limits.append(2 * each[0] / each[1])
        print(f"throughput with 2 workers over 1: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
        print(f"at best, by the processor time of a point: {', '.join(f'{limit:.2f}' for limit in limits)}")
        with DaskProcesses(folder, 1) as cluster:
            for points_per_chunk in (runner.MAX_CHUNK, 1):
                runner.MAX_CHUNK = points_per_chunk
                scheduler, own = cluster.cpu_seconds(0), cpu_seconds()
                count, wall, _, inside = timed(cheap_space(folder, 1000), folder, cluster=cluster.address)
                print(
                    f"chunks of at most {points_per_chunk}: {count} points in {wall:.1f} s, scheduler "
                    f"{1e3 * (cluster.cpu_seconds(0) - scheduler) / count:.2f} ms/point, "
                    f"client with store {1e3 * (cpu_seconds() - own) / count:.2f} ms/point",
                    flush=True,
                )


class DaskProcesses:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._options = ["--nworkers", "1", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        self._options += ["--local-directory", str(folder)]
        self._processes = [self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")]
        assert self._processes[0].stderr is not None
        found = next(filter(None, (re.search(r"at: +(tcp://\S+)", line) for line in self._processes[0].stderr)))
        self.address = found.group(1)
        self._processes += [self._start("worker", self.address, *self._options) for _ in range(workers)]

    def __enter__(self) -> DaskProcesses:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def cpu_seconds(self, index: int) -> float:
        """Return the processor time of a process so far; the scheduler is the first."""
        fields = Path(f"/proc/{self._processes[index].pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def _start(kind: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


if __name__ == "__main__":
    os.environ["ACCELSIM_NO_CACHE"] = "1"  # every point is to be solved
    commands = {"rate": rate, "grid": grid, "any": any_mapping, "kill": kill, "disk": disk, "dask": dask}
    commands[sys.argv[1]](*sys.argv[2:])
