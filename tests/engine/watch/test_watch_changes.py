"""From events to what really changed: real files, a source and a clock that the test moves."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.clock import FakeClock
from treadle.watch.changes import Changes
from treadle.watch.scope import Scope


class FakeSource:
    """Gives the events that the test put in; waiting for more lets time pass, and runs `meanwhile` once."""

    notice = ""

    def __init__(self, clock: FakeClock) -> None:
        self.events: list[str] = []
        self.meanwhile: list[object] = []
        self.watched: list[dict[str, bool]] = []
        self.again = False
        self._clock = clock

    def watch(self, folders: Mapping[str, bool]) -> bool:
        self.watched.append(dict(folders))
        again, self.again = self.again, False
        return again

    def get(self, timeout: float) -> list[str]:
        found, self.events = self.events, []
        if not found:
            assert timeout < 60, "waited for events that never come"
            self._clock.advance(timeout)
            if self.meanwhile:
                self.meanwhile.pop(0)()  # type: ignore[operator]
        return found

    def close(self) -> None:
        return


class Bench:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = FakeClock(0.0)
        self.source = FakeSource(self.clock)
        self.changes = Changes(str(root), self.source, self.clock)
        for name, text in {"p.yaml": "1", "work.py": "x = 1\n", "data/a.csv": "1", "data/b.csv": "2"}.items():
            self.write(name, text)
        self.scope = Scope(
            root=str(root),
            files=frozenset({self.at("p.yaml"), self.at("work.py")}),
            modules=frozenset({str(root)}),
            data=frozenset({self.at("data/*.csv")}),
            saved=frozenset({self.at("data/saved.csv")}),
        )
        self.changes.observe(self.scope, since=2e9)

    def at(self, name: str) -> str:
        return str(self.root / name)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def wait(self, *names: str) -> list[str]:
        self.source.events += [self.at(name) for name in names]
        return [os.path.relpath(path, self.root) for path in self.changes.wait()]

    def happened(self, *names: str) -> bool:
        self.source.events += [self.at(name) for name in names]
        self.changes.happened()
        self.clock.advance(1.0)
        return self.changes.happened()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path.resolve())


def test_a_changed_module_is_found(bench: Bench) -> None:
    bench.write("work.py", "x = 2\n")
    assert bench.wait("work.py") == ["work.py"]


def test_the_same_content_is_no_change(bench: Bench) -> None:
    bench.write("work.py", "x = 1\n")
    assert not bench.happened("work.py")


def test_files_that_do_not_matter_are_no_change(bench: Bench) -> None:
    for name in ("4913", ".work.py.swp", "work.py~", "#work.py#", "notes.txt", ".treadle/state.db", ".git/index"):
        bench.write(name, "x")
        assert not bench.happened(name), name


def test_a_new_module_and_one_in_a_new_package_are_changes(bench: Bench) -> None:
    bench.write("other.py", "")
    assert bench.wait("other.py") == ["other.py"]
    bench.write("package/inner.py", "")
    assert bench.wait("package") == ["package/inner.py"]


def test_data_that_comes_goes_and_changes(bench: Bench) -> None:
    bench.write("data/c.csv", "3")
    (bench.root / "data/a.csv").unlink()
    bench.write("data/b.csv", "22")
    assert bench.wait("data/a.csv", "data/b.csv", "data/c.csv") == ["data/a.csv", "data/b.csv", "data/c.csv"]


def test_what_steps_save_is_no_change(bench: Bench) -> None:
    bench.write("data/saved.csv", "3")
    assert not bench.happened("data/saved.csv")


def test_a_file_that_comes_back_was_being_replaced(bench: Bench) -> None:
    (bench.root / "work.py").unlink()
    bench.source.meanwhile.append(lambda: None)  # quiet
    bench.source.meanwhile.append(lambda: bench.write("work.py", "x = 3\n"))
    assert bench.wait("work.py") == ["work.py"]
    assert bench.changes.seen[bench.at("work.py")]


def test_a_file_that_stays_away_is_a_change_in_the_end(bench: Bench) -> None:
    began = bench.clock.now
    (bench.root / "work.py").unlink()
    assert bench.wait("work.py") == ["work.py"]
    assert 0.2 < bench.clock.now - began < 1.0


def test_a_checkout_is_waited_for(bench: Bench) -> None:
    began = bench.clock.now
    bench.write(".git/index.lock", "")
    bench.write("work.py", "x = 2\n")

    def finish() -> None:
        bench.write("data/a.csv", "from the other branch")
        (bench.root / ".git/index.lock").unlink()

    bench.source.meanwhile += [lambda: None, lambda: None, finish]
    assert bench.wait("work.py", "data/a.csv") == ["data/a.csv", "work.py"]
    assert bench.clock.now - began < 1.0


def test_a_lock_that_a_dead_git_left_does_not_stop_everything(bench: Bench) -> None:
    bench.write(".git/index.lock", "")
    bench.write("work.py", "x = 2\n")
    assert bench.wait("work.py") == ["work.py"]


def test_in_a_folder_that_was_made_again_everything_is_looked_at(bench: Bench) -> None:
    bench.write("data/a.csv", "changed unseen")
    assert not bench.happened("work.py")
    bench.source.again = True
    assert bench.wait("work.py") == ["data/a.csv"]


def test_folders_and_those_above_them_are_watched(bench: Bench) -> None:
    bench.write("deep/down/x.csv", "1")
    scope = Scope(str(bench.root), frozenset({bench.at("p.yaml")}), data=frozenset({bench.at("deep/down")}))
    assert scope.folders() == {str(bench.root): False, bench.at("deep"): False, bench.at("deep/down"): True}


def test_a_file_written_while_it_was_first_read_counts_as_changed(bench: Bench) -> None:
    bench.write("late.py", "")
    bench.changes.observe(bench.scope, since=0.0)
    assert bench.wait() == ["late.py"]


def test_a_change_that_was_seen_but_not_yet_told_is_not_forgotten_by_observing(bench: Bench) -> None:
    bench.write("work.py", "x = 2\n")
    bench.changes.observe(bench.scope, since=2e9)
    assert bench.wait("work.py") == ["work.py"]


def test_when_the_system_can_watch_no_more_there_is_a_notice_and_a_look_each_second(bench: Bench) -> None:
    class Full(FakeSource):
        def watch(self, folders: Mapping[str, bool]) -> bool:
            raise OSError(28, "inotify watch limit reached")

    changes = Changes(str(bench.root), Full(bench.clock))
    changes.observe(bench.scope, since=2e9)
    notice = changes.take_notice()
    assert "inotify watch limit reached" in notice
    assert "looking every second" in notice
    assert changes.take_notice() == ""
    bench.write("work.py", "x = 2\n")
    assert changes.wait() == [bench.at("work.py")]
