"""Bad input, step by step: each refusal names the column, the value or the file, and says what to do."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from support.dying import dying_server
from treadle.authoring import StepError
from treadle_steps import (
    deploy,
    evaluate,
    features,
    history,
    infer,
    ingest,
    monitor,
    quality,
    split,
    train,
    transform,
    validate,
)
from treadle_steps.download import url
from treadle_steps.forecast import forecast
from treadle_steps.predict import batch
from treadle_steps.ranking import ranking
from treadle_steps.search import candidate, search
from treadle_steps.sql import sql

RNG = np.random.default_rng(9)
ROWS = 120
GOOD = pd.DataFrame(
    {
        "ts": pd.date_range("2025-01-01", periods=ROWS, freq="h"),
        "a": RNG.normal(size=ROWS),
        "b": RNG.normal(size=ROWS),
        "zone": np.tile(["x", "y", "z"], ROWS // 3),
        "q": np.repeat(np.arange(ROWS // 5), 5),
    }
)
GOOD["y"] = GOOD["a"] + GOOD["b"]
GOOD["up"] = GOOD["y"] > 0
REGRESSOR = LinearRegression().fit(GOOD[["a", "b"]], GOOD["y"])
CLASSIFIER = LogisticRegression().fit(GOOD[["a", "b"]], GOOD["up"])
RIDGE: dict[str, Any] = {"estimator": "sklearn.linear_model.Ridge", "target": "y", "features": ["a", "b"]}
LOGIT: dict[str, Any] = {"estimator": "sklearn.linear_model.LogisticRegression", "target": "up", "features": ["a", "b"]}
QUICK: dict[str, Any] = {"importance": 0, "bootstrap": 0}
SCHEMA = {"version": 1, "columns": {"a": {"dtype": "float"}}}
Step = Callable[[Any], Any]
STEPS: dict[str, Step] = {
    "train.estimator": lambda t: train.estimator(t, **RIDGE),
    "train.search": lambda t: search(t, **RIDGE, space={"alpha": [1, 2]}),
    "evaluate.regression": lambda t: evaluate.regression(REGRESSOR, t, target="y", **QUICK),
    "evaluate.classification": lambda t: evaluate.classification(CLASSIFIER, t, target="up", **QUICK),
    "evaluate.ranking": lambda t: ranking(REGRESSOR, t, target="up", group="q", bootstrap=0),
    "evaluate.forecast": lambda t: forecast(t, REGRESSOR, time="ts", target="y", bootstrap=0),
    "predict.batch": lambda t: batch(REGRESSOR, t),
    "features.datetime": lambda t: features.datetime(t, column="ts"),
    "features.encode": lambda t: transform.encode(t, columns=["zone"]),
    "features.scale": lambda t: transform.scale(t, columns=["a", "b"]),
    "features.lag": lambda t: history.lag(t, columns=["a"], time="ts"),
    "features.rolling": lambda t: history.rolling(t, columns=["a"], time="ts"),
    "split.random": lambda t: split.random(t, stratify="zone"),
    "split.stratified": lambda t: split.stratified(t, column="zone"),
    "split.by_group": lambda t: split.by_group(t, column="q"),
    "split.by_time": lambda t: split.by_time(t, column="ts"),
    "validate.table": lambda t: validate.table(t, schema=SCHEMA),
    "validate.infer": infer.infer,
    "train.candidate": lambda t: candidate(t, {"params": {"alpha": 1.0}}, **RIDGE),
    "deploy.model": lambda t: deploy.model(REGRESSOR, {"metrics": {}}, t, name="m"),
    "monitor.drift": lambda t: monitor.drift(GOOD, t),
    "monitor.quality": lambda t: quality.quality(GOOD, t),
}
TAKES_ANY = ("validate.infer", "monitor.quality", "monitor.drift")  # what columns there are is what they find out
COPIES = ("features.lag",)  # whatever a column holds
TELLS_TYPES = ("validate.table", "monitor.quality", "monitor.drift")  # of a column, not of a value
NEEDS = {  # a column that the step names
    "features.datetime": "ts",
    "features.encode": "zone",
    "split.random": "zone",
    "split.stratified": "zone",
    "split.by_group": "q",
    "split.by_time": "ts",
}
USES_A = [n for n in STEPS if n not in NEEDS and not n.startswith(("validate.", "monitor."))]
BORDERS = {  # what a column may become, whatever a step thinks of it: an answer or a refusal, never a traceback
    "nothing": lambda c: pd.Series([None] * ROWS, dtype=object),
    "no number": lambda c: pd.Series([np.nan] * ROWS),
    "one value": lambda c: pd.Series([c.iloc[0]] * ROWS),
    "infinite": lambda c: pd.Series([np.inf, 1.0] * (ROWS // 2)),
    "mixed": lambda c: pd.Series([1, "two", 3.0, None] * (ROWS // 4), dtype=object),
    "mixed numbers": lambda c: pd.Series([1, 2.5, True, None] * (ROWS // 4), dtype=object),
    "lists": lambda c: pd.Series([[1]] * ROWS),
    "maps": lambda c: pd.Series([{"a": 1}] * ROWS),
    "many": lambda c: pd.Series([f"n{number}" for number in range(ROWS)]),
}


def refusal(step: Step, table: Any) -> str:
    with pytest.raises(StepError) as caught:
        step(table)
    return str(caught.value)


@pytest.mark.parametrize("name", STEPS)
def test_a_good_table_is_taken(name: str) -> None:
    STEPS[name](GOOD)


@pytest.mark.parametrize("name", [n for n in STEPS if n not in TAKES_ANY])
def test_a_missing_column_is_named(name: str) -> None:
    column = NEEDS.get(name, "a")
    found = refusal(STEPS[name], GOOD.drop(columns=column).assign(**{f"{column}_": 1}))
    assert column in found
    assert "column" in found


@pytest.mark.parametrize("kind", BORDERS)
@pytest.mark.parametrize("name", STEPS)
def test_no_column_whatever_it_holds_ends_in_a_traceback(name: str, kind: str) -> None:
    for column in {NEEDS.get(name, "a"), "y"}:
        try:
            STEPS[name](GOOD.assign(**{column: BORDERS[kind](GOOD[column])}))
        except StepError as error:
            said = str(error)
            assert column in said or "check" in said, said  # the column is named
            assert "np." not in said, said  # values are Python's own


@pytest.mark.parametrize("name", [n for n in STEPS if n not in COPIES and n not in TELLS_TYPES])
def test_lists_and_maps_are_named_with_their_row(name: str) -> None:
    column = NEEDS.get(name, "a")
    found = refusal(STEPS[name], GOOD.assign(**{column: [[1]] * ROWS}))
    assert f"'{column}'" in found
    assert "[1]" in found


@pytest.mark.parametrize("name", STEPS)
def test_an_empty_table_is_refused(name: str) -> None:
    assert "has no rows" in refusal(STEPS[name], GOOD.head(0))


@pytest.mark.parametrize("name", STEPS)
def test_a_column_that_is_there_twice_is_named(name: str) -> None:
    twice = pd.concat([GOOD, GOOD[["a"]]], axis=1)
    assert "column 'a' more than once" in refusal(STEPS[name], twice)


@pytest.mark.parametrize("name", [n for n in USES_A if n != "features.lag"])
def test_infinite_values_are_named_with_their_row(name: str) -> None:
    found = refusal(STEPS[name], GOOD.assign(a=GOOD["a"].where(GOOD.index != 7, np.inf)))
    assert "'a' is inf in 1 of 120 rows (first: row 7)" in found
    assert "division by zero" in found


@pytest.mark.parametrize("name", [n for n in USES_A if n != "features.lag"])
def test_mixed_types_are_named(name: str) -> None:
    mixed = GOOD.assign(a=[1, "two", 3.0, None] * (ROWS // 4))
    assert "'a'" in refusal(STEPS[name], mixed)


@pytest.mark.parametrize("name", [n for n in USES_A if n != "features.lag"])
def test_an_all_missing_feature_is_named(name: str) -> None:
    assert "a" in refusal(STEPS[name], GOOD.assign(a=np.nan)).replace("a model", "")


@pytest.mark.parametrize(
    ("step", "change", "words"),
    [
        (lambda t: train.estimator(t, **LOGIT), {"up": True}, "target 'up' has the one class True"),
        (lambda t: search(t, **LOGIT, space={"C": [1]}), {"up": True}, "target 'up' has the one class True"),
        (STEPS["split.by_group"], {"q": 1}, "column 'q' has the one group 1"),
        (lambda t: train.estimator(t, **RIDGE), {"y": np.nan}, "target 'y' is missing in 120 of 120 rows"),
        (lambda t: train.estimator(t, **RIDGE), {"y": "text"}, "holds 'text', and Ridge predicts numbers"),
        (STEPS["evaluate.regression"], {"y": np.nan}, "target 'y' is missing in 120 of 120 rows"),
        (STEPS["features.datetime"], {"ts": "not a date"}, "column 'ts' holds no dates"),
        (STEPS["split.by_time"], {"ts": pd.NaT}, "column 'ts' is missing in 120 rows"),
        (STEPS["split.by_time"], {"ts": "not a date"}, "column 'ts' holds no dates"),
        (STEPS["validate.table"], {"a": "text"}, "a: is .*, not float"),
        (
            lambda t: train.estimator(t, estimator="sklearn.linear_model.Ridge", target="y", drop=["ts", "up"]),
            {"zone": [f"n{i}" for i in range(ROWS)]},
            None,
        ),
    ],
)
def test_what_a_target_or_a_column_cannot_be(step: Step, change: dict[str, Any], words: str | None) -> None:
    if words is None:
        step(GOOD.assign(**change))  # 120 categories are many, but no mistake
        return
    with pytest.raises(StepError, match=words):
        step(GOOD.assign(**change))


def test_huge_categories_are_named_with_a_value_and_ways_out() -> None:
    many = pd.DataFrame({"zone": [f"n{i}" for i in range(1500)], "y": np.arange(1500.0)})
    with pytest.raises(StepError) as caught:
        train.estimator(many, estimator="sklearn.linear_model.Ridge", target="y")
    for words in ("column 'zone' has 1,500 different values (such as 'n0')", "max_categories", "ordinal"):
        assert words in str(caught.value)
    with pytest.raises(StepError, match="column 'zone' has 1,500 different values"):
        transform.encode(many, columns=["zone"])
    assert len(transform.encode(many, columns=["zone"], max_categories=10).data.columns) == 11


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sklearn.linear_model.Rigde", "has no 'Rigde'.*did you mean 'Ridge'"),
        ("sklearn.linear_modell.Ridge", "no module called 'sklearn.linear_modell'.*did you mean 'linear_model'"),
        ("nosuchpackage.Model", "no module called 'nosuchpackage' is installed"),
        ("Ridge", "has no module.*write the full name"),
    ],
)
def test_a_wrong_estimator_is_named(name: str, words: str) -> None:
    with pytest.raises(StepError, match=f"(?s){words}"):
        train.estimator(GOOD, estimator=name, target="y", features=["a"])
    with pytest.raises(StepError, match=r"(?s)has no parameter 'alhpa'.*did you mean 'alpha'"):
        train.estimator(GOOD, **RIDGE, params={"alhpa": 1})


def test_a_value_that_the_estimator_refuses_is_told_in_its_words() -> None:
    with pytest.raises(StepError, match="'alpha' parameter of Ridge must be"):
        train.estimator(GOOD, **RIDGE, params={"alpha": "much"})


def test_an_unreachable_database_is_named_and_no_password_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.setenv("SHOP", f"postgresql://me:hush@127.0.0.1:{port}/shop")
    with pytest.raises(StepError) as caught:
        sql(query="select 1", secret="SHOP")
    assert "hush" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value) or "SHOP" in str(caught.value)


@pytest.fixture
def dying() -> Iterator[str]:
    with dying_server() as port:
        yield f"http://127.0.0.1:{port}/rows.csv"


def test_a_download_that_dies_half_way_gives_no_half_table(dying: str) -> None:
    with pytest.raises(StepError) as caught:
        url(url=dying)
    assert dying in str(caught.value)
    assert "1,000" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "rows.csv is empty"),
        (b"a,b\n1,2\n1,2,3,4\n", "rows.csv cannot be read as csv"),
        (b"a\n\xff\xfe\xfd\n", "rows.csv cannot be decoded"),
        (b'a,b\n"1,2\n', "rows.csv cannot be read as csv"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "rows.csv").write_bytes(content)
    with pytest.raises(StepError, match=words):
        ingest.table(tmp_path / "rows.csv")
    with pytest.raises(StepError, match=words):  # a step that takes the file itself
        split.random(tmp_path / "rows.csv")
