"""Tasks in the caller's own process, one at a time: for a debugger, and for the smallest machines."""

from collections.abc import Callable, Sequence

from treadle.domain.task import Outcome, Task
from treadle.plugins import load


class InlineExecutor:
    """Performs a task when its outcome is asked for; limits and isolation are those of the process."""

    def __init__(self, perform: str, slots: int, root: str, preload: Sequence[str] = ()) -> None:
        self.slots = 1
        self._perform: Callable[[Task], Outcome] = load(perform)
        self._tasks: list[Task] = []

    def submit(self, task: Task) -> None:
        """Take the task; it is performed in `wait`."""
        self._tasks.append(task)

    def wait(self, timeout: float | None) -> list[Outcome]:
        """Perform what was submitted and return the outcomes."""
        tasks, self._tasks = self._tasks, []
        return [self._perform(task) for task in tasks]

    def cancel(self, step_id: str) -> None:
        """Forget a task that has not begun."""
        self._tasks = [task for task in self._tasks if task.step_id != step_id]

    def close(self) -> None:
        """Forget what has not begun."""
        self._tasks = []
