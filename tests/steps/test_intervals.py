"""Bootstrap intervals, the champion beside the model, rankings and forecasts: against scikit-learn and by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.linear_model import LinearRegression, LogisticRegression

from treadle.authoring import StepError
from treadle_steps import evaluate, scores
from treadle_steps.forecast import forecast
from treadle_steps.ranking import ranking

RNG = np.random.default_rng(5)
ROWS = 400
DATA = pd.DataFrame({"a": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS), "query": np.repeat(np.arange(50), 8)})
DATA["y"] = 3 * DATA["a"] + RNG.normal(size=ROWS) + 10
DATA["label"] = np.where(DATA["y"] > 12, "high", np.where(DATA["y"] > 9, "middle", "low"))
DATA["big"] = DATA["y"] > 10
DATA["grade"] = np.clip(np.rint(DATA["y"] - 9), 0, 3)
GOOD = LinearRegression().fit(DATA[["a", "b"]], DATA["y"])
POOR = LinearRegression().fit(DATA[["b"]], DATA["y"])


def drawn() -> np.ndarray:
    return np.random.default_rng(1).integers(0, ROWS, ROWS)


def test_figures_of_a_resample_are_those_of_scikit_learn() -> None:
    truth, guess, rows = DATA["y"].to_numpy(), GOOD.predict(DATA[["a", "b"]]), drawn()
    counts = np.bincount(rows, minlength=ROWS).astype(float)
    found = {name: figure(counts) for name, figure in scores.error_figures(truth, guess).items()}
    direct = scores.errors(truth[rows], guess[rows])
    assert found == pytest.approx({name: direct[name] for name in found}, rel=1e-10)  # type: ignore[literal-required]


@pytest.mark.parametrize("target", ["label", "big"])
def test_figures_of_classes_are_those_of_scikit_learn(target: str) -> None:
    model = LogisticRegression().fit(DATA[["a"]].round(1), DATA[target])  # rounded: chances with ties
    truth, rows = DATA[target].to_numpy(), drawn()
    guess, chance = model.predict(DATA[["a"]].round(1)), model.predict_proba(DATA[["a"]].round(1))
    counts = np.bincount(rows, minlength=ROWS).astype(float)
    figures = scores.score_figures(truth, guess, chance, model.classes_)
    direct = scores.scores(truth[rows], guess[rows], chance[rows], model.classes_)
    for name, figure in figures.items():
        assert figure(counts) == pytest.approx(direct[name], rel=1e-9), name  # type: ignore[literal-required]


def test_intervals_hold_the_figure_and_repeat_with_the_seed() -> None:
    one, same, other = (evaluate.regression(GOOD, DATA, target="y", seed=seed) for seed in (1, 1, 2))
    assert one.metrics["mae_low"] < one.metrics["mae"] < one.metrics["mae_high"]
    assert one == same
    assert one.metrics["mae_low"] != other.metrics["mae_low"]
    assert one.report["intervals"]["mae"] == [one.metrics["mae_low"], one.metrics["mae_high"]]
    assert "mae_low" not in evaluate.regression(GOOD, DATA, target="y", bootstrap=0).metrics


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    """The bootstrap of the bias must agree with the normal interval of a mean."""
    found = evaluate.regression(GOOD, DATA, target="y", bootstrap=2000).metrics
    error = GOOD.predict(DATA[["a", "b"]]) - DATA["y"]
    half = 1.96 * error.std() / np.sqrt(ROWS)
    assert found["bias_high"] - found["bias_low"] == pytest.approx(2 * half, rel=0.1)


def test_too_few_resamples_are_refused() -> None:
    with pytest.raises(StepError, match="at least 20 resamples"):
        evaluate.regression(GOOD, DATA, target="y", bootstrap=3)


def test_the_champion_is_judged_on_the_same_rows() -> None:
    found = evaluate.regression(GOOD, DATA, POOR, target="y")
    assert found.metrics["champion_mae"] == metrics.mean_absolute_error(DATA["y"], POOR.predict(DATA[["b"]]))
    low, high = found.report["champion"]["difference"]["mae"]
    assert low < high < 0  # the model is better, and surely so
    itself = evaluate.regression(GOOD, DATA, GOOD, target="y")
    assert itself.report["champion"]["difference"]["mae"] == [0.0, 0.0]


def test_a_champion_that_knows_fewer_classes_is_judged_by_what_it_says() -> None:
    model = LogisticRegression().fit(DATA[["a"]], DATA["label"])
    old = DATA[DATA["label"] != "high"]
    champion = LogisticRegression().fit(old[["a"]], old["label"])
    found = evaluate.classification(model, DATA, champion, target="label").metrics
    assert found["champion_accuracy"] == metrics.accuracy_score(DATA["label"], champion.predict(DATA[["a"]]))
    assert "champion_log_loss" not in found
    with pytest.raises(StepError, match="the champion's feature 'b' is no column"):
        evaluate.regression(LinearRegression().fit(DATA[["a"]], DATA["y"]), DATA[["a", "y"]], POOR, target="y")


def test_ranking_is_that_of_scikit_learn_with_ties_too() -> None:
    model = LinearRegression().fit(DATA[["a"]].round(1), DATA["grade"])
    frame = DATA.assign(a=DATA["a"].round(0))
    found = ranking(model, frame, group="query", target="grade", k=5).metrics
    guess = model.predict(frame[["a"]])
    each = []
    for query in range(50):
        rows = (frame["query"] == query).to_numpy()
        if frame["grade"][rows].any():
            each.append(metrics.ndcg_score([frame["grade"][rows]], [guess[rows]], k=5))
    assert found["ndcg"] == pytest.approx(np.mean(each), rel=1e-12)
    assert found["groups"] == len(each)
    assert found["groups"] + found["groups_without_relevant"] == 50


def test_ranking_by_hand() -> None:
    frame = pd.DataFrame({"q": ["x"] * 4 + ["y"] * 2, "s": [4.0, 3, 2, 1, 1, 2], "r": [0, 1, 0, 1, 1, 0]})

    class Given:
        feature_names_in_ = ("s",)

        def predict(self, x: pd.DataFrame) -> np.ndarray:
            return x["s"].to_numpy()

    found = ranking(Given(), frame, group="q", target="r", k=3, bootstrap=0).metrics
    assert found["mrr"] == (1 / 2 + 1 / 2) / 2
    assert found["recall"] == (1 / 2 + 1) / 2
    assert found["map"] == ((1 / 2) / 2 + 1 / 2) / 2
    with pytest.raises(StepError, match="no row is relevant"):
        ranking(Given(), frame.assign(r=0), group="q", target="r")


def test_forecast_by_hand_and_by_horizon() -> None:
    frame = pd.DataFrame({"t": range(6), "y": [1.0, 2, 3, 4, 5, 6], "p": [1.0, 2, 3, 4, 4, 8], "h": [1, 2] * 3})
    frame["lo"], frame["hi"] = frame["p"] - 1, frame["p"] + 1
    made = forecast(frame, time="t", target="y", prediction="p", season=2, interval=["lo", "hi"], horizon="h")
    assert made.metrics["mae"] == 0.5
    assert made.metrics["naive_mae"] == 2.0
    assert made.metrics["mase"] == 0.25
    assert made.metrics["coverage"] == 5 / 6
    assert made.metrics["smape"] == pytest.approx((2 / 9 + 4 / 14) / 6)
    assert made.report["curves"]["mae by h"] == [[1.0, 1 / 3], [2.0, 2 / 3]]
    with pytest.raises(StepError, match="no series is longer than one season of 9 rows"):
        forecast(frame, time="t", target="y", prediction="p", season=9)
    with pytest.raises(StepError, match="the lower limit first"):
        forecast(frame, time="t", target="y", prediction="p", interval=["hi", "lo"])


def test_seasons_do_not_cross_series() -> None:
    frame = pd.DataFrame({"t": [0, 1, 0, 1], "s": ["a", "a", "b", "b"], "y": [0.0, 1, 100, 101], "p": 0.0})
    assert forecast(frame, time="t", target="y", prediction="p", by=["s"]).metrics["naive_mae"] == 1.0
