"""How long a run still takes, from the durations of past runs."""

from collections.abc import Iterable, Mapping

from treadle.domain.plan import Plan


def remaining(plan: Plan, open_steps: Mapping[str, float], seconds: Mapping[str, float], slots: int) -> float | None:
    """Seconds until the open steps are through, or None when nothing is known of most of them.

    `open_steps` maps each step that has not ended to the seconds it has been running (0 while it waits).
    The bound is the longer of the critical path and the work divided by `slots`.
    """
    known = [seconds[step] for step in open_steps if step in seconds]
    if not known or len(known) * 2 < len(open_steps):
        return None
    typical = sum(known) / len(known)
    path: dict[str, float] = {}
    work = 0.0
    for step in plan.steps:
        if step.id not in open_steps:
            continue
        own = max(0.0, seconds.get(step.id, typical) - open_steps[step.id])
        work += own
        path[step.id] = own + max((path.get(need, 0.0) for need in step.needs), default=0.0)
    return max(max(path.values(), default=0.0), work / max(1, slots))


def expected(steps: Iterable[str], seconds: Mapping[str, float]) -> float | None:
    """The sum of what past runs took for these steps, or None when none is known."""
    known = [seconds[step] for step in steps if step in seconds]
    return sum(known) if known else None
