"""Names → what they stand for, followed through aliases, re-exports, star imports and packages."""

import builtins
import sys
from collections.abc import Sequence

from msgspec import Struct

from treadle.code.followed import Followed
from treadle.code.modules import CodeError
from treadle.code.summary import Summary, Target
from treadle.errors import did_you_mean

_BUILTIN = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__", "__path__", "__package__", "__spec__"}


class Node(Struct):
    """What one node is made of: its parts, the nodes that it leads to, and what it needs from outside.

    `third` are top-level modules from outside that the code uses, `loaded` those that are imported with it,
    `opened`, `missing` and `written` literal paths, `watched` folders whose listing counts. `computed`
    says that modules are imported by a computed name.
    """

    parts: dict[str, str] = {}
    leads: list[str] = []
    third: list[str] = []
    opened: list[str] = []
    missing: list[str] = []
    written: list[str] = []
    notes: list[str] = []
    loaded: list[str] = []
    watched: list[str] = []
    computed: bool = False


class Resolver:
    """Writes down in a node where names lead."""

    def __init__(self, modules: Followed) -> None:
        self._modules = modules
        self._resolving: set[tuple[str, str]] = set()  # modules import each other in circles

    def start(self, module: str, name: str) -> list[str]:
        """The nodes of what a step calls; raises CodeError when the module does not show the name."""
        head = name.partition(".")[0]
        node = Node()
        summary = self._modules.summary(module)
        if summary is not None and not summary.broken and not self.name(module, [head], node):
            known = [name for name, definition in summary.definitions.items() if not definition.alias]
            text = f"'{self._modules.find(module)}' has no function called '{name}'"
            raise CodeError("unknown-function", text, did_you_mean(head, known))
        return [module, *node.leads]

    def named(self, module: str, chain: Sequence[str]) -> list[str]:
        """The nodes of what a dotted text names, as far as it names something of the project."""
        node = Node()
        self.attribute(module, module, chain, node)
        return node.leads

    def name(self, module: str, chain: list[str], node: Node) -> bool:
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
        summary = self._modules.summary(module)
        if summary is None:
            return False
        definition = summary.definitions.get(head)
        if definition is None:
            found = self._starred(module, summary, chain, node)
            return found or head in _BUILTIN
        for target in definition.targets:
            if self._modules.is_followed(module, target):
                self.target(module, target, rest, node)
            else:
                node.leads.append(f"{module}:{head}")
        if not definition.alias:
            node.leads.append(f"{module}:{head}")
        return True

    def _starred(self, module: str, summary: Summary, chain: list[str], node: Node) -> bool:
        """A name that may have come by `from x import *`: every source that has it counts, with its __all__."""
        found = False
        for star in summary.stars:
            origin = self._modules.origin(module, star)
            if self._modules.find(origin) is None:
                if chain[0] not in _BUILTIN:
                    node.third += third(origin)
                    found = True
                continue
            source = self._modules.summary(origin)
            if source is not None and "__all__" in source.definitions:
                node.leads.append(f"{origin}:__all__")
            if self.name(origin, chain, node) and chain[0] not in _BUILTIN:
                found = True
        return found

    def target(self, module: str, target: Target, rest: Sequence[str], node: Node) -> None:
        """Lead to what an import names."""
        origin = self._modules.origin(module, target)
        if self._modules.find(origin) is None:
            node.third += third(origin)
        elif not target.name:
            self.attribute(module, origin, rest, node)
        else:
            self.attribute(module, origin, [target.name, *rest], node)

    def attribute(self, user: str, module: str, chain: Sequence[str], node: Node) -> None:
        """Lead to an attribute of a followed module: a definition, a module of the package, or all of it."""
        node.leads.append(module)
        if not chain or chain[0] == "__dict__":
            node.leads.append(f"{module}:*")
            if self._modules.is_package(module):
                node.leads.append(f"{module}.*")
            node.notes.append(f"{user} passes the module {module} on as a value: all of it counts")
            return
        head = chain[0]
        inner = f"{module}.{head}"
        summary = self._modules.summary(module)
        known = summary is not None and self.name(module, list(chain), node)
        if self._modules.find(inner) is not None:
            own = summary.definitions.get(head) if summary is not None else None
            if own is None or any(t.name == head and self._modules.origin(module, t) == module for t in own.targets):
                self.attribute(user, inner, chain[1:], node)
            else:
                node.leads.append(inner)
        elif not known and not (head.startswith("__") and head.endswith("__")):
            node.leads.append(f"{module}:*")
            node.notes.append(f"{user} uses {module}.{head}, which is made while the program runs: all of it counts")

    def module_of(self, module: str, chain: list[str], inner: dict[str, list[Target]]) -> str | None:
        """The followed module that a chain of names stands for, if it stands for one."""
        summary = self._modules.summary(module)
        definition = summary.definitions.get(chain[0]) if summary else None
        for target in inner.get(chain[0]) or (definition.targets if definition else ()):
            origin = self._modules.origin(module, target)
            name = ".".join([origin, *([target.name] if target.name else []), *chain[1:]])
            if self._modules.find(name) is not None:
                return name
        return None


def third(module: str) -> list[str]:
    """The top-level module, unless it is of the standard library."""
    top = module.partition(".")[0]
    return [top] if top and top not in sys.stdlib_module_names else []
