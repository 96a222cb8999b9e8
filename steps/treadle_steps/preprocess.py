"""Turn a table's columns into numbers inside the model, so that serving does exactly what training did."""

from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

from treadle.authoring import StepError
from treadle_steps.refusals import is_moment, is_number, known_keys, need_columns, need_few, one_of

MOST_CATEGORIES = 1000


def with_preprocessing(estimator: Any, features: pd.DataFrame, preprocess: dict[str, Any] | None) -> Any:
    """Return `estimator` behind the preparation that its columns need; itself when they need none.

    Without `preprocess`, numbers pass as they are and text is one-hot encoded; a Pipeline is left alone, because it
    prepares for itself. Raises StepError for columns that are neither numbers nor categories.
    """
    if preprocess is None and isinstance(estimator, Pipeline):
        return estimator
    block = known_keys(preprocess or {}, ("numeric", "categorical"), "preprocess")
    numeric = known_keys(block.get("numeric") or {}, ("columns", "impute", "scale"), "preprocess.numeric")
    allowed = ("columns", "encode", "handle_unknown", "max_categories")
    categorical = known_keys(block.get("categorical") or {}, allowed, "preprocess.categorical")
    number_columns, category_columns = _divide(features, numeric.get("columns"), categorical.get("columns"))
    number_steps = _number_steps(numeric)
    if not category_columns and not number_steps:
        return estimator
    parts: list[tuple[str, Any, list[str]]] = []
    if number_columns:
        parts.append(("numeric", Pipeline(number_steps) if number_steps else "passthrough", number_columns))
    if category_columns:
        parts.append(("categorical", _encoder(categorical, features, category_columns), category_columns))
    prepare = ColumnTransformer(parts, remainder="drop", verbose_feature_names_out=False)
    return Pipeline([("prepare", prepare), ("model", estimator)])


def _divide(features: pd.DataFrame, numeric: Any, categorical: Any) -> tuple[list[str], list[str]]:
    chosen_numbers = _names(features, numeric, "preprocess.numeric.columns")
    chosen_categories = _names(features, categorical, "preprocess.categorical.columns")
    numbers, categories = list(chosen_numbers or []), list(chosen_categories or [])
    for name in sorted(set(numbers) & set(categories)):
        raise StepError(f"column '{name}' is both numeric and categorical in preprocess", "name it once")
    for name in features.columns:
        column = features[name]
        if name in numbers and not is_number(column):
            raise StepError(f"column '{name}' is called numeric but holds {column.dropna().iloc[:1].tolist()!r}")
        if name in numbers or name in categories:
            continue
        if is_moment(column):
            raise StepError(
                f"column '{name}' is a date: an estimator takes numbers and categories",
                f"make numbers of it with features.datetime, or leave it out: drop: [{name}]",
            )
        if is_number(column) and chosen_numbers is None:
            numbers.append(name)
        elif not is_number(column) and chosen_categories is None:
            categories.append(name)
        else:
            raise StepError(
                f"column '{name}' is in neither list of preprocess",
                f"add it to one of them, or leave it out: drop: [{name}]",
            )
    order = list(features.columns)
    return sorted(numbers, key=order.index), sorted(categories, key=order.index)


def _names(features: pd.DataFrame, chosen: Any, what: str) -> list[str] | None:
    if chosen is None or chosen == "auto":
        return None
    if not isinstance(chosen, list):
        raise StepError(f"{what} is {chosen!r}", "give auto or a list of columns")
    need_columns(features, chosen, f"{what}:", "the features")
    return [str(name) for name in chosen]


def _number_steps(block: dict[str, Any]) -> list[tuple[str, Any]]:
    impute = one_of(block.get("impute", "none"), ("median", "mean", "none"), "preprocess.numeric.impute")
    scale = one_of(block.get("scale", "none"), ("standard", "minmax", "none"), "preprocess.numeric.scale")
    steps: list[tuple[str, Any]] = []
    if impute != "none":
        # keep_empty_features: a fold without a single value must not change the number of columns
        steps.append(("impute", SimpleImputer(strategy=impute, keep_empty_features=True)))
    if scale != "none":
        steps.append(("scale", StandardScaler() if scale == "standard" else MinMaxScaler()))
    return steps


def _encoder(block: dict[str, Any], features: pd.DataFrame, columns: list[str]) -> Any:
    encode = one_of(block.get("encode", "onehot"), ("onehot", "ordinal"), "preprocess.categorical.encode")
    unknown = one_of(
        block.get("handle_unknown", "ignore"), ("ignore", "error"), "preprocess.categorical.handle_unknown"
    )
    most = block.get("max_categories")
    if encode == "ordinal":
        if unknown == "error":
            return OrdinalEncoder(max_categories=most)
        return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, max_categories=most)
    for name in columns if most is None else ():
        ways = "or set preprocess.categorical.max_categories, or encode: ordinal"
        need_few(features[name], MOST_CATEGORIES, f"leave it out: drop: [{name}], {ways}")
    handle = unknown if most is None or unknown == "error" else "infrequent_if_exist"
    return OneHotEncoder(handle_unknown=handle, sparse_output=False, max_categories=most)
