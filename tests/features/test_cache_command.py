"""`treadle cache stats | gc | verify`, from outside."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from msgspec import structs

from support.project import Project, clean_environment
from treadle.store import open_store

PIPELINE = """
    version: 1
    params: {n: 1}
    steps:
      big: {uses: "work:big", with: {n: "${params.n}"}}
      small: {uses: "work:small", in: {x: big}}
"""
WORK = """
    def big(*, n: int):
        return bytes([n]) * 100_000


    def small(x):
        return x[:10]
"""
DAY = 86400


@pytest.fixture
def pair(project: Project) -> Project:
    return project.write("pipeline.yaml", PIPELINE).write("work.py", WORK)


def ran(project: Project, n: int) -> None:
    result = project.treadle("run", "pipeline.yaml", "-q", "-p", f"n={n}")
    assert result.code == 0, result.stdout + result.stderr


def aged(project: Project) -> None:
    """Let everything stored be a day old: what is young is never swept."""
    old = time.time() - DAY
    for path in (project.root / ".treadle/objects").glob("*/*"):
        os.utime(path, (old, old))
    results = open_store(project.root).results
    results.put([structs.replace(result, created=result.created - DAY) for result in results.all()], replace=True)


def objects(project: Project) -> int:
    return len(list((project.root / ".treadle/objects").glob("*/*")))


def git(project: Project, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments],
        cwd=project.root,
        env=clean_environment(project.home),
        capture_output=True,
        check=True,
    )


def test_stats_tell_sizes_per_step_and_the_hits_of_each_run(pair: Project) -> None:
    empty = pair.treadle("cache", "stats")
    assert (empty.code, empty.stdout) == (0, "0 objects, 0 B; 0 results\n")
    ran(pair, 1)
    ran(pair, 1)
    lines = pair.treadle("cache", "stats").stdout.splitlines()
    assert lines[0] == "2 objects, 97.7 KiB; 2 results"
    assert lines[2].split() == ["pipeline", "step", "results", "objects", "size"]
    assert lines[3].split() == ["pipeline", "big", "1", "1", "97.7", "KiB"]
    assert lines[4].split() == ["pipeline", "small", "1", "1", "10", "B"]
    assert lines[7].split()[1:] == ["pipeline", "2", "2", "100", "%"]
    assert lines[8].split()[1:] == ["pipeline", "0", "2", "0", "%"]
    found = pair.treadle("cache", "stats", "--json").json()
    assert found["objects"] == {"count": 2, "size": 100_010}
    assert [step["step"] for step in found["steps"]] == ["big", "small"]


def test_gc_shows_a_plan_and_then_does_it(pair: Project) -> None:
    ran(pair, 1)
    ran(pair, 2)
    assert pair.treadle("cache", "gc", "--keep", "0").stdout == "0 B freed; 0 results forgotten\n"  # all is young
    aged(pair)
    plan = pair.treadle("cache", "gc", "--plan", "--keep", "1")
    assert plan.stdout == (
        "step   objects  size\nbig    1        97.7 KiB\nsmall  1        10 B\n\n"
        "would go: 2 objects, 97.7 KiB; 2 results\n"
    )
    assert objects(pair) == 4
    done = pair.treadle("cache", "gc", "--keep", "1")
    assert done.stdout.endswith("97.7 KiB freed; 2 results forgotten\n")
    assert objects(pair) == 2
    assert pair.treadle("plan", "pipeline.yaml", "-p", "n=2", "--detailed-exitcode").code == 0
    assert pair.treadle("plan", "pipeline.yaml", "-p", "n=1", "--detailed-exitcode").code == 3


def test_the_setting_says_how_many_runs_are_kept(pair: Project) -> None:
    pair.write("treadle.toml", "keep_runs = 1\n")
    ran(pair, 1)
    ran(pair, 2)
    aged(pair)
    assert pair.treadle("cache", "gc", "--plan", "--json").json()["plan"]["count"] == 2
    assert pair.treadle("cache", "gc", "--plan", "--json", "--keep", "2").json()["plan"]["count"] == 0


def test_locks_of_branches_tags_and_the_tree_keep_what_they_name(pair: Project) -> None:
    git(pair, "init", "-q", "-b", "main")
    pair.write(".gitignore", ".treadle/\n__pycache__/\n")

    def locked(n: int) -> None:
        pair.write("pipeline.yaml", PIPELINE.replace("{n: 1}", f"{{n: {n}}}"))
        ran(pair, n)
        assert pair.treadle("lock", "pipeline.yaml").code == 0

    for n, name in ((1, "branch"), (2, "tag")):
        locked(n)
        git(pair, "add", "-A")
        git(pair, "commit", "-q", "-m", name)
        git(pair, name, f"kept-{name}")
    locked(3)  # not committed
    (pair.root / "pipeline.lock.yaml").rename(pair.root / "tree.lock.yaml")
    ran(pair, 4)  # named by nothing
    git(pair, "rm", "-q", "--cached", "pipeline.lock.yaml")
    git(pair, "commit", "-q", "-m", "the tip has no lock")
    aged(pair)
    assert objects(pair) == 8
    assert pair.treadle("cache", "gc", "--keep", "0").code == 0
    for n in (1, 2, 3):
        assert pair.treadle("plan", "pipeline.yaml", "-p", f"n={n}", "--detailed-exitcode").code == 0, n
    assert pair.treadle("plan", "pipeline.yaml", "-p", "n=4", "--detailed-exitcode").code == 3


def test_nothing_is_deleted_when_git_cannot_tell(pair: Project) -> None:
    ran(pair, 1)
    aged(pair)
    pair.write(".git", "gitdir: nowhere\n")
    result = pair.treadle("cache", "gc", "--keep", "0")
    assert result.code == 2
    assert "so the locks of its branches are not known" in result.stderr
    assert objects(pair) == 2


def test_what_a_run_uses_now_stays(pair: Project) -> None:
    ran(pair, 1)
    aged(pair)
    waits = """import time
        from pathlib import Path

        Path("begun").touch()
        while not Path("go").exists():
            time.sleep(0.01)
        return x[:20]"""
    pair.write("work.py", WORK.replace("return x[:10]", waits))
    process = pair.start("run", "pipeline.yaml", "-q")
    try:
        limit = time.monotonic() + 60
        while not (pair.root / "begun").exists():
            assert time.monotonic() < limit
            time.sleep(0.01)
        assert "0 B freed" in pair.treadle("cache", "gc", "--keep", "0").stdout
        pair.write("go", "")
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
    finally:
        process.kill()


def damage(project: Project, step: str) -> Path:
    digest = project.treadle("show", "last", step, "--json").json()["outputs"]["out"]["digest"]
    path = project.root / ".treadle/objects" / digest[:2] / digest[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    return path


def test_verify_finds_damage_marks_it_as_a_miss_and_says_so(pair: Project) -> None:
    ran(pair, 1)
    whole = pair.treadle("cache", "verify")
    assert (whole.code, whole.stdout) == (0, "2 objects, 97.7 KiB, verified\neverything is whole\n")
    path = damage(pair, "small")
    result = pair.treadle("cache", "verify")
    assert result.code == 1
    digest = path.parent.name + path.name
    assert result.stdout == (
        f"2 objects, 97.7 KiB, verified\ndamaged: {digest}; moved to .treadle/damaged\n"
        "marked as a miss: pipeline small\nthe next run makes them again\n"
    )
    assert (pair.root / ".treadle/damaged" / digest).exists()
    ran(pair, 1)
    assert pair.treadle("cache", "verify").code == 0


def test_mistakes(project: Project) -> None:
    assert project.treadle("cache").code == 2
    assert project.treadle("cache", "clean").code == 2
    wrong = project.treadle("cache", "gc", "--keep", "-1")
    assert (wrong.code, "bad-keep" in wrong.stderr) == (2, True)
