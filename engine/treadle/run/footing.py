"""What the decisions of a run stood on, so that the next run need not make those again whose ground has not moved.

A key is made of a step as it is planned, of its code, of data, and of what the steps above it made. Where nothing of
that has changed since a run in which a step had the key of its newest result, it has that key still, and nothing need
be digested or compared. This is a shorter way to the same key, never another answer: whatever this room does not know
about is decided the long way.
"""

import os
import sys
from collections.abc import Iterable, Mapping

from msgspec import DecodeError, Struct, msgpack

from treadle.code import Project
from treadle.digest import of_bytes, of_value
from treadle.domain.plan import Plan, PlannedStep
from treadle.domain.run import StepRecord
from treadle.run.keys import KEY_VERSION
from treadle.store import Store
from treadle.version import __version__

KIND = "footing"  # of a memo, one for each pipeline


class Footing(Struct, frozen=True, array_like=True):
    """All that the keys of one run were made of.

    `head` stands for the plan and for what is installed, `results` for the state of the table of results, `keys` for
    the keys of the newest results. `code` and `data` are digests, by variant of the code and by entry. At the paths
    that are `absent` there was nothing, and `others` were no files: words that named no file. Steps that are `odd` have
    keys of more than this; of those `away` the newest result is not the one that was used.
    """

    head: str
    results: int
    keys: str
    code: dict[str, str]
    data: dict[str, str]
    absent: list[str]
    others: list[str]
    odd: list[str]
    away: list[str]


class Ground:
    """Which steps stand where they stood; none, where no footing is known or something has changed for all of them."""

    def __init__(self, still: Iterable[str] = (), moved: Iterable[str] = (), away: Iterable[str] = ()) -> None:
        self.moved = list(moved)  # steps that something has changed for: they will most likely run
        self._still = set(still)
        self._away = set(away)
        self._hits: set[str] = set()

    def holds(self, step: PlannedStep) -> bool:
        """Whether the step has the key of its newest result: nothing of its own moved, and what it needs stands."""
        return step.id in self._still and self._hits.issuperset(step.needs)

    def hit(self, step: str) -> None:
        """The newest result of a step is used, unless that is not what those below it were decided with."""
        if step not in self._away:
            self._hits.add(step)


def find(plan: Plan, store: Store, project: Project) -> Footing | None:
    """The footing of an earlier run of this very plan, if results are those of then and no word names a file now."""
    state, kept = store.results.state(), store.memo.get(KIND, plan.pipeline)
    if state is None or kept is None:
        return None
    try:
        footing = msgpack.decode(kept, type=Footing)
    except DecodeError:
        return None  # of another version
    if (footing.head, footing.results, footing.keys) != (_head(plan, project), state, _keys(plan, store)):
        return None
    if any(map(os.path.lexists, footing.absent)) or any(map(os.path.isfile, footing.others)):
        return None
    looked = project.files.looked
    for path in footing.absent:
        looked.setdefault(path, False)
    for path in footing.others:
        looked.setdefault(path, True)
    return footing


def ground(plan: Plan, footing: Footing, code: Mapping[str, str], data: Mapping[str, str]) -> Ground:
    """The ground of a plan whose code and data have these digests now."""
    same_code = {name for name, digest in code.items() if footing.code.get(name) == digest}
    same_data = {name for name, digest in data.items() if footing.data.get(name) == digest}
    apart = {*footing.odd, *footing.away}
    still: list[str] = []
    moved: list[str] = []
    for step in plan.steps:
        if step.id not in apart:
            same = step.kind == "command" or variant(step) in same_code
            if same and all(s.step is not None or s.output in same_data for each in step.inputs.values() for s in each):
                still.append(step.id)
            else:
                moved.append(step.id)
    return Ground(still, moved, footing.away)


def keep(
    plan: Plan,
    store: Store,
    project: Project,
    made: tuple[Mapping[str, str], Mapping[str, str]],
    odd: Iterable[str],
    records: Mapping[str, StepRecord],
    before: Footing | None,
) -> None:
    """Keep the footing of a run that has ended; `made` are the digests of code and data, `odd` what it cannot hold."""
    state = store.results.state()
    if state is None:
        return  # another run has recorded results meanwhile
    looked = project.files.looked
    footing = Footing(
        head=before.head if before is not None else _head(plan, project),
        results=state,
        keys=_keys(plan, store),
        code=dict(made[0]),
        data=dict(made[1]),
        absent=sorted(path for path, sign in looked.items() if sign is False),
        others=sorted(path for path, sign in looked.items() if sign is not False and not os.path.isfile(path)),
        odd=sorted(odd),
        away=[step.id for step in plan.steps if not _newest(plan, store, records.get(step.id))],
    )
    if footing != before:
        store.memo.put(KIND, plan.pipeline, msgpack.encode(footing))


def variant(step: PlannedStep) -> str:
    """What of a function step tells its code: steps that share it share their code."""
    return "\0".join((step.call, step.environment, *step.code))


def _newest(plan: Plan, store: Store, record: StepRecord | None) -> bool:
    if record is None or not record.key:
        return False
    return record.key == store.results.last_key(plan.pipeline, record.id)


def _head(plan: Plan, project: Project) -> str:
    return of_value([__version__, KEY_VERSION, sys.version, project.root, plan.digest, project.installed()])


def _keys(plan: Plan, store: Store) -> str:
    return of_bytes("\n".join([store.results.last_key(plan.pipeline, step.id) for step in plan.steps]).encode())
