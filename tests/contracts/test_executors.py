"""One suite for every executor: values come back, whatever the step does."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from treadle.domain.spec import Output
from treadle.domain.task import Outcome, Task
from treadle.executors.base import Executor
from treadle.executors.inline import InlineExecutor
from treadle.executors.process import ProcessExecutor

PERFORM = "treadle.run.worker:perform"
WORK = """
import os
import subprocess
import sys
import time


def good(*, n):
    print("said", n)
    return n


def bad():
    raise ValueError("no")


def dead():
    os.kill(os.getpid(), 11)


def quits():
    os._exit(3)


def stubborn():
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", deaf])
    open("grandchild", "w").write(str(child.pid))
    time.sleep(60)


def large(*, text):
    return len(text)


def greedy():
    return len(bytearray(3 << 30))


def prints():
    for _ in range(5000):
        print("x" * 9999)
    return 1
"""


def task(root: Path, function: str, number: int = 0, **fields: object) -> Task:
    base: dict[str, object] = {
        "run_id": "r",
        "step_id": f"{function}{number}",
        "attempt": 1,
        "kind": "function",
        "call": f"work_{root.name}:{function}".replace("-", "_"),
        "root": str(root),
        "objects": str(root / "objects"),
        "scratch": str(root / f"scratch-{function}{number}"),
        "log": str(root / "logs" / f"{function}{number}.log"),
        "outputs": (Output("out"),),
    }
    return Task(**{**base, **fields})  # type: ignore[arg-type]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "objects").mkdir()
    (tmp_path / "logs").mkdir()
    (tmp_path / f"work_{tmp_path.name}.py".replace("-", "_")).write_text(WORK, encoding="utf-8")
    return tmp_path


@pytest.fixture(params=["inline", "process"])
def executor(request: pytest.FixtureRequest, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    monkeypatch.chdir(root)  # inline steps change it; put it back
    kind = {"inline": InlineExecutor, "process": ProcessExecutor}[request.param]
    made: Executor = kind(perform=PERFORM, slots=2, root=str(root), preload=())
    yield made
    made.close()


@pytest.fixture
def pool(root: Path) -> Iterator[ProcessExecutor]:
    made = ProcessExecutor(perform=PERFORM, slots=2, root=str(root))
    yield made
    made.close()


def result(executor: Executor, one: Task) -> Outcome:
    executor.submit(one)
    outcomes = executor.wait(60)
    assert len(outcomes) == 1
    return outcomes[0]


def test_a_value_comes_back_as_an_artifact(executor: Executor, root: Path) -> None:
    outcome = result(executor, task(root, "good", params={"n": 7}))
    assert outcome.failure is None
    artifact = outcome.outputs["out"]
    assert (root / "objects" / artifact.digest[:2] / artifact.digest[2:]).read_text() == "7"


def test_an_exception_is_a_failure_with_the_users_frames(executor: Executor, root: Path) -> None:
    failure = result(executor, task(root, "bad")).failure
    assert failure is not None
    assert failure.kind == "error"
    assert failure.message == "ValueError: no"
    assert "in bad" in failure.traceback
    assert "perform" not in failure.traceback


def test_many_tasks(executor: Executor, root: Path) -> None:
    for number in range(0, 40, executor.slots):
        for n in range(number, number + executor.slots):
            executor.submit(task(root, "good", n, params={"n": n}))
        seen: list[Outcome] = []
        while len(seen) < executor.slots:
            seen += executor.wait(60)
        assert all(outcome.failure is None for outcome in seen)


def test_a_large_message(executor: Executor, root: Path) -> None:
    assert result(executor, task(root, "large", params={"text": "é" * 5_000_000})).failure is None


@pytest.mark.parametrize(("function", "words"), [("dead", "SIGSEGV"), ("quits", "code 3")])
def test_a_crash_costs_one_attempt(pool: ProcessExecutor, root: Path, function: str, words: str) -> None:
    failure = result(pool, task(root, function)).failure
    assert failure is not None
    assert failure.kind == "crash"
    assert words in failure.message
    assert result(pool, task(root, "good", params={"n": 1})).failure is None


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(pid: int) -> bool:
    for _ in range(100):
        if not alive(pid):
            return True
        time.sleep(0.05)
    return False


def test_a_timeout_ends_the_step_and_its_grandchildren(pool: ProcessExecutor, root: Path) -> None:
    failure = result(pool, task(root, "stubborn", timeout=1.0)).failure
    assert failure is not None
    assert failure.kind == "timeout"
    assert gone(int((root / "grandchild").read_text()))


def test_cancel(pool: ProcessExecutor, root: Path) -> None:
    pool.submit(task(root, "stubborn"))
    time.sleep(0.5)
    pool.cancel("stubborn0")
    failure = pool.wait(60)[0].failure
    assert failure is not None
    assert failure.kind == "cancelled"


def test_the_memory_limit_holds(pool: ProcessExecutor, root: Path) -> None:
    failure = result(pool, task(root, "greedy", memory=256 << 20)).failure
    assert failure is not None
    assert "MemoryError" in failure.message


def test_what_a_step_prints_goes_to_its_log(pool: ProcessExecutor, root: Path) -> None:
    assert result(pool, task(root, "prints")).failure is None
    assert (root / "logs" / "prints0.log").stat().st_size == 5000 * 10_000


def test_a_killed_nursery_is_replaced(pool: ProcessExecutor, root: Path) -> None:
    pool.submit(task(root, "stubborn"))
    time.sleep(0.5)
    os.kill(pool._process.pid, 9)
    failure = pool.wait(60)[0].failure
    assert failure is not None
    assert failure.kind == "crash"
    assert result(pool, task(root, "good", params={"n": 1})).failure is None
    grandchild = int((root / "grandchild").read_text())
    if alive(grandchild):  # an orphan of a nursery that was killed outright; it holds nothing of ours
        os.kill(grandchild, 9)


def test_close_leaves_no_process(root: Path) -> None:
    pool = ProcessExecutor(perform=PERFORM, slots=2, root=str(root))
    pool.submit(task(root, "stubborn"))
    while not (root / "grandchild").exists() or not (root / "grandchild").read_text():
        time.sleep(0.05)
    pool.close()
    assert gone(int((root / "grandchild").read_text()))
