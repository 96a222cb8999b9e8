"""A limit of memory for a whole tree of processes, by a control group below our own, where the system lets us (Linux).

Both hierarchies are known: version 2 (`memory.max`), and version 1 (`memory.limit_in_bytes`). In version 2 a group
that has processes of its own cannot hand the memory controller on, so it must have been handed on already
(systemd's `Delegate=yes`; most containers do not).
"""

import os
import sys
from contextlib import suppress
from functools import cache

V1 = {"limit": "memory.limit_in_bytes", "peak": "memory.max_usage_in_bytes", "killed": "memory.oom_control"}
V2 = {"limit": "memory.max", "peak": "memory.peak", "killed": "memory.events"}


class Group:
    """One control group, of one step's processes."""

    def __init__(self, folder: str, version: int) -> None:
        self.version = version
        self._folder = folder
        self._files = V1 if version == 1 else V2

    def enter(self) -> None:
        """Put this process, and those it will start, into the group; raises OSError."""
        self._write("cgroup.procs", str(os.getpid()))

    def peak(self) -> int:
        """The most bytes that all processes had at a time, 0 where the kernel does not tell."""
        try:
            return int(self._read("peak"))
        except (OSError, ValueError):
            return 0

    def killed(self) -> bool:
        """Whether the kernel ended a process of the group because of the limit."""
        with suppress(OSError, ValueError):
            for line in self._read("killed").splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill" and int(count) > 0:
                    return True
        return False

    def remove(self) -> None:
        """Forget the group; its processes are gone."""
        with suppress(OSError):
            os.rmdir(self._folder)

    def limit(self, size: int) -> None:
        """Let the processes of the group have `size` bytes together, swap included; raises OSError."""
        self._write(self._files["limit"], str(size))
        with suppress(OSError):  # not every kernel counts swap
            if self.version == 1:
                self._write("memory.memsw.limit_in_bytes", str(size))
            else:
                self._write("memory.swap.max", "0")
        with suppress(OSError):
            if self.version == 2:
                self._write("memory.oom.group", "1")  # half a step is of no use

    def _read(self, what: str) -> str:
        with open(os.path.join(self._folder, self._files[what]), encoding="ascii") as file:
            return file.read()

    def _write(self, name: str, text: str) -> None:
        with open(os.path.join(self._folder, name), "w", encoding="ascii") as file:
            file.write(text)


def limited(name: str, size: int) -> Group | None:
    """A new group with a limit of `size` bytes, or None where that is not possible."""
    found = _own()
    if found is None:
        return None
    _sweep(found[0])
    group = Group(os.path.join(found[0], name), found[1])
    try:
        os.mkdir(os.path.join(found[0], name))
        group.limit(size)
    except OSError:
        group.remove()
        return None
    return group


@cache
def _sweep(folder: str) -> None:
    """Remove, once, the groups of nurseries that were killed."""
    with suppress(OSError):
        for name in os.listdir(folder):
            pid = name.split("-")[1] if name.startswith("treadle-") and name.count("-") == 2 else ""
            if pid.isdecimal() and not os.path.exists(f"/proc/{pid}"):
                with suppress(OSError):
                    os.rmdir(os.path.join(folder, name))


@cache
def _own() -> tuple[str, int] | None:
    """The folder of our own group and its version, if we may make groups with memory limits in it."""
    if sys.platform != "linux":
        return None
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
        with open("/proc/self/mounts", encoding="utf-8") as file:
            mounts = [line.split() for line in file]
    except (OSError, ValueError):
        return None
    for _, controllers, path in groups:
        version = 1 if "memory" in controllers.split(",") else 2 if not controllers else 0
        for _, place, kind, options, *_ in mounts if version else ():
            fits = kind == "cgroup2" if version == 2 else kind == "cgroup" and "memory" in options.split(",")
            folder = place + path.rstrip("/")
            if fits and os.access(folder, os.W_OK) and (version == 1 or _handed_on(folder)):
                return folder, version
    return None


def _handed_on(folder: str) -> bool:
    try:
        with open(os.path.join(folder, "cgroup.subtree_control"), encoding="ascii") as file:
            return "memory" in file.read().split()
    except OSError:
        return False
