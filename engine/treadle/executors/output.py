"""Where a step's output goes: its log, with the values of secrets masked."""

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

MASK = "***"
MOST = 64 << 20  # bytes of a log; one that grows longer loses its middle
HEAD, TAIL = 16 << 20, 1 << 20  # bytes at its beginning and before its end that it keeps then
PATIENCE = 2.0  # seconds for output on its way to arrive when a step has ended


class Mask:
    """Hides values in text, also as `repr`, JSON and the lines of a longer value would show them."""

    def __init__(self, values: Iterable[str]) -> None:
        import json  # lazy: 2 ms that steps without secrets spare

        forms: set[str] = set()
        for value in filter(None, values):
            forms |= {value, repr(value)[1:-1], json.dumps(value)[1:-1]}
            forms |= {line for line in value.splitlines() if len(line) >= 8}
        self.forms = sorted(forms, key=len, reverse=True)  # the longest first: one secret may begin another

    def text(self, text: str) -> str:
        """The text without the values."""
        for form in self.forms:
            text = text.replace(form, MASK)
        return text


def redirect(log: str) -> None:
    """Send all further output of this process to the end of `log`; raises OSError."""
    handle = _open(log)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def trim(log: str) -> None:
    """Cut the middle out of a log that is too long, and say so there; what is written meanwhile may be lost with it.

    Whoever writes to it does so at its end, wherever that is, so that it can be cut while a step runs.
    """
    with suppress(OSError):
        size = os.stat(log).st_size
        if size <= MOST:
            return
        with open(log, "r+b", buffering=0) as file:
            file.seek(size - TAIL)
            tail = file.read(TAIL)
            file.truncate(HEAD)
        text = f"\n… treadle left out {size - HEAD - len(tail)} bytes: a log has at most {MOST} …\n"
        with open(log, "ab", buffering=0) as file:
            file.write(text.encode() + tail)


def write_lines() -> None:
    """Let this process and those it forks write line by line: a crash loses no line, and no character is refused."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


@contextmanager
def redirected(log: str) -> Iterator[None]:
    """The same for a while, then back; also what was put in place of `sys.stdout`."""
    before = sys.stdout, sys.stderr
    flush()
    kept = os.dup(1), os.dup(2)
    handle = _open(log)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    out = _stream(1)
    sys.stdout = sys.stderr = out
    try:
        yield
    finally:
        flush()
        out.close()
        sys.stdout, sys.stderr = before
        _restore(kept)


@contextmanager
def masked(mask: Mask) -> Iterator[None]:
    """Mask what this process and those it starts write to their output meanwhile.

    A process of its own does it: a thread would stop with the code that holds the interpreter, and
    what a dying step wrote last would be lost. It lives until the last writer is gone.
    """
    if not mask.forms:
        yield
        return
    flush()
    source, sink = os.pipe()
    kept = os.dup(1), os.dup(2)
    pid = os.fork()
    if pid == 0:
        _mask_for_ever(source, sink, kept[0], mask)
    os.close(source)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.close(sink)
    try:
        yield
    finally:
        flush()
        _restore(kept)
        _await(pid)


def _mask_for_ever(source: int, sink: int, target: int, mask: Mask) -> None:
    code = 1
    try:
        os.setsid()  # outlives the step's group, to deliver its last words
        os.close(sink)
        _restore((os.open(os.devnull, os.O_WRONLY),) * 2)
        _pump(source, target, [form.encode("utf-8", "surrogateescape") for form in mask.forms])
        code = 0
    finally:
        os._exit(code)


def _pump(source: int, target: int, forms: list[bytes]) -> None:
    pattern = re.compile(b"|".join(re.escape(form) for form in forms))
    held = max(map(len, forms)) - 1  # a value that begins in the last bytes may end in the next ones
    data = b""
    while True:
        chunk = os.read(source, 1 << 16)
        data += chunk
        sure = len(data) - held if chunk else len(data)
        done = 0
        for match in pattern.finditer(data):
            if match.start() >= sure:
                break
            _write(target, data[done : match.start()] + MASK.encode())
            done = match.end()
        sure = max(done, sure, 0)
        _write(target, data[done:sure])
        data = data[sure:]
        if not chunk:
            return


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _await(pid: int) -> None:
    limit = time.monotonic() + PATIENCE
    with suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG)[0] == 0 and time.monotonic() < limit:
            time.sleep(0.001)


def _open(log: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        return os.open(log, flags, 0o644)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(log), exist_ok=True)
        return os.open(log, flags, 0o644)


def _stream(handle: int) -> TextIO:
    return open(handle, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def flush() -> None:
    """Hand what was printed to the system; a full disk or a closed stream is not reported."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _restore(kept: tuple[int, ...]) -> None:
    os.dup2(kept[0], 1)
    os.dup2(kept[1], 2)
    for handle in set(kept):
        os.close(handle)
