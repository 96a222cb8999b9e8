"""How requests of each model are divided, one row a model; written by the rollout, read by servers."""

from msgspec import json

from treadle.domain.serving import Traffic
from treadle.store.database import Database


class TrafficTable:
    """Rows by model name. Raises StoreError when the database cannot be read or written."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> Traffic | None:
        """The row of a model; None means that its champion answers alone."""
        rows = self._database.rows("SELECT data FROM traffic WHERE name = ?", (name,))
        return json.decode(rows[0][0], type=Traffic) if rows else None

    def put(self, traffic: Traffic) -> None:
        """Write the row of a model, durable and visible to servers within a second."""
        sql = "INSERT OR REPLACE INTO traffic (name, data) VALUES (?, ?)"
        self._database.write(lambda: self._database.change(sql, (traffic.name, json.encode(traffic))))

    def clear(self, name: str) -> None:
        """Take the row of a model away: its champion answers alone again."""
        self._database.write(lambda: self._database.change("DELETE FROM traffic WHERE name = ?", (name,)))
