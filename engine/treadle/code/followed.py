"""The modules whose code is followed: where they lie, what they are worth, what their imports name."""

from collections.abc import Iterable, Sequence

from treadle.code.files import Files
from treadle.code.modules import absolute
from treadle.code.summary import Summary, Target


class Followed:
    """The modules that lie in `folders`, and those of the packages `tops` that lie in `paths`: a step library's own."""

    def __init__(self, files: Files, folders: Sequence[str], tops: Iterable[str], paths: Sequence[str]) -> None:
        self.files = files
        self.folders = tuple(folders)
        self._tops = frozenset(tops)
        self._paths = tuple(paths)
        self._looked: dict[str, str | None] = {}
        self._library: set[str] = set()  # modules outside the project

    def find(self, module: str) -> str | None:
        """The file of a module whose code is followed, the folder of a namespace package, or None."""
        if module not in self._looked:
            found = self.files.find(module, self.folders)
            if found is None and module.partition(".")[0] in self._tops:
                found = self.files.find(module, self._paths)
                self._library.add(module)
            self._looked[module] = found
        return self._looked[module]

    def summary(self, module: str) -> Summary | None:
        """The summary of a followed module; None for one that is not, and for a namespace package."""
        path = self.find(module)
        return self.files.summary(path) if path is not None and path.endswith(".py") else None

    def is_library(self, module: str) -> bool:
        """Whether a module lies outside the project."""
        return module in self._library

    def origin(self, module: str, target: Target) -> str:
        """The full name of the module that an import in `module` names."""
        return absolute(target.level, target.module, module, self.is_package(module))

    def is_followed(self, module: str, target: Target) -> bool:
        """Whether what an import names is followed."""
        return self.find(self.origin(module, target)) is not None

    def is_package(self, module: str) -> bool:
        """Whether a module may have modules below it."""
        path = self.find(module)
        return path is not None and (path.endswith("__init__.py") or not path.endswith(".py"))
