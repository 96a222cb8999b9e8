"""The card of a model: what a server must know, and a rollout without a slip of the pen."""

import json
from importlib.metadata import version

import pandas as pd
import pytest

from treadle.authoring import StepError
from treadle_steps import deploy, train

TABLE = pd.DataFrame({"a": [float(n) for n in range(40)], "zone": ["x", "y"] * 20, "y": [n * 2.0 for n in range(40)]})
MODEL = train.estimator(TABLE, estimator="sklearn.linear_model.Ridge", target="y", cv=0).model


def test_a_card_is_plain_data_and_says_what_loads_the_model() -> None:
    card = deploy.model(MODEL, {"metrics": {"mae": 1.0}}, TABLE, name="demand", rollout={"metric": "sold"})
    assert json.loads(json.dumps(card)) == card
    assert card["estimator"] == "sklearn.linear_model._ridge.Ridge"
    assert card["requirements"]["scikit-learn"] == version("scikit-learn")
    assert card["inputs"] == [{"name": "a", "dtype": "float"}, {"name": "zone", "dtype": "string"}]
    assert sum(card["profile"]["a"]["counts"]) == len(TABLE)
    assert card["profile"]["zone"]["values"] == ["x", "y"]


def test_without_a_reference_the_model_itself_says_its_fields() -> None:
    card = deploy.model(MODEL, name="demand")
    assert card["inputs"] == [{"name": "a", "dtype": "float"}, {"name": "zone", "dtype": "string"}]
    assert (card["profile"], card["rollout"], card["classes"]) == ({}, {}, None)


FULL = {
    "unit": {"switchback": {"by": "zone", "window": "30m"}},
    "shadow": {"share": 1.0, "for": "1h"},
    "steps": [{"enrol": "2%", "hold": "30m", "check": ["guardrails"]}, {"enrol": "100%", "until": "decided"}],
    "success": {"metric": "sold", "goal": "non_inferior", "margin": 0.005, "alpha": 0.05},
    "guardrails": [{"metric": "error_rate", "max": 0.01, "min_requests": 500, "consecutive": 2}],
    "limits": {"min_duration": "1d"},
    "on_inconclusive": "keep_champion",
}


def test_a_full_rollout_passes_as_written() -> None:
    assert deploy.model(MODEL, name="demand", rollout=FULL)["rollout"] == FULL


@pytest.mark.parametrize(
    ("rollout", "words"),
    [
        ({"metric": "sold", "guardrials": []}, "did you mean 'guardrails'"),
        ({"metric": "sold", "limits": {"min_unit": 5}}, r"'limits' has no key 'min_unit'.*'min_units'"),
        ({"metric": "sold", "guardrails": [{"metric": "e", "maxx": 1}]}, "an item of 'guardrails' has no key 'maxx'"),
        ({"metric": "sold", "steps": {"enrol": "2%"}}, "'steps' takes a list"),
        ({"metric": "sold", "goal": "superier"}, "did you mean 'superior'"),
        ({"metric": "sold", "alpha": 5}, "'alpha' is at most 0.5, not '5'"),
        ({"metric": "sold", "unit": {"switchbak": {}}}, "did you mean 'switchback'"),
        ({"unit": "rider"}, "names no metric"),
        ("fast", "rollout takes a map"),
        ({"metric": "sold", "goal": "non_inferior"}, "needs a margin"),
        ({"metric": "sold", "guardrails": [{"metric": "e"}]}, "the guardrail e needs max, min, max_ratio or harm"),
        ({"metric": "sold", "steps": [{"enrol": "10%"}, {"enrol": "5%"}]}, "the shares of steps must grow"),
        ({"metric": "sold", "limits": {"max_duration": "1h"}}, "a least value is above its greatest"),
        ({"metric": "sold", "range": [1, 1]}, "write the least and the greatest outcome"),
    ],
)
def test_a_slip_in_the_rollout_is_named(rollout: dict[str, object], words: str) -> None:
    with pytest.raises(StepError) as refused:
        deploy.model(MODEL, name="demand", rollout=rollout)
    assert refused.match("(?s)" + words)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 129])
def test_a_name_never_becomes_a_path_outside_its_folder(name: str) -> None:
    with pytest.raises(StepError, match="the model's name"):
        deploy.model(MODEL, name=name)


def test_what_is_no_model_and_a_reference_without_a_feature_are_refused() -> None:
    with pytest.raises(StepError, match="predicts nothing"):
        deploy.model(TABLE, name="demand")
    with pytest.raises(StepError, match="'zone' is no column of the reference"):
        deploy.model(MODEL, None, TABLE.drop(columns="zone"), name="demand")
