"""Switchback units: one arm for a cluster during a window; effects that may outlive it are told."""

import random

import pytest
from msgspec import structs

from treadle.document.rollout import resolve
from treadle.domain.rollout import Echo, RolloutState, Switchback, Unit
from treadle.rollout import switchback
from treadle.rollout.switchback import burning_in, correlation, follow

TERMS = Switchback("zone", 1800.0, 300.0)


def test_the_first_minutes_of_a_window_are_dropped() -> None:
    assert [burning_in(at, TERMS) for at in (0.0, 299.0, 300.0, 1800.0)] == [True, True, False, True]


def windows(persistence: float, count: int = 400, clusters: int = 4) -> list[tuple[Unit, float]]:
    """Outcomes of clusters, window by window, of which each keeps a part of the one before; arms by the coin."""
    draw = random.Random(5)
    level = [0.0] * clusters
    found = []
    for number in range(count):
        for cluster in range(clusters):
            level[cluster] = persistence * level[cluster] + draw.gauss(0, 1)
            arm = int(draw.random() < 0.5)
            unit = Unit(len(found), arm, 0.5, (number + 1) * TERMS.window, cluster=f"zone-{cluster}")
            found.append((unit, 5.0 * arm + level[cluster]))
    return found


@pytest.mark.parametrize("persistence", [0.0, 0.5])
def test_windows_that_echo_those_before_are_found_whatever_the_effect(persistence: float) -> None:
    echo = follow(Echo(), windows(persistence), TERMS)
    assert correlation(echo) == pytest.approx(persistence, abs=0.1)
    halves = follow(follow(Echo(), windows(persistence)[:801], TERMS), windows(persistence)[801:], TERMS)
    assert halves == echo, "it is resumed from what is stored"
    spec = resolve({"metric": "wait", "unit": {"switchback": {"by": "zone", "window": "30m"}}})
    said = switchback.warnings(spec, RolloutState(echo=echo))
    assert [text.startswith("windows echo those before") for text in said] == [True] * (persistence > 0.2)


def test_windows_that_are_missing_are_no_neighbours() -> None:
    seen = [one for one in windows(0.9) if int(one[0].assigned / TERMS.window) % 2]
    assert follow(Echo(), seen, TERMS).pairs == 0


def test_few_windows_are_said_to_be_few() -> None:
    spec = resolve({"metric": "wait", "unit": {"switchback": {"by": "zone", "window": "30m"}}})
    state = RolloutState(echo=follow(Echo(), windows(0.0, 20), TERMS))
    assert switchback.warnings(spec, state) == ["80 cluster-windows so far: fewer than 200 hardly decide anything"]
    assert switchback.warnings(structs.replace(spec, switchback=None), state) == []
