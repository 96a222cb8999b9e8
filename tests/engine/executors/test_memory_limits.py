"""Limits of memory: the control group's files, and what holds where there is none."""

import subprocess
import sys
from pathlib import Path

import pytest

from treadle.executors.cgroup import Group


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
