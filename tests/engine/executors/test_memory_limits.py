"""Limits of memory: the control group's files, and what holds where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from treadle.executors.cgroup import OURS, Group, handing_on


def test_without_a_control_group_each_process_is_limited(tmp_path: Path) -> None:
    call = f"{sys.executable} -c 'bytearray(3 << 30)'"
    ended = limited_by_rlimit(tmp_path, call)
    assert ended.returncode == 1
    assert "MemoryError" in ended.stderr
    assert "by RLIMIT_" in ended.stdout


def limited_by_rlimit(root: Path, call: str) -> "subprocess.CompletedProcess[str]":
    code = (
        "import os, sys; from treadle.executors.limits import limit_memory; print(limit_memory(256 << 20), flush=True)"
    )
    words = [sys.executable, "-c", f"{code}; os.execvp('/bin/sh', ['sh', '-c', sys.argv[1]])", f"exec {call}"]
    return subprocess.run(words, cwd=root, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("version", "limit", "peak", "events"),
    [
        (1, "memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"),
        (2, "memory.max", "memory.peak", "memory.events"),
    ],
)
def test_a_group_is_limited_and_read_by_the_files_of_its_version(
    tmp_path: Path, version: int, limit: str, peak: str, events: str
) -> None:
    group = Group(str(tmp_path), version)
    group.limit(1000)
    group.enter()
    assert (tmp_path / limit).read_text() == "1000"
    assert (tmp_path / "cgroup.procs").read_text().isdecimal()
    assert group.peak() == 0
    assert not group.killed()
    (tmp_path / peak).write_text("900\n")
    (tmp_path / events).write_text("oom 3\noom_kill 0\n")
    assert group.peak() == 900
    assert not group.killed()
    (tmp_path / events).write_text("oom 3\noom_kill 1\n")
    assert group.killed()


def a_group(folder: Path, procs: list[int], delegated: bool = True, controllers: str = "cpu memory pids") -> str:
    """A folder with the files of a group of version 2; what only a kernel does, tests/crash/cgroup2.py tries."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"cgroup.controllers": controllers, "cgroup.subtree_control": ""}
    for name, text in {**files, "cgroup.procs": "\n".join(map(str, procs))}.items():
        (folder / name).write_text(text + "\n", encoding="ascii")
    if delegated:
        try:
            os.setxattr(folder, "user.delegate", b"1")
        except OSError:
            pytest.skip("this file system has no attributes of users")
    return str(folder)


def test_a_delegated_group_of_ours_hands_memory_on_after_its_processes_have_one_of_their_own(tmp_path: Path) -> None:
    scope = a_group(tmp_path / "scope", [os.getpid(), os.getppid()])
    assert handing_on(scope) == scope
    assert (tmp_path / "scope" / "cgroup.subtree_control").read_text() == "+memory"
    moved = (tmp_path / "scope" / OURS / "cgroup.procs").read_text()
    assert moved == str(os.getppid())  # a file keeps the last word; a kernel's takes one after the other
    (tmp_path / "scope" / "cgroup.subtree_control").write_text("memory\n")
    assert handing_on(str(tmp_path / "scope" / OURS)) == scope, "from then on our group is the one below"


def test_a_group_that_is_not_ours_alone_is_left_as_it_is(tmp_path: Path) -> None:
    groups = {
        "not delegated": a_group(tmp_path / "a", [os.getpid()], delegated=False),
        "with another's process": a_group(tmp_path / "b", [os.getpid(), 1]),
        "without the controller": a_group(tmp_path / "c", [os.getpid()], controllers="cpu pids"),
    }
    for what, folder in groups.items():
        assert handing_on(folder) is None, what
        assert sorted(os.listdir(folder)) == ["cgroup.controllers", "cgroup.procs", "cgroup.subtree_control"], what
