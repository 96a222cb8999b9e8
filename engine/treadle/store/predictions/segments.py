"""Append-only segments of the prediction log: frames with a length and a checksum, one file per writer and hour.

A frame is written by one write(2) before its predictions are answered, so a killed server loses nothing that was
answered: the bytes are the kernel's. Only a machine that dies loses what was not yet synced (`SYNC` seconds).

    segment   .treadle/predictions/MODEL/predictions-2026-11-25T22-<8 random hex>.log   (or outcomes-…)
    frame     uint32 length · uint32 CRC-32 of the payload · payload (msgpack, an array whose first item is its kind)
"""

import fcntl
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from msgspec import DecodeError, Struct, msgpack

from treadle.domain.serving import Outcome, Prediction
from treadle.errors import StoreError
from treadle.store.database import make_folder, os_failure
from treadle.store.scratch import sync_folder

SYNC = 1.0  # seconds between syncs of what was written: the most a power cut can take
LARGEST = 64 << 20  # bytes after which a segment is closed and another begun
PREDICTIONS, OUTCOMES = "predictions", "outcomes"
FRAME = struct.Struct("<II")
T = TypeVar("T")


class Fields(Struct, frozen=True, array_like=True, tag="f"):
    """The columns of a version's features and predictions, written once before its first record in a segment."""

    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Answers(Struct, frozen=True, array_like=True, tag="p"):
    """Predictions that were answered together."""

    records: list[Prediction]


class Results(Struct, frozen=True, array_like=True, tag="o"):
    """Outcomes that arrived together."""

    records: list[Outcome]


Frame = Fields | Answers | Results
_decoder = msgpack.Decoder(Frame)


class _Answered(Struct, array_like=True, gc=False):
    """The beginning of a Prediction, which is all that it takes to know when it was."""

    request_id: str
    at: float


class _Arrived(Struct, array_like=True, gc=False):
    """The beginning of an Outcome."""

    metric: str
    value: float | str | bool
    at: float
    received: float


class _Named(Struct, array_like=True, tag="f"):
    version: int


class _Answers(Struct, array_like=True, tag="p"):
    records: list[_Answered]


class _Results(Struct, array_like=True, tag="o"):
    records: list[_Arrived]


_glance = msgpack.Decoder(_Named | _Answers | _Results)


class SegmentWriter:
    """Appends to the segment of this hour; not for use by two threads at once, but for `sync`.

    Raises StoreError from `append` when the disk takes no more; nothing of the frame is kept then.
    """

    def __init__(self, folder: str, kind: str) -> None:
        self.folder = folder
        self._kind = kind
        self._handle = -1
        self._hour = -1
        self._size = 0
        self._known: set[int] = set()
        self._encoder = msgpack.Encoder()
        self._synced = 0

    def append(self, frame: Frame, now: float) -> None:
        """Write one frame; it survives this process from here on. `now` in seconds since the epoch."""
        if self._handle < 0 or self._size > LARGEST or self.outlived(now):
            self._begin(now)
        self._write(self._encoder.encode(frame))

    def describe(self, fields: Fields, now: float) -> None:
        """Say what a version's columns are called, unless this segment says so already."""
        if self._handle < 0 or self._size > LARGEST or self.outlived(now):
            self._begin(now)
        if fields.version not in self._known:
            self._write(self._encoder.encode(fields))
            self._known.add(fields.version)

    def outlived(self, now: float) -> bool:
        """Whether a segment is open whose hour is over."""
        return self._handle >= 0 and int(now // 3600) != self._hour

    def sync(self) -> None:
        """Make durable what was written; raises StoreError. May run in another thread than `append`."""
        handle, size = self._handle, self._size
        if handle < 0 or size == self._synced:
            return
        try:
            os.fdatasync(handle)
        except OSError as error:
            if handle == self._handle:
                raise os_failure(error, self.folder) from error
            return  # closed meanwhile, and synced by that
        self._synced = size

    def close(self) -> None:
        """Sync and close the segment; the next append begins another."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            try:
                os.fdatasync(handle)
            except OSError as error:
                raise os_failure(error, self.folder) from error
            finally:
                os.close(handle)

    def _write(self, payload: bytes) -> None:
        data = FRAME.pack(len(payload), zlib.crc32(payload)) + payload
        try:
            written = os.write(self._handle, data)
        except OSError as error:
            raise os_failure(error, self.folder) from error
        if written != len(data):  # the disk is full: take back the half, so that the next frame can be read
            os.ftruncate(self._handle, self._size)
            raise StoreError(f"{self.folder}: the disk is full; free some space, `treadle cache gc` may help")
        self._size += written

    def _begin(self, now: float) -> None:
        self.close()
        try:
            make_folder(os.path.dirname(os.path.dirname(self.folder)))
            os.makedirs(self.folder, exist_ok=True)
            self._hour = int(now // 3600)
            name = f"{self._kind}-{hour_name(self._hour)}-{os.urandom(4).hex()}.log"
            path = os.path.join(self.folder, name)
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held while we live: it must not be compacted
            sync_folder(self.folder)
        except OSError as error:
            raise os_failure(error, self.folder) from error
        self._size = self._synced = 0
        self._known = set()


def hour_name(hour: int) -> str:
    """An hour since the epoch as `2026-11-25T22`, in UTC."""
    return time.strftime("%Y-%m-%dT%H", time.gmtime(hour * 3600))


def model_folder(store: str, name: str) -> str:
    """Where the log of a model lives; `store` is `.treadle`. Raises StoreError for a name that is no plain name."""
    if not name or name.startswith(".") or any(sign in name for sign in "/\\\0"):
        raise StoreError(f"{name!r} cannot name a model")
    return os.path.join(store, "predictions", name)


def read_frames(data: bytes) -> Iterator[tuple[Frame, int]]:
    """The whole frames of a segment, each with the offset after it; what was torn by a crash ends them."""
    return _frames(data, _decoder.decode)


def newest(data: bytes) -> tuple[float, int]:
    """The time of the newest record of a segment, 0 for none, and the offset after its last whole frame."""
    last, end = 0.0, 0
    for frame, end in _frames(data, _glance.decode):  # noqa: B007
        if isinstance(frame, _Answers):
            last = max([last, *(record.at for record in frame.records)])
        elif isinstance(frame, _Results):
            last = max([last, *(record.received for record in frame.records)])
    return last, end


def _frames(data: bytes, decode: Callable[[memoryview], T]) -> Iterator[tuple[T, int]]:
    place = 0
    view = memoryview(data)
    while place + FRAME.size <= len(data):
        length, checksum = FRAME.unpack_from(data, place)
        end = place + FRAME.size + length
        if end > len(data):
            return
        payload = view[place + FRAME.size : end]
        if zlib.crc32(payload) != checksum:
            return
        try:
            frame = decode(payload)
        except DecodeError:
            return
        yield frame, end
        place = end


def in_use(path: str) -> bool:
    """Whether a living writer still appends to a segment."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def prediction_names(outputs: Sequence[str], width: int) -> tuple[str, ...]:
    """What columns of predictions are called: `prediction`, or `prediction.OUTPUT` where there are several."""
    if width == 1:
        return ("prediction",)
    known = outputs if len(outputs) == width else [str(place) for place in range(width)]
    return tuple(f"prediction.{name}" for name in known)
