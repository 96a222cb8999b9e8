"""Tasks in the caller's own process, one at a time: for a debugger, and for the smallest machines."""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from msgspec import structs

from treadle.domain.task import Failure, Outcome, Task
from treadle.errors import ExecutorError
from treadle.executors.output import redirected, trim
from treadle.plugins import load


class InlineExecutor:
    """Performs a task when its outcome is asked for; limits of time and memory are those of the process.

    `perform` may be the function itself; there is one slot, and nothing is preloaded. With `tee` the output
    stays where the process has it, so that a step can talk to a terminal: `breakpoint()` works then.
    """

    def __init__(
        self,
        perform: str | Callable[[Task], Outcome],
        slots: int = 1,
        root: str = "",
        preload: Sequence[str] = (),
        tee: bool = False,
    ) -> None:
        self.slots = 1
        self._perform: Callable[[Task], Outcome] = load(perform) if isinstance(perform, str) else perform
        self._tee = tee
        self._tasks: dict[str, Task] = {}
        self._ended: list[Outcome] = []
        self._closed = False

    @property
    def waiting(self) -> bool:
        """Whether `wait` would return something at once, or after performing it."""
        return bool(self._tasks or self._ended)

    def submit(self, task: Task) -> None:
        """Take the task; it is performed in `wait`. Raises ExecutorError when another one is unfinished."""
        if self._closed:
            raise ExecutorError(f"'{task.step_id}' was submitted to a closed executor")
        if self.waiting:
            raise ExecutorError(f"'{task.step_id}' was submitted while the only slot is taken")
        self._tasks[task.step_id] = task

    def wait(self, timeout: float | None) -> list[Outcome]:
        """Perform the task that was submitted first, however long it takes, and return its outcome.

        A KeyboardInterrupt in a step is the caller's: its outcome, `cancelled`, comes from the next call.
        """
        if not self.waiting:
            if timeout is None:
                raise ExecutorError("nothing is running that could end")
            time.sleep(timeout)
        if not self._ended and self._tasks:
            task = self._tasks.pop(next(iter(self._tasks)))
            with nullcontext() if self._tee else redirected(task.log):
                outcome = self._perform(structs.replace(task, isolation="inline"))
            trim(task.log)
            self._ended.append(outcome)
            if outcome.failure is not None and outcome.failure.kind == "cancelled":
                raise KeyboardInterrupt
        ended, self._ended = self._ended, []
        return ended

    def cancel(self, step_id: str) -> None:
        """End a task that has not begun."""
        task = self._tasks.pop(step_id, None)
        if task is not None:
            now = time.time()
            failure = Failure("cancelled", "cancelled")
            self._ended.append(
                Outcome(step_id=step_id, attempt=task.attempt, failure=failure, started=now, finished=now)
            )

    def close(self) -> None:
        """Forget what has not begun."""
        self._closed = True
        self._tasks.clear()
        self._ended.clear()
