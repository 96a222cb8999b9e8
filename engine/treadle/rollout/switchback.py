"""Switchback units for markets in which users share a resource: a cluster during a window of time is the unit."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import floor

from msgspec import Struct

from treadle.domain.rollout import Switchback, Unit

FEW = 200  # cluster-windows below which a decision is unlikely
CORRELATED = 0.2


class Row(Struct, frozen=True):
    """One outcome: its cluster, its time, the arm and propensity of its unit."""

    cluster: str
    at: float
    arm: int
    propensity: float
    value: float


def unit_of(cluster: str, at: float, terms: Switchback) -> str:
    """The name that the assignment hashes: one arm for a cluster during a window."""
    return f"{cluster}/{floor(at / terms.window)}"


def burning_in(at: float, terms: Switchback) -> bool:
    """Whether the effects of the window before still linger, so that this row is dropped."""
    return at % terms.window < terms.burn_in


def units(rows: Iterable[Row], terms: Switchback) -> list[Unit]:
    """Cluster-window means by window, without the burn-in; a unit is assigned at its window's end."""
    sums: dict[tuple[int, str], tuple[Row, float, int]] = {}
    for row in rows:
        if burning_in(row.at, terms):
            continue
        key = (floor(row.at / terms.window), row.cluster)
        first, total, count = sums.get(key, (row, 0.0, 0))
        sums[key] = (first, total + row.value, count + 1)
    return [
        Unit(number, first.arm, first.propensity, (window + 1) * terms.window, total / count)
        for number, ((window, _), (first, total, count)) in enumerate(sorted(sums.items(), key=lambda item: item[0]))
    ]


def autocorrelation(series: Sequence[float]) -> float:
    """Lag-1 autocorrelation of residuals; above `CORRELATED` pair the windows. 0 for a short or still series."""
    if len(series) < 3:
        return 0.0
    mean = sum(series) / len(series)
    spread = sum((value - mean) ** 2 for value in series)
    if spread == 0:
        return 0.0
    return sum((a - mean) * (b - mean) for a, b in pairwise(series)) / spread
