"""train, evaluate, drift and model cards: the same figures as scikit-learn's own functions."""

import numpy as np
import pytest
from sklearn import metrics

from treadle.authoring import StepError
from treadle_steps import deploy, evaluate, monitor, psi, simulate, split, train

PARTS = split.random(simulate.rides(days=4, rides_per_day=300), test_share=0.3)
SETTINGS = {"target": "multiplier", "drop": ["ride_id", "rider_id", "ts", "accepted"]}


@pytest.fixture(scope="module")
def ridge() -> train.Trained:
    return train.estimator(PARTS.train, estimator="sklearn.linear_model.Ridge", alpha=0.5, **SETTINGS)  # type: ignore[arg-type]


def test_a_further_parameter_goes_to_the_estimator_and_training_is_reproducible(ridge: train.Trained) -> None:
    assert ridge.model.steps[-1][1].alpha == 0.5
    again = train.estimator(PARTS.train, estimator="sklearn.linear_model.Ridge", alpha=0.5, **SETTINGS)  # type: ignore[arg-type]
    assert again.metrics == ridge.metrics
    assert set(ridge.metrics) == {"cv_mae", "cv_rmse", "cv_r2"}


def test_regression_metrics_are_those_of_scikit_learn(ridge: train.Trained) -> None:
    found = evaluate.regression(ridge.model, PARTS.test, slices=["zone"])
    truth, guess = PARTS.test["multiplier"], ridge.model.predict(PARTS.test)
    assert found.metrics["mae"] == metrics.mean_absolute_error(truth, guess)
    assert found.metrics["rmse"] == metrics.root_mean_squared_error(truth, guess)
    assert found.metrics["r2"] == metrics.r2_score(truth, guess)
    zone = PARTS.test["zone"] == "Z1"
    assert found.report["slices"]["zone"]["Z1"]["mae"] == metrics.mean_absolute_error(truth[zone], guess[zone])
    losses = {row["column"]: row["loss"] for row in found.report["importance"]}
    assert losses["demand"] > losses["temperature"]


def test_classification_metrics_are_those_of_scikit_learn() -> None:
    made = train.estimator(
        PARTS.train,
        estimator="sklearn.linear_model.LogisticRegression",
        target="accepted",
        drop=["ride_id", "rider_id", "ts"],
        params={"max_iter": 2000},
        preprocess={"numeric": {"scale": "standard"}},
    )
    found = evaluate.classification(made.model, PARTS.test).metrics
    truth, chance = PARTS.test["accepted"], made.model.predict_proba(PARTS.test)
    assert found["auc"] == metrics.roc_auc_score(truth, chance[:, 1])
    assert found["log_loss"] == metrics.log_loss(truth, chance)
    assert found["f1"] == metrics.f1_score(truth, made.model.predict(PARTS.test))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": "multiplyer"}, "did you mean 'multiplier'"),
        ({"estimator": "sklearn.linear_model.Rigde"}, "did you mean 'Ridge'"),
        ({"params": {"alhpa": 1}}, "did you mean 'alpha'"),
        ({"drop": []}, "'ts' is a date"),
        ({"data": PARTS.train.head(0)}, "has no rows"),
        ({"data": PARTS.train.assign(rain=np.inf)}, "'rain' is inf"),
        ({"data": PARTS.train.assign(multiplier=np.nan)}, "'multiplier' is missing"),
        ({"estimator": "sklearn.linear_model.LogisticRegression", "target": "one"}, "one class"),
    ],
)
def test_bad_input_is_refused_in_words(change: dict[str, object], words: str) -> None:
    arguments: dict[str, object] = {
        "data": PARTS.train.assign(one=1),
        "estimator": "sklearn.linear_model.Ridge",
        **SETTINGS,
    }
    arguments |= change
    with pytest.raises(StepError, match=words):
        train.estimator(**arguments)  # type: ignore[arg-type]


REFERENCE = [1000] * 10


@pytest.mark.parametrize(
    ("current", "index", "chance"),
    [
        ([40, 45, 45, 50, 50, 50, 50, 55, 55, 60], 0.011881, 0.99999998),
        ([10, 20, 30, 40, 50, 50, 60, 70, 80, 90], 0.293000, 3.8523e-06),
    ],
)
def test_psi_against_published_figures(current: list[int], index: float, chance: float) -> None:
    assert psi.index(REFERENCE, current) == pytest.approx(index, abs=2e-6)
    assert psi.p_value(REFERENCE, current, 0.1) == pytest.approx(chance, rel=1e-4)


def test_drift_finds_the_column_that_moved_and_no_other() -> None:
    before = simulate.rides(days=10, seed=1)
    after = simulate.rides(days=10, seed=2).assign(distance=lambda t: t["distance"] * 2)
    found = monitor.drift(before, after, columns=["distance", "demand", "zone", "accepted"])
    assert [name for name, column in found.report["columns"].items() if column["drifted"]] == ["distance"]
    with pytest.raises(StepError, match="fewer than 100"):
        monitor.drift(before, after.head(50))


def test_a_card_says_what_a_server_needs(ridge: train.Trained) -> None:
    report = evaluate.regression(ridge.model, PARTS.test, importance=0, bootstrap=0)
    card = deploy.model(ridge.model, report.report, PARTS.test, name="surge", rollout={"metric": "accepted"})
    assert card["target"] == "multiplier"
    assert {"name": "demand", "dtype": "int"} in card["inputs"]
    assert card["metrics"] == report.metrics
    with pytest.raises(StepError, match="did you mean 'metric'"):
        deploy.model(ridge.model, name="surge", rollout={"metrc": "x"})
