"""Bins frozen from the reference, the least-effect test, and what is never judged."""

import json

import numpy as np
import pandas as pd
import pytest

from treadle.authoring import StepError
from treadle_steps import deploy, monitor, psi, train


def draw(seed: int, rows: int = 2000, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": rng.normal(shift, 1, rows),
            "still": rng.normal(size=rows),
            "zone": rng.choice(["a", "b", "c"], rows),
            "flag": rng.random(rows) < 0.3,
            "at": pd.date_range("2026-01-01", periods=rows, freq="min"),
            "ride": [f"r{seed}-{number}" for number in range(rows)],
        }
    )


def test_dates_and_text_that_never_repeats_are_left_out_and_named() -> None:
    found = monitor.drift(draw(1), draw(2)).report
    assert set(found["columns"]) == {"x", "still", "zone", "flag"}
    assert found["skipped"] == {"at": "a date always moves", "ride": "text that never repeats"}


def test_nothing_drifts_when_nothing_changed_and_a_shift_is_found() -> None:
    same = monitor.drift(draw(1), draw(2)).metrics
    assert (same["drifted"], same["share_drifted"], same["rows"]) == (0, 0, 2000)
    moved = monitor.drift(draw(1), draw(2, shift=1.0))
    assert moved.metrics["share_drifted"] == 0.25
    column = moved.report["columns"]["x"]
    assert column["drifted"]
    assert column["psi"] == moved.metrics["psi_max"]
    assert column["moved"][0]["bin"].endswith("and above")


def test_a_shift_below_delta_is_no_drift() -> None:
    moved = draw(2, rows=20_000, shift=0.15)  # a PSI of about 0.02: far from chance at this size, and harmless
    found = monitor.drift(draw(1, rows=20_000), moved, columns=["x"])
    assert 0.01 < found.metrics["psi_max"] < 0.05
    assert found.metrics["drifted"] == 0
    assert monitor.drift(draw(1, rows=20_000), moved, columns=["x"], deltas={"x": 0.005}).metrics["drifted"] == 1


def test_false_alarms_of_small_windows_stay_below_the_rate() -> None:
    reference = draw(1, rows=10_000)
    alarms = [monitor.drift(reference, draw(seed, rows=100)).metrics["drifted"] for seed in range(100, 160)]
    assert sum(alarms) <= 2


def test_a_bin_that_is_empty_on_both_sides_changes_nothing() -> None:
    assert psi.index([5000, 5000, 0, 0], [50, 50, 0, 0]) == psi.index([5000, 5000], [50, 50]) == 0.0
    assert psi.p_value([100, 50, 0], [50, 90, 0], 0.1) == psi.p_value([100, 50], [50, 90], 0.1)
    assert psi.p_value([100, 0], [90, 0], 0.1) == 1.0


def test_missing_and_unseen_values_have_bins_of_their_own() -> None:
    now = draw(2).assign(zone=lambda t: t["zone"].replace("a", "new"), x=lambda t: t["x"].where(t["x"] > 0))
    found = monitor.drift(draw(1), now).report["columns"]
    assert found["zone"]["unseen"] == pytest.approx(1 / 3, abs=0.05)
    assert found["zone"]["drifted"]
    assert found["x"]["missing"] == {"reference": 0.0, "current": pytest.approx(0.5, abs=0.05)}


def test_counts_of_two_windows_add_up() -> None:
    now = draw(2)
    for name in ("x", "zone", "flag", "at"):
        bins = psi.freeze(draw(1)[name])
        parts = np.add(psi.count(bins, now[name].head(700)), psi.count(bins, now[name].tail(1300)))
        assert parts.tolist() == psi.count(bins, now[name])
        assert len(psi.labels(bins)) == len(bins["counts"])


def test_numbers_that_pile_up_and_infinite_ones_keep_their_bins() -> None:
    heavy = pd.Series([0.0] * 900 + list(range(1, 100)) + [np.inf], name="rain")
    bins = psi.freeze(heavy)
    assert sum(bins["counts"]) == 1000
    assert json.loads(json.dumps(bins)) == bins
    assert psi.index(bins["counts"], psi.count(bins, heavy)) == 0.0


def test_a_date_column_that_is_named_is_judged_in_any_unit() -> None:
    before = draw(1)
    now = before.assign(at=before["at"].astype("datetime64[s]"))
    assert monitor.drift(before, now, columns=["at"]).metrics["psi_max"] == 0.0


def test_the_card_of_a_model_is_a_reference() -> None:
    before = draw(1).assign(y=lambda t: t["x"])
    made = train.estimator(before, estimator="sklearn.linear_model.Ridge", target="y", features=["x", "zone"], cv=0)
    card = deploy.model(made.model, None, before, name="rides")
    stored = json.loads(json.dumps(card))
    now = draw(2, shift=0.5)
    by_card = monitor.drift(stored, now)
    by_table = monitor.drift(before, now, columns=["x", "zone"], importance=stored["importance"])
    assert by_card.report["columns"] == by_table.report["columns"]
    assert by_card.metrics == by_table.metrics


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"columns": ["zon"]}, "did you mean 'zone'"),
        ({"exclude": ["rid"]}, "did you mean 'ride'"),
        ({"deltas": {"stil": 0.2}}, "did you mean 'still'"),
        ({"current": draw(2).head(99)}, "99 rows, fewer than 100"),
        ({"current": draw(2).assign(x="text")}, "'x' was number in the reference and is text now"),
        ({"current": draw(2)[["x"]].rename(columns={"x": "q"})}, "no column is left to judge"),
        ({"method": "kss"}, "method is 'kss'"),
        ({"at": "when"}, "at: 'when' is no column"),
        ({"at": "at", "window": "often"}, "window is 'often'"),
        ({"at": "at", "persist": "4/3"}, "persist is '4/3'"),
        ({"prediction": "zon"}, "did you mean 'zone'"),
        ({"fdr": 1.5}, "fdr is 1.5"),
        ({"reference": {"name": "rides"}}, "a mapping without a profile"),
    ],
)
def test_bad_input_is_refused_in_words(change: dict[str, object], words: str) -> None:
    arguments: dict[str, object] = {"reference": draw(1), "current": draw(2), **change}
    with pytest.raises(StepError) as refused:
        monitor.drift(**arguments)  # type: ignore[arg-type]
    assert refused.match("(?s)" + words)
