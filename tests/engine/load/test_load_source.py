"""Reading the file that a user names, or saying why not."""

import subprocess
import sys
from pathlib import Path

from support.rights import without_rights
from treadle.load import source


def problem_of(path: Path) -> tuple[str, str]:
    data, (problem,) = source.read(str(path), path.name)
    assert data is None
    return problem.code, problem.hint


def test_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"a: \xff")
    assert source.read(str(tmp_path / "x.yaml"), "x.yaml") == (b"a: \xff", [])


def test_a_missing_file_has_a_neighbour(tmp_path: Path) -> None:
    (tmp_path / "train.yaml").touch()
    assert problem_of(tmp_path / "trian.yaml") == ("missing-file", "did you mean 'train.yaml'?")
    assert problem_of(tmp_path / "none" / "x.yaml") == ("missing-file", "")
    assert problem_of(tmp_path / "train.yaml" / "x") == ("missing-file", "")


def test_a_folder(tmp_path: Path) -> None:
    assert problem_of(tmp_path)[0] == "not-a-file"


def test_a_path_that_is_none() -> None:
    assert source.read("a\0b", "a\0b")[1][0].code == "missing-file"


def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.touch(0)
    look = "import sys; from treadle.load import source; print(source.read(sys.argv[1], 'x.yaml')[1][0].code)"
    words = without_rights([sys.executable, "-c", look, str(path)])
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "unreadable-file\n"


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with path.open("wb") as file:
        file.truncate(source.LIMIT + 1)
    assert problem_of(path)[0] == "too-large"
