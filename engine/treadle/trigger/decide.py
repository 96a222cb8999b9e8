"""Which triggers fire now: `decide(book, rules, seen, now) → (book, decisions)`.

decide
├── _take           events and schedules become requests
├── _barred         the reason why a request may not fire
└── _launch         one run for all that may: the first fires, the rest merges
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from treadle.domain.trigger import (
    LEVELS,
    Book,
    Decision,
    Event,
    Fire,
    Flight,
    Happened,
    Memory,
    Merge,
    Observed,
    Rule,
    RunEnded,
    Suppress,
)
from treadle.trigger import schedule

DAY = 86400.0
BY_HAND = ("webhook",)  # a person, or a program of theirs, asked: broken data is theirs to judge
Rules = Mapping[str, Rule]


class Seen(Struct, frozen=True):
    """What is new since the last look, and the reasons that hold now: `rollout`, `quality`, or names of triggers."""

    events: tuple[Event, ...] = ()
    reasons: frozenset[str] = frozenset()


class Request(Struct, frozen=True):
    """A rule that wants a run."""

    trigger: str
    reason: str
    evidence: dict[str, Any]


def decide(book: Book, rules: Rules, seen: Seen, now: float) -> tuple[Book, tuple[Decision, ...]]:
    """The book after this look, and each request fired, merged or suppressed, with the reason.

    At most one run is in flight; what asks meanwhile shares the one that follows. Files, posts and other pipelines
    that may not fire yet are kept until they may; a level is looked at again anyway. A reason for not firing is given
    when it begins to hold, not at every look.
    """
    memories = {name: book.rules.get(name, Memory()) for name in rules}
    book = structs.replace(book, rules=memories, clock=now)
    book, requests, decisions = _take(book, rules, seen, now)
    allowed: list[Request] = []
    for request in requests:
        rule, memory = rules[request.trigger], book.rules[request.trigger]
        barred = _barred(rule, _shared(book, rules, rule), seen.reasons, now)
        if not barred:
            allowed.append(request)
            continue
        if barred != memory.said:
            decisions.append(Suppress(request.trigger, now, barred, request.evidence))
        kept = request.evidence if rule.kind not in (*LEVELS, "cron") else None
        book = _remember(book, request.trigger, said=barred, waiting=kept)
    return _launch(book, rules, allowed, decisions, now)


def started(book: Book, run_id: str) -> Book:
    """The book once the run that was fired has its id."""
    return book if book.flight is None else structs.replace(book, flight=structs.replace(book.flight, run_id=run_id))


def _take(book: Book, rules: Rules, seen: Seen, now: float) -> tuple[Book, list[Request], list[Decision]]:
    requests: dict[str, Request] = {}
    decisions: list[Decision] = []
    for event in seen.events:
        if isinstance(event, RunEnded):
            book = _landed(book, event, now)
        elif event.trigger not in rules:
            continue  # of a rule that the file no longer has
        elif isinstance(event, Observed):
            book = _level(book, event, requests, decisions, now)
        else:
            book = _once(book, rules[event.trigger], event, requests, decisions, now)
    if book.flight is None:
        for name, found in book.queued.items():
            if name in rules:
                requests.setdefault(name, Request(name, "asked while a run was going on", found))
        book = structs.replace(book, queued={})
    for name, rule in rules.items():
        memory = book.rules[name]
        if rule.kind == "cron":
            book = _scheduled(book, rule, requests, now)
        elif memory.changed_at and not 0 <= now - memory.changed_at < rule.debounce:
            requests[name] = Request(name, f"{rule.subject} changed", {"mark": memory.changed})
            book = _remember(book, name, changed_at=0.0, changed="")
        elif memory.waiting is not None and name not in requests:
            requests[name] = Request(name, "waited until it was allowed", memory.waiting)
    return book, list(requests.values()), decisions


def _level(book: Book, event: Observed, requests: dict[str, Request], decisions: list[Decision], now: float) -> Book:
    if event.alarms:
        requests[event.trigger] = Request(event.trigger, event.reason, event.evidence)
        return book
    said = f"quiet: {event.reason}" if event.alarms is False else f"cannot say: {event.reason}"
    if said != book.rules[event.trigger].said:
        decisions.append(Suppress(event.trigger, now, said, event.evidence))
    return _remember(book, event.trigger, said=said)


def _once(
    book: Book, rule: Rule, event: Happened, requests: dict[str, Request], decisions: list[Decision], now: float
) -> Book:
    memory = book.rules[rule.name]
    if event.mark and event.mark == memory.mark:
        decisions.append(Suppress(rule.name, now, "the same as before: nothing new", event.evidence))
        return _remember(book, rule.name, changed_at=0.0, changed="")
    if rule.kind == "files" and rule.debounce:
        return _remember(book, rule.name, changed_at=min(event.at, now), changed=event.mark)
    found = {**event.evidence, "mark": event.mark}
    requests[rule.name] = Request(rule.name, _words(rule), found)
    return book


def _scheduled(book: Book, rule: Rule, requests: dict[str, Request], now: float) -> Book:
    memory = book.rules[rule.name]
    slot, following, times = schedule.due(rule.subject, rule.timezone, memory.slot, memory.due, now)
    if times:
        missed = "" if times == 1 else f"; {times - 1}{'+' if times >= schedule.COUNTED else ''} missed before it"
        requests[rule.name] = Request(rule.name, f"scheduled {rule.subject}{missed}", {"slot": slot, "times": times})
    return _remember(book, rule.name, slot=slot, due=following)


def _landed(book: Book, event: RunEnded, now: float) -> Book:
    flight = book.flight
    if flight is None or (event.run_id and flight.run_id and event.run_id != flight.run_id):
        return book  # told twice, or of another run
    if event.ok:  # what hindered one rule's runs hinders none any more
        for name in book.rules:
            book = _remember(book, name, failures=0, failed_at=0.0)
    else:
        for name in set(flight.triggers) & set(book.rules):
            book = _remember(book, name, failures=book.rules[name].failures + 1, failed_at=now)
    return structs.replace(book, flight=None)


def _shared(book: Book, rules: Rules, rule: Rule) -> Memory:
    """What limits look at: the memory of the rule, or that of its whole group."""
    if not rule.group:
        return book.rules[rule.name]
    found = [book.rules[name] for name, other in rules.items() if other.group == rule.group]
    fired = tuple(sorted({moment for memory in found for moment in memory.fired}))
    worst = max(found, key=lambda memory: memory.failures)
    return structs.replace(book.rules[rule.name], fired=fired, failures=worst.failures, failed_at=worst.failed_at)


def _barred(rule: Rule, memory: Memory, reasons: frozenset[str], now: float) -> str:
    """The first reason why this rule may not fire, or ""."""
    if "quality" in reasons and rule.kind not in BY_HAND:
        return "the data is broken: training on it would make it worse"
    for word in rule.unless:
        if word in reasons:
            return f"unless {word}"
    if memory.failures >= rule.on_fail.most:
        return f"{memory.failures} runs failed in a row; a run that succeeds starts it again"
    if memory.failures:
        wait = rule.on_fail.seconds * 2.0 ** (memory.failures - 1)
        if 0 <= now - memory.failed_at < wait:
            return f"backs off for {wait:g} s after {memory.failures} failed run{'s' * (memory.failures > 1)}"
    if memory.fired and 0 <= now - memory.fired[-1] < rule.cooldown:
        return f"cooldown of {rule.cooldown:g} s"
    if rule.max_per_day is not None and _within(memory, DAY, now) >= rule.max_per_day:
        return f"{rule.max_per_day} runs in 24 hours are the most"
    if rule.budget is not None and _within(memory, rule.budget.per, now) >= rule.budget.runs:
        return f"the budget of {rule.budget.runs} runs in {rule.budget.per:g} s is spent"
    return ""


def _within(memory: Memory, span: float, now: float) -> int:
    """Runs in the span before now; one from the future, after the clock was set back, counts too."""
    return sum(now - moment < span for moment in memory.fired)


def _launch(
    book: Book, rules: Rules, requests: list[Request], decisions: list[Decision], now: float
) -> tuple[Book, tuple[Decision, ...]]:
    if not requests:
        return book, tuple(decisions)
    if book.flight is not None:
        for request in requests:
            if request.trigger not in book.queued:
                decisions.append(Merge(request.trigger, now, "joins the run after this one", request.evidence))
            book = _remember(book, request.trigger, waiting=None, said="")
            book = structs.replace(book, queued={**book.queued, request.trigger: request.evidence})
        return book, tuple(decisions)
    first, *others = requests
    names = tuple(request.trigger for request in requests)
    targets = {rules[name].target for name in names}
    target = targets.pop() if len(targets) == 1 else ""  # the whole pipeline holds every target
    decisions.append(Fire(names, target, now, first.reason, first.evidence))
    decisions += [Merge(other.trigger, now, f"joins the run of {first.trigger}", other.evidence) for other in others]
    for request in requests:
        rule, memory = rules[request.trigger], book.rules[request.trigger]
        mark = str(request.evidence.get("mark") or memory.mark)
        fired = _recent((*memory.fired, now), rule, now)
        book = _remember(book, rule.name, fired=fired, mark=mark, waiting=None, said="", changed_at=0.0)
    return structs.replace(book, flight=Flight(names, now)), tuple(decisions)


def _recent(moments: Sequence[float], rule: Rule, now: float) -> tuple[float, ...]:
    span = max(DAY, rule.cooldown, rule.budget.per if rule.budget else 0.0)
    return tuple(moment for moment in moments if now - moment < span)[-10_000:]


def _words(rule: Rule) -> str:
    words = {"files": f"{rule.subject} changed", "webhook": f"{rule.subject} was posted"}
    return words.get(rule.kind, f"{rule.subject} ran")


def _remember(book: Book, name: str, **changes: Any) -> Book:
    return structs.replace(book, rules={**book.rules, name: structs.replace(book.rules[name], **changes)})
