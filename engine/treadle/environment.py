"""The process's surroundings: the only reader of environment variables."""

import os


def variable(name: str) -> str | None:
    """The value of an environment variable, or None."""
    return os.environ.get(name)


def variables() -> dict[str, str]:
    """A copy of the whole environment, for processes that we start."""
    return dict(os.environ)


def provide(name: str, value: str) -> None:
    """Set an environment variable that libraries read when they load, unless the user has set it."""
    os.environ.setdefault(name, value)


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
