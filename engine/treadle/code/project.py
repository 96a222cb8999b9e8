"""The code of one project: signatures for `check`, closures for keys, libraries for both.

The closure of a step is every definition of the project that its function reaches, however many imports away,
each by a digest that comments, docstrings, layout and the spelling of annotations do not change.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from treadle.code import modules
from treadle.code.closure import Closure, gather, of_command, watched
from treadle.code.files import Files, Memo, unpacked
from treadle.code.followed import Followed
from treadle.code.graph import Graph
from treadle.code.library import Libraries
from treadle.code.modules import CodeError
from treadle.code.shelf import keep, kept
from treadle.digest import of_value
from treadle.domain.signature import MAIN, Signature

if TYPE_CHECKING:
    import ast


NOTHING: Mapping[str, str] = {}


class DictMemo:
    """A memo that lasts as long as the process."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        return self._values.get((kind, key))

    def put(self, kind: str, key: str, value: bytes) -> None:
        self._values[kind, key] = value


class _Folders(tuple[str, ...]):
    """Where installed packages lie: absolute paths, each once; made once for all looks at a project."""

    @classmethod
    def of(cls, paths: Sequence[str], root: str) -> "_Folders":
        return cls(path for path in dict.fromkeys(map(os.path.abspath, filter(None, paths))) if path != root)


class Project:
    """Reads the code below `root`; `paths` are the folders where installed packages lie (default sys.path)."""

    def __init__(self, root: str, memo: Memo, paths: Sequence[str] | None = None) -> None:
        self.root = root
        self._paths = paths if isinstance(paths, _Folders) else _Folders.of(sys.path if paths is None else paths, root)
        self._memo = memo
        self.files = Files(root, memo)
        self._libraries = Libraries(self.files, self._paths)
        self._trees: dict[str, tuple[ast.Module, str, bool, str]] = {}
        self._closures: dict[str, Closure] = {}
        self._graphs: dict[tuple[tuple[str, ...], str], Graph] = {}

    def again(self) -> "Project":
        """The same project with nothing read yet: what its files are now, not what they were."""
        return Project(self.root, self._memo, self._paths)

    def signature(self, call: str) -> Signature:
        """What `module:function` offers; raises CodeError."""
        return self._signature(call)[0]

    def lost(self, call: str) -> str:
        """Why a function of the program that runs can be neither keyed nor given to a worker; empty where it can."""
        module, name = _split(call)
        main = self.files.main() if module == MAIN else None
        return "" if main is None else main.lost.get(name.partition(".")[0], "")

    def program(self) -> str:
        """The functions of the program that runs as the text of a module, empty for the command line."""
        main = self.files.main()
        return "" if main is None else main.text

    def shape(self, call: str) -> str:
        """The digest of what `module:function` offers; when it changes a pipeline must be bound anew."""
        key = "\0".join((self.root, call, *self._paths))
        found = kept(self.files, "shape", key, str)
        if found is not None:
            return found[0]
        signature, read = self._signature(call)
        offers = [signature.accepts_any, signature.outputs, signature.metrics, signature.context]
        shape = of_value([repr(signature.arguments), *offers])
        keep(self.files, "shape", key, shape, {*read, *map(os.path.dirname, read), self.root})
        return shape

    def closure(self, call: str) -> Closure:
        """All code that a function reaches, definition by definition; raises CodeError when it is not there."""
        if call not in self._closures:
            key = "\0".join((self.root, call, *self._paths))
            found = kept(self.files, "closure", key, Closure)
            if found is None:
                self._closures[call] = self._closure(call, key)
            else:
                self._closures[call] = found[0]
        return self._closures[call]

    def command(self, template: str, env: Mapping[str, str] = NOTHING) -> Closure:
        """The files of the project that a command names, with what its Python scripts reach with these variables."""
        return of_command(template, env.get("PYTHONPATH", ""), self.files, lambda folders: self._graph(folders, ""))

    def named(self, text: str) -> Closure:
        """What a text names when it is used as one: `module.Class` of the project, or an installed module."""
        module, _, names = text.replace(":", ".").partition(".")
        if not all(part.isidentifier() for part in (module, *names.split("."))[: 2 if names else 1]):
            return Closure({})
        graph = self._graph((self.root,), "")
        if graph.modules.find(module) is None:
            return Closure({}, (module,) if self._libraries.has(module) else ())
        return gather(graph, graph.reach(graph.names.named(module, names.split(".") if names else [])))

    def source(self, digest: str) -> str | None:
        """The source text of the definition with this digest, as it was read then; None when it is not known."""
        found = self._memo.get("source", digest)
        return unpacked(found) if found is not None else None

    def difference(self, before: str | None, after: str | None, names: tuple[str, str]) -> list[str]:
        """The lines of the unified difference of two definitions by their digests, None for one that is not there.

        `names` say which is which. Empty when a source is not known.
        """
        from difflib import unified_diff  # lazy: only for what was changed

        texts = [self.source(digest) if digest else "" for digest in (before, after)]
        if texts[0] is None or texts[1] is None:
            return []
        return list(unified_diff(texts[0].splitlines(), texts[1].splitlines(), *names, lineterm=""))

    def environment(self, imports: Iterable[str], strict: bool = False) -> dict[str, str]:
        """The distributions that provide these top-level modules, or all that are installed, with their versions."""
        return self._libraries.all() if strict else self._libraries.of(imports)

    def installed(self) -> str:
        """A digest that changes when packages are installed or removed."""
        return self._libraries.installed()

    def installed_in(self) -> list[str]:
        """The folders in which installed packages lie."""
        return [path for path in self._paths if os.path.isdir(path)]

    def _closure(self, call: str, key: str) -> Closure:
        module, name = _split(call)
        path = self._locate(module)
        outside = self.files.find(module, (self.root,)) != path
        graph = self._graph((self.root,), module.partition(".")[0] if outside else "")
        nodes = graph.reach(graph.names.start(module, name))
        closure = gather(graph, nodes)
        keep(self.files, "closure", key, closure, watched(graph, nodes, self.files))
        return closure

    def _graph(self, folders: tuple[str, ...], top: str) -> Graph:
        if (folders, top) not in self._graphs:
            followed = Followed(self.files, folders, (top,) if top else (), self._paths)
            self._graphs[folders, top] = Graph(followed)
        return self._graphs[folders, top]

    def _signature(self, call: str) -> tuple[Signature, set[str]]:
        """A signature and the files that it was read from."""
        from treadle.code import signature  # lazy: the syntax tree, 8 ms that a run with nothing to do spares

        module, name = _split(call)
        read: set[str] = set()

        def tree(module: str) -> "tuple[ast.Module, str, bool]":
            found = self._tree(module)
            read.add(found[3])
            return found[:3]

        return signature.read(module, name, tree), read

    def _locate(self, module: str) -> str:
        found = self.files.find(module, (self.root, *self._paths))
        if module == MAIN and self.files.main() is None:
            text = f"'{MAIN}' is the program that runs the pipeline, and this one has no functions of its own"
            hint = "call treadle.run in the script or notebook that has it, or put the function into a module"
            raise CodeError("main-function", text, hint)
        if found is not None and found.endswith(".py"):
            return found
        return modules.locate(module, self.root, self._paths)  # which says what is wrong

    def _tree(self, module: str) -> "tuple[ast.Module, str, bool, str]":
        if module not in self._trees:
            path = self._locate(module)
            relative = os.path.relpath(path, self.root)
            shown = path if relative.startswith("..") else relative
            text = self.program().encode("utf-8", "surrogatepass") if module == MAIN else None
            self._trees[module] = (modules.read_tree(path, shown, text), shown, path.endswith("__init__.py"), path)
        return self._trees[module]


def _split(call: str) -> tuple[str, str]:
    module, colon, name = call.partition(":")
    if not colon or not name:
        raise CodeError("bad-call", f"'{call}' is not of the form module:function")
    return module, name
