"""Printed figures of the methods' sources, to the last digit printed."""

import pytest

from treadle.domain.rollout import Sums, Trial
from treadle.rollout import betting, blocks, confidence, planning, srm

EVEN = {"superior": (1, 0.0)}


def test_the_betting_process_unit_by_unit() -> None:
    trial, found = Trial(), []
    for arm, outcome in zip((1, 0, 1, 0, 1, 0), (1, 0, 1, 0, 1, 1), strict=True):
        trial = betting.judge(trial, EVEN, [(arm, 0.5, float(outcome))])
        found.append(round(trial.wagers["superior"].log_e, 6))
    assert found == [0, 0.068842, 0.169799, 0.332373, 0.495811, 0.309108]
    assert round(trial.wagers["superior"].peak, 6) == 0.495811


def test_the_betting_process_over_two_hundred_pairs() -> None:
    trial = betting.judge(Trial(), EVEN, [(1, 0.5, 1.0), (0, 0.5, 0.0)] * 200)
    assert round(trial.wagers["superior"].log_e, 6) == 155.503161


def test_resuming_after_any_unit_changes_nothing() -> None:
    outcomes = [(number % 2, 0.3, float(number % 7 == 0)) for number in range(400)]
    nulls = {"superior": (1, 0.0), "harm": (-1, -0.01)}
    whole, parts = betting.judge(Trial(), nulls, outcomes), Trial()
    for start in range(0, 400, 37):
        parts = betting.judge(parts, nulls, outcomes[start : start + 37])
    assert parts == whole


def test_sample_ratio_mismatch() -> None:
    assert round(srm.log_e((5200, 4800), (0.5, 0.5)), 6) == 6.075818
    assert round(srm.log_e((5000, 5000), (0.5, 0.5)), 6) == -1.199175
    assert srm.p_value(5200, 4800, 0.5) == pytest.approx(6.334e-05, rel=1e-3)  # χ² = 16
    assert srm.p_value(0, 0, 0.5) == 1.0


def test_the_confidence_sequence_at_its_planned_size() -> None:
    assert round(confidence.half_width(5000, 0.6, 0.05, 5000), 6) == 0.025755
    assert confidence.one_sided(5000, 0.6, 0.05, 5000) < 0.025755


def test_the_gate_of_the_confidence_sequence() -> None:
    closed = Sums(1000, 500, 10, 900, (500, 500), (49, 400), (49, 400))
    assert confidence.bounds(closed, 0.05, 5000) == (float("-inf"), float("inf"))
    low, high = confidence.bounds(Sums(1000, 500, 10, 900, (500, 500), (50, 400), (50, 400)), 0.05, 5000)
    assert low < 0.01 < high


def test_blocks_of_counts() -> None:
    first = blocks.add(blocks.Blocks(), (10, 100), (20, 100))
    assert first.log_e == 0.0  # nothing is known before the first window, so both guesses are one half
    second = blocks.add(first, (10, 100), (20, 100))
    assert second.log_e > 0
    assert (second.champion, second.challenger) == ((20, 200), (40, 200))
    assert blocks.add(second, (0, 0), (0, 0)) == second


def test_the_hint_before_a_test() -> None:
    assert planning.rate_units(0.10, 0.02) == 7668  # two-sided, 80 % power
    assert planning.fixed_units(0.6, 0.01) == 112_896
