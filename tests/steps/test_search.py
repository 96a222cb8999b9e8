"""Searches give the scores of scikit-learn's own, digit for digit, in one step or in three."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, ParameterGrid, StratifiedKFold

from treadle.authoring import StepError
from treadle_steps import search, train

RNG = np.random.default_rng(3)
ROWS = 180
X = pd.DataFrame({"a": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS), "c": RNG.normal(size=ROWS)})
TABLE = X.assign(y=2 * X["a"] - X["b"] + RNG.normal(size=ROWS))
TABLE["label"] = np.where(TABLE["y"] > 0, "up", "down")
RIDGE: dict[str, Any] = {"estimator": "sklearn.linear_model.Ridge", "target": "y", "features": ["a", "b", "c"]}
SPACE = {"alpha": [0.1, 1.0, 10.0, 100.0], "fit_intercept": [True, False]}


def test_scores_are_those_of_grid_search_digit_for_digit() -> None:
    found = search.search(TABLE, **RIDGE, space=SPACE, cv=4, seed=2)
    folds = KFold(4, shuffle=True, random_state=2)
    own = GridSearchCV(Ridge(random_state=2), SPACE, cv=folds, scoring="neg_mean_absolute_error").fit(X, TABLE["y"])
    expected = dict(zip(map(str, own.cv_results_["params"]), -own.cv_results_["mean_test_score"], strict=True))
    assert {str(one["params"]): one["metrics"]["cv_mae"] for one in found.report["candidates"]} == expected
    assert found.report["best"] == own.best_params_
    assert found.metrics["cv_mae"] == -own.best_score_
    assert (found.model.predict(X) == own.predict(X)).all()


def test_scores_of_classes_are_those_of_grid_search() -> None:
    grid = {"C": [0.01, 1.0, 100.0]}
    settings = {"estimator": "sklearn.linear_model.LogisticRegression", "target": "label", "features": ["a", "b"]}
    found = search.search(TABLE, **settings, space=grid, metric="cv_accuracy")  # type: ignore[arg-type]
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    own = GridSearchCV(LogisticRegression(random_state=0), grid, cv=folds, scoring="accuracy")
    own.fit(X[["a", "b"]], TABLE["label"])
    scores = {one["params"]["C"]: one["metrics"]["cv_accuracy"] for one in found.report["candidates"]}
    assert scores == dict(zip(grid["C"], own.cv_results_["mean_test_score"], strict=True))
    assert search.search(TABLE, **settings, space=grid).report["metric"] == "cv_log_loss"  # type: ignore[arg-type]


def test_three_steps_give_what_one_step_gives() -> None:
    wanted = search.candidates(space=SPACE)
    assert [one["params"] for one in wanted] == list(ParameterGrid(SPACE))
    tried = [search.candidate(TABLE, one, **RIDGE) for one in wanted]
    three, one = search.search(TABLE, tried, **RIDGE), search.search(TABLE, **RIDGE, space=SPACE)
    assert three.report == one.report
    assert (three.model.coef_ == one.model.coef_).all()


def test_the_best_is_what_train_estimator_makes() -> None:
    found = search.search(TABLE, **RIDGE, space=SPACE)
    direct = train.estimator(TABLE, **RIDGE, params=found.report["best"])
    assert direct.metrics == found.metrics
    assert (direct.model.coef_ == found.model.coef_).all()


def test_several_processes_give_the_same() -> None:
    one, two = (search.search(TABLE, **RIDGE, space=SPACE, jobs=jobs) for jobs in (1, 2))
    assert one.report == two.report


def test_draws_keep_their_limits_and_repeat_with_the_seed() -> None:
    space = {"alpha": {"log": [1e-3, 1e3]}, "depth": {"int": [2, 5]}, "rate": {"uniform": [0, 1]}, "kind": ["x", "y"]}
    drawn = [one["params"] for one in search.candidates(space=space, strategy="random", count=300, seed=1)]
    assert drawn == [one["params"] for one in search.candidates(space=space, strategy="random", count=300, seed=1)]
    assert {one["depth"] for one in drawn} == {2, 3, 4, 5}
    assert {one["kind"] for one in drawn} == {"x", "y"}
    small = np.mean([one["alpha"] < 1 for one in drawn])
    assert 0.4 < small < 0.6  # even on the scale of its logarithm
    assert all(1e-3 <= one["alpha"] <= 1e3 and 0 <= one["rate"] <= 1 for one in drawn)


def test_halving_tries_many_with_little_and_few_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    scored = search.scored
    monkeypatch.setattr(search, "scored", lambda m, rows, r: seen.append(len(rows.y)) or scored(m, rows, r))
    space = {"alpha": {"log": [0.01, 1000]}}
    found = search.search(TABLE, **RIDGE, space=space, strategy="halving", count=9)
    assert seen == [20] * 9 + [60] * 3 + [180]
    assert found.report["candidates"][0]["rows"] == ROWS
    direct = train.estimator(TABLE, **RIDGE, params=found.report["best"])
    assert found.metrics == direct.metrics


def test_halving_by_a_parameter() -> None:
    settings = {"estimator": "sklearn.ensemble.GradientBoostingRegressor", "target": "y", "features": ["a", "b"]}
    space = {"max_depth": [1, 2, 3]}
    how = {"strategy": "halving", "count": 4, "factor": 2, "resource": "n_estimators"}
    found = search.search(TABLE, **settings, space=space, **how, most=20)  # type: ignore[arg-type]
    assert found.report["best"]["n_estimators"] == 20
    assert found.model.n_estimators == 20
    with pytest.raises(StepError, match="needs its greatest value"):
        search.search(TABLE, **settings, space=space, **how)  # type: ignore[arg-type]


def test_survivors_go_on_with_more_rows() -> None:
    wanted = search.candidates(space={"alpha": [1e6, 1.0, 1e5]}, rows=60)
    tried = [search.candidate(TABLE, one, **RIDGE) for one in wanted]
    assert tried[0]["rows"] == 60
    assert search.survivors(tried, metric="cv_mae", rows=180) == [{"params": {"alpha": 1.0}, "rows": 180}]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"space": {}}, "the space has no parameter"),
        ({"space": {"alpha": 1}}, "a grid needs a list of values"),
        ({"space": {"alhpa": [1]}}, "has no parameter 'alhpa'.*did you mean 'alpha'"),
        ({"space": {"alpha": {"log": [0, 1]}}, "strategy": "random"}, "low first; above 0 for log"),
        ({"space": {"alpha": {"lgo": [1, 2]}}, "strategy": "random"}, "no key 'lgo'.*did you mean 'log'"),
        ({"space": {"alpha": {"log": ["x", 1]}}, "strategy": "random"}, "give two numbers"),
        ({"space": {"alpha": list(range(101)), "tol": list(range(101))}}, "more than 10,000 candidates"),
        ({"space": SPACE, "metric": "mae"}, "metric is 'mae'.*cv_mae"),
        ({"space": SPACE, "metric": "cv_auc"}, "has no metric 'cv_auc'"),
        ({"space": SPACE, "cv": 0}, "at least 2 folds"),
        ({}, "a search needs candidates"),
        ({"tried": []}, "there is no candidate"),
        ({"tried": [{"wrong": 1}]}, "a tried candidate has no key 'wrong'"),
        ({"space": SPACE, "strategy": "halving", "factor": 1}, "factor is 1"),
    ],
)
def test_what_cannot_be_searched_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(StepError) as caught:
        search.search(TABLE, **{**RIDGE, **given})
    assert re.search(words, str(caught.value).replace("\n", " ")), str(caught.value)
