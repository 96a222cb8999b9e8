"""How far a long piece of work is, beside the steps of a run: checking, hashing, verifying, deleting, fetching."""

from collections.abc import Callable

from msgspec import Struct


class Advance(Struct, frozen=True):
    """`done` of `total` (0 when nobody knows) in `unit`: files, objects or bytes; `what` says what is being done."""

    what: str
    done: int
    total: int
    unit: str = "files"


Tell = Callable[[Advance], None]


def silent(advance: Advance) -> None:
    """Tell nobody."""
