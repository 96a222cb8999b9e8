"""A scratch folder is handed on from one command to the next, and nothing of the one before is found in it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from support.executor import FakeExecutor, succeed
from treadle.domain.location import Location
from treadle.domain.plan import PlannedStep
from treadle.domain.task import Outcome, Task
from treadle.run.dispatch import Dispatch, Machine
from treadle.run.scratch import Spare
from treadle.store.planting import show_content

SHOWN = {"left": "a.csv", "right": "b.csv"}


def folder(place: Path, shown: dict[str, str]) -> Path:
    """A scratch folder as a command leaves it."""
    for port, name in shown.items():
        show_content(b"content", str(place / "in" / port / name))
    (place / "out").mkdir(parents=True, exist_ok=True)
    (place / "out" / "made.txt").write_text("made")
    (place / "out" / "more").mkdir()
    (place / "left behind").mkdir()
    (place / "left behind" / "x").write_text("x")
    (place / "in" / "left" / "own.txt").write_text("x")
    return place


def everything(place: Path) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in place.rglob("*"))


def inodes(place: Path) -> dict[str, int]:
    return {name: os.lstat(place / name).st_ino for name in everything(place)}


def test_what_the_next_command_needs_too_stays_and_all_else_goes(tmp_path: Path) -> None:
    spare = Spare()
    assert not spare.take(str(tmp_path / "one"), SHOWN)
    before = inodes(folder(tmp_path / "one", SHOWN))
    spare.keep(str(tmp_path / "one"), SHOWN)
    assert spare.take(str(tmp_path / "two"), SHOWN)
    assert not (tmp_path / "one").exists()
    kept = inodes(tmp_path / "two")
    assert sorted(kept) == ["in", "in/left", "in/left/a.csv", "in/right", "in/right/b.csv", "out"]
    assert kept.items() <= before.items()  # nothing had to be made
    show_content(b"other", str(tmp_path / "two" / "in" / "left" / "a.csv"))
    assert (tmp_path / "two" / "in" / "left" / "a.csv").read_bytes() == b"other"
    if os.geteuid() == 0:  # others are shown links, and no copies
        assert inodes(tmp_path / "two") == kept
    assert not spare.take(str(tmp_path / "three"), SHOWN)  # it is the second command's now


def test_inputs_of_other_names_are_gone(tmp_path: Path) -> None:
    spare = Spare()
    spare.keep(str(folder(tmp_path / "one", SHOWN)), SHOWN)
    assert spare.take(str(tmp_path / "two"), {"left": "other.csv"})
    assert everything(tmp_path / "two") == ["in", "in/left", "out"]


def hard_linked(place: Path) -> None:
    os.link(place / "in" / "left" / "a.csv", place.parent / "mine.csv")


def replaced_by_a_link(place: Path) -> None:
    (place.parent / "mine.csv").write_bytes(b"content")
    (place / "in" / "left" / "a.csv").unlink()
    (place / "in" / "left" / "a.csv").symlink_to(place.parent / "mine.csv")


@pytest.mark.parametrize("act", [hard_linked, replaced_by_a_link])
def test_a_copy_that_a_command_kept_for_itself_is_not_written_over(act: Callable[[Path], None], tmp_path: Path) -> None:
    spare = Spare()
    act(folder(tmp_path / "one", SHOWN))
    spare.keep(str(tmp_path / "one"), SHOWN)
    assert spare.take(str(tmp_path / "two"), SHOWN)
    show_content(b"other", str(tmp_path / "two" / "in" / "left" / "a.csv"))
    assert (tmp_path / "mine.csv").read_bytes() == b"content"
    assert (tmp_path / "two" / "in" / "left" / "a.csv").read_bytes() == b"other"


def closed_in(place: Path) -> None:
    (place / "out").chmod(0o500)


def moved_out(place: Path) -> None:
    (place / "out").rename(place.parent / "mine")
    (place / "out").symlink_to(place.parent / "mine")


@pytest.mark.parametrize("act", [closed_in, moved_out])
def test_a_folder_that_a_command_changed_is_not_handed_on(act: Callable[[Path], None], tmp_path: Path) -> None:
    spare = Spare()
    act(folder(tmp_path / "one", SHOWN))
    spare.keep(str(tmp_path / "one"), SHOWN)
    spare.take(str(tmp_path / "two"), SHOWN)
    assert not (tmp_path / "two" / "out").exists()
    if act is moved_out:
        assert (tmp_path / "mine" / "made.txt").read_text() == "made"


@pytest.mark.parametrize("act", [lambda place: place.chmod(0o700), lambda place: (place / "in").rename(place / "on")])
def test_one_that_is_odd_as_a_whole_is_removed(act: Callable[[Path], object], tmp_path: Path) -> None:
    spare = Spare()
    act(folder(tmp_path / "one", SHOWN))
    spare.keep(str(tmp_path / "one"), SHOWN)
    assert not (tmp_path / "one").exists()
    assert not spare.take(str(tmp_path / "two"), SHOWN)


def step(name: str) -> PlannedStep:
    return PlannedStep(id=name, kind="command", call="true", where=Location("p.yaml", 1, 1))


def task(place: Path, name: str) -> Task:
    fields = dict.fromkeys(("call", "root", "objects", "log"), "")
    return Task(run_id="r", step_id=name, attempt=1, kind="command", scratch=str(place / f"r-{name}-1"), **fields)


def kept(given: Task) -> Outcome:
    Path(given.scratch).mkdir()
    return structs.replace(succeed(given), kept=True)


def test_a_run_leaves_the_folders_that_workers_keep_until_its_end(tmp_path: Path) -> None:
    executor = FakeExecutor(kept)
    dispatch = Dispatch(Machine(lambda name: executor))
    (tmp_path / "r-other-1").mkdir()
    for name in ("a", "b"):
        assert dispatch.admit(name, step(name))
        dispatch.submit(task(tmp_path, name), step(name))
        dispatch.wait(1)
    dispatch.wait(0)
    assert sorted(os.listdir(tmp_path)) == ["r-a-1", "r-b-1", "r-other-1"]
    (tmp_path / "r-a-1").rename(tmp_path / "r-c-1")  # taken over by a command that runs
    dispatch.close()
    assert sorted(os.listdir(tmp_path)) == ["r-c-1", "r-other-1"]


def test_the_same_attempt_once_more_has_a_folder_of_its_own(tmp_path: Path) -> None:
    executor = FakeExecutor(kept)
    dispatch = Dispatch(Machine(lambda name: executor))
    for _ in range(2):
        assert dispatch.admit("a", step("a"))
        dispatch.submit(task(tmp_path, "a"), step("a"))
        dispatch.wait(1)
    assert len({one.scratch for one in executor.submitted}) == 2
    dispatch.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_copy_is_not_written_through_another_name(link: Callable[[Path, Path], None], tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_bytes(b"content")
    link(tmp_path / "mine.csv", tmp_path / "a.csv")
    show_content(b"other", str(tmp_path / "a.csv"))
    assert (tmp_path / "mine.csv").read_bytes() == b"content"
    assert (tmp_path / "a.csv").read_bytes() == b"other"
