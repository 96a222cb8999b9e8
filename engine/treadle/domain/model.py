"""The registry's nouns: immutable versions of a model, and the names that move between them."""

from collections.abc import Container, Iterable
from typing import Any

from msgspec import Struct

from treadle.domain.artifact import Artifact

DTYPES = ("boolean", "integer", "long", "float", "double", "string", "datetime")  # MLflow's words for column types

CHAMPION, CHALLENGER = "champion", "challenger"
SET, ROLLBACK = "set", "rollback"


class Field(Struct, frozen=True):
    """One column that a model reads or returns; `choices` are the categories that it was trained on, if it has any."""

    name: str
    dtype: str
    required: bool = True
    choices: tuple[str, ...] | None = None


class Signature(Struct, frozen=True):
    """What a model reads and returns, column by column, in order; `probabilities` are the classes that have one."""

    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()
    probabilities: tuple[str, ...] = ()


class ModelVersion(Struct, frozen=True, kw_only=True):
    """An immutable entry of the registry, with the lineage that made it; times are seconds since the epoch.

    `card` is what the deploying step wrote: estimator, target, requirements, reference profile, importance, rollout.
    `compiled` says which predictor serves and why, as tried when the card was written; empty when it was not tried.
    `lineage` has for each step that led here the manifest of its key (code, parameters, inputs and libraries by name),
    `data` the content digest of each data entry that was read. A version of 0 is not registered yet.
    """

    name: str
    version: int
    artifact: Artifact
    format: str
    created: float
    signature: Signature = Signature()
    example: tuple[dict[str, Any], ...] = ()  # rows the model must answer before it is ready
    metrics: dict[str, float] = {}
    card: dict[str, Any] = {}
    compiled: str = ""
    form: Artifact | None = None  # the compiled form as data
    pipeline: str = ""
    step: str = ""
    run_id: str = ""
    key: str = ""  # of the step that deployed it: code, parameters and data, part by part
    git: str = ""
    lineage: dict[str, dict[str, str]] = {}
    data: dict[str, str] = {}


class Quarantine(Struct, frozen=True, kw_only=True):
    """A version that must not be promoted until a moment (seconds since the epoch), and why."""

    name: str
    version: int
    until: float
    at: float
    actor: str
    reason: str


class AliasEvent(Struct, frozen=True, kw_only=True):
    """One move of an alias: append only, written in the transaction that moved it; None where there was no version.

    `kind` is set or rollback: a rollback goes back on the way that the alias came.
    """

    name: str
    alias: str
    old: int | None
    new: int | None
    at: float
    actor: str
    reason: str
    kind: str = SET


def earlier(events: Iterable[AliasEvent], barred: Container[int] = ()) -> int | None:
    """The version that an alias had before its present one, or None; `events` are those of one alias, oldest first.

    A rollback goes back on the way that the alias came, so a second one goes on to the version before that, not
    forth again. Versions in `barred` are passed over.
    """
    way: list[int] = []
    for event in events:
        if event.new is None:
            way.clear()
        elif event.kind == ROLLBACK and event.new in way:
            del way[len(way) - way[::-1].index(event.new) :]
        elif way[-1:] != [event.new]:
            way.append(event.new)
    return next((version for version in way[-2::-1] if version not in barred and version != way[-1]), None)
