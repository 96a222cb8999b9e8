"""Windows of a guardrail: they grow until the arms that it looks at hold enough requests, and are judged once."""

import re
from collections.abc import Iterable, Mapping, Sequence

from treadle.domain.rollout import CHALLENGER, CHAMPION, Guardrail, GuardWindow, Reading
from treadle.domain.serving import Prediction

LATENCY = re.compile(r"latency_(?:p(\d{1,2}(?:\.\d+)?)|mean)_ms")
KEPT = 10  # times `min_requests`: an arm that gets far more than the other keeps its newest


class Watched:
    """A guardrail with a limit, and the values of both arms in its window that is not full yet."""

    def __init__(self, guard: Guardrail) -> None:
        self.metric = guard.metric
        self._least = max(1, guard.min_requests)
        self._compares = guard.max_ratio is not None
        self._values: tuple[list[float], list[float]] = ([], [])

    def take(self, values: Iterable[tuple[float, int, float]]) -> list[GuardWindow]:
        """Count values, each with its time and arm; returns the windows that they fill."""
        full, least, most = [], self._least, KEPT * self._least
        before, now = self._values
        for at, arm, value in values:
            own = now if arm else before
            own.append(value)
            if len(own) > most:
                del own[0]
            if len(now) >= least and not (self._compares and len(before) < least):
                readings = [Reading(statistic(self.metric, one), len(one)) for one in (before, now)]
                full.append(GuardWindow(self.metric, at, readings[CHAMPION], readings[CHALLENGER]))
                before, now = self._values = ([], [])
        return full


class LimitWindows:
    """The windows of every guardrail with a limit; those that test for harm see units, not windows."""

    def __init__(self, guardrails: Iterable[Guardrail]) -> None:
        watched = [Watched(guard) for guard in guardrails if guard.harm is None]
        self._failures = [one for one in watched if one.metric == "error_rate"]
        self._latencies = [one for one in watched if LATENCY.fullmatch(one.metric)]
        self.outcomes = {one.metric: one for one in watched if one not in (*self._failures, *self._latencies)}
        self._full: list[GuardWindow] = []

    def take(self, answered: Sequence[Prediction]) -> None:
        """Count answered requests of both arms for the limits on errors and latencies."""
        for one in self._failures:
            self._full += one.take([(r.at, r.arm == "challenger", float(r.status >= 500)) for r in answered])
        for one in self._latencies:
            self._full += one.take(
                [(r.at, r.arm == "challenger", r.latency * 1000) for r in answered if r.status < 500]
            )

    def judge(self, metric: str, at: float, arm: int, outcome: float) -> None:
        """Count the outcome of a unit for the limit on it."""
        self._full += self.outcomes[metric].take([(at, arm, outcome)])

    def after(self, judged: Mapping[str, float]) -> list[GuardWindow]:
        """The full windows that were not judged; the others are forgotten."""
        self._full = [one for one in self._full if one.end > judged.get(one.metric, float("-inf"))]
        return self._full


def statistic(metric: str, values: Sequence[float]) -> float:
    """A quantile of latencies by nearest rank, the mean of anything else; NaN of nothing."""
    if not values:
        return float("nan")
    found = LATENCY.fullmatch(metric)
    if found is not None and found[1]:
        ordered = sorted(values)
        return ordered[min(len(ordered) - 1, int(float(found[1]) / 100 * len(ordered)))]
    return sum(values) / len(values)
