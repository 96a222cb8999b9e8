"""Top-level modules → the distributions that provide them, by import metadata alone: nothing is imported.

A distribution counts by name and version. One that is installed from a local folder or wheel, or that merely lies
on the path, may change under one version, so its Python files count too.
"""

import os
import re
from collections.abc import Iterable, Sequence

from msgspec import Struct, msgpack

from treadle.code.files import Files
from treadle.digest import of_bytes, of_value
from treadle.distributions import distributions

ENGINE = "treadle"  # a change of the engine that changes results raises the version of the key instead
_MAPPING = re.compile(r"^MAPPING[^=]*= (\{.*\})$", re.MULTILINE)


class _Known(Struct, frozen=True):
    """What is installed: distribution → version, top-level module → distributions, local ones and their folders."""

    versions: dict[str, str]
    tops: dict[str, list[str]]
    local: dict[str, str]  # distribution → the folder that it was installed from, or empty
    mapped: dict[str, str]  # top-level module → where an editable install maps it


class Libraries:
    """What is installed in these folders, read once after packages were installed or removed."""

    def __init__(self, files: Files, paths: Sequence[str]) -> None:
        self._files = files
        self._paths = tuple(paths)
        self._known: _Known | None = None
        self._contents: dict[str, str] = {}

    def installed(self) -> str:
        """A digest that changes when packages are installed or removed."""
        folders = [(path, os.stat(path).st_mtime_ns) for path in self._paths if os.path.isdir(path)]
        return of_bytes(repr(folders).encode())

    def has(self, top: str) -> bool:
        """Whether a top-level module of this name is installed."""
        known = self._read()
        return top in known.tops or top in known.mapped

    def of(self, tops: Iterable[str]) -> dict[str, str]:
        """Distribution → version for these top-level modules; what is not installed says so."""
        wanted = sorted(set(tops) - {ENGINE})
        if not wanted:
            return {}  # spares reading what is installed
        known = self._read()
        found: dict[str, list[str]] = {}
        for top in wanted:
            names = known.tops.get(top)
            where = self._where(top, known)
            local = [self._content(top, where)] if where and (not names or any(n in known.local for n in names)) else []
            for name in names or [self._owner(where, known) or top]:
                version = known.versions.get(name) or ("local" if where else "not installed")
                found.setdefault(name, [version]).extend(local)
        return {name: " ".join(dict.fromkeys(parts)) for name, parts in found.items()}

    def all(self) -> dict[str, str]:
        """Every installed distribution with its version."""
        known = self._read()
        found = {name: version for name, version in known.versions.items() if name != ENGINE}
        local = [top for top, names in known.tops.items() if any(name in known.local for name in names)]
        return {**found, **self.of([*local, *known.mapped])}

    def _where(self, top: str, known: _Known) -> str | None:
        return known.mapped.get(top) or self._files.find(top, self._paths)

    def _owner(self, where: str | None, known: _Known) -> str | None:
        """The distribution whose own folder a module lies in, as an editable install has it."""
        owners = [name for name, folder in known.local.items() if where and folder and where.startswith(folder + "/")]
        return max(owners, key=lambda name: len(known.local[name]), default=None)

    def _content(self, top: str, where: str) -> str:
        """The digest of the Python files of a module."""
        if where not in self._contents:
            folder = os.path.dirname(where) if where.endswith("__init__.py") else where
            files = [where]
            if os.path.isdir(folder):
                files = sorted(
                    os.path.join(inside, name)
                    for inside, _, names in os.walk(folder)
                    if self._files.stat(inside)
                    for name in names
                    if name.endswith((".py", ".so"))
                )
            pairs = [[os.path.relpath(file, folder), self._files.content(file)] for file in files]
            self._contents[where] = of_value([top, pairs])[:16]
        return self._contents[where]

    def _read(self) -> _Known:
        if self._known is None:
            key = self.installed()
            kept = self._files.memo.get("libraries", key)
            if kept is not None:
                self._known = msgpack.decode(kept, type=_Known)
            else:
                self._known = _look(self._paths)
                self._files.memo.put("libraries", key, msgpack.encode(self._known))
        return self._known


def _look(paths: Sequence[str]) -> _Known:
    known = _Known({}, {}, {}, {})
    for distribution in distributions(paths):
        name, version = distribution.title()
        if not name or name in known.versions:
            continue  # the first on the path is the one that is imported
        known.versions[name] = version
        origin = distribution.text("direct_url.json")
        if '"file://' in origin:
            known.local[name] = _folder(origin)
        for top in distribution.tops():
            known.tops.setdefault(top, []).append(name)
    for path in paths:
        known.mapped.update(_mapped(path))
    for names in known.tops.values():
        names.sort()
    return known


def _folder(origin: str) -> str:
    from urllib.parse import unquote, urlparse  # lazy: only for local distributions

    from msgspec import json  # lazy: only for local distributions

    url = json.decode(origin.encode(), type=dict[str, object]).get("url")
    return os.path.realpath(unquote(urlparse(str(url)).path))


def _mapped(path: str) -> dict[str, str]:
    """Where the finders of editable installs in a folder map top-level modules to."""
    found: dict[str, str] = {}
    try:
        names = [n for n in os.listdir(path) if n.startswith("__editable__") and n.endswith("finder.py")]
    except OSError:
        return found
    for name in names:
        import ast  # lazy: only where there are editable installs with a finder

        with open(os.path.join(path, name), encoding="utf-8", errors="replace") as file:
            match = _MAPPING.search(file.read())
        if match is not None:
            try:
                found.update(ast.literal_eval(match.group(1)))
            except (ValueError, SyntaxError):
                continue
    return found
