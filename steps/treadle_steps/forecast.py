"""Judge predictions of the future of one or many series, beside what last season would have said."""

from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd
from sklearn import metrics as judge

from treadle.authoring import StepError
from treadle_steps import bootstrap as draws
from treadle_steps import judging
from treadle_steps.refusals import is_number, need_columns, need_usable, need_values, table
from treadle_steps.scores import error_figures


class ForecastMetrics(TypedDict, total=False):
    """Errors in the unit of the target, besides `mase`, `smape` and `coverage`.

    `mase` is the mean absolute error over that of repeating the last season (Hyndman and Koehler 2006): below 1 is
    better than that. `smape` is the mean of 2·|error| / (|truth| + |prediction|), a share between 0 and 2.
    `coverage` is the share of rows within their interval, `width` the interval's mean width.
    """

    mae: float
    rmse: float
    bias: float
    smape: float
    mase: float
    naive_mae: float
    coverage: float
    width: float
    rows: float
    mae_low: float
    mae_high: float
    rmse_low: float
    rmse_high: float
    bias_low: float
    bias_high: float


class ForecastReport(NamedTuple):
    """The report as plain data, and the metrics that gates name."""

    report: dict[str, Any]
    metrics: ForecastMetrics


def forecast(
    data: pd.DataFrame,
    model: Any = None,
    history: pd.DataFrame | None = None,
    *,
    time: str,
    target: str | None = None,
    prediction: str | None = None,
    by: list[str] | None = None,
    season: int = 1,
    interval: list[str] | None = None,
    horizon: str | None = None,
    bootstrap: int = 200,
    seed: int = 0,
) -> ForecastReport:
    """mae, rmse, mase against the seasonal naive, smape and coverage of intervals, also for each horizon.

    Predictions are those of `model`, or stand in the column `prediction`. `season` is the number of rows after which a
    series repeats itself (24 for hours of a day); the scale of mase is the mean absolute difference over one season
    within `history`, the rows that were trained on, or within `data` without it, series by series of `by` in the order
    of `time`. `interval` names the columns of its lower and upper limit; `horizon` the column that says how far ahead
    a row was predicted. Raises StepError for a series shorter than a season and for what `evaluate.regression` refuses.

    Example:

        forecast:
          uses: evaluate.forecast
          in: {data: split.test, model: train, history: split.train}
          with: {time: ts, target: multiplier, season: 7}
    """
    frame = table(data)
    need_columns(frame, [time, *(by or [])], "time and by:")
    for column in (time, *(by or [])):
        need_usable(frame[column], "column")
    truth, guess, name = _pair(frame, model, target, prediction)
    scale = _naive(frame if history is None else table(history, "history"), name, time, by or [], season)
    found = _figures(truth, guess, scale)
    if interval is not None:
        found |= _coverage(frame, truth, interval)
    figures = {key: one for key, one in error_figures(truth, guess).items() if key in ("mae", "rmse", "bias")}
    limits = draws.intervals(draws.resampled(figures, len(truth), bootstrap, seed))
    report: dict[str, Any] = {"target": name, "metrics": found, "season": season, "intervals": limits}
    if horizon is not None:
        need_columns(frame, [horizon], "horizon:")
        ahead = frame[horizon].to_numpy()
        parts = {step: ahead == step for step in sorted(set(ahead))}
        each = {str(step): _figures(truth[rows], guess[rows], scale) for step, rows in parts.items()}
        report["slices"] = {horizon: each}
        report["curves"] = {f"mae by {horizon}": [[float(step), each[str(step)]["mae"]] for step in parts]}
    return ForecastReport(report, ForecastMetrics(**found, **draws.as_metrics(limits)))  # type: ignore[typeddict-item]


def _pair(frame: pd.DataFrame, model: Any, target: str | None, prediction: str | None) -> tuple[Any, Any, str]:
    """Truth and prediction of each row, and the target's name."""
    if (model is None) == (prediction is None):
        raise StepError(
            "predictions come from a model or from a column", "give either in: {model: …} or with: {prediction: COLUMN}"
        )
    if model is not None:
        x, y, _ = judging.rows_of(model, frame, target)
        guess = judging.numbers(judging.predicted(model, x))
    else:
        if target is None:
            raise StepError("the table does not say what is predicted", "with: {target: COLUMN}")
        need_columns(frame, [target, str(prediction)], "target and prediction:")
        need_values(frame[str(prediction)], "prediction")
        y, guess = frame[target], judging.numbers(frame[str(prediction)])
    if not is_number(y):
        raise StepError(f"target '{y.name}' holds {y.iloc[0]!r}, no numbers", "a forecast is of numbers")
    need_values(y, "target")
    return y.to_numpy(dtype=float), guess, str(y.name)


def _naive(frame: pd.DataFrame, target: str, time: str, by: list[str], season: int) -> float:
    """The mean absolute difference of a series over one season."""
    if season < 1:
        raise StepError(f"season is {season}", "give the number of rows after which a series repeats itself")
    need_columns(frame, [target, time, *by], "the column", "the history")
    ordered = frame.sort_values(time, kind="stable")
    series = ordered.groupby(by, dropna=False, sort=False)[target] if by else ordered[target]
    changes = series.diff(season).abs().dropna()
    if not len(changes):
        raise StepError(f"no series is longer than one season of {season} rows", "give more history, or season: 1")
    return float(changes.mean())


def _figures(truth: Any, guess: Any, scale: float) -> dict[str, float]:
    size = np.abs(truth) + np.abs(guess)
    mae = float(judge.mean_absolute_error(truth, guess))
    return {
        "mae": mae,
        "rmse": float(judge.root_mean_squared_error(truth, guess)),
        "bias": float(np.mean(guess - truth)),
        "smape": float(np.mean(np.divide(2 * np.abs(truth - guess), size, out=np.zeros(len(size)), where=size > 0))),
        "naive_mae": scale,
        **({"mase": mae / scale} if scale else {}),
        "rows": float(len(truth)),
    }


def _coverage(frame: pd.DataFrame, truth: Any, interval: list[str]) -> dict[str, float]:
    if len(interval) != 2:
        raise StepError(f"interval is {interval!r}", "name two columns: the lower and the upper limit")
    need_columns(frame, interval, "interval:")
    low, high = (judging.numbers(frame[name]) for name in interval)
    if (low > high).any():
        row = int(np.argmax(low > high))
        raise StepError(f"'{interval[0]}' is above '{interval[1]}' in row {row}", "name the lower limit first")
    return {"coverage": float(np.mean((low <= truth) & (truth <= high))), "width": float(np.mean(high - low))}
