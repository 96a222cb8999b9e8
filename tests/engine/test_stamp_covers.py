"""Whatever file a decision looks at is in the stamp: the looks themselves are watched, whoever makes them."""

import builtins
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from treadle import stamp
from treadle.api import pipelines

WORDS = ("p.yaml",)
PIPELINE = """
version: 1
data:
  one: {path: in/one.txt}
  many: {path: "in/part-*.txt"}
  all: {path: folder}
steps:
  first: {uses: "covered_work:first", in: {one: data.one, many: data.many, all: data.all}, code: ["extra/*.txt"]}
  second: {run: "sh tool.sh {in.value} {out.copy}", in: {value: first}, out: {copy: c.txt}, save: {copy: kept.txt}}
"""
FILES = {
    "treadle.toml": 'executor = "inline"\n',
    "p.yaml": PIPELINE,
    "covered_work.py": "from covered_pack.inner import text\n\n\ndef first(one, many, all):\n    return text()\n",
    "covered_pack/__init__.py": "",
    "covered_pack/inner.py": "from pathlib import Path\n\n\ndef text():\n    return Path('words.txt').read_text()\n",
    "words.txt": "words",
    "tool.sh": 'cp "$1" "$2"\n',
    "extra/a.txt": "a",
    "in/one.txt": "one",
    "in/part-1.txt": "part",
    "folder/sub/a.txt": "a",
}


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The paths that are looked at from now on."""
    found: set[str] = set()

    def watch(owner: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def look(path: Any = ".", *more: Any, **others: Any) -> Any:
            if isinstance(path, str | bytes | os.PathLike):
                found.add(os.path.abspath(os.fsdecode(path)))
            return real(path, *more, **others)

        monkeypatch.setattr(owner, name, look)

    for name in ("stat", "lstat", "scandir", "listdir", "open"):
        watch(os, name)
    watch(builtins, "open")
    return found


def test_every_file_that_is_looked_at_is_in_the_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.chdir(tmp_path)
    assert pipelines.run("p.yaml").status == "ok"
    time.sleep(2.1)  # files at rest
    looks: set[str] = request.getfixturevalue("looks")
    assert set(pipelines.run("p.yaml", words=WORDS).fates) == {"hit"}
    found = stamp.read(WORDS, str(tmp_path))
    assert found is not None
    ours = {path for path in looks if path.startswith(f"{tmp_path}{os.sep}")}
    hidden = tuple(str(tmp_path / name) for name in (".treadle", ".git/"))
    assert {path for path in ours if not path.startswith(hidden)} - found.signs.keys() == set()
    assert {str(tmp_path / path) for path in FILES} <= ours
