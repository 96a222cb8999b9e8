"""Definitions → what they reach: names resolved across the modules of a project, by their summaries alone.

A node is `module:name` (a definition), `module` (what importing the module runs), `module:*` (all of it) or
`module.*` (all of the package). Every node is expanded once, so that steps which share modules share the work.
"""

import posixpath
from collections.abc import Iterable

from treadle.code import literals
from treadle.code.followed import Followed
from treadle.code.resolve import Node, Resolver, third
from treadle.code.summary import Definition, Target
from treadle.code.trigger import Triggers

UNFOLLOWED = "name the files in `code:` or as an input, so that they count"
DEEPEST = 20  # constants made of constants
TYPING = frozenset(("typing", "typing_extensions", "__future__", "collections.abc"))


class Graph:
    """The nodes of the modules that are followed."""

    def __init__(self, modules: Followed) -> None:
        self.modules = modules
        self.names = Resolver(modules)
        self._triggers = Triggers(modules, self.names)
        self._nodes: dict[str, Node] = {}

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

    def _node(self, name: str) -> Node:
        if name not in self._nodes:
            node = Node()
            self._nodes[name] = node
            module, colon, definition = name.partition(":")
            if name.endswith(".*"):
                inner, node.watched = self.modules.files.package(name[:-2], self.modules.find(name[:-2]))
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
        summary = self.modules.summary(module)
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
            if any(self._triggers.runs(module, chain) for chain in definition.triggers):
                node.leads.append(f"{module}:{name}")  # it registers itself somewhere

    def _all(self, module: str, node: Node) -> None:
        summary = self.modules.summary(module)
        if summary is not None:
            node.leads += [module, *(f"{module}:{name}" for name in summary.definitions)]
            if summary.main is not None:
                node.leads.append(f"{module}:__main__")

    def _one(self, module: str, name: str, node: Node) -> None:
        summary = self.modules.summary(module)
        assert summary is not None
        definition = summary.main if name == "__main__" else summary.definitions.get(name)
        node.leads.append(module)
        if definition is None:
            return
        outside = [t for t in definition.targets if not self.modules.is_followed(module, t)]
        if not definition.alias or any(t.module not in TYPING for t in outside):
            node.parts[f"code {module}:{name}"] = definition.digest
        for target in definition.targets:
            if self.modules.is_followed(module, target):
                continue
            node.third += third(target.module)
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
                self.names.target(module, target, rest, node)
            if head not in inner:
                self.names.name(module, [head, *rest], node)
        for loaded in definition.loads:
            self._load(module, loaded, node)
        for chain in definition.patches:
            self._patch(module, chain, inner, node)
        for reason in definition.wide:
            self._widen(module, reason, node)
        self._literals(module, definition, node)

    def _runs(self, module: str, target: Target, node: Node) -> None:
        origin = self.modules.origin(module, target)
        if self.modules.find(origin) is None:
            node.loaded += third(origin)
            return
        node.leads.append(origin)
        if target.name and self.modules.find(f"{origin}.{target.name}") is not None:
            node.leads.append(f"{origin}.{target.name}")

    def _load(self, module: str, loaded: str, node: Node) -> None:
        """A module imported by a text: all of it counts; by the beginning of a text: all of that package."""
        relative = loaded.startswith(".")
        name = loaded.strip(".")
        if relative:
            home = module if self.modules.is_package(module) else module.rpartition(".")[0]
            name = f"{home}.{name}" if name else home
        while name and not loaded.endswith(".") and self.modules.find(name) is None and "." in name:
            if self.modules.find(name.partition(".")[0]) is None:
                break  # nothing of the project
            name = name.rpartition(".")[0]
        if loaded.endswith(".") or not name:
            self._widen(module, f"package {name}", node, silent=True)
        elif self.modules.find(name) is not None:
            node.leads.append(f"{name}:*")
            node.notes.append(f"{module} imports {name} by a text: all of it counts")
        else:
            node.third += third(name)

    def _patch(self, module: str, chain: str, inner: dict[str, list[Target]], node: Node) -> None:
        patched = self.names.module_of(module, chain.split("."), inner)
        if patched is not None:
            node.leads.append(f"{patched}:*")
            node.notes.append(f"{module} assigns to names of {patched} from outside: all of {patched} counts")

    def _widen(self, module: str, reason: str, node: Node, silent: bool = False) -> None:
        kind, _, words = reason.partition(" ")
        node.computed = node.computed or kind != "module"
        if self.modules.is_library(module) and kind != "module":
            return  # a library imports what parameters name: see Project.named
        package = module if self.modules.is_package(module) else module.rpartition(".")[0]
        if silent:
            node.leads.append(f"{words or package}.*")
        elif kind == "module":
            node.leads.append(f"{module}:*")
            node.notes.append(f"{module} {words}, which cannot be followed: all of the module counts")
        elif kind == "project":
            node.leads.append(".*")
            node.notes.append(f"{module} {words}: all of the project's code counts, and no module outside of it")
        elif kind == "package":
            node.leads.append(f"{package}.*")
            what = f"the package {package}" if package else "the project's code"
            node.notes.append(f"{module} {words}, which cannot be followed: all of {what} counts")
        else:
            node.notes.append(f"{module} {words}, which cannot be followed: all of the package counts")

    def _literals(self, module: str, definition: Definition, node: Node) -> None:
        if self.modules.is_library(module):
            return
        home = posixpath.dirname(self.modules.find(module) or "")
        for text in definition.written:
            located = self._located(module, text)
            path = self.modules.files.inside(located, home) if located is not None else None
            node.written += [path] if path else []
        for opened in definition.opens:
            located = self._located(module, opened.path)
            if located is None:
                node.notes.append(f"{module} makes the path {_shown(opened.path)}: {UNFOLLOWED}")
                continue
            path = self.modules.files.inside(located, home)
            if path is None:
                continue
            if self.modules.files.is_file(path):
                node.opened.append(path)
                if path.endswith(".py"):
                    node.leads.append(".*")
                    node.notes.append(f"{module} names the script {path}: all of the project's code counts")
            elif not self.modules.files.exists(path):
                node.missing.append(path)
                if opened.read:
                    node.notes.append(f"{module} reads '{path}', which is not in the project")
        for words in definition.unjoined:
            node.notes.append(f"{module} {words}: {UNFOLLOWED}")

    def _located(self, module: str, text: str, depth: int = 0) -> str | None:
        """A path with the constants that it names put in, as seen from the root; None when one is no constant."""
        if "<" not in text or depth > DEEPEST:
            return text if depth <= DEEPEST else None
        found = [self._constant(module, name[1:-1].split("."), depth) for name in literals.WHOLE.findall(text)]
        if None in found:
            return None
        values = iter(found)
        return posixpath.normpath(literals.WHOLE.sub(lambda _: next(values) or "", text))

    def _constant(self, module: str, chain: list[str], depth: int) -> str | None:
        """The text of a constant, through imports; one that begins at its source file as an absolute path."""
        head, rest = chain[0], chain[1:]
        summary = self.modules.summary(module)
        definition = summary.definitions.get(head) if summary is not None else None
        if definition is None or (not definition.alias and rest):
            return None
        if not definition.alias:
            text = self._located(module, definition.path, depth + 1) if definition.path else None
            file = self.modules.find(module) or ""
            if text is None or not text.startswith(literals.HERE):
                return text
            if text.startswith(literals.FILE):
                return file + text.removeprefix(literals.FILE)
            return posixpath.dirname(file) + "/" + text.removeprefix(literals.HERE)
        if len(definition.targets) != 1 or depth > DEEPEST:
            return None
        target = definition.targets[0]
        origin = self.modules.origin(module, target)
        if target.name and self.modules.find(f"{origin}.{target.name}") is None:
            return self._constant(origin, [target.name, *rest], depth + 1)
        origin = f"{origin}.{target.name}" if target.name else origin
        while len(rest) > 1 and self.modules.find(f"{origin}.{rest[0]}") is not None:
            origin, rest = f"{origin}.{rest[0]}", rest[1:]
        return self._constant(origin, rest, depth + 1) if rest else None


def _shown(text: str) -> str:
    return literals.WHOLE.sub(lambda found: f"{{{found.group()[1:-1]}}}", text)
