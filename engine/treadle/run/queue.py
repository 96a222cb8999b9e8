"""Decided steps that wait for room: the most urgent first, and never more looks than there are kinds of step."""

from collections.abc import Set
from heapq import heappop, heappush

from treadle.domain.plan import PlannedStep
from treadle.run.admission import wanted_by
from treadle.run.decide import Decision

Kind = tuple[str, tuple[tuple[str, float], ...]]  # the executor and what is needed: where one does not fit, none does
Rank = tuple[float, float, int]


class Queue:
    """Waiting steps by kind, so that ten thousand of them that need the same licence cost one look each turn."""

    def __init__(self) -> None:
        self._kinds: dict[Kind, list[tuple[Rank, str, Decision]]] = {}

    def __bool__(self) -> bool:
        return any(self._kinds.values())

    def push(self, rank: Rank, step: PlannedStep, decision: Decision) -> None:
        """A step waits."""
        heappush(self._kinds.setdefault(kind_of(step), []), (rank, step.id, decision))

    def pop(self, without: Set[Kind]) -> Decision | None:
        """The most urgent step that is of none of these kinds, or None."""
        heads = [(waiting[0], kind) for kind, waiting in self._kinds.items() if waiting and kind not in without]
        if not heads:
            return None
        return heappop(self._kinds[min(heads, key=lambda head: head[0][:2])[1]])[2]

    def drop(self, step: PlannedStep) -> None:
        """A step does not wait any more."""
        kind = kind_of(step)
        if kind in self._kinds:
            self._kinds[kind] = sorted(entry for entry in self._kinds[kind] if entry[1] != step.id)


def kind_of(step: PlannedStep) -> Kind:
    """What decides where and when a step fits."""
    return step.executor or "", tuple(sorted(wanted_by(step).items()))
