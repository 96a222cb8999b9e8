"""A city that can be had anywhere, offline: riders, drivers, weather, rush hours, and from some day a competitor."""

import numpy as np
import pandas as pd

from treadle.authoring import StepError


def rides(
    *,
    days: int = 60,
    zones: int = 8,
    rides_per_day: int = 2000,
    seed: int = 7,
    start: str = "2025-01-06",
    competitor_day: int | None = None,
) -> pd.DataFrame:
    """Simulate ride requests with the price multiplier that balanced the market, and whether the rider accepted.

    One row per request, in time order. Demand follows rush hours, weekdays and rain; `multiplier` follows
    demand over drivers. From `competitor_day` on riders have somewhere else to go: fewer requests where prices
    were high, lower multipliers, and less patience with high ones. The same parameters give the same bytes.

    Example:

        rides:
          uses: simulate.rides
          with: {days: 30, rides_per_day: 200}
    """
    if min(days, zones, rides_per_day) < 1:
        raise StepError(f"days, zones and rides_per_day are at least 1, not {days}, {zones}, {rides_per_day}")
    draw = np.random.default_rng(seed)
    count = days * rides_per_day
    hour_weights = 1 + 1.6 * _bump(np.arange(24), 8, 1.5) + 2.0 * _bump(np.arange(24), 18, 2.0)
    day = np.repeat(np.arange(days), rides_per_day)
    hour = draw.choice(24, size=count, p=hour_weights / hour_weights.sum())
    second = draw.integers(0, 3600, size=count)
    order = np.lexsort((second, hour, day))
    day, hour, second = day[order], hour[order], second[order]
    zone = draw.integers(0, zones, size=count)
    weekend = day % 7 >= 5
    temperature = 8 + 9 * np.sin(2 * np.pi * (day - 80) / 365) + 4 * np.sin(2 * np.pi * (hour - 9) / 24)
    temperature = temperature + draw.normal(0, 1.5, count)
    rain = np.where(draw.random(days)[day] < 0.3, draw.gamma(1.5, 1.2, count), 0.0)
    centre = 1 + 0.5 * np.cos(2 * np.pi * zone / zones)
    rush = hour_weights[hour] / hour_weights.mean()
    demand = 40 * centre * rush * np.where(weekend, 0.85, 1.0) * (1 + 0.12 * np.minimum(rain, 5))
    drivers = 38 * (0.6 + 0.4 * rush) * (1 + 0.15 * draw.standard_normal(count)).clip(0.5, 1.5)
    rival = np.zeros(count, dtype=bool) if competitor_day is None else day >= competitor_day
    demand = demand * np.where(rival, 0.78 - 0.10 * (centre - 1), 1.0)
    demand = draw.poisson(demand).astype(np.int64)
    drivers = np.maximum(1, np.rint(drivers)).astype(np.int64)
    pressure = demand / drivers
    multiplier = (
        1 + 0.55 * np.log1p(np.maximum(0, pressure - 0.7)) * np.where(rival, 0.65, 1.0) + 0.03 * np.minimum(rain, 5)
    )
    multiplier = (multiplier + draw.normal(0, 0.03, count)).clip(1.0, 3.0)
    patience = 2.4 - 1.4 * (multiplier - 1) - np.where(rival, 1.6 * (multiplier - 1) + 0.2, 0.0)
    accepted = draw.random(count) < 1 / (1 + np.exp(-patience))
    moments = pd.Timestamp(start) + pd.to_timedelta(day * 86400 + hour * 3600 + second, unit="s")
    return pd.DataFrame(
        {
            "ride_id": [f"r{number:08d}" for number in range(count)],
            "ts": moments.astype("datetime64[us]"),
            "zone": pd.Series([f"Z{number + 1}" for number in range(zones)], dtype="str")
            .take(zone)
            .reset_index(drop=True),
            "rider_id": draw.integers(0, max(2, count // 12), size=count),
            "temperature": temperature.round(2),
            "rain": rain.round(2),
            "distance": draw.gamma(2.2, 2.4, count).clip(0.4, 60).round(2),
            "demand": demand,
            "drivers": drivers,
            "multiplier": multiplier.round(4),
            "accepted": accepted,
        }
    )


def _bump(
    hours: "np.ndarray[tuple[int], np.dtype[np.int64]]", peak: float, width: float
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = np.exp(-0.5 * ((hours - peak) / width) ** 2)
    return found
