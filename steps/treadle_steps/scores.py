"""What a set of predictions is worth: scikit-learn's scores under its names, and the same figures on resamples."""

from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np
from sklearn import metrics as judge

from treadle_steps.bootstrap import Figure


class Errors(TypedDict):
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


class Scores(TypedDict, total=False):
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


def errors(truth: Any, guess: Any) -> Errors:
    """Every error of `guess`, both 1-D arrays of floats."""
    return Errors(
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


def error_figures(truth: Any, guess: Any) -> dict[str, Figure]:
    """mae, rmse, bias, mape and r2 as functions of how often each row was drawn."""
    error, rows = guess - truth, len(truth)
    absolute, squared = np.abs(error), error**2
    relative = absolute / np.maximum(np.abs(truth), np.finfo(float).eps)
    centred = truth - truth.mean()
    centred_squared = centred**2

    def r2(counts: Any) -> float:
        spread = counts @ centred_squared - (counts @ centred) ** 2 / rows
        return float(1 - (counts @ squared) / spread) if spread > 0 else float("nan")

    return {
        "mae": lambda counts: float(counts @ absolute) / rows,
        "rmse": lambda counts: float(np.sqrt(counts @ squared / rows)),
        "bias": lambda counts: float(counts @ error) / rows,
        "mape": lambda counts: float(counts @ relative) / rows,
        "r2": r2,
    }


def scores(truth: Any, guess: Any, chance: Any, classes: Any) -> Scores:
    """Every score of `guess`, and of `chance` (rows × classes) where there is one."""
    average = "binary" if len(classes) == 2 else "macro"
    chosen: dict[str, Any] = {"average": average, "zero_division": 0}
    if average == "binary":
        chosen["pos_label"] = classes[-1]
    found = Scores(
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


def score_figures(truth: Any, guess: Any, chance: Any, classes: Any) -> dict[str, Figure]:
    """accuracy, f1, auc, log_loss and brier as functions of how often each row was drawn."""
    rows, known = len(truth), list(classes)
    hit = (truth == guess).astype(float)
    place = {label: number for number, label in enumerate(known)}
    cell = np.array([place[label] for label in truth]) * len(known) + np.array([place[label] for label in guess])

    def f1(counts: Any) -> float:
        table = np.bincount(cell, weights=counts, minlength=len(known) ** 2).reshape(len(known), -1)
        total = table.sum(axis=0) + table.sum(axis=1)
        each = np.divide(2 * np.diag(table), total, out=np.zeros(len(known)), where=total > 0)
        return float(each[-1] if len(known) == 2 else each[total > 0].mean())

    found: dict[str, Figure] = {"accuracy": lambda counts: float(counts @ hit) / rows, "f1": f1}
    if chance is None:
        return found
    truly = np.array([place[label] for label in truth])
    epsilon = np.finfo(chance.dtype).eps
    share = np.clip(chance / chance.sum(axis=1, keepdims=True), epsilon, 1 - epsilon)
    surprise = -np.log(share[np.arange(rows), truly])
    distance = np.sum((chance - (truly[:, None] == np.arange(len(known)))) ** 2, axis=1)
    distance = distance / 2 if len(known) == 2 else distance
    ranked = [_auc(truly == number, chance[:, number]) for number in ([1] if len(known) == 2 else range(len(known)))]
    found["log_loss"] = lambda counts: float(counts @ surprise) / rows
    found["brier"] = lambda counts: float(counts @ distance) / rows
    found["auc"] = lambda counts: float(np.mean([one(counts) for one in ranked]))
    return found


def _auc(positive: Any, chance: Any) -> Figure:
    """The area under the curve of weighted rows; ties count half, and the order is found once."""
    _, level = np.unique(chance, return_inverse=True)
    levels = int(level.max()) + 1

    def area(counts: Any) -> float:
        above = np.bincount(level, weights=counts * positive, minlength=levels)
        below = np.bincount(level, weights=counts * ~positive, minlength=levels)
        pairs = above.sum() * below.sum()
        return float(above @ (np.cumsum(below) - below / 2) / pairs) if pairs else float("nan")

    return area


def calibration(hit: Any, chance: Any) -> list[dict[str, float]]:
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


def of_champion(found: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of the model that serves now, under the names `champion_mae`, …"""
    return {f"champion_{name}": float(value) for name, value in found.items() if name not in ("rows", "naive_mae")}
