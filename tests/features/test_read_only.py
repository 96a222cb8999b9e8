"""A project that may be read and not written: somebody else's, mounted so, archived. Who only reads is answered."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
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
READ += [["show"], ["show", "last", "train", "--json"], ["logs", "train"], ["data", "shop.yaml", "data.raw"]]
READ += [["models", "show", "demand"], ["models", "diff", "demand/1", "demand/2"], ["ledger", "why", "demand"]]
WRITE = [["run", "shop.yaml", "-p", "n=7"], ["run", "shop.yaml", "--force", "shell"], ["watch", "shop.yaml"]]
WRITE += [["runs", "tag", "last", "new"], ["models", "promote", "demand", "1"], ["cache", "gc"], ["up", "shop.yaml"]]
REASONS = {
    "mount": "the file system is read-only; work on a copy of the project that you may write to",
    "permissions": "permission denied; make the project's folder writable for you, or work on a copy of it",
}
Said = tuple[list[str], int, str, str]  # a command, its exit code and what it printed
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


@pytest.fixture(scope="module")
def expected(made: Project, tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    """What the commands that only read say where writing is allowed."""
    project = copy(made, tmp_path_factory.mktemp("expected"))
    with left(project, "at rest"):
        found = words_of(project, Reader(project, []), reads(project))
    assert [code for _, code, _, _ in found] == [0] * len(READ)
    return found


@pytest.fixture
def shop(made: Project, tmp_path: Path) -> Project:
    return copy(made, tmp_path)


def copy(made: Project, folder: Path) -> Project:
    shutil.copytree(made.root, folder / "project", symlinks=True)
    return a_project(folder)


def reads(project: Project) -> list[list[str]]:
    old = runs(project)[1]
    return [[word.replace("RUN", old) for word in argv] for argv in READ]


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


def words_of(project: Project, reader: Reader, commands: list[list[str]]) -> list[Said]:
    """What commands say, without what time and place change."""
    ended = zip(commands, reader.all(commands), strict=True)
    return [(argv, done.code, plain(project, done.stdout), plain(project, done.stderr)) for argv, done in ended]


def plain(project: Project, text: str) -> str:
    return re.sub(r"(\d+[hm] )*[\d.]+ ?m?s ago|\"at\": [\d.]+", "<ago>", text.replace(str(project.root), "ROOT"))


@pytest.mark.parametrize(
    ("state", "way"),
    [("at rest", "mount"), ("in use", "mount"), ("crashed", "permissions"), ("archived", "permissions")],
)
def test_who_only_reads_is_answered_as_where_writing_is_allowed(
    shop: Project, expected: list[Said], state: str, way: str, record_property: Callable[[str, object], None]
) -> None:
    commands = reads(shop)
    with left(shop, state):
        before = listing(shop.root)
        with read_only(shop, way) as reader:
            assert words_of(shop, reader, commands) == expected
        assert listing(shop.root) == before
    record_property("commands", len(READ))


@pytest.mark.parametrize("way", WAYS)
def test_a_project_that_never_ran_is_answered_too(tmp_path: Path, way: str) -> None:
    project = a_project(tmp_path)
    for path, text in FILES.items():
        project.write(path, text)
    with read_only(project, way) as reader:
        found = words_of(project, reader, NEW)
        refused = reader.treadle("run", "shop.yaml")
    assert not (project.root / ".treadle").exists()
    assert found == words_of(project, Reader(project, []), NEW)
    assert [code for _, code, _, _ in found] == [0] * len(NEW)
    assert refused.code == 2
    refusal = f"{project.root}/.treadle cannot be written: {REASONS[way]}"
    assert refused.stderr == f"error: 'train' and 2 more would run, and {refusal}\n"


@pytest.mark.parametrize("way", WAYS)
def test_what_must_write_says_what_and_what_to_do(
    shop: Project, way: str, record_property: Callable[[str, object], None]
) -> None:
    before = listing(shop.root)
    with read_only(shop, way) as reader:
        ended = words_of(shop, reader, WRITE)
        locked = reader.treadle("run", "shop.yaml", "--locked", "-p", "n=7")
    assert listing(shop.root) == before
    for argv, code, stdout, stderr in ended:
        assert (code, stdout) == (2, ""), argv
        place, _, reason = stderr.rstrip("\n").rpartition(" would run, and ")[2].removeprefix("error: ").partition(": ")
        assert (place.removesuffix(" cannot be written"), reason) == (written(argv), REASONS[way]), argv
    assert locked.code == 3, "what differs from the lock needs nothing to be written"
    assert "param n" in locked.stderr
    record_property("commands", len(WRITE))


@pytest.mark.parametrize("way", WAYS)
def test_a_run_with_nothing_to_do_is_answered_and_not_recorded(shop: Project, way: str) -> None:
    before = listing(shop.root)
    with read_only(shop, way) as reader:
        ran, locked = reader.all([["run", "shop.yaml", "--json"], ["run", "shop.yaml", "--locked", "-q"]])
        found = reader.treadle("runs", "list", "--ids")
    assert listing(shop.root) == before
    events = ran.events()
    assert [(event["event"], event.get("text", "")) for event in events if "step" not in event["event"]] == [
        ("run_started", ""),
        ("notice", f"this run is not recorded: {shop.root}/.treadle/state.db cannot be written: {REASONS[way]}"),
        ("run_finished", ""),
    ]
    assert events[-1]["fates"] == {"hit": 3}
    assert (ran.code, locked.code) == (0, 0)
    assert "nothing to do: 3 unchanged" in locked.stdout
    assert len(found.stdout.split()) == 2


def written(argv: list[str]) -> str:
    """What a command has to write first."""
    return "ROOT/.treadle/" + ("up-shop.lock" if argv[0] == "up" else "state.db")


@pytest.mark.parametrize("way", WAYS)
def test_a_value_is_taken_out_by_way_of_another_folder(shop: Project, tmp_path: Path, way: str) -> None:
    script = (
        "from treadle.api.runs import get_run, read_value\n"
        "path = read_value(get_run().steps['shell'].outputs['all'])\n"
        "print(path, path.read_text().split())\n"
    )
    with read_only(shop, way) as reader:
        done = reader.python(script)
        reported = reader.treadle("runs", "report", "last", "-o", str(tmp_path / "report.html"))
    place, _, text = done.stdout.partition(" ")
    assert (text, done.stderr) == ("['one', 'two']\n", "")
    assert not os.path.exists(place)
    assert reported.code == 0
    assert "shop" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_damage_is_told_where_it_cannot_be_mended(shop: Project) -> None:
    digest = shop.treadle("show", "last", "train", "--json").json()["outputs"]["out"]["digest"]
    place = shop.root / ".treadle" / "objects" / digest[:2] / digest[2:]
    place.chmod(0o644)
    place.write_bytes(place.read_bytes()[::-1])
    with read_only(shop, "permissions") as reader:
        verified, shown = reader.all([["cache", "verify"], ["show", "last", "train"]])
    assert verified.code == 1
    assert f"damaged: {digest}; left where it is\nnot whole: shop train\n" in verified.stdout
    assert verified.stdout.endswith(f"/state.db cannot be written: {REASONS['permissions']}\n")
    assert shown.code == 0
    assert place.exists()


def test_what_may_not_even_be_read_is_said(shop: Project) -> None:
    with read_only(shop, "permissions") as reader:
        (shop.root / ".treadle").chmod(0)
        found = reader.treadle("runs")
    assert found.code == 2
    reason = "permission denied; make the project's folder readable for you"
    assert found.stderr == f"error: {shop.root}/.treadle/state.db: {reason}\n"
