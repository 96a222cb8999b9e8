"""The process's surroundings: the only reader of environment variables."""

import os


def variable(name: str) -> str | None:
    """The value of an environment variable, or None."""
    return os.environ.get(name)


def variables() -> dict[str, str]:
    """A copy of the whole environment, for processes that we start."""
    return dict(os.environ)


def snapshot() -> dict[bytes, bytes]:
    """The whole environment as the system has it, to be put back, or for a process that we start.

    A copy of the dictionary that `os.environ` keeps: name by name it would take as long as a small step's other work.
    """
    inner: dict[bytes, bytes] = os.environb._data  # type: ignore[attr-defined]
    return inner.copy()


def surroundings(env: dict[str, str], scratch: str, devices: tuple[int, ...] | None) -> dict[bytes, bytes]:
    """The environment of a step's command: ours, the step's own, its scratch folder and the devices it may use."""
    seen = {} if devices is None else {"CUDA_VISIBLE_DEVICES": ",".join(map(str, devices))}
    own = seen | env | {"TREADLE_SCRATCH": scratch, "TMPDIR": scratch}
    return snapshot() | {os.fsencode(name): os.fsencode(value) for name, value in own.items()}


def provide(name: str, value: str) -> None:
    """Set an environment variable that libraries read when they load, unless the user has set it."""
    os.environ.setdefault(name, value)


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
