"""The seam between the loop and the place where work happens.

An executor is made as `Class(perform=…, slots=…, root=…, preload=…)`: the `module:function` that performs a
task, how many tasks at a time, the project's root, and modules worth importing before the first task. The
module of `perform` may have a function `prepare()`; an executor calls it once, before it forks or ships work. It may
have `tidy(task)`: an executor whose processes take one command after the other calls it when nothing is left of a
command, after its outcome was told, which is `kept` then; what it leaves of the scratch folder, the next task takes.
"""

from typing import Protocol

from treadle.domain.task import Outcome, Task


class Executor(Protocol):
    """Performs tasks; at most `slots` may be unfinished at a time, each of another step."""

    slots: int

    def submit(self, task: Task) -> None:
        """Begin a task and return at once; raises ExecutorError when all slots are taken."""

    def wait(self, timeout: float | None) -> list[Outcome]:
        """Block until at least one task has ended, or `timeout` seconds have passed (then the list is empty).

        Raises ExecutorError when the place where work happens cannot be brought up again, or when
        there is nothing to wait for and no timeout. A KeyboardInterrupt passes through and loses nothing.
        """

    def cancel(self, step_id: str) -> None:
        """Stop a task; its outcome, a failure of kind `cancelled`, comes from `wait`. Unknown steps are ignored."""

    def close(self) -> None:
        """Stop everything and leave no process behind; may be called twice."""
