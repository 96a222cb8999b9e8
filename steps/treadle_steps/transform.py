"""Encode and scale columns by scikit-learn's transformers, fitted on one table and used on any."""

from typing import Any, NamedTuple

import pandas as pd
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from treadle.authoring import StepError
from treadle_steps.preprocess import MOST_CATEGORIES
from treadle_steps.refusals import is_number, need_columns, need_few, need_finite, need_some, need_usable, one_of, table

SCALERS: dict[str, Any] = {
    "standard": StandardScaler,
    "minmax": MinMaxScaler,
    "robust": RobustScaler,
    "quantile": QuantileTransformer,
}
ENCODINGS = ("onehot", "ordinal")


class Transformed(NamedTuple):
    """The table with its new columns, the fitted transformer, and the other table, without rows if none was given."""

    data: pd.DataFrame
    transformer: Any
    other: pd.DataFrame


def scale(
    data: pd.DataFrame,
    other: pd.DataFrame | None = None,
    *,
    columns: list[str] | None = None,
    method: str = "standard",
) -> Transformed:
    """Scale columns of numbers, fitted on `data` alone and used on `other` too, so that a test tells nothing.

    Without `columns` all numbers but booleans are scaled; `method` is standard, minmax, robust or quantile. Raises
    StepError for infinite values and for a column that holds no numbers.

    Example:

        scaled:
          uses: features.scale
          in: {data: split.train, other: split.test}
          with: {columns: [temperature, distance]}
    """
    frame = table(data)
    one_of(method, tuple(SCALERS), "method")
    chosen = columns or [c for c in frame.columns if is_number(frame[c]) and not pd.api.types.is_bool_dtype(frame[c])]
    second = _other(frame, other, chosen)
    for name in chosen:
        for part in (frame, *(() if second is None else (second,))):
            if not is_number(part[name]):
                raise StepError(f"column '{name}' holds {part[name].iloc[0]!r}, no numbers", "scale numbers only")
            need_finite(part[name], "column")
        need_some(frame[name], "column")
    options = {"n_quantiles": min(1000, len(frame))} if method == "quantile" else {}
    made = SCALERS[method](**options).fit(frame[chosen].astype(float))

    def use(part: pd.DataFrame) -> pd.DataFrame:
        values = made.transform(part[chosen].astype(float))
        return part.assign(**{name: values[:, at] for at, name in enumerate(chosen)})

    done = use(frame)
    return Transformed(done, made, done.iloc[:0] if second is None else use(second))


def encode(
    data: pd.DataFrame,
    other: pd.DataFrame | None = None,
    *,
    columns: list[str] | None = None,
    method: str = "onehot",
    max_categories: int | None = None,
) -> Transformed:
    """Make numbers of columns of text, categories and booleans, fitted on `data` alone and used on `other` too.

    onehot makes a column for each value, called COLUMN_VALUE; ordinal numbers the values in alphabetical order. A
    value that `data` does not have is 0 everywhere, or -1. Missing values are a value of their own.

    Example:

        coded:
          uses: features.encode
          in: {data: split.train, other: split.test}
          with: {columns: [zone], max_categories: 20}
    """
    frame = table(data)
    one_of(method, ENCODINGS, "method")
    chosen = columns or [c for c in frame.columns if not is_number(frame[c]) and frame[c].dtype.kind not in "mM"]
    second = _other(frame, other, chosen)
    if not chosen:
        raise StepError("no column holds text or categories", "name them: with: {columns: […]}")
    for name in chosen if method == "onehot" and max_categories is None else ():
        need_usable(frame[name], "column")
        need_some(frame[name], "column")
        need_few(frame[name], MOST_CATEGORIES, "set max_categories, or method: ordinal")
    if method == "onehot":
        made: Any = OneHotEncoder(handle_unknown="ignore", sparse_output=False, max_categories=max_categories)
    else:
        made = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, max_categories=max_categories)
    made.fit(_texts(frame[chosen]))

    def use(part: pd.DataFrame) -> pd.DataFrame:
        values = made.transform(_texts(part[chosen]))
        names = list(made.get_feature_names_out(chosen)) if method == "onehot" else chosen
        new = pd.DataFrame(values, columns=names, index=part.index)
        return pd.concat([part.drop(columns=chosen), new], axis=1)[_order(list(part.columns), chosen, names)]

    done = use(frame)
    return Transformed(done, made, done.iloc[:0] if second is None else use(second))


def _order(before: list[str], chosen: list[str], names: list[str]) -> list[str]:
    """New columns stand where the old ones stood when they keep their names, else at the end."""
    if names == chosen:
        return before
    return [*(name for name in before if name not in chosen), *names]


def _other(frame: pd.DataFrame, other: pd.DataFrame | None, chosen: list[str]) -> pd.DataFrame | None:
    need_columns(frame, chosen, "columns:")
    if other is None:
        return None
    second = table(other, "other")
    need_columns(second, chosen, "columns:", "the other table")
    return second


def _texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Values as text, so that a category means the same in every table."""
    texts = {name: frame[name].astype(str).where(frame[name].notna(), "missing") for name in frame.columns}
    return pd.DataFrame(texts, index=frame.index).astype(object)
