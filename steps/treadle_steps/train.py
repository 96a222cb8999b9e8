"""Train a model: any estimator with the scikit-learn interface, with reproducible cross-validation."""

from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import pandas as pd

from treadle.authoring import Takes
from treadle_steps.fitting import Columns, Recipe, fitted, model_of, rows_of, scored, with_stopping


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
    calibrate: Literal["sigmoid", "isotonic"] | None = None,
    early_stopping: int | None = None,
    validation_share: float = 0.1,
    cv: int = 3,
    cv_time: str | None = None,
    seed: int = 0,
    **settings: Any,
) -> Trained:
    """Fit an estimator of any dotted name on a table, behind the preparation that its columns need.

    `estimator` is a class such as sklearn.linear_model.Ridge or xgboost.XGBRegressor, or a Pipeline; `params` and every
    further parameter (so that a matrix can name them) are its own. All columns but the target are features unless
    `features` or `drop` say otherwise. `preprocess` has the blocks numeric {columns, impute, scale} and
    categorical {columns, encode, handle_unknown, max_categories}. `calibrate` maps a classifier's chances on held-out
    folds to what comes true. `early_stopping` is the number of rounds of boosting without an improvement on a
    `validation_share` of the rows after which it stops; XGBoost and LightGBM then learn from all rows with the number
    of rounds found. Metrics are means over `cv` folds (0: none), in the order of the column `cv_time` where that is
    given; they do not use `weight`. The model remembers its target and the kinds of its features. Code of the project
    is no `estimator`: train it in a step of your own. Raises StepError naming column, value and what to do.

    Example:

        train:
          uses: train.estimator
          in: {data: split.train}
          with:
            estimator: sklearn.ensemble.HistGradientBoostingRegressor
            target: multiplier
            drop: [ride_id, rider_id, ts, accepted]
            params: {max_iter: 50}
            preprocess: {categorical: {encode: ordinal}}
          matrix: {learning_rate: [0.1, 0.3]}
          select: {min: cv_mae}
    """
    rows = rows_of(data, Columns(target, features, drop, weight, cv_time))
    recipe = Recipe(estimator, preprocess, calibrate, cv, seed)
    model = model_of(rows, recipe, {**(params or {}), **settings})
    if early_stopping is not None:
        model = with_stopping(model, rows, recipe, early_stopping, validation_share)
    found = scored(model, rows, recipe)
    return Trained(fitted(model, rows, recipe), TrainMetrics(**found))  # type: ignore[typeddict-item]
