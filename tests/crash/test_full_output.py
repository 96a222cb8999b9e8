"""The output goes to a full disk: what was done counts, what was lost is said, and the exit code is one of ours."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.project import Project, clean_environment
from treadle.api.project import open_project

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
PIPELINE = "version: 1\nname: p\nsteps: {one: {run: 'echo 1 > {out.one}', out: {one: one.txt}}}\n"


def run(project: Project, *arguments: str, out: bool, err: bool) -> "subprocess.CompletedProcess[str]":
    with FULL.open("w") as full:
        return subprocess.run(
            [sys.executable, "-P", "-m", "treadle", "run", "pipeline.yaml", *arguments],
            cwd=project.root,
            env=clean_environment(project.home),
            stdin=subprocess.DEVNULL,
            stdout=full if out else subprocess.PIPE,
            stderr=full if err else subprocess.PIPE,
            text=True,
            timeout=100,
            check=False,
        )


def status(project: Project) -> str:
    last = open_project(project.root).store.history.get("last")
    assert last is not None
    return last.status


def test_a_summary_that_is_lost_is_no_success(project: Project) -> None:
    done = run(project.write("pipeline.yaml", PIPELINE), out=True, err=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, "error: the output: No space left on device")
    assert status(project) == "ok"


def test_progress_that_is_lost_ends_no_run(project: Project) -> None:
    done = run(project.write("pipeline.yaml", PIPELINE), out=False, err=True)
    assert (done.returncode, status(project)) == (0, "ok")
    assert "1 ran" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_nothing_can_be_said_at_all(project: Project, arguments: tuple[str, ...]) -> None:
    done = run(project.write("pipeline.yaml", PIPELINE), *arguments, out=True, err=True)
    assert done.returncode == 2


def test_events_that_are_lost_end_the_run_with_a_word(project: Project) -> None:
    done = run(project.write("pipeline.yaml", PIPELINE), "--json", out=True, err=False)
    assert (done.returncode, done.stderr) == (2, "error: the output: No space left on device\n")


def test_a_reader_that_has_read_enough_ends_no_run(project: Project) -> None:
    project.write("pipeline.yaml", PIPELINE.replace("'echo 1", "'sleep 0.3; echo 1"))
    command = [sys.executable, "-P", "-m", "treadle", "run", "pipeline.yaml", "--json"]
    with subprocess.Popen(
        command, cwd=project.root, env=clean_environment(project.home), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert '"run_started"' in process.stdout.readline()
        process.stdout.close()
        assert process.wait(100) == 0
    assert status(project) == "ok"


@pytest.mark.parametrize("arguments", [("run", "pipeline.yaml"), ("plan", "pipeline.yaml"), ("--version",)])
def test_closed_streams_are_no_error(project: Project, arguments: tuple[str, ...]) -> None:
    project.write("pipeline.yaml", PIPELINE)
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-P", "-m", "treadle", *arguments]
    assert subprocess.run(command, cwd=project.root, env=clean_environment(project.home), check=False).returncode == 0
