"""Project settings: `treadle.toml` or `[tool.treadle]`."""

import os
from typing import Any

from msgspec import Struct

from treadle.domain.location import Location
from treadle.errors import InputError, Problem, did_you_mean

MARKS = ("treadle.toml", ".git")


class Settings(Struct, frozen=True, kw_only=True):
    """What a project has decided for all its pipelines; every field has a default that works."""

    root: str
    executor: str = "process"
    jobs: int = 0  # 0: all cores
    environment: str = "imports"
    isolation: str = "fresh"
    keep_runs: int = 50


KINDS: dict[str, tuple[type, tuple[str, ...]]] = {
    "executor": (str, ()),
    "jobs": (int, ()),
    "environment": (str, ("strict", "imports", "off")),
    "isolation": (str, ("pool", "fresh", "inline")),
    "keep_runs": (int, ()),
}


def find_root(start: str) -> str:
    """The nearest folder upwards from `start` with treadle.toml, [tool.treadle] or .git; else `start` itself."""
    folder = first = os.path.abspath(start)
    while True:
        if any(os.path.exists(os.path.join(folder, mark)) for mark in MARKS) or _in_pyproject(folder):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return first
        folder = parent


def read_settings(root: str) -> Settings:
    """The settings of the project at `root`; raises InputError naming every key that is wrong."""
    path = os.path.join(root, "treadle.toml")
    table: dict[str, Any] = {}
    if os.path.exists(path):
        table = _toml(path) if os.path.getsize(path) else {}
    elif _in_pyproject(root):
        path = os.path.join(root, "pyproject.toml")
        table = _toml(path).get("tool", {}).get("treadle", {})
    problems = [problem for key, value in table.items() for problem in _check(path, key, value)]
    if problems:
        raise InputError(problems)
    return Settings(root=root, **table)


def _in_pyproject(folder: str) -> bool:
    try:
        with open(os.path.join(folder, "pyproject.toml"), "rb") as file:
            return b"[tool.treadle" in file.read()
    except OSError:
        return False


def _toml(path: str) -> dict[str, Any]:
    import tomllib  # lazy: 3 ms, only for projects with settings

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError([Problem("bad-settings", str(error), Location(path, 1, 1))]) from None


def _check(path: str, key: str, value: Any) -> list[Problem]:
    where = Location(path, _line_of(path, key), 1)
    if key not in KINDS:
        return [Problem("unknown-setting", f"no setting is called '{key}'", where, did_you_mean(key, KINDS))]
    kind, choices = KINDS[key]
    if type(value) is not kind:
        return [Problem("bad-settings", f"'{key}' takes {kind.__name__}, not {value!r}", where)]
    if choices and value not in choices:
        return [Problem("bad-settings", f"'{key}' is one of {', '.join(choices)}, not {value!r}", where)]
    return []


def _line_of(path: str, key: str) -> int:
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if line.strip().partition("=")[0].strip().strip("\"'") == key:
                return number
    return 1
