"""Hit or run: one decision per step, made when its inputs exist, with the reason.

`plan` and `run` both decide here, so what one promises the other does.
"""

import os
from collections.abc import Mapping, Set

from msgspec import Struct

from treadle.code import CodeError, Project
from treadle.domain.artifact import Artifact, StepKey
from treadle.domain.plan import Plan, PlannedStep, Source
from treadle.errors import InputError, Problem
from treadle.run import keys, listings
from treadle.run.changes import in_words
from treadle.store import Data, Result, Store
from treadle.store.data import absent_data

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
        self._absent = absent or {}
        self._data: dict[str, Data] = {}
        self._code: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        self.notes: dict[str, tuple[str, ...]] = {}

    def decide(self, step: PlannedStep, outputs: Outputs) -> Decision:
        """The decision on one step whose inputs all exist.

        Raises InputError when data from outside is missing or the step's code cannot be read.
        """
        key = self.key(step, outputs)
        if not step.caching.enabled:
            return Decision(step.id, "run", "cache: false", key)
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
        return Decision(step.id, "hit", "nothing changed", key, result)

    def key(self, step: PlannedStep, outputs: Outputs) -> StepKey:
        """The key of a step whose inputs all exist."""
        code, libraries = self._code_of(step)
        inputs = {}
        for port, sources in step.inputs.items():
            digests = [self._digest(source, outputs) for source in sources]
            inputs[port] = keys.inputs_digest(digests, port in step.listed)
        return keys.step_key(step, code, libraries, inputs)

    def data(self, name: str) -> Data:
        """The identity and the paths of a data entry, looked at once per run."""
        if name not in self._data:
            try:
                self._data[name] = self._look(name)
            except InputError:
                if name not in self._absent:
                    raise
                self._data[name] = absent_data(self._absent[name])
        return self._data[name]

    def _look(self, name: str) -> Data:
        source = self._plan.data[name]
        if source.kind == "predictions":
            text = f"data '{name}' reads the predictions of '{source.target}', but none are recorded here"
            hint = "predictions are recorded while a model serves; until then run the steps that do not need them"
            raise InputError([Problem("no-predictions", text, source.where, hint)])
        return self._store.files.data(self._project.root, source)

    def changed(self, step: PlannedStep, key: StepKey) -> str:
        """What the step reads that is not what it was when the key was made, in words, or nothing."""
        for sources in step.inputs.values():
            for source in sources:
                if source.step is None and self._store.files.changed(self.data(source.output)):
                    return f"input '{source.output}'"
        if step.code_version is not None:
            return ""
        try:
            now, _ = self._read_code(step, self._project.again())
        except (InputError, OSError):
            return "its code"
        return next((part for part, digest in now.items() if key.parts.get(part) != digest), "")

    def remember(self, step: PlannedStep, outputs: Outputs) -> None:
        """Keep what the inputs consisted of, so that a later difference can name files."""
        for port, sources in step.inputs.items():
            digests = [self._digest(source, outputs) for source in sources]
            if len(digests) != 1 or port in step.listed:
                listings.remember_sources(self._store.memo, keys.inputs_digest(digests, port in step.listed), digests)
            for source in sources:
                if source.step is None:
                    listings.remember(self._store.memo, self.data(source.output))

    def _digest(self, source: Source, outputs: Outputs) -> str:
        if source.step is None:
            return self.data(source.output).digest
        artifact = outputs[source.step][source.output]
        return f"{artifact.codec}:{artifact.digest}"

    def _why(self, step: PlannedStep, key: StepKey) -> str:
        earlier = self._store.results.latest(self._plan.pipeline, step.id, 1)
        return in_words(earlier[0].parts, key.parts) if earlier else "first run"

    def _code_of(self, step: PlannedStep) -> tuple[dict[str, str], dict[str, str]]:
        """The code parts and the libraries of a step; steps that call the same function share the look."""
        name = "\0".join((step.kind, step.call, step.environment, *step.code))
        if name not in self._code:
            self._code[name] = self._read_code(step, self._project)
        return self._code[name]

    def _read_code(self, step: PlannedStep, project: Project) -> tuple[dict[str, str], dict[str, str]]:
        try:
            if step.kind == "command":
                closure = project.command(step.call)
            else:
                closure = project.closure(step.call)
        except CodeError as error:
            raise InputError([Problem(error.code, error.text, error.where or step.where, error.hint)]) from None
        parts = dict(closure.parts)
        for pattern in step.code:
            parts[f"code {pattern}"] = self._store.files.glob_digest(self._project.root, pattern)
        for path in closure.opened:
            parts[f"code file {path}"] = self._store.files.digest(os.path.join(self._project.root, path))
        self.notes[step.call] = closure.notes
        libraries = {} if step.environment == "off" else project.environment(closure.imports)
        return parts, libraries


def imports_of(plan: Plan, project: Project) -> tuple[str, ...]:
    """The third-party modules that the steps' code imports: what a warm pool imports before it forks."""
    calls = {step.call for step in plan.steps if step.kind == "function"}
    return tuple(sorted({name for call in calls for name in project.closure(call).imports}))
