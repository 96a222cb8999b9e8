"""Segments → Parquet by hour, and windows → one Parquet file joined with outcomes.

Compaction commits by the rename of a Parquet file's side file, which names the segments that it holds; only then are
they deleted. Killed anywhere, no row is lost or read twice.
"""

import os
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from msgspec import json, to_builtins

from treadle.digest import of_bytes
from treadle.store.predictions.segments import OUTCOMES, PREDICTIONS, Frame, Results, hour_name, in_use, rows_of
from treadle.store.predictions.window import Source, Window, load, newest, sources, split_name
from treadle.store.scratch import replace_file, sync_folder, temporary

PART = 128 << 20  # bytes of segments that go into one Parquet file
KEEP_WINDOWS = 86400.0  # seconds
UNSEEN = ("shadow",)  # arms that a window leaves out: nobody saw their answers


def compact(folder: str, now: float, keep_days: int) -> list[str]:
    """Make Parquet of the segments of past hours whose writers are gone, and delete what is older than `keep_days`.

    Returns the Parquet files that were made. Call it from one process at a time; a second one does no harm.
    """
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    _retire(folder, names, now, keep_days)
    held = {name for source in sources(folder) for name in source.segments if source.path.endswith(".parquet")}
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        kind, hour = split_name(name) if name.endswith(".log") else ("", "")
        path = os.path.join(folder, name)
        if kind and os.path.exists(path):
            if name in held:
                os.unlink(path)  # a crash came between the commit and this
            elif hour < hour_name(int(now // 3600)) and not in_use(path):
                groups.setdefault((kind, hour), []).append(name)
    made = []
    for (kind, hour), group in groups.items():
        for part in _parts(folder, group):
            made += _compact(folder, kind, hour, part)
    return made


def write_window(window: Window, path: str, scratch: str) -> None:
    """Write the answered rows of a window, joined with their outcomes, as one Parquet file.

    Columns: the features, `prediction` (or `prediction.OUTPUT`), one per metric of the outcomes (`outcome.METRIC`
    where a feature has that name), and `_request_id`, `_row`, `_at`, `_version`, `_arm`, `_unit`, `_propensity`,
    `_latency_ms`, `_status`. An outcome by unit belongs to the unit's last prediction before it; of repeated
    outcomes the latest counts.
    """
    import pyarrow as pa  # lazy: 100 ms and 40 MiB that a server must not pay
    from pyarrow import parquet  # lazy: only a step that reads predictions needs it

    rows = [
        row
        for row in _rows(window, PREDICTIONS)
        if window.start <= row["_at"] <= window.end and row["_arm"] not in UNSEEN and row["_status"] == 200
    ]
    rows.sort(key=lambda row: (row["_at"], row["_request_id"], row["_row"]))
    join(rows, list(_rows(window, OUTCOMES)))
    for row in rows:
        row.pop("_shadow_of", None)
    part = temporary(scratch)
    parquet.write_table(_table(pa, rows), part)
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    os.rename(part, path)
    for name in os.listdir(folder):  # windows of the past are made again if ever they are asked for
        other = os.path.join(folder, name)
        with suppress(FileNotFoundError):
            if os.stat(other).st_mtime < os.stat(path).st_mtime - KEEP_WINDOWS:
                os.unlink(other)


def join(rows: Sequence[dict[str, Any]], outcomes: Iterable[dict[str, Any]]) -> None:
    """Put each outcome into the row that it belongs to; `rows` are in order of time."""
    by_request: dict[tuple[str, int], dict[str, Any]] = {}
    by_unit: dict[str, tuple[list[float], list[dict[str, Any]]]] = {}
    for known in rows:
        by_request[known["_request_id"], known["_row"]] = known
        times, own = by_unit.setdefault(known["_unit"], ([], []))
        times.append(known["_at"])
        own.append(known)
    features = {name for known in rows for name in known}
    for one in sorted(outcomes, key=lambda one: (one["at"], one["received"])):
        if one["request_id"]:
            row: dict[str, Any] | None = by_request.get((one["request_id"], one["row"]))
        else:
            times, own = by_unit.get(one["unit"], ([], []))
            place = bisect_right(times, one["at"])
            row = own[place - 1] if place else None
        if row is not None:
            name = one["metric"]
            row[f"outcome.{name}" if name in features else name] = one["value"]


def _rows(window: Window, kind: str) -> Iterable[dict[str, Any]]:
    for source in window.sources:
        if source.kind != kind:
            continue
        if source.path.endswith(".parquet"):
            yield from rows_in(source.path)
        else:
            yield from _plain(load(source.path)[0])


def rows_in(path: str) -> list[dict[str, Any]]:
    """The rows of one compacted file."""
    from pyarrow import parquet  # lazy: only compacted hours need it

    found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return found


def _plain(frames: Sequence[Frame]) -> Iterable[dict[str, Any]]:
    yield from rows_of(frames)
    for frame in frames:
        if isinstance(frame, Results):
            for record in frame.records:
                yield {name: getattr(record, name) for name in record.__struct_fields__}


def _retire(folder: str, names: Sequence[str], now: float, keep_days: int) -> None:
    oldest = hour_name(int(now // 3600) - 24 * keep_days)
    for name in names:
        kind, hour = split_name(name)
        path = os.path.join(folder, name)
        if kind and hour < oldest and (not name.endswith(".log") or not in_use(path)):
            with suppress(FileNotFoundError):
                os.unlink(path)


def _parts(folder: str, names: Sequence[str]) -> Iterable[list[str]]:
    part: list[str] = []
    size = 0
    for name in names:
        part.append(name)
        size += os.path.getsize(os.path.join(folder, name))
        if size > PART:
            yield part
            part, size = [], 0
    if part:
        yield part


def _compact(folder: str, kind: str, hour: str, names: Sequence[str]) -> list[str]:
    import pyarrow as pa  # lazy: 100 ms and 40 MiB; this runs in a process of its own
    from pyarrow import parquet  # lazy: likewise

    rows: list[dict[str, Any]] = []
    segments: dict[str, str] = {}
    last = 0.0
    for name in names:
        frames, data = load(os.path.join(folder, name))
        rows += _plain(frames)
        segments[name] = of_bytes(data)
        last = max(last, newest(frames))
    made = []
    if rows:
        path = os.path.join(folder, f"{kind}-{hour}-{of_bytes(repr(sorted(segments)).encode())[:8]}.parquet")
        part = path + ".part"
        parquet.write_table(_table(pa, rows), part)
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.rename(part, path)
        source = Source(path, kind, hour, segments, last)
        replace_file(path + ".json", json.encode(to_builtins(source)), folder)
        sync_folder(folder)
        made.append(path)
    for name in names:
        os.unlink(os.path.join(folder, name))
    return made


def _table(pa: Any, rows: Sequence[dict[str, Any]]) -> Any:
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # versions or callers that disagree on a column's type
            columns[name] = pa.array([None if value is None else str(value) for value in values])
    return pa.table(columns)
