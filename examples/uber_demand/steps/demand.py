"""Hourly pickups by borough → what is known when the next hour is to be predicted."""

import pandas as pd

KEEP_HOURS = (1, 2, 3, 24, 168)
WEATHER = ["spd", "vsb", "temp", "pcp01", "sd"]


def build(pickups: pd.DataFrame) -> pd.DataFrame:
    """One row per borough and hour: the pickups of that hour, and only what was known an hour before.

    `same_hour_last_week` is the naive forecast.
    """
    data = pickups.rename(columns={"pickup_dt": "hour"})
    hours = pd.date_range(data["hour"].min(), data["hour"].max(), freq="h")
    boroughs = [_one(name, group, hours) for name, group in data.groupby("borough")]
    table = pd.concat(boroughs, ignore_index=True)
    return table.dropna(subset=["pickups", "same_hour_last_week"]).reset_index(drop=True)


def _one(borough: str, data: pd.DataFrame, hours: pd.DatetimeIndex) -> pd.DataFrame:
    """The rows of one borough; hours that are missing stay missing and are not closed up."""
    series = data.set_index("hour").reindex(hours)
    made = pd.DataFrame({"hour": hours, "borough": borough, "pickups": series["pickups"].to_numpy()})
    for back in KEEP_HOURS:
        made[f"pickups_{back}h_ago"] = series["pickups"].shift(back).to_numpy()
    made["last_day"] = series["pickups"].shift(1).rolling(24, min_periods=1).mean().to_numpy()
    for column in WEATHER:
        made[column] = series[column].shift(1).to_numpy()
    made["holiday"] = (series["hday"] == "Y").astype("int64").to_numpy()
    made["clock"] = hours.hour
    made["weekday"] = hours.weekday
    made["same_hour_last_week"] = made["pickups_168h_ago"]
    return made
