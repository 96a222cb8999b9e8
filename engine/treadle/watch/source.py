"""Where events come from: the system's own (watchdog), or a look at everything each second."""

import logging
import os
import queue
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver, ObservedWatch

PERIOD = 1.0  # seconds between looks where nothing tells of changes
MOST = 400  # folders, each of which costs a thread
REMOTE = ("nfs", "cifs", "smb", "9p", "fuse.", "afs", "ceph", "lustre", "glusterfs", "vboxsf", "drvfs", "virtiofs")


class Source(Protocol):
    """Tells of paths at which something happened."""

    notice: str  # what the user should know of how changes are found, or nothing

    def watch(self, folders: Mapping[str, bool]) -> bool:
        """Watch exactly these folders (True: with all below); True when one was new or made again."""

    def get(self, timeout: float) -> list[str]:
        """Wait for events, then return all there are: absolute paths, empty for anywhere."""

    def close(self) -> None:
        """Stop."""


class Looking:
    """Says each second that something may have happened anywhere; for file systems that tell nothing."""

    def __init__(self, notice: str, period: float = PERIOD) -> None:
        self.notice = notice
        self._period = period
        self._next = time.monotonic() + period

    def watch(self, folders: Mapping[str, bool]) -> bool:
        return False

    def get(self, timeout: float) -> list[str]:
        rest = self._next - time.monotonic()
        time.sleep(max(0.0, min(timeout, rest)))
        if rest > timeout:
            return []
        self._next = time.monotonic() + self._period
        return [""]

    def close(self) -> None:
        return


class Events:
    """The system's events through watchdog; raises OSError from `watch` when the system allows no more of them."""

    notice = ""

    def __init__(self, limit: int | None = None) -> None:
        from watchdog.observers import Observer  # lazy: 40 ms that only watching needs

        # at the end of a watch a thread of watchdog's may wake once more and call that an error, on the terminal
        logging.getLogger("watchdog").addHandler(logging.NullHandler())
        self._limit = _allowed() if limit is None else limit
        self._queue: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._observer: BaseObserver = Observer()
        self._observer.daemon = True
        self._watches: dict[str, tuple[ObservedWatch, bool, int]] = {}
        self._observer.start()

    def watch(self, folders: Mapping[str, bool]) -> bool:
        wanted = {folder: (deep, inode) for folder, deep in folders.items() if (inode := _inode(folder))}
        if len(wanted) > MOST:
            raise OSError(f"{len(wanted)} folders are more than can be watched")
        for folder, (watch, deep, inode) in list(self._watches.items()):
            if wanted.get(folder) != (deep, inode):
                del self._watches[folder]
                self._observer.unschedule(watch)
        new = [folder for folder in wanted if folder not in self._watches]
        if any(wanted[folder][0] for folder in new):
            # what is below a folder watchdog watches as far as the limit goes, and says nothing of the rest
            count = sum(sum(1 for _ in os.walk(folder)) if deep else 1 for folder, (deep, _) in wanted.items())
            if count > self._limit:
                raise OSError(f"{count} folders, and the system's limit is {self._limit}")
        for folder in new:
            deep, inode = wanted[folder]
            try:
                watch = self._observer.schedule(self, folder, recursive=deep)  # type: ignore[arg-type]
            except FileNotFoundError:
                continue  # gone again: its parent tells when it comes back
            self._watches[folder] = (watch, deep, inode)
        return bool(new)

    def dispatch(self, event: "FileSystemEvent") -> None:
        """Take an event in watchdog's thread; that a file was only read is none."""
        if event.event_type not in ("opened", "closed_no_write"):
            for path in (event.src_path, event.dest_path):
                if path:
                    self._queue.put(os.fsdecode(path))

    def get(self, timeout: float) -> list[str]:
        found = []
        try:
            found.append(self._queue.get(timeout=timeout) if timeout > 0 else self._queue.get_nowait())
            while True:
                found.append(self._queue.get_nowait())
        except queue.Empty:
            return found

    def close(self) -> None:
        self._observer.stop()
        self._observer.join(2.0)


def remote(folder: str, mounts: str | None = None) -> str:
    """The kind of network file system that a folder lies on, which tells of no changes; empty for a local one.

    `mounts` is the text of /proc/mounts; where there is none every folder counts as local.
    """
    if mounts is None:
        try:
            with open("/proc/mounts", encoding="utf-8", errors="replace") as file:
                mounts = file.read()
        except OSError:
            return ""
    path = os.path.realpath(folder)
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        place = fields[1].replace("\\040", " ").rstrip("/")
        if (path == place or path.startswith(place + "/")) and len(place) >= len(best):
            best, kind = place, fields[2]
    return kind if kind.startswith(REMOTE) else ""


def _allowed() -> int:
    """How many folders the system lets a user watch."""
    try:
        with open("/proc/sys/fs/inotify/max_user_watches", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 1 << 30


def _inode(folder: str) -> int:
    """The inode of a folder, 0 when there is none."""
    try:
        return os.stat(folder).st_ino if os.path.isdir(folder) else 0
    except OSError:
        return 0
