"""Which runs are still to be sent: a small file each under `.treadle/mlflow/`, gone when the server has all of it.

All that is sent is read from the records of the runs themselves, so nothing is kept twice and nothing can get lost.
"""

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from msgspec import DecodeError, Struct, json

from treadle.store.scratch import replace_file

FOLDER = "mlflow"
SUFFIX = ".waiting"
MOVED = "aliases-moved"
MOST_TOLD = 1 << 20  # bytes of the sender's own log


class Sent(Struct):
    """How far a run is on a server: its id there, where its artifacts go, and what has arrived."""

    server: str = ""
    run: str = ""
    artifacts: str = ""
    described: bool = False
    points: dict[str, int] = {}  # metric → the index of the last point that arrived
    steps: list[str] = []
    files: list[str] = []
    models: dict[str, str] = {}  # NAME/VERSION here → version there


def add(folder: str, run_id: str) -> None:
    """A run is to be sent; raises OSError."""
    os.makedirs(os.path.join(folder, FOLDER), exist_ok=True)
    save(folder, run_id, Sent())


def waiting(folder: str) -> list[str]:
    """The ids of the runs that are to be sent, oldest first."""
    with suppress(FileNotFoundError):
        names = os.listdir(os.path.join(folder, FOLDER))
        return sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
    return []


def load(folder: str, run_id: str) -> Sent:
    """How far a run is; from the beginning where that was not written whole."""
    try:
        with open(_path(folder, run_id), "rb") as file:
            return json.decode(file.read(), type=Sent)
    except (OSError, DecodeError):
        return Sent()


def save(folder: str, run_id: str, sent: Sent) -> None:
    """Note how far a run is; raises OSError."""
    replace_file(_path(folder, run_id), json.encode(sent), os.path.join(folder, "tmp"))


def remove(folder: str, run_id: str) -> None:
    """The server has all of a run."""
    with suppress(FileNotFoundError):
        os.unlink(_path(folder, run_id))


def note_moved(folder: str) -> None:
    """An alias moved: a sender that has seen the aliases already looks at them again. Raises OSError."""
    os.makedirs(os.path.join(folder, FOLDER), exist_ok=True)
    with open(_moved(folder), "wb"):
        pass


def forget_moved(folder: str) -> None:
    """The aliases are about to be looked at."""
    with suppress(FileNotFoundError):
        os.unlink(_moved(folder))


def anything(folder: str) -> bool:
    """Whether a run or an alias is to be sent."""
    return bool(waiting(folder)) or os.path.exists(_moved(folder))


def wake(root: str, folder: str) -> bool:
    """Start a process that sends what is waiting; False when one does already, or none can be started."""
    with suppress(OSError), alone(folder) as first:
        if not first:
            return False
    log = os.path.join(folder, FOLDER, "log")
    with suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if _size(log) > MOST_TOLD else os.O_APPEND)
        handle = os.open(log, flags, 0o644)
        try:
            words = [sys.executable, "-P", "-m", "treadle.mirror", root]
            child = subprocess.Popen(
                words, cwd=root, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, start_new_session=True
            )
        finally:
            os.close(handle)
        threading.Thread(target=child.wait, daemon=True).start()  # no zombie stays with a parent that goes on
        return True
    return False


def age(folder: str, run_id: str) -> float:
    """Seconds since something of a run was sent, or it was added."""
    with suppress(OSError):
        return time.time() - os.stat(_path(folder, run_id)).st_mtime
    return 0.0


@contextmanager
def alone(folder: str) -> Iterator[bool]:
    """Hold the right to send, if nobody has it; whether that is so. The kernel gives it back when a sender dies."""
    place = os.path.join(folder, FOLDER)
    os.makedirs(place, exist_ok=True)
    handle = os.open(os.path.join(place, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def _path(folder: str, run_id: str) -> str:
    return os.path.join(folder, FOLDER, f"{run_id}{SUFFIX}")


def _moved(folder: str) -> str:
    return os.path.join(folder, FOLDER, MOVED)


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
