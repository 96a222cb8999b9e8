"""The loop that runs a plan.

run_plan
└── until the schedule is over:
    ├── Schedule.take                       what may run next (pure)
    ├── _decide: if, gather, Decider.decide hit, run or skip, with the reason
    ├── _submit                             a task per miss, as far as slots and resources go
    ├── Executor.wait                       the only place that blocks
    ├── _record                             results in one transaction, then the schedule moves on
    └── notify                              events, one way
"""

import os
import shutil
from collections.abc import Callable, Set
from typing import Any

from msgspec import structs

from treadle.code import Project
from treadle.domain import run as record
from treadle.domain.artifact import Artifact
from treadle.domain.event import (
    Event,
    Notice,
    RunFinished,
    RunStarted,
    StepCached,
    StepFailed,
    StepFinished,
    StepRetried,
    StepSkipped,
    StepStarted,
)
from treadle.domain.model import ModelVersion
from treadle.domain.plan import Plan, PlannedStep
from treadle.domain.run import RunRecord, StepRecord
from treadle.domain.task import Failure, Files, Outcome, Stored, Task
from treadle.errors import CodecError, InputError
from treadle.executors.base import Executor
from treadle.expression import ExpressionError
from treadle.run import estimate, gate, register
from treadle.run.admission import Admission
from treadle.run.decide import Decider, Decision
from treadle.run.gather import gather
from treadle.run.schedule import Again, Schedule, Skip
from treadle.store import Result, Store

Notify = Callable[[Event], None]
Clock = Callable[[], float]
RENEW = 20.0  # seconds after which leases are renewed while nothing happens
POLL = 0.05  # seconds between looks at a result that another run is making


def run_plan(
    plan: Plan,
    store: Store,
    project: Project,
    executor: Callable[[], Executor],
    start: RunRecord,
    selection: "Selection",
    notify: Notify,
    clock: Clock,
) -> RunRecord:
    """Walk the plan once and return the record; `start` carries the run's id and its beginning.

    The executor is made only when a step really runs. A KeyboardInterrupt ends the run as
    interrupted, with everything finished so far recorded, and is raised again.
    """
    runner = _Runner(plan, store, project, executor, start, selection, notify, clock)
    store.history.start(start)
    try:
        status = runner.walk()
    except KeyboardInterrupt:
        runner.close(record.INTERRUPTED)
        raise
    except BaseException:
        runner.close(record.FAILED)
        raise
    return runner.close(status)


class Selection:
    """What the user asked of this run: steps forced to run, and steps that may run at all."""

    def __init__(self, forced: Set[str] = frozenset(), allowed: Set[str] | None = None) -> None:
        self.forced = forced
        self.allowed = allowed

    def may_run(self, step: str) -> bool:
        return self.allowed is None or step in self.allowed


class _Runner:
    def __init__(
        self,
        plan: Plan,
        store: Store,
        project: Project,
        make_executor: Callable[[], Executor],
        start: RunRecord,
        selection: Selection,
        notify: Notify,
        clock: Clock,
    ) -> None:
        self.plan = plan
        self.store = store
        self.project = project
        self.start = start
        self.selection = selection
        self.notify = notify
        self.clock = clock
        self.steps = {step.id: step for step in plan.steps}
        self.seconds = store.results.durations(plan.pipeline)
        self.schedule = Schedule(plan, self.seconds)
        self.decider = Decider(plan, store, project, selection.forced, start.started)
        self.outputs: dict[str, dict[str, Artifact]] = {}
        self.metrics: dict[str, dict[str, float]] = {}
        self.records: dict[str, StepRecord] = {}
        self.decisions: dict[str, Decision] = {}
        self.running: dict[str, Task] = {}
        self.elsewhere: dict[str, Decision] = {}  # keys that another run is computing now
        self._make_executor = make_executor
        self._executor: Executor | None = None
        self._admission: Admission | None = None
        self._queue: list[Decision] = []
        self._unsaved: list[StepRecord] = []
        self._results: list[Result] = []
        self._versions: list[tuple[ModelVersion, str]] = []  # to be registered, each with the digest of its card

    # the walk

    def walk(self) -> str:
        self.notify(
            RunStarted(
                run_id=self.start.run_id,
                at=self.clock(),
                pipeline=self.plan.pipeline,
                steps=len(self.plan.steps),
                params=self.plan.params,
                expected=estimate.expected(self.steps, self.seconds),
            )
        )
        for text in self.store.notices:
            self._say(text)
        while not self.schedule.over:
            self.schedule.wake(self.clock())
            for name in self.schedule.take():
                self._decide(self.steps[name])
            self._submit()
            self._flush()
            if self.schedule.over:
                break
            if self.running or self.elsewhere or self.schedule.wake_at() is not None:
                self._collect()
        failed = any(r.fate == record.FAILED for r in self.records.values())
        return record.FAILED if failed else record.OK

    def close(self, status: str) -> RunRecord:
        """Stop what still runs, write what is known, and return the record."""
        if self._executor is not None:
            self._executor.close()
        now = self.clock()
        for name in self.running:
            self._set(StepRecord(id=name, fate=record.CANCELLED, reason="interrupted", finished=now))
        self.store.leases.release_all()
        self._flush()
        for task in self.running.values():
            shutil.rmtree(task.scratch, ignore_errors=True)
        finished = self.clock()
        self.store.history.finish(self.start.run_id, status, finished)
        fates: dict[str, int] = {}
        for step in self.records.values():
            fates[step.fate] = fates.get(step.fate, 0) + 1
        took = finished - self.start.started
        self.notify(RunFinished(run_id=self.start.run_id, at=finished, status=status, seconds=took, fates=fates))
        ordered = {name: self.records[name] for name in self.steps if name in self.records}
        return RunRecord(
            run_id=self.start.run_id,
            pipeline=self.plan.pipeline,
            path=self.plan.path,
            plan=self.plan.digest,
            status=status,
            started=self.start.started,
            finished=finished,
            params=self.plan.params,
            steps=ordered,
            git=self.start.git,
        )

    # deciding

    def _decide(self, step: PlannedStep) -> None:
        if step.condition is not None:
            try:
                if not gate.holds(step.condition.text, self.plan.params, self.metrics, step.cell):
                    self._skipped(self.schedule.skip(step.id, f"if: {step.condition.text} is false"))
                    return
            except ExpressionError as error:
                self._failed(step, Failure("error", f"if: {step.condition.text}: {error}"), None)
                return
        if step.kind == "gather":
            self._gather(step)
            return
        try:
            decision = self.decider.decide(step, self.outputs)
        except InputError as error:
            text = "\n".join(f"{p.text}{f' ({p.hint})' if p.hint else ''}" for p in error.problems)
            self._failed(step, Failure("input", text), None)
            return
        if decision.fate == "hit" and decision.result is not None:
            self._hit(step, decision, decision.result)
        elif not self.selection.may_run(step.id):
            self._skipped(self.schedule.skip(step.id, f"not selected, and not in the cache: {decision.reason}"))
        else:
            self.decisions[step.id] = decision
            self._queue.append(decision)

    def _hit(self, step: PlannedStep, decision: Decision, result: Result) -> None:
        self.outputs[step.id] = result.outputs
        self.metrics[step.id] = result.metrics
        self.notify(StepCached(run_id=self.start.run_id, at=self.clock(), step=step.id, metrics=result.metrics))
        done = StepRecord(
            id=step.id,
            fate=record.HIT,
            reason=decision.reason,
            key=decision.key.digest,
            outputs=result.outputs,
            metrics=result.metrics,
        )
        self._done(step, done)

    def _gather(self, step: PlannedStep) -> None:
        try:
            found = gather(step, self.outputs, self.metrics, self.store.objects)
        except ValueError as error:
            self._failed(step, Failure("error", str(error)), None)
            return
        self.outputs[step.id] = found.outputs
        self.metrics[step.id] = found.metrics
        fates = {self.records[cell].fate for cell in step.needs if cell in self.outputs}
        fate = record.HIT if fates == {record.HIT} else record.RUN
        self._done(
            step, StepRecord(id=step.id, fate=fate, reason=found.reason, outputs=found.outputs, metrics=found.metrics)
        )

    # running

    def _submit(self) -> None:
        if not self._queue:
            return
        if self._executor is None:
            self._executor = self._make_executor()
            self._admission = Admission({"cpu": float(self._executor.slots)})
        assert self._admission is not None
        waiting: list[Decision] = []
        for position, decision in enumerate(self._queue):
            step = self.steps[decision.step]
            if len(self.running) >= self._executor.slots:
                waiting += self._queue[position:]
                break
            if not self._admission.admit(step):
                waiting.append(decision)
                continue
            if step.caching.enabled and not self.store.leases.acquire(decision.key.digest):
                self._admission.release(step.id)
                self.elsewhere[step.id] = decision
                continue
            if step.caching.enabled and step.id not in self.selection.forced and self._made_meanwhile(decision):
                continue
            task = self._task(step)
            self.running[step.id] = task
            self.notify(
                StepStarted(
                    run_id=self.start.run_id,
                    at=self.clock(),
                    step=step.id,
                    reason=decision.reason,
                    attempt=task.attempt,
                    expected=self.seconds.get(step.id),
                )
            )
            self._executor.submit(task)
        self._queue = waiting

    def _made_meanwhile(self, decision: Decision) -> bool:
        """Another run recorded the result between our look-up and our lease: decide again."""
        before = decision.result is None and self.store.results.get(decision.key.digest)
        if not before or not all(map(self.store.objects.has, before.outputs.values())):
            return False
        assert self._admission is not None
        self._admission.release(decision.step)
        self.store.leases.release([decision.key.digest])
        self.schedule.give_back(decision.step)
        return True

    def _task(self, step: PlannedStep) -> Task:
        inputs: dict[str, tuple[Files | Stored, ...]] = {}
        for port, sources in step.inputs.items():
            found: list[Files | Stored] = []
            for source in sources:
                if source.step is None:
                    data = self.decider.data(source.output)
                    found.append(Files(data.shape, data.paths))
                else:
                    found.append(Stored(self.outputs[source.step][source.output]))
            inputs[port] = tuple(found)
        attempt = self.schedule.attempts[step.id] + 1
        name = _file_name(step.id)
        return Task(
            run_id=self.start.run_id,
            step_id=step.id,
            attempt=attempt,
            kind=step.kind,
            call=step.call,
            root=self.project.root,
            objects=str(self.store.objects.folder),
            scratch=os.path.join(self.store.folder, "tmp", f"{self.start.run_id}-{name}-{attempt}"),
            log=os.path.join(self.store.folder, "logs", self.start.run_id, f"{name}.log"),
            params=step.params,
            inputs=inputs,
            listed=step.listed,
            outputs=step.outputs,
            declared=step.declared,
            env=step.env,
            secrets=step.secrets,
            timeout=step.timeout,
            cpu=step.resources.cpu,
            memory=step.resources.memory,
            isolation=step.isolation,
        )

    def _collect(self) -> None:
        """Wait for something to happen: an outcome, the end of a pause, or another run's result."""
        timeout: float | None = None
        wake = self.schedule.wake_at()
        if wake is not None:
            timeout = max(0.0, wake - self.clock())
        if self.elsewhere:
            timeout = POLL if timeout is None else min(timeout, POLL)
        assert self._executor is not None
        for outcome in self._executor.wait(RENEW if timeout is None else min(timeout, RENEW)):
            self._outcome(outcome)
        self.store.leases.renew()
        for name, decision in list(self.elsewhere.items()):
            if not self.store.leases.busy(decision.key.digest):
                del self.elsewhere[name]
                self.schedule.give_back(name)  # decided again: a hit now, or ours to compute

    def _outcome(self, outcome: Outcome) -> None:
        step = self.steps[outcome.step_id]
        task = self.running.pop(step.id)
        assert self._admission is not None
        self._admission.release(step.id)
        shutil.rmtree(task.scratch, ignore_errors=True)
        decision = self.decisions[step.id]
        if outcome.failure is not None:
            self.store.leases.release([decision.key.digest])
            if outcome.failure.kind == "input" and self._repair(step):
                return
            self._failed(step, outcome.failure, outcome)
            return
        changed = self._changed_inputs(step)
        if changed:
            self._say(f"input '{changed}' changed while the step ran: its result is used but not recorded", step.id)
        elif step.caching.enabled:
            self._results.append(_result(self.start, step, decision, outcome))
        if changed or not step.caching.enabled:
            self.store.leases.release([decision.key.digest])
        self.outputs[step.id] = outcome.outputs
        self.metrics[step.id] = outcome.metrics
        took = outcome.finished - outcome.started
        self.notify(
            StepFinished(run_id=self.start.run_id, at=self.clock(), step=step.id, seconds=took, metrics=outcome.metrics)
        )
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
        )
        self._done(step, done)

    def _changed_inputs(self, step: PlannedStep) -> str:
        """The name of a data entry whose files are not what they were when the step was decided, or nothing."""
        for sources in step.inputs.values():
            for source in sources:
                if source.step is None and self.store.files.changed(self.decider.data(source.output)):
                    return source.output
        return ""

    def _repair(self, step: PlannedStep) -> bool:
        """A stored input does not have its digest: its producer runs again, then the step."""
        repaired = False
        for sources in step.inputs.values():
            for source in sources:
                if source.step is None or self.steps[source.step].kind == "gather":
                    continue
                if not self.store.objects.verify(self.outputs[source.step][source.output]):
                    key = self.records[source.step].key
                    self.store.results.forget(key)
                    self._say(f"the stored output of '{source.step}' was damaged; it is made again", source.step)
                    self.schedule.reopen(source.step, step.id)
                    repaired = True
        return repaired

    # ends

    def _done(self, step: PlannedStep, done: StepRecord) -> None:
        verdicts = gate.judge(step, self.metrics[step.id], self.plan.params, self.metrics) if step.gates else []
        for name, path in step.save.items():
            if name in done.outputs:
                self._save(step, done.outputs[name], path)
        self._set(_with_gates(done, verdicts))
        broken = next((v for v in verdicts if not v.passed), None)
        if broken is None:
            self._register(step, done)
            self.schedule.finish(step.id)
            return
        figures = ", ".join(f"{name} = {value:.6g}" for name, value in broken.values.items()) or broken.note
        reason = f"the gate of '{step.id}' did not hold: {broken.text} ({figures})"
        self._skipped(self.schedule.stop_below(step.id, reason))

    def _register(self, step: PlannedStep, done: StepRecord) -> None:
        """A step that returned a model's card, now or when it ran: its version, if it is not there yet, is on its way.

        What keeps it out of the registry is a notice: the step itself has done its work.
        """
        card = register.card_of(done)
        if card is None:
            return
        try:
            model = register.model_of(step, self.outputs)
            if self.store.models.known(model.digest, card.digest):
                return
            version = register.draft(self.start, done, model, self.store, self.clock())
        except (register.Unregistrable, CodecError) as error:
            self._say(f"no model was registered: {error}", step.id)
            return
        above = register.upstream(step, self.steps)
        data = register.data_of(above, lambda name: self.decider.data(name).digest)
        lineage = {one.id: parts for one in above if (parts := self._parts(one.id))}
        self._versions.append((structs.replace(version, lineage=lineage, data=data), card.digest))

    def _parts(self, step: str) -> dict[str, str]:
        """The manifest of the key that a step of this run has, or had when it ran."""
        if step in self.decisions:
            return self.decisions[step].key.parts
        result = self.store.results.get(self.records[step].key)
        return result.parts if result is not None else {}

    def _save(self, step: PlannedStep, artifact: Artifact, path: str) -> None:
        """Keep the copy in the project's tree; a damaged object is a notice, and a miss the next time."""
        try:
            self.store.objects.restore(artifact, os.path.join(self.project.root, path))
        except CodecError as error:
            self._say(f"'{path}' could not be saved: {error}; the next run makes it again", step.id)

    def _failed(self, step: PlannedStep, failure: Failure, outcome: Outcome | None) -> None:
        now = self.clock()
        consequence = self.schedule.fail(step.id, failure, now)
        if isinstance(consequence, Again):
            wait = consequence.at - now
            again = consequence.attempt
            self.notify(
                StepRetried(run_id=self.start.run_id, at=now, step=step.id, failure=failure, attempt=again, wait=wait)
            )
            return
        log = os.path.join(self.store.folder, "logs", self.start.run_id, f"{_file_name(step.id)}.log")
        self.notify(StepFailed(run_id=self.start.run_id, at=now, step=step.id, failure=failure, log=log))
        self._set(
            StepRecord(
                id=step.id,
                fate=record.FAILED,
                reason=failure.message,
                attempts=self.schedule.attempts[step.id],
                started=outcome.started if outcome else now,
                finished=outcome.finished if outcome else now,
                failure=failure,
                log=log if outcome else "",
            )
        )
        self._skipped(consequence)

    def _skipped(self, skips: list[Skip]) -> None:
        for skip in skips:
            self.notify(StepSkipped(run_id=self.start.run_id, at=self.clock(), step=skip.step, reason=skip.reason))
            self._set(StepRecord(id=skip.step, fate=record.SKIP, reason=skip.reason))

    def _set(self, step: StepRecord) -> None:
        self.records[step.id] = step
        self._unsaved.append(step)

    def _flush(self) -> None:
        """Everything that ended since the last turn becomes durable in one transaction."""
        ended = bool(self._unsaved) and (self._executor is not None or self.schedule.over)
        if not self._results and not self._versions and not ended:
            return
        with self.store.database.transaction():
            if self._results:
                self.store.results.put(self._results)
                self.store.leases.release([result.key for result in self._results])
            self.store.history.add_steps(self.start.run_id, self._unsaved)
            registered = [self.store.models.register(*entry, register.ACTOR) for entry in self._versions]
        self._results, self._unsaved, self._versions = [], [], []
        for version, new in registered:
            if new:
                self._say(f"registered {version.name} version {version.version}", version.step)

    def _say(self, text: str, step: str = "") -> None:
        self.notify(Notice(run_id=self.start.run_id, at=self.clock(), text=text, step=step))


def _result(run: RunRecord, step: PlannedStep, decision: Decision, outcome: Outcome) -> Result:
    return Result(
        key=decision.key.digest,
        outputs=outcome.outputs,
        metrics=outcome.metrics,
        parts=decision.key.parts,
        pipeline=run.pipeline,
        step=step.id,
        run_id=run.run_id,
        created=outcome.finished,
        seconds=outcome.finished - outcome.started,
    )


def _with_gates(done: StepRecord, verdicts: list[record.GateVerdict]) -> StepRecord:
    if not verdicts:
        return done
    fields: dict[str, Any] = {name: getattr(done, name) for name in done.__struct_fields__}
    return StepRecord(**{**fields, "gates": tuple(verdicts)})


def _file_name(step: str) -> str:
    """A step's id as a file name; what a file system might refuse is written as %XX."""
    return "".join(c if c.isalnum() or c in "._-=,[]" else f"%{ord(c):02X}" for c in step)[:150]
