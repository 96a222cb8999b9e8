"""How good is the model now? Judged on cohorts whose outcomes are final, by a bet against "as good as before"."""

from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np
import pandas as pd

from treadle.authoring import StepError
from treadle_steps.reference import opened
from treadle_steps.refusals import need_columns, one_of, table
from treadle_steps.windows import seconds, stamps

LOSSES = ("absolute", "squared", "log", "error")
PRIOR = 20.0  # rows that the bet's first estimates are worth


class PerformanceMetrics(TypedDict):
    """Whether it alarms (1 or 0), the loss now and in the reference, log E and the best since the start, the share of
    outcomes that are known, and the rows judged."""

    alarm: float
    loss: float
    reference_loss: float
    log_e: float
    coverage: float
    rows: float


class Performance(NamedTuple):
    """The cohorts, and the figures."""

    report: dict[str, Any]
    metrics: PerformanceMetrics


def performance(
    reference: pd.DataFrame | dict[str, Any],
    current: pd.DataFrame,
    *,
    at: str,
    prediction: str = "prediction",
    outcome: str = "outcome",
    loss: Literal["absolute", "squared", "log", "error"] = "absolute",
    range: list[float] | None = None,
    tolerance: float = 0.1,
    alpha: float = 0.01,
    delay: str = "0s",
    window: str = "1h",
    detect_within: str = "7d",
    min_coverage: float = 0.5,
) -> Performance:
    """Bet against H0: the mean loss is at most (1 + `tolerance`) times the reference's; alarm at E ≥ 1 / `alpha`.

    `reference` is a table with predictions and outcomes, or a report of evaluate with a metric `mae`, `mse`,
    `log_loss` or `accuracy`. Rows of `current` are judged once `delay` has passed since `at`, by the newest row's
    clock: later outcomes are not final, and those already there would favour what comes fast. A cohort of `window` with
    fewer than `min_coverage` of its outcomes is not judged. The bet begins anew every `detect_within`; losses are
    clipped to `range`, without it to the 99.9th percentile of the reference, fixed in advance. Raises StepError for
    unknown columns, and when the reference has no loss.

    Example:

        performance:
          uses: monitor.performance
          in: {reference: evaluate, current: data.live}
          with: {at: ts, window: 1d, delay: 1h, range: [0, 2]}
    """
    one_of(loss, LOSSES, "loss")
    frame = table(current, "current")
    need_columns(frame, [at, prediction, outcome], "the column", "the current table")
    usual, most = _usual(opened(reference), prediction, outcome, loss, range)
    times = stamps(frame[at])
    final = times + seconds(delay, "delay") <= times.max()
    ripe = frame[final]
    every = seconds(window, "window")
    numbers = np.floor_divide(times[final], every)
    cohorts, kept = [], np.zeros(len(ripe), dtype=bool)
    known = ripe[outcome].notna().to_numpy()
    for number in np.unique(numbers):
        inside = numbers == number
        coverage = float(known[inside].mean())
        judged = coverage >= min_coverage
        kept |= inside & known & judged
        cohorts.append(
            {"from": float(number) * every, "rows": int(inside.sum()), "coverage": coverage, "judged": judged}
        )
    order = np.argsort(times[final][kept], kind="stable")
    rows = ripe[kept].iloc[order]
    losses = np.minimum(losses_of(rows[prediction], rows[outcome], loss), most)
    log_e = bet(losses / most, min(1.0, (1 + tolerance) * usual / most), times[final][kept][order], detect_within)
    alarm = bool(len(log_e) and log_e.max() >= np.log(1 / alpha))
    figures = PerformanceMetrics(
        alarm=float(alarm),
        loss=float(losses.mean()) if len(losses) else float("nan"),
        reference_loss=usual,
        log_e=float(log_e.max()) if len(log_e) else 0.0,
        coverage=float(known.mean()) if len(known) else 0.0,
        rows=float(len(losses)),
    )
    report = {"loss": loss, "limit": (1 + tolerance) * usual, "clip": most, "needed": float(np.log(1 / alpha))}
    return Performance({**report, "alarm": alarm, "cohorts": cohorts}, figures)


def bet(values: Any, mean: float, times: Any, within: str) -> Any:
    """log E after each value in [0, 1] against H0: their mean is at most `mean`; from 0 again every `within`.

    The betting process of arXiv 2010.09686: each stake depends on earlier values alone, so E ≥ 1 / α has a chance of
    at most α at any time, however often one looks.
    """
    found = np.zeros(len(values))
    periods = np.floor_divide(times, seconds(within, "detect_within")) if len(values) else times
    for period in np.unique(periods):
        inside = np.flatnonzero(periods == period)
        x = values[inside] - mean
        before = np.arange(len(x)) + PRIOR
        sums = np.r_[0.0, np.cumsum(x)[:-1]] / before
        squares = (np.r_[0.0, np.cumsum(x * x)[:-1]] + PRIOR * 0.25) / before
        stake = np.clip(sums / (squares + sums * sums), 0.0, 0.5 / max(mean, 1e-12))
        found[inside] = np.cumsum(np.log1p(stake * x))
    return found


def losses_of(prediction: pd.Series, outcome: pd.Series, loss: str) -> Any:
    """The loss of each row; predictions of `log` are probabilities, of `error` labels."""
    if loss == "error":
        return (prediction.astype(str).to_numpy() != outcome.astype(str).to_numpy()).astype(float)
    guess, truth = prediction.to_numpy(dtype=float), outcome.to_numpy(dtype=float)
    if loss == "log":
        sure = np.clip(guess, 1e-15, 1 - 1e-15)
        return -(truth * np.log(sure) + (1 - truth) * np.log1p(-sure))
    return np.abs(guess - truth) if loss == "absolute" else (guess - truth) ** 2


def _usual(reference: Any, prediction: str, outcome: str, loss: str, span: list[float] | None) -> tuple[float, float]:
    """The reference's mean loss, and what losses are clipped to."""
    if span is not None and (len(span) != 2 or not 0 <= span[0] < span[1]):
        raise StepError(f"range is {span}", "write the least and the greatest loss, such as [0, 5]")
    if not isinstance(reference, dict):
        frame = table(reference, "reference")
        need_columns(frame, [prediction, outcome], "the column", "the reference")
        found = losses_of(frame[prediction], frame[outcome], loss)
        most = 1.0 if loss == "error" else float(np.quantile(found, 0.999)) if span is None else span[1]
        return float(np.minimum(found, most).mean()), most or 1.0
    figures = reference.get("metrics", reference)
    name = {"absolute": "mae", "squared": "mse", "log": "log_loss", "error": "accuracy"}[loss]
    if name not in figures:
        raise StepError(f"the reference has no metric '{name}'", "give a table with predictions and outcomes")
    value = 1 - float(figures[name]) if loss == "error" else float(figures[name])
    if span is None and loss != "error":
        raise StepError("a report says nothing of how losses vary", "write range: [0, the greatest loss]")
    return value, 1.0 if span is None else span[1]
