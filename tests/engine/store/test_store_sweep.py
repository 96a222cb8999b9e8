"""What may go goes, what is needed stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from treadle.domain.artifact import Artifact
from treadle.domain.run import OK, RUNNING, RunRecord, StepRecord
from treadle.store import Result, Store, add_list, open_store
from treadle.store.sweep import GRACE, Share, plan, sweep, verify_all

LATER = GRACE + 10


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def ran(
    store: Store, run_id: str, key: str, outputs: dict[str, Artifact], pipeline: str = "p", end: bool = True
) -> None:
    now = time.time()
    run = RunRecord(run_id=run_id, pipeline=pipeline, path="", plan="", status=RUNNING, started=now)
    store.history.start(run)
    store.results.put([Result(key=key, outputs=outputs, pipeline=pipeline, step=f"step {key}", created=now)])
    store.history.add_steps(run_id, [StepRecord(id="s", fate="run", key=key, outputs=outputs)])
    if end:
        store.history.finish(run_id, OK, now)


def add(store: Store, data: bytes) -> Artifact:
    return store.objects.add_bytes(data, "bytes")


def test_only_what_nobody_needs_any_more_goes(store: Store, tmp_path: Path) -> None:
    old, shared, new, loose = (add(store, data) for data in (b"old", b"shared", b"new", b"loose!"))
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a").write_bytes(b"member")
    folder = store.objects.add_folder(tmp_path / "f")
    ran(store, "r1", "k1", {"a": old, "b": shared})
    ran(store, "r2", "k2", {"a": new, "b": shared, "c": add_list(store.objects, [folder])})
    ran(store, "other", "k3", {"a": add(store, b"other pipeline")}, "q")
    waste = plan(store, 1, now=time.time() + LATER)
    assert set(waste.objects) == {old.digest, loose.digest}
    assert (waste.results, waste.count, waste.size) == (("k1",), 2, 9)
    assert waste.steps == {"": Share(1, 6), "step k1": Share(1, 3)}
    assert sweep(store, waste) == 9
    assert store.results.get("k1") is None
    assert store.results.get("k2") is not None
    assert all(store.objects.has(a) for a in store.results.get("k2").outputs.values())  # type: ignore[union-attr]
    assert not store.objects.has(old)
    assert plan(store, 1, now=time.time() + LATER).count == 0


def test_roots_are_kept_by_key_or_digest(store: Store) -> None:
    first, second = add(store, b"first"), add(store, b"second")
    ran(store, "r1", "k1", {"a": first})
    assert plan(store, 0, {"k1", second.digest}, time.time() + LATER).count == 0
    assert plan(store, 0, set(), time.time() + LATER).count == 2


def test_what_is_young_or_was_used_again_stays(store: Store) -> None:
    made = add(store, b"1")
    assert plan(store, 0).count == 0
    past = time.time() - 2 * GRACE
    os.utime(store.objects.path(made.digest), (past, past))
    waste = plan(store, 0)
    assert waste.objects == (made.digest,)
    add(store, b"1")  # a step makes the same bytes between the plan and the sweep
    assert sweep(store, waste) == 0
    assert store.objects.has(made)


def test_a_run_that_is_going_on_keeps_what_it_may_use(store: Store) -> None:
    made = add(store, b"1")
    ran(store, "r1", "k1", {"a": made})
    ran(store, "r2", "k2", {"a": add(store, b"2")}, end=False)
    assert plan(store, 0, now=time.time() + LATER).count == 0
    store.history.finish("r2", OK, time.time())
    assert plan(store, 0, now=time.time() + LATER).count == 2


def test_what_the_dead_left_is_cleaned_up(store: Store, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from treadle.store import open_store\n"
        "store = open_store(sys.argv[1]); store.leases.acquire('k')\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)\n"
        "store.objects.add_bytes(b'1', 'bytes')\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    tmp = tmp_path / ".treadle" / "tmp"
    (tmp / "oldrun-step-1").mkdir()
    (tmp / "oldrun-step-1" / "x").write_text("")
    mine = tmp / f"{os.getpid()}-abc-0.part"
    mine.write_text("")
    assert len(os.listdir(tmp)) == 3
    sweep(store, plan(store, 0))
    assert len(os.listdir(tmp)) == 3  # all of it is young
    sweep(store, plan(store, 0), now=time.time() + LATER)
    assert list(tmp.iterdir()) == [mine]
    assert store.database.rows("SELECT * FROM leases") == []


def test_verifying_finds_damage_and_forgets_what_needs_it(store: Store, tmp_path: Path) -> None:
    good, bad, gone = add(store, b"good"), add(store, b"bad"), add(store, b"gone")
    ran(store, "r1", "k1", {"a": good})
    ran(store, "r2", "k2", {"a": good, "b": bad})
    ran(store, "r3", "k3", {"a": gone})
    path = Path(store.objects.path(bad.digest))
    path.chmod(0o644)
    path.write_bytes(b"BAD")
    os.unlink(store.objects.path(gone.digest))
    report = verify_all(store)
    assert (report.count, report.size, report.damaged) == (2, 7, (bad.digest,))
    assert report.forgotten == (("p", "step k2"), ("p", "step k3"))
    assert store.results.get("k1") is not None
    assert store.results.get("k2") is None
    assert (tmp_path / ".treadle" / "damaged" / bad.digest).exists()
    assert verify_all(store).damaged == ()


def test_an_empty_store_has_nothing_to_sweep(store: Store) -> None:
    assert sweep(store, plan(store, 5)) == 0
    assert verify_all(store).count == 0
