"""Early stopping, calibration, and boosters of other packages, where they are installed."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB

from treadle.authoring import StepError
from treadle_steps import evaluate, train
from treadle_steps.codecs import SkopsCodec

RNG = np.random.default_rng(4)
ROWS = 400
X = pd.DataFrame({"a": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS)})
TABLE = X.assign(y=np.sin(X["a"]) + X["b"] + RNG.normal(0, 0.3, ROWS), zone=np.tile(["u", "v"], ROWS // 2))
TABLE["up"] = (TABLE["y"] > 0).astype(int)
REGRESSORS = ["xgboost.XGBRegressor", "lightgbm.LGBMRegressor"]


def test_an_estimator_of_scikit_learn_stops_by_itself() -> None:
    name = "sklearn.ensemble.HistGradientBoostingRegressor"
    made = train.estimator(TABLE, estimator=name, target="y", max_iter=500, early_stopping=3, cv=0).model
    booster = made.steps[-1][1]
    assert booster.n_iter_ < 200
    assert booster.validation_fraction == 0.1


@pytest.mark.parametrize("name", REGRESSORS)
@pytest.mark.filterwarnings("ignore")
def test_a_booster_stops_learns_from_all_and_comes_back_from_its_file(name: str, tmp_path: Path) -> None:
    pytest.importorskip(name.partition(".")[0])
    how: dict[str, Any] = {"estimator": name, "target": "y", "n_estimators": 400, "early_stopping": 5, "cv": 0}
    how["params"] = {"verbosity": 0} if name.startswith("xgb") else {"verbosity": -1, "n_jobs": 1}
    made = train.estimator(TABLE.drop(columns="up"), **how).model
    rounds = made.steps[-1][1].n_estimators
    assert 5 < rounds < 200
    again = train.estimator(TABLE.drop(columns="up"), **how).model
    assert (made.predict(TABLE) == again.predict(TABLE)).all()
    assert evaluate.regression(made, TABLE, importance=0).metrics["mae"] < 0.4
    codec = SkopsCodec()
    assert codec.accepts(made)
    codec.write(made, tmp_path / "m.skops")
    codec.write(again, tmp_path / "n.skops")
    assert (tmp_path / "m.skops").read_bytes() == (tmp_path / "n.skops").read_bytes()
    assert (codec.read(tmp_path / "m.skops").predict(TABLE) == made.predict(TABLE)).all()


def test_calibration_is_that_of_scikit_learn() -> None:
    how: dict[str, Any] = {"target": "up", "features": ["a", "b"], "cv": 0, "seed": 5}
    made = train.estimator(TABLE, estimator="sklearn.naive_bayes.GaussianNB", calibrate="isotonic", **how).model
    folds = StratifiedKFold(3, shuffle=True, random_state=5)
    own = CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=folds).fit(X, TABLE["up"])
    assert (made.predict_proba(X) == own.predict_proba(X)).all()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"estimator": "sklearn.linear_model.Ridge", "early_stopping": 3}, "Ridge has no rounds"),
        ({"estimator": "sklearn.linear_model.Ridge", "calibrate": "sigmoid"}, "no chances to calibrate"),
        (
            {"estimator": "sklearn.ensemble.GradientBoostingRegressor", "early_stopping": 3, "validation_share": 1.5},
            "a share below 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(StepError, match=words):
        train.estimator(TABLE, target="y", **given)
