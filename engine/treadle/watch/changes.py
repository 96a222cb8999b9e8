"""Wait until something that matters has really changed."""

import os
import time
from collections.abc import Callable

from treadle.store.data import LEFT_OUT
from treadle.watch.debounce import Debounce
from treadle.watch.scope import Mark, Scope, changes
from treadle.watch.source import Looking, Source

BACK = 0.25  # seconds that a file which is gone has to come back: an editor may be replacing it
GIT = 10.0  # seconds that a checkout is waited for while it holds its lock
IDLE = 3600.0
TICK = 0.01  # seconds by which a file's time may lag behind the clock
UNKNOWN: Mark = (-1, 0, 0, "")


class Changes:
    """What was seen the last time, and what differs since. `clock` is monotonic, in seconds."""

    def __init__(self, root: str, source: Source, clock: Callable[[], float] = time.monotonic) -> None:
        self.root = root
        self.seen: dict[str, Mark] = {}
        self._source = source
        self._clock = clock
        self._scope = Scope(root, frozenset())
        self._debounce = Debounce()
        self._found: list[str] = []
        self._patience: float | None = None  # until when something missing is waited for
        self._notice = source.notice

    def observe(self, scope: Scope, since: float) -> None:
        """From now on watch this scope; `since` is when its files began to be read, in seconds since the epoch."""
        self._scope = scope
        self._watch()
        now = scope.look(self.seen)
        gone = {path: mark for path, mark in self.seen.items() if path not in now and not os.path.exists(path)}
        for path, mark in now.items():
            if path in self.seen:
                now[path] = self.seen[path]  # an event is on its way if it differs
            elif mark[1] / 1e9 > since - TICK:
                now[path] = UNKNOWN  # it may have been read before it was written
                self._debounce.notice(path, self._clock())
        self.seen = {**now, **gone}

    def wait(self) -> list[str]:
        """Block until something differs, and return the paths."""
        while not self._found:
            rest = self._debounce.wait(self._clock())
            self._take(self._source.get(IDLE if rest is None else rest))
            self._settle()
        found, self._found = self._found, []
        return found

    def happened(self) -> tuple[str, ...]:
        """What differs already, and will be returned by `wait`; never blocks."""
        self._take(self._source.get(0))
        self._settle()
        return tuple(self._found)

    def take_notice(self) -> str:
        """What the user should know of how changes are found, once."""
        notice, self._notice = self._notice, ""
        return notice

    def _take(self, paths: list[str]) -> None:
        now = self._clock()
        for path in paths:
            if LEFT_OUT.isdisjoint(path.removeprefix(self.root).split(os.sep)):
                self._debounce.notice(path, now)

    def _settle(self) -> None:
        """Look, if the burst is over, and keep what differs."""
        now = self._clock()
        if self._debounce.wait(now) != 0:
            return
        touched = self._debounce.take()
        if self._watch():
            touched = None  # in a folder that was made again anything may have happened unseen
        if _checkout(self.root) and self._may_wait(now, GIT):
            self._debounce.hold(touched, now, 0.05)
            return
        after = self._scope.look(self.seen, touched)
        differing = changes(self.seen, after)
        if any(path not in after for path in differing) and self._may_wait(now, BACK):
            self._debounce.hold(touched, now, BACK / 5)
            return
        self._patience = None
        self.seen = after
        self._found = sorted({*self._found, *differing})

    def _may_wait(self, now: float, most: float) -> bool:
        if self._patience is None:
            self._patience = now + most
        return now < self._patience

    def _watch(self) -> bool:
        try:
            return self._source.watch(self._scope.folders())
        except OSError as error:
            self._source.close()
            self._source = Looking("")
            self._notice = f"the system cannot watch all of this ({error}): looking every second instead"
            return True


def _checkout(root: str) -> bool:
    """Whether git is writing files now."""
    place = os.path.join(root, ".git")
    try:
        with open(place, encoding="utf-8") as file:  # a worktree's .git is a file that names the folder
            place = os.path.join(root, file.read().partition(": ")[2].strip())
    except (OSError, UnicodeDecodeError):
        pass
    return os.path.exists(os.path.join(place, "index.lock"))
