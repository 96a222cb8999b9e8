"""Judge a model on rows that it has not seen: metrics with intervals, slices, the champion, what it leans on."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn import metrics as judge

from treadle.authoring import StepError
from treadle_steps import bootstrap as draws
from treadle_steps import judging
from treadle_steps.refusals import is_number
from treadle_steps.scores import (
    Errors,
    Scores,
    calibration,
    error_figures,
    errors,
    of_champion,
    score_figures,
    scores,
)
from treadle_steps.slices import by_slice

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


class RegressionMetrics(Errors, total=False):
    """The errors, limits of their 95 % intervals, and the champion's errors on the same rows."""

    mae_low: float
    mae_high: float
    rmse_low: float
    rmse_high: float
    r2_low: float
    r2_high: float
    bias_low: float
    bias_high: float
    mape_low: float
    mape_high: float
    champion_mae: float
    champion_rmse: float
    champion_r2: float
    champion_medae: float
    champion_max_error: float
    champion_bias: float
    champion_mape: float


class ClassificationMetrics(Scores, total=False):
    """The scores, limits of their 95 % intervals, and the champion's scores on the same rows."""

    accuracy_low: float
    accuracy_high: float
    f1_low: float
    f1_high: float
    log_loss_low: float
    log_loss_high: float
    auc_low: float
    auc_high: float
    brier_low: float
    brier_high: float
    champion_accuracy: float
    champion_balanced_accuracy: float
    champion_f1: float
    champion_precision: float
    champion_recall: float
    champion_log_loss: float
    champion_auc: float
    champion_brier: float


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
    champion: Any = None,
    *,
    target: str | None = None,
    slices: list[str] | None = None,
    importance: int = 3,
    bootstrap: int = 200,
    seed: int = 0,
) -> RegressionReport:
    """Metrics of a regressor with 95 % intervals, for each value of the columns in `slices`, and its importances.

    The target is the one that the model was trained on unless `target` says otherwise; `importance` is the
    number of permutations of each column, 0 for none, on at most 2,000 rows. A slice needs 30 rows; a column of many
    numbers is cut at its quartiles. The baseline is the best that a constant could do with hindsight. `bootstrap` is
    the number of resamples behind the intervals (percentile bootstrap), 0 for none. `champion` is another model,
    judged on the same rows: its metrics are called champion_mae and so on, and the report says how far the two differ.
    Raises StepError for fewer than 2 rows, missing or infinite values, and predictions that are no numbers.

    Example:

        evaluate:
          uses: evaluate.regression
          in: {model: train, data: split.test}
          with: {slices: [zone]}
          gate: "mae < 0.5 * naive_mae"
    """
    x, y, frame = judging.rows_of(model, data, target)
    if not is_number(y):
        raise StepError(
            f"target '{y.name}' holds {y.iloc[0]!r}, no numbers", "a classifier? use evaluate.classification"
        )
    if len(y) < 2:
        raise StepError("one row is too few to judge a model on", "give at least 2 rows, better 1,000")
    truth = y.to_numpy(dtype=float)
    guess = judging.numbers(judging.predicted(model, x))
    found = errors(truth, guess)
    samples = draws.resampled(error_figures(truth, guess), len(truth), bootstrap, seed)
    limits = draws.intervals(samples)
    report = {
        "target": y.name,
        "metrics": dict(found),
        "intervals": limits,
        "residuals": {f"q{q:g}": float(np.quantile(guess - truth, q)) for q in QUANTILES},
        "baseline": {
            "mean": dict(errors(truth, np.full(len(truth), truth.mean()))),
            "median": dict(errors(truth, np.full(len(truth), np.median(truth)))),
        },
        **by_slice(frame, slices or [], lambda rows: errors(truth[rows], guess[rows])),
        "importance": judging.importance(model, x, y, importance, seed, "neg_mean_absolute_error"),
    }
    beaten: dict[str, float] = {}
    if champion is not None:
        judging.need_model(champion, "the champion")
        theirs = judging.features_of(champion, frame, str(y.name), "the champion")
        other = judging.numbers(judging.predicted(champion, theirs))
        beaten = of_champion(errors(truth, other))
        again = draws.resampled(error_figures(truth, other), len(truth), bootstrap, seed)
        report["champion"] = {"metrics": beaten, "difference": draws.differences(samples, again)}
    return RegressionReport(report, RegressionMetrics(**found, **draws.as_metrics(limits), **beaten))  # type: ignore[typeddict-item]


def classification(
    model: Any,
    data: pd.DataFrame,
    champion: Any = None,
    *,
    target: str | None = None,
    slices: list[str] | None = None,
    importance: int = 3,
    bootstrap: int = 200,
    seed: int = 0,
) -> ClassificationReport:
    """Metrics of a classifier with 95 % intervals, its confusion matrix and calibration, slices and importances.

    Parameters are those of `evaluate.regression`. Rows of the confusion matrix are the true classes. Raises StepError
    for a model without classes and for a class that it has never seen.

    Example:

        accepted:
          uses: evaluate.classification
          in: {model: acceptance, data: split.test}
          with: {slices: [zone]}
          gate: "log_loss < 0.5"
    """
    x, y, frame = judging.rows_of(model, data, target)
    if not hasattr(model, "classes_"):
        raise StepError(
            f"the model, a {type(model).__name__}, knows no classes", "a regressor? use evaluate.regression"
        )
    truth = y.to_numpy()
    unknown = sorted(set(truth) - set(model.classes_), key=str)
    if unknown:
        raise StepError(
            f"target '{y.name}' has the value {unknown[0]!r}, which the model has never seen",
            "known: " + ", ".join(str(label) for label in model.classes_[:20]),
        )
    guess, chance = _chances(model, x)
    found = scores(truth, guess, chance, model.classes_)
    samples = draws.resampled(score_figures(truth, guess, chance, model.classes_), len(truth), bootstrap, seed)
    limits = draws.intervals(samples)
    report = {
        "target": y.name,
        "metrics": dict(found),
        "intervals": limits,
        "classes": [str(name) for name in model.classes_],
        "confusion": judge.confusion_matrix(truth, guess, labels=model.classes_).tolist(),
        "calibration": calibration(truth == model.classes_[-1], chance[:, -1]) if chance is not None else [],
        **by_slice(
            frame,
            slices or [],
            lambda rows: {"accuracy": float(np.mean(truth[rows] == guess[rows])), "rows": float(len(rows))},
        ),
        "importance": judging.importance(model, x, y, importance, seed, "accuracy"),
    }
    beaten: dict[str, float] = {}
    if champion is not None:
        other, share = _of_champion(champion, frame, y, model.classes_)
        beaten = of_champion(scores(truth, other, share, model.classes_))
        known = bool(np.isin(other, model.classes_).all())
        again = score_figures(truth, other, share, model.classes_) if known else {}
        differ = draws.differences(samples, draws.resampled(again, len(truth), bootstrap, seed))
        report["champion"] = {"metrics": beaten, "difference": differ}
    return ClassificationReport(report, ClassificationMetrics(**found, **draws.as_metrics(limits), **beaten))  # type: ignore[typeddict-item]


def _chances(model: Any, x: pd.DataFrame) -> tuple[Any, Any]:
    """The classes that the model predicts, and the chance of each class where it gives one."""
    guess = np.asarray(judging.predicted(model, x))
    return guess, judging.predicted(model, x, "predict_proba") if hasattr(model, "predict_proba") else None


def _of_champion(champion: Any, frame: pd.DataFrame, y: pd.Series, classes: Any) -> tuple[Any, Any]:
    """Its classes and chances; without chances where it knows other classes than the model that is judged."""
    judging.need_model(champion, "the champion")
    guess, chance = _chances(champion, judging.features_of(champion, frame, str(y.name), "the champion"))
    alike = list(getattr(champion, "classes_", ())) == list(classes)
    return guess, chance if alike else None
