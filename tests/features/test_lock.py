"""`treadle lock`, `--locked` and the merge driver, from outside and with real git."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.project import Project, clean_environment

PIPELINE = """
    version: 1
    params: {n: 3}
    data: {raw: {path: raw.txt}}
    steps:
      read: {uses: "work:read", in: {source: data.raw}}
      grow: {uses: "work:grow", in: {text: read}, with: {n: "${params.n}"}, gate: "length > 0"}
      copy: {run: "cp {in.text} {out.copy}", in: {text: grow.text}, out: {copy: copy.txt}}
"""
WORK = """
    from helpers import shout


    def read(source):
        return source.read_text().strip()


    def grow(text, *, n: int):
        return {"text": shout(text) * n, "metrics": {"length": len(text) * n}}
"""
HELPERS = """
    def shout(text):
        return text.upper()
"""
LOCK = "pipeline.lock.yaml"


@pytest.fixture
def chain(project: Project) -> Project:
    project.write("pipeline.yaml", PIPELINE.replace("gate:", "out: [text, metrics], gate:"))
    return project.write("work.py", WORK).write("helpers.py", HELPERS).write("raw.txt", "hello\n")


def lock(project: Project, *arguments: str) -> str:
    ran = project.treadle("run", "pipeline.yaml", "-q", *arguments)
    assert ran.code == 0, ran.stdout + ran.stderr
    made = project.treadle("lock", "pipeline.yaml", *arguments)
    assert made.code == 0, made.stdout + made.stderr
    return project.read(LOCK)


def test_nothing_is_written_while_a_step_is_not_known(chain: Project) -> None:
    result = chain.treadle("lock", "pipeline.yaml")
    assert result.code == 3
    assert result.stdout == (
        "pipeline.lock.yaml was not written: what these steps make is not known yet\n\n"
        "  read: no result has its key\n  grow: depends on read\n  copy: depends on grow\n\n"
        "run it first: treadle run pipeline.yaml\n"
    )
    assert not (chain.root / LOCK).exists()


def test_a_lock_is_the_same_whoever_wrote_it_whatever_the_order(chain: Project, tmp_path: Path) -> None:
    first = lock(chain)
    assert chain.treadle("lock", "pipeline.yaml").stdout == "pipeline.lock.yaml: 3 steps, unchanged\n"
    (chain.root / LOCK).unlink()
    head, _, steps = PIPELINE.replace("gate:", "out: [text, metrics], gate:").partition("    steps:\n")
    read, grow, copy = steps.strip("\n").splitlines()[:3]
    chain.write("pipeline.yaml", f"{head}    steps:\n{copy}\n{grow}\n{read}\n")
    assert chain.treadle("lock", "pipeline.yaml").code == 0
    assert chain.read(LOCK) == first
    elsewhere = Project(tmp_path / "elsewhere", chain.home)
    shutil.copytree(chain.root, elsewhere.root, ignore=shutil.ignore_patterns(".treadle", LOCK))
    assert lock(elsewhere) == first
    for word in (str(tmp_path), os.uname().nodename, "created", "started"):
        assert word not in first


def test_locked_refuses_before_anything_runs_and_names_every_difference(chain: Project) -> None:
    lock(chain)
    assert chain.treadle("run", "pipeline.yaml", "--locked", "-q").code == 0
    chain.write("helpers.py", HELPERS.replace("upper", "lower")).write("raw.txt", "other\n")
    before = len(chain.treadle("runs", "--json").json())
    result = chain.treadle("run", "pipeline.yaml", "--locked", "-p", "n=4")
    assert (result.code, result.stdout) == (3, "")
    lines = result.stderr.splitlines()
    assert lines[0] == "error: pipeline.lock.yaml differs; nothing was run"
    assert "  read: input source changed" in lines
    assert any(line.startswith("  grow: code helpers") and line.endswith(" changed") for line in lines)
    assert "  grow: param n: 3 → 4" in lines
    assert not any("copy" in line for line in lines)  # it is as locked, if what it needs is
    assert len(chain.treadle("runs", "--json").json()) == before


def test_a_plan_with_a_lock_needs_neither_data_nor_cache(chain: Project) -> None:
    lock(chain)
    shutil.rmtree(chain.root / ".treadle")
    (chain.root / "raw.txt").unlink()
    arguments = ("plan", "pipeline.yaml", "--locked", "--json", "--detailed-exitcode")
    result = chain.treadle(*arguments)
    assert result.code == 0, result.stdout + result.stderr
    assert {step["step"]: step["fate"] for step in result.json()["steps"]} == dict.fromkeys(
        ("read", "grow", "copy"), "hit"
    )
    changed = chain.treadle(*arguments, "-p", "n=4")
    assert changed.code == 3
    assert {step["step"]: step["fate"] for step in changed.json()["steps"]} == {
        "read": "hit",
        "grow": "run",
        "copy": "wait",
    }
    assert changed.json()["differences"] == [
        {"step": "grow", "part": "param n", "before": "3", "after": "4", "text": "grow: param n: 3 → 4"}
    ]


def test_steps_that_came_or_went_differ(chain: Project) -> None:
    lock(chain)
    text = chain.read("pipeline.yaml").replace("  copy: {", "  other: {")
    chain.write("pipeline.yaml", text)
    result = chain.treadle("plan", "pipeline.yaml", "--locked")
    assert result.code == 3
    assert "  other: is not in the lock\n  copy: is in the lock, but not in the pipeline\n" in result.stdout


def test_a_step_that_makes_something_else_from_the_same_key_is_named_after_the_run(project: Project) -> None:
    project.write("pipeline.yaml", 'version: 1\nsteps:\n  dice: {uses: "work:dice"}\n')
    project.write("work.py", "import os\n\n\ndef dice():\n    return os.urandom(8).hex()\n")
    lock(project)
    assert project.treadle("run", "pipeline.yaml", "--locked", "-q").code == 0
    shutil.rmtree(project.root / ".treadle")
    result = project.treadle("run", "pipeline.yaml", "--locked", "-q")
    assert result.code == 3
    assert "what the run made is kept\n  dice: output out: " in result.stderr
    assert "the step is not deterministic" in result.stderr


def test_a_step_without_cache_is_locked_by_its_last_run(project: Project) -> None:
    project.write(
        "pipeline.yaml",
        'version: 1\nsteps:\n  a: {uses: "work:a", cache: false}\n  b: {uses: "work:b", in: {x: a}}\n',
    )
    project.write("work.py", "def a():\n    return 1\n\n\ndef b(x):\n    return x + 1\n")
    assert "  a:\n    key:" in lock(project)
    assert project.treadle("run", "pipeline.yaml", "--locked", "-q").code == 0


def test_a_lock_that_is_not_there_or_not_one(chain: Project) -> None:
    missing = chain.treadle("run", "pipeline.yaml", "--locked")
    assert (missing.code, "treadle lock pipeline.yaml" in missing.stderr) == (2, True)
    chain.write(LOCK, "version: 1\nsteps: {read: {key: abc}}\n")
    bad = chain.treadle("run", "pipeline.yaml", "--locked")
    assert bad.code == 2
    assert f"{LOCK}:2:21" in bad.stderr
    assert "make it anew: treadle lock pipeline.yaml" in bad.stderr
    assert "no-pipeline" in chain.treadle("lock").stderr


# merging, with real git


def git(project: Project, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments],
        cwd=project.root,
        env={**clean_environment(project.home), "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


STEPS = """
    version: 1
    steps:
      a: {{uses: "work:one", with: {{x: {a}}}}}
      b: {{uses: "work:one", with: {{x: {b}}}}}
      c: {{uses: "work:one", with: {{x: {c}}}}}
"""


@pytest.fixture
def repository(project: Project) -> Project:
    project.write("work.py", "def one(*, x: int):\n    return x\n").write(".gitignore", ".treadle/\n__pycache__/\n")
    git(project, "init", "-q", "-b", "main")
    return project


def commit(project: Project, **values: int) -> None:
    project.write("pipeline.yaml", STEPS.format(**{"a": 1, "b": 1, "c": 1, **values}))
    lock(project)
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "a change")


def branches(project: Project, ours: dict[str, int], theirs: dict[str, int]) -> None:
    """Two branches from one lock; ours is checked out."""
    commit(project)
    git(project, "checkout", "-q", "-b", "theirs")
    commit(project, **theirs)
    git(project, "checkout", "-q", "main")
    commit(project, **ours)


@pytest.mark.parametrize("driver", [True, False], ids=["with the driver", "with git alone"])
def test_branches_that_changed_different_steps_merge(repository: Project, driver: bool) -> None:
    if driver:
        assert repository.treadle("lock", "--install-merge-driver").code == 0
        repository.treadle("lock", "--install-merge-driver")
        assert repository.read(".gitattributes") == "*.lock.yaml merge=treadle-lock\n"
    branches(repository, {"a": 2}, {"c": 3})
    git(repository, "merge", "-q", "--no-edit", "theirs")
    merged = repository.read(LOCK)
    assert lock(repository) == merged
    assert repository.treadle("run", "pipeline.yaml", "--locked", "-q").code == 0


def test_neighbours_merge_with_the_driver_where_lines_touch(repository: Project) -> None:
    repository.treadle("lock", "--install-merge-driver")
    commit(repository)
    text = repository.read(LOCK)
    whole = text[text.index("  a:") : text.index("  b:")]
    git(repository, "checkout", "-q", "-b", "theirs")
    repository.write(LOCK, text.replace("  b:\n", whole.replace("  a:\n", "  a2:\n") + "  b:\n"))
    git(repository, "commit", "-q", "-a", "-m", "theirs")
    git(repository, "checkout", "-q", "main")
    repository.write(LOCK, text.replace("  b:\n", whole.replace("  a:\n", "  a1:\n") + "  b:\n"))
    git(repository, "commit", "-q", "-a", "-m", "ours")
    git(repository, "merge", "-q", "--no-edit", "theirs")
    names = [line for line in repository.read(LOCK).splitlines() if line.startswith("  ") and line[2] != " "]
    assert names[-5:] == ["  a:", "  a1:", "  a2:", "  b:", "  c:"]
    git(repository, "config", "--remove-section", "merge.treadle-lock")
    git(repository, "reset", "-q", "--hard", "HEAD~1")
    assert "CONFLICT" in git(repository, "merge", "theirs", code=1)  # what the driver is for


def test_both_changed_the_same_step(repository: Project) -> None:
    repository.treadle("lock", "--install-merge-driver")
    branches(repository, {"b": 2}, {"b": 3, "c": 3})
    said = git(repository, "merge", "theirs", code=1)
    assert "conflict in pipeline.lock.yaml: both branches changed b\n" in said
    assert "treadle run pipeline.yaml && treadle lock pipeline.yaml" in said
    assert repository.read(LOCK).count("<<<<<<< ours") == 1
    repository.write("pipeline.yaml", STEPS.format(a=1, b=2, c=3))
    refused = repository.treadle("run", "pipeline.yaml", "--locked")
    assert (refused.code, "lock-in-conflict" in refused.stderr) == (2, True)
    lock(repository)
    assert repository.treadle("run", "pipeline.yaml", "--locked", "-q").code == 0


def test_the_driver_outside_of_a_repository(project: Project) -> None:
    result = project.treadle(
        "lock", "--install-merge-driver", env={"GIT_CEILING_DIRECTORIES": str(project.root.parent)}
    )
    assert (result.code, "no-git" in result.stderr) == (2, True)
