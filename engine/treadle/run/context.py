"""`ctx`: how a step tells what it measures while it runs.

It appends lines to a file beside the step's log, which the run reads along; nothing waits for anybody. A process that
dies has told what it told. Series are thinned out here already, so that the file has an end whatever the step does.
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from operator import index
from typing import Any

from msgspec import json

from treadle.domain.task import Task
from treadle.domain.track import (
    CELL,
    COLUMNS,
    MOST,
    NOTE,
    NOTES,
    ROWS,
    SHOWN,
    Began,
    Done,
    Line,
    Note,
    Plot,
    Point,
    Table,
    stride_of,
)
from treadle.errors import StepError
from treadle.executors.output import Mask

OFTEN = 0.2  # seconds after which a value is told even if the thinned series would leave it out
SERIES = 200  # metrics that are followed as series; of further ones the last value counts all the same

_encode = json.Encoder().encode


class Context:
    """What a step gets as `ctx`; an item of a step with `foreach` keeps no track, and of each metric its last value.

    Raises StepError for a value that cannot be shown, never for a full disk: a step does not fail for its track.
    """

    def __init__(self, task: Task, mask: Mask) -> None:
        self.last: dict[str, float] = {}
        self._mask = mask
        self._file = -1
        self._series: dict[str, _Series] = {}
        self._told_at = 0.0
        self._progress: Done | None = None
        self._notes = 0
        self._shown: set[str] = set()
        if task.track and not task.items:
            self._open(task)

    def metric(self, name: str, value: Any, step: Any = None) -> None:
        """One value of a metric at a step of the work, such as an epoch; without `step` they are counted from 0.

        The last value is a metric of the step, unless the step returns one of that name.
        """
        figure = number(value)
        if figure is None:
            raise StepError(f"ctx.metric: '{name}' is a {type(value).__name__}, not a number")
        if type(name) is not str:
            raise StepError(f"ctx.metric: a name is a text, not a {type(name).__name__}")
        series = self._series.get(name)
        if series is None:
            self._series[name] = series = _Series(self._mask.text(name)[:200], len(self._series) < SERIES)
        at = series.next if step is None else _whole(name, step)
        self.last[series.name] = figure
        point = series.take(at, figure, time.time())
        if point is not None:
            self._tell(point)

    def progress(self, done: Any, total: Any = 0) -> None:
        """How far the step is: `done` of `total`, 0 when the total is not known."""
        counted, whole = number(done), number(total)
        if counted is None or whole is None:
            raise StepError("ctx.progress takes two numbers: how much is done, and how much there is")
        now = Done(time.time(), counted, whole)
        if now.at - self._told_at >= OFTEN or (whole and counted >= whole):
            self._told_at = now.at
            self._progress = None
            self._tell(now)
        else:
            self._progress = now

    def log(self, text: Any) -> None:
        """A line for the step's log; the first hundred are kept with the step's record too."""
        line = str(text)
        sys.stdout.write(f"{line}\n")
        self._notes += 1
        if self._notes <= NOTES:
            self._tell(Note(time.time(), self._mask.text(line)[:NOTE]))

    def table(self, name: str, rows: Any) -> None:
        """A table for the report: a data frame, an Arrow table, a list of mappings, or columns by name."""
        head, found, count = _table(name, rows)
        if self._room(f"table {name}"):
            masked = tuple(tuple(self._mask.text(_cell(cell)) for cell in row) for row in found)
            names = tuple(self._mask.text(_cell(one)) for one in head)
            self._tell(Table(time.time(), self._mask.text(name), names, masked, max(0, count - len(masked))))

    def plot(self, name: str, points: Any) -> None:
        """A picture for the report: [x, y] pairs, or such lists by name."""
        given = points if isinstance(points, Mapping) else {"": points}
        lines = {self._mask.text(str(key)): _points(name, one) for key, one in list(given.items())[:SHOWN]}
        if self._room(f"plot {name}"):
            self._tell(Plot(time.time(), self._mask.text(name), lines))

    def close(self) -> None:
        """Tell the last value of every series, and close the file."""
        for series in self._series.values():
            if series.untold is not None:
                self._tell(series.untold)
        if self._progress is not None:
            self._tell(self._progress)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self, task: Task) -> None:
        try:
            os.makedirs(os.path.dirname(task.track), exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(task.track, flags, 0o644)
        except OSError:
            return
        self._tell(Began(time.time(), task.step_id, task.attempt))

    def _tell(self, line: Line) -> None:
        if self._file >= 0:
            try:
                os.write(self._file, _encode(line) + b"\n")
            except OSError:
                os.close(self._file)
                self._file = -1

    def _room(self, name: str) -> bool:
        self._shown.add(name)
        return len(self._shown) <= 2 * SHOWN


class _Series:
    """One metric: which of its values are told, every one at first, then every second, fourth, …"""

    def __init__(self, name: str, told: bool) -> None:
        self.name = name
        self.next = 0
        self.untold: Point | None = None
        self._told = told
        self._index = 0
        self._stride = 1
        self._told_at = 0.0

    def take(self, step: int, value: float, now: float) -> Point | None:
        """The value as a point to tell now, or None."""
        at = self._index
        self.next, self._index = step + 1, at + 1
        if not self._told:
            return None
        if at // self._stride >= MOST:
            self._stride = stride_of(at)
        point = Point(now, self.name, step, value, at)
        if at % self._stride == 0 or now - self._told_at >= OFTEN:
            self._told_at = now
            self.untold = None
            return point
        self.untold = point
        return None


def number(value: Any) -> float | None:
    """A number as a float, also a scalar of numpy or an array without dimensions; None for everything else."""
    if getattr(value, "shape", None) in ((), (1,)) and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _whole(name: str, step: Any) -> int:
    if isinstance(step, float) and step.is_integer():
        return int(step)
    try:
        return index(step)
    except TypeError:
        text = f"ctx.metric: step of '{name}' is {step!r}"
        raise StepError(text, "a step is a whole number, such as that of an epoch") from None


def _table(name: str, rows: Any) -> tuple[Sequence[Any], list[Sequence[Any]], int]:
    """The head, the first rows and the number of all rows."""
    if hasattr(rows, "to_pydict"):  # Arrow
        count, rows = rows.num_rows, rows.slice(0, ROWS).to_pydict()
    elif hasattr(rows, "to_dicts"):  # polars
        count, rows = rows.height, rows.head(ROWS).to_dicts()
    elif hasattr(rows, "iloc"):  # pandas
        frame = rows.to_frame() if not hasattr(rows, "columns") else rows
        counted = type(frame.index).__name__ == "RangeIndex"
        count, frame = len(frame), frame.head(ROWS)
        rows = (frame if counted else frame.reset_index()).to_dict("records")
    else:
        count = -1
    if isinstance(rows, Mapping) and all(isinstance(v, Sequence) and not isinstance(v, str) for v in rows.values()):
        head = list(rows)[:COLUMNS]
        count = max([count, *(len(rows[one]) for one in rows)])
        return head, list(zip(*(rows[one][:ROWS] for one in head), strict=False)), count
    if isinstance(rows, Sequence) and all(isinstance(row, Mapping) for row in rows):
        head = list(dict.fromkeys(key for row in rows[:ROWS] for key in row))[:COLUMNS]
        return head, [[row.get(one, "") for one in head] for row in rows[:ROWS]], max(count, len(rows))
    raise StepError(f"ctx.table: '{name}' is a {type(rows).__name__}", "give a data frame or a list of mappings")


def _cell(value: Any) -> str:
    return (f"{value:.6g}" if isinstance(value, float) else str(value))[:CELL]


def _points(name: str, points: Any) -> list[tuple[float, float]]:
    found = []
    try:
        given = list(points)
        for x, y in given[:: 1 + len(given) // MOST]:
            pair = number(x), number(y)
            if pair[0] is None or pair[1] is None:
                raise TypeError
            found.append((pair[0], pair[1]))
    except (TypeError, ValueError):
        raise StepError(
            f"ctx.plot: '{name}' is no list of points", "give [x, y] pairs, or such lists by name"
        ) from None
    return found
