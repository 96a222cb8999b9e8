"""A limit of memory for a whole tree of processes, by a control group below our own, where the system lets us (Linux).

Both hierarchies are known: version 2 (`memory.max`), and version 1 (`memory.limit_in_bytes`). In version 2 a group
that has processes of its own cannot hand the memory controller on, unless it is the root of all. One that was
delegated to us (systemd's `Delegate=yes`) and has no processes but ours therefore gets a group for these first.
"""

import os
import sys
from contextlib import suppress
from functools import cache

V1 = {"limit": "memory.limit_in_bytes", "peak": "memory.max_usage_in_bytes", "killed": "memory.oom_control"}
V2 = {"limit": "memory.max", "peak": "memory.peak", "killed": "memory.events"}
OURS = "treadle-processes"  # the group of the processes that the delegated one had
DELEGATED = ("user.delegate", "trusted.delegate")  # how systemd marks what it does not look after itself
ATTEMPTS = 3  # at moving processes out, which may start others meanwhile


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
        _put(self._folder, name, text)


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
            if fits and os.access(folder, os.W_OK):
                above = folder if version == 1 else handing_on(folder)
                if above is not None:
                    return above, version
    return None


def handing_on(folder: str) -> str | None:
    """The group of version 2 that hands memory on to groups below it, for processes in `folder`; None without one.

    It is `folder` itself, after its processes went to a group of their own where that is needed, or the one above it
    where they did so before.
    """
    if os.path.basename(folder) == OURS:
        folder = os.path.dirname(folder)
    if "memory" in _words(folder, "cgroup.subtree_control"):
        return folder
    if "memory" not in _words(folder, "cgroup.controllers") or not _delegated(folder):
        return None
    own = os.path.join(folder, OURS)
    for _ in range(ATTEMPTS):
        pids = _words(folder, "cgroup.procs")
        if not all(map(_ours, pids)):
            break
        try:
            os.makedirs(own, exist_ok=True)
            _move(pids, own)
            _put(folder, "cgroup.subtree_control", "+memory")
            return folder
        except OSError:
            continue
    with suppress(OSError):
        _move(_words(own, "cgroup.procs"), folder)
        os.rmdir(own)
    return None


def _delegated(folder: str) -> bool:
    for name in DELEGATED:
        with suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False


def _ours(pid: str) -> bool:
    """Whether a process is the scheduler that started us, or descends from it."""
    top = str(os.getppid())
    while pid not in ("0", "1", ""):
        if pid == top:
            return True
        pid = _parent(pid)
    return pid == top


def _parent(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[1]
    except (OSError, IndexError):
        return ""


def _move(pids: list[str], folder: str) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it has ended meanwhile
            _put(folder, "cgroup.procs", pid)


def _words(folder: str, name: str) -> list[str]:
    try:
        with open(os.path.join(folder, name), encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return []


def _put(folder: str, name: str, text: str) -> None:
    with open(os.path.join(folder, name), "w", encoding="ascii") as file:
        file.write(text)
