"""What the author of steps and codecs imports; a step itself needs nothing from here."""

from pathlib import Path
from typing import Any, Protocol

from treadle.errors import CodecError, StepError, TreadleError

__all__ = ["Codec", "CodecError", "StepError", "TreadleError", "read_table_schema", "rollout_problems"]


class Codec(Protocol):
    """How one kind of value is stored: the same value always gives the same bytes.

    `suffix` ends the file's name ("" for none); `folder` says that `write` makes a folder.
    """

    name: str
    suffix: str
    folder: bool

    def accepts(self, value: Any) -> bool:
        """Say whether this codec stores `value`; cheap, imports nothing heavy."""

    def write(self, value: Any, path: Path) -> None:
        """Store `value` at `path`; raises CodecError when it cannot."""

    def read(self, path: Path) -> Any:
        """Return the value stored at `path`; raises CodecError when it cannot be read."""


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


def rollout_problems(block: dict[str, Any]) -> list[str]:
    """Everything that is wrong with a `rollout:` block, each in a sentence; [] when nothing is."""
    from treadle.document.rollout import problems  # lazy: only a step that deploys reads one

    return problems(block)
