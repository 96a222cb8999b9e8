"""Triggers by the second: what fires, what merges, what is suppressed and why; and nothing is lost or doubled."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treadle.domain.location import Location
from treadle.domain.spec import Trigger
from treadle.domain.trigger import Book, Budget, Decision, Fire, Happened, Merge, Observed, Rule, RunEnded, Suppress
from treadle.trigger.decide import Seen, decide, started
from treadle.trigger.rules import rule

HOUR, DAY = 3600.0, 86400.0
START = 1_772_000_000.0  # 2026-02-25 06:13:20 UTC


class Clockwork:
    """A decider with its book, driven by hand."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = {one.name: one for one in rules}
        self.book, self.now = Book(), START

    def look(self, *events: Any, after: float = 0.0, reasons: tuple[str, ...] = ()) -> list[str]:
        self.now += after
        self.book, found = decide(self.book, self.rules, Seen(events, frozenset(reasons)), self.now)
        return [words(one) for one in found]

    def lands(self, ok: bool = True, after: float = 60.0) -> list[str]:
        return self.look(RunEnded(ok), after=after)


def words(one: Decision) -> str:
    if isinstance(one, Fire):
        return f"fire {'+'.join(one.triggers)}{f' up to {one.target}' if one.target else ''}: {one.reason}"
    return f"{'merge' if isinstance(one, Merge) else 'suppress'} {one.trigger}: {one.reason}"


def made(name: str, kind: str, group: str = "", **options: Any) -> Rule:
    subject = {"cron": "0 3 * * *", "files": "data.trips"}.get(kind, kind)
    where = Location("p.yaml", 1, 1)
    return rule(Trigger(name, kind, options.pop("subject", subject), where, options, group=group))


def drift(alarms: bool | None = True) -> Observed:
    return Observed("d", alarms, "zone drifted" if alarms else "nothing drifted", {"psi": 0.4})


def files(mark: str, at: float = START) -> Happened:
    return Happened("f", at, mark)


def test_the_fields_of_a_trigger_are_resolved() -> None:
    options = {"cooldown": "1h", "budget": {"per": "7d", "runs": 3}, "on_fail": {"backoff": "6h", "max": 3}}
    found = made("d", "drift", unless="rollout", run="train", max_per_day=4, **options)
    assert (found.cooldown, found.budget, found.unless, found.target) == (
        HOUR,
        Budget(7 * DAY, 3),
        ("rollout",),
        "train",
    )
    assert (found.on_fail.seconds, found.on_fail.most, found.max_per_day) == (6 * HOUR, 3, 4)


def test_an_alarm_fires_and_a_quiet_level_says_so_once() -> None:
    clock = Clockwork(made("d", "drift"))
    assert clock.look(drift(False)) == ["suppress d: quiet: nothing drifted"]
    assert clock.look(drift(False)) == []
    assert clock.look(drift(None)) == ["suppress d: cannot say: nothing drifted"]
    assert clock.look(drift()) == ["fire d: zone drifted"]


def test_one_run_at_a_time_and_what_asks_meanwhile_shares_the_next() -> None:
    clock = Clockwork(made("d", "drift"), made("f", "files"), made("w", "webhook"))
    assert clock.look(drift()) == ["fire d: zone drifted"]
    assert clock.look(files("a")) == ["merge f: joins the run after this one"]
    assert clock.look(files("b"), Happened("w", clock.now, "n1")) == ["merge w: joins the run after this one"]
    assert clock.lands() == ["fire f+w: asked while a run was going on", "merge w: joins the run of f"]
    assert clock.lands() == []


def test_triggers_of_one_look_share_a_run_that_reaches_all_targets() -> None:
    clock = Clockwork(made("d", "drift", run="train"), made("f", "files", run="train"), made("w", "webhook"))
    assert clock.look(drift(), files("a"))[0] == "fire d+f up to train: zone drifted"
    clock.lands()
    assert clock.look(drift(), Happened("w", clock.now, "n1"))[0] == "fire d+w: zone drifted"


def test_cooldown_max_per_day_and_budget() -> None:
    clock = Clockwork(made("d", "drift", cooldown="1h", max_per_day=2, budget={"per": "7d", "runs": 3}))
    assert clock.look(drift()) == ["fire d: zone drifted"]
    clock.lands()
    assert clock.look(drift()) == ["suppress d: cooldown of 3600 s"]
    assert clock.look(drift(), after=60) == []  # said already
    assert clock.look(drift(), after=HOUR) == ["fire d: zone drifted"]
    clock.lands()
    assert clock.look(drift(), after=2 * HOUR) == ["suppress d: 2 runs in 24 hours are the most"]
    assert clock.look(drift(), after=DAY) == ["fire d: zone drifted"]
    clock.lands()
    assert clock.look(drift(), after=2 * DAY) == ["suppress d: the budget of 3 runs in 604800 s is spent"]
    assert clock.look(drift(), after=7 * DAY) == ["fire d: zone drifted"]


def test_causes_of_one_trigger_share_its_limits_and_failures() -> None:
    shared = {
        "group": "any",
        "cooldown": "1h",
        "budget": {"per": "7d", "runs": 2},
        "on_fail": {"backoff": "4h", "max": 2},
    }
    clock = Clockwork(made("d", "drift", **shared), made("w", "webhook", **shared), made("x", "webhook"))
    assert clock.look(drift(), Happened("w", START, "n1")) == ["fire d+w: zone drifted", "merge w: joins the run of d"]
    clock.lands(ok=False)
    posted = Happened("w", clock.now, "n2")
    assert clock.look(posted, after=2 * HOUR) == ["suppress w: backs off for 14400 s after 1 failed run"]
    assert clock.look(after=3 * HOUR) == ["fire w: waited until it was allowed"]
    clock.lands()
    assert clock.look(drift()) == ["suppress d: cooldown of 3600 s"]
    assert clock.look(drift(), after=DAY) == ["suppress d: the budget of 2 runs in 604800 s is spent"]
    assert clock.look(Happened("x", clock.now, "n3")) == ["fire x: webhook was posted"], "it has limits of its own"


def test_broken_data_blocks_all_but_a_person_and_unless_blocks_what_it_names() -> None:
    clock = Clockwork(made("d", "drift", unless=["rollout"]), made("w", "webhook"))
    broken = "suppress d: the data is broken: training on it would make it worse"
    assert clock.look(drift(), reasons=("quality",)) == [broken]
    assert clock.look(drift(), reasons=("rollout",)) == ["suppress d: unless rollout"]
    assert clock.look(Happened("w", START, "n"), reasons=("quality", "rollout"))[0].startswith("fire w")


def test_an_event_that_may_not_fire_yet_is_kept_and_a_schedule_is_not() -> None:
    clock = Clockwork(made("f", "files", unless="rollout"), made("c", "cron", unless="rollout"))
    clock.look()
    found = clock.look(files("a"), after=DAY, reasons=("rollout",))
    assert found == ["suppress f: unless rollout", "suppress c: unless rollout"]
    assert clock.look(after=HOUR) == ["fire f: waited until it was allowed"]


def test_failures_back_off_twice_as_long_each_time_and_then_stop() -> None:
    clock = Clockwork(made("d", "drift", on_fail={"backoff": "1h", "max": 3}), made("w", "webhook"))
    clock.look(drift())
    clock.lands(ok=False)
    assert clock.look(drift()) == ["suppress d: backs off for 3600 s after 1 failed run"]
    assert clock.look(drift(), after=HOUR) == ["fire d: zone drifted"]
    clock.lands(ok=False)
    assert clock.look(drift(), after=HOUR) == ["suppress d: backs off for 7200 s after 2 failed runs"]
    assert clock.look(drift(), after=HOUR) == ["fire d: zone drifted"]
    clock.lands(ok=False)
    text = "suppress d: 3 runs failed in a row; a run that succeeds starts it again"
    assert clock.look(drift(), after=10 * DAY) == [text]
    assert clock.look(Happened("w", clock.now, "n"))[0].startswith("fire w")
    clock.lands(ok=True)
    assert clock.look(drift()) == ["fire d: zone drifted"]


def test_the_end_of_another_run_ends_nothing() -> None:
    clock = Clockwork(made("d", "drift"))
    clock.look(drift())
    clock.book = started(clock.book, "r1")
    clock.look(RunEnded(True, "r0"))
    assert clock.book.flight is not None
    clock.look(RunEnded(True, "r1"))
    assert clock.book.flight is None


def test_files_wait_until_they_are_quiet_and_the_same_bytes_are_nothing_new() -> None:
    clock = Clockwork(made("f", "files", debounce="2s"))
    assert clock.look(files("a", clock.now)) == []
    assert clock.look(files("b", clock.now + 1), after=1) == []
    assert clock.look(after=1) == []
    assert clock.look(after=1) == ["fire f: data.trips changed"]
    clock.lands()
    assert clock.look(files("b", clock.now)) == ["suppress f: the same as before: nothing new"]
    assert clock.look(after=10) == []


def test_a_schedule_keeps_its_zone_and_catches_up_once() -> None:
    clock = Clockwork(made("c", "cron", timezone="Europe/Berlin"))  # 03:00 there is 02:00 UTC in winter
    assert clock.look() == []
    midnight = START - START % DAY + DAY
    assert clock.look(after=midnight + 2 * HOUR - 1 - clock.now) == []
    assert clock.look(after=1) == ["fire c: scheduled 0 3 * * *"]
    clock.lands()
    assert clock.look(after=3 * DAY) == ["fire c: scheduled 0 3 * * *; 2 missed before it"]
    clock.lands()
    assert clock.look() == []


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_nightly_schedule_fires_once_when_the_clocks_change(day: str, hours: int) -> None:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    clock = Clockwork(made("c", "cron", subject="30 2 * * *", timezone="Europe/Berlin"))
    begins = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    clock.look(after=begins - clock.now)
    fired = 0
    for _ in range(hours * 6):
        fired += len(clock.look(after=600))
        clock.lands(after=0)
    assert fired == 1


def test_a_clock_that_jumps_loses_and_doubles_no_time() -> None:
    clock = Clockwork(made("c", "cron", subject="0 * * * *"))
    clock.look()
    assert len(clock.look(after=HOUR)) == 1
    clock.lands(after=0)
    assert clock.look(after=-HOUR / 2) == []
    assert clock.look(after=HOUR / 2) == []  # that hour was seen to
    clock.look(after=1000 * DAY)  # a wrong clock
    clock.lands(after=0)
    clock.look(after=-1000 * DAY)
    assert len(clock.look(after=HOUR)) == 1


def test_the_book_survives_storage() -> None:
    clock = Clockwork(made("d", "drift", cooldown="1h"), made("f", "files", unless="rollout"), made("c", "cron"))
    clock.look(drift(), files("a"), reasons=("rollout",))
    assert msgspec.json.decode(msgspec.json.encode(clock.book), type=Book) == clock.book


EVENTS = st.one_of(
    st.sampled_from([drift(), drift(False), drift(None)]),
    st.sampled_from([RunEnded(True), RunEnded(False), Happened("nobody", START)]),
    st.builds(files, st.sampled_from("abc"), st.floats(START - HOUR, START + DAY)),
    st.builds(lambda n: Happened("w", START, n), st.sampled_from(["n1", "n2", "n3"])),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(EVENTS, max_size=3),
            st.floats(-2 * HOUR, 9 * HOUR),
            st.sampled_from([(), (), ("rollout",), ("quality",)]),
        ),
        max_size=40,
    )
)
def test_whatever_happens_limits_hold_and_runs_never_overlap(looks: list[Any]) -> None:
    rules = (
        made("d", "drift", cooldown="1h", max_per_day=3, unless="rollout"),
        made("f", "files", debounce="2s", budget={"per": "12h", "runs": 2}),
        made("c", "cron", subject="0 */4 * * *"),
        made("w", "webhook"),
    )
    clock = Clockwork(*rules)
    running, fired = False, []
    for events, after, reasons in looks:
        clock.now += after
        running = running and not any(isinstance(event, RunEnded) for event in events)
        clock.book, found = decide(clock.book, clock.rules, Seen(tuple(events), frozenset(reasons)), clock.now)
        fires = [one for one in found if isinstance(one, Fire)]
        assert len(fires) <= 1
        for one in fires:
            assert not running, "two runs at once"
            running = True
            fired.append((clock.now, one.triggers))
            assert "quality" not in reasons or one.triggers == ("w",)
            assert "rollout" not in reasons or "d" not in one.triggers
        assert all(one.reason for one in found if not isinstance(one, Suppress) or one.reason)
    moments = [at for at, names in fired if "d" in names]
    for at in moments:
        assert sum(at - DAY < other <= at for other in moments) <= 3


def test_nothing_waits_for_ever() -> None:
    clock = Clockwork(made("f", "files", cooldown="1h"))
    clock.look(files("a"))
    assert clock.look(files("b")) == ["suppress f: cooldown of 3600 s"]
    assert clock.lands() == []
    assert clock.look(after=HOUR) == ["fire f: waited until it was allowed"]
