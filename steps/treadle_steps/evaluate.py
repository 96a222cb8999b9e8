"""Judge a model on rows that it has not seen: metrics, slices, and which columns it leans on."""

from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd
from sklearn import metrics as judge
from sklearn.inspection import permutation_importance

from treadle.authoring import StepError
from treadle_steps.refusals import is_number, need_columns, need_finite, need_values, table
from treadle_steps.slices import by_slice

SAMPLE = 2000  # rows that permutation importance is measured on


class RegressionMetrics(TypedDict):
    """Errors in the unit of the target; `bias` is prediction minus truth; `naive_mae` is that of the median.

    `mape` is a share, as in scikit-learn: it is huge where the target is near 0.
    """

    mae: float
    rmse: float
    r2: float
    medae: float
    max_error: float
    bias: float
    naive_mae: float
    mape: float
    rows: float


class ClassificationMetrics(TypedDict, total=False):
    """The scores of scikit-learn under its names.

    With two classes, the last one counts as positive; with more, f1, precision and recall are means over the classes,
    `auc` the mean of each class against the rest, and `brier` the squared distance summed over the classes.
    `log_loss`, `auc` and `brier` need chances; `auc` needs rows of every class.
    """

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
    number of permutations of each column, 0 for none, on at most 2,000 rows. A slice needs 30 rows; a column of many
    numbers is cut at its quartiles. The baseline is the best that a constant could do with hindsight.
    Raises StepError for fewer than 2 rows, missing or infinite values, and predictions that are no numbers.
    """
    x, y, frame = _rows(model, data, target)
    if not is_number(y):
        raise StepError(
            f"target '{y.name}' holds {y.iloc[0]!r}, no numbers", "a classifier? use evaluate.classification"
        )
    if len(y) < 2:
        raise StepError("one row is too few to judge a model on", "give at least 2 rows, better 1,000")
    truth = y.to_numpy(dtype=float)
    guess = _numbers(_predicted(model, x, "predict"))
    found = _errors(truth, guess)
    quantiles = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    report = {
        "target": y.name,
        "metrics": dict(found),
        "residuals": {f"q{q:g}": float(np.quantile(guess - truth, q)) for q in quantiles},
        "baseline": {
            "mean": dict(_errors(truth, np.full(len(truth), truth.mean()))),
            "median": dict(_errors(truth, np.full(len(truth), np.median(truth)))),
        },
        **by_slice(frame, slices or [], lambda rows: _errors(truth[rows], guess[rows])),
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
    """Metrics of a classifier, its confusion matrix and calibration, slices and permutation importance.

    Parameters are those of `evaluate.regression`. Rows of the confusion matrix are the true classes. Raises StepError
    for a model without classes and for a class that it has never seen.
    """
    x, y, frame = _rows(model, data, target)
    if not hasattr(model, "classes_"):
        raise StepError(
            f"the model, a {type(model).__name__}, knows no classes", "a regressor? use evaluate.regression"
        )
    guess = np.asarray(_predicted(model, x, "predict"))
    chance = _predicted(model, x, "predict_proba") if hasattr(model, "predict_proba") else None
    truth = y.to_numpy()
    unknown = sorted(set(truth) - set(model.classes_), key=str)
    if unknown:
        raise StepError(
            f"target '{y.name}' has the value {unknown[0]!r}, which the model has never seen",
            "known: " + ", ".join(str(label) for label in model.classes_[:20]),
        )
    found = _scores(truth, guess, chance, model.classes_)
    report = {
        "target": y.name,
        "metrics": dict(found),
        "classes": [str(name) for name in model.classes_],
        "confusion": judge.confusion_matrix(truth, guess, labels=model.classes_).tolist(),
        "calibration": _calibration(truth == model.classes_[-1], chance[:, -1]) if chance is not None else [],
        **by_slice(
            frame,
            slices or [],
            lambda rows: {"accuracy": float(np.mean(truth[rows] == guess[rows])), "rows": float(len(rows))},
        ),
        "importance": _importance(model, x, y, importance, seed, "accuracy"),
    }
    return ClassificationReport(report, found)


def _rows(model: Any, data: pd.DataFrame, target: str | None) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame]:
    frame = table(data)
    if not hasattr(model, "predict"):
        raise StepError(f"the model is a {type(model).__name__}, which predicts nothing", "in: {model: a train step}")
    name = target or getattr(model, "target_name_", None)
    if name is None:
        raise StepError("the model does not say what it predicts", "with: {target: COLUMN}")
    need_columns(frame, [name], "target:")
    need_values(frame[name], "target")
    wanted = getattr(model, "feature_names_in_", None)
    features = list(wanted) if wanted is not None else [c for c in frame.columns if c != name]
    need_columns(frame, features, "the model's feature")
    for feature in features:
        need_finite(frame[feature], "feature")
    return frame[features], frame[name], frame


def _predicted(model: Any, x: pd.DataFrame, method: str) -> Any:
    try:
        return getattr(model, method)(x)
    except ValueError as error:
        gaps = [str(name) for name in x.columns if x[name].isna().any()]
        hint = f"missing values in: {', '.join(gaps)}" if gaps else ""
        raise StepError(f"the model cannot predict these rows: {str(error).splitlines()[0]}", hint) from error


def _numbers(guess: Any) -> Any:
    """Predictions as floats, one for each row."""
    try:
        numbers = np.asarray(guess, dtype=float)
    except (TypeError, ValueError):
        text = f"the model predicts {np.ravel(np.asarray(guess, dtype=object))[0]!r}, no number"
        raise StepError(text, "a classifier? use evaluate.classification") from None
    numbers = numbers.reshape(-1) if numbers.ndim == 2 and numbers.shape[1] == 1 else numbers
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise StepError(f"{int(wrong.sum()):,} predictions are no finite number (first: row {row}, {numbers[row]})")
    return numbers


def _errors(truth: Any, guess: Any) -> RegressionMetrics:
    return RegressionMetrics(
        mae=float(judge.mean_absolute_error(truth, guess)),
        rmse=float(judge.root_mean_squared_error(truth, guess)),
        r2=float(judge.r2_score(truth, guess)),
        medae=float(judge.median_absolute_error(truth, guess)),
        max_error=float(judge.max_error(truth, guess)),
        bias=float(np.mean(guess - truth)),
        naive_mae=float(np.mean(np.abs(truth - np.median(truth)))),
        mape=float(judge.mean_absolute_percentage_error(truth, guess)),
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
    if chance is None:
        return found
    found["log_loss"] = float(judge.log_loss(truth, chance, labels=classes))
    every = len(set(truth)) == len(classes)
    if len(classes) == 2:
        positive = truth == classes[1]
        found["brier"] = float(judge.brier_score_loss(positive, chance[:, 1]))
        if every:
            found["auc"] = float(judge.roc_auc_score(positive, chance[:, 1]))
    else:
        hit = truth[:, None] == classes[None, :]
        found["brier"] = float(np.mean(np.sum((chance - hit) ** 2, axis=1)))
        if every:
            found["auc"] = float(judge.roc_auc_score(truth, chance, multi_class="ovr", labels=classes))
    return found


def _calibration(hit: Any, chance: Any) -> list[dict[str, float]]:
    """Ten equal bins of the predicted chance of the last class: its mean, how often it came true, and the rows."""
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
    return sorted(rows, key=lambda row: (-float(row["loss"]), str(row["column"])))
