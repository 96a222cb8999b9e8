"""What a step tells while it runs: metrics by step, how far it is, lines, tables and plots."""

from msgspec import Struct

MOST = 1000  # points that are kept of one series, its last one besides
NOTES, NOTE = 100, 2000  # lines that are kept, and the characters of one
SHOWN = 20  # tables, and as many plots
ROWS, COLUMNS, CELL = 50, 20, 100  # of a table: rows, columns, characters


class Told(Struct, frozen=True):
    """Common to all that is told; `at` is in seconds since the epoch."""

    at: float


class Began(Told, frozen=True, tag="began", tag_field="is"):
    """The first of an attempt."""

    step: str
    attempt: int


class Point(Told, frozen=True, tag="metric", tag_field="is"):
    """One value of a metric at `step`, the `index`th that was told; a value that is no number is None."""

    name: str
    step: int
    value: float | None
    index: int


class Done(Told, frozen=True, tag="progress", tag_field="is"):
    """How far the step is; `total` is 0 when that is not known."""

    done: float
    total: float


class Note(Told, frozen=True, tag="note", tag_field="is"):
    """A line of text."""

    text: str


class Table(Told, frozen=True, tag="table", tag_field="is"):
    """The first rows of a table, as texts under `head`; `rows_left` were left out."""

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    rows_left: int = 0


class Plot(Told, frozen=True, tag="plot", tag_field="is"):
    """Lines through points, by name."""

    name: str
    lines: dict[str, list[tuple[float, float]]]


Line = Began | Point | Done | Note | Table | Plot


class Track(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that one attempt told; `series` are thinned out, `progress` is the last one."""

    step: str = ""
    attempt: int = 0
    series: dict[str, tuple[Point, ...]] = {}
    progress: Done | None = None
    notes: tuple[Note, ...] = ()
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()


def stride_of(index: int) -> int:
    """Every how many points one is kept, for a series that has come to `index`: a power of two."""
    stride = 1
    while index // stride >= MOST:
        stride *= 2
    return stride


def thinned(points: list[Point]) -> tuple[Point, ...]:
    """At most MOST of the points, evenly spread over their indexes, and the last one."""
    if not points:
        return ()
    stride = stride_of(points[-1].index)
    kept = [point for point in points if point.index % stride == 0]
    return tuple(kept if kept and kept[-1] is points[-1] else [*kept, points[-1]])


def track_of(lines: list[Line]) -> Track:
    """The lines of the last attempt, put together."""
    starts = [number for number, line in enumerate(lines) if isinstance(line, Began)]
    lines = lines[starts[-1] :] if starts else lines
    series: dict[str, list[Point]] = {}
    progress: Done | None = None
    tables: dict[str, Table] = {}
    plots: dict[str, Plot] = {}
    for line in lines:
        if isinstance(line, Point):
            series.setdefault(line.name, []).append(line)
        elif isinstance(line, Done):
            progress = line
        elif isinstance(line, Table):
            tables[line.name] = line
        elif isinstance(line, Plot):
            plots[line.name] = line
    began = next((line for line in lines if isinstance(line, Began)), None)
    return Track(
        step=began.step if began else "",
        attempt=began.attempt if began else 0,
        series={name: thinned(points) for name, points in series.items()},
        progress=progress,
        notes=tuple(line for line in lines if isinstance(line, Note)),
        tables=tuple(tables.values()),
        plots=tuple(plots.values()),
    )
