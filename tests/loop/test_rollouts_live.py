"""Rollouts over a real store and a real log: each ends as its terms say, with the reason, whatever goes wrong."""

import os
from pathlib import Path
from typing import Any

import pytest

from support.world import NAME, QUICK, World
from treadle.api import status as api
from treadle.cli.status import shown
from treadle.control import rollouts
from treadle.domain.model import Field
from treadle.store.predictions.parquet import compact


def test_a_better_challenger_becomes_champion(tmp_path: Path) -> None:
    world = World(tmp_path, (0.3, 0.55)).challenged()
    world.live(600, until=world.ended)
    assert world.phase == "done", world.reason
    assert world.champion == 2
    assert world.store.traffic.get(NAME) is None
    kinds = world.decisions()
    assert kinds[0] == "rollout.begin" and kinds.count("rollout.promote") == 1
    assert world.store.ledger.verify().broken is None
    moved = world.store.models.events(NAME, "champion")[-1]
    assert moved.actor.startswith("rollout shop-2-")


def test_a_worse_challenger_is_rolled_back_and_barred(tmp_path: Path) -> None:
    world = World(tmp_path, (0.5, 0.2)).challenged()
    world.live(600, until=world.ended)
    assert world.phase == "rolled_back" and "bought is worse" in world.reason
    assert world.champion == 1
    assert list(world.store.models.quarantined(NAME, world.clock())) == [2]
    world.live(30)
    assert len(world.store.rollouts.of(NAME)) == 1, "nothing tries the version again"


def test_nobody_changes_arm_while_more_are_enrolled(tmp_path: Path) -> None:
    world = World(tmp_path, (0.3, 0.33)).challenged().live(150)
    arms: dict[str, set[str]] = {}
    for record in world.predictions():
        if record.propensity == 0.5:
            arms.setdefault(record.units[0], set()).add(record.arm)
    assert len(arms) > 500
    assert all(len(found) == 1 for found in arms.values())


@pytest.mark.parametrize("skew", [-300.0, 300.0])
def test_clocks_that_disagree_by_minutes(tmp_path: Path, skew: float) -> None:
    straight = World(tmp_path / "a", (0.3, 0.6)).challenged()
    skewed = World(tmp_path / "b", (0.3, 0.6), skew=skew).challenged()
    for world in (straight, skewed):
        world.live(1200, until=world.ended)
        assert world.phase == "done", (world.phase, world.reason)
        lost = world.kept().rollout.state.unlabelled
        assert sum(lost) <= 5, "units are judged when their outcomes are final by the clock that logged them"


def test_labels_that_never_come_keep_the_champion(tmp_path: Path) -> None:
    world = World(tmp_path).challenged(limits={"min_duration": "60s", "max_duration": "5m", "min_units": 300})
    world.labels = False
    world.live(500, until=world.ended)
    assert world.phase == "inconclusive" and "longest duration" in world.reason
    assert world.reason in told(world)
    assert world.champion == 1
    assert min(world.kept().rollout.state.unlabelled) > 100


def test_traffic_that_stops_keeps_the_champion(tmp_path: Path) -> None:
    world = World(tmp_path).challenged(limits={"min_duration": "60s", "max_duration": "5m", "min_units": 300})
    world.live(40).live(500, each=0, until=world.ended)
    assert world.phase == "inconclusive"
    assert world.champion == 1 and world.store.traffic.get(NAME) is None
    assert world.reason in told(world)


def test_an_arm_that_crashes_is_rolled_back(tmp_path: Path) -> None:
    world = World(tmp_path, (0.3, 0.9)).challenged()
    world.crashes = {2}
    world.live(300, until=world.ended)
    assert world.phase == "rolled_back" and "error_rate" in world.reason
    assert world.reason in told(world)


def test_a_challenger_that_gets_no_traffic_is_never_promoted(tmp_path: Path) -> None:
    world = World(tmp_path, (0.3, 0.9)).challenged(
        limits={"max_duration": "3m", "min_duration": "1m", "min_units": 300}
    )
    for _ in range(400):
        world.clock.advance(1)
        world.store.traffic.clear(NAME)  # a server that cannot load it answers by the champion
        world.requests(20)
        world.controller.tick(world.clock())
        if world.ended():
            break
    assert world.phase == "inconclusive"
    assert world.champion == 1


def test_a_shadow_that_disagrees_too_much(tmp_path: Path) -> None:
    shadow = {"for": "20s", "min_requests": 50, "max_disagreement": {"mae": 0.001}}
    world = World(tmp_path).challenged(shadow=shadow)
    world.live(100, until=world.ended)
    assert world.phase == "rolled_back" and "mae" in world.reason
    calm = World(tmp_path / "b").challenged(shadow={**shadow, "max_disagreement": {"mae": 0.1}}).live(30)
    assert calm.phase == "step"


def test_switchback_units_are_clusters_and_windows(tmp_path: Path) -> None:
    unit = {"switchback": {"by": "zone", "window": "10s", "burn_in": "2s"}}
    world = World(tmp_path, (0.2, 0.7)).challenged(unit=unit, maturity="5s")
    world.live(400, until=world.ended)
    state = world.kept().rollout.state
    assert world.phase in ("done", "deciding"), world.reason
    judged = state.trials["(primary)"].sums.n
    assert 0 < judged <= 20 * 40, "units are 20 zones in windows of ten seconds, not requests"
    assert state.echo.pairs > 50 and set(state.echo.last) <= {f"zone-{number}" for number in range(20)}


def test_counts_of_windows_decide_where_blocks_are_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path, (0.3, 0.6)).challenged(blocks="10s")
    world.live(600, until=world.ended)
    assert world.phase == "done", world.reason
    (kept,) = world.store.rollouts.of(NAME)
    assert list(kept.figures["metrics"]["bought"]["log_e_best"]) == ["different"]


@pytest.mark.parametrize("every", [7, 31])
def test_a_controller_that_is_killed_again_and_again_ends_in_the_same_state(tmp_path: Path, every: int) -> None:
    """Its memory is lost at any tick; what it had written is all that the next one knows."""
    straight = World(tmp_path / "a", (0.3, 0.5)).challenged()
    straight.live(600, until=straight.ended)
    killed = World(tmp_path / "b", (0.3, 0.5)).challenged()
    for second in range(600):
        killed.live(1)
        if second % every == 0:
            killed.a_controller()
        if killed.ended():
            break
    assert killed.kept().rollout == straight.kept().rollout
    assert killed.decisions() == straight.decisions()


def test_compaction_in_the_middle_loses_and_doubles_nothing(tmp_path: Path) -> None:
    straight = World(tmp_path / "a", (0.3, 0.33)).challenged(limits=LONG)
    packed = World(tmp_path / "b", (0.3, 0.33)).challenged(limits=LONG)
    for world in (straight, packed):
        world.clock.now = 1_700_000_000.0 - 1_700_000_000.0 % 3600 + 3600 - 120  # two minutes before an hour
        world.live(240)
    packed.reopened()
    compact(packed.folder, packed.clock() + 3600, 30)
    assert any(name.endswith(".parquet") for name in os.listdir(packed.folder))
    packed.a_controller()
    for world in (straight, packed):
        world.live(60)
    assert packed.kept().rollout.state == straight.kept().rollout.state


def test_a_person_has_the_last_word(tmp_path: Path) -> None:
    from treadle.api import models
    from treadle.store import Move

    world = World(tmp_path, (0.3, 0.3)).challenged().live(20)
    (tmp_path / "treadle.toml").touch()
    move = Move(name=NAME, alias="champion", version=2, at=world.clock(), actor="ann", reason="I know better")
    models.promote(move, path=tmp_path)
    assert world.phase == "inconclusive" and "by hand" in world.reason
    assert world.champion == 2 and world.store.traffic.get(NAME) is None
    world.live(20)
    assert world.champion == 2 and len(world.store.rollouts.of(NAME)) == 1


def test_pause_resume_approve_and_abort(tmp_path: Path) -> None:
    steps = [{"enrol": "20%", "hold": "5s"}, {"enrol": "100%", "until": "decided", "approve": "manual"}]
    world = World(tmp_path).challenged(steps=steps).live(5)
    rollouts.command(world.store, NAME, "pause", world.clock())
    world.live(60)
    assert world.phase == "step" and world.reason == "paused by hand"
    rollouts.command(world.store, NAME, "resume", world.clock())
    world.live(60)
    assert world.phase == "step" and world.kept().rollout.state.asked == "step 1"
    rollouts.command(world.store, NAME, "approve", world.clock())
    world.live(3)
    assert world.phase == "deciding"
    rollouts.command(world.store, NAME, "abort", world.clock())
    assert world.phase == "rolled_back" and world.store.traffic.get(NAME) is None
    assert rollouts.command(world.store, NAME, "pause", world.clock()) is None
    users = [entry for entry in world.store.ledger.entries("rollout.evaluation", limit=999) if entry.actor == "user"]
    assert len(users) == 4


def test_the_same_bytes_are_not_tried_again(tmp_path: Path) -> None:
    world = World(tmp_path, (0.5, 0.1)).challenged()
    world.live(600, until=world.ended)
    assert world.phase == "rolled_back"
    world.clock.advance(1)
    assert world.register(digest=f"{2:064d}") == 3
    world.live(5)
    refused = world.store.ledger.entries("rollout.refuse")
    assert [entry.subject for entry in refused] == ["shop/3"]
    assert len(world.store.rollouts.of(NAME)) == 1


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (
            (Field("zone", "string"), Field("rain", "double")),
            "needs 'rain', which requests to the champion do not carry",
        ),
        ((Field("zone", "long"),), "'zone' is long for version 2 and string for the champion"),
        ((Field("zone", "string"), Field("rain", "double", required=False)), ""),
        ((), ""),
    ],
)
def test_a_challenger_that_cannot_read_the_requests_is_not_tried(
    tmp_path: Path, inputs: tuple[Field, ...], reason: str
) -> None:
    world = World(tmp_path)
    world.register(inputs=(Field("zone", "string"),))
    world.clock.advance(1)
    world.register(inputs=inputs)
    world.live(5)
    refused = [entry.evidence["reason"] for entry in world.store.ledger.entries("rollout.refuse")]
    assert [reason in text for text in refused] == [True] * bool(reason), refused
    assert len(world.store.rollouts.of(NAME)) == (not reason)


def test_two_rollouts_of_a_model_are_impossible(tmp_path: Path) -> None:
    from msgspec import structs

    from treadle.errors import StoreError

    world = World(tmp_path).challenged().live(3)
    kept = world.kept()
    second = structs.replace(kept, rollout=structs.replace(kept.rollout, rollout_id="another"))
    with pytest.raises(StoreError):
        world.store.rollouts.put(second)


def test_an_idle_tick_writes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.register()
    world.controller.tick(world.clock())
    before = _size(world)
    for _ in range(50):
        world.clock.advance(1)
        world.controller.tick(world.clock())
    assert _size(world) == before
    assert world.store.ledger.entries() == []


def test_evaluations_that_say_nothing_new_are_summed_up(tmp_path: Path) -> None:
    world = World(tmp_path, (0.3, 0.3)).challenged(limits=LONG).live(100)
    before = len(world.decisions())
    world.live(290)
    assert len(world.decisions()) - before <= 2, "sums are cumulative: one entry in five minutes is enough"


def told(world: World) -> str:
    """What `treadle status` shows."""
    (world.root / "treadle.toml").touch()
    return shown(api.status(world.root))


LONG: dict[str, Any] = {**QUICK["limits"], "min_duration": "50m"}


def _size(world: World) -> int:
    return sum(
        os.path.getsize(world.store.folder + "/" + name) for name in os.listdir(world.store.folder) if "db" in name
    )
