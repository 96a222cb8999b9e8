"""The seam between the loop and the place where work happens."""

from typing import Protocol

from treadle.domain.task import Outcome, Task


class Executor(Protocol):
    """Performs tasks; at most `slots` may be unfinished at a time."""

    slots: int

    def submit(self, task: Task) -> None:
        """Begin a task; raises ExecutorError when the place where work happens cannot be reached."""

    def wait(self, timeout: float | None) -> list[Outcome]:
        """Block until at least one task has ended, or `timeout` seconds have passed (then the list is empty)."""

    def cancel(self, step_id: str) -> None:
        """Stop a task; its outcome, a failure of kind `cancelled`, comes from `wait`."""

    def close(self) -> None:
        """Stop everything and leave no process behind."""
