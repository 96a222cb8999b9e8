"""Train a model: any estimator with the scikit-learn interface, with reproducible cross-validation."""

from typing import Any, NamedTuple, TypedDict

import pandas as pd
from sklearn.base import is_classifier

from treadle.authoring import StepError
from treadle_steps import crossval, estimators
from treadle_steps.preprocess import with_preprocessing
from treadle_steps.refusals import need_columns, need_finite, need_values, table


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
    estimator: str,
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
    in the order of the column `cv_time` where that is given. The model remembers its target.
    Raises StepError naming column, value and what to do.
    """
    frame = table(data)
    need_columns(frame, [target], "target:")
    need_values(frame[target], "target")
    if cv_time is not None:
        need_columns(frame, [cv_time], "cv_time:")
        frame = frame.sort_values(cv_time, kind="stable").reset_index(drop=True)
    need_columns(frame, [*(features or []), *(drop or []), *([weight] if weight else [])], "the column")
    left_out = {target, weight, *(drop or [])}
    chosen = features or [name for name in frame.columns if name not in left_out]
    if not chosen or target in chosen:
        raise StepError("no feature is left" if not chosen else f"the target '{target}' is among the features")
    x, y = frame[chosen], frame[target]
    for name in chosen:
        need_finite(x[name], "feature")
    made = estimators.make(estimator, {**(params or {}), **settings}, seed)
    model = with_preprocessing(made, x, preprocess)
    if is_classifier(made) and y.nunique() < 2:
        raise StepError(f"target '{target}' has the one class {y.iloc[0]!r}", "a classifier needs at least two")
    weights = None if weight is None else frame[weight].to_numpy(dtype=float)
    try:
        found = crossval.scores(model, x, y, weights, cv, cv_time is not None, seed) if cv else {}
        crossval.fit(model, x, y, weights)
    except ValueError as error:
        raise StepError(f"{estimator} cannot be fitted: {str(error).splitlines()[0]}") from error
    model.target_name_ = target
    return Trained(model, TrainMetrics(**found))  # type: ignore[typeddict-item]
