"""Read a table from a URL, whole or not at all."""

import tempfile
from pathlib import Path
from typing import Literal
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

import pandas as pd

from treadle.authoring import StepError, secret
from treadle_steps.ingest import table

CHUNK = 1 << 20
WEB = ("http", "https", "ftp", "file")


def url(
    *,
    url: str,
    secret_header: str | None = None,
    timeout: float = 60.0,
    format: Literal["auto", "csv", "jsonl", "parquet"] = "auto",
    columns: list[str] | None = None,
    dtypes: dict[str, str] | None = None,
    parse_dates: list[str] | None = None,
) -> pd.DataFrame:
    """Download a table and read it. What stands at a URL is not seen by the cache: use `data: {url: …}` for that.

    http, https, ftp and file are built in; others, such as s3, go through fsspec. `secret_header` names an environment
    variable with a header such as `Authorization: Bearer …`. `timeout` in seconds of silence. Raises StepError when
    the answer is an error, stops half-way, or holds no table.

    Example:

        zones:
          uses: ingest.url
          with: {url: "https://example.com/zones.csv"}
          cache: {ttl: 1d}
    """
    name = Path(unquote(urlsplit(url).path)).name or "table.csv"
    folder = Path(tempfile.mkdtemp())
    target = folder / name
    try:
        if urlsplit(url).scheme in WEB:
            _fetch(url, target, secret_header, timeout)
        else:
            _fetch_by_fsspec(url, target)
        return table(target, format=format, columns=columns, dtypes=dtypes, parse_dates=parse_dates)
    finally:
        target.unlink(missing_ok=True)
        folder.rmdir()


def _fetch(url: str, target: Path, secret_header: str | None, timeout: float) -> None:
    request = Request(url)
    if secret_header is not None:
        name, colon, value = secret(secret_header).partition(":")
        if not colon:
            raise StepError(f"the secret {secret_header} holds no header", "such as: Authorization: Bearer …")
        request.add_header(name.strip(), value.strip())
    shown = url.partition("?")[0]
    try:
        with urlopen(request, timeout=timeout) as answer, open(target, "wb") as file:  # the user's own URL
            while chunk := answer.read(CHUNK):
                file.write(chunk)
            promised = answer.headers.get("Content-Length")
    except HTTPError as error:
        raise StepError(f"{shown} answers {error.code} {error.reason}") from None
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise StepError(f"{shown} cannot be read: {reason}", "is the address right, and the server up?") from None
    if promised is not None and int(promised) != target.stat().st_size:
        got = f"{target.stat().st_size:,} of {int(promised):,} bytes"
        raise StepError(f"{shown} stopped after {got}", "run again: nothing was kept")


def _fetch_by_fsspec(url: str, target: Path) -> None:
    try:
        import fsspec  # lazy: only other kinds of URL need it
    except ImportError:
        raise StepError(f"'{urlsplit(url).scheme}' needs fsspec", "pip install 'treadle[remote]'") from None
    try:
        with fsspec.open(url, "rb") as source, open(target, "wb") as file:
            while chunk := source.read(CHUNK):
                file.write(chunk)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise StepError(f"{url.partition('?')[0]} cannot be read: {error}") from None
