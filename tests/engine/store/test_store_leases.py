"""One computation per key, among real processes that live and die."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from treadle.store import Store, open_store
from treadle.store.leases import LEASE
from treadle.store.process import Process, alive, this_process

TAKE = """
import sys, time
from treadle.store import open_store
store = open_store(sys.argv[1])
sys.stdin.readline()
print(store.leases.acquire("k"), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def taker(tmp_path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", TAKE, str(tmp_path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_of_eight_processes_one_gets_it_and_a_dead_holder_is_replaced(store: Store, tmp_path: Path) -> None:
    takers = [taker(tmp_path) for _ in range(8)]
    try:
        for process in takers:
            go(process)
        answers = [answer(process) for process in takers]
        assert sorted(answers) == ["False"] * 7 + ["True"]
        winner = takers[answers.index("True")]
        assert store.leases.holder("k").pid == winner.pid  # type: ignore[union-attr]
        assert store.leases.busy("k")
        assert not store.leases.acquire("k")
        winner.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, winner.pid, os.WEXITED | os.WNOWAIT)  # a zombie now: dead, but its number is not free
        assert not store.leases.busy("k")
        assert store.leases.acquire("k")
        assert store.leases.holder("k") == this_process()
    finally:
        for process in takers:
            end(process)


def test_a_lease_is_given_back(store: Store, tmp_path: Path) -> None:
    other = open_store(tmp_path)  # another run in the same process
    assert store.leases.acquire("a")
    assert store.leases.acquire("a")
    assert store.leases.acquire("b")
    assert not store.leases.busy("a")
    assert other.leases.busy("a")
    assert not other.leases.acquire("a")
    other.leases.release(["a"])
    assert not other.leases.acquire("a")
    store.leases.release(["a"])
    assert other.leases.acquire("a")
    store.leases.release_all()
    assert other.leases.acquire("b")
    other.leases.release_all()
    assert store.database.rows("SELECT * FROM leases") == []


def pretend(store: Store, **fields: object) -> None:
    values = ", ".join(f"{name} = ?" for name in fields)
    store.database.write(lambda: store.database.change(f"UPDATE leases SET {values}", tuple(fields.values())))


def test_a_later_process_with_the_same_number_is_another(store: Store, tmp_path: Path) -> None:
    store.leases.acquire("k")
    pretend(store, began="1", token="x")
    assert store.leases.holder("k") is None
    assert open_store(tmp_path).leases.acquire("k")


def test_a_holder_from_before_a_restart_is_dead(store: Store, tmp_path: Path) -> None:
    store.leases.acquire("k")
    pretend(store, boot="another", token="x")
    assert open_store(tmp_path).leases.acquire("k")


def test_a_holder_out_of_sight_is_believed_for_a_while(store: Store, tmp_path: Path) -> None:
    now = time.time()
    store.leases.acquire("k", now)
    pretend(store, host="elsewhere")
    other = open_store(tmp_path).leases
    assert not other.acquire("k", now + LEASE - 1)
    store.leases.renew(now + LEASE - 1)
    assert not other.acquire("k", now + 2 * LEASE - 2)
    assert other.acquire("k", now + 2 * LEASE)
    assert not store.leases.acquire("k", now + 2 * LEASE)


def test_renewing_is_cheap(store: Store) -> None:
    store.leases.acquire("k", 1000.0)
    store.leases.renew(1000.0)
    pretend(store, until=0.0)
    store.leases.renew(1001.0)
    assert store.database.rows("SELECT until FROM leases") == [(0.0,)]
    store.leases.renew(1000.0 + LEASE / 4)
    assert store.database.rows("SELECT until FROM leases") == [(1000.0 + LEASE / 4 + LEASE,)]


def test_stale_leases_are_swept(store: Store) -> None:
    store.leases.acquire("a")
    pretend(store, began="1")
    store.leases.acquire("b")
    assert store.leases.drop_stale(time.time()) == {"b"}
    assert store.database.rows("SELECT key FROM leases") == [("b",)]


def test_who_lives() -> None:
    me = this_process()
    assert alive(me) is True
    assert alive(Process("elsewhere", me.boot, me.pid, me.began)) is None
    assert alive(Process(me.host, me.boot, 2**22 + 1, "1")) is False
