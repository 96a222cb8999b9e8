"""Triggers: the rules resolved, what happened, what each rule remembers, and what was decided."""

from typing import Any

from msgspec import Struct

LEVELS = ("drift", "performance")  # looked at again and again; the others are events that happen once


class Budget(Struct, frozen=True):
    """At most `runs` within `per` seconds."""

    per: float
    runs: int


class Backoff(Struct, frozen=True):
    """After a failed run: a wait of `seconds`, doubled each time; after `most` failures in a row the rule stops."""

    seconds: float = 300.0
    most: int = 5


class Rule(Struct, frozen=True, kw_only=True):
    """A trigger with its options resolved; `subject` is what its main key says.

    Rules of a `group` share their runs: cooldown, limits and failures are those of them all.
    """

    name: str
    kind: str
    subject: str
    target: str = ""  # the step up to which the pipeline runs; "" for all of it
    timezone: str = "UTC"
    debounce: float = 0.0
    cooldown: float = 0.0
    max_per_day: int | None = None
    budget: Budget | None = None
    unless: tuple[str, ...] = ()
    on_fail: Backoff = Backoff()
    group: str = ""


# what happened


class Observed(Struct, frozen=True, tag=True):
    """A look at a level: whether it alarms (None: cannot say), why, and the figures."""

    trigger: str
    alarms: bool | None
    reason: str
    evidence: dict[str, Any] = {}


class Happened(Struct, frozen=True, tag=True):
    """Something that happened once: files changed, a name was posted, another pipeline ran.

    `mark` tells repetitions apart: the digest of the files, the nonce of a post, the id of a run; "" for none.
    """

    trigger: str
    at: float
    mark: str = ""
    evidence: dict[str, Any] = {}


class RunEnded(Struct, frozen=True, tag=True):
    """The run that this decider started has ended."""

    ok: bool
    run_id: str = ""


Event = Observed | Happened | RunEnded


# what is remembered


class Memory(Struct, frozen=True):
    """What one rule remembers."""

    fired: tuple[float, ...] = ()  # within the longest span that a limit looks at
    failures: int = 0
    failed_at: float = 0.0
    slot: float = 0.0  # the last time of the schedule that was seen to
    due: float = 0.0  # the next one; 0 before the first look
    changed_at: float = 0.0  # of files that are not yet quiet; 0 for none
    changed: str = ""
    mark: str = ""  # of what fired last
    waiting: dict[str, Any] | None = None  # an event that may not fire yet, and must not be lost
    said: str = ""  # the reason why it is suppressed, said once


class Flight(Struct, frozen=True):
    """The run that is going on, and the rules that asked for it."""

    triggers: tuple[str, ...]
    since: float
    run_id: str = ""


class Book(Struct, frozen=True):
    """What the decider remembers of a pipeline: each rule, the run in flight, and what asks for the next one."""

    rules: dict[str, Memory] = {}
    flight: Flight | None = None
    queued: dict[str, dict[str, Any]] = {}  # trigger to evidence, while a run is in flight
    clock: float = 0.0


# what was decided


class Fire(Struct, frozen=True, tag=True):
    """Start a run up to `target`, for these triggers."""

    triggers: tuple[str, ...]
    target: str
    at: float
    reason: str
    evidence: dict[str, Any]


class Merge(Struct, frozen=True, tag=True):
    """This trigger joins a run that another one starts, or the one after the run in flight."""

    trigger: str
    at: float
    reason: str
    evidence: dict[str, Any]


class Suppress(Struct, frozen=True, tag=True):
    """This trigger asked and starts nothing, and why."""

    trigger: str
    at: float
    reason: str
    evidence: dict[str, Any]


Decision = Fire | Merge | Suppress
