"""The two databases that a store can be in: an SQLite file, or PostgreSQL by URL. Both take the same statements."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from accelsim.errors import InputError, MissingExtraError

BUSY_SECONDS = 60
"""How long a writer waits for another one."""

POSTGRES = ("postgresql://", "postgres://")

_LOCK = 0x616363656C73696D
"""Number of the lock under which tables are made in PostgreSQL: the letters of accelsim."""

_READ_ONLY = "is read-only; results cannot be written"

Row = tuple[Any, ...]


class Database(Protocol):
    """A connection. Statements have ``?`` where a value goes; a failure is an ``InputError`` in one sentence."""

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run a statement and return its rows, if any."""

    def transaction(self) -> Any:
        """Return a context in which statements take effect together or not at all."""

    def lock(self) -> None:
        """Inside a transaction: keep other writers of this module's tables out until its end."""

    def close(self) -> None:
        """End the connection."""


def connect(where: str, *, read_only: bool = False) -> Database:
    """Open a database: a ``postgresql://`` URL, the path of an SQLite file, or ``:memory:``.

    Raises:
        InputError: It cannot be opened; says why.
        MissingExtraError: The URL needs a package that is not installed.
    """
    return Postgres(where) if where.startswith(POSTGRES) else Sqlite(where, read_only=read_only)


class Sqlite:
    """One file, in write-ahead mode: readers do not wait for writers, a killed writer leaves no half transaction."""

    def __init__(self, where: str, *, read_only: bool) -> None:
        self._where = where
        if read_only and not Path(where).exists():
            raise InputError(f"store {where}: no such file")
        if not read_only and not _writable(where):
            raise InputError(f"store {where}: {_READ_ONLY}")
        with self._explained():
            self._connection = sqlite3.connect(
                _read_only_uri(where) if read_only else where,
                uri=read_only,
                timeout=BUSY_SECONDS,
                isolation_level=None,  # transactions begin where this module says so
                check_same_thread=False,  # a generator may be read from another thread, one at a time
            )
            try:
                self._set_up(read_only)
            except BaseException:
                self._connection.close()
                raise

    def _set_up(self, read_only: bool) -> None:
        if read_only:
            return
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A commit survives a killed process; a power cut may lose the last ones, whose points are then redone.
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run a statement and return its rows, if any."""
        with self._explained():
            return self._connection.execute(statement, tuple(values)).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the write lock from the start, so that what is read is still true when it is written."""
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def lock(self) -> None:
        """Do nothing: a transaction has the whole file to itself."""

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise InputError(f"store {self._where}: {_sqlite_reason(error)}") from None


class Postgres:
    """A PostgreSQL server, for many writers on many machines."""

    def __init__(self, url: str) -> None:
        try:
            import psycopg  # noqa: PLC0415 - an extra
        except ImportError:
            raise MissingExtraError(
                "a PostgreSQL store needs psycopg, which is not installed: pip install 'accelsim[postgres]'"
            ) from None
        self._errors = psycopg.Error
        self._where = url.rpartition("@")[2]  # what comes before may be a password
        with self._explained():
            self._connection = psycopg.connect(url, autocommit=True, connect_timeout=10)

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run a statement and return its rows, if any."""
        with self._explained():
            cursor = self._connection.execute(statement.replace("?", "%s").encode(), tuple(values))
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Begin a transaction; writers of the same rows wait for each other."""
        with self._explained(), self._connection.transaction():
            yield

    def lock(self) -> None:
        """Hold a lock of accelsim's in this database until the transaction's end."""
        self.query("SELECT pg_advisory_xact_lock(?)", (_LOCK,))

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise InputError(f"store {self._where}: {' '.join(str(error).split())}") from None


def _read_only_uri(where: str) -> str:
    """Return the URI that opens a file to be read, also where nothing can be written.

    A file in write-ahead mode needs an index beside it. Where none can be made, and no log is left that would have
    to be read, the file is opened as one that cannot change.
    """
    path = Path(where).absolute()
    frozen = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    return f"{path.as_uri()}?mode=ro{'&immutable=1' if frozen else ''}"


def _writable(where: str) -> bool:
    """Return whether SQLite may write a file that is there, and the log and index beside it."""
    path = Path(where)
    return not path.exists() or (os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK))


def _sqlite_reason(error: sqlite3.Error) -> str:
    """Return why SQLite refused, for people."""
    reasons = {
        sqlite3.SQLITE_FULL: "the disk is full; make room and run the same command again",
        sqlite3.SQLITE_READONLY: _READ_ONLY,
        sqlite3.SQLITE_CANTOPEN: "cannot be opened; is the folder there, and may it be written?",
        sqlite3.SQLITE_NOTADB: "is not a store: another kind of file is in the way",
        sqlite3.SQLITE_CORRUPT: "is damaged",
        sqlite3.SQLITE_BUSY: f"another process has held it for {BUSY_SECONDS} s",
        sqlite3.SQLITE_IOERR: "the disk does not take what is written; is it full?",
    }
    code = getattr(error, "sqlite_errorcode", None)
    return str(error) if code is None else reasons.get(code & 0xFF, str(error))
