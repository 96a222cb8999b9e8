"""`up`, `status` and `rollout` from outside, and posts to triggers."""

import http.client
import json
import os
import re
import time
from pathlib import Path

import pytest

from support.project import Project, a_project
from support.world import NAME, QUICK, World
from treadle.api.hooks import Hooks
from treadle.cli.status import WIDTH
from treadle.domain.trigger import Rule
from treadle.trigger.webhook import sign

TOKEN = "0123456789abcdef0123456789abcdef"


def project_of(world: World) -> Project:
    home = world.root / "home"
    home.mkdir()
    (world.root / "treadle.toml").touch()
    return Project(world.root, home)


def test_status_of_nothing(tmp_path: Path) -> None:
    done = a_project(tmp_path).treadle("status")
    assert (done.code, done.stdout) == (
        0,
        "nothing is up here, and no model is registered: treadle up PIPELINE\n",
    )


def test_status_says_what_serves_what_is_tried_and_what_is_needed(tmp_path: Path) -> None:
    world = World(tmp_path / "w", (0.3, 0.36)).challenged(limits={**QUICK["limits"], "min_units": 5000})
    world.live(80)
    shown = project_of(world).treadle("status")
    assert shown.code == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert lines[0] == "shop: version 1 50%, version 2 50% serves; 2 versions in all"
    assert lines[1].startswith("  rollout   version 2 against 1: deciding (")
    assert lines[2] == "            more evidence is needed"
    assert re.fullmatch(r"  assigned  \d+ champion, \d+ challenger", lines[3]), lines[3]
    assert re.match(r"  bought: \d+ and \d+ units judged, 5,000 at least; effect [+-]0\.\d{4}", lines[4]), lines[4]
    assert re.match(r"            log E superior \d+\.\d\d, harm \d+\.\d\d; 3.00 decides", lines[5]), lines[5]
    assert all(len(line) <= WIDTH for line in lines)


def test_a_challenger_that_was_tried_waits_for_nothing(tmp_path: Path) -> None:
    world = World(tmp_path / "w").challenged()
    world.live(3)
    project = project_of(world)
    assert project.treadle("rollout", "abort", NAME).code == 0
    assert "waits" not in project.treadle("status").stdout
    world.register()
    assert "  challenger 3 waits" in project.treadle("status").stdout.splitlines()


def test_status_for_machines(tmp_path: Path) -> None:
    world = World(tmp_path / "w").challenged()
    world.live(3)
    found = project_of(world).treadle("status", "--json").json()
    assert found["models"][0]["rollout"]["state"]["phase"] == "step"
    assert found["models"][0]["shares"] == {"1": 0.9, "2": 0.1}
    assert found["pipelines"] == []


def test_rollout_commands(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.clock.now = time.time() - 10  # the commands look at the real clock
    world.challenged().live(5)
    project = project_of(world)
    name = world.kept().rollout.rollout_id
    paused = project.treadle("rollout", "pause", NAME)
    assert paused.stdout == f"rollout {name} of version 2 against 1\n  step: paused by hand; paused\n"
    nothing = project.treadle("rollout", "approve", NAME)
    assert (nothing.code, nothing.stderr.splitlines()[0]) == (
        2,
        "error[nothing-to-approve]: the rollout of 'shop' does not wait for anybody",
    )
    promoted = project.treadle("models", "promote", NAME, "2")
    assert promoted.stdout.splitlines()[-1] == f"rollout {name} of version 2 was aborted by that"
    gone = project.treadle("rollout", "pause", "shoo")
    assert gone.code == 2 and gone.stderr.startswith("error[no-rollout]: no rollout of 'shoo' goes on")


def test_up_refuses_what_is_wrong(tmp_path: Path) -> None:
    project = a_project(
        tmp_path, {"p.yaml": "version: 1\nname: p\nsteps: {a: {run: echo}}\ntriggers: {t: {cron: nonsense}}\n"}
    )
    done = project.treadle("up", "p.yaml")
    assert done.code == 2 and "bad-cron" in done.stderr


def test_up_without_a_model_controls_and_stops_cleanly(tmp_path: Path) -> None:
    files = {"p.yaml": "version: 1\nname: p\nsteps: {a: {run: echo hello}}\ntriggers: {t: {cron: '0 3 * * *'}}\n"}
    project = a_project(tmp_path, files)
    process = project.start("up", "p.yaml")
    assert process.stdout is not None
    try:
        assert process.stdout.readline().endswith("p is up: deploys nothing, 1 trigger\n")
        second = project.treadle("up", "p.yaml")
        assert second.code == 2 and second.stderr.startswith("error[already-up]: 'p' is up already")
        end = time.monotonic() + 60
        while "trigger   t" not in (shown := project.treadle("status").stdout):
            assert time.monotonic() < end, shown
        assert "p: up (process" in shown and "next" in shown
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "p: not up" in project.treadle("status").stdout


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    return str(path)


def post(url: str, name: str, nonce: str, token: str = TOKEN) -> tuple[int, str]:
    stamp = str(time.time())
    headers = {
        "x-treadle-timestamp": stamp,
        "x-treadle-nonce": nonce,
        "x-treadle-signature": sign(token, stamp, nonce, b"{}"),
    }
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    try:
        connection.request("POST", f"/triggers/{name}", b"{}", headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())["text"]
    finally:
        connection.close()


def test_a_post_starts_one_run_and_cannot_be_replayed(tmp_path: Path, token: str) -> None:
    world = World(tmp_path / "w")
    world.register()
    world.a_controller({"hand": Rule(name="hand", kind="webhook", subject="retrain")})
    with Hooks(world.store, token, 0, world.said.append) as hooks:
        hooks.follow(world.facts)
        assert post(hooks.url, "retrain", "one") == (202, "taken")
        assert post(hooks.url, "retrain", "one") == (409, "this post was seen before")
        assert post(hooks.url, "retrain", "two", "f" * 32)[0] == 403
        assert post(hooks.url, "other", "three")[0] == 404
    world.live(2, each=0)
    assert len(world.runs.started) == 1
    entries = world.store.ledger.entries("trigger.fire")
    assert entries[0].evidence["evidence"]["mark"] == "one"
    assert os.path.exists(world.store.database.path)
