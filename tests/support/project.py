"""A real project on disk and the real command line, run as a process of its own."""

import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

BUDGET = 120.0  # seconds until a hanging command fails the test instead of the whole suite


class Result(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    def events(self) -> list[dict[str, Any]]:
        """What `run --json` printed: one event per line."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def json(self) -> Any:
        """What a command printed with `--json`."""
        return json.loads(self.stdout)


class Project:
    """A folder with a user's files; `treadle(...)` runs the command line in it."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        self.home = home

    def write(self, path: str, content: str | bytes) -> "Project":
        """Write one file; text is dedented, so that a test can indent it."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            target.write_text(textwrap.dedent(content).lstrip("\n"), encoding="utf-8")
        return self

    def read(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def treadle(
        self, *arguments: str, env: Mapping[str, str] | None = None, stdin: str = "", timeout: float = BUDGET
    ) -> Result:
        """Run `treadle ARGUMENTS` in the project's root to its end."""
        with self.start(*arguments, env=env) as process:
            try:
                stdout, stderr = process.communicate(stdin, timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                stdout, stderr = process.communicate()
                raise AssertionError(f"treadle {' '.join(arguments)} hung\n{stdout}\n{stderr}") from None
        return Result(process.returncode, stdout, stderr)

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """Start `treadle ARGUMENTS` and return at once, for tests that interrupt or kill it."""
        return subprocess.Popen(
            # -P: like the installed script, the working folder is not on the path unless the engine puts it there
            [sys.executable, "-P", "-m", "treadle", *arguments],
            cwd=self.root,
            env=clean_environment(self.home, env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )


def a_project(tmp_path: Path, files: Mapping[str, str | bytes] | None = None) -> Project:
    """A project under `tmp_path` with these files; `treadle.toml` makes it the root."""
    root, home = tmp_path / "project", tmp_path / "home"
    root.mkdir(exist_ok=True)
    home.mkdir(exist_ok=True)
    project = Project(root, home)
    if not (root / "treadle.toml").exists():
        project.write("treadle.toml", "")
    for path, content in (files or {}).items():
        project.write(path, content)
    return project


def clean_environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment that takes nothing from the machine but the interpreter's folder."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        **(extra or {}),
    }
