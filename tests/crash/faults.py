"""Faults at a chosen system call of a chosen process, by strace; and which calls there are to choose from.

strace counts calls for each process and kind of call. The scheduler is traced alone (without `-f`); workers by a
tracer that starts with the process which forks them, so that each counts its own from one. No `--seccomp-bpf`: with
it a signal comes after the call instead of before it.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from crash.subject import Subject

KINDS = {  # what the table calls them → system calls
    "openat for write": ("openat",),
    "write": ("write", "pwrite64", "writev", "sendfile", "copy_file_range", "ftruncate"),
    "fsync": ("fsync",),
    "fdatasync": ("fdatasync",),
    "rename": ("rename", "renameat", "renameat2"),
    "link": ("link", "linkat", "symlink", "symlinkat"),
    "unlink": ("unlink", "unlinkat", "rmdir"),
    "mkdir": ("mkdir", "mkdirat"),
}
KIND_OF = {call: kind for kind, calls in KINDS.items() for call in calls}
SCHEDULER, WORKER = "scheduler", "worker"
KILL, EIO, ENOSPC = "SIGKILL", "EIO", "ENOSPC"
BUDGET = 600.0  # seconds until a run counts as hanging

_CALL = re.compile(r"^(?:(\d+) +)?(\w+)\((.*)$")
_WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")


class Fault(NamedTuple):
    """What goes wrong, where, and at which call of its kind in that process (from one).

    A killed process is killed before the call; EIO comes once; the disk stays full from that call on, but for `openat`.
    """

    what: str
    place: str
    call: str
    number: int

    def options(self) -> list[str]:
        how = "signal=KILL" if self.what == KILL else f"error={self.what}"
        on = "+" if self.what == ENOSPC and self.call != "openat" else ""
        return ["-e", f"trace={self.call}", "-e", f"inject={self.call}:{how}:when={self.number}{on}"]


class Hit(NamedTuple):
    """A call at which a fault came, and what it was about to do."""

    call: str
    text: str


def missing() -> str:
    """Why no fault can be injected here; empty when it can."""
    try:
        done = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "strace is not installed"
    return "" if done.returncode == 0 else f"strace cannot trace here: {done.stderr.strip().splitlines()[-1]}"


class Run(NamedTuple):
    """How a run of the project ended; `calls` has the lines of the trace by process, `nurseries` fork the workers."""

    code: int
    stdout: str
    stderr: str
    calls: dict[str, list[str]]
    nurseries: tuple[str, ...] = ()


class Runs(Protocol):
    """A way to start runs of a project."""

    def begin(self, subject: Subject, pipeline: str, place: str = "", options: Sequence[str] = ()) -> Callable[[], Run]:
        """Begin a run, and give what waits for its end; with a place, its calls are traced with options of strace.

        One step at a time, so that the calls come in the same order every time. The wait raises AssertionError when
        the run hangs.
        """

    def left(self, subject: Subject) -> list[int]:
        """The processes that runs of the project have left, tracers included."""


class Afresh:
    """Every process is started as it is for a user; tests/crash/warm.py has the other way."""

    def begin(self, subject: Subject, pipeline: str, place: str = "", options: Sequence[str] = ()) -> Callable[[], Run]:
        trace = subject.folder / "trace"
        argv = [sys.executable, "-P", "-m", "treadle", *words(pipeline)]
        environment = subject.environment()
        if place == SCHEDULER:
            argv = [*strace(trace, options), *argv]
        elif place == WORKER:  # -D: the traced process keeps its number and its parent
            environment["SUBJECT_TRACE"] = "\n".join([*strace(trace, options), "-D", "-f"])
        process = subprocess.Popen(
            argv,
            cwd=subject.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return lambda: _ended(process, trace if place else None)

    def left(self, subject: Subject) -> list[int]:
        mark = f"SUBJECT_LOG={subject.log}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    if mark in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found


AFRESH = Afresh()


def run(subject: Subject, pipeline: str, place: str = "", options: Sequence[str] = ()) -> Run:
    """Run a pipeline to its end, all processes started afresh."""
    return AFRESH.begin(subject, pipeline, place, options)()


def words(pipeline: str) -> list[str]:
    """What stands after `treadle`."""
    return ["run", pipeline, "-j", "1"]


def strace(trace: Path, options: Sequence[str]) -> list[str]:
    """The beginning of the command that traces."""
    return ["strace", "-o", str(trace), "-y", "-s", "160", *options]


def traced(trace: Path) -> dict[str, list[str]]:
    """The lines of a trace by process; one that was traced alone has no name."""
    lines: dict[str, list[str]] = {}
    for line in trace.read_text(errors="replace").splitlines() if trace.exists() else ():
        pid, blank, rest = line.partition(" ")
        known = pid.isdecimal() and blank
        lines.setdefault(pid if known else "", []).append(rest.lstrip() if known else line)
    return lines


def _ended(process: "subprocess.Popen[str]", trace: Path | None) -> Run:
    with process:
        try:
            stdout, stderr = process.communicate(timeout=BUDGET)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise AssertionError(f"the run hung for {BUDGET:.0f} seconds") from None
    if trace is None:
        return Run(process.returncode, stdout, stderr, {})
    _await_end(trace)
    calls = traced(trace)
    return Run(process.returncode, stdout, stderr, calls, tuple(calls)[:1])


def points(done: Run, place: str) -> set[tuple[str, int]]:
    """(call, number) of every call of the kinds above that processes in this place made in a traced run."""
    found: set[tuple[str, int]] = set()
    for pid, lines in done.calls.items():
        if place == WORKER and pid in done.nurseries:
            continue
        seen: Counter[str] = Counter()
        for line in lines:
            match = _CALL.match(line)
            if match and match[2] in KIND_OF:
                seen[match[2]] += 1
                if match[2] != "openat" or _WRITES.search(match[3]):
                    found.add((match[2], seen[match[2]]))
    return found


def hits(done: Run, fault: Fault) -> list[Hit]:
    """Where the fault came in a run: the call of every process that reached that number."""
    found = []
    for lines in done.calls.values():
        calls = [match for line in lines if (match := _CALL.match(line)) and match[2] == fault.call]
        if len(calls) < fault.number:
            continue
        line = calls[fault.number - 1][0]
        struck = "= ?" in line or "<unfinished" in line if fault.what == KILL else "(INJECTED)" in " ".join(lines)
        if struck and (fault.call != "openat" or _WRITES.search(line)):
            found.append(Hit(fault.call, line))
    return found


def _await_end(trace: Path) -> None:
    """Wait until the tracer, which may be no child of ours, has written everything."""
    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        tracers = [p for p in Path("/proc").glob("[0-9]*/cmdline") if _traces(p, trace)]
        if not tracers:
            return
        time.sleep(0.02)


def _traces(cmdline: Path, trace: Path) -> bool:
    try:
        words = cmdline.read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0].endswith(b"strace") and str(trace).encode() in words
