"""The steps with `foreach` that are being walked in a run: opened, handed out in batches, ended."""

from treadle.domain import run as record
from treadle.domain.event import StepStarted
from treadle.domain.plan import PlannedStep
from treadle.domain.run import StepRecord
from treadle.domain.task import Failure, Outcome, Task
from treadle.errors import CodecError
from treadle.run import elements
from treadle.run.decide import Decision
from treadle.run.dispatch import Dispatch
from treadle.run.ends import Ends, lease_of
from treadle.run.foreach import Foreach
from treadle.run.tasks import Inputs, inputs_of
from treadle.store import Store


class Fanout:
    """Foreach by step; a batch is known by the name of its task. Raises StoreError."""

    def __init__(self, store: Store, ends: Ends, dispatch: Dispatch) -> None:
        self._store = store
        self._ends = ends
        self._dispatch = dispatch
        self._open: dict[str, Foreach] = {}
        self._batches: dict[str, Foreach] = {}

    def knows(self, task: str) -> bool:
        """Whether a task is a batch."""
        return task in self._batches

    def is_open(self, step: str) -> bool:
        """Whether the items of a step are being walked."""
        return step in self._open

    def wake_at(self) -> list[float]:
        """When pauses of items end."""
        return [at for foreach in self._open.values() if (at := foreach.items.wake_at()) is not None]

    def submit(self, step: PlannedStep, decision: Decision, forced: bool) -> bool:
        """Begin as many batches as fit; whether the step is to be asked again."""
        foreach = self._open.get(step.id) or self._begin(step, decision, forced)
        if foreach is None:
            return False
        inputs: Inputs = inputs_of(step, self._ends.decider.sources.data, self._ends.outputs)
        while (room := self._dispatch.room(step)) > 0:
            task = foreach.next_batch(self._ends.tasks, inputs, room)
            if task is None:
                break
            if not self._dispatch.admit(task.step_id, step):
                foreach.cancel(task)
                break
            self._batches[task.step_id] = foreach
            self._dispatch.submit(task, step)
        if foreach.over:
            self._end(step, foreach)
        return not foreach.over

    def took(self, task: Task, outcome: Outcome) -> bool:
        """A batch has ended; whether its step is over with it, whatever became of it."""
        foreach = self._batches.pop(task.step_id)
        step = foreach.step
        failure = foreach.took(
            task, outcome, bool(self._ends.decider.changed(step, foreach.decision.key, but=step.foreach))
        )
        if self._open.get(step.id) is not foreach:
            return False
        if foreach.reads_damaged and self._ends.repair(step):
            self._drop(step, foreach)
        elif failure is not None:
            self._drop(step, foreach)
            self._ends.failed(step, failure, outcome)
        elif foreach.over:
            self._end(step, foreach)
        return step.id not in self._open

    def cancelled(self) -> None:
        """The run was interrupted."""
        for name, foreach in self._open.items():
            self._ends.cancelled(name, foreach.began, foreach.items.summary())

    def _begin(self, step: PlannedStep, decision: Decision, forced: bool) -> Foreach | None:
        assert step.foreach is not None
        ends = self._ends
        try:
            if step.foreach.step is None:
                data = ends.decider.sources.data(step.foreach.output)
                found = elements.of_data(data, self._store.files.digest_many(data.paths))
            else:
                found = elements.of_artifact(ends.outputs[step.foreach.step][step.foreach.output], self._store.objects)
        except (CodecError, OSError) as error:
            self._store.leases.release([lease_of(step, decision)])
            if not ends.repair(step):
                ends.failed(step, Failure("input", str(error)), None)
            return None
        foreach = Foreach(step, decision, found, self._store, ends.journal)
        self._open[step.id] = foreach
        attempt, expected = ends.schedule.attempts[step.id] + 1, ends.seconds.get(step.id)
        ends.journal.tell(StepStarted, step=step.id, reason=decision.reason, attempt=attempt, expected=expected)
        ends.pace.begin(step.id, ends.journal.clock())
        foreach.begin(forced, ends.journal.run.started)
        return foreach

    def _drop(self, step: PlannedStep, foreach: Foreach) -> None:
        del self._open[step.id]
        self._give_back(step, foreach)

    def _give_back(self, step: PlannedStep, foreach: Foreach) -> None:
        """The items that ended well are there for whoever waits for the lease."""
        self._ends.flush(False)
        self._store.leases.release([lease_of(step, foreach.decision)])

    def _end(self, step: PlannedStep, foreach: Foreach) -> None:
        """Every item has ended, and so has the step: with the lists of what they made, or as failed."""
        del self._open[step.id]
        failed = foreach.items.failed
        done = StepRecord(
            id=step.id,
            fate=record.FAILED if failed else record.RUN,
            reason=foreach.failure().message.splitlines()[0] if failed else foreach.decision.reason,
            key=foreach.decision.key.digest,
            outputs={} if failed else foreach.outputs(),
            attempts=1,
            started=foreach.began,
            finished=self._ends.journal.clock(),
            failure=foreach.failure() if failed else None,
            usage=foreach.usage,
            log=self._ends.tasks.log(step.id),
            items=foreach.items.summary(),
        )
        if done.failure is None:
            self._ends.finished(step, foreach.decision, done)
            return
        self._give_back(step, foreach)
        self._ends.items_failed(done, done.failure)
