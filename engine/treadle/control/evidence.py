"""From the prediction log to the evidence of one rollout.

Everything depends on the log alone, never on when it was read: a controller that starts anew finds the same units in
the same order and the same windows, so nothing is counted twice and nothing is missed. Times are those of the log,
that is of the server: a controller whose clock is wrong still judges every unit after its full maturity.
"""

from bisect import insort
from operator import attrgetter

from msgspec import Struct

from treadle.control.limits import LimitWindows
from treadle.control.shadow import ShadowLog
from treadle.domain.loop import KeptRollout
from treadle.domain.rollout import CHALLENGER, CHAMPION, Evidence, Rollout, Unit
from treadle.domain.serving import Outcome, Prediction
from treadle.rollout.switchback import burning_in
from treadle.store.predictions import Added

SETTLE = 1.0  # seconds: what servers recorded before this, by the newest record, is in the log by now
ARMS = {"champion": CHAMPION, "challenger": CHALLENGER}
DAY = 86400.0
TIES = 1 << 20  # units that may be assigned in the same microsecond
ONE = ((0, 0),)  # place and row of a request of one row
NAMED = ("", 0)  # the row of an outcome that names its unit
ASKED = attrgetter("at", "request_id", "arm", "positions")
CAME = attrgetter("received", "at", "request_id", "row", "unit", "metric")
Row = tuple[str, int]  # a request and a row of it


class Tally(Struct, gc=False):
    """What is known of one unit that is not judged yet: its rows, and by (metric, row) when it was and the value.

    Many may wait for their outcomes, and none is in a cycle: the collector leaves them alone.
    """

    arm: int
    propensity: float
    assigned: float
    rows: list[Row]
    values: dict[tuple[str, Row], tuple[float, float]]


class RolloutLog:
    """The part of a model's log that belongs to one rollout, read bit by bit."""

    def __init__(self, kept: KeptRollout) -> None:
        rollout = kept.rollout
        self._spec = rollout.spec
        self._guards = tuple(guard.metric for guard in rollout.spec.guardrails if guard.harm is not None)
        self._versions = {rollout.champion: "champion", rollout.challenger: "challenger"}
        self._floor = kept.floor
        self._base = rollout.state.started - DAY  # orders count from here: a clock may be off by some of that
        self._maturity = max(rollout.spec.success.maturity, SETTLE)
        self._newest = 0.0
        self._waiting: list[Prediction] = []
        self._late: list[Outcome] = []
        self._units: dict[str, Tally | None] = {}  # None: judged
        self._owners: dict[Row, Tally] = {}  # the unit of each row whose outcome may still come
        self._heirs: dict[Row, list[Tally]] = {}  # units whose requests had an id that was taken, in turn
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
        self._newest = max([self._newest, *[one.at for one in added.predictions]])
        self._newest = max([self._newest, *[one.received for one in added.outcomes]])
        self._waiting += [one for one in added.predictions if one.at > self._floor]
        self._late += [one for one in added.outcomes if one.received > self._floor]
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
        ripe = sorted([one for one in self._waiting if one.at <= settled], key=ASKED)
        self._waiting = [one for one in self._waiting if one.at > settled]
        outcomes = sorted([one for one in self._late if one.received <= settled], key=CAME)
        self._late = [one for one in self._late if one.received > settled]
        if self._spec.shadow is not None:
            for record in ripe:
                self._shadow.take(record)
        named = self._versions.get
        answered = [one for one in ripe if one.propensity > 0 and one.arm == named(one.version)]
        self._limits.take(answered)
        compared = [one for one in answered if one.propensity < 1]
        place, last = 0, len(compared)
        for outcome in outcomes:
            received = outcome.received
            while place < last and compared[place].at <= received:
                self._take(compared[place])
                place += 1
            self._join(outcome)
        for record in compared[place:]:
            self._take(record)

    def _take(self, record: Prediction) -> None:
        """Enrol the units of a request, and note which rows are theirs."""
        at, names, terms, known = record.at, record.units, self._spec.switchback, self._units
        if terms is not None and burning_in(at, terms):
            return
        arm = ARMS[record.arm]
        whole = record.rows == 1 and not record.positions
        for place, row in ONE if whole else enumerate(record.positions or range(record.rows)):
            unit = names[place if len(names) > 1 else 0]
            if unit in known:
                tally = known[unit]
                if tally is None or tally.arm != arm or at > tally.assigned + self._maturity:
                    continue
            else:
                assigned = at if terms is None else (at // terms.window + 1) * terms.window
                tally = known[unit] = Tally(arm, record.propensity, assigned, [], {})
                self._enrol((assigned, unit), tally)
            key = (record.request_id, row)
            tally.rows.append(key)
            if self._owners.setdefault(key, tally) is not tally:
                self._heirs.setdefault(key, []).append(tally)

    def _enrol(self, entry: tuple[float, str], tally: Tally) -> None:
        if self._due and entry < self._due[-1]:
            insort(self._due, entry)
        else:
            self._due.append(entry)
        if tally.propensity == 0.5:
            self._assigned[tally.arm] += 1

    def _join(self, outcome: Outcome) -> None:
        """Keep an outcome with its unit, if it is in time for it; of repeated ones the latest."""
        value, received, maturity = outcome.value, outcome.received, self._maturity
        if outcome.unit:
            key, tally = NAMED, self._units.get(outcome.unit)
        else:
            key = (outcome.request_id, outcome.row)
            tally = self._owners.get(key)
        if tally is not None and received > tally.assigned + maturity:
            tally = next((one for one in self._heirs.get(key, ()) if received <= one.assigned + maturity), None)
        if tally is None or isinstance(value, str):
            return
        place, new = (outcome.metric, key), (outcome.at, float(value))
        known = tally.values.setdefault(place, new)
        if known is not new and known[0] <= outcome.at:
            tally.values[place] = new

    def _mature(self, settled: float) -> None:
        """Units whose outcome is final, in the order of assignment; equals are ordered by name."""
        metric, guards, clustered = self._spec.success.metric, self._guards, self._spec.switchback is not None
        count = ties = 0
        last = -1
        for assigned, name in self._due:
            if assigned + self._maturity > settled:
                break
            count += 1
            tally = self._units[name]
            assert tally is not None
            moment = int((assigned - self._base) * 1e6)
            ties, last = (ties + 1 if moment == last else 0), moment
            order, cluster = moment * TIES + ties, name.rpartition("@")[0] if clustered else ""
            beside = {guard: value for guard in guards if (value := _mean(tally, guard)) is not None} if guards else {}
            outcome = _mean(tally, metric)
            self._ready.append(Unit(order, tally.arm, tally.propensity, assigned, outcome, beside, cluster))
            for limited in self._limits.outcomes:
                if (value := _mean(tally, limited)) is not None:
                    self._limits.judge(limited, assigned, tally.arm, value)
            self._units[name] = None  # the name stays, so that it is not taken for a new one
            self._forget(tally)
        del self._due[:count]

    def _forget(self, tally: Tally) -> None:
        """A judged unit needs no outcomes: its rows fall to those who claimed them after it."""
        owners, heirs = self._owners, self._heirs
        if not heirs:  # nearly always: no row was claimed twice
            for row in tally.rows:
                owners.pop(row, None)
            return
        for row in tally.rows:
            left = [one for one in (owners.pop(row, tally), *heirs.pop(row, ())) if one is not tally]
            owners.update({row: left[0]} if left else {})
            heirs.update({row: left[1:]} if left[1:] else {})


def _mean(tally: Tally, metric: str) -> float | None:
    """Rows of one unit count once: their mean, None without any."""
    if len(tally.values) == 1:  # most of them: a third of the time of a sum
        [((name, _), (_, value))] = tally.values.items()
        return value if name == metric else None
    found = [value for (name, _), (_, value) in tally.values.items() if name == metric]
    return sum(found) / len(found) if found else None
