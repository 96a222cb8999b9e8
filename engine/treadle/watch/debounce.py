"""When to act on changes: pure, no clock, no files.

A save is a burst of events, and a checkout thousands of them: nothing is done until it has been quiet for a
moment, or, when it never gets quiet, after a while all the same.
"""

QUIET = 0.04  # seconds without an event after which a burst is over
LONGEST = 2.0  # seconds after the first event when a burst that goes on is looked at anyway
MANY = 2000  # paths from which on everything is looked at: the system may have dropped events


class Debounce:
    """Collects the paths of a burst; `take` gives them once it is over. Times are seconds of any one clock."""

    def __init__(self, quiet: float = QUIET, longest: float = LONGEST) -> None:
        self._quiet = quiet
        self._longest = longest
        self._paths: set[str] = set()
        self._all = False
        self._first: float | None = None
        self._due = 0.0

    def notice(self, path: str, now: float) -> None:
        """Something happened at a path; an empty path stands for anywhere."""
        if self._first is None:
            self._first = now
        if path and len(self._paths) < MANY:
            self._paths.add(path)
        else:
            self._all = True
        self._due = max(min(now + self._quiet, self._first + self._longest), self._due)

    def hold(self, paths: "frozenset[str] | None", now: float, seconds: float) -> None:
        """It is too early: the same paths are due again in `seconds`, and later if more happens."""
        self._first = now if self._first is None else self._first
        if paths is None:
            self._all = True
        else:
            self._paths |= paths
        self._due = max(self._due, now + seconds)

    def wait(self, now: float) -> float | None:
        """Seconds until the burst is over if nothing more happens, or None when there is none."""
        return None if self._first is None else max(0.0, self._due - now)

    def take(self) -> "frozenset[str] | None":
        """The paths of the burst, or None for anywhere; call it when `wait` is 0."""
        found = None if self._all else frozenset(self._paths)
        self._paths.clear()
        self._all, self._first, self._due = False, None, 0.0
        return found
