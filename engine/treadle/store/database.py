"""The one SQLite file: opened on first use, made and migrated without races, set aside when damaged.

Database.write / transaction
└── _connected          the connection of this process, opened anew after a fork or when the file was replaced
    └── _open           connect, then under a file lock: set aside if damaged, create, migrate
"""

import errno
import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from treadle.errors import StoreError
from treadle.store.schema import MIGRATIONS

T = TypeVar("T")
Row = tuple[Any, ...]

WAIT = 30.0  # seconds to wait for another writer
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space, `treadle cache gc` may help",
    sqlite3.SQLITE_BUSY: f"another process kept it locked for {WAIT:.0f} seconds; try again",
    sqlite3.SQLITE_LOCKED: f"another process kept it locked for {WAIT:.0f} seconds; try again",
    sqlite3.SQLITE_READONLY: "it is read-only; make the project's folder writable for you",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; make the project's folder writable for you",
    sqlite3.SQLITE_PERM: "permission denied; make the project's folder writable for you",
    sqlite3.SQLITE_IOERR: "reading or writing the disk failed",
}


class DamagedDatabase(StoreError):
    """The file was not a sound database; it has been set aside and a new one takes its place."""


class Database:
    """One connection to `state.db`; `notices` collects what the user should be told.

    Every method raises StoreError when the file cannot be read or written. Writes are durable
    when the method returns, unless `durable=False` asks for speed where a loss costs nothing.
    """

    def __init__(self, path: str, notices: list[str] | None = None) -> None:
        self.path = path
        self.notices: list[str] = [] if notices is None else notices
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._process = 0
        self._inode = 0
        self._depth = 0
        self._durable = True  # whether the connection syncs when it commits
        self._held = False
        self._inherited: list[sqlite3.Connection] = []

    def hold(self) -> None:
        """From here on a file that is not there is away for a while: no new one takes its place, StoreError says so.

        For those who act on what the file says for days: an empty one would tell them that there is nothing.
        """
        self._held = True

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        with self._lock:
            for last in (False, True):
                try:
                    found: list[Row] = self._connected().execute(sql, values).fetchall()
                    return found
                except sqlite3.Error as error:
                    self._recover(error)
                    if last or self._depth:
                        raise DamagedDatabase(f"{self.path} was damaged and has been set aside") from error
        return []

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Execute one statement of a transaction and return how many rows it changed."""
        assert self._depth, "changes belong in a transaction"
        try:
            return self._connected().execute(sql, values).rowcount
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def change_many(self, sql: str, values: Iterable[Sequence[Any]]) -> None:
        """Execute one statement of a transaction for each of `values`."""
        assert self._depth, "changes belong in a transaction"
        try:
            self._connected().executemany(sql, values)
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def write(self, work: Callable[[], T], durable: bool = True) -> T:
        """Do `work` in a transaction; once more on a new database when the old one proves damaged."""
        try:
            with self.transaction(durable):
                return work()
        except DamagedDatabase:
            if self._depth:
                raise
        with self.transaction(durable):
            return work()

    @contextmanager
    def transaction(self, durable: bool = True) -> Iterator[None]:
        """All changes inside become visible and durable together, or none; an inner one joins the outer one."""
        with self._lock:
            if self._depth:
                yield
                return
            connection = self._begin(durable)
            self._depth = 1
            try:
                yield
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._abandon(connection)
                self._recover(error)
                raise DamagedDatabase(f"{self.path} was damaged and has been set aside") from error
            except DamagedDatabase:
                self._abandon(connection)
                self._set_aside()
                raise
            except BaseException:
                self._abandon(connection)
                raise
            finally:
                self._depth = 0

    @property
    def version(self) -> int:
        """The version of the tables."""
        return len(MIGRATIONS)

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    def _begin(self, durable: bool) -> sqlite3.Connection:
        for _ in range(3):
            try:
                connection = self._connected(fresh=True)
                if durable != self._durable:
                    # in WAL mode NORMAL skips the sync at commit; the next durable commit makes up for it
                    connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                    self._durable = durable
                connection.execute("BEGIN IMMEDIATE")
                return connection
            except sqlite3.Error as error:
                self._recover(error)
        raise StoreError(f"{self.path} is damaged again and again; the disk may be failing")

    def _abandon(self, connection: sqlite3.Connection) -> None:
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _connected(self, fresh: bool = False) -> sqlite3.Connection:
        if self._connection is not None:
            if self._process != os.getpid():
                # A connection must not be used or closed after a fork: closing would drop the parent's locks.
                self._inherited.append(self._connection)
                self._connection = None
            elif fresh and _inode(self.path) != self._inode:
                self.close()  # set aside or deleted by someone else: writing on would go nowhere
        if self._connection is None:
            self._connection = self._open()
            self._process = os.getpid()
            self._inode = _inode(self.path)
        return self._connection

    def _open(self) -> sqlite3.Connection:
        if self._held and not os.path.exists(self.path):
            raise StoreError(f"{self.path} is away: it was there and is not now")
        if not os.path.exists(self.path):
            make_folder(os.path.dirname(self.path))
        for _ in range(3):
            connection: sqlite3.Connection | None = None
            try:
                connection = self._connect()
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version != len(MIGRATIONS):
                    self._migrate(connection)
                connection.execute("PRAGMA synchronous=FULL")
                self._durable = True
                return connection
            except sqlite3.Error as error:
                self._connection = connection
                self._inode = _inode(self.path)
                self._recover(error)
        raise StoreError(f"{self.path} is damaged again and again; the disk may be failing")

    def _connect(self) -> sqlite3.Connection:
        name = f"file:{_quoted(os.path.abspath(self.path))}?mode={'rw' if self._held else 'rwc'}"
        return sqlite3.connect(name, timeout=WAIT, isolation_level=None, check_same_thread=False, uri=True)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        with self._alone():  # the switch to WAL does not wait for others by itself
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version > len(MIGRATIONS):
                    text = f"{self.path} was written by a newer treadle"
                    raise StoreError(f"{text}; upgrade treadle, or delete the folder to start anew")
                for statements in MIGRATIONS[version:]:
                    for statement in statements:
                        connection.execute(statement)
                connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
                connection.execute("COMMIT")
            except BaseException:
                self._abandon(connection)
                raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock under which the file is made, migrated or set aside; the kernel frees it if we die."""
        try:
            handle = os.open(f"{self.path}.making", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise os_failure(error, self.path) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _recover(self, error: sqlite3.Error) -> None:
        """Set a damaged file aside and return; raise StoreError for everything else."""
        failure = self._failure(error)
        if not isinstance(failure, DamagedDatabase):
            raise failure from error
        self._set_aside()

    def _set_aside(self) -> None:
        self._held = False
        with self._alone():
            if _inode(self.path) == self._inode:  # else another process has already done it
                number = 1
                while os.path.exists(f"{self.path}.damaged-{number}"):
                    number += 1
                for tail in ("-shm", "-wal", ""):
                    with suppress(FileNotFoundError):
                        os.rename(self.path + tail, f"{self.path}.damaged-{number}{tail}")
                self.notices.append(
                    f"{self.path} was damaged; it is kept as {os.path.basename(self.path)}.damaged-{number} "
                    "and a new one was made: steps run again where their results were only known there"
                )
            if self._connection is not None:
                with suppress(sqlite3.Error):
                    self._connection.close()
                self._connection = None

    def _failure(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind, the rest is detail
        if code in DAMAGED:
            return DamagedDatabase(f"{self.path} was damaged and has been set aside")
        return StoreError(f"{self.path}: {REASONS.get(code, error)} ({error})")


def make_folder(folder: str) -> None:
    """Make the store's folder, which keeps itself out of git; raises StoreError when that is not allowed."""
    try:
        os.makedirs(folder, exist_ok=True)
        ignore = os.path.join(folder, ".gitignore")
        if not os.path.exists(ignore):
            with open(ignore, "w", encoding="utf-8") as file:
                file.write("*\n")
    except OSError as error:
        raise os_failure(error, folder) from error


def os_failure(error: OSError, path: str) -> StoreError:
    """The StoreError that says what a failed system call means for the user."""
    advice = {
        errno.ENOSPC: "the disk is full; free some space, `treadle cache gc` may help",
        errno.EDQUOT: "the disk quota is used up; free some space, `treadle cache gc` may help",
        errno.EROFS: "the file system is read-only; work on a copy of the project that you may write to",
        errno.EACCES: "permission denied; make the project's folder writable for you",
        errno.EPERM: "permission denied; make the project's folder writable for you",
        errno.ENOTDIR: "something in its place is not a folder; move it away",
        errno.EEXIST: "something in its place is not a folder; move it away",
    }
    return StoreError(f"{error.filename or path}: {advice.get(error.errno or 0, error.strerror or str(error))}")


def _quoted(path: str) -> str:
    """A path as a part of a URI; `urllib` does it too, and takes 4 ms to import."""
    plain = b"/._-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in os.fsencode(path))


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0
