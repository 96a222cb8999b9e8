"""How good is the model probably, before any outcome is known? Estimates, and shown as such.

CBPE for classes: scores made honest by our own isotonic fit, then the confusion that they expect. DLE for numbers: a
small model that has learned from the reference how large the errors are. Both hold while the world answers as it did
(covariate shift within the known range) and are blind when the answers themselves change: only outcomes show that.
"""

from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np
import pandas as pd

from treadle.authoring import StepError
from treadle_steps.refusals import need_columns, need_values, one_of, table

WINDOWS = 10  # parts of the reference that say how much an estimate varies
DEVIATIONS = 3.0


class EstimateMetrics(TypedDict):
    """Whether it alarms (1 or 0), the estimate for the current rows, its limit, and the reference's own."""

    alarm: float
    estimated: float
    limit: float
    reference_estimated: float
    rows: float


class Estimate(NamedTuple):
    """What was estimated and how, and the figures."""

    report: dict[str, Any]
    metrics: EstimateMetrics


def estimate(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    method: Literal["cbpe", "dle"],
    prediction: str = "prediction",
    outcome: str = "outcome",
    threshold: float = 0.5,
    features: list[str] | None = None,
    min_rows: int = 100,
) -> Estimate:
    """Estimate accuracy (`cbpe`: predictions are probabilities of outcome 1) or MAE (`dle`) of rows without outcomes.

    `reference` has predictions and outcomes and was not trained on. Alarms when the estimate lies outside its mean
    over ten parts of the reference by three standard deviations, on the bad side. `features` help `dle`; numbers only.
    Raises StepError for unknown columns, missing values and fewer than `min_rows` current rows.

    Example:

        estimate:
          uses: monitor.estimate
          in: {reference: data.champion, current: data.live}
          with: {method: dle, features: [demand, drivers, rain]}
    """
    one_of(method, ("cbpe", "dle"), "method")
    past, now = table(reference, "reference"), table(current, "current")
    names = [prediction, *(features or [])]
    need_columns(past, [*names, outcome], "the column", "the reference")
    need_columns(now, names, "the column", "the current table")
    for name in (prediction, outcome):
        need_values(past[name], "the reference's column")
    need_values(now[prediction], "the current column")
    if len(now) < min_rows or len(past) < WINDOWS * 10:
        text = f"current has {len(now):,} rows and the reference {len(past):,}"
        raise StepError(text, f"at least {min_rows:,} and {WINDOWS * 10}: wait for more, or lower min_rows")
    if method == "cbpe":
        scores, truth = past[prediction].to_numpy(dtype=float), past[outcome].to_numpy(dtype=float)
        if scores.min() < 0 or scores.max() > 1:
            raise StepError(f"'{prediction}' is no probability: {scores.min():g} to {scores.max():g}")
        xs, ys = isotonic(scores, truth)
        before = accuracy(np.interp(scores, xs, ys), scores >= threshold)
        sure = now[prediction].to_numpy(dtype=float)
        found, better = accuracy(np.interp(sure, xs, ys), sure >= threshold), 1.0
    else:
        before, found, better = *_errors(past, now, names, prediction, outcome), -1.0
    parts = np.array([part.mean() for part in np.array_split(before, WINDOWS)])
    middle, reach = float(parts.mean()), DEVIATIONS * float(parts.std(ddof=1))
    value, limit = float(found.mean()), middle - better * reach
    figures = EstimateMetrics(
        alarm=float(value < limit if better > 0 else value > limit),
        estimated=value,
        limit=limit,
        reference_estimated=middle,
        rows=float(len(now)),
    )
    metric = "accuracy" if method == "cbpe" else "mae"
    return Estimate({"estimated": True, "method": method, "metric": metric, **figures}, figures)


def isotonic(scores: Any, outcomes: Any) -> tuple[Any, Any]:
    """The best non-decreasing curve from scores to outcomes, by pooling neighbours that go down: (xs, ys)."""
    order = np.argsort(scores, kind="stable")
    xs, firsts = np.unique(scores[order], return_index=True)
    sums = np.add.reduceat(outcomes[order].astype(float), firsts)
    sizes = np.diff(np.r_[firsts, len(order)]).astype(float)
    blocks: list[list[float]] = []  # sum, size, number of xs
    for total, size in zip(sums.tolist(), sizes.tolist(), strict=True):
        blocks.append([total, size, 1])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    ys = np.repeat([block[0] / block[1] for block in blocks], [int(block[2]) for block in blocks])
    return xs, ys


def accuracy(honest: Any, positive: Any) -> Any:
    """The chance that each answer is right: what CBPE's expected confusion matrix adds up to."""
    return np.where(positive, honest, 1 - honest)


def _errors(past: pd.DataFrame, now: pd.DataFrame, names: list[str], prediction: str, outcome: str) -> tuple[Any, Any]:
    """Expected absolute errors of the reference, each learned from the other half, and of the current rows."""
    from sklearn.tree import DecisionTreeRegressor  # lazy: 0.5 s that CBPE spares

    try:
        x, fresh = past[names].to_numpy(dtype=float), now[names].to_numpy(dtype=float)
    except (ValueError, TypeError):
        raise StepError("features of dle are numbers", "leave out text, or encode it in the step before") from None
    wrong = np.abs(past[prediction].to_numpy(dtype=float) - past[outcome].to_numpy(dtype=float))
    half = np.arange(len(x)) % 2 == 0
    expected = np.empty(len(x))
    for side in (half, ~half):
        nanny = DecisionTreeRegressor(max_leaf_nodes=64, min_samples_leaf=25, random_state=0)
        expected[~side] = nanny.fit(x[side], wrong[side]).predict(x[~side])
    nanny = DecisionTreeRegressor(max_leaf_nodes=64, min_samples_leaf=25, random_state=0)
    return expected, nanny.fit(x, wrong).predict(fresh)
