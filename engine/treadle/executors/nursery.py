"""The nursery: a small process that imports once and forks one child per task.

It keeps time limits, tells a crash from an outcome, and when the scheduler hangs up or dies it ends
every child with all its descendants. Started as `python -m treadle.executors.nursery FD PERFORM ROOT MODULE…`.
"""

import gc
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

from msgspec import DecodeError, msgpack

from treadle.domain.task import Failure, Outcome, Task, Usage
from treadle.executors.limits import limit
from treadle.executors.wire import Begin, Cancel, Channel, frames
from treadle.plugins import load

GRACE = 2.0  # seconds between TERM and KILL


class Child:
    """A running task: its process, the pipe its outcome comes through, and when its time is up."""

    def __init__(self, task: Task, pid: int, pipe: int) -> None:
        self.task = task
        self.pid = pid
        self.pipe = pipe
        self.started = time.time()
        self.buffer = bytearray()
        self.deadline = time.monotonic() + task.timeout if task.timeout else None
        self.verdict: Failure | None = None  # why we ended it, if we did

    def end(self, verdict: Failure) -> None:
        """TERM now, KILL when it does not obey in time."""
        self.verdict = self.verdict or verdict
        _kill(self.pid, signal.SIGTERM)
        self.deadline = time.monotonic() + GRACE


class Nursery:
    """The loop over the scheduler's messages, the children's outcomes and their ends."""

    def __init__(self, channel: Channel, perform: Callable[[Task], Outcome]) -> None:
        self._channel = channel
        self._perform = perform
        self._children: dict[int, Child] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, wake = os.pipe()
        for end in (self._wake, wake):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake)
        self._selector.register(channel, selectors.EVENT_READ, None)
        self._selector.register(self._wake, selectors.EVENT_READ, None)

    def serve(self) -> None:
        """Work until the scheduler hangs up."""
        while True:
            for key, _ in self._selector.select(self._patience()):
                if key.fileobj is self._channel:
                    messages = self._channel.receive()
                    if messages is None:
                        return
                    for message in messages:
                        self._obey(msgpack.decode(message, type=Begin | Cancel))
                elif key.fd == self._wake:
                    with suppress(BlockingIOError):
                        os.read(self._wake, 4096)
                else:
                    self._read(key.data)
            self._enforce()
            self._reap()

    def close(self) -> None:
        """End every child with its descendants."""
        for child in self._children.values():
            _kill(child.pid, signal.SIGTERM)
        limit_at = time.monotonic() + GRACE / 2
        while self._children and time.monotonic() < limit_at:
            self._reap(quiet=True)
            time.sleep(0.01)
        for child in self._children.values():
            _kill(child.pid, signal.SIGKILL)

    def _obey(self, message: Begin | Cancel) -> None:
        if isinstance(message, Begin):
            self._fork(message.task)
            return
        for child in self._children.values():
            if child.task.step_id == message.step_id:
                child.end(Failure("cancelled", "cancelled"))

    def _fork(self, task: Task) -> None:
        receive, send = os.pipe()
        pid = os.fork()
        if pid == 0:
            _be_a_child(task, send, self._perform)
        os.close(send)
        os.set_blocking(receive, False)
        child = Child(task, pid, receive)
        self._children[pid] = child
        self._selector.register(receive, selectors.EVENT_READ, child)

    def _read(self, child: Child) -> bool:
        """Take what the child has written; False when there is no more."""
        try:
            data = os.read(child.pipe, 1 << 16)
        except BlockingIOError:
            return False
        child.buffer += data
        if not data and child.pid in self._children:
            with suppress(KeyError):
                self._selector.unregister(child.pipe)
        return bool(data)

    def _patience(self) -> float | None:
        deadlines = [child.deadline for child in self._children.values() if child.deadline is not None]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _enforce(self) -> None:
        now = time.monotonic()
        for child in self._children.values():
            if child.deadline is None or child.deadline > now:
                continue
            if child.verdict is None:
                child.end(Failure("timeout", f"took longer than its timeout of {child.task.timeout:g} s"))
            else:
                _kill(child.pid, signal.SIGKILL)
                child.deadline = None

    def _reap(self, quiet: bool = False) -> None:
        while self._children:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.get(pid)
            if child is None:
                continue
            _kill(pid, signal.SIGKILL)  # what it left behind in its group
            while self._read(child):
                pass
            del self._children[pid]
            with suppress(KeyError):
                self._selector.unregister(child.pipe)
            os.close(child.pipe)
            if not quiet:
                usage = Usage(cpu_seconds=used.ru_utime + used.ru_stime, peak_memory=used.ru_maxrss * 1024)
                self._channel.send(_outcome(child, status, usage))


def _outcome(child: Child, status: int, usage: Usage) -> Outcome:
    task = child.task
    failure = child.verdict
    if failure is None:
        for message in frames(child.buffer):
            with suppress(DecodeError):
                outcome = msgpack.decode(message, type=Outcome)
                fields = {name: getattr(outcome, name) for name in outcome.__struct_fields__}
                return Outcome(**{**fields, "usage": usage, "worker": child.pid})
        failure = _crash(status)
    return Outcome(
        step_id=task.step_id,
        attempt=task.attempt,
        failure=failure,
        started=child.started,
        finished=time.time(),
        worker=child.pid,
        usage=usage,
    )


def _crash(status: int) -> Failure:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return Failure("crash", f"the process ended itself with code {code} before the step returned", code=code)
    name = signal.Signals(-code).name
    words = {"SIGKILL": " (was it out of memory?)", "SIGSEGV": " (a segmentation fault in native code)"}
    return Failure("crash", f"the process was killed by {name}{words.get(name, '')}", code=code)


def _be_a_child(task: Task, send: int, perform: Callable[[Task], Outcome]) -> None:
    """The child's whole life; it never returns."""
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        os.makedirs(os.path.dirname(task.log), exist_ok=True)
        log = os.open(task.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        limit(task)
        data = msgpack.encode(perform(task))
        _write(send, len(data).to_bytes(8, "big") + data)
        code = 0
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _kill(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def main() -> None:
    """Import, then serve."""
    handle, perform, root, *preload = sys.argv[1:]
    sys.path[0] = root
    channel = Channel(socket.socket(fileno=int(handle)))
    for name in preload:
        with suppress(ImportError, AttributeError, OSError, RuntimeError, ValueError, SyntaxError):
            import_module(name)  # what cannot be imported is reported by the step that needs it
    function = load(perform)
    prepare = getattr(sys.modules[function.__module__], "prepare", None)
    if prepare is not None:
        prepare()
    gc.collect()
    gc.freeze()
    nursery = Nursery(channel, function)
    try:
        nursery.serve()
    finally:
        nursery.close()


if __name__ == "__main__":
    main()
