"""Messages between the scheduler and its nursery: msgpack, each with its length before it."""

import socket

from msgspec import Struct, msgpack

from treadle.domain.task import Outcome, Task

CHUNK = 1 << 16


class Begin(Struct, frozen=True, tag="begin"):
    """Perform a task."""

    task: Task


class Cancel(Struct, frozen=True, tag="cancel"):
    """Stop the task of a step."""

    step_id: str


class Channel:
    """One end of a stream of messages."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._buffer = bytearray()

    def fileno(self) -> int:
        return self.connection.fileno()

    def send(self, message: Begin | Cancel | Outcome) -> None:
        """Send one message whole; raises OSError when the other end is gone."""
        data = msgpack.encode(message)
        self.connection.sendall(len(data).to_bytes(8, "big") + data)

    def receive(self) -> list[bytes] | None:
        """What has arrived, as whole messages; None when the other end is gone."""
        try:
            data = self.connection.recv(CHUNK)
        except ConnectionError:
            return None
        if not data:
            return None
        self._buffer += data
        return frames(self._buffer)


def frames(buffer: bytearray) -> list[bytes]:
    """Take the whole messages out of a buffer."""
    found = []
    while len(buffer) >= 8:
        size = int.from_bytes(buffer[:8], "big")
        if len(buffer) < 8 + size:
            break
        found.append(bytes(buffer[8 : 8 + size]))
        del buffer[: 8 + size]
    return found
