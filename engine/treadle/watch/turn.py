"""What a turn came to: pure functions of a plan and the record of its run."""

from collections.abc import Mapping, Sequence

from treadle.domain import run as record
from treadle.domain.event import TurnFinished
from treadle.domain.plan import Plan
from treadle.domain.run import RunRecord

Figures = Mapping[str, Mapping[str, float]]  # step → metric → value
Deltas = dict[str, dict[str, tuple[float | None, float | None]]]


def turn_of(number: int, changed: Sequence[str], plan: Plan, run: RunRecord, before: Figures) -> TurnFinished:
    """The turn in which this run was made, beside the metrics that were known before it."""
    fates: dict[str, list[str]] = {}
    for step in run.steps.values():
        fates.setdefault(step.fate, []).append(step.id)
    ran = fates.get(record.RUN, [])
    return TurnFinished(
        run_id=run.run_id,
        at=run.finished,
        turn=number,
        status=run.status,
        seconds=run.finished - run.started,
        changed=tuple(changed),
        ran=tuple(ran),
        cut_off=tuple(cut_off(plan, run)),
        failed=tuple(fates.get(record.FAILED, [])),
        skipped=tuple(fates.get(record.SKIP, [])),
        unchanged=len(fates.get(record.HIT, [])),
        metrics=deltas(before, figures(run)),
    )


def cut_off(plan: Plan, run: RunRecord) -> list[str]:
    """The steps that a change did not reach: hits, though a step above them ran."""
    reached: set[str] = set()
    found = []
    for step in plan.steps:
        if step.id not in run.steps:
            continue
        fate = run.steps[step.id].fate
        below = any(need in reached for need in step.needs)
        if fate == record.HIT and below:
            found.append(step.id)
        if fate == record.RUN or below:
            reached.add(step.id)
    return found


def figures(run: RunRecord) -> dict[str, dict[str, float]]:
    """The metrics of every step that has some."""
    return {name: dict(step.metrics) for name, step in run.steps.items() if step.metrics}


def deltas(before: Figures, after: Figures) -> Deltas:
    """The metrics that are not what they were, for steps that were known before."""
    found: Deltas = {}
    for step in after:
        if step not in before:
            continue
        old, new = before[step], after[step]
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        if names:
            found[step] = {name: (old.get(name), new.get(name)) for name in names}
    return found
