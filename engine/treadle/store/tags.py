"""Words that a user puts on runs."""

from treadle.store.database import Database


class Tags:
    """Tags by run id. Raises StoreError when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, run_id: str, tag: str) -> None:
        """Put a tag on a run; once is enough."""
        sql = "INSERT OR IGNORE INTO tags (run_id, tag) VALUES (?, ?)"
        self._database.write(lambda: self._database.change(sql, (run_id, tag)))

    def remove(self, run_id: str, tag: str) -> bool:
        """Take a tag off; False when it was not there."""
        sql = "DELETE FROM tags WHERE run_id = ? AND tag = ?"
        return self._database.write(lambda: self._database.change(sql, (run_id, tag))) > 0

    def all(self) -> dict[str, tuple[str, ...]]:
        """The tags of every run that has some, in alphabetical order."""
        found: dict[str, list[str]] = {}
        for run_id, tag in self._database.rows("SELECT run_id, tag FROM tags ORDER BY tag"):
            found.setdefault(run_id, []).append(tag)
        return {run_id: tuple(tags) for run_id, tags in found.items()}
