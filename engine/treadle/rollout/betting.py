"""The betting e-process on inverse-propensity pseudo-outcomes: exact at every peek for outcomes in [0, 1].

For units in order of assignment, arm A, propensity π = P(A = 1), outcome Y in [0, 1], m = (½ + ΣY before) / i:

    psi = (Y − m)/π if A = 1, else −(Y − m)/(1 − π)     its mean is the effect, whatever π and the base rate do
    x   = s (psi − δ0)                                   s = +1 tests H0: effect ≤ δ0, s = −1 tests H0: effect ≥ δ0
    lo  = −max(m/π, (1−m)/(1−π)) for s = +1, −max((1−m)/π, m/(1−π)) for s = −1, minus |δ0|
    λ   = clip(μ/(σ² + μ²), 0, ½/−lo) from earlier x, shrunk by 20 units of prior
    log E grows by log(1 + λ x); reject when E ≥ 1/α (Ville's inequality)

After arXiv 2010.09686 and 2210.10768. O(1) per unit, and resumable from the sums.
"""

from collections.abc import Iterable, Mapping
from math import log1p

from treadle.domain.rollout import Sums, Trial, Wager

PRIOR = 20.0
Null = tuple[int, float]  # s, δ0
Outcome = tuple[int, float, float]  # arm, propensity, outcome


def judge(trial: Trial, nulls: Mapping[str, Null], outcomes: Iterable[Outcome], bounded: bool = True) -> Trial:
    """The trial after these outcomes; every null of `nulls` is bet against. Outcomes lie in [0, 1] if `bounded`.

    Without `bounded` only the sums grow, with psi around the running mean; the confidence sequence reads them.
    """
    held = list(outcomes)
    kept, seen = _sums(trial.sums, held, bounded)
    wagers = (
        {name: _bet(trial.wagers.get(name, Wager()), null, seen) for name, null in nulls.items()} if bounded else {}
    )
    return Trial(kept, wagers, trial.blocks)


def _sums(sums: Sums, outcomes: list[Outcome], bounded: bool) -> tuple[Sums, list[tuple[float, float, float]]]:
    """The sums after these outcomes, and (psi, π, m) of each."""
    n, sum_y, sum_psi, sum_psi2 = sums.n, sums.sum_y, sums.sum_psi, sums.sum_psi2
    units, nonzero, totals = list(sums.units), list(sums.nonzero), list(sums.totals)
    seen: list[tuple[float, float, float]] = []
    add = seen.append
    for arm, share, y in outcomes:
        if bounded:
            m = (0.5 + sum_y) / (n + 1)
            m = 0.0 if m < 0.0 else 1.0 if m > 1.0 else m
        else:
            m = sum_y / n if n else 0.0
        psi = (y - m) / share if arm else (m - y) / (1.0 - share)
        add((psi, share, m))
        n += 1
        sum_y += y
        sum_psi += psi
        sum_psi2 += psi * psi
        units[arm] += 1
        totals[arm] += y
        if y:
            nonzero[arm] += 1
    made = Sums(
        n,
        sum_y,
        sum_psi,
        sum_psi2,
        (units[0], units[1]),
        (nonzero[0], nonzero[1]),
        (totals[0], totals[1]),
    )
    return made, seen


def _bet(wager: Wager, null: Null, seen: list[tuple[float, float, float]]) -> Wager:
    sign, effect = null
    log_e, peak, sum_x, sum_xx = wager.log_e, wager.peak, wager.sum_x, wager.sum_xx
    weight = PRIOR + wager.n
    away = abs(effect)
    for psi, share, m in seen:
        other = 1.0 - share
        up, down = (m, 1.0 - m) if sign > 0 else (1.0 - m, m)
        worst = max(up / share, down / other) + away
        mean = sum_x / weight
        bet = 0.0
        if mean > 0.0:
            bet = mean / ((sum_xx + PRIOR * 0.25 / (share * other)) / weight + mean * mean)
            most = 0.5 / worst
            bet = most if bet > most else bet
        x = sign * (psi - effect)
        if bet:
            log_e += log1p(bet * x)
            if log_e > peak:
                peak = log_e
        sum_x += x
        sum_xx += x * x
        weight += 1.0
    return Wager(log_e, peak, sum_x, sum_xx, wager.n + len(seen))
