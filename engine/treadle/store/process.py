"""Who a process is, so that another process can tell whether it still lives, whatever became of its number."""

import os

from msgspec import Struct


class Process(Struct, frozen=True):
    """A process on a host; `began` tells it from a later one with the same number, `boot` from one before a restart.

    Containers that share a machine are different hosts: they cannot see each other's processes.
    """

    host: str
    boot: str
    pid: int
    began: str


def this_process() -> Process:
    """The process that asks."""
    pid = os.getpid()
    return Process(_host(), _boot(), pid, _began(pid) or "")


def alive(process: Process) -> bool | None:
    """Whether the process still runs; None when it belongs to another host and nobody here can tell."""
    if process.host != _host():
        return None
    if process.boot != _boot():
        return False
    return _began(process.pid) == process.began


def pid_exists(pid: int) -> bool:
    """Whether some process has this number now."""
    return _began(pid) is not None


def _host() -> str:
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{os.uname().nodename} {space}".strip()


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _began(pid: int) -> str | None:
    """When a process began, in any unit that stays the same; None when there is none, or only its remains."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # the name before may hold anything, even brackets
    except OSError:
        return None if os.path.exists("/proc/self/stat") else _began_by_ps(pid)
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


def _began_by_ps(pid: int) -> str | None:
    import subprocess  # lazy: 10 ms that only a system without /proc needs

    done = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, began = done.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else began.strip()
