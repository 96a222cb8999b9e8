"""`treadle predict` beside `treadle serve`: the same inputs give the same predictions, to the last bit."""

import csv
import json
import re
import signal
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from support.project import Project, a_project
from support.served import Sums, a_version
from treadle.errors import TreadleError
from treadle.serve.batch import predict_file
from treadle.serve.files import CHUNK

ROWS = 130
PIPELINE = """
    version: 1
    steps:
      make: {uses: "work:make", out: [linear, trees, names, data]}
      linear: {uses: deploy.model, in: {model: make.linear, reference: make.data}, with: {name: linear}}
      trees: {uses: deploy.model, in: {model: make.trees, reference: make.data}, with: {name: trees}}
      names: {uses: deploy.model, in: {model: make.names, reference: make.data}, with: {name: names}}
"""
WORK = """
    import numpy as np
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler


    def make():
        rng = np.random.default_rng(0)
        data = pd.DataFrame({f"x{n}": rng.normal(size=400) for n in range(9)})
        data["zone"] = rng.choice(list("abc"), 400)
        y = data["x0"] * 2 + (data["zone"] == "a") + rng.normal(size=400)
        numbers = [name for name in data if name != "zone"]

        def prepared(last):
            zones = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
            return make_pipeline(ColumnTransformer([("n", StandardScaler(), numbers), ("z", zones, ["zone"])]), last)

        trees = prepared(HistGradientBoostingRegressor(max_iter=20)).fit(data, y)
        named = prepared(LogisticRegression()).fit(data, np.where(y > 0, "high", "low"))
        return prepared(Ridge()).fit(data, y), trees, named, data
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = a_project(tmp_path_factory.mktemp("shop"))
    project.write("p.yaml", PIPELINE).write("work.py", WORK)
    ran = project.treadle("run", "p.yaml")
    assert ran.code == 0, ran.stdout + ran.stderr
    table().to_parquet(project.root / "rows.parquet")
    table().to_csv(project.root / "rows.csv", index=False)
    lines = (json.dumps(row) + "\n" for row in table().to_dict("records"))
    (project.root / "rows.jsonl").write_text("".join(lines))
    return project


def table() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    made = pd.DataFrame({"id": [f"{n:04d}" for n in range(ROWS)]})
    for n in range(9):
        made[f"x{n}"] = rng.normal(size=ROWS) * 10.0 ** rng.integers(-3, 4, ROWS)
    made["zone"] = rng.choice(["a", "b", "c", "new, with a comma"], ROWS)
    return made


def predicted(project: Project, model: str, source: str, target: str) -> list[Any]:
    made = project.treadle("predict", model, "--in", source, "--out", target, "--json")
    assert made.code == 0, made.stderr
    assert made.json()["rows"] == ROWS
    path = project.root / target
    if target.endswith(".parquet"):
        frame = pd.read_parquet(path)
    elif target.endswith(".csv"):
        with path.open(newline="") as file:
            frame = pd.DataFrame(list(csv.DictReader(file)))
    else:
        frame = pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
    assert frame["id"].tolist() == table()["id"].tolist()
    assert [*frame] == [*table(), "prediction"]
    return [float(one) if model in ("linear", "trees") else one for one in frame["prediction"]]


@pytest.mark.slow
def test_the_same_rows_have_the_same_predictions_alone_together_and_in_a_table(shop: Project) -> None:
    records = table().drop(columns="id").to_dict("records")
    with shop.start("serve", "p.yaml", "--port", "0") as server:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found
        answers: dict[str, list[Any]] = {}
        for model in ("linear", "trees", "names"):
            sizes = (1, 7, 64, ROWS)
            per_size = [
                [one for n in range(0, ROWS, s) for one in ask(found[0], model, records[n : n + s])] for s in sizes
            ]
            assert all(answer == per_size[0] for answer in per_size[1:]), model
            answers[model] = per_size[0]
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
    for model, source, target in (
        ("linear", "rows.csv", "out.csv"),
        ("trees", "rows.jsonl", "out.parquet"),
        ("names@champion", "rows.parquet", "out.jsonl"),
    ):
        assert predicted(shop, model, source, target) == answers[re.split("[@/]", model)[0]], (model, source)


def ask(url: str, model: str, rows: list[dict[str, Any]]) -> list[Any]:
    body = json.dumps({"instances": rows}).encode()
    with urllib.request.urlopen(f"{url}/v1/models/{model}:predict", body, timeout=30) as answer:
        found: list[Any] = json.load(answer)["predictions"]
    return found


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "wet.csv",
            "id,a,b,c\n" + "x,1,2,3\n" * 9000 + "x,1,wet,3\n",
            "field 'b', row 9000: 'wet' is not a finite number",
        ),
        ("nan.csv", "a,b,c\n1,2,nan\n", "row 0: nan is not a finite number; a missing value is taken only where"),
        ("taken.csv", "a,b,c,prediction\n1,2,3,4\n", " has a column 'prediction' already; rename it"),
        ("twice.csv", "a,a,b,c\n1,1,2,3\n", "two columns are called 'a'"),
        ("short.csv", "a,b,c\n1,2\n", " cannot be read: CSV parse error"),
        ("few.jsonl", '{"a": 1, "b": 2}\n', "field 'c' is missing; expected a finite number"),
        ("torn.jsonl", '{"a": 1, "b": 2, "c": 3}\n{"a":\n', ":2: this line is no JSON object"),
        ("torn.parquet", "PAR1 but not for long", " cannot be read: "),
        ("empty.csv", "", " has no rows"),
        ("head.csv", "a,b,c\n", " has no rows"),
        ("cursed.csv", "a,b,c\n666,0,0\n", "rows 0 to 8191: the model failed"),
    ],
)
def test_what_the_model_does_not_take_is_named_and_nothing_is_written(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    source = write(tmp_path, name, text)
    with pytest.raises(TreadleError) as refused:
        predict_file(Sums(a_version(1)), source, str(tmp_path / "out.csv"))
    assert str(refused.value).startswith(source) and said in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_what_is_passed_on_comes_out_as_it_was_and_types_survive(tmp_path: Path) -> None:
    text = 'id,a,b,note,c\n007,1.10,2,"a, b",3\n008,1,2,,3\n'
    source = write(tmp_path, "in.csv", text)
    counts = predict_file(Sums(a_version(2)), source, str(tmp_path / "out.csv"))
    assert (counts.rows, counts.columns) == (2, ("prediction",))
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines == ["id,a,b,note,c,prediction", '007,1.10,2,"a, b",3,12.2', "008,1,2,,3,12.0"]
    predict_file(Sums(a_version(2)), source, str(tmp_path / "out.parquet"))
    frame = pd.read_parquet(tmp_path / "out.parquet")
    assert frame["id"].tolist() == ["007", "008"] and frame["a"].tolist() == [1.1, 1.0]


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    model = Sums(a_version(1))
    frame = pd.DataFrame({name: (np.arange(40_000.0) + 0.25) for name in "abc"})
    frame.to_parquet(tmp_path / "in.parquet", row_group_size=15_000)
    assert predict_file(model, str(tmp_path / "in.parquet"), str(tmp_path / "out.parquet")).rows == 40_000
    assert max(model.calls) <= CHUNK  # never more than a chunk at once
    expected = 3 * (np.arange(40_000.0) + 0.25)
    assert pd.read_parquet(tmp_path / "out.parquet")["prediction"].tolist() == expected.tolist()


def test_bad_arguments_are_named(project: Project) -> None:
    project.write("rows.csv", "a\n1\n")
    for words, said in (
        (["linear", "--in", "rows.txt", "--out", "o.csv"], "--in rows.txt does not end with .csv, .jsonl, .parquet"),
        (["linear", "--in", "rows.csv", "--out", "rows.csv"], "--in and --out are the same file"),
        (["linear", "--in", "gone.csv", "--out", "o.csv"], "gone.csv is not there"),
        (["nobody", "--in", "rows.csv", "--out", "o.csv"], "no model is registered here"),
    ):
        refused = project.treadle("predict", *words)
        assert refused.code == 2 and said in refused.stderr, refused.stderr
