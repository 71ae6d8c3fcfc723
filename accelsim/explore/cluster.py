"""Worker processes of a Dask cluster (an extra): the same chunks, evaluated on other machines."""

from __future__ import annotations

import os
import pickle
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from accelsim.errors import InputError, MissingExtraError
from accelsim.explore.evaluate import Evaluator, Outcome
from accelsim.explore.space import Space
from accelsim.explore.workers import Finished, Values, come_back

CONNECT_SECONDS = 10
"""How long to wait for the scheduler."""

COUNT_SECONDS = 2.0
"""How often the workers are counted; they may come and go."""

_own = threading.local()
"""Of every thread of a worker: its evaluator, and the space that it is for."""


class Cluster:
    """The workers of a Dask scheduler.

    Dask gives the chunks of a lost worker to another one; a chunk that has lost several comes back as lost.
    """

    def __init__(self, space: Space, address: str) -> None:
        try:
            import distributed  # noqa: PLC0415 - an extra
        except ImportError:
            raise MissingExtraError(
                "--cluster needs dask.distributed, which is not installed: pip install 'accelsim[cluster]'"
            ) from None
        try:
            self._client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as wrong:
            raise InputError(f"cluster {address}: no Dask scheduler answers: {wrong}") from None
        # Sent once and kept by the workers: every chunk refers to it.
        self._space = self._client.scatter(pickle.dumps(space), broadcast=False, hash=True)
        self._finished: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self._futures: set[Any] = set()
        self._counted = -COUNT_SECONDS
        self._count = 1

    @property
    def count(self) -> int:
        """Threads of all workers, at least one."""
        if time.monotonic() - self._counted > COUNT_SECONDS:
            self._counted = time.monotonic()
            self._count = max(1, sum(self._client.nthreads().values()))
        return self._count

    def submit(self, chunk: Sequence[Values]) -> None:
        """Take on a chunk."""
        future = self._client.submit(evaluate_chunk, self._space, chunk, pure=False)
        self._futures.add(future)
        future.add_done_callback(lambda done: self._came_back(chunk, done))

    def collect(self, timeout_seconds: float) -> list[Finished]:
        """Return the chunks that have come back since; wait for the first as long as the timeout."""
        return come_back(self._finished, timeout_seconds)

    def close(self) -> None:
        """Drop what is not finished, and leave the cluster."""
        with suppress(Exception):  # a scheduler that is gone needs no goodbye
            self._client.cancel(list(self._futures))
        self._client.close(timeout=5)

    def _came_back(self, chunk: Sequence[Values], future: Any) -> None:
        self._futures.discard(future)
        if future.status == "finished":
            outcomes, seconds = future.result()
            self._finished.put(Finished(chunk, outcomes, seconds=seconds))
        else:
            reason = future.exception() if future.status == "error" else future.status
            self._finished.put(Finished(chunk, None, f"a worker of the cluster was lost ({reason})"))


def evaluate_chunk(space: bytes, chunk: Sequence[Values]) -> tuple[list[Outcome], float]:
    """Evaluate points on a worker of the cluster, whose thread keeps its evaluator for the next chunk.

    Returns:
        The outcomes, and how many seconds they took.
    """
    start = time.monotonic()
    os.environ.setdefault("ACCELSIM_THREADS", "1")
    if getattr(_own, "space", None) != space:
        _own.space, _own.evaluator = space, Evaluator(pickle.loads(space))
    outcomes = [_own.evaluator.evaluate(values) for values in chunk]
    return outcomes, time.monotonic() - start
