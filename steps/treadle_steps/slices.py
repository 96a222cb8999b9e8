"""The same figures for parts of the rows, so that a good mean cannot hide a bad corner."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from treadle.authoring import StepError
from treadle_steps.refusals import is_moment, is_number, need_columns

SMALLEST = 30  # rows; fewer say more about chance than about the model
MOST_VALUES = 20  # a number with more distinct values is cut at its quartiles


def by_slice(
    frame: pd.DataFrame, columns: list[str], measure: Callable[[Any], Mapping[str, object]]
) -> dict[str, dict[str, Any]]:
    """`slices`: column → value → what `measure` says of those row numbers; `small_slices`: column → value → rows.

    Missing values are a slice of their own. Raises StepError for unknown columns and for dates.
    """
    judged: dict[str, Any] = {}
    small: dict[str, Any] = {}
    for name in columns:
        need_columns(frame, [name], "slices:")
        groups = _groups(frame[name])
        judged[name] = {value: dict(measure(rows)) for value, rows in groups.items() if len(rows) >= SMALLEST}
        few = {value: len(rows) for value, rows in groups.items() if len(rows) < SMALLEST}
        if few:
            small[name] = few
    return {"slices": judged, "small_slices": small}


def _groups(column: pd.Series) -> dict[str, Any]:
    """Row numbers by the name of the value, in the order of the names."""
    if is_moment(column):
        raise StepError(f"slices: '{column.name}' is a date", "make an hour or weekday of it with features.datetime")
    if is_number(column) and column.nunique() > MOST_VALUES:
        column = pd.qcut(column.astype(float), 4, duplicates="drop", precision=4)
    names = column.astype(str).where(column.notna(), "missing").reset_index(drop=True)
    found = names.groupby(names).indices
    return {str(value): rows for value, rows in sorted(found.items())}
