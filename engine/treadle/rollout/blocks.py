"""Counts instead of units: the Turner–Grünwald e-value of a two by two table (arXiv 2106.02693), window by window.

Exact for H0: both arms succeed alike within each window, even when the base rate moves between windows.
"""

from math import log

from msgspec import Struct


class Blocks(Struct, frozen=True):
    """log E so far, and (successes, units) of champion and challenger in the windows before."""

    log_e: float = 0.0
    peak: float = 0.0
    champion: tuple[int, int] = (0, 0)
    challenger: tuple[int, int] = (0, 0)


def add(blocks: Blocks, champion: tuple[int, int], challenger: tuple[int, int]) -> Blocks:
    """The product with the e-value of one more window; a window without units of both arms bets nothing."""
    (ya, na), (yb, nb) = champion, challenger
    if na + nb == 0:
        return blocks
    a, b = _guess(blocks.champion), _guess(blocks.challenger)
    both = (na * a + nb * b) / (na + nb)
    gained = ya * log(a / both) + (na - ya) * log((1 - a) / (1 - both))
    gained += yb * log(b / both) + (nb - yb) * log((1 - b) / (1 - both))
    value = blocks.log_e + gained
    return Blocks(
        value,
        max(blocks.peak, value),
        (blocks.champion[0] + ya, blocks.champion[1] + na),
        (blocks.challenger[0] + yb, blocks.challenger[1] + nb),
    )


def _guess(seen: tuple[int, int]) -> float:
    return (seen[0] + 0.5) / (seen[1] + 1)
