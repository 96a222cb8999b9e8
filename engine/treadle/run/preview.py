"""What a run would do, without doing it: the same decisions, with what is not known yet said so."""

from msgspec import Struct

from treadle.code import Project
from treadle.domain.artifact import Artifact
from treadle.domain.plan import Plan, PlannedStep
from treadle.errors import InputError
from treadle.expression import ExpressionError
from treadle.run import gate
from treadle.run.decide import Decider
from treadle.run.gather import gather
from treadle.run.schedule import Schedule
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
    walk = _Walk(plan, store, project, selection, now)
    schedule = Schedule(plan, {})
    steps = {step.id: step for step in plan.steps}
    while not schedule.over:
        for name in schedule.take():
            fate, reason = walk.decide(steps[name])
            walk.fates[name] = (fate, reason)
            if fate == "skip":
                for skip in schedule.skip(name, reason):
                    walk.fates[skip.step] = ("skip", skip.reason)
            elif fate == "stop":
                walk.fates[name] = ("hit", reason)
                for skip in schedule.stop_below(name, reason):
                    walk.fates[skip.step] = ("skip", skip.reason)
            else:
                schedule.finish(name)
    seconds = store.results.durations(plan.pipeline)
    return [Preview(s.id, *walk.fates[s.id], seconds.get(s.id)) for s in plan.steps]


class _Walk:
    def __init__(self, plan: Plan, store: Store, project: Project, selection: Selection, now: float) -> None:
        self.fates: dict[str, tuple[str, str]] = {}
        self._plan = plan
        self._store = store
        self._selection = selection
        self._decider = Decider(plan, store, project, selection.forced, now)
        self._outputs: dict[str, dict[str, Artifact]] = {}
        self._metrics: dict[str, dict[str, float]] = {}

    def decide(self, step: PlannedStep) -> tuple[str, str]:
        open_needs = [need for need in step.needs if self.fates[need][0] in ("run", "wait")]
        if open_needs:
            return "wait", f"depends on {', '.join(open_needs[:3])}{' …' if len(open_needs) > 3 else ''}"
        try:
            if step.condition and not gate.holds(step.condition.text, self._plan.params, self._metrics, step.cell):
                return "skip", f"if: {step.condition.text} is false"
            if step.kind == "gather":
                return self._gathered(step)
            decision = self._decider.decide(step, self._outputs)
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
        found = gather(step, self._outputs, self._metrics, self._store.objects)
        return self._known(step, found.outputs, found.metrics, found.reason)

    def _known(
        self, step: PlannedStep, outputs: dict[str, Artifact], metrics: dict[str, float], reason: str
    ) -> tuple[str, str]:
        self._outputs[step.id] = outputs
        self._metrics[step.id] = metrics
        for verdict in gate.judge(step, metrics, self._plan.params, self._metrics) if step.gates else ():
            if not verdict.passed:
                return "stop", f"the gate of '{step.id}' did not hold: {verdict.text}"
        return "hit", reason
