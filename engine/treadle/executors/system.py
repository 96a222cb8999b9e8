"""What differs between operating systems: orphans, groups, ends of processes and what they used."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from resource import struct_rusage
from typing import Any, NamedTuple

from treadle.domain.task import Usage

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


class End(NamedTuple):
    """The end of a child process: its wait status and what it used."""

    pid: int
    status: int
    usage: Usage


@cache
def _prctl() -> Callable[..., Any] | None:
    if sys.platform != "linux":
        return None
    import ctypes  # lazy: 5 ms that the scheduler does not need

    with suppress(OSError, AttributeError):
        found: Callable[..., Any] = ctypes.CDLL(None).prctl
        return found
    return None


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent died, where the system can (Linux), so as to reap them."""
    prctl = _prctl()
    if prctl is not None:
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """Be killed when `parent` dies, where the system can (Linux)."""
    prctl = _prctl()
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; False when nobody is left in it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # a set-uid program, or on macOS a group of zombies
        return sys.platform == "linux"
    return True


def ends() -> Iterator[End]:
    """Reap the children that have ended; never blocks."""
    while True:
        read = written = 0
        try:
            if sys.platform == "linux":
                # looked at before it is reaped: /proc still knows what it read and wrote
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is None:
                    return
                read, written = transferred(found.si_pid)
                pid, status, used = os.wait4(found.si_pid, 0)
            else:
                pid, status, used = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        seconds = used.ru_utime + used.ru_stime
        yield End(pid, status, Usage(seconds, peak_memory(used), read, written))


def children() -> list[int]:
    """The numbers of the processes whose parent this one is, where the system tells (Linux)."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def has_children() -> bool:
    """Whether this process has a child that lives; those that have ended are reaped."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def peak_memory(used: struct_rusage) -> int:
    """Bytes: the field is in KiB, on macOS in bytes."""
    return used.ru_maxrss if sys.platform == "darwin" else used.ru_maxrss * 1024


def transferred(pid: int | str) -> tuple[int, int]:
    """Bytes that a process, and those of its children that it has waited for, have read and written (Linux)."""
    try:
        handle = os.open(f"/proc/{pid}/io", os.O_RDONLY | os.O_CLOEXEC)
        try:
            words = os.read(handle, 256).split()
        finally:
            os.close(handle)
        return int(words[1]), int(words[3])
    except (OSError, IndexError, ValueError):
        return 0, 0
