"""The commands that look: plan, graph, runs, show, steps, schema, check."""

import json
from pathlib import Path

import jsonschema
import pytest

import treadle
from support.project import Project
from support.sources import ROOT

PIPELINE = """
    version: 1
    params: {n: 2}
    steps:
      a: {uses: "work:one", with: {n: "${params.n}"}}
      b: {uses: "work:two", in: {x: a}}
"""
WORK = "def one(*, n: int) -> int:\n    return n\n\n\ndef two(x: int) -> dict[str, float]:\n    return {'y': x * 2}\n"


@pytest.fixture
def pair(project: Project) -> Project:
    return project.write("pipeline.yaml", PIPELINE).write("work.py", WORK)


def test_what_plan_promises_run_does(pair: Project) -> None:
    plan = pair.treadle("plan", "pipeline.yaml", "--json", "--detailed-exitcode")
    assert plan.code == 3
    assert [step["fate"] for step in plan.json()["steps"]] == ["run", "wait"]
    assert pair.treadle("run", "pipeline.yaml").code == 0
    after = pair.treadle("plan", "pipeline.yaml", "--json", "--detailed-exitcode")
    assert after.code == 0
    assert [step["fate"] for step in after.json()["steps"]] == ["hit", "hit"]


def test_graph_draws_every_edge(pair: Project) -> None:
    assert pair.treadle("graph", "pipeline.yaml").stdout == "a (run)\n└─ b (wait)\n"
    assert "s0 --> s1" in pair.treadle("graph", "pipeline.yaml", "--format", "mermaid").stdout
    assert '"a" -> "b";' in pair.treadle("graph", "pipeline.yaml", "--format", "dot").stdout
    assert pair.treadle("graph", "pipeline.yaml", "--json").json()["layers"] == [["a"], ["b"]]


def test_runs_and_show(pair: Project) -> None:
    assert pair.treadle("runs").stdout == "no run has been recorded here\n"
    pair.treadle("run", "pipeline.yaml")
    assert pair.treadle("runs", "--json").json()[0]["status"] == "ok"
    assert "metric   y = 4" in pair.treadle("show", "last", "b").stdout
    missing = pair.treadle("show", "last", "c")
    assert missing.code == 2
    assert "no step called 'c'" in missing.stderr


def test_wrong_words_end_with_code_2_and_the_nearest_word(pair: Project) -> None:
    assert "did you mean 'check'?" in pair.treadle("chekc").stderr
    for arguments in (("chekc",), ("run",), ("run", "pipeline.yaml", "-p", "m=1"), ("run", "pipeline.yaml", "zz")):
        result = pair.treadle(*arguments)
        assert result.code == 2
        assert "Traceback" not in result.stderr


def test_check_writes_every_format(pair: Project) -> None:
    pair.write("pipeline.yaml", PIPELINE.replace("x: a", "x: aa").replace("with:", "wiht:"))
    text = pair.treadle("check", "pipeline.yaml")
    assert text.code == 2
    assert "error[unknown-key]" in text.stdout
    assert "hint: did you mean 'with'?" in text.stdout
    assert "error[unknown-step]" in text.stdout
    found = pair.treadle("check", "pipeline.yaml", "--json").json()
    assert {p["code"] for p in found["problems"]} >= {"unknown-key", "unknown-step"}
    assert "::error file=pipeline.yaml,line=" in pair.treadle("check", "--format", "github").stdout
    sarif = pair.treadle("check", "--format", "sarif").json()
    assert sarif["version"] == "2.1.0"
    published = json.loads((ROOT / "tests/support/sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
    jsonschema.validators.validator_for(published)(published).validate(sarif)
    assert sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] > 1


def test_check_never_imports_the_users_code(pair: Project) -> None:
    pair.write("work.py", "open('imported', 'w').close()\nimport not_there\n" + WORK)
    assert pair.treadle("check", "pipeline.yaml").code == 0
    assert not (pair.root / "imported").exists()


@pytest.mark.parametrize("name", ["pipeline", "table", "lock"])
def test_the_published_schema_is_the_one_printed(pair: Project, name: str) -> None:
    committed = (ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8")
    printed = pair.treadle("schema", name).stdout
    assert printed == committed, f"rewrite it: treadle schema {name} > schemas/{name}.schema.json"
    jsonschema.Draft202012Validator.check_schema(json.loads(committed))


def test_every_library_step_explains_itself(project: Project) -> None:
    steps = project.treadle("steps", "--json").json()
    assert {"ingest.table", "validate.table", "train.estimator", "evaluate.regression", "simulate.rides"} <= {
        step["name"] for step in steps
    }
    assert all(step["summary"] and step["example"] for step in steps)


def test_python_does_what_the_commands_do(pair: Project) -> None:
    path = pair.root / "pipeline.yaml"
    assert treadle.check(path).ok
    assert [fate.fate for fate in treadle.plan(path)] == ["run", "wait"]
    result = treadle.run(path, {"n": 5})
    assert result.ok
    assert result["b"] == {"y": 10}
    assert result.metrics("b") == {"y": 10.0}
    assert ">b</td>" in result._repr_html_()
    assert Path(path).exists()
