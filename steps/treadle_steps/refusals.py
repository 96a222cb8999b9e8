"""Checks that several steps make of their tables, each with the words of its refusal."""

import warnings
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from treadle.authoring import StepError
from treadle_steps.ingest import table as read_table
from treadle_steps.words import shown, suggestion


def one_of(word: Any, choices: Sequence[str], what: str) -> str:
    """Return `word` when it is one of `choices`; raises StepError otherwise."""
    if word not in choices:
        raise StepError(f"{what} is {word!r}, which is not known", suggestion(str(word), choices))
    return str(word)


def known_keys(block: Any, allowed: Iterable[str], what: str) -> dict[str, Any]:
    """Return the mapping `block` when all its keys are `allowed`; raises StepError otherwise."""
    if not isinstance(block, dict):
        raise StepError(f"{what} must be a mapping, not {block!r}", "known: " + ", ".join(sorted(allowed)))
    known = list(allowed)
    for key in block:
        if key not in known:
            raise StepError(f"{what} has no key '{key}'", suggestion(str(key), known))
    return block


def table(data: Any, what: str = "data") -> pd.DataFrame:
    """Return `data` as a pandas table with rows; raises StepError for anything else, and when it is empty.

    Tables of pandas, polars and Arrow are taken, and files or folders of tables, which are read. Nullable text columns
    come back as objects with NaN: encoders do not take `pandas.NA`.
    """
    if isinstance(data, Path) or (isinstance(data, list) and data and all(isinstance(one, Path) for one in data)):
        data = read_table(data)
    elif type(data).__name__ == "LazyFrame":  # of polars
        data = data.collect().to_pandas()
    if not isinstance(data, pd.DataFrame):
        convert = getattr(data, "to_pandas", None)
        if convert is None:
            raise StepError(f"{what} is a {type(data).__name__}, not a table", "give a pandas, polars or Arrow table")
        data = convert()
    frame: pd.DataFrame = data
    if any(not isinstance(name, str) for name in frame.columns):
        frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    if frame.columns.has_duplicates:
        twice = sorted(set(frame.columns[frame.columns.duplicated()]))
        raise StepError(f"{what} has column '{twice[0]}' more than once", "rename one of them")
    if len(frame) == 0:
        raise StepError(f"{what} has no rows", "look at what the step before it kept: treadle show <step>")
    nullable = [
        c
        for c in frame.columns
        if isinstance(frame[c].dtype, pd.StringDtype) and getattr(frame[c].dtype, "na_value", None) is pd.NA
    ]
    for name in nullable:
        frame = frame.assign(**{name: frame[name].astype(object).where(frame[name].notna(), np.nan)})
    return frame


def need_columns(frame: pd.DataFrame, names: Iterable[str], what: str, where: str = "the table") -> None:
    """Raise StepError for the first of `names` that `frame` lacks."""
    columns = list(frame.columns)
    for name in names:
        if name not in columns:
            raise StepError(f"{what} '{name}' is no column of {where}", suggestion(str(name), columns))


def need_values(column: pd.Series, what: str) -> None:
    """Raise StepError when a value is missing or infinite; says how many and in which row first."""
    missing = column.isna().to_numpy()
    if missing.any():
        raise StepError(
            f"{what} '{column.name}' is missing in {missing.sum():,} of {len(column):,} rows"
            f" (first: row {int(missing.argmax())})",
            "drop these rows in the step before, or give them a value",
        )
    need_finite(column, what)


def need_finite(column: pd.Series, what: str) -> None:
    """Raise StepError when a number is infinite; missing values pass."""
    if not is_number(column):
        return
    values = column.to_numpy(dtype=float, na_value=np.nan)
    infinite = np.isinf(values)
    if infinite.any():
        row = int(infinite.argmax())
        raise StepError(
            f"{what} '{column.name}' is {values[row]} in {infinite.sum():,} of {len(column):,} rows (first: row {row})",
            "a division by zero upstream? replace infinite values by missing ones or drop the rows",
        )


def need_usable(column: pd.Series, what: str) -> None:
    """Raise StepError when the column has infinite numbers, lists, or several kinds of values; missing values pass."""
    need_finite(column, what)
    need_plain(column, what)
    if not pd.api.types.is_object_dtype(column.dtype):
        return
    if not pd.api.types.infer_dtype(column, skipna=True).startswith("mixed"):
        return
    known = column.notna().to_numpy()
    kinds = column.map(_kind).to_numpy()
    names, counts = np.unique(kinds[known], return_counts=True)
    if len(names) < 2:
        return
    odd = known & (kinds != names[counts.argmax()])
    row = int(odd.argmax())
    raise StepError(
        f"{what} '{column.name}' mixes kinds of values: {shown(column.iloc[row])} in row {row} is none of the"
        f" others' kind, such as {shown(column[known & ~odd].iloc[0])}",
        "make one kind of them in the step before, or say the type where the table is read: with: {dtypes: …}",
    )


def need_plain(column: pd.Series, what: str = "column") -> None:
    """Raise StepError when a value is a list, a map or something else that cannot be told from others by its value."""
    if not pd.api.types.is_object_dtype(column.dtype):
        return
    try:
        pd.factorize(column)
    except TypeError:
        odd = column.map(lambda value: not isinstance(value, Hashable)).to_numpy(dtype=bool)
        row = int(odd.argmax())
        raise StepError(
            f"{what} '{column.name}' holds {shown(column.iloc[row])[:80]} in row {row}, no number, text or date",
            "make columns of its parts in the step before, or leave the column out",
        ) from None


def moments(column: pd.Series, hint: str, format: str | None = None) -> pd.Series:
    """The column as points in time, in `format` or in the one that shows; raises StepError with `hint` for others."""
    need_usable(column, "column")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that do not show: what cannot be read is an error anyhow
            found: pd.Series = pd.to_datetime(column, format=format)
    except (ValueError, TypeError) as error:
        raise StepError(f"column '{column.name}' holds no dates: {str(error).splitlines()[0]}", hint) from None
    return found


def need_some(column: pd.Series, what: str) -> None:
    """Raise StepError when the column has no value at all."""
    if not column.notna().any():
        hint = "is it filled where it comes from? leave it out, or give it values"
        raise StepError(f"{what} '{column.name}' is missing in all {len(column):,} rows", hint)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, int | float | complex | np.number | np.bool_) else type(value).__name__


def need_few(column: pd.Series, most: int, hint: str) -> None:
    """Raise StepError when the column has more than `most` different values."""
    distinct = column.nunique()
    if distinct > most:
        raise StepError(
            f"column '{column.name}' has {distinct:,} different values (such as {column.dropna().iloc[0]!r}):"
            " that many columns of zeros and ones",
            hint,
        )


def is_number(column: pd.Series) -> bool:
    """Whether the column holds numbers or booleans (text, categories and dates do not)."""
    return bool(pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype))


def is_moment(column: pd.Series) -> bool:
    """Whether the column holds points or lengths of time."""
    kinds = pd.api.types
    return bool(
        kinds.is_datetime64_any_dtype(column.dtype)
        or kinds.is_timedelta64_dtype(column.dtype)
        or isinstance(column.dtype, pd.PeriodDtype)
    )


def kind_of(column: pd.Series) -> str:
    """The word for the column's type in schemas and model cards: bool, int, float, datetime, category or string."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return "bool"
    if pd.api.types.is_integer_dtype(column.dtype):
        return "int"
    if pd.api.types.is_float_dtype(column.dtype):
        return "float"
    if is_moment(column):
        return "datetime"
    return "category" if isinstance(column.dtype, pd.CategoricalDtype) else "string"
