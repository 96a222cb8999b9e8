"""From a table and the name of an estimator to a model: rows that can be learned from, the model, its fit."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.validation import has_fit_parameter

from treadle.authoring import StepError
from treadle_steps import crossval, estimators, stopping
from treadle_steps.preprocess import with_preprocessing
from treadle_steps.refusals import is_number, kind_of, need_columns, need_some, need_usable, need_values, table
from treadle_steps.words import shown


class Columns(NamedTuple):
    """Which columns are what: the features are all but the others unless they are named."""

    target: str
    features: list[str] | None = None
    drop: list[str] | None = None
    weight: str | None = None
    time: str | None = None


class Rows(NamedTuple):
    """What is learned from: features, target, weights where there are any, and whether they are in order of time."""

    x: pd.DataFrame
    y: pd.Series
    weights: Any
    in_order: bool


class Recipe(NamedTuple):
    """How the model is made; `folds` of the cross-validation, 0 for none."""

    estimator: str
    preprocess: dict[str, Any] | None = None
    calibrate: str | None = None
    folds: int = 3
    seed: int = 0


def rows_of(data: Any, columns: Columns) -> Rows:
    """The rows of a table that can be learned from; raises StepError naming column, value and what to do."""
    frame = table(data)
    target, features, drop, weight, time = columns
    need_columns(frame, [target], "target:")
    need_values(frame[target], "target")
    if time is not None:
        need_columns(frame, [time], "cv_time:")
        frame = frame.sort_values(time, kind="stable").reset_index(drop=True)
    need_columns(frame, [*(features or []), *(drop or []), *([weight] if weight else [])], "the column")
    x = frame[_features(list(frame.columns), features, {target, weight, *(drop or [])}, target)]
    for name in x.columns:
        need_usable(x[name], "feature")
        need_some(x[name], "feature")
    return Rows(x, frame[target], None if weight is None else _weights(frame[weight]), time is not None)


def model_of(rows: Rows, recipe: Recipe, params: Mapping[str, Any]) -> Any:
    """The unfitted model for these rows; raises StepError when it cannot learn from them."""
    made = estimators.make(recipe.estimator, params, recipe.seed)
    _need_target(made, rows.y, 0 if rows.in_order else recipe.folds)
    if rows.weights is not None and not has_fit_parameter(estimators.final(made), "sample_weight"):
        raise StepError(f"{type(estimators.final(made)).__name__} takes no weights", "leave weight out")
    if recipe.calibrate is not None:
        made = _calibrated(made, recipe.calibrate, recipe.seed)
    return with_preprocessing(made, rows.x, recipe.preprocess)


def scored(model: Any, rows: Rows, recipe: Recipe) -> dict[str, float]:
    """The means of the cross-validated metrics, none for 0 folds; raises StepError when a fit fails."""
    if not recipe.folds:
        return {}
    try:
        return crossval.scores(model, rows.x, rows.y, rows.weights, recipe.folds, rows.in_order, recipe.seed)
    except (ValueError, TypeError) as error:
        raise _not_fitted(recipe, rows.x, error) from error


def fitted(model: Any, rows: Rows, recipe: Recipe) -> Any:
    """The model, fitted, that remembers its target and the kinds of its features; raises StepError."""
    try:
        crossval.fit(model, rows.x, rows.y, rows.weights)
    except (ValueError, TypeError) as error:
        raise _not_fitted(recipe, rows.x, error) from error
    model.target_name_ = str(rows.y.name)
    model.feature_kinds_ = {str(name): kind_of(rows.x[name]) for name in rows.x.columns}
    return model


def with_stopping(model: Any, rows: Rows, recipe: Recipe, patience: int, share: float) -> Any:
    """The unfitted model with early stopping; raises StepError where it has none."""
    try:
        return stopping.applied(model, rows, patience, share, recipe.seed)
    except (ValueError, TypeError) as error:
        raise _not_fitted(recipe, rows.x, error) from error


def _features(columns: list[str], features: list[str] | None, left_out: set[Any], target: str) -> list[str]:
    chosen = features or [name for name in columns if name not in left_out]
    if target in chosen:
        raise StepError(
            f"the target '{target}' is among the features", "a model that is told the answer learns nothing"
        )
    twice = [name for at, name in enumerate(chosen) if name in chosen[:at]]
    if twice:
        raise StepError(f"features: '{twice[0]}' is there more than once", "name it once")
    if not chosen:
        raise StepError("no feature is left", "take columns out of drop")
    return chosen


def _need_target(made: Any, y: pd.Series, folds: int) -> None:
    """Raise StepError for a target that this kind of estimator, or stratified folds, cannot take."""
    if not is_classifier(made):
        if not is_number(y):
            text = f"target '{y.name}' holds {shown(y.iloc[0])}, and {type(made).__name__} predicts numbers"
            raise StepError(text, "choose a classifier, or make numbers of the target")
        return
    found = y.value_counts()
    if len(found) < 2:
        raise StepError(f"target '{y.name}' has the one class {shown(y.iloc[0])}", "a classifier needs at least two")
    if folds and found.iloc[-1] < folds:
        rare = f"{shown(found.index[-1])} in {found.iloc[-1]} rows"
        raise StepError(
            f"target '{y.name}' has the class {rare}, fewer than {folds} folds",
            "drop the class or join it with another, or with: {cv: 0}",
        )


def _weights(column: pd.Series) -> Any:
    if not is_number(column):
        raise StepError(f"weight '{column.name}' holds no numbers", "give a column of numbers, 0 or more")
    need_values(column, "weight")
    weights = column.to_numpy(dtype=float)
    if (weights < 0).any() or not weights.any():
        raise StepError(f"weight '{column.name}' is negative or 0 everywhere", "give a column of numbers, 0 or more")
    return weights


def _calibrated(made: Any, method: str, seed: int) -> Any:
    """The classifier whose chances are mapped on held-out folds, so that 0.7 comes true in 7 of 10 cases."""
    if not is_classifier(made):
        raise StepError(
            f"{type(made).__name__} is no classifier: it has no chances to calibrate", "leave calibrate out"
        )
    return CalibratedClassifierCV(made, method=method, cv=StratifiedKFold(3, shuffle=True, random_state=seed))


def _not_fitted(recipe: Recipe, x: pd.DataFrame, error: Exception) -> StepError:
    return StepError(f"{recipe.estimator} cannot be fitted: {str(error).splitlines()[0]}", _gaps(x, error))


def _gaps(x: pd.DataFrame, error: Exception) -> str:
    """What to do about missing values, where the error is about them."""
    if "NaN" not in str(error):
        return ""
    gaps = [f"{name} ({int(x[name].isna().sum()):,} rows)" for name in x.columns if x[name].isna().any()]
    return f"missing values in {', '.join(gaps)}; set preprocess: {{numeric: {{impute: median}}}}" if gaps else ""
