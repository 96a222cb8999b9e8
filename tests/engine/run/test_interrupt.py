"""Signals during a run, and a clock that is set back."""

import os
import signal

import pytest

from support.clock import FakeClock
from treadle.run.interrupt import Interrupts
from treadle.run.journal import Steady


def test_a_signal_waits_until_the_run_does_and_a_second_one_does_not() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)  # in the middle of something: nothing happens
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        with pytest.raises(KeyboardInterrupt), interrupts.waiting():
            raise AssertionError("never gets here")
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_ends_a_wait() -> None:
    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt), interrupts.waiting():
        os.kill(os.getpid(), signal.SIGINT)


def test_a_clock_that_is_set_back_stops_no_pause() -> None:
    clock = FakeClock()
    steady = Steady(clock)
    first = steady()
    clock.advance(10)
    assert steady() - first == 10
    clock.now -= 3600
    assert steady() - first == 10
    clock.advance(5)
    assert steady() - first == 15
