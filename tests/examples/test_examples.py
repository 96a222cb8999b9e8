"""Every example and the reference pipeline run from a copy, and do nothing the second time."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.project import a_project
from support.sources import ROOT

UBER = Path(os.environ.get("TREADLE_UBER_CSV", ROOT.parent / "shared/data/uber_nyc_2015_hourly.csv"))


def runs_twice(folder: Path, pipeline: str, tmp_path: Path) -> dict[str, dict[str, float]]:
    """Run a copied project twice; the metrics of each step."""
    project = a_project(tmp_path)
    project.root = folder
    assert project.treadle("check", ".").code == 0
    first = project.treadle("run", pipeline)
    assert first.code == 0, first.stdout + first.stderr
    again = project.treadle("run", pipeline)
    assert again.stdout.splitlines()[-1].startswith("nothing to do"), again.stdout
    steps = project.treadle("show", "last", "--json").json()["steps"]
    return {name: step["metrics"] for name, step in steps.items()}


def test_the_reference_pipeline(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "pipelines", tmp_path / "p/pipelines")
    (tmp_path / "p/treadle.toml").touch()
    found = runs_twice(tmp_path / "p", "pipelines/surge_pricing.yaml", tmp_path)
    assert found["evaluate"]["mae"] < 0.06


def test_the_shell_example(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples/shell", tmp_path / "p")
    found = runs_twice(tmp_path / "p", "pipelines/sales.yaml", tmp_path)
    assert found["summary"] == {"rows": 6.0, "regions": 4.0, "total": 1335.0}
    assert (tmp_path / "p/by_region.csv").read_text().startswith("region,amount\neast,310.0\n")


def test_the_uber_example_keeps_its_own_tests() -> None:
    folder = ROOT / "examples/uber_demand"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        ".",
        "tests",
    ]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not UBER.is_file(), reason="the Uber file is not here: see examples/uber_demand/README.md")
def test_the_uber_example_beats_last_week(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples/uber_demand", tmp_path / "p")
    (tmp_path / "p/data").mkdir()
    shutil.copy(UBER, tmp_path / "p/data/uber_nyc_2015_hourly.csv")
    found = runs_twice(tmp_path / "p", "pipelines/uber.yaml", tmp_path)
    assert found["judge"]["mae"] < found["judge"]["naive_mae"]


def test_the_tabular_example(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples/tabular", tmp_path / "p")
    found = runs_twice(tmp_path / "p", "pipelines/churn.yaml", tmp_path)
    assert found["evaluate"]["auc"] > 0.75
