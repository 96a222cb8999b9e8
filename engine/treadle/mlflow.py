"""An MLflow server through its REST interface, with the standard library alone.

Addresses: https://mlflow.org/docs/latest/rest-api.html; the artifact proxy is `mlflow-artifacts/artifacts/PATH`.
"""

import os
from base64 import b64encode
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, BinaryIO
from urllib.parse import quote, unquote, urlencode, urlsplit

from msgspec import DecodeError, Struct, json

from treadle.environment import variable
from treadle.errors import TreadleError

SILENCE = 20.0  # seconds that a server may need for an answer
CHUNK = 1 << 20
ELSEWHERE = ("models", "runs")  # schemes that only lead on
PROXY = "mlflow-artifacts:"
FOUND_ALREADY, NOT_FOUND = "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"


class Unreachable(TreadleError):
    """The server gave no answer, or one that says it cannot work now: ask again later."""


class Refused(TreadleError):
    """The server answered that it will not do this; `code` is its word for why."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


class File(Struct, frozen=True):
    """A file among artifacts: its path below what was listed, and its bytes."""

    path: str
    size: int


class Server:
    """One MLflow server; every method raises Unreachable and Refused.

    Credentials are those of MLflow's own client: in the address, or MLFLOW_TRACKING_USERNAME and _PASSWORD, or
    MLFLOW_TRACKING_TOKEN.
    """

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused("bad-address", "the address of an MLflow server begins with http:// or https://")
        self._make = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        self.shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{self._prefix}"
        self._headers = _credentials(parts.username, parts.password)

    def get(self, address: str, **query: Any) -> dict[str, Any]:
        """Ask for something."""
        return self._json("GET", f"{address}?{urlencode(query)}" if query else address, None)

    def post(self, address: str, **body: Any) -> dict[str, Any]:
        """Have something done."""
        return self._json("POST", address, json.encode(body))

    def delete(self, address: str, **body: Any) -> dict[str, Any]:
        """Have something taken away."""
        return self._json("DELETE", address, json.encode(body))

    def upload(self, place: str, file: BinaryIO, size: int) -> None:
        """Put a file under an artifact address; what was there is replaced."""
        response = self._ask("PUT", self._artifact(place), file, {"Content-Length": str(size)})
        _checked(response, response.read())

    def download(self, place: str, path: str) -> int:
        """Write what is under an artifact address to a file, and return its bytes; raises OSError for the disk."""
        response = self._ask("GET", self._artifact(place))
        if response.status != 200:
            _checked(response, response.read())
        size = 0
        with response, open(path, "wb") as file:
            try:
                while chunk := response.read(CHUNK):
                    file.write(chunk)
                    size += len(chunk)
            except (HTTPException, OSError) as error:
                raise self._lost(error) from None
        return size

    def files(self, place: str) -> Iterator[File]:
        """The files below an artifact address, in order of their paths."""
        below = place.removeprefix(PROXY).strip("/")
        for entry in self.get("mlflow-artifacts/artifacts", path=below).get("files", []):
            name = str(entry["path"]).rpartition("/")[2]
            if entry.get("is_dir"):
                for inner in self.files(f"{place.rstrip('/')}/{name}"):
                    yield File(f"{name}/{inner.path}", inner.size)
            else:
                yield File(name, int(entry.get("file_size") or 0))

    def _json(self, method: str, path: str, data: bytes | None) -> dict[str, Any]:
        response = self._ask(method, path, data, {"Content-Type": "application/json"})
        try:
            text = response.read()
        except (HTTPException, OSError) as error:
            raise self._lost(error) from None
        _checked(response, text)
        try:
            found: dict[str, Any] = json.decode(text or b"{}", type=dict[str, Any])
        except DecodeError:
            raise Unreachable(f"{self.shown} does not answer as an MLflow server") from None
        return found

    def _ask(
        self, method: str, path: str, body: bytes | BinaryIO | None = None, headers: dict[str, str] | None = None
    ) -> HTTPResponse:
        """Ask once, over a connection of its own: whether a request on one that idled was done could not be known."""
        connection = self._make(self._host, self._port, timeout=SILENCE)
        try:
            address = f"{self._prefix}/api/2.0/{path}"
            connection.request(method, address, body, {"Connection": "close", **self._headers, **(headers or {})})
            return connection.getresponse()  # closes the connection when it has been read
        except (HTTPException, OSError) as error:
            connection.close()
            raise self._lost(error) from None

    def _lost(self, error: Exception) -> Unreachable:
        return Unreachable(f"{self.shown} cannot be reached: {str(error) or type(error).__name__}")

    def _artifact(self, place: str) -> str:
        if not place.startswith(PROXY):
            scheme = place.partition(":")[0]
            raise Refused("bad-address", f"its artifacts are not kept by the server itself, but under {scheme}:")
        return f"mlflow-artifacts/artifacts/{quote(place.removeprefix(PROXY).strip('/'))}"


def resolve(server: Server, uri: str) -> str:
    """The artifact address of `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `runs:/RUN/PATH` or of itself.

    Raises Refused and Unreachable.
    """
    scheme, _, rest = uri.partition(":")
    path = unquote(rest.strip("/"))
    if scheme == "runs":
        run, _, below = path.partition("/")
        info = server.get("mlflow/runs/get", run_id=run)["run"]["info"]
        return f"{info['artifact_uri'].rstrip('/')}/{below}".rstrip("/")
    if scheme != "models":
        return uri
    name, at, alias = path.partition("@")
    if at:
        version = server.get("mlflow/registered-models/alias", name=name, alias=alias)["model_version"]["version"]
    else:
        name, _, version = path.rpartition("/")
        if not name or not version.isdecimal():
            raise Refused("bad-address", f"'{uri}' is no model: write models:/NAME/VERSION or models:/NAME@ALIAS")
    found = server.get("mlflow/model-versions/get-download-uri", name=name, version=version)["artifact_uri"]
    if found.startswith("models:/m-"):  # a logged model of MLflow 3
        model = server.get(f"mlflow/logged-models/{found.removeprefix('models:/')}")["model"]
        return str(model["info"]["artifact_uri"])
    return str(found) if not found.startswith(ELSEWHERE) else resolve(server, str(found))


def _credentials(user: str | None, password: str | None) -> dict[str, str]:
    token = variable("MLFLOW_TRACKING_TOKEN")
    name = unquote(user) if user else variable("MLFLOW_TRACKING_USERNAME")
    secret = unquote(password or "") if user else variable("MLFLOW_TRACKING_PASSWORD") or ""
    if name:
        return {"Authorization": "Basic " + b64encode(f"{name}:{secret}".encode()).decode()}
    return {"Authorization": f"Bearer {token}"} if token else {}


def _checked(response: HTTPResponse, text: bytes) -> None:
    if response.status < 300:
        return
    try:
        told = json.decode(text, type=dict[str, Any])
    except DecodeError:
        told = {}
    code = str(told.get("error_code") or response.status)
    message = str(told.get("message") or f"{response.status} {response.reason}").partition("\n")[0][:500]
    if response.status >= 500 or response.status in (408, 425, 429):
        raise Unreachable(f"the MLflow server says: {message}")
    raise Refused(code, message)


def size_of(file: BinaryIO) -> int:
    """The bytes of an open file."""
    return os.fstat(file.fileno()).st_size
