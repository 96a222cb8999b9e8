"""What will run: steps bound to code, references resolved, parameters filled in."""

from typing import Any

from msgspec import Struct

from treadle.domain.location import Location
from treadle.domain.spec import Caching, DataSource, Output, Resources, Retry, Select, Text


class Source(Struct, frozen=True):
    """Where an input comes from: an output of a step, or a data entry (`step` is None)."""

    step: str | None
    output: str  # output name, or the data entry's name


class PlannedStep(Struct, frozen=True, kw_only=True):
    """One node of the DAG, plain data.

    `kind` is `function` (`call` is `module:qualname`), `command` (`call` is the shell template)
    or `gather` (a matrix: picks or lists what its cells made, runs nowhere).
    """

    id: str
    kind: str
    call: str
    where: Location
    library: str = ""  # the library name (`train.estimator`) when `uses` named one
    params: dict[str, Any] = {}
    inputs: dict[str, tuple[Source, ...]] = {}
    listed: frozenset[str] = frozenset()
    forms: dict[str, str] = {}  # the type that an input asks for, where its codec has a choice
    outputs: tuple[Output, ...] = ()
    context: bool = False  # the function has an argument `ctx`
    declared: bool = False  # the outputs were named by the user, so a tuple or dict is taken apart
    needs: tuple[str, ...] = ()
    condition: Text | None = None
    gates: tuple[Text, ...] = ()
    cell: dict[str, Any] = {}
    select: Select | None = None
    foreach: Source | None = None
    each: tuple[str, ...] = ()  # the inputs that receive the element
    save: dict[str, str] = {}
    env: dict[str, str] = {}
    secrets: tuple[str, ...] = ()
    caching: Caching = Caching()
    no_key: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    code_version: str | None = None
    environment: str = "imports"
    isolation: str = "fresh"
    executor: str | None = None
    stage: str = ""
    mutex: str | None = None
    priority: int = 0
    retry: Retry = Retry()
    timeout: float | None = None
    resources: Resources = Resources()
    champion: str = ""  # the model whose champion the step also judges, on the same data


class Plan(Struct, frozen=True, kw_only=True):
    """A pipeline ready to run; `steps` are in an order in which every step follows its needs."""

    pipeline: str
    path: str
    digest: str
    params: dict[str, Any] = {}
    data: dict[str, DataSource] = {}
    steps: tuple[PlannedStep, ...] = ()
