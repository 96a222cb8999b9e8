"""A folder that may not be written, for real: by a mount, or by permissions."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.project import BUDGET, Project, Result, clean_environment
from support.rights import without_rights

WAYS = ("mount", "permissions")
SCRIPT = """
import contextlib, io, json, sys
from treadle.cli.main import command

ended = []
for argv in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = command(argv)
    ended.append([code, out.getvalue(), err.getvalue()])
json.dump(ended, sys.stdout)
"""


class Reader:
    """Runs commands in a project, where `words` come before each."""

    def __init__(self, project: Project, words: Sequence[str]) -> None:
        self._project = project
        self._words = words

    def treadle(self, *arguments: str) -> Result:
        """One command, in a process of its own."""
        return self._run(["-P", "-m", "treadle", *arguments])

    def all(self, commands: Sequence[Sequence[str]]) -> list[Result]:
        """Many commands one after the other, in one process."""
        done = self._run(["-P", "-c", SCRIPT], json.dumps(commands))
        assert done.code == 0, done.stderr
        return [Result(*ended) for ended in json.loads(done.stdout)]

    def python(self, script: str) -> Result:
        """A program in Python."""
        return self._run(["-P", "-c", script])

    def _run(self, arguments: Sequence[str], stdin: str = "") -> Result:
        words = [*self._words, sys.executable, *arguments]
        own: dict[str, Any] = {"cwd": self._project.root, "env": clean_environment(self._project.home)}
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=BUDGET, check=False, **own)
        return Result(done.returncode, done.stdout, done.stderr)


@contextmanager
def read_only(project: Project, way: str) -> Iterator[Reader]:
    """The project as somebody sees it who may not write anything in it; skips where that cannot be had."""
    root = project.root
    if way == "mount":
        if shutil.which("unshare") is None:
            pytest.skip("there is no unshare")
        here = 'mount -o bind,ro "$1" "$1" && cd "$1" && shift && exec "$@"'
        words = ["unshare", "-m", *([] if os.getuid() == 0 else ["-r"]), "sh", "-c", here, "sh", str(root)]
        if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
            pytest.skip("mounting is not allowed here")
        yield Reader(project, words)
        return
    modes = {path: path.lstat().st_mode for path in (root, *root.rglob("*")) if not path.is_symlink()}
    try:
        for path, mode in modes.items():
            path.chmod(mode & 0o555)
        yield Reader(project, without_rights([]))
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder, with size and time: what a reader must leave as it is."""
    found = {}
    for path in sorted(folder.rglob("*")):
        seen = path.lstat()
        found[str(path.relative_to(folder))] = (0 if path.is_dir() else seen.st_size, seen.st_mtime_ns)
    return found
