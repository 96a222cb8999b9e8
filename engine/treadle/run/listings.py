"""What inputs were made of, kept so that a later difference can name files: digest → names and contents."""

from collections.abc import Mapping
from typing import TypeVar

from msgspec import DecodeError, msgpack

from treadle.domain.plan import PlannedStep
from treadle.run.changes import FileChange
from treadle.store import Data
from treadle.store.memo import Memo

T = TypeVar("T")
LISTING, SOURCES = "listing", "sources"


def remember(memo: Memo, data: Data) -> None:
    """Keep which files with which content a data entry consisted of."""
    if data.contents:  # a URL and a window of predictions are one thing with one digest
        memo.put(LISTING, data.digest, msgpack.encode(dict(zip(data.names, data.contents, strict=True))))


def remember_sources(memo: Memo, digest: str, sources: list[str]) -> None:
    """Keep which digests an input with several sources consisted of."""
    memo.put(SOURCES, digest, msgpack.encode(sources))


def sources(memo: Memo, step: PlannedStep, port: str, digest: str) -> list[str] | None:
    """The digest of each source of an input, or None when they are not kept any more."""
    if len(step.inputs[port]) == 1 and port not in step.listed:
        return [digest]
    kept = memo.get(SOURCES, digest)
    return None if kept is None else _decoded(kept, list[str])


def files(memo: Memo, before: str, now: Data) -> tuple[FileChange, ...] | None:
    """The files of a data entry that differ from an earlier digest of it, or None when it is not kept any more."""
    kept = memo.get(LISTING, before)
    old = None if kept is None else _decoded(kept, dict[str, str])
    if old is None:
        return None
    return compare(old, dict(zip(now.names, now.contents, strict=True)))


def compare(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[FileChange, ...]:
    """The files that were added, removed or changed, by name."""
    found = []
    for name in sorted(set(old) | set(new)):
        if name not in old:
            found.append(FileChange(name, "added"))
        elif name not in new:
            found.append(FileChange(name, "removed"))
        elif old[name] != new[name]:
            found.append(FileChange(name, "changed"))
    return tuple(found)


def _decoded(data: bytes, kind: type[T]) -> T | None:
    try:
        return msgpack.decode(data, type=kind)
    except DecodeError:
        return None
