"""Where something stands in a file the user wrote."""

from msgspec import Struct


class Location(Struct, frozen=True, order=True):
    """A place in a source file; line and column count from 1."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"
