"""Switchback units: one arm for a cluster during a window, its mean without the burn-in."""

import pytest

from treadle.domain.rollout import Switchback
from treadle.rollout.switchback import Row, autocorrelation, burning_in, unit_of, units

TERMS = Switchback("zone", 1800.0, 300.0)


def test_the_unit_is_the_cluster_during_a_window() -> None:
    assert unit_of("A", 1799.0, TERMS) == unit_of("A", 0.0, TERMS) == "A/0"
    assert unit_of("A", 1800.0, TERMS) == "A/1"
    assert [burning_in(at, TERMS) for at in (0.0, 299.0, 300.0, 1800.0)] == [True, True, False, True]


def test_rows_become_means_of_windows_in_order() -> None:
    rows = [
        Row("B", 400.0, 0, 0.5, 1.0),
        Row("A", 2200.0, 0, 0.5, 0.0),
        Row("A", 400.0, 1, 0.5, 1.0),
        Row("A", 500.0, 1, 0.5, 0.0),
        Row("A", 100.0, 1, 0.5, 9.0),  # burns in
    ]
    made = units(rows, TERMS)
    assert [(u.order, u.arm, u.assigned, u.outcome) for u in made] == [
        (0, 1, 1800.0, 0.5),
        (1, 0, 1800.0, 1.0),
        (2, 0, 3600.0, 0.0),
    ]


def test_autocorrelation() -> None:
    assert autocorrelation([1.0, 2.0]) == 0.0
    assert autocorrelation([3.0] * 9) == 0.0
    assert autocorrelation([1.0, -1.0] * 50) == pytest.approx(-0.99)
    assert autocorrelation([float(n) for n in range(100)]) > 0.9
