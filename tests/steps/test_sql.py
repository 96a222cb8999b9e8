"""`ingest.sql` against a real SQLite file and a real PostgreSQL server."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from support.postgres import a_server, needs_postgres
from treadle.authoring import StepError
from treadle_steps.sql import sql

ROWS = [(1, "north", 2.5), (2, "south", None), (3, None, 4.0)]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect("shop.db") as connection:
        connection.execute("CREATE TABLE sales (id INTEGER, region TEXT, amount REAL)")
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?)", ROWS)
    connection.close()
    return "sqlite:///shop.db"


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    import psycopg

    with a_server() as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE sales (id INTEGER, region TEXT, amount DOUBLE PRECISION)")
            connection.cursor().executemany("INSERT INTO sales VALUES (%s, %s, %s)", ROWS)
            connection.execute("CREATE TABLE many AS SELECT generate_series(1, 120000) AS n")
        yield url


def check(found: pd.DataFrame) -> None:
    assert found["id"].tolist() == [1, 2, 3]
    assert found["region"].tolist()[:2] == ["north", "south"]
    assert found["amount"].isna().tolist() == [False, True, False]
    assert found["amount"].sum() == 6.5


def test_sqlite(shop: str) -> None:
    check(sql(database=shop, query="SELECT * FROM sales ORDER BY id"))
    some = sql(database=shop, query="SELECT id FROM sales WHERE amount > ? ORDER BY id", params=[3])
    assert some["id"].tolist() == [3]
    none = sql(database=shop, query="SELECT id, region FROM sales WHERE id > 9")
    assert (list(none.columns), len(none)) == (["id", "region"], 0)


def test_sqlite_is_only_read(shop: str) -> None:
    with pytest.raises(StepError, match="readonly"):
        sql(database=shop, query="DELETE FROM sales")
    assert len(sql(database=shop, query="SELECT * FROM sales")) == 3


@needs_postgres
def test_postgres(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check(sql(database=postgres, query="SELECT * FROM sales ORDER BY id"))
    monkeypatch.setenv("SHOP_URL", postgres.replace("tester@", "tester:hush@"))
    check(sql(secret="SHOP_URL", query="SELECT * FROM sales ORDER BY id"))
    assert sql(database=postgres, query="SELECT n FROM many WHERE n > %s", params=[10])["n"].sum() == 7200059945


@needs_postgres
def test_errors_of_postgres_name_the_query_and_never_the_password(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StepError, match='relation "slaes" does not exist'):
        sql(database=postgres, query="SELECT * FROM slaes")
    monkeypatch.setenv("SHOP_URL", "postgresql://tester:hush@127.0.0.1:1/postgres")
    with pytest.raises(StepError, match="cannot be reached") as failed:
        sql(secret="SHOP_URL", query="SELECT 1")
    assert "hush" not in str(failed.value)


@needs_postgres
def test_a_server_that_goes_away_half_way(postgres: str) -> None:
    import psycopg

    def kill() -> None:
        with psycopg.connect(postgres, autocommit=True) as other:
            others = "query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"
            other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")

    timer = threading.Timer(0.5, kill)
    timer.start()
    with pytest.raises(StepError, match="the query failed"):
        sql(database=postgres, query="SELECT pg_sleep(30)")
    timer.join()


def test_any_other_driver_with_the_db_api(shop: str) -> None:
    check(sql(driver="sqlite3", options={"database": "shop.db"}, query="SELECT * FROM sales ORDER BY id"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "no database is named"),
        ({"database": "mysql://h/d"}, "'mysql' databases need their driver"),
        ({"database": "sqlite:///nothing.db"}, "there is no SQLite file nothing.db"),
        ({"secret": "NOT_SET"}, "the secret NOT_SET is not set"),
        ({"driver": "no_such_driver"}, "the driver 'no_such_driver' is not installed"),
    ],
)
def test_a_wrong_database_is_named(shop: str, arguments: dict[str, str], words: str) -> None:
    with pytest.raises(StepError, match=words):
        sql(query="SELECT 1", **arguments)


def test_a_wrong_query_is_named(shop: str) -> None:
    for query, words in (
        ("SELEC 1", "syntax error"),
        ("SELECT a.id, b.id FROM sales a, sales b", "column 'id' more than once"),
        ("CREATE TEMP TABLE t (x)", "returns no table"),
    ):
        with pytest.raises(StepError, match=words):
            sql(database=shop, query=query)
