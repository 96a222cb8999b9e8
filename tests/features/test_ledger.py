"""`treadle ledger`: what acted by itself, whether the record holds, and why a version serves."""

import msgspec

from support.project import Project
from treadle.domain.rollout import Evidence, Journal, Rollout, RolloutSpec, RolloutState, Success
from treadle.domain.trigger import Fire, Suppress
from treadle.rollout import machine
from treadle.rollout import record as rollout_record
from treadle.store import open_store
from treadle.trigger import record as trigger_record

PIPELINE = """
    version: 1
    data: {table: {path: table.csv}}
    steps:
      load: {uses: ingest.table, in: {source: data.table}}
      train:
        uses: train.estimator
        in: {data: load}
        with: {estimator: sklearn.linear_model.Ridge, target: y, cv: 0}
      deploy: {uses: deploy.model, in: {model: train}, with: {name: demand}}
"""


def act(project: Project, run_id: str = "") -> None:
    """What a controller leaves behind: a suppressed and a fired trigger, and a rollout that let version 1 pass."""
    ledger = open_store(project.root).ledger
    decisions = (
        Suppress("nightly", 10.0, "cooldown of 3600 s", {}),
        Fire(("drift", "files"), "", 20.0, "zone drifted", {"psi": 0.4}),
    )
    for kind, subject, evidence in trigger_record.entries("p", decisions, run_id):
        ledger.append(kind, subject, evidence, at=20.0)
    started = Rollout(
        rollout_id="r1",
        model="demand",
        champion=0,
        challenger=1,
        challenger_digest="d",
        spec=RolloutSpec(success=Success(metric="sold")),
        state=RolloutState(),
    )
    _, actions = machine.advance(started, Evidence(), 30.0)
    journal = actions[0]
    assert isinstance(journal, Journal)
    figures = {
        "metrics": {"sold": {"units": [500, 510], "effect": 0.021, "log_e_best": {"superior": 3.4}, "needed": 3.0}}
    }
    passed = msgspec.structs.replace(journal, decision="succeed: sold is superior at α = 0.05", figures=figures)
    for kind, subject, evidence in rollout_record.entries(started, (passed, *actions[1:])):
        ledger.append(kind, subject, evidence, at=30.0)


def test_an_empty_ledger_says_so(project: Project) -> None:
    assert project.treadle("ledger").stdout == "the ledger is empty: nothing has acted by itself here\n"
    assert project.treadle("ledger", "verify").stdout == "0 entries hold\n"


def test_list_and_verify(project: Project) -> None:
    act(project)
    listed = project.treadle("ledger", "list", "--kind", "trigger").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["entry", "1", "2"]
    assert listed[1].endswith("trigger.suppress  p/nightly  treadle  cooldown of 3600 s")
    entries = project.treadle("ledger", "list", "--json", "--subject", "demand/1").json()
    assert [entry["kind"] for entry in entries] == ["rollout.evaluation", "rollout.set-traffic"]
    checked = project.treadle("ledger", "verify", "--json").json()
    assert checked["entries"] == 4
    missing = project.treadle("ledger", "verify", "--head", "f" * 64)
    assert (missing.code, missing.stdout.startswith("entry 5 is broken")) == (1, True)


def test_why_walks_back_to_the_commit_and_the_data(project: Project) -> None:
    project.write("p.yaml", PIPELINE).write("table.csv", "x,y\n" + "".join(f"{n},{2 * n}\n" for n in range(40)))
    done = project.treadle("run", "p.yaml")
    assert done.code == 0, done.stdout + done.stderr
    store = open_store(project.root)
    version = store.models.get("demand", 1)
    assert version is not None
    plain = project.treadle("ledger", "why", "demand@champion")
    assert plain.code == 0, plain.stderr
    assert "test        none: no rollout let this version pass" in plain.stdout
    assert "asked by    hand: no trigger started that run" in plain.stdout
    act(project, version.run_id)
    found = project.treadle("ledger", "why", "demand").stdout
    assert "succeed: sold is superior at α = 0.05 (entry 3)" in found
    assert "sold      effect +0.021, 500 and 510 units, log E 3.40 of 3.00 needed" in found
    assert "asked by    trigger drift, files: zone drifted (entry 2)" in found
    assert f"run         {version.run_id}: ok" in found
    assert f"data table  {version.data['table']}" in found
    assert "commit" in found
    walk = project.treadle("ledger", "why", "demand/1", "--json").json()
    assert walk["moved"]["new"] == 1


def test_why_of_what_is_not_there(project: Project) -> None:
    unknown = project.treadle("ledger", "why", "nothing@champion")
    assert unknown.code == 2
    assert "no model is registered here" in unknown.stderr
