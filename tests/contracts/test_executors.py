"""One suite for every executor: values come back, whatever the step does."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from treadle.domain.spec import Output
from treadle.domain.task import Given, Item, Outcome, Task
from treadle.errors import ExecutorError
from treadle.executors.base import Executor
from treadle.executors.inline import InlineExecutor
from treadle.executors.process import ProcessExecutor
from treadle.run.batch import ended_items

PERFORM = "treadle.run.worker:perform"
WORK = """
import os
import subprocess
import sys
import time


def good(*, n):
    print("said", n)
    print("complained", n, file=sys.stderr)
    os.system("echo grandchild")
    return n


def sleeps(*, seconds):
    time.sleep(seconds)


def leaves():
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    child.stdout.readline()
    return child.pid


def process():
    return [os.getpid(), os.getppid(), os.getsid(0), sys.stdin.read(), os.environ["OMP_NUM_THREADS"]]


def modules():
    return sorted(sys.modules)


def bad():
    raise ValueError("no")


def dead():
    os.kill(os.getpid(), 11)


def picky(*, n, dies=False):
    if n == 4:
        if dies:
            os._exit(1)
        raise ValueError("four")
    return n


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


def greedy_together():
    codes = [subprocess.Popen([sys.executable, "-c", "x = bytearray(100 << 20); input()"], stdin=subprocess.PIPE)
             for _ in range(4)]
    time.sleep(1)
    for child in codes:
        try:
            child.communicate(b"\\n")
        except BrokenPipeError:
            pass
    if any(child.returncode for child in codes):
        raise RuntimeError("a helper was killed")
    return 1


def floods(*, size):
    print("the beginning")
    block = b"y" * 1023 + b"\\n"
    for _ in range(size // len(block)):
        os.write(1, block)
    print("the end")


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


def wait_for(path: Path) -> None:
    """Until a step has written a file."""
    limit = time.monotonic() + 30
    while not path.exists() or not path.read_text():
        assert time.monotonic() < limit, f"{path} was not written"
        time.sleep(0.02)


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
    pool.cancel("unknown")
    pool.submit(task(root, "stubborn"))
    wait_for(root / "grandchild")
    pool.cancel("stubborn0")
    failure = pool.wait(60)[0].failure
    assert failure is not None
    assert failure.kind == "cancelled"


def test_the_memory_limit_holds(pool: ProcessExecutor, root: Path) -> None:
    outcome = result(pool, task(root, "greedy", memory=256 << 20))
    assert outcome.failure is not None
    assert ("out of memory" if outcome.usage.limit.startswith("cgroup") else "MemoryError") in outcome.failure.message
    assert outcome.usage.peak_memory < 300 << 20


def test_what_a_step_prints_goes_to_its_log(pool: ProcessExecutor, root: Path) -> None:
    assert result(pool, task(root, "prints")).failure is None
    assert (root / "logs" / "prints0.log").stat().st_size == 5000 * 10_000


def test_a_log_has_an_end(executor: Executor, root: Path) -> None:
    one = task(root, "floods", params={"size": 100 << 20})
    assert result(executor, one).failure is None
    text = Path(one.log).read_text(encoding="utf-8")
    assert len(text) < 70 << 20
    assert text.startswith("the beginning\n")
    assert text.endswith("the end\n")
    assert "… treadle left out " in text


def test_items_of_a_batch_end_each_for_itself(executor: Executor, root: Path) -> None:
    items = tuple(Item(index, 1, Given(str(index))) for index in (3, 4, 5))
    outcome = result(executor, task(root, "picky", items=items, each=("n",)))
    assert outcome.failure is None
    assert [item.index for item in outcome.items] == [3, 4, 5]
    assert [item.failure.message if item.failure else "" for item in outcome.items] == ["", "ValueError: four", ""]


def test_a_batch_returns_in_time_with_what_it_has(executor: Executor, root: Path) -> None:
    items = tuple(Item(index, 1, Given("0.2")) for index in range(10))
    outcome = result(executor, task(root, "sleeps", items=items, each=("seconds",)))
    assert [item.index for item in outcome.items] == [0, 1]


def test_what_a_dead_batch_had_finished_is_known(pool: ProcessExecutor, root: Path) -> None:
    items = tuple(Item(index, 1, Given(str(index))) for index in range(6))
    one = task(root, "picky", items=items, each=("n",), params={"dies": True})
    failure = result(pool, one).failure
    assert failure is not None
    assert failure.kind == "crash"
    assert [item.index for item in ended_items(one.scratch)] == [0, 1, 2, 3]


def test_a_killed_nursery_is_replaced(pool: ProcessExecutor, root: Path) -> None:
    pool.submit(task(root, "stubborn"))
    wait_for(root / "grandchild")
    os.kill(pool._nursery.pid, 9)
    failure = pool.wait(60)[0].failure
    assert failure is not None
    assert failure.kind == "crash"
    assert result(pool, task(root, "good", params={"n": 1})).failure is None
    assert gone(int((root / "grandchild").read_text()))


def test_close_leaves_no_process(root: Path) -> None:
    pool = ProcessExecutor(perform=PERFORM, slots=2, root=str(root))
    pool.submit(task(root, "stubborn"))
    wait_for(root / "grandchild")
    pool.close()
    pool.close()
    assert gone(int((root / "grandchild").read_text()))


def value(root: Path, outcome: Outcome) -> Any:
    assert outcome.failure is None, outcome.failure
    digest = outcome.outputs["out"].digest
    return json.loads((root / "objects" / digest[:2] / digest[2:]).read_text(encoding="utf-8"))


def test_output_is_captured_also_that_of_grandchildren(
    executor: Executor, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one = task(root, "good", params={"n": "żółw 🐢"})
    result(executor, one)
    lines = Path(one.log).read_text(encoding="utf-8").splitlines()
    assert sorted(lines) == ["complained żółw 🐢", "grandchild", "said żółw 🐢"]
    assert capfd.readouterr() == ("", "")


def test_a_later_attempt_adds_to_the_log(executor: Executor, root: Path) -> None:
    for n in (1, 2):
        result(executor, task(root, "good", params={"n": n}))
    assert Path(task(root, "good").log).read_text(encoding="utf-8").count("said") == 2


def test_an_outcome_says_when_and_where(executor: Executor, root: Path) -> None:
    before = time.time()
    outcome = result(executor, task(root, "good", params={"n": 1}, attempt=3))
    assert before <= outcome.started <= outcome.finished <= time.time()
    assert outcome.attempt == 3
    assert outcome.worker > 0


def test_no_more_tasks_than_slots(executor: Executor, root: Path) -> None:
    for n in range(executor.slots):
        executor.submit(task(root, "good", n, params={"n": n}))
    with pytest.raises(ExecutorError, match="slot"):
        executor.submit(task(root, "good", 9, params={"n": 9}))


def test_waiting_for_nothing(executor: Executor) -> None:
    assert executor.wait(0.01) == []
    with pytest.raises(ExecutorError, match="nothing is running"):
        executor.wait(None)


def test_a_closed_executor_takes_no_task(executor: Executor, root: Path) -> None:
    executor.close()
    executor.close()
    with pytest.raises(ExecutorError, match="closed"):
        executor.submit(task(root, "good", params={"n": 1}))


def test_the_environment_of_a_task_is_its_own(executor: Executor, root: Path) -> None:
    call = 'echo "$GIVEN $TREADLE_SCRATCH" > {out.out}'
    given = task(root, "good", 1, kind="command", call=call, env={"GIVEN": "g"})
    digest = result(executor, given).outputs["out"].digest
    assert (root / "objects" / digest[:2] / digest[2:]).read_text() == f"g {given.scratch}\n"
    assert "GIVEN" not in os.environ


def test_ctrl_c_in_wait_reaches_the_caller_and_nothing_is_lost(executor: Executor, root: Path) -> None:
    inline = isinstance(executor, InlineExecutor)
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    executor.submit(task(root, "sleeps", params={"seconds": 60 if inline else 2}))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        executor.wait(30)
    timer.join()
    failure = executor.wait(30)[0].failure
    assert (failure.kind if failure else "") == ("cancelled" if inline else "")


def test_cancelling_what_has_not_begun(root: Path) -> None:
    inline = InlineExecutor(PERFORM)
    inline.submit(task(root, "good", params={"n": 1}))
    inline.cancel("good0")
    failure = inline.wait(1)[0].failure
    assert failure is not None
    assert failure.kind == "cancelled"
    assert not Path(task(root, "good").log).exists()


def test_tee_leaves_the_output_where_it_is(
    root: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    inline = InlineExecutor(PERFORM, tee=True)
    assert result(inline, task(root, "good", params={"n": 5})).failure is None
    assert "said 5" in capfd.readouterr().out


def test_a_step_has_a_session_of_its_own_and_no_terminal(pool: ProcessExecutor, root: Path) -> None:
    pid, parent, session, read, threads = value(root, result(pool, task(root, "process", cpu=2.5)))
    assert pid == session
    assert parent == pool._nursery.pid != os.getpid()
    assert read == ""
    assert threads == "2"


def test_what_a_step_leaves_behind_is_ended_with_it(pool: ProcessExecutor, root: Path) -> None:
    left = value(root, result(pool, task(root, "leaves")))
    assert not alive(left)


def test_a_command_that_ignores_term_is_ended_with_its_children(pool: ProcessExecutor, root: Path) -> None:
    call = "trap '' TERM; sleep 60 & echo $! > grandchild; wait; sleep 60"
    failure = result(pool, task(root, "good", kind="command", call=call, timeout=0.5)).failure
    assert failure is not None
    assert failure.kind == "timeout"
    assert gone(int((root / "grandchild").read_text()))


def test_the_usage_of_a_step(pool: ProcessExecutor, root: Path) -> None:
    usage = result(pool, task(root, "prints")).usage
    assert usage.cpu_seconds > 0.01
    assert 1 << 20 < usage.peak_memory < 100 << 20
    if sys.platform == "linux":
        assert usage.written >= 5000 * 10_000


def test_the_memory_limit_is_named(pool: ProcessExecutor, root: Path) -> None:
    one = task(root, "greedy", memory=256 << 20)
    outcome = result(pool, one)
    assert outcome.failure is not None
    assert "256.0 MiB" in outcome.failure.message
    assert outcome.usage.limit in ("cgroup v1", "cgroup v2", "RLIMIT_DATA", "RLIMIT_AS")
    first = Path(one.log).read_text(encoding="utf-8").splitlines()[0]
    assert first == f"treadle: memory limited to 256.0 MiB by {outcome.usage.limit}"


def test_a_control_group_limits_all_processes_of_a_step_together(pool: ProcessExecutor, root: Path) -> None:
    one = task(root, "greedy_together", memory=256 << 20)
    outcome = result(pool, one)
    if not outcome.usage.limit.startswith("cgroup"):
        pytest.skip("no control group can be made here")
    assert outcome.failure is not None
    assert outcome.failure.kind == "crash"
    assert "out of memory" in outcome.failure.message
    pool.close()
    groups = [place for place in Path("/sys/fs/cgroup").rglob(f"treadle-{pool._nursery.pid}-*") if place.is_dir()]
    assert groups == []


def test_a_timeout_is_named(pool: ProcessExecutor, root: Path) -> None:
    failure = result(pool, task(root, "sleeps", params={"seconds": 60}, timeout=0.3)).failure
    assert failure is not None
    assert failure.message == "took longer than its timeout of 300 ms"


def test_what_cannot_be_sent_is_a_failure(pool: ProcessExecutor, root: Path) -> None:
    failure = result(pool, task(root, "good", params={"n": 10**30})).failure
    assert failure is not None
    assert failure.kind == "input"
    assert result(pool, task(root, "good", 1, params={"n": 1})).failure is None


def test_the_pool_uses_a_process_again(pool: ProcessExecutor, root: Path) -> None:
    pids = {value(root, result(pool, task(root, "process", n, isolation="pool")))[0] for n in range(5)}
    assert len(pids) == 1
    other = value(root, result(pool, task(root, "process", 9, isolation="pool", env={"A": "b"})))[0]
    assert other not in pids


def test_a_pool_survives_a_crash_a_timeout_and_large_messages(pool: ProcessExecutor, root: Path) -> None:
    large: dict[str, object] = {"params": {"text": "é" * 3_000_000}}
    late: dict[str, object] = {"params": {"seconds": 60}, "timeout": 0.3}
    work = [("large", large), ("dead", {}), ("sleeps", late), ("large", large), ("bad", {})]
    kinds = []
    for n, (function, fields) in enumerate(work):
        failure = result(pool, task(root, function, n, isolation="pool", **fields)).failure
        kinds.append(failure.kind if failure else "ok")
    assert kinds == ["ok", "crash", "timeout", "ok", "error"]


def test_inline_isolation_is_the_schedulers_own_process(
    pool: ProcessExecutor, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    for n in range(2):
        pool.submit(task(root, "good", n, params={"n": n}, isolation="inline"))
    found = pool.wait(60) + pool.wait(60)
    assert [value(root, outcome) for outcome in found] == [0, 1]
    assert [outcome.worker for outcome in found] == [os.getpid()] * 2


def test_what_is_preloaded_is_there_and_broken_modules_do_not_matter(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (root / "loud.py").write_text("import sys\nprint('hello')\nprint('hello', file=sys.stderr)", encoding="utf-8")
    (root / "broken.py").write_text("raise ValueError", encoding="utf-8")
    pool = ProcessExecutor(PERFORM, 2, str(root), ["loud", "broken", "no_such_module", "colorsys"])
    assert {"loud", "colorsys"} <= set(value(root, result(pool, task(root, "modules"))))
    pool.close()
    assert "loud" not in sys.modules
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("text", ["import os\nos._exit(9)", "class Odd(Exception): ...\nraise Odd"])
def test_a_module_that_ends_the_nursery_is_left_out(root: Path, text: str) -> None:
    (root / "deadly.py").write_text(text, encoding="utf-8")
    pool = ProcessExecutor(PERFORM, 2, str(root), ["deadly"])
    assert result(pool, task(root, "good", params={"n": 1})).failure is None
    pool.close()


def test_a_nursery_that_cannot_work_is_an_error(root: Path) -> None:
    pool = ProcessExecutor("treadle.run.worker:no_such_function", 1, str(root))
    pool.submit(task(root, "good", params={"n": 1}))
    with pytest.raises(ExecutorError, match="no_such_function"):
        pool.wait(60)
    pool.close()


def test_a_nursery_that_dies_twice_in_a_row_is_an_error(root: Path) -> None:
    pool = ProcessExecutor(PERFORM, 1, str(root))
    pool.submit(task(root, "sleeps", params={"seconds": 60}))
    pool.wait(1)
    os.kill(pool._nursery.pid, signal.SIGKILL)
    failure = pool.wait(60)[0].failure
    assert failure is not None
    assert failure.kind == "crash"
    pool.submit(task(root, "sleeps", 1, params={"seconds": 60}))
    os.kill(pool._nursery.pid, signal.SIGKILL)
    with pytest.raises(ExecutorError, match="twice"):
        pool.wait(60)
    pool.close()


SCHEDULER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_executors import PERFORM, task
from treadle.executors.process import ProcessExecutor
from treadle.run.batch import ended_items

root = Path(sys.argv[1])
pool = ProcessExecutor(PERFORM, 2, str(root))
pool.submit(task(root, "stubborn"))
pool.submit(task(root, "good", kind="command", call="sleep 61 & wait"))
print(pool._nursery.pid, flush=True)
pool.wait(None)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_scheduler_that_dies_leaves_nobody(root: Path, number: int) -> None:
    words = [sys.executable, "-c", SCHEDULER, str(root), str(Path(__file__).parent)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=quiet, start_new_session=True) as scheduler:
        assert scheduler.stdout is not None
        nursery = int(scheduler.stdout.readline())
        wait_for(root / "grandchild")
        family: list[int] = []
        for _ in range(200):
            family = descendants(nursery)
            if len(family) == 6:  # the nursery, a step with its child, a step with its shell and that one's child
                break
            time.sleep(0.05)
        scheduler.send_signal(number)
    assert len(family) == 6
    assert [pid for pid in family if not gone(pid)] == []


def descendants(pid: int) -> list[int]:
    found = [pid]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += descendants(int(folder.name))
    return found
