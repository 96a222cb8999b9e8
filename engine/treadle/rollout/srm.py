"""Sample ratio mismatch: do the arms get the units that the split promises?"""

from collections.abc import Sequence
from math import erfc, lgamma, log, sqrt

CONCENTRATION = 1000.0
LIMIT = log(1000.0)  # α = 0.001
CHI2_P = 0.001


def log_e(counts: Sequence[int], shares: Sequence[float], concentration: float = CONCENTRATION) -> float:
    """ln E of the Dirichlet–multinomial e-process (arXiv 2011.03567): valid at every look."""
    total = sum(counts)
    value = lgamma(concentration) - lgamma(concentration + total)
    for count, share in zip(counts, shares, strict=True):
        value += lgamma(concentration * share + count) - lgamma(concentration * share) - count * log(share)
    return value


def p_value(champion: int, challenger: int, split: float) -> float:
    """The chance of so uneven arms at this split, by χ² with one degree; for the one look at the decision."""
    total = champion + challenger
    if not total:
        return 1.0
    expected = total * split
    chi2 = (challenger - expected) ** 2 * (1 / expected + 1 / (total - expected))
    return erfc(sqrt(chi2 / 2))
