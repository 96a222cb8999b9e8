"""Nodes that a step reaches → its closure: the parts of its key, with what it imports and opens."""

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, structs

from treadle.code.files import Files
from treadle.code.graph import Graph
from treadle.code.resolve import Node
from treadle.code.words import Word, words


class Closure(Struct, frozen=True):
    """What a step's code is made of.

    `parts` are digests by name (`code MODULE:NAME`, `code MODULE`), `imports` the top-level third-party modules
    that the reached code uses, `loaded` those that Python imports before it can run, `opened` files of the
    project that the code names. `notes` say in words what could not be followed, and what counts instead.
    `computed` says that modules are imported by a computed name, so that what parameters name may be code.
    """

    parts: dict[str, str]
    imports: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    loaded: tuple[str, ...] = ()
    computed: bool = False
    files: tuple[str, ...] = ()  # absolute paths of the modules that were read; no part of a key

    def __add__(self, other: "Closure") -> "Closure":
        """What both reach together."""
        return Closure(
            parts={**self.parts, **other.parts},
            imports=_all((self.imports, other.imports)),
            opened=_all((self.opened, other.opened)),
            notes=_all((self.notes, other.notes)),
            loaded=_all((self.loaded, other.loaded)),
            computed=self.computed or other.computed,
            files=_all((self.files, other.files)),
        )


def gather(graph: Graph, nodes: Mapping[str, Node]) -> Closure:
    """The closure that these nodes make together."""
    parts: dict[str, str] = {}
    for node in nodes.values():
        parts.update(node.parts)
    written = {path for node in nodes.values() for path in node.written}  # what a step makes is no input of it
    return Closure(
        parts=dict(sorted(parts.items())),
        imports=_all(node.third for node in nodes.values()),
        opened=tuple(path for path in _all(node.opened for node in nodes.values()) if path not in written),
        notes=_all(node.notes for node in nodes.values()),
        loaded=_all(node.loaded for node in nodes.values()),
        computed=any(node.computed for node in nodes.values()),
        files=_all((path,) for name in nodes if (path := _file(graph, name)) is not None),
    )


def _file(graph: Graph, node: str) -> str | None:
    return graph.modules.find(node.partition(":")[0].removesuffix(".*"))


def watched(graph: Graph, nodes: Mapping[str, Node], files: Files) -> set[str]:
    """The files and folders that a closure was made from: when none changes, the closure is the same."""
    found = set(graph.modules.folders)
    for name, node in nodes.items():
        found.update(node.watched)
        for path in (*node.opened, *node.missing):
            found.add(_nearest(os.path.join(files.root, os.path.dirname(path)), files))
        file = _file(graph, name)
        if file is not None:
            found.update((file, os.path.dirname(file)))
            if file.endswith(".py") and files.is_folder(file[:-3]):
                found.add(file[:-3])  # a package of this name would come first
    return found


def of_command(template: str, path: str, files: Files, graph_of: Callable[[tuple[str, ...]], Graph]) -> Closure:
    """The closure of a shell command: the files that it names, its Python scripts and modules with all they reach.

    `path` is its PYTHONPATH. Of a shell script that it names the scripts count too that this one names.
    """
    text, named, added = words(template)
    if not any(before == "-m" or files.named(word) for word, before, _ in named):
        return Closure({"command": text})
    whole = Closure({})
    opened: set[str] = set()
    more = [os.path.join(files.root, folder) for folder in (*added, *path.split(":")) if folder]
    for home, module, shown in _modules(named, files, opened, more):
        graph = graph_of(tuple(dict.fromkeys(map(os.path.normpath, (home, *more, files.root)))))
        starts = [f"{one}:*" for one in (module, f"{module}.__main__") if graph.modules.find(one) is not None]
        if starts:
            closure = gather(graph, graph.reach(starts))
            clashes = {name for name, digest in closure.parts.items() if whole.parts.get(name, digest) != digest}
            whole += Closure({f"{n} ({shown})" if n in clashes else n: d for n, d in closure.parts.items()})
            whole += structs.replace(closure, parts={})
    return whole + Closure({"command": text}, opened=tuple(sorted(opened)))


def _modules(
    named: Sequence[Word], files: Files, opened: set[str], more: list[str], inner: bool = False
) -> Iterator[tuple[str, str, str]]:
    """The Python modules that words name, each with its folder and what to call it; other files go to `opened`.

    Of the words of a script (`inner`) only scripts count: files with other names may be what it writes.
    """
    for word, before, folder in named:
        module = posixpath.basename(word)
        if before == "-m" and all(part.isidentifier() for part in module.split(".")):
            yield os.path.join(files.root, folder), module, module
        elif (found := files.inside(word, "")) is None or found in opened or not files.named(word):
            continue
        elif found.endswith(".py"):
            yield os.path.dirname(os.path.join(files.root, found)), os.path.basename(found)[:-3], found
        elif found.endswith((".sh", ".bash")):
            opened.add(found)
            script, added = files.script(found)
            more += [os.path.join(files.root, one) for one in added]
            yield from _modules(script, files, opened, more, inner=True)
        elif not inner:
            opened.add(found)


def _all(found: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(sorted({item for each in found for item in each}))


def _nearest(folder: str, files: Files) -> str:
    """The folder, or the nearest one above it that exists."""
    while not files.is_folder(folder):
        folder = os.path.dirname(folder)
    return folder
