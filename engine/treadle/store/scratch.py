"""Temporary names under `.treadle/tmp/`, and writing a file as a whole or not at all."""

import atexit
import os
from contextlib import suppress
from functools import cache
from itertools import count

from treadle.store.reading import denied

SUFFIX = ".part"
_TOKEN = os.urandom(4).hex()  # processes in different containers may share a number
_NUMBERS = count()


def temporary(folder: str) -> str:
    """A name in `folder` that nobody else uses: `<pid>-<token>-<n>.part`; the folder is made if need be."""
    if not os.path.isdir(folder):
        os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, f"{os.getpid()}-{_TOKEN}-{next(_NUMBERS)}{SUFFIX}")


def owner(name: str) -> int | None:
    """The number of the process that made a temporary name, or None for other names."""
    pid, dash, _ = name.partition("-")
    return int(pid) if dash and name.endswith(SUFFIX) and pid.isdecimal() else None


def replace_file(path: str, data: bytes, folder: str) -> None:
    """Write `data` to `path` by way of a temporary file in `folder`, on the same file system; raises OSError.

    A crash of the process leaves the old file or the new one; after a power loss it may be torn.
    """
    part = temporary(folder)
    try:
        with open(part, "wb") as file:
            file.write(data)
        os.rename(part, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise


def place_to_look(folder: str) -> str:
    """Where a reader may put what it takes out of the store `folder`: its `tmp`, or, where that may not be written, a
    folder of the system's that goes with this process.
    """
    own = os.path.join(folder, "tmp")
    return own if denied(os.path.join(own, SUFFIX)) is None else _elsewhere(os.getpid())


@cache
def _elsewhere(process: int) -> str:
    from shutil import rmtree  # lazy: with the next 10 ms, only where the store may not be written
    from tempfile import mkdtemp  # lazy: likewise

    folder = mkdtemp(prefix="treadle-")

    def leave() -> None:
        if os.getpid() == process:
            rmtree(folder, ignore_errors=True)

    atexit.register(leave)
    return folder


def sync_folder(folder: str) -> None:
    """Make the names in a folder durable; raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
