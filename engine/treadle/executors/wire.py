"""Messages between the scheduler, its nursery and the nursery's children: msgpack, each with its length before it."""

import socket
from collections import deque

from msgspec import Struct, msgpack

from treadle.domain.task import Outcome, Task

CHUNK = 1 << 16  # more would be got from the system, and given back to it, for each message
HEAD = 8  # bytes of length before each message
MOST = 1 << 40  # a longer message means that the two ends are out of step


class Prepare(Struct, frozen=True, tag="prepare"):
    """The first message: the project's root, how many tasks at a time, and modules to import before the first."""

    root: str
    slots: int
    preload: tuple[str, ...]


class Begin(Struct, frozen=True, tag="begin"):
    """Perform a task."""

    task: Task


class Cancel(Struct, frozen=True, tag="cancel"):
    """Stop the task of a step."""

    step_id: str


class Ready(Struct, frozen=True, tag="ready"):
    """The nursery has imported what it should and can fork."""


class Refused(Struct, frozen=True, tag="refused"):
    """The nursery cannot work at all, and why."""

    text: str


class Born(Struct, frozen=True, tag="born"):
    """There is a process for tasks; `pid` is its process group too."""

    pid: int


class Ended(Struct, frozen=True, tag="ended"):
    """A task is over; with `gone` its worker and all that this one started are gone, else it waits for another task."""

    outcome: Outcome
    gone: bool = False


class Gone(Struct, frozen=True, tag="gone"):
    """A process that waited for tasks is gone with all that it started."""

    pid: int


class Told(Struct, frozen=True):
    """How a child's task ended, and whether the child stays for another one."""

    outcome: Outcome
    stays: bool = False


Order = Prepare | Begin | Cancel
Report = Ready | Refused | Born | Ended | Gone
orders: msgpack.Decoder[Order] = msgpack.Decoder(Order)
reports: msgpack.Decoder[Report] = msgpack.Decoder(Report)
_encode = msgpack.Encoder().encode


class Channel:
    """One end of a stream of messages that never blocks, so two ends cannot wait for each other for ever."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._incoming = bytearray()
        self._outgoing: deque[memoryview] = deque()

    def fileno(self) -> int:
        return self._connection.fileno()

    @property
    def unsent(self) -> bool:
        """Whether something waits for the other end to read."""
        return bool(self._outgoing)

    def put(self, message: Order | Report) -> None:
        """Send a message, or as much as goes now; raises TypeError, ValueError or OverflowError if it has no bytes.

        That the other end is gone is not reported here: `receive` does.
        """
        self._outgoing.append(memoryview(frame(_encode(message))))
        self.flush()

    def flush(self) -> None:
        """Send what goes without blocking."""
        while self._outgoing:
            try:
                sent = self._connection.send(self._outgoing[0])
            except BlockingIOError:
                return
            except OSError:
                self._outgoing.clear()
                return
            if sent == len(self._outgoing[0]):
                self._outgoing.popleft()
            else:
                self._outgoing[0] = self._outgoing[0][sent:]

    def receive(self) -> list[bytes] | None:
        """The whole messages that have arrived; None when the other end is gone or makes no sense."""
        try:
            data = self._connection.recv(CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        self._incoming += data
        return _take(self._incoming)

    def drain(self) -> list[bytes]:
        """Everything that the other end has sent so far, as whole messages."""
        while True:
            try:
                data = self._connection.recv(CHUNK)
            except OSError:
                data = b""
            if not data:
                return _take(self._incoming) or []
            self._incoming += data

    def close(self) -> None:
        self._connection.close()


def frame(data: bytes) -> bytes:
    """The bytes of a message as they travel."""
    return len(data).to_bytes(HEAD, "big") + data


def _take(buffer: bytearray) -> list[bytes] | None:
    found = []
    while len(buffer) >= HEAD:
        size = int.from_bytes(buffer[:HEAD], "big")
        if size > MOST:
            return None
        if len(buffer) < HEAD + size:
            break
        found.append(bytes(memoryview(buffer)[HEAD : HEAD + size]))
        del buffer[: HEAD + size]
    return found
