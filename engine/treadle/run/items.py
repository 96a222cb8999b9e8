"""The items of a step with `foreach`: which are open, tried again, made or failed; pure, a hundred bytes per item."""

from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush

from msgspec import msgpack

from treadle.domain import run as record
from treadle.domain.artifact import Artifact
from treadle.domain.plan import PlannedStep
from treadle.domain.run import ItemFailure
from treadle.domain.task import BATCH, Failure
from treadle.run.schedule import pause, worth_repeating

MOST = 500  # items in a batch
FIRST = 8  # items in a batch as long as nobody knows how long they take
KEPT = 100  # failures that a record keeps

_decode = msgpack.Decoder(dict[str, Artifact]).decode


class Items:
    """`seconds` is what an item took in a past run, 0 when that is not known."""

    def __init__(self, step: PlannedStep, total: int, seconds: float) -> None:
        self.total = total
        self.hit = self.run = self.failed = 0
        self.failures: list[ItemFailure] = []
        self.attempts: dict[int, int] = {}  # of those that have failed
        self._step = step
        self._seconds = seconds
        self._open: deque[int] = deque()
        self._paused: list[tuple[float, int]] = []
        self._made: list[bytes | None] = [None] * total

    @property
    def over(self) -> bool:
        """Whether nothing is left to be taken, now or later."""
        return not self._open and not self._paused

    def found(self, index: int, outputs: dict[str, Artifact]) -> None:
        """An item is in the cache."""
        self._made[index] = msgpack.encode(outputs)
        self.hit += 1

    def open(self, indexes: Iterable[int]) -> None:
        """These items are to be taken."""
        self._open.extend(indexes)

    def give_back(self, indexes: Iterable[int]) -> None:
        """These were taken and not begun; they come next."""
        self._open.extendleft(reversed(list(indexes)))

    def take(self, room: int) -> list[int]:
        """The next items for one task: about BATCH seconds of work, and not more than one of `room` equal shares."""
        fitting = int(BATCH / self._seconds) if self._seconds else FIRST
        share = -(-len(self._open) // max(1, room))
        count = max(1, min(MOST, fitting, share))
        return [self._open.popleft() for _ in range(min(count, len(self._open)))]

    def done(self, index: int, outputs: dict[str, Artifact], seconds: float) -> None:
        """An item has run."""
        self._made[index] = msgpack.encode(outputs)
        self.run += 1
        self._seconds = seconds if not self._seconds else 0.8 * self._seconds + 0.2 * max(seconds, 1e-5)

    def fail(self, index: int, element: str, failure: Failure, now: float) -> float | None:
        """An attempt failed: the seconds until the next one, or None when it was the last."""
        attempt = self.attempts[index] = self.attempts.get(index, 0) + 1
        retry = self._step.retry
        if attempt <= retry.times and worth_repeating(failure, retry.when):
            wait = pause(retry.backoff, attempt, f"{self._step.id}/{index}")
            heappush(self._paused, (now + wait, index))
            return wait
        self.lost(index, element, attempt, failure)
        return None

    def lost(self, index: int, element: str, attempt: int, failure: Failure) -> None:
        """An item has failed for good."""
        self.failed += 1
        if len(self.failures) < KEPT:
            self.failures.append(ItemFailure(index, element, attempt, failure))

    def wake(self, now: float) -> None:
        """Items whose pause is over are open again."""
        while self._paused and self._paused[0][0] <= now:
            self._open.append(heappop(self._paused)[1])

    def wake_at(self) -> float | None:
        """When the next pause ends, or None."""
        return self._paused[0][0] if self._paused else None

    def stop(self) -> None:
        """Take nothing any more."""
        self._open.clear()
        self._paused.clear()

    def outputs(self, name: str) -> list[Artifact]:
        """What the items made under that name, in the order of the list; all of them are done."""
        return [_decode(made)[name] for made in self._made if made is not None]

    def summary(self) -> record.Items:
        """The counts, and the first failures in the order of the list."""
        failures = tuple(sorted(self.failures, key=lambda one: one.index))
        return record.Items(self.total, self.hit, self.run, self.failed, failures)
