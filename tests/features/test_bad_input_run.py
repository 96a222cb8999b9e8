"""Wrong tables, databases, addresses and estimators, as a user meets them: by `treadle check` and `treadle run`."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dying import dying_server
from support.project import Project, Result, a_project

TABLES = """
    import numpy as np
    import pandas as pd

    N = 60


    def good():
        a = np.random.default_rng(1).normal(size=N)
        zone = np.tile(["x", "y", "z"], N // 3)
        return pd.DataFrame({"a": a, "b": 2 * a + 1, "zone": zone, "y": 3 * a, "up": a > 0})


    def missing():
        return good().rename(columns={"a": "aa"})


    def nothing():
        return good().assign(a=np.nan)


    def one_class():
        return good().assign(up=True)


    def empty():
        return good().head(0)


    def infinite():
        return good().assign(a=good()["a"].where(good().index != 7, np.inf))


    def mixed():
        return good().assign(a=[1, "two", 3.0, None] * (N // 4))


    def twice():
        return pd.concat([good(), good()[["a"]]], axis=1)


    def huge():
        return pd.concat([good()] * 40, ignore_index=True).assign(zone=[f"n{i}" for i in range(40 * N)])


    def took(source):
        return len(source.read_text())
"""
FILES = {
    "mixed.csv": "a,y\n1,2\ntwo,3\n3,4\n",
    "days.csv": "day,y\n2026-01-31,2\n2026-02-30,3\n",
    "twice.csv": "a,b,a\n1,2,3\n",
    "ragged.csv": "a,b\n1,2\n1,2,3,4\n",
    "zero.csv": "",
    "header.csv": "a,b\n",
}
RIDGE = "estimator: sklearn.linear_model.Ridge, target: y, features: [a, b]"
LOGIT = "estimator: sklearn.linear_model.LogisticRegression, target: up, features: [a, b]"
TRAIN, SPLIT = "uses: train.estimator", "uses: split.random"
# step → what it is, the first line of its failure, what that says to do
BAD = {
    "column_not_there": (
        f"{TRAIN}, in: {{data: missing}}, with: {{{RIDGE}}}",
        "the column 'a' is no column of the table",
        "did you mean 'aa'?",
    ),
    "column_to_predict_from_not_there": (
        "uses: predict.batch, in: {model: model, data: missing}",
        "'a' is no column of",
        "did you mean 'aa'?",
    ),
    "all_missing": (
        f"{TRAIN}, in: {{data: nothing}}, with: {{{RIDGE}}}",
        "feature 'a' is missing in all 60 rows",
        "leave it out, or give it values",
    ),
    "one_class_only": (
        f"{TRAIN}, in: {{data: one_class}}, with: {{{LOGIT}}}",
        "target 'up' has the one class True",
        "a classifier needs at least two",
    ),
    "no_rows": (
        f"{TRAIN}, in: {{data: empty}}, with: {{{RIDGE}}}",
        "data has no rows",
        "treadle show <step>",
    ),
    "file_without_rows": (f"{SPLIT}, in: {{data: header}}", "data has no rows", "treadle show <step>"),
    "infinite_value": (
        f"{TRAIN}, in: {{data: infinite}}, with: {{{RIDGE}}}",
        "feature 'a' is inf in 1 of 60 rows (first: row 7)",
        "division by zero upstream?",
    ),
    "infinite_target": (
        "uses: evaluate.regression, in: {model: model, data: infinite}, with: {target: a}",
        "'a' is inf in 1 of 60 rows (first: row 7)",
        "division by zero upstream?",
    ),
    "mixed": (
        'uses: "tables:mixed"',
        "column 'a' mixes kinds of values: 'two' in row 1 is none of the others' kind, such as 1",
        "make one kind of them",
    ),
    "mixed_file": (
        "uses: ingest.table, in: {source: data.mixed}, with: {dtypes: {a: int64}}",
        "column 'a' is not int64: 'two' in row 1 of mixed.csv",
        "mend the value",
    ),
    "no_day": (
        "uses: ingest.table, in: {source: data.days}, with: {parse_dates: [day]}",
        "column 'day' holds no dates: '2026-02-30' in row 1 of days.csv",
        "date_format",
    ),
    "twice": ('uses: "tables:twice"', "the table has the column 'a' more than once", "rename one of them"),
    "twice_in_file": (
        "uses: ingest.table, in: {source: data.twice}",
        "twice.csv has the column 'a' more than once",
        "rename one of them in the file",
    ),
    "huge_categories": (
        f"{TRAIN}, in: {{data: huge}}, with: {{estimator: sklearn.linear_model.Ridge, target: y}}",
        "column 'zone' has 2,400 different values (such as 'n0')",
        "max_categories",
    ),
    "empty_file": ("uses: ingest.table, in: {source: data.zero}", "zero.csv is empty", "written to its end?"),
    "ragged": (
        "uses: ingest.table, in: {source: data.ragged}",
        "ragged.csv cannot be read as csv: Error tokenizing data. C error: Expected 2 fields in line 3, saw 4",
        "another delimiter?",
    ),
    "value_of_a_parameter": (
        f"{TRAIN}, in: {{data: good}}, with: {{{RIDGE}, alpha: much}}",
        "The 'alpha' parameter of Ridge must be a float in the range [0.0, inf)",
        "",
    ),
    "database_away": (
        "uses: ingest.sql, with: {query: select 1, secret: SHOP}, secrets: [SHOP]",
        "postgresql://me:…@127.0.0.1:PORT/shop cannot be reached: ",
        "is the server up, and the name right?",
    ),
    "no_database": (
        "uses: ingest.sql, with: {query: select 1, database: shop.db}",
        "database 'shop.db' is no URL",
        "sqlite:///shop.db",
    ),
    "no_secret_database": (
        "uses: ingest.sql, with: {query: select 1, secret: NOTE}, secrets: [NOTE]",
        "the secret NOTE holds no URL",
        "postgresql://user:password@host/name",
    ),
    "url_dies": (
        "uses: ingest.url, with: {url: 'http://127.0.0.1:DYING/rows.csv'}",
        "http://127.0.0.1:DYING/rows.csv stopped after 20 of 1,000 bytes",
        "run again: nothing was kept",
    ),
    "url_of_data_dies": (
        'uses: "tables:took", in: {source: data.remote}',
        "data 'remote': http://127.0.0.1:DYING/rows.csv",
        "",
    ),
}
MADE_BY = ("missing", "nothing", "one_class", "empty", "infinite", "huge", "good")


@pytest.fixture
def dying() -> Iterator[int]:
    with dying_server() as port:
        yield port


def no_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def a_bad_project(tmp_path: Path, ports: dict[str, int]) -> Project:
    project = a_project(tmp_path, {"tables.py": TABLES})
    for name, content in FILES.items():
        (project.root / name).write_text(content)
    data = [f"{Path(name).stem}: {{path: {name}}}" for name in FILES] + [
        'remote: {url: "http://127.0.0.1:DYING/rows.csv"}'
    ]
    steps = [f'{name}: {{uses: "tables:{name}"}}' for name in MADE_BY]
    steps += ["header: {uses: ingest.table, in: {source: data.header}}"]
    steps += [f"model: {{{TRAIN}, in: {{data: good}}, with: {{{RIDGE}}}}}"]
    for name, (words, _, _) in BAD.items():
        kept = f", save: {{out: made/{name}.parquet}}" if "ingest." in words or "tables:" in words else ""
        steps.append(f"{name}: {{{words}{kept}}}")
    lines = [
        "version: 1",
        "name: bad",
        "data:",
        *(f"  {one}" for one in data),
        "steps:",
        *(f"  {one}" for one in steps),
    ]
    text = "\n".join(lines) + "\n"
    for word, port in ports.items():
        text = text.replace(word, str(port))
    return project.write("bad.yaml", text)


def test_each_names_what_is_wrong_and_what_to_do(tmp_path: Path, dying: int) -> None:
    ports = {"DYING": dying, "PORT": no_port()}
    project = a_bad_project(tmp_path, ports)
    secrets = {"SHOP": f"postgresql://me:hush@127.0.0.1:{ports['PORT']}/shop", "NOTE": "hush"}
    before = {path.relative_to(project.root) for path in project.root.rglob("*")}
    found = project.treadle("run", "bad.yaml", env=secrets)
    assert found.code == 1, found.stdout + found.stderr
    steps = project.treadle("show", "last", "--json").json()["steps"]
    assert {name for name, step in steps.items() if step["fate"] == "failed"} == set(BAD)
    for name, (_, text, hint) in BAD.items():
        for word, port in ports.items():
            text = text.replace(word, str(port))
        told, _, do = steps[name]["failure"]["message"].partition("\n")
        assert text in told, f"{name}: {told}"
        assert hint in do, f"{name}: {do}"
        assert name == "value_of_a_parameter" or steps[name]["failure"]["traceback"] == "", name
    assert_nothing_of_ours(project, found)
    assert_nothing_half_written(project, before)


def assert_nothing_of_ours(project: Project, found: Result) -> None:
    """Neither what is printed nor any log shows our own code, or a secret."""
    logs = [path.read_text() for path in (project.root / ".treadle" / "logs").rglob("*.log")]
    for text in (found.stdout, found.stderr, *logs):
        assert "Traceback" not in text
        assert "treadle_steps" not in text
        assert "hush" not in text


def assert_nothing_half_written(project: Project, before: set[Path]) -> None:
    ours = {".treadle", "__pycache__"}
    after = {path.relative_to(project.root) for path in project.root.rglob("*")}
    assert {path for path in after - before if path.parts[0] not in ours} == set()
    assert list((project.root / ".treadle" / "tmp").iterdir()) == []
    assert list((project.root / ".treadle").glob("remote/*/*")) == []
    assert project.treadle("cache", "verify").code == 0


def test_check_knows_estimators_and_their_parameters(tmp_path: Path) -> None:
    project = a_project(tmp_path, {"tables.py": TABLES})
    project.write(
        "p.yaml",
        """
        version: 1
        name: p
        steps:
          good: {uses: "tables:good"}
          fit:
            uses: train.estimator
            in: {data: good}
            with:
              estimator: sklearn.linear_model.Rigde
              target: y
          search:
            uses: train.search
            in: {data: good}
            with:
              estimator: sklearn.linear_model.Ridge
              target: y
              space: {alhpa: [1, 2]}
          short:
            uses: train.estimator
            in: {data: good}
            with: {estimator: Ridge, target: y}
          word:
            uses: train.estimator
            in: {data: good}
            with: {estimator: sklearn.linear_model.Ridge, target: y, parms: {alpha: 1}}
        """,
    )
    found = project.treadle("check", "p.yaml", "--format", "json")
    assert found.code == 2
    told = [
        (one["where"]["line"], one["where"]["column"], one["text"], one["hint"])
        for one in found.json()["problems"]
        if one["severity"] == "error"
    ]
    assert told == [
        (9, 18, "'sklearn.linear_model' has no 'Rigde'", "did you mean 'Ridge'?"),
        (17, 15, "'sklearn.linear_model.Ridge' has no parameter 'alhpa'", "did you mean 'alpha'?"),
        (21, 23, "'Ridge' has no module", "write it in full, as in package.module.Class"),
        (25, 62, "'sklearn.linear_model.Ridge' has no parameter 'parms'", "did you mean 'params'?"),
    ]
    assert project.treadle("run", "p.yaml").code == 2
    assert not (project.root / ".treadle" / "logs").exists()
