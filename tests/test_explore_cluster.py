"""A search on a Dask cluster of real processes: the same results, also when a worker is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest
from explore_spaces import array_space

from accelsim import explore

pytest.importorskip("distributed", reason="the cluster extra is not installed")


def start(*arguments):
    """Start a part of the cluster; it logs to standard error."""
    paths = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers, each a process; gives the address and the workers."""
    scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    processes = [scheduler]
    try:
        for line in scheduler.stderr:
            found = re.search(r"Scheduler at: +(tcp://\S+)", line)
            if found:
                break
        address = found.group(1)
        options = [
            "--nworkers",
            "1",
            "--nthreads",
            "1",
            "--no-nanny",
            "--no-dashboard",
            "--local-directory",
            str(tmp_path),
        ]
        workers = [start("worker", address, *options) for _ in range(2)]
        processes += workers
        yield address, workers
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_does_a_cluster_find_what_one_process_finds_though_a_worker_dies(tmp_path, cluster):
    """One of two workers is killed half way; every point is there once, with the same metrics."""
    address, workers = cluster
    space = array_space(tmp_path, rows=30, buffers=4)
    points = []
    for point in explore(space, cluster=address, store=tmp_path / "points.sqlite"):
        points.append(point)
        if len(points) == 40:
            workers[0].send_signal(signal.SIGKILL)
    found = {tuple(point.values.values()): (point.outcome.status, point.metrics) for point in points}
    alone = {tuple(point.values.values()): (point.outcome.status, point.metrics) for point in explore(space, workers=0)}
    assert len(points) == len(found) == 120
    assert found == alone
    assert workers[0].wait(timeout=10) == -signal.SIGKILL
