"""One model as callers see it: its arms, who is answered by which, and what is written down about it.

A change of the registry makes new `Arms`, which replace the old ones whole; requests that wait in an old lane are
answered there.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from treadle.domain.model import ModelVersion
from treadle.domain.serving import Assignment, Prediction, Traffic
from treadle.serve.assign import assign, mirrored, switchback_unit
from treadle.serve.journal import Journal
from treadle.serve.lane import Lane, ModelFailed, Waiting, answer
from treadle.serve.limits import Limits
from treadle.serve.metrics import Metrics
from treadle.serve.predictor import Predictor, Unmade
from treadle.serve.refusal import Refusal
from treadle.serve.tables import Checker, Table

BYTES = "<f8"


class Arms(Struct, frozen=True):
    """The lanes of a model and how requests are divided between them."""

    champion: Lane
    challenger: Lane | None
    traffic: Traffic | None
    checker: Checker

    def lanes(self) -> dict[str, Lane]:
        """The lanes by arm."""
        found = {"champion": self.champion}
        if self.challenger is not None:
            found["challenger"] = self.challenger
        return found


class Ask(Struct):
    """A request as an endpoint takes it; `received` is time.perf_counter(), `version` one that the path names."""

    request_id: str
    received: float
    table: Table
    unit: str = ""  # empty: the request has none
    version: int | None = None
    probabilities: bool = False  # whether they are wanted as well


class Answer(Struct):
    """What came of it: an array, or a refusal; `arm` is `mixed` when rows of one request had several."""

    version: ModelVersion
    arm: str
    values: Any = None
    probabilities: Any = None  # (rows, classes) where they were wanted
    refusal: Refusal | None = None


Done = Callable[[Answer], None]


class Endpoint:
    """Answers for one model; not ready until it has arms."""

    def __init__(self, name: str, limits: Limits, metrics: Metrics, journal: Journal) -> None:
        self.name = name
        self.arms: Arms | None = None
        self._limits = limits
        self._metrics = metrics
        self._journal = journal
        self._answers: list[tuple[Done, Answer]] = []
        self._mirror: list[tuple[Lane, Table, Prediction]] = []
        self.waiting = 0

    def swap(self, champion: Predictor, challenger: Predictor | None, traffic: Traffic | None) -> None:
        """Put warmed versions in charge; those that were in charge finish what waits for them."""
        loop = asyncio.get_running_loop()
        lanes: list[Lane | None] = []
        for predictor in (champion, challenger):
            old = self.lane(predictor.version.version) if predictor is not None else None
            if predictor is None:
                lanes.append(None)
            elif old is not None and old.predictor is predictor:
                lanes.append(old)
            else:
                self._journal.describe(predictor.version)
                lanes.append(Lane(predictor, self._limits, self._settle, loop))
        assert lanes[0] is not None
        fields = [traffic.unit] if traffic is not None and traffic.unit else []
        if traffic is not None and traffic.switchback is not None:
            fields.append(traffic.switchback.by)
        self.arms = Arms(lanes[0], lanes[1], traffic, Checker(champion.version.signature, fields))
        self._metrics.loaded[self.name] = {arm: lane.version for arm, lane in self.arms.lanes().items()}

    def lane(self, version: int) -> Lane | None:
        """The lane of a version that is in memory as an arm."""
        if self.arms is None:
            return None
        return next((lane for lane in self.arms.lanes().values() if lane.version == version), None)

    def ready(self) -> Arms:
        """The arms; refuses with 503 until a model has answered its own example."""
        if self.arms is None:
            raise Refusal(503, f"model '{self.name}' is not ready: it is being loaded", retry_after=1)
        return self.arms

    def admit(self) -> None:
        """Refuse with 429 when too many requests wait already."""
        if self.waiting >= self._limits.waiting:
            self._metrics.refused(self.name, 429)
            raise Refusal(429, f"{self.waiting} requests wait already; try again", retry_after=1)

    def checker(self, version: int | None) -> Checker:
        """The check for requests to a version (None: whichever arm); refuses with 404 what is not in memory."""
        arms = self.ready()
        if version is None or version == arms.champion.version:
            return arms.checker
        lane = self.lane(version)
        if lane is None:
            known = ", ".join(str(one.version) for one in arms.lanes().values())
            raise Refusal(404, f"version {version} of model '{self.name}' is not served; served: {known}")
        return Checker(lane.predictor.version.signature)

    def submit(self, ask: Ask, done: Done) -> None:
        """Have a request predicted; `done` is called once, after its predictions were written to the log."""
        arms = self.ready()
        if ask.table.rows > self._limits.rows:
            raise Refusal(413, f"the request has {ask.table.rows} rows, the limit is {self._limits.rows}")
        self.waiting += 1
        if ask.version is not None:
            lane = self.lane(ask.version)
            assert lane is not None, "checked by checker()"
            arm = "challenger" if lane is arms.challenger and lane is not arms.champion else "champion"
            self._put(lane, ask, Assignment(ask.unit, arm, 0.0), done)
            return
        if arms.challenger is None and arms.traffic is None:  # nothing is divided
            self._put(arms.champion, ask, Assignment(ask.unit or ask.request_id, "champion", 0.0), done)
            return
        units, sticky = self._units(arms, ask)
        assigned = [assign(arms.traffic if arms.challenger else None, unit, sticky) for unit in units]
        if len({one.arm for one in assigned}) == 1 and len({one.propensity for one in assigned}) == 1:
            self._put(arms.lanes()[assigned[0].arm], ask, assigned[0], done, units if len(units) > 1 else ())
        else:
            _Split(self, arms, ask, assigned, done)

    def _put(
        self, lane: Lane, ask: Ask, assigned: Assignment, done: Done, units: Sequence[str] = (),
        positions: Sequence[int] = (),
    ) -> None:  # fmt: skip
        version = lane.predictor.version

        def predicted(values: Any, probabilities: Any, refusal: Refusal | None) -> None:
            latency = time.perf_counter() - ask.received
            status = 200 if refusal is None else refusal.status
            record = Prediction(
                request_id=ask.request_id,
                at=time.time(),
                version=lane.version,
                arm=assigned.arm,
                units=list(units) or [assigned.unit],
                propensity=assigned.propensity,
                latency=latency,
                status=status,
                rows=ask.table.rows,
                features=ask.table.logged(),
                prediction=logged(values, ask.table.rows),
                positions=list(positions),
            )
            self._journal.add(record)
            self._metrics.answered(self.name, lane.version, assigned.arm, status, latency)
            self._answers.append((done, Answer(version, assigned.arm, values, probabilities, refusal)))
            arms = self.arms
            if refusal is None and arms is not None and arms.challenger is not None and lane is arms.champion:
                self._shadow(arms.challenger, arms.traffic, ask.table, record)

        lane.put(Waiting(ask.table, ask.received, ask.probabilities, predicted))

    def _settle(self) -> None:
        """After a flush: first the log, then the answers."""
        self._journal.write()
        answers, self._answers = self._answers, []
        for done, one in answers:
            self.waiting -= 1
            done(one)

    def _units(self, arms: Arms, ask: Ask) -> tuple[list[str], bool]:
        """The unit of each row, or one for all, and whether it outlives the request."""
        traffic = arms.traffic
        if traffic is not None and traffic.switchback is not None:
            clusters = column(ask.table, traffic.switchback.by) or ([ask.unit] if ask.unit else [])
            now = time.time()
            if clusters:
                return [switchback_unit(str(c), now, traffic.switchback.window) for c in clusters], True
            return [ask.request_id], False
        if ask.unit:
            return [ask.unit], True
        named = column(ask.table, traffic.unit) if traffic is not None and traffic.unit else None
        if named:
            return [str(one) for one in named], True
        return [ask.request_id], False

    def _shadow(self, lane: Lane, traffic: Traffic | None, table: Table, seen: Prediction) -> None:
        """Predict unseen, after the answers have gone; dropped and counted when that falls behind."""
        if not mirrored(traffic, seen.request_id):
            return
        if len(self._mirror) >= 64:
            self._metrics.count("shadow_dropped_total", self.name)
            return
        self._mirror.append((lane, table, seen))
        if len(self._mirror) == 1:
            asyncio.get_running_loop().call_later(0.001, self._reflect)

    def _reflect(self) -> None:
        mirror, self._mirror = self._mirror, []
        for lane, table, seen in mirror:
            began = time.perf_counter()
            values: Any = None
            status = 200
            try:
                values = answer(lane.predictor, table)
            except ModelFailed:
                status = 500
            except Unmade:
                self._metrics.count("shadow_dropped_total", self.name)
                continue
            took = time.perf_counter() - began
            self._metrics.answered(self.name, lane.version, "shadow", status, took)
            if values is not None and seen.prediction is not None:
                self._metrics.disagreed(self.name, distance(values, seen.prediction))
            self._journal.add(
                Prediction(
                    seen.request_id, time.time(), lane.version, "shadow", seen.units, 0.0, took, status, seen.rows,
                    seen.features, logged(values, seen.rows), seen.positions, seen.version,
                )
            )  # fmt: skip
        self._journal.write()


class _Split:
    """A request whose rows belong to units of several arms: predicted apart, answered whole."""

    def __init__(self, endpoint: Endpoint, arms: Arms, ask: Ask, assigned: Sequence[Assignment], done: Done) -> None:
        self._done = done
        self._values: Any = None
        self._probabilities: Any = None
        self._answers: list[Answer] = []
        groups: dict[tuple[str, float], list[int]] = {}
        for row, one in enumerate(assigned):
            groups.setdefault((one.arm, one.propensity), []).append(row)
        self._left = len(groups)
        self._rows = ask.table.rows
        endpoint.waiting += len(groups) - 1
        for (arm, propensity), rows in groups.items():
            part = Ask(ask.request_id, ask.received, ask.table.take(rows), probabilities=ask.probabilities)
            units = [assigned[row].unit for row in rows]
            endpoint._put(
                arms.lanes()[arm], part, Assignment(units[0], arm, propensity), self._collect(rows), units, rows
            )

    def _collect(self, rows: list[int]) -> Done:
        def done(one: Answer) -> None:
            self._answers.append(one)
            if one.refusal is None:
                self._values = _placed(self._values, self._rows, rows, one.values)
                if one.probabilities is not None:
                    self._probabilities = _placed(self._probabilities, self._rows, rows, one.probabilities)
            self._left -= 1
            if self._left == 0:
                failed = next((a.refusal for a in self._answers if a.refusal is not None), None)
                arms = {a.arm for a in self._answers}
                arm = arms.pop() if len(arms) == 1 else "mixed"
                values, probabilities = (None, None) if failed else (self._values, self._probabilities)
                self._done(Answer(self._answers[0].version, arm, values, probabilities, failed))

        return done


def _placed(whole: Any, size: int, rows: list[int], values: Any) -> Any:
    """An array of `size` rows with these values at some of them; `whole` is what was there before, or None."""
    if whole is None:
        whole = np.empty((size, *values.shape[1:]), dtype=values.dtype)
    if whole.dtype != values.dtype:
        whole = whole.astype(np.result_type(whole, values))
    whole[rows] = values
    return whole


def column(table: Table, name: str) -> list[Any] | None:
    """The values of a column that came along, as a unit or as a feature."""
    if name in table.extra:
        return table.extra[name]
    if name in table.fields:
        values: list[Any] = table.columns[name].tolist()
        return values
    return None


def logged(values: Any, rows: int) -> bytes | list[Any] | None:
    """Predictions as the log keeps them."""
    if values is None:
        return None
    if values.dtype.kind == "f":
        return bytes(np.ascontiguousarray(values, dtype=BYTES).tobytes())
    plain: list[Any] = values.tolist()
    return plain


def distance(values: Any, seen: bytes | list[Any]) -> float:
    """Mean absolute difference of numbers; for anything else the share of rows that differ."""
    other = np.frombuffer(seen, dtype=BYTES) if isinstance(seen, bytes) else np.asarray(seen)
    own = values.reshape(-1)
    other = other.reshape(-1)
    if own.shape != other.shape:
        return 1.0
    if own.dtype.kind == "f" and other.dtype.kind == "f":
        return float(np.mean(np.abs(own - other)))
    return float(np.mean(own != other))
