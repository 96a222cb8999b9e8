"""Broken data is named before anything is called drift."""

import numpy as np
import pandas as pd
import pytest

from treadle.authoring import StepError
from treadle_steps import quality


def table(seed: int, hours: int = 12, each: int = 100) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = hours * each
    at = pd.Timestamp("2026-03-02") + pd.to_timedelta(np.repeat(np.arange(hours), each) + rng.random(rows), unit="h")
    return pd.DataFrame({"at": at, "x": rng.normal(size=rows), "zone": rng.choice(["a", "b", "c"], rows)})


def found(rows: pd.DataFrame, **options: object) -> list[str]:
    made = quality.quality(table(1), rows, **options)  # type: ignore[arg-type]
    assert made.metrics["blocked"] == float(bool(made.report["failures"]))
    return [failure["text"] for failure in made.report["failures"]]


def test_whole_data_blocks_nothing() -> None:
    assert found(table(2)) == []
    assert found(table(2), at="at") == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t: t.drop(columns="x"), "'x' is gone"),
        (lambda t: t.assign(x="1"), "'x' was number and is text now"),
        (lambda t: t.assign(x=t["x"].where(t["x"] > -1)), "'x' is missing in"),
        (lambda t: t.assign(x=3.5), "'x' stands still at"),
        (lambda t: t.assign(zone=t["zone"].replace("a", "z")), "of 'zone' are values never seen before"),
    ],
)
def test_what_is_broken_is_named(change: object, text: str) -> None:
    [words] = found(change(table(2)))  # type: ignore[operator]
    assert text in words


def test_a_small_share_of_missing_or_new_values_passes() -> None:
    now = table(2)
    now.loc[:30, "x"] = np.nan
    now.loc[:5, "zone"] = "z"
    assert found(now) == []
    assert len(found(now, missing_jump=0.01, unseen=0.001)) == 2


def test_a_fall_of_volume_and_late_rows() -> None:
    now = table(2)
    thin = now[(now["at"] < "2026-03-02T10:00") | (now.index % 4 == 0)]
    thin = pd.concat([thin, thin.tail(1).assign(at=pd.Timestamp("2026-03-02T12:00"))])
    [words] = found(thin, at="at")
    assert words.startswith("the last window has 2")
    assert words.endswith("where 100 are usual")
    newest = now["at"].max().timestamp()
    assert found(now, at="at", max_age="1h", now=newest + 60) == []
    [late] = found(now, at="at", max_age="1h", now=newest + 4000)
    assert late == "the newest row is 4,000 s old"


def test_only_the_last_window_is_looked_at() -> None:
    now = table(2)
    now.loc[now["at"] < "2026-03-02T05:00", "x"] = np.nan
    assert found(now, at="at") == []


def test_bad_parameters() -> None:
    with pytest.raises(StepError, match="at: 'when' is no column"):
        quality.quality(table(1), table(2), at="when")
