"""The one SQLite file: opened on first use, made by whoever comes first, set aside when damaged."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from treadle.errors import StoreError

SCHEMA = (
    """
    CREATE TABLE results (key TEXT PRIMARY KEY, pipeline TEXT, step TEXT, created REAL, seconds REAL, body BLOB)
        WITHOUT ROWID;
    CREATE INDEX results_by_step ON results (pipeline, step, created);
    CREATE TABLE runs (run_id TEXT PRIMARY KEY, pipeline TEXT, started REAL, finished REAL, status TEXT,
        pid INTEGER, begun TEXT, body BLOB) WITHOUT ROWID;
    CREATE INDEX runs_by_time ON runs (started);
    CREATE TABLE steps (run_id TEXT, step TEXT, fate TEXT, finished REAL, body BLOB, PRIMARY KEY (run_id, step))
        WITHOUT ROWID;
    CREATE INDEX steps_by_name ON steps (step, finished);
    CREATE TABLE files (path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, ctime INTEGER, inode INTEGER, digest TEXT)
        WITHOUT ROWID;
    CREATE TABLE memo (kind TEXT, key TEXT, value BLOB, PRIMARY KEY (kind, key)) WITHOUT ROWID;
    """,
)


class Database:
    """A connection that is made when first needed; every error of SQLite becomes a StoreError in words."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a SELECT."""
        with self._errors():
            return self._open().execute(sql, values).fetchall()

    def write(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """One statement for each row, in one durable transaction, or as part of the one that is open."""
        with self.transaction() as connection:
            connection.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside becomes durable together, or not at all; may be nested."""
        with self._errors():
            connection = self._open()
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = self._connect()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                self._set_aside()
                self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=60.0, isolation_level=None, check_same_thread=False)
        if connection.execute("PRAGMA user_version").fetchone()[0] != len(SCHEMA):
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            for script in SCHEMA[version:]:
                for statement in filter(str.strip, script.split(";")):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(SCHEMA)}")
            connection.execute("COMMIT")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _set_aside(self) -> None:
        """A damaged database costs reruns, never wrong results: it is kept under another name."""
        number = 1
        while os.path.exists(f"{self.path}.damaged-{number}"):
            number += 1
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(self.path + suffix):
                os.replace(self.path + suffix, f"{self.path}.damaged-{number}{suffix}")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            text = f"the records in {self.path} cannot be read or written: {error}"
            raise StoreError(text) from error
