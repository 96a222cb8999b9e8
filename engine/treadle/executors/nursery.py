"""The nursery: a small process that imports once and forks one child per task.

It keeps time limits, tells a crash from an outcome, and when the scheduler hangs up or dies it ends every
child with all its descendants. Started as `python -m treadle.executors.nursery HANDLE PERFORM`; the rest it is told.

serve
├── orders of the scheduler   Begin: fork, or hand to an idle child · Cancel: TERM
├── what children say         an outcome
├── _enforce                  TERM when the time is up, KILL when that does not help
├── _reap                     children that ended; TERM to what is left of their group
└── _settle                   groups that are gone: Ended to the scheduler
"""

import treadle.lean  # noqa: F401  # before anything imports msgspec

# isort: split
import gc
import os
import select
import selectors
import signal
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from msgspec import DecodeError, msgpack, structs

from treadle.domain.task import BATCH, Failure, Outcome, Task, Usage
from treadle.executors import system
from treadle.executors.cgroup import Group, limited
from treadle.executors.child import Birth, Perform, live
from treadle.executors.limits import limit_threads
from treadle.executors.output import trim, write_lines
from treadle.executors.wire import Begin, Born, Cancel, Channel, Ended, Gone, Prepare, Ready, Refused, Told, orders
from treadle.plugins import load
from treadle.quantity import format_duration, format_size

GRACE = 2.0  # seconds between TERM and KILL for a step that has to go
LINGER = 0.5  # seconds that processes left behind by a step have to go by themselves
TRIM = 0.5  # seconds between looks at how long the logs are
PAUSE = 0.001  # seconds between looks at processes that have been killed
TICK = 0.01  # seconds between looks at a group that should be gone
UNSOUND = (  # what a module may raise when it is imported; other kinds end the nursery, which is restarted without it
    *(ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, MemoryError, NameError),
    *(OSError, RuntimeError, SyntaxError, SystemError, SystemExit, TypeError, ValueError, Warning),
)
_outcomes = msgpack.Decoder(Told)


class Child:
    """A process of a task: how to talk to it, when its time is up, and how it ended."""

    def __init__(self, task: Task, pid: int, channel: Channel, group: Group | None) -> None:
        self.pid = pid
        self.channel = channel
        self.pooled = used_again(task)
        self.stays = False  # for another task
        self.group = group
        self.task = task
        self.begin(task)
        self.end: system.End | None = None

    def begin(self, task: Task) -> None:
        """Take a task, the first or in a pool the next one."""
        self.task = task
        self.idle = self.stays = False
        self.started = time.time()
        self.outcome: Outcome | None = None
        self.verdict: Failure | None = None  # why we ended it, if we did
        allowed = task.timeout + (BATCH if task.items else 0.0) if task.timeout else None  # a batch judges its items
        self.deadline = None if allowed is None else time.monotonic() + allowed
        self.killed = False

    def terminate(self, verdict: Failure) -> None:
        """TERM now, KILL when it does not obey in time."""
        if self.verdict is None and self.outcome is None:
            self.verdict = verdict
        system.signal_group(self.pid, signal.SIGTERM)
        self.deadline = time.monotonic() + GRACE

    def kill(self) -> None:
        system.signal_group(self.pid, signal.SIGKILL)
        self.killed = True


class Nursery:
    """The loop over the scheduler's orders, the children's outcomes and their ends."""

    def __init__(self, channel: Channel, perform: Perform, slots: int) -> None:
        self._scheduler = channel
        self._perform = perform
        self._slots = slots
        self._forks = 0
        self._trim_at = time.monotonic() + TRIM
        self._children: dict[int, Child] = {}
        self._crowded: set[Channel] = set()
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = os.pipe()
        for end in (self._wake, self._woken):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        self._selector.register(channel, selectors.EVENT_READ, None)
        self._selector.register(self._wake, selectors.EVENT_READ, None)

    def serve(self, first: list[bytes]) -> None:
        """Work until the scheduler hangs up; `first` are messages that have come already."""
        self._scheduler.put(Ready())
        self._obey(first)
        while True:
            self._watch_for_room()
            for key, events in self._selector.select(self._patience()):
                if key.fileobj is self._scheduler:
                    if events & selectors.EVENT_WRITE:
                        self._scheduler.flush()
                    if events & selectors.EVENT_READ:
                        messages = self._scheduler.receive()
                        if messages is None:
                            return
                        self._obey(messages)
                elif key.fd == self._wake:
                    with suppress(BlockingIOError):
                        os.read(self._wake, 4096)
                else:
                    self._listen(key.data)
            self._enforce()
            self._trim_logs()
            self._reap()
            self._settle()

    def close(self) -> None:
        """Kill every child with its descendants, and wait until they are gone."""
        for child in self._children.values():
            child.kill()
        limit = time.monotonic() + GRACE
        while time.monotonic() < limit:
            for _ in system.ends():
                pass
            left = system.children()
            for pid in left:  # such as daemons: descendants that left their group, and came to us as orphans
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if not left and not any(system.signal_group(pid, 0) for pid in self._children):
                break
            time.sleep(PAUSE)
        for child in self._children.values():
            if child.group is not None:
                child.group.remove()

    # the scheduler's orders

    def _obey(self, messages: list[bytes]) -> None:
        for message in messages:
            order = orders.decode(message)
            if isinstance(order, Begin):
                self._begin(order.task)
            elif isinstance(order, Cancel):
                self._cancel(order)

    def _begin(self, task: Task) -> None:
        child = self._idle_for(task) if used_again(task) else None
        if child is None:
            child = self._fork(task)
        else:
            child.begin(task)
            child.channel.put(Begin(task))

    def _cancel(self, order: Cancel) -> None:
        for child in self._children.values():
            if child.task.step_id == order.step_id and not child.idle and child.verdict is None:
                child.terminate(Failure("cancelled", "cancelled"))

    def _idle_for(self, task: Task) -> Child | None:
        """An idle child of the same environment; where there is none, one of another environment makes room."""
        idle = [child for child in self._children.values() if child.idle and not child.killed and child.end is None]
        for child in idle:
            if _environment(child.task) == _environment(task):
                return child
        if len(idle) >= self._slots:
            idle[0].kill()
        return None

    def _fork(self, task: Task) -> Child:
        ours, theirs = socket.socketpair()
        others = [child.channel.fileno() for child in self._children.values()]
        inherited = (self._scheduler.fileno(), self._wake, self._woken, ours.fileno(), *others, *self._own_handle())
        self._forks += 1
        group = limited(f"treadle-{os.getpid()}-{self._forks}", task.memory) if task.memory else None
        birth = Birth(task, theirs, inherited, os.getpid(), self._perform, used_again(task), group)
        pid = os.fork()
        if pid == 0:
            live(birth)
        theirs.close()
        child = Child(task, pid, Channel(ours), group)
        self._children[pid] = child
        self._selector.register(child.channel, selectors.EVENT_READ, child)
        self._scheduler.put(Born(pid))
        return child

    def _own_handle(self) -> tuple[int, ...]:
        handle = getattr(self._selector, "fileno", None)  # epoll and kqueue have one, poll has none
        return () if handle is None else (handle(),)

    # the children

    def _listen(self, child: Child) -> None:
        child.channel.flush()
        messages = child.channel.receive()
        if messages is None:
            self._selector.unregister(child.channel)
            return
        for message in messages:
            _hear(child, message)
        if child.outcome is not None and child.stays and child.verdict is None:
            self._report(child, child.outcome.usage, gone=False)
            child.idle, child.deadline = True, None

    def _enforce(self) -> None:
        now = time.monotonic()
        for child in self._children.values():
            if child.deadline is None or child.deadline > now or child.killed:
                continue
            if child.end is not None or child.verdict is not None or child.outcome is not None:
                child.kill()
                child.deadline = now + LINGER
            else:
                limit = format_duration(child.task.timeout or 0.0)
                child.terminate(Failure("timeout", f"took longer than its timeout of {limit}"))

    def _trim_logs(self) -> None:
        """Now and then cut what grew too long."""
        if time.monotonic() < self._trim_at:
            return
        self._trim_at = time.monotonic() + TRIM
        for log in {child.task.log for child in self._children.values() if not child.idle}:
            trim(log)

    def _reap(self) -> None:
        for end in system.ends():
            child = self._children.get(end.pid)
            if child is None:
                continue  # an orphan that was adopted
            if child.channel in self._selector.get_map():
                self._drain(child)
            child.end = end
            child.deadline = time.monotonic() + LINGER
            child.killed = False
            # TERM first: a resource tracker ignores it and cleans up shared memory, a worker of a pool ends
            system.signal_group(child.pid, signal.SIGTERM if child.verdict is None else signal.SIGKILL)

    def _drain(self, child: Child) -> None:
        """Take what a child said before it ended."""
        for message in child.channel.drain():
            _hear(child, message)
        self._selector.unregister(child.channel)

    def _settle(self) -> None:
        now = time.monotonic()
        for child in [child for child in self._children.values() if child.end is not None]:
            gone = not system.signal_group(child.pid, 0)
            if gone or (child.killed and child.deadline is not None and child.deadline <= now):
                del self._children[child.pid]
                child.channel.close()
                self._crowded.discard(child.channel)
                if child.idle or child.end is None:
                    self._scheduler.put(Gone(child.pid))
                else:
                    told = child.outcome.usage if child.pooled and child.outcome is not None else None
                    self._report(child, told or child.end.usage, gone=True)  # that of its end would be of all its tasks
                if child.group is not None:
                    child.group.remove()

    def _report(self, child: Child, usage: Usage, gone: bool) -> None:
        trim(child.task.log)
        task = child.task
        failure = child.verdict
        limit = child.outcome.usage.limit if child.outcome is not None else ""
        if child.group is not None:
            limit = limit or f"cgroup v{child.group.version}"
            usage = structs.replace(usage, peak_memory=child.group.peak() or usage.peak_memory)
        usage = structs.replace(usage, limit=limit)
        if failure is None and child.group is not None and _failed(child) and child.group.killed():
            text = f"out of memory: a process of the step was killed, as together they may have {_size(task)}"
            failure = Failure("crash", f"{text} (`resources: {{memory: …}}`)", code=-signal.SIGKILL)
        elif failure is None and child.outcome is not None:
            self._scheduler.put(Ended(structs.replace(child.outcome, usage=usage, worker=child.pid), gone))
            return
        if failure is None and child.end is not None:
            failure = _crash(child.end.status, task)
        outcome = Outcome(
            step_id=task.step_id,
            attempt=task.attempt,
            failure=failure,
            started=child.started,
            finished=time.time(),
            worker=child.pid,
            usage=usage,
        )
        self._scheduler.put(Ended(outcome, gone))

    # waiting

    def _patience(self) -> float | None:
        if any(child.end is not None for child in self._children.values()):
            return TICK
        deadlines = [child.deadline for child in self._children.values() if child.deadline is not None]
        if any(not child.idle for child in self._children.values()):
            deadlines.append(self._trim_at)
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _watch_for_room(self) -> None:
        """Be told when a channel takes more, as long as something waits for that."""
        pooled = (child.channel for child in self._children.values() if child.pooled)
        for channel in (self._scheduler, *pooled):
            if channel.unsent != (channel in self._crowded) and channel in self._selector.get_map():
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.unsent else 0)
                self._selector.modify(channel, wanted, self._selector.get_key(channel).data)
                self._crowded ^= {channel}


def used_again(task: Task) -> bool:
    """Whether the process of a task takes another one after it.

    One of a pool does. So does one that waits for a shell, which is the step's own process: to fork ours for each
    would take longer than most commands. It ends when the command leaves anything behind, where the system tells.
    """
    if task.isolation == "pool":
        return True
    special = task.memory or task.secrets or task.devices or task.items
    return task.kind == "command" and not special and sys.platform == "linux"


def _hear(child: Child, message: bytes) -> None:
    with suppress(DecodeError):  # a step that writes to handles it does not own
        told = _outcomes.decode(message)
        child.outcome, child.stays = told.outcome, told.stays


def _failed(child: Child) -> bool:
    return child.outcome is None or child.outcome.failure is not None


def _size(task: Task) -> str:
    return format_size(task.memory or 0)


def _environment(task: Task) -> tuple[Any, ...]:
    """What tasks must have in common to share a process."""
    return task.isolation, task.root, task.env, task.secrets, task.cpu, task.memory, task.devices


def _crash(status: int, task: Task) -> Failure:
    code = os.waitstatus_to_exitcode(status)
    limit = f"; its memory limit is {format_size(task.memory)}" if task.memory else ""
    if code >= 0:
        return Failure("crash", f"the process ended itself with code {code} before the step returned{limit}", code=code)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    words = {
        "SIGKILL": "killed by SIGKILL (out of memory?)",
        "SIGSEGV": "killed by SIGSEGV (a segmentation fault in native code; the log says where)",
        "SIGABRT": "killed by SIGABRT (native code gave up; the log may say why)",
        "SIGBUS": "killed by SIGBUS (a mapped file that shrank, or a full /dev/shm?)",
    }
    return Failure("crash", f"the step's process was {words.get(name, f'killed by {name}')}{limit}", code=code)


@contextmanager
def _silence() -> Iterator[None]:
    """What modules print when they are imported is no output of a step, and must not get into the scheduler's."""
    kept = os.dup(2)
    os.dup2(1, 2)  # which goes nowhere since the nursery was started
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def _prepare(perform: str, order: Prepare) -> None:
    """Import what the steps will need."""
    sys.path.insert(0, order.root)
    with _silence():
        for name in order.preload:
            with suppress(*UNSOUND):
                import_module(name)  # what cannot be imported is reported by the step that needs it
        prepare = getattr(sys.modules[perform.partition(":")[0]], "prepare", None)
        if prepare is not None:
            prepare()


def _told(channel: Channel) -> list[bytes] | None:
    """The first messages of the scheduler, of which the first one says what to prepare; None when it has hung up."""
    messages: list[bytes] | None = []
    while messages == []:
        select.select([channel], [], [])
        messages = channel.receive()
    return messages


def main() -> None:
    """Import, then serve."""
    handle, perform = sys.argv[1:]
    os.set_inheritable(int(handle), False)
    channel = Channel(socket.socket(fileno=int(handle)))
    system.adopt_orphans()
    write_lines()
    warnings.filterwarnings("ignore", ".*multi-threaded.*", DeprecationWarning)  # threads of native libraries
    sys.argv[:] = ["treadle"]
    limit_threads(1)
    try:
        function: Perform = load(perform)
    except (ImportError, AttributeError) as error:
        channel.put(Refused(f"cannot import {perform}: {error}"))
        return
    told = _told(channel)
    if told is None:
        return
    order = orders.decode(told[0])
    assert isinstance(order, Prepare), order
    _prepare(perform, order)
    import faulthandler  # lazy: only this process and its children, into whose log it writes

    faulthandler.enable()
    gc.freeze()
    gc.enable()  # which `lean` has turned off
    nursery = Nursery(channel, function, order.slots)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        nursery.serve(told[1:])
    finally:
        nursery.close()
    sys.stderr.flush()
    os._exit(0)  # what it imported takes long to be taken down, and a run waits for that


if __name__ == "__main__":
    main()
