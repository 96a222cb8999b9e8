"""Lags, rolling figures, scaling, encoding, splits by group, schemas from data, and downloads."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from treadle.authoring import StepError
from treadle_steps import download, history, infer, simulate, split, transform, validate

TABLE = pd.DataFrame(
    {"g": list("aabbab"), "t": [1, 2, 1, 2, 3, 3], "x": [1.0, 2, 3, 4, 5, 6], "c": ["u", "v", "u", "w", "u", None]}
)


def test_a_lag_stays_in_its_group() -> None:
    found = history.lag(TABLE, columns=["x"], time="t", by=["g"], lags=[1, 2])
    assert found["x_lag_1"].fillna(0).tolist() == [0, 1, 0, 3, 2, 4]
    assert found["x_lag_2"].fillna(0).tolist() == [0, 0, 0, 0, 1, 3]
    assert len(history.lag(TABLE, columns=["x"], time="t", by=["g"], drop_missing=True)) == 4


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(-9, 9)), min_size=2, max_size=20), st.integers(1, 4), st.data()
)
def test_no_row_knows_its_own_value_its_future_or_another_group(
    rows: list[tuple[str, float]], window: int, data: Any
) -> None:
    frame = pd.DataFrame(rows, columns=["g", "x"]).assign(t=range(len(rows)))

    def made(table: pd.DataFrame) -> pd.DataFrame:
        lagged = history.lag(table, columns=["x"], time="t", by=["g"], lags=[window])
        return history.rolling(lagged, columns=["x"], time="t", by=["g"], windows=[window])

    at = data.draw(st.integers(0, len(rows) - 1))
    changed = frame.copy()
    changed.loc[at, "x"] += 100.0
    before, after = made(frame).drop(columns="x"), made(changed).drop(columns="x")
    same = (frame["t"] <= at) | (frame["g"] != frame.loc[at, "g"])
    pd.testing.assert_frame_equal(before[same], after[same])


def test_rolling_figures_are_those_of_pandas() -> None:
    frame = pd.DataFrame({"t": range(6), "x": [3.0, 1, 4, 1, 5, 9]})
    found = history.rolling(frame, columns=["x"], time="t", windows=[2], statistics=["mean", "max", "std"])
    assert found["x_mean_2"].tolist()[2:] == [2.0, 2.5, 2.5, 3.0]
    assert found["x_max_2"].tolist()[2:] == [3.0, 4.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: history.lag(TABLE, columns=["x"], time="t", by=["g"], lags=[0]), "0 is the row itself"),
        (lambda: history.lag(TABLE, columns=["x"], time="t"), "has the time of another row"),
        (lambda: history.lag(TABLE, columns=["y"], time="t"), "'y' is no column"),
        (lambda: history.rolling(TABLE, columns=["c"], time="t", by=["g"]), "column 'c' holds 'u', no numbers"),
        (lambda: history.rolling(TABLE, columns=["x"], time="t", by=["g"], statistics=["mod"]), "statistics:"),
        (lambda: transform.scale(TABLE, columns=["c"]), "no numbers"),
        (lambda: transform.scale(TABLE.assign(x=np.inf)), "is inf in 6 of 6 rows"),
        (lambda: transform.encode(TABLE[["x"]]), "no column holds text"),
        (lambda: split.by_group(TABLE.assign(g=1), column="g"), "the one group 1"),
        (lambda: split.stratified(TABLE, column="c"), "in one row only"),
    ],
)
def test_bad_input_is_named(call: Any, words: str) -> None:
    with pytest.raises(StepError, match=words):
        call()


def test_scaling_is_fitted_on_the_first_table_alone() -> None:
    other = TABLE.assign(x=TABLE["x"] * 100)
    found = transform.scale(TABLE, other, columns=["x"])
    scaler = StandardScaler().fit(TABLE[["x"]].to_numpy())
    assert np.array_equal(found.data["x"], scaler.transform(TABLE[["x"]].to_numpy())[:, 0])
    assert np.array_equal(found.other["x"], scaler.transform(other[["x"]].to_numpy())[:, 0])
    assert len(transform.scale(TABLE, columns=["x"]).other) == 0


def test_a_value_that_training_did_not_have_is_nothing() -> None:
    found = transform.encode(TABLE, TABLE.assign(c="new"), columns=["c"])
    assert list(found.data.columns) == ["g", "t", "x", "c_missing", "c_u", "c_v", "c_w"]
    assert found.data["c_missing"].tolist() == [0, 0, 0, 0, 0, 1]
    assert found.other[["c_missing", "c_u", "c_v", "c_w"]].to_numpy().sum() == 0
    ordinal = transform.encode(TABLE, TABLE.assign(c="new"), columns=["c"], method="ordinal")
    assert ordinal.data["c"].tolist() == [1, 2, 1, 3, 1, 0]
    assert set(ordinal.other["c"]) == {-1}


def test_a_group_is_in_one_part() -> None:
    rides = simulate.rides(days=3, rides_per_day=300)
    train, test = split.by_group(rides, column="rider_id", test_share=0.25, seed=1)
    assert set(train["rider_id"]).isdisjoint(test["rider_id"])
    assert 0.2 < len(test) / len(rides) < 0.35
    pd.testing.assert_frame_equal(split.by_group(rides, column="rider_id", test_share=0.25, seed=1).test, test)


def test_strata_keep_their_shares() -> None:
    rides = simulate.rides(days=3, rides_per_day=300)
    for column in ("zone", "distance"):
        test = split.stratified(rides, column=column, test_share=0.2).test
        assert abs(len(test) - 180) <= 8
    zones = (
        split.stratified(rides, column="zone", test_share=0.2).test["zone"].value_counts()
        / rides["zone"].value_counts()
    )
    assert zones.between(0.17, 0.23).all()


def test_a_proposed_schema_holds_tomorrow_and_sees_what_breaks() -> None:
    today, tomorrow = (simulate.rides(days=5, rides_per_day=600, seed=seed) for seed in (1, 2))
    found = infer.infer(today)
    assert yaml.safe_load(found.text) == found.schema
    assert validate.table(tomorrow, schema=found.schema).metrics["errors"] == 0
    rules = found.schema["columns"]
    assert rules["ride_id"]["unique"] is True
    assert rules["distance"]["min"] == 0
    assert rules["distance"]["max"] != today["distance"].max()  # an observed extreme is no limit
    assert rules["zone"]["in"] == sorted(today["zone"].unique())
    assert "# seen: " in found.text
    broken = tomorrow.assign(zone="Z99", distance=-5.0)
    with pytest.raises(StepError, match="zone"):
        validate.table(broken, schema=found.schema)


def test_a_proposed_schema_allows_for_gaps_and_rare_values() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"a": np.where(rng.random(2000) < 0.1, np.nan, 5.0), "word": [f"w{n}" for n in range(2000)]})
    rules = infer.infer(frame).schema["columns"]
    assert 0.1 < rules["a"]["null"]["max_share"] < 0.13
    assert rules["word"] == {"dtype": "string"}


def test_a_proposed_schema_reads_back_whatever_its_words_are() -> None:
    words = ["é\u2028", "😀\x07", "\ufffe"]
    frame = pd.DataFrame({'a\x85😀"\\': words * 1000, "no": ["a: b", "- a", "1.0"] * 1000, "1e5": [1e20] * 3000})
    found = infer.infer(frame)
    assert yaml.safe_load(found.text) == found.schema
    assert found.schema["columns"]['a\x85😀"\\']["in"] == sorted(words)


class Answers(BaseHTTPRequestHandler):
    """A server that answers well, wrongly, and half."""

    def do_GET(self) -> None:
        body = b"x,y\n1,2\n3,4\n"
        if self.path.startswith("/gone"):
            self.send_error(404)
            return
        if self.path.startswith("/secret") and self.headers.get("Authorization") != "Bearer hush":
            self.send_error(401)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) * (100 if self.path.startswith("/half") else 1)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


def test_a_table_is_downloaded_whole_or_not_at_all(
    server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert download.url(url=f"{server}/data.csv")["y"].tolist() == [2, 4]
    monkeypatch.setenv("HEADER", "Authorization: Bearer hush")
    assert len(download.url(url=f"{server}/secret.csv", secret_header="HEADER")) == 2
    for path, words in (
        ("/half.csv", "stopped after 12 of 1,200 bytes|IncompleteRead"),
        ("/gone.csv?token=hush", "answers 404"),
        ("/secret.csv", "answers 401"),
        ("/data.xyz", "does not show in its name"),
    ):
        with pytest.raises(StepError, match=words) as failed:
            download.url(url=server + path)
        assert "hush" not in str(failed.value)
    with pytest.raises(StepError, match="cannot be read"):
        download.url(url="http://127.0.0.1:1/x.csv")
    assert list(tmp_path.iterdir()) == []
