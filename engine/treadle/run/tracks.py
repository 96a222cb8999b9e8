"""What running steps tell through `ctx`, read along by the run; at the end of an attempt it is kept as an artifact."""

import os
from contextlib import suppress

from msgspec import DecodeError, json

from treadle.domain.artifact import Artifact
from treadle.domain.event import Metric, Noted, StepAdvanced
from treadle.domain.task import Task
from treadle.domain.track import Done, Line, Note, Point, Track, track_of
from treadle.errors import CodecError, StoreError
from treadle.run.journal import Journal
from treadle.store import Objects

OFTEN = 0.5  # seconds between looks at what running steps tell
CODEC = "track"
SUFFIX = ".track"

_line: json.Decoder[Line] = json.Decoder(Line)
_track = json.Decoder(Track)


class Tracks:
    """The steps of a run that have a `ctx`; costs nothing while none of them runs."""

    def __init__(self, objects: Objects, journal: Journal) -> None:
        self._objects = objects
        self._journal = journal
        self._open: dict[str, _Tail] = {}
        self._told_at = 0.0

    def __bool__(self) -> bool:
        return bool(self._open)

    def follow(self, task: Task) -> None:
        """A task begins; whatever an attempt of an earlier run left is none of its own."""
        if task.track:
            with suppress(OSError):
                os.unlink(task.track)
            self._open[task.step_id] = _Tail(task.track)

    def tell(self) -> None:
        """Announce what is new."""
        now = self._journal.steady()
        if not self._open or now - self._told_at < OFTEN:
            return
        self._told_at = now
        for step, tail in self._open.items():
            self._announce(step, tail.read())

    def ended(self, task: Task) -> Artifact | None:
        """The track of an attempt that is over, None when it told nothing."""
        tail = self._open.pop(task.step_id, None)
        if tail is None:
            return None
        self._announce(task.step_id, tail.read())
        track = read_file(task.track)
        kept: Artifact | None = None
        if track is not None and told_something(track):
            kept = self._objects.add_bytes(json.encode(track), CODEC)
            self._objects.sync()
        with suppress(OSError):
            os.unlink(task.track)
        return kept

    def _announce(self, step: str, lines: list[Line]) -> None:
        points: dict[str, list[tuple[int, float | None]]] = {}
        progress: Done | None = None
        for line in lines:
            if isinstance(line, Point):
                points.setdefault(line.name, []).append((line.step, line.value))
            elif isinstance(line, Done):
                progress = line
            elif isinstance(line, Note):
                self._journal.tell(Noted, step=step, text=line.text)
        for name, found in points.items():
            self._journal.tell(Metric, step=step, name=name, points=tuple(found))
        if progress is not None:
            self._journal.tell(StepAdvanced, step=step, done=progress.done, total=progress.total)


class _Tail:
    """Reads what was appended to a file since the last time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[Line]:
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return []
        whole = data.rfind(b"\n") + 1
        self._offset += whole
        return _lines(data[:whole])


def read_file(path: str) -> Track | None:
    """What a step has told so far, None when there is no such file."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return None
    return track_of(_lines(data[: data.rfind(b"\n") + 1]))


def told_something(track: Track) -> bool:
    """Whether there is more than the beginning of an attempt."""
    return bool(track.series or track.progress or track.notes or track.tables or track.plots)


def read_artifact(artifact: Artifact, objects: Objects) -> Track | None:
    """The track that was kept; None when it is no longer there."""
    try:
        return _track.decode(objects.read(artifact))
    except (CodecError, StoreError, DecodeError):
        return None


def _lines(data: bytes) -> list[Line]:
    found = []
    for line in data.splitlines():
        with suppress(DecodeError):  # a process that died, or two that wrote at once
            found.append(_line.decode(line))
    return found
