"""The fakes behave as the contracts they stand for; a wrong fake makes every test that uses it worthless."""

from pathlib import Path

import pytest

from support.clock import FakeClock
from support.executor import FakeExecutor, fail
from support.project import Project, clean_environment
from treadle.domain.task import Failure, Task


def task(step: str) -> Task:
    return Task(
        run_id="r", step_id=step, attempt=1, kind="function", call="m:f", root="", objects="", scratch="", log=""
    )


def test_the_oldest_task_ends_first_and_alone() -> None:
    executor = FakeExecutor()
    executor.submit(task("a"))
    executor.submit(task("b"))
    assert [outcome.step_id for outcome in executor.wait(None)] == ["a"]
    assert executor.running == ["b"]


def test_more_tasks_than_slots_are_refused() -> None:
    executor = FakeExecutor(slots=1)
    executor.submit(task("a"))
    with pytest.raises(AssertionError, match="2 tasks in 1 slots"):
        executor.submit(task("b"))


def test_waiting_moves_the_clock_and_no_real_time() -> None:
    clock = FakeClock(100.0)
    executor = FakeExecutor(clock=clock, manual=True)
    executor.submit(task("a"))
    assert executor.wait(5.0) == []
    assert clock() == 105.0


def test_waiting_for_nothing_without_end_fails() -> None:
    with pytest.raises(AssertionError, match="nothing runs"):
        FakeExecutor().wait(None)


def test_a_failure_and_a_cancel_are_outcomes() -> None:
    executor = FakeExecutor(answer=fail(Failure("error", "no")))
    executor.submit(task("a"))
    executor.submit(task("b"))
    executor.cancel("b")
    ended = [*executor.wait(0), *executor.wait(0)]
    assert [(o.step_id, o.failure.kind) for o in ended if o.failure] == [("b", "cancelled"), ("a", "error")]


def test_a_project_is_written_dedented(project: Project) -> None:
    project.write(
        "a/b.py",
        """
        def f():
            return 1
        """,
    )
    assert project.read("a/b.py") == "def f():\n    return 1\n"


def test_the_environment_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREADLE_REMOTE", "x")
    assert set(clean_environment(tmp_path)) == {"PATH", "HOME", "LANG", "TZ"}
    assert clean_environment(tmp_path, {"A": "1"})["A"] == "1"


def test_the_command_line_runs_as_a_process(project: Project) -> None:
    result = project.treadle("--version")
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.startswith("treadle ")
