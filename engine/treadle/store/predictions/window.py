"""A window of the prediction log: which segments and Parquet files it takes, and the digest of its content.

The window ends with the newest record, not with the clock: the same log gives the same window and the same digest, so
what depends on it is a hit until something new is recorded. Compaction changes files, not content: a Parquet file
carries the names and digests of the segments that it was made from, and only those are digested.
"""

import os
import time
from collections.abc import Iterator

from msgspec import DecodeError, Struct, json

from treadle.digest import of_bytes, of_value
from treadle.store.predictions.segments import OUTCOMES, PREDICTIONS, Frame, hour_name, newest, read_frames

MARGIN = 3600.0  # a record may lie in the segment of the hour before it was made


class Source(Struct, frozen=True):
    """A file of the log: its segments' names and content digests, and the time of its newest record."""

    path: str
    kind: str
    hour: str
    segments: dict[str, str]
    newest: float


class Window(Struct, frozen=True, kw_only=True):
    """The files that make a window, its bounds in seconds since the epoch, and its content digest."""

    folder: str
    sources: tuple[Source, ...]
    start: float
    end: float
    digest: str


def find_window(folder: str, seconds: float | None) -> Window | None:
    """The last `seconds` of a model's log (None: all of it), or None when nothing was recorded."""
    found = list(sources(folder))
    predictions = [source for source in found if source.kind == PREDICTIONS and source.newest > 0]
    if not predictions:
        return None
    end = max(source.newest for source in predictions)
    start = end - seconds if seconds is not None else 0.0
    first = hour_name(int(max(start - MARGIN, 0) // 3600))
    taken = tuple(source for source in found if source.hour >= first and source.newest > 0)
    contents = sorted((name, digest) for source in taken for name, digest in source.segments.items())
    digest = of_value(["predictions", seconds, [digest for _, digest in contents]])
    return Window(folder=folder, sources=taken, start=start, end=end, digest=digest)


def empty_window(folder: str) -> Window:
    """A window of a log in which nothing is recorded yet."""
    return Window(folder=folder, sources=(), start=0.0, end=0.0, digest=of_value(["predictions", "none"]))


def sources(folder: str) -> Iterator[Source]:
    """Every file of a model's log, oldest first; segments that a Parquet file already holds are left out."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    held: set[str] = set()
    for name in names:
        if name.endswith(".parquet.json"):
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    one = json.decode(file.read(), type=Source)
            except (OSError, DecodeError):
                continue
            held |= one.segments.keys()
            yield Source(os.path.join(folder, name.removesuffix(".json")), one.kind, one.hour, one.segments, one.newest)
    for name in names:
        if name.endswith(".log") and name not in held:
            kind, hour = split_name(name)
            if kind:
                data = _read(os.path.join(folder, name))
                last, end = newest(data)
                yield Source(os.path.join(folder, name), kind, hour, {name: of_bytes(data[:end])}, last)


def load(path: str) -> tuple[list[Frame], bytes]:
    """The whole frames of a segment and their bytes; nothing of one that was compacted meanwhile."""
    data = _read(path)
    frames, end = [], 0
    for frame, end in read_frames(data):  # noqa: B007
        frames.append(frame)
    return frames, data[:end]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def split_name(name: str) -> tuple[str, str]:
    """`predictions-2026-11-25T22-0123abcd.log` as its kind and its hour; two empty words for another name."""
    kind, _, rest = name.partition("-")
    hour = rest[:13]
    try:
        time.strptime(hour, "%Y-%m-%dT%H")
    except ValueError:
        return "", ""
    return (kind, hour) if kind in (PREDICTIONS, OUTCOMES) else ("", "")
