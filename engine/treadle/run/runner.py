"""The loop that runs a plan.

run_plan
└── until the schedule is over:
    ├── Schedule.take                       what may run next, some at a time (pure)
    ├── _decide: if, gather, Decider.decide hit, run or skip, with the reason
    ├── _submit                             a task per miss, batches of items, as far as slots and resources go
    ├── Dispatch.wait                       the only place that blocks
    ├── Ends, Fanout                        what became of them, then the schedule moves on
    └── Journal                             events, one way; results in one transaction
"""

from contextlib import suppress

from msgspec import structs

from treadle.code import Project
from treadle.domain import run as record
from treadle.domain.event import RunStarted, StepStarted
from treadle.domain.plan import Plan, PlannedStep
from treadle.domain.run import RunRecord, StepRecord
from treadle.domain.task import Failure, Outcome, Stored, Task
from treadle.errors import InputError, Interrupted
from treadle.expression import ExpressionError
from treadle.run import estimate, gate
from treadle.run.decide import CHAMPION, Decision
from treadle.run.dispatch import Dispatch, Machine
from treadle.run.ends import Ends, lease_of
from treadle.run.fanout import Fanout
from treadle.run.interrupt import Interrupts
from treadle.run.journal import Clock, Journal, Notify
from treadle.run.queue import Kind, Queue, kind_of
from treadle.run.selection import Selection
from treadle.run.tasks import inputs_of
from treadle.run.tracks import OFTEN, Tracks
from treadle.store import Store

SOME = 25  # steps that are decided between two looks at those that run
RENEW = 20.0  # seconds after which leases are renewed while nothing happens
POLL = 0.05  # seconds between looks at a result that another run is making


def run_plan(
    plan: Plan,
    store: Store,
    project: Project,
    machine: Machine,
    start: RunRecord,
    selection: Selection,
    notify: Notify,
    clock: Clock,
) -> RunRecord:
    """Walk the plan once and return the record; `start` carries the run's id and its beginning.

    An executor is made only when a step really runs. Ctrl-C or SIGTERM begins nothing new, ends what runs,
    records the run as interrupted and raises Interrupted, a KeyboardInterrupt; a second one does not wait
    for steps that clean up.
    """
    journal = Journal(store, start, notify, clock)
    with Interrupts() as interrupts:
        ends = Ends(plan, store, project, selection.forced, journal)
        runner = _Runner(plan, store, ends, Dispatch(machine), selection, interrupts)
        store.history.start(start)
        try:
            status = runner.walk()
        except KeyboardInterrupt as reason:
            ours = type(reason) is KeyboardInterrupt
            try:
                with suppress(KeyboardInterrupt):  # the second one
                    if ours:
                        runner.stop()
            finally:
                ended = runner.close(record.INTERRUPTED)
            if not ours:
                raise  # an executor that somebody lent has a reason of its own, and does not wait
            done = sum(step.fate in (record.HIT, record.RUN) for step in ended.steps.values())
            raise Interrupted(done, len(plan.steps)) from None
        except BaseException:
            runner.close(record.FAILED)
            raise
        ended = runner.close(status)
        ends.decider.keep(ended.steps)
        return ended


class _Runner:
    def __init__(
        self,
        plan: Plan,
        store: Store,
        ends: Ends,
        dispatch: Dispatch,
        selection: Selection,
        interrupts: Interrupts,
    ) -> None:
        self.plan = plan
        self.store = store
        self.ends = ends
        self.dispatch = dispatch
        self.selection = selection
        self.interrupts = interrupts
        self.journal = ends.journal
        self.fanout = Fanout(store, ends, dispatch)
        self.tracks = Tracks(store.objects, ends.journal)
        self.elsewhere: dict[str, Decision] = {}  # keys that another run is computing now
        self.queue = Queue()

    # the walk

    def walk(self) -> str:
        expected = estimate.expected(self.ends.steps, self.ends.seconds)
        fields = {"pipeline": self.plan.pipeline, "steps": len(self.plan.steps), "params": self.plan.params}
        self.journal.tell(RunStarted, **fields, expected=expected, stages=estimate.stages(self.plan))
        for text in self.store.notices:
            self.journal.say(text)
        while not self.ends.schedule.over:
            self.interrupts.check()
            self.ends.schedule.wake(self.journal.steady())
            for name in self.ends.schedule.take(SOME):
                self._decide(self.ends.steps[name])
            self._submit()
            self.ends.flush(not self.ends.schedule.more and (self.dispatch.used or self.ends.schedule.over))
            self._tell_progress()
            if self.ends.schedule.over:
                break
            if self.dispatch.running or self.elsewhere or self._wake_at() is not None:
                self._collect()
        self.ends.tell_cut_off()
        failed = any(r.fate == record.FAILED for r in self.journal.steps.values())
        return record.FAILED if failed else record.OK

    def _tell_progress(self) -> None:
        if self.dispatch.used:
            now = self.journal.clock()
            told = self.ends.pace.report(self.journal.run.run_id, now, self.journal.steps.keys(), self.dispatch.slots)
            if told is not None:
                self.journal.announce(told)

    def stop(self) -> None:
        """End what runs, in order: TERM, then KILL; what ended well meanwhile counts."""
        count = len(self.dispatch.running)
        if count:
            steps = "the step that runs" if count == 1 else f"the {count} steps that run"
            self.journal.say(f"interrupted: stopping {steps}; once more ends the run at once")
        ended = self.dispatch.stop()
        self.ends.decider.look_anew()
        for task, outcome in ended:
            if self.fanout.knows(task.step_id) or outcome.failure is None:
                self._outcome(task, outcome)
            else:
                self.ends.cancelled(task.step_id, outcome.started)

    def close(self, status: str) -> RunRecord:
        """End what still runs at once, write what is known, and return the record."""
        left = list(self.dispatch.running)
        self.dispatch.close()
        for name in left:
            if not self.fanout.knows(name):
                self.ends.cancelled(name)
        self.fanout.cancelled()
        try:
            self.ends.flush()
        finally:  # not before: who waits for a lease looks for the result when it is given back
            self.store.leases.release_all()
        return self.journal.close(status, self.ends.steps)

    # deciding

    def _decide(self, step: PlannedStep) -> None:
        if step.condition is not None:
            try:
                if not gate.holds(step.condition.text, self.plan.params, self.ends.metrics, step.cell):
                    self.journal.skip(self.ends.schedule.skip(step.id, f"if: {step.condition.text} is false"))
                    return
            except ExpressionError as error:
                self.ends.failed(step, Failure("error", f"if: {step.condition.text}: {error}"), None)
                return
        if step.kind == "gather":
            self.ends.gathered(step)
            return
        try:
            decision = self.ends.decider.decide(step, self.ends.outputs)
            if decision.fate == "run" and self.selection.may_run(step.id):
                self.ends.decider.sources.fetch(step)
        except InputError as error:
            text = "\n".join(f"{p.text}{f' ({p.hint})' if p.hint else ''}" for p in error.problems)
            self.ends.failed(step, Failure("input", text), None)
            return
        if decision.fate == "hit" and decision.result is not None:
            self.ends.hit(step, decision, decision.result)
        elif not self.selection.may_run(step.id):
            self.journal.skip(
                self.ends.schedule.skip(step.id, f"not selected, and not in the cache: {decision.reason}")
            )
        else:
            self.ends.decisions[step.id] = decision
            self._wait_for_room(decision)

    # running

    def _submit(self) -> None:
        """Begin what fits, the most urgent first; a step with `foreach` stays in the queue while it has open items.

        What made steps ready is durable before they begin: in the transaction that reserves their keys for this run.
        """
        full: set[Kind] = set()
        later: list[Decision] = []
        chosen: list[Decision] = []
        more = bool(self.queue)
        while more:
            self.ends.flush(False, beside=lambda: chosen.extend(self._choose(full, later)))
            more = False
            for decision in chosen:
                step = self.ends.steps[decision.step]
                if step.foreach is None:
                    self._begin(step, decision)
                    continue
                more = True
                if self.fanout.submit(step, decision, step.id in self.selection.forced):
                    later.append(decision)
            chosen.clear()
        for decision in later:
            self._wait_for_room(decision)

    def _choose(self, full: set[Kind], later: list[Decision]) -> list[Decision]:
        """What begins next: steps that fit, their keys reserved, up to the first with `foreach`, which takes the rest.

        `full` gets the kinds of step that have no room, `later` the steps that wait for it.
        """
        chosen: list[Decision] = []
        while (decision := self.queue.pop(full)) is not None:
            step = self.ends.steps[decision.step]
            if self.dispatch.room(step) < 1 or not self.dispatch.admit(step.id, step):
                full.add(kind_of(step))
                later.append(decision)
            elif not self.fanout.is_open(step.id) and not self._leased(step, decision):
                self.dispatch.release(step.id)
            elif step.foreach is None:
                chosen.append(decision)
            else:
                self.dispatch.release(step.id)  # what it was asked for; each batch is admitted by itself
                return [*chosen, decision]
        return chosen

    def _wait_for_room(self, decision: Decision) -> None:
        step = self.ends.steps[decision.step]
        self.dispatch.executor(step)  # made now, and not while the database is locked
        self.queue.push(self.ends.schedule.rank[step.id], step, decision)

    def _leased(self, step: PlannedStep, decision: Decision) -> bool:
        """Take the right to compute a key; False when another run has it, or has used it meanwhile."""
        if not step.caching.enabled:
            return True
        if not self.store.leases.acquire(lease_of(step, decision)):
            self.journal.say(f"'{step.id}' is being made by another run; waiting for it", step.id)
            self.elsewhere[step.id] = decision
            return False
        if step.id in self.selection.forced or not self._made_meanwhile(decision):
            return True
        self.store.leases.release([lease_of(step, decision)])
        self.ends.schedule.give_back(step.id)
        return False

    def _made_meanwhile(self, decision: Decision) -> bool:
        """Another run recorded the result between our look-up and our lease: decide again."""
        made = self.store.results.get(decision.key.digest) if decision.result is None else None
        return made is not None and all(map(self.store.objects.has, made.outputs.values()))

    def _begin(self, step: PlannedStep, decision: Decision) -> None:
        attempt = self.ends.schedule.attempts[step.id] + 1
        inputs = inputs_of(step, self.ends.decider.sources.data, self.ends.outputs)
        champion = self.ends.decider.champion(step, self.ends.outputs)
        if champion is not None:
            inputs[CHAMPION] = (Stored(champion),)
        expected = self.ends.seconds.get(step.id)
        self.journal.tell(StepStarted, step=step.id, reason=decision.reason, attempt=attempt, expected=expected)
        self.ends.pace.begin(step.id, self.journal.clock())
        task = self.ends.tasks.task(step, inputs, attempt)
        self.tracks.follow(task)
        self.dispatch.submit(task, step)

    def _wake_at(self) -> float | None:
        pause = self.ends.schedule.wake_at()
        return min((*self.fanout.wake_at(), *(() if pause is None else (pause,))), default=None)

    def _collect(self) -> None:
        """Wait for something to happen: an outcome, the end of a pause, or another run's result."""
        timeout = RENEW
        wake = self._wake_at()
        if wake is not None:
            timeout = max(0.0, min(timeout, wake - self.journal.steady()))
        if self.elsewhere:
            timeout = min(timeout, POLL)
        if self.tracks:
            timeout = min(timeout, OFTEN)
        if self.ends.schedule.more:
            timeout = 0.0
        with self.interrupts.waiting():
            ended = self.dispatch.wait(timeout)
        if ended:
            self.ends.decider.look_anew()
        for task, outcome in ended:
            self._outcome(task, outcome)
        self.tracks.tell()
        self.store.leases.renew()
        for name, decision in list(self.elsewhere.items()):
            if not self.store.leases.busy(lease_of(self.ends.steps[name], decision)):
                del self.elsewhere[name]
                self.ends.schedule.give_back(name)  # decided again: a hit now, or ours to compute

    def _outcome(self, task: Task, outcome: Outcome) -> None:
        if self.fanout.knows(task.step_id):
            step = self.ends.steps[task.step_id.rpartition("#")[0]]
            if self.fanout.took(task, outcome):
                self.queue.drop(step)
            return
        step = self.ends.steps[task.step_id]
        decision = self.ends.decisions[step.id]
        outcome = structs.replace(outcome, track=self.tracks.ended(task)) if task.track else outcome
        if outcome.failure is not None:
            self.store.leases.release([lease_of(step, decision)])
            if outcome.failure.kind == "input" and self.ends.repair(step):
                return
            self.ends.failed(step, outcome.failure, outcome)
            return
        done = StepRecord(
            id=step.id,
            fate=record.RUN,
            reason=decision.reason,
            key=decision.key.digest,
            outputs=outcome.outputs,
            metrics=outcome.metrics,
            attempts=outcome.attempt,
            started=outcome.started,
            finished=outcome.finished,
            usage=outcome.usage,
            log=task.log,
            track=outcome.track,
        )
        self.ends.finished(step, decision, done)
