"""Lines at the end of a terminal that are drawn again and again, and never wider than it."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from treadle.cli.width import cut

PERIOD = 0.1  # seconds between two drawings: what is quicker only flickers
BAR = 24
FULL, EMPTY = "━", "─"


class Live:
    """Calls `draw(width)` for the lines now and then, and writes them over the last ones; nothing off a terminal."""

    def __init__(self, stream: TextIO, draw: Callable[[int], list[str]], on: bool = True) -> None:
        self.on = on and stream.isatty()
        self._stream = stream
        self._draw = draw
        self._lines = 0
        self._drawn = 0.0
        self.lock = threading.RLock()
        self._stopped = threading.Event()
        if self.on:
            threading.Thread(target=self._tick, daemon=True, name="progress").start()

    def tell(self, line: str) -> None:
        """A line that stays, above those that move."""
        with self.lock:
            if not self.on:
                self._write(line + "\n")
                return
            self._write(self._erased() + cut(line, self._width()) + "\n")
            self._drawn = 0.0

    def update(self) -> None:
        """Draw again, unless that was just done."""
        if self.on and not self._stopped.is_set() and time.monotonic() - self._drawn >= PERIOD:
            with self.lock:
                width = self._width()
                lines = [cut(line, width) for line in self._draw(width)]
                # one write, so that the terminal never shows half of it
                self._write(self._erased() + "\n".join(lines))
                self._lines = len(lines)
                self._drawn = time.monotonic()

    def close(self) -> None:
        """Take the moving lines away."""
        with self.lock:
            if self.on and not self._stopped.is_set():
                self._stopped.set()
                self._write(self._erased())

    def _write(self, text: str) -> None:
        """What cannot be shown is left out: a log on a full disk must not end the run that it tells of."""
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()

    def _erased(self) -> str:
        """Back to the first moving line, and clear from there on."""
        up, self._lines = self._lines, 0
        return "" if not up else (f"\r\033[{up - 1}A" if up > 1 else "\r") + "\033[J"

    def _tick(self) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone: nobody is left to look
            while not self._stopped.wait(0.5):
                self.update()

    def _width(self) -> int:
        return width_of(self._stream)


def width_of(stream: TextIO) -> int:
    """The columns that a line may take, one less than the terminal has, so that it never wraps."""
    try:
        return max(20, os.get_terminal_size(stream.fileno()).columns or 80) - 1
    except (OSError, ValueError):
        from shutil import get_terminal_size  # lazy: 2 ms, only where there is no terminal

        return get_terminal_size((80, 24)).columns - 1


def bar(done: int, total: int, length: int = BAR) -> str:
    """How much is done, as a line of `length` signs."""
    filled = min(length, length * done // max(1, total))
    return FULL * filled + EMPTY * (length - filled)
