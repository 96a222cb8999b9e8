"""What happens during a run, told once and one way: nothing that listens can change the run."""

from typing import Any

from msgspec import Struct

from treadle.domain.task import Failure


class Event(Struct, frozen=True, tag_field="event", kw_only=True):
    """Common to all events: the run and the time in seconds since the epoch."""

    run_id: str
    at: float


class RunStarted(Event, frozen=True, tag="run_started", kw_only=True):
    pipeline: str
    steps: int
    params: dict[str, Any] = {}
    expected: float | None = None  # seconds of work, from past runs
    stages: dict[str, str] = {}  # the stage of each step that has one; a matrix under its own name


class RunProgress(Event, frozen=True, tag="run_progress", kw_only=True):
    """How far a run is, at most twice a second; `remaining` seconds, by the critical path, None when unknown."""

    steps: int
    ended: int
    remaining: float | None = None


class StepStarted(Event, frozen=True, tag="step_started", kw_only=True):
    step: str
    reason: str
    attempt: int = 1
    expected: float | None = None


class StepCached(Event, frozen=True, tag="step_cached", kw_only=True):
    step: str
    reason: str = ""
    metrics: dict[str, float] = {}


class StepProgress(Event, frozen=True, tag="step_progress", kw_only=True):
    """How far a step with `foreach` is: items by what became of them."""

    step: str
    total: int
    hit: int = 0
    run: int = 0
    failed: int = 0


class StepAdvanced(Event, frozen=True, tag="step_advanced", kw_only=True):
    """How far a step says it is, through `ctx.progress`; `total` is 0 when that is not known."""

    step: str
    done: float
    total: float = 0.0


class Metric(Event, frozen=True, tag="metric", kw_only=True):
    """New values of a metric of a running step, through `ctx.metric`: (step of the work, value), thinned out."""

    step: str
    name: str
    points: tuple[tuple[int, float | None], ...]


class Noted(Event, frozen=True, tag="noted", kw_only=True):
    """A line of a running step, through `ctx.log`."""

    step: str
    text: str


class ItemFailed(Event, frozen=True, tag="item_failed", kw_only=True):
    """An item of a step with `foreach` failed; it is tried again after `wait` seconds, or never if that is None."""

    step: str
    index: int
    element: str
    attempt: int
    failure: Failure
    wait: float | None = None


class StepFinished(Event, frozen=True, tag="step_finished", kw_only=True):
    step: str
    seconds: float
    metrics: dict[str, float] = {}


class StepFailed(Event, frozen=True, tag="step_failed", kw_only=True):
    step: str
    failure: Failure
    log: str = ""


class StepRetried(Event, frozen=True, tag="step_retried", kw_only=True):
    step: str
    failure: Failure
    attempt: int
    wait: float


class StepSkipped(Event, frozen=True, tag="step_skipped", kw_only=True):
    step: str
    reason: str


class Notice(Event, frozen=True, tag="notice", kw_only=True):
    """Something the user should know that changes no fate, such as a repaired object."""

    text: str
    step: str = ""


class Advanced(Event, frozen=True, tag="advanced", kw_only=True):
    """How far long work beside the steps is, such as hashing data; at most twice a second."""

    what: str
    done: int
    total: int
    unit: str


class RunFinished(Event, frozen=True, tag="run_finished", kw_only=True):
    status: str
    seconds: float
    fates: dict[str, int] = {}


class TurnFinished(Event, frozen=True, tag="turn_finished", kw_only=True):
    """One turn of `watch`; `status` is ok, failed, invalid or superseded, and `run_id` empty when nothing could run.

    `cut_off` are steps below one that ran whose own inputs stayed the same; `metrics` maps a step to the
    figures that changed, each as [before, after] with null for none.
    """

    turn: int
    status: str
    seconds: float
    changed: tuple[str, ...] = ()
    ran: tuple[str, ...] = ()
    cut_off: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    unchanged: int = 0
    metrics: dict[str, dict[str, tuple[float | None, float | None]]] = {}
    problems: tuple[str, ...] = ()
