"""Ctrl-C, SIGTERM and SIGKILL of a run: nothing goes on, nothing is lost, and `run` again goes on."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.project import Project, clean_environment

PIPELINE = """
    version: 1
    steps:
      quick: {uses: "work:quick"}
      slow: {uses: "work:slow", in: {x: quick}}
      last: {uses: "work:last", in: {x: slow}}
"""
WORK = """
    import os
    import subprocess
    import time
    from pathlib import Path


    def quick() -> int:
        return 1


    def slow(x: int) -> int:
        if Path("go").exists():
            return x + 1
        child = subprocess.Popen(["sleep", "300"])
        Path("pids").write_text(f"{os.getpid()} {child.pid} {os.getppid()}")
        MARK
        time.sleep(300)
        return x


    def last(x: int) -> int:
        return x + 1
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); Path('deaf').write_text('x')"
CLEANS = "import signal; signal.signal(signal.SIGTERM, lambda *_: (Path('cleaned').write_text('x'), os._exit(1)))"


def start(project: Project, mark: str = "", *arguments: str) -> "subprocess.Popen[str]":
    """A run that is in its slow step, with all signal handlers in place."""
    project.write("pipeline.yaml", PIPELINE).write("work.py", WORK.replace("MARK", mark or "pass"))
    process = project.start("run", "pipeline.yaml", *arguments)
    wait_for(project.root / ("deaf" if mark == DEAF else "pids"))
    return process


def wait_for(path: Path) -> None:
    limit = time.monotonic() + 60
    while not path.exists() or not path.read_text():
        assert time.monotonic() < limit, f"{path} was not written"
        time.sleep(0.02)
    time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def all_gone(project: Project) -> bool:
    pids = [int(word) for word in project.read("pids").split()]
    for _ in range(200):
        if not any(map(alive, pids)):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_the_run_in_order_and_run_goes_on(project: Project, number: signal.Signals) -> None:
    process = start(project, CLEANS)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "interrupted: 1 of 3 steps are done and kept; run the same command to go on"
    assert project.read("cleaned") == "x"  # TERM came first
    assert all_gone(project)
    shown = project.treadle("show", "last", "--json").json()
    assert shown["status"] == "interrupted"
    assert {name: step["fate"] for name, step in shown["steps"].items()} == {"quick": "run", "slow": "cancelled"}
    project.write("go", "x")
    again = project.treadle("run", "pipeline.yaml")
    assert again.code == 0, again.stderr
    assert "2 ran, 1 unchanged" in again.stdout


def test_a_step_that_ignores_term_is_killed(project: Project) -> None:
    process = start(project, DEAF)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert all_gone(project)


def test_a_second_signal_does_not_wait(project: Project) -> None:
    process = start(project, DEAF)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert all_gone(project)
    assert project.treadle("show", "last", "--json").json()["status"] == "interrupted"


def in_a_terminal(project: Project, mark: str, presses: int) -> tuple[int, str]:
    """Run in a terminal of its own and press Ctrl-C there, once in the slow step and again when that was heard."""
    project.write("pipeline.yaml", PIPELINE).write("work.py", WORK.replace("MARK", mark))
    words = [sys.executable, "-P", "-m", "treadle", "run", "pipeline.yaml"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project.root)
        os.execve(words[0], words, clean_environment(project.home, {"TERM": "xterm"}))
    wait_for(project.root / ("deaf" if mark == DEAF else "pids"))
    said = b""
    for press in range(presses):
        os.write(terminal, b"\x03")
        while press + 1 < presses and b"once more" not in said:
            said += os.read(terminal, 4096)
    while True:
        try:
            said += os.read(terminal, 4096)
        except OSError:  # the last process that had the terminal is gone
            break
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()


@pytest.mark.parametrize(("mark", "presses"), [(CLEANS, 1), (DEAF, 2)])
def test_ctrl_c_in_a_terminal(project: Project, mark: str, presses: int) -> None:
    code, said = in_a_terminal(project, mark, presses)
    assert code == 130
    assert "Traceback" not in said
    assert "note  interrupted: stopping the step that runs; once more ends the run at once" in said
    assert "interrupted: 1 of 3 steps are done and kept; run the same command to go on" in said.splitlines()[-1]
    assert (project.root / "cleaned").exists() is (mark == CLEANS)
    assert all_gone(project)
    assert " interrupted " in project.treadle("runs").stdout


def test_a_killed_scheduler_takes_its_steps_along_and_is_shown_as_interrupted(project: Project) -> None:
    process = start(project, DEAF)
    process.kill()
    process.communicate(timeout=60)
    assert all_gone(project)
    assert " interrupted " in project.treadle("runs").stdout
    assert project.treadle("show", "last", "--json").json()["status"] == "interrupted"
    project.write("go", "x")
    again = project.treadle("run", "pipeline.yaml")
    assert again.code == 0, again.stderr
    assert "2 ran, 1 unchanged" in again.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_goes_on_item_by_item(project: Project, number: signal.Signals) -> None:
    project.write(
        "pipeline.yaml",
        """
        version: 1
        steps:
          list: {uses: "work:numbers"}
          items: {uses: "work:item", foreach: list, in: {n: list}}
          total: {uses: "work:total", in: {all: items}}
        """,
    ).write(
        "work.py",
        """
        import time


        def numbers() -> list:
            return list(range(60))


        def item(n):
            time.sleep(0.03)
            with open("calls", "a") as file:
                file.write(f"{n}\\n")
            return n


        def total(all: list) -> list:
            return all
        """,
    )
    process = project.start("run", "pipeline.yaml", "-j", "2")
    limit = time.monotonic() + 60
    while not (project.root / "calls").exists() or project.read("calls").count("\n") < 25:
        assert time.monotonic() < limit
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate(timeout=60)
    if number == signal.SIGINT:
        shown = project.treadle("show", "last", "items", "--json").json()
        assert shown["fate"] == "cancelled"
        assert shown["items"]["run"] >= 20
    time.sleep(0.5)  # until the nursery of a killed run has ended its children
    before = project.read("calls").split()
    result = project.treadle("run", "pipeline.yaml")
    assert result.code == 0, result.stdout + result.stderr
    calls = project.read("calls").split()
    assert set(calls) == {str(n) for n in range(60)}
    # an item is repeated only when its batch, of some 0.3 s, had not come in
    assert len(calls) - 60 <= 4 if number == signal.SIGINT else len(calls) - 60 < len(before)


def test_a_killed_worker_costs_its_step_one_attempt(project: Project) -> None:
    project.write("work.py", WORK.replace("MARK", "pass"))
    project.write(
        "pipeline.yaml",
        PIPELINE.replace("in: {x: quick}}", "in: {x: quick}, retry: {times: 1, backoff: 10ms}}"),
    )
    process = project.start("run", "pipeline.yaml")
    wait_for(project.root / "pids")
    project.write("go", "x")
    os.kill(int(project.read("pids").split()[0]), signal.SIGKILL)
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 0, stdout
    step = project.treadle("show", "last", "slow", "--json").json()
    assert step["attempts"] == 2
    assert all_gone(project)
