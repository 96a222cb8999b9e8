"""Cross-validation with the same folds every time."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics
from sklearn.base import clone, is_classifier
from sklearn.model_selection import KFold, StratifiedKFold, TimeSeriesSplit

from treadle.authoring import StepError


def scores(
    model: Any, x: pd.DataFrame, y: pd.Series, weight: Any, folds: int, in_order: bool, seed: int
) -> dict[str, float]:
    """The mean of each metric over the folds; `in_order` never tests on what came before the training."""
    if folds < 2:
        raise StepError(f"cv is {folds}", "give at least 2 folds, or 0 for none")
    if len(x) < 2 * folds:
        raise StepError(f"{len(x)} rows are too few for {folds} folds", "with: {cv: 0}")
    classify = is_classifier(model)
    found: dict[str, list[float]] = {}
    for train, test in _folds(y, folds, in_order, classify, seed):
        part = clone(model)
        fit(part, x.iloc[train], y.iloc[train], None if weight is None else weight[train])
        judged = _classes(part, x.iloc[test], y.iloc[test]) if classify else _numbers(part, x.iloc[test], y.iloc[test])
        for name, value in judged.items():
            found.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def fit(model: Any, x: pd.DataFrame, y: pd.Series, weight: Any) -> None:
    """Fit, with weights where they are given; they go to the last step of a Pipeline."""
    if weight is None:
        model.fit(x, y)
    elif hasattr(model, "steps"):
        model.fit(x, y, **{f"{model.steps[-1][0]}__sample_weight": weight})
    else:
        model.fit(x, y, sample_weight=weight)


def _folds(y: pd.Series, folds: int, in_order: bool, classify: bool, seed: int) -> Any:
    if in_order:
        return TimeSeriesSplit(folds).split(y)
    if classify:
        return StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(len(y)), y)
    return KFold(folds, shuffle=True, random_state=seed).split(y)


def _numbers(model: Any, x: pd.DataFrame, y: pd.Series) -> dict[str, float]:
    guess = model.predict(x)
    return {
        "cv_mae": float(metrics.mean_absolute_error(y, guess)),
        "cv_rmse": float(metrics.root_mean_squared_error(y, guess)),
        "cv_r2": float(metrics.r2_score(y, guess)),
    }


def _classes(model: Any, x: pd.DataFrame, y: pd.Series) -> dict[str, float]:
    found = {"cv_accuracy": float(metrics.accuracy_score(y, model.predict(x)))}
    if hasattr(model, "predict_proba"):
        chance = model.predict_proba(x)
        found["cv_log_loss"] = float(metrics.log_loss(y, chance, labels=model.classes_))
        if len(model.classes_) == 2 and y.nunique() == 2:
            found["cv_auc"] = float(metrics.roc_auc_score(y == model.classes_[1], chance[:, 1]))
    return found
