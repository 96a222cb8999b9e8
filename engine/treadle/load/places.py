"""Where things stand in a pipeline file: paths into its tree → location and length of a caret."""

from treadle.document.parse import Node
from treadle.domain.location import Location
from treadle.errors import Problem, Related

Path = tuple[str | int, ...]


class Places:
    """The tree of one file; a path that does not exist stands for its nearest ancestor."""

    def __init__(self, root: Node, path: str) -> None:
        self.root = root
        self.path = path

    def value(self, *steps: str | int) -> Node:
        """The node of a value."""
        node = self.root
        for step in steps:
            inner: Node | None = None
            if node.kind == "map" and isinstance(step, str):
                inner = node.value.get(step)
            elif node.kind == "list" and isinstance(step, int) and step < len(node.value):
                inner = node.value[step]
            elif step == 0:  # a single value where a list may stand
                inner = node
            if inner is None:
                return node
            node = inner
        return node

    def key(self, *steps: str | int) -> Node:
        """The node of a map's key; of the value where there is no such key."""
        parent = self.value(*steps[:-1])
        last = steps[-1]
        found: Node | None = parent.keys.get(last) if parent.kind == "map" and isinstance(last, str) else None
        return found if found is not None else self.value(*steps)

    def item(self, path: Path, text: str) -> Node:
        """The node of the list item, map key or scalar below `path` that reads `text`."""
        node = self.value(*path)
        if node.kind == "list":
            for inner in node.value:
                if inner.kind == "scalar" and inner.value == text:
                    return inner  # type: ignore[no-any-return]
        if node.kind == "map" and text in node.keys:
            return node.keys[text]
        return node

    def at(self, node: Node) -> Location:
        """The location of a node in this file."""
        return Location(self.path, node.line, node.column)

    def problem(
        self,
        code: str,
        text: str,
        node: Node,
        hint: str = "",
        severity: str = "error",
        related: tuple[Related, ...] = (),
    ) -> Problem:
        """A problem with a whole key or value."""
        return Problem(code, text, self.at(node), hint, severity, related, caret(node))

    def problem_inside(self, code: str, text: str, node: Node, start: int, length: int, hint: str = "") -> Problem:
        """A problem with a part of a string: `start` and `length` count characters of its value."""
        shift = shift_of(node)
        if shift is None:
            return self.problem(code, text, node, hint)
        where = Location(self.path, node.line, node.column + shift + start)
        return Problem(code, text, where, hint, "error", (), max(1, length))


def caret(node: Node) -> int:
    """How long the caret of a node is: one character for what fills more than a token."""
    return max(1, node.length) if node.kind == "scalar" else 1


def shift_of(node: Node) -> int | None:
    """How far a string's first character is from its node's column; None when the text is not written as it reads.

    A quoted string without escapes is two characters longer than its value; blocks and escapes are neither.
    """
    if not isinstance(node.value, str) or "\n" in node.value:
        return None
    return {0: 0, 2: 1}.get(node.length - len(node.value))
