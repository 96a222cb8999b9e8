"""Shapley values: they add up, a linear model has those that theory says, and without the extra the step says so."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from treadle.authoring import StepError
from treadle.testing import check_step
from treadle_steps import explain, train

RNG = np.random.default_rng(2)
ROWS = 80
TABLE = pd.DataFrame({"a": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS), "zone": np.tile(["x", "y"], ROWS // 2)})
TABLE["y"] = 3 * TABLE["a"] + TABLE["b"] + (TABLE["zone"] == "x")
TABLE["up"] = TABLE["y"] > 0
RIDGE: dict[str, Any] = {"estimator": "sklearn.linear_model.Ridge", "target": "y", "drop": ["up"], "cv": 0}


def model(**changed: Any) -> Any:
    return train.estimator(TABLE, **{**RIDGE, **changed}).model


@pytest.fixture
def shap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package, or a skip. Tables as small as these are done before numba has compiled anything."""
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    pytest.importorskip("shap", reason="the extra is not installed: pip install 'treadle[shap]'")


@pytest.mark.usefixtures("shap")
def test_contributions_of_a_linear_model_are_its_weights_times_the_distance_from_the_mean() -> None:
    ridge = model(features=["a", "b"])
    found = explain.shap(ridge, TABLE, background_rows=ROWS)
    x = TABLE[["a", "b"]]
    change = (ridge.predict(x.assign(a=x["a"] + 1)) - ridge.predict(x))[0]
    expected = change * (x["a"] - x["a"].mean())
    assert np.allclose(found.contributions["a"], expected)
    assert np.allclose(found.contributions["prediction"], ridge.predict(x))
    assert found.contributions["row"].tolist() == list(range(ROWS))
    assert [one["column"] for one in found.report["contributions"]] == ["a", "b"]


@pytest.mark.usefixtures("shap")
def test_texts_and_gaps_are_explained_and_all_adds_up() -> None:
    gaps = TABLE.assign(zone=TABLE["zone"].where(TABLE.index % 7 != 0), b=TABLE["b"].where(TABLE.index % 5 != 0))
    ridge = train.estimator(gaps, **RIDGE, preprocess={"numeric": {"impute": "median"}}).model
    found = explain.shap(ridge, gaps, rows=30, background_rows=20).contributions
    assert len(found) == 30
    assert list(found.columns) == ["row", "a", "b", "zone", "base", "prediction"]
    assert np.allclose(found["prediction"], ridge.predict(gaps.loc[found["row"], ["a", "b", "zone"]]))
    assert found["zone"].abs().max() > 0.1


@pytest.mark.usefixtures("shap")
def test_a_classifier_s_parts_are_those_of_a_chance() -> None:
    logit = model(estimator="sklearn.linear_model.LogisticRegression", target="up", drop=["y"])
    found = explain.shap(logit, TABLE, rows=20).contributions
    chances = logit.predict_proba(TABLE.loc[found["row"], ["a", "b", "zone"]])[:, 1]
    assert np.allclose(found["prediction"], chances)
    other = explain.shap(logit, TABLE, rows=20, of="False").contributions
    assert np.allclose(other["prediction"], 1 - chances)


@pytest.mark.usefixtures("shap")
def test_the_step_keeps_the_contract() -> None:
    check_step("treadle_steps.explain:shap", {"model": model(), "data": TABLE, "background": TABLE}, {"rows": 10})


@pytest.mark.usefixtures("shap")
@pytest.mark.parametrize(
    ("change", "given", "words"),
    [
        (lambda t: t.drop(columns="b"), {}, "feature 'b' is no column"),
        (lambda t: t.assign(a=np.inf), {}, "'a' is inf in 80 of 80 rows"),
        (lambda t: t.head(0), {}, "data has no rows"),
        (lambda t: t, {"of": "yes"}, "names a class, and a .* tells no chances"),
        (lambda t: t, {"rows": 0}, "rows is 0"),
    ],
)
def test_what_cannot_be_explained_is_refused(change: Any, given: dict[str, Any], words: str) -> None:
    with pytest.raises(StepError, match=words):
        explain.shap(model(), change(TABLE), **given)


def test_without_the_extra_the_step_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "shap", None)
    with pytest.raises(StepError, match=r"shap is not installed(?s:.*)pip install 'treadle\[shap\]'"):
        explain.shap(model(), TABLE)
