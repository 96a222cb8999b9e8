"""A nursery that is started before its orders are known, and what the scheduler knows of its children."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from treadle.domain.spec import Output
from treadle.domain.task import Outcome, Task
from treadle.executors.process import ProcessExecutor
from treadle.executors.start import Started, start
from treadle.run import PERFORM

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of processes in files")


@pytest.fixture
def early() -> Iterator[Started]:
    made = start(PERFORM)
    yield made
    made.close()


@pytest.fixture
def pool(early: Started, tmp_path: Path) -> Iterator[ProcessExecutor]:
    (tmp_path / "objects").mkdir()
    made = ProcessExecutor(PERFORM, 2, str(tmp_path), nursery=early)
    yield made
    made.close()


def result(pool: ProcessExecutor, root: Path, number: int, memory: int | None = None) -> Outcome:
    """The outcome of a command; with a limit of memory its process is for it alone, else it waits for another."""
    task = Task(
        run_id="r",
        step_id=f"s{number}",
        attempt=1,
        kind="command",
        call="echo hello > {out.out}",
        root=str(root),
        objects=str(root / "objects"),
        scratch=str(root / f"scratch-{number}"),
        log=str(root / "logs" / f"{number}.log"),
        outputs=(Output("out"),),
        memory=memory,
    )
    pool.submit(task)
    [outcome] = pool.wait(60)
    assert outcome.failure is None, outcome.failure
    return outcome


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])


def test_a_nursery_that_was_started_before_is_taken(pool: ProcessExecutor, early: Started, tmp_path: Path) -> None:
    assert parent(result(pool, tmp_path, 1).worker) == early.pid
    pool.close()
    assert early.code == 0
    assert not Path(f"/proc/{early.pid}").exists()


def test_a_nursery_that_nobody_takes_is_ended(early: Started) -> None:
    early.close()
    early.close()
    assert early.code == -signal.SIGKILL
    assert not Path(f"/proc/{early.pid}").exists()


def test_the_groups_of_processes_are_known_until_they_are_gone(pool: ProcessExecutor, tmp_path: Path) -> None:
    result(pool, tmp_path, 1, memory=1 << 30)
    assert pool._groups == set()
    worker = result(pool, tmp_path, 2).worker
    assert result(pool, tmp_path, 3).worker == worker
    assert pool._groups == {worker}
    os.kill(worker, signal.SIGKILL)
    limit = time.monotonic() + 30
    while pool._groups and time.monotonic() < limit:
        assert pool.wait(0.05) == []
    assert pool._groups == set()
