"""What is known of a search's points, kept so that nothing is lost or done twice.

Several processes may search in one store. A writer *claims* points before it evaluates them, and shows that it lives by
a heartbeat; the claims of a writer that is dead are free again. A result is written once and never changed.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from accelsim.errors import InputError
from accelsim.explore.database import Database, connect
from accelsim.explore.evaluate import Outcome
from accelsim.explore.space import Space

LEASE_SECONDS = 60.0
"""Without a heartbeat for so long, a writer counts as dead."""

HEARTBEAT_SECONDS = 5.0
"""How often a writer shows that it lives."""

AT_ONCE = 400
"""Points that one statement asks for; SQLite allows some thousand values."""

_TABLES = (
    "CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS writers (id TEXT PRIMARY KEY, host TEXT, pid BIGINT, heartbeat DOUBLE PRECISION)",
    "CREATE TABLE IF NOT EXISTS points (point TEXT PRIMARY KEY, status TEXT NOT NULL, writer TEXT, outcome TEXT, "
    "finished DOUBLE PRECISION)",
)


class Claim(NamedTuple):
    """What became of points that a writer wanted.

    Attributes:
        mine: To be evaluated by this writer.
        finished: Finished already, with their outcomes.
        elsewhere: In another writer's hands.
    """

    mine: list[str]
    finished: dict[str, Outcome]
    elsewhere: list[str]


class Status(NamedTuple):
    """What a store holds.

    Attributes:
        counts: Points by status: done, infeasible, failed, claimed.
        writers: Writers that live.
        seconds: Processor time of all finished points.
        first: Time of the first result, in seconds since 1970; None if there is none.
        last: Time of the last result.
    """

    counts: dict[str, int]
    writers: int
    seconds: float
    first: float | None
    last: float | None


def point_key(values: Sequence[Any]) -> str:
    """Return the text that a point goes by: its values as JSON, in the axes' order."""
    return json.dumps(list(values), separators=(",", ":"), sort_keys=True)


class Store:
    """The points of one search; see the module's description.

    Args:
        where: Path of an SQLite file, a ``postgresql://`` URL, or ``:memory:``.
        space: The search.
        read_only: Look only; the store has to be there.

    Raises:
        InputError: It cannot be opened, or belongs to another search.
    """

    def __init__(self, where: str, space: Space, *, read_only: bool = False) -> None:
        self.where = where
        self.writer = uuid.uuid4().hex
        self._space = space
        self._database: Database = connect(where, read_only=read_only)
        self._last_heartbeat = 0.0
        try:
            self._open(read_only)
        except BaseException:
            self._database.close()
            raise

    def finished(self, keys: Sequence[str]) -> dict[str, Outcome]:
        """Return the outcomes of those points that have one."""
        found: dict[str, Outcome] = {}
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            marks = ",".join("?" * len(part))
            rows = self._database.query(
                f"SELECT point, outcome FROM points WHERE status IN ('done', 'infeasible') AND point IN ({marks})", part
            )
            found |= {key: _decoded(outcome) for key, outcome in rows}
        return found

    def claim(self, keys: Sequence[str]) -> Claim:
        """Claim points for this writer, at most ``AT_ONCE``."""
        living = "(SELECT id FROM writers WHERE heartbeat > ?)"
        rows = ",".join(["(?, 'claimed', ?)"] * len(keys))
        values = [value for key in sorted(keys) for value in (key, self.writer)]  # one order for all: no deadlock
        with self._database.transaction():
            claimed = self._database.query(
                f"INSERT INTO points (point, status, writer) VALUES {rows} ON CONFLICT (point) DO UPDATE "
                "SET status = 'claimed', writer = excluded.writer WHERE points.status = 'failed' OR "
                f"(points.status = 'claimed' AND points.writer NOT IN {living}) RETURNING point",
                [*values, time.time() - LEASE_SECONDS],
            )
        mine = {key for (key,) in claimed}
        others = [key for key in keys if key not in mine]
        finished = self.finished(others)
        return Claim([key for key in keys if key in mine], finished, [key for key in others if key not in finished])

    def finish(self, outcomes: dict[str, Outcome]) -> None:
        """Write the outcomes of points that this writer had claimed; what is there already stays."""
        now = time.time()
        with self._database.transaction():
            for key, outcome in sorted(outcomes.items()):
                self._database.query(
                    "INSERT INTO points (point, status, writer, outcome, finished) VALUES (?, ?, ?, ?, ?) "
                    "ON CONFLICT (point) DO UPDATE SET status = excluded.status, writer = excluded.writer, "
                    "outcome = excluded.outcome, finished = excluded.finished "
                    "WHERE points.status IN ('claimed', 'failed')",
                    (key, outcome.status, self.writer, _encoded(outcome), now),
                )

    def release(self) -> None:
        """Give up all claims of this writer and sign off."""
        with self._database.transaction():
            self._database.query("DELETE FROM points WHERE status = 'claimed' AND writer = ?", (self.writer,))
            self._database.query("DELETE FROM writers WHERE id = ?", (self.writer,))

    def heartbeat(self) -> None:
        """Show that this writer lives; cheap if it has just done so."""
        now = time.time()
        if now - self._last_heartbeat < HEARTBEAT_SECONDS:
            return
        self._last_heartbeat = now
        self._database.query(
            "INSERT INTO writers (id, host, pid, heartbeat) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET heartbeat = excluded.heartbeat",
            (self.writer, _host(), os.getpid(), now),
        )

    def sign_on(self) -> None:
        """Become a writer; forget those of this machine that are dead."""
        self._last_heartbeat = 0.0
        with self._database.transaction():
            for writer, pid in self._database.query("SELECT id, pid FROM writers WHERE host = ?", (_host(),)):
                if not _alive(pid):
                    self._database.query("DELETE FROM writers WHERE id = ?", (writer,))
            self.heartbeat()

    def rows(self) -> Iterator[tuple[list[Any], Outcome]]:
        """Yield every finished point, its values in the axes' order."""
        for key, outcome in self._database.query("SELECT point, outcome FROM points WHERE outcome IS NOT NULL"):
            yield json.loads(key), _decoded(outcome)

    def status(self) -> Status:
        """Return what the store holds."""
        grouped = self._database.query("SELECT status, COUNT(*) FROM points GROUP BY status ORDER BY status")
        first, last = self._database.query("SELECT MIN(finished), MAX(finished) FROM points")[0]
        living = self._database.query(
            "SELECT COUNT(*) FROM writers WHERE heartbeat > ?", (time.time() - LEASE_SECONDS,)
        )
        seconds = sum(outcome.seconds for _, outcome in self.rows())
        return Status({str(name): int(count) for name, count in grouped}, living[0][0], seconds, first, last)

    def close(self) -> None:
        """End the connection."""
        self._database.close()

    def _open(self, read_only: bool) -> None:
        identity = json.dumps(self._space.identity, sort_keys=True)
        if not read_only:
            with self._database.transaction():
                self._database.lock()
                for statement in _TABLES:
                    self._database.query(statement)
                self._database.query(
                    "INSERT INTO about (name, value) VALUES ('search', ?) ON CONFLICT (name) DO NOTHING", (identity,)
                )
        rows = self._database.query("SELECT value FROM about WHERE name = 'search'")
        if not rows:
            raise InputError(f"store {self.where}: is not the store of a search")
        there, here = json.loads(rows[0][0]), json.loads(identity)
        differs = [name for name in here if there.get(name) != here[name]]
        if differs:
            raise InputError(
                f"store {self.where}: belongs to another search, which differs in {', '.join(differs)}: "
                "give another one with --store"
            )


def _encoded(outcome: Outcome) -> str:
    return msgspec.json.encode(outcome).decode()


def _decoded(text: str) -> Outcome:
    return msgspec.json.decode(text, type=Outcome)


def _host() -> str:
    """Return a name for this machine and its numbering of processes; containers may share the one and not the other."""
    try:
        return f"{socket.gethostname()}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return socket.gethostname()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
