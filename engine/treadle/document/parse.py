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
LEAST, MOST = -(1 << 63), (1 << 64) - 1  # what plans and records hold
_Parser: Any = getattr(yaml, "CSafeLoader", None) or yaml.SafeLoader  # for its events; it loads nothing
_STARTS = frozenset((yaml.MappingStartEvent, yaml.SequenceStartEvent))
_DROPPED = "\0"  # stands for a key that may not be
_INT = re.compile(r"^(?:[-+]?[0-9]{1,4000}|0o[0-7]{1,4000}|0x[0-9a-fA-F]{1,4000})$")
_FLOAT = re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$")
_NUMERIC = frozenset("-+.0123456789")
_SPECIAL: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_NO_KEYS: dict[str, "Node"] = {}  # one for all that have none


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
        builder.problems.append(_syntax(error, path, text))
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
        scalars, starts, aliases = yaml.ScalarEvent, _STARTS, yaml.AliasEvent
        around: list[tuple[Node | None, str | None, str | None, int]] = []
        box: Node | None = None  # the open map or list, with the key that waits for its value,
        key: str | None = None
        anchor: str | None = None  # its anchor,
        before = 0  # and the count of nodes before it
        while True:
            event = get()
            kind = type(event)  # far cheaper than isinstance, and libyaml's events have no subclasses
            if kind is scalars:
                node = self.scalar(event)
            elif kind in starts:
                around.append((box, key, anchor, before))
                before, box, key, anchor = self.count, self.container(event, len(around)), None, event.anchor
                continue
            elif kind is aliases:
                node = self.alias(event)
            else:  # the end of a map or list
                assert box is not None
                node = box
                if anchor is not None:
                    self.anchors[anchor] = (node, self.count - before)
                box, key, anchor, before = around.pop()
            if box is None:
                return node
            if box.kind == "list":
                box.value.append(node)
            elif key is None:
                key = self.key(box, node)
            else:
                if key is not _DROPPED:
                    box.value[key] = node
                key = None

    def container(self, event: Any, depth: int) -> Node:
        """An empty map or list; refused where it lies too deep."""
        mark = event.start_mark
        if event.tag:
            self.tag(event)
        if depth > DEEPEST:
            text = f"this is nested more than {DEEPEST} levels deep"
            raise _Refused(Problem("too-deep", text, self.where(mark)))
        self.counted(1, mark)
        if type(event) is yaml.MappingStartEvent:
            return Node("map", {}, mark.line + 1, mark.column + 1, 1, {})
        return Node("list", [], mark.line + 1, mark.column + 1, 1, _NO_KEYS)

    def key(self, container: Node, node: Node) -> str:
        """The key as text; one that may not stand is reported and its value dropped."""
        if node.kind != "scalar":
            self.report(Problem("bad-key", "a key is a plain word, not a list or a map", node.at(self.path)))
            return _DROPPED
        name: str = node.value if type(node.value) is str else _spelled(node.value)
        if name == "<<":
            hint = "write the keys out; `defaults:` serves all steps"
            problem = Problem("merge-key", "merge keys are not part of YAML 1.2", node.at(self.path), hint, length=2)
            self.report(problem)
            return _DROPPED
        if name in container.keys:
            first = Related("first here", container.keys[name].at(self.path))
            text = f"'{name[:80]}' stands twice"
            hint = "keep one of them, or rename one"
            where = node.at(self.path)
            self.report(Problem("duplicate-key", text, where, hint, related=(first,), length=node.length))
            return _DROPPED
        container.keys[name] = node
        return name

    def scalar(self, event: Any) -> Node:
        mark, end, value = event.start_mark, event.end_mark, event.value
        line, column = mark.line, mark.column
        self.count += 1
        if self.count > MOST_NODES:
            self.counted(0, mark)
        if event.tag:
            self.tag(event)
        elif event.implicit[0] and (value in _SPECIAL or value[0] in _NUMERIC):
            value = _scalar(value)
            if type(value) is int and not LEAST <= value <= MOST:
                value = event.value
                hint = "put it in quotes if it is a name, or write it with an exponent"
                text = "a whole number has at most 64 bits"
                self.report(Problem("bad-value", text, self.where(mark), hint, length=len(value)))
        length = end.column - column if end.line == line else 1
        node = Node("scalar", value, line + 1, column + 1, length or 1, _NO_KEYS)
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, 1)
        return node

    def alias(self, event: Any) -> Node:
        if event.anchor not in self.anchors:
            text = f"no anchor is called '{event.anchor[:80]}'"
            raise _Refused(Problem("unknown-anchor", text, self.where(event.start_mark)))
        node, size = self.anchors[event.anchor]
        self.counted(size, event.start_mark)
        return node

    def counted(self, more: int, mark: Any) -> None:
        self.count += more
        if self.count > MOST_NODES or (self.anchors and more > 1 and self.count > 100_000):
            text = "the aliases of this file expand to too much"
            raise _Refused(Problem("too-large", text, self.where(mark), "write the values out"))

    def tag(self, event: Any) -> None:
        if event.tag not in ("!", "tag:yaml.org,2002:str"):
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


def _syntax(error: "yaml.MarkedYAMLError", path: str, source: str) -> Problem:
    mark: Any = error.problem_mark or error.context_mark
    line = "".join(source.split("\n")[mark.line : mark.line + 1])[: mark.column + 1] if mark else ""
    where = Location(path, mark.line + 1, mark.column + 1) if mark else Location(path, 1, 1)
    text = f"{error.problem or 'this is not YAML'}"
    hint = ""
    if "\t" in line and "any token" in text:
        text, hint = "a tab indents this line", "indent with spaces"
    elif error.context:
        text = f"{text} ({error.context})"
    return Problem("yaml-syntax", text[:300], where, hint)


def _scalar(text: str) -> Any:
    if text in _SPECIAL:
        return _SPECIAL[text]
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
