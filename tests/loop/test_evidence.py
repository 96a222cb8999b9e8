"""The evidence of a rollout is what its log says, to the last bit, however the log was read; beside a plain reading."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from treadle.control.evidence import SETTLE, RolloutLog
from treadle.document.rollout import resolve
from treadle.domain.loop import KeptRollout
from treadle.domain.rollout import Evidence, Rollout, RolloutSpec, RolloutState, Unit
from treadle.domain.serving import Outcome, Prediction
from treadle.store.predictions import Added

STARTED, FLOOR, MATURITY = 100.0, 99.0, 2.0
HARM = {"guardrails": [{"metric": "fare", "harm": 0.1}, {"metric": "error_rate", "max": 0.3, "min_requests": 5}]}
SWITCHBACK = {"unit": {"switchback": {"by": "zone", "window": "5s", "burn_in": "1s"}}}


def kept(block: dict[str, Any]) -> KeptRollout:
    terms = {"metric": "bought", "maturity": "2s", "steps": [{"enrol": 1, "until": "decided"}], "guardrails": []}
    state = RolloutState(phase="deciding", started=STARTED, opened=STARTED)
    spec = resolve({**terms, **block})
    made = Rollout(rollout_id="r", model="m", champion=1, challenger=2, challenger_digest="", spec=spec, state=state)
    return KeptRollout(rollout=made, floor=FLOOR)


def a_log(seed: int, switchback: bool) -> tuple[list[Prediction], list[Outcome]]:
    """Requests of one row and of several, of one unit and of several, some ids twice, and what came of them."""
    draw = random.Random(seed)
    predictions, outcomes, at = [], [], FLOOR
    for number in range(300):
        at += draw.choice([0.01, 0.05, 0.2])
        arm, rows = draw.randrange(2), draw.choice([1, 1, 1, 2, 3])
        spread = draw.random() < 0.3

        def unit(at: float = at) -> str:
            return f"z{draw.randrange(4)}@{int(at // 5)}" if switchback else f"u{draw.randrange(150)}"

        units = [unit() for _ in range(rows if spread else 1)]
        request = f"r{number if draw.random() < 0.9 else draw.randrange(20)}"
        places = sorted(draw.sample(range(6), rows)) if draw.random() < 0.2 else []
        share, status = draw.choice([0.5, 0.5, 0.5, 0.75, 0.0, 1.0]), draw.choice([200, 200, 200, 500])
        name = ("champion", "challenger")[arm]
        predictions.append(
            Prediction(request, at, 1 + arm, name, units, share, 0.01, status, rows, {}, [0.5] * rows, places)
        )
        for again in range(draw.choice([0, 1, 1, 2])):
            metric = draw.choice(["bought", "bought", "fare", "other"])
            received = at + draw.choice([0.1, 0.7, 1.9, 3.0]) + 0.001 * again + number / 1e6  # no two at once
            values: list[float | str] = [0, 1, True, draw.random(), "words"]
            value = draw.choice(values)
            happened = received - draw.choice([0.0, 0.05])
            if draw.random() < 0.3:
                outcomes.append(Outcome(metric, value, happened, received, unit=draw.choice(units)))
            else:
                row = draw.choice(places or range(rows))
                outcomes.append(Outcome(metric, value, happened, received, request, row))
    return predictions, outcomes


def plainly(spec: RolloutSpec, predictions: Sequence[Prediction], outcomes: Sequence[Outcome]) -> tuple[list[Any], Any]:
    """The units and the numbers assigned, by going through the whole log for every outcome and every unit."""
    newest = max([*(one.at for one in predictions), *(one.received for one in outcomes)])
    terms, settled = spec.switchback, newest - SETTLE
    rows: list[tuple[float, str, int, str]] = []  # when, request, row, unit
    units: dict[str, tuple[int, float, float]] = {}  # arm, propensity, assigned
    for one in sorted(predictions, key=lambda one: (one.at, one.request_id)):
        if one.at <= FLOOR or one.at > settled or not 0 < one.propensity < 1:
            continue
        if terms is not None and one.at % terms.window < terms.burn_in:
            continue
        arm = one.version - 1
        for place in range(one.rows):
            unit = one.units[place if len(one.units) > 1 else 0]
            ends = one.at if terms is None else (one.at // terms.window + 1) * terms.window
            first = units.setdefault(unit, (arm, one.propensity, ends))
            if first[0] == arm and one.at <= first[2] + MATURITY:
                rows.append((one.at, one.request_id, one.positions[place] if one.positions else place, unit))
    values: dict[str, dict[tuple[str, str, int], tuple[float, float]]] = {unit: {} for unit in units}
    for seen in sorted(outcomes, key=lambda one: (one.received, one.at, one.request_id, one.row, one.unit, one.metric)):
        if isinstance(seen.value, str) or seen.received > settled:
            continue
        owners = [
            unit
            for at, request, row, unit in rows
            if (request, row) == (seen.request_id, seen.row) and at <= seen.received <= units[unit][2] + MATURITY
        ]
        owner = seen.unit or next(iter(owners), "")
        known = owner in units and any(unit == owner and at <= seen.received for at, _, _, unit in rows)
        if known and seen.received <= units[owner][2] + MATURITY:
            key = (seen.metric, seen.request_id, seen.row)
            if key not in values[owner] or values[owner][key][0] <= seen.at:
                values[owner][key] = (seen.at, float(seen.value))
    found, order = [], sorted((assigned, unit) for unit, (_, _, assigned) in units.items())
    for assigned, unit in order:
        if assigned + MATURITY <= settled:
            arm, share, _ = units[unit]
            mean = {metric: _mean(values[unit], metric) for metric in ("bought", "fare")}
            fare = {"fare": mean["fare"]} if spec.guardrails and mean["fare"] is not None else {}
            found.append((unit, arm, share, assigned, mean["bought"], fare))
    even = [arm for arm, share, _ in units.values() if share == 0.5]
    return found, (even.count(0), even.count(1))


def _mean(values: dict[tuple[str, str, int], tuple[float, float]], metric: str) -> float | None:
    own = [value for (name, _, _), (_, value) in values.items() if name == metric]
    return sum(own) / len(own) if own else None


def read(block: dict[str, Any], predictions: list[Prediction], outcomes: list[Outcome], seed: int) -> Evidence:
    """The evidence at the end of a log that was read in pieces; each record comes within SETTLE of its time."""
    draw = random.Random(seed)
    told: list[tuple[float, Prediction | Outcome]] = [
        *((one.at + draw.uniform(0, 0.9 * SETTLE), one) for one in predictions),
        *((one.received + draw.uniform(0, 0.9 * SETTLE), one) for one in outcomes),
    ]
    told.sort(key=lambda pair: pair[0])
    log, place = RolloutLog(kept(block)), 0
    while place < len(told):
        size = draw.choice([1, 5, 40, 200])
        piece = [one for _, one in told[place : place + size]]
        place += size
        asked = [one for one in piece if isinstance(one, Prediction)]
        log.add(Added(asked, [one for one in piece if isinstance(one, Outcome)]))
    return log.evidence(kept(block).rollout)


@pytest.mark.parametrize("block", [{}, HARM, SWITCHBACK], ids=["units", "guardrails", "switchback"])
@pytest.mark.parametrize("seed", range(5))
def test_units_are_those_of_a_plain_reading_of_the_whole_log(block: dict[str, Any], seed: int) -> None:
    predictions, outcomes = a_log(seed, "unit" in block)
    expected, assigned = plainly(kept(block).rollout.spec, predictions, outcomes)
    found = read(block, predictions, outcomes, seed)

    def facts(unit: Unit) -> tuple[Any, ...]:
        return unit.arm, unit.propensity, unit.assigned, unit.outcome, unit.guards

    assert [facts(unit) for unit in found.units] == [tuple(one[1:]) for one in expected]
    assert len(expected) > 10 and any(unit.outcome is not None for unit in found.units)
    assert found.assigned == assigned
    orders = [unit.order for unit in found.units]
    assert orders == sorted(set(orders))


@pytest.mark.parametrize("block", [{}, HARM, SWITCHBACK], ids=["units", "guardrails", "switchback"])
def test_evidence_does_not_depend_on_how_a_log_was_read(block: dict[str, Any]) -> None:
    predictions, outcomes = a_log(9, "unit" in block)
    assert len({repr(read(block, predictions, outcomes, seed)) for seed in range(8)}) == 1


def test_a_window_of_a_limit_ends_with_the_request_that_fills_it() -> None:
    """Five answers of the challenger fill one; the champion's newest fifty stand beside it."""
    records = [
        Prediction(
            f"r{n}", FLOOR + 1 + n, 2, "challenger", [f"u{n}"], 0.5, 0.01, 500 if n % 5 == 4 else 200, 1, {}, [0.0]
        )
        for n in range(12)
    ] + [
        Prediction(
            f"c{n}", FLOOR + 0.5 + n / 1000, 1, "champion", [f"c{n}"], 0.5, 0.01, 500 if n < 3 else 200, 1, {}, [0.0]
        )
        for n in range(53)
    ]
    log = RolloutLog(kept(HARM))
    log.add(Added(records, []))
    found = [
        (window.end, window.challenger.value, window.champion) for window in log.evidence(kept(HARM).rollout).windows
    ]
    assert [(end, value) for end, value, _ in found] == [(FLOOR + 5, 0.2), (FLOOR + 10, 0.2)]
    assert (found[0][2].value, found[0][2].requests) == (0.0, 50), "the failures were among the three oldest"
