"""Intervals by the percentile bootstrap (Efron and Tibshirani 1993, 13.3): the same rows drawn again, with a seed.

A resample is a count for each row, so that a figure which is a sum over rows costs one product instead of a new table.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from treadle.authoring import StepError

Counts = Any  # how often each row was drawn: floats that sum to the number of rows
Figure = Callable[[Counts], float]
LEVEL = 0.95
FEWEST = 20


def resampled(figures: Mapping[str, Figure], rows: int, times: int, seed: int) -> dict[str, Any]:
    """Each figure on `times` resamples of the same `rows`: arrays of that length, alike for equal seeds.

    All figures see the same resamples, so that two of them may be subtracted pair by pair. Raises StepError for fewer
    than 20 resamples; 0 of them give nothing.
    """
    if times == 0 or rows == 0:
        return {}
    if times < FEWEST:
        raise StepError(f"bootstrap is {times}", f"give at least {FEWEST} resamples, better 200, or 0 for none")
    draw = np.random.default_rng(seed)
    found: dict[str, Any] = {name: np.empty(times) for name in figures}
    for turn in range(times):
        counts = np.bincount(draw.integers(0, rows, rows), minlength=rows).astype(float)
        for name, figure in figures.items():
            found[name][turn] = figure(counts)
    return found


def interval(sample: Any) -> list[float] | None:
    """The limits that hold the middle 95 % of a figure's resamples; None where it is seldom defined."""
    known = sample[np.isfinite(sample)]
    if len(known) < len(sample) / 2:
        return None
    tail = (1 - LEVEL) / 2
    return [float(np.quantile(known, tail)), float(np.quantile(known, 1 - tail))]


def intervals(samples: Mapping[str, Any]) -> dict[str, list[float]]:
    """The interval of each figure that has one."""
    found = {name: interval(sample) for name, sample in samples.items()}
    return {name: limits for name, limits in found.items() if limits is not None}


def as_metrics(limits: Mapping[str, list[float]]) -> dict[str, float]:
    """Limits under the names that gates use: `mae_low` and `mae_high`."""
    found = {f"{name}_low": low for name, (low, _) in limits.items()}
    return found | {f"{name}_high": high for name, (_, high) in limits.items()}


def differences(own: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, list[float]]:
    """The interval of own minus other, resample by resample, for the figures that both have."""
    return intervals({name: own[name] - other[name] for name in own if name in other})
