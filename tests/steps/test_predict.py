"""Batch prediction: the same as the model's own, chunk by chunk, without ever holding the table."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

from support.project import Project
from treadle.authoring import StepError
from treadle_steps.predict import batch

RNG = np.random.default_rng(8)
ROWS = 200_000
BIG = pd.DataFrame({"id": np.arange(ROWS), "a": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS), "unused": "x"})
SMALL = BIG.head(500).assign(y=BIG["a"] * 2, up=BIG["b"] > 0)


class Counting:
    """A real model that notes how many rows it is shown at a time."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.feature_names_in_ = model.feature_names_in_
        self.seen: list[int] = []

    def predict(self, x: pd.DataFrame) -> Any:
        self.seen.append(len(x))
        return self.model.predict(x)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_a_big_file_is_predicted_in_chunks_with_the_model_s_own_values(tmp_path: Path) -> None:
    BIG.to_parquet(tmp_path / "big.parquet", row_group_size=50_000)
    trees = HistGradientBoostingRegressor(max_iter=5).fit(SMALL[["a", "b"]], SMALL["y"])
    model = Counting(trees)
    arrow = pa.total_allocated_bytes()
    made = batch(model, tmp_path / "big.parquet", keep=["id"], chunk=20_000)
    assert max(model.seen) == 20_000
    assert sum(model.seen) == made.metrics["rows"] == ROWS
    assert made.metrics["chunks"] == 10
    assert pa.total_allocated_bytes() - arrow < 1 << 20  # nothing of the table was kept
    file = parquet.ParquetFile(made.predictions)
    assert file.metadata.num_row_groups == 10
    found = file.read().to_pandas()
    assert (found["id"] == BIG["id"]).all()
    assert (found["prediction"].to_numpy() == trees.predict(BIG[["a", "b"]])).all()


def test_the_same_table_gives_the_same_bytes_from_any_source(tmp_path: Path) -> None:
    part = BIG.head(5_000)
    part.to_parquet(tmp_path / "one.parquet", row_group_size=700)
    part.to_parquet(tmp_path / "two.parquet", row_group_size=5_000)
    model = LinearRegression().fit(SMALL[["a", "b"]], SMALL["y"])
    sources = [tmp_path / "one.parquet", tmp_path / "two.parquet", part, pa.Table.from_pandas(part)]
    made = [batch(model, source, chunk=1_000).predictions.read_bytes() for source in sources]
    assert made[0] == made[1] == made[2] == made[3]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "jsonl"])
def test_text_files_are_read_line_by_line_and_a_column_has_one_type(tmp_path: Path, ending: str) -> None:
    rows = (
        BIG.head(3_000)
        .round(6)
        .assign(
            code=["7"] * 2_000 + ["x"] * 1_000,  # numbers at first
            count=[1] * 2_999 + [1.5],
            gap=[None] * 2_500 + ["late"] * 500,
        )
    )
    file = tmp_path / f"rows.{ending}"
    if ending == "jsonl":
        rows.to_json(file, orient="records", lines=True)
    else:
        rows.to_csv(file, index=False, sep="\t" if ending == "tsv" else ",")
    trees = HistGradientBoostingRegressor(max_iter=5).fit(SMALL[["a", "b"]], SMALL["y"])
    model = Counting(trees)
    made = batch(model, file, keep=["id", "code", "count", "gap"], chunk=500)
    assert model.seen == [500] * 6
    found = pd.read_parquet(made.predictions)
    assert found["id"].tolist() == list(range(3_000))
    assert found["code"].tolist() == rows["code"].tolist()
    assert found["count"].tolist() == rows["count"].tolist()
    assert found["gap"].isna().sum() == 2_500
    assert np.allclose(found["prediction"], trees.predict(rows[["a", "b"]]), rtol=1e-9)


def test_a_csv_that_breaks_off_in_a_later_chunk_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n" + "1,2\n" * 1000 + '1,"2\n')
    model = LinearRegression().fit(SMALL[["a", "b"]], SMALL["y"])
    with pytest.raises(StepError, match=r"rows\.csv cannot be read as csv.*row 1001"):
        batch(model, tmp_path / "rows.csv", chunk=100)


def test_chances_and_many_files_in_their_order(tmp_path: Path) -> None:
    BIG[:1000].to_parquet(tmp_path / "a.parquet")
    BIG[1000:1500].to_csv(tmp_path / "b.csv", index=False)
    model = LogisticRegression().fit(SMALL[["a", "b"]], SMALL["up"])
    files = [tmp_path / "a.parquet", tmp_path / "b.csv"]
    found = pd.read_parquet(batch(model, files, keep=["id"], chances=True).predictions)
    assert found["id"].tolist() == list(range(1500))
    assert list(found.columns) == ["id", "prediction", "chance_False", "chance_True"]
    assert np.allclose(found["chance_True"], model.predict_proba(BIG[:1500][["a", "b"]])[:, 1], rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "given", "words"),
    [
        (lambda f: f.drop(columns="b"), {}, "'b' is no column of rows.parquet"),
        (lambda f: f.assign(a=np.inf), {}, "feature 'a' is inf in 10 of 10 rows"),
        (lambda f: f.head(0), {}, "data has no rows"),
        (lambda f: f, {"keep": ["ids"]}, "'ids' is no column of rows.parquet"),
        (lambda f: f, {"chances": True}, "gives no chances"),
        (lambda f: f.assign(prediction=1), {"keep": ["prediction"]}, "'prediction' is the name of a new column"),
        (lambda f: f, {"chunk": 0}, "chunk is 0"),
    ],
)
def test_what_cannot_be_predicted_is_refused(tmp_path: Path, change: Any, given: dict[str, Any], words: str) -> None:
    change(BIG.head(10)).to_parquet(tmp_path / "rows.parquet")
    model = LinearRegression().fit(SMALL[["a", "b"]], SMALL["y"])
    with pytest.raises(StepError, match=words):
        batch(model, tmp_path / "rows.parquet", **given)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(StepError, match=r"rows\.parquet cannot be read as parquet"):
        batch(LinearRegression().fit(SMALL[["a", "b"]], SMALL["y"]), tmp_path / "rows.parquet")


def test_in_a_pipeline_the_file_goes_on_to_the_next_step(project: Project) -> None:
    SMALL.to_parquet(project.root / "rows.parquet")
    project.write(
        "p.yaml",
        """
        version: 1
        data: {rows: {path: rows.parquet}}
        steps:
          train:
            uses: train.estimator
            in: {data: rows}
            with: {estimator: sklearn.linear_model.Ridge, target: y, drop: [up, id], cv: 0}
          rows: {uses: ingest.table, in: {source: data.rows}}
          predict: {uses: predict.batch, in: {model: train, data: rows}, with: {keep: [id, y], chunk: 100}}
          judge:
            uses: evaluate.forecast
            in: {data: predict}
            with: {time: id, target: y, prediction: prediction}
        """,
    )
    done = project.treadle("run", "p.yaml")
    assert done.code == 0, done.stdout + done.stderr
    shown = json.loads(project.treadle("show", "last", "predict", "--json").stdout)
    assert shown["metrics"]["chunks"] == 5  # what `rows` made came as the stored file, not as a table in memory
    again = project.treadle("run", "p.yaml")
    assert again.stdout.splitlines()[-1].startswith("nothing to do")
