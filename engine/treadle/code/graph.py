"""Definitions → what they reach: names resolved across the modules of a project, by their summaries alone.

A node is `module:name` (a definition), `module` (what importing the module runs), `module:*` (all of it) or
`module.*` (all of the package). Every node is expanded once, so that steps which share modules share the work.
"""

import builtins
import posixpath
import sys
from collections.abc import Iterable, Sequence

from msgspec import Struct

from treadle.code.files import Files
from treadle.code.modules import CodeError, absolute
from treadle.code.summary import Definition, Summary, Target
from treadle.errors import did_you_mean

TYPING = frozenset(("typing", "typing_extensions", "__future__", "collections.abc"))
_BUILTIN = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__", "__path__", "__package__", "__spec__"}


class Node(Struct):
    """What one node is made of: its parts, the nodes that it leads to, and what it needs from outside.

    `third` are top-level modules from outside that the code uses, `loaded` those that are imported with it,
    `opened` and `missing` literal paths, `watched` folders whose listing counts. `computed`
    says that modules are imported by a computed name.
    """

    parts: dict[str, str] = {}
    leads: list[str] = []
    third: list[str] = []
    opened: list[str] = []
    missing: list[str] = []
    notes: list[str] = []
    loaded: list[str] = []
    watched: list[str] = []
    computed: bool = False


class Graph:
    """The nodes of the modules that lie in `folders`, or, for the packages `tops`, in `paths`."""

    def __init__(self, files: Files, folders: Sequence[str], tops: Iterable[str], paths: Sequence[str]) -> None:
        self._files = files
        self.folders = tuple(folders)
        self._tops = frozenset(tops)
        self._paths = tuple(paths)
        self._nodes: dict[str, Node] = {}
        self._writers: dict[str, bool] = {}
        self._looked: dict[str, str | None] = {}
        self._library: set[str] = set()  # modules outside the project
        self._resolving: set[tuple[str, str]] = set()  # modules import each other in circles

    def start(self, module: str, name: str) -> list[str]:
        """The nodes of what a step calls; raises CodeError when the module does not show the name."""
        head = name.partition(".")[0]
        node = Node()
        summary = self.summary(module)
        if summary is not None and not summary.broken and not self._name(module, [head], node):
            known = [name for name, definition in summary.definitions.items() if not definition.alias]
            text = f"'{self.find(module)}' has no function called '{name}'"
            raise CodeError("unknown-function", text, did_you_mean(head, known))
        return [module, *node.leads]

    def named(self, module: str, chain: Sequence[str]) -> list[str]:
        """The nodes of what a dotted text names, as far as it names something of the project."""
        node = Node()
        self._attribute(module, module, chain, node)
        return node.leads

    def reach(self, start: Iterable[str]) -> dict[str, Node]:
        """All nodes that can be reached, the given ones first."""
        found: dict[str, Node] = {}
        todo = list(start)
        while todo:
            name = todo.pop()
            if name not in found:
                found[name] = node = self._node(name)
                todo += node.leads
        return found

    def find(self, module: str) -> str | None:
        """The file of a module whose code is followed, the folder of a namespace package, or None."""
        if module not in self._looked:
            found = self._files.find(module, self.folders)
            if found is None and module.partition(".")[0] in self._tops:
                found = self._files.find(module, self._paths)
                self._library.add(module)
            self._looked[module] = found
        return self._looked[module]

    def summary(self, module: str) -> Summary | None:
        """The summary of a followed module; None for one that is not, and for a namespace package."""
        path = self.find(module)
        return self._files.summary(path) if path is not None and path.endswith(".py") else None

    # expanding

    def _node(self, name: str) -> Node:
        if name not in self._nodes:
            node = Node()
            self._nodes[name] = node
            module, colon, definition = name.partition(":")
            if name.endswith(".*"):
                inner, node.watched = self._files.package(name[:-2], self.find(name[:-2]))
                node.leads += [f"{module}:*" for module in inner]
            elif definition == "*":
                self._all(module, node)
            elif colon:
                self._one(module, definition, node)
            else:
                self._run(module, node)
        return self._nodes[name]

    def _run(self, module: str, node: Node) -> None:
        """Importing a module runs its packages, its statements with effects, and what it imports."""
        parent = module.rpartition(".")[0]
        if parent:
            node.leads.append(parent)
        summary = self.summary(module)
        if summary is None:
            return
        if summary.broken:
            node.parts[f"code {module}"] = summary.broken
            node.notes.append(f"{module} does not parse: it counts byte by byte")
        for target in summary.imports:
            self._runs(module, target, node)
        if summary.effects is not None:
            node.parts[f"code {module}"] = summary.effects.digest
            self._follow(module, summary.effects, node)
        for name, definition in summary.definitions.items():
            if any(self._triggers(module, chain) for chain in definition.triggers):
                node.leads.append(f"{module}:{name}")  # it registers itself somewhere

    def _all(self, module: str, node: Node) -> None:
        summary = self.summary(module)
        if summary is not None:
            node.leads += [module, *(f"{module}:{name}" for name in summary.definitions)]
            if summary.main is not None:
                node.leads.append(f"{module}:__main__")

    def _one(self, module: str, name: str, node: Node) -> None:
        summary = self.summary(module)
        assert summary is not None
        definition = summary.main if name == "__main__" else summary.definitions.get(name)
        node.leads.append(module)
        if definition is None:
            return
        outside = [t for t in definition.targets if not self._is_followed(module, t)]
        if not definition.alias or any(t.module not in TYPING for t in outside):
            node.parts[f"code {module}:{name}"] = definition.digest
        for target in definition.targets:
            if self._is_followed(module, target):
                continue
            self._outside(target.module, node)
        self._follow(module, definition, node)

    def _follow(self, module: str, definition: Definition, node: Node) -> None:
        """Everything that a definition uses, imports, loads, opens and patches."""
        inner: dict[str, list[Target]] = {}
        for name, target in definition.inner:
            self._runs(module, target, node)
            if name:
                inner.setdefault(name, []).append(target)
        for chain in definition.uses:
            head, *rest = chain.split(".")
            for target in inner.get(head, ()):
                self._target(module, target, rest, node)
            if head not in inner:
                self._name(module, [head, *rest], node)
        for loaded in definition.loads:
            self._load(module, loaded, node)
        for chain in definition.patches:
            self._patch(module, chain, inner, node)
        for reason in definition.wide:
            self._widen(module, reason, node)
        self._literals(module, definition, node)

    # names

    def _name(self, module: str, chain: list[str], node: Node) -> bool:
        """Lead to what a name of a module stands for; False when the module does not show it."""
        key = (module, ".".join(chain))
        if key in self._resolving:
            return True
        self._resolving.add(key)
        try:
            return self._resolve(module, chain, node)
        finally:
            self._resolving.discard(key)

    def _resolve(self, module: str, chain: list[str], node: Node) -> bool:
        head, rest = chain[0], chain[1:]
        summary = self.summary(module)
        if summary is None:
            return False
        definition = summary.definitions.get(head)
        if definition is None:
            found = self._starred(module, summary, chain, node)
            return found or head in _BUILTIN
        for target in definition.targets:
            if self._is_followed(module, target):
                self._target(module, target, rest, node)
            else:
                node.leads.append(f"{module}:{head}")
        if not definition.alias:
            node.leads.append(f"{module}:{head}")
        return True

    def _starred(self, module: str, summary: Summary, chain: list[str], node: Node) -> bool:
        """A name that may have come by `from x import *`: every source that has it counts, with its __all__."""
        found = False
        for star in summary.stars:
            origin = self._origin(module, star)
            if self.find(origin) is None:
                if chain[0] not in _BUILTIN:
                    self._outside(origin, node)
                    found = True
                continue
            source = self.summary(origin)
            if source is not None and "__all__" in source.definitions:
                node.leads.append(f"{origin}:__all__")
            if self._name(origin, chain, node) and chain[0] not in _BUILTIN:
                found = True
        return found

    def _target(self, module: str, target: Target, rest: Sequence[str], node: Node) -> None:
        origin = self._origin(module, target)
        if self.find(origin) is None:
            self._outside(origin, node)
        elif not target.name:
            self._attribute(module, origin, rest, node)
        else:
            self._attribute(module, origin, [target.name, *rest], node)

    def _attribute(self, user: str, module: str, chain: Sequence[str], node: Node) -> None:
        """Lead to an attribute of a followed module: a definition, a module of the package, or all of it."""
        node.leads.append(module)
        if not chain:
            node.leads.append(f"{module}:*")
            if self._is_package(module):
                node.leads.append(f"{module}.*")
            node.notes.append(f"{user} passes the module {module} on as a value: all of it counts")
            return
        head = chain[0]
        inner = f"{module}.{head}"
        summary = self.summary(module)
        known = summary is not None and self._name(module, list(chain), node)
        if self.find(inner) is not None:
            own = summary.definitions.get(head) if summary is not None else None
            if own is None or any(t.name == head and self._origin(module, t) == module for t in own.targets):
                self._attribute(user, inner, chain[1:], node)
            else:
                node.leads.append(inner)
        elif not known and not (head.startswith("__") and head.endswith("__")):
            node.leads.append(f"{module}:*")
            node.notes.append(f"{user} uses {module}.{head}, which is made while the program runs: all of it counts")

    # importing

    def _runs(self, module: str, target: Target, node: Node) -> None:
        origin = self._origin(module, target)
        if self.find(origin) is None:
            node.loaded += _third(origin)
            return
        node.leads.append(origin)
        if target.name and self.find(f"{origin}.{target.name}") is not None:
            node.leads.append(f"{origin}.{target.name}")

    def _load(self, module: str, loaded: str, node: Node) -> None:
        """A module imported by a text: all of it counts; by the beginning of a text: all of that package."""
        relative = loaded.startswith(".")
        name = loaded.strip(".")
        if relative:
            home = module if self._is_package(module) else module.rpartition(".")[0]
            name = f"{home}.{name}" if name else home
        if loaded.endswith(".") or not name:
            self._widen(module, f"package {name}", node, silent=True)
        elif self.find(name) is not None:
            node.leads.append(f"{name}:*")
        else:
            self._outside(name, node)

    def _patch(self, module: str, chain: str, inner: dict[str, list[Target]], node: Node) -> None:
        patched = self._module_of(module, chain.split("."), inner)
        if patched is not None:
            node.leads.append(f"{patched}:*")
            node.notes.append(f"{module} assigns to names of {patched} from outside: all of {patched} counts")

    def _widen(self, module: str, reason: str, node: Node, silent: bool = False) -> None:
        kind, _, words = reason.partition(" ")
        node.computed = node.computed or kind != "module"
        if module in self._library and kind != "module":
            return  # a library imports what parameters name: see Project.named
        package = module if self._is_package(module) else module.rpartition(".")[0]
        if silent:
            node.leads.append(f"{words or package}.*")
        elif kind == "module":
            node.leads.append(f"{module}:*")
            node.notes.append(f"{module} {words}, which cannot be followed: all of the module counts")
        elif kind == "package":
            node.leads.append(f"{package}.*")
            what = f"the package {package}" if package else "the project's code"
            node.notes.append(f"{module} {words}, which cannot be followed: all of {what} counts")
        else:
            node.notes.append(f"{module} {words}, which cannot be followed: all of the package counts")

    # the rest

    def _literals(self, module: str, definition: Definition, node: Node) -> None:
        if module in self._library:
            return
        home = posixpath.dirname(self.find(module) or "")
        for opened in definition.opens:
            path = self._files.inside(opened.path, home)
            if path is None:
                continue
            if self._files.is_file(path):
                node.opened.append(path)
            elif not self._files.exists(path):
                node.missing.append(path)
                if opened.read:
                    node.notes.append(f"{module} reads '{path}', which is not in the project")
        for words in definition.unjoined:
            node.notes.append(f"{module} {words}: name the files in `code:` or as an input, so that they count")

    def _outside(self, module: str, node: Node) -> None:
        node.third += _third(module)

    def _triggers(self, module: str, chain: str) -> bool:
        """Whether making a definition calls code of the project that may change a module's state."""
        probe = Node()
        self._name(module, chain.split("."), probe)
        for lead in [lead for lead in probe.leads if ":" in lead and not lead.endswith("*")]:
            name = lead.partition(":")[2]
            if chain.rpartition(".")[2] != name and "." in chain and self._is_value(lead):
                return True  # a method of an object of a module, such as registry.register
            if self._writes(lead, set()):
                return True
        return False

    def _is_value(self, lead: str) -> bool:
        module, _, name = lead.partition(":")
        summary = self.summary(module)
        definition = summary.definitions.get(name) if summary else None
        return definition is not None and bool(definition.triggers) and not definition.alias

    def _writes(self, lead: str, seen: set[str]) -> bool:
        if lead in self._writers:
            return self._writers[lead]
        if lead in seen:
            return False
        seen.add(lead)
        module, _, name = lead.partition(":")
        summary = self.summary(module)
        definition = summary.definitions.get(name) if summary else None
        if definition is None:
            return False
        probe = Node()
        for chain in definition.uses:
            self._name(module, chain.split("."), probe)
        inner = [lead for lead in probe.leads if ":" in lead and not lead.endswith("*")]
        found = definition.writes or any(self._writes(lead, seen) for lead in inner)
        self._writers[lead] = found
        return found

    def _module_of(self, module: str, chain: list[str], inner: dict[str, list[Target]]) -> str | None:
        """The followed module that a chain of names stands for, if it stands for one."""
        summary = self.summary(module)
        definition = summary.definitions.get(chain[0]) if summary else None
        for target in inner.get(chain[0]) or (definition.targets if definition else ()):
            origin = self._origin(module, target)
            name = ".".join([origin, *([target.name] if target.name else []), *chain[1:]])
            if self.find(name) is not None:
                return name
        return None

    def _origin(self, module: str, target: Target) -> str:
        return absolute(target.level, target.module, module, self._is_package(module))

    def _is_followed(self, module: str, target: Target) -> bool:
        return self.find(self._origin(module, target)) is not None

    def _is_package(self, module: str) -> bool:
        path = self.find(module)
        return path is not None and (path.endswith("__init__.py") or not path.endswith(".py"))


def _third(module: str) -> list[str]:
    """The top-level module, unless it is of the standard library."""
    top = module.partition(".")[0]
    return [top] if top and top not in sys.stdlib_module_names else []
