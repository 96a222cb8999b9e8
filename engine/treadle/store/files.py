"""Digests of the user's files, remembered by size, times and inode so that nothing is hashed twice.

Content decides; the stat cache only saves hashing. An entry is kept only when the file was at rest, that is
not modified within RACY before it was hashed: a change within the same tick of the clock would go unseen.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from treadle import digest as digests
from treadle.domain.advance import Advance, Tell, silent
from treadle.domain.spec import DataSource
from treadle.errors import InputError, Problem
from treadle.store.data import Data, Listing, data_identity, list_data, list_glob, list_path
from treadle.store.database import Database, Denied

Signature = tuple[int, int, int, int]  # size, mtime_ns, ctime_ns, inode

RACY = 2_000_000_000  # nanoseconds
PARALLEL = 8 << 20  # bytes from which on hashing is shared among threads,
EACH = 64 << 10  # if files are that large: with small ones threads would only wait for each other
SHARE = 64  # files hashed between two words about how far it is
ATTEMPTS = 3  # looks at a file that changes while it is read
FEW = 8  # files up to which their rows are read one by one, and not those of their folder
MANY = 500  # rows asked for at once
COLUMNS = "path, size, mtime_ns, ctime_ns, inode, digest"


def signature(path: str | os.PathLike[str]) -> Signature:
    """What tells, almost always, whether a file is still the same; raises OSError."""
    return _signature(os.stat(path))


def _signature(found: os.stat_result) -> Signature:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


class FileDigests:
    """Digests of files by absolute path. Raises OSError for files that cannot be read, StoreError for the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.looked: set[str] = set()  # every file that an answer depended on
        self._known: dict[str, tuple[Signature, str]] = {}
        self._asked: set[str] = set()  # files that the database was asked for
        self._folders: set[str] = set()  # folders that it was asked for, with all below them
        self.tell: Tell = silent  # hears how far hashing is

    def foresee(self, paths: Sequence[str]) -> None:
        """Read at once what is known of these absolute paths; each would be asked for alone when it is looked at."""
        names = [path for path in paths if path not in self._known and path not in self._asked and _is_text(path)]
        self._asked.update(names)
        for start in range(0, len(names), MANY):
            some = names[start : start + MANY]
            marks = ",".join("?" * len(some))
            self._remember(self._database.rows(f"SELECT {COLUMNS} FROM files WHERE path IN ({marks})", some))

    def digest(self, path: str | os.PathLike[str]) -> str:
        """The digest of one file's content."""
        return self.digest_many([path])[0]

    def digest_many(self, paths: Sequence[str | os.PathLike[str]]) -> list[str]:
        """The digests of files, in their order; large ones are hashed on all cores."""
        names = [os.path.abspath(path) for path in paths]
        return self._digests(names, [signature(name) for name in names])

    def _digests(self, names: Sequence[str], signatures: Iterable[Signature]) -> list[str]:
        """The digests of files by absolute, normal paths, which have just had these signatures."""
        self.looked.update(names)
        self._load(names)
        found: dict[str, str] = {}
        open_: list[tuple[str, Signature]] = []
        for name, now in zip(names, signatures, strict=True):
            known = self._known.get(name)
            if known is not None and known[0] == now:
                found[name] = known[1]
            else:
                open_.append((name, now))
        if open_:
            self._hash(open_, found)
        return [found[name] for name in names]

    def data(self, root: str, source: DataSource) -> Data:
        """The identity and the files of a data entry; raises InputError `missing-data` when there is nothing."""
        listing = list_data(root, source)
        return self._identify(source.name, listing)

    def changed(self, data: Data) -> bool:
        """Whether the files of a data entry, their names or their content, are not what they were."""
        if not data.target:
            return False  # a copy of ours, under the name of its identity
        again = list_path(data.root, data.target)
        if again is None or again.names != data.names:
            return True
        try:
            if data.settled and tuple(map(_signature, map(os.stat, again.paths))) == data.signatures:
                return False
            return self._identify("", again).digest != data.digest
        except (OSError, InputError):
            return True

    def glob_digest(self, root: str, pattern: str) -> str:
        """The digest of the names, relative to `root`, and the content of all files that match; none is fine."""
        paths = list_glob(root, pattern)
        names = [os.path.relpath(path, root) for path in paths]
        return digests.of_listing("files", names, self.digest_many(paths))

    def _identify(self, name: str, listing: Listing) -> Data:
        now = time.time_ns()
        try:
            signatures = tuple(map(_signature, map(os.stat, listing.paths)))
            contents = self._digests(listing.paths, signatures)
        except OSError as error:
            text = f"data '{name}': {error.filename} cannot be read: {error.strerror}"
            raise InputError([Problem("unreadable-data", text, listing.where)]) from error
        return Data(
            digest=data_identity(listing, contents),
            shape=listing.shape,
            paths=listing.paths if listing.shape != "folder" else (listing.top,),
            root=listing.root,
            target=listing.target,
            names=listing.names,
            signatures=signatures,
            settled=not any(_racy(one, now) for one in signatures),
            contents=tuple(contents),
        )

    def _load(self, names: Sequence[str]) -> None:
        """Read what is known of these files: of these alone, or of a whole folder when there are many."""
        if len(names) <= FEW:
            self.foresee(names)
            return
        missing = [name for name in names if name not in self._known]
        if not missing:
            return
        top = os.path.dirname(os.path.commonpath([min(missing), max(missing)]) + os.sep)  # what both share all do
        if top not in self._folders:
            self._folders.add(top)
            low = top.rstrip("/") + "/"
            high = low[:-1] + "0"  # the character after the slash
            sql = f"SELECT {COLUMNS} FROM files WHERE path >= ? AND path < ?"
            self._remember(self._database.rows(sql, (low, high)))

    def _remember(self, rows: Iterable[tuple[str, int, int, int, int, str]]) -> None:
        for path, size, mtime, ctime, inode, digest in rows:
            self._known[path] = ((size, mtime, ctime, inode), digest)

    def _hash(self, files: Sequence[tuple[str, Signature]], found: dict[str, str]) -> None:
        fresh: list[tuple[str, int, int, int, int, str]] = []
        done, total = 0, sum(before[0] for _, before in files)
        self.tell(Advance("hashing", done, total, "bytes"))
        for share in _hash_all(files):
            for name, size, after, digest, at in share:
                found[name] = digest
                done += size
                if after is None or _racy(after, at):
                    self._known.pop(name, None)
                elif name.isascii() or _is_text(name):
                    self._known[name] = (after, digest)
                    fresh.append((name, *after, digest))
            self.tell(Advance("hashing", done, total, "bytes"))
        if fresh:
            sql = (
                "INSERT OR REPLACE INTO files (path, size, mtime_ns, ctime_ns, inode, digest) VALUES (?, ?, ?, ?, ?, ?)"
            )
            with suppress(Denied):  # who may only read hashes again the next time
                self._database.write(lambda: self._database.change_many(sql, fresh), durable=False)


# A file, its size when it was asked for, as it was hashed (None if it never rested), its digest, and when
Hashed = tuple[str, int, Signature | None, str, int]


def _hash_all(files: Sequence[tuple[str, Signature]]) -> Iterator[list[Hashed]]:
    """Share by share, as they are wanted; many bytes on all cores."""
    large = len(files) > 1 and sum(before[0] for _, before in files) >= max(PARALLEL, len(files) * EACH)
    if not large:
        yield from map(_hash_some, _shares(files, SHARE))
        return
    from concurrent.futures import ThreadPoolExecutor  # lazy: 10 ms that unchanged files spare

    from treadle.environment import cores  # lazy: only many bytes need it

    threads = max(1, cores())
    with ThreadPoolExecutor(threads) as pool:  # handing over a small file costs more than hashing it
        yield from pool.map(_hash_some, _shares(files, max(1, min(SHARE, len(files) // (4 * threads)))))


def _shares(files: Sequence[tuple[str, Signature]], size: int) -> list[Sequence[tuple[str, Signature]]]:
    return [files[start : start + size] for start in range(0, len(files), size)]


def _hash_some(files: Sequence[tuple[str, Signature]]) -> list[Hashed]:
    return [_hash_one(path, before) for path, before in files]


def _hash_one(path: str, before: Signature) -> Hashed:
    digest, at, size = "", 0, before[0]
    for _ in range(ATTEMPTS):
        at = time.time_ns()
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            digest = digests.of_handle(handle, path, before[0])
            after = _signature(os.fstat(handle))  # a file that was replaced meanwhile shows it in its ctime
        finally:
            os.close(handle)
        if after == before:
            return path, size, after, digest, at
        before = after
    return path, size, None, digest, at


def _racy(found: Signature, at: int) -> bool:
    """Whether a file hashed at `at` may have changed since without a trace in its times."""
    _, mtime, ctime, _ = found
    return ctime > at - RACY or at - RACY < mtime <= at


def _is_text(path: str) -> bool:
    """Whether the database can hold the path; one that is no UTF-8 it cannot."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
