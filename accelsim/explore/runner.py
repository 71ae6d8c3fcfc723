"""Runs a search: asks the sampler, claims points in the store, hands them out in chunks, writes what comes back."""

from __future__ import annotations

import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

from accelsim.errors import AccelsimError, InputError
from accelsim.explore.evaluate import Evaluator, Outcome
from accelsim.explore.metrics import METRICS
from accelsim.explore.samplers import Sampler, make_sampler
from accelsim.explore.space import Choice, Space, load_space
from accelsim.explore.store import AT_ONCE, Store, point_key
from accelsim.explore.workers import Finished, InProcess, Processes, Values, Workers

CHUNK_SECONDS = 1.0
"""How long a chunk should take: long against the cost of handing it out, short against what an interruption loses."""

MAX_CHUNKS_PER_SECOND = 100
"""Chunks that a cluster's scheduler is asked to hand out: with more workers, chunks take longer than a second."""

MAX_CHUNK = 200
"""Most points in a chunk."""

ATTEMPTS = 3
"""Workers that a point may lose before it counts as failed."""

POLL_SECONDS = 0.5
"""How long to wait for results, and between looks at points in another writer's hands."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the space and what is known of it.

    Attributes:
        values: Its values by axis.
        outcome: Status, metrics, and the reason if it is not done.
        is_new: Whether it was evaluated now; else it was in the store.
    """

    values: dict[str, Any]
    outcome: Outcome
    is_new: bool

    @property
    def metrics(self) -> dict[str, float | None]:
        """The metrics that are known, by name."""
        return self.outcome.metrics

    @property
    def is_feasible(self) -> bool:
        """Whether it exists and is within all bounds."""
        return self.outcome.status == "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search is.

    Attributes:
        done: Points that are finished, those found in the store included.
        total: Points that the sampler will propose.
        new: Points evaluated by this run.
        points_per_second: Rate of the new ones.
        remaining_seconds: Time that the others will take, or None before there is a rate.
        best: Best value so far of every objective, by name.
    """

    done: int
    total: int
    new: int
    points_per_second: float
    remaining_seconds: float | None
    best: dict[str, float]


def explore(
    space: Space | str | PathLike[str] | Mapping[str, Any],
    *,
    store: str | PathLike[str] | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Generator[Point, None, None]:
    """Search a design space; yields every point of the sampler's as it is finished.

    Points that the store has already come from there. Closing the iterator, or an interruption, ends the workers;
    what is finished is in the store, and the same call goes on from there.

    Args:
        space: A ``Space``, the path of its YAML file, or the same data as a mapping.
        store: Path of an SQLite file or a ``postgresql://`` URL; by default, results are kept in memory only.
        workers: Worker processes (default: one a core); 0 evaluates in this process.
        cluster: Address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``, in the place of worker processes.
        progress: Called whenever points have been finished.

    Yields:
        The points, in the order in which they are finished.

    Raises:
        InputError: The space, the store or the cluster is not usable.
        MissingExtraError: Something needs a package that is not installed.

    Examples:
        >>> buffers = {"buffer": {"hardware": "memories.GLB.size_kb", "values": [64, 128]}}
        >>> space = {"network": "squeezenet_v1.1", "hardware": "16x16_128KB", "axes": buffers}
        >>> [point.metrics["cycles"] for point in explore(space, workers=0)]
        [1722317.0, 1694483.0]
    """
    loaded = load_space(space)
    if workers is not None and workers < 0:
        raise InputError(f"workers must be at least 0, got {workers}")
    Evaluator(loaded).check()
    return _run(loaded, fspath(store) if store is not None else ":memory:", workers, cluster, progress)


def _run(
    space: Space, where: str, count: int | None, cluster: str | None, progress: Callable[[Progress], None] | None
) -> Generator[Point, None, None]:
    sampler = make_sampler(space)
    database = Store(where, space)
    try:
        database.sign_on()
        workers = _make_workers(space, count, cluster)
        search = _Search(space, sampler, database, workers, progress)
        try:
            yield from search.points()
        finally:
            # Also after an interruption: what has come back is kept, what has not is free for others.
            with suppress(AccelsimError):
                search.save_finished()
            workers.close()
            with suppress(AccelsimError):
                database.release()
    finally:
        database.close()


def _make_workers(space: Space, count: int | None, cluster: str | None) -> Workers:
    if cluster is not None:
        from accelsim.explore.cluster import Cluster  # noqa: PLC0415 - an extra

        return Cluster(space, cluster)
    if count == 0:
        return InProcess(space)
    return Processes(space, count or os.cpu_count() or 1)


class _Search:
    """The state of one run."""

    def __init__(
        self,
        space: Space,
        sampler: Sampler,
        store: Store,
        workers: Workers,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._space, self._sampler, self._store, self._workers = space, sampler, store, workers
        self._report = progress
        self._ready: deque[Point] = deque()
        self._pending: deque[Values] = deque()
        self._elsewhere: dict[str, Values] = {}
        self._attempts: dict[str, int] = {}
        self._in_flight = 0
        self._batch: list[Choice] = []
        self._batch_outcomes: dict[str, Outcome] = {}
        self._asked, self._done, self._new = 0, 0, 0
        self._exhausted = False
        self._seconds_per_point: deque[float] = deque(maxlen=5)
        self._best: dict[str, float] = {}
        self._start = time.monotonic()
        self._next_look = 0.0

    def points(self) -> Iterator[Point]:
        """Yield points until there are no more."""
        while True:
            self._ask()
            self._look_elsewhere()
            self._hand_out()
            yield from self._drain()
            if not (self._in_flight or self._pending or self._elsewhere):
                if self._exhausted:
                    return
                continue
            if self._in_flight:
                self._take(self._workers.collect(POLL_SECONDS))
            elif not self._pending:
                time.sleep(max(0.0, self._next_look - time.monotonic()))
            self._store.heartbeat()

    def save_finished(self) -> None:
        """Write what has come back and was not yet written."""
        if not isinstance(self._workers, InProcess):
            self._take(self._workers.collect(0))

    def _drain(self) -> Iterator[Point]:
        if self._ready and self._report:
            self._report(self._progress())
        while self._ready:
            yield self._ready.popleft()

    def _ask(self) -> None:
        """Get the sampler's next batch when it is time, and look up what the store has of it."""
        if self._exhausted or len(self._pending) > AT_ONCE:
            return
        if self._sampler.learns:
            if len(self._batch_outcomes) < len(self._batch):
                return
            if self._batch:
                keys = [point_key(self._space.values(choice)) for choice in self._batch]
                self._sampler.tell(self._batch, [self._batch_outcomes[key] for key in keys])
        self._batch, self._batch_outcomes = self._sampler.ask(), {}
        self._asked += len(self._batch)
        self._exhausted = not self._batch
        wanted = {point_key(values): values for values in map(self._space.values, self._batch)}
        finished = self._store.finished(list(wanted))
        for key, values in wanted.items():
            if key in finished:
                self._finish(values, finished[key], is_new=False)
            else:
                self._pending.append(values)

    def _hand_out(self) -> None:
        """Claim pending points and give them to the workers, one chunk more each than it can work on."""
        while self._pending and self._in_flight < 2 * self._workers.count:
            size = min(self._chunk_size(), len(self._pending))
            self._claim([self._pending.popleft() for _ in range(size)])

    def _claim(self, points: Sequence[Values]) -> None:
        by_key = {point_key(values): values for values in points}
        claim = self._store.claim(list(by_key))
        for key, outcome in claim.finished.items():
            self._elsewhere.pop(key, None)
            self._finish(by_key[key], outcome, is_new=False)
        self._elsewhere |= {key: by_key[key] for key in claim.elsewhere}
        if claim.mine:
            for key in claim.mine:
                self._elsewhere.pop(key, None)
            self._submit([by_key[key] for key in claim.mine])

    def _submit(self, chunk: Sequence[Values]) -> None:
        self._in_flight += 1
        self._workers.submit(chunk)

    def _look_elsewhere(self) -> None:
        """See whether other writers have finished their points, or are dead."""
        if self._pending or not self._elsewhere or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + POLL_SECONDS
        for key, outcome in self._store.finished(list(self._elsewhere)).items():
            self._finish(self._elsewhere.pop(key), outcome, is_new=False)
        if self._in_flight < 2 * self._workers.count and self._elsewhere:
            first = list(self._elsewhere)[: self._chunk_size()]
            points = [self._elsewhere.pop(key) for key in first]  # those not to be had go to the end of the row
            self._claim(points)

    def _take(self, chunks: Sequence[Finished]) -> None:
        """Write the outcomes of chunks that came back; try those of lost workers again, point by point."""
        outcomes: list[tuple[Values, Outcome]] = []
        for chunk in chunks:
            self._in_flight -= 1
            if chunk.outcomes is not None:
                outcomes += zip(chunk.chunk, chunk.outcomes, strict=True)
                self._seconds_per_point.append(chunk.seconds / len(chunk.chunk))
                continue
            for values in chunk.chunk:
                key = point_key(values)
                self._attempts[key] = self._attempts.get(key, 0) + 1
                if self._attempts[key] < ATTEMPTS:
                    self._submit([values])
                else:
                    outcomes.append((values, Outcome(status="failed", reason=chunk.reason, excess=None)))
        if outcomes:
            self._store.finish({point_key(values): outcome for values, outcome in outcomes})
        for values, outcome in outcomes:
            self._finish(values, outcome, is_new=True)

    def _finish(self, values: Values, outcome: Outcome, *, is_new: bool) -> None:
        self._done += 1
        self._new += is_new
        if self._sampler.learns:
            self._batch_outcomes[point_key(values)] = outcome
        if outcome.status == "done":
            for name in self._space.objectives:
                value = outcome.metrics[name]
                if value is not None and (name not in self._best or _better(name, value, self._best[name])):
                    self._best[name] = value
        named = dict(zip(self._space.names_of_axes, values, strict=True))
        self._ready.append(Point(named, outcome, is_new))

    def _chunk_size(self) -> int:
        """Return how many points take about ``CHUNK_SECONDS``, and leave some for the other workers at the end."""
        seconds = max(CHUNK_SECONDS, self._workers.count / MAX_CHUNKS_PER_SECOND)
        known = statistics.median(self._seconds_per_point) if self._seconds_per_point else CHUNK_SECONDS
        left = len(self._pending) + (0 if self._sampler.learns else self._sampler.total - self._asked)
        fair = -(-left // (4 * self._workers.count))
        return max(1, min(MAX_CHUNK, int(seconds / max(known, 1e-6)), fair))

    def _progress(self) -> Progress:
        elapsed = time.monotonic() - self._start
        rate = self._new / elapsed if elapsed > 0 else 0.0
        left = self._sampler.total - self._done
        return Progress(
            done=self._done,
            total=self._sampler.total,
            new=self._new,
            points_per_second=rate,
            remaining_seconds=left / rate if rate else None,
            best=dict(self._best),
        )


def _better(metric: str, value: float, than: float) -> bool:
    return value > than if METRICS[metric].maximise else value < than
