"""The cache: key → what the step made, with the manifest of the key."""

from typing import Any

from msgspec import DecodeError, Struct, msgpack

from treadle.domain.artifact import Artifact
from treadle.store.database import Database


class Result(Struct, frozen=True, kw_only=True):
    """What a step made under one key; `parts` is the manifest, times are seconds since the epoch."""

    key: str
    outputs: dict[str, Artifact]
    metrics: dict[str, float]
    parts: dict[str, str]
    pipeline: str
    step: str
    run_id: str
    created: float
    seconds: float


class Results:
    """Looks results up by key, and by the step that made them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> Result | None:
        """The result under a key, or None."""
        found = self._database.query("SELECT body FROM results WHERE key = ?", (key,))
        return _decoded(found[0][0]) if found else None

    def put(self, results: list[Result]) -> None:
        """Record results in one transaction; a newer result of the same key takes the place of the older."""
        rows: list[tuple[Any, ...]] = [
            (r.key, r.pipeline, r.step, r.created, r.seconds, msgpack.encode(r)) for r in results
        ]
        self._database.write("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?)", rows)

    def forget(self, key: str) -> None:
        """Drop a result whose bytes turned out damaged."""
        self._database.write("DELETE FROM results WHERE key = ?", [(key,)])

    def latest(self, pipeline: str, step: str, limit: int) -> list[Result]:
        """The newest results of a step, newest first."""
        sql = "SELECT body FROM results WHERE pipeline = ? AND step = ? ORDER BY created DESC LIMIT ?"
        found = (_decoded(row[0]) for row in self._database.query(sql, (pipeline, step, limit)))
        return [result for result in found if result is not None]

    def durations(self, pipeline: str) -> dict[str, float]:
        """Seconds that each step of a pipeline took the last time it ran."""
        sql = "SELECT step, seconds FROM results WHERE pipeline = ? ORDER BY created"
        return {step: float(seconds) for step, seconds in self._database.query(sql, (pipeline,))}


def _decoded(body: bytes) -> Result | None:
    try:
        return msgpack.decode(body, type=Result)
    except DecodeError:
        return None  # written by another version: a miss
