"""Answers worth keeping: what was found out about a file or a function, by kind and key."""

import time
from collections.abc import Set

from treadle.errors import StoreError
from treadle.store.database import Database


class Memo:
    """A table that can be lost at no cost but time; what is put is written by `flush`, all at once.

    It never fails: where the store cannot be read or written, everything is found out anew.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._new: dict[tuple[str, str], bytes] = {}
        self._usable = True

    def get(self, kind: str, key: str) -> bytes | None:
        """What was put under this kind and key, or None."""
        found = self._new.get((kind, key))
        if found is not None or not self._usable:
            return found
        try:
            rows = self._database.rows("SELECT value FROM memo WHERE kind = ? AND key = ?", (kind, key))
        except StoreError:
            self._usable = False
            return None
        return rows[0][0] if rows else None

    def put(self, kind: str, key: str, value: bytes) -> None:
        """Keep a value; the next `flush` writes it."""
        self._new[kind, key] = value

    def flush(self) -> None:
        """Write what was put since the last time, in one transaction."""
        if not self._new or not self._usable:
            return
        now = time.time()
        rows = [(kind, key, now, value) for (kind, key), value in self._new.items()]
        sql = "INSERT OR REPLACE INTO memo (kind, key, made, value) VALUES (?, ?, ?, ?)"
        try:
            self._database.write(lambda: self._database.change_many(sql, rows), durable=False)
        except StoreError:
            self._usable = False
            return
        self._new.clear()

    def drop_older(self, than: float, spare: Set[str] = frozenset()) -> None:
        """Delete what was made before a time in seconds since the epoch, but for the keys to spare."""

        def drop() -> None:
            rows = self._database.rows("SELECT kind, key FROM memo WHERE made < ?", (than,))
            old = [(kind, key) for kind, key in rows if key not in spare]
            self._database.change_many("DELETE FROM memo WHERE kind = ? AND key = ?", old)

        self._database.write(drop, durable=False)
