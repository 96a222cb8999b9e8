"""Windows of a guardrail: they grow until the arms that it looks at hold enough requests, and are judged once."""

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from treadle.domain.rollout import CHALLENGER, CHAMPION, Guardrail, GuardWindow, Reading

LATENCY = re.compile(r"latency_(?:p(\d{1,2}(?:\.\d+)?)|mean)_ms")
KEPT = 10  # times `min_requests`: an arm that gets far more than the other keeps its newest


class Request(Struct, frozen=True):
    """One answered request of an arm."""

    at: float
    arm: int
    failed: bool
    latency: float  # milliseconds


class Filling(Struct):
    """A window that is not full yet: the values of both arms."""

    values: tuple[list[float], list[float]]


class LimitWindows:
    """The windows of every guardrail with a limit; those that test for harm see units, not windows."""

    def __init__(self, guardrails: Iterable[Guardrail]) -> None:
        self._guards = [guard for guard in guardrails if guard.harm is None]
        self._filling = {guard.metric: Filling(([], [])) for guard in self._guards}
        self._full: list[GuardWindow] = []

    def take(self, request: Request) -> None:
        """Count a request for the limits on errors and latencies."""
        for guard in self._guards:
            if guard.metric == "error_rate":
                self._add(guard, request.at, request.arm, float(request.failed))
            elif LATENCY.fullmatch(guard.metric) and not request.failed:
                self._add(guard, request.at, request.arm, request.latency)

    def judge(self, at: float, arm: int, outcomes: Mapping[str, float]) -> None:
        """Count the outcomes of a unit for the limits on them."""
        for guard in self._guards:
            if guard.metric in outcomes:
                self._add(guard, at, arm, outcomes[guard.metric])

    def after(self, judged: Mapping[str, float]) -> list[GuardWindow]:
        """The full windows that were not judged; the others are forgotten."""
        self._full = [one for one in self._full if one.end > judged.get(one.metric, float("-inf"))]
        return self._full

    def _add(self, guard: Guardrail, at: float, arm: int, value: float) -> None:
        values = self._filling[guard.metric].values
        values[arm].append(value)
        least = max(1, guard.min_requests)
        del values[arm][: -KEPT * least]
        if len(values[CHALLENGER]) < least or (guard.max_ratio is not None and len(values[CHAMPION]) < least):
            return
        readings = [Reading(statistic(guard.metric, arm), len(arm)) for arm in values]
        self._full.append(GuardWindow(guard.metric, at, readings[CHAMPION], readings[CHALLENGER]))
        self._filling[guard.metric] = Filling(([], []))


def statistic(metric: str, values: Sequence[float]) -> float:
    """A quantile of latencies by nearest rank, the mean of anything else; NaN of nothing."""
    if not values:
        return float("nan")
    found = LATENCY.fullmatch(metric)
    if found is not None and found[1]:
        ordered = sorted(values)
        return ordered[min(len(ordered) - 1, int(float(found[1]) / 100 * len(ordered)))]
    return sum(values) / len(values)
