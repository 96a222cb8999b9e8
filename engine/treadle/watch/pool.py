"""The executor that stays between turns, and what a run sees of it."""

import time
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress

from msgspec import Struct

from treadle.domain.task import Outcome, Task
from treadle.errors import ExecutorError
from treadle.executors.base import Executor

SLICE = 0.03  # seconds between looks at whether a run has been superseded
PATIENCE = 6.0  # seconds that cancelled tasks have to end before the whole pool goes


class Superseded(KeyboardInterrupt):
    """What a run used has changed meanwhile: it ends as if interrupted, and what finished is kept."""


class Make(Struct, frozen=True):
    """How to make a pool; `key` says what was loaded into it, so that another key makes another pool."""

    key: str
    start: Callable[[], Executor]


class Pool:
    """Keeps one executor as long as the key of its making stays the same."""

    def __init__(self) -> None:
        self._kept: Executor | None = None
        self._key = ""

    def warm(self, make: Make) -> Executor:
        """The executor for this key, started now if need be."""
        if self._kept is not None and self._key != make.key:
            self.close()
        if self._kept is None:
            self._kept, self._key = make.start(), make.key
        return self._kept

    def lend(self, make: Make, superseded: Callable[[Set[str]], bool]) -> "Lent":
        """The executor for one run, which closes it without ending it.

        `superseded` says of the steps that run now whether the run has been overtaken by a change.
        """
        return Lent(self.warm(make), superseded, self.close)

    def close(self) -> None:
        """End the executor; the next one is made when it is needed."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            kept.close()


class Lent:
    """An executor for one run: raises Superseded when what the run uses has changed."""

    def __init__(self, inner: Executor, superseded: Callable[[Set[str]], bool], broken: Callable[[], None]) -> None:
        self.slots = inner.slots
        self._inner = inner
        self._superseded = superseded
        self._broken = broken
        self._running: set[str] = set()

    def submit(self, task: Task) -> None:
        if self._superseded(self._running | {task.step_id}):
            raise Superseded
        with _given_up(self._broken):
            self._inner.submit(task)
        self._running.add(task.step_id)

    def wait(self, timeout: float | None) -> list[Outcome]:
        limit = None if timeout is None else time.monotonic() + timeout
        while True:
            left = SLICE if limit is None else max(0.0, min(SLICE, limit - time.monotonic()))
            with _given_up(self._broken):
                ended = self._inner.wait(left)
            self._running.difference_update(outcome.step_id for outcome in ended)
            if ended:
                return ended
            if self._superseded(self._running):
                raise Superseded
            if limit is not None and time.monotonic() >= limit:
                return []

    def cancel(self, step_id: str) -> None:
        self._inner.cancel(step_id)

    def close(self) -> None:
        """Stop what this run began; the pool stays, unless its tasks do not end."""
        limit = time.monotonic() + PATIENCE
        with suppress(ExecutorError), _given_up(self._broken):
            for step in self._running:
                self._inner.cancel(step)
            while self._running and time.monotonic() < limit:
                self._running.difference_update(outcome.step_id for outcome in self._inner.wait(SLICE))
        if self._running:
            self._running.clear()
            self._broken()


@contextmanager
def _given_up(broken: Callable[[], None]) -> Iterator[None]:
    """A pool that cannot work any more is not kept for the next turn."""
    try:
        yield
    except ExecutorError:
        broken()
        raise
