"""What the author of steps and codecs imports; a step itself needs nothing from here."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from treadle.errors import CodecError, Mistake, StepError, TreadleError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "Checked",
    "Codec",
    "CodecError",
    "Describer",
    "Formed",
    "Mistake",
    "ModelCard",
    "ModelFormat",
    "StepContext",
    "StepError",
    "Takes",
    "TreadleError",
    "read_table_schema",
    "rollout_mistakes",
    "secret",
]

PATH = "pathlib.Path"  # the form in which every artifact can be had: its stored file or folder
Answer = Callable[[Mapping[str, Any]], Any]


class ModelCard(dict[str, Any]):
    """What a step returns to register a model: the engine registers the artifact of the step's input called `model`.

    `name` is a must; `signature` {inputs, outputs, probabilities}, `example` (rows), `metrics`, `compiled` and `form`
    (base64 of a compiled form) become fields of the version, everything else is kept with it as written. Read back it
    is a plain dict.
    """

    def __init__(self, name: str, **facts: Any) -> None:
        super().__init__(name=name, **facts)


class StepContext(Protocol):
    """What a step function with an argument `ctx` gets: how it tells what happens while it runs.

    No step needs it, and what is told changes no key. The methods raise StepError for what cannot be shown.
    """

    def metric(self, name: str, value: Any, step: Any = None) -> None:
        """One value of a metric at a step of the work, such as an epoch; without `step` they are counted from 0.

        The last value is a metric of the step, unless the step returns one of that name.
        """

    def progress(self, done: Any, total: Any = 0) -> None:
        """How far the step is: `done` of `total`, 0 when the total is not known."""

    def log(self, text: Any) -> None:
        """A line for the step's log; the first hundred are kept with the step's record too."""

    def table(self, name: str, rows: Any) -> None:
        """A table for the report: a data frame, an Arrow table, a list of mappings, or columns by name."""

    def plot(self, name: str, points: Any) -> None:
        """A picture for the report: [x, y] pairs, or such lists by name."""


class Codec(Protocol):
    """How one kind of value is stored: the same value always gives the same bytes.

    `suffix` ends the file's name ("" for none); `folder` says that `write` makes a folder.
    """

    name: str
    suffix: str
    folder: bool

    def accepts(self, value: Any) -> bool:
        """Say whether this codec stores `value`; cheap, imports nothing heavy."""

    def write(self, value: Any, path: "Path") -> None:
        """Store `value` at `path`; raises CodecError when it cannot."""

    def read(self, path: "Path") -> Any:
        """Return the value stored at `path`; raises CodecError when it cannot be read."""


class Describer(Protocol):
    """What a codec may offer besides: the figures of a stored value, for `treadle data`.

    `described` are the endings of files from outside that it knows too.
    """

    described: tuple[str, ...]

    def describe(self, path: "Path") -> dict[str, Any]:
        """`rows` and `columns` (name, dtype, missing, distinct, …), or other plain figures; raises TreadleError."""

    def difference(self, before: "Path", after: "Path") -> dict[str, Any]:
        """`rows`, `added`, `removed`, `retyped` and `moved` (name, psi, missing, mean); raises TreadleError."""


class Formed(Protocol):
    """What a codec may offer besides: its values as other types, to arguments that are annotated with them.

    `forms` are the full names of these types, such as `polars.DataFrame`.
    """

    forms: tuple[str, ...]

    def read_as(self, path: "Path", form: str) -> Any:
        """The value stored at `path` as one of the `forms`; raises CodecError when that cannot be."""


class Takes(NamedTuple):
    """Marks a parameter that names a class or function: `estimator: Annotated[str, Takes("params", "space")]`.

    `parameter` is the one with its arguments, `tried` one with values to try for them. `check` reads the signature of
    what is named, where its package is installed, and refuses a wrong name or argument; nothing is imported for that.
    """

    parameter: str
    tried: str = ""


class Checked(NamedTuple):
    """Marks a parameter whose value its library judges: `rollout: Annotated[dict, Checked("package.module:function")]`.

    `check` calls the function with the value and tells each `Mistake` that it returns where the file has it. The module
    is imported for that, so it imports nothing heavy. Only steps of the library are asked, never the project's code.
    """

    function: str


def secret(name: str) -> str:
    """The value of a secret that the step declares under `secrets:`; raises StepError when it is not set.

    It is the environment variable of that name. Do not put it into a result, a message or a log.
    """
    value = os.environ.get(name)
    if value is None:
        raise StepError(f"the secret {name} is not set", f"secrets: [{name}], and set it in the environment")
    return value


class ModelFormat(Codec, Protocol):
    """A codec of models: it also reads a file of uncertain origin, and makes what a server asks.

    It may have `alone`, the name of a module that needs nothing of treadle: its `load(bytes)` reads the model and its
    `asker(model)` returns what predicts a data frame. MLflow models carry its source along.
    """

    def read_model(self, data: bytes, trusted: Collection[str]) -> Any:
        """The model in a file whose digest was proved, with no type but those known as harmless and `trusted`.

        Raises CodecError, naming the types that are neither, before any of them is made.
        """

    def prepare(self, compiled: bool) -> None:
        """Import what it takes to answer, with a compiled form or without; nothing of a model is at hand yet."""

    def predictor(
        self, read: Callable[[], Any], card: Mapping[str, Any], example: Sequence[Mapping[str, Any]], form: bytes
    ) -> Answer:
        """What answers for a model: a function of columns (name → 1-D array of equal length) that returns an array.

        `read` makes the model, and may be called later. The fields are those of the card's signature, `example` are
        rows in it, `form` is what the card gave, empty for nothing. An answer may also have `probabilities`, a function
        of the same columns that returns (rows, classes), and `complete()`, which does what can wait until it has
        answered once; with a form, `original` answers by the model itself, and a server puts another in its place.
        Raises CodecError for a form that is none.
        """


def read_table_schema(path: str) -> dict[str, Any]:
    """The table schema in a YAML file, checked; raises StepError with every problem and its place."""
    from treadle.document import grammar  # lazy: only a step that validates tables reads one
    from treadle.document.parse import parse, plain  # lazy: only a step that validates tables reads one
    from treadle.document.table import TABLE  # lazy: only a step that validates tables reads one

    try:
        with open(path, "rb") as file:
            node, problems = parse(file.read(), path)
    except OSError as error:
        raise StepError(f"the table schema {path} cannot be read: {error.strerror}") from None
    if node is not None:
        problems = [*problems, *grammar.check(node, TABLE, path)]
    if node is None or problems:
        lines = [f"{p.where}: {p.text}{f' ({p.hint})' if p.hint else ''}" for p in problems]
        raise StepError("the table schema is wrong:\n" + "\n".join(lines))
    found: dict[str, Any] = plain(node)
    return found


def rollout_mistakes(block: Any) -> list[Mistake]:
    """Everything that is wrong with a `rollout:` block, each with its place in it; [] when nothing is."""
    from treadle.document.rollout import mistakes  # lazy: only a step that deploys reads one

    return mistakes(block)
