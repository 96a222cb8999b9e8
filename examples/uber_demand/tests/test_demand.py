"""Nothing of an hour may be known before it."""

import pandas as pd
from steps.demand import build


def hourly(count: int) -> pd.DataFrame:
    hours = pd.date_range("2015-01-01", periods=count, freq="h")
    weather = dict.fromkeys(["spd", "vsb", "temp", "pcp01", "sd"], 1.0)
    return pd.DataFrame({"pickup_dt": hours, "borough": "Bronx", "pickups": range(count), **weather, "hday": "N"})


def test_every_feature_is_from_before_the_hour() -> None:
    table = build(hourly(200))
    assert (table["pickups_1h_ago"] == table["pickups"] - 1).all()
    assert (table["same_hour_last_week"] == table["pickups"] - 168).all()
    assert (table["last_day"] < table["pickups"]).all()


def test_a_change_of_the_last_hour_changes_no_earlier_row() -> None:
    before, changed = hourly(200), hourly(200)
    changed.loc[199, "pickups"] = 10_000
    pd.testing.assert_frame_equal(build(before).iloc[:-1], build(changed).iloc[:-1])


def test_a_missing_hour_is_not_closed_up() -> None:
    table = build(hourly(200).drop(index=190))
    assert pd.isna(table.loc[table["hour"] == "2015-01-08 23:00", "pickups_1h_ago"]).all()
