"""A project that may be read and not written: somebody else's, mounted so, archived. Who only reads is answered."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.project import Project, a_project, clean_environment
from support.read_only import WAYS, Reader, listing, read_only

FILES = {
    "shop.yaml": """
        version: 1
        name: shop
        params: {n: 1}
        data: {raw: {path: "raw/*.txt"}}
        steps:
          train: {uses: "work:train", in: {source: data.raw}, with: {n: "${params.n}"}}
          deploy: {uses: "work:deploy", in: {model: train}}
          shell: {run: "cat {in.raw} > {out.all}", in: {raw: data.raw}, out: {all: all.txt}, save: {all: all.txt}}
    """,
    "work.py": """
        from treadle.authoring import ModelCard


        def train(source, *, n: int):
            print("training")
            return {"weight": n, "text": "".join(path.read_text() for path in sorted(source))}


        def deploy(model: dict) -> ModelCard:
            field = {"name": "x", "dtype": "double"}
            return ModelCard(
                "demand", estimator="a.table", metrics={"mae": 1 / model["weight"]},
                signature={"inputs": [field], "outputs": []}, example=[{"x": 1.0}], requirements={"numpy": "2.0"},
                importance={"x": 1.0},
            )
    """,
    "raw/a.txt": "one\n",
    "raw/b.txt": "two\n",
}
NEW = [["check"], ["plan", "shop.yaml"], ["plan", "shop.yaml", "--json"], ["explain", "shop.yaml", "train"]]
NEW += [["graph", "shop.yaml"], ["runs"], ["runs", "list", "--json"], ["data", "shop.yaml"], ["models", "list"]]
NEW += [["ledger", "list"], ["ledger", "verify"], ["cache", "stats"], ["cache", "verify"], ["cache", "gc", "--plan"]]
NEW += [["status"], ["status", "--json"], ["steps"], ["schema", "pipeline"]]
READ = [*NEW, ["plan", "shop.yaml", "--locked"], ["plan", "shop.yaml", "-p", "n=7"], ["lock", "shop.yaml"]]
READ += [["runs", "compare", "RUN", "last"], ["runs", "best", "train.weight"], ["runs", "list", "--tag", "good"]]
READ += [["show"], ["show", "last", "train", "--json"], ["logs", "train"], ["data", "shop.yaml", "raw"]]
READ += [["data", "diff", "train@RUN", "train@last"], ["models", "show", "demand"], ["models", "diff", "demand/1", "demand/2"]]
READ += [["ledger", "why", "demand"]]
WRITE = [["run", "shop.yaml"], ["run", "shop.yaml", "--locked"], ["watch", "shop.yaml"], ["runs", "tag", "last", "new"]]
WRITE += [["models", "promote", "demand", "1"], ["cache", "gc"], ["up", "shop.yaml"]]
KEEP = """
import sys
from treadle.store import open_store
store = open_store(".")
store.tags.add(sys.argv[1], "good")
print("written", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = a_project(tmp_path_factory.mktemp("made"), {})
    for path, text in FILES.items():
        project.write(path, text)
    for words in (["run", "shop.yaml", "-p", "n=2"], ["run", "shop.yaml"], ["lock", "shop.yaml"]):
        assert project.treadle(*words).code == 0
    return project


@pytest.fixture
def shop(made: Project, tmp_path: Path) -> Project:
    shutil.copytree(made.root, tmp_path / "project", symlinks=True)
    return a_project(tmp_path)


def runs(project: Project) -> list[str]:
    return project.treadle("runs", "list", "--ids").stdout.split()


@contextmanager
def left(project: Project, state: str) -> Iterator[None]:
    """The last run has the tag `good`; the process that put it there goes on, was killed, or has ended."""
    words = [sys.executable, "-P", "-c", KEEP, runs(project)[0]]
    with subprocess.Popen(
        words, cwd=project.root, env=clean_environment(project.home), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        if state == "at rest":
            process.communicate()
        elif state != "in use":
            process.kill()
            process.wait()
        tails = {name.removeprefix("state.db") for name in os.listdir(project.root / ".treadle")} & {"-wal", "-shm"}
        assert tails == (set() if state == "at rest" else {"-wal", "-shm"})
        if state == "archived":
            (project.root / ".treadle" / "state.db-shm").unlink()
        try:
            yield
        finally:
            process.kill()


def words_of(reader: Reader, commands: list[list[str]]) -> list[tuple[list[str], int, str, str]]:
    """What commands say, without what time changes."""
    ended = zip(commands, reader.all(commands), strict=True)
    return [
        (argv, done.code, re.sub(r"[\d.]+ ?m?s ago|\"(at|age)\": [\d.]+", "<ago>", done.stdout), done.stderr)
        for argv, done in ended
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("state", ["at rest", "in use", "crashed", "archived"])
def test_who_only_reads_is_answered_as_where_writing_is_allowed(shop: Project, state: str, way: str) -> None:
    old = runs(shop)[1]
    commands = [[word.replace("RUN", old) for word in argv] for argv in READ]
    with left(shop, "at rest"):
        expected = words_of(Reader(shop, []), commands)
    assert [code for _, code, _, _ in expected] == [0] * len(commands)
    with left(shop, state):
        before = listing(shop.root)
        with read_only(shop, way) as reader:
            assert words_of(reader, commands) == expected
        assert listing(shop.root) == before
