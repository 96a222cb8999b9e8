"""When a burst of events is over: no clock runs here but the test's."""

import pytest

from treadle.watch.debounce import LONGEST, MANY, QUIET, Debounce


def test_nothing_is_due_when_nothing_happened() -> None:
    assert Debounce().wait(0.0) is None


def test_a_burst_is_over_when_it_has_been_quiet() -> None:
    debounce = Debounce()
    debounce.notice("/a", 10.0)
    assert debounce.wait(10.0) == pytest.approx(QUIET)
    debounce.notice("/b", 10.0 + QUIET / 2)
    assert debounce.wait(10.0 + QUIET) > 0
    assert debounce.wait(10.0 + 2 * QUIET) == 0
    assert debounce.take() == {"/a", "/b"}
    assert debounce.wait(11.0) is None


def test_a_burst_without_end_is_looked_at_all_the_same() -> None:
    debounce = Debounce()
    now = 0.0
    while debounce.wait(now) != 0:
        debounce.notice("/a", now)
        now += QUIET / 4
        assert now < 2 * LONGEST
    assert LONGEST <= now <= LONGEST + QUIET


def test_very_many_paths_stand_for_everything() -> None:
    debounce = Debounce()
    for number in range(MANY + 1):
        debounce.notice(f"/{number}", 0.0)
    assert debounce.take() is None


def test_an_empty_path_stands_for_everything() -> None:
    debounce = Debounce()
    debounce.notice("", 0.0)
    assert debounce.take() is None


def test_what_is_held_comes_back_later_with_what_happens_meanwhile() -> None:
    debounce = Debounce()
    debounce.notice("/a", 0.0)
    paths = debounce.take()
    debounce.hold(paths, 1.0, 0.5)
    debounce.notice("/b", 1.1)
    assert debounce.wait(1.2) == pytest.approx(0.3)
    assert debounce.take() == {"/a", "/b"}
