"""Results, memo, plans and the history of runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from treadle.domain.artifact import Artifact
from treadle.domain.run import INTERRUPTED, OK, RUNNING, GateVerdict, RunRecord, StepRecord
from treadle.domain.task import Failure, Usage
from treadle.errors import InputError
from treadle.store import Result, Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def a_result(store: Store, key: str = "k", value: bytes = b"1", **fields: object) -> Result:
    outputs = {"out": store.objects.add_bytes(value, "bytes")}
    given = {"pipeline": "p", "step": "s", "run_id": "r", "created": 100.0, "seconds": 2.0, **fields}
    return Result(key=key, outputs=outputs, parts={"code f:g": "abc"}, metrics={"mae": 0.5}, **given)  # type: ignore[arg-type]


def a_run(run_id: str = "r1", pipeline: str = "p", started: float = 1.0) -> RunRecord:
    return RunRecord(
        run_id=run_id, pipeline=pipeline, path="p.yaml", plan="d", status=RUNNING, started=started, params={"a": [1]}
    )


def test_a_result_comes_back_whole(store: Store, tmp_path: Path) -> None:
    made = a_result(store, usage=Usage(cpu_seconds=1.5, peak_memory=7))
    store.results.put([made])
    again = open_store(tmp_path).results
    assert again.get("k") == made
    assert again.get("other") is None
    assert again.get_many(["k", "other"]) == {"k": made}
    again.preload("p")
    assert again.get("k") == made
    again.forget("k")
    assert again.get("k") is None


def test_many_keys_at_once(store: Store) -> None:
    made = [a_result(store, f"k{n}", step=f"s{n}") for n in range(1100)]
    store.results.put(made)
    assert store.results.get_many([f"k{n}" for n in range(1200)]) == {result.key: result for result in made}


def test_of_two_made_at_the_same_time_the_first_stays(store: Store) -> None:
    first = a_result(store, value=b"first", created=100.0, seconds=5.0)
    second = a_result(store, value=b"second", created=101.0, seconds=5.0)
    store.results.put([first])
    store.results.put([second])
    assert store.results.get("k") == first
    store.results.put([second], replace=True)
    assert store.results.get("k") == second


def test_one_that_was_started_later_replaces_it(store: Store) -> None:
    store.results.put([a_result(store, value=b"old", created=100.0)])
    newer = a_result(store, value=b"new", created=200.0, seconds=5.0)
    store.results.put([newer])
    assert store.results.get("k") == newer


def test_one_whose_objects_are_lost_is_replaced(store: Store) -> None:
    first = a_result(store, value=b"first")
    store.results.put([first])
    os.unlink(store.objects.path(first.outputs["out"].digest))
    second = a_result(store, value=b"second")
    store.results.put([second])
    assert store.results.get("k") == second


def test_the_newest_results_and_durations_of_a_step(store: Store) -> None:
    made = [a_result(store, f"k{n}", created=float(n), seconds=n + 0.5) for n in range(3)]
    store.results.put(made)
    store.results.put([a_result(store, "x", step="t", seconds=9.0), a_result(store, "y", pipeline="q")])
    assert store.results.latest("p", "s", 2) == [made[2], made[1]]
    assert store.results.latest("p", "none") == []
    assert store.results.durations("p") == {"s": 2.5, "t": 9.0}


def test_a_result_of_another_version_is_a_miss(store: Store) -> None:
    store.results.put([a_result(store)])
    store.database.write(lambda: store.database.change("UPDATE results SET data = x'93010203'"))
    assert store.results.get("k") is None
    assert store.results.latest("p", "s") == []


def test_memos_are_kept_by_flush(store: Store, tmp_path: Path) -> None:
    store.memo.put("code", "a", b"1")
    assert store.memo.get("code", "a") == b"1"
    assert open_store(tmp_path).memo.get("code", "a") is None
    store.memo.flush()
    assert open_store(tmp_path).memo.get("code", "a") == b"1"
    assert open_store(tmp_path).memo.get("other", "a") is None


@pytest.mark.parametrize("harm", [b"", b"torn", None])
def test_a_plan_is_whole_or_none(store: Store, harm: bytes | None) -> None:
    assert store.plans.get("d") is None
    store.plans.put("d", b"compiled")
    assert store.plans.get("d") == b"compiled"
    path = Path(store.plans.folder) / "d"
    content = path.read_bytes()
    path.write_bytes(content[:-1] if harm is None else harm)
    assert store.plans.get("d") is None
    store.plans.put("d", b"again")
    assert store.plans.get("d") == b"again"


def test_a_run_comes_back_whole(store: Store, tmp_path: Path) -> None:
    step = StepRecord(
        id="s",
        fate="failed",
        outputs={"out": Artifact("d" * 64, "json", 1)},
        gates=(GateVerdict("a < 1", True, {"a": 0.5}),),
        failure=Failure("exit", "no", code=3),
        started=2.0,
        finished=3.0,
    )
    store.history.start(a_run())
    store.history.add_steps("r1", [StepRecord(id="s", fate="run"), StepRecord(id="t", fate="hit")])
    store.history.add_steps("r1", [step])
    assert store.history.get("r1").status == RUNNING  # type: ignore[union-attr]
    store.history.finish("r1", "failed", 9.0)
    run = open_store(tmp_path).history.get("last")
    assert run is not None
    assert run.steps == {"s": step, "t": StepRecord(id="t", fate="hit")}
    assert (run.status, run.finished, run.params, run.started) == ("failed", 9.0, {"a": [1]}, 1.0)
    summary = store.history.summaries()[0]
    assert (summary.fates, summary.run.steps) == ({"failed": 1, "hit": 1}, {})


def test_runs_are_found_by_the_beginning_of_their_id(store: Store) -> None:
    for run_id in ("20260101-aa", "20260101-ab", "20260101-a", "2%"):
        store.history.start(a_run(run_id))
    assert store.history.get("20260101-aa").run_id == "20260101-aa"  # type: ignore[union-attr]
    assert store.history.get("20260101-a").run_id == "20260101-a"  # type: ignore[union-attr]
    assert store.history.get("2%").run_id == "2%"  # type: ignore[union-attr]
    assert store.history.get("last").run_id == "2%"  # type: ignore[union-attr]
    assert store.history.get("x") is None
    assert store.history.get("") is None
    with pytest.raises(InputError, match="more than one run begins with '2026'"):
        store.history.get("2026")


def test_runs_are_listed_newest_first_by_pipeline(store: Store) -> None:
    for n in range(4):
        store.history.start(a_run(f"r{n}", "odd" if n % 2 else "even"))
        store.history.add_steps(f"r{n}", [StepRecord(id="s", fate="run", log=f"log{n}")])
    assert [run.run_id for run in store.history.list(3)] == ["r3", "r2", "r1"]
    assert [run.run_id for run in store.history.list(3, "odd")] == ["r3", "r1"]
    assert [list(run.steps) for run in store.history.list(1)] == [["s"]]
    assert [step.log for step in store.history.of_step("s")] == ["log3", "log2", "log1", "log0"]
    assert list(store.history.of_step("none")) == []


def test_a_run_with_nothing_to_do_costs_no_space(store: Store) -> None:
    steps = [StepRecord(id=f"s{n}", fate="hit", key=f"{n:064d}") for n in range(100)]
    for n in range(3):
        store.history.start(a_run(f"r{n}"))
        store.history.add_steps(f"r{n}", steps)
    assert store.database.rows("SELECT count(*) FROM walks") == [(1,)]
    assert [len(run.steps) for run in store.history.list(9)] == [100, 100, 100]


def test_a_run_whose_process_died_is_interrupted(store: Store, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, time\n"
        "from treadle.domain.run import RunRecord, StepRecord\n"
        "from treadle.store import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "store.history.start(RunRecord(run_id='dead', pipeline='p', path='', plan='', status='running', started=1.0))\n"
        "store.history.add_steps('dead', [StepRecord(id='s', fate='run', started=4e9, finished=5e9)])\n"
        "print('ready', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert store.history.get("dead").status == RUNNING  # type: ignore[union-attr]
        assert [run.run_id for run in store.history.living()] == ["dead"]
        process.send_signal(signal.SIGKILL)
    run = store.history.get("dead")
    assert run is not None
    assert (run.status, run.finished, list(run.steps)) == (INTERRUPTED, 5e9, ["s"])
    assert store.database.rows("SELECT status FROM runs") == [(INTERRUPTED,)]
    assert store.history.living() == []


def test_writes_that_belong_together_are_one(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.database.transaction():
        store.results.put([a_result(store)])
        store.history.start(a_run())
        store.leases.acquire("k")
        raise ZeroDivisionError
    assert (store.results.get("k"), store.history.get("r1"), store.leases.holder("k")) == (None, None, None)
    with store.database.transaction():
        store.history.start(a_run())
        store.history.finish("r1", OK, 2.0)
    assert store.history.get("r1").status == OK  # type: ignore[union-attr]
