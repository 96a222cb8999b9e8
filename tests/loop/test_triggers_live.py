"""Triggers over a real store: what fires is in the ledger first, runs once, and survives a killed controller."""

from pathlib import Path

from msgspec import structs

import treadle
from support.world import NAME, World
from treadle.control import desk
from treadle.control.runs import LOST, Ended
from treadle.domain.location import Location
from treadle.domain.loop import Watched
from treadle.domain.run import RunRecord, StepRecord
from treadle.domain.spec import DataSource
from treadle.domain.trigger import Happened, Rule
from treadle.errors import StoreError
from treadle.store import Move

DRIFT = {"riders": Rule(name="riders", kind="drift", subject="monitor", cooldown=60.0, unless=("rollout",))}
WHERE = Location("shop.yaml", 1, 1)


def alarm(world: World, alarms: bool = True, blocked: bool = False) -> None:
    """What a run of the monitors would have left behind."""
    metrics = {"monitor": {"alarm": float(alarms), "windows": 4.0}, "quality": {"blocked": float(blocked)}}
    seen = Watched(run_id="look", at=world.clock(), metrics=metrics)
    desk.keep(world.store, "shop", *desk.observe(world.facts, seen, {}), watched=seen)


def test_without_a_model_the_pipeline_runs_first(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.a_controller({}, makers=("train", "deploy"))
    assert world.controller.tick(world.clock())
    ((run_id, steps),) = world.runs.started
    assert steps == ("train", "deploy")
    (entry,) = world.store.ledger.entries("trigger.fire")
    assert entry.evidence["run"] == run_id, "written before it began"
    world.controller.tick(world.clock() + 1)
    assert len(world.runs.started) == 1, "one at a time"


def test_a_first_run_that_fails_again_and_again_ends_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.a_controller({})
    going = True
    for _ in range(400):
        world.clock.advance(1)
        going = world.controller.tick(world.clock())
        for run_id, _ in world.runs.started:
            world.runs.ends[run_id] = Ended("failed", "error: no such file")
        if not going:
            break
    assert not going and len(world.runs.started) == desk.TRIES


def test_drift_fires_once_and_what_it_made_is_tried(tmp_path: Path) -> None:
    world = World(tmp_path, (0.3, 0.6))
    world.register()
    world.a_controller(DRIFT, makers=("deploy",))
    alarm(world)
    world.live(3)
    ((run_id, steps),) = world.runs.started
    assert steps == ("deploy",)
    alarm(world)
    world.live(3)
    assert len(world.runs.started) == 1, "it cools down"
    world.register()
    world.runs.ends[run_id] = Ended("ok")
    alarm(world)
    world.live(3)
    assert world.phase == "step", "the rollout of what the run made has begun"
    assert len(world.runs.started) <= 1, "no other retraining while it goes on"
    assert [e.kind for e in world.store.ledger.entries("trigger")][:2] == ["trigger.fire", "trigger.suppress"]


def test_what_was_seen_beside_a_champion_that_has_gone_is_looked_at_again(tmp_path: Path) -> None:
    """A monitor that began before a promotion compares with the reference of the version before."""
    world = World(tmp_path)
    world.register()
    world.a_controller(DRIFT, makers=("deploy",), monitors=("monitor",), reads=(NAME,), every=1.0)
    world.live(2)
    ((first, steps),) = world.runs.started
    assert steps == ("monitor",)
    world.register()
    moved = Move(name=NAME, alias="champion", version=2, at=world.clock(), actor="rollout r", reason="")
    world.store.models.move(moved)
    _monitored(world, first, alarm=1.0)
    world.live(2, each=0)
    assert world.store.ledger.entries("trigger") == []
    ((_, _), (again, _)) = world.runs.started
    _monitored(world, again, alarm=1.0)
    world.live(2, each=0)
    (entry,) = world.store.ledger.entries("trigger")
    assert (entry.kind, entry.evidence["reason"]) == ("trigger.fire", "monitor alarms")


def _monitored(world: World, run_id: str, alarm: float) -> None:
    """A run of the monitors has ended, with these figures."""
    now = world.clock()
    made = RunRecord(run_id=run_id, pipeline="shop", path="shop.yaml", plan="", status="running", started=now)
    world.store.history.start(made)
    figures = {"alarm": alarm, "windows": 4.0}
    world.store.history.add_steps(run_id, [StepRecord(id="monitor", fate="run", metrics=figures)])
    world.store.history.finish(run_id, "ok", now)
    world.runs.ends[run_id] = Ended("ok")


def test_broken_data_blocks_retraining(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.register()
    world.a_controller(DRIFT)
    alarm(world, blocked=True)
    world.live(3)
    assert world.runs.started == []
    (entry,) = world.store.ledger.entries("trigger.suppress")
    assert "data is broken" in entry.evidence["reason"]


def test_a_run_that_was_killed_begins_again_and_one_that_failed_backs_off(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.register()
    world.a_controller(DRIFT)
    alarm(world)
    world.live(2)
    world.runs.ends[world.runs.started[0][0]] = Ended("interrupted")
    world.live(2)
    assert len(world.runs.started) == 2
    world.runs.ends[world.runs.started[1][0]] = Ended(LOST)
    world.live(2)
    assert len(world.runs.started) == 3, "a controller that was killed before it began the run begins it"
    world.runs.ends[world.runs.started[2][0]] = Ended("failed", "error: a gate")
    world.live(70)
    alarm(world)
    world.live(2)
    assert len(world.runs.started) == 3
    assert "backs off" in world.store.ledger.entries("trigger.suppress")[-1].evidence["reason"]
    assert world.store.desks.get("shop").last["words"] == "error: a gate"


def test_a_controller_that_is_killed_between_firing_and_starting(tmp_path: Path) -> None:
    """The book has the run, nobody has begun it: the next controller asks for it, hears that it is lost, and begins."""
    world = World(tmp_path)
    world.register()
    world.a_controller(DRIFT)
    alarm(world)
    order = desk.look(world.store, world.facts, frozenset(), world.clock())
    assert order is not None
    world.a_controller(DRIFT)
    world.runs.ends[order.run_id] = Ended(LOST)
    world.live(2)
    assert len(world.runs.started) == 1
    assert world.store.desks.get("shop").book.flight is not None


def test_files_fire_when_their_bytes_change(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.register()
    data = tmp_path / "trips.csv"
    data.write_text("a\n1\n")
    rule = Rule(name="trips", kind="files", subject="data.trips", debounce=4.0)
    watched = {"trips": DataSource("trips", "path", "trips.csv", WHERE)}
    world.a_controller({"trips": rule}, watched=watched)
    world.live(5, each=0)
    assert world.runs.started == []
    data.write_text("a\n2\n")
    world.live(3, each=0)
    assert world.runs.started == [], "they must be quiet first"
    world.live(8, each=0)
    assert len(world.runs.started) == 1
    world.runs.ends[world.runs.started[0][0]] = Ended("ok")
    world.live(20, each=0)
    assert len(world.runs.started) == 1


def test_another_pipeline_that_ran_well_fires_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.register()
    (tmp_path / "treadle.toml").touch()
    (tmp_path / "up.yaml").write_text("version: 1\nname: up\nsteps: {a: {run: 'exit 0', cache: false}}\n")
    world.a_controller({"after": Rule(name="after", kind="pipeline", subject="./up.yaml")})
    world.live(3, each=0)
    assert world.runs.started == [], "what ran before it was up is nothing new"
    treadle.run(tmp_path / "up.yaml")
    world.live(3, each=0)
    assert len(world.runs.started) == 1
    (entry,) = world.store.ledger.entries("trigger.fire")
    assert entry.evidence["reason"] == "./up.yaml ran"
    world.runs.ends[world.runs.started[0][0]] = Ended("ok")
    world.live(6, each=0)
    assert len(world.runs.started) == 1
    (tmp_path / "up.yaml").write_text("version: 1\nname: up\nsteps: {a: {run: 'exit 1'}}\n")
    assert not treadle.run(tmp_path / "up.yaml").ok
    world.live(6, each=0)
    assert len(world.runs.started) == 1, "one that failed fires nothing"


def test_what_is_in_the_inbox_survives_a_crash_and_is_decided_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.register()
    rules = {"hand": Rule(name="hand", kind="webhook", subject="retrain")}
    world.a_controller(rules)
    desk.keep(world.store, "shop", Happened("hand", world.clock(), "nonce-1"), nonces={"nonce-1": 9e9})
    world.a_controller(rules)
    world.live(3, each=0)
    assert len(world.runs.started) == 1
    assert world.store.desks.get("shop").inbox == ()
    assert world.store.desks.get("shop").nonces == {"nonce-1": 9e9}


def test_a_desk_is_written_only_when_it_changes(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.register()
    world.a_controller({"night": Rule(name="night", kind="cron", subject="0 3 * * *")})
    world.controller.tick(world.clock())
    first = world.store.desks.get("shop")
    assert first.book.rules["night"].due > world.clock()
    world.live(20, each=0)
    again = world.store.desks.get("shop")
    assert structs.replace(again, book=structs.replace(again.book, clock=0.0)) == structs.replace(
        first, book=structs.replace(first.book, clock=0.0)
    )
    assert again.book.clock == first.book.clock
    assert NAME in world.store.models.names()


def test_a_disk_that_is_full_stops_decisions_and_loses_none(tmp_path: Path) -> None:
    world = World(tmp_path, (0.3, 0.6)).challenged()
    world.live(20)
    pages = world.store.database.rows("PRAGMA page_count")[0][0]
    world.store.database.rows(f"PRAGMA max_page_count={pages}")
    failed = 0
    for _ in range(60):
        world.clock.advance(1)
        world.requests(20)
        try:
            world.controller.tick(world.clock())
        except StoreError as error:
            assert "the disk is full" in str(error)
            failed += 1
    assert failed, "the database never needed another page"
    world.store.database.rows("PRAGMA max_page_count=1000000")
    world.live(600, until=world.ended)
    assert world.phase == "done"
    assert world.store.ledger.verify().broken is None
