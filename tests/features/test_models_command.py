"""`treadle models` from outside: how a version comes in, and how its aliases move."""

import json
import re

import pytest

from support.project import Project

PIPELINE = """
    version: 1
    name: shop
    params: {n: 1}
    data: {raw: {path: raw.txt}}
    steps:
      train: {uses: "work:train", in: {source: data.raw}, with: {n: "${params.n}"}}
      deploy: {uses: "work:deploy", in: {model: train}}
"""
WORK = """
    from pathlib import Path
    from treadle.authoring import ModelCard


    def train(source: Path, *, n: int) -> dict:
        return {"weight": n, "text": source.read_text()}


    def deploy(model: dict) -> ModelCard:
        field = {"name": "x", "dtype": "double"}
        return ModelCard(
            "demand",
            estimator="a.table",
            metrics={"mae": 1 / model["weight"]},
            signature={"inputs": [field], "outputs": []},
            example=[{"x": 1.0}],
            requirements={"numpy": "2.0"},
            importance={"x": 1.0},
        )
"""


@pytest.fixture
def shop(project: Project) -> Project:
    for path, text in (("shop.yaml", PIPELINE), ("work.py", WORK), ("raw.txt", "data")):
        project.write(path, text)
    return project


def lines(text: str) -> str:
    """What a command printed, with times, runs, digests and users that are the same everywhere."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<at>", text)
    text = re.sub(r"\d{8}-\d{6}-[0-9a-f]{4}", "<run>", text)
    return re.sub(r"[0-9a-f]{12}…", "<digest>", text)


def moves(project: Project, name: str = "demand") -> list[tuple[str, int | None, int | None, str]]:
    found = json.loads(project.treadle("models", "show", name, "--json").stdout)["history"]
    return [(event["alias"], event["old"], event["new"], event["reason"]) for event in found]


def test_before_the_first_version_there_is_none(shop: Project) -> None:
    assert shop.treadle("models", "list").stdout == (
        "no model is registered here; a step that `uses: deploy.model` registers one: treadle steps deploy.model\n"
    )
    found = shop.treadle("models", "show", "demand")
    assert (found.code, found.stdout) == (2, "")
    assert found.stderr == (
        "error[unknown-model]: no model is registered here\n"
        "  = hint: a step that `uses: deploy.model` registers one: treadle steps deploy.model\n"
    )


def test_a_run_registers_once_and_a_hit_nothing(shop: Project) -> None:
    assert "registered demand version 1" in shop.treadle("run", "shop.yaml").stderr
    for parameters in ((), ("-p", "n=2"), (), ("-p", "n=2")):
        assert shop.treadle("run", "shop.yaml", *parameters).code == 0
    listed = json.loads(shop.treadle("models", "list", "--json").stdout)
    assert [(one["name"], one["aliases"], one["versions"]) for one in listed] == [
        ("demand", {"challenger": 2, "champion": 1}, [2, 1])
    ]
    assert [move[:3] for move in moves(shop)] == [("champion", None, 1), ("challenger", None, 2)]
    assert lines(shop.treadle("models", "list").stdout) == (
        "model   aliases                   versions  latest  quarantined\n"
        "demand  challenger 2, champion 1  2         <at>\n"
    ).replace("latest  ", "latest               ")


def test_a_version_knows_where_it_came_from(shop: Project) -> None:
    shop.treadle("run", "shop.yaml")
    shown = json.loads(shop.treadle("models", "show", "demand", "--json").stdout)
    version = shown["version"]
    assert version["lineage"]["train"]["param n"] == "1"
    parts = set(version["lineage"]["train"])
    assert "input source" in parts
    assert any(part.startswith("code work:") for part in parts)
    assert set(version["data"]) == {"raw"}
    assert (version["pipeline"], version["step"], version["metrics"]) == ("shop", "deploy", {"mae": 1.0})
    assert shop.treadle("show", version["run_id"]).code == 0
    assert lines(shop.treadle("models", "show", "demand@champion").stdout) == (
        "demand version 1 (champion)\n"
        "  made       <at> by step deploy of shop, run <run>\n"
        "  model      json, 26 B, <digest>\n"
        "  estimator  a.table\n"
        "  served by  the model itself\n"
        "  metrics    mae 1\n"
        "  data       raw <digest>\n"
        "  code       work:ModelCard, work:deploy, work:train\n"
        "  requires   numpy 2.0\n"
        "\n"
        "       field  type    required  importance  choices\n"
        "input  x      double  yes       1.000\n"
        "\n"
        "moved                alias     version  kind  by   reason\n"
        "<at>  champion  - → 1    set   run  there was no champion\n"
    )


def test_aliases_move_and_go_back_with_reasons(shop: Project) -> None:
    for n in "123":
        shop.treadle("run", "shop.yaml", "-p", f"n={n}")
    said = [
        shop.treadle("models", *words.split()).stdout
        for words in (
            "promote demand 2 --reason better",
            "promote demand 3",
            "rollback demand --quarantine 24h --reason worse",
            "rollback demand",
            "promote demand 2 --alias canary",
        )
    ]
    assert said == [
        "demand@champion is now version 2 (was version 1)\n",
        "demand@champion is now version 3 (was version 2)\n",
        "demand@champion is now version 2 (was version 3)\n",
        "demand@champion is now version 1 (was version 2)\n",
        "demand@canary is now version 2 (was nothing)\n",
    ]
    assert [move[3] for move in moves(shop)[-5:]] == [
        "better",
        "promote by hand",
        "worse",
        "rollback by hand",
        "promote by hand",
    ]
    barred = shop.treadle("models", "promote", "demand", "3")
    assert barred.code == 2
    assert re.sub(r"until [^:]*:\d\d:", "until <at>:", barred.stderr) == (
        "error[quarantined-model]: demand version 3 is in quarantine until <at>: worse\n"
        "  = hint: --force promotes it all the same\n"
    )
    assert shop.treadle("models", "promote", "demand", "3", "--force").code == 0


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        ("show deman", "error[unknown-model]: no model is called 'deman'", "did you mean 'demand'?"),
        (
            "show demand@champoin",
            "error[unknown-alias]: model 'demand' has no alias 'champoin'",
            "did you mean 'champion'?",
        ),
        ("show demand/x", "error[unknown-version]: model 'demand' has no version 'x'", "newest: 1"),
        ("promote demand 7", "error[unknown-version]: model 'demand' has no version '7'", "newest: 1"),
        ("promote demand 1 --alias ../x", "error[bad-alias]: '../x' is no name for an alias", "letters, digits"),
        (
            "rollback demand",
            "error[no-earlier-version]: demand@champion has been no other version before 1",
            "promote demand",
        ),
        ("rollback demand --quarantine soon", "error[bad-duration]: --quarantine: 'soon' is not a duration", ""),
        ("diff demand/1 demand/2", "error[unknown-version]: model 'demand' has no version '2'", "newest: 1"),
        ("promote demand one", "error: argument VERSION: invalid int value: 'one'", "--help"),
    ],
)
def test_a_mistake_is_named_with_its_fix(shop: Project, words: str, error: str, hint: str) -> None:
    shop.treadle("run", "shop.yaml")
    found = shop.treadle("models", *words.split())
    assert (found.code, found.stdout) == (2, "")
    assert found.stderr.startswith(error) and hint in found.stderr


def test_two_versions_differ_in_what_made_them(shop: Project) -> None:
    for n in "14":
        shop.treadle("run", "shop.yaml", "-p", f"n={n}")
    assert lines(shop.treadle("models", "diff", "demand/1", "demand@challenger").stdout) == (
        "what       name        demand/1       demand@challenger\n"
        "metric     mae         1              0.25\n"
        "parameter  n of train  1              4\n"
        "fact       model       <digest>  <digest>\n"
    )
    assert shop.treadle("models", "diff", "demand/1", "demand").stdout == "they do not differ\n"
    found = json.loads(shop.treadle("models", "diff", "demand/1", "demand/2", "--json").stdout)
    assert found[0] == {"kind": "metric", "name": "mae", "before": 1.0, "after": 0.25}


def test_a_card_without_a_model_or_a_name_is_told(shop: Project) -> None:
    shop.write("shop.yaml", PIPELINE.replace("in: {model: train}", "in: {thing: train}"))
    shop.write(
        "work.py", WORK.replace("def deploy(model: dict)", "def deploy(thing: dict)").replace("model[", "thing[")
    )
    found = shop.treadle("run", "shop.yaml")
    assert found.code == 0
    assert "no model was registered: 'deploy' returns a model's card, but has no input `model`" in found.stderr
    shop.write("work.py", WORK.replace('"demand"', '"../demand"'))
    shop.write("shop.yaml", PIPELINE)
    found = shop.treadle("run", "shop.yaml")
    assert found.code == 1
    assert "a model's name has letters, digits" in found.stdout + found.stderr


def test_a_failed_gate_registers_nothing(shop: Project) -> None:
    gated = PIPELINE.replace("in: {model: train}}", 'in: {model: train}, gate: ["mae < 0.5"]}')
    shop.write("shop.yaml", gated)
    shop.write(
        "work.py",
        WORK.replace("-> ModelCard", "")
        .replace("return ModelCard(", "return ModelCard(mae=1 / model['weight'], name=")
        .replace('name=\n        "demand"', 'name="demand"'),
    )
    assert shop.treadle("run", "shop.yaml").code == 0
    assert json.loads(shop.treadle("models", "list", "--json").stdout) == []
    assert "registered demand version 1" in shop.treadle("run", "shop.yaml", "-p", "n=4").stderr


SETTINGS = [
    ("models = {trusted = 'x'}", "error[bad-settings]: 'models.trusted' takes a list of names, not 'x'"),
    ("models = {allow_pickle = 1}", "error[bad-settings]: 'models.allow_pickle' takes bool, not 1"),
    ("models = {alow_pickle = true}", "error[unknown-setting]: no setting is called 'models.alow_pickle'"),
    ("models = 3", "error[bad-settings]: 'models' takes dict, not 3"),
]


@pytest.mark.parametrize(("text", "error"), SETTINGS)
def test_a_wrong_setting_is_told_with_its_place(shop: Project, text: str, error: str) -> None:
    shop.write("treadle.toml", f"jobs = 1\n{text}\n")
    found = shop.treadle("models", "list")
    assert (found.code, error in found.stderr, "treadle.toml:2:1" in found.stderr) == (2, True, True)


REAL = """
    version: 1
    name: real
    steps:
      make: {uses: "table:table"}
      train: {uses: train.estimator, in: {data: make}, with: {estimator: sklearn.linear_model.Ridge, target: y, cv: 0}}
      deploy: {uses: deploy.model, in: {model: train, reference: make}, with: {name: demand}}
"""
TABLE = """
    import pandas as pd


    def table() -> pd.DataFrame:
        n = range(60)
        return pd.DataFrame({"a": [i / 7 for i in n], "z": ["x", "y", "w"] * 20, "y": [i * 2.0 for i in n]})
"""


@pytest.mark.slow
def test_a_real_model_is_registered_compiled_and_loads(project: Project) -> None:
    project.write("real.yaml", REAL)
    project.write("table.py", TABLE)
    assert "registered demand version 1" in project.treadle("run", "real.yaml").stderr
    found = project.treadle("models", "show", "demand", "--load", "--json")
    shown = json.loads(found.stdout)
    assert shown["version"]["compiled"].startswith("compiled: equal ")
    assert shown["version"]["signature"]["inputs"][1]["choices"] == ["w", "x", "y"]
    assert set(shown["version"]["card"]["importance"]) == {"a", "z"}
    assert (found.code, shown["loading"]["refused"]) == (0, "")
    assert len(shown["loading"]["predictions"]) == len(shown["version"]["example"]) == 5
    digest = shown["version"]["artifact"]["digest"]
    stored = project.root / ".treadle" / "objects" / digest[:2] / digest[2:]
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes() + b"x")
    found = project.treadle("models", "show", "demand", "--load")
    assert found.code == 1
    assert f"  loads      no: demand version 1 is refused: the object {digest} was damaged" in found.stdout
