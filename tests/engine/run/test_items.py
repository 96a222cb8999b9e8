"""The state of a step with `foreach`, without a process."""

from treadle.domain.artifact import Artifact
from treadle.domain.location import Location
from treadle.domain.plan import PlannedStep
from treadle.domain.spec import Retry
from treadle.domain.task import BATCH, Failure
from treadle.run.items import FIRST, KEPT, MOST, Items

ONCE = Retry()
BAD = Failure("error", "no")


def items(total: int, seconds: float = 0.0, retry: Retry = ONCE) -> Items:
    where = Location("x", 1, 1)
    made = Items(PlannedStep(id="a", kind="function", call="w:f", where=where, retry=retry), total, seconds)
    made.open(range(total))
    return made


def artifact(index: int) -> dict[str, Artifact]:
    return {"out": Artifact(str(index), "json", 1)}


def test_batches_hold_as_much_as_fits_in_their_time_and_are_shared_among_slots() -> None:
    assert len(items(1000).take(2)) == FIRST
    assert len(items(1000, seconds=BATCH / 10).take(2)) == 10
    assert len(items(100_000, seconds=1e-6).take(2)) == MOST
    assert len(items(1000, seconds=9.0).take(2)) == 1
    assert len(items(5).take(4)) == 2
    assert items(0).take(4) == []


def test_every_item_is_taken_once_and_the_order_of_the_list_is_kept() -> None:
    state = items(50)
    seen: list[int] = []
    while not state.over:
        batch = state.take(3)
        state.give_back(batch[len(batch) // 2 + 1 :])
        for index in reversed(batch[: len(batch) // 2 + 1]):
            state.done(index, artifact(index), 0.01)
            seen.append(index)
    assert sorted(seen) == list(range(50))
    assert [one.digest for one in state.outputs("out")] == [str(n) for n in range(50)]
    assert state.summary().run == 50


def test_an_item_is_tried_again_after_its_own_pause() -> None:
    state = items(1, retry=Retry(1, 10.0))
    assert state.take(1) == [0]
    wait = state.fail(0, "x", BAD, 100.0)
    assert wait is not None
    assert not state.over
    state.wake(100.0 + wait - 0.1)
    assert state.take(1) == []
    state.wake(100.0 + wait)
    assert state.take(1) == [0]
    assert state.fail(0, "x", BAD, 200.0) is None
    assert state.over
    assert state.summary().failures[0].attempts == 2


def test_what_is_not_worth_repeating_fails_at_once() -> None:
    state = items(2, retry=Retry(3, 1.0, ("timeout",)))
    state.take(1)
    assert state.fail(0, "x", BAD, 0.0) is None
    assert state.fail(1, "x", Failure("timeout", "late"), 0.0) is not None


def test_a_record_keeps_the_first_failures() -> None:
    state = items(KEPT + 20)
    for index in reversed(range(KEPT + 20)):
        state.fail(index, "x", BAD, 0.0)
    summary = state.summary()
    assert (summary.failed, len(summary.failures)) == (KEPT + 20, KEPT)
    assert summary.failures == tuple(sorted(summary.failures, key=lambda one: one.index))
