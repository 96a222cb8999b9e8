"""Search for good parameters: which to try, what each is worth, and the model of the best."""

import math
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import is_classifier

from treadle.authoring import StepError, Takes
from treadle_steps import space as space_of
from treadle_steps.estimators import final
from treadle_steps.fitting import Columns, Recipe, Rows, fitted, model_of, rows_of, scored
from treadle_steps.refusals import known_keys, one_of
from treadle_steps.train import TrainMetrics
from treadle_steps.words import suggestion

GREATEST = ("cv_r2", "cv_accuracy", "cv_auc")  # more is better; of the other metrics less is


class Searched(NamedTuple):
    """The fitted model of the best candidate, all candidates with what they are worth, and the best one's metrics."""

    model: Any
    report: dict[str, Any]
    metrics: TrainMetrics


def candidates(
    *,
    space: dict[str, Any],
    strategy: Literal["grid", "random"] = "grid",
    count: int = 20,
    seed: int = 0,
    rows: int | None = None,
) -> list[dict[str, Any]]:
    """The parameters to try, as a list for `foreach`: every combination of lists, or `count` random draws.

    `space` maps a parameter to a list of values or, for random draws, to {uniform: [low, high]}, {log: [low, high]} or
    {int: [low, high]}, limits included. `rows` is how many rows a candidate is tried on (default: all). The same seed
    gives the same candidates. Raises StepError for an empty space and for more than 10,000 candidates.

    Example:

        candidates:
          uses: search.candidates
          with:
            strategy: random
            count: 4
            space: {alpha: {log: [0.01, 100]}, fit_intercept: [true, false]}
            rows: 1000
    """
    found = space_of.grid(space) if strategy == "grid" else space_of.random(space, count, seed)
    return [{"params": params, **({} if rows is None else {"rows": rows})} for params in found]


def candidate(
    data: pd.DataFrame,
    candidate: dict[str, Any],
    *,
    estimator: Annotated[str, Takes("params")],
    target: str,
    params: dict[str, Any] | None = None,
    features: list[str] | None = None,
    drop: list[str] | None = None,
    preprocess: dict[str, Any] | None = None,
    weight: str | None = None,
    calibrate: Literal["sigmoid", "isotonic"] | None = None,
    cv: int = 3,
    cv_time: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Try one candidate of `search.candidates` by cross-validation: its params, rows and metrics.

    Use it with `foreach`, so that candidates run side by side, each cached; parameters are those of `train.estimator`.

    Example:

        tried:
          uses: train.candidate
          foreach: candidates
          in: {data: split.train, candidate: candidates}
          with: {estimator: sklearn.linear_model.Ridge, target: multiplier, features: [demand, drivers, rain]}
    """
    known_keys(candidate, ("params", "rows"), "a candidate")
    rows = rows_of(data, Columns(target, features, drop, weight, cv_time))
    recipe = Recipe(estimator, preprocess, calibrate, _need_folds(cv), seed)
    return _tried(rows, recipe, params or {}, candidate)


def survivors(
    tried: list[dict[str, Any]], *, metric: str, factor: int = 3, rows: int | None = None
) -> list[dict[str, Any]]:
    """The best 1/`factor` of tried candidates, to be tried again on more `rows` (default: all): one turn of halving.

    Example:

        survivors:
          uses: search.survivors
          in: {tried: tried}
          with: {metric: cv_mae, factor: 2}
    """
    _need_factor(factor)
    best = _ranked(tried, metric)
    best = best[: math.ceil(len(best) / factor)]
    return [{"params": one["params"], **({} if rows is None else {"rows": rows})} for one in best]


def search(
    data: pd.DataFrame,
    tried: list[dict[str, Any]] | None = None,
    *,
    estimator: Annotated[str, Takes("params", "space")],
    target: str,
    space: dict[str, Any] | None = None,
    strategy: Literal["grid", "random", "halving"] = "grid",
    count: int = 20,
    metric: str | None = None,
    factor: int = 3,
    resource: str = "rows",
    most: int | None = None,
    jobs: int = 1,
    params: dict[str, Any] | None = None,
    features: list[str] | None = None,
    drop: list[str] | None = None,
    preprocess: dict[str, Any] | None = None,
    weight: str | None = None,
    calibrate: Literal["sigmoid", "isotonic"] | None = None,
    cv: int = 3,
    cv_time: str | None = None,
    seed: int = 0,
) -> Searched:
    """Fit the best of many candidates on all rows: those of `tried`, or those of `space`, tried here one after another.

    With `tried`, the list that `train.candidate` makes with `foreach`, every candidate is cached and they run side by
    side. Without it `strategy` is grid, random or halving: `count` draws, tried with little of a `resource`, the best
    1/`factor` of them with `factor` times as much, until the last have all of it; the resource is the number of rows,
    or a parameter such as max_iter, `most` of it in the end. `metric` is cv_mae, or for classifiers cv_log_loss, unless
    it says otherwise. `jobs` processes try candidates at a time; name it in `no_key`. Everything else is as in
    `train.estimator`. Raises StepError for an empty space and for a metric that the candidates do not have.

    Example:

        acceptance:
          uses: train.search
          in: {data: split.train}
          with:
            estimator: sklearn.linear_model.LogisticRegression
            target: accepted
            features: [multiplier, distance, zone]
            preprocess: {numeric: {scale: standard}, categorical: {encode: onehot}}
            space: {C: [0.1, 1, 10]}
    """
    rows = rows_of(data, Columns(target, features, drop, weight, cv_time))
    recipe = Recipe(estimator, preprocess, calibrate, _need_folds(cv), seed)
    fixed = params or {}
    if (tried is None) == (space is None):
        raise StepError("a search needs candidates", "give either in: {tried: …} or with: {space: {…}}")
    ruler = _metric(rows, recipe, fixed, metric)
    if tried is None:
        drawn = space_of.grid(space or {}) if strategy == "grid" else space_of.random(space or {}, count, seed)
        wanted = [{"params": one} for one in drawn]
        halving = _Halving(ruler, _need_factor(factor), resource, most) if strategy == "halving" else None
        tried = _all_tried(rows, recipe, fixed, wanted, halving, jobs)
    ranked = _ranked(tried, ruler)
    best = ranked[0]
    model = fitted(model_of(rows, recipe, {**fixed, **best["params"]}), rows, recipe)
    report = {"metric": ruler, "best": best["params"], "metrics": best["metrics"], "candidates": ranked}
    report["curves"] = {f"{ruler} by candidate": [[at, one["metrics"][ruler]] for at, one in enumerate(tried)]}
    return Searched(model, report, TrainMetrics(**best["metrics"]))  # type: ignore[typeddict-item]


class _Halving(NamedTuple):
    metric: str
    factor: int
    resource: str
    most: int | None


def _tried(rows: Rows, recipe: Recipe, fixed: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    """A candidate with its metrics."""
    wanted = one.get("rows")
    if wanted is not None:
        rows = _part(rows, int(wanted), recipe.seed)
    model = model_of(rows, recipe, {**fixed, **one["params"]})
    return {**one, "metrics": scored(model, rows, recipe)}


def _part(rows: Rows, wanted: int, seed: int) -> Rows:
    """So many of the rows, the newest where they are in order of time; more of them include the fewer."""
    if wanted >= len(rows.y):
        return rows
    if rows.in_order:
        chosen = np.arange(len(rows.y) - wanted, len(rows.y))
    else:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(rows.y))[:wanted])
    weights = None if rows.weights is None else rows.weights[chosen]
    return Rows(
        rows.x.iloc[chosen].reset_index(drop=True), rows.y.iloc[chosen].reset_index(drop=True), weights, rows.in_order
    )


def _all_tried(
    rows: Rows,
    recipe: Recipe,
    fixed: dict[str, Any],
    wanted: list[dict[str, Any]],
    halving: _Halving | None,
    jobs: int,
) -> list[dict[str, Any]]:
    """Every candidate tried; with halving those of the last turn, the only ones that had all of the resource."""
    turns = 0 if halving is None else math.ceil(math.log(len(wanted), halving.factor) - 1e-9)
    for turn in range(turns + 1):
        if halving is not None:
            wanted = [_with_resource(one, halving, turns - turn, len(rows.y)) for one in wanted]
        tasks = (delayed(_tried)(rows, recipe, fixed, one) for one in wanted)
        found: list[dict[str, Any]] = list(Parallel(n_jobs=jobs)(tasks))
        if halving is not None and turn < turns:
            kept = _ranked(found, halving.metric)[: math.ceil(len(found) / halving.factor)]
            wanted = [{"params": one["params"]} for one in kept]
    return found


def _with_resource(one: dict[str, Any], halving: _Halving, before: int, rows: int) -> dict[str, Any]:
    """The candidate as it is tried so many turns before the last."""
    if halving.resource == "rows":
        return {**one, "rows": max(1, round((halving.most or rows) / halving.factor**before))}
    if halving.most is None:
        raise StepError(f"halving by '{halving.resource}' needs its greatest value", "with: {most: 500}")
    return {"params": {**one["params"], halving.resource: max(1, halving.most // halving.factor**before)}}


def _ranked(tried: list[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    """The tried candidates, the best first; those alike in the order they came."""
    if not isinstance(tried, list):
        raise StepError(f"tried is a {type(tried).__name__}, no list of tried candidates", "in: {tried: …}")
    if not tried:
        raise StepError("there is no candidate", "search.candidates makes some")
    for one in tried:
        known = known_keys(one, ("params", "rows", "metrics"), "a tried candidate").get("metrics") or {}
        if metric not in known:
            raise StepError(f"the candidate {one.get('params')} has no metric '{metric}'", suggestion(metric, known))
    sign = -1 if metric in GREATEST else 1
    return sorted(tried, key=lambda one: sign * one["metrics"][metric])


def _metric(rows: Rows, recipe: Recipe, fixed: dict[str, Any], metric: str | None) -> str:
    if metric is not None:
        return one_of(metric, tuple(TrainMetrics.__annotations__), "metric")
    last = final(model_of(rows, recipe, fixed))
    if not is_classifier(last):
        return "cv_mae"
    return "cv_log_loss" if hasattr(last, "predict_proba") else "cv_accuracy"


def _need_folds(folds: int) -> int:
    if folds < 2:
        raise StepError(f"cv is {folds}", "a candidate is judged by cross-validation: give at least 2 folds")
    return folds


def _need_factor(factor: int) -> int:
    if factor < 2:
        raise StepError(f"factor is {factor}", "give 2 or more: 1 of so many goes on")
    return factor
