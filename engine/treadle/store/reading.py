"""A database that may be read and not written: on a read-only file system, or somebody else's.

In WAL mode even a reader writes, namely `-shm`; where it cannot, it depends on what the last writer left.

open_to_read
├── _live        with `-wal` and `-shm` SQLite reads along, also while somebody writes
├── _copied      with `-wal` alone, as in an archive: a copy, in which it can be put back
├── _resting     without a `-wal`: everything is in the file, which nobody has open
└── _empty       without a file: what a new one would say
"""

import errno
import os
import sqlite3

from treadle.errors import StoreError
from treadle.store.schema import MIGRATIONS, migrate

WAL, SHM = "-wal", "-shm"
ATTEMPTS = 5  # at reading without locks what is written meanwhile
HEADER = 32  # bytes of a `-wal` that are others from one checkpoint to the next

Sign = tuple[tuple[int, int, int] | None, ...]  # size, mtime_ns, inode


def denied(path: str) -> OSError | None:
    """What a write to a database would be refused with, as far as permissions and mounts tell; None if it may be."""
    folder = top = os.path.dirname(path)
    while not os.path.exists(top):  # where it would be made
        top = os.path.dirname(top)
    for place in (top, path, path + WAL, path + SHM):
        if not os.access(place, os.W_OK) and os.path.exists(place):
            number = errno.EROFS if os.statvfs(place).f_flag & os.ST_RDONLY else errno.EACCES
            return OSError(number, os.strerror(number), path if top == folder else folder)
    return None


def open_to_read(path: str) -> tuple[sqlite3.Connection, Sign | None]:
    """A connection for queries alone, with tables of this version.

    What is read holds as long as `sign` of the path is the one returned; None where SQLite itself sees changes.
    Raises StoreError and sqlite3.Error.
    """
    try:
        found = sign(path)
    except PermissionError:
        raise StoreError(f"{path}: permission denied; make the project's folder readable for you") from None
    connection = _live(path) if found[0] and found[1] and os.path.exists(path + SHM) else None
    seen = None if connection is not None else found
    if connection is None:
        connection = _empty() if not found[0] else _copied(path) if found[1] else _resting(path)
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] != len(MIGRATIONS):
            connection, seen = _migrated(connection, path), found
        connection.execute("PRAGMA query_only=ON")
    except BaseException:
        connection.close()
        raise
    return connection, seen


def sign(path: str) -> Sign:
    """What changes when the file is written or somebody opens it to write: the signs of the file and of its `-wal`.

    Without the ctime, which SQLite itself changes when the superuser reads: it gives the `-wal` the file's owner.
    """
    signs: list[tuple[int, int, int] | None] = []
    for place in (path, path + WAL):
        try:
            found = os.stat(place)
        except FileNotFoundError:
            signs.append(None)
        else:  # an empty `-wal` says as much as none
            signs.append((found.st_size, found.st_mtime_ns, found.st_ino) if found.st_size else None)
    return tuple(signs)


def quoted(path: str) -> str:
    """A path as a part of a URI; `urllib` does it too, and takes 4 ms to import."""
    plain = b"/._-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in os.fsencode(path))


def in_memory(source: sqlite3.Connection) -> sqlite3.Connection:
    """A copy of a database that can be changed, and goes with its connection."""
    memory = _connect(":memory:")
    try:
        source.backup(memory)
    except BaseException:
        memory.close()
        raise
    return memory


def _live(path: str) -> sqlite3.Connection | None:
    """A connection to a file with a `-wal` and a `-shm`; None where it cannot be had."""
    connection = _connect(path, "mode=ro")
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.OperationalError:
        connection.close()
        return None
    return connection


def _resting(path: str) -> sqlite3.Connection:
    """A connection that relies on the file to stay as it is: no locks, no `-shm`."""
    return _connect(path, "mode=ro&immutable=1")


def _copied(path: str) -> sqlite3.Connection:
    """The file with what its `-wal` adds, in memory."""
    import shutil  # lazy: with the next 10 ms, only for what an archive or a crash left
    from tempfile import TemporaryDirectory  # lazy: likewise

    with TemporaryDirectory(prefix="treadle-") as folder:
        copy = os.path.join(folder, "state.db")
        for _ in range(ATTEMPTS):
            before = _checkpoint(path)
            for tail in ("", WAL):
                shutil.copyfile(path + tail, copy + tail)
            if _checkpoint(path) == before:  # what was appended to the `-wal` meanwhile ends where it is torn
                break
        else:
            raise StoreError(f"{path} is written all the time, and cannot be copied to be read; try again")
        source = _connect(copy, "mode=rw")
        try:
            return in_memory(source)
        finally:
            source.close()


def _empty() -> sqlite3.Connection:
    return _connect(":memory:")


def _migrated(connection: sqlite3.Connection, path: str) -> sqlite3.Connection:
    """A copy in memory with the tables of this version."""
    try:
        copy = in_memory(connection)
    finally:
        connection.close()
    try:
        migrate(copy, path)
    except BaseException:
        copy.close()
        raise
    return copy


def _checkpoint(path: str) -> tuple[object, bytes]:
    """What changes when the file itself is written, or its `-wal` begins anew."""
    with open(path + WAL, "rb") as file:
        return sign(path)[0], file.read(HEADER)


def _connect(path: str, how: str = "") -> sqlite3.Connection:
    name = f"file:{quoted(os.path.abspath(path))}?{how}" if how else path
    return sqlite3.connect(name, isolation_level=None, check_same_thread=False, uri=bool(how))
