"""The table of exit codes in docs/commands.md, each by a real command."""

import signal
import time

import pytest

from support.project import Project

PIPELINE = """
    version: 1
    params: {n: 1}
    steps:
      first: {run: "echo {params.n} > {out.file}", out: {file: a.txt}}
      wait: {run: sh wait.sh, after: [first]}
"""
WAIT = "test ! -e slow || { touch began; sleep 60; }\n"
FAILING = "version: 1\nsteps: {broken: {run: 'exit 7'}}\n"


@pytest.fixture
def files(project: Project) -> Project:
    project.write("pipeline.yaml", PIPELINE).write("wait.sh", WAIT).write("failing.yaml", FAILING)
    return project.write("wrong.yaml", "version: 1\nstepps: {}\n").write("treadle.toml", "")


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (0, ("--version",)),
        (0, ("check", "pipeline.yaml")),
        (0, ("run", "pipeline.yaml")),
        (0, ("plan", "pipeline.yaml")),
        (1, ("run", "failing.yaml")),
        (1, ("run", "failing.yaml", "--json")),
        (2, ("run", "wrong.yaml")),
        (2, ("check", "wrong.yaml")),
        (2, ("run", "nowhere.yaml")),
        (2, ("run", "pipeline.yaml", "nostep")),
        (2, ("run", "pipeline.yaml", "-p", "m=1")),
        (2, ("run", "pipeline.yaml", "--nonsense")),
        (2, ("run",)),
        (2, ("nonsense",)),
        (2, ("show", "nothing")),
        (3, ("plan", "pipeline.yaml", "--detailed-exitcode")),
    ],
)
def test_exit_codes(files: Project, code: int, arguments: tuple[str, ...]) -> None:
    result = files.treadle(*arguments)
    assert result.code == code, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_a_setting_that_does_not_exist_is_wrong_input(files: Project) -> None:
    assert files.write("treadle.toml", "nonsense = 1\n").treadle("run", "pipeline.yaml").code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_is_130_and_the_next_run_goes_on(files: Project, number: int) -> None:
    files.write("slow", "")
    with files.start("run", "pipeline.yaml") as process:
        for _ in range(3000):
            if (files.root / "began").exists():
                break
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(60) == 130
    (files.root / "slow").unlink()
    again = files.treadle("run", "pipeline.yaml", "--json")
    assert again.code == 0
    assert {e["step"]: e["event"] for e in again.events() if "step" in e and e["event"] != "step_started"} == {
        "first": "step_cached",
        "wait": "step_finished",
    }
