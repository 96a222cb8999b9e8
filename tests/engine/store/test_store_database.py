"""The database: made by many at once, damaged, read-only, full, replaced under a running process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from treadle.errors import StoreError
from treadle.store import Store, open_store
from treadle.store.database import Database
from treadle.store.schema import MIGRATIONS

CREATE = """
import sys
from treadle.store import open_store
from treadle.store.schema import MIGRATIONS
store = open_store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
store.memo.put("k", sys.argv[2], b"v")
store.memo.flush()
assert store.memo._usable
print(store.database.rows("PRAGMA user_version")[0][0], store.database.rows("PRAGMA journal_mode")[0][0])
"""


def damage(store: Store, offset: int = 0) -> None:
    store.database.close()
    with open(store.database.path, "r+b") as file:
        file.seek(offset)
        file.write(os.urandom(4096))


def put(store: Store, key: str) -> None:
    sql = "INSERT INTO memo (kind, key, made, value) VALUES ('t', ?, 0, x'00')"
    store.database.write(lambda: store.database.change(sql, (key,)))


def keys(store: Store) -> list[str]:
    return [key for (key,) in store.database.rows("SELECT key FROM memo WHERE kind = 't' ORDER BY key")]


def test_opening_makes_nothing_and_the_first_use_makes_all(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert not (tmp_path / ".treadle").exists()
    put(store, "a")
    assert (tmp_path / ".treadle" / ".gitignore").read_text() == "*\n"
    assert store.database.rows("PRAGMA journal_mode") == [("wal",)]
    assert store.database.rows("PRAGMA synchronous") == [(2,)]


def test_eight_processes_create_it_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CREATE, str(tmp_path)]
    pipe = subprocess.PIPE
    started = [subprocess.Popen([*command, str(n)], text=True, stdin=pipe, stdout=pipe, stderr=pipe) for n in range(8)]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [(process.communicate(timeout=60), process.returncode) for process in started]
    assert [(out.split(), err, code) for (out, err), code in ended] == [([str(len(MIGRATIONS)), "wal"], "", 0)] * 8
    assert len(open_store(tmp_path).database.rows("SELECT key FROM memo")) == 8


def test_an_exception_undoes_the_whole_transaction(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(ZeroDivisionError), store.database.transaction():
        put(store, "a")
        raise ZeroDivisionError
    assert keys(store) == []
    put(store, "b")
    assert keys(store) == ["b"]


def test_a_quick_write_leaves_the_next_one_durable(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with store.database.transaction(durable=False):
        assert store.database.rows("PRAGMA synchronous") == [(1,)]
    with store.database.transaction():
        assert store.database.rows("PRAGMA synchronous") == [(2,)]


@pytest.mark.parametrize("offset", [0, 100])
def test_a_damaged_file_is_set_aside_with_a_notice(tmp_path: Path, offset: int) -> None:
    store = open_store(tmp_path)
    put(store, "a")
    damage(store, offset)
    again = open_store(tmp_path)
    assert again.results.get("x" * 64) is None
    put(again, "b")
    assert keys(again) == ["b"]
    assert (tmp_path / ".treadle" / "state.db.damaged-1").exists()
    assert len(again.notices) == 1
    assert "state.db.damaged-1" in again.notices[0]


def test_a_file_damaged_under_an_open_connection_is_noticed_while_writing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for n in range(2000):
        store.memo.put("x", f"{n:05d}" * 20, bytes(100))
    store.memo.flush()
    store.database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = os.path.getsize(store.database.path) // 4096
    store.database.close()
    with open(store.database.path, "r+b") as file:
        file.seek(4096 * 10)
        file.write(b"\xff" * 4096 * (pages - 10))
    put(store, "b")
    store.memo.put("x", "new", b"")
    store.memo.flush()
    assert store.memo.get("x", "new") == b""
    store.database.rows("SELECT count(*), max(value) FROM memo")
    put(store, "c")
    assert len(store.notices) == 1


def test_a_second_damaged_file_gets_a_number_of_its_own(tmp_path: Path) -> None:
    for _ in range(2):
        store = open_store(tmp_path)
        put(store, "a")
        damage(store)
    put(open_store(tmp_path), "b")
    assert sorted(p.name for p in (tmp_path / ".treadle").glob("state.db.damaged-?")) == [
        "state.db.damaged-1",
        "state.db.damaged-2",
    ]


def test_a_store_deleted_under_a_running_process_is_made_again(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    put(store, "a")
    shutil.rmtree(tmp_path / ".treadle")
    put(store, "b")
    assert keys(open_store(tmp_path)) == ["b"]


def test_a_newer_schema_is_refused_in_words(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.database.rows("PRAGMA user_version=99")
    with pytest.raises(StoreError, match="newer treadle"):
        open_store(tmp_path).results.get("a")


def test_a_forked_child_gets_a_connection_of_its_own(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    put(store, "a")
    script = (
        "import os, sys\n"
        "from treadle.store import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "sql = \"INSERT INTO memo (kind, key, made, value) VALUES ('t', ?, 0, x'00')\"\n"
        "store.database.rows('SELECT 1')\n"
        "before = store.database._connection\n"
        "pid = os.fork()\n"
        "name = 'parent' if pid else 'child'\n"
        "for n in range(50): store.database.write(lambda: store.database.change(sql, (f'{name}{n}',)))\n"
        "same = store.database._connection is before\n"
        "if not pid: os._exit(7 if same else 0)\n"
        "assert same and os.waitpid(pid, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=60)
    assert len(keys(store)) == 101


def test_what_must_be_written_to_a_read_only_folder_is_refused_with_what_to_do(open_to_all: Path) -> None:
    script = (
        "import os, sys\n"
        "from treadle.errors import StoreError\n"
        "from treadle.store import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "store.memo.put('k', 'a', b''); store.memo.flush(); print(store.memo.get('k', 'a'))\n"
        "print(store.results.get('a'))\n"
        "for act in (lambda: store.tags.add('a', 'b'), lambda: store.objects.add_bytes(b'1', 'bytes'),\n"
        "            lambda: store.plans.put('a', b'')):\n"
        "    try: act()\n"
        "    except StoreError as error: print(error)\n"
    )
    open_to_all.chmod(0o555)
    command = [sys.executable, "-c", script, str(open_to_all)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[:2] == ["b''", "None"]  # what is only remembered to save time does not fail
    expected = "permission denied; make the project's folder writable for you, or work on a copy of it"
    assert lines[2] == f"{open_to_all}/.treadle cannot be written: {expected}"
    assert lines[3:] == [f"{open_to_all}/.treadle: {expected}"] * 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_is_said_and_harms_nothing(tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", tmp_path], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        store = open_store(tmp_path)
        small = store.objects.add_bytes(b"small", "bytes")
        put(store, "a")
        with pytest.raises(StoreError, match="the disk is full; free some space"):
            store.objects.add_bytes(os.urandom(3 << 20), "bytes")
        big = bytes(3 << 20)
        sql = "INSERT INTO memo (kind, key, made, value) VALUES ('t', 'big', 0, ?)"
        with pytest.raises(StoreError, match="the disk is full"):
            store.database.write(lambda: store.database.change(sql, (big,)))
        assert keys(store) == ["a"]
        assert store.objects.read(small) == b"small"
        assert os.listdir(tmp_path / ".treadle" / "tmp") == []
        put(store, "b")
        store.database.close()
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    put(store, "a")
    script = (
        "import sqlite3, sys, time\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('BEGIN IMMEDIATE'); print('locked', flush=True); time.sleep(0.5); c.execute('COMMIT')\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, store.database.path], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        put(store, "b")
    assert keys(store) == ["a", "b"]


def test_opening_a_current_database_is_quick(tmp_path: Path) -> None:
    put(open_store(tmp_path), "a")
    database = Database(str(tmp_path / ".treadle" / "state.db"))
    statements: list[str] = []
    database._connected().set_trace_callback(statements.append)
    database.rows("SELECT 1")
    assert statements == ["SELECT 1"]
