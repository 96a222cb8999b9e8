"""One worker process: loop, listener, endpoints, journal; from its fork to its drained end."""

import asyncio
import gc
import mmap
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping

import uvloop
from msgspec import Struct

from treadle.errors import StoreError
from treadle.serve.access import Access
from treadle.serve.app import App
from treadle.serve.endpoint import Endpoint
from treadle.serve.follow import Follower
from treadle.serve.http import Listener
from treadle.serve.journal import Journal, sync_all
from treadle.serve.limits import Limits
from treadle.serve.metrics import Metrics, publish
from treadle.serve.shelf import Shelf
from treadle.serve.supervise import SLOT

READY = 1.0  # what a worker leaves in its place of the board once it can answer
PATIENCE = 20.0  # seconds until a worker that replaces another accepts connections even if it is not ready


class Serving(Struct, frozen=True, kw_only=True):
    """What a server is asked to do; `store` is `.treadle`, `meeting` a folder in which workers leave counters.

    `supervisor` is the process that forks the workers, known before any of them: one that is born as it dies must
    notice, or it would keep the port and nobody would replace or stop it.
    """

    models: tuple[str, ...]
    workers: int
    store: str
    meeting: str
    limits: Limits
    token: str | None
    loopback: bool
    shelf: Callable[[], Shelf]
    supervisor: int


def work(serving: Serving, listening: socket.socket, board: mmap.mmap, number: int) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code. `board` has a SLOT for every worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor passes a stop on as SIGTERM
    sys.setswitchinterval(0.0005)  # a thread that makes a model must not keep the loop waiting
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(serving, listening, board, number))


async def _serve(serving: Serving, listening: socket.socket, board: mmap.mmap, number: int) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    metrics = Metrics()
    journals = {name: Journal(serving.store, name, metrics) for name in serving.models}
    endpoints = {name: Endpoint(name, serving.limits, metrics, journals[name]) for name in serving.models}
    own = f"worker-{os.getpid()}"
    access = Access(serving.token, serving.loopback)
    app = App(endpoints, journals, serving.limits, metrics, access, (serving.meeting, own))
    listener = Listener(app.handle, serving.limits)
    follower = Follower(serving.shelf(), endpoints, loop, _say)
    follower.start()
    gc.freeze()
    beat = asyncio.create_task(_beat(serving, listener, endpoints, journals, metrics, board, number, own))
    if SLOT.unpack_from(board, number * SLOT.size)[2]:
        await _ready(endpoints, stop)
    listener.listen(listening, 64 if serving.workers == 1 else 2)
    await stop.wait()
    follower.stop()
    await _drain(listener, serving.limits.stop)
    beat.cancel()
    code = 0
    for journal in journals.values():
        try:
            journal.close()
        except StoreError as error:
            _say(str(error))
            code = 1
    publish(serving.meeting, own, metrics.snapshot(time.time()))
    return code


async def _beat(
    serving: Serving,
    listener: Listener,
    endpoints: Mapping[str, Endpoint],
    journals: Mapping[str, Journal],
    metrics: Metrics,
    board: mmap.mmap,
    number: int,
    own: str,
) -> None:
    loop = asyncio.get_running_loop()
    published = 0.0
    replaces = SLOT.unpack_from(board, number * SLOT.size)[2] != 0.0
    parent = serving.supervisor
    while True:
        ready = READY if all(endpoint.arms is not None for endpoint in endpoints.values()) else 0.0
        SLOT.pack_into(board, number * SLOT.size, time.monotonic(), ready, float(replaces))
        if os.getppid() != parent:  # the supervisor was killed: nobody would replace or stop us
            os.kill(os.getpid(), signal.SIGTERM)
            parent = os.getppid()
        if loop.time() - published >= 1.0:
            published = loop.time()
            listener.sweep(published)
            now = time.time()
            for journal in journals.values():
                try:
                    journal.rotate(now)
                except StoreError as error:
                    _say(str(error))
            try:
                publish(serving.meeting, own, metrics.snapshot(now))
            except OSError as error:
                _say(f"the counters could not be written: {error}")
            for text in await loop.run_in_executor(None, sync_all, journals):
                _say(text)
        await asyncio.sleep(0.1 if ready == 0.0 else 0.5)


async def _ready(endpoints: Mapping[str, Endpoint], stop: asyncio.Event) -> None:
    """Leave connections to the others, or in the queue, until this replacement can answer them.

    The first workers do not wait: there is nobody else, and health checks must hear that nothing is ready.
    """
    end = time.monotonic() + PATIENCE
    while not stop.is_set() and time.monotonic() < end and any(one.arms is None for one in endpoints.values()):
        await asyncio.sleep(0.01)


async def _drain(listener: Listener, seconds: float) -> None:
    """Let requests under way be answered; connections that say nothing are closed at once."""
    listener.stop()
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while listener.connections and loop.time() < end:
        await asyncio.sleep(0.02)
        listener.stop()
        if not listener.busy():
            break
    await asyncio.sleep(0.05)  # for the last answers to leave


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} [{os.getpid()}] {text}\n")
    sys.stderr.flush()
