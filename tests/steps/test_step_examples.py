"""The examples in the docstrings of the library's steps, which are those of its pages: one pipeline, which runs."""

import sqlite3
from pathlib import Path

import pandas as pd

from support.project import Project, a_project
from support.sources import ROOT
from treadle.api import library
from treadle_steps.simulate import rides

HEAD = """\
version: 1
name: examples
data:
  trips: {path: data/trips.csv}
  live: {path: data/live.parquet}
  champion: {path: data/champion.parquet}
steps:
"""


def a_city(tmp_path: Path) -> Project:
    """What the examples read: trips, a shop's database, and what was predicted and came true."""
    project = a_project(tmp_path)
    (project.root / "data").mkdir()
    trips = rides(days=30, rides_per_day=100)
    trips.to_csv(project.root / "data/trips.csv", index=False)
    told = trips.assign(prediction=trips["multiplier"] + 0.02, outcome=trips["multiplier"])
    told.iloc[:2000].to_parquet(project.root / "data/champion.parquet")
    told.iloc[2000:].to_parquet(project.root / "data/live.parquet")
    with sqlite3.connect(project.root / "data/shop.db") as shop:
        pd.DataFrame({"zone": ["Z1", "Z2"], "amount": [5.0, 20.0]}).to_sql("orders", shop, index=False)
    shop.close()
    project.write("zones.csv", "zone,name\nZ1,North\n")
    return project.write("trips.schema.yaml", (ROOT / "pipelines/rides.schema.yaml").read_text())


def test_every_example_of_the_library_runs(tmp_path: Path) -> None:
    project = a_city(tmp_path)
    steps = [step for step in library.list_steps() if step.call.startswith("treadle_steps.")]
    assert [step.name for step in steps if "…" in step.example or "STEP" in step.example] == []
    text = HEAD + "\n".join(step.example for step in steps) + "\n"
    project.write("p.yaml", text.replace("https://example.com/", f"file://{project.root}/"))
    found = project.treadle("run", "p.yaml", env={"NUMBA_DISABLE_JIT": "1"})  # shap compiles for longer than it works
    assert found.code == 0, found.stdout + found.stderr
    made = project.treadle("show", "last", "--json").json()["steps"].values()
    assert [
        step["id"] for step in made if step["fate"] != "run" or not all(gate["passed"] for gate in step["gates"])
    ] == []
    assert (project.root / "proposed.schema.yaml").exists()
    assert len(pd.read_parquet(project.root / "predictions.parquet")) > 100
