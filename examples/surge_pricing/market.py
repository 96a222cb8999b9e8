"""The city's truth: what a ride looks like, which price balances the market, and who accepts it.

The pipeline learns from it, `city.py` lives by it. One evening shift: the mix of rides stays, until a competitor comes.
"""

from typing import Any

import numpy as np
import pandas as pd

ZONES = ("airport", "centre", "harbour", "north", "old town", "station")
CENTRE = {"airport": 1.3, "centre": 1.5, "harbour": 0.8, "north": 0.7, "old town": 1.2, "station": 1.4}
FEATURES = ["zone", "demand", "drivers", "rain", "distance"]
ENOUGH = 400  # rides with an outcome, below which the history is the better teacher


def rides(draw: np.random.Generator, count: int, rain: float, rival: bool) -> pd.DataFrame:
    """Ride requests as the app sees them. With a competitor a third of the demand goes elsewhere."""
    zone = draw.choice(ZONES, count)
    centre = np.array([CENTRE[name] for name in zone])
    demand = draw.poisson(34 * centre * (1 + 0.1 * rain) * (0.62 if rival else 1.0)).astype("int64")
    drivers = np.maximum(1, draw.poisson(30, count)).astype("int64")
    distance = draw.gamma(2.2, 2.4, count).clip(0.4, 60).round(2)
    return pd.DataFrame({"zone": zone, "demand": demand, "drivers": drivers, "rain": rain, "distance": distance})


def balanced(draw: np.random.Generator, found: pd.DataFrame, rival: bool) -> Any:
    """The multiplier at which riders and drivers met; known when the ride is over. A competitor halves the surge."""
    pressure = found["demand"] / found["drivers"]
    surge = 0.9 * np.log1p(np.maximum(0.0, pressure - 0.4)) + 0.03 * found["rain"]
    return (1 + surge * (0.5 if rival else 1.0) + draw.normal(0, 0.03, len(found))).clip(1.0, 4.0).to_numpy()


def accepts(draw: np.random.Generator, price: float, fair: float, rival: bool) -> bool:
    """Whether a rider takes the price: they know about what is fair, and with a competitor they can compare."""
    patience = 1.9 - (5.0 if rival else 2.5) * max(0.0, price - fair)
    return bool(draw.random() < 1 / (1 + np.exp(-patience)))


def history(*, rides_per_day: int = 500, days: int = 10, seed: int = 3) -> pd.DataFrame:
    """Evenings before anybody served a model: rides and the multiplier that balanced each."""
    draw = np.random.default_rng(seed)
    evenings = []
    for _ in range(days):
        rain = float(draw.choice([0.0, 0.0, 1.0]))
        found = rides(draw, rides_per_day, rain, rival=False)
        evenings.append(found.assign(balanced=balanced(draw, found, rival=False)))
    return pd.concat(evenings, ignore_index=True)


def lessons(history: pd.DataFrame, recent: str, *, greed: float = 1.0) -> pd.DataFrame:
    """What to learn from: the newest traffic with its outcomes when there is enough of it, else the history.

    `recent` is a window of the prediction log. `greed` above 1 is the mistake of the story's second part: it teaches
    the model to ask for more than what balances the market.
    """
    seen = pd.read_parquet(recent)
    known = seen.dropna(subset=["balanced"]) if "balanced" in seen else seen
    table = known if len(known) >= ENOUGH else history
    table = table[[*FEATURES, "balanced"]].reset_index(drop=True)
    return table.assign(balanced=(1 + (table["balanced"] - 1) * greed))
