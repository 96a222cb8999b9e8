"""What became of a run so far: told to who listens, and written durably before the schedule moves on."""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import structs

from treadle.domain.event import Event, Notice, RunFinished, StepSkipped
from treadle.domain.run import SKIP, RunRecord, StepRecord
from treadle.run.schedule import Skip
from treadle.store import Result, Store

Notify = Callable[[Event], None]
Clock = Callable[[], float]


class Steady:
    """A clock that a clock set back does not stop: what passes while it runs forward, for waiting, not for records."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = self._now = clock()

    def __call__(self) -> float:
        """Seconds since some moment; never less than before."""
        seen = self._clock()
        self._now += max(0.0, seen - self._last)
        self._last = seen
        return self._now


class Journal:
    """The records and results of one run; raises StoreError when they cannot be written."""

    def __init__(self, store: Store, run: RunRecord, notify: Notify, clock: Clock) -> None:
        self.run = run
        self.clock = clock
        self.steady = Steady(clock)
        self.steps: dict[str, StepRecord] = {}
        self._store = store
        self._notify = notify
        self._unsaved: list[StepRecord] = []
        self._results: list[Result] = []
        self._leases: list[str] = []

    def tell(self, kind: Callable[..., Event], **fields: Any) -> None:
        """Announce an event of this run, now."""
        self._notify(kind(run_id=self.run.run_id, at=self.clock(), **fields))

    def announce(self, event: Event) -> None:
        """Announce an event that is made already."""
        self._notify(event)

    def say(self, text: str, step: str = "") -> None:
        """Announce something that changes no fate."""
        self.tell(Notice, text=text, step=step)

    def set(self, step: StepRecord) -> None:
        """Note the fate of a step."""
        self.steps[step.id] = step
        self._unsaved.append(step)

    def skip(self, skips: Iterable[Skip]) -> None:
        """Note the fate of steps that will not run."""
        for skip in skips:
            self.tell(StepSkipped, step=skip.step, reason=skip.reason)
            self.set(StepRecord(id=skip.step, fate=SKIP, reason=skip.reason))

    def add(self, results: Iterable[Result], leases: Iterable[str] = ()) -> None:
        """Note results for the cache; leases are given back when they are durable."""
        self._results += results
        self._leases += leases

    def flush(
        self,
        steps_too: bool = True,
        within: Callable[[], None] | None = None,
        beside: Callable[[], None] | None = None,
    ) -> None:
        """Everything noted since the last time becomes durable in one transaction; without results, steps may wait.

        `within` is done in the same transaction. So is `beside`, which alone need not be durable.
        """
        noted = bool(self._results or self._leases or (self._unsaved and steps_too) or within)
        if not noted and beside is None:
            return
        with self._store.database.transaction(durable=noted):
            if noted:
                self._write()
            if within is not None:
                within()
            if beside is not None:
                beside()
        if noted:
            self._results, self._unsaved, self._leases = [], [], []

    def _write(self) -> None:
        if self._results:
            self._store.results.put(self._results)
        if self._leases:
            self._store.leases.release(self._leases)
        self._store.history.add_steps(self.run.run_id, self._unsaved)

    def close(self, status: str, order: Iterable[str]) -> RunRecord:
        """Write the end of the run and return its record, the steps in this order."""
        self.flush()
        finished = max(self.clock(), self.run.started)
        self._store.history.finish(self.run.run_id, status, finished)
        fates: dict[str, int] = {}
        for step in self.steps.values():
            fates[step.fate] = fates.get(step.fate, 0) + 1
        self.tell(RunFinished, status=status, seconds=finished - self.run.started, fates=fates)
        ordered = {name: self.steps[name] for name in order if name in self.steps}
        return structs.replace(self.run, status=status, finished=finished, steps=ordered)
