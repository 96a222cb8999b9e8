"""Look at the store, sweep it, prove it."""

import os

from treadle.api.project import open_project
from treadle.api.roots import roots
from treadle.errors import input_error
from treadle.store import sweep
from treadle.store.pins import pinned
from treadle.store.usage import Usage, usage


def stats(path: str | os.PathLike[str] = ".", runs: int = 20) -> Usage:
    """What the store holds: objects, results, sizes per step, and how the latest runs went."""
    return usage(open_project(path).store, runs)


def waste(path: str | os.PathLike[str] = ".", keep: int | None = None) -> sweep.Waste:
    """What `collect` would delete: what no recent run, lock or model needs. Raises StoreError, InputError."""
    project = open_project(path)
    number = project.settings.keep_runs if keep is None else keep
    if number < 0:
        raise input_error("bad-keep", f"--keep takes a number of runs, not {number}", None, "0 keeps none")
    return sweep.plan(project.store, number, roots(project) | pinned(project.store))


def collect(found: sweep.Waste, path: str | os.PathLike[str] = ".") -> int:
    """Delete what `waste` found and is still unused; returns the bytes freed."""
    return sweep.sweep(open_project(path).store, found)


def verify(path: str | os.PathLike[str] = ".") -> sweep.Report:
    """Hash everything stored again; what is damaged and cannot be fetched again counts as a miss from now on."""
    return sweep.verify_all(open_project(path).store)
