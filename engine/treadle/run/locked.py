"""A plan beside its lock: making the lock from what is known, and naming everything that is not as locked."""

from collections.abc import Mapping

from msgspec import Struct

from treadle.digest import of_value
from treadle.domain.artifact import Artifact, StepKey
from treadle.domain.lock import Lock, LockDifference, LockedStep
from treadle.domain.plan import Plan, PlannedStep
from treadle.domain.run import RunRecord
from treadle.errors import InputError
from treadle.run.changes import difference, phrase, split
from treadle.run.decide import Decider, Decision, Outputs
from treadle.run.preview import Preview, Walk
from treadle.run.selection import Selection
from treadle.store import Result, Store

CODE = "code"


class Unlocked(Struct, frozen=True):
    """A step that cannot be locked, since what it makes is not known, and why."""

    step: str
    reason: str


def lock_of(plan: Plan, store: Store, decider: Decider) -> tuple[Lock, tuple[Unlocked, ...]]:
    """The lock of a plan from what the cache knows, and the steps that it does not know."""
    known = _Known(store, decider)
    walk = Walk(plan, store, Selection(), known)
    walk.go()
    code: dict[str, str] = {}
    data: dict[str, str] = {}
    steps: dict[str, LockedStep] = {}
    for step in plan.steps:
        decision = walk.decisions.get(step.id)
        if decision is None or decision.result is None:
            continue
        result = decision.result
        parts, pieces = _folded(decision.key.parts)
        code.update(pieces)
        steps[step.id] = LockedStep(key=result.key, parts=parts, outputs=result.outputs, metrics=result.metrics)
        for source in (source for sources in step.inputs.values() for source in sources if source.step is None):
            data[source.output] = decider.sources.data(source.output).digest
    open_ = (Unlocked(name, reason) for name, (fate, reason) in walk.fates.items() if fate in ("run", "wait"))
    return Lock(data=data, code=code, steps=steps), tuple(open_)


def compare(
    plan: Plan, store: Store, decider: Decider, lock: Lock, whole: bool
) -> tuple[tuple[LockDifference, ...], list[Preview]]:
    """What is not as locked, in the order of the plan, and each step's fate if the lock were the cache.

    With `whole`, steps that only the lock has count too.
    """
    locked = _Locked(decider, lock)
    walk = Walk(plan, store, Selection(), locked)
    walk.go()
    found = list(locked.differences)
    for step in plan.steps:
        fate, reason = walk.fates[step.id]
        if fate == "skip" and step.id in lock.steps:
            text = f"{step.id}: is in the lock, but would be skipped: {reason}"
            found.append(LockDifference(step.id, "fate", "hit", "skip", text))
    for name in sorted(set(lock.steps) - {step.id for step in plan.steps}) if whole else ():
        found.append(LockDifference(name, "step", "there", None, f"{name}: is in the lock, but not in the pipeline"))
    return tuple(found), _fates(plan, walk, found)


def unequal(lock: Lock, record: RunRecord) -> tuple[LockDifference, ...]:
    """What a run made otherwise than the lock says: its steps are not deterministic."""
    found = []
    for name, step in record.steps.items():
        locked = lock.steps.get(name)
        for output, made in step.outputs.items() if locked is not None and step.key == locked.key else ():
            was = locked.outputs.get(output) if locked is not None else None
            before, after = None if was is None else _shown(was), _shown(made)
            if before != after:
                text = f"{name}: output {output}: {before} → {after}, from the same key: the step is not deterministic"
                found.append(LockDifference(name, f"output {output}", before, after, text))
    return tuple(found)


class _Known:
    """Decides by what is recorded, whether or not the objects are still there; for `cache: false`, by past runs."""

    def __init__(self, store: Store, decider: Decider) -> None:
        self._store = store
        self._decider = decider

    def decide(self, step: PlannedStep, outputs: Outputs) -> Decision:
        key = self._decider.key(step, outputs)
        result = self._store.results.get(key.digest)
        if result is None and not step.caching.enabled:
            result = self._of_a_run(step, key)
        if result is None:
            return Decision(step.id, "run", "no result has its key", key)
        return Decision(step.id, "hit", "known", key, result)

    def _of_a_run(self, step: PlannedStep, key: StepKey) -> Result | None:
        for record in self._store.history.of_step(step.id):
            if record.key == key.digest and record.outputs:
                return Result(key=key.digest, outputs=record.outputs, metrics=record.metrics, parts=key.parts)
        return None


class _Locked:
    """Decides by a lock: a step is what the lock says it made, and whatever differs is noted."""

    def __init__(self, decider: Decider, lock: Lock) -> None:
        self.differences: list[LockDifference] = []
        self._decider = decider
        self._lock = lock

    def decide(self, step: PlannedStep, outputs: Outputs) -> Decision:
        try:
            key = self._decider.key(step, outputs)
        except InputError as error:
            for problem in error.problems:
                text = f"{step.id}: {problem.text}"
                self.differences.append(LockDifference(step.id, problem.code, None, None, text))
            raise
        locked = self._lock.steps.get(step.id)
        if locked is None:
            text = f"{step.id}: is not in the lock"
            self.differences.append(LockDifference(step.id, "step", None, "there", text))
            return Decision(step.id, "run", "not in the lock", key)
        self.differences += self._compare(step.id, locked, key)
        result = Result(key=locked.key, outputs=locked.outputs, metrics=locked.metrics)
        return Decision(step.id, "hit", "as locked", key, result)

    def _compare(self, step: str, locked: LockedStep, key: StepKey) -> list[LockDifference]:
        parts, pieces = _folded(key.parts)
        found: list[tuple[str, str | None, str | None]] = []
        for part, before, after in difference(locked.parts, parts):
            changed = self._pieces(pieces) if part == CODE and before and after else []
            found += changed or [(part, before, after)]
        if not found and key.digest != locked.key:
            found.append(("key", locked.key, key.digest))
        return [LockDifference(step, part, old, new, f"{step}: {phrase(part, old, new)}") for part, old, new in found]

    def _pieces(self, now: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
        return [
            (f"{CODE} {name}", self._lock.code.get(name), digest)
            for name, digest in now.items()
            if self._lock.code.get(name) != digest
        ]


def _folded(parts: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """A manifest with all of its code as one part `code`, and the pieces of code by name."""
    pieces = {part.removeprefix("code "): value for part, value in parts.items() if split(part)[0] in (CODE, "file")}
    rest = {part: value for part, value in parts.items() if split(part)[0] not in (CODE, "file")}
    return ({**rest, CODE: of_value(pieces)} if pieces else rest), pieces


def _fates(plan: Plan, walk: Walk, differences: list[LockDifference]) -> list[Preview]:
    reasons: dict[str, list[str]] = {}
    for found in differences:
        reasons.setdefault(found.step, []).append(found.text.removeprefix(f"{found.step}: "))
    fates: dict[str, Preview] = {}
    for step in plan.steps:
        fate, reason = walk.fates[step.id]
        above = [need for need in step.needs if fates[need].fate in ("run", "wait")]
        if step.id in reasons and fate != "skip":
            fates[step.id] = Preview(step.id, "run", "; ".join(reasons[step.id]))
        elif above and fate == "hit":
            fates[step.id] = Preview(step.id, "wait", f"depends on {', '.join(above[:3])}")
        else:
            fates[step.id] = Preview(step.id, fate, reason)
    return [fates[step.id] for step in plan.steps]


def _shown(artifact: Artifact) -> str:
    return f"{artifact.codec}:{artifact.digest}"
