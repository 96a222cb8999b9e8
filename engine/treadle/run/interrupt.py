"""Ctrl-C and SIGTERM during a run: the first one ends it in order, the second one now.

A signal must not tear apart what belongs together, such as an outcome and its record: it raises
KeyboardInterrupt only where the run waits, or when it comes again.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Active inside `with`; elsewhere than in the main thread signals stay as they were."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before = signal.getsignal(number)
                if before is signal.SIG_IGN or (number == signal.SIGTERM and before is signal.SIG_DFL):
                    continue  # nohup; a notebook's host, which TERM should end
                self._before[number] = signal.signal(number, self._received)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has come."""
        if self._count:
            raise KeyboardInterrupt

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside, a signal raises KeyboardInterrupt at once."""
        self._waiting = True
        try:
            self.check()
            yield
        finally:
            self._waiting = False

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._waiting or self._count > 1:
            self._waiting = False
            raise KeyboardInterrupt
