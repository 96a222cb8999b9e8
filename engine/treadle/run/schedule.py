"""What may run next: a pure state machine over the DAG; no clock, no store, no executor.

A step is waiting until its needs are done, then ready, then taken by the caller, and ends as done,
failed or skipped. What depends on a failed or skipped step is skipped at once, with the reason.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush

from msgspec import Struct

from treadle.digest import of_bytes
from treadle.domain.plan import Plan, PlannedStep
from treadle.domain.task import Failure

WAITING, READY, TAKEN, PAUSED, DONE, FAILED, SKIPPED = (
    "waiting",
    "ready",
    "taken",
    "paused",
    "done",
    "failed",
    "skipped",
)
ENDED = frozenset((DONE, FAILED, SKIPPED))
LONGEST_WAIT = 3600.0


class Skip(Struct, frozen=True):
    """A step that will not run, and why."""

    step: str
    reason: str


class Again(Struct, frozen=True):
    """A step that gets another attempt at `at`, in seconds since the epoch."""

    step: str
    attempt: int
    at: float


class Schedule:
    """The state of every step; `weights` are seconds from past runs, for the critical path.

    `likely` are steps that will most likely run: they are taken first, with what they need and what needs them.
    """

    def __init__(self, plan: Plan, weights: Mapping[str, float], likely: Iterable[str] = ()) -> None:
        self._steps: dict[str, PlannedStep] = {step.id: step for step in plan.steps}
        self._needs = {s.id: [n for n in s.needs if n in self._steps] for s in plan.steps}
        self._below: dict[str, list[str]] = {step.id: [] for step in plan.steps}
        for step, needs in self._needs.items():
            for need in needs:
                self._below[need].append(step)
        self._left = {step: len(needs) for step, needs in self._needs.items()}
        self.rank = _ranks(plan, self._below, weights)
        self.state: dict[str, str] = dict.fromkeys(self._steps, WAITING)
        self.attempts: dict[str, int] = dict.fromkeys(self._steps, 0)
        self._open = len(self._steps)
        self._paused: list[tuple[float, str]] = []
        self._first = _closed(_closed(set(likely), self._below), self._needs)
        self._ready: list[tuple[bool, tuple[float, float, int], str]] = []
        for step, left in self._left.items():
            if not left:
                self._make_ready(step)
        heapify(self._ready)

    @property
    def over(self) -> bool:
        return not self._open

    @property
    def more(self) -> bool:
        """Whether there is something to take."""
        return bool(self._ready)

    def take(self, most: int | None = None) -> list[str]:
        """The ready steps, or so many of them, the most urgent first; they are the caller's until it reports back."""
        taken: list[str] = []
        while self._ready and len(taken) != most:
            _, _, step = heappop(self._ready)
            if self.state[step] == READY:
                self.state[step] = TAKEN
                taken.append(step)
        return taken

    def give_back(self, step: str) -> None:
        """A taken step that could not start yet is ready again."""
        self._make_ready(step)

    def finish(self, step: str) -> None:
        """A step is done; what waited for it alone becomes ready."""
        self._end(step, DONE)
        for other in self._below[step]:
            self._satisfied(other)

    def skip(self, step: str, reason: str) -> list[Skip]:
        """A step is skipped, and with it all that depends on it."""
        self._end(step, SKIPPED)
        return [Skip(step, reason), *self._cascade(step, f"needs '{step}', which was skipped")]

    def stop_below(self, step: str, reason: str) -> list[Skip]:
        """What depends on a finished step is skipped: its gate did not hold."""
        self._end(step, DONE)
        return self._cascade(step, reason)

    def fail(self, step: str, failure: Failure, now: float) -> Again | list[Skip]:
        """An attempt failed: the step is tried again later, or it has failed and its dependents are skipped."""
        self.attempts[step] += 1
        attempt = self.attempts[step]
        retry = self._steps[step].retry
        if attempt <= retry.times and worth_repeating(failure, retry.when):
            at = now + pause(retry.backoff, attempt, step)
            self.state[step] = PAUSED
            heappush(self._paused, (at, step))
            return Again(step, attempt + 1, at)
        return self.abandon(step)

    def abandon(self, step: str) -> list[Skip]:
        """A step has failed for good, whatever its `retry` says; its dependents are skipped."""
        self._end(step, FAILED)
        return self._cascade(step, f"needs '{step}', which failed")

    def reopen(self, producer: str, consumer: str) -> None:
        """A consumer found the producer's stored output damaged: the producer runs again, then the consumer."""
        if self.state[producer] == DONE:
            self._open += 1
            self._make_ready(producer)
        self.state[consumer] = WAITING
        self._left[consumer] += 1

    def wake(self, now: float) -> list[str]:
        """Steps whose pause is over become ready."""
        woken = []
        while self._paused and self._paused[0][0] <= now:
            _, step = heappop(self._paused)
            if self.state[step] == PAUSED:
                self._make_ready(step)
                woken.append(step)
        return woken

    def wake_at(self) -> float | None:
        """When the next pause ends, or None."""
        return self._paused[0][0] if self._paused else None

    def _satisfied(self, step: str) -> None:
        self._left[step] -= 1
        if not self._left[step] and self.state[step] == WAITING:
            self._make_ready(step)

    def _cascade(self, step: str, reason: str) -> list[Skip]:
        skips = []
        todo = deque((other, step, reason) for other in self._below[step])
        while todo:
            name, cause, why = todo.popleft()
            if self.state[name] in ENDED:
                continue
            if self._steps[name].kind == "gather" and self.state[cause] == SKIPPED and not self._all_skipped(name):
                self._satisfied(name)  # a matrix goes on with the cells that ran
                continue
            self._end(name, SKIPPED)
            skips.append(Skip(name, why))
            todo += [(other, name, f"needs '{name}', which was skipped") for other in self._below[name]]
        return skips

    def _all_skipped(self, gather: str) -> bool:
        return all(self.state[need] == SKIPPED for need in self._needs[gather])

    def _make_ready(self, step: str) -> None:
        self.state[step] = READY
        heappush(self._ready, (step not in self._first, self.rank[step], step))

    def _end(self, step: str, state: str) -> None:
        if self.state[step] not in ENDED:
            self._open -= 1
        self.state[step] = state


def pause(backoff: float, attempt: int, step: str) -> float:
    """Seconds to wait before the next attempt: doubled each time, at most an hour, with a jitter of 25 %.

    The jitter comes from the step's name, so that equal runs wait alike and different steps do not.
    """
    jitter = 0.75 + 0.5 * (int(of_bytes(f"{step}/{attempt}".encode())[:8], 16) / 0xFFFFFFFF)
    return float(min(LONGEST_WAIT, backoff * 2.0 ** min(attempt - 1, 30)) * jitter)


def worth_repeating(failure: Failure, when: tuple[str | int, ...]) -> bool:
    """Whether a failure is one of those that another attempt may cure."""
    if failure.kind in ("output", "input", "cancelled"):
        return False
    if not when:
        return True
    kind = "error" if failure.kind == "exit" else failure.kind
    return kind in when or failure.code in when


def _closed(found: set[str], edges: Mapping[str, list[str]]) -> set[str]:
    """These steps and all that the edges lead to."""
    todo = list(found)
    while todo:
        new = [step for step in edges[todo.pop()] if step not in found]
        found.update(new)
        todo += new
    return found


def _ranks(
    plan: Plan, below: Mapping[str, list[str]], weights: Mapping[str, float]
) -> dict[str, tuple[float, float, int]]:
    """Declared priority first, then the longest path to an end, then the order in the file."""
    length: dict[str, float] = {}
    for step in reversed(plan.steps):
        own = weights.get(step.id, 1.0)
        length[step.id] = own + max((length[other] for other in below[step.id]), default=0.0)
    return {step.id: (-step.priority, -length[step.id], number) for number, step in enumerate(plan.steps)}
