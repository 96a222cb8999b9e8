"""A model version keeps itself and all that it was made from."""

from pathlib import Path

from treadle.domain.artifact import Artifact
from treadle.store import Result, Store, open_store
from treadle.store.pins import pinned

TABLE = """CREATE TABLE IF NOT EXISTS model_versions (
    name TEXT NOT NULL, version INTEGER NOT NULL, model TEXT NOT NULL, card TEXT NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (name, version)) WITHOUT ROWID"""


def digest(number: int) -> str:
    return f"{number:064x}"


def made(key: int, output: int, reads: int | None = None) -> Result:
    parts = {} if reads is None else {"input x": f"json:{digest(reads)}", "code m": digest(99)}
    return Result(key=digest(key), outputs={"out": Artifact(digest(output), "json", 1)}, parts=parts)


def test_the_lineage_of_every_version_stays_and_nothing_else(tmp_path: Path) -> None:
    store: Store = open_store(tmp_path)
    assert pinned(store) == frozenset()
    store.results.put([made(1, 11), made(2, 12, reads=11), made(3, 13, reads=12), made(4, 14, reads=11)])

    def register() -> None:
        store.database.change(TABLE)
        sql = "INSERT INTO model_versions (name, version, model, card, data) VALUES ('m', 1, ?, 'c', ?)"
        store.database.change(sql, (digest(13), b"\xa5card " + digest(50).encode()))

    store.database.write(register)
    assert pinned(store) == {digest(number) for number in (50, 13, 3, 12, 2, 11, 1)}
