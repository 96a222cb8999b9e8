"""The project that a path belongs to: settings, catalog, store and code, opened together."""

import os

from msgspec import Struct

from treadle.code import Project as Code
from treadle.plugins import Catalog
from treadle.settings import Settings, find_root, read_settings
from treadle.store import Store, open_store


class Project(Struct, frozen=True):
    """A record of open parts; it has no behaviour of its own."""

    settings: Settings
    catalog: Catalog
    store: Store
    code: Code

    @property
    def root(self) -> str:
        return self.settings.root


def open_project(path: str | os.PathLike[str] = ".", catalog: Catalog | None = None) -> Project:
    """Open the project that contains `path`, a file or a folder; raises InputError for bad settings."""
    start = os.path.abspath(path)
    root = find_root(start if os.path.isdir(start) else os.path.dirname(start))
    settings = read_settings(root)
    store = open_store(root)
    return Project(settings, catalog or Catalog.from_entry_points(), store, Code(root, store.memo))


def inside(project: Project, path: str | os.PathLike[str]) -> str:
    """A path as the project writes it: relative to its root when it lies below it."""
    absolute = os.path.abspath(path)
    relative = os.path.relpath(absolute, project.root)
    return absolute if relative.startswith("..") else relative
