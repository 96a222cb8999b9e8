"""Columns that a model can use, made from those that it cannot."""

import numpy as np
import pandas as pd

from treadle_steps.refusals import moments, need_columns, one_of, table

PERIODS = {"hour": 24, "weekday": 7, "month": 12, "day": 31, "dayofyear": 366, "minute": 60, "week": 53}
NAMES = {"weekday": "day_of_week", "dayofyear": "day_of_year"}  # pandas' own words
PARTS = (*PERIODS, "year", "is_weekend")


def datetime(
    data: pd.DataFrame,
    *,
    column: str,
    parts: list[str] = ["hour", "weekday", "month"],  # read as text by `check`, never changed
    cyclic: bool = False,
    drop: bool = False,
    format: str | None = None,
    timezone: str | None = None,
) -> pd.DataFrame:
    """Add numbers for parts of a date column, named COLUMN_PART; with `cyclic` as sine and cosine of the period.

    Raises StepError for a column that holds no dates and for a part that is not known.

    Example:

        dated:
          uses: features.datetime
          in: {data: valid}
          with: {column: ts, parts: [hour, weekday], cyclic: true}
    """
    frame = table(data)
    need_columns(frame, [column], "column:")
    when = moments(frame[column], "say how they are written: with: {format: …}", format)
    if timezone is not None:
        when = (when.dt.tz_localize("UTC") if when.dt.tz is None else when).dt.tz_convert(timezone)
    made: dict[str, pd.Series] = {}
    for part in parts:
        one_of(part, PARTS, "parts:")
        values = _part(when, part)
        name = f"{column}_{part}"
        if cyclic and part in PERIODS:
            angle = 2 * np.pi * values.astype(float) / PERIODS[part]
            made[f"{name}_sin"] = pd.Series(np.sin(angle), index=frame.index)
            made[f"{name}_cos"] = pd.Series(np.cos(angle), index=frame.index)
        else:
            made[name] = values
    frame = frame.assign(**made)
    return frame.drop(columns=[column]) if drop else frame


def _part(moments: pd.Series, part: str) -> pd.Series:
    if part == "is_weekend":
        return pd.Series(moments.dt.day_of_week >= 5).astype("int64")
    if part == "week":
        return pd.Series(moments.dt.isocalendar().week).astype("int64")
    values: pd.Series = getattr(moments.dt, NAMES.get(part, part))
    return values.astype("int64") if not values.isna().any() else values
