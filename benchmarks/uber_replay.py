"""Real demand as live traffic: trained on January 2015, replayed day by day to June, with the library's own monitors.

python benchmarks/uber_replay.py CSV      hourly pickups by borough; see examples/uber_demand/README.md

Each evening the day's predictions and outcomes go to the monitors; an alarm retrains on all that was seen.
Compared: never retraining, retraining every Monday, retraining on alarm.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "examples/uber_demand"))

from steps.demand import build  # noqa: E402

from treadle_steps.monitor import drift  # noqa: E402
from treadle_steps.performance import performance  # noqa: E402
from treadle_steps.train import estimator  # noqa: E402

DAY, HOUR = pd.Timedelta(days=1), pd.Timedelta(hours=1)
START, END = pd.Timestamp("2015-02-01"), pd.Timestamp("2015-07-01")
HELD = 7 * DAY  # before a (re)training: what the model is accepted on
ROOM = 21 * DAY  # how far a retraining is followed


class Served(NamedTuple):
    """A model in service: what it predicts, and how good it was when it was accepted."""

    model: Any
    reference: pd.DataFrame
    since: pd.Timestamp


def train(table: pd.DataFrame, until: pd.Timestamp) -> Served:
    """Learn from everything before `until`; the reference is its last week, as a model without it predicts it."""
    seen, early = table[table["hour"] < until], table[table["hour"] < until - HELD]
    late = seen[seen["hour"] >= until - HELD]
    reference = late.assign(prediction=predict(fit(early), late), outcome=late["pickups"])
    return Served(fit(seen), reference, until)


def fit(rows: pd.DataFrame) -> Any:
    return estimator(
        rows,
        estimator="sklearn.ensemble.HistGradientBoostingRegressor",
        target="pickups",
        params={"max_iter": 100, "loss": "absolute_error"},
        drop=["hour"],
        preprocess={"categorical": {"encode": "ordinal"}},
        cv=0,
    ).model


def predict(model: Any, rows: pd.DataFrame) -> Any:
    return model.predict(rows[list(model.feature_names_in_)])


def replay(table: pd.DataFrame, policy: str) -> tuple[pd.DataFrame, list[tuple[pd.Timestamp, str]]]:
    """Every row from February to June with the error that this policy made on it, and when it retrained and why."""
    served, days, trained = train(table, START), [], []
    logged: list[pd.DataFrame] = []
    for today in pd.date_range(START, END - DAY, freq="D"):
        rows = table[(table["hour"] >= today) & (table["hour"] < today + DAY)]
        rows = rows.assign(prediction=predict(served.model, rows), outcome=rows["pickups"])
        logged.append(rows)
        days.append(rows.assign(error=(rows["prediction"] - rows["outcome"]).abs())[["hour", "borough", "error"]])
        why = ""
        if policy == "weekly" and today.weekday() == 6:
            why = "Monday"
        if policy == "alarm":
            why = alarm(served, pd.concat(logged))
        if why and today + DAY < END:
            served, logged = train(table, today + DAY), []
            trained.append((today + DAY, why))
    return pd.concat(days), trained


def alarm(served: Served, current: pd.DataFrame) -> str:
    """What the monitors say of the days since the model was accepted; "" when they are quiet.

    Drift is looked at in whole weeks, since days of the week differ; it takes two of three of them.
    """
    figures = performance(served.reference, current, at="hour", window="1d", detect_within="28d").metrics
    if figures["alarm"]:
        return f"loss {figures['loss']:.1f}, was {figures['reference_loss']:.1f}"
    if current["hour"].max() - served.since < 14 * DAY or (current["hour"].max() + HOUR - served.since) % HELD >= DAY:
        return ""
    columns = ["prediction", "pickups_1h_ago", "pickups_168h_ago", "last_day"]
    found = drift(
        served.reference[["hour", *columns]],
        current[["hour", *columns]],
        at="hour",
        window="7d",
        columns=columns,
        prediction="prediction",
    )
    return f"drift, {found.report['reason']}" if found.metrics["alarm"] else ""


def main(path: str) -> None:
    raw = pd.read_csv(path, keep_default_na=False, na_values=[""])
    raw["pickup_dt"] = pd.to_datetime(raw["pickup_dt"], format="%m/%d/%Y %H:%M", errors="coerce").fillna(
        pd.to_datetime(raw["pickup_dt"], errors="coerce")
    )
    table = build(raw)
    found = {policy: replay(table, policy) for policy in ("never", "weekly", "alarm")}
    print("| policy | retrained | MAE, February to June | against never |\n|---|---|---|---|")
    never = found["never"][0]["error"].mean()
    for policy, (errors, trained) in found.items():
        mae = errors["error"].mean()
        print(f"| {policy} | {len(trained)} | {mae:.2f} | {100 * (mae / never - 1):+.1f} % |")
    print("\n| retrained on | the monitor said | MAE in the next three weeks: never | with it | gain |")
    print("|---|---|---|---|---|")
    old, new = found["never"][0], found["alarm"][0]
    for at, why in found["alarm"][1]:
        window = (old["hour"] >= at) & (old["hour"] < at + ROOM)
        before, after = old[window]["error"].mean(), new[np.asarray(window)]["error"].mean()
        print(f"| {at:%Y-%m-%d} | {why} | {before:.1f} | {after:.1f} | {100 * (1 - after / before):.0f} % |")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
