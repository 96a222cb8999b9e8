"""Runs forked from a process that has imported treadle: thousands of them need not start as many interpreters.

The scheduler is forked from here. The process that forks its workers is started by it as ever, but all that this one
does is to ask for another, which is forked from here too, and to stand for it until that ends (`subject.SITE`). Tracers
are attached before anything of a run begins. As orphans come back to this process, none can hide from it.
"""

import array
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NoReturn

from crash.faults import BUDGET, SCHEDULER, WORKER, Run, strace, traced, words
from crash.subject import Subject
from treadle.executors import nursery, system

LIGHT = [
    *("argparse", "treadle.api.compiled", "treadle.api.pipelines", "treadle.cli.again", "treadle.cli.main"),
    *("treadle.cli.parser", "treadle.cli.problems", "treadle.cli.run", "treadle.executors.process"),
    *("treadle.run.runner", "treadle.run.worker", "treadle.store.sweep"),
]
HEAVY = ["numpy", "pandas", "pyarrow.parquet", "sklearn.linear_model", "skops.io"]
PARTS = 1 << 16  # bytes that say how a nursery was to be started


class Nest:
    """The process that forks, which is this one; `door` is where nurseries are asked for."""

    def __init__(self, door: Path, modules: Sequence[str]) -> None:
        for name in modules:
            import_module(name)
        sys.modules["treadle.run.worker"].prepare()
        gc.collect()
        gc.freeze()
        system.adopt_orphans()
        self._path = str(door)
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._door.bind(self._path)
        self._door.listen()
        self._wake, woken = os.pipe()
        for end in (self._wake, woken):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        self._codes: dict[int, int] = {}  # of children that have ended
        self._asked: dict[int, socket.socket] = {}  # nursery → who stands for it
        self._tracers: dict[int, int] = {}  # traced process → strace
        self._wanted: dict[str, tuple[Path, Sequence[str]]] = {}  # folder of a project → how its workers are traced
        self._nurseries: dict[str, list[int]] = {}  # folder of a project → those of the last run that was begun in it

    def begin(self, subject: Subject, pipeline: str, place: str = "", options: Sequence[str] = ()) -> Callable[[], Run]:
        """Fork a scheduler; see `faults.Runs`."""
        root, trace = str(subject.root), subject.folder / "trace"
        nurseries = self._nurseries[root] = []
        self._wanted.pop(root, None)
        if place == WORKER:
            self._wanted[root] = (trace, ["-f", *options])
        said = [subject.folder / f"{name}-{time.monotonic_ns()}" for name in ("stdout", "stderr")]
        birth = Birth(
            [
                os.open(os.devnull, os.O_RDONLY),
                *(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND) for path in said),
            ],
            root,
            {**subject.environment(), "SUBJECT_DOOR": self._path},
        )
        pid = self._fork(birth, lambda: _schedule(pipeline), (trace, options) if place == SCHEDULER else None)

        def end() -> Run:
            self._await(pid)
            traces = [trace] if pid in self._tracers else []
            traces += [trace.with_suffix(f".{born}") for born in nurseries if born in self._tracers]
            for traced_one in (pid, *nurseries):
                tracer = self._tracers.pop(traced_one, None)
                if tracer is not None:
                    self._await(tracer)
            calls = {name: lines for path in traces for name, lines in traced(path).items()}
            text = [path.read_text(errors="replace") for path in said]
            return Run(self._codes.pop(pid), *text, calls, tuple(map(str, nurseries)))

        return end

    def left(self, subject: Subject) -> list[int]:
        """The processes that live: nobody else's than those of the one project that is tried."""
        self._turn(0.0)
        return system.children()

    # forking

    def _fork(self, birth: "Birth", work: Callable[[], int], tracing: tuple[Path, Sequence[str]] | None) -> int:
        """A child that begins its work when a tracer watches it, if one shall."""
        gate, key = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(key)
            self._forget()
            _live(birth, gate, work)
        self._codes.pop(pid, None)  # an earlier process may have had the number
        for handle in (gate, *birth.standard):
            os.close(handle)
        if tracing is not None:
            tracer = self._tracers[pid] = _attach(pid, *tracing)
            self._codes.pop(tracer, None)
        os.close(key)
        return pid

    def _forget(self) -> None:
        """What of this process is none of a child's business."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._door.close()
        for asked in self._asked.values():
            asked.close()

    # serving

    def _await(self, pid: int) -> None:
        limit = time.monotonic() + BUDGET
        while pid not in self._codes:
            self._turn(1.0)
            if time.monotonic() > limit:
                for child in system.children():
                    os.kill(child, signal.SIGKILL)
                raise AssertionError(f"the run hung for {BUDGET:.0f} seconds")

    def _turn(self, patience: float) -> None:
        """Wait for something to happen, and see to it."""
        ready, _, _ = select.select([self._door, self._wake, *self._asked.values()], [], [], patience)
        for pid, asked in list(self._asked.items()):
            if asked in ready and not asked.recv(32):  # who stood for it was killed
                os.kill(pid, signal.SIGKILL)
                self._asked.pop(pid).close()
        if self._door in ready:
            self._hatch()
        if self._wake in ready:
            os.read(self._wake, 4096)
        self._reap()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._codes[pid] = os.waitstatus_to_exitcode(status)
            asked = self._asked.pop(pid, None)
            if asked is not None:
                with suppress(OSError):  # it was killed in this moment
                    asked.send(str(self._codes[pid]).encode())
                asked.close()

    def _hatch(self) -> None:
        """Fork a nursery as it was asked for."""
        asked, _ = self._door.accept()
        handles = array.array("i")
        said, rights, _, _ = asked.recvmsg(PARTS, socket.CMSG_SPACE(4 * handles.itemsize))
        if not rights:  # who asked has been killed meanwhile
            asked.close()
            return
        handles.frombytes(rights[0][2])
        folder, count, *rest = said.decode().split("\0")
        arguments, environment = rest[: int(count)], rest[int(count) :]
        talk, *standard = handles
        arguments[0] = str(talk)

        def work() -> int:
            asked.close()
            return _nurse(arguments)

        birth = Birth(list(standard), folder, dict(item.split("=", 1) for item in environment))
        pid = self._fork(birth, work, self._wanted.get(folder))
        os.close(talk)
        self._nurseries[folder].append(pid)
        self._asked[pid] = asked
        with suppress(OSError):  # likewise; that is seen when it is listened to
            asked.send(str(pid).encode())


def _attach(pid: int, trace: Path, options: Sequence[str]) -> int:
    """Let strace watch a process from now on; its own number."""
    trace = trace.with_suffix(f".{pid}") if "-f" in options else trace
    says = trace.with_name(f"says-{pid}")
    with says.open("wb") as out:
        command = [*strace(trace, options), "-p", str(pid)]
        tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    tracer.returncode = 0  # it is waited for with all other children
    limit = time.monotonic() + BUDGET
    while b"attached" not in says.read_bytes():
        assert time.monotonic() < limit, says.read_text()
        time.sleep(0.001)
    return tracer.pid


# in a child


class Birth(NamedTuple):
    """How a process begins."""

    standard: list[int]  # handles that become 0, 1, 2
    folder: str
    environment: dict[str, str]


def _live(birth: Birth, gate: int, work: Callable[[], int]) -> NoReturn:
    code = 1
    try:
        os.setsid()
        for number, handle in enumerate(birth.standard):
            os.dup2(handle, number)
            os.close(handle)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        os.chdir(birth.folder)
        os.environ.clear()
        os.environ.update(birth.environment)
        os.read(gate, 1)  # until it is closed
        os.close(gate)
        code = work()
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    finally:
        try:
            if sys.exc_info()[1] is not None:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
        except (OSError, ValueError):
            code = 120  # as the interpreter would
        os._exit(code)


def _schedule(pipeline: str) -> int:
    from treadle.cli.main import command, delivered

    sys.argv[:] = ["treadle", *words(pipeline)]
    return delivered(command(words(pipeline)))


def _nurse(arguments: Sequence[str]) -> int:
    sys.argv[:] = ["nursery", *arguments]
    nursery.main()
    return 0
