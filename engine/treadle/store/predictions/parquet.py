"""Segments → Parquet by hour, and windows → one Parquet file joined with outcomes.

This module needs Arrow (100 ms, 40 MiB): whoever need not read or compact imports it late.

Compaction commits by the rename of a Parquet file's side file, which names the segments that it holds; only then are
they deleted. Killed anywhere, no row is lost or read twice.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import json, to_builtins
from pyarrow import parquet

from treadle.digest import of_bytes
from treadle.domain.serving import Outcome
from treadle.store.predictions.columns import KINDS, OWN, RESULTS, answers, results, results_of, stacked
from treadle.store.predictions.outcomes import join
from treadle.store.predictions.segments import OUTCOMES, PREDICTIONS, hour_name, in_use, newest
from treadle.store.predictions.window import Source, Window, load, sources, split_name
from treadle.store.scratch import replace_file, sync_folder, temporary

PART = 128 << 20  # bytes of segments that go into one Parquet file
KEEP_WINDOWS = 86400.0  # seconds
UNSEEN = "shadow"  # the arm that a window leaves out: nobody saw its answers
ORDER = ("_at", "_request_id", "_row")


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
    rows = stacked([OWN.empty_table(), *(_answered(window, one) for one in window.sources if one.kind == PREDICTIONS)])
    rows = rows.take(pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in ORDER]))
    told = stacked([RESULTS.empty_table(), *(_told(one) for one in window.sources if one.kind == OUTCOMES)])
    rows = join(rows, told).drop_columns("_shadow_of")
    part = temporary(scratch)
    parquet.write_table(rows, part)
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    os.rename(part, path)
    for name in os.listdir(folder):  # windows of the past are made again if ever they are asked for
        other = os.path.join(folder, name)
        with suppress(FileNotFoundError):
            if os.stat(other).st_mtime < os.stat(path).st_mtime - KEEP_WINDOWS:
                os.unlink(other)


def rows_in(path: str) -> list[dict[str, Any]]:
    """The rows of one compacted file of predictions."""
    found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return found


def outcomes_in(path: str) -> list[Outcome]:
    """The outcomes of one compacted file."""
    found = []
    for row in results_of(parquet.read_table(path)).to_pylist():
        value = next(row.pop(kind) for kind in KINDS if row[kind] is not None)
        found.append(Outcome(value=value, **{name: row[name] for name in row if name not in KINDS}))
    return found


def _answered(window: Window, source: Source) -> pa.Table:
    packed = source.path.endswith(".parquet")
    rows = parquet.read_table(source.path) if packed else answers(load(source.path)[0])
    within = pc.and_(pc.greater_equal(rows["_at"], window.start), pc.less_equal(rows["_at"], window.end))
    seen = pc.and_(pc.not_equal(rows["_arm"], UNSEEN), pc.equal(rows["_status"], 200))
    return rows.filter(pc.and_(within, seen))


def _told(source: Source) -> pa.Table:
    packed = source.path.endswith(".parquet")
    return results_of(parquet.read_table(source.path)) if packed else results(load(source.path)[0])


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
    tables = []
    segments: dict[str, str] = {}
    last = 0.0
    for name in names:
        frames, data = load(os.path.join(folder, name))
        tables.append(answers(frames) if kind == PREDICTIONS else results(frames))
        segments[name] = of_bytes(data)
        last = max(last, newest(data)[0])
    rows = stacked(tables)
    made = []
    if len(rows):
        path = os.path.join(folder, f"{kind}-{hour}-{of_bytes(repr(sorted(segments)).encode())[:8]}.parquet")
        part = path + ".part"
        parquet.write_table(rows, part)
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
