"""The pool that stays between turns, what a run sees of it, and when it is made anew."""

import pytest

from support.executor import FakeExecutor
from treadle.domain.task import Task
from treadle.errors import ExecutorError
from treadle.watch.pool import Make, Pool, Superseded


def task(step: str) -> Task:
    return Task(
        run_id="r", step_id=step, attempt=1, kind="function", call="m:f", root="/", objects="/", scratch="/", log="/"
    )


class Maker:
    """Counts the executors it makes."""

    def __init__(self) -> None:
        self.made: list[FakeExecutor] = []
        self.superseded = False

    def start(self) -> FakeExecutor:
        self.made.append(FakeExecutor(manual=True))
        return self.made[-1]

    def lend(self, pool: Pool, key: str = "k"):  # type: ignore[no-untyped-def]
        return pool.lend(Make(key, self.start), lambda running: self.superseded)


def test_a_run_closes_it_and_the_next_one_has_the_same() -> None:
    maker, pool = Maker(), Pool()
    first = maker.lend(pool)
    first.submit(task("a"))
    maker.made[0].finish("a")
    assert [outcome.step_id for outcome in first.wait(1.0)] == ["a"]
    first.close()
    maker.lend(pool).submit(task("b"))
    assert len(maker.made) == 1
    assert not maker.made[0].closed


def test_another_key_makes_another_pool_and_ends_the_old_one() -> None:
    maker, pool = Maker(), Pool()
    maker.lend(pool, "pandas")
    maker.lend(pool, "pandas and more")
    assert len(maker.made) == 2
    assert maker.made[0].closed
    assert not maker.made[1].closed
    pool.close()
    assert maker.made[1].closed


def test_a_superseded_run_hears_it_and_its_tasks_are_cancelled() -> None:
    maker, pool = Maker(), Pool()
    lent = maker.lend(pool)
    lent.submit(task("slow"))
    maker.superseded = True
    with pytest.raises(Superseded):
        lent.wait(None)
    with pytest.raises(Superseded):
        lent.submit(task("next"))
    lent.close()
    assert maker.made[0].cancelled == ["slow"]
    assert maker.made[0].running == []
    assert not maker.made[0].closed


def test_what_has_ended_is_told_before_the_run_is_superseded() -> None:
    maker, pool = Maker(), Pool()
    lent = maker.lend(pool)
    lent.submit(task("a"))
    maker.made[0].finish("a")
    maker.superseded = True
    assert [outcome.step_id for outcome in lent.wait(None)] == ["a"]


def test_a_pool_that_broke_is_not_used_again() -> None:
    maker, pool = Maker(), Pool()
    lent = maker.lend(pool)

    def broken(timeout: float | None) -> list[object]:
        raise ExecutorError("the worker pool ended twice")

    maker.made[0].wait = broken  # type: ignore[method-assign, assignment]
    with pytest.raises(ExecutorError):
        lent.wait(None)
    lent.close()
    assert maker.made[0].closed
    maker.lend(pool)
    assert len(maker.made) == 2
