"""Hit or run: one decision per step, made when its inputs exist, with the reason.

`plan` and `run` both decide here, so what one promises the other does.
"""

import os
from collections.abc import Mapping, Set

from msgspec import Struct

from treadle.code import CodeError, Project
from treadle.digest import of_bytes
from treadle.domain.artifact import Artifact, StepKey
from treadle.domain.model import CHAMPION
from treadle.domain.plan import Plan, PlannedStep, Source
from treadle.domain.spec import DataSource
from treadle.errors import InputError, Problem
from treadle.run import keys
from treadle.run.changes import in_words
from treadle.store import Data, Result, Store
from treadle.store.cards import card_bytes, put_card
from treadle.store.predictions import Window, empty_window, find_window, model_folder

Outputs = Mapping[str, Mapping[str, Artifact]]  # step → output → artifact


class Decision(Struct, frozen=True):
    """What becomes of a step: `hit` with the result to use, or `run`, with the reason in words."""

    step: str
    fate: str
    reason: str
    key: StepKey
    result: Result | None = None


class Decider:
    """Decides steps of one plan against one store; `forced` steps run whatever the cache says."""

    def __init__(self, plan: Plan, store: Store, project: Project, forced: Set[str], now: float) -> None:
        self._plan = plan
        self._store = store
        self._project = project
        self._forced = forced
        self._now = now
        self._data: dict[str, Data] = {}
        self._windows: dict[str, Window] = {}
        self._cards: dict[str, bytes] = {}
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
            source = self._plan.data[name]
            if source.kind == "predictions":
                self._data[name] = self._window(name, source)
            elif source.kind == "model":
                self._data[name] = self._card(name, source)
            else:
                self._data[name] = self._store.files.data(self._project.root, source)
        return self._data[name]

    def files(self, name: str) -> Data:
        """As `data`, with the files in place: windows and cards are written only when a step is to read them."""
        data = self.data(name)
        if name in self._windows and not os.path.exists(data.paths[0]):
            from treadle.store.predictions.parquet import write_window  # lazy: only pipelines that read predictions

            write_window(self._windows[name], data.paths[0], os.path.join(self._store.folder, "tmp"))
        if name in self._cards:
            put_card(data.paths[0], self._cards[name])
        return data

    def changed(self, name: str) -> bool:
        """Whether the files of a data entry are not what they were; a window is a copy, so it never changes."""
        copied = name in self._windows or name in self._cards
        return not copied and self._store.files.changed(self.data(name))

    def _window(self, name: str, source: DataSource) -> Data:
        folder = model_folder(self._store.folder, source.target)
        window = find_window(folder, source.window)
        if window is None and source.optional:
            window = empty_window(folder)
        if window is None:
            text = f"data '{name}' reads the predictions of '{source.target}', but none are recorded here"
            hint = "predictions are recorded while a model serves; until then run the steps that do not need them"
            raise InputError([Problem("no-predictions", text, source.where, hint)])
        self._windows[name] = window
        return self._made(window.digest, os.path.join(folder, "windows", f"{window.digest}.parquet"))

    def _card(self, name: str, source: DataSource) -> Data:
        """What the champion was accepted on: its profile, history, importance and metrics."""
        version = self._store.models.alias(source.target, CHAMPION)
        if version is None:
            text = f"data '{name}' reads the card of '{source.target}', but no version of it is champion"
            hint = "a step `uses: deploy.model` registers the first; until then run the steps that do not need it"
            raise InputError([Problem("no-champion", text, source.where, hint)])
        self._cards[name] = card_bytes(version)
        digest = of_bytes(self._cards[name])
        return self._made(digest, os.path.join(self._store.folder, "cards", f"{digest}.json"))

    def _made(self, digest: str, path: str) -> Data:
        """A file that the store itself makes of what it knows."""
        return Data(
            digest=digest,
            shape="file",
            paths=(path,),
            root=self._project.root,
            target=path,
            names=(os.path.basename(path),),
            signatures=(),
            settled=True,
        )

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
            self._code[name] = self._read_code(step)
        return self._code[name]

    def _read_code(self, step: PlannedStep) -> tuple[dict[str, str], dict[str, str]]:
        try:
            if step.kind == "command":
                closure = self._project.command(step.call)
            else:
                closure = self._project.closure(step.call)
        except CodeError as error:
            raise InputError([Problem(error.code, error.text, error.where or step.where, error.hint)]) from None
        parts = dict(closure.parts)
        for pattern in step.code:
            parts[f"code {pattern}"] = self._store.files.glob_digest(self._project.root, pattern)
        for path in closure.opened:
            parts[f"code file {path}"] = self._store.files.digest(os.path.join(self._project.root, path))
        self.notes[step.call] = closure.notes
        libraries = {} if step.environment == "off" else self._project.environment(closure.imports)
        return parts, libraries


def imports_of(plan: Plan, project: Project) -> tuple[str, ...]:
    """The third-party modules that the steps' code imports: what a warm pool imports before it forks."""
    calls = {step.call for step in plan.steps if step.kind == "function"}
    return tuple(sorted({name for call in calls for name in project.closure(call).imports}))
