"""The project's own files as tests see them: tracked or about to be, parsed once."""

import ast
import functools
import os
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Source(NamedTuple):
    """A Python file: its path relative to the root, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def source(path: str, text: str) -> Source:
    """A source from text, for planting a violation."""
    return Source(path, text, ast.parse(text))


@functools.cache
def tracked() -> tuple[str, ...]:
    """Every file in git, and every new one that git would take, relative to the root."""
    # Inside a hook git exports its own folder and index, which would answer for another tree.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=True).stdout.decode()
    return tuple(sorted({name for name in listed.split("\0") if name and (ROOT / name).is_file()}))


@functools.cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Every Python file below these folders, parsed."""
    found = [name for name in tracked() if name.endswith(".py") and name.startswith(folders)]
    if not found:
        raise AssertionError(f"no Python files below {folders}")
    return tuple(source(name, (ROOT / name).read_text(encoding="utf-8")) for name in found)


def shipped() -> tuple[Source, ...]:
    """What users install: the engine and the step library."""
    return sources("engine/", "steps/")
