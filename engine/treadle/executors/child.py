"""The life of a process that the nursery forked: it performs one task, or one after the other."""

import atexit
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable

from msgspec import Struct, msgpack, structs

from treadle.domain.task import Failure, Outcome, Task, Usage
from treadle.executors import system
from treadle.executors.cgroup import Group
from treadle.executors.limits import cores, limit_memory, limit_threads
from treadle.executors.output import flush, redirect
from treadle.executors.wire import HEAD, Told, frame, orders
from treadle.quantity import format_size

Perform = Callable[[Task], Outcome]
BROKEN = 70  # exit code of a child that could not say how its task ended


class Birth(Struct):
    """What a child needs to know at its birth: `inherited` are handles of the nursery that it must not keep."""

    task: Task
    connection: socket.socket
    inherited: tuple[int, ...]
    nursery: int
    perform: Perform
    pooled: bool = False
    group: Group | None = None  # limits its memory; without one it limits itself


def live(birth: Birth) -> None:
    """Perform the task, and in a pool those that follow; never returns."""
    code = BROKEN
    try:
        _be_born(birth)
        if birth.pooled:
            _perform_all(birth)
        else:
            outcome = _perform(birth.task, birth.perform, _limit(birth))
            atexit._run_exitfuncs()  # what the step has registered, such as a tracker's last words
            flush()
            _tell(birth.connection, Told(outcome))
        code = 0
    finally:
        os._exit(code)  # what the nursery would do at its end is none of the child's business


def _be_born(birth: Birth) -> None:
    atexit._clear()  # of the nursery
    os.setsid()  # its own process group, out of reach of the terminal
    system.die_with_parent(birth.nursery)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for handle in birth.inherited:
        os.close(handle)
    birth.connection.setblocking(True)
    if cores(birth.task) > 1:
        limit_threads(cores(birth.task))  # to 1 the nursery has limited itself
    # numpy seeds its global generator when it is imported, here once for all children: without this, steps
    # that ask for random numbers would all get the same ones, which they do not when each imports numpy itself
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()


def _limit(birth: Birth) -> str:
    """Limit the memory of this process; how, in words."""
    size = birth.task.memory
    if not size:
        return ""
    if birth.group is not None:
        try:
            birth.group.enter()
            return f"memory limited to {format_size(size)} by cgroup v{birth.group.version}"
        except OSError as error:
            return f"{limit_memory(size)} (the cgroup was refused: {error})"
    return limit_memory(size)


def _perform(task: Task, perform: Perform, limit: str) -> Outcome:
    try:
        redirect(task.log)
        if limit:
            os.write(2, f"treadle: {limit}\n".encode())
    except OSError as error:
        return _unprepared(task, error)
    outcome = perform(task)
    flush()
    return structs.replace(outcome, usage=Usage(limit=limit.partition(" by ")[2])) if limit else outcome


def _perform_all(birth: Birth) -> None:
    task: Task | None = birth.task
    limit = _limit(birth)
    tidy: Callable[[Task], None] | None = None
    if birth.task.isolation != "pool":
        system.adopt_orphans()  # what a command leaves behind shows as a child of ours, and ends with us
        tidy = getattr(sys.modules[birth.perform.__module__], "tidy", None)
    before = _used()
    while task is not None:
        outcome = _perform(task, birth.perform, limit)
        after = _used()
        usage = Usage(
            cpu_seconds=after.cpu_seconds - before.cpu_seconds,
            peak_memory=outcome.usage.peak_memory or after.peak_memory,
            read=after.read - before.read,
            written=after.written - before.written,
            limit=outcome.usage.limit,
        )
        before = after  # what it takes to wait for the next task is next to nothing
        stays = task.isolation == "pool" or not system.has_children()
        kept = stays and tidy is not None
        _tell(birth.connection, Told(structs.replace(outcome, usage=usage, kept=kept), stays))
        if kept and tidy is not None:
            tidy(task)
        task = _next(birth.connection) if stays else None


def _next(connection: socket.socket) -> Task | None:
    data = b""
    size = HEAD
    while len(data) < size:
        chunk = connection.recv(min(size - len(data), 1 << 20))
        if not chunk:
            return None
        data += chunk
        if len(data) == HEAD:
            size += int.from_bytes(data, "big")
    order = orders.decode(memoryview(data)[HEAD:])
    return getattr(order, "task", None)


def _tell(connection: socket.socket, told: Told) -> None:
    connection.sendall(frame(msgpack.encode(told)))


def _used() -> Usage:
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime
    return Usage(seconds, system.peak_memory(own), *system.transferred("self"))


def _unprepared(task: Task, error: OSError) -> Outcome:
    now = time.time()
    return Outcome(
        step_id=task.step_id,
        attempt=task.attempt,
        failure=Failure("crash", f"the step's log cannot be written: {error}"),
        started=now,
        finished=now,
        worker=os.getpid(),
    )
