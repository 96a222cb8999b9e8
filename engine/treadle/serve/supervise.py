"""The parent of the workers: binds, forks, replaces the killed and the hung, stops them all, compacts the log.

Workers share one listening socket: connections that nobody has accepted yet survive the death of a worker, which a
socket per worker (SO_REUSEPORT) would lose. The parent has imported what workers need, and nothing of a model is ever
made in it: a fork, also of one that takes the place of a killed worker, can answer at once.
"""

import errno
import mmap
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from treadle.errors import InputError, input_error

SLOT = struct.Struct("<ddd")  # a worker on the board: last sign of life (monotonic), ready, whether it replaces another
PAUSE = 0.05  # seconds between looks at the workers
COMPACT_EVERY = 600.0
STOPS = (signal.SIGTERM, signal.SIGINT)
HOPELESS = 3  # workers in a row that ended before they were ready
Work = Callable[[socket.socket, mmap.mmap, int], int]


class Place(Struct):
    """A worker's place: its process, when it was forked (monotonic), and how many in a row were never ready."""

    number: int
    pid: int = 0
    since: float = 0.0
    early: int = 0


class Orders(Struct, frozen=True, kw_only=True):
    """How to supervise: times in seconds; `compact` runs in a process of its own now and then."""

    workers: int
    hang: float
    stop: float
    compact: Callable[[], None]
    ready: Callable[[], None]


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; raises InputError when the address is taken or not ours."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except (OSError, OverflowError, UnicodeError) as error:
        raise _no_address(host, port, error) from None
    listening.setblocking(False)
    return listening


def supervise(listening: socket.socket, work: Work, orders: Orders) -> int:
    """Keep the workers alive until SIGTERM or SIGINT, then stop them; returns the exit code."""
    board = mmap.mmap(-1, max(orders.workers * SLOT.size, mmap.PAGESIZE))
    stopping: list[int] = []
    before = {
        sign: signal.signal(sign, lambda number, _: stopping.append(number)) for sign in (signal.SIGTERM, signal.SIGINT)
    }
    places = [Place(number) for number in range(orders.workers)]
    helper, compacted, ready = 0, time.monotonic(), False
    code = 0
    try:
        for place in places:
            _fork(place, listening, work, board)
        while not stopping:
            time.sleep(PAUSE)
            now = time.monotonic()
            for pid, status in _ended():
                if pid == helper:
                    helper = 0
                    continue
                place = next(one for one in places if one.pid == pid)
                place.early = 0 if _slot(board, place)[1] else place.early + 1
                if place.early >= HOPELESS:
                    _say(f"worker {pid} {_fate(status)} before it was ready, as did those before it: giving up")
                    code = 1
                    stopping.append(0)
                    break
                _say(f"worker {pid} {_fate(status)}; another takes its place")
                _fork(place, listening, work, board)
            if not ready and all(_slot(board, place)[1] for place in places):
                ready = True
                orders.ready()
            for place in places:
                beat = _slot(board, place)[0]
                if now - max(beat, place.since) > orders.hang:
                    _say(f"worker {place.pid} has not answered for {orders.hang:.0f} s and is killed")
                    place.since = now
                    with suppress(ProcessLookupError):
                        os.kill(place.pid, signal.SIGKILL)
            if helper == 0 and now - compacted > COMPACT_EVERY:
                compacted = now
                helper = _aside(orders.compact)
    finally:
        _stop([place.pid for place in places if place.pid], orders.stop)
        for sign, handler in before.items():
            signal.signal(sign, handler)
    return code


def _fork(place: Place, listening: socket.socket, work: Work, board: mmap.mmap) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    place.since = time.monotonic()
    SLOT.pack_into(board, place.number * SLOT.size, 0.0, 0.0, float(place.pid != 0))
    place.pid = _child(lambda: work(listening, board, place.number))


def _aside(job: Callable[[], None]) -> int:
    """Run a job in a process of its own, so that what it imports leaves with it."""
    return _child(lambda: _no_code(job))


def _child(job: Callable[[], int]) -> int:
    """Fork a process for a job; a stop waits until it has an effect there: our own handler would only take note."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        pid = os.fork()
        if pid == 0:
            _leave(job)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def _no_code(job: Callable[[], None]) -> int:
    job()
    return 0


def _leave(job: Callable[[], int]) -> None:
    """Do a job in a forked child and end it, whatever happens: it must never return into the parent's code."""
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        code = job()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ended() -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found.append((pid, status))


def _stop(pids: list[int], seconds: float) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + seconds
    left = set(pids)
    while left and time.monotonic() < end:
        left -= {pid for pid, _ in _ended()}
        time.sleep(0.01)
    for pid in left:
        _say(f"worker {pid} did not stop within {seconds:.0f} s and is killed")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _slot(board: mmap.mmap, place: Place) -> tuple[float, float]:
    beat, ready, _ = SLOT.unpack_from(board, place.number * SLOT.size)
    return beat, ready


def _fate(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"was killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"ended with code {os.WEXITSTATUS(status)}"


def _no_address(host: str, port: int, error: Exception) -> InputError:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return input_error("address-in-use", f"port {port} of {host} is taken", None, "choose another with --port")
    return input_error("bad-address", f"cannot listen on {host}:{port}: {error}", None, "--host 127.0.0.1 --port 8080")


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {text}\n")
    sys.stderr.flush()
