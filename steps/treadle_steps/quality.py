"""Is the data whole? Asked before anything is called drift: retraining on broken data is worse than no retraining."""

from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd

from treadle_steps import reference as past
from treadle_steps.refusals import is_moment, is_number, need_plain
from treadle_steps.source import Source, need, open_source
from treadle_steps.windows import cut, seconds, stamps


class QualityMetrics(TypedDict):
    """Whether retraining is blocked (1 or 0), how many checks failed, and the rows of the last window."""

    blocked: float
    failed: float
    rows: float


class Quality(NamedTuple):
    """Each check that failed, in a sentence, and the figures."""

    report: dict[str, Any]
    metrics: QualityMetrics


def quality(
    reference: Any,
    current: Any,
    *,
    columns: list[str] | None = None,
    at: str | None = None,
    window: str = "1h",
    lateness: str = "0s",
    min_rows: int = 1,
    missing_jump: float = 0.05,
    unseen: float = 0.01,
    frozen: bool = True,
    volume_drop: float = 0.5,
    max_age: str | None = None,
    now: float | None = None,
) -> Quality:
    """Find columns that are gone, changed their kind, are missing more often, hold new values or stand still.

    With `at`, the last window is looked at, and it must hold at least `volume_drop` of the rows that windows usually
    have (those of the same hour of the day, when there are three of them). With `max_age` and `now` (seconds since the
    epoch), the newest row must be no older. One failed check blocks retraining: the metric `blocked` is 1.
    `reference` is a table or a card of `deploy.model`, `current` a table or Parquet. Raises StepError for bad input.

    Example:

        quality:
          uses: monitor.quality
          in: {reference: split.test, current: data.live}
          with: {at: ts, window: 1d, columns: [zone, demand, drivers, rain]}
    """
    source = open_source(current, "current")
    before = past.read(reference, columns, None, 0.0, 1)
    chosen = [name for name in before.profiles if columns is None or name in columns]
    failures: list[dict[str, Any]] = []
    part, order, rows = slice(0, source.rows), None, source.rows
    if at is not None:
        need(source, at, "at:")
        times = stamps(source.column(at))
        made = cut(times, seconds(window, "window"), seconds(lateness, "lateness"), min_rows)
        failures += _age(float(times.max()), max_age, now)
        if made.slices:
            part, order = made.slices[-1], made.order
            rows = part.stop - part.start
            failures += _volume([s.stop - s.start for s in made.slices], made.starts, volume_drop)
    for name in chosen:
        if name == at:
            continue
        if name not in source.names:
            failures.append(_failure(name, "schema", 1.0, 0.0, f"'{name}' is gone"))
            continue
        column = _rows(source, name, part, order)
        failures += _column(before.profiles[name], column, missing_jump, unseen, frozen)
    report = {"blocked": bool(failures), "failures": failures, "columns": chosen}
    return Quality(report, QualityMetrics(blocked=float(bool(failures)), failed=float(len(failures)), rows=float(rows)))


def _rows(source: Source, name: str, part: slice, order: Any) -> pd.Series:
    column = source.column(name)
    return column.iloc[part] if order is None else column.iloc[order[part]]


def _column(
    profile: dict[str, Any], column: pd.Series, missing_jump: float, unseen: float, frozen: bool
) -> list[dict[str, Any]]:
    name, rows = str(column.name), max(1, len(column))
    kind = "moment" if is_moment(column) else "number" if is_number(column) else "text"
    if kind != profile["kind"] and column.notna().any():
        return [_failure(name, "schema", 1.0, 0.0, f"'{name}' was {profile['kind']} and is {kind} now")]
    found = []
    before = profile["counts"][-1] / max(1, sum(profile["counts"]))
    missing = float(column.isna().mean()) if len(column) else 0.0
    if missing - before > missing_jump:
        text = f"'{name}' is missing in {missing:.1%} of the rows, before in {before:.1%}"
        found.append(_failure(name, "missing", missing - before, missing_jump, text))
    need_plain(column)
    known = column.dropna()
    if "values" in profile and profile["rest"] is not None and len(known):
        seen = {str(value) for value in (*profile["values"], *profile["rest"])}
        new = float((~known.astype(str).isin(seen)).sum() / rows) if kind == "text" else 0.0
        if new > unseen:
            found.append(_failure(name, "unseen", new, unseen, f"{new:.1%} of '{name}' are values never seen before"))
    varied = sum(count > 0 for count in profile["counts"][:-1]) > 1
    if frozen and varied and len(known) >= 30 and known.nunique() == 1:
        text = f"'{name}' stands still at {known.iloc[0]!r}, and it did vary"
        found.append(_failure(name, "frozen", 1.0, 0.0, text))
    return found


def _volume(rows: list[int], starts: list[float], drop: float) -> list[dict[str, Any]]:
    """The last window against the median of those before, of the same hour of the day where there are three."""
    past_rows = list(zip(rows[:-1], starts[:-1], strict=True))
    if not past_rows:
        return []
    hour = int(starts[-1] // 3600) % 24
    same = [count for count, start in past_rows if int(start // 3600) % 24 == hour]
    usual = float(np.median(same if len(same) >= 3 else [count for count, _ in past_rows]))
    if rows[-1] >= drop * usual:
        return []
    text = f"the last window has {rows[-1]:,} rows, where {usual:,.0f} are usual"
    return [_failure("", "volume", rows[-1] / usual, drop, text)]


def _age(newest: float, max_age: str | None, now: float | None) -> list[dict[str, Any]]:
    if max_age is None or now is None:
        return []
    age, limit = now - newest, seconds(max_age, "max_age")
    return [_failure("", "late", age, limit, f"the newest row is {age:,.0f} s old")] if age > limit else []


def _failure(column: str, check: str, value: float, limit: float, text: str) -> dict[str, Any]:
    return {"column": column, "check": check, "value": float(value), "limit": float(limit), "text": text}
