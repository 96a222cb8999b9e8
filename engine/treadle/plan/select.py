"""A plan made smaller: only what the user asked for, and what that needs."""

from collections.abc import Sequence

from msgspec.structs import replace

from treadle.domain.plan import Plan, PlannedStep
from treadle.errors import InputError, Problem, did_you_mean
from treadle.plan import order


def select(
    plan: Plan, targets: Sequence[str] = (), start: Sequence[str] = (), only: Sequence[str] = ()
) -> tuple[Plan, frozenset[str]]:
    """The part of a plan that leads to `targets`, lies below `start` or is `only`, and which of its steps may run.

    What a chosen step needs stays in the plan; with `start` and `only` it may not run, it must be in the cache.
    Raises InputError for names of no step.
    """
    for name in (*targets, *start, *only):
        require(plan, name)
    needs = {step.id: step.needs for step in plan.steps}
    chosen = {step.id for step in plan.steps}
    if targets:
        chosen &= order.reached(targets, needs)
    if start:
        chosen &= order.reached(start, order.below_each(needs))
    if only:
        chosen &= set(only) | {cell for name in only for cell in _cells(plan, name)}
    kept = order.reached(chosen, needs)
    return replace(plan, steps=tuple(step for step in plan.steps if step.id in kept)), frozenset(chosen)


def _cells(plan: Plan, name: str) -> tuple[str, ...]:
    """The cells of a matrix, which share the fate of its name."""
    step = require(plan, name)
    return step.needs if step.kind == "gather" else ()


def require(plan: Plan, name: str) -> PlannedStep:
    """The step of that name; raises InputError with the nearest name when there is none."""
    for step in plan.steps:
        if step.id == name:
            return step
    hint = did_you_mean(name, [step.id for step in plan.steps])
    raise InputError([Problem("unknown-step", f"{plan.path} has no step called '{name}'", None, hint)])
