"""Digests of the user's files: content decides, the stat cache only saves hashing."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle import digest
from treadle.domain.advance import Advance
from treadle.domain.location import Location
from treadle.domain.spec import DataSource
from treadle.errors import InputError
from treadle.store import Data, Store, open_store
from treadle.store.files import signature

WHERE = Location("p.yaml", 3, 5)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def at_rest(*paths: Path) -> None:
    """Wait until files are no longer too young to be trusted."""
    youngest = max(os.stat(path).st_ctime for path in paths)
    time.sleep(max(0.0, youngest + 2.05 - time.time()))


def kept(store: Store) -> dict[str, str]:
    return dict(store.database.rows("SELECT path, digest FROM files"))


def data(store: Store, root: Path, target: str, kind: str = "path") -> Data:
    return store.files.data(str(root), DataSource("d", kind, target, WHERE))


def test_a_young_file_is_hashed_again_and_a_resting_one_is_not(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    assert store.files.digest(path) == digest.of_bytes(b"one")
    assert kept(store) == {}
    at_rest(path)
    store.files.digest(path)
    assert kept(store) == {str(path): digest.of_bytes(b"one")}
    store.database.write(lambda: store.database.change("UPDATE files SET digest = 'known'"))
    assert open_store(tmp_path).files.digest(path) == "known"


def test_a_change_with_size_and_mtime_restored_is_noticed(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    at_rest(path)
    store.files.digest(path)
    before = os.stat(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = signature(path)
    assert after[:2] == (before.st_size, before.st_mtime_ns)
    for opened in (store, open_store(tmp_path)):
        assert opened.files.digest(path) == digest.of_bytes(b"two")


def test_two_changes_within_one_tick_are_noticed(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a"
    for n in range(200):
        path.write_bytes(b"%03d" % n)
        assert store.files.digest(path) == digest.of_bytes(b"%03d" % n)


def test_many_files_small_and_large_in_order(store: Store, tmp_path: Path) -> None:
    paths = [tmp_path / f"f{n}" for n in range(20)]
    for n, path in enumerate(paths):
        path.write_bytes(bytes([n]) * (6 << 20 if n % 7 == 0 else n))
    expected = [digest.of_bytes(path.read_bytes()) for path in paths]
    assert store.files.digest_many(paths) == expected
    at_rest(*paths)
    assert store.files.digest_many(paths[::-1]) == expected[::-1]
    assert len(kept(store)) == 20
    assert open_store(tmp_path).files.digest_many(paths) == expected


def test_the_files_of_a_folder_are_hashed_once_for_every_plan_to_come(tmp_path: Path) -> None:
    """A plan asks for all its entries at once first, by their own paths; what lies in a folder is asked for later."""
    folder = tmp_path / "raw"
    (folder / "deep").mkdir(parents=True)
    paths = [folder / f"f{n}" for n in range(12)] + [folder / "deep" / "é"]
    for path in paths:
        path.write_bytes(path.name.encode())
    at_rest(*paths)
    told: list[list[Advance]] = []
    for _ in range(2):
        files = open_store(tmp_path).files
        told.append([])
        files.tell = told[-1].append
        files.foresee([str(folder), str(tmp_path / "other")])
        assert len(files.data(str(tmp_path), DataSource("d", "path", "raw", WHERE)).names) == 13
    assert told[0][-1].done == told[0][-1].total == sum(len(path.name.encode()) for path in paths)
    assert told[1] == []


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=5))
def test_the_digest_of_a_listing_is_that_of_the_value_it_stands_for(pairs: list[tuple[str, str]]) -> None:
    names, contents = [name for name, _ in pairs], [content for _, content in pairs]
    assert digest.of_listing("folder", names, contents) == digest.of_value(["folder", [list(pair) for pair in pairs]])


def test_a_file_that_is_missing_is_an_error(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.files.digest(tmp_path / "none")


def test_a_file_is_its_content_and_suffix(store: Store, tmp_path: Path) -> None:
    for name, content in {"a.csv": "1", "b.csv": "1", "a.txt": "1", "c.csv": "2"}.items():
        (tmp_path / name).write_text(content)
    a, b, text, c = (data(store, tmp_path, name) for name in ("a.csv", "b.csv", "a.txt", "c.csv"))
    assert (a.shape, a.paths) == ("file", (str(tmp_path / "a.csv"),))
    assert a.digest == b.digest
    assert len({a.digest, text.digest, c.digest}) == 3


def test_identity_holds_no_absolute_path(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        root = tmp_path / name
        (root / "data" / "sub").mkdir(parents=True)
        (root / "data" / "a.csv").write_text("1")
        (root / "data" / "sub" / "b.csv").write_text("2")
        store = open_store(root)
        outside = os.path.relpath(root / "data", tmp_path / "one") if name == "two" else str(root / "data")
        targets = ("data/a.csv", "data/*.csv", "data/**/*.csv", "data", outside)
        found.append([data(store, root, target).digest for target in targets])
    assert found[0] == found[1]
    assert len(set(found[0])) == 4
    assert found[0][3] == found[0][4]


def test_a_pattern_is_a_sorted_list_of_files(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for name in ("b.csv", "a.csv", "x/c.csv", "x/y/d.csv", "x/.hidden.csv", "folder.csv/e.txt", ".git/f.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    flat = data(store, tmp_path, "data/*.csv")
    assert (flat.shape, flat.paths) == ("files", (str(folder / "a.csv"), str(folder / "b.csv")))
    deep = data(store, tmp_path, "data/**/*.csv")
    assert [os.path.relpath(path, folder) for path in deep.paths] == ["a.csv", "b.csv", "x/c.csv", "x/y/d.csv"]
    whole = data(store, tmp_path, "data")
    assert (whole.shape, whole.paths) == ("folder", (str(folder),))
    assert whole.names == ("a.csv", "b.csv", "folder.csv/e.txt", "x/.hidden.csv", "x/c.csv", "x/y/d.csv")
    (folder / "b.csv").rename(folder / "c.csv")
    assert data(store, tmp_path, "data/*.csv").digest != flat.digest
    assert data(store, tmp_path, "data").digest != whole.digest


def test_a_name_with_signs_of_a_pattern_is_taken_literally_when_it_is_there(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a[1].csv").write_text("1")
    assert data(store, tmp_path, "a[1].csv").shape == "file"


@pytest.mark.parametrize(
    ("target", "text", "hint"),
    [
        ("data/trip.csv", "there is no file or folder data/trip.csv", "did you mean 'data/trips.csv'?"),
        ("other/a.csv", "there is no file or folder other/a.csv", "there is no folder other either"),
        ("data/*.parquet", "no file matches data/*.parquet", "`**` stands for any number of folders"),
        ("empty", "the folder empty has no files in it", ""),
    ],
)
def test_missing_data_is_a_problem_with_a_place(
    store: Store, tmp_path: Path, target: str, text: str, hint: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "data" / "trips.csv").write_text("1")
    with pytest.raises(InputError) as caught:
        data(store, tmp_path, target)
    problem = caught.value.problems[0]
    assert (problem.code, problem.text, problem.hint, problem.where) == (
        "missing-data",
        f"data 'd': {text}",
        hint,
        WHERE,
    )


@pytest.mark.parametrize("target", ["data/a.csv", "data/*.csv", "data"])
@pytest.mark.parametrize("rest", [False, True])
def test_a_change_during_a_step_is_noticed_and_a_touch_is_none(
    store: Store, tmp_path: Path, target: str, rest: bool
) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "a.csv"
    path.write_text("1")
    if rest:
        at_rest(path)
    found = data(store, tmp_path, target)
    assert not store.files.changed(found)
    os.utime(path)
    assert not store.files.changed(found)
    path.write_text("2")
    assert store.files.changed(found)
    path.write_text("1")
    assert not store.files.changed(found)
    path.unlink()
    assert store.files.changed(found)


def test_a_file_more_or_less_is_a_change(store: Store, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("1")
    found = data(store, tmp_path, "data/*.csv")
    (tmp_path / "data" / "b.csv").write_text("1")
    assert store.files.changed(found)


def test_the_digest_of_a_pattern_may_be_that_of_nothing(store: Store, tmp_path: Path) -> None:
    nothing = store.files.glob_digest(str(tmp_path), "src/*.sql")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.sql").write_text("1")
    one = store.files.glob_digest(str(tmp_path), "src/*.sql")
    assert len({nothing, one, store.files.glob_digest(str(tmp_path), "src/*")}) == 2
