"""A pseudo-terminal: what is written to it, and what a person would see."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading
import tty
from types import TracebackType
from typing import TextIO

ESCAPE = re.compile(r"\033\[(\d*)([A-Za-z])")


class Terminal:
    """`stream` is a text stream that is a terminal; `written` are the pieces in which it was written to."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self._ours, theirs = pty.openpty()
        tty.setraw(theirs)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.columns = columns
        self.handle = theirs
        self.stream: TextIO = os.fdopen(os.dup(theirs), "w", encoding="utf-8", newline="")
        self._pieces: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def end(self) -> str:
        """Close it and return all that was written."""
        if not self.stream.closed:
            self.stream.close()
            os.close(self.handle)
            self._reader.join(10)
            os.close(self._ours)
        return b"".join(self._pieces).decode()

    def screen(self) -> list[str]:
        """The lines as they stand at the end, after everything that moved the cursor."""
        return replay(self.end())[0]

    def widest(self) -> int:
        """The greatest number of columns that any line ever took."""
        return replay(self.end())[1]

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._ours, 1 << 16)
            except OSError:
                return
            if not data:
                return
            self._pieces.append(data)


def replay(text: str) -> tuple[list[str], int]:
    """What a terminal without an edge would show of a text, and the width of its widest line at any time."""
    rows: list[list[str]] = [[]]
    row = column = widest = 0
    position = 0
    while position < len(text):
        escape = ESCAPE.match(text, position)
        sign = text[position]
        position = escape.end() if escape else position + 1
        if escape:
            if escape[2] == "A":
                row = max(0, row - int(escape[1] or 1))
            elif escape[2] == "K":
                del rows[row][column:]
            elif escape[2] == "J":
                del rows[row][column:]
                del rows[row + 1 :]
        elif sign == "\r":
            column = 0
        elif sign == "\n":
            row, column = row + 1, 0
            if row == len(rows):
                rows.append([])
        else:
            rows[row][column : column + 1] = [sign]
            column += 1
            widest = max(widest, column)
    return ["".join(line).rstrip() for line in rows], widest
