"""The pure state machine, without clock, store or processes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from treadle.domain.location import Location
from treadle.domain.plan import Plan, PlannedStep
from treadle.domain.spec import Retry
from treadle.domain.task import Failure
from treadle.run.schedule import Again, Schedule, pause

WHERE = Location("x", 1, 1)
CRASH = Failure("crash", "killed")


def plan(**needs: list[str]) -> Plan:
    steps = tuple(PlannedStep(id=n, kind="function", call="w:f", where=WHERE, needs=tuple(f)) for n, f in needs.items())
    return Plan(pipeline="p", path="p.yaml", digest="", steps=steps)


def test_a_step_is_ready_when_all_its_needs_are_done() -> None:
    schedule = Schedule(plan(a=[], b=[], c=["a", "b"]), {})
    assert sorted(schedule.take()) == ["a", "b"]
    schedule.finish("a")
    assert schedule.take() == []
    schedule.finish("b")
    assert schedule.take() == ["c"]
    schedule.finish("c")
    assert schedule.over


def test_the_longest_path_goes_first() -> None:
    schedule = Schedule(plan(short=[], long=[], after=["long"]), {"short": 1.0, "long": 1.0, "after": 5.0})
    assert schedule.take() == ["long", "short"]


def test_what_will_likely_run_is_taken_first_with_all_that_it_needs_and_that_needs_it() -> None:
    needs = {"a": [], "b": [], "c": [], "changed": ["b"], "beside": ["c"], "after": ["changed", "beside"], "end": ["a"]}
    schedule = Schedule(plan(**needs), {"end": 9.0}, ["changed"])
    order: list[str] = []
    while not schedule.over:
        assert schedule.more
        (step,) = schedule.take(1)
        order.append(step)
        schedule.finish(step)
    assert order.index("a") == 5, order  # though its path is the longest
    assert not schedule.more


def test_a_failure_skips_all_below_and_nothing_else() -> None:
    schedule = Schedule(plan(a=[], b=["a"], c=["b"], d=[]), {})
    schedule.take()
    skips = schedule.fail("a", CRASH, 0.0)
    assert isinstance(skips, list)
    assert [(s.step, s.reason) for s in skips] == [
        ("b", "needs 'a', which failed"),
        ("c", "needs 'b', which was skipped"),
    ]
    schedule.finish("d")
    assert schedule.over


def test_retry_waits_longer_each_time_and_then_fails() -> None:
    step = PlannedStep(id="a", kind="function", call="w:f", where=WHERE, retry=Retry(2, 10.0))
    schedule = Schedule(Plan(pipeline="p", path="p", digest="", steps=(step,)), {})
    waits = []
    for now in (0.0, 100.0):
        assert schedule.take() == ["a"]
        again = schedule.fail("a", CRASH, now)
        assert isinstance(again, Again)
        waits.append(again.at - now)
        assert schedule.wake(again.at - 0.01) == []
        assert schedule.wake(again.at) == ["a"]
    assert 7.5 <= waits[0] <= 12.5 < 15.0 <= waits[1] <= 25.0
    schedule.take()
    assert schedule.fail("a", CRASH, 200.0) == []
    assert schedule.over


def test_only_named_failures_are_repeated() -> None:
    step = PlannedStep(id="a", kind="function", call="w:f", where=WHERE, retry=Retry(5, 1.0, ("timeout", 75)))
    made = Plan(pipeline="p", path="p", digest="", steps=(step,))
    for failure, repeated in (
        (Failure("timeout", ""), True),
        (Failure("exit", "", code=75), True),
        (CRASH, False),
        (Failure("output", ""), False),
    ):
        schedule = Schedule(made, {})
        schedule.take()
        assert isinstance(schedule.fail("a", failure, 0.0), Again) is repeated


def test_the_pause_is_bounded() -> None:
    assert pause(1e9, 50, "a") <= 3600 * 1.25


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    count = draw(st.integers(1, 25))
    names = [f"s{n}" for n in range(count)]
    return {
        n: draw(st.lists(st.sampled_from(names[:i]), max_size=3, unique=True)) if i else [] for i, n in enumerate(names)
    }


@settings(max_examples=200, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_every_walk_ends_with_every_step_ended_once(needs: dict[str, list[str]], draw: "object") -> None:
    schedule = Schedule(plan(**needs), {})
    ended: list[str] = []
    while not schedule.over:
        for step in schedule.take():
            assert all(schedule.state[need] == "done" for need in needs[step])
            fate = draw.random()  # type: ignore[attr-defined]
            ended.append(step)
            if fate < 0.7:
                schedule.finish(step)
            elif fate < 0.85:
                result = schedule.fail(step, CRASH, 0.0)
                assert isinstance(result, list)
                ended += [skip.step for skip in result]
            else:
                ended += [skip.step for skip in schedule.skip(step, "no")[1:]]
    assert sorted(ended) == sorted(needs)
