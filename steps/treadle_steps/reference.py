"""What current rows are compared with: a table, or the card of a model version; its bins, history and seasons."""

import json
import os
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from treadle.authoring import StepError
from treadle_steps import psi, windows
from treadle_steps.refusals import table

HISTORY = 5  # windows of a reference below which they say nothing of how windows vary
WEEK, HOUR = 604_800.0, 3600.0
LEAST_WEEKS = 4


class Reference(NamedTuple):
    """Frozen profiles by column, and counts of the reference's own windows (starts, and counts by column)."""

    profiles: dict[str, dict[str, Any]]
    starts: list[float]
    history: dict[str, list[list[int]]]
    importance: dict[str, float] | None
    frame: pd.DataFrame | None


def read(reference: Any, columns: list[str] | None, at: str | None, every: float, min_rows: int) -> Reference:
    """The reference of a table or card; a table's own windows are profiled when it has the column `at`."""
    reference = opened(reference)
    if isinstance(reference, dict):
        profile = reference.get("profile")
        if not isinstance(profile, dict) or not profile:
            raise StepError(
                "the reference is a mapping without a profile", "give deploy.model a reference, or give a table"
            )
        past = reference.get("history") or {"starts": [], "counts": {}}
        return Reference(profile, past["starts"], past["counts"], reference.get("importance"), None)
    frame = table(reference, "reference")
    names = [str(name) for name in frame.columns if columns is None or name in columns]
    profiles = {name: psi.freeze(frame[name]) for name in names}
    starts, history = past_windows(frame, profiles, at, every, min_rows)
    return Reference(profiles, starts, history, None, frame)


def opened(reference: Any) -> Any:
    """A card that came as the path of a JSON file, as `data: {model: …}` hands it over; anything else as it is."""
    if not isinstance(reference, str | os.PathLike) or not str(reference).endswith(".json"):
        return reference
    try:
        with open(reference, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise StepError(f"the reference {reference} cannot be read: {error}") from None


def past_windows(
    frame: pd.DataFrame, profiles: dict[str, dict[str, Any]], at: str | None, every: float, min_rows: int
) -> tuple[list[float], dict[str, list[list[int]]]]:
    """Starts and counts by column of the windows of a table; none without a time column."""
    if at is None or at not in frame.columns or not every:
        return [], {}
    made = windows.cut(windows.stamps(frame[at]), every, 0.0, min_rows)
    counts = {name: psi.count_slices(bins, frame[name], made.slices, made.order) for name, bins in profiles.items()}
    return made.starts, counts


def between(reference: Reference, column: str, season: bool) -> float:
    """How much a column's windows differ anyway, 0 when there are too few to say; in a `season`, those of one hour of
    the week."""
    past = reference.history.get(column, [])
    if len(past) < HISTORY:
        return 0.0
    return psi.between_windows(past, [int(start // HOUR) % 168 for start in reference.starts] if season else None)


def seasonal(reference: Reference, every: float) -> bool:
    """Whether the reference's own windows reach over four weeks, so that each hour of the week was seen four times."""
    starts = reference.starts
    return bool(starts) and starts[-1] + 2 * every - starts[0] >= LEAST_WEEKS * WEEK  # the last one is not complete


def season(reference: Reference, column: str, start: float, end: float, min_rows: int) -> list[int] | None:
    """The counts of the reference's windows at the same hours of the week, or None when these are too few."""
    hours = {int(hour) % 168 for hour in np.arange(start // HOUR, max(end // HOUR, start // HOUR + 1))}
    past = reference.history.get(column, [])
    same = [counts for begin, counts in zip(reference.starts, past, strict=True) if int(begin // HOUR) % 168 in hours]
    total = np.sum(same, axis=0) if same else np.zeros(1)
    return [int(number) for number in total] if total.sum() >= min_rows else None


def rolling(starts: list[float], counts: list[list[int]], start: float, span: float, lag: float) -> list[int] | None:
    """The counts of the windows between `span` and `lag` before this one, or None when there are none."""
    before = [c for begin, c in zip(starts, counts, strict=True) if start - lag - span <= begin < start - lag]
    return [int(number) for number in np.sum(before, axis=0)] if before else None
