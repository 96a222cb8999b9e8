"""What training refuses, and what the model remembers."""

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn import metrics
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from treadle.authoring import StepError
from treadle_steps import train

RNG = np.random.default_rng(7)
ROWS = 120
TABLE = pd.DataFrame(
    {
        "a": RNG.normal(size=ROWS),
        "b": RNG.normal(size=ROWS),
        "zone": np.tile(["x", "y", "z"], ROWS // 3),
        "w": np.tile([1.0, 3.0], ROWS // 2),
    }
)
TABLE["y"] = 2 * TABLE["a"] - TABLE["b"] + (TABLE["zone"] == "x")
TABLE["label"] = np.where(TABLE["y"] > 0, "up", "down")
RIDGE = "sklearn.linear_model.Ridge"
LOGISTIC = "sklearn.linear_model.LogisticRegression"


def test_cross_validation_is_that_of_scikit_learn() -> None:
    found = train.estimator(TABLE, estimator=RIDGE, target="y", features=["a", "b"], cv=4, seed=3).metrics
    errors = []
    for fit, judge in KFold(4, shuffle=True, random_state=3).split(TABLE):
        model = clone(Ridge()).fit(TABLE.loc[fit, ["a", "b"]], TABLE.loc[fit, "y"])
        errors.append(metrics.mean_absolute_error(TABLE.loc[judge, "y"], model.predict(TABLE.loc[judge, ["a", "b"]])))
    assert found["cv_mae"] == np.mean(errors)


def test_another_seed_gives_other_folds_and_no_folds_give_no_metrics() -> None:
    one, two, none = (
        train.estimator(TABLE, estimator=RIDGE, target="y", features=["a"], **how).metrics  # type: ignore[arg-type]
        for how in ({"seed": 1}, {"seed": 2}, {"cv": 0})
    )
    assert one != two
    assert none == {}


def test_the_model_remembers_target_and_columns_through_its_file() -> None:
    made = train.estimator(TABLE, estimator=RIDGE, target="y", drop=["label", "w"], cv=0).model
    read = skops.io.loads(skops.io.dumps(made), trusted=[])
    assert read.target_name_ == "y"
    assert read.feature_kinds_ == {"a": "float", "b": "float", "zone": "string"}
    assert (read.predict(TABLE) == made.predict(TABLE)).all()
    with pytest.raises(ValueError, match="b"):
        read.predict(TABLE.drop(columns="b"))


def test_weights_reach_the_estimator_behind_the_preparation() -> None:
    made = train.estimator(TABLE, estimator=RIDGE, target="y", features=["a", "b"], weight="w", cv=0).model
    direct = Ridge().fit(TABLE[["a", "b"]], TABLE["y"], sample_weight=TABLE["w"])
    assert (made.coef_ == direct.coef_).all()
    prepared = train.estimator(TABLE, estimator=RIDGE, target="y", features=["a", "zone"], weight="w", cv=0).model
    unweighted = train.estimator(TABLE, estimator=RIDGE, target="y", features=["a", "zone"], cv=0).model
    assert not np.array_equal(prepared.predict(TABLE), unweighted.predict(TABLE))


def test_in_order_of_time_no_fold_is_tested_on_its_past() -> None:
    growing = pd.DataFrame({"day": np.arange(100)[::-1], "x": np.arange(100)[::-1] * 1.0})
    growing["y"] = growing["x"] ** 2
    shuffled = train.estimator(growing, estimator=RIDGE, target="y", features=["x"]).metrics
    ordered = train.estimator(growing, estimator=RIDGE, target="y", features=["x"], cv_time="day").metrics
    assert ordered["cv_mae"] > 1.5 * shuffled["cv_mae"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": "label"}, "'label' holds '(up|down)', and Ridge predicts numbers"),
        ({"features": ["a", "y"]}, "the target 'y' is among the features"),
        ({"features": ["a", "a"]}, "'a' is there more than once"),
        (
            {"data": TABLE.assign(a=TABLE["a"].where(TABLE["a"] > 0))},
            r"missing values in a \(\d+ rows\).*impute: median",
        ),
        ({"weight": "zone"}, "'zone' holds no numbers"),
        ({"data": TABLE.assign(w=-1.0), "weight": "w"}, "'w' is negative"),
        ({"estimator": "sklearn.neighbors.KNeighborsRegressor", "weight": "w"}, "KNeighborsRegressor takes no weights"),
        (
            {"estimator": LOGISTIC, "target": "rare", "data": TABLE.assign(rare=["q"] + ["r"] * (ROWS - 1))},
            "class 'q' in 1",
        ),
        ({"estimator": "sklearn.linear_models.Ridge"}, "no module called 'sklearn.linear_models'"),
        ({"estimator": "nowhere_at_all.Ridge"}, "no module called 'nowhere_at_all' is installed"),
        ({"estimator": "Ridge"}, "has no module"),
        ({"cv": 1}, "at least 2 folds"),
        ({"preprocess": {"numeric": {"scale": "standart"}}}, "did you mean 'standard'"),
        ({"preprocess": {"numerical": {}}}, "did you mean 'numeric'"),
        ({"data": [1, 2]}, "is a list, not a table"),
    ],
)
def test_bad_input_is_refused_in_words(change: dict[str, object], words: str) -> None:
    arguments: dict[str, object] = {"data": TABLE, "estimator": RIDGE, "target": "y", "features": ["a", "b"], **change}
    with pytest.raises(StepError) as refused:
        train.estimator(**arguments)  # type: ignore[arg-type]
    assert refused.match("(?s)" + words)


def test_the_table_of_the_caller_is_left_as_it_was() -> None:
    before = TABLE.copy()
    train.estimator(TABLE, estimator=RIDGE, target="y", drop=["label"])
    pd.testing.assert_frame_equal(TABLE, before)
