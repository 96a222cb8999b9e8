"""Counts instead of units: the Turner–Grünwald e-value of a two by two table (arXiv 2106.02693), window by window.

Exact for H0: both arms succeed alike within each window, even when the base rate moves between windows. Outcomes
between 0 and 1 (means over the rows of a unit) count as parts: the e-value is convex in each, so it can only fall.
"""

from collections.abc import Iterable
from math import floor, log

from msgspec import structs

from treadle.domain.rollout import Blocks, Counts

Placed = tuple[float, int, float]  # when it was assigned, arm, outcome in [0, 1]


def take(blocks: Blocks, length: float, outcomes: Iterable[Placed]) -> Blocks:
    """The blocks after outcomes in the order of assignment; a window counts when a unit of a later one has come."""
    number, arms = blocks.number, list(blocks.open)
    for assigned, arm, outcome in outcomes:
        here = floor(assigned / length)
        if here > number:
            blocks, number, arms = add(blocks, arms[0], arms[1]), here, [(0, 0), (0, 0)]
        arms[arm] = (arms[arm][0] + outcome, arms[arm][1] + 1)
    return structs.replace(blocks, number=number, open=(arms[0], arms[1]))


def add(blocks: Blocks, champion: Counts, challenger: Counts) -> Blocks:
    """The product with the e-value of one more window; a window without units of both arms bets nothing."""
    (ya, na), (yb, nb) = champion, challenger
    if na + nb == 0:
        return blocks
    a, b = _guess(blocks.champion), _guess(blocks.challenger)
    both = (na * a + nb * b) / (na + nb)
    gained = ya * log(a / both) + (na - ya) * log((1 - a) / (1 - both))
    gained += yb * log(b / both) + (nb - yb) * log((1 - b) / (1 - both))
    value = blocks.log_e + gained
    return structs.replace(
        blocks,
        log_e=value,
        peak=max(blocks.peak, value),
        champion=(blocks.champion[0] + ya, blocks.champion[1] + na),
        challenger=(blocks.challenger[0] + yb, blocks.challenger[1] + nb),
    )


def _guess(seen: Counts) -> float:
    return (seen[0] + 0.5) / (seen[1] + 1)
