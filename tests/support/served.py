"""A server in this process, over real sockets, with a registry that a test moves by hand."""

import asyncio
import http.client
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import uvloop

from treadle.domain.artifact import Artifact
from treadle.domain.model import Field, ModelVersion, Signature
from treadle.domain.serving import Traffic
from treadle.errors import StoreError
from treadle.serve.access import Access
from treadle.serve.app import App
from treadle.serve.endpoint import Endpoint
from treadle.serve.follow import Follower
from treadle.serve.http import Listener
from treadle.serve.journal import Journal
from treadle.serve.limits import Limits
from treadle.serve.metrics import Metrics
from treadle.serve.predictor import Predictor
from treadle.serve.shelf import State

THREE = Signature(
    inputs=(Field("a", "double"), Field("b", "double"), Field("c", "double")), outputs=(Field("y", "double"),)
)
MIXED = Signature(
    inputs=(
        Field("zone", "string"),
        Field("riders", "long"),
        Field("speed", "double", required=False),
        Field("rain", "boolean"),
        Field("at", "datetime", required=False),
    ),
    outputs=(Field("y", "double"),),
)


def a_version(number: int, signature: Signature = THREE, name: str = "m", **more: Any) -> ModelVersion:
    """A registry entry with an example of one row."""
    one = {
        "double": 1.0,
        "float": 1.0,
        "long": 1,
        "integer": 1,
        "string": "x",
        "boolean": True,
        "datetime": "2026-01-01",
    }
    example = more.pop("example", ({field.name: one[field.dtype] for field in signature.inputs},))
    artifact = Artifact(digest="0" * 64, codec="skops", size=1)
    return ModelVersion(
        name=name, version=number, artifact=artifact, format="fake", created=0.0, signature=signature, example=example,
        **more,
    )  # fmt: skip


class Sums:
    """Predicts the sum of the numbers of a row, times its version: an answer tells which version gave it."""

    def __init__(self, version: ModelVersion, width: int = 1) -> None:
        self.version = version
        self.calls: list[int] = []  # rows of each call
        self._width = width
        self.pause = 0.0

    def predict(self, columns: Mapping[str, Any]) -> Any:
        numbers = [np.asarray(c, dtype=float) for c in columns.values() if c.dtype.kind in "fib"]
        rows = len(next(iter(columns.values())))
        self.calls.append(rows)
        time.sleep(self.pause)
        total = np.nansum(numbers, axis=0) if numbers else np.zeros(rows)
        if (total == 666).any():
            raise ValueError("this row is cursed")
        total = total * self.version.version
        return total if self._width == 1 else np.stack([total + n for n in range(self._width)], axis=1)

    def probabilities(self, columns: Mapping[str, Any]) -> Any:
        total = np.asarray(self.predict(columns))
        return np.stack([1 - total / 100, total / 100], axis=1)

    def complete(self) -> None:
        """Nothing was put off."""

    def close(self) -> None:
        """Nothing is held."""


class FakeShelf:
    """A registry in memory: `states` is what it says, `models` what it can load."""

    def __init__(self, models: Mapping[int, Predictor], traffic: Traffic | None = None, name: str = "m") -> None:
        self.models = dict(models)
        self.states = {name: State(min(models), max(models) if len(models) > 1 else None, traffic)}
        self.loads: list[int] = []

    def state(self, name: str) -> State:
        return self.states[name]

    def load(self, name: str, version: int) -> Predictor:
        self.loads.append(version)
        if version not in self.models:
            raise StoreError(f"version {version} is damaged")
        return self.models[version]


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body, parse_constant=_not_json)


def _not_json(word: str) -> Any:
    raise AssertionError(f"{word} is not JSON")


class Served:
    """A running server: its address, its folder, its parts, and a plain client."""

    def __init__(self, port: int, store: Path) -> None:
        self.port = port
        self.store = store
        self.endpoints: dict[str, Endpoint] = {}
        self.loop: asyncio.AbstractEventLoop
        self.listener: Listener

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """One request on a connection of its own; a body that is not bytes goes as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            found = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()
        return found

    def raw(self, data: bytes, timeout: float = 10) -> bytes:
        """Everything the server says to these bytes, until it closes or says nothing for a while."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as client:
            client.sendall(data)
            found = b""
            try:
                while part := client.recv(65536):
                    found += part
            except (TimeoutError, ConnectionResetError):
                pass
        return found

    def until(self, done: Callable[[], bool], what: str, seconds: float = 20) -> None:
        """Wait until something holds."""
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, f"never: {what}"
            time.sleep(0.01)


@contextmanager
def serving(
    shelf: FakeShelf,
    limits: Limits | None = None,
    token: str | None = None,
    loopback: bool = True,
    ready: bool = True,
) -> Iterator[Served]:
    """A server for the models of a shelf, in a thread of this process, on a free port of loopback."""
    limits = limits or Limits()
    with tempfile.TemporaryDirectory() as folder:
        listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        listening.setblocking(False)
        served = Served(listening.getsockname()[1], Path(folder) / ".treadle")
        (Path(folder) / "meeting").mkdir()
        said: list[str] = []
        started = threading.Event()

        async def run() -> None:
            served.loop = loop = asyncio.get_running_loop()
            metrics = Metrics()
            names = list(shelf.states)
            journals = {name: Journal(str(served.store), name, metrics) for name in names}
            served.endpoints = {name: Endpoint(name, limits, metrics, journals[name]) for name in names}
            meeting = (str(Path(folder) / "meeting"), "worker-1")
            app = App(served.endpoints, journals, limits, metrics, Access(token, loopback), meeting)
            served.listener = Listener(app.handle, limits)
            follower = Follower(shelf, served.endpoints, loop, said.append)
            follower.start()
            served.listener.listen(listening, 64)
            stop = asyncio.Event()
            served.stop = lambda: loop.call_soon_threadsafe(stop.set)  # type: ignore[attr-defined]
            started.set()
            while not stop.is_set():
                served.listener.sweep(loop.time())
                await asyncio.sleep(0.05)
            follower.stop()
            served.listener.stop()
            while served.listener.connections:
                await asyncio.sleep(0.01)
            for journal in journals.values():
                journal.close()
            listening.close()

        def main() -> None:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(run())

        thread = threading.Thread(target=main)
        thread.start()
        started.wait(10)
        served.said = said  # type: ignore[attr-defined]
        try:
            if ready:
                served.until(lambda: all(e.arms is not None for e in served.endpoints.values()), f"ready: {said}")
            yield served
        finally:
            served.stop()  # type: ignore[attr-defined]
            thread.join(20)
