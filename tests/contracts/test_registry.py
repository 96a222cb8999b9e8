"""What every registry does, whatever keeps its records."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import structs

from treadle.domain.artifact import Artifact
from treadle.domain.model import ROLLBACK, AliasEvent, ModelVersion, Quarantine, earlier
from treadle.errors import StoreError
from treadle.store import Models, ModelsDoor, Move
from treadle.store.database import Database

Door = Callable[[], ModelsDoor]


def sqlite(folder: Path) -> Door:
    return lambda: Models(Database(str(folder / ".treadle" / "state.db")))


@pytest.fixture(params=[sqlite])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door]:
    """Opens the same registry anew each time, as another process would."""
    yield request.param(tmp_path)


def draft(model: str = "m", name: str = "demand", at: float = 1.0) -> ModelVersion:
    return ModelVersion(name=name, version=0, artifact=Artifact(model, "skops", 1), format="skops", created=at)


def move(version: int | None, alias: str = "champion", at: float = 9.0, kind: str = "set") -> Move:
    return Move(name="demand", alias=alias, version=version, at=at, actor="ann", reason="why", kind=kind)


def test_the_first_version_becomes_champion_and_later_ones_challenger(door: Door) -> None:
    models = door()
    assert [models.register(draft(m), "c", "run")[0].version for m in "abc"] == [1, 2, 3]
    assert door().aliases("demand") == {"challenger": 3, "champion": 1}
    assert [(e.alias, e.old, e.new, e.actor) for e in door().events("demand")] == [
        ("champion", None, 1, "run"),
        ("challenger", None, 2, "run"),
        ("challenger", 2, 3, "run"),
    ]


def test_the_same_model_with_the_same_card_is_the_same_version(door: Door) -> None:
    models = door()
    first, new = models.register(draft("a"), "c", "run")
    before = models.changes()
    again, fresh = door().register(draft("a", at=99.0), "c", "run")
    assert (new, fresh, again, door().changes()) == (True, False, first, before)
    assert models.known("a", "c") and not models.known("a", "other") and not models.known("other", "c")
    assert models.register(draft("a"), "other card", "run")[0].version == 2


def test_a_version_comes_back_as_it_was_given(door: Door) -> None:
    given = structs.replace(
        draft("a"),
        metrics={"mae": 0.1},
        card={"rollout": {"metric": "sold"}},
        example=({"x": None, "z": "é"},),
        lineage={"train": {"param a": "1"}},
        data={"trips": "ff"},
    )
    door().register(given, "c", "run")
    assert door().get("demand", 1) == structs.replace(given, version=1)
    assert door().alias("demand", "champion") == structs.replace(given, version=1)


def test_what_is_not_there_is_none_or_empty(door: Door) -> None:
    models = door()
    assert (models.names(), models.versions("x"), models.get("x", 1), models.alias("x", "champion")) == (
        [],
        [],
        None,
        None,
    )
    assert (models.aliases("x"), models.events("x"), models.quarantined("x", 0.0), models.changes()) == ({}, [], {}, 0)


def test_an_alias_moves_with_its_history_and_the_counter_grows(door: Door) -> None:
    models = door()
    for model in "ab":
        models.register(draft(model), "c", "run")
    before = models.changes()
    event = models.move(move(2))
    assert event == AliasEvent(name="demand", alias="champion", old=1, new=2, at=9.0, actor="ann", reason="why")
    assert door().alias("demand", "champion") == door().get("demand", 2)
    assert door().events("demand", "champion")[-1] == event
    assert door().changes() > before
    models.move(move(None, "challenger"))
    assert door().aliases("demand") == {"champion": 2}


def test_an_alias_never_names_a_version_that_is_not_there(door: Door) -> None:
    models = door()
    models.register(draft("a"), "c", "run")
    before = models.changes()
    with pytest.raises(StoreError, match="no version 7"):
        models.move(move(7))
    assert (door().aliases("demand"), len(door().events("demand")), door().changes()) == ({"champion": 1}, 1, before)


def test_a_transaction_is_whole_or_not_at_all(door: Door) -> None:
    models = door()
    for model in "ab":
        models.register(draft(model), "c", "run")
    events = models.events("demand")
    with pytest.raises(StoreError), models.transaction():
        models.move(move(2))
        models.move(move(7))
    assert (door().events("demand"), door().aliases("demand")["champion"]) == (events, 1)


def test_quarantine_ends_by_itself_and_the_latest_word_counts(door: Door) -> None:
    models = door()
    models.register(draft("a"), "c", "run")
    entry = Quarantine(name="demand", version=1, until=100.0, at=5.0, actor="ann", reason="bad")
    models.quarantine(entry)
    assert door().quarantined("demand", 99.0) == {1: entry}
    assert door().quarantined("demand", 100.0) == {}
    models.quarantine(structs.replace(entry, until=0.0, at=6.0))
    assert door().quarantined("demand", 50.0) == {}
    with pytest.raises(StoreError, match="no version 9"):
        models.quarantine(structs.replace(entry, version=9))


def test_names_do_not_mix(door: Door) -> None:
    models = door()
    models.register(draft("a", "x"), "1", "run")
    models.register(draft("a", "y"), "2", "run")
    assert (models.names(), models.aliases("x"), models.versions("y")[0].name) == (["x", "y"], {"champion": 1}, "y")


def test_many_register_at_once_and_none_is_lost(door: Door) -> None:
    door().register(draft("first"), "c", "run")
    threads = [threading.Thread(target=lambda n=n: door().register(draft(f"m{n}"), "c", "run")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.version for one in door().versions("demand")] == list(range(9, 0, -1))
    assert len(door().events("demand")) == 9


def test_what_was_written_cannot_be_changed_behind_its_back(tmp_path: Path) -> None:
    database = Database(str(tmp_path / ".treadle" / "state.db"))
    Models(database).register(draft("a"), "c", "run")
    for statement in (
        "UPDATE model_versions SET data = x'00'",
        "DELETE FROM model_versions",
        "UPDATE alias_events SET reason = 'other'",
        "DELETE FROM alias_events",
    ):
        with pytest.raises(StoreError, match="append only"):
            database.write(lambda statement=statement: database.change(statement))
    assert Models(database).events("demand")[0].reason == "there was no champion"


def event(new: int | None, kind: str = "set") -> AliasEvent:
    return AliasEvent(name="m", alias="champion", old=None, new=new, at=0.0, actor="", reason="", kind=kind)


@pytest.mark.parametrize(
    ("moves", "barred", "before"),
    [
        ([], (), None),
        ([1], (), None),
        ([1, 2, 3], (), 2),
        ([1, 2, 3, -2], (), 1),  # a rollback goes on, not forth again
        ([1, 2, 3, -2, -1], (), None),
        ([1, 2, 3, 1], (), 3),  # an old version set by hand is a step forward
        ([1, 2, 3], (2,), 1),
        ([1, 2, 2], (), 1),
        ([1, 2, None, 3], (), None),  # taken away in between
    ],
)
def test_the_way_back(moves: list[int | None], barred: tuple[int, ...], before: int | None) -> None:
    events = [event(abs(m), ROLLBACK) if m is not None and m < 0 else event(m) for m in moves]
    assert earlier(events, barred) == before
