"""Hit or run: one decision per step, made when its inputs exist, with the reason.

`plan` and `run` both decide here, so what one promises the other does.
"""

import os
from collections.abc import Mapping, Set
from contextlib import suppress
from functools import cached_property

from msgspec import Struct, msgpack

from treadle.code import Closure, CodeError, Project
from treadle.domain.artifact import Artifact, StepKey
from treadle.domain.plan import Plan, PlannedStep, Source
from treadle.domain.run import StepRecord
from treadle.errors import CodecError, InputError, Problem
from treadle.run import footing, keys, listings, pickled
from treadle.run.changes import in_words
from treadle.run.sources import Sources
from treadle.store import Result, Store

NAMING = frozenset(("list", "pickle"))  # codecs of what may refer to code by name
FILE = "file "  # parts of a manifest: files that parameters name
CHAMPION = "champion"  # the alias, and the input that receives it
Outputs = Mapping[str, Mapping[str, Artifact]]  # step → output → artifact


class Decision(Struct, frozen=True):
    """What becomes of a step: `hit` with the result to use, or `run`, with the reason in words."""

    step: str
    fate: str
    reason: str
    key: StepKey
    result: Result | None = None


class Decider:
    """Decides steps of one plan against one store; `forced` steps run whatever the cache says.

    `absent` holds digests of data entries whose files are not here: with a lock they need not be.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        project: Project,
        forced: Set[str],
        now: float,
        absent: Mapping[str, str] | None = None,
    ) -> None:
        self._plan = plan
        self._store = store
        self._project = project
        self._forced = forced
        self._now = now
        self.sources = Sources(plan, store, project.root, absent or {})
        self._champions: dict[str, Artifact | None] = {}
        self._project_now: Project | None = None
        self._code: dict[tuple[str, ...], keys.Code] = {}
        self.notes: dict[str, tuple[str, ...]] = {}
        self._odd: set[str] = set()  # steps whose keys are made of more than a footing holds
        self._footing = None if absent else footing.find(plan, store, project)
        self._ground = footing.Ground()
        if self._footing is not None:
            data = self.sources.digests(self._footing.data)
            self._ground = footing.ground(plan, self._footing, self._variants, data)

    def likely(self) -> list[str]:
        """The steps that are forced, or that something has changed for since the last run of this plan."""
        return [*self._forced, *self._ground.moved]

    def keep(self, records: Mapping[str, StepRecord]) -> None:
        """Keep what the decisions of this run stood on, for the next one; `records` say how the steps ended."""
        made = self._variants, self.sources.digests()
        footing.keep(self._plan, self._store, self._project, made, self._odd, records, self._footing)

    def decide(self, step: PlannedStep, outputs: Outputs) -> Decision:
        """The decision on one step whose inputs all exist.

        Raises InputError when data from outside is missing or the step's code cannot be read.
        """
        key = self.key(step, outputs)
        if not step.caching.enabled:
            return Decision(step.id, "run", step.caching.why, key)
        if step.id in self._forced:
            return Decision(step.id, "run", "forced", key)
        result = self._store.results.get(key.digest)
        if result is None:
            return Decision(step.id, "run", self._why(step, key), key)
        if step.caching.ttl is not None and self._now - result.created > step.caching.ttl:
            return Decision(step.id, "run", "its result is older than the ttl", key)
        gone = [name for name, artifact in result.outputs.items() if not self._store.objects.has(artifact)]
        if gone:
            return Decision(step.id, "run", f"output '{gone[0]}' is no longer in the store", key)
        if key.digest == self._store.results.last_key(self._plan.pipeline, step.id):
            self._ground.hit(step.id)
        return Decision(step.id, "hit", "nothing changed", key, result)

    def key(self, step: PlannedStep, outputs: Outputs) -> StepKey:
        """The key of a step whose inputs all exist."""
        last = self._store.results.last(self._plan.pipeline, step.id)
        known = None if last is None else StepKey(last.key, last.parts)
        if known is not None and self._ground.holds(step):
            return known
        referred, named = self._pickled(step, outputs), self._named(step)
        code = self._code_of(step, referred)
        if referred or named or step.champion or self._has_code_of_its_own(step, code):
            self._odd.add(step.id)
        inputs = {}
        for port, sources in step.inputs.items():
            digests = [self._digest(source, outputs) for source in sources]
            inputs[port] = keys.inputs_digest(digests, port in step.listed)
        champion = self.champion(step, outputs)
        if champion is not None:
            inputs[CHAMPION] = f"{champion.codec}:{champion.digest}"
        return keys.step_key(step, code, inputs, named, known)

    def champion(self, step: PlannedStep, outputs: Outputs) -> Artifact | None:
        """The champion's artifact for a step that judges it beside its own model; None for the very same model."""
        if not step.champion:
            return None
        if step.champion not in self._champions:
            version = self._store.models.alias(step.champion, CHAMPION)
            self._champions[step.champion] = version.artifact if version is not None else None
        found = self._champions[step.champion]
        sources = [source for each in step.inputs.values() for source in each if source.step is not None]
        own = {outputs[source.step or ""][source.output].digest for source in sources}
        return None if found is None or found.digest in own else found

    def changed(self, step: PlannedStep, key: StepKey, but: Source | None = None) -> str:
        """What the step reads that is not what it was when the key was made, in words, or nothing.

        `but` is an input that is looked at elsewhere, item by item.
        """
        for sources in step.inputs.values():
            for source in sources:
                if source.step is None and source != but and self.sources.changed(source.output):
                    return f"input '{source.output}'"
        try:
            named = self._named(step)
        except InputError:
            return "a file that a parameter names"
        for part in key.parts:  # a file that the step itself has made is no input of it
            if part.startswith(FILE) and key.parts[part] != named.get(part.removeprefix(FILE)):
                return part
        if step.code_version is not None:
            return ""
        try:
            if self._project_now is None:
                self._project_now = self._project.again()
            now = self._code_parts(step, self._closure(step, self._project_now))
        except (InputError, OSError):
            return "its code"
        return next((part for part, digest in now.items() if key.parts.get(part) != digest), "")

    def look_anew(self) -> None:
        """Some steps have just ended: `changed` looks at code as it is from now on."""
        self._project_now = None

    def remember(self, step: PlannedStep, outputs: Outputs) -> None:
        """Keep what the inputs consisted of, so that a later difference can name files."""
        for port, sources in step.inputs.items():
            digests = [self._digest(source, outputs) for source in sources]
            if len(digests) != 1 or port in step.listed:
                listings.remember_sources(self._store.memo, keys.inputs_digest(digests, port in step.listed), digests)
            for source in sources:
                if source.step is None:
                    listings.remember(self._store.memo, self.sources.data(source.output))

    def _named(self, step: PlannedStep) -> dict[str, str]:
        """The digests of the files of the project that parameters name, such as `schema: trips.schema.yaml`.

        Raises InputError for one that cannot be read.
        """
        given = [value for name, value in step.params.items() if name not in step.no_key]
        found = {}
        for text in keys.texts([*given, *step.env.values()]):
            path = self._project.files.file(text)
            if path is None:
                continue
            try:
                found[path] = self._store.files.digest(os.path.join(self._project.root, path))
            except OSError as error:
                told = f"{path}, which a parameter of '{step.id}' names, cannot be read: {error.strerror}"
                raise InputError([Problem("unreadable-data", told, step.where)]) from error
        return found

    def _digest(self, source: Source, outputs: Outputs) -> str:
        if source.step is None:
            return self.sources.data(source.output).digest
        artifact = outputs[source.step][source.output]
        return f"{artifact.codec}:{artifact.digest}"

    def _why(self, step: PlannedStep, key: StepKey) -> str:
        earlier = self._store.results.latest(self._plan.pipeline, step.id, 1)
        return in_words(earlier[0].parts, key.parts) if earlier else "first run"

    def _code_of(self, step: PlannedStep, referred: Set[str]) -> keys.Code:
        """The code and the libraries of a step; steps that call the same function share the look.

        To what its function reaches comes what its inputs are made of, where they are stored as pickles, and what
        its parameters name, where it imports by a computed name.
        """
        closure = self._closure(step, self._project)
        if closure.computed:
            referred = {*referred, *(text for value in step.params.values() for text in keys.texts(value))}
        name = (step.kind, step.call, step.environment, *step.code, step.env.get("PYTHONPATH", ""), *sorted(referred))
        found = self._code.get(name)
        if found is None:
            for text in name[4 + len(step.code) :]:
                closure += self._project.named(text)
            self._code[name] = found = self._parts(step, closure)
            self.notes[step.call] = closure.notes
        return found

    def _has_code_of_its_own(self, step: PlannedStep, code: keys.Code) -> bool:
        """Whether the code of a step is not told by what it calls alone, or by the text of its command alone."""
        if step.kind == "command":
            return len(code.parts) > 1 or bool(code.libraries)
        return self._project.closure(step.call).computed

    @cached_property
    def _variants(self) -> dict[str, str]:
        """The digests of code and libraries for each variant of function steps; what cannot be read is left out."""
        found: dict[str, str] = {}
        for step in self._plan.steps:
            if step.kind == "function" and (name := footing.variant(step)) not in found:
                with suppress(InputError, OSError):
                    code = self._code_of(step, frozenset())
                    found[name] = f"{code.digest} {code.libraries_digest}"
        return found

    def _pickled(self, step: PlannedStep, outputs: Outputs) -> Set[str]:
        """The classes and functions that a step's inputs refer to by name."""
        todo = [
            artifact
            for sources in step.inputs.values()
            for source in sources
            if source.step is not None and (artifact := outputs[source.step][source.output]).codec in NAMING
        ]
        found: set[str] = set()
        while todo:
            artifact = todo.pop()
            try:
                if artifact.codec == "list":
                    todo += self._store.objects.items(artifact)
                elif artifact.codec == "pickle":
                    found.update(self._names(artifact))
            except (CodecError, OSError, ValueError):
                continue  # damaged: the step that reads it says so, and the one that made it runs again
        return found

    def _names(self, artifact: Artifact) -> list[str]:
        kept = self._store.memo.get("pickled", artifact.digest)
        if kept is not None:
            return msgpack.decode(kept, type=list[str])
        names = list(pickled.names(self._store.objects.read(artifact)))
        self._store.memo.put("pickled", artifact.digest, msgpack.encode(names))
        return names

    def _closure(self, step: PlannedStep, project: Project) -> Closure:
        try:
            if step.kind == "command":
                return project.command(step.call, step.env)
            return project.closure(step.call)
        except CodeError as error:
            raise InputError([Problem(error.code, error.text, error.where or step.where, error.hint)]) from None

    def _parts(self, step: PlannedStep, closure: Closure) -> keys.Code:
        parts = self._code_parts(step, closure)
        if step.environment == "off":
            return keys.Code(parts, {})
        return keys.Code(parts, self._project.environment(closure.imports, step.environment == "strict"))

    def _code_parts(self, step: PlannedStep, closure: Closure) -> dict[str, str]:
        files, root = self._store.files, self._project.root
        parts = dict(closure.parts)
        for pattern in step.code:
            parts[f"code {pattern}"] = files.glob_digest(root, pattern)
        for path in closure.opened:
            parts[f"code file {path}"] = files.digest(os.path.join(root, path))
        return parts


def imports_of(plan: Plan, project: Project) -> tuple[str, ...]:
    """The third-party modules that the steps' code imports: what a warm pool imports before it forks."""
    calls = {step.call for step in plan.steps if step.kind == "function"}
    return tuple(sorted({name for call in calls for name in project.closure(call).loaded}))
