"""Judge a model on rows that it has not seen: metrics, slices, and which columns it leans on."""

from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd
from sklearn import metrics as judge
from sklearn.inspection import permutation_importance

from treadle.authoring import StepError
from treadle_steps.refusals import need_columns, need_values, table

SMALLEST_SLICE = 30
SAMPLE = 2000  # rows that permutation importance is measured on


class RegressionMetrics(TypedDict):
    """Errors in the unit of the target; `bias` is prediction minus truth; `naive_mae` is that of the median."""

    mae: float
    rmse: float
    r2: float
    medae: float
    max_error: float
    bias: float
    naive_mae: float
    rows: float


class ClassificationMetrics(TypedDict, total=False):
    """The scores of scikit-learn under its names; `auc` and `brier` only for two classes."""

    accuracy: float
    balanced_accuracy: float
    f1: float
    precision: float
    recall: float
    log_loss: float
    auc: float
    brier: float
    rows: float


class RegressionReport(NamedTuple):
    """The report as plain data, and the metrics that gates name."""

    report: dict[str, Any]
    metrics: RegressionMetrics


class ClassificationReport(NamedTuple):
    """The report as plain data, and the metrics that gates name."""

    report: dict[str, Any]
    metrics: ClassificationMetrics


def regression(
    model: Any,
    data: pd.DataFrame,
    *,
    target: str | None = None,
    slices: list[str] | None = None,
    importance: int = 3,
    seed: int = 0,
) -> RegressionReport:
    """Metrics of a regressor, for each value of the columns in `slices`, and permutation importance.

    The target is the one that the model was trained on unless `target` says otherwise; `importance` is the
    number of permutations of each column, 0 for none.
    """
    x, y, frame = _rows(model, data, target)
    guess = np.asarray(model.predict(x), dtype=float)
    truth = y.to_numpy(dtype=float)
    found = _errors(truth, guess)
    quantiles = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    report = {
        "target": y.name,
        "metrics": dict(found),
        "residuals": {f"q{q:g}": float(np.quantile(guess - truth, q)) for q in quantiles},
        "slices": _slices(frame, slices, lambda rows: dict(_errors(truth[rows], guess[rows]))),
        "importance": _importance(model, x, y, importance, seed, "neg_mean_absolute_error"),
    }
    return RegressionReport(report, found)


def classification(
    model: Any,
    data: pd.DataFrame,
    *,
    target: str | None = None,
    slices: list[str] | None = None,
    importance: int = 3,
    seed: int = 0,
) -> ClassificationReport:
    """Metrics of a classifier, its confusion matrix and calibration, slices and permutation importance."""
    x, y, frame = _rows(model, data, target)
    guess = np.asarray(model.predict(x))
    chance = model.predict_proba(x) if hasattr(model, "predict_proba") else None
    truth = y.to_numpy()
    unknown = sorted(set(truth) - set(model.classes_), key=str)
    if unknown:
        raise StepError(f"target '{y.name}' has the value {unknown[0]!r}, which the model has never seen")
    found = _scores(truth, guess, chance, model.classes_)
    report = {
        "target": y.name,
        "metrics": dict(found),
        "classes": [str(name) for name in model.classes_],
        "confusion": judge.confusion_matrix(truth, guess, labels=model.classes_).tolist(),
        "calibration": _calibration(truth == model.classes_[-1], chance[:, -1]) if chance is not None else [],
        "slices": _slices(frame, slices, lambda rows: {"accuracy": float(np.mean(truth[rows] == guess[rows]))}),
        "importance": _importance(model, x, y, importance, seed, "accuracy"),
    }
    return ClassificationReport(report, found)


def _rows(model: Any, data: pd.DataFrame, target: str | None) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame]:
    frame = table(data)
    name = target or getattr(model, "target_name_", None)
    if name is None:
        raise StepError("the model does not say what it predicts", "with: {target: COLUMN}")
    need_columns(frame, [name], "target:")
    need_values(frame[name], "target")
    wanted = getattr(model, "feature_names_in_", None)
    features = list(wanted) if wanted is not None else [c for c in frame.columns if c != name]
    need_columns(frame, features, "the model's feature")
    return frame[features], frame[name], frame


def _errors(truth: Any, guess: Any) -> RegressionMetrics:
    return RegressionMetrics(
        mae=float(judge.mean_absolute_error(truth, guess)),
        rmse=float(judge.root_mean_squared_error(truth, guess)),
        r2=float(judge.r2_score(truth, guess)) if len(truth) > 1 else float("nan"),
        medae=float(judge.median_absolute_error(truth, guess)),
        max_error=float(judge.max_error(truth, guess)),
        bias=float(np.mean(guess - truth)),
        naive_mae=float(np.mean(np.abs(truth - np.median(truth)))),
        rows=float(len(truth)),
    )


def _scores(truth: Any, guess: Any, chance: Any, classes: Any) -> ClassificationMetrics:
    average = "binary" if len(classes) == 2 else "macro"
    chosen: dict[str, Any] = {"average": average, "zero_division": 0}
    if average == "binary":
        chosen["pos_label"] = classes[-1]
    found = ClassificationMetrics(
        accuracy=float(judge.accuracy_score(truth, guess)),
        balanced_accuracy=float(judge.balanced_accuracy_score(truth, guess)),
        f1=float(judge.f1_score(truth, guess, **chosen)),
        precision=float(judge.precision_score(truth, guess, **chosen)),
        recall=float(judge.recall_score(truth, guess, **chosen)),
        rows=float(len(truth)),
    )
    if chance is not None:
        found["log_loss"] = float(judge.log_loss(truth, chance, labels=classes))
        if len(classes) == 2 and len(set(truth)) == 2:
            found["auc"] = float(judge.roc_auc_score(truth == classes[1], chance[:, 1]))
            found["brier"] = float(judge.brier_score_loss(truth == classes[1], chance[:, 1]))
    return found


def _calibration(hit: Any, chance: Any) -> list[dict[str, float]]:
    """Ten equal bins of the predicted chance: its mean, how often it came true, and the rows."""
    bins = np.minimum((chance * 10).astype(int), 9)
    found = []
    for number in range(10):
        rows = bins == number
        if rows.any():
            found.append(
                {
                    "predicted": float(chance[rows].mean()),
                    "observed": float(hit[rows].mean()),
                    "rows": float(rows.sum()),
                }
            )
    return found


def _slices(frame: pd.DataFrame, columns: list[str] | None, measure: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for column in columns or []:
        need_columns(frame, [column], "slices:")
        groups = frame.groupby(column, observed=True).indices
        large = {value: rows for value, rows in groups.items() if len(rows) >= SMALLEST_SLICE}
        found[column] = {str(value): measure(rows) for value, rows in sorted(large.items(), key=lambda g: str(g[0]))}
    return found


def _importance(
    model: Any, x: pd.DataFrame, y: pd.Series, repeats: int, seed: int, scoring: str
) -> list[dict[str, Any]]:
    if repeats < 1:
        return []
    if len(x) > SAMPLE:
        chosen = np.sort(np.random.default_rng(seed).choice(len(x), SAMPLE, replace=False))
        x, y = x.iloc[chosen], y.iloc[chosen]
    measured = permutation_importance(model, x, y, n_repeats=repeats, random_state=seed, scoring=scoring)
    rows = [
        {"column": name, "loss": float(mean), "sd": float(sd)}
        for name, mean, sd in zip(x.columns, measured.importances_mean, measured.importances_std, strict=True)
    ]
    return sorted(rows, key=lambda row: (-row["loss"], row["column"]))
