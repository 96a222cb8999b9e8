"""Train a model: any estimator with the scikit-learn interface, with reproducible cross-validation."""

import time
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd
from sklearn.base import is_classifier, is_regressor

from treadle.authoring import StepError
from treadle_steps import crossval, estimators
from treadle_steps.preprocess import with_preprocessing
from treadle_steps.refusals import is_moment, is_number, kind_of, need_columns, need_finite, need_values, table


class TrainMetrics(TypedDict, total=False):
    """Means over the folds; only what fits the kind of estimator, and nothing when `cv` is 0."""

    cv_mae: float
    cv_rmse: float
    cv_r2: float
    cv_accuracy: float
    cv_log_loss: float
    cv_auc: float
    cv_score: float


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
    scoring: str | None = None,
    seed: int | None = 0,
    **settings: Any,
) -> Trained:
    raise NotImplementedError
