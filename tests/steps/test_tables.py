"""ingest, validate, split, features and simulate."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from treadle.authoring import StepError
from treadle_steps import features, ingest, simulate, split, validate

RIDES = simulate.rides(days=3, rides_per_day=200)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_csv_with_any_line_ending(tmp_path: Path, ending: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfname,n" + ending + b"NA,1" + ending + b"b,2" + ending)
    data = ingest.table(path, keep_default_na=False, na_values=[""])
    assert data.to_dict("list") == {"name": ["NA", "b"], "n": [1, 2]}
    assert ingest.table(path)["name"].isna().tolist() == [True, False]


def test_folder_json_lines_parquet_and_gzip(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1, 2], "y": [0.5, 1.5]})
    (tmp_path / "d").mkdir()
    frame.to_csv(tmp_path / "d/1.csv", index=False)
    (tmp_path / "d/2.csv.gz").write_bytes(gzip.compress((tmp_path / "d/1.csv").read_bytes()))
    frame.to_json(tmp_path / "d/3.jsonl", orient="records", lines=True)
    frame.to_parquet(tmp_path / "d/4.parquet")
    assert ingest.table(tmp_path / "d")["x"].tolist() == [1, 2] * 4
    assert ingest.table([tmp_path / "d/4.parquet"], columns=["y"]).columns.tolist() == ["y"]


def test_ingest_names_the_file_and_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "latin.csv").write_bytes("name\nJos\xe9\n".encode("latin-1"))
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "b.csv").write_text("z\n1\n")
    for source, words in (
        (tmp_path / "empty.csv", "empty.csv is empty"),
        (tmp_path / "latin.csv", "latin.csv cannot be decoded"),
        ([tmp_path / "a.csv", tmp_path / "b.csv"], "b.csv and a.csv differ in columns: x, z"),
    ):
        with pytest.raises(StepError, match=words):
            ingest.table(source)
    with pytest.raises(StepError, match="no column 'q'"):
        ingest.table(tmp_path / "a.csv", parse_dates=["q"])


def test_the_city_is_the_same_every_time_and_changes_with_the_competitor() -> None:
    pd.testing.assert_frame_equal(simulate.rides(days=3, rides_per_day=200), RIDES)
    assert not simulate.rides(days=3, rides_per_day=200, seed=8).equals(RIDES)
    after = simulate.rides(days=40, competitor_day=20)
    day = (after["ts"] - after["ts"].min().normalize()).dt.days
    assert after["multiplier"][day >= 20].mean() < after["multiplier"][day < 20].mean() - 0.05


def test_split_at_random_is_reproducible_and_stratified() -> None:
    train, test = split.random(RIDES, test_share=0.25, seed=3)
    assert (len(train), len(test)) == (450, 150)
    assert set(train["ride_id"]).isdisjoint(test["ride_id"])
    pd.testing.assert_frame_equal(split.random(RIDES, test_share=0.25, seed=3).test, test)
    shares = (
        split.random(RIDES, test_share=0.2, stratify="zone").test["zone"].value_counts() / RIDES["zone"].value_counts()
    )
    assert shares.between(0.15, 0.25).all()


def test_split_by_time_never_trains_on_the_future() -> None:
    train, test = split.by_time(RIDES, column="ts", test_share=0.3)
    assert train["ts"].max() < test["ts"].min()
    assert split.by_time(RIDES, column="ts", cutoff="2025-01-08").test["ts"].min() >= pd.Timestamp("2025-01-08")
    with pytest.raises(StepError, match="did you mean 'ts'"):
        split.by_time(RIDES, column="tss")


def test_datetime_parts() -> None:
    data = pd.DataFrame({"t": pd.to_datetime(["2025-01-04 23:00", "2025-07-07 06:00"])})
    made = features.datetime(data, column="t", parts=["hour", "weekday", "is_weekend"])
    assert made[["t_hour", "t_weekday", "t_is_weekend"]].to_numpy().tolist() == [[23, 5, 1], [6, 0, 0]]
    cyclic = features.datetime(data, column="t", parts=["hour"], cyclic=True, drop=True)
    np.testing.assert_allclose(cyclic["t_hour_sin"] ** 2 + cyclic["t_hour_cos"] ** 2, 1)
    with pytest.raises(StepError, match="did you mean 'hour'"):
        features.datetime(data, column="t", parts=["hours"])


TABLE = pd.DataFrame(
    {
        "id": ["a", "b", "c", "d"],
        "n": [1, 2, 3, 400],
        "x": [0.5, np.nan, 1.5, 2.5],
        "zone": ["A", "B", "A", "Q"],
        "t": pd.to_datetime(["2025-01-01"] * 4),
    }
)
RULES = [
    ({"id": {"dtype": "int"}}, {}, "id: is"),
    ({"missing": {}}, {}, "missing: the column is not there"),
    ({"n": {"max": 300}}, {}, "n: is above 300 in 1 of 4 rows"),
    ({"n": {"min": 2}}, {}, "n: is below 2"),
    ({"x": {}}, {}, "x: is missing in 1 of 4 rows"),
    ({"zone": {"in": ["A", "B"]}}, {}, "zone: is outside the allowed values"),
    ({"zone": {"in": ["A", "B"], "unseen": {"max_share": 0.1}}}, {}, "zone: is outside"),
    ({"zone": {"unique": True}}, {}, "zone: stands more than once"),
    ({"id": {"regex": "[abc]"}}, {}, "id: does not match"),
    ({"id": {"length": {"min": 2}}}, {}, "id: has not 2"),
    ({}, {"rows": {"min": 10}}, "the table has 4 rows"),
    ({}, {"key": ["zone"]}, "zone: the key stands more than once"),
    ({}, {"extra_columns": "error"}, "columns that the schema does not name"),
    ({}, {"fresh": {"column": "t", "max_age": "6h"}}, "the newest row is"),
    ({}, {"expect": [{"expr": "n < 100 and n > 0", "name": "few"}]}, "few: is not so in 1 of 4 rows"),
]
FINE = {"id": {}, "n": {}, "x": {"null": {"max_share": "30%"}}, "zone": {}, "t": {}}


@pytest.mark.parametrize(("columns", "table", "words"), RULES)
def test_every_rule_finds_what_breaks_it_and_passes_what_does_not(columns: object, table: object, words: str) -> None:
    with pytest.raises(StepError) as caught:
        validate.table(TABLE, schema={"version": 1, "columns": columns or {"id": {}}, "table": table})
    assert words in str(caught.value)
    assert validate.table(TABLE, schema={"version": 1, "columns": FINE}).report["ok"]


@pytest.mark.parametrize(
    "columns",
    [
        {"n": {"max": 300, "mostly": 0.7}},
        {"n": {"max": 300, "severity": "warn"}},
        {"n": {"max": 300, "environments": ["train"]}},
        {"gone": {"required": False}},
        {"zone": {"in": ["A", "B"], "unseen": {"max_share": 0.25}}},
    ],
)
def test_tolerances(columns: dict[str, object]) -> None:
    assert validate.table(TABLE, schema={"version": 1, "columns": columns}, environment="serve").report["ok"]


def test_quarantine_sets_rows_aside_and_all_failures_are_listed() -> None:
    schema = {"version": 1, "columns": {"n": {"max": 300}, "zone": {"in": ["A"]}, "x": {"null": {"max_share": 0.5}}}}
    found = validate.table(TABLE, schema=schema, on_fail="quarantine_rows")
    assert found.data["id"].tolist() == ["a", "c"]
    assert found.quarantine["id"].tolist() == ["b", "d"]
    assert found.metrics == {"rows": 4.0, "failed_rows": 2.0, "errors": 2.0, "warnings": 0.0}
    with pytest.raises(StepError, match="2 checks failed") as caught:
        validate.table(TABLE, schema=schema)
    assert "row 3: 400" in str(caught.value)


def test_a_schema_file_is_checked_with_places(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("version: 1\ncolumns:\n  n: {dtyp: int}\n")
    with pytest.raises(StepError, match=r"s.yaml:3:7: 'n' has no key 'dtyp' \(did you mean 'dtype'\?\)"):
        validate.table(TABLE, schema=str(path))


def test_skew_against_a_reference() -> None:
    schema = {"version": 1, "columns": {"demand": {}}, "skew": {"psi": 0.2}}
    assert validate.table(RIDES, RIDES, schema=schema).report["ok"]
    with pytest.raises(StepError, match="PSI"):
        validate.table(RIDES.assign(demand=RIDES["demand"] * 3), RIDES, schema=schema)
