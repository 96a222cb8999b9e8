"""What a pipeline's result depends on, as places in the file system, and what changed there."""

import os
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from treadle.code import CodeError, Project
from treadle.digest import of_file
from treadle.domain.plan import Plan, PlannedStep
from treadle.store.data import LEFT_OUT, MAGIC, list_path

SETTINGS = ("treadle.toml", "pyproject.toml")
SMALL = 1 << 20  # bytes up to which content decides whether a file has changed
NESTED = 64  # folders below one with modules that are looked into for new packages

Mark = tuple[int, int, int, str]  # size, mtime_ns, inode, digest of a small file that is no data
Snapshot = Mapping[str, Mark]  # absolute path → mark


class Scope(Struct, frozen=True):
    """The files, folders with modules, and patterns (of data and of `code:`) to watch; absolute paths.

    `saved` are copies that steps themselves write: their changes are no reason for a turn.
    """

    root: str
    files: frozenset[str]
    modules: frozenset[str] = frozenset()
    data: frozenset[str] = frozenset()
    saved: frozenset[str] = frozenset()

    def folders(self) -> dict[str, bool]:
        """Each folder that has to be watched, with whether all below it counts too.

        Every folder's own parents up to the root are among them, so that one that is deleted and made again is seen.
        """
        found = {os.path.dirname(path): False for path in self.files}
        for folder in self.modules:
            found.update(dict.fromkeys([folder, *_packages(folder)], False))
        for target in self.data:
            top, deep = _top(target)
            found[top] = found.get(top, False) or deep
        for folder in list(found):
            while folder.startswith(self.root + os.sep):
                folder = os.path.dirname(folder)
                found.setdefault(folder, False)
        return {folder: deep for folder, deep in found.items() if not _within_deep(folder, found)}

    def look(self, before: Snapshot, touched: frozenset[str] | None = None) -> dict[str, Mark]:
        """The state of all files now; of data none of whose paths was touched it is taken from `before`."""
        now: dict[str, Mark] = {}
        for path in (*self.files, *_sources(self.modules)):
            _add(now, path, small=True)
        for target in self.data:
            top, _ = _top(target)
            if touched is None or any(_concerns(path, top, target) for path in touched):
                for path in _listed(self.root, target):
                    if path not in now:
                        _add(now, path, small=False)
            else:
                now.update({p: m for p, m in before.items() if p not in now and _below(p, top)})
        return {path: mark for path, mark in now.items() if not self._is_saved(path)}

    def _is_saved(self, path: str) -> bool:
        return any(path == saved or _below(path, saved) for saved in self.saved)


def scope_of(plan: Plan, code: Project) -> Scope:
    """Where everything lies that the plan's steps depend on."""
    root = code.root
    files = {os.path.join(root, name) for name in (plan.path, *SETTINGS)}
    modules = {root}
    data = {os.path.normpath(os.path.join(root, entry.target)) for entry in plan.data.values() if entry.kind == "path"}
    for step in plan.steps:
        for path in _code_files(step, code):
            files.add(path)
            if _below(path, root) and path.endswith(".py"):
                modules.add(os.path.dirname(path))
        data.update(os.path.normpath(os.path.join(root, pattern)) for pattern in step.code)
        files.update(_named_files(step.params, root))
    saved = {os.path.normpath(os.path.join(root, path)) for step in plan.steps for path in step.save.values()}
    return Scope(root, frozenset(files), frozenset(modules), frozenset(data), frozenset(saved))


def bare_scope(root: str, path: str) -> Scope:
    """What to watch of a pipeline that cannot be read yet: itself, the settings, and wherever modules may be."""
    modules = {root, *_packages(root)}
    named = frozenset(os.path.join(root, name) for name in (path, *SETTINGS))
    return Scope(root, named, frozenset(modules))


def joined(first: Scope, second: Scope) -> Scope:
    """What either of two scopes has."""
    return Scope(
        first.root,
        first.files | second.files,
        first.modules | second.modules,
        first.data | second.data,
        first.saved | second.saved,
    )


def changes(before: Snapshot, after: Snapshot) -> list[str]:
    """The paths that were added, removed or changed, sorted."""
    return sorted(path for path in before.keys() | after.keys() if _differ(before.get(path), after.get(path)))


def _differ(before: Mark | None, after: Mark | None) -> bool:
    if before is None or after is None:
        return before is not after
    if before[3] and after[3]:
        return before[3] != after[3]
    return before[:3] != after[:3]


def _code_files(step: PlannedStep, code: Project) -> Iterable[str]:
    if step.kind not in ("function", "command"):
        return ()
    try:
        closure = code.command(step.call, step.env) if step.kind == "command" else code.closure(step.call)
    except (CodeError, OSError):
        return ()
    opened = [os.path.join(code.root, name) for name in closure.opened]
    return (*closure.files, *opened)


def _named_files(value: object, root: str) -> Iterator[str]:
    """Files of the project that parameters name, such as `schema: trips.schema.yaml`."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _named_files(item, root)
    elif isinstance(value, list):
        for item in value:
            yield from _named_files(item, root)
    elif isinstance(value, str) and 0 < len(value) < 256 and "\0" not in value:
        path = os.path.normpath(os.path.join(root, value))
        if _below(path, root) and os.path.isfile(path):
            yield path


def _sources(folders: Iterable[str]) -> Iterator[str]:
    """The modules in these folders and in the packages right below them."""
    seen: set[str] = set()
    for folder in folders:
        for place in (folder, *_packages(folder)):
            if place in seen:
                continue
            seen.add(place)
            yield from (os.path.join(place, name) for name in _names(place) if name.endswith(".py") and name[0] != ".")


def _packages(folder: str) -> list[str]:
    """The folders right below one in which a package may appear; hidden ones and environments are none."""
    found = []
    for name in _names(folder):
        path = os.path.join(folder, name)
        if name.isidentifier() and name != "__pycache__" and os.path.isdir(path) and not os.path.islink(path):
            if not os.path.exists(os.path.join(path, "pyvenv.cfg")):
                found.append(path)
            if len(found) == NESTED:
                break
    return found


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _add(found: dict[str, Mark], path: str, small: bool) -> None:
    try:
        info = os.stat(path)
        digest = of_file(path) if small and info.st_size <= SMALL else ""
    except OSError:
        return
    found[path] = (info.st_size, info.st_mtime_ns, info.st_ino, digest)


def _listed(root: str, target: str) -> tuple[str, ...]:
    try:
        listing = list_path(root, target)
    except OSError:
        return ()
    return () if listing is None else listing.paths


def _top(target: str) -> tuple[str, bool]:
    """The folder below which a path, folder or pattern has its files, and whether its sub-folders count."""
    parts = target.split(os.sep)
    signs = [number for number, part in enumerate(parts) if any(sign in part for sign in MAGIC)]
    if signs:
        return os.sep.join(parts[: signs[0]]) or os.sep, signs[0] < len(parts) - 1
    if os.path.isdir(target):
        return target, True
    return os.path.dirname(target), False


def _concerns(path: str, top: str, target: str) -> bool:
    """Whether what happened at `path` may change what a target below `top` stands for."""
    return _below(path, top) or path == top or _below(target, path)


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _within_deep(folder: str, found: Mapping[str, bool]) -> bool:
    """Whether a folder is watched already because all below another one is."""
    if os.path.basename(folder) in LEFT_OUT:
        return True
    parent = os.path.dirname(folder)
    while parent != folder:
        if found.get(parent):
            return True
        folder, parent = parent, os.path.dirname(parent)
    return False
