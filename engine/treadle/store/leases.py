"""One computation per key among all processes of a machine.

A lease is a file lock: the kernel gives it back when its holder dies, so nothing is ever stale.
"""

import fcntl
import os
from collections.abc import Iterable

from treadle.errors import StoreError


class Leases:
    """The leases that this process holds."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def acquire(self, key: str) -> bool:
        """Take the lease of a key; False when another process computes it."""
        if key in self._held:
            return True
        path = os.path.join(self._folder, key)
        try:
            os.makedirs(self._folder, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"no lease can be written: {error.strerror} ({self._folder})") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            same = os.fstat(handle).st_ino == os.stat(path).st_ino  # else its holder has just removed it
        except OSError:
            os.close(handle)
            return False
        if not same:
            os.close(handle)
            return self.acquire(key)
        self._held[key] = handle
        return True

    def busy(self, key: str) -> bool:
        """Whether another process holds the lease."""
        if key in self._held:
            return False
        if not self.acquire(key):
            return True
        self.release([key])
        return False

    def release(self, keys: Iterable[str]) -> None:
        """Give leases back."""
        for key in keys:
            handle = self._held.pop(key, None)
            if handle is not None:
                os.unlink(os.path.join(self._folder, key))
                os.close(handle)

    def release_all(self) -> None:
        """Give every lease back."""
        self.release(list(self._held))
