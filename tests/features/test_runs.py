"""Runs as experiments: list, filter, compare, best, tag, export."""

import csv
import io

import pytest

from support.project import Project, a_project
from treadle.cli import table

PIPELINE = """
    version: 1
    name: forecast
    params: {depth: 2, note: plain}
    steps:
      fit: {uses: "work:fit", with: {depth: "${params.depth}"}}
      score: {uses: "work:score", in: {model: fit}}
"""
WORK = """
    def fit(*, depth: int) -> int:
        if depth == 13:
            raise ValueError("no")
        return depth


    def score(model: int) -> dict[str, float]:
        return {"mae": 10.0 / model, "rows": 7}
"""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three runs, and one that failed."""
    project = a_project(tmp_path_factory.mktemp("sweep"), {})
    project.write("p.yaml", PIPELINE).write("work.py", WORK)
    for depth in (2, 8, 4, 13):
        project.treadle("run", "p.yaml", "-q", "-p", f"depth={depth}")
    return project


def depths(project: Project, *arguments: str) -> list[int]:
    return [one["params"]["depth"] for one in project.treadle("runs", "list", "--json", *arguments).json()]


def test_the_list_is_newest_first_and_can_be_filtered_and_sorted(sweep: Project) -> None:
    assert depths(sweep) == [13, 4, 8, 2]
    assert depths(sweep, "--limit", "1") == [13]
    assert depths(sweep, "--where", "score.mae < 4 and params.depth > 2") == [4, 8]
    assert depths(sweep, "--where", "status == 'failed'") == [13]
    assert depths(sweep, "--sort", "score.mae") == [8, 4, 2]
    assert depths(sweep, "--sort", "score.mae", "--max", "--limit", "2") == [2, 4]
    assert depths(sweep, "--pipeline", "other") == []


def test_the_figures_that_were_asked_for_are_columns(sweep: Project) -> None:
    lines = sweep.treadle("runs", "list", "--where", "score.mae < 4").stdout.splitlines()
    assert lines[0].split() == ["run", "pipeline", "status", "began", "took", "score.mae", "steps"]
    assert [line.split()[-3:] for line in lines[1:]] == [["2.5", "2", "run"], ["1.25", "2", "run"]]


def test_the_best_run_has_finished(sweep: Project) -> None:
    assert sweep.treadle("runs", "best", "score.mae", "--json").json()["params"]["depth"] == 8
    assert sweep.treadle("runs", "best", "score.mae", "--max", "--json").json()["params"]["depth"] == 2
    assert sweep.treadle("runs", "best", "params.depth", "--max", "--json").json()["params"]["depth"] == 8


def test_a_comparison_shows_what_differs_and_by_how_much(sweep: Project) -> None:
    ids = [one["run_id"] for one in sweep.treadle("runs", "--json").json()]
    found = sweep.treadle("runs", "compare", ids[3], ids[2])
    assert found.stdout.splitlines() == [
        f"params  {ids[3]}  {ids[2]}",
        "depth   2                     8 (+6)",
        "",
        f"metrics    {ids[3]}  {ids[2]}",
        "score.mae  5                     1.25 (-3.75)",
        "",
        "2 more parameters and metrics are the same",
    ]
    three = sweep.treadle("runs", "compare", ids[3], ids[2], ids[0], "--json").json()
    assert three["metrics"][0] == {"name": "score.mae", "values": [5.0, 1.25, None], "deltas": [0.0, -3.75, None]}
    assert [one["values"] for one in three["steps"]] == [["run", "run", "failed"], ["run", "run", "skip"]]
    by_place = sweep.treadle("runs", "compare", "last~3", "last~2").stdout
    assert by_place == found.stdout
    newest = sweep.treadle("runs", "compare", "--json").json()
    assert [one["run"]["run_id"] for one in newest["runs"]] == [ids[1], ids[0]]


def test_a_narrow_terminal_leaves_out_columns_before_it_cuts_an_id() -> None:
    row = ("20250106-093000-1a2b", "forecast", "ok", "2025-01-06 09:30:00", "2m 05s", "0123abcd", "8 run")
    head = ("run", "pipeline", "status", "began", "took", "commit", "steps")
    spare = ("commit", "began", "took")
    shown = {edge: table.render(head, [row], False, edge, spare).splitlines() for edge in (79, 78, 60, 40)}
    assert shown[79][0].split() == ["run", "pipeline", "status", "began", "took", "steps"]
    assert shown[60][0].split() == ["run", "pipeline", "status", "took", "steps"]
    assert shown[40] == ["run              pipeline  status  steps", "20250106-09300…  forecast  ok      8 run"]
    for edge, lines in shown.items():
        assert max(map(len, lines)) <= edge
        assert edge == 40 or lines[1].startswith(row[0])


def test_tags_are_put_on_and_taken_off(project: Project) -> None:
    project.write("p.yaml", PIPELINE).write("work.py", WORK)
    project.treadle("run", "p.yaml", "-q")
    project.treadle("run", "p.yaml", "-q", "-p", "depth=4")
    assert project.treadle("runs", "tag", "last", "baseline", "good").code == 0
    project.treadle("runs", "tag", "last", "baseline")
    assert depths(project, "--tag", "baseline", "--tag", "good") == [4]
    assert project.treadle("runs", "--json").json()[0]["tags"] == ["baseline", "good"]
    assert "baseline good" in project.treadle("runs").stdout
    for rule, count in {
        "tag == 'good'": 1,
        "tag != 'good'": 1,
        "not tag == 'baseline' or params.depth == 4": 2,
        "tag == 'bad'": 0,
    }.items():
        found = project.treadle("runs", "list", "--json", "--where", rule).json()
        assert len(found) == count, rule
    assert project.treadle("runs", "tag", "last", "good", "--remove").code == 0
    assert depths(project, "--tag", "good") == []
    gone = project.treadle("runs", "tag", "last", "bseline", "--remove")
    assert (gone.code, "did you mean 'baseline'?" in gone.stderr) == (2, True)


def test_the_export_has_a_row_for_each_run(sweep: Project) -> None:
    import pandas as pd

    assert sweep.treadle("runs", "export", "-o", "runs.csv").stdout == "runs.csv: 4 runs\n"
    rows = list(csv.DictReader(io.StringIO(sweep.read("runs.csv"))))
    assert [(row["params.depth"], row["score.mae"]) for row in rows] == [
        ("13", ""),
        ("4", "2.5"),
        ("8", "1.25"),
        ("2", "5.0"),
    ]
    assert sweep.treadle("runs", "export", "-o", "runs.parquet", "--where", "status == 'ok'").code == 0
    frame = pd.read_parquet(sweep.root / "runs.parquet")
    assert frame["score.mae"].tolist() == [2.5, 1.25, 5.0]
    ids = [one["run_id"] for one in sweep.treadle("runs", "--where", "status == 'ok'", "--json").json()]
    assert frame["started"].dt.strftime("%Y%m%d-%H%M%S").tolist() == [one[:15] for one in ids]  # in UTC, as here
    assert rows[0]["started"].endswith("+00:00")
    assert frame["pipeline"].tolist() == ["forecast"] * 3
    assert [name.name for name in sweep.root.glob("*.part")] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["foo"], "one of list, show, compare, best, tag, export"),
        (["list", "--where", "score.mea < 1"], "did you mean 'score.mae'?"),
        (["list", "--where", "score.mae <"], "this is not an expression"),
        (["list", "--where", "tag = 'good'"], "two values are compared by ==\n  tag = 'good'\n      ^"),
        (["list", "--where", "tag == good"], "a text has quotes: 'good'"),
        (["list", "--where", "tags == 'good'"], "did you mean 'tag'?"),
        (["list", "--limit", "0"], "give a number above 0"),
        (["best"], "takes a metric"),
        (["best", "score.mea"], "did you mean 'score.mae'?"),
        (["compare", "last"], "a comparison needs two runs"),
        (["compare", "last~9", "last"], "no run is called 'last~9'"),
        (["compare", "nothing", "last"], "no run is called 'nothing'"),
        (["tag", "last"], "tag needs a run and a word"),
        (["tag", "last", "two words"], "a tag is a word"),
        (["export"], "export needs a file"),
        (["export", "-o", "runs.xlsx"], "neither with .csv nor with .parquet"),
        (["export", "-o", "no/such/folder/runs.csv"], "No such file or directory"),
    ],
)
def test_a_wrong_question_gets_a_clear_answer(sweep: Project, arguments: list[str], said: str) -> None:
    result = sweep.treadle("runs", *arguments)
    assert result.code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
