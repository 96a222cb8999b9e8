"""Copies of objects in another place, which a team may share: a folder, or a URL of any file system that fsspec knows.

Only content by digest lies there, `ab/cdef…` as in the store, and no records. What comes from there is used when it has
the digest that a record made here names, so that whoever can write there can break nothing but what is fetched.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from msgspec import Struct

from treadle.digest import of_file
from treadle.domain.advance import Advance, Tell, silent
from treadle.errors import InputError, TreadleError, input_error
from treadle.store.objects import Objects
from treadle.store.scratch import temporary
from treadle.store.url import shown, without_secrets


class Pushed(Struct, frozen=True):
    """What was sent: `sent` objects of `size` bytes, `there` were there already, `damaged` ones were not sent."""

    sent: int
    size: int
    there: int
    damaged: tuple[str, ...]


class _Place(Protocol):
    def sizes(self) -> dict[str, int]:
        """The size of each file there, by its name `ab/cdef…`."""

    def get(self, name: str, path: str) -> None:
        """Copy a file from there; raises FileNotFoundError."""

    def put(self, path: str, name: str) -> None:
        """Copy a file to there."""


class Copies:
    """The copies at an address. Raises InputError when it cannot be reached; credentials never show."""

    def __init__(self, address: str, root: str, objects: Objects) -> None:
        self._address = address
        self._objects = objects
        self._tmp = os.path.join(os.path.dirname(objects.folder), "tmp")
        self._made: _Place | None = None
        self._root = root
        self.refused: list[str] = []  # digests under which something else lay there

    def push(self, digests: Iterable[str], tell: Tell = silent) -> Pushed:
        """Send those objects that are not there yet; each is proved by its digest first."""
        with self._reached():
            sizes = self._place().sizes()
        sent = size = there = 0
        damaged = []
        wanted = sorted(digests)
        for number, digest in enumerate(wanted):
            tell(Advance("pushing", number, len(wanted), "objects"))
            path = self._objects.path(digest)
            try:
                length = os.stat(path).st_size
            except FileNotFoundError:
                continue  # swept meanwhile
            if sizes.get(_name(digest)) == length:
                there += 1
            elif of_file(path) != digest:
                damaged.append(digest)
            else:
                with self._reached():
                    self._place().put(path, _name(digest))
                sent, size = sent + 1, size + length
        return Pushed(sent, size, there, tuple(damaged))

    def fetch(self, digest: str) -> bool:
        """Bring one object back into the store; False when it is not there, or is not what it should be."""
        self._objects.path(digest)  # which refuses what is no digest
        part = temporary(self._tmp)
        try:
            with self._reached():
                try:
                    self._place().get(_name(digest), part)
                except FileNotFoundError:
                    return False
            if of_file(part) != digest:
                self.refused.append(digest)
                return False
            self._objects.add_file(part, "", give=True)
            self._objects.sync()
            return True
        finally:
            with suppress(OSError):
                os.unlink(part)

    def _place(self) -> _Place:
        if self._made is None:
            url = "://" in self._address or "::" in self._address
            self._made = _Url(self._address) if url else _Folder(os.path.join(self._root, self._address))
        return self._made

    @contextmanager
    def _reached(self) -> Iterator[None]:
        from treadle.store.remote import raised  # lazy: only with a remote

        try:
            yield
        except TreadleError:
            raise
        except raised() as error:
            raise self._problem(error) from None

    def _problem(self, error: BaseException) -> InputError:
        address = shown(self._address)
        if isinstance(error, ImportError):
            extra = "s3" if address.startswith("s3") else "remote"
            hint = f"pip install 'treadle[{extra}]'"
            return input_error("missing-library", f"the remote {address}: {error}", None, hint)
        if isinstance(error, NotImplementedError):
            return input_error("unreachable-remote", f"nothing can be written to the remote {address}", None, "")
        told = without_secrets(str(error) or type(error).__name__, self._address)
        hint = "check the setting `remote`, the network and the credentials in the environment"
        return input_error("unreachable-remote", f"the remote {address} cannot be used: {told}", None, hint)


class _Folder:
    """A folder, such as one that several machines share; a file in it is whole or not there."""

    def __init__(self, path: str) -> None:
        self._path = path

    def sizes(self) -> dict[str, int]:
        found = {}
        for folder, _, names in os.walk(self._path):
            for name in names:
                path = os.path.join(folder, name)
                found[f"{os.path.basename(folder)}/{name}"] = os.stat(path).st_size
        return found

    def get(self, name: str, path: str) -> None:
        if not os.path.isdir(self._path):
            raise NotADirectoryError("there is no such folder")
        shutil.copyfile(os.path.join(self._path, name), path)

    def put(self, path: str, name: str) -> None:
        target = os.path.join(self._path, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        part = temporary(os.path.dirname(target))
        try:
            shutil.copyfile(path, part)
            os.rename(part, target)
        finally:
            with suppress(OSError):
                os.unlink(part)


class _Url:
    """A file system of fsspec. What broke off while it was written has another size, and is written again."""

    def __init__(self, url: str) -> None:
        from treadle.store.remote import open_url  # lazy: 80 ms that a folder spares

        self._system: Any
        self._system, path = open_url(url)
        self._path = path.rstrip("/")

    def sizes(self) -> dict[str, int]:
        self._system.invalidate_cache()
        found = self._system.find(self._path, detail=True)
        return {"/".join(path.rsplit("/", 2)[-2:]): int(info.get("size") or -1) for path, info in found.items()}

    def get(self, name: str, path: str) -> None:
        self._system.get_file(f"{self._path}/{name}", path)

    def put(self, path: str, name: str) -> None:
        target = f"{self._path}/{name}"
        self._system.makedirs(target.rpartition("/")[0], exist_ok=True)
        self._system.put_file(path, target)


def _name(digest: str) -> str:
    return f"{digest[:2]}/{digest[2:]}"
