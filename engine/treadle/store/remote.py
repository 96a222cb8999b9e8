"""Data behind a URL: what it is now, and a local copy for the steps that read it.

Its identity is the strong etag that the server gives, else the content. The copy lies under
`.treadle/remote/<id>/<name>`; it comes by way of `.treadle/tmp/`, so a download that dies leaves nothing half.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from msgspec import DecodeError, Struct, msgpack, structs

from treadle import digest as digests
from treadle.domain.advance import Advance, Tell, silent
from treadle.domain.artifact import Artifact
from treadle.domain.spec import DataSource
from treadle.errors import InputError, StoreError, TreadleError, input_error
from treadle.store.data import Data
from treadle.store.files import FileDigests, Signature, signature
from treadle.store.memo import Memo
from treadle.store.objects import Objects
from treadle.store.scratch import temporary
from treadle.store.url import file_name, shown, without_secrets

ETAGS = ("ETag", "etag", "e_tag", "md5Hash", "content_md5")
STAMPS = ("Last-Modified", "LastModified", "last_modified", "mtime", "updated", "created", "modified")
CONNECT, SILENCE = 30, 60  # seconds that a server has to answer, and may be silent within an answer
CHUNK = 1 << 20
SETTLED = 5.0  # seconds after which a file of the same size and time, which may be whole seconds, is the same file
GONE, REFUSED = (404, 410), (401, 403)


class Known(Struct, frozen=True):
    """What was fetched: the digest and the size of its content."""

    content: str
    size: int


class _Now(Struct, frozen=True):
    """What the server says of a URL; `etag` is a strong one or empty, `hint` that, or whatever else may tell."""

    etag: str
    hint: str
    size: int | None


class Remote:
    """Raises InputError for what cannot be reached, StoreError when the disk fails; never shows a credential."""

    def __init__(self, folder: str, objects: Objects, memo: Memo, files: FileDigests, tell: Tell = silent) -> None:
        self._folder = folder
        self._objects = objects
        self._memo = memo
        self._files = files
        self._tell = tell

    def data(self, source: DataSource) -> Data:
        """The identity of what a URL stands for now; without an etag this fetches it, if it may be new."""
        now = self._ask(source)
        known = self._known(source, now.hint) if now.hint else None
        if now.etag:
            return self._data(_by_etag(source, now), None if known is None else self._place(source, known))
        if known is None or not (self._stands(self._place(source, known)) or self._objects.has(_artifact(known))):
            known = self._fetch(source, now)
        return self._data(_by_content(source, known), self._place(source, known))

    def fetch(self, source: DataSource, data: Data) -> Data:
        """The same with its copy there for certain: one that is kept and sound is used, anything else fetched."""
        place = data.paths[0]
        if place and self._stands(place):
            return self._data(data.digest, place)
        now = self._ask(source)
        known = self._known(source, now.hint) if now.hint else None
        if known is None or not self._objects.has(_artifact(known)):
            known = self._fetch(source, now)
        if data.digest != (_by_etag(source, now) if now.etag else _by_content(source, known)):
            raise self._changed(source)
        self._plant(source, known)
        return self._data(data.digest, self._place(source, known))

    # asking

    def _ask(self, source: DataSource) -> _Now:
        with self._reached(source):
            system, path = open_url(source.target)
            system.invalidate_cache()
            found = system.info(path)
        if found.get("type") == "directory":
            text = f"data '{source.name}': {shown(source.target)} is a folder"
            raise input_error("unsupported-data", text, source.where, "name one file")
        return _now(found, time.time())

    def _fetch(self, source: DataSource, now: _Now) -> Known:
        """Download into the object store, whole or not at all."""
        part = temporary(os.path.join(self._folder, "tmp"))
        try:
            with self._reached(source):
                system, path = open_url(source.target)
                size = self._download(system, path, part, source, now.size)
                again = _now(system.info(path), time.time())
            if now.size is not None and size != now.size:
                text = f"data '{source.name}': {shown(source.target)} broke off after {size} of {now.size} bytes"
                raise input_error("unreachable-data", text, source.where, "nothing of it was kept; run again")
            if (again.etag, again.size) != (now.etag, now.size):
                raise self._changed(source)
            made = self._objects.add_file(part, "file", file_name(source.target), give=True)
            self._objects.sync()
        finally:
            with suppress(OSError):
                os.unlink(part)
        known = Known(made.digest, made.size)
        self._plant(source, known)
        for hint in {"", now.hint}:
            self._memo.put("url", _record(source, hint), msgpack.encode(known))
        self._memo.flush()
        return known

    def _download(self, system: Any, path: str, part: str, source: DataSource, total: int | None) -> int:
        what, size = f"fetching {shown(source.target)}", 0
        options = {"block_size": 0} if _streams(system) else {}
        with system.open(path, "rb", **options) as reader, open(part, "wb") as writer:
            while chunk := reader.read(CHUNK):
                writer.write(chunk)
                size += len(chunk)
                self._tell(Advance(what, size, total or 0, "bytes"))
        return size

    @contextmanager
    def _reached(self, source: DataSource) -> Iterator[None]:
        """Whatever a file system's library raises becomes a problem with the URL's name, without its secrets."""
        try:
            yield
        except TreadleError:
            raise
        except raised() as error:
            raise self._problem(source, error) from None

    def _problem(self, source: DataSource, error: BaseException) -> InputError:
        url = shown(source.target)
        cause = error.__cause__ or error.__context__ or error
        status = getattr(cause, "status", None) or getattr(error, "status", None)
        told = without_secrets(str(cause) or type(cause).__name__, source.target)
        if isinstance(error, ImportError):
            extra = "s3" if url.startswith("s3") else "remote"
            hint = f"pip install 'treadle[{extra}]'"
            return input_error("missing-library", f"data '{source.name}': {url}: {told}", source.where, hint)
        if status in GONE or (isinstance(error, FileNotFoundError) and cause is error):
            return input_error("missing-data", f"data '{source.name}': there is nothing at {url}", source.where, "")
        if status in REFUSED or isinstance(cause, PermissionError):
            text = f"data '{source.name}': access to {url} is refused"
            hint = "set the credentials in the environment, and name them in the URL as ${env.NAME} if need be"
            return input_error("unreachable-data", text, source.where, hint)
        text = f"data '{source.name}': {url} cannot be reached: {told}"
        return input_error("unreachable-data", text, source.where, self._way_out(source))

    def _way_out(self, source: DataSource) -> str:
        known = self._known(source, "")
        place = "" if known is None else self._place(source, known)
        if not place or not os.path.exists(place):
            return "check the address and the network, then run again"
        return f"run again later, or go on with the last copy: path: {os.path.relpath(place, _parent(self._folder))}"

    def _changed(self, source: DataSource) -> InputError:
        text = f"data '{source.name}': {shown(source.target)} changed while it was fetched"
        return input_error("unreachable-data", text, source.where, "run again")

    # the copy

    def _known(self, source: DataSource, hint: str) -> Known | None:
        """What was fetched when the server said `hint`, or, for an empty one, the last time."""
        kept = self._memo.get("url", _record(source, hint))
        try:
            return None if kept is None else msgpack.decode(kept, type=Known)
        except DecodeError:
            return None

    def _place(self, source: DataSource, known: Known) -> str:
        return os.path.join(self._folder, "remote", known.content[:32], file_name(source.target))

    def _stands(self, place: str) -> bool:
        """Whether a copy is there with the content that its folder is named by; one that is used is not swept."""
        try:
            if not self._files.digest(place).startswith(os.path.basename(_parent(place))):
                return False
            os.utime(_parent(place))
        except OSError:
            return False
        return True

    def _plant(self, source: DataSource, known: Known) -> None:
        place = self._place(source, known)
        if self._stands(place):
            return
        try:
            with suppress(FileNotFoundError):
                os.unlink(place)
            self._objects.hand_out(structs.replace(_artifact(known), name=os.path.basename(place)), _parent(place))
        except (OSError, StoreError) as error:
            if not self._stands(place):  # else another run was quicker
                raise StoreError(f"{place} cannot be written: {error}") from error

    def _data(self, identity: str, place: str | None) -> Data:
        """The entry as a file of ours, None before it is fetched; nobody else writes it, so its times are enough."""
        signatures: tuple[Signature, ...] = ()
        if place is not None:
            with suppress(OSError):
                signatures = (signature(place),)
        return Data(
            digest=identity,
            shape="file",
            paths=(place or "",),
            root=_parent(self._folder),
            target=place or "",
            names=(os.path.basename(place or ""),),
            signatures=signatures,
            settled=True,
        )


def _by_etag(source: DataSource, now: _Now) -> str:
    return digests.of_value(["url", shown(source.target), now.etag])


def _by_content(source: DataSource, known: Known) -> str:
    return digests.of_value(["file", os.path.splitext(file_name(source.target))[1], known.content])


def _record(source: DataSource, hint: str) -> str:
    return digests.of_value([source.target, hint])


def _now(found: Mapping[str, Any], at: float) -> _Now:
    etag = next((str(found[name]) for name in ETAGS if found.get(name)), "")
    size = found.get("size")
    if etag and not etag.startswith("W/"):
        return _Now(etag, f"etag {etag}", size)
    stamp = next((found[name] for name in STAMPS if found.get(name)), "")
    weak = f"weak {etag} " if etag else ""
    return _Now("", f"{weak}{stamp} {size}" if stamp and not _recent(stamp, at) else "", size)


def _recent(stamp: Any, at: float) -> bool:
    """Whether a file is so new that it may change without its time of whole seconds showing it."""
    from email.utils import parsedate_to_datetime  # lazy: only URLs have such times

    try:
        if isinstance(stamp, int | float):
            moment = float(stamp)
        elif isinstance(stamp, str):
            moment = parsedate_to_datetime(stamp).timestamp()
        else:
            moment = stamp.timestamp()
    except (ValueError, TypeError, AttributeError):
        return True
    return at - moment < SETTLED


def open_url(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path in it; raises ImportError with what to install, ValueError."""
    from fsspec.core import url_to_fs  # lazy: 80 ms that local data spares

    options: dict[str, Any] = {}
    if url.startswith(("http://", "https://")):
        from aiohttp import ClientTimeout  # lazy: with the protocol that needs it

        # by default a download may take five minutes in all, whatever its size
        options["client_kwargs"] = {"timeout": ClientTimeout(total=None, connect=CONNECT, sock_read=SILENCE)}
    found: tuple[Any, str] = url_to_fs(url, **options)
    return found


def _streams(system: Any) -> bool:
    """Whether this is HTTP, read as one stream: byte ranges of a file that changes meanwhile would be mixed."""
    protocol = system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)
    return bool({"http", "https"}.intersection(protocol))


def raised() -> tuple[type[BaseException], ...]:
    """What file systems raise: their libraries have roots of their own."""
    found: list[type[BaseException]] = [OSError, ValueError, ImportError, EOFError, RuntimeError, TypeError, KeyError]
    for module, names in (("aiohttp", ("ClientError",)), ("botocore.exceptions", ("BotoCoreError", "ClientError"))):
        found += [getattr(sys.modules[module], name) for name in names if module in sys.modules]
    return tuple(found)


def _artifact(known: Known) -> Artifact:
    return Artifact(known.content, "file", known.size)


def _parent(path: str) -> str:
    return os.path.dirname(path)
