"""`treadle up`: one supervisor of a server, a controller and its runs, from the first model to a clean stop.

up
├── Server            `treadle serve` in a child process, begun when every model has a champion, replaced when it dies
├── Controller.tick   twice a second at most; a store that is away stops decisions, not the server
├── Hooks             posts to triggers, on a port of loopback
└── beat              signs of life, for `treadle status`
"""

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from msgspec import Struct

from treadle.api.hooks import Hooks
from treadle.api.loop import read_facts
from treadle.api.project import open_project
from treadle.api.server import Server
from treadle.api.supervisor import Parts, Supervisor
from treadle.api.tracking import AliasMirror
from treadle.control.controller import Controller
from treadle.control.runs import ChildRuns
from treadle.errors import InputError, input_error
from treadle.store import Store
from treadle.store.database import make_folder, os_failure

TICK = 0.5  # seconds between looks
AWAY = 5.0  # seconds between tries while the store is away
LINES = 20


class Options(Struct, frozen=True, kw_only=True):
    """How to bring a pipeline up; `port` 0 takes a free one, `hook_port` is where triggers are posted."""

    serve: bool = True
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    token_file: str = ""
    hook_port: int = 8081
    params: Mapping[str, Any] = {}


def up(path: str | os.PathLike[str], options: Options, say: Callable[[str], None]) -> int:
    """Serve, watch, retrain, test and roll out until SIGTERM or SIGINT; returns the exit code.

    Raises InputError for a file that is wrong, a pipeline that is up already, and a token file that is no such thing.
    """
    project = open_project(path)
    store = project.store
    facts = read_facts(project, path, options.params)
    given = [f"{name}={value}" for name, value in options.params.items()]
    said: list[str] = []

    def tell(text: str) -> None:
        said.append(text)
        del said[:-LINES]
        say(text)

    stop = threading.Event()
    with ExitStack() as stack:
        stack.enter_context(_alone(store, facts.pipeline))
        stack.enter_context(_signals(stop))
        store.database.rows("SELECT 1")  # made now, if this project has none
        store.database.hold()
        runs = ChildRuns(store, project.root, facts.path, given)
        stack.callback(runs.stop)
        server = Server(project.root, facts.path, _words(options), tell)
        stack.callback(server.stop)
        hooks = stack.enter_context(Hooks(store, options.token_file, options.hook_port, tell))
        hooks.follow(facts)
        controller = Controller(store, project.root, facts, runs, tell)
        stack.callback(controller.close)
        tell(f"{facts.pipeline} is up: {_summary(facts.models, len(facts.rules))}")
        supervisor = Supervisor(Parts(store, controller, server, hooks, AliasMirror(project)), said)
        marked = _mark(path)
        while not stop.is_set():
            if (mark := _mark(path)) != marked:
                marked = mark
                try:
                    controller.facts = read_facts(open_project(path), path, options.params)
                    hooks.follow(controller.facts)
                    tell(f"{facts.path} has changed: its triggers and models are read anew")
                except InputError as error:
                    tell(f"{facts.path} has changed and is wrong, so it is not followed: {error}")
            if not supervisor.turn(options.serve, time.time()):
                tell("no first model could be made: see the run's own words with `treadle show last`")
                return 1
            stop.wait(AWAY if supervisor.away else TICK)
        tell("stopping")
        server.ask_to_stop()
    return 0


@contextmanager
def _alone(store: Store, pipeline: str) -> Iterator[None]:
    """Two controllers of one pipeline would decide everything twice; the kernel frees the lock of one that dies."""
    make_folder(store.folder)
    name = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in pipeline)
    try:
        handle = os.open(os.path.join(store.folder, f"up-{name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise os_failure(error, store.folder) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"'{pipeline}' is up already, in another process"
            raise input_error("already-up", text, None, "treadle status says what it does") from None
        yield
    finally:
        os.close(handle)


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    before = {sign: signal.signal(sign, lambda number, frame: stop.set()) for sign in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


def _words(options: Options) -> list[str]:
    """The options of the server's command."""
    words = ["--host", options.host, "--port", str(options.port), "--workers", str(options.workers)]
    return [*words, "--token-file", options.token_file] if options.token_file else words


def _mark(path: str | os.PathLike[str]) -> tuple[int, int, int]:
    with suppress(OSError):
        found = os.stat(path)
        return found.st_size, found.st_mtime_ns, found.st_ino
    return 0, 0, 0


def _summary(models: tuple[str, ...], rules: int) -> str:
    deployed = f"deploys {', '.join(models)}" if models else "deploys nothing"
    return f"{deployed}, {rules} trigger{'s' * (rules != 1)}"
