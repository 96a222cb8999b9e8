"""Digests of files outside the store. Content decides; size, times and inode only save hashing."""

import os
import time
from collections.abc import Iterable
from glob import glob, has_magic

from msgspec import Struct

from treadle import digest
from treadle.domain.spec import DataSource
from treadle.errors import InputError, Problem, did_you_mean
from treadle.store.database import Database

FRESH = 2_000_000_000  # ns; a file younger than this may still change within one tick of its clock
HIDDEN = (".treadle", ".git", "__pycache__")
Stat = tuple[int, int, int, int]


class Data(Struct, frozen=True):
    """The identity of a data entry and its absolute paths; `shape` is file, folder or files."""

    name: str
    digest: str
    shape: str
    paths: tuple[str, ...]
    stats: tuple[tuple[str, Stat], ...]


class FileDigests:
    """Digests by path, remembered as long as the file's state is the same."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[Stat, str]] | None = None

    def digest(self, path: str) -> str:
        """The digest of one file; raises OSError when it cannot be read."""
        return self.many([path])[path]

    def many(self, paths: Iterable[str]) -> dict[str, str]:
        """Digests by path; only files whose state changed are read."""
        known = self._load()
        found: dict[str, str] = {}
        fresh: list[tuple[str, int, int, int, int, str]] = []
        now = time.time_ns()
        for path in paths:
            stat = signature(path)
            kept = known.get(path)
            if kept is not None and kept[0] == stat:
                found[path] = kept[1]
                continue
            found[path] = made = digest.of_file(path)
            if now - max(stat[1], stat[2]) > FRESH and signature(path) == stat:
                known[path] = (stat, made)
                fresh.append((path, *stat, made))
        if fresh:
            self._database.write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", fresh)
        return found

    def data(self, root: str, source: DataSource) -> Data:
        """What a data entry is now; raises InputError when there is nothing at its path."""
        if source.kind == "url":
            text = (
                f"data '{source.name}': opening {source.target} needs a remote store, which is not part of this version"
            )
            raise InputError([Problem("unsupported-data", text, source.where, "copy the file here and use path:")])
        target = os.path.join(root, os.path.expanduser(source.target))
        if has_magic(source.target):
            fixed = target[: next(i for i, c in enumerate(target) if c in "*?[")].rpartition("/")[0]
            paths = sorted(path for path in glob(target, recursive=True) if os.path.isfile(path))
            shape = "files"
        elif os.path.isdir(target):
            fixed, paths, shape = target, _below(target), "folder"
        else:
            fixed, paths, shape = os.path.dirname(target), [target] if os.path.isfile(target) else [], "file"
        if not paths:
            raise InputError([self._missing(source, target)])
        digests = self.many(paths)
        if shape == "file":
            identity = digest.of_value(["file", os.path.splitext(target)[1], digests[target]])
        else:
            identity = digest.of_value([shape, [[os.path.relpath(path, fixed), digests[path]] for path in paths]])
        stats = tuple((path, signature(path)) for path in paths)
        given = (target,) if shape == "folder" else tuple(paths)
        return Data(source.name, identity, shape, given, stats)

    def glob_digest(self, root: str, pattern: str) -> str:
        """The digest of all files of a glob below the root, by relative name and content."""
        paths = sorted(path for path in glob(os.path.join(root, pattern), recursive=True) if os.path.isfile(path))
        digests = self.many(paths)
        return digest.of_value([[os.path.relpath(path, root), digests[path]] for path in paths])

    def changed(self, data: Data) -> bool:
        """Whether a file of the entry is not in the state in which it was hashed."""
        for path, stat in data.stats:
            try:
                if signature(path) != stat:
                    return True
            except OSError:
                return True
        return False

    def _load(self) -> dict[str, tuple[Stat, str]]:
        if self._known is None:
            rows = self._database.query("SELECT path, size, mtime, ctime, inode, digest FROM files")
            self._known = {row[0]: ((row[1], row[2], row[3], row[4]), row[5]) for row in rows}
        return self._known

    def _missing(self, source: DataSource, target: str) -> Problem:
        folder = os.path.dirname(target)
        while folder and not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        near = did_you_mean(os.path.basename(target), os.listdir(folder)) if os.path.isdir(folder) else ""
        text = f"data '{source.name}': nothing is at {source.target}"
        return Problem("missing-data", text, source.where, near or "paths are relative to the project's root")


def signature(path: str) -> Stat:
    """The state of a file: size, modification and change time in ns, inode."""
    info = os.stat(path)
    return (info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)


def _below(folder: str) -> list[str]:
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in HIDDEN)
        found += [os.path.join(parent, name) for name in files]
    return sorted(found)
