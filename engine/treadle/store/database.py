"""The one SQLite file: opened on first use, made and migrated without races, set aside when damaged.

Database.write / transaction
└── _connected          the connection of this process, opened anew after a fork or when the file was replaced
    └── _open           connect, then under a file lock: set aside if damaged, create, migrate; where nothing may be
                        written a connection for queries alone, see `reading`
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
from treadle.store import reading
from treadle.store.schema import MIGRATIONS, abandon, migrate

T = TypeVar("T")
Row = tuple[Any, ...]

WAIT = 30.0  # seconds to wait for another writer
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space, `treadle cache gc` may help",
    sqlite3.SQLITE_BUSY: f"another process kept it locked for {WAIT:.0f} seconds; try again",
    sqlite3.SQLITE_LOCKED: f"another process kept it locked for {WAIT:.0f} seconds; try again",
    sqlite3.SQLITE_READONLY: "it is read-only; make the project's folder writable for you",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; make the project's folder readable and writable for you",
    sqlite3.SQLITE_PERM: "permission denied; make the project's folder writable for you",
    sqlite3.SQLITE_IOERR: "reading or writing the disk failed",
}


class DamagedDatabase(StoreError):
    """The file was not a sound database; it has been set aside and a new one takes its place."""


class Denied(StoreError):
    """The system does not let us write, or read, there: a read-only file system, permissions."""


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
        self._denied: OSError | None = None  # why the connection is for queries alone
        self._seen: reading.Sign | None = None  # the sign of the file as long as what is read holds, None for always

    def hold(self) -> None:
        """From here on a file that is not there is away for a while: no new one takes its place, StoreError says so.

        For those who act on what the file says for days: an empty one would tell them that there is nothing.
        """
        self._held = True

    def refusal(self) -> str:
        """Why nothing may be written, in words; empty where it may."""
        with self._lock:
            self._connected()
            refused = self._denied
            return "" if refused is None else f"{refused.filename} cannot be written: {_meaning(refused)}"

    def forget_changes(self) -> None:
        """Where nothing may be written: from here on changes are made in memory, and go with this process."""
        with self._lock:
            connection = self._connected()
            if self._denied is not None:
                self._connection = reading.in_memory(connection)
                self._seen = self._denied = None
                connection.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        with self._lock:
            for last in (False, True):
                try:
                    return self._read(sql, values)
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
                abandon(connection)
                self._recover(error)
                raise DamagedDatabase(f"{self.path} was damaged and has been set aside") from error
            except DamagedDatabase:
                abandon(connection)
                self._set_aside()
                raise
            except BaseException:
                abandon(connection)
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

    def _read(self, sql: str, values: Sequence[Any]) -> list[Row]:
        for _ in range(reading.ATTEMPTS):
            connection = self._connected()
            failure, found = None, []
            try:
                found = connection.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                failure = error
            if self._seen is not None and self._seen != reading.sign(self.path):
                self.close()  # somebody else wrote meanwhile, unseen by a connection without locks
            elif failure is not None:
                raise failure
            else:
                return found
        raise StoreError(f"{self.path} is written all the time, and cannot be read without a lock; try again")

    def _begin(self, durable: bool) -> sqlite3.Connection:
        for _ in range(3):
            try:
                connection = self._connected(fresh=True)
                if self._denied is not None:
                    raise Denied(self.refusal())
                if durable != self._durable:
                    # in WAL mode NORMAL skips the sync at commit; the next durable commit makes up for it
                    connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                    self._durable = durable
                connection.execute("BEGIN IMMEDIATE")
                return connection
            except sqlite3.Error as error:
                self._recover(error)
        raise StoreError(f"{self.path} is damaged again and again; the disk may be failing")

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
        there = os.path.exists(self.path)
        self._seen, self._denied = None, reading.denied(self.path)
        if self._held and not there:
            raise StoreError(f"{self.path} is away: it was there and is not now")
        if not there and self._denied is None:
            make_folder(os.path.dirname(self.path))
        for _ in range(3):
            connection: sqlite3.Connection | None = None
            try:
                if self._denied is not None:
                    connection, self._seen = reading.open_to_read(self.path)
                    return connection
                connection = self._connect()
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version != len(MIGRATIONS):
                    with _alone(self.path):  # the switch to WAL does not wait for others by itself
                        connection.execute("PRAGMA journal_mode=WAL")
                        migrate(connection, self.path)
                connection.execute("PRAGMA synchronous=FULL")
                self._durable = True
                return connection
            except sqlite3.Error as error:
                self._connection = connection
                self._inode = _inode(self.path)
                self._recover(error)
        raise StoreError(f"{self.path} is damaged again and again; the disk may be failing")

    def _connect(self) -> sqlite3.Connection:
        name = f"file:{reading.quoted(os.path.abspath(self.path))}?mode={'rw' if self._held else 'rwc'}"
        return sqlite3.connect(name, timeout=WAIT, isolation_level=None, check_same_thread=False, uri=True)

    def _recover(self, error: sqlite3.Error) -> None:
        """Set a damaged file aside and return; raise StoreError for everything else."""
        failure = self._failure(error)
        if not isinstance(failure, DamagedDatabase):
            raise failure from error
        if self._denied is not None:
            raise StoreError(f"{self.path} is damaged, and cannot be set aside: {_meaning(self._denied)}") from error
        self._set_aside()

    def _set_aside(self) -> None:
        self._held = False
        with _alone(self.path):
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


@contextmanager
def _alone(path: str) -> Iterator[None]:
    """Hold the lock under which a database is made, migrated or set aside; the kernel frees it if we die."""
    try:
        handle = os.open(f"{path}.making", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise os_failure(error, path) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


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
    kind = Denied if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM) else StoreError
    return kind(f"{error.filename or path}: {_meaning(error)}")


def _meaning(error: OSError) -> str:
    full = "free some space, `treadle cache gc` may help"
    denied = "permission denied; make the project's folder writable for you, or work on a copy of it"
    advice = {
        errno.ENOSPC: f"the disk is full; {full}",
        errno.EDQUOT: f"the disk quota is used up; {full}",
        errno.EROFS: "the file system is read-only; work on a copy of the project that you may write to",
        errno.EACCES: denied,
        errno.EPERM: denied,
        errno.ENOTDIR: "something in its place is not a folder; move it away",
        errno.EEXIST: "something in its place is not a folder; move it away",
    }
    return advice.get(error.errno or 0, error.strerror or str(error))


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0
