"""What a power loss may take: SIGKILL cannot show it, so the calls that stand for it are looked at, in their order."""

import subprocess
import sys
from pathlib import Path

import pytest

from crash import faults, subject

WHY_NOT = faults.missing()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "strace works")
ADD = (
    "import os, sys; from treadle.store.objects import Objects\n"
    "objects = Objects(sys.argv[1]); objects.add_bytes(b'the same', 'bytes')\n"
)


def traced(folder: Path, script: str, *arguments: str) -> list[str]:
    """The calls of a script that make things durable or give them their name."""
    trace = folder / "trace"
    calls = "trace=fsync,fdatasync,rename,renameat,renameat2"
    strace = ["strace", "-y", "-o", str(trace), "-e", calls, sys.executable, "-c", script, *arguments]
    subprocess.run(strace, check=True, timeout=60)
    return [
        line for line in trace.read_text().splitlines() if "(" in line and " = 0" in line
    ]  # what failed made nothing


def filled(objects: Path) -> Path:
    """The one of the folders of objects that has something in it."""
    [folder] = [folder for folder in objects.iterdir() if any(folder.iterdir())]
    return folder


def test_content_is_durable_before_its_name_and_its_name_before_sync_returns(tmp_path: Path) -> None:
    calls = traced(tmp_path, ADD + "objects.sync()", str(tmp_path / ".treadle" / "objects"))
    content, name, *folders = calls
    assert content.startswith("fsync(")
    assert ".part>" in content
    assert name.startswith("rename(")
    assert {call.partition("<")[2].partition(">")[0] for call in folders} == {
        str(tmp_path / ".treadle"),
        str(tmp_path / ".treadle" / "objects"),
        str(filled(tmp_path / ".treadle" / "objects")),
    }


def test_a_name_that_a_dead_process_left_is_made_durable_by_who_relies_on_it(tmp_path: Path) -> None:
    objects = tmp_path / ".treadle" / "objects"
    subprocess.run([sys.executable, "-c", ADD + "os._exit(0)", str(objects)], check=True, timeout=60)
    calls = traced(tmp_path, ADD + "objects.sync()", str(objects))
    assert sorted(call.partition("<")[2].partition(">")[0] for call in calls) == [
        str(tmp_path / ".treadle"),
        str(objects),
        str(filled(objects)),
    ]


@pytest.mark.slow
def test_a_result_is_durable_before_what_depends_on_it_begins(tmp_path: Path) -> None:
    own = subject.make(tmp_path / "own")
    text = subject.PIPELINE.splitlines()
    (own.root / "two.yaml").write_text("\n".join([*text[:5], text[5], next(x for x in text if "squares:" in x)]))
    options = ("-e", "trace=fdatasync,sendto,pwrite64", "-s", "4000")
    done = faults.run(own, "two.yaml", faults.SCHEDULER, options)
    assert done.code == 0, done.stderr
    first, second = (
        next(number for number, line in enumerate(done.calls[""]) if line.startswith("sendto(") and step in line)
        for step in ("numbers", "squares")
    )
    between = [line.partition("<")[0] for line in done.calls[""][first:second] if "state.db-wal>" in line]
    assert any(call.startswith("fdatasync(") for call in between[1:]), (
        between
    )  # written, then made durable, before the next step is sent off
