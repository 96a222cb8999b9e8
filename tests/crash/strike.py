"""One point of the sweep: a fault in a project of its own, and what became of it."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from crash import faults, subject
from crash.faults import AFRESH, EIO, ENOSPC, KILL, SCHEDULER, WORKER, Fault, Runs
from crash.judge import Expected, expected, judge
from crash.subject import Subject

TWO, FULL = "two runs, one struck", "full disk"


class Point(NamedTuple):
    """A fault, and what the table calls the place where it comes."""

    fault: Fault
    kind: str

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.fault.what}:{self.fault.call}:{self.fault.number}"


class Stage(NamedTuple):
    """Where points begin: a project, what an undisturbed run of a pipeline makes there, and the calls it makes."""

    kind: str
    start: Subject
    want: Expected
    pipeline: str
    calls: dict[str, set[tuple[str, int]]]


# preparing


def prepare(folder: Path, kind: str, pipeline: str, before: str = "", runs: Runs = AFRESH) -> Stage:
    """Run undisturbed once for what is to be expected, and once in each place for its calls."""
    start = subject.make(folder / f"start-{len(os.listdir(folder))}")
    if before:
        done = runs.begin(start, before)()
        assert done.code == 0, done.stderr
    calls: dict[str, set[tuple[str, int]]] = {}
    for place in (SCHEDULER, WORKER):
        traced = subject.copy(start, folder / f"traced-{place}-{kind.replace(' ', '-')}")
        done = runs.begin(traced, pipeline, place, ("-e", "trace=" + ",".join(faults.KIND_OF)))()
        assert done.code == 0, done.stderr
        calls[place] = faults.points(done, place)
    return Stage(kind, start, expected(traced), pipeline, calls)


def points_of(stage: Stage, places: Iterable[str], kinds: Iterable[str] = (KILL, EIO, ENOSPC)) -> list[Point]:
    """Every call of a stage with every kind of fault."""
    found = []
    for place in places:
        for what in kinds:
            for call, number in sorted(stage.calls[place]):
                kind = place + (f", {stage.kind}" if stage.kind else "")
                found.append(Point(Fault(what, place, call, number), kind))
    return found


# one point


def strike(stage: Stage, point: Point, folder: Path, runs: Runs = AFRESH) -> dict[str, Any]:
    """Let the fault happen in a project of its own, and judge what is left."""
    shutil.rmtree(folder, ignore_errors=True)
    own = subject.copy(stage.start, folder)
    wrong: list[str] = []
    row: dict[str, Any] = {"kind": point.kind, **point.fault._asdict(), "code": None, "struck": 0}
    try:
        if point.kind.startswith(TWO):
            done = _two(own, stage.pipeline, point.fault, runs, wrong)
        else:
            done = runs.begin(own, stage.pipeline, point.fault.place, point.fault.options())()
        found = faults.hits(done, point.fault)
        row.update(struck=len(found), at=[hit.text for hit in found], code=done.code)
        _ends_well(row, point.fault, done, wrong)
        wrong += judge(own, stage.want, stage.pipeline, runs)
    except AssertionError as error:
        wrong.append(str(error))
    row["wrong"] = wrong
    if not wrong:
        shutil.rmtree(folder, ignore_errors=True)
    return row


def _ends_well(row: dict[str, Any], fault: Fault, done: faults.Run, wrong: list[str]) -> None:
    """How the run that was struck may end: killed, or with a code and a word of ours, but no traceback."""
    # the pipe by which the process that forks hears of signals is traced too, but no pipe fails like this
    if "Traceback" in done.stderr and "/treadle/" in done.stderr and "signal wakeup fd" not in done.stderr:
        wrong.append(f"a traceback of ours: {done.stderr[-3000:]}")
    killed = fault.what == KILL and fault.place == SCHEDULER and done.code == -signal.SIGKILL
    mute = (fault.what, fault.call) == (ENOSPC, "write")  # nothing can be written any more, not even to /dev/null
    if not killed and done.code not in (0, 1, 2) and not (mute and done.code == 120):  # the interpreter's own code
        wrong.append(f"the exit code {done.code}")
    if done.code == 2:
        row["said"] = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
        wrong += [] if row["said"] or mute else ["it failed without a word"]


def _two(own: Subject, pipeline: str, fault: Fault, runs: Runs, wrong: list[str]) -> faults.Run:
    """Two runs of the same pipeline at once, one of them struck: the other must succeed, and repeat nothing."""
    struck = runs.begin(own, pipeline, fault.place, fault.options())
    time.sleep(0.1 * (fault.number % 4))
    other = runs.begin(own, pipeline)()
    done = struck()
    if other.code:
        wrong.append(f"the other run failed with code {other.code}: {other.stderr[-2000:]}")
    return done


def fill(stage: Stage, size: int, folder: Path, runs: Runs = AFRESH) -> dict[str, Any]:
    """The project on a file system of `size` bytes, of which the run needs more; then there is room again."""
    shutil.rmtree(folder, ignore_errors=True)
    own = subject.copy(stage.start, folder)
    files = folder / "files"
    own.root.rename(files)
    own.root.mkdir()
    _mount(own.root, size)
    wrong: list[str] = []
    row: dict[str, Any] = {"kind": FULL, "what": ENOSPC, "place": FULL, "call": "tmpfs", "number": size, "struck": 0}
    try:
        shutil.copytree(files, own.root, dirs_exist_ok=True)
        done = runs.begin(own, stage.pipeline)()
        row.update(code=done.code, struck=int(done.code != 0))
        _ends_well(row, Fault(ENOSPC, FULL, "write", 0), done, wrong)
        _mount(own.root, 64 << 20, "remount,")
        wrong += judge(own, stage.want, stage.pipeline, runs)
    except AssertionError as error:
        wrong.append(str(error))
    finally:
        subprocess.run(["umount", "-l", str(own.root)], check=False)
    row["wrong"] = wrong
    if not wrong:
        shutil.rmtree(folder, ignore_errors=True)
    return row


def _mount(folder: Path, size: int, again: str = "") -> None:
    argv = ["mount", "-t", "tmpfs", "-o", f"{again}size={size}", "tmpfs", str(folder)]
    subprocess.run(argv, check=True, capture_output=True)


def cannot_mount() -> str:
    """Why no file system can be mounted here; empty when one can."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            _mount(Path(folder), 1 << 20)
        except (OSError, subprocess.CalledProcessError):
            return "a file system of a chosen size can only be mounted by the superuser"
        subprocess.run(["umount", folder], check=True)
    return ""


def sizes() -> list[int]:
    """From what holds the project alone up to what holds a whole run, in steps of 16 KiB; a page is the least."""
    return list(range(48 << 10, 1 << 20, 16 << 10))
