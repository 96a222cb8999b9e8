"""On the real Uber data our steps give scikit-learn's own figures, digit for digit."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold

from support.sources import ROOT
from treadle_steps import evaluate, features, ingest, search, split, train

UBER = Path(os.environ.get("TREADLE_UBER_CSV", ROOT.parent / "shared/data/uber_nyc_2015_hourly.csv"))
pytestmark = pytest.mark.skipif(not UBER.is_file(), reason="the Uber file is not here: see examples/uber_demand")
COLUMNS = ["temp", "dewp", "spd", "pcp01", "pickup_dt_hour", "pickup_dt_weekday"]
RIDGE: dict[str, Any] = {"estimator": "sklearn.linear_model.Ridge", "target": "pickups", "features": COLUMNS}


@pytest.fixture(scope="module")
def parts() -> split.Split:
    data = ingest.table(UBER, parse_dates=["pickup_dt"], date_format="%m/%d/%Y %H:%M", keep_default_na=False)
    data = features.datetime(data, column="pickup_dt", parts=["hour", "weekday"])
    return split.by_time(data.assign(busy=data["pickups"] > 500), column="pickup_dt")


def test_a_regression(parts: split.Split) -> None:
    made = train.estimator(parts.train, **RIDGE)
    own = Ridge(random_state=0).fit(parts.train[COLUMNS], parts.train["pickups"])
    truth, guess = parts.test["pickups"], own.predict(parts.test[COLUMNS])
    found = evaluate.regression(made.model, parts.test, slices=["borough"], bootstrap=20)
    assert found.metrics["mae"] == metrics.mean_absolute_error(truth, guess)
    assert found.metrics["rmse"] == metrics.root_mean_squared_error(truth, guess)
    assert found.metrics["r2"] == metrics.r2_score(truth, guess)
    assert found.metrics["medae"] == metrics.median_absolute_error(truth, guess)
    assert found.metrics["mape"] == metrics.mean_absolute_percentage_error(truth, guess)
    bronx = (parts.test["borough"] == "Bronx").to_numpy()
    assert found.report["slices"]["borough"]["Bronx"]["mae"] == metrics.mean_absolute_error(truth[bronx], guess[bronx])
    chosen = np.sort(np.random.default_rng(0).choice(len(truth), 2000, replace=False))
    rows = parts.test.iloc[chosen]
    how: dict[str, Any] = {"n_repeats": 3, "random_state": 0, "scoring": "neg_mean_absolute_error"}
    losses = permutation_importance(own, rows[COLUMNS], rows["pickups"], **how).importances_mean
    assert {one["column"]: one["loss"] for one in found.report["importance"]} == dict(zip(COLUMNS, losses, strict=True))


def test_a_classification(parts: split.Split) -> None:
    settings: dict[str, Any] = {"params": {"max_iter": 2000}, "target": "busy", "features": COLUMNS, "cv": 0}
    made = train.estimator(parts.train, estimator="sklearn.linear_model.LogisticRegression", **settings)
    own = LogisticRegression(max_iter=2000, random_state=0).fit(parts.train[COLUMNS], parts.train["busy"])
    chance = own.predict_proba(parts.test[COLUMNS])
    guess, truth = own.predict(parts.test[COLUMNS]), parts.test["busy"]
    found = evaluate.classification(made.model, parts.test, importance=0, bootstrap=0)
    assert found.metrics["auc"] == metrics.roc_auc_score(truth, chance[:, 1])
    assert found.metrics["log_loss"] == metrics.log_loss(truth, chance)
    assert found.metrics["brier"] == metrics.brier_score_loss(truth, chance[:, 1])
    assert found.metrics["f1"] == metrics.f1_score(truth, guess)
    assert found.report["confusion"] == metrics.confusion_matrix(truth, guess).tolist()


def test_a_search(parts: split.Split) -> None:
    space = {"alpha": [0.1, 10.0, 1000.0]}
    found = search.search(parts.train, **RIDGE, space=space)
    folds = KFold(3, shuffle=True, random_state=0)
    own = GridSearchCV(Ridge(random_state=0), space, cv=folds, scoring="neg_mean_absolute_error")
    own.fit(parts.train[COLUMNS], parts.train["pickups"])
    scores = {one["params"]["alpha"]: one["metrics"]["cv_mae"] for one in found.report["candidates"]}
    assert scores == dict(zip(space["alpha"], -own.cv_results_["mean_test_score"], strict=True))
