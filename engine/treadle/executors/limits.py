"""What a step's process may use: cores for its thread pools, and memory."""

import os
import resource
import sys

from treadle.domain.task import Task
from treadle.quantity import format_size

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def limit_threads(threads: int) -> None:
    """Limit the thread pools of libraries: by environment, and through threadpoolctl for those already loaded.

    The nursery limits itself to 1 before it imports, so that no library starts threads, which a fork would lose.
    """
    for name in POOLS:
        os.environ[name] = str(threads)
    pools = sys.modules.get("threadpoolctl")
    if pools is not None and threads > 1:  # what the nursery loaded has 1 already, and looking takes milliseconds
        pools.threadpool_limits(threads)


def cores(task: Task) -> int:
    """How many threads a pool of the task may have."""
    return max(1, int(task.cpu))


def limit_memory(size: int) -> str:
    """Let this process allocate `size` bytes more than it has; returns how, in words for the log.

    Linux counts private writable memory (RLIMIT_DATA), so that mapped files are free; elsewhere the address space
    (RLIMIT_AS), which macOS accepts and does not enforce. What the nursery imported is not charged to the step.
    Each process of the step has the limit for itself.
    """
    linux = sys.platform == "linux"
    kind, name = (resource.RLIMIT_DATA, "RLIMIT_DATA") if linux else (resource.RLIMIT_AS, "RLIMIT_AS")
    most = _allocated() + size
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    try:
        resource.setrlimit(kind, (most, most))
    except (OSError, ValueError) as error:
        return f"memory is not limited: {name} was refused ({error})"
    return f"memory limited to {format_size(size)} by {name}"


def _allocated() -> int:
    """Bytes of private writable memory that this process has, 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[5]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0
