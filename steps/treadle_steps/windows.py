"""Tumbling windows of event time: cut, completed with lateness, and joined until they hold enough rows."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from treadle.authoring import StepError
from treadle_steps.refusals import is_moment


class Windows(NamedTuple):
    """Rows in the order of time and where each window begins and ends in it; `starts` in seconds since the epoch."""

    order: Any | None  # None: the rows are in order already
    slices: list[slice]
    starts: list[float]
    ends: list[float]
    late: int  # rows of windows that are not complete yet


def stamps(column: pd.Series) -> Any:
    """Event times as seconds since the epoch; numbers are seconds already. Raises StepError for anything else."""
    if column.isna().any():
        raise StepError(f"'{column.name}' is missing in {int(column.isna().sum()):,} rows", "every row needs its time")
    if not is_moment(column):
        if pd.api.types.is_numeric_dtype(column.dtype):
            return column.to_numpy(dtype=float)
        try:
            column = pd.to_datetime(column)
        except (ValueError, TypeError):
            raise StepError(f"'{column.name}' is no time", "at: the column that holds when each row happened") from None
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.to_numpy().astype("datetime64[ns]").astype("int64") / 1e9


def cut(times: Any, every: float, lateness: float = 0.0, min_rows: int = 1) -> Windows:
    """Windows of `every` seconds, aligned to the epoch. The data says what time it is: its latest row.

    A window is complete when rows `lateness` after its end have been seen; what is not complete is not judged. One with
    fewer than `min_rows` is joined with those after it until they have enough; what is left over at the end is not
    judged either.
    """
    order = None if len(times) < 2 or bool(np.all(times[1:] >= times[:-1])) else np.argsort(times, kind="stable")
    times = times if order is None else times[order]
    if not len(times):
        return Windows(order, [], [], [], 0)
    numbers = np.floor_divide(times, every)
    now = float(times[-1])
    firsts = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])
    bounds = [*firsts.tolist(), len(times)]
    slices: list[slice] = []
    starts: list[float] = []
    ends: list[float] = []
    begin, late = 0, 0
    for first, after in pairwise(bounds):
        end = (float(numbers[first]) + 1) * every
        if now < end + lateness:
            late += after - first
            continue
        if after - begin >= min_rows:
            slices.append(slice(begin, after))
            starts.append(float(numbers[begin]) * every)
            ends.append(end)
            begin = after
    return Windows(order, slices, starts, ends, late)
