"""What happens during a run: one line that moves on a terminal, one line per step elsewhere."""

import time
from typing import TextIO

from treadle.domain import event as events
from treadle.quantity import format_duration


class Progress:
    """Listens to the events of a run and writes to `stream`; changes nothing."""

    def __init__(self, stream: TextIO, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._live = stream.isatty() and not quiet
        self._total = 0
        self._ended = 0
        self._began = time.monotonic()
        self._expected: float | None = None
        self._running: dict[str, float] = {}
        self._drawn = 0.0

    def notify(self, event: events.Event) -> None:
        """Take one event."""
        if isinstance(event, events.RunStarted):
            self._total, self._expected = event.steps, event.expected
        elif isinstance(event, events.StepStarted):
            self._running[event.step] = time.monotonic()
            again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
            self._tell(f"run   {event.step}{again}: {event.reason}")
        elif isinstance(event, events.StepFinished):
            self._end(event.step)
        elif isinstance(event, events.StepCached | events.StepSkipped):
            self._ended += 1
        elif isinstance(event, events.StepRetried):
            self._tell(f"again {event.step} in {format_duration(event.wait)}: {event.failure.message.splitlines()[0]}")
        elif isinstance(event, events.StepFailed):
            self._end(event.step)
        elif isinstance(event, events.Notice):
            self._tell(f"note  {event.text}")
        self._draw()

    def close(self) -> None:
        """Remove the moving line."""
        if self._live:
            self._stream.write("\r\033[K")
            self._stream.flush()

    def _end(self, step: str) -> None:
        self._running.pop(step, None)
        self._ended += 1

    def _tell(self, line: str) -> None:
        if not self._quiet:
            clear = "\r\033[K" if self._live else ""
            self._stream.write(f"{clear}{line}\n")

    def _draw(self) -> None:
        now = time.monotonic()
        if not self._live or (now - self._drawn < 0.05 and self._ended < self._total):
            return
        self._drawn = now
        filled = 24 * self._ended // max(1, self._total)
        left = ""
        if self._expected is not None:
            rest = self._expected - (now - self._began)
            left = f", about {format_duration(rest)} left" if rest > 1 else ""
        busy = ", ".join(list(self._running)[:3]) + (" …" if len(self._running) > 3 else "")
        bar = "━" * filled + "─" * (24 - filled)
        self._stream.write(f"\r\033[K{bar} {self._ended}/{self._total}{left}  {busy}")
        self._stream.flush()
