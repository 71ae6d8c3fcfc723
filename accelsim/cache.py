"""Solved layers on disk, so that the same question is never searched twice.

One SQLite file in a folder of the user's (``ACCELSIM_CACHE_DIR`` moves it, ``ACCELSIM_NO_CACHE=1`` turns it off),
safe for many processes. A key is the hash of everything that the answer depends on, the code that computes it included;
a cache that cannot be read or written is a cache that is not there, never an error.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
from contextlib import closing, suppress
from functools import cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import msgspec
import numpy as np

_FILE = "mappings.sqlite"
_CODE = ("lowering.py", "mapping/kernels.py", "mapping/arrays.py", "cache.py")
"""Files whose change makes every earlier answer void."""


_memory: dict[bytes, Any] = {}
_memory_limit = 0
_memory_lock = Lock()


class CacheStatus(NamedTuple):
    """What ``accelsim cache`` prints."""

    path: Path
    entries: int
    size_bytes: int


def cache_folder() -> Path:
    """Return the folder of the cache: ``ACCELSIM_CACHE_DIR``, or the user's cache folder on this platform."""
    chosen = os.environ.get("ACCELSIM_CACHE_DIR")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "accelsim" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "accelsim"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "accelsim"


def enabled() -> bool:
    """Return whether the cache is in use."""
    return os.environ.get("ACCELSIM_NO_CACHE", "") in ("", "0")


def key_of(*parts: Any, code: tuple[str, ...] = _CODE) -> bytes:
    """Return the key of a question: the hash of its parts (numbers, texts, arrays, nested tuples) and of the code.

    Args:
        parts: What is asked.
        code: Files of the package that compute the answer; ``*`` stands for anything in a name.
    """
    digest = hashlib.sha256(_code_hash(code))
    for part in parts:
        _feed(digest, part)
    return digest.digest()


def keep_in_memory(entries: int) -> None:
    """Keep the newest answers in this process too, for a search that asks the same many times; 0 forgets them."""
    global _memory_limit  # noqa: PLW0603 - one table a process, as there is one file a user
    _memory_limit = entries
    _remember({})


def _remember(answers: dict[bytes, Any]) -> None:
    with _memory_lock:
        if _memory_limit:
            _memory.update(answers)
        for key in list(islice(_memory, max(0, len(_memory) - _memory_limit))):
            del _memory[key]


def read(keys: list[bytes]) -> dict[bytes, Any]:
    """Return the stored answers of those keys that have one."""
    with _memory_lock:
        known = {key: _memory[key] for key in keys if key in _memory}
    if len(known) == len(keys):
        return known
    found = _read_file([key for key in keys if key not in known])
    _remember(found)
    return known | found


def _read_file(keys: list[bytes]) -> dict[bytes, Any]:
    found: dict[bytes, Any] = {}
    if not enabled() or not (cache_folder() / _FILE).exists():
        return found
    with suppress(sqlite3.Error, OSError, msgspec.DecodeError), closing(_connect()) as database:
        for key in keys:
            row = database.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
            if row is not None:
                found[key] = msgspec.msgpack.decode(row[0])
    return found


def write(answers: dict[bytes, Any]) -> None:
    """Store answers (plain data that msgpack can hold), all or none."""
    _remember(answers)
    if not enabled() or not answers:
        return
    with suppress(sqlite3.Error, OSError), closing(_connect()) as database, database:
        database.executemany(
            "INSERT OR IGNORE INTO answers VALUES (?, ?)",
            [(key, msgspec.msgpack.encode(answer)) for key, answer in answers.items()],
        )


def status() -> CacheStatus:
    """Return where the cache is, how many answers it holds and how large it is."""
    path = cache_folder() / _FILE
    entries, size = 0, 0
    if path.exists():
        with suppress(sqlite3.Error, OSError), closing(_connect()) as database:
            entries = int(database.execute("SELECT count(*) FROM answers").fetchone()[0])
            size = path.stat().st_size
    return CacheStatus(path, entries, size)


def clear() -> None:
    """Forget everything; other processes that use the cache go on."""
    if not (cache_folder() / _FILE).exists():
        return
    try:
        with closing(_connect()) as database:
            with database:
                database.execute("DELETE FROM answers")
            database.execute("VACUUM")
    except sqlite3.DatabaseError:
        # Not a database any more: nothing in it can be kept.
        for path in cache_folder().glob(f"{_FILE}*"):
            path.unlink(missing_ok=True)


def _connect() -> sqlite3.Connection:
    cache_folder().mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(cache_folder() / _FILE, timeout=5)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer BLOB) WITHOUT ROWID")
    except sqlite3.Error:
        database.close()
        raise
    return database


@cache
def _code_hash(code: tuple[str, ...]) -> bytes:
    package = Path(__file__).parent
    files = [path for name in code for path in sorted(package.glob(name)) if path.is_file()]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).digest()


def _feed(digest: Any, part: Any) -> None:
    """Add a part to a hash, with its kind and length, so that no two different questions read alike."""
    if isinstance(part, np.ndarray):
        digest.update(f"a{part.dtype.str}{part.shape}".encode())  # str(dtype) takes ten times as long
        digest.update(np.ascontiguousarray(part).tobytes())
    elif isinstance(part, tuple | list):
        digest.update(f"t{len(part)}".encode())
        for item in part:
            _feed(digest, item)
    else:
        text = repr(part).encode()
        digest.update(f"s{len(text)}".encode())
        digest.update(text)
