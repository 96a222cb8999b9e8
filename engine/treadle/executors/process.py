"""A process for each task, forked from a nursery that has imported what the steps import."""

import math
import os
import select
import signal
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from treadle.domain.task import Failure, Outcome, Task
from treadle.errors import ExecutorError
from treadle.executors.inline import InlineExecutor
from treadle.executors.start import Started, start
from treadle.executors.wire import Begin, Born, Cancel, Channel, Ended, Gone, Prepare, Ready, Report, reports

PATIENCE = 5.0  # seconds that the nursery has to end its children


class ProcessExecutor:
    """The scheduler's end; this process itself never imports what the steps import.

    A task's `isolation` says where it runs: `fresh`, a process of its own; `pool`, one that is used again for
    tasks with the same environment and limits, and so shares modules and what they remember; `inline`, this
    very process. A `nursery` that somebody has started already for the same `perform` is taken, and is ours to end.
    """

    def __init__(
        self, perform: str, slots: int, root: str, preload: Sequence[str] = (), nursery: Started | None = None
    ) -> None:
        if slots < 1:
            raise ExecutorError(f"an executor needs at least one slot, not {slots}")
        self.slots = slots
        self._perform = perform
        self._root = root
        self._preload = tuple(preload)
        self._running: dict[str, Task] = {}
        self._groups: set[int] = set()  # process groups, to be ended when the nursery cannot do it
        self._ended: list[Outcome] = []
        self._inline: InlineExecutor | None = None
        self._inline_tasks: deque[Task] = deque()
        self._deaths = 0  # of nurseries, since the last outcome
        self._closed = False
        self._take_nursery(nursery or start(perform))

    def submit(self, task: Task) -> None:
        """Begin a task; raises ExecutorError when all slots are taken or a task of the same step is unfinished."""
        if self._closed:
            raise ExecutorError(f"'{task.step_id}' was submitted to a closed executor")
        if len(self._running) >= self.slots:
            raise ExecutorError(f"'{task.step_id}' was submitted while all {self.slots} slots are taken")
        if task.step_id in self._running:
            raise ExecutorError(f"'{task.step_id}' was submitted while it is running")
        self._running[task.step_id] = task
        if task.isolation == "inline":
            self._inline_tasks.append(task)
        else:
            self._send(task)

    def wait(self, timeout: float | None) -> list[Outcome]:
        """Outcomes as they come; a nursery that died costs its running tasks one attempt each."""
        limit = None if timeout is None else time.monotonic() + timeout
        while not self._ended:
            if not self._running and timeout is None:
                raise ExecutorError("nothing is running that could end")
            if self._inline_tasks or (self._inline is not None and self._inline.waiting):
                self._perform_here()
                continue
            left = None if limit is None else limit - time.monotonic()
            if not self._exchange(left) and left is not None and left <= 0:
                return []
        ended, self._ended = self._ended, []
        for outcome in ended:
            self._running.pop(outcome.step_id, None)
        return ended

    def cancel(self, step_id: str) -> None:
        """Stop a task and all its processes."""
        for task in [task for task in self._inline_tasks if task.step_id == step_id]:
            self._inline_tasks.remove(task)
            self._fail(task, Failure("cancelled", "cancelled"))
        if step_id in self._running:
            self._channel.put(Cancel(step_id))

    def close(self) -> None:
        """Hang up, which makes the nursery end all children, and wait for it."""
        if self._closed:
            return
        self._closed = True
        self._channel.close()
        if not self._ready:
            self._nursery.signal(signal.SIGTERM)  # it may be in the middle of long imports
        try:
            self._nursery.ended(PATIENCE)
        finally:
            self._bury()
            self._running.clear()

    def _perform_here(self) -> None:
        if self._inline is None:
            self._inline = InlineExecutor(self._perform)
        if not self._inline.waiting:
            self._inline.submit(self._inline_tasks.popleft())
        self._ended += self._inline.wait(0)

    # the nursery

    def _take_nursery(self, nursery: Started) -> None:
        self._nursery = nursery
        self._ready = False
        self._channel = Channel(nursery.connection)
        self._channel.put(Prepare(self._root, self.slots, self._preload))
        self._poll = select.poll()

    def _exchange(self, timeout: float | None) -> bool:
        """Wait for the nursery to say something, and take it; False when it said nothing in time."""
        wanted = select.POLLIN | (select.POLLOUT if self._channel.unsent else 0)
        self._poll.register(self._channel, wanted)
        pause = None if timeout is None else math.ceil(max(0.0, timeout) * 1000)
        if not self._poll.poll(pause):
            return False
        self._channel.flush()
        messages = self._channel.receive()
        if messages is None:
            self._replace_nursery()
            return True
        for message in messages:
            self._take(reports.decode(message))
        return True

    def _take(self, report: Report) -> None:
        if isinstance(report, Ended):
            self._deaths = 0
            if report.gone:
                self._groups.discard(report.outcome.worker)
            self._ended.append(report.outcome)
        elif isinstance(report, Born):
            self._groups.add(report.pid)
        elif isinstance(report, Gone):
            self._groups.discard(report.pid)
        elif isinstance(report, Ready):
            self._ready = True
        else:
            raise ExecutorError(report.text)

    def _replace_nursery(self) -> None:
        """After a death: report the tasks that ran, or submit them again if the nursery never came up."""
        self._channel.close()
        self._bury()
        self._deaths += 1
        code = self._nursery.code or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"code {code}"
        if self._deaths > 1:
            raise ExecutorError(f"the worker pool ended twice in a row before any step did ({how})")
        reported = {outcome.step_id for outcome in self._ended}
        lost = [t for t in self._running.values() if t.step_id not in reported and t.isolation != "inline"]
        came_up = self._ready
        if not came_up:
            self._preload = ()  # one of these modules may have been the reason
        self._take_nursery(start(self._perform))
        for task in lost:
            if came_up:
                self._fail(task, Failure("crash", f"the worker pool died ({how})", code=code))
            else:
                self._send(task)

    def _bury(self) -> None:
        """End the nursery for certain, and the groups that it may have left."""
        self._nursery.close()
        for group in self._groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        self._groups.clear()

    def _send(self, task: Task) -> None:
        try:
            self._channel.put(Begin(task))
        except (TypeError, ValueError, OverflowError) as error:
            self._fail(task, Failure("input", f"a parameter or path cannot be handed to the step's process: {error}"))

    def _fail(self, task: Task, failure: Failure) -> None:
        now = time.time()
        self._ended.append(
            Outcome(step_id=task.step_id, attempt=task.attempt, failure=failure, started=now, finished=now)
        )
