"""What a function offers, as read from its source text."""

from typing import Any

from msgspec import Struct

from treadle.domain.location import Location

MAIN = "__main__"  # the module of what the program that runs the pipeline defines itself
CONTEXT = "ctx"  # the argument that is neither input nor parameter: what a step tells while it runs


class Argument(Struct, frozen=True):
    """One argument of a function; `annotation` is source text, `default` source text too.

    `form` is the full name of the first imported type in its annotation, such as `pathlib.Path`; it may be empty.
    """

    name: str
    annotation: str | None = None
    default: str | None = None
    keyword_only: bool = False
    positional_only: bool = False
    literal: Any = None  # the default's value where it is a literal
    form: str = ""

    @property
    def required(self) -> bool:
        return self.default is None


class Signature(Struct, frozen=True):
    """A function as its source text shows it; `context` says that it has an argument `ctx`, which is not listed.

    `outputs` are the fields of the NamedTuple that the return annotation names, or empty;
    `metrics` are the metric names known from a TypedDict or a returned dict literal, None if unknown.
    """

    module: str
    name: str
    where: Location
    arguments: tuple[Argument, ...] = ()
    accepts_any: bool = False  # has **kwargs
    outputs: tuple[str, ...] = ()
    metrics: tuple[str, ...] | None = None
    doc: str = ""
    is_class: bool = False
    context: bool = False
