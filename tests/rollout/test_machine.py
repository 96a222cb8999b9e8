"""The rollout step by step: what moves it, what stops it, and what it leaves in the journal."""

import json
import random
from typing import Any

import msgspec
import pytest

from treadle.document import rollout as document
from treadle.domain.rollout import (
    Alert,
    AskApproval,
    Evidence,
    GuardWindow,
    Journal,
    Promote,
    Quarantine,
    Reading,
    Restore,
    Rollout,
    RolloutState,
    SetTraffic,
    ShadowSeen,
    Unit,
)
from treadle.rollout import machine

HOUR = 3600.0
QUIET: dict[str, Any] = {"metric": "bought", "guardrails": [], "limits": {"min_duration": "1h", "min_units": 400}}


def rollout(**block: Any) -> Rollout:
    given = {**QUIET, **block}
    assert document.mistakes(given) == []
    made = Rollout(
        rollout_id="r1",
        model="shop",
        champion=3,
        challenger=4,
        challenger_digest="d4",
        spec=document.resolve(given),
        state=RolloutState(),
    )
    begun = machine.begin(made, [], [], 0.0)
    assert isinstance(begun, Rollout)
    return begun


def units(start: int, count: int, rates: tuple[float, float], at: float, seed: int = 1) -> tuple[Unit, ...]:
    rng = random.Random(seed * 1000 + start)
    arms = [rng.random() < 0.5 for _ in range(count)]
    return tuple(
        Unit(start + n, int(arm), 0.5, at, float(rng.random() < rates[int(arm)])) for n, arm in enumerate(arms)
    )


def counts(found: tuple[Unit, ...]) -> tuple[int, int]:
    ones = sum(unit.arm for unit in found)
    return len(found) - ones, ones


class Drive:
    """A rollout under way, with every action it took."""

    def __init__(self, start: Rollout) -> None:
        self.rollout, self.actions, self.now = start, [], 0.0
        self.seen: tuple[Unit, ...] = ()

    def turn(self, hours: float = 0.0, **evidence: Any) -> str:
        self.now += hours * HOUR
        self.rollout, actions = machine.advance(self.rollout, Evidence(**evidence), self.now)
        self.actions += actions
        return self.rollout.state.phase

    def feed(self, count: int, rates: tuple[float, float], hours: float = 1.0) -> str:
        fresh = units(len(self.seen), count, rates, self.now)
        self.seen += fresh
        return self.turn(hours, units=fresh, assigned=counts(self.seen))

    def took(self, kind: type) -> list[Any]:
        return [action for action in self.actions if isinstance(action, kind)]


def to_deciding(drive: Drive, rates: tuple[float, float] = (0.2, 0.2)) -> None:
    while drive.rollout.state.phase != "deciding" and drive.rollout.active:
        drive.feed(40, rates, 13)


def test_the_whole_way_of_a_better_challenger() -> None:
    drive = Drive(rollout(shadow={"for": "1h"}))
    assert drive.turn() == "shadow"
    assert drive.turn(0.5, shadow=ShadowSeen(50, 0)) == "shadow"
    assert drive.turn(1, shadow=ShadowSeen(5000, 1)) == "step"
    to_deciding(drive, (0.2, 0.4))
    phases = [drive.feed(100, (0.2, 0.4), 2) for _ in range(40)]
    assert phases.index("ramp") < phases.index("baked")
    assert [p.version for p in drive.took(Promote)] == [4]
    assert drive.turn(7 * 24) == "done"
    asked = [(t.coverage, t.split, t.shadow) for t in drive.took(SetTraffic)]
    assert asked == [
        (0.0, 0.0, 1.0),
        (0.02, 0.5, 0.0),
        (0.1, 0.5, 0.0),
        (0.5, 0.5, 0.0),
        (1.0, 0.5, 0.0),
        (1.0, 0.75, 0.0),
        (1.0, 0.9, 0.0),
        (1.0, 1.0, 0.0),
        (1.0, 0.98, 0.0),
        (1.0, 1.0, 0.0),
    ]
    assert machine.advance(drive.rollout, Evidence(), drive.now + 1)[1] == ()


def test_a_worse_challenger_is_rolled_back_and_shut_out() -> None:
    drive = Drive(rollout())
    drive.turn()
    while drive.rollout.active:
        drive.feed(100, (0.4, 0.15))
    assert drive.rollout.state.phase == "rolled_back"
    assert drive.took(Promote) == []
    [shut] = drive.took(Quarantine)
    assert (shut.version, shut.until - drive.now, shut.warm_until - drive.now) == (4, 7 * 24 * HOUR, 24 * HOUR)
    assert machine.traffic(drive.rollout) == SetTraffic(0.0, 0.0)
    again = machine.begin(rollout(), [drive.rollout], [shut], drive.now)
    assert again == machine.Refusal("version 4 was rolled back and is in quarantine")
    assert isinstance(machine.begin(rollout(), [drive.rollout], [shut], shut.until), Rollout)


def test_the_same_challenger_ends_inconclusive_and_the_champion_stays() -> None:
    drive = Drive(rollout(limits={"min_duration": "1h", "min_units": 100, "max_units": 900}))
    drive.turn()
    while drive.rollout.active:
        drive.feed(100, (0.3, 0.3), 13)
    assert drive.rollout.state.phase == "inconclusive"
    assert "no decision within 900 units" in drive.rollout.state.reason
    assert drive.took(Promote) == []


@pytest.mark.parametrize(("choice", "ends"), [("promote", "done"), ("extend", "inconclusive")])
def test_the_other_ways_out_of_no_decision(choice: str, ends: str) -> None:
    drive = Drive(rollout(on_inconclusive=choice, limits={"min_duration": "1h", "min_units": 100, "max_units": 900}))
    drive.turn()
    while drive.rollout.active:
        drive.feed(100, (0.3, 0.3), 13)
    assert drive.rollout.state.phase == ends
    assert len([a for a in drive.took(Alert) if a.text.startswith("extended")]) == (choice == "extend")


def test_not_inferior_is_enough_when_asked() -> None:
    drive = Drive(rollout(goal="non_inferior", margin=0.2))
    drive.turn()
    for _ in range(60):
        if drive.feed(50, (0.3, 0.3), 13) == "ramp":
            break
    assert drive.rollout.state.reason == "bought is non-inferior at α = 0.05"


def test_an_uneven_split_is_invalid_even_when_the_metric_is_better() -> None:
    drive = Drive(rollout())
    to_deciding(drive, (0.2, 0.5))
    fresh = units(10_000, 800, (0.2, 0.6), drive.now)
    assert drive.turn(1, units=fresh, assigned=(6000, 4000)) == "invalid"
    assert "6,000 and 4,000 units where halves were due" in drive.rollout.state.reason
    assert drive.took(Promote) == []


def test_labels_that_come_for_one_arm_only_block_the_decision() -> None:
    drive = Drive(rollout())
    to_deciding(drive)
    fresh = units(10_000, 1200, (0.1, 0.9), drive.now)
    kept = tuple(u if u.arm == 1 or u.order % 3 else msgspec.structs.replace(u, outcome=None) for u in fresh)
    assert drive.turn(1, units=kept, assigned=counts(drive.seen + fresh)) == "invalid"
    assert "with an outcome" in drive.rollout.state.reason


WATCH = [{"metric": "error_rate", "max": 0.01, "min_requests": 50, "consecutive": 2}]


def window(end: float, value: float, requests: int = 100, before: float = 0.0) -> GuardWindow:
    return GuardWindow("error_rate", end, Reading(before, requests), Reading(value, requests))


def test_a_limit_counts_full_windows_in_a_row_each_once() -> None:
    drive = Drive(rollout(guardrails=WATCH))
    drive.turn()
    assert drive.turn(0.1, windows=(window(1, 0.5),)) == "step"
    assert drive.turn(0.1, windows=(window(1, 0.5),)) == "step"  # the same window again
    assert drive.turn(0.1, windows=(window(2, 0.5, requests=49),)) == "step"  # too thin to say
    assert drive.turn(0.1, windows=(window(3, 0.0),)) == "step"
    assert drive.turn(0.1, windows=(window(4, 0.5),)) == "step"
    assert drive.turn(0.1, windows=(window(5, 0.5),)) == "rolled_back"
    assert drive.rollout.state.reason == "error_rate passed its limit in 2 windows in a row"


def test_a_ratio_needs_the_champion_in_the_same_window() -> None:
    drive = Drive(rollout(guardrails=[{"metric": "error_rate", "max_ratio": 1.2, "min_requests": 50}]))
    drive.turn()
    thin = GuardWindow("error_rate", 1, Reading(0.1, 10), Reading(0.9, 100))
    assert drive.turn(0.1, windows=(thin,)) == "step"
    assert drive.turn(0.1, windows=(window(2, 0.119, before=0.1),)) == "step"
    assert drive.turn(0.1, windows=(window(3, 0.121, before=0.1),)) == "rolled_back"


def test_sequential_harm_of_another_metric() -> None:
    drive = Drive(rollout(guardrails=[{"metric": "fare", "harm": 1, "range": [0, 50]}]))
    drive.turn()
    for turn in range(60):
        fresh = units(turn * 100, 100, (0.3, 0.3), drive.now)
        fares = tuple(msgspec.structs.replace(u, guards={"fare": 30.0 - 15 * u.arm}) for u in fresh)
        drive.seen += fares
        if drive.turn(0.01, units=fares, assigned=counts(drive.seen)) == "rolled_back":
            break
    assert drive.rollout.state.reason == "fare is worse by more than 1"


def test_no_data_is_no_success() -> None:
    drive = Drive(rollout(guardrails=WATCH))
    drive.turn()
    assert drive.turn(5) == "step"
    assert drive.rollout.state.index == 0
    assert drive.rollout.state.reason == "this step has seen too few requests to judge error_rate"
    assert drive.turn(0, windows=(window(drive.now, 0.0),)) == "step"
    assert drive.rollout.state.reason == "the challenger has had no units in this step"
    drive.feed(40, (0.2, 0.2), 0)
    assert drive.rollout.state.index == 1


def test_an_outcome_is_judged_when_mature_and_once() -> None:
    drive = Drive(rollout(maturity="2h"))
    drive.turn()
    late = units(0, 10, (0.5, 0.5), 0.0)
    drive.turn(1, units=late)
    assert drive.rollout.state.cursor == -1
    drive.turn(2, units=late)
    state = drive.rollout.state
    assert (state.cursor, state.trials["(primary)"].sums.n) == (9, 10)
    drive.turn(1, units=late)
    assert drive.rollout.state.trials == state.trials
    assert drive.rollout.state.repeated == 10


def test_a_young_unit_holds_back_those_behind_it() -> None:
    drive = Drive(rollout(maturity="2h"))
    drive.turn(3)
    drive.turn(0, units=(Unit(0, 1, 0.5, 0.0, 1.0), Unit(1, 0, 0.5, drive.now, 1.0), Unit(2, 1, 0.5, 0.0, 1.0)))
    assert drive.rollout.state.cursor == 0


def test_an_outcome_outside_its_range_is_said() -> None:
    drive = Drive(rollout())
    drive.turn()
    assert drive.turn(0, units=(Unit(0, 1, 0.5, 0.0, 3.5),)) == "invalid"
    text = "bought of a unit is 3.5, outside [0, 1]: declare its `range`, or `kind: continuous`"
    assert drive.rollout.state.reason == text


def test_continuous_outcomes_and_lower_is_better() -> None:
    drive = Drive(rollout(kind="continuous", better="lower", limits={"min_duration": "1h", "max_units": 4000}))
    drive.turn()
    rng = random.Random(5)
    for turn in range(80):
        fresh = tuple(
            Unit(turn * 100 + n, arm := int(rng.random() < 0.5), 0.5, drive.now, rng.lognormvariate(0, 1) + 3 - arm)
            for n in range(100)
        )
        drive.seen += fresh
        if drive.turn(13, units=fresh, assigned=counts(drive.seen)) == "ramp":
            break
    assert drive.rollout.state.reason == "bought is superior at α = 0.05"


def test_a_person_may_have_to_agree() -> None:
    steps = [{"enrol": "10%", "hold": "1h"}, {"enrol": "100%", "until": "decided", "approve": "manual"}]
    drive = Drive(rollout(steps=steps, approve="manual", guardrails=[]))
    drive.turn()
    drive.feed(50, (0.2, 0.6), 2)
    drive.feed(50, (0.2, 0.6), 2)
    assert [a.gate for a in drive.took(AskApproval)] == ["step 1"]
    assert drive.turn(0, commands=("approve",)) == "deciding"
    for _ in range(12):
        drive.feed(100, (0.2, 0.6), 1)
    assert drive.rollout.state.phase == "deciding"
    assert [a.gate for a in drive.took(AskApproval)] == ["step 1", "promote"]
    assert drive.turn(0, commands=("approve",)) == "ramp"


def test_nobody_answers() -> None:
    drive = Drive(rollout(approve="manual"))
    drive.turn()
    while drive.rollout.active and drive.now < 40 * 24 * HOUR:
        drive.feed(100, (0.2, 0.6), 13)
    assert drive.rollout.state.phase == "inconclusive"


def test_pause_resume_and_abort() -> None:
    drive = Drive(rollout())
    drive.turn()
    drive.feed(40, (0.2, 0.2), 0)
    assert drive.turn(5, commands=("pause",)) == "step"
    assert drive.rollout.state.index == 0
    drive.turn(0, commands=("resume",))
    assert drive.rollout.state.index == 1
    assert drive.turn(0, commands=("abort",)) == "rolled_back"
    assert drive.rollout.state.reason == "aborted by hand"


def test_broken_data_decides_nothing_and_a_person_may_keep_the_last_word() -> None:
    drive = Drive(rollout(rollback={"automatic": False}))
    to_deciding(drive)
    fresh = units(10_000, 1500, (0.6, 0.1), drive.now)
    assert drive.turn(1, units=fresh) == "deciding"
    assert drive.rollout.state.paused
    assert drive.took(Alert)[-1].text == "bought is worse; paused, since rollback.automatic is false"
    better = Drive(rollout())
    to_deciding(better)
    fresh = units(10_000, 1500, (0.1, 0.6), better.now)
    assert better.turn(1, units=fresh, broken="3 columns are missing") == "deciding"
    assert better.rollout.state.reason == "data quality: 3 columns are missing"
    assert better.turn(1) == "ramp"


def test_a_late_regression_gives_the_old_champion_back() -> None:
    drive = Drive(rollout(guardrails=WATCH, ramp=[1.0], steps=[{"enrol": "100%", "until": "decided"}]))
    drive.turn()
    while drive.rollout.state.phase != "baked":
        drive.feed(200, (0.2, 0.6), 2)
        drive.turn(1, windows=(window(drive.now, 0.0),))
    drive.turn(1, windows=(window(drive.now + 1, 0.5),))
    assert drive.turn(1, windows=(window(drive.now + 1, 0.5),)) == "rolled_back"
    assert [a.version for a in drive.took(Restore)] == [3]


def test_one_rollout_at_a_time() -> None:
    going = rollout()
    assert machine.begin(rollout(), [going], [], 5.0) == machine.Refusal("rollout r1 of shop is still going on")
    other = msgspec.structs.replace(going, model="other")
    assert isinstance(machine.begin(rollout(), [other], [], 5.0), Rollout)


def test_the_journal_says_everything_and_is_plain_data() -> None:
    drive = Drive(rollout())
    drive.turn()
    drive.feed(40, (0.2, 0.2))
    entry = drive.took(Journal)[-1]
    assert (entry.rule, entry.before, entry.after) == ("rollout/2", "step[0]", "step[1]")
    assert entry.decision == "next: the step held"
    assert entry.figures["metrics"]["bought"]["units"] == list(counts(drive.seen))
    assert set(entry.figures["metrics"]["bought"]["log_e"]) == {"superior", "harm"}
    assert json.loads(json.dumps(msgspec.to_builtins(entry))) == msgspec.to_builtins(entry)


def test_a_rollout_survives_storage_at_any_point() -> None:
    drive = Drive(rollout(shadow={"for": "1h"}, guardrails=WATCH))
    for hours in (0, 2, 2, 30):
        drive.turn(hours, shadow=ShadowSeen(500, 0), windows=(window(drive.now, 0.0),))
        for codec in (msgspec.msgpack, msgspec.json):
            assert codec.decode(codec.encode(drive.rollout), type=Rollout) == drive.rollout


def test_blocks_judge_counts_of_windows_either_way() -> None:
    """Ten minutes are one window; the last one counts when a unit of the next has come."""
    for rates, phase in (((0.1, 0.25), "ramp"), ((0.25, 0.1), "rolled_back"), ((0.2, 0.2), "deciding")):
        moved = rollout(steps=[{"enrol": "100%", "until": "decided"}], blocks="10m")
        for window in range(12):
            found = units(window * 200, 200, rates, at=window * 600.0)
            evidence = Evidence(units=found, assigned=(100 * window + 100, 100 * window + 100))
            moved, _ = machine.advance(moved, evidence, 3600.0 + window * 600.0)
        trial = moved.state.trials["(primary)"]
        assert moved.state.phase == phase, (rates, moved.state.reason)
        assert trial.wagers == {}
        assert trial.blocks.champion[1] + trial.blocks.challenger[1] == trial.sums.n - sum(
            n for _, n in trial.blocks.open
        )


def test_blocks_are_the_same_however_the_units_arrive() -> None:
    block = {"steps": [{"enrol": "100%", "until": "decided"}], "blocks": "10m", "limits": {"min_units": 10**6}}
    found = [unit for window in range(6) for unit in units(window * 50, 50, (0.2, 0.3), at=window * 600.0)]
    at_once, _ = machine.advance(rollout(**block | {"limits": {}}), Evidence(units=tuple(found)), HOUR * 9)
    moved = rollout(**block | {"limits": {}})
    for unit in found:
        moved, _ = machine.advance(moved, Evidence(units=(unit,)), HOUR * 9)
    first, second = (one.state.trials["(primary)"].blocks for one in (at_once, moved))
    assert (first.number, first.champion, first.challenger) == (second.number, second.champion, second.challenger)
    assert second.log_e == pytest.approx(first.log_e)
