"""Where events come from: limits of the system, and file systems that tell of nothing."""

from pathlib import Path

import pytest

from treadle.watch.source import Events, Looking, remote

MOUNTS = """
/dev/sda1 / ext4 rw 0 0
server:/net /net nfs4 rw 0 0
/dev/sdb1 /net/me/fast xfs rw 0 0
//host/share /mnt/with\\040blank cifs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/project", ""),
        ("/net/me/project", "nfs4"),
        ("/nets", ""),
        ("/net/me/fast/project", ""),
        ("/mnt/with blank/x", "cifs"),
    ],
)
def test_network_file_systems_are_known_by_their_mount(folder: str, kind: str) -> None:
    assert remote(folder, MOUNTS) == kind


def test_more_folders_than_the_system_allows_are_refused(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / "data" / str(number)).mkdir(parents=True)
    events = Events(limit=4)
    try:
        with pytest.raises(OSError, match="6 folders, and the system's limit is 4"):
            events.watch({str(tmp_path / "data"): True})
        assert events.watch({str(tmp_path / "data"): False})
    finally:
        events.close()


def test_a_folder_that_is_made_again_is_watched_again(tmp_path: Path) -> None:
    events = Events()
    folder = tmp_path / "data"
    folder.mkdir()
    try:
        assert events.watch({str(folder): False})
        assert not events.watch({str(folder): False})
        folder.rename(tmp_path / "old")
        folder.mkdir()
        assert events.watch({str(folder): False})
        (folder / "x").touch()
        seen: list[str] = []
        while str(folder / "x") not in seen:
            found = events.get(20.0)
            assert found, seen
            seen += found
    finally:
        events.close()


def test_reading_a_file_is_no_event(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    events = Events()
    try:
        events.watch({str(tmp_path): False})
        (tmp_path / "x").read_text()
        (tmp_path / "y").touch()
        seen: list[str] = []
        while str(tmp_path / "y") not in seen:
            seen += events.get(20.0)
        assert str(tmp_path / "x") not in seen
    finally:
        events.close()


def test_looking_says_that_anything_may_have_changed_once_per_period() -> None:
    source = Looking("why", period=0.01)
    assert source.get(5.0) == [""]
    assert Looking("why", period=60.0).get(0.0) == []
