"""From the prediction log to the evidence of one rollout.

Everything depends on the log alone, never on when it was read: a controller that starts anew finds the same units in
the same order and the same windows, so nothing is counted twice and nothing is missed. Times are those of the log,
that is of the server: a controller whose clock is wrong still judges every unit after its full maturity.
"""

from bisect import insort
from typing import Any

from msgspec import Struct

from treadle.control.limits import LimitWindows, Request
from treadle.control.shadow import ShadowLog
from treadle.domain.loop import KeptRollout
from treadle.domain.rollout import CHALLENGER, CHAMPION, Evidence, Rollout, RolloutSpec, Unit
from treadle.domain.serving import Outcome, Prediction
from treadle.rollout.switchback import burning_in
from treadle.store.predictions import Added

SETTLE = 1.0  # seconds: what servers recorded before this, by the newest record, is in the log by now
ARMS = {"champion": CHAMPION, "challenger": CHALLENGER}
DAY = 86400.0
TIES = 1 << 20  # units that may be assigned in the same microsecond


class Tally(Struct):
    """What is known of one unit that is not judged yet; `values` by metric and by (request, row): (at, value)."""

    arm: int
    propensity: float
    assigned: float
    values: dict[str, dict[tuple[str, int], tuple[float, float]]]
    requests: set[str]


class RolloutLog:
    """The part of a model's log that belongs to one rollout, read bit by bit."""

    def __init__(self, kept: KeptRollout) -> None:
        rollout = kept.rollout
        self._spec = rollout.spec
        self._versions = {rollout.champion: "champion", rollout.challenger: "challenger"}
        self._floor = kept.floor
        self._base = rollout.state.started - DAY  # orders count from here: a clock may be off by some of that
        self._maturity = max(rollout.spec.success.maturity, SETTLE)
        self._newest = 0.0
        self._waiting: list[tuple[float, str, Prediction]] = []
        self._late: list[tuple[float, Outcome]] = []
        self._units: dict[str, Tally | None] = {}  # None: judged, or about to be
        self._requests: dict[str, list[tuple[int, str]]] = {}  # request → its rows and their units
        self._due: list[tuple[float, str]] = []  # (assigned, unit), sorted
        self._assigned = [0, 0]
        self._ready: list[Unit] = []
        self._limits = LimitWindows(rollout.spec.guardrails)
        self._shadow = ShadowLog(rollout.challenger)

    @property
    def newest(self) -> float:
        """The time of the newest record, by the server's clock; 0 when there is none."""
        return self._newest

    def add(self, added: Added) -> None:
        """Take what was added to the log."""
        for record in added.predictions:
            self._newest = max(self._newest, record.at)
            if record.at > self._floor:
                self._waiting.append((record.at, record.request_id, record))
        for outcome in added.outcomes:
            self._newest = max(self._newest, outcome.received)
            if outcome.received > self._floor:
                self._late.append((outcome.received, outcome))
        settled = self._newest - SETTLE
        self._release(settled)
        self._mature(settled)

    def evidence(self, rollout: Rollout, commands: tuple[str, ...] = (), broken: str = "") -> Evidence:
        """What the rollout has not judged yet; asking again gives it again until the rollout has moved on."""
        state = rollout.state
        self._ready = [unit for unit in self._ready if unit.order > state.cursor]
        return Evidence(
            units=tuple(self._ready),
            assigned=(self._assigned[0], self._assigned[1]),
            windows=tuple(self._limits.after(state.judged)),
            shadow=self._shadow.seen() if state.phase == "shadow" else None,
            commands=commands,
            broken=broken,
        )

    def _release(self, settled: float) -> None:
        """Records and outcomes up to a time by which all are there, in the order in which they happened."""
        ripe = sorted((entry for entry in self._waiting if entry[0] <= settled), key=_order)
        self._waiting = [entry for entry in self._waiting if entry[0] > settled]
        outcomes = sorted((entry for entry in self._late if entry[0] <= settled), key=_when)
        self._late = [entry for entry in self._late if entry[0] > settled]
        place = 0
        for received, outcome in outcomes:
            while place < len(ripe) and ripe[place][0] <= received:
                self._take(ripe[place][2])
                place += 1
            self._join(outcome)
        for entry in ripe[place:]:
            self._take(entry[2])

    def _take(self, record: Prediction) -> None:
        self._shadow.take(record)
        if record.arm != self._versions.get(record.version) or record.propensity <= 0:
            return
        request = Request(record.at, ARMS[record.arm], record.status >= 500, record.latency * 1000)
        self._limits.take(request)
        if record.propensity >= 1:
            return  # nobody was compared with
        rows = record.positions or range(record.rows)
        for place, row in enumerate(rows):
            unit = record.units[place if len(record.units) > 1 else 0]
            self._enrol(unit, record, row)

    def _enrol(self, unit: str, record: Prediction, row: int) -> None:
        terms = self._spec.switchback
        if terms is not None and burning_in(record.at, terms):
            return
        arm = ARMS[record.arm]
        if unit not in self._units:
            assigned = record.at if terms is None else (record.at // terms.window + 1) * terms.window
            self._units[unit] = Tally(arm, record.propensity, assigned, {}, set())
            insort(self._due, (assigned, unit))
            if record.propensity == 0.5:
                self._assigned[arm] += 1
        tally = self._units[unit]
        if tally is not None and tally.arm == arm and record.at <= tally.assigned + self._maturity:
            self._requests.setdefault(record.request_id, []).append((row, unit))
            tally.requests.add(record.request_id)

    def _join(self, outcome: Outcome) -> None:
        if isinstance(outcome.value, str):
            return
        unit, key = outcome.unit, ("", 0)
        if not unit:
            key = (outcome.request_id, outcome.row)
            rows = self._requests.get(outcome.request_id, ())
            unit = next((name for row, name in rows if row == outcome.row), "")
        tally = self._units.get(unit)
        if tally is None or outcome.received > tally.assigned + self._maturity:
            return
        known = tally.values.setdefault(outcome.metric, {})
        if key not in known or known[key][0] <= outcome.at:
            known[key] = (outcome.at, float(outcome.value))

    def _mature(self, settled: float) -> None:
        """Units whose outcome is final, in the order of assignment; equals are ordered by name."""
        count = 0
        ties, last = 0, None
        for assigned, name in self._due:
            if assigned + self._maturity > settled:
                break
            count += 1
            tally = self._units[name]
            assert tally is not None
            moment = int((assigned - self._base) * 1e6)
            ties, last = (ties + 1 if moment == last else 0), moment
            self._ready.append(_unit(name, tally, moment * TIES + ties, self._spec))
            self._limits.judge(assigned, tally.arm, {m: _mean(v) for m, v in tally.values.items()})
            self._forget(name, tally)
        del self._due[:count]

    def _forget(self, name: str, tally: Tally) -> None:
        """A judged unit leaves its name behind, so that it is not taken for a new one."""
        self._units[name] = None
        for request in tally.requests:
            rows = [pair for pair in self._requests.get(request, ()) if pair[1] != name]
            if rows:
                self._requests[request] = rows
            else:
                self._requests.pop(request, None)


def _unit(name: str, tally: Tally, order: int, spec: RolloutSpec) -> Unit:
    guards = {guard.metric for guard in spec.guardrails if guard.harm is not None}
    known = tally.values.get(spec.success.metric)
    return Unit(
        order=order,
        arm=tally.arm,
        propensity=tally.propensity,
        assigned=tally.assigned,
        outcome=_mean(known) if known else None,
        guards={metric: _mean(tally.values[metric]) for metric in guards if tally.values.get(metric)},
        cluster="" if spec.switchback is None else name.rpartition("@")[0],
    )


def _mean(values: dict[tuple[str, int], tuple[float, float]]) -> float:
    """Rows of one unit count once: their mean."""
    found = [value for _, value in values.values()]
    return sum(found) / len(found)


def _order(entry: tuple[float, str, Prediction]) -> tuple[Any, ...]:
    at, request, record = entry
    return at, request, record.arm, record.positions


def _when(entry: tuple[float, Outcome]) -> tuple[Any, ...]:
    received, outcome = entry
    return received, outcome.at, outcome.request_id, outcome.row, outcome.unit, outcome.metric
