"""How many units a decision will take, before the test begins."""

from math import ceil


def fixed_units(deviation: float, effect: float) -> int:
    """Units of both arms that a two-sided test at 5 % with 80 % power needs: 2 (1.96 + 0.84)² (σa² + σb²) / effect²."""
    return ceil(2 * (1.96 + 0.84) ** 2 * 2 * deviation * deviation / (effect * effect))


def rate_units(rate: float, effect: float) -> int:
    """The same for a rate that moves from `rate` to `rate + effect`."""
    moved = rate + effect
    spread = rate * (1 - rate) + moved * (1 - moved)
    return ceil(2 * (1.96 + 0.84) ** 2 * spread / (effect * effect))
