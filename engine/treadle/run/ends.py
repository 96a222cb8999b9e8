"""How steps end in a run, and what they leave: outputs, metrics, a record, a result, and a schedule that moves on."""

import os
from collections.abc import Callable, Set

from msgspec import structs

from treadle.code import Project
from treadle.domain import run as record
from treadle.domain.artifact import Artifact
from treadle.domain.event import StepCached, StepFailed, StepFinished, StepRetried
from treadle.domain.model import ModelVersion
from treadle.domain.plan import Plan, PlannedStep
from treadle.domain.run import Items, RunRecord, StepRecord
from treadle.domain.signature import MAIN
from treadle.domain.task import Failure, Outcome, Usage
from treadle.errors import CodecError
from treadle.run import gate
from treadle.run.cutoff import saved
from treadle.run.decide import Decider, Decision
from treadle.run.estimate import Pace
from treadle.run.foreach import base_of
from treadle.run.gather import gather
from treadle.run.journal import Journal
from treadle.run.register import Registrar
from treadle.run.schedule import Again, Schedule
from treadle.run.tasks import Tasks
from treadle.store import Result, Store


class Ends:
    """What has ended so far; each method ends one step, or its attempt, in one way. Raises StoreError."""

    def __init__(self, plan: Plan, store: Store, project: Project, forced: Set[str], journal: Journal) -> None:
        self.outputs: dict[str, dict[str, Artifact]] = {}
        self.metrics: dict[str, dict[str, float]] = {}
        self.steps = {step.id: step for step in plan.steps}
        self.seconds = store.results.durations(plan.pipeline)
        self.pace = Pace(plan, self.seconds)
        self.decider = Decider(plan, store, project, forced, journal.run.started)
        self.schedule = Schedule(plan, self.seconds, self.decider.likely())
        own = any(step.call.startswith(f"{MAIN}:") for step in plan.steps)
        self.tasks = Tasks(store, project.root, journal.run.run_id, project.program() if own else "")
        self.decisions: dict[str, Decision] = {}  # of the steps that run
        self.registrar = Registrar(store, journal.run, self.steps, self.decider)
        self.journal = journal
        self._plan = plan
        self._store = store
        self._root = project.root

    def hit(self, step: PlannedStep, decision: Decision, result: Result) -> None:
        """The result of a step is known."""
        self.outputs[step.id] = result.outputs
        self.metrics[step.id] = result.metrics
        self.journal.tell(StepCached, step=step.id, metrics=result.metrics)
        done = StepRecord(
            id=step.id,
            fate=record.HIT,
            reason=decision.reason,
            key=decision.key.digest,
            outputs=result.outputs,
            metrics=result.metrics,
            track=result.track,
        )
        self.done(step, done)

    def gathered(self, step: PlannedStep) -> None:
        """The cells of a matrix have ended."""
        try:
            found = gather(step, self.outputs, self.metrics, self._store.objects)
        except ValueError as error:
            self.failed(step, Failure("error", str(error)), None)
            return
        self.outputs[step.id] = found.outputs
        self.metrics[step.id] = found.metrics
        fates = {self.journal.steps[cell].fate for cell in step.needs if cell in self.outputs}
        fate = record.HIT if fates == {record.HIT} else record.RUN
        self.done(
            step, StepRecord(id=step.id, fate=fate, reason=found.reason, outputs=found.outputs, metrics=found.metrics)
        )

    def finished(self, step: PlannedStep, decision: Decision, done: StepRecord) -> None:
        """A step has run: its result is recorded, unless what it read changed meanwhile."""
        changed = self.decider.changed(step, decision.key)
        if changed:
            self.journal.say(f"{changed} changed while the step ran: its result is used but not recorded", step.id)
        recorded = step.caching.enabled and not changed
        if recorded:
            self.decider.remember(step, self.outputs)
        results = [_result(self.journal.run, decision, done)] if recorded else []
        self.journal.add(results, [lease_of(step, decision)] if step.caching.enabled else [])
        self.outputs[step.id] = done.outputs
        self.metrics[step.id] = done.metrics
        self.journal.tell(StepFinished, step=step.id, seconds=done.seconds, metrics=done.metrics)
        self.done(step, done)

    def tell_cut_off(self) -> None:
        """Say which steps ran for nothing new, and how many steps that saved."""
        fates = {name: step.fate for name, step in self.journal.steps.items()}
        for name, count in saved(self._plan, fates).items():
            self.journal.set(structs.replace(self.journal.steps[name], saved=count))
            steps = "1 step" if count == 1 else f"{count} steps"
            self.journal.say(f"cut off here: '{name}' made what was known already; {steps} saved", name)

    def repair(self, step: PlannedStep) -> bool:
        """A stored input does not have its digest: its producer runs again, then the step."""
        repaired = False
        for source in {source for sources in step.inputs.values() for source in sources}:
            if source.step is None or self.steps[source.step].kind == "gather":
                continue
            if not self._store.objects.verify(self.outputs[source.step][source.output]):
                self._store.results.forget(self.journal.steps[source.step].key)
                self.journal.say(f"the stored output of '{source.step}' was damaged; it is made again", source.step)
                self.schedule.reopen(source.step, step.id)
                repaired = True
        return repaired

    def done(self, step: PlannedStep, done: StepRecord) -> None:
        """A step is done, its gate decides about what follows."""
        verdicts = gate.judge(step, self.metrics[step.id], self._plan.params, self.metrics) if step.gates else []
        for name, path in step.save.items():
            if name in done.outputs:
                self._save(step, done.outputs[name], path)
        self.journal.set(gate.with_verdicts(done, verdicts))
        broken = next((v for v in verdicts if not v.passed), None)
        if broken is None:
            refusal = self.registrar.take(step, done, self.outputs, self.journal.steps, self.decisions)
            if refusal:
                self.journal.say(f"no model was registered: {refusal}", step.id)
            self.schedule.finish(step.id)
            return
        figures = ", ".join(f"{name} = {value:.6g}" for name, value in broken.values.items()) or broken.note
        reason = f"the gate of '{step.id}' did not hold: {broken.text} ({figures})"
        self.journal.skip(self.schedule.stop_below(step.id, reason))

    def flush(self, steps_too: bool = True, beside: Callable[[], None] | None = None) -> None:
        """Make durable what has ended, with the models that steps registered, in one transaction with `beside`."""
        registered: list[ModelVersion] = []

        def register() -> None:
            registered.extend(self.registrar.register())

        self.journal.flush(steps_too, register if self.registrar.waiting else None, beside)
        for version in registered:
            self.journal.say(f"registered {version.name} version {version.version}", version.step)

    def _save(self, step: PlannedStep, artifact: Artifact, path: str) -> None:
        """Keep the copy in the project's tree; a damaged object is a notice, and a miss the next time."""
        try:
            self._store.objects.restore(artifact, os.path.join(self._root, path))
        except CodecError as error:
            self.journal.say(f"'{path}' could not be saved: {error}; the next run makes it again", step.id)

    def items_failed(self, done: StepRecord, failure: Failure) -> None:
        """Items of a step failed for good, and so has the step."""
        self.journal.tell(StepFailed, step=done.id, failure=failure, log=done.log)
        self.journal.set(done)
        self.journal.skip(self.schedule.abandon(done.id))

    def failed(self, step: PlannedStep, failure: Failure, outcome: Outcome | None) -> None:
        """An attempt failed: the step is tried again, or has failed."""
        now = self.journal.clock()
        steady = self.journal.steady()
        consequence = self.schedule.fail(step.id, failure, steady)
        if isinstance(consequence, Again):
            again, wait = consequence.attempt, consequence.at - steady
            self.journal.tell(StepRetried, step=step.id, failure=failure, attempt=again, wait=wait)
            return
        log = self.tasks.log(step.id)
        self.journal.tell(StepFailed, step=step.id, failure=failure, log=log)
        self.journal.set(
            StepRecord(
                id=step.id,
                fate=record.FAILED,
                reason=failure.message,
                attempts=self.schedule.attempts[step.id],
                started=outcome.started if outcome else now,
                finished=outcome.finished if outcome else now,
                failure=failure,
                usage=outcome.usage if outcome else Usage(),
                log=log if outcome else "",
                track=outcome.track if outcome else None,
            )
        )
        self.journal.skip(consequence)

    def cancelled(self, name: str, started: float | None = None, items: Items | None = None) -> None:
        """A step was interrupted."""
        now = self.journal.clock()
        self.journal.set(
            StepRecord(
                id=name,
                fate=record.CANCELLED,
                reason="interrupted",
                started=now if started is None else started,
                finished=now,
                log=self.tasks.log(name),
                items=items,
            )
        )


def lease_of(step: PlannedStep, decision: Decision) -> str:
    """What only one run may compute at a time: a key, or all items of a step with `foreach`, whatever its list."""
    return decision.key.digest if step.foreach is None else base_of(step, decision)


def _result(run: RunRecord, decision: Decision, done: StepRecord) -> Result:
    return Result(
        key=decision.key.digest,
        outputs=done.outputs,
        metrics=done.metrics,
        parts=decision.key.parts,
        pipeline=run.pipeline,
        step=done.id,
        run_id=run.run_id,
        created=done.finished,
        seconds=done.seconds,
        usage=done.usage,
        track=done.track,
    )
