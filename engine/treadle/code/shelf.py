"""Answers that hold as long as the files and folders they were made from are what they were."""

from collections.abc import Iterable
from typing import TypeVar

from msgspec import DecodeError, Raw, Struct, msgpack

from treadle.code.files import FORMAT, Files

T = TypeVar("T")


class _Kept(Struct, frozen=True, array_like=True):
    watched: tuple[str, ...]
    state: str
    answer: Raw


def kept(files: Files, kind: str, key: str, shape: type[T]) -> tuple[T, tuple[str, ...]] | None:
    """The answer kept under a key with the paths it was made from; None when one of them changed.

    It costs one look-up, and one stat for each path that no other answer of this command has looked at.
    """
    found = files.memo.get(f"{kind}-{FORMAT}", key)
    if found is None:
        return None
    try:
        record = msgpack.decode(found, type=_Kept)
        if files.state(record.watched) != record.state:
            return None
        return msgpack.decode(record.answer, type=shape), record.watched
    except DecodeError:
        return None


def keep(files: Files, kind: str, key: str, answer: object, watched: Iterable[str]) -> tuple[str, ...]:
    """Keep an answer, unless a path was changed so lately that a further change might go unseen; the paths."""
    paths = tuple(sorted(set(watched)))
    state = files.state(paths)
    if state is not None:
        record = _Kept(paths, state, Raw(msgpack.encode(answer)))
        files.memo.put(f"{kind}-{FORMAT}", key, msgpack.encode(record))
    return paths
