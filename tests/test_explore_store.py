"""The store: claims, results that are written once, writers that die, disks that are full, two kinds of database."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from explore_spaces import array_space

from accelsim.errors import InputError
from accelsim.explore import store as store_module
from accelsim.explore.evaluate import Outcome
from accelsim.explore.space import load_space
from accelsim.explore.store import Store, point_key

KEYS = [point_key([rows, 8]) for rows in range(4, 8)]
DONE = Outcome(status="done", metrics={"cycles": 7, "energy": 1.5, "top1_percent": None}, seconds=0.25)

POSTGRES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), Path("/none"))
NO_POSTGRES = "Debian's package postgresql and psycopg are not installed"


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory):
    """Start a PostgreSQL server of Debian's package on a socket of its own; return the URL of a database."""
    pytest.importorskip("psycopg", reason=NO_POSTGRES)
    if not (POSTGRES / "initdb").exists():
        pytest.skip(NO_POSTGRES)
    folder = Path("/tmp") / f"accelsim-pg-{os.getpid()}"  # a socket's path may have 107 characters
    folder.mkdir()
    server_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if server_user:
        shutil.chown(folder, "postgres")

    def run(*command):
        subprocess.run([*server_user, *command], check=True, capture_output=True, cwd="/tmp", timeout=120)

    try:
        run(POSTGRES / "initdb", "-D", folder / "data", "-A", "trust", "-U", "accelsim")
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        run(POSTGRES / "pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "-o", options, "start")
        try:
            yield f"postgresql://accelsim@/postgres?host={folder}"
        finally:
            run(POSTGRES / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgres"])
def where(request, tmp_path):
    """An empty store of either kind."""
    if request.param == "sqlite":
        yield str(tmp_path / "points.sqlite")
        return
    url = request.getfixturevalue("postgres_url")
    import psycopg

    name = f"t{time.monotonic_ns()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield url.replace("/postgres?", f"/{name}?")


@pytest.fixture
def open_store(tmp_path, where):
    """Open the store as another writer each time."""
    space = load_space(array_space(tmp_path))
    stores = []

    def open_():
        store = Store(where, space)
        store.sign_on()
        stores.append(store)
        return store

    yield open_
    for store in stores:
        store.close()


def test_does_a_point_belong_to_one_writer(open_store):
    """What one has claimed the other cannot; what one has finished the other gets."""
    first, second = open_store(), open_store()
    assert first.claim(KEYS[:2]).mine == KEYS[:2]
    claim = second.claim(KEYS)
    assert (claim.mine, claim.elsewhere, claim.finished) == (KEYS[2:], KEYS[:2], {})
    first.finish({KEYS[0]: DONE})
    assert second.claim(KEYS[:2]).finished == {KEYS[0]: DONE}
    assert second.finished(KEYS) == {KEYS[0]: DONE}


def test_is_a_result_written_once(open_store):
    """A second result of a point, by a writer that was thought dead, changes nothing."""
    first, second = open_store(), open_store()
    first.claim(KEYS[:1])
    first.finish({KEYS[0]: DONE})
    second.finish({KEYS[0]: Outcome(status="done", metrics={"cycles": 99})})
    assert second.finished(KEYS) == {KEYS[0]: DONE}
    assert len(list(first.rows())) == 1


def test_are_the_claims_of_a_writer_free_when_it_goes(open_store):
    """After signing off, its unfinished points are anybody's, its finished ones stay."""
    first, second = open_store(), open_store()
    first.claim(KEYS)
    first.finish({KEYS[0]: DONE})
    first.release()
    assert second.claim(KEYS).mine == KEYS[1:]


def test_are_the_claims_of_a_silent_writer_free(open_store, monkeypatch):
    """A writer without a heartbeat for the lease is dead; one with a heartbeat is not."""
    first, second = open_store(), open_store()
    first.claim(KEYS[:1])
    now = time.time()
    monkeypatch.setattr(store_module.time, "time", lambda: now + store_module.LEASE_SECONDS - 1)
    assert second.claim(KEYS[:1]).mine == []
    monkeypatch.setattr(store_module.time, "time", lambda: now + store_module.LEASE_SECONDS + 1)
    assert second.claim(KEYS[:1]).mine == KEYS[:1]


def test_are_the_claims_of_a_killed_process_free_at_once(tmp_path, where, open_store):
    """A new writer on the same machine sees that the process is gone, without waiting for the lease."""
    code = (
        "import os, signal, sys\n"
        "from accelsim.explore.space import load_space\n"
        "from accelsim.explore.store import Store\n"
        "from explore_spaces import array_space\n"
        "from pathlib import Path\n"
        f"store = Store({where!r}, load_space(array_space(Path({str(tmp_path)!r}))))\n"
        f"store.sign_on(); store.claim({KEYS!r}); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    killed = subprocess.run([sys.executable, "-c", code], check=False, env=os.environ | {"PYTHONPATH": paths})
    assert killed.returncode < 0
    assert open_store().claim(KEYS).mine == KEYS


def test_does_an_interrupted_transaction_leave_nothing(open_store):
    """What was written before the interruption is gone, and the store takes the next result."""
    store = open_store()
    store.claim(KEYS)

    def interrupted():
        with store._database.transaction():
            store._database.query("DELETE FROM points")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert store.status().counts == {"claimed": 4}
    store.finish({KEYS[0]: DONE})
    assert store.status().counts == {"claimed": 3, "done": 1}


def test_is_a_failed_point_tried_again(open_store):
    """A failure is kept for the report, and free to be claimed."""
    first = open_store()
    first.claim(KEYS[:1])
    first.finish({KEYS[0]: Outcome(status="failed", reason="ZeroDivisionError", excess=None)})
    assert first.finished(KEYS) == {}
    assert first.status().counts == {"failed": 1}
    assert open_store().claim(KEYS[:1]).mine == KEYS[:1]


def test_does_an_outcome_come_back_as_it_was(open_store):
    """Whole numbers stay whole, what is not known stays unknown."""
    store = open_store()
    outcome = Outcome(status="infeasible", metrics={"pes": 64, "area_mm2": 0.1}, reason="area_mm2 is 9", excess=None)
    store.claim(KEYS[:1])
    store.finish({KEYS[0]: outcome})
    assert store.finished(KEYS)[KEYS[0]] == outcome
    assert type(store.finished(KEYS)[KEYS[0]].metrics["pes"]) is int


def test_do_several_processes_share_out_all_points(tmp_path, where):
    """Four processes that claim everything at once get every point exactly once."""
    keys = [point_key([rows, 8]) for rows in range(300)]
    code = (
        "import sys\n"
        "from accelsim.explore.space import load_space\n"
        "from accelsim.explore.store import Store\n"
        "from accelsim.explore.evaluate import Outcome\n"
        "from explore_spaces import array_space\n"
        "from pathlib import Path\n"
        f"store = Store({where!r}, load_space(array_space(Path({str(tmp_path)!r}))))\n"
        "store.sign_on(); count = 0\n"
        f"keys = {keys!r}\n"
        "for start in range(0, len(keys), 7):\n"
        "    mine = store.claim(keys[start:start + 7]).mine\n"
        "    store.finish({key: Outcome(status='done') for key in mine}); count += len(mine)\n"
        "print(count)\n"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths}
        )
        for _ in range(4)
    ]
    counts = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert sum(counts) == len(keys)


def test_is_the_store_of_another_search_refused(tmp_path, where, open_store):
    """The message says in what they differ."""
    open_store()
    other = load_space(array_space(tmp_path, hardware="16x16_128KB", options={"batch": 2}))
    with pytest.raises(InputError, match="belongs to another search, which differs in hardware, options"):
        Store(where, other)


def test_is_a_full_disk_one_sentence_and_the_store_still_opens(tmp_path):
    """What was finished before the disk was full is there, and goes on when there is room."""
    space = load_space(array_space(tmp_path))
    where = str(tmp_path / "points.sqlite")
    store = Store(where, space)
    store.sign_on()
    store.claim(KEYS[:1])
    store.finish({KEYS[0]: DONE})
    pages = store._database.query("PRAGMA page_count")[0][0]
    store._database.query(f"PRAGMA max_page_count = {pages}")
    long = Outcome(status="done", reason="x" * 20_000)
    with pytest.raises(InputError, match=r"points\.sqlite: the disk is full; make room"):
        store.finish({KEYS[1]: long})
    store.close()
    again = Store(where, space)
    assert again.finished(KEYS) == {KEYS[0]: DONE}
    again.sign_on()
    again.finish({KEYS[1]: long})
    assert again.finished(KEYS)[KEYS[1]] == long
    again.close()


@pytest.mark.parametrize(
    ("content", "message"), [(b"not a database at all" * 100, "another kind of file"), (None, "cannot be opened")]
)
def test_is_what_is_no_store_refused(tmp_path, content, message):
    """Another file and a folder that is not there are one sentence each."""
    path = tmp_path / ("file.sqlite" if content else "no/folder.sqlite")
    if content:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        Store(str(path), load_space(array_space(tmp_path)))


def test_can_a_store_be_read_that_cannot_be_written(tmp_path):
    """Looking needs no right to write; searching says that there is none."""
    space = load_space(array_space(tmp_path))
    folder = tmp_path / "frozen"
    folder.mkdir()
    where = str(folder / "points.sqlite")
    store = Store(where, space)
    store.claim(KEYS[:1])
    store.finish({KEYS[0]: DONE})
    store.close()
    reader = Store(where, space, read_only=True)
    assert reader.status().counts == {"done": 1}
    with pytest.raises(InputError, match="is read-only; results cannot be written"):
        reader.finish({KEYS[1]: DONE})
    reader.close()


def test_is_a_wrong_server_one_sentence_without_the_password(tmp_path):
    """What is shown of a URL starts behind the password."""
    pytest.importorskip("psycopg", reason=NO_POSTGRES)
    with pytest.raises(InputError) as refused:
        Store("postgresql://me:secret@127.0.0.1:1/none", load_space(array_space(tmp_path)))
    assert "store 127.0.0.1:1/none: " in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)
