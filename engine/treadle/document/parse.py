"""YAML text → Node tree that knows its places; the only import of yaml.

Built on the events of libyaml: YAML 1.2 core scalars, so that `on`, `no` and dates are strings,
and every duplicate key is a problem. Hostile input ends as a problem, never as an exception.
"""

import gc
import re
from typing import Any

import yaml
from msgspec import Struct

from treadle.domain.location import Location
from treadle.errors import Problem, Related

LARGEST = 64 << 20
DEEPEST = 100
LONGEST_LINE = 1_000_000
MOST_NODES = 5_000_000
MOST_PROBLEMS = 100
_Parser: Any = getattr(yaml, "CSafeLoader", None) or yaml.SafeLoader  # for its events; it loads nothing
_INT = re.compile(r"^(?:[-+]?[0-9]{1,4000}|0o[0-7]{1,4000}|0x[0-9a-fA-F]{1,4000})$")
_FLOAT = re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$")
_SPECIAL = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


class Node(Struct, gc=False):
    """A value with its place: `kind` is map, list or scalar; line and column count from 1.

    `keys` holds the place of each key of a map; `length` is the token's, for a caret.
    """

    kind: str
    value: Any
    line: int
    column: int
    length: int = 1
    keys: dict[str, "Node"] = {}

    def at(self, path: str) -> Location:
        """The node's place in the file."""
        return Location(path, self.line, self.column)


def plain(node: Node) -> Any:
    """The bare value: dicts, lists and scalars."""
    if node.kind == "map":
        return {key: plain(child) for key, child in node.value.items()}
    if node.kind == "list":
        return [plain(child) for child in node.value]
    return node.value


def parse(data: bytes, path: str) -> tuple[Node | None, list[Problem]]:
    """The tree of a document and what is wrong with its text; the tree is None when it cannot be read at all."""
    text, problem = _decode(data, path)
    if problem:
        return None, [problem]
    builder = _Builder(path)
    enabled = gc.isenabled()
    gc.disable()  # the collector doubles the time of a large file, and a tree has no cycles
    try:
        node = builder.document(_Parser(text))
    except yaml.MarkedYAMLError as error:
        builder.problems.append(_syntax(error, path))
        node = None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        builder.problems.append(Problem("yaml-syntax", f"this is not YAML: {str(error)[:200]}", Location(path, 1, 1)))
        node = None
    except _Refused as refused:
        builder.problems.append(refused.problem)
        node = None
    finally:
        if enabled:
            gc.enable()
    return node, builder.problems


class _Refused(Exception):  # a way out of the walk, never seen outside
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


class _Builder:
    """Walks the events of one document; an explicit stack, so depth costs no recursion."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.count = 0

    def document(self, parser: Any) -> Node | None:
        get = parser.get_event
        event = get()
        while not isinstance(event, yaml.DocumentStartEvent):
            if isinstance(event, yaml.StreamEndEvent):
                self.problems.append(Problem("empty-file", "the file is empty", Location(self.path, 1, 1)))
                return None
            event = get()
        root = self.walk(get)
        while not isinstance(event, yaml.StreamEndEvent):
            event = get()
            if isinstance(event, yaml.DocumentStartEvent):
                where = self.where(event.start_mark)
                self.problems.append(Problem("many-documents", "a file holds one document", where, "remove the '---'"))
                break
        return root

    def walk(self, get: Any) -> Node:
        stack: list[tuple[Node, str | None, str | None, int]] = []  # container, pending key, anchor, count at start
        while True:
            event = get()
            if isinstance(event, yaml.ScalarEvent):
                node = self.scalar(event)
                self.remember(event.anchor, node, 1)
            elif isinstance(event, yaml.AliasEvent):
                node = self.alias(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                mark: Any = event.start_mark
                self.tag(event)
                kind = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
                value: Any = {} if kind == "map" else []
                stack.append((Node(kind, value, mark.line + 1, mark.column + 1, 1, {}), None, event.anchor, self.count))
                if len(stack) > DEEPEST:
                    text = f"this is nested more than {DEEPEST} levels deep"
                    raise _Refused(Problem("too-deep", text, self.where(mark)))
                self.counted(1, mark)
                continue
            else:  # the end of a map or list
                node, _, anchor, before = stack.pop()
                self.remember(anchor, node, self.count - before)
            if not stack:
                return node
            self.place(stack, node)

    def place(self, stack: list[tuple[Node, str | None, str | None, int]], node: Node) -> None:
        container, key, anchor, before = stack[-1]
        if container.kind == "list":
            container.value.append(node)
        elif key is None:
            stack[-1] = (container, self.key(container, node), anchor, before)
        else:
            if not key.startswith("\0"):
                container.value[key] = node
            stack[-1] = (container, None, anchor, before)

    def key(self, container: Node, node: Node) -> str:
        """The key as text; one that may not stand is reported and its value dropped."""
        where = node.at(self.path)
        if node.kind != "scalar":
            self.report(Problem("bad-key", "a key is a plain word, not a list or a map", where))
            return "\0"
        name = node.value if isinstance(node.value, str) else _spelled(node.value)
        if name == "<<":
            hint = "write the keys out; `defaults:` serves all steps"
            self.report(Problem("merge-key", "merge keys are not part of YAML 1.2", where, hint, length=2))
            return "\0"
        if name in container.keys:
            first = Related("first here", container.keys[name].at(self.path))
            text = f"'{name[:80]}' stands twice"
            hint = "keep one of them, or rename one"
            self.report(Problem("duplicate-key", text, where, hint, related=(first,), length=node.length))
            return "\0"
        container.keys[name] = node
        return name

    def scalar(self, event: Any) -> Node:
        mark, end = event.start_mark, event.end_mark
        self.counted(1, mark)
        self.tag(event)
        length = end.column - mark.column if end.line == mark.line else 1
        value = _scalar(event.value) if event.implicit[0] and not event.tag else event.value
        return Node("scalar", value, mark.line + 1, mark.column + 1, max(1, length))

    def alias(self, event: Any) -> Node:
        if event.anchor not in self.anchors:
            text = f"no anchor is called '{event.anchor[:80]}'"
            raise _Refused(Problem("unknown-anchor", text, self.where(event.start_mark)))
        node, size = self.anchors[event.anchor]
        self.counted(size, event.start_mark)
        return node

    def remember(self, anchor: str | None, node: Node, size: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = (node, size)

    def counted(self, more: int, mark: Any) -> None:
        self.count += more
        if self.count > MOST_NODES or (self.anchors and more > 1 and self.count > 100_000):
            text = "the aliases of this file expand to too much"
            raise _Refused(Problem("too-large", text, self.where(mark), "write the values out"))

    def tag(self, event: Any) -> None:
        if event.tag and event.tag not in ("!", "tag:yaml.org,2002:str"):
            text = f"the tag '{event.tag[:60]}' is not known here"
            self.report(Problem("unknown-tag", text, self.where(event.start_mark), "remove the tag"))

    def report(self, problem: Problem) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)

    def where(self, mark: Any) -> Location:
        return Location(self.path, mark.line + 1, mark.column + 1)


def _decode(data: bytes, path: str) -> tuple[str, Problem | None]:
    start = Location(path, 1, 1)
    if len(data) > LARGEST:
        return "", Problem("too-large", f"the file is larger than {LARGEST >> 20} MB", start)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "", Problem("bad-encoding", "the file is UTF-16 or UTF-32", start, "save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        where = Location(path, line, column)
        return "", Problem(
            "bad-encoding", f"byte {data[error.start]:#04x} is not UTF-8", where, "save the file as UTF-8"
        )
    longest = max(map(len, text.split("\n")))
    if longest > LONGEST_LINE:
        return "", Problem("too-large", f"a line has {longest:,} characters, at most {LONGEST_LINE:,} are read", start)
    at = text.find("\0")
    if at >= 0:
        where = Location(path, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        return "", Problem(
            "bad-character", "the file holds a NUL byte", where, "this is no text file, or a damaged one"
        )
    return text, None


def _syntax(error: "yaml.MarkedYAMLError", path: str) -> Problem:
    mark: Any = error.problem_mark or error.context_mark
    where = Location(path, mark.line + 1, mark.column + 1) if mark else Location(path, 1, 1)
    text = f"{error.problem or 'this is not YAML'}"
    hint = ""
    if "'\\t'" in text or "tab" in text:
        text, hint = "a tab indents this line", "indent with spaces"
    elif error.context:
        text = f"{text} ({error.context})"
    return Problem("yaml-syntax", text[:300], where, hint)


def _scalar(text: str) -> Any:
    if text in _SPECIAL:
        return _SPECIAL[text]
    first = text[0]
    if first in "-+.0123456789":
        if _INT.match(text):
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if len(text) < 400 and _FLOAT.match(text):
            return float(text)
    return text


def _spelled(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
