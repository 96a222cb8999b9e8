"""Write a pipeline's lock, compare with it, and teach git to merge locks."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from treadle.api.compiled import Request, make
from treadle.api.project import Project, open_project
from treadle.document.lock import read_lock, render
from treadle.document.merge import Merged, merge
from treadle.domain.lock import Lock, LockDifference
from treadle.domain.plan import Plan
from treadle.environment import variables
from treadle.errors import InputError, Problem, StoreError, input_error
from treadle.run.decide import Decider
from treadle.run.locked import Unlocked, compare, lock_of
from treadle.run.preview import Preview
from treadle.store.database import os_failure
from treadle.store.scratch import replace_file

ATTRIBUTES = "*.lock.yaml merge=treadle-lock"
DRIVER = "merge.treadle-lock"


class Written(Struct, frozen=True):
    """The outcome of locking: the lock's path, how many steps it has, whether it changed; or what is not known."""

    path: str
    steps: int
    changed: bool
    unlocked: tuple[Unlocked, ...] = ()


class Comparison(Struct, frozen=True):
    """A plan beside its lock: the lock, what is not as locked, and the fate of each step if the lock decided."""

    path: str
    lock: Lock
    differences: tuple[LockDifference, ...]
    fates: list[Preview]


def lock(path: str | os.PathLike[str], params: Mapping[str, Any] | None = None) -> Written:
    """Write the lock beside a pipeline from what the cache knows; nothing is written while a step is not known."""
    project = open_project(path)
    plan, _ = make(project, path, Request(params=params or {}))
    found, unlocked = lock_of(plan, project.store, Decider(plan, project.store, project.code, frozenset(), time.time()))
    project.store.memo.flush()
    target = lock_path(plan.path)
    if unlocked:
        return Written(target, len(found.steps), False, unlocked)
    text = render(found).encode()
    place = os.path.join(project.root, target)
    try:
        if os.path.exists(place) and _read(place) == text:
            return Written(target, len(found.steps), False)
        replace_file(place, text, os.path.join(project.store.folder, "tmp"))
    except OSError as error:
        raise os_failure(error, place) from error
    return Written(target, len(found.steps), True)


def against_lock(project: Project, plan: Plan, whole: bool) -> Comparison:
    """Compare a plan with the lock beside its file; data that is not here is believed to be as locked.

    Raises InputError when there is no lock, or it cannot be read.
    """
    target = lock_path(plan.path)
    place = os.path.join(project.root, target)
    if not os.path.exists(place):
        raise input_error("missing-lock", f"there is no lock {target}", None, f"write it: treadle lock {plan.path}")
    found = read_lock(_read(place), target)
    decider = Decider(plan, project.store, project.code, frozenset(), time.time(), absent=found.data)
    differences, fates = compare(plan, project.store, decider, found, whole)
    return Comparison(target, found, differences, fates)


def lock_path(path: str) -> str:
    """Where the lock of a pipeline file stands: `x.lock.yaml` beside `x.yaml`."""
    return f"{os.path.splitext(path)[0]}.lock.yaml"


def merge_files(base: str, ours: str, theirs: str, path: str) -> Merged:
    """Merge two locks as git's merge driver: the result replaces the file `ours`.

    `path` is the lock's name in messages. An empty file counts as an empty lock. Raises InputError.
    """
    locks = [_lock(file, path) for file in (base, ours, theirs)]
    merged = merge(*locks)
    with open(ours, "w", encoding="utf-8") as file:
        file.write(merged.text)
    return merged


def install_merge_driver(path: str | os.PathLike[str] = ".") -> str:
    """Let git merge locks entry by entry in this repository; returns the path of the `.gitattributes` written to.

    Raises InputError outside of a repository.
    """
    top = _git(os.fspath(path), "rev-parse", "--show-toplevel").strip()
    attributes = os.path.join(top, ".gitattributes")
    lines = _read(attributes).decode().splitlines() if os.path.exists(attributes) else []
    if ATTRIBUTES not in lines:
        with open(attributes, "w", encoding="utf-8") as file:
            file.write("\n".join([*lines, ATTRIBUTES]) + "\n")
    script = os.path.join(os.path.dirname(sys.executable), "treadle")
    command = [script] if os.path.exists(script) else [sys.executable, "-P", "-m", "treadle"]
    _git(top, "config", f"{DRIVER}.name", "treadle's locks, entry by entry")
    _git(top, "config", f"{DRIVER}.driver", f"{shlex.join(command)} lock --merge %O %A %B %P")
    return attributes


def _lock(file: str, path: str) -> Lock:
    data = _read(file)
    return read_lock(data, path) if data.strip() else Lock()


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        text = f"{path} cannot be read: {error.strerror}"
        raise InputError([Problem("unreadable-file", text, None, "check its permissions")]) from error


def _git(folder: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments], capture_output=True, text=True, env=variables(), check=False
        )
    except OSError as error:
        raise StoreError(f"git cannot be run: {error}") from error
    if done.returncode:
        raise input_error("no-git", f"git says: {done.stderr.strip()}", None, "run it inside a git repository")
    return done.stdout
