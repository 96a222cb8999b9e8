"""Every step of the library keeps the contract of steps, every codec that of codecs; broken ones are found out."""

import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from treadle.plugins import Catalog
from treadle.testing import Case, check_codec, check_step, check_steps
from treadle_steps import train

RNG = np.random.default_rng(1)
ROWS = 120
TABLE = pd.DataFrame(
    {
        "ts": pd.date_range("2025-01-01", periods=ROWS, freq="h"),
        "a": RNG.normal(size=ROWS),
        "b": RNG.normal(size=ROWS),
        "zone": np.tile(["x", "y", "z"], ROWS // 3),
        "query": np.repeat(np.arange(ROWS // 5), 5),
        "grade": np.tile([0, 1, 2, 0, 0], ROWS // 5),
    }
)
TABLE["y"] = TABLE["a"] - TABLE["b"]
TABLE["up"] = TABLE["y"] > 0
ANSWERS = pd.concat([TABLE[["ts", "a"]], TABLE["y"].rename("outcome"), TABLE["a"].rename("prediction")], axis=1)
RIDGE: dict[str, Any] = {"estimator": "sklearn.linear_model.Ridge", "target": "y", "features": ["a", "b", "zone"]}
LOGISTIC: dict[str, Any] = {
    "estimator": "sklearn.linear_model.LogisticRegression",
    "target": "up",
    "features": ["a", "b"],
}
QUICK = {"importance": 1, "bootstrap": 20}
SCHEMA = {"version": 1, "columns": {"a": {"dtype": "float", "min": -10}, "zone": {"dtype": "string"}}}
TRIED = [{"params": {"alpha": alpha}, "metrics": {"cv_mae": alpha}} for alpha in (1.0, 2.0, 3.0)]


def cases(folder: Path) -> dict[str, Case]:
    ridge, logistic = train.estimator(TABLE, **RIDGE).model, train.estimator(TABLE, **LOGISTIC).model
    TABLE.to_csv(folder / "rows.csv", index=False)
    with sqlite3.connect(folder / "rows.db") as db:
        TABLE.to_sql("rows", db, index=False)
    db.close()
    data, time = {"data": TABLE}, {"time": "ts"}
    judged = {"data": TABLE, "model": ridge, "champion": ridge}
    given: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "deploy.model": ({"model": ridge, "report": {"metrics": {"mae": 1.0}}, "reference": TABLE}, {"name": "m"}),
        "evaluate.classification": (
            {"model": logistic, "data": TABLE, "champion": logistic},
            {"slices": ["zone"], **QUICK},
        ),
        "evaluate.forecast": (data, {**time, "target": "y", "prediction": "a", "season": 2, "bootstrap": 20}),
        "evaluate.ranking": (judged, {"target": "grade", "group": "query", "k": 3, "bootstrap": 20}),
        "evaluate.regression": (judged, {"slices": ["zone"], **QUICK}),
        "features.datetime": (data, {"column": "ts", "cyclic": True}),
        "features.encode": ({**data, "other": TABLE}, {"columns": ["zone"]}),
        "features.lag": (data, {**time, "columns": ["a"], "by": ["zone"]}),
        "features.rolling": (data, {**time, "columns": ["a"], "by": ["zone"]}),
        "features.scale": ({**data, "other": TABLE}, {"columns": ["a"], "method": "quantile"}),
        "ingest.sql": (
            {},
            {"query": "select a, zone from rows order by ts", "database": f"sqlite:///{folder}/rows.db"},
        ),
        "ingest.table": ({"source": folder / "rows.csv"}, {"parse_dates": ["ts"]}),
        "ingest.url": ({}, {"url": (folder / "rows.csv").as_uri()}),
        "monitor.drift": ({"reference": TABLE, "current": TABLE}, {}),
        "monitor.estimate": ({"reference": ANSWERS, "current": ANSWERS}, {"method": "dle", "features": ["a"]}),
        "monitor.performance": ({"reference": ANSWERS, "current": ANSWERS}, {"at": "ts"}),
        "monitor.quality": ({"reference": TABLE, "current": TABLE}, {}),
        "predict.batch": ({"model": ridge, "data": TABLE}, {"keep": ["ts"]}),
        "search.candidates": ({}, {"space": {"alpha": {"log": [0.1, 10]}}, "strategy": "random"}),
        "search.survivors": ({"tried": TRIED}, {"metric": "cv_mae"}),
        "simulate.rides": ({}, {"days": 1, "rides_per_day": 20}),
        "split.by_group": (data, {"column": "query"}),
        "split.by_time": (data, {"column": "ts"}),
        "split.random": (data, {}),
        "split.stratified": (data, {"column": "zone"}),
        "train.candidate": ({**data, "candidate": {"params": {"alpha": 2.0}}}, RIDGE),
        "train.estimator": (data, {**LOGISTIC, "calibrate": "sigmoid"}),
        "train.search": ({**data, "tried": TRIED}, RIDGE),
        "validate.infer": (data, {}),
        "validate.table": ({**data, "reference": TABLE}, {"schema": {**SCHEMA, "skew": {"psi": 0.1}}}),
    }
    calls = Catalog.from_entry_points().steps
    # their borders have tests of their own
    free = {name: () for name in given if name == "deploy.model" or name.startswith("monitor.")}
    return {
        name: Case(call=calls[name], inputs=inputs, params=params, garbage=free.get(name))
        for name, (inputs, params) in given.items()
    }


def test_every_step_of_the_library_keeps_the_contract(tmp_path: Path) -> None:
    known = cases(tmp_path)
    own = {name for name, call in Catalog.from_entry_points().steps.items() if call.startswith("treadle_steps.")}
    assert own - set(known) == {"explain.shap"}, "give each new step a case"  # an extra: test_explain_shap.py
    check_steps([known[name] for name in sorted(known)])


BROKEN = '''
import itertools

from treadle.authoring import StepError

counter = itertools.count()

def hashed(rows):
    """Depends on the hash seed."""
    need(rows)
    return list({str(row) for row in rows})

def changing(rows):
    """Changes its input."""
    need(rows)
    rows.append(1)
    return len(rows)

def careless(rows):
    """Looks at nothing."""
    return rows[0] + 1

def greedy(rows):
    """Takes anything."""
    return 1

def unstorable(rows):
    """Returns what no codec stores."""
    need(rows)
    return object()

def failing(rows):
    """Fails."""
    need(rows)
    return 1 / 0

def undocumented(rows):
    need(rows)
    return 1

def good(rows, *, times: int = 1):
    """Adds up."""
    need(rows)
    return sum(rows) * times

def need(rows):
    if not isinstance(rows, list):
        raise StepError(f"rows is {rows!r}, not a list")
'''


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "brokensteps.py").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_good_step_passes(broken: Path) -> None:
    check_step("brokensteps:good", {"rows": [1, 2, 3]}, {"times": 2})


def test_each_break_of_the_contract_is_told(broken: Path) -> None:
    rows = list(range(30))
    names = ["hashed", "changing", "careless", "greedy", "unstorable", "failing", "undocumented", "missing", "good"]
    given = [Case(call=f"brokensteps:{name}", inputs={"rows": rows}) for name in names if name != "missing"]
    given += [
        Case(call="brokensteps:good", inputs={"rows": rows}, params={"time": 1}),
        Case(call="brokensteps:missing"),
    ]
    with pytest.raises(AssertionError) as caught:
        check_steps(given)
    text = str(caught.value)
    for words in (
        "hashed: output 'out' has other bytes in another process",
        "changing: it changes its input 'rows'",
        "careless: input 'rows' fails at 42 with TypeError instead of StepError",
        "greedy: input 'rows' takes 42",
        "unstorable: output 'out' cannot be stored",
        "failing: it failed: ZeroDivisionError",
        "undocumented: it has no docstring",
        "missing: its signature cannot be read",
        "good: it has no argument 'time'",
    ):
        assert words in text, text
    assert text.count("brokensteps:good") <= 2, text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("parquet", TABLE),
        ("npy", np.arange(5.0)),
        ("skops", train.estimator(TABLE, **RIDGE).model),
        ("json", {"b": [1, 2.5, None], "a": "x"}),
        ("text", "words"),
        ("bytes", b"\x00\x01"),
    ],
)
def test_our_codecs_keep_the_contract(name: str, value: Any) -> None:
    check_codec(Catalog.from_entry_points().codec(name), value)


class Forgetful:
    """A codec that writes a counter and accepts everything."""

    name = "forgetful"
    suffix = ".txt"
    folder = False
    count = 0

    def accepts(self, value: Any) -> bool:
        return True

    def write(self, value: Any, path: Path) -> None:
        Forgetful.count += 1
        path.write_text(str(Forgetful.count))

    def read(self, path: Path) -> Any:
        return path.read_text()


def test_a_broken_codec_is_told() -> None:
    with pytest.raises(AssertionError) as caught:
        check_codec(Forgetful(), "x")
    for words in ("accepts any object at all", "writes other bytes each time", "not what it wrote"):
        assert words in str(caught.value)


@pytest.mark.parametrize("kind", ["polars", "arrow"])
def test_every_step_takes_tables_of_others(kind: str, tmp_path: Path) -> None:
    """The same outputs as for pandas, for every input that is a table."""
    import pyarrow as pa

    def other(value: Any) -> Any:
        if not isinstance(value, pd.DataFrame):
            return value
        table = pa.Table.from_pandas(value, preserve_index=False)
        return pytest.importorskip("polars").from_arrow(table) if kind == "polars" else table

    for name, case in cases(tmp_path).items():
        if not any(isinstance(value, pd.DataFrame) for value in case.inputs.values()) or name in ("deploy.model",):
            continue
        function = _function(case.call)
        given = {port: other(value) for port, value in case.inputs.items()}
        expected, found = function(**case.inputs, **case.params), function(**given, **case.params)
        assert _bytes(found, tmp_path) == _bytes(expected, tmp_path), name


def _function(call: str) -> Any:
    module, _, name = call.partition(":")
    return getattr(sys.modules.get(module) or __import__(module, fromlist=[name]), name)


def _bytes(returned: Any, folder: Path) -> list[bytes]:
    """Each output as it is stored."""
    found = []
    for value in returned if isinstance(returned, tuple) else [returned]:
        if isinstance(value, Path):
            found.append(value.read_bytes())
            continue
        codecs = [Catalog.from_entry_points().codec(name) for name in ("skops", "parquet", "npy", "json", "text")]
        codec = next(codec for codec in codecs if codec.accepts(value))
        codec.write(value, folder / "stored")
        found.append((folder / "stored").read_bytes())
        os.unlink(folder / "stored")
    return found
