"""What a step may use and how often it is tried, from outside."""

from typing import Any

import pytest

from support.project import Project

WORK = """
    import fcntl
    import os
    import sys
    import time
    from pathlib import Path


    def note(text):
        with open("notes", "a") as file:
            file.write(text + "\\n")


    def overlaps(*, name):
        note(f"+{name}")
        time.sleep(0.15)
        note(f"-{name}")
        return 1


    def fails(*, how):
        note(how)
        if how == "error":
            raise ValueError("no")
        if how == "exit":
            sys.exit(7)
        if how == "crash":
            os.kill(os.getpid(), 11)
        time.sleep(60)


    def pid(*, name):
        return [os.getpid(), os.getppid(), os.environ.get("OMP_NUM_THREADS")]


    def reads():
        Path("large").write_bytes(bytes(3 << 20))
        sum(range(3_000_000))
        return len(Path("large").read_bytes())
"""


def notes(project: Project) -> list[str]:
    path = project.root / "notes"
    return path.read_text().split() if path.exists() else []


def most_at_once(project: Project) -> int:
    running = most = 0
    for note in notes(project):
        running += 1 if note[0] == "+" else -1
        most = max(most, running)
    return most


def value(project: Project, step: str) -> Any:
    import json

    digest = project.treadle("show", "last", step, "--json").json()["outputs"]["out"]["digest"]
    return json.loads((project.root / ".treadle/objects" / digest[:2] / digest[2:]).read_text())


def overlapping(project: Project, keys: str, settings: str = "") -> int:
    """How many of four steps with these keys ran at once, with four slots."""
    project.write("treadle.toml", settings).write("work.py", WORK)
    steps = "\n".join(f'  s{n}: {{uses: "work:overlaps", with: {{name: s{n}}}, {keys}}}' for n in range(4))
    project.write("pipeline.yaml", f"version: 1\nsteps:\n{steps}\n")
    result = project.treadle("run", "pipeline.yaml", "-j", "4")
    assert result.code == 0, result.stdout + result.stderr
    assert len(notes(project)) == 8
    return most_at_once(project)


@pytest.mark.parametrize(
    ("keys", "settings", "most"),
    [
        ("resources: {cpu: 1}", "", 4),
        ("resources: {cpu: 2}", "", 2),
        ("resources: {cpu: 2}", "[resources]\ncpu = 3", 1),
        ("resources: {licence: 1}", "", 1),
        ("resources: {licence: 1}", "[resources]\nlicence = 2", 2),
        ("resources: {memory: 100MiB}", "[resources]\nmemory = '250MiB'", 2),
        ("resources: {gpu: 1}", "[resources]\ngpu = 1", 1),
        ("mutex: disk", "", 1),
    ],
)
def test_what_runs_at_once(project: Project, keys: str, settings: str, most: int) -> None:
    found = overlapping(project, keys, settings)
    assert found == most if most == 1 else 1 < found <= most


def test_what_can_never_run_is_said_before_anything_does(project: Project) -> None:
    project.write("work.py", WORK).write(
        "pipeline.yaml",
        """
        version: 1
        steps:
          first: {uses: "work:overlaps", with: {name: first}}
          gpus: {uses: "work:overlaps", with: {name: gpus}, resources: {gpu: 99, seat: 2}}
        """,
    )
    for command in ("run", "plan"):
        result = project.treadle(command, "pipeline.yaml")
        assert result.code == 2
        assert "error[impossible-resources]: step 'gpus' needs 99 of gpu" in result.stderr
        assert "error[impossible-resources]: step 'gpus' needs 2 of seat, and there is 1 in all" in result.stderr
        assert "below [resources]: seat = 2" in result.stderr
        assert "pipeline.yaml:4:" in result.stderr
    assert notes(project) == []
    assert project.treadle("graph", "pipeline.yaml").code == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("resources = 3", "'resources' takes dict, not 3"),
        ("[resources]\ngpu = 'two'", "resources: 'gpu': 'two' is not an amount: write a number"),
        ("[resources]\nmemory = '2 Gig'", "resources: 'memory': '2 Gig' is not a size"),
        ("[resources]\nseat = -1", "resources: 'seat': -1 is not an amount"),
    ],
)
def test_wrong_amounts_in_the_settings(project: Project, line: str, words: str) -> None:
    project.write("treadle.toml", line + "\n").write("pipeline.yaml", "version: 1\nsteps: {a: {run: 'true'}}\n")
    result = project.treadle("run", "pipeline.yaml")
    assert result.code == 2
    assert f"error[bad-settings]: {words}" in result.stderr


@pytest.mark.parametrize(
    ("how", "when", "attempts"),
    [
        *(("error", "[error]", 3), ("error", "[crash, timeout]", 1), ("error", "", 3)),
        *(("exit", "[7]", 3), ("exit", "[8]", 1), ("exit", "[error]", 3)),
        *(("crash", "[crash]", 3), ("crash", "[error]", 1), ("timeout", "[timeout]", 3), ("timeout", "[error, 7]", 1)),
    ],
)
def test_which_failures_are_repeated(project: Project, how: str, when: str, attempts: int) -> None:
    retry = f"retry: {{times: 2, backoff: 5ms{f', when: {when}' if when else ''}}}"
    project.write("work.py", WORK).write(
        "pipeline.yaml",
        f"version: 1\nsteps:\n  s: {{uses: 'work:fails', with: {{how: {how}}}, timeout: 400ms, {retry}}}\n",
    )
    assert project.treadle("run", "pipeline.yaml").code == 1
    assert notes(project) == [how] * attempts


def test_isolation_and_executor_of_a_step(project: Project) -> None:
    project.write("work.py", WORK).write(
        "pipeline.yaml",
        """
        version: 1
        steps:
          f1: {uses: "work:pid", with: {name: f1}, isolation: fresh, resources: {cpu: 2}}
          f2: {uses: "work:pid", with: {name: f2}, after: [f1]}
          p1: {uses: "work:pid", with: {name: p1}, after: [f2], isolation: pool}
          p2: {uses: "work:pid", with: {name: p2}, after: [p1], isolation: pool}
          i1: {uses: "work:pid", with: {name: i1}, after: [p2], isolation: inline}
          e1: {uses: "work:pid", with: {name: e1}, after: [i1], executor: inline}
        """,
    )
    result = project.treadle("run", "pipeline.yaml")
    assert result.code == 0, result.stdout + result.stderr
    found = {step: value(project, step) for step in ("f1", "f2", "p1", "p2", "i1", "e1")}
    pids = {step: pid for step, (pid, _, _) in found.items()}
    parents = {step: parent for step, (_, parent, _) in found.items()}
    assert pids["f1"] != pids["f2"]
    assert pids["p1"] == pids["p2"]
    assert len({parents[step] for step in ("f1", "f2", "p1", "p2")}) == 1
    assert pids["i1"] == pids["e1"]
    assert found["f1"][2] == "2"
    assert found["f2"][2] == "1"


def test_isolation_as_a_setting(project: Project) -> None:
    project.write("treadle.toml", 'isolation = "pool"\n').write("work.py", WORK).write(
        "pipeline.yaml",
        """
        version: 1
        steps:
          a: {uses: "work:pid", with: {name: a}}
          b: {uses: "work:pid", with: {name: b}, after: [a]}
        """,
    )
    assert project.treadle("run", "pipeline.yaml").code == 0
    assert value(project, "a")[0] == value(project, "b")[0]


def test_what_a_step_used_is_recorded_and_shown(project: Project) -> None:
    project.write("work.py", WORK).write(
        "pipeline.yaml",
        """
        version: 1
        steps:
          fresh: {uses: "work:reads", resources: {memory: 1GiB}}
          pool: {uses: "work:reads", isolation: pool, after: [fresh], env: {OWN: key}}
        """,
    )
    assert project.treadle("run", "pipeline.yaml").code == 0
    for step in ("fresh", "pool"):
        usage = project.treadle("show", "last", step, "--json").json()["usage"]
        assert usage["cpu_seconds"] > 0
        assert 1 << 20 < usage["peak_memory"] < 1 << 30
        assert usage["read"] >= 3 << 20
        assert usage["written"] >= 3 << 20
        assert bool(usage["limit"]) is (step == "fresh")
    shown = project.treadle("show", "last", "fresh").stdout
    assert "of CPU" in shown
    assert "(limited by " in shown
    assert "read 3." in shown


def test_the_most_urgent_begins_first(project: Project) -> None:
    project.write("work.py", WORK)
    steps = "\n".join(f'  s{n}: {{uses: "work:overlaps", with: {{name: s{n}}}, priority: {n}}}' for n in (1, 3, 2))
    project.write("pipeline.yaml", f"version: 1\nsteps:\n{steps}\n")
    assert project.treadle("run", "pipeline.yaml", "-j", "1").code == 0
    assert [note for note in notes(project) if note[0] == "+"] == ["+s3", "+s2", "+s1"]
