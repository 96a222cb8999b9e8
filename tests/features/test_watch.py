"""`treadle watch` from outside: a real process, and the ways in which real editors write files."""

import json
import os
import queue
import shutil
import signal
import subprocess
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.project import Project

PIPELINE = """
    version: 1
    params: {n: 3}
    data:
      raw: {path: raw.txt}
      parts: {path: "parts/**/*.txt"}
    steps:
      read: {uses: "work:read", in: {source: data.raw}}
      score: {uses: "work:score", in: {text: read}, with: {times: "${params.n}", words: words.json}}
      total: {uses: "package.sums:total", in: {files: data.parts}}
"""
WORK = """
    import json
    from pathlib import Path


    def read(source: Path) -> str:
        return source.read_text().strip()


    def score(text: str, *, times: int, words: str) -> dict:
        return {"mae": len(text) * times + len(json.loads(Path(words).read_text()))}
"""
SUMS = """
    def total(files) -> int:
        return sum(len(file.read_text()) for file in files)
"""
PATIENCE = 60.0


class Watch:
    """A running `treadle watch --json`; `turn()` is the next event."""

    def __init__(self, project: Project, *arguments: str) -> None:
        self.process = project.start("watch", "pipeline.yaml", "--json", *arguments)
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def turn(self) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=PATIENCE)
        except queue.Empty:
            self.process.kill()
            raise AssertionError(f"no turn came\n{self.process.stderr and self.process.stderr.read()}") from None
        assert line, f"it ended\n{self.process.stderr and self.process.stderr.read()}"
        return dict(json.loads(line))

    def until(self, *changed: str) -> list[dict[str, Any]]:
        """Turns up to one that is no longer stopped by more changes, and between them told of all of these."""
        turns = [self.turn()]
        while turns[-1]["status"] == "superseded" or not {*changed} <= {c for t in turns for c in t["changed"]}:
            turns.append(self.turn())
        return turns

    def quiet(self) -> bool:
        return self._lines.empty()

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")


@pytest.fixture
def chain(project: Project) -> Project:
    project.write("pipeline.yaml", PIPELINE).write("work.py", WORK).write("package/sums.py", SUMS)
    project.write("words.json", "[1, 2]").write("parts/a/1.txt", "one")
    return project.write("raw.txt", "hello\n")


@pytest.fixture
def start() -> Iterator[Callable[..., Watch]]:
    started: list[Watch] = []

    def begin(project: Project, *arguments: str) -> Watch:
        started.append(Watch(project, *arguments))
        return started[-1]

    yield begin
    for watch in started:
        with watch.process as process:
            if process.poll() is None:
                process.kill()
                os.killpg(process.pid, signal.SIGKILL)


Start = Callable[..., Watch]


# the ways in which editors save


def in_place(path: Path, text: str) -> None:
    with open(path, "r+", encoding="utf-8") as file:
        file.truncate()
        file.flush()
        file.write(text)


def rename_over(path: Path, text: str) -> None:
    """VS Code with atomic saves, gedit, JetBrains' safe write, sed -i."""
    part = path.with_name(f".{path.name}.tmp12345")
    part.write_text(text)
    os.replace(part, path)


def vim(path: Path, text: str) -> None:
    """A swap file, a test whether the folder can be written, a backup, the file anew, the backup gone."""
    swap = path.with_name(f".{path.name}.swp")
    swap.write_bytes(b"b0VIM")
    probe = path.with_name("4913")
    probe.touch()
    probe.unlink()
    backup = path.with_name(path.name + "~")
    os.rename(path, backup)
    path.write_text(text)
    os.chmod(path, 0o644)
    backup.unlink()
    swap.unlink()


def emacs(path: Path, text: str) -> None:
    """An auto-save file, a lock that is a dangling link, a backup that stays."""
    auto = path.with_name(f"#{path.name}#")
    auto.write_text(text)
    lock = path.with_name(f".#{path.name}")
    os.symlink("me@here.1234", lock)
    backup = path.with_name(path.name + "~")
    os.rename(path, backup)
    path.write_text(text)
    lock.unlink()
    auto.unlink()


def link(path: Path, text: str) -> None:
    """A new file under a temporary name, the old one gone, the new one linked to its place."""
    part = path.with_name("tmpabc123")
    part.write_text(text)
    path.unlink()
    os.link(part, path)
    part.unlink()


def test_every_way_of_saving_is_one_turn(chain: Project, start: Start) -> None:
    watch = start(chain)
    first = watch.turn()
    assert (first["turn"], first["status"], sorted(first["ran"])) == (1, "ok", ["read", "score", "total"])
    code = chain.read("work.py")
    for number, save in enumerate((in_place, rename_over, vim, emacs, link)):
        save(chain.root / "work.py", code.replace("* times", f"* times + {number + 1}"))
        turns = watch.until("work.py")
        assert len(turns) == 1, save.__name__
        [turn] = turns
        assert turn["changed"] == ["work.py"], save.__name__
        assert "total" not in turn["ran"], save.__name__
        assert turn["metrics"] == {"score": {"mae": [17 + number, 18 + number]}}, save.__name__
    assert watch.quiet()
    assert watch.stop() == 0


def test_all_that_a_pipeline_depends_on_is_watched(chain: Project, start: Start) -> None:
    watch = start(chain)
    watch.turn()
    chain.write("raw.txt", "hello\n\n")
    assert watch.turn() | {"seconds": 0, "at": 0, "run_id": ""} == {
        "event": "turn_finished",
        "run_id": "",
        "at": 0,
        "turn": 2,
        "status": "ok",
        "seconds": 0,
        "changed": ["raw.txt"],
        "ran": ["read"],
        "cut_off": ["score"],
        "failed": [],
        "skipped": [],
        "unchanged": 2,
        "metrics": {},
        "problems": [],
    }
    chain.write("parts/b/c/2.txt", "two")
    assert watch.until("parts/b/c/2.txt")[-1]["ran"] == ["total"]
    chain.write("words.json", "[1, 2, 3]")
    turn = watch.turn()
    assert turn["changed"] == ["words.json"]
    chain.write("package/sums.py", SUMS.replace("sum(", "1 + sum("))
    assert watch.turn()["ran"] == ["total"]
    chain.write("pipeline.yaml", PIPELINE.replace("n: 3", "n: 4"))
    assert watch.turn()["ran"] == ["score"]


def test_new_code_is_watched_from_the_turn_in_which_it_is_used(chain: Project, start: Start) -> None:
    watch = start(chain, "read")
    assert watch.turn()["ran"] == ["read"]
    chain.write("fresh/names.py", "MARK = '!'\n")
    watch.until("fresh/names.py")
    chain.write("work.py", "from fresh.names import MARK\n\n\ndef read(source):\n    return MARK\n")
    turn = watch.until("work.py")[-1]
    # `score` is gone, so this is a mistake in the file; `read` alone was asked for, but a file is right or wrong
    assert turn["status"] == "invalid"
    chain.write("pipeline.yaml", PIPELINE.partition("      score:")[0])
    assert watch.until("pipeline.yaml")[-1]["ran"] == ["read"]
    chain.write("fresh/names.py", "MARK = '?'\n")
    assert watch.until("fresh/names.py")[-1]["ran"] == ["read"]


def test_a_mistake_is_told_and_waited_for(chain: Project, start: Start) -> None:
    watch = start(chain)
    watch.turn()
    chain.write("pipeline.yaml", PIPELINE.replace("uses", "usse"))
    turn = watch.turn()
    assert (turn["status"], turn["run_id"]) == ("invalid", "")
    assert any("usse" in problem for problem in turn["problems"])
    chain.write("pipeline.yaml", "steps: [")
    assert watch.turn()["status"] == "invalid"
    chain.write("pipeline.yaml", PIPELINE)
    turn = watch.turn()
    assert (turn["status"], turn["ran"], turn["unchanged"]) == ("ok", [], 3)


def test_a_file_that_begins_with_a_mistake_is_waited_for(chain: Project, start: Start) -> None:
    chain.write("pipeline.yaml", PIPELINE.replace("package.sums", "coming.soon"))
    watch = start(chain)
    assert watch.turn()["status"] == "invalid"
    chain.write("coming/soon.py", SUMS)
    assert watch.until("coming/soon.py")[-1]["ran"] == ["read", "score", "total"]


def test_a_folder_that_is_deleted_and_made_again_is_watched_again(chain: Project, start: Start) -> None:
    watch = start(chain)
    watch.turn()
    for number in (1, 2):
        shutil.rmtree(chain.root / "parts")
        turns = watch.until("parts/a/1.txt" if number == 1 else "parts/z/9.txt")
        assert turns[-1]["failed"] == ["total"]
        chain.write("parts/z/9.txt", "number" * number)
        assert watch.until("parts/z/9.txt")[-1]["ran"] == ["total"]
    shutil.rmtree(chain.root / "package")
    assert watch.until("package/sums.py")[-1]["status"] == "invalid"
    chain.write("package/sums.py", SUMS)
    assert watch.until("package/sums.py")[-1]["status"] == "ok"
    chain.write("package/sums.py", SUMS.replace("sum(", "2 + sum("))
    assert watch.until("package/sums.py")[-1]["ran"] == ["total"]


def test_a_checkout_of_thousands_of_files(chain: Project, start: Start) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=chain.root, check=True, capture_output=True, env=environment)

    environment = {"PATH": os.environ["PATH"], "HOME": str(chain.home), "GIT_CONFIG_NOSYSTEM": "1"}
    for name in ("user.name=a", "user.email=a@example.org"):
        git("init", "-q")
        git("config", *name.split("="))
    chain.write(".gitignore", ".treadle\n__pycache__\n")
    git("add", ".")
    git("commit", "-qm", "one")
    git("checkout", "-qb", "other")
    for number in range(5000):
        chain.write(f"parts/{number % 50}/{number}.txt", "x")
    chain.write("work.py", WORK.replace("* times", "* times + 1"))
    git("add", ".")
    git("commit", "-qm", "two")
    git("checkout", "-q", "-")
    watch = start(chain)
    watch.turn()
    git("checkout", "-q", "other")
    turns = watch.until("work.py", "parts/49/4999.txt")
    assert len(turns) <= 3
    assert {"total", "score"} <= {step for turn in turns for step in turn["ran"]}
    assert len(turns[-1]["changed"]) + sum(len(turn["changed"]) for turn in turns[:-1]) >= 5001
    git("checkout", "-q", "-")
    back = watch.until("work.py")
    assert back[-1]["ran"] == []  # the branch's results are still known
    assert back[-1]["unchanged"] == 3


SLOW = """
    import time
    from pathlib import Path


    def read(source):
        return source.read_text()


    def score(text, *, times, words):
        Path("began").touch()
        while not Path("go").exists():
            time.sleep(0.01)
        return {"mae": 1.0 * len(text)}
"""


BELOW = '      below: {uses: "work:below", in: {score: score}}\n'
MORE = """

    def below(score):
        return score["mae"] + 1
"""


def value(project: Project, step: str) -> Any:
    digest = project.treadle("show", "last", step, "--json").json()["outputs"]["out"]["digest"]
    return json.loads((project.root / ".treadle/objects" / digest[:2] / digest[2:]).read_text())


def await_file(path: Path) -> None:
    event = threading.Event()
    for _ in range(int(PATIENCE * 50)):
        if path.exists():
            return
        event.wait(0.02)
    raise AssertionError(f"{path} never came")


def test_a_run_that_is_superseded_is_stopped_and_what_finished_is_kept(chain: Project, start: Start) -> None:
    chain.write("work.py", SLOW)
    watch = start(chain)
    await_file(chain.root / "began")
    chain.write("words.json", "[]")
    assert watch.turn()["status"] == "superseded"
    (chain.root / "go").touch()
    turn = watch.until()[-1]
    assert turn["changed"] == ["words.json"]
    assert "read" not in turn["ran"]
    assert "score" in turn["ran"]


def test_a_run_goes_on_as_long_as_a_change_concerns_nothing_that_could_run(chain: Project, start: Start) -> None:
    """A step that takes hours is not begun anew for a comment, nor for a step below it."""
    pipeline = PIPELINE.replace('      total: {uses: "package.sums:total", in: {files: data.parts}}', BELOW)
    chain.write("work.py", SLOW + MORE).write("pipeline.yaml", pipeline)
    watch = start(chain)
    await_file(chain.root / "began")
    chain.write("pipeline.yaml", "# a comment\n" + textwrap.dedent(pipeline))
    chain.write("work.py", "# another\n" + textwrap.dedent(SLOW + MORE.replace("+ 1", "+ 2")))
    threading.Event().wait(0.5)  # much longer than a burst
    (chain.root / "go").touch()
    first, second = watch.turn(), watch.turn()
    assert first["status"] == "superseded"  # when `below` could have begun
    assert (second["status"], second["ran"], second["unchanged"]) == ("ok", ["below"], 2)
    assert value(chain, "below") == 8


def test_interrupting_a_run_stops_its_steps(chain: Project, start: Start) -> None:
    chain.write("work.py", SLOW.replace("touch()", "write_text(str(__import__('os').getpid()))", 1))
    watch = start(chain)
    await_file(chain.root / "began")
    assert watch.stop() == 130
    pid = int(chain.read("began") or 0)
    assert not Path(f"/proc/{pid}").exists()


def test_failures_are_shown_with_the_users_own_traceback(chain: Project, start: Start) -> None:
    with chain.start("watch", "pipeline.yaml") as process:
        assert process.stdout is not None
        assert "start: ran " in process.stdout.readline()
        chain.write("work.py", WORK.replace("text) * times", "text) * times / 0"))
        line = process.stdout.readline()
        assert "work.py changed: " in line
        assert "failed score" in line
        assert process.stdout.readline() == "failed: score: ZeroDivisionError: division by zero\n"
        seen = ""
        while "again:" not in seen:
            seen = process.stdout.readline()
        chain.write("work.py", WORK)
        assert "work.py changed: " in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def test_looking_instead_of_listening(chain: Project, start: Start) -> None:
    watch = start(chain, "--poll", "0.05")
    watch.turn()
    chain.write("raw.txt", "other\n")
    assert watch.turn()["changed"] == ["raw.txt"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("nowhere.yaml",), "there is no file nowhere.yaml"),
        (("pipeline.yaml", "reed"), "did you mean 'read'"),
        (("pipeline.yaml", "-p", "n"), "'n' is not of the form NAME=VALUE"),
    ],
)
def test_wrong_arguments_are_an_error_at_once(chain: Project, arguments: tuple[str, ...], text: str) -> None:
    result = chain.treadle("watch", *arguments)
    assert result.code == 2
    assert text in result.stderr
    assert "Traceback" not in result.stderr


def test_code_that_imports_another_library_gets_a_pool_that_has_it(chain: Project, start: Start) -> None:
    watch = start(chain)
    watch.turn()
    chain.write(
        "work.py", WORK.replace("import json", "import json\n    import yaml", 1).replace("text) *", "text) * 2 *")
    )
    turn = watch.turn()
    assert (turn["status"], turn["metrics"]) == ("ok", {"score": {"mae": [17, 32]}})


def test_steps_in_the_watching_process_itself_are_not_stale(chain: Project, start: Start) -> None:
    watch = start(chain, "--executor", "inline")
    watch.turn()
    for number in (1, 2):
        chain.write("work.py", WORK.replace("* times", f"* times + {number}"))
        assert watch.turn()["metrics"] == {"score": {"mae": [16 + number, 17 + number]}}
