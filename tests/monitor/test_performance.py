"""With outcomes, late ones too; and without any, as an estimate."""

import numpy as np
import pandas as pd
import pytest

from treadle.authoring import StepError
from treadle_steps import estimate, performance


def answers(seed: int, noise: float = 1.0, hours: int = 48, each: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = hours * each
    at = pd.Timestamp("2026-03-02") + pd.to_timedelta(np.sort(rng.random(rows)) * hours, unit="h")
    guess = rng.normal(size=rows)
    return pd.DataFrame({"at": at, "prediction": guess, "outcome": guess + rng.normal(0, noise, rows)})


def test_a_worse_model_alarms_and_the_same_one_does_not() -> None:
    same = performance.performance(answers(1), answers(2), at="at")
    assert same.metrics["alarm"] == 0.0
    assert same.metrics["coverage"] == 1.0
    worse = performance.performance(answers(1), answers(3, noise=1.6), at="at")
    assert worse.metrics["alarm"] == 1.0
    assert worse.metrics["loss"] > 1.4 * worse.metrics["reference_loss"]


def test_a_little_worse_is_within_the_tolerance() -> None:
    assert performance.performance(answers(1), answers(3, noise=1.05), at="at").metrics["alarm"] == 0.0


def test_false_alarms_under_peeking_at_every_row() -> None:
    rng = np.random.default_rng(5)
    runs, alarms = 200, 0
    for _ in range(runs):
        values = np.minimum(np.abs(rng.normal(size=1500)), 3.3) / 3.3
        alarms += performance.bet(values, 0.7979 / 3.3, np.zeros(1500), "7d").max() >= np.log(1 / 0.05)
    assert alarms <= runs * 0.05 + 3 * np.sqrt(runs * 0.05 * 0.95)  # 19 of 200


def test_only_mature_cohorts_with_outcomes_enough_are_judged() -> None:
    now = answers(2)
    fast = (np.arange(len(now)) % 10 == 0) | (now["at"] < "2026-03-03T12:00")
    now["outcome"] = now["outcome"].where(fast, np.nan)
    now.loc[fast & (now["at"] >= "2026-03-03T12:00"), "outcome"] += 50  # what comes fast is bad: it must not be judged
    found = performance.performance(answers(1), now, at="at", delay="6h")
    assert found.metrics["alarm"] == 0.0
    last = max(cohort["from"] for cohort in found.report["cohorts"])
    assert last <= now["at"].max().timestamp() - 6 * 3600
    assert {cohort["judged"] for cohort in found.report["cohorts"]} == {True, False}


def test_a_report_is_a_reference_when_the_range_is_known() -> None:
    report = {"metrics": {"mae": 0.798}}
    found = performance.performance(report, answers(3, noise=1.6), at="at", range=[0, 6])
    assert found.metrics["alarm"] == 1.0
    with pytest.raises(StepError, match="says nothing of how losses vary"):
        performance.performance(report, answers(3), at="at")
    with pytest.raises(StepError, match="no metric 'mse'"):
        performance.performance(report, answers(3), at="at", loss="squared", range=[0, 6])


def test_no_outcome_yet_is_no_alarm_and_no_figure() -> None:
    found = performance.performance(answers(1), answers(2).assign(outcome=np.nan), at="at")
    assert (found.metrics["alarm"], found.metrics["rows"], found.metrics["coverage"]) == (0.0, 0.0, 0.0)
    assert np.isnan(found.metrics["loss"])


def classes(seed: int, rows: int = 6000, spread: float = 2.0, bend: float = 1.0) -> pd.DataFrame:
    """Scores whose true chance is the score to the power of `bend`: not calibrated unless that is 1."""
    rng = np.random.default_rng(seed)
    score = 1 / (1 + np.exp(-rng.normal(0, spread, rows)))
    return pd.DataFrame({"prediction": score, "outcome": (rng.random(rows) < score**bend).astype(float)})


@pytest.mark.parametrize("bend", [1.0, 2.0])
def test_cbpe_finds_the_accuracy_it_cannot_see(bend: float) -> None:
    now = classes(2, spread=0.8, bend=bend)  # the scores moved to the middle: harder cases
    found = estimate.estimate(classes(1, bend=bend), now.drop(columns="outcome"), method="cbpe").metrics
    real = ((now["prediction"] >= 0.5) == (now["outcome"] == 1)).mean()
    assert found["estimated"] == pytest.approx(real, abs=0.02)
    assert found["alarm"] == 1.0
    same = estimate.estimate(classes(1, bend=bend), classes(3, bend=bend), method="cbpe").metrics
    assert same["alarm"] == 0.0


def test_the_isotonic_fit_never_goes_down_and_keeps_the_mean() -> None:
    rng = np.random.default_rng(1)
    scores = np.round(rng.random(500), 2)
    truth = (rng.random(500) < scores).astype(float)
    xs, ys = estimate.isotonic(scores, truth)
    assert (np.diff(ys) >= 0).all()
    assert np.interp(scores, xs, ys).mean() == pytest.approx(truth.mean())
    from sklearn.isotonic import IsotonicRegression

    assert np.interp(scores, xs, ys) == pytest.approx(IsotonicRegression().fit(scores, truth).predict(scores))


def test_dle_finds_larger_errors_where_the_model_is_worse() -> None:
    def rows(seed: int, low: float, high: float) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        x = rng.uniform(low, high, 4000)
        return pd.DataFrame({"x": x, "prediction": x, "outcome": x + rng.normal(0, 0.2 + x)})

    past, now = rows(1, 0, 2), rows(2, 1, 2)
    found = estimate.estimate(past, now.drop(columns="outcome"), method="dle", features=["x"]).metrics
    assert found["estimated"] == pytest.approx((now["outcome"] - now["prediction"]).abs().mean(), rel=0.1)
    assert found["alarm"] == 1.0
    assert estimate.estimate(past, rows(3, 0, 2), method="dle", features=["x"]).metrics["alarm"] == 0.0


def test_what_cannot_be_estimated_is_refused() -> None:
    with pytest.raises(StepError, match="is no probability"):
        estimate.estimate(answers(1), answers(2), method="cbpe")
    with pytest.raises(StepError, match="current has 50 rows"):
        estimate.estimate(classes(1), classes(2, rows=50), method="cbpe")
    with pytest.raises(StepError, match="features of dle are numbers"):
        estimate.estimate(classes(1).assign(z="a"), classes(2).assign(z="a"), method="dle", features=["z"])
