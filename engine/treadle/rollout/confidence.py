"""The asymptotic confidence sequence (arXiv 2103.06476), for outcomes without bounds, and its gate for rare ones."""

from math import inf, log, sqrt

from treadle.domain.rollout import Sums

UNITS, NONZERO = 200, 50  # per arm; with less, rare outcomes under a ramp reject a true null in 16 to 35 % of runs


def half_width(n: int, deviation: float, alpha: float, planned: float) -> float:
    """Half the width of the two-sided sequence after n units, tightest near `planned` units."""
    rho2 = (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / planned
    spread = n * rho2 + 1
    return deviation * sqrt(2 * spread / (n * n * rho2) * log(sqrt(spread) / alpha))


def one_sided(n: int, deviation: float, alpha: float, planned: float) -> float:
    """The distance from the mean to a one-sided bound after n units."""
    twice = 2 * alpha
    rho2 = (-2 * log(twice) + log(-2 * log(twice) + 1)) / planned
    spread = n * rho2 + 1
    return deviation * sqrt(2 * spread / (n * n * rho2) * log(1 + sqrt(spread) / twice))


def open_gate(sums: Sums) -> bool:
    """Whether each arm has units and non-zero outcomes enough for a sequence that is only asymptotically valid."""
    return min(sums.units) >= UNITS and min(sums.nonzero) >= NONZERO


def moments(sums: Sums) -> tuple[float, float]:
    """Mean and standard deviation of the pseudo-outcomes."""
    if not sums.n:
        return 0.0, inf
    mean = sums.sum_psi / sums.n
    return mean, sqrt(max(0.0, sums.sum_psi2 / sums.n - mean * mean))


def bounds(sums: Sums, alpha: float, planned: float) -> tuple[float, float]:
    """One-sided lower and upper bound of the effect, each wrong with chance alpha; infinite behind the gate."""
    if not open_gate(sums):
        return -inf, inf
    mean, deviation = moments(sums)
    if deviation == 0.0:
        return -inf, inf
    reach = one_sided(sums.n, deviation, alpha, planned)
    return mean - reach, mean + reach


def interval(sums: Sums, alpha: float, planned: float) -> tuple[float, float] | None:
    """The two-sided interval for display, or None before there are two units of each arm."""
    if min(sums.units) < 2:
        return None
    mean, deviation = moments(sums)
    reach = half_width(sums.n, deviation, alpha, planned)
    return mean - reach, mean + reach
