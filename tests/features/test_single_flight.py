"""One computation per key among real processes: they share the work, and take over when the holder dies."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.project import Project
from treadle.store import open_store

PIPELINE = """
    version: 1
    steps:
      slow: {uses: "work:slow"}
      next: {uses: "work:take", in: {x: slow}}
"""
WORK = """
    import os
    import time
    from pathlib import Path


    def slow():
        with open("count", "a") as file:
            file.write("x")
        limit = time.monotonic() + 60
        while not Path("go").exists() and time.monotonic() < limit:
            time.sleep(0.01)
        return 1


    def take(x):
        return x + 1
"""


@pytest.fixture
def slow(project: Project) -> Project:
    return project.write("pipeline.yaml", PIPELINE).write("work.py", WORK)


def until(path: Path) -> None:
    limit = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < limit, f"{path.name} never came"
        time.sleep(0.01)


def line_with(process: "subprocess.Popen[str]", words: str) -> str:
    """Read a process's standard output up to the line that has these words."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"it ended without '{words}'")


def fates(lines: str) -> dict[str, str]:
    events = [json.loads(line) for line in lines.splitlines()]
    return {e["step"]: e["event"] for e in events if e["event"] in ("step_cached", "step_finished", "step_failed")}


@pytest.mark.parametrize("number", [2, 8])
def test_any_number_of_runs_compute_once(slow: Project, number: int) -> None:
    processes = [slow.start("run", "pipeline.yaml", "--json") for _ in range(number)]
    until(slow.root / "count")
    slow.write("go", "")
    outcomes = []
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
        outcomes.append(fates(out))
    assert slow.read("count") == "x"
    assert sorted(found["slow"] for found in outcomes) == ["step_cached"] * (number - 1) + ["step_finished"]
    assert sum(found["next"] == "step_finished" for found in outcomes) == 1


def test_a_run_that_waits_takes_over_when_the_holder_is_killed(slow: Project) -> None:
    holder = slow.start("run", "pipeline.yaml", "--json")
    until(slow.root / "count")
    waiting = slow.start("run", "pipeline.yaml", "--json")
    line_with(waiting, "is being made by another run")
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=30)
    line_with(waiting, "step_started")  # no lease to outwait: the dead holder is seen at once
    slow.write("go", "")
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, out + err
    assert slow.read("count") == "xx"
    assert fates(out) == {"slow": "step_finished", "next": "step_finished"}
    assert slow.treadle("cache", "verify").code == 0


def test_a_holder_on_another_host_is_believed_until_its_lease_ends(slow: Project) -> None:
    slow.write("go", "")
    key = slow.treadle("explain", "pipeline.yaml", "slow", "--json").json()["key"]
    database = open_store(slow.root).database
    sql = "INSERT INTO leases (key, host, boot, pid, began, token, until) VALUES (?, 'far away', 'b', 1, '1', 't', ?)"
    end = time.time() + 3
    database.write(lambda: database.change(sql, (key, end)))
    result = slow.treadle("run", "pipeline.yaml", "--json")
    assert result.code == 0, result.stderr
    events = result.events()
    assert any("is being made by another run" in event.get("text", "") for event in events)
    started = next(event["at"] for event in events if event["event"] == "step_started")
    assert started >= end


def test_no_lease_is_given_back_before_the_result_is_there(slow: Project) -> None:
    """Else a run that waits finds neither, and computes what has just been made; the last step was such a one."""
    slow.write("go", "")
    database = open_store(slow.root).database
    trigger = (
        "CREATE TRIGGER early AFTER DELETE ON leases WHEN NOT EXISTS (SELECT 1 FROM results WHERE key = OLD.key) "
        "BEGIN SELECT RAISE(ABORT, 'given back too early'); END"
    )
    database.write(lambda: database.change(trigger))
    result = slow.treadle("run", "pipeline.yaml")
    assert result.code == 0, result.stdout + result.stderr
    assert database.rows("SELECT * FROM leases") == []


def test_what_items_made_is_there_before_the_lease_of_their_step_is_given_back(project: Project) -> None:
    project.write("pipeline.yaml", "version: 1\nsteps: {list: {uses: 'w:n'}, each: {uses: 'w:f', foreach: list}}\n")
    project.write("w.py", "def n(): return [1, 2, 0]\ndef f(x): return 1 / x\n")
    database = open_store(project.root).database
    trigger = (
        "CREATE TRIGGER early AFTER DELETE ON leases WHEN (SELECT count(*) FROM results WHERE step LIKE 'each%') < 2 "
        "AND (SELECT count(*) FROM results WHERE step = 'list') = 1 AND OLD.key NOT IN (SELECT key FROM results) "
        "BEGIN SELECT RAISE(ABORT, 'given back too early'); END"
    )
    database.write(lambda: database.change(trigger))
    result = project.treadle("run", "pipeline.yaml", "-j", "1")
    assert result.code == 1, result.stdout + result.stderr
    assert "1 of 3 items failed" in result.stdout


MANY = """
    version: 1
    steps:
      make: {uses: "work:make", matrix: {n: [1, 2, 3, 4, 5, 6, 7, 8]}}
      all: {uses: "work:total", in: {parts: make}}
"""


@pytest.mark.parametrize("after", [1, 4, 8])
def test_whenever_a_run_is_killed_everything_recorded_is_whole(project: Project, after: int) -> None:
    project.write("pipeline.yaml", MANY).write(
        "work.py",
        """
        def make(*, n: int):
            return bytes([n]) * 300_000


        def total(parts):
            return sum(map(len, parts))
        """,
    )
    process = project.start("run", "pipeline.yaml", "--json")
    for _ in range(after):
        line_with(process, "step_finished")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    report = project.treadle("cache", "verify", "--json")
    assert report.code == 0, report.stdout
    assert (report.json()["damaged"], report.json()["forgotten"]) == ([], [])
    again = project.treadle("run", "pipeline.yaml", "-q")
    assert again.code == 0, again.stdout + again.stderr
    value = project.treadle("show", "last", "all", "--json").json()["outputs"]["out"]
    stored = Path(project.root, ".treadle/objects", value["digest"][:2], value["digest"][2:])
    assert stored.read_text().strip() == "2400000"
