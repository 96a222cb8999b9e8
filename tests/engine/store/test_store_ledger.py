"""The ledger keeps what it was given, and says where it was tampered with."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from treadle.domain.ledger import Broken
from treadle.domain.location import Location
from treadle.errors import StoreError
from treadle.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def fill(store: Store, count: int = 5) -> None:
    for number in range(count):
        store.ledger.append(
            f"trigger.{'fire' if number % 2 else 'merge'}", "p/d", {"psi": number / 7}, at=100.0 + number
        )


def tamper(store: Store, *statements: str) -> None:
    """Change the file behind the back of the store, as somebody with access to the disk can."""
    store.database.close()
    connection = sqlite3.connect(store.database.path)
    with connection:
        for name in ("ledger_keeps", "ledger_holds"):
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_entries_come_back_as_they_were_and_hold(store: Store) -> None:
    fill(store)
    found = store.ledger.entries()
    assert [entry.number for entry in found] == [1, 2, 3, 4, 5]
    assert found[3].evidence == {"psi": 3 / 7}
    assert [entry.previous for entry in found[1:]] == [entry.digest for entry in found[:-1]]
    check = store.ledger.verify()
    assert (check.entries, check.head, check.broken) == (5, found[-1].digest, None)


def test_entries_are_found_by_kind_subject_and_time(store: Store) -> None:
    fill(store)
    store.ledger.append("triggers", "p/d", {}, at=200.0)
    assert len(store.ledger.entries("trigger")) == 5
    assert len(store.ledger.entries("trigger.fire")) == 2
    assert store.ledger.entries(subject="q") == []
    assert [entry.at for entry in store.ledger.entries(limit=2)] == [104.0, 200.0]
    assert len(store.ledger.entries(since=103.0)) == 3


def test_sqlite_itself_refuses_to_change_or_delete(store: Store) -> None:
    fill(store)
    for statement in ("UPDATE ledger SET at = 0", "DELETE FROM ledger"):
        with pytest.raises(StoreError, match="append-only"), store.database.transaction():
            store.database.change(statement)
    assert store.ledger.verify().entries == 5


@pytest.mark.parametrize(
    ("statement", "number", "reason"),
    [
        ("UPDATE ledger SET evidence = CAST('{\"psi\":9}' AS BLOB) WHERE number = 3", 3, "not what was written"),
        ("UPDATE ledger SET at = at + 1 WHERE number = 1", 1, "not what was written"),
        ("UPDATE ledger SET actor = 5 WHERE number = 2", 2, "not what was written"),
        ("UPDATE ledger SET evidence = 'text' WHERE number = 2", 2, "not what was written"),
        ("UPDATE ledger SET digest = 'x' WHERE number = 4", 4, "not what was written"),
        ("DELETE FROM ledger WHERE number = 2", 2, "entry 2 is missing: the next one is 3"),
        ("DELETE FROM ledger WHERE number = 1", 1, "entry 1 is missing"),
        ("UPDATE ledger SET number = number + 1 WHERE number = 5", 5, "entry 5 is missing"),
        ("UPDATE ledger SET previous = 'x' WHERE number = 5", 5, "does not follow the entry before it"),
        (
            "INSERT INTO ledger SELECT -1, at, kind, subject, actor, evidence, previous, digest FROM ledger LIMIT 1",
            1,
            "entry 1",
        ),
    ],
)
def test_the_first_broken_entry_is_named(store: Store, statement: str, number: int, reason: str) -> None:
    fill(store)
    tamper(store, statement)
    broken = store.ledger.verify().broken
    assert broken is not None
    assert (broken.number, reason in broken.reason) == (number, True)


def test_entries_cut_off_the_end_show_against_a_head_noted_earlier(store: Store) -> None:
    fill(store)
    head = store.ledger.verify().head
    fill(store, 2)
    assert store.ledger.verify(head).broken is None
    tamper(store, "DELETE FROM ledger WHERE number > 4")
    assert store.ledger.verify().broken is None
    assert store.ledger.verify(head).broken == Broken(5, "the entry of the digest noted earlier is missing")


def test_an_entry_shares_the_fate_of_its_transaction(store: Store) -> None:
    fill(store, 1)
    with pytest.raises(RuntimeError), store.database.transaction():
        store.ledger.append("trigger.fire", "p/d", {}, at=1.0)
        raise RuntimeError
    assert store.ledger.verify().entries == 1


def test_many_writers_make_one_chain(tmp_path: Path) -> None:
    stores = [open_store(tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: fill(one, 25), stores))
    check = stores[0].ledger.verify()
    assert (check.entries, check.broken) == (100, None)


@pytest.mark.parametrize("evidence", [[1], object(), {"a": object()}, 5])
def test_evidence_is_plain_data(store: Store, evidence: object) -> None:
    with pytest.raises(StoreError, match="the evidence of x is no"):
        store.ledger.append("x", "y", evidence, at=0.0)
    assert store.ledger.append("x", "y", Location("a.yaml", 1, 2), at=0.0).evidence["path"] == "a.yaml"
