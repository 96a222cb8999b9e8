"""Read a table from a database: SQLite, PostgreSQL, or anything with a DB-API or ADBC driver."""

import os
import re
from importlib import import_module
from typing import Any
from urllib.parse import unquote, urlsplit

import pandas as pd

from treadle.authoring import StepError
from treadle.authoring import secret as secret_of

ROWS = 50_000  # fetched at a time
PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]*@")
DRIVERS = {"sqlite": "sqlite3", "postgresql": "psycopg", "postgres": "psycopg"}


def sql(
    *,
    query: str,
    database: str | None = None,
    secret: str | None = None,
    driver: str | None = None,
    options: dict[str, Any] | None = None,
    params: list[Any] | None = None,
) -> pd.DataFrame:
    """Read what a query returns. What is in a database is not seen by the cache: give the step `cache: {ttl: 1h}`.

    `database` is a URL such as sqlite:///data/shop.db or postgresql://user@host/name, without a password; `secret`
    names the environment variable that holds such a URL with one (list it under `secrets:` too). Any other database:
    `driver` is a module with the DB-API (PEP 249) or ADBC, called as `connect(**options)`. `params` fill the query's
    placeholders in the driver's own style. Raises StepError naming the database or the query.

    Example:

        orders:
          uses: ingest.sql
          with:
            database: sqlite:///data/shop.db
            query: SELECT zone, amount FROM orders WHERE amount > ?
            params: [10]
          cache: {ttl: 1h}
    """
    module, connection, shown = _connect(database, secret, driver, options or {})
    broken = _errors(module)
    try:
        cursor = connection.cursor()
        try:
            cursor.execute(query, params or [])
        except broken as error:
            hint = f"the query was: {' '.join(query.split())[:200]}"
            raise StepError(f"the query failed: {_masked(error)}", hint) from None
        if cursor.description is None:
            raise StepError("the query returns no table", "write a SELECT")
        return _table(cursor)
    except broken as error:
        raise StepError(f"reading from {shown} stopped: {_masked(error)}") from None
    finally:
        connection.close()


def _errors(module: Any) -> tuple[type[Exception], ...]:
    """What a driver raises: PEP 249 wants an `Error` in every module."""
    own = getattr(module, "Error", None)
    return (*((own,) if isinstance(own, type) else ()), OSError, RuntimeError, ValueError, TypeError)


def _table(cursor: Any) -> pd.DataFrame:
    arrow = getattr(cursor, "fetch_arrow_table", None)
    if arrow is not None:  # ADBC
        found: pd.DataFrame = arrow().to_pandas()
        return found
    names = [str(column[0]) for column in cursor.description]
    twice = [name for at, name in enumerate(names) if name in names[:at]]
    if twice:
        raise StepError(f"the query returns column '{twice[0]}' more than once", "rename one: SELECT a.x AS a_x")
    parts = []
    while rows := cursor.fetchmany(ROWS):
        parts.append(pd.DataFrame.from_records([tuple(row) for row in rows], columns=names, coerce_float=True))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=names)


def _connect(
    database: str | None, secret: str | None, driver: str | None, options: dict[str, Any]
) -> tuple[Any, Any, str]:
    if driver is not None:
        return _opened(_module(driver), driver, (), options)
    url = database
    if secret is not None:
        url = secret_of(secret)
    if not url:
        raise StepError("no database is named", "with: {database: sqlite:///data/shop.db} or {secret: DATABASE_URL}")
    kind = urlsplit(url).scheme
    shown = PASSWORD.sub(r"\1…@", url)
    if kind not in DRIVERS:
        if not kind and secret is not None:
            raise StepError(f"the secret {secret} holds no URL", "such as postgresql://user:password@host/name")
        if not kind:
            raise StepError(f"database '{shown}' is no URL", f"a file of SQLite is sqlite:///{shown}")
        raise StepError(f"'{kind}' databases need their driver", "with: {driver: MODULE, options: {…}}")
    if kind == "sqlite":
        path = unquote(url.partition("://")[2].removeprefix("/"))
        if not os.path.exists(path):
            raise StepError(
                f"there is no SQLite file {path}", "sqlite:///data/shop.db is relative, four slashes absolute"
            )
        return _opened(_module("sqlite3"), shown, (f"file:{path}?mode=ro",), {"uri": True, **options})
    return _opened(_module(DRIVERS[kind]), shown, (url,), {"connect_timeout": 10, **options})


def _opened(module: Any, shown: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Any, str]:
    try:
        return module, module.connect(*arguments, **options), shown
    except _errors(module) as error:
        raise StepError(
            f"{shown} cannot be reached: {_masked(error)}", "is the server up, and the name right?"
        ) from None


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        extra = "pip install 'treadle[postgres]'" if name == "psycopg" else f"pip install {name.partition('.')[0]}"
        raise StepError(f"the driver '{name}' is not installed", extra) from None


def _masked(error: Exception) -> str:
    return PASSWORD.sub(r"\1…@", str(error).strip().split("\n")[0]) or type(error).__name__
