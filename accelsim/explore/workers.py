"""Who evaluates points: this process, or worker processes on this machine. ``cluster`` has a third kind."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from accelsim.explore.evaluate import Evaluator, Outcome
from accelsim.explore.space import Space
from accelsim.explore.worker import receive, send

Values = list[Any]
"""A point: one value per axis."""


class Finished(NamedTuple):
    """A chunk that came back.

    Attributes:
        chunk: The points.
        outcomes: What is known of them, or None if the worker was lost.
        reason: How it was lost.
        seconds: How long the chunk took.
    """

    chunk: Sequence[Values]
    outcomes: Sequence[Outcome] | None
    reason: str = ""
    seconds: float = 0.0


def come_back(finished: queue.SimpleQueue[Finished], timeout_seconds: float) -> list[Finished]:
    """Return what a queue of finished chunks holds; wait for the first as long as the timeout."""
    found: list[Finished] = []
    with suppress(queue.Empty):
        found.append(finished.get(timeout=timeout_seconds))
        while True:
            found.append(finished.get_nowait())
    return found


class Workers(Protocol):
    """Evaluate chunks of points."""

    @property
    def count(self) -> int:
        """How many chunks are evaluated at a time."""

    def submit(self, chunk: Sequence[Values]) -> None:
        """Take on a chunk."""

    def collect(self, timeout_seconds: float) -> list[Finished]:
        """Return the chunks that have come back since; wait for the first as long as the timeout."""

    def close(self) -> None:
        """Drop what is not finished, and go."""


class InProcess:
    """Evaluates in this process, when asked to collect."""

    count = 1

    def __init__(self, space: Space) -> None:
        self._evaluator = Evaluator(space)
        self._chunks: list[Sequence[Values]] = []

    def submit(self, chunk: Sequence[Values]) -> None:
        """Take on a chunk."""
        self._chunks.append(chunk)

    def collect(self, timeout_seconds: float) -> list[Finished]:
        """Evaluate the next chunk."""
        if not self._chunks:
            return []
        chunk, start = self._chunks.pop(0), time.monotonic()
        outcomes = [self._evaluator.evaluate(values) for values in chunk]
        return [Finished(chunk, outcomes, seconds=time.monotonic() - start)]

    def close(self) -> None:
        """Drop what is not finished."""
        self._chunks.clear()


class Processes:
    """Worker processes on this machine, one solved layer at a time each.

    They are started by their module's name, not forked: nothing of the caller's state, threads or main module
    gets into them, and they end with this process even if it is killed.
    """

    def __init__(self, space: Space, count: int) -> None:
        self.count = count
        self._space = space
        self._tasks: queue.SimpleQueue[Sequence[Values] | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._closing = False
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, chunk: Sequence[Values]) -> None:
        """Take on a chunk."""
        self._tasks.put(chunk)

    def collect(self, timeout_seconds: float) -> list[Finished]:
        """Return the chunks that have come back since; wait for the first as long as the timeout."""
        return come_back(self._finished, timeout_seconds)

    def close(self) -> None:
        """Drop what is not finished, and end the processes."""
        self._closing = True
        for _ in self._threads:
            self._tasks.put(None)
        for process in list(self._processes):
            process.kill()  # it holds nothing that is worth a goodbye
        for thread in self._threads:
            thread.join(timeout=10)

    def _serve(self) -> None:
        """Hand chunks to one process, and start another if it is lost."""
        process: subprocess.Popen[bytes] | None = None
        while (chunk := self._tasks.get()) is not None and not self._closing:
            start = time.monotonic()
            try:
                process = process or self._start()
                assert process.stdin is not None
                assert process.stdout is not None
                send(process.stdin, chunk)
                outcomes = receive(process.stdout)
            except (EOFError, OSError) as lost:
                status = self._end(process)
                process = None
                if self._closing:
                    return
                self._finished.put(Finished(chunk, None, f"a worker process ended ({status or lost})"))
            else:
                self._finished.put(Finished(chunk, outcomes, seconds=time.monotonic() - start))
        self._end(process)

    def _start(self) -> subprocess.Popen[bytes]:
        paths = [path for path in sys.path if path]
        process = subprocess.Popen(
            [sys.executable, "-m", "accelsim.explore.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the parent alone
            env=os.environ | {"ACCELSIM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)},
        )
        self._processes.add(process)
        assert process.stdin is not None
        send(process.stdin, self._space)
        return process

    def _end(self, process: subprocess.Popen[bytes] | None) -> str:
        """End a process and return how it ended, in words."""
        if process is None:
            return ""
        process.kill()
        status = process.wait()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
        self._processes.discard(process)
        return f"signal {-status}" if status < 0 else f"status {status}"
