"""Columns made of a row's past: lags and rolling figures, never of its future or of another group."""

from typing import Any

import pandas as pd

from treadle.authoring import StepError
from treadle_steps.refusals import is_number, need_columns, need_finite, need_some, one_of, table

STATISTICS = ("mean", "sum", "min", "max", "std", "median", "count")


def lag(
    data: pd.DataFrame,
    *,
    columns: list[str],
    time: str,
    by: list[str] | None = None,
    lags: list[int] = [1],  # read as text by `check`, never changed
    drop_missing: bool = False,
) -> pd.DataFrame:
    """Add what a column was so many rows earlier, in the order of `time`, within each group of `by`.

    New columns are called COLUMN_lag_N; the first N rows of a group have none, and are left out with `drop_missing`.
    Raises StepError for a lag below 1, which would tell the future, and for two rows of a group at the same time.

    Example:

        before:
          uses: features.lag
          in: {data: dated}
          with: {columns: [distance], time: ts, by: [rider_id], lags: [1, 2]}
    """
    frame, groups = _ordered(data, columns, time, by)
    _need_counts("lags", lags, "0 is the row itself, -1 its future")
    made = {f"{name}_lag_{n}": groups[name].shift(n) for name in columns for n in lags}
    return _back(frame, made, drop_missing)


def rolling(
    data: pd.DataFrame,
    *,
    columns: list[str],
    time: str,
    by: list[str] | None = None,
    windows: list[int] = [3],  # read as text by `check`, never changed
    statistics: list[str] = ["mean"],  # read as text by `check`, never changed
    drop_missing: bool = False,
) -> pd.DataFrame:
    """Add figures of the so many rows before each row, in the order of `time`, within each group of `by`.

    The row itself is never in its window, so that a target may be rolled too. New columns are called
    COLUMN_STATISTIC_N. Statistics are mean, sum, min, max, std, median and count. Raises StepError for a column
    without numbers, for a window below 1, and for two rows of a group at the same time.

    Example:

        usual:
          uses: features.rolling
          in: {data: dated}
          with: {columns: [distance], time: ts, by: [rider_id], windows: [3, 10], statistics: [mean, max]}
    """
    frame, groups = _ordered(data, columns, time, by)
    _need_counts("windows", windows, "rows before this one")
    for name in columns:
        if not is_number(frame[name]):
            raise StepError(f"column '{name}' holds {frame[name].iloc[0]!r}, no numbers", "roll numbers only")
        need_finite(frame[name], "column")
        need_some(frame[name], "column")
    made = {}
    keys = frame[by] if by else None
    for name in columns:
        past = groups[name].shift(1)
        for window in windows:
            for statistic in statistics:
                one_of(statistic, STATISTICS, "statistics:")
                made[f"{name}_{statistic}_{window}"] = _rolled(past, keys, by, window, statistic)
    return _back(frame, made, drop_missing)


def _need_counts(name: str, counts: list[Any], what: str) -> None:
    if not counts or any(type(count) is not int or count < 1 for count in counts):
        raise StepError(f"{name} are {counts}", f"give whole numbers from 1 on: {what}")


def _rolled(past: pd.Series, keys: pd.DataFrame | None, by: list[str] | None, window: int, statistic: str) -> pd.Series:
    if keys is None or by is None:
        rolled = past.rolling(window, min_periods=window)
        found: pd.Series = getattr(rolled, statistic)()
        return found
    frame = keys.assign(_past=past.to_numpy())
    grouped = frame.groupby(by, sort=False, observed=True, dropna=False)["_past"].rolling(window, min_periods=window)
    found = getattr(grouped, statistic)()
    return found.reset_index(level=list(range(len(by))), drop=True).reindex(frame.index)


def _ordered(data: pd.DataFrame, columns: list[str], time: str, by: list[str] | None) -> tuple[pd.DataFrame, Any]:
    frame = table(data)
    need_columns(frame, columns, "columns:")
    need_columns(frame, [time, *(by or [])], "the column")
    if frame[time].isna().any():
        raise StepError(f"column '{time}' is missing in {int(frame[time].isna().sum()):,} rows", "drop them first")
    twice = frame.duplicated([*(by or []), time])
    if twice.any():
        row = int(twice.to_numpy().argmax())
        where = f" in the same group of {', '.join(by)}" if by else ""
        hint = "name the groups: with: {by: […]}" if not by else "make one row of them first"
        raise StepError(f"row {row} has the time of another row{where}: {frame[time].iloc[row]}", hint)
    ordered = frame.reset_index(drop=True).sort_values(time, kind="stable")
    return ordered, ordered.groupby(by, sort=False, observed=True, dropna=False) if by else ordered


def _back(frame: pd.DataFrame, made: dict[str, pd.Series], drop_missing: bool) -> pd.DataFrame:
    """The table in its own order with the new columns."""
    found = frame.assign(**made).sort_index()
    if drop_missing:
        found = found.dropna(subset=list(made))
        if not len(found):
            raise StepError("every row lacks some of its past", "use a shorter lag or window, or drop_missing: false")
    return found.reset_index(drop=True)
