"""Train a model: any estimator with the scikit-learn interface, with reproducible cross-validation."""

from typing import Annotated, Any, NamedTuple, TypedDict

import pandas as pd
from sklearn.base import is_classifier
from sklearn.utils.validation import has_fit_parameter

from treadle.authoring import StepError, Takes
from treadle_steps import crossval, estimators
from treadle_steps.preprocess import with_preprocessing
from treadle_steps.refusals import is_number, kind_of, need_columns, need_finite, need_values, table


class TrainMetrics(TypedDict, total=False):
    """Means over the folds; only what fits the kind of estimator, and nothing when `cv` is 0."""

    cv_mae: float
    cv_rmse: float
    cv_r2: float
    cv_accuracy: float
    cv_log_loss: float
    cv_auc: float


class Trained(NamedTuple):
    """What `train.estimator` gives: the fitted model, and its cross-validated metrics."""

    model: Any
    metrics: TrainMetrics


def estimator(
    data: pd.DataFrame,
    *,
    estimator: Annotated[str, Takes("params")],
    target: str,
    params: dict[str, Any] | None = None,
    features: list[str] | None = None,
    drop: list[str] | None = None,
    preprocess: dict[str, Any] | None = None,
    weight: str | None = None,
    cv: int = 3,
    cv_time: str | None = None,
    seed: int = 0,
    **settings: Any,
) -> Trained:
    """Fit an estimator of any dotted name on a table, behind the preparation that its columns need.

    `estimator` is a class such as sklearn.linear_model.Ridge, or a Pipeline; `params` and every further
    parameter (so that a matrix can name them) are its own. All columns but the target are features unless
    `features` or `drop` say otherwise. `preprocess` has the blocks numeric {columns, impute, scale} and
    categorical {columns, encode, handle_unknown, max_categories}. Metrics are means over `cv` folds (0: none),
    in the order of the column `cv_time` where that is given; they do not use `weight`. The model remembers its target
    and the kinds of its features. Code of the project is no `estimator`: train it in a step of your own.
    Raises StepError naming column, value and what to do.
    """
    frame = table(data)
    need_columns(frame, [target], "target:")
    need_values(frame[target], "target")
    if cv_time is not None:
        need_columns(frame, [cv_time], "cv_time:")
        frame = frame.sort_values(cv_time, kind="stable").reset_index(drop=True)
    need_columns(frame, [*(features or []), *(drop or []), *([weight] if weight else [])], "the column")
    x, y = frame[_features(list(frame.columns), features, {target, weight, *(drop or [])}, target)], frame[target]
    for name in x.columns:
        need_finite(x[name], "feature")
    made = estimators.make(estimator, {**(params or {}), **settings}, seed)
    _need_target(made, y, cv if cv_time is None else 0)
    model = with_preprocessing(made, x, preprocess)
    weights = None if weight is None else _weights(made, frame[weight])
    try:
        found = crossval.scores(model, x, y, weights, cv, cv_time is not None, seed) if cv else {}
        crossval.fit(model, x, y, weights)
    except ValueError as error:
        raise StepError(f"{estimator} cannot be fitted: {str(error).splitlines()[0]}", _gaps(x, error)) from error
    model.target_name_ = target
    model.feature_kinds_ = {str(name): kind_of(x[name]) for name in x.columns}
    return Trained(model, TrainMetrics(**found))  # type: ignore[typeddict-item]


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
            text = f"target '{y.name}' holds {y.iloc[0]!r}, and {type(made).__name__} predicts numbers"
            raise StepError(text, "choose a classifier, or make numbers of the target")
        return
    found = y.value_counts()
    if len(found) < 2:
        raise StepError(f"target '{y.name}' has the one class {y.iloc[0]!r}", "a classifier needs at least two")
    if folds and found.iloc[-1] < folds:
        text = f"target '{y.name}' has the class {found.index[-1]!r} in {found.iloc[-1]} rows, fewer than {folds} folds"
        raise StepError(text, "drop the class or join it with another, or with: {cv: 0}")


def _weights(made: Any, column: pd.Series) -> Any:
    if not is_number(column):
        raise StepError(f"weight '{column.name}' holds no numbers", "give a column of numbers, 0 or more")
    need_values(column, "weight")
    weights = column.to_numpy(dtype=float)
    if (weights < 0).any() or not weights.any():
        raise StepError(f"weight '{column.name}' is negative or 0 everywhere", "give a column of numbers, 0 or more")
    if not has_fit_parameter(estimators.final(made), "sample_weight"):
        raise StepError(f"{type(estimators.final(made)).__name__} takes no weights", "leave weight out")
    return weights


def _gaps(x: pd.DataFrame, error: ValueError) -> str:
    """What to do about missing values, where the error is about them."""
    if "NaN" not in str(error):
        return ""
    gaps = [f"{name} ({int(x[name].isna().sum()):,} rows)" for name in x.columns if x[name].isna().any()]
    return f"missing values in {', '.join(gaps)}; set preprocess: {{numeric: {{impute: median}}}}" if gaps else ""
