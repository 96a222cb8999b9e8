"""Look at the store, sweep it, prove it, and keep copies of it elsewhere."""

import os

from msgspec import Struct, structs

from treadle.api.collector import paused
from treadle.api.project import Project, open_project
from treadle.api.roots import roots
from treadle.errors import InputError, input_error
from treadle.store import sweep
from treadle.store.copies import Copies, Pushed
from treadle.store.pins import pinned
from treadle.store.usage import Usage, usage


class Pulled(Struct, frozen=True):
    """The digests of the objects that came back, and the (pipeline, step) of results that still lack some."""

    came: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]
    remote: tuple[str, ...]


def stats(path: str | os.PathLike[str] = ".", runs: int = 20) -> Usage:
    """What the store holds: objects, results, sizes per step, and how the latest runs went."""
    return usage(open_project(path).store, runs)


def waste(path: str | os.PathLike[str] = ".", keep: int | None = None) -> sweep.Waste:
    """What `collect` would delete: what no recent run, lock or model needs. Raises StoreError, InputError."""
    return _waste(open_project(path), keep)


def collect(found: sweep.Waste, path: str | os.PathLike[str] = ".") -> int:
    """Delete what `waste` found and is still unused; returns the bytes freed."""
    return sweep.sweep(open_project(path).store, found)


def verify(path: str | os.PathLike[str] = ".") -> sweep.Report:
    """Hash everything stored again; what is damaged or lost and cannot be fetched counts as a miss from now on."""
    project = open_project(path)
    if not project.settings.remote:
        return sweep.verify_all(project.store)
    source = _Source(_copies(project))
    report = sweep.verify_all(project.store, source.fetch)
    return structs.replace(report, remote=source.wrong())


def push(path: str | os.PathLike[str] = ".", keep: int | None = None, all_objects: bool = False) -> Pushed:
    """Send to the remote what `collect` would keep, or everything stored. Raises InputError, StoreError."""
    project = open_project(path)
    copies = _copies(project)
    left_out = frozenset() if all_objects else frozenset(_waste(project, keep).objects)
    return copies.push(sweep.stored_sizes(project.store).keys() - left_out)


def pull(path: str | os.PathLike[str] = ".") -> Pulled:
    """Bring back from the remote what records made here name and the store lost. Raises InputError, StoreError."""
    project = open_project(path)
    source = _Source(_copies(project))
    came = sweep.restore(project.store, source.fetch)
    lost = [r for r in project.store.results.all() if not all(map(project.store.objects.has, r.outputs.values()))]
    return Pulled(tuple(came), tuple(sorted({(one.pipeline, one.step) for one in lost})), source.wrong())


class _Source:
    """Fetches until the remote proves out of reach, and remembers what was wrong with it."""

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self._away = ""

    def fetch(self, digest: str) -> bool:
        try:
            return not self._away and self._copies.fetch(digest)
        except InputError as error:
            self._away = "; ".join(problem.text for problem in error.problems)
            return False

    def wrong(self) -> tuple[str, ...]:
        refused = [f"what the remote has as {digest} is something else" for digest in self._copies.refused]
        return (*refused, *([self._away] if self._away else []))


def _waste(project: Project, keep: int | None) -> sweep.Waste:
    number = project.settings.keep_runs if keep is None else keep
    if number < 0:
        raise input_error("bad-keep", f"--keep takes a number of runs, not {number}", None, "0 keeps none")
    kept = roots(project) | pinned(project.store)
    with paused():
        return sweep.plan(project.store, number, kept)


def _copies(project: Project) -> Copies:
    if not project.settings.remote:
        hint = 'remote = "/mnt/team/treadle", or a URL such as "s3://bucket/treadle", in treadle.toml'
        raise input_error("no-remote", "the project has no remote", None, hint)
    return Copies(project.settings.remote, project.root, project.store.objects)
