"""Reading a database that may not be written: what its last writer left, what others write meanwhile, older tables."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from treadle.errors import StoreError
from treadle.store import open_store, reading
from treadle.store.database import Database, Denied
from treadle.store.schema import MIGRATIONS
from treadle.store.tags import Tags

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else and come back")


@pytest.fixture
def path(open_to_all: Path) -> str:
    """A database at rest, ours, which everybody may read."""
    store = open_store(open_to_all)
    store.tags.add("first", "a")
    store.database.close()
    return store.database.path


@contextmanager
def nobody() -> Iterator[None]:
    """What is inside is done as somebody who owns nothing."""
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def tags(database: Database) -> list[str]:
    """What somebody else reads."""
    with nobody():
        return [tag for (tag,) in database.rows("SELECT tag FROM tags ORDER BY tag")]


def test_what_the_owner_writes_meanwhile_is_seen(path: str) -> None:
    reader = Database(path)
    assert tags(reader) == ["a"]
    owner = Tags(Database(path))
    owner.add("first", "b")
    assert tags(reader) == ["a", "b"]  # the owner still has it open
    owner.add("first", "c")
    assert tags(reader) == ["a", "b", "c"]
    reader.close()
    owner._database.close()
    assert tags(reader) == ["a", "b", "c"]
    owner.add("first", "d")
    owner._database.close()
    assert tags(reader) == ["a", "b", "c", "d"]
    reader.close()


def test_nothing_is_made_and_nothing_can_be_changed(path: str) -> None:
    reader = Database(path)
    before = sorted(os.listdir(os.path.dirname(path)))
    assert tags(reader) == ["a"]
    with nobody(), pytest.raises(Denied, match="cannot be written: permission denied"):
        reader.write(lambda: reader.change("DELETE FROM tags"))
    with nobody(), pytest.raises(StoreError, match="read-only"):
        reader.rows("DELETE FROM tags")
    reader.close()
    assert sorted(os.listdir(os.path.dirname(path))) == before


def test_tables_of_an_older_version_are_read_in_a_copy(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    old = sqlite3.connect(path, isolation_level=None)
    old.execute("PRAGMA journal_mode=WAL")
    for statement in MIGRATIONS[0]:
        old.execute(statement)
    old.execute("PRAGMA user_version=1")
    old.execute("INSERT INTO walks VALUES ('d', x'00')")
    old.close()
    content = Path(path).read_bytes()
    connection, seen = reading.open_to_read(path)
    assert connection.execute("SELECT digest FROM walks").fetchall() == [("d",)]
    assert connection.execute("SELECT count(*) FROM tags").fetchall() == [(0,)]
    assert seen == reading.sign(path)
    connection.close()
    assert Path(path).read_bytes() == content
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    newer.close()
    with pytest.raises(StoreError, match="newer treadle"):
        reading.open_to_read(path)


def test_what_is_damaged_stays_where_it_is(path: str) -> None:
    Path(path).write_bytes(b"no database at all" * 1000)
    with nobody(), pytest.raises(StoreError, match="is damaged, and cannot be set aside: permission denied"):
        Database(path).rows("SELECT 1")
    assert sorted(os.listdir(os.path.dirname(path))) == [".gitignore", "state.db", "state.db.making"]
