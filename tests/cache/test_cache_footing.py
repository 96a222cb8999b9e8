"""What the last run stood on is a shorter way to the same keys: it must end where its ground has moved."""

import os
from pathlib import Path

import pytest

from support.project import Project
from treadle.api import pipelines
from treadle.api.compiled import Request
from treadle.run import decide, keys

WORK = """
import os
from pathlib import Path

def one(a): return Path(a).read_text().strip()
def two(x, b): return x + Path(b).read_text().strip()
def three(x): return x + "3"
def named(*, what: str): return Path(what).read_text() if os.path.isfile(what) else ""
def drawn(): return os.urandom(8).hex()
"""
PLAN = """
version: 1
name: plan
data: {a: {path: a.txt}, b: {path: b.txt}}
steps:
  one: {uses: work:one, in: {a: data.a}}
  two: {uses: work:two, in: {x: one, b: data.b}}
  three: {uses: work:three, in: {x: two}}
  told: {run: "cat notes.txt > {out.o} || true", out: {o: o.txt}}
  named: {uses: work:named, with: {what: rates.txt}}
  drawn: {uses: work:drawn}
  after: {uses: work:three, in: {x: drawn}}
"""


@pytest.fixture
def own(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    (project.root / "work.py").write_text(WORK)
    (project.root / "plan.yaml").write_text(PLAN)
    put(project, a="a1", b="b1")
    monkeypatch.chdir(project.root)
    return project


def put(project: Project, **texts: str) -> None:
    for name, text in texts.items():
        (project.root / f"{name}.txt").write_text(text + "\n")


def ran(*targets: str, path: str = "plan.yaml", force: tuple[str, ...] = ()) -> set[str]:
    request = Request(executor="inline", targets=targets, force=force)
    record = pipelines.run(path, request)
    assert record.status == "ok", [step.failure for step in record.steps.values() if step.failure]
    return {name for name, step in record.steps.items() if step.fate == "run"}


def value(step: str) -> object:
    record = pipelines.run("plan.yaml", Request(executor="inline"))
    return Path(
        os.path.join(".treadle", "objects", (d := record.steps[step].outputs["out"].digest)[:2], d[2:])
    ).read_text()


def test_keys_are_made_only_for_what_moved(own: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    long_way = keys.step_key

    def counted(step: decide.PlannedStep, *rest: object, **more: object) -> object:
        made.append(step.id)
        return long_way(step, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(keys, "step_key", counted)
    ran()
    assert len(made) == 7
    made.clear()
    put(own, b="b2")
    assert ran() == {"two", "three"}
    assert made == ["two", "three"]
    made.clear()
    swap(own, "work.py", 'x + "3"', 'x + "4"')
    assert ran() == {"three", "after"}
    assert set(made) == {"three", "after"}
    made.clear()
    swap(own, "plan.yaml", "name: plan", "name: plan\n# a word")
    assert ran() == set()
    assert len(made) == 7  # places in the file have changed: another plan


def swap(project: Project, path: str, old: str, new: str) -> None:
    text = (project.root / path).read_text()
    assert old in text
    (project.root / path).write_text(text.replace(old, new))


def test_a_word_that_named_nothing_may_name_a_file(own: Project) -> None:
    ran()
    put(own, a="a2")
    assert ran() == {"one", "two", "three"}
    put(own, notes="now it is there")
    assert ran() == {"told"}
    put(own, rates="1")
    assert ran() == {"named"}
    put(own, rates="2")
    assert ran() == {"named"}
    (own.root / "rates.txt").unlink()
    assert ran() == set()  # as in the beginning
    (own.root / "rates.txt").mkdir()
    assert ran() == set()


def test_a_folder_that_was_named_may_become_a_file(own: Project) -> None:
    (own.root / "rates.txt").mkdir()
    ran()
    put(own, a="a2")
    assert ran() == {"one", "two", "three"}
    (own.root / "rates.txt").rmdir()
    put(own, rates="1")
    assert ran() == {"named"}


def test_there_and_back_again(own: Project) -> None:
    ran()
    first = value("three")
    put(own, a="a2")
    ran()
    second = value("three")
    put(own, a="a1")
    assert ran() == set()
    assert value("three") == first  # whose keys are not those of the newest results
    put(own, b="b2")
    assert ran() == {"two", "three"}
    put(own, b="b1")
    assert value("three") == first
    put(own, a="a2")
    assert value("three") == second


def test_a_step_whose_upstream_went_back_and_forth_without_it(own: Project) -> None:
    """The newest result of `two` was made of a1, that of `one` is of a2."""
    ran()
    put(own, a="a2")
    assert ran("one") == {"one"}
    put(own, a="a1")
    assert ran() == set()
    put(own, a="a2")
    assert ran() == {"two", "three"}


def test_another_pipeline_makes_the_same_key_anew(own: Project) -> None:
    ran()
    (own.root / "other.yaml").write_text("version: 1\nname: other\nsteps:\n  drawn: {uses: work:drawn}\n")
    assert ran(path="other.yaml") == set()
    assert ran(path="other.yaml", force=("drawn",)) == {"drawn"}
    assert ran() == {"after"}


def test_a_step_that_has_to_run_again_moves_those_below(own: Project) -> None:
    ran()
    assert ran(force=("drawn",)) == {"drawn", "after"}
    assert ran() == set()
    digest = pipelines.run("plan.yaml", Request(executor="inline")).steps["drawn"].outputs["out"].digest
    (own.root / ".treadle" / "objects" / digest[:2] / digest[2:]).unlink()
    assert ran() == {"drawn", "after"}


def test_a_moved_project_looks_anew(own: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran()
    put(own, notes="elsewhere")
    moved = own.root.rename(own.root.with_name("moved"))
    monkeypatch.chdir(moved)
    assert ran() == {"told"}


def test_what_the_stamp_of_a_short_way_covers(own: Project) -> None:
    """A run that decided nothing the long way leaves a stamp which knows of every word that named nothing."""
    for path in own.root.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    run = ("run", "plan.yaml", "-q")
    for _ in range(2):
        assert own.treadle(*run).code == 0
    put(own, notes="now it is there")
    assert "1 ran" in own.treadle(*run).stdout
