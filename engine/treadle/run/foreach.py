"""A step with `foreach` in a run: items are looked up, performed in batches, recorded one by one, and come together.

Foreach.begin           the list's elements; those whose result is known are hits
├── next_batch          some open items as a task
├── took                outcomes of items → results, retries, failures
└── outputs             the list of what they made, in the order of the elements
"""

from collections.abc import Sequence

from treadle.digest import of_value
from treadle.domain.artifact import Artifact
from treadle.domain.event import ItemFailed, StepProgress
from treadle.domain.plan import PlannedStep
from treadle.domain.task import Failure, Item, ItemOutcome, Outcome, Task, Usage
from treadle.run.batch import ended_items
from treadle.run.decide import Decision
from treadle.run.elements import Elements, label
from treadle.run.items import Items
from treadle.run.journal import Journal
from treadle.run.scratch import remove
from treadle.run.tasks import Inputs, Tasks
from treadle.store import Result, Store, add_list

LOOK = 500  # keys looked up at once
OFTEN = 0.5  # seconds between announcements of progress


class Foreach:
    """One walk over the items of one step; raises StoreError when the store fails."""

    def __init__(
        self, step: PlannedStep, decision: Decision, elements: Elements, store: Store, journal: Journal
    ) -> None:
        self.step = step
        self.decision = decision
        self.batches = 0  # that are on their way
        self.began = journal.clock()
        self.usage = Usage()
        self.reads_damaged = False
        self._elements = elements
        self._store = store
        self._journal = journal
        self._base = base_of(step, decision)
        self._name = f"{step.id}[*]"  # its items' results have a name of their own
        seconds = store.results.durations(journal.run.pipeline).get(self._name, 0.0)
        self.items = Items(step, len(elements), seconds)
        self._equal: dict[int, list[int]] = {}  # of an item that runs, the others with the same key
        self._number = 0
        self._told = 0.0

    @property
    def over(self) -> bool:
        return self.items.over and not self.batches

    def begin(self, forced: bool, now: float) -> None:
        """Look up every item; of those with one key the first alone is opened."""
        caching = self.step.caching.enabled  # else equal items may make different things
        firsts: dict[bytes, int] = {}
        for start in range(0, len(self._elements), LOOK):
            indexes = range(start, min(start + LOOK, len(self._elements)))
            keys = {index: self._key(index) for index in indexes} if caching else {}
            known = self._store.results.get_many(keys.values()) if keys and not forced else {}
            for index in indexes:
                key = keys.get(index, "")
                result = known.get(key)
                if result is not None and self._usable(result, now):
                    self.items.found(index, result.outputs)
                elif key and (first := firsts.setdefault(bytes.fromhex(key), index)) != index:
                    self._equal.setdefault(first, []).append(index)
                else:
                    self.items.open((index,))
        self._announce(always=True)

    def next_batch(self, tasks: Tasks, inputs: Inputs, room: int) -> Task | None:
        """A task of items that may run now, or None."""
        self.items.wake(self._journal.steady())
        indexes = self.items.take(room)
        if not indexes:
            return None
        self._number += 1
        self.batches += 1
        attempts = self.items.attempts
        items = tuple(Item(i, attempts.get(i, 0) + 1, self._elements[i].element) for i in indexes)
        return tasks.batch(self.step, inputs, self._number, items)

    def cancel(self, task: Task) -> None:
        """A batch was not submitted after all."""
        self.batches -= 1
        self.items.give_back(item.index for item in task.items)

    def took(self, task: Task, outcome: Outcome, changed: bool) -> Failure | None:
        """Take the end of a batch; returns why the step as a whole cannot go on, or None.

        With `changed`, what the step reads is not what it was: results are used and not recorded.
        """
        self.batches -= 1
        ended: Sequence[ItemOutcome] = outcome.items
        if outcome.failure is not None:
            ended = ended_items(task.scratch)
        remove(task.scratch)
        self._use(outcome.usage)
        self._record(ended, changed)
        left = [item.index for item in task.items[len(ended) :]]
        failure = outcome.failure
        if failure is not None and left:
            if failure.kind not in ("crash", "timeout", "cancelled"):
                return failure
            if failure.kind != "cancelled":
                self._failed(left.pop(0), failure)
        self.items.give_back(left)
        self._announce()
        return None

    def outputs(self) -> dict[str, Artifact]:
        """For each output the list of what the items made."""
        objects = self._store.objects
        made = {output.name: add_list(objects, self.items.outputs(output.name)) for output in self.step.outputs}
        objects.sync()
        return made

    def failure(self) -> Failure:
        """Why the step failed: how many items, the first ones, and the traceback of the very first."""
        first = sorted(self.items.failures, key=lambda one: one.index)
        lines = [f"{self.items.failed} of {self.items.total} items failed; the others are done and kept"]
        lines += [f"  item {one.index} ({one.element}): {one.failure.message.splitlines()[0]}" for one in first[:10]]
        if self.items.failed > 10:
            lines.append(f"  … {self.items.failed - 10} more")
        return Failure("error", "\n".join(lines), first[0].failure.traceback, first[0].failure.code)

    # inside

    def _key(self, index: int) -> str:
        return of_value([self._base, self._elements[index].digest])

    def _usable(self, result: Result, now: float) -> bool:
        ttl = self.step.caching.ttl
        if ttl is not None and now - result.created > ttl:
            return False
        return all(map(self._store.objects.has, result.outputs.values()))

    def _record(self, ended: Sequence[ItemOutcome], changed: bool) -> None:
        results: list[Result] = []
        for one in ended:
            if one.failure is not None:
                self._failed(one.index, one.failure)
                continue
            self.items.done(one.index, one.outputs, one.finished - one.started)
            for equal in self._equal.pop(one.index, ()):
                self.items.found(equal, one.outputs)
            found = self._elements[one.index]
            if self.step.caching.enabled and not changed and found.unchanged:
                results.append(self._result(one, found.digest))
        self._journal.add(results)

    def _result(self, one: ItemOutcome, element: str) -> Result:
        return Result(
            key=self._key(one.index),
            outputs=one.outputs,
            metrics=one.metrics,
            parts={"foreach": self._base, "element": element},
            pipeline=self._journal.run.pipeline,
            step=self._name,
            run_id=self._journal.run.run_id,
            created=one.finished,
            seconds=max(0.0, one.finished - one.started),
        )

    def _failed(self, index: int, failure: Failure) -> None:
        self.reads_damaged = self.reads_damaged or failure.kind == "input"
        element = label(self._elements[index].element)
        wait = self.items.fail(index, element, failure, self._journal.steady())
        attempt = self.items.attempts[index]
        fields = {"index": index, "element": element, "attempt": attempt, "failure": failure, "wait": wait}
        self._journal.tell(ItemFailed, step=self.step.id, **fields)
        if wait is None:
            for equal in self._equal.pop(index, ()):
                self.items.lost(equal, element, attempt, failure)
                self._journal.tell(ItemFailed, step=self.step.id, **{**fields, "index": equal})

    def _use(self, more: Usage) -> None:
        self.usage = Usage(
            self.usage.cpu_seconds + more.cpu_seconds,
            max(self.usage.peak_memory, more.peak_memory),
            self.usage.read + more.read,
            self.usage.written + more.written,
            more.limit or self.usage.limit,
        )

    def _announce(self, always: bool = False) -> None:
        now = self._journal.steady()
        if not always and not self.over and now - self._told < OFTEN:
            return
        self._told = now
        items = self.items
        counts = {"total": items.total, "hit": items.hit, "run": items.run, "failed": items.failed}
        self._journal.tell(StepProgress, step=self.step.id, **counts)


def base_of(step: PlannedStep, decision: Decision) -> str:
    """The digest of all that an item's key has beside its element."""
    left_out = {f"input {port}" for port in step.each}
    return of_value(["foreach", {name: part for name, part in decision.key.parts.items() if name not in left_out}])
