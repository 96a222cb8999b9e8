"""Project modules are compiled from their source each time.

Python takes a cached .pyc as good when size and mtime in whole seconds agree: an edit within one second that
keeps the size would run the old code under the new key.
"""

import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from typing import Any, NoReturn

INSTALLED = ("site-packages", "dist-packages")


class FreshLoader(SourceFileLoader):
    """A loader of source files that neither reads nor writes bytecode."""

    def path_stats(self, path: Any) -> NoReturn:
        """Without stats importlib can trust no cached bytecode; see SourceLoader.get_code."""
        raise OSError("project modules have no cached bytecode")


def compile_afresh(root: str) -> None:
    """From now on modules below `root` are compiled from their source, installed packages excepted."""

    def hook(path: str) -> FileFinder:
        below = path == root or path.startswith(root + "/")
        if not below or any(part in path for part in INSTALLED):
            raise ImportError(path)
        return FileFinder(path, (FreshLoader, [".py"]), (ExtensionFileLoader, EXTENSION_SUFFIXES))

    sys.path_hooks.insert(0, hook)
    for path in [path for path in sys.path_importer_cache if path.startswith(root)]:
        del sys.path_importer_cache[path]


def forget_modules() -> None:
    """Drop the project's modules from this process, so that the next import compiles them as they are now."""
    for name, module in list(sys.modules.items()):
        loader = getattr(getattr(module, "__spec__", None), "loader", None)
        if isinstance(loader, FreshLoader) and name.partition(".")[0] != "treadle":
            del sys.modules[name]
