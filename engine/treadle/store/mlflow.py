"""Data on an MLflow server: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `runs:/RUN/PATH`, `mlflow-artifacts:/PATH`.

Its identity is where the address leads now, and the names and sizes of the files there: what MLflow keeps under one
version or run does not change. The copy lies under `.treadle/remote/<id>/`; it comes by way of `.treadle/tmp/`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from shutil import rmtree

from msgspec import Struct

from treadle import digest as digests
from treadle.domain.advance import Advance, Tell, silent
from treadle.domain.spec import DataSource
from treadle.environment import variable
from treadle.errors import StoreError, input_error
from treadle.mlflow import File, Refused, Server, Unreachable, resolve
from treadle.settings import read_settings
from treadle.store.data import Data
from treadle.store.scratch import temporary

HINT = 'track = {mlflow = "http://localhost:5000"} in treadle.toml, or MLFLOW_TRACKING_URI, says where the server is'


class _Place(Struct, frozen=True):
    """What an address stands for now; `alone` is a single file, not a folder."""

    address: str
    files: tuple[File, ...]
    alone: bool

    @property
    def identity(self) -> str:
        return digests.of_value(["mlflow", self.address, [[file.path, file.size] for file in self.files]])


class Tracked:
    """Raises InputError for what cannot be reached, StoreError when the disk fails."""

    def __init__(self, folder: str, tell: Tell = silent) -> None:
        self._folder = folder
        self._tell = tell

    def data(self, source: DataSource) -> Data:
        """The identity of what an address stands for now; nothing is fetched."""
        with _reached(source):
            place = _look(self._server(), source.target)
        return self._data(place)

    def fetch(self, source: DataSource, data: Data) -> Data:
        """The same with its copy there for certain; one that is kept is used."""
        if data.paths and os.path.exists(data.paths[0]):
            os.utime(os.path.dirname(data.paths[0]))  # what is used is not swept
            return data
        with _reached(source):
            server = self._server()
            place = _look(server, source.target)
            if place.identity != data.digest:
                text = f"data '{source.name}': {source.target} changed while it was fetched"
                raise input_error("unreachable-data", text, source.where, "run again")
            self._fetch(server, source, place)
        return self._data(place)

    def _server(self) -> Server:
        root = os.path.dirname(self._folder)
        uri = read_settings(root).track.mlflow or variable("MLFLOW_TRACKING_URI") or ""
        if not uri.startswith("http"):
            raise Refused("no-server", "no MLflow server is known")
        return Server(uri)

    def _fetch(self, server: Server, source: DataSource, place: _Place) -> None:
        part = temporary(os.path.join(self._folder, "tmp"))
        total = sum(file.size for file in place.files)
        try:
            size = 0
            for file in place.files:
                target = os.path.join(part, os.path.basename(self._target(place)), "" if place.alone else file.path)
                target = os.path.normpath(target)
                if not target.startswith(part + os.sep):
                    raise Refused("bad-name", f"a file there has the name '{file.path}'")
                os.makedirs(os.path.dirname(target), exist_ok=True)
                address = place.address if place.alone else f"{place.address}/{file.path}"
                got = server.download(address, target)
                if got != file.size:
                    raise Unreachable(f"{file.path} broke off after {got} of {file.size} bytes")
                size += got
                self._tell(Advance(f"fetching {source.target}", size, total, "bytes"))
            top = os.path.dirname(self._target(place))
            os.makedirs(os.path.dirname(top), exist_ok=True)
            if not os.path.exists(self._target(place)):
                os.rename(part, top)
        except OSError as error:
            raise StoreError(f"{self._target(place)} cannot be written: {error}") from error
        finally:
            rmtree(part, ignore_errors=True)

    def _target(self, place: _Place) -> str:
        name = place.address.rstrip("/").rpartition("/")[2].lstrip(".") or "model"
        return os.path.join(self._folder, "remote", place.identity[:32], name)

    def _data(self, place: _Place) -> Data:
        """Nobody else writes the copy, so that it stands under its name is enough."""
        return Data(
            digest=place.identity,
            shape="file" if place.alone else "folder",
            paths=(self._target(place),),
            root="",
            target="",
            names=(),
            signatures=(),
            settled=True,
        )


def _look(server: Server, url: str) -> _Place:
    address = resolve(server, url).rstrip("/")
    files = tuple(server.files(address))
    above, _, name = address.rpartition("/")
    if len(files) == 1 and files[0].path == name:  # some servers list a file as itself
        return _Place(address, files, True)
    if not files:
        files = tuple(file for file in server.files(above) if file.path == name)
        if not files:
            raise Refused("RESOURCE_DOES_NOT_EXIST", "there is nothing")
        return _Place(address, files, True)
    return _Place(address, files, False)


@contextmanager
def _reached(source: DataSource) -> Iterator[None]:
    """What the server says becomes a problem with the entry's name."""
    try:
        yield
    except Unreachable as error:
        hint = "check the address and the network, then run again"
        raise input_error("unreachable-data", f"data '{source.name}': {error}", source.where, hint) from None
    except Refused as error:
        hint = HINT if error.code in ("no-server", "bad-address") else ""
        text = f"data '{source.name}': {source.target}: {error}"
        raise input_error("missing-data", text, source.where, hint) from None
