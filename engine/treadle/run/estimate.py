"""How long a run still takes, from the durations of past runs."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping

from treadle.domain.advance import Advance, Tell
from treadle.domain.event import Advanced, Event, RunProgress
from treadle.domain.plan import Plan

PERIOD = 0.5  # seconds between two reports
SHARE = 20  # an estimate of a large plan may take a twentieth of the time between two reports


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


class Pace:
    """Reports how far a run is, now and then: an estimate looks at the whole plan, so not after every step."""

    def __init__(self, plan: Plan, seconds: Mapping[str, float]) -> None:
        self._plan = plan
        self._seconds = seconds
        self._begun: dict[str, float] = {}
        self._next = 0.0

    def begin(self, step: str, now: float) -> None:
        """An attempt at a step begins; `now` in seconds since the epoch."""
        self._begun[step] = now

    def report(self, run_id: str, now: float, ended: Collection[str], slots: int) -> RunProgress | None:
        """How far the run is, given the steps that have ended; None when it is too early to say so again."""
        if now < self._next:
            return None
        before = time.perf_counter()
        open_steps = {
            step.id: max(0.0, now - self._begun.get(step.id, now)) for step in self._plan.steps if step.id not in ended
        }
        left = remaining(self._plan, open_steps, self._seconds, slots)
        self._next = now + max(PERIOD, SHARE * (time.perf_counter() - before))
        return RunProgress(run_id=run_id, at=now, steps=len(self._plan.steps), ended=len(ended), remaining=left)


def stages(plan: Plan) -> dict[str, str]:
    """The stage of each step that names one, by the step's id without its matrix cell."""
    return {step.id.partition("[")[0]: step.stage for step in plan.steps if step.stage}


def as_events(run_id: str, notify: Callable[[Event], None], clock: Callable[[], float]) -> Tell:
    """A listener to long work that makes events of what it hears, at most twice a second."""
    last = clock()

    def tell(advance: Advance) -> None:
        nonlocal last
        now = clock()
        if now - last >= PERIOD:
            last = now
            what, done, total, unit = advance.what, advance.done, advance.total, advance.unit
            notify(Advanced(run_id=run_id, at=now, what=what, done=done, total=total, unit=unit))

    return tell
