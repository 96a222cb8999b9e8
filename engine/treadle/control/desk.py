"""Triggers of one pipeline in the store: what happened is taken in, what was decided is written, runs begin and end.

`look` is one transaction: the ledger's entries and the book become durable together, before any run begins.
"""

import os
import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, structs

from treadle.control.facts import Facts
from treadle.control.runs import LOST, Ended
from treadle.domain.loop import Watched
from treadle.domain.run import FAILED, INTERRUPTED, OK, RunRecord, StepRecord
from treadle.domain.trigger import Event, Fire, Flight, Observed, RunEnded
from treadle.monitor import signals
from treadle.store import Store
from treadle.trigger import decide as decider
from treadle.trigger import record

START = "start"  # the name under which a run fires that makes the first model
TRIES = 5  # runs in a row that died from outside, or made no first model, before the controller gives up
PAUSE = 2.0  # seconds before the second try, doubled each time


class Order(Struct, frozen=True):
    """A run to begin now."""

    run_id: str
    steps: tuple[str, ...]
    reason: str


def look(store: Store, facts: Facts, reasons: frozenset[str], now: float) -> Order | None:
    """Take in what is in the inbox, decide, write it down; returns the run to begin, which is in the book already."""
    with store.database.transaction():
        before = store.desks.get(facts.pipeline)
        desk = structs.replace(before, inbox=()) if before.inbox else before
        seen = decider.Seen(before.inbox, reasons)
        book, decisions = decider.decide(desk.book, facts.rules, seen, now)
        order = None
        run_id = ""
        fired = next((one for one in decisions if isinstance(one, Fire)), None)
        if fired is not None:
            run_id = new_run_id(now)
            book = decider.started(book, run_id)
            steps = (fired.target,) if fired.target else facts.makers
            order = Order(run_id, steps, f"{', '.join(fired.triggers)}: {fired.reason}")
        for kind, subject, evidence in record.entries(facts.pipeline, decisions, run_id):
            store.ledger.append(kind, subject, evidence, at=now)
        desk = structs.replace(desk, book=book)
        if structs.replace(desk, book=structs.replace(book, clock=before.book.clock)) != before:
            store.desks.put(facts.pipeline, desk)
        return order


def first(store: Store, facts: Facts, missing: str, now: float) -> Order | None:
    """The run that makes a first model, when nothing else runs and the last try is long enough ago."""
    with store.database.transaction():
        desk = store.desks.get(facts.pipeline)
        if desk.book.flight is not None or now < desk.retry_at or desk.tries >= TRIES:
            return None
        order = Order(new_run_id(now), facts.makers, f"model '{missing}' is not registered yet")
        evidence = {"reason": order.reason, "triggers": [START], "target": "", "run": order.run_id, "evidence": {}}
        store.ledger.append("trigger.fire", f"{facts.pipeline}/{START}", evidence, at=now)
        book = structs.replace(desk.book, flight=Flight((START,), now, order.run_id))
        store.desks.put(facts.pipeline, structs.replace(desk, book=book))
        return order


def keep(store: Store, pipeline: str, *events: Event, **changes: Any) -> None:
    """Put events into the inbox together with what makes them known, so that a crash neither loses nor repeats them."""
    with store.database.transaction():
        desk = store.desks.get(pipeline)
        store.desks.put(pipeline, structs.replace(desk, inbox=(*desk.inbox, *events), **changes))


def flying(store: Store, pipeline: str) -> str:
    """The run in flight whose end is not known yet, or ""."""
    desk = store.desks.get(pipeline)
    told = any(isinstance(event, RunEnded) for event in desk.inbox)
    return "" if desk.book.flight is None or told else desk.book.flight.run_id


def land(store: Store, facts: Facts, ended: Ended, now: float) -> Order | None:
    """What the end of the run in flight means: an event for the decider, or the same run once more.

    A run that was killed, and did not fail, begins again: what it finished is in the cache.
    """
    with store.database.transaction():
        desk = store.desks.get(facts.pipeline)
        flight = desk.book.flight
        assert flight is not None
        last = {"run": flight.run_id, "status": ended.status, "words": ended.words, "at": now}
        killed = ended.status in (INTERRUPTED, LOST)
        if killed and desk.tries < TRIES:
            order = Order(new_run_id(now), _steps(facts, flight), "the run was killed: it begins again")
            evidence: dict[str, Any] = {"reason": order.reason, "triggers": list(flight.triggers), "run": order.run_id}
            evidence["evidence"] = {"before": flight.run_id}
            store.ledger.append("trigger.fire", f"{facts.pipeline}/{flight.triggers[0]}", evidence, at=now)
            book = structs.replace(desk.book, flight=structs.replace(flight, run_id=order.run_id))
            desk = structs.replace(desk, book=book, tries=desk.tries + 1, last=last)
            store.desks.put(facts.pipeline, desk)
            return order
        ok = ended.status == OK
        tries = 0 if ok else desk.tries + (START in flight.triggers)
        event = RunEnded(ok, flight.run_id)
        keep(store, facts.pipeline, event, last=last, tries=tries, retry_at=now + PAUSE * 2.0**tries)
        evidence = {"run": flight.run_id, "triggers": list(flight.triggers), "reason": f"{ended.status} {ended.words}"}
        store.ledger.append("trigger.run", f"{facts.pipeline}/{flight.triggers[0]}", evidence, at=now)
        return None


def watched(facts: Facts, run: RunRecord | None, now: float) -> Watched:
    """What the monitors of a run say."""
    steps = run.steps if run is not None else {}
    found = {name: steps[name].metrics for name in facts.monitors if name in steps and steps[name].metrics}
    failed = {name: _why(steps[name]) for name in facts.monitors if name in steps and steps[name].fate == FAILED}
    return Watched(run_id=run.run_id if run is not None else "", at=now, metrics=found, failed=failed)


def observe(facts: Facts, seen: Watched, reference: Mapping[str, float]) -> list[Observed]:
    """The level of each drift and performance trigger; `reference` has the champion's metrics as `reference.NAME`."""
    values: dict[str, float] = {**reference}
    for step, metrics in seen.metrics.items():
        values |= {f"{step}.{name}": value for name, value in metrics.items()}
        values |= {name: value for name, value in metrics.items() if name not in values}
    found = []
    for rule in facts.rules.values():
        if rule.kind == "drift":
            evidence: dict[str, Any] = {"run": seen.run_id}
            if rule.subject in seen.failed:
                evidence["failed"] = seen.failed[rule.subject]
            found.append(signals.drift(rule, seen.metrics.get(rule.subject), evidence))
        elif rule.kind == "performance":
            found.append(signals.performance(rule, values))
    return found


def reasons(store: Store, facts: Facts, seen: Watched) -> frozenset[str]:
    """What holds now that a trigger may name under `unless`."""
    found = {name for name, metrics in seen.metrics.items() if metrics.get(signals.ALARM, 0.0) > 0}
    if signals.broken(seen.metrics):
        found.add("quality")
    if any(store.rollouts.active(name) is not None for name in facts.models):
        found.add("rollout")
    return frozenset(found)


def _why(step: StepRecord) -> str:
    lines = step.failure.message.strip().splitlines() if step.failure is not None else []
    return (lines or [step.reason])[-1][:300]


def new_run_id(now: float) -> str:
    """As `treadle run` makes them."""
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(now)) + "-" + os.urandom(2).hex()


def _steps(facts: Facts, flight: Flight) -> tuple[str, ...]:
    targets = {facts.rules[name].target for name in flight.triggers if name in facts.rules}
    target = targets.pop() if len(targets) == 1 else ""
    return (target,) if target else facts.makers
