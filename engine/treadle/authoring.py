"""What the author of steps and codecs imports; a step itself needs nothing from here."""

from pathlib import Path
from typing import Any, Protocol

from treadle.errors import StepError, TreadleError

__all__ = ["Codec", "StepError", "TreadleError"]


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
