"""The registry's nouns: immutable versions of a model, and the names that move between them."""

from typing import Any

from msgspec import Struct

from treadle.domain.artifact import Artifact

DTYPES = ("boolean", "integer", "long", "float", "double", "string", "datetime")  # MLflow's words for column types


class Field(Struct, frozen=True):
    """One column that a model reads or returns; `choices` are the categories that it was trained on, if it has any."""

    name: str
    dtype: str
    required: bool = True
    choices: tuple[str, ...] | None = None


class Signature(Struct, frozen=True):
    """What a model reads and returns, column by column, in order."""

    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()


class ModelVersion(Struct, frozen=True, kw_only=True):
    """An immutable entry of the registry, with the lineage that made it; times are seconds since the epoch.

    `card` is what the deploying step wrote: estimator, target, requirements, reference profile, importance, rollout.
    `compiled` says which predictor serves and why: empty until it was tried at registration.
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
    pipeline: str = ""
    step: str = ""
    run_id: str = ""
    key: str = ""  # of the step that deployed it: code, parameters and data, part by part
    git: str = ""


class AliasEvent(Struct, frozen=True, kw_only=True):
    """One move of an alias: append only, written in the transaction that moved it; None where there was no version."""

    name: str
    alias: str
    old: int | None
    new: int | None
    at: float
    actor: str
    reason: str
