"""How long a user waits: the main job as a process, beside what its imports alone cost, in one run.

Run with the Python of an environment that has accelsim: ``python benchmarks/startup.py``. Prints medians of interleaved
repeats, so that a noisy machine slows both sides; read the ratios, not the seconds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

REPEATS = 7
MAIN_JOB = [sys.executable, "-m", "accelsim.cli", "run", "squeezenext23", "--hw", "16x16_128KB"]
CASES = {
    "import numpy, numba, pandas": [sys.executable, "-c", "import numpy, numba, pandas"],
    "import accelsim": [sys.executable, "-c", "import accelsim"],
    "python alone": [sys.executable, "-c", "pass"],
    "main job, layers cached": MAIN_JOB,
    "main job, searched": MAIN_JOB,
}


def seconds(command: list[str], **environment: str) -> float:
    """Return the wall time of one process."""
    start = time.perf_counter()
    subprocess.run(command, env=os.environ | environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = {"ACCELSIM_CACHE_DIR": f"{folder}/mappings", "NUMBA_CACHE_DIR": f"{folder}/numba"}
        first = seconds(MAIN_JOB, **fresh)
        times: dict[str, list[float]] = {name: [] for name in CASES}
        for _ in range(REPEATS):
            for name, command in CASES.items():
                extra = {"ACCELSIM_NO_CACHE": "1"} if name.endswith("searched") else {}
                times[name].append(seconds(command, **fresh, **extra))
    base = statistics.median(times["import numpy, numba, pandas"])
    print(f"{'case':<30}{'median/s':>10}{'ratio':>8}")
    for name, values in times.items():
        print(f"{name:<30}{statistics.median(values):>10.2f}{statistics.median(values) / base:>8.2f}")
    print(f"{'main job, first, compiling':<30}{first:>10.2f}{first / base:>8.2f}")


if __name__ == "__main__":
    main()
