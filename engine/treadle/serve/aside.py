"""A model itself in a process beside the worker, for the rows that its compiled form leaves to it.

To import scikit-learn and to make a model takes seconds in which a thread would keep taking the interpreter away from
the loop; a process does not, and what a model file does stays in it. It is forked when it is first needed or when the
worker has time, holds one end of a socket and nothing else of the worker's, and ends with it. Until it has made the
model nobody is kept waiting: whoever asks is told so, and may wait for that elsewhere than on the loop.
"""

import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from msgspec import msgpack

from treadle.errors import TreadleError
from treadle.serve.predictor import Unmade

LENGTH = struct.Struct("<BQ")  # what is asked or how it went, and the bytes that follow
READY, PREDICT, PROBABILITIES = 0, 1, 2
FINE, FAILED = 0, 1
OBJECTS = "O"


class Whole(Protocol):
    """A model that can be made later, and then asked."""

    def __call__(self, columns: Mapping[str, Any]) -> Any: ...

    def probabilities(self, columns: Mapping[str, Any]) -> Any: ...

    def complete(self) -> None: ...


class FailedAside(TreadleError):
    """What the process beside the worker could not do, in its words."""


class Aside:
    """Stands for `model` in the worker; used from any of its threads."""

    def __init__(self, model: Whole) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._pid = 0
        self._made = False

    def __call__(self, columns: Mapping[str, Any]) -> Any:
        return self._ask(PREDICT, columns)

    def probabilities(self, columns: Mapping[str, Any]) -> Any:
        """The probability of each class: (rows, classes)."""
        return self._ask(PROBABILITIES, columns)

    def complete(self) -> None:
        """Have the model made, and wait for it; raises FailedAside."""
        self._ask(READY, {})
        self._made = True

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _ask(self, what: int, columns: Mapping[str, Any]) -> Any:
        if not self._made and what != READY:
            raise Unmade
        body = msgpack.encode({name: _packed(values) for name, values in columns.items()})
        with self._lock:
            try:
                if self._socket is None:
                    self._begin()
                assert self._socket is not None
                _send(self._socket, what, body)
                how, answer = _receive(self._socket)
            except OSError as error:
                self._end()  # the next row begins another
                raise FailedAside(f"the process that holds the model ended: {error}") from None
        if how == FAILED:
            raise FailedAside(answer.decode())
        return _unpacked(msgpack.decode(answer))

    def _begin(self) -> None:
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                _serve(theirs, self._model)
            except BaseException:  # noqa: BLE001  # it must never return into the worker's code
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stderr.flush()
                os._exit(0)
        theirs.close()
        self._socket = ours

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._made = False
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0


def _serve(own: socket.socket, model: Whole) -> None:
    """Answer until the worker is gone."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    keep = own.fileno()
    os.closerange(3, keep)  # the worker's listening socket and connections
    os.closerange(keep + 1, 65536)
    while True:
        try:
            what, body = _receive(own)
        except OSError:
            return
        how, answer = _answered(model, what, body)
        try:
            _send(own, how, answer)
        except OSError:
            return


def _answered(model: Whole, what: int, body: bytes) -> tuple[int, bytes]:
    try:
        columns = {name: _unpacked(values) for name, values in msgpack.decode(body).items()}
        if what == READY:
            model.complete()
        found = np.empty(0) if what == READY else (model if what == PREDICT else model.probabilities)(columns)
        return FINE, msgpack.encode(_packed(np.asarray(found)))
    except Exception as error:  # noqa: BLE001  # whatever a model raises
        return FAILED, f"{type(error).__name__}: {error}".encode()


def _send(to: socket.socket, word: int, body: bytes) -> None:
    to.sendall(LENGTH.pack(word, len(body)) + body)


def _receive(of: socket.socket) -> tuple[int, bytes]:
    word, size = LENGTH.unpack(_exactly(of, LENGTH.size))
    return word, _exactly(of, size)


def _exactly(of: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        part = of.recv(min(size - len(found), 1 << 20))
        if not part:
            raise ConnectionResetError("it closed the connection")
        found += part
    return bytes(found)


def _packed(values: Any) -> tuple[str, Any, Any]:
    """An array as plain data: nothing that comes from a model's process is unpickled."""
    if values.dtype.kind == OBJECTS:
        return OBJECTS, values.shape, values.reshape(-1).tolist()
    return values.dtype.str, values.shape, np.ascontiguousarray(values).tobytes()


def _unpacked(packed: tuple[str, Any, Any]) -> Any:
    kind, shape, content = packed
    if kind == OBJECTS:
        found = np.empty(len(content), dtype=object)
        found[:] = content
        return found.reshape(shape)
    return np.frombuffer(content, dtype=kind).reshape(shape)
