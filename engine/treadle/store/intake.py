"""How files become objects: the content is durable first, then it gets the name of its digest.

It comes by way of `.treadle/tmp/`: written there and renamed into place, or linked from there when it is a step's own
file, so that what stands under a digest is whole whenever the process dies.
"""

import errno
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from treadle import digest as digests
from treadle.store.database import make_folder, os_failure
from treadle.store.scratch import sync_folder, temporary

Stored = tuple[str, int]  # the digest and the size of what is an object now
RECENT = 600.0  # seconds; an object found again after that long is marked as used, so that no sweep takes it


def place_of(folder: str, digest: str) -> str:
    """Where an object stands, or would stand, in the folder of all objects."""
    return f"{folder}/{digest[:2]}/{digest[2:]}"


class Intake:
    """Puts files into the folder of objects, below the store's own folder `state`. Raises OSError and StoreError."""

    def __init__(self, folder: str, state: str) -> None:
        self._folder = folder
        self._state = state
        self._unsynced: set[str] = set()
        self._lock = threading.Lock()

    def take(self, path: str) -> Stored | None:
        """Make a file an object by a second name; None where it has another one already, or the system refuses."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ELOOP:  # a symbolic link
                return None
            raise
        try:
            digest = digests.of_handle(handle, path, os.fstat(handle).st_size)
            found = os.fstat(handle)
            if self._already(digest, found.st_size):
                return digest, found.st_size
            if found.st_nlink > 1:  # whoever knows the other name could write to it
                return None
            os.fchmod(handle, 0o444)
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            self._place(os.link, path, digest)
        except FileNotFoundError:
            raise
        except OSError:
            return None
        return digest, found.st_size

    def copy(self, path: str) -> Stored:
        """Store the content of a file."""
        from shutil import copyfile  # lazy: 2 ms, only for what cannot be linked

        own = part(self._state)
        try:
            copyfile(path, own)
            digest, size = digests.of_file(own), os.stat(own).st_size
            if self._already(digest, size):
                _drop(own)
            else:
                os.chmod(own, 0o444)
                _sync_file(own)
                self._place(os.rename, own, digest)
        except BaseException:
            _drop(own)
            raise
        return digest, size

    def write(self, data: bytes, digest: str) -> None:
        """Store bytes, of which this is the digest."""
        if self._already(digest, len(data)):
            return
        own = part(self._state)
        try:
            _write(own, data)
            self._place(os.rename, own, digest)
        except BaseException:
            _drop(own)
            raise

    def sync(self) -> None:
        """Make the names of everything that came in since the last time durable; content is durable already."""
        with self._lock:
            folders, self._unsynced = self._unsynced, set()
        for folder in folders:
            sync_folder(folder)

    def _place(self, put: Callable[[str, str], None], path: str, digest: str) -> None:
        """Bring a file whose content is durable to the place of its digest."""
        place = place_of(self._folder, digest)
        try:
            put(path, place)
        except FileNotFoundError:
            _make_folders(self._folder)
            with self._lock:
                self._unsynced.update((self._folder, self._state))
            put(path, place)
        with self._lock:
            self._unsynced.add(os.path.dirname(place))

    def _already(self, digest: str, size: int) -> bool:
        place = place_of(self._folder, digest)
        try:
            found = os.stat(place)
        except OSError:
            return False
        if found.st_size != size:
            return False
        if time.time() - found.st_mtime > RECENT:
            with suppress(OSError):
                os.utime(place)
        else:  # whoever stored it may have died before its name was durable
            with self._lock:
                self._unsynced.update((os.path.dirname(place), self._folder, self._state))
        return True


def part(state: str) -> str:
    """A temporary name in the store."""
    folder = os.path.join(state, "tmp")
    try:
        if not os.path.isdir(folder):
            make_folder(state)
        return temporary(folder)
    except OSError as error:
        raise os_failure(error, folder) from error


def _make_folders(top: str) -> None:
    """Make the folders of all objects at once: made one by one, each would wait for the disk on its own."""
    os.makedirs(top, exist_ok=True)
    for number in range(256):
        with suppress(FileExistsError):
            os.mkdir(f"{top}/{number:02x}")


def _write(path: str, data: bytes) -> None:
    """A new file that nobody writes to any more, its content durable."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fchmod(handle, 0o444)
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_file(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _drop(part: str) -> None:
    with suppress(OSError):
        os.unlink(part)
