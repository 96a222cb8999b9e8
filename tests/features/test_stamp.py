"""A run with nothing to do is answered from a stamp, as long as every single thing its decisions looked at stands."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from support.project import Project, a_project, clean_environment

PIPELINE = """
    version: 1
    params: {factor: 2}
    data:
      one: {path: in/one.txt}
      many: {path: "in/part-*.txt"}
      deep: {path: "in/*/deep.txt"}
      all: {path: folder}
    steps:
      first: {uses: "work:first", in: {one: data.one, many: data.many}, with: {factor: "${params.factor}"}}
      second: {uses: "work:second", in: {value: first, deep: data.deep, all: data.all}, with: {word: "${env.WORD}"}}
      third: {run: "sh tool.sh {in.value} {out.copy}", in: {value: second}, out: {copy: c.txt}, save: {copy: kept.txt}}
      old: {uses: "work:old", cache: {ttl: 1h}}
      odd: {uses: "work:old", if: "params.factor > 5"}
"""
WORK = """
    from pathlib import Path

    import helper


    def first(one: Path, many: list[Path], *, factor: int) -> dict[str, int]:
        return {"size": factor * sum(len(path.read_text()) for path in [one, *many])}


    def second(value: dict[str, int], deep: list[Path], all: Path, *, word: str) -> str:
        names = sorted(path.name for path in all.iterdir())
        return f"{value} {word} {names} {[path.read_text() for path in deep]} {helper.text()}"


    def old() -> int:
        return 1
"""
FILES = {
    "pipeline.yaml": PIPELINE,
    "work.py": WORK,
    "helper.py": "def text() -> str:\n    return open('words.txt').read()\n",
    "words.txt": "words",
    "tool.sh": 'cp "$1" "$2"\n',
    "in/one.txt": "one",
    "in/part-1.txt": "part",
    "in/sub/deep.txt": "deep",
    "folder/a.txt": "a",
    "notes/yesterday.md": "rain",
}
ENV = {"WORD": "hello"}
WORDS = ("pipeline.yaml", "-q")
LOOP = """
import os, sys
from treadle.cli.again import again
from treadle.cli.main import command
for root in sys.stdin.read().split("\\n"):
    os.chdir(root)
    if sys.argv[1] == "again":
        print(again(sys.argv[2:]))
    else:
        assert command(sys.argv[1:]) == 0, root
"""


def in_each(roots: list[Path], *words: str, env: dict[str, str] | None = None) -> list[str]:
    """One process that goes through projects: `run …` runs the command, `again …` asks for the stamp alone."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOOP, *words],
        input="\n".join(map(str, roots)),
        env=clean_environment(roots[0], {**ENV, **(env or {})}),
        text=True,
        capture_output=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line in ("True", "False")]


def at_rest(roots: list[Path]) -> None:
    """As if nothing had changed for some time; ctime cannot be set, so time has to pass."""
    paths = [path for root in roots for path in (root, *root.rglob("*")) if ".treadle" not in path.parts]
    time.sleep(max(0.0, max(path.stat().st_ctime for path in paths) + 2.1 - time.time()))


def stamped(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """Equal projects by name, in each of which a run with nothing to do has left its stamp."""
    roots = {}
    for number, name in enumerate(names):
        own = folder / str(number)
        own.mkdir()
        roots[name] = a_project(own, FILES).root
    in_each(list(roots.values()), "run", *WORDS)
    at_rest(list(roots.values()))
    in_each(list(roots.values()), "run", *WORDS)
    return roots


def touch(path: str) -> Callable[[Path], None]:
    """Other content of the same size, with the times put back."""

    def change(root: Path) -> None:
        place = root / path
        before = place.stat()
        place.write_text(place.read_text().replace("e", "E", 1))
        os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert place.stat().st_size == before.st_size

    return change


def add(path: str, text: str = "more") -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    return change


def remove(path: str) -> Callable[[Path], None]:
    return lambda root: shutil.rmtree(root / path) if (root / path).is_dir() else (root / path).unlink()


def objects(root: Path) -> list[Path]:
    return sorted(path for path in (root / ".treadle" / "objects").rglob("*") if path.is_file())


def lose_object(root: Path) -> None:
    objects(root)[0].unlink()


def damage_object(root: Path) -> None:
    os.chmod(objects(root)[0], 0o644)
    objects(root)[0].write_bytes(b"x" * 1000)


def on_database(sql: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        connection = sqlite3.connect(root / ".treadle" / "state.db")
        with connection:
            connection.execute(sql)
        connection.close()

    return change


CHANGES: dict[str, Callable[[Path], None]] = {
    "the pipeline": touch("pipeline.yaml"),
    "the step's code": touch("work.py"),
    "code that it imports": touch("helper.py"),
    "a file that the code names": touch("words.txt"),
    "a script of a command": touch("tool.sh"),
    "a data file": touch("in/one.txt"),
    "a file of a pattern": touch("in/part-1.txt"),
    "one more file for a pattern": add("in/part-2.txt"),
    "one more folder for a pattern": add("in/other/deep.txt"),
    "one more file in a folder": add("folder/deep/er.txt"),
    "one file less in a folder": remove("folder/a.txt"),
    "a module that hides a file": add("helper/__init__.py", "def text() -> str:\n    return 'else'\n"),
    "settings": add("treadle.toml", 'environment = "off"\n'),
    "a nearer root": add("pyproject.toml", "[tool.treadle]\njobs = 1\n"),
    "a lost object": lose_object,
    "an object of another size": damage_object,
    "a lost copy": remove("kept.txt"),
    "a changed copy": touch("kept.txt"),
    "a forgotten result": on_database("DELETE FROM results WHERE step = 'first'"),
    "a replaced result": on_database("UPDATE results SET created = created + 1"),
    "forgotten history": on_database("DELETE FROM walks"),
    "a newer database": on_database("DELETE FROM generation"),
    "no database": remove(".treadle/state.db"),
    "no objects": remove(".treadle/objects"),
}


HARMLESS: dict[str, Callable[[Path], None]] = {
    "nothing": lambda root: None,
    "a file that is not looked at": add("notes/today.md"),
    "another run's records": on_database("UPDATE runs SET beat = beat + 1"),
}


def test_whatever_a_decision_looked_at_ends_the_stamp_and_nothing_else(tmp_path: Path) -> None:
    changes = {**CHANGES, **HARMLESS}
    roots = stamped(tmp_path, changes)
    assert in_each(list(roots.values()), "again", *WORDS) == ["True"] * len(roots)
    for name, root in roots.items():
        changes[name](root)
    answers = dict(zip(roots, in_each(list(roots.values()), "again", *WORDS), strict=True))
    assert {name for name, answer in answers.items() if answer == "True"} == set(HARMLESS)


def test_only_the_same_question_has_the_same_answer(tmp_path: Path) -> None:
    root = stamped(tmp_path, ["one"])["one"]
    project = Project(root, tmp_path)

    def loaded(*words: str, word: str = "hello") -> set[str]:
        """What of the engine a command loads that a stamp would spare."""
        result = project.treadle("run", *words, env={"WORD": word, "PYTHONPROFILEIMPORTTIME": "1"})
        assert result.code == 0, result.stderr
        return {name for name in ("treadle.run.decide", "msgspec", "argparse") if f" {name}\n" in result.stderr}

    everything = {"treadle.run.decide", "msgspec", "argparse"}
    assert loaded(*WORDS) == set()
    for words in (["-p", "factor=3"], ["--force", "old"], ["first"], ["--only", "first"], ["--json"]):
        assert loaded("pipeline.yaml", *words) == everything, words
    assert loaded(*WORDS, word="bye") == everything


def test_the_answer_is_that_of_the_long_way(tmp_path: Path) -> None:
    root = stamped(tmp_path, ["one"])["one"]
    project = Project(root, tmp_path)
    long = project.treadle("run", "pipeline.yaml", env=ENV)  # leaves the stamp of this command line
    short = project.treadle("run", "pipeline.yaml", env={**ENV, "PYTHONPROFILEIMPORTTIME": "1"})
    assert "msgspec" not in short.stderr
    lasting = [result.stdout.partition(" in ")[0] for result in (long, short)]
    assert lasting[0] == lasting[1]
    assert "4 unchanged, 1 skipped" in lasting[0]
    shown = [project.treadle("show", str(run["run_id"]), "--json", env=ENV).json() for run in runs(project)[:2]]
    for record in shown:
        assert record.pop("finished") >= record.pop("started") > 0
        del record["run_id"]
    assert shown[0] == shown[1]


def runs(project: Project) -> list[dict[str, object]]:
    found: list[dict[str, object]] = project.treadle("runs", "--json", env=ENV).json()
    return found


def many(count: int) -> dict[str, str]:
    """A pipeline of so many steps, some with a stage, two that stand alone with metrics."""
    steps = [
        f'  s{n}: {{uses: "work:made", with: {{n: {n}}}{", stage: late" if n % 3 else ""}}}' for n in range(count - 2)
    ]
    steps += [f'  {name}: {{uses: "work:metrics"}}' for name in ("first", "second")]
    code = (
        "def made(*, n: int) -> int:\n    return n\n\n\ndef metrics() -> dict[str, float]:\n    return {'mae': 0.5}\n"
    )
    return {"pipeline.yaml": "\n".join(["version: 1", "steps:", *steps]) + "\n", "work.py": code}


def test_many_steps_are_told_in_the_same_words(tmp_path: Path) -> None:
    for count in (50, 100):
        folder = tmp_path / str(count)
        folder.mkdir()
        project = a_project(folder, many(count))
        assert project.treadle("run", "pipeline.yaml", "-q", "--executor", "inline").code == 0
        at_rest([project.root])
        long = project.treadle("run", "pipeline.yaml")
        short = project.treadle("run", "pipeline.yaml", env={"PYTHONPROFILEIMPORTTIME": "1"})
        assert "msgspec" not in short.stderr
        shown = [result.stdout.rpartition("(")[0] for result in (long, short)]
        assert shown[0] == shown[1]
        assert f"nothing to do: {count} unchanged" in shown[0]
        assert ("late" in shown[0]) == (count > 60)
