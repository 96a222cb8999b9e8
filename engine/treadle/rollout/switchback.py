"""Switchback units for markets in which users share a resource: a cluster during a window of time is the unit.

Each window's arm is drawn anew, so the bets stay fair however much windows resemble each other. What they cannot see is
an effect that outlives its window: resemblance is its sign, and people are told.
"""

from collections.abc import Iterable
from math import floor

from treadle.domain.rollout import Echo, RolloutSpec, RolloutState, Switchback, Unit

FEW = 200  # cluster-windows below which a decision is unlikely
CORRELATED = 0.2
PAIRS = 50  # neighbours below which a correlation is noise


def burning_in(at: float, terms: Switchback) -> bool:
    """Whether the effects of the window before still linger, so that this row is dropped."""
    return at % terms.window < terms.burn_in


def follow(echo: Echo, seen: Iterable[tuple[Unit, float]], terms: Switchback) -> Echo:
    """The echo after these units: residuals from the mean of their arm so far, beside the cluster's window before."""
    last, arms = dict(echo.last), list(echo.arms)
    products, squares, pairs = echo.products, echo.squares, echo.pairs
    for unit, value in seen:
        total, count = arms[unit.arm]
        arms[unit.arm] = (total + value, count + 1)
        if not count:
            continue
        number, residual = floor(unit.assigned / terms.window), value - total / count
        before = last.get(unit.cluster)
        if before is not None and before[0] == number - 1:
            products, squares, pairs = products + before[1] * residual, squares + before[1] ** 2, pairs + 1
        last[unit.cluster] = (number, residual)
    return Echo(last, products, squares, pairs, (arms[0], arms[1]))


def correlation(echo: Echo) -> float:
    """Lag-1 autocorrelation of the residuals of a cluster's windows; 0 while too little is known."""
    return echo.products / echo.squares if echo.pairs >= PAIRS and echo.squares > 0 else 0.0


def warnings(spec: RolloutSpec, state: RolloutState) -> list[str]:
    """What people should know of a switchback before they trust it, in sentences; [] for other units."""
    if spec.switchback is None:
        return []
    found = []
    windows = int(sum(count for _, count in state.echo.arms))
    if 0 < windows < FEW:
        found.append(f"{windows} cluster-windows so far: fewer than {FEW} hardly decide anything")
    alike = correlation(state.echo)
    if alike > CORRELATED:
        found.append(f"windows echo those before (r = {alike:.2f}): a longer window or burn_in may help")
    return found
