"""Rollouts as they stand, at most one active per model, and what controllers remember; JSON rows in the database."""

from msgspec import json

from treadle.domain.loop import Beat, Desk, KeptRollout
from treadle.store.database import Database

Kept = list[KeptRollout]


class Rollouts:
    """Rollouts by id. Raises StoreError when the database cannot be read or written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._decode = json.Decoder(KeptRollout).decode

    def active(self, model: str) -> KeptRollout | None:
        """The rollout of a model that goes on, or None."""
        rows = self._database.rows("SELECT data FROM rollouts WHERE model = ? AND active", (model,))
        return self._decode(rows[0][0]) if rows else None

    def models(self) -> list[str]:
        """The models with an active rollout, sorted."""
        return [name for (name,) in self._database.rows("SELECT model FROM rollouts WHERE active ORDER BY model")]

    def of(self, model: str, limit: int = 20) -> Kept:
        """The newest rollouts of a model, newest first."""
        sql = "SELECT data FROM rollouts WHERE model = ? ORDER BY number DESC LIMIT ?"
        return [self._decode(data) for (data,) in self._database.rows(sql, (model, limit))]

    def put(self, kept: KeptRollout) -> None:
        """Write a rollout; the database itself refuses a second active one of the same model."""
        one = kept.rollout
        values = (one.rollout_id, one.model, one.active, json.encode(kept))
        sql = """INSERT INTO rollouts (rollout_id, model, active, data) VALUES (?, ?, ?, ?)
            ON CONFLICT (rollout_id) DO UPDATE SET active = excluded.active, data = excluded.data"""
        self._database.write(lambda: self._database.change(sql, values))


class Desks:
    """What the controller of each pipeline remembers, posts that wait for it, and its signs of life."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, pipeline: str) -> Desk:
        """The desk of a pipeline, empty before its first look."""
        rows = self._database.rows("SELECT data FROM desks WHERE pipeline = ?", (pipeline,))
        return json.decode(rows[0][0], type=Desk) if rows else Desk()

    def put(self, pipeline: str, desk: Desk) -> None:
        """Write it, durable."""
        sql = "INSERT OR REPLACE INTO desks (pipeline, data) VALUES (?, ?)"
        self._database.write(lambda: self._database.change(sql, (pipeline, json.encode(desk))))

    def beats(self) -> dict[str, Beat]:
        """The last sign of life of each pipeline's controller."""
        rows = self._database.rows("SELECT pipeline, data FROM beats ORDER BY pipeline")
        return {pipeline: json.decode(data, type=Beat) for pipeline, data in rows}

    def beat(self, pipeline: str, beat: Beat) -> None:
        """Write a sign of life; it may be lost in a power cut."""
        sql = "INSERT OR REPLACE INTO beats (pipeline, data) VALUES (?, ?)"
        self._database.write(lambda: self._database.change(sql, (pipeline, json.encode(beat))), durable=False)
