"""Small things worth keeping from one command to the next; losing them costs time, never truth."""

from treadle.store.database import Database


class MemoTable:
    """Values by kind and key, written together on flush."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kinds: dict[str, dict[str, bytes]] = {}
        self._fresh: dict[tuple[str, str], bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        """The value under a key, or None; a kind is read whole the first time."""
        if kind not in self._kinds:
            rows = self._database.query("SELECT key, value FROM memo WHERE kind = ?", (kind,))
            self._kinds[kind] = dict(rows)
        return self._kinds[kind].get(key)

    def put(self, kind: str, key: str, value: bytes) -> None:
        """Keep a value; it is durable after flush."""
        self._kinds.setdefault(kind, {})[key] = value
        self._fresh[kind, key] = value

    def flush(self) -> None:
        """Write what is new in one transaction."""
        if self._fresh:
            rows = [(kind, key, value) for (kind, key), value in self._fresh.items()]
            self._database.write("INSERT OR REPLACE INTO memo VALUES (?, ?, ?)", rows)
            self._fresh = {}
