"""The tables of `state.db`, one tuple of statements per version; a version that shipped is never edited."""

import sqlite3
from contextlib import suppress

from treadle.errors import StoreError

FIRST = (
    """CREATE TABLE results (
        key TEXT PRIMARY KEY, pipeline TEXT NOT NULL, step TEXT NOT NULL,
        created REAL NOT NULL, seconds REAL NOT NULL, data BLOB NOT NULL)""",
    "CREATE INDEX results_of_step ON results (pipeline, step, created)",
    """CREATE TABLE last_results (
        pipeline TEXT NOT NULL, step TEXT NOT NULL, key TEXT NOT NULL, seconds REAL NOT NULL,
        PRIMARY KEY (pipeline, step)) WITHOUT ROWID""",
    """CREATE TABLE leases (
        key TEXT PRIMARY KEY, host TEXT NOT NULL, boot TEXT NOT NULL, pid INTEGER NOT NULL, began TEXT NOT NULL,
        token TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE runs (
        number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, pipeline TEXT NOT NULL, path TEXT NOT NULL,
        plan TEXT NOT NULL, status TEXT NOT NULL, started REAL NOT NULL, finished REAL NOT NULL, beat REAL NOT NULL,
        params BLOB NOT NULL, git TEXT NOT NULL,
        host TEXT NOT NULL, boot TEXT NOT NULL, pid INTEGER NOT NULL, began TEXT NOT NULL)""",
    "CREATE INDEX runs_of_pipeline ON runs (pipeline, number)",
    "CREATE TABLE walks (digest TEXT PRIMARY KEY, data BLOB NOT NULL)",
    """CREATE TABLE run_walks (
        run_id TEXT NOT NULL, position INTEGER NOT NULL, digest TEXT NOT NULL,
        PRIMARY KEY (run_id, position)) WITHOUT ROWID""",
    """CREATE TABLE files (
        path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
        inode INTEGER NOT NULL, digest TEXT NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE memo (
        kind TEXT NOT NULL, key TEXT NOT NULL, made REAL NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key))""",
)

TAGS = ("CREATE TABLE tags (run_id TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (run_id, tag)) WITHOUT ROWID",)
MODELS = (
    """CREATE TABLE model_versions (
        name TEXT NOT NULL, version INTEGER NOT NULL, model TEXT NOT NULL, card TEXT NOT NULL, data BLOB NOT NULL,
        PRIMARY KEY (name, version)) WITHOUT ROWID""",
    "CREATE UNIQUE INDEX model_versions_of_card ON model_versions (card, model)",
    """CREATE TABLE model_aliases (
        name TEXT NOT NULL, alias TEXT NOT NULL, version INTEGER NOT NULL,
        PRIMARY KEY (name, alias), FOREIGN KEY (name, version) REFERENCES model_versions (name, version))
        WITHOUT ROWID""",
    """CREATE TABLE alias_events (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL, alias TEXT NOT NULL, old INTEGER, new INTEGER,
        at REAL NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL, kind TEXT NOT NULL)""",
    "CREATE INDEX alias_events_of ON alias_events (name, alias, number)",
    """CREATE TABLE model_quarantine (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, until REAL NOT NULL,
        at REAL NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL)""",
    "CREATE TABLE model_changes (count INTEGER NOT NULL)",
    "INSERT INTO model_changes VALUES (0)",
    *(
        f"CREATE TRIGGER {table}_{verb} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append only'); END"
        for table in ("model_versions", "alias_events", "model_quarantine")
        for verb in ("UPDATE", "DELETE")
    ),
)

SERVING = ("CREATE TABLE traffic (name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID",)

LEDGER = (
    """CREATE TABLE ledger (
        number INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, actor TEXT NOT NULL,
        evidence BLOB NOT NULL, previous TEXT NOT NULL, digest TEXT NOT NULL)""",
    "CREATE INDEX ledger_of_subject ON ledger (subject, number)",
    """CREATE TRIGGER ledger_keeps BEFORE UPDATE ON ledger
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER ledger_holds BEFORE DELETE ON ledger
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
)

GENERATION = (
    # One number that every change to the results changes, whoever makes it; it begins anywhere, so that a new
    # database is never taken for the one it replaces.
    "CREATE TABLE generation (number INTEGER NOT NULL)",
    "INSERT INTO generation VALUES (abs(random() % 1000000000000))",
    *(
        f"CREATE TRIGGER results_{event} AFTER {event} ON results BEGIN UPDATE generation SET number = number + 1; END"
        for event in ("INSERT", "UPDATE", "DELETE")
    ),
)

LOOP = (
    """CREATE TABLE rollouts (
        number INTEGER PRIMARY KEY, rollout_id TEXT NOT NULL UNIQUE, model TEXT NOT NULL, active INTEGER NOT NULL,
        data BLOB NOT NULL)""",
    "CREATE INDEX rollouts_of_model ON rollouts (model, number)",
    "CREATE UNIQUE INDEX one_active_rollout ON rollouts (model) WHERE active",
    "CREATE TABLE desks (pipeline TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE beats (pipeline TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (FIRST, TAGS, MODELS, SERVING, LEDGER, GENERATION, LOOP)


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the tables to this version, in one transaction; raises StoreError where they are of a newer one."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            text = f"{path} was written by a newer treadle"
            raise StoreError(f"{text}; upgrade treadle, or delete the folder to start anew")
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        abandon(connection)
        raise


def abandon(connection: sqlite3.Connection) -> None:
    """Undo the transaction that goes on, if one does."""
    with suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
