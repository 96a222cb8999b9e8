"""The code of one project: signatures for `check`, closures for keys, libraries for both.

The closure of a step is every file of the project that its function's module imports, however many
imports away, each by a digest that comments, docstrings and layout do not change.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import DecodeError, Struct, msgpack

from treadle.code import modules
from treadle.code.modules import CodeError
from treadle.digest import of_bytes
from treadle.domain.signature import Signature

if TYPE_CHECKING:
    import ast

    from treadle.code.summary import Summary


class Memo(Protocol):
    """Where summaries are kept from one command to the next."""

    def get(self, kind: str, key: str) -> bytes | None:
        """What was put under this key, or None."""

    def put(self, kind: str, key: str, value: bytes) -> None:
        """Keep a value."""


class DictMemo:
    """A memo that lasts as long as the process."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        return self._values.get((kind, key))

    def put(self, kind: str, key: str, value: bytes) -> None:
        self._values[kind, key] = value


class Closure(Struct, frozen=True):
    """What a step's code is made of: parts by name, third-party modules it imports, files it opens by name."""

    parts: dict[str, str]
    imports: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _Seen(Struct, frozen=True):
    """A file's summary with the state of the file it was made from."""

    stat: tuple[int, int, int, int]
    digest: str
    imports: tuple[str, ...]
    notes: tuple[str, ...]
    strings: tuple[str, ...]


class Project:
    """Reads the code below `root`; `paths` are the folders where installed packages lie (default sys.path)."""

    def __init__(self, root: str, memo: Memo, paths: Sequence[str] | None = None) -> None:
        self.root = root
        found = sys.path if paths is None else paths
        self._paths = tuple(path for path in dict.fromkeys(map(os.path.abspath, filter(None, found))) if path != root)
        self._memo = memo
        self._trees: dict[str, tuple[ast.Module, str, bool]] = {}
        self._seen: dict[str, _Seen] = {}
        self._closures: dict[str, Closure] = {}
        self.looked: dict[str, bool] = {}  # every path that an answer depended on, and whether something was there
        self._found: dict[tuple[str, tuple[str, ...]], str | None] = {}
        self._versions: dict[str, tuple[str, str]] | None = None

    def signature(self, call: str) -> Signature:
        """What `module:function` offers; raises CodeError."""
        from treadle.code import signature  # lazy: the syntax tree, 8 ms that a run with nothing to do spares

        module, colon, name = call.partition(":")
        if not colon or not name:
            raise CodeError("bad-call", f"'{call}' is not of the form module:function")
        return signature.read(module, name, self._tree)

    def closure(self, call: str) -> Closure:
        """All code that a function may reach, file by file; raises CodeError when its module is not there."""
        module = call.partition(":")[0]
        if module not in self._closures:
            start = modules.locate(module, self.root, self._paths)
            self._note(modules.candidates(module, (self.root, *self._paths)), start)
            self._closures[module] = self._walk([(module, start)])
        return self._closures[module]

    def command(self, template: str) -> Closure:
        """The files of the project that a shell command names, with what its Python scripts import."""
        template = re.sub(r"\{(in|out|params)\.[^{}]+\}", "x", template)
        try:
            words = shlex.split(template, comments=False)
        except ValueError:
            words = template.split()
        files = [word for word in dict.fromkeys(words) if self._is_file(word)]
        scripts = [
            (f"{name[:-3].replace('/', '.')}", os.path.join(self.root, name)) for name in files if name.endswith(".py")
        ]
        folders = [os.path.dirname(path) for _, path in scripts]
        closure = self._walk(scripts, folders)
        parts = dict(closure.parts)
        for name in files:
            if not name.endswith(".py"):
                with open(os.path.join(self.root, name), "rb") as file:
                    parts[f"code {name}"] = of_bytes(file.read())
        return Closure({**parts, "command": template}, closure.imports, closure.opened, closure.notes)

    def environment(self, imports: Iterable[str]) -> dict[str, str]:
        """The distributions that provide these top-level modules, with their versions; nothing is imported."""
        wanted = tuple(imports)
        if not wanted:
            return {}  # spares reading what is installed
        if self._versions is None:
            self._versions = self._read_versions()
        return dict(self._versions[name] for name in wanted if name in self._versions)

    def installed(self) -> str:
        """A digest that changes when packages are installed or removed."""
        folders = [(path, os.stat(path).st_mtime_ns) for path in self.installed_in()]
        return of_bytes(repr(folders).encode())

    def installed_in(self) -> list[str]:
        """The folders in which installed packages lie."""
        return [path for path in self._paths if os.path.isdir(path)]

    def _walk(self, start: list[tuple[str, str]], folders: Sequence[str] = ()) -> Closure:
        parts: dict[str, str] = {}
        third: set[str] = set()
        notes: list[str] = []
        opened: set[str] = set()
        todo = list(start)
        done: set[str] = set()
        own = tuple(sorted({self._home(path) for _, path in start} | set(folders) | {self.root}))
        while todo:
            module, path = todo.pop()
            if path in done:
                continue
            done.add(path)
            seen = self._summary(path, module)
            parts[f"code {module}"] = seen.digest
            notes += seen.notes
            opened.update(text for text in seen.strings if self._is_file(text) and not text.endswith(".py"))
            for name in seen.imports:
                followed = self._follow(name, own)
                todo += followed
                top = name.partition(".")[0]
                if not followed and top not in sys.stdlib_module_names and self._find(top, own) is None:
                    third.add(top)
        return Closure(parts, tuple(sorted(third)), tuple(sorted(opened)), tuple(sorted(notes)))

    def _follow(self, name: str, own: tuple[str, ...]) -> list[tuple[str, str]]:
        """The files of the project that importing `name` runs: its packages' __init__ and itself."""
        found = []
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            module = ".".join(parts[:end])
            path = self._find(module, own)
            if path is None:
                break
            if path.endswith(".py"):
                found.append((module, path))
        return found

    def _find(self, module: str, own: tuple[str, ...]) -> str | None:
        """Where a module lies, looked for once per command."""
        if (module, own) not in self._found:
            self._found[module, own] = found = modules.find(module, own)
            self._note(modules.candidates(module, own), found)
        return self._found[module, own]

    def _home(self, path: str) -> str:
        """The folder that a file's top-level package lies in, so that a library's own modules count as its code."""
        folder = os.path.dirname(path)
        while self._exists(os.path.join(folder, "__init__.py")):
            folder = os.path.dirname(folder)
        if os.path.basename(folder) in ("site-packages", "dist-packages"):
            return os.path.dirname(path)
        return folder

    def _summary(self, path: str, module: str) -> _Seen:
        if path in self._seen:
            return self._seen[path]
        self.looked[path] = True
        info = os.stat(path)
        stat = (info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)
        key = f"{path}\0{module}"
        kept = self._memo.get("module", key)
        if kept is not None:
            try:
                seen = msgpack.decode(kept, type=_Seen)
            except DecodeError:
                seen = None
            if seen is not None and seen.stat == stat:
                self._seen[path] = seen
                return seen
        self._seen[path] = seen = self._summarized(path, module, stat)
        self._memo.put("module", key, msgpack.encode(seen))
        return seen

    def _summarized(self, path: str, module: str, stat: tuple[int, int, int, int]) -> _Seen:
        from treadle.code.summary import summarize  # lazy: the syntax tree, only for files that changed

        with open(path, "rb") as file:
            data = file.read()
        made: Summary = summarize(data, module, path.endswith("__init__.py"))
        return _Seen(stat, made.digest, made.imports, made.notes, made.strings)

    def _tree(self, module: str) -> "tuple[ast.Module, str, bool]":
        if module not in self._trees:
            path = modules.locate(module, self.root, self._paths)
            relative = os.path.relpath(path, self.root)
            shown = path if relative.startswith("..") else relative
            self._trees[module] = (modules.read_tree(path, shown), shown, path.endswith("__init__.py"))
        return self._trees[module]

    def _is_file(self, text: str) -> bool:
        if os.path.isabs(text) or ".." in text.split("/") or "\0" in text:
            return False
        path = os.path.join(self.root, text)
        self._exists(path)
        return os.path.isfile(path)

    def _exists(self, path: str) -> bool:
        self.looked[path] = found = os.path.exists(path)
        return found

    def _note(self, candidates: Iterable[str], found: str | None) -> None:
        """Remember the places where a module was looked for, up to the one where it was found."""
        for path in candidates:
            self._exists(path)
            if path == found:
                return

    def _read_versions(self) -> dict[str, tuple[str, str]]:
        """Top-level module → (distribution, version), kept as long as no package folder changes."""
        key = self.installed()
        kept = self._memo.get("versions", key)
        if kept is not None:
            return msgpack.decode(kept, type=dict[str, tuple[str, str]])
        from importlib import metadata  # lazy: 100 ms, only after packages were installed or removed

        found: dict[str, tuple[str, str]] = {}
        for module, names in metadata.packages_distributions().items():
            name = sorted(names)[0]
            found[module] = (name, metadata.version(name))
        self._memo.put("versions", key, msgpack.encode(found))
        return found
