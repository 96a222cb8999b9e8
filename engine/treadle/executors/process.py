"""A process for each task, forked from a nursery that has imported what the steps import."""

import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from msgspec import msgpack

from treadle.domain.task import Failure, Outcome, Task
from treadle.errors import ExecutorError
from treadle.executors.wire import Begin, Cancel, Channel

PATIENCE = 5.0  # seconds that the nursery has to end its children


class ProcessExecutor:
    """The scheduler's end; this process itself never imports what the steps import.

    `perform` is the `module:function` that runs a task; `preload` names modules to import before the first fork.
    """

    def __init__(self, perform: str, slots: int, root: str, preload: Sequence[str] = ()) -> None:
        self.slots = slots
        self._command = [sys.executable, "-m", "treadle.executors.nursery", perform, root, *preload]
        self._running: dict[str, Task] = {}
        self._deaths = 0
        self._start()

    def submit(self, task: Task) -> None:
        """Begin a task in a fresh process."""
        if len(self._running) >= self.slots:
            raise ExecutorError(f"more than {self.slots} tasks at a time")
        self._running[task.step_id] = task
        with suppress(OSError):  # the nursery is gone: wait() finds that out and reports the task
            self._channel.send(Begin(task))

    def wait(self, timeout: float | None) -> list[Outcome]:
        """Outcomes as they come; a nursery that died costs its running tasks one attempt each."""
        limit = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if limit is None else max(0.0, limit - time.monotonic())
            if not select.select([self._channel], [], [], left)[0]:
                return []
            messages = self._channel.receive()
            if messages is None:
                return self._replace_nursery()
            found = [msgpack.decode(message, type=Outcome) for message in messages]
            if found:
                self._deaths = 0
                for outcome in found:
                    self._running.pop(outcome.step_id, None)
                return found

    def cancel(self, step_id: str) -> None:
        """Stop a task and all its processes."""
        if step_id in self._running:
            self._channel.send(Cancel(step_id))

    def close(self) -> None:
        """Hang up, which makes the nursery end all children, and wait for it."""
        self._channel.connection.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*self._command[:3], str(theirs.fileno()), *self._command[3:]],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # the terminal's Ctrl-C is the scheduler's alone
            )
        self._channel = Channel(ours)

    def _replace_nursery(self) -> list[Outcome]:
        self._channel.connection.close()
        code = self._process.wait()
        self._deaths += 1
        if self._deaths > 2:
            raise ExecutorError(f"the worker pool does not start: it ended with code {code} three times")
        lost, self._running = list(self._running.values()), {}
        self._start()
        how = signal.Signals(-code).name if code < 0 else f"code {code}"
        failure = Failure("crash", f"the worker pool died ({how})", code=code)
        now = time.time()
        return [Outcome(step_id=t.step_id, attempt=t.attempt, failure=failure, started=now, finished=now) for t in lost]
