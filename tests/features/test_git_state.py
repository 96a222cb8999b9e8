"""The commit and the state of the project's tree in the record of a run."""

import subprocess
from pathlib import Path

import pytest

from support.project import Project, a_project
from treadle.api.git import Tree
from treadle.identity import commit

PIPELINE = """
    version: 1
    name: demo
    params: {n: 1}
    steps:
      one: {uses: "work:one", with: {n: "${params.n}"}}
"""


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def demo(tmp_path: Path) -> Project:
    project = a_project(tmp_path).write("p.yaml", PIPELINE).write("work.py", "def one(*, n: int):\n    return n\n")
    git(project.root, "init", "-q", "-b", "main")
    git(project.root, "add", "-A")
    git(project.root, "commit", "-q", "-m", "first")
    return project


def test_a_run_records_the_commit_and_whether_the_tree_had_changes(demo: Project) -> None:
    head = git(demo.root, "rev-parse", "HEAD")
    demo.treadle("run", "p.yaml", "-q")
    assert demo.treadle("runs", "show", "last", "--json").json()["git"] == head
    demo.write("work.py", "def one(*, n: int):\n    return n + 1\n")
    demo.treadle("run", "p.yaml", "-q")
    assert demo.treadle("runs", "show", "last", "--json").json()["git"] == head + "+"
    shown = demo.treadle("runs", "show", "last").stdout.splitlines()
    assert shown[-1] == f"commit {head[:12]} with changes that were not committed"
    listed = demo.treadle("runs", "list").stdout.splitlines()
    assert listed[0].split()[5] == "commit"
    assert f"{head[:8]}+" in listed[1]
    assert f"{head[:8]} " in listed[2]


def test_git_is_not_started_when_nothing_is_to_be_done(demo: Project) -> None:
    shim = demo.home / "bin"
    shim.mkdir()
    (shim / "git").write_text(f'#!/bin/sh\necho "$@" >> {demo.home}/asked\n')
    (shim / "git").chmod(0o755)
    env = {"PATH": f"{shim}:/usr/bin:/bin"}
    demo.treadle("run", "p.yaml", "-q", env=env)
    assert (demo.home / "asked").read_text() == "--no-optional-locks status --porcelain -- .\n"
    demo.treadle("run", "p.yaml", "-q", env=env)
    assert (demo.home / "asked").read_text().count("\n") == 1


def test_every_form_of_a_repository(demo: Project, tmp_path: Path) -> None:
    root = demo.root
    head = git(root, "rev-parse", "HEAD")
    assert commit(str(root)) == head
    git(root, "pack-refs", "--all")
    assert not (root / ".git" / "refs" / "heads" / "main").exists()
    assert commit(str(root)) == head
    (root / "below").mkdir()
    assert commit(str(root / "below")) == head
    git(root, "worktree", "add", "-q", "-b", "side", str(tmp_path / "tree"))
    git(tmp_path / "tree", "commit", "-q", "--allow-empty", "-m", "second")
    assert commit(str(tmp_path / "tree")) == git(tmp_path / "tree", "rev-parse", "HEAD") != head
    git(root, "checkout", "-q", "--detach")
    assert commit(str(root)) == head


def test_no_repository_and_no_commit(tmp_path: Path) -> None:
    assert commit(str(tmp_path)) == ""
    git(tmp_path, "init", "-q")
    assert commit(str(tmp_path)) == ""
    tree = Tree(str(tmp_path))
    assert not tree.dirty()  # it was not asked to look
    (tmp_path / "new").touch()
    tree.look()
    assert tree.dirty()
