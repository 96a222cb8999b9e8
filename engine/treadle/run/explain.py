"""Why one step would be a hit or run now: its manifest beside an earlier one, part by part.

explain
├── Walk.go                       the fates of the step and of all that it needs
├── _nearest / _of_run            the earlier manifest to compare with
└── _Details.of                   each difference: source, files, what made an input
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct, structs

from treadle.code import Project
from treadle.domain.artifact import Artifact
from treadle.domain.plan import Plan, PlannedStep, Source
from treadle.domain.run import RunRecord
from treadle.errors import InputError, input_error
from treadle.run import listings
from treadle.run.changes import Change, FileChange, changes, difference, phrase, split
from treadle.run.decide import Decider
from treadle.run.preview import Walk
from treadle.run.selection import Selection
from treadle.store import Result, Store

ALL = 1_000_000  # records of one step: the whole history counts
DEEPEST = 20  # steps upstream that a change of an input is followed through
MOST = 8  # causes told of one input


class Compared(Struct, frozen=True):
    """The earlier record: the run that made it, when (seconds since the epoch), and how many parts it has."""

    run_id: str
    created: float
    parts: int


class Explanation(Struct, frozen=True, kw_only=True):
    """Why a step would be a hit or run.

    `compared` is the record that `changes` lead from, None when there is none; `upstream` are the steps that
    must run first and `unknown` the inputs that come from them; `notes` say what the key could not follow.
    """

    pipeline: str
    step: str
    fate: str
    reason: str
    key: str = ""
    compared: Compared | None = None
    changes: tuple[Change, ...] = ()
    upstream: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def explain(
    plan: Plan, store: Store, project: Project, step_id: str, against: RunRecord | None, now: float
) -> Explanation:
    """Why a step of the plan would be a hit or run now, against its nearest earlier record or a run.

    Raises InputError when the run has no manifest of the step.
    """
    step = next(step for step in plan.steps if step.id == step_id)
    decider = Decider(plan, store, project, frozenset(), now)
    walk = Walk(plan, store, Selection(), decider)
    walk.go()
    fate, reason = walk.fates[step.id]
    earlier = None if against is None else _of_run(store, step, against)
    told = Explanation(pipeline=plan.pipeline, step=step.id, fate=fate, reason=reason)
    if step.kind == "gather" or fate == "skip":
        return structs.replace(told, upstream=_first(plan, walk, step))
    unknown = tuple(port for port, sources in step.inputs.items() if not _known(sources, walk.outputs))
    try:
        key = decider.key(step, _filled(step, walk.outputs))
    except InputError:
        return told  # the reason says which data or code is not there
    left_out = {f"input {port}" for port in unknown}
    parts = {part: value for part, value in key.parts.items() if part not in left_out}
    if earlier is None:
        same = None if unknown else store.results.get(key.digest)
        earlier = same or _nearest(store.results.latest(plan.pipeline, step.id, ALL), parts, left_out)
    told = structs.replace(
        told,
        key="" if unknown else key.digest,
        upstream=_first(plan, walk, step),
        unknown=unknown,
        notes=decider.notes.get(step.call, ()),
    )
    if earlier is None:
        return told
    details = _Details(plan, store, project, decider, walk)
    return structs.replace(
        told,
        compared=Compared(earlier.run_id, earlier.created, len(earlier.parts)),
        changes=tuple(details.of(step, change) for change in changes(_without(earlier.parts, left_out), parts)),
    )


class _Details:
    """Fills in what only the store, the project and the walk know of a difference."""

    def __init__(self, plan: Plan, store: Store, project: Project, decider: Decider, walk: Walk) -> None:
        self._plan = plan
        self._store = store
        self._project = project
        self._decider = decider
        self._walk = walk
        self._steps = {step.id: step for step in plan.steps}

    def of(self, step: PlannedStep, change: Change) -> Change:
        if change.kind == "code" and change.before is not None:
            names = (f"{change.name} (then)", f"{change.name} (now)")
            lines = self._project.difference(change.before, change.after, names)
            return structs.replace(change, diff="\n".join(lines))
        if change.kind == "param" and change.before is not None and change.name in self._plan.params:
            return structs.replace(change, remedy=f"{change.remedy} (-p {change.name}={_bare(change.before)})")
        if change.kind == "input" and change.before and change.after and change.name in step.inputs:
            return self._input(step, change, change.before)
        return change

    def _input(self, step: PlannedStep, change: Change, before: str) -> Change:
        origins = ", ".join(self._origin(source) for source in step.inputs[change.name])
        text = f"input {change.name} ({origins}) changed"
        old = listings.sources(self._store.memo, step, change.name, before)
        if old is None or len(old) != len(step.inputs[change.name]):
            return structs.replace(change, text=text)
        files: list[FileChange] = []
        because: list[str] = []
        remedies: list[str] = []
        for source, digest in zip(step.inputs[change.name], old, strict=True):
            if digest == self._digest(source):
                continue
            if source.step is None:
                found = self._files(source.output, digest)
                files += found
                remedies += _restored(found) or [f"restore the data {source.output}"]
            else:
                because += self._causes(source.step, source.output, digest, 0)
                remedies.append(f"let '{source.step}' make what it made then")
        return structs.replace(
            change, text=text, files=tuple(files), because=tuple(because[:MOST]), remedy="; ".join(remedies)
        )

    def _origin(self, source: Source) -> str:
        if source.step is not None:
            return f"made by {source.step}"
        return f"data.{source.output}: {self._plan.data[source.output].target}"

    def _digest(self, source: Source) -> str:
        if source.step is None:
            return self._decider.sources.data(source.output).digest
        artifact = self._walk.outputs[source.step][source.output]
        return f"{artifact.codec}:{artifact.digest}"

    def _files(self, name: str, before: str) -> tuple[FileChange, ...]:
        return listings.files(self._store.memo, before, self._decider.sources.data(name)) or ()

    def _causes(self, producer: str, output: str, before: str, depth: int) -> list[str]:
        """Why a step made something else than it once did, followed upstream to what the user changed."""
        if self._steps[producer].kind == "gather":
            return [f"{producer}: one of its cells, or the choice among them, changed"]
        then = self._maker(producer, output, before)
        decision = self._walk.decisions.get(producer)
        if then is None or decision is None:
            return [f"{producer}: no record is left of how it made that"]
        if then.key == decision.key.digest:
            return [f"{producer}: the same key made something else; it is not deterministic"]
        found: list[str] = []
        for part, old, new in difference(then.parts, decision.key.parts):
            found += self._cause(self._steps[producer], part, old, new, depth)
        return found

    def _cause(self, step: PlannedStep, part: str, old: str | None, new: str | None, depth: int) -> list[str]:
        kind, port = split(part)
        if kind != "input" or not old or not new or port not in step.inputs or len(step.inputs[port]) != 1:
            return [f"{step.id}: {phrase(part, old, new)}"]
        source = step.inputs[port][0]
        if source.step is not None and depth < DEEPEST:
            return self._causes(source.step, source.output, old, depth + 1)
        files = self._files(source.output, old) if source.step is None else ()
        if files:
            return [f"{step.id}: data.{source.output}: {_listed(files)}"]
        return [f"{step.id}: {phrase(part, old, new)}"]

    def _maker(self, step: str, output: str, digest: str) -> Result | None:
        for result in self._store.results.latest(self._plan.pipeline, step, ALL):
            artifact = result.outputs.get(output)
            if artifact is not None and f"{artifact.codec}:{artifact.digest}" == digest:
                return result
        return None


def _of_run(store: Store, step: PlannedStep, run: RunRecord) -> Result:
    record = run.steps.get(step.id)
    key = record.key if record is not None else ""
    result = store.results.get(key) if key else None
    if result is not None:
        return result
    if record is None:
        reason = "the run had no such step"
    elif not key:
        reason = f"the step's fate there was '{record.fate}'"
    else:
        reason = "its result is not in the cache any more, or was never recorded"
    text = f"run {run.run_id} has no manifest of '{step.id}': {reason}"
    raise input_error("no-manifest", text, None, "without --against it is compared with its nearest earlier record")


def _nearest(records: Sequence[Result], parts: Mapping[str, str], left_out: set[str]) -> Result | None:
    """The record with the fewest differing parts, of equal ones the newest; records come newest first."""
    return min(records, key=lambda result: len(difference(_without(result.parts, left_out), parts)), default=None)


def _without(parts: Mapping[str, str], left_out: set[str]) -> dict[str, str]:
    return {part: value for part, value in parts.items() if part not in left_out}


def _known(sources: Sequence[Source], outputs: Mapping[str, Mapping[str, Artifact]]) -> bool:
    return all(source.step is None or source.step in outputs for source in sources)


def _filled(step: PlannedStep, outputs: Mapping[str, Mapping[str, Artifact]]) -> dict[str, dict[str, Artifact]]:
    """The outputs that a step reads, with a place holder for what is not made yet."""
    found: dict[str, dict[str, Artifact]] = {}
    for source in (source for sources in step.inputs.values() for source in sources if source.step is not None):
        made = outputs.get(source.step or "", {})
        found.setdefault(source.step or "", {})[source.output] = made.get(source.output, Artifact("", "unknown", 0))
    return found


def _first(plan: Plan, walk: Walk, step: PlannedStep) -> tuple[str, ...]:
    """The steps above that are known to run now; what they make decides the rest."""
    needs = {one.id: one.needs for one in plan.steps}
    above: set[str] = set()
    todo = list(step.needs)
    while todo:
        name = todo.pop()
        if name not in above:
            above.add(name)
            todo += needs.get(name, ())
    return tuple(one.id for one in plan.steps if one.id in above and walk.fates[one.id][0] == "run")


def _restored(files: Sequence[FileChange]) -> list[str]:
    verbs = {"added": "remove", "removed": "bring back", "changed": "restore"}
    shown = [f"{verbs[file.how]} {file.name}" for file in files[:MOST]]
    return [*shown, f"and {len(files) - MOST} more files"] if len(files) > MOST else shown


def _listed(files: Sequence[FileChange]) -> str:
    shown = ", ".join(f"{file.name} {file.how}" for file in files[:MOST])
    return f"{shown}, {len(files) - MOST} more" if len(files) > MOST else shown


def _bare(text: str) -> str:
    """A value of a manifest as the command line takes it: texts without their quotation marks."""
    return text[1:-1] if text[:1] in "'\"" and text[:1] == text[-1:] else text
