"""Same value, same bytes; and back again."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from treadle.authoring import CodecError
from treadle.plugins import Catalog
from treadle.store.codecs import encode
from treadle.store.objects import Objects

X = pd.DataFrame({"a": np.arange(60) % 7, "b": np.linspace(0, 1, 60), "c": list("xyz") * 20})
Y = (np.arange(60) % 3 == 0).astype(int)


def models() -> list[Any]:
    both = ColumnTransformer([("n", StandardScaler(), ["a", "b"]), ("c", OneHotEncoder(), ["c"])])
    return [
        HistGradientBoostingRegressor(max_iter=5, random_state=0).fit(X[["a", "b"]], Y),
        RandomForestClassifier(5, random_state=0).fit(X[["a", "b"]], Y),
        make_pipeline(both, LogisticRegression()).fit(X, Y),
    ]


FRAME = pd.DataFrame({"i": [1, 2], "f": [0.5, None], "s": ["a", None], "t": pd.to_datetime(["2025-01-01", None])})
PIVOTED = pd.DataFrame({"a": [1, 1, 2], "b": ["x", "y", "x"], "v": [1.0, 2, 3]})
VALUES: list[tuple[str, Any]] = [
    ("parquet", FRAME),
    ("parquet", pd.DataFrame(np.eye(3))),  # labels that are numbers
    ("parquet", PIVOTED.groupby("a").agg({"v": ["mean", "max"]})),
    ("parquet", PIVOTED.pivot_table(index="a", columns="b", values="v")),
    ("parquet", pd.DataFrame({"a": [1, 2]}).rename_axis("id")),
    ("parquet", pd.DataFrame({"c": pd.Categorical([3, None, 1], [3, 1, 2], ordered=True), "s": ["a", "b", "c"]})),
    ("parquet", pd.DataFrame({0: pd.Categorical(pd.to_datetime(["2025-01-01", None])), 1: pd.Categorical(["a", "b"])})),
    ("parquet", pd.DataFrame(np.eye(3))[1]),  # a series whose name is a number
    ("parquet", pd.Series([1, 2])),
    ("parquet", pd.Series(pd.Categorical([True, False]))),
    ("parquet", FRAME.set_index("i")),
    ("parquet", pa.table({"x": [1, 2]})),
    ("npy", np.arange(12.0).reshape(3, 4)),
    ("json", {"b": [1, 2.5, None, True], "a": {"x": "é"}}),
    ("text", "one\r\ntwo\n"),
    ("bytes", b"\0\xff"),
]


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_round_trip(name: str, value: Any, tmp_path: Path) -> None:
    codecs = Catalog.from_entry_points().codecs()
    assert [codec.name for codec in codecs if codec.accepts(value)] == [name]
    codec = next(codec for codec in codecs if codec.name == name)
    codec.write(value, tmp_path / "1")
    codec.write(value, tmp_path / "2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    back = codec.read(tmp_path / "1")
    if isinstance(value, pa.Table):
        value = value.to_pandas()
    if isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(back, value)
    elif isinstance(value, pd.Series):
        pd.testing.assert_series_equal(back, value)
    elif isinstance(value, np.ndarray):
        np.testing.assert_array_equal(back, value)
    else:
        assert back == value


def test_equal_maps_give_equal_bytes_whatever_their_order(tmp_path: Path) -> None:
    codec = Catalog.from_entry_points().codec("json")
    codec.write({"a": 1, "b": 2}, tmp_path / "1")
    codec.write({"b": 2, "a": 1}, tmp_path / "2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    with pytest.raises(CodecError, match=r"\['x'\]\[1\] is a set"):
        codec.write({"x": [1, {2}]}, tmp_path / "3")
    assert not codec.accepts({1: 2}), "a key that is no text would come back as text"


def test_models_come_back_and_predict_alike(tmp_path: Path) -> None:
    codec = Catalog.from_entry_points().codec("skops")
    for number, model in enumerate(models()):
        assert codec.accepts(model)
        path = tmp_path / f"{number}.skops"
        codec.write(model, path)
        columns = list(model.feature_names_in_)
        np.testing.assert_array_equal(codec.read(path).predict(X[columns]), model.predict(X[columns]))


SCRIPT = """
import sys; sys.path.insert(0, {folder!r})
import hashlib, pathlib, tempfile
from test_codecs import models
from treadle_steps.codecs import SkopsCodec
junk = [object() for _ in range({junk})]
path = pathlib.Path(tempfile.mkdtemp()) / "m"
for model in models():
    SkopsCodec().write(model, path)
    print(hashlib.sha256(path.read_bytes()).hexdigest())
"""


def test_two_processes_give_the_same_bytes_for_the_same_model() -> None:
    seen = set()
    for junk in (1, 5000):
        text = SCRIPT.format(folder=str(Path(__file__).parent), junk=junk)
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        seen.add(done.stdout)
    assert len(seen) == 1


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    codec = Catalog.from_entry_points().codec("npy")
    with pytest.raises(CodecError, match="Python objects"):
        codec.write(np.array([{}], dtype=object), tmp_path / "x")


@pytest.mark.parametrize(
    "columns", [["a", 1], [True, False], pd.CategoricalIndex(["a", "b"]), pd.IntervalIndex.from_breaks([0, 1, 2])]
)
def test_labels_that_parquet_cannot_give_back_become_text(columns: Any, tmp_path: Path) -> None:
    codec = Catalog.from_entry_points().codec("parquet")
    codec.write(pd.DataFrame([[1, 2]], columns=columns), tmp_path / "1")
    assert list(codec.read(tmp_path / "1").columns) == [str(name) for name in columns]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        (
            "parquet",
            pd.DataFrame({"a": [1, 2, 3], "bin": pd.cut([1, 2, 3], 2)}),
            "column 'bin' cannot be stored as Parquet",
        ),
        ("parquet", pd.DataFrame({"a": [2**70]}), "column 'a'"),
        ("npy", np.ma.array([1, 2], mask=[False, True]), "masked"),
        ("skops", FunctionTransformer(lambda x: x), r"it holds .*\.<lambda>, which no module has"),
    ],
)
def test_what_would_not_come_back_is_refused(name: str, value: Any, text: str, tmp_path: Path) -> None:
    codec = Catalog.from_entry_points().codec(name)
    assert codec.accepts(value)
    with pytest.raises(CodecError, match=text):
        codec.write(value, tmp_path / "1")


def test_arrays_of_any_class_are_arrays(tmp_path: Path) -> None:
    values = [
        np.memmap(tmp_path / "m", dtype="float32", mode="w+", shape=(4, 2)),
        np.rec.array([(1, 2)]),
        np.ma.array([1]),
    ]
    codecs = Catalog.from_entry_points().codecs()
    for value in values:
        assert [codec.name for codec in codecs if codec.accepts(value)] == ["npy"]
        encoded = encode(value, codecs, Objects(str(tmp_path / "store")), tmp_path, "out")
        assert encoded.codec == "npy"
