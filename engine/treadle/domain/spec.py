"""What the user wrote: one pipeline file, read and checked, nothing filled in yet."""

from typing import Any

from msgspec import Struct

from treadle.domain.location import Location


class Param(Struct, frozen=True):
    """A parameter of the pipeline; `type` is one of int, float, str, bool, list, map, null."""

    name: str
    type: str
    default: Any
    where: Location
    min: float | None = None
    max: float | None = None
    choices: tuple[Any, ...] = ()
    help: str = ""


class DataSource(Struct, frozen=True):
    """Data from outside: a path, glob or folder, a URL, a window of logged predictions, or a champion's card.

    `target` is the path, the URL or the model's name; `window` is in seconds. `optional` predictions are an empty
    table while none are recorded.
    """

    name: str
    kind: str  # path | url | predictions | model
    target: str
    where: Location
    window: float | None = None
    optional: bool = False


class Reference(Struct, frozen=True):
    """One value named in `in:`: `data.NAME`, `STEP` or `STEP.OUTPUT`."""

    kind: str  # data | step
    name: str
    where: Location
    output: str | None = None

    def __str__(self) -> str:
        head = f"data.{self.name}" if self.kind == "data" else self.name
        return f"{head}.{self.output}" if self.output else head


class Output(Struct, frozen=True):
    """A declared output: `path` for a command's file or folder, `codec` to force how it is stored."""

    name: str
    path: str | None = None
    codec: str | None = None


class Retry(Struct, frozen=True):
    """How often a failed attempt is repeated; `backoff` in seconds, doubled each time.

    `when` holds `timeout`, `crash`, `error` or exit codes; empty means all of them.
    """

    times: int = 0
    backoff: float = 1.0
    when: tuple[str | int, ...] = ()


class Resources(Struct, frozen=True):
    """What a step needs while it runs: cores, bytes, devices and named tokens."""

    cpu: float = 1.0
    memory: int | None = None
    gpu: int = 0
    tokens: dict[str, float] = {}


class Select(Struct, frozen=True):
    """Which cell of a matrix goes on: the one with the least or greatest metric."""

    metric: str
    largest: bool


class Text(Struct, frozen=True):
    """A piece of text with its place: an expression, a gate, a template."""

    text: str
    where: Location


class Caching(Struct, frozen=True):
    """Whether and how long a result may be used again; `ttl` in seconds, `why` says why it may not."""

    enabled: bool = True
    ttl: float | None = None
    why: str = "cache: false"


class StepSpec(Struct, frozen=True, kw_only=True):
    """One step as written. Exactly one of `uses` and `command` is set.

    `params` still holds `${...}`.
    """

    id: str
    where: Location
    uses: Text | None = None
    command: Text | None = None
    inputs: dict[str, tuple[Reference, ...]] = {}
    listed: frozenset[str] = frozenset()  # inputs written as a list, delivered as a list
    params: dict[str, Any] = {}
    outputs: tuple[Output, ...] | None = None
    after: tuple[Reference, ...] = ()
    condition: Text | None = None
    gates: tuple[Text, ...] = ()
    matrix: dict[str, tuple[Any, ...]] = {}
    select: Select | None = None
    foreach: Reference | None = None
    save: dict[str, str] = {}
    env: dict[str, str] = {}
    secrets: tuple[str, ...] = ()
    caching: Caching = Caching()
    no_key: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    code_version: str | None = None
    environment: str | None = None  # strict | imports | off
    isolation: str | None = None  # pool | fresh | inline
    executor: str | None = None
    stage: str | None = None
    mutex: str | None = None
    priority: int = 0
    retry: Retry | None = None
    timeout: float | None = None
    resources: Resources | None = None


class Trigger(Struct, frozen=True):
    """A rule that starts a run; `kind` is its main key, `options` the rest, checked but not yet resolved.

    Each cause under `any` is a trigger, called `NAME.KIND`, of the group NAME; `place` leads to it in the file.
    """

    name: str
    kind: str  # drift | performance | cron | files | webhook | pipeline
    subject: str
    where: Location
    options: dict[str, Any] = {}
    place: tuple[str | int, ...] = ()
    group: str = ""


class PipelineSpec(Struct, frozen=True, kw_only=True):
    """A whole pipeline file; `path` is relative to the project's root."""

    name: str
    path: str
    where: Location
    description: str = ""
    params: dict[str, Param] = {}
    data: dict[str, DataSource] = {}
    steps: dict[str, StepSpec] = {}
    triggers: dict[str, Trigger] = {}
