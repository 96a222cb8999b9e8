"""What a run would do, without doing it: the same decisions, with what is not known yet said so."""

from typing import Protocol

from msgspec import Struct

from treadle.code import Project
from treadle.domain.artifact import Artifact
from treadle.domain.plan import Plan, PlannedStep
from treadle.errors import InputError
from treadle.expression import ExpressionError
from treadle.run import gate
from treadle.run.decide import Decider, Decision, Outputs
from treadle.run.gather import gather
from treadle.run.schedule import Schedule, Skip
from treadle.run.selection import Selection
from treadle.store import Store


class Preview(Struct, frozen=True):
    """The expected fate of a step: hit, run, skip, or wait (it depends on what runs before it)."""

    step: str
    fate: str
    reason: str
    seconds: float | None = None  # what it took the last time


def preview(plan: Plan, store: Store, project: Project, selection: Selection, now: float) -> list[Preview]:
    """The fate of every step in the order of the plan; raises nothing for missing data, it says so."""
    walk = Walk(plan, store, selection, Decider(plan, store, project, selection.forced, now))
    walk.go()
    return walk.previews()


class Decides(Protocol):
    """What decides a step whose inputs are known: the cache, or a lock."""

    def decide(self, step: PlannedStep, outputs: Outputs) -> Decision:
        """Hit with a result, or run with the reason; raises InputError."""


class Walk:
    """A walk over a plan that runs nothing: after `go` its fates, and what is known of each step."""

    def __init__(self, plan: Plan, store: Store, selection: Selection, decider: Decides) -> None:
        self.fates: dict[str, tuple[str, str]] = {}
        self.outputs: dict[str, dict[str, Artifact]] = {}
        self.metrics: dict[str, dict[str, float]] = {}
        self.decisions: dict[str, Decision] = {}
        self._plan = plan
        self._store = store
        self._selection = selection
        self._decider = decider

    def go(self) -> None:
        """Decide every step once, in an order in which each follows its needs."""
        schedule = Schedule(self._plan, {})
        steps = {step.id: step for step in self._plan.steps}
        while not schedule.over:
            for name in schedule.take():
                fate, reason = self._decide(steps[name])
                self.fates[name] = ("hit" if fate == "stop" else fate, reason)
                skips: list[Skip] = []
                if fate == "skip":
                    skips = schedule.skip(name, reason)
                elif fate == "stop":
                    skips = schedule.stop_below(name, reason)
                else:
                    schedule.finish(name)
                self.fates.update((skip.step, ("skip", skip.reason)) for skip in skips)

    def previews(self) -> list[Preview]:
        """The fates with what each step took the last time, in the order of the plan."""
        seconds = self._store.results.durations(self._plan.pipeline)
        return [Preview(s.id, *self.fates[s.id], seconds.get(s.id)) for s in self._plan.steps]

    def _decide(self, step: PlannedStep) -> tuple[str, str]:
        open_needs = [need for need in step.needs if self.fates[need][0] in ("run", "wait")]
        if open_needs:
            return "wait", f"depends on {', '.join(open_needs[:3])}{' …' if len(open_needs) > 3 else ''}"
        try:
            if step.condition and not gate.holds(step.condition.text, self._plan.params, self.metrics, step.cell):
                return "skip", f"if: {step.condition.text} is false"
            if step.kind == "gather":
                return self._gathered(step)
            decision = self.decisions[step.id] = self._decider.decide(step, self.outputs)
        except (ExpressionError, ValueError) as error:
            return "run", str(error)
        except InputError as error:
            return "run", "; ".join(problem.text for problem in error.problems)
        if decision.result is None:
            if not self._selection.may_run(step.id):
                return "skip", f"not selected, and not in the cache: {decision.reason}"
            return "run", decision.reason
        return self._known(step, decision.result.outputs, decision.result.metrics, decision.reason)

    def _gathered(self, step: PlannedStep) -> tuple[str, str]:
        found = gather(step, self.outputs, self.metrics, self._store.objects)
        return self._known(step, found.outputs, found.metrics, found.reason)

    def _known(
        self, step: PlannedStep, outputs: dict[str, Artifact], metrics: dict[str, float], reason: str
    ) -> tuple[str, str]:
        self.outputs[step.id] = outputs
        self.metrics[step.id] = metrics
        for verdict in gate.judge(step, metrics, self._plan.params, self.metrics) if step.gates else ():
            if not verdict.passed:
                return "stop", f"the gate of '{step.id}' did not hold: {verdict.text}"
        return "hit", reason
