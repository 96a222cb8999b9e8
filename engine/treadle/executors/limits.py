"""What a step's process may use: cores for its thread pools, and memory."""

import os
import resource
import sys

from treadle.domain.task import Task

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def limit(task: Task) -> None:
    """Apply a task's limits to this process, which is about to perform it."""
    threads = max(1, int(task.cpu))
    for name in POOLS:
        os.environ.setdefault(name, str(threads))
    pools = sys.modules.get("threadpoolctl")
    if pools is not None:
        pools.threadpool_limits(threads)
    if task.memory:
        used = _address_space()
        resource.setrlimit(resource.RLIMIT_AS, (used + task.memory, resource.RLIM_INFINITY))


def _address_space() -> int:
    """Bytes already mapped by what the nursery imported, which the step is not charged for."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
