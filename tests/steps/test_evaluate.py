"""Figures equal to scikit-learn's, digit for digit, and refusals in words."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier

from treadle.authoring import StepError
from treadle_steps import evaluate

RNG = np.random.default_rng(11)
ROWS = 300
DATA = pd.DataFrame({"a": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS), "zone": np.tile(["x", "y", "z"], 100)})
DATA["y"] = 3 * DATA["a"] + RNG.normal(size=ROWS) + 10
DATA["label"] = np.where(DATA["y"] > 12, "high", np.where(DATA["y"] > 9, "middle", "low"))
DATA["big"] = DATA["y"] > 10
REGRESSOR = LinearRegression().fit(DATA[["a", "b"]], DATA["y"])
THREE = LogisticRegression().fit(DATA[["a", "b"]], DATA["label"])
TWO = LogisticRegression().fit(DATA[["a", "b"]], DATA["big"])


def test_every_regression_metric_is_that_of_scikit_learn() -> None:
    found = evaluate.regression(REGRESSOR, DATA, target="y", bootstrap=0).metrics
    truth, guess = DATA["y"], REGRESSOR.predict(DATA[["a", "b"]])
    assert found == {
        "mae": metrics.mean_absolute_error(truth, guess),
        "rmse": metrics.root_mean_squared_error(truth, guess),
        "r2": metrics.r2_score(truth, guess),
        "mape": metrics.mean_absolute_percentage_error(truth, guess),
        "medae": metrics.median_absolute_error(truth, guess),
        "max_error": metrics.max_error(truth, guess),
        "bias": np.mean(guess - truth.to_numpy()),
        "naive_mae": metrics.mean_absolute_error(truth, np.full(ROWS, truth.median())),
        "rows": ROWS,
    }


def test_the_baselines_are_those_of_a_constant() -> None:
    baseline = evaluate.regression(REGRESSOR, DATA, target="y").report["baseline"]
    assert baseline["mean"]["r2"] == 0.0
    assert baseline["median"]["mae"] <= baseline["mean"]["mae"]


def test_metrics_of_three_classes_are_those_of_scikit_learn() -> None:
    made = evaluate.classification(THREE, DATA, target="label")
    truth, x = DATA["label"], DATA[["a", "b"]]
    guess, chance = THREE.predict(x), THREE.predict_proba(x)
    hits = pd.get_dummies(truth)[list(THREE.classes_)].to_numpy(dtype=float)
    assert made.metrics["auc"] == metrics.roc_auc_score(truth, chance, multi_class="ovr")
    assert made.metrics["f1"] == metrics.f1_score(truth, guess, average="macro")
    assert made.metrics["balanced_accuracy"] == metrics.balanced_accuracy_score(truth, guess)
    assert made.metrics["brier"] == pytest.approx(((chance - hits) ** 2).sum(axis=1).mean(), rel=1e-12)
    assert made.report["confusion"] == metrics.confusion_matrix(truth, guess).tolist()
    assert sum(part["rows"] for part in made.report["calibration"]) == ROWS


def test_metrics_of_two_classes_are_those_of_scikit_learn() -> None:
    found = evaluate.classification(TWO, DATA, target="big").metrics
    truth, x = DATA["big"], DATA[["a", "b"]]
    assert found["brier"] == metrics.brier_score_loss(truth, TWO.predict_proba(x)[:, 1])
    assert found["precision"] == metrics.precision_score(truth, TWO.predict(x))
    assert found["recall"] == metrics.recall_score(truth, TWO.predict(x))


def test_without_chances_or_with_one_class_what_needs_them_is_left_out() -> None:
    plain = RidgeClassifier().fit(DATA[["a", "b"]], DATA["big"])
    assert not {"auc", "brier", "log_loss"} & set(evaluate.classification(plain, DATA, target="big").metrics)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # scikit-learn notes that one class is not there
        found = evaluate.classification(TWO, DATA[DATA["big"]], target="big", importance=0).metrics
    assert "auc" not in found
    assert found["recall"] == found["accuracy"]


def test_slices_are_complete_and_small_ones_are_named_not_judged() -> None:
    data = DATA.assign(zone=["rare"] * 5 + [None] * 40 + ["x"] * (ROWS - 45))
    report = evaluate.regression(REGRESSOR, data, target="y", slices=["zone", "b"], importance=0).report
    assert report["small_slices"] == {"zone": {"rare": 5}}
    assert set(report["slices"]["zone"]) == {"missing", "x"}
    guess = REGRESSOR.predict(data[["a", "b"]])
    gone = data["zone"].isna().to_numpy()
    assert report["slices"]["zone"]["missing"]["mae"] == metrics.mean_absolute_error(data["y"][gone], guess[gone])
    assert [part["rows"] for part in report["slices"]["b"].values()] == [75.0] * 4


def test_importance_is_reproducible_and_finds_the_column_that_matters() -> None:
    one, two = (evaluate.regression(REGRESSOR, DATA, target="y").report["importance"] for _ in range(2))
    assert one == two
    assert [row["column"] for row in one] == ["a", "b"]


class Constant:
    """A model that says the same thing whatever it is asked."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def predict(self, x: pd.DataFrame) -> object:
        return [self.answer] * len(x)


@pytest.mark.parametrize(
    ("model", "change", "words"),
    [
        (REGRESSOR, {"target": None}, "does not say what it predicts"),
        (REGRESSOR, {"target": "yy"}, "did you mean 'y'"),
        (REGRESSOR, {"target": "label"}, "holds '.*', no numbers"),
        (REGRESSOR, {"data": DATA.rename(columns={"b": "bb"})}, "'b' is no column.*did you mean 'bb'"),
        (REGRESSOR, {"data": DATA.assign(a=np.inf)}, "'a' is inf in 300"),
        (REGRESSOR, {"data": DATA.assign(a=np.nan)}, "cannot predict.*missing values in: a"),
        (REGRESSOR, {"data": DATA.head(1)}, "one row is too few"),
        (REGRESSOR, {"slices": ["zon"]}, "did you mean 'zone'"),
        (REGRESSOR, {"data": DATA.assign(at=pd.Timestamp("2026-01-01")), "slices": ["at"]}, "'at' is a date"),
        (THREE, {}, "predicts '.*', no number"),
        (Constant(float("nan")), {}, "300 predictions are no finite number"),
        ({"a": 1}, {}, "is a dict, which predicts nothing"),
    ],
)
def test_regression_refuses_in_words(model: object, change: dict[str, object], words: str) -> None:
    arguments: dict[str, object] = {"data": DATA, "target": "y", **change}
    with pytest.raises(StepError) as refused:
        evaluate.regression(model, **arguments)  # type: ignore[arg-type]
    assert refused.match("(?s)" + words)


def test_classification_refuses_a_regressor_and_a_class_it_never_saw() -> None:
    with pytest.raises(StepError, match="knows no classes"):
        evaluate.classification(REGRESSOR, DATA, target="y")
    with pytest.raises(StepError, match="'odd', which the model has never seen"):
        evaluate.classification(THREE, DATA.assign(label="odd"), target="label")
