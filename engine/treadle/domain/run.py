"""The record of one walk over the DAG."""

from typing import Any

from msgspec import Struct

from treadle.domain.artifact import Artifact
from treadle.domain.task import Failure, Usage

HIT, RUN, SKIP, FAILED, CANCELLED = "hit", "run", "skip", "failed", "cancelled"
OK, INTERRUPTED, RUNNING = "ok", "interrupted", "running"


class GateVerdict(Struct, frozen=True):
    """One rule of a gate with the figures it was judged by."""

    text: str
    passed: bool
    values: dict[str, float] = {}
    note: str = ""


class ItemFailure(Struct, frozen=True):
    """An item that failed for good: its place in the list, its element in short, and why."""

    index: int
    element: str
    attempts: int
    failure: Failure


class Items(Struct, frozen=True):
    """What became of the items of a step with `foreach`; `failures` are the first of them."""

    total: int
    hit: int = 0
    run: int = 0
    failed: int = 0
    failures: tuple[ItemFailure, ...] = ()


class StepRecord(Struct, frozen=True, kw_only=True):
    """What became of one step: its fate (hit, run, skip, failed, cancelled) and the reason in words."""

    id: str
    fate: str
    reason: str = ""
    key: str = ""
    outputs: dict[str, Artifact] = {}
    metrics: dict[str, float] = {}
    gates: tuple[GateVerdict, ...] = ()
    attempts: int = 0
    started: float = 0.0
    finished: float = 0.0
    failure: Failure | None = None
    usage: Usage = Usage()
    log: str = ""
    items: Items | None = None
    track: Artifact | None = None  # what the step told while it ran
    saved: int = 0  # steps that need not run, since this one ran and made what was known already

    @property
    def seconds(self) -> float:
        return max(0.0, self.finished - self.started)


class RunRecord(Struct, frozen=True, kw_only=True):
    """One run; `status` is ok, failed, interrupted or running; times are seconds since the epoch.

    `git` is the commit of the project's tree, with a `+` when it had changes that were not committed.
    """

    run_id: str
    pipeline: str
    path: str
    plan: str
    status: str
    started: float
    finished: float = 0.0
    params: dict[str, Any] = {}
    steps: dict[str, StepRecord] = {}
    git: str = ""

    @property
    def fates(self) -> dict[str, int]:
        """How many steps met each fate."""
        found: dict[str, int] = {}
        for step in self.steps.values():
            found[step.fate] = found.get(step.fate, 0) + 1
        return found
