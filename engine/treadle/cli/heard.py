"""How far running steps are, a line each: items or what they say themselves, the time left, metrics with a curve."""

import time
from collections import deque
from math import isfinite

from treadle.cli.live import bar
from treadle.domain.event import Event, Metric, StepAdvanced, StepFailed, StepFinished, StepProgress, StepRetried
from treadle.domain.track import Track
from treadle.quantity import format_duration

CURVE = 16  # points of a small curve
METRICS = 3  # of a step in a line
SIGNS = "▁▂▃▄▅▆▇█"


class Heard:
    """Takes events of a run and knows the latest of each running step."""

    def __init__(self) -> None:
        self._steps: dict[str, _Step] = {}

    def take(self, event: Event) -> None:
        """Take one event; those that are about something else are passed over."""
        if isinstance(event, StepAdvanced):
            self._of(event.step).advance(event.done, event.total)
        elif isinstance(event, StepProgress):
            self._of(event.step).items(event)
        elif isinstance(event, Metric):
            for _, value in event.points:
                self._of(event.step).measure(event.name, value)
        elif isinstance(event, StepFinished | StepFailed | StepRetried):
            self._steps.pop(event.step, None)

    def lines(self, most: int) -> list[str]:
        """The lines of the first steps that said something."""
        return [f"{name}  {step.line()}" for name, step in list(self._steps.items())[:most]]

    def _of(self, step: str) -> "_Step":
        if step not in self._steps:
            self._steps[step] = _Step()
        return self._steps[step]


class _Step:
    def __init__(self) -> None:
        self._done = self._total = 0.0
        self._first: tuple[float, float] | None = None  # when it first said how far it was, and how far
        self._series: dict[str, deque[float | None]] = {}
        self._fates = ""

    def items(self, event: StepProgress) -> None:
        self.advance(event.hit + event.run + event.failed, event.total)
        fates = (f"{event.hit} hit" if event.hit else "", f"{event.failed} failed" if event.failed else "")
        self._fates = ", ".join(filter(None, ("items", *fates)))

    def advance(self, done: float, total: float) -> None:
        if self._first is None or done < self._done:
            self._first = (time.monotonic(), done)
        self._done, self._total = done, total

    def measure(self, name: str, value: float | None) -> None:
        self._series.setdefault(name, deque(maxlen=CURVE)).append(value)

    def line(self) -> str:
        series = [f"{name} {figure(values[-1])} {curve(list(values))}" for name, values in self._series.items()]
        far = [_far(self._done, self._total) + (f" {self._fates}" if self._fates else "") + self._left()]
        return "  ".join(part for part in [*(far if self._first else ()), *series[:METRICS]] if part)

    def _left(self) -> str:
        if self._first is None or not self._total or self._done <= self._first[1]:
            return ""
        took = time.monotonic() - self._first[0]
        left = took * (self._total - self._done) / (self._done - self._first[1])
        return f", about {format_duration(left)} left" if left > 1 else ""


def told(track: Track) -> str:
    """What a step that runs has told so far, in one line."""
    far = _far(track.progress.done, track.progress.total) if track.progress else ""
    series = [
        f"{name} {figure(points[-1].value)} {curve([p.value for p in points])}" for name, points in track.series.items()
    ]
    return "  ".join(part for part in [far, *series[:METRICS]] if part)


def figure(value: float | None) -> str:
    """A value of a metric in short."""
    return "nan" if value is None else f"{value:.4g}"


def curve(values: list[float | None]) -> str:
    """A line of values as signs of eight heights, evenly chosen where there are many; nothing for one value."""
    chosen = [values[i * (len(values) - 1) // (CURVE - 1)] for i in range(CURVE)] if len(values) > CURVE else values
    known = [value for value in chosen if value is not None and isfinite(value)]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    scale = (len(SIGNS) - 1) / (high - low) if high > low else 0.0
    return "".join(
        " " if value is None or not isfinite(value) else SIGNS[round((value - low) * scale)] for value in chosen
    )


def _far(done: float, total: float) -> str:
    return f"{bar(int(done), int(total), 12)} {_short(done)}/{_short(total)}" if total else _short(done)


def _short(count: float) -> str:
    return str(int(count)) if count == int(count) else f"{count:g}"
