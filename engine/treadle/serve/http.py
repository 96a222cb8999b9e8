"""HTTP/1.1 for the server: one connection, its requests in order, each answered by one write.

httptools parses; what a hostile client can do is bounded here: time for a whole request, size of its head and body,
time between requests. An answer too early to read the body is sent, and what still comes is thrown away.
"""

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

import httptools

from treadle.serve.limits import Limits

REASONS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
ONCE = {b"content-length", b"host", b"transfer-encoding", b"content-encoding", b"authorization", b"content-type"}
Headers = tuple[tuple[bytes, bytes], ...]


class Request:
    """A whole request; `reply` answers it once. `refused` is set when it must be answered with that status."""

    __slots__ = ("_connection", "body", "headers", "method", "path", "query", "received", "refused")

    def __init__(self, connection: "Connection", method: str, path: str, query: bytes) -> None:
        self._connection = connection
        self.method = method
        self.path = path
        self.query = query
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.received = time.perf_counter()
        self.refused: tuple[int, str] | None = None

    def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the answer; nothing happens when the client has gone."""
        self._connection.send(status, headers, body, self.method == "HEAD")


Handler = Callable[[Request], None]


class Listener:
    """The connections of one worker: what they share."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self._handler = handler
        self.limits = limits
        self.connections: set[Connection] = set()
        self.stopping = False
        self._opening: set[asyncio.Task[Any]] = set()

    def listen(self, listening: socket.socket, burst: int) -> None:
        """Accept up to `burst` connections per turn of the loop.

        Event loops accept one per turn; behind a slow model, clients that open a connection per request would then
        be answered one per prediction instead of together. Workers that share a socket take few at a time, so that
        one does not take them all.
        """
        self._listening, self._burst = listening, burst
        asyncio.get_running_loop().add_reader(listening, self._accept)

    def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(self._burst):
            try:
                client, _ = self._listening.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError:  # no descriptors left: wait until some are given back
                loop.remove_reader(self._listening)
                loop.call_later(0.1, self._resume)
                return
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = loop.create_task(loop.connect_accepted_socket(lambda: Connection(self), client))
            self._opening.add(task)
            task.add_done_callback(self._opened)

    def _opened(self, task: "asyncio.Task[Any]") -> None:
        self._opening.discard(task)
        if not task.cancelled():
            task.exception()  # a client that left at once is nobody's concern

    def _resume(self) -> None:
        if not self.stopping:
            asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def handle(self, request: Request) -> None:
        """Have a request answered; a mistake of ours fails this one, not the server."""
        try:
            self._handler(request)
        except Exception as error:
            context = {"message": f"{request.method} {request.path}", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            body = b'{"error":"the server failed; its log says why"}'
            request.reply(500, ((b"content-type", b"application/json"),), body)

    def sweep(self, now: float) -> None:
        """Close the connections whose time is up; called about every second with the loop's time."""
        for connection in [one for one in self.connections if one.deadline < now]:
            connection.expire()

    def stop(self) -> None:
        """Close idle connections at once and the others after their answer."""
        if not self.stopping:
            asyncio.get_running_loop().remove_reader(self._listening)
        self.stopping = True
        for connection in list(self.connections):
            connection.close_if_idle()

    def busy(self) -> int:
        """How many connections are sending a request or wait for an answer."""
        return sum(1 for connection in self.connections if connection.busy)


class Connection(asyncio.Protocol):
    """Parses requests and answers them one after another, in order."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._limits = listener.limits
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._queue: deque[tuple[Request, bool]] = deque()
        self.answering = False
        self._keep = True
        self._paused = False
        self._reading = False
        self._draining = False
        self._url = b""
        self._parsed = (b"", "/", b"")  # the last target, its path and its query
        self._head = 0
        self._names: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = 0
        self._request: Request | None = None
        self.deadline = self._loop.time() + self._limits.read

    # what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is none by inheritance
        connections = self._listener.connections
        connections.add(self)
        if len(connections) > self._limits.connections or self._listener.stopping:
            self._fail(503, "too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.connections.discard(self)
        self._transport = None
        self._queue.clear()

    def data_received(self, data: bytes) -> None:
        if not self._reading and not self.answering:
            self._reading = True
            self.deadline = self._loop.time() + self._limits.read
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(400, "upgrades are not supported; speak HTTP/1.1")
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, _TooMuch):
                raise
            self._fail(cause.status, str(cause))
        except httptools.HttpParserError:
            self._fail(400, "this is not a valid HTTP/1.1 request")

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._next()

    # what the parser calls

    def on_message_begin(self) -> None:
        self._url = b""
        self._head = self._size = 0
        self._names = []
        self._body = []
        self._request = None

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        self._names.append((name.lower(), value))
        if len(self._names) > self._limits.headers:
            raise _TooMuch(431, f"more than {self._limits.headers} headers")

    def on_headers_complete(self) -> None:
        if self._url != self._parsed[0]:  # a client asks the same path again and again
            try:
                url = httptools.parse_url(self._url)
            except httptools.HttpParserInvalidURLError:
                raise _TooMuch(400, "the request's target is not a valid path") from None
            self._parsed = self._url, unquote((url.path or b"/").decode("latin-1")), url.query or b""
        _, path, query = self._parsed
        request = Request(self, self._parser.get_method().decode("latin-1"), path, query)
        for name, value in self._names:
            if name in ONCE and name in request.headers:
                raise _TooMuch(400, f"the header {name.decode('latin-1')} is given twice")
            request.headers[name] = value
        if b"transfer-encoding" in request.headers and b"content-length" in request.headers:
            raise _TooMuch(400, "Content-Length and Transfer-Encoding exclude each other")
        length = request.headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:15]) > self._limits.body:
            self._refuse(request)
        elif request.headers.get(b"expect", b"").lower() == b"100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._request = request

    def on_body(self, data: bytes) -> None:
        request = self._request
        if request is None or request.refused is not None:
            return
        self._size += len(data)
        if self._size > self._limits.body:
            self._refuse(request)
        else:
            self._body.append(data)

    def on_message_complete(self) -> None:
        request = self._request
        if request is None:
            return
        self._request = None
        self._reading = False
        keep = self._parser.should_keep_alive()
        if request.refused is not None:
            if self._transport is not None:
                self._transport.close()  # it was answered when it was refused
            return
        request.body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        request.received = time.perf_counter()
        self._queue.append((request, keep))
        if not self.answering:
            self._next()
        elif self._transport is not None and len(self._queue) > 8:
            self._transport.pause_reading()

    # answers

    def send(self, status: int, headers: Headers, body: bytes, head: bool) -> None:
        """Write the answer to the request at hand and turn to the next."""
        transport = self._transport
        if transport is None:
            return
        keep = self._keep and not self._listener.stopping and not self._draining
        parts = [REASONS[status], b"content-length: %d\r\n" % len(body)]
        parts += [b"%b: %b\r\n" % pair for pair in headers]
        parts.append(b"\r\n" if keep else b"connection: close\r\n\r\n")
        if not head:
            parts.append(body)
        transport.write(b"".join(parts))
        self.answering = False
        if self._draining:  # closing now would reset the connection, and the client might never read the answer
            return
        if not keep:
            transport.close()
            return
        self.deadline = self._loop.time() + self._limits.idle
        if self._queue:
            self._loop.call_soon(self._next)

    def expire(self) -> None:
        """Give up on a client that is too slow, or that has nothing to ask."""
        if self._reading or self._request is not None:
            self._fail(408, f"the request did not arrive within {self._limits.read:g} s")
        elif self._transport is not None:
            self._transport.abort() if self._paused else self._transport.close()

    @property
    def busy(self) -> bool:
        """Whether a request is on its way in, or an answer is due."""
        return self.answering or self._reading

    def close_if_idle(self) -> None:
        """Close now unless an answer is due."""
        if self._transport is not None and not self.busy:
            self._transport.close()

    def _next(self) -> None:
        if self.answering or self._paused or not self._queue or self._transport is None:
            return
        request, self._keep = self._queue.popleft()
        self.answering = True
        self.deadline = self._loop.time() + self._limits.wait + self._limits.hang
        self._transport.resume_reading()
        self._listener.handle(request)

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > self._limits.head:
            raise _TooMuch(431, f"the head of the request has more than {self._limits.head} bytes")

    def _refuse(self, request: Request) -> None:
        """Answer a request that is too large before it has arrived, and throw away what still comes."""
        self._body = []
        limit = self._limits.body
        request.refused = (413, f"the request's body is larger than {limit} bytes, which is the limit")
        if not self.answering:
            self._draining = self.answering = True
            self._listener.handle(request)

    def _fail(self, status: int, text: str) -> None:
        """Answer what cannot be parsed, and close."""
        if self._transport is None:
            return
        body = b'{"error":"%b"}' % text.encode()
        head = REASONS[status] + b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
        if not self.answering:
            self._transport.write(head + b"connection: close\r\n\r\n" + body)
        self._transport.close()


class _TooMuch(Exception):
    """Raised inside a parser callback: the connection ends with this status."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)
