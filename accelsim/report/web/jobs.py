"""Work that may outlast a request: it goes on while somebody asks for it, and says how far it is.

Most answers are there at once. A search on a machine of many levels may take minutes; then a request comes back with
how much is done, and asking the same again waits for the same work. What nobody asks for any more is given up.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

PATIENCE_SECONDS = 0.6
"""How long a request waits for the answer before it comes back with how far the work is."""

FORGOTTEN_SECONDS = 5.0
"""Work that nobody has asked for in this time is given up."""

KEPT = 16
"""Finished work that is kept for those who come back for it."""

Work = Callable[[Callable[[int, int], None]], Any]
"""Computes an answer; calls what it is given with (done, of) now and then."""


@dataclass(frozen=True)
class Underway:
    """How far work is that has not ended.

    Attributes:
        done: Layer shapes that are solved.
        of: All of them; 0 while that is not known.
        seconds: How long ago it was first asked for.
    """

    done: int
    of: int
    seconds: float


class _GivenUp(Exception):  # noqa: N818 - nothing is wrong
    """Nobody asks any more."""


@dataclass
class _Job:
    started: float = field(default_factory=time.monotonic)
    asked: float = field(default_factory=time.monotonic)
    done: int = 0
    of: int = 0
    answer: Any = None
    problem: Exception | None = None
    ended: threading.Event = field(default_factory=threading.Event)


class Jobs:
    """Runs one piece of work at a time in every lane, as each of them uses all cores.

    Long work has a lane of its own, so that it is never in the way of what is answered at once.
    """

    def __init__(self, patience: float = PATIENCE_SECONDS, forgotten: float = FORGOTTEN_SECONDS) -> None:
        self._patience, self._forgotten = patience, forgotten
        self._jobs: dict[Hashable, _Job] = {}
        self._guard = threading.Lock()
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def ask(self, key: Hashable, work: Work, lane: str = "") -> Any:
        """Return the answer to a question, or ``Underway`` if it takes longer than the patience.

        Args:
            key: The question; the same one shares the work.
            work: What computes the answer.
            lane: Name of the lane that it waits in.

        Raises:
            Exception: What the work raised.
        """
        with self._guard:
            job = self._jobs.get(key)
            if job is None or isinstance(job.problem, _GivenUp):
                job = self._jobs[key] = _Job()
                self._forget()
                threading.Thread(target=self._run, args=(job, work, self._turns[lane]), daemon=True).start()
            job.asked = time.monotonic()
        if not job.ended.wait(self._patience):
            return Underway(job.done, job.of, time.monotonic() - job.started)
        if isinstance(job.problem, _GivenUp):
            return Underway(job.done, job.of, 0.0)  # given up this very moment: the next request starts it again
        if job.problem is not None:
            raise job.problem
        return job.answer

    def _run(self, job: _Job, work: Work, turn: threading.Lock) -> None:
        def progress(done: int, of: int) -> None:
            job.done, job.of = done, of
            if time.monotonic() - job.asked > self._forgotten:
                raise _GivenUp

        try:
            with turn:
                progress(0, 0)
                job.answer = work(progress)
        except Exception as problem:  # all of them: a thread that ended in silence would be waited for
            job.problem = problem
        finally:
            job.ended.set()

    def _forget(self) -> None:
        ended = [key for key, job in self._jobs.items() if job.ended.is_set()]
        for key in ended[: max(0, len(ended) - KEPT)]:
            del self._jobs[key]
