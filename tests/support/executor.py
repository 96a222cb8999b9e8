"""An executor that runs nothing: the test says how each attempt ends, and when."""

from collections.abc import Callable

from support.clock import FakeClock
from treadle.domain.artifact import Artifact
from treadle.domain.task import Failure, Outcome, Task


class FakeExecutor:
    """Keeps what was submitted; each `wait` ends the oldest task with what `answer` says.

    With `manual`, tasks end only when the test calls `finish`. A `wait` that has nothing to
    give moves `clock` by its timeout, so that waiting costs no time.
    """

    def __init__(
        self,
        answer: Callable[[Task], Outcome] | None = None,
        slots: int = 2,
        clock: FakeClock | None = None,
        manual: bool = False,
    ) -> None:
        self.slots = slots
        self.submitted: list[Task] = []
        self.cancelled: list[str] = []
        self.closed = False
        self._answer = answer or succeed
        self._clock = clock
        self._manual = manual
        self._running: list[Task] = []
        self._ended: list[Outcome] = []

    @property
    def running(self) -> list[str]:
        """The steps that were submitted and have not ended."""
        return [task.step_id for task in self._running]

    def submit(self, task: Task) -> None:
        if self.closed:
            raise AssertionError(f"{task.step_id} was submitted to a closed executor")
        self.submitted.append(task)
        self._running.append(task)
        if len(self._running) > self.slots:
            raise AssertionError(f"{len(self._running)} tasks in {self.slots} slots")

    def finish(self, step_id: str, failure: Failure | None = None) -> None:
        """End a running step: well, or with `failure`."""
        task = self._take(step_id)
        self._ended.append(fail(failure)(task) if failure else self._answer(task))

    def wait(self, timeout: float | None) -> list[Outcome]:
        if not self._ended and self._running and not self._manual:
            self._ended.append(self._answer(self._running.pop(0)))
        if not self._ended:
            if timeout is None:
                raise AssertionError("waited without end: nothing runs that could finish")
            if self._clock is not None:
                self._clock.advance(timeout)
        ended, self._ended = self._ended, []
        return ended

    def cancel(self, step_id: str) -> None:
        self.cancelled.append(step_id)
        self._ended.append(fail(Failure("cancelled", "cancelled"))(self._take(step_id)))

    def close(self) -> None:
        self.closed = True

    def _take(self, step_id: str) -> Task:
        for position, task in enumerate(self._running):
            if task.step_id == step_id:
                return self._running.pop(position)
        raise AssertionError(f"{step_id} is not running; running: {self.running}")


def succeed(task: Task) -> Outcome:
    """An outcome in which every declared output, or `out`, exists; the digests tell steps and outputs apart."""
    names = [output.name for output in task.outputs] or ["out"]
    outputs = {name: Artifact(f"{task.step_id}:{name}", "json", 1) for name in names}
    return Outcome(step_id=task.step_id, attempt=task.attempt, outputs=outputs)


def fail(failure: Failure) -> Callable[[Task], Outcome]:
    """An answer that ends every attempt with `failure`."""

    def answer(task: Task) -> Outcome:
        return Outcome(step_id=task.step_id, attempt=task.attempt, failure=failure)

    return answer
