"""A format described once, used twice: to check a tree with places, and as the published JSON Schema.

A grammar is a value made of the types below; `check` finds every problem of a node, `json_schema`
renders the same grammar as JSON Schema draft 2020-12, so the two accept the same documents.
"""

import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import force_setattr

from treadle import quantity
from treadle.document.parse import Node
from treadle.errors import Problem, did_you_mean

DRAFT = "https://json-schema.org/draft/2020-12/schema"
MOST = 200  # problems of one file; what comes after helps nobody


class Scalar(Struct, frozen=True):
    """One value: `types` among string, integer, number, boolean, null; `pattern` holds for strings.

    `says` names the pattern in plain words, `code` is the problem's code when it does not hold.
    """

    types: tuple[str, ...]
    pattern: str = ""
    says: str = ""
    code: str = "bad-value"
    choices: tuple[Any, ...] = ()
    least: float | None = None
    most: float | None = None
    longest: int | None = None


class ListOf(Struct, frozen=True):
    """A list of items of one grammar, at least `least` of them."""

    item: "Grammar"
    least: int = 0


class MapOf(Struct, frozen=True):
    """A map from free names to values of one grammar; `reserved` names are refused."""

    value: "Grammar"
    pattern: str = ""
    says: str = "a name"
    reserved: tuple[str, ...] = ()
    least: int = 0


class Field(Struct, frozen=True):
    """One key of a map, with what an editor shows for it."""

    grammar: "Grammar"
    description: str
    example: Any
    required: bool = False


class Map(Struct, frozen=True):
    """A map with known keys; exactly one of `one_of` must be there; `others` is the grammar of further keys."""

    fields: dict[str, Field]
    one_of: tuple[str, ...] = ()
    others: "Grammar | None" = None
    required: tuple[str, ...] = ()  # what the fields say; gathered once, since there are 100,000 steps to check

    def __post_init__(self) -> None:
        force_setattr(self, "required", tuple(key for key, field in self.fields.items() if field.required))


class OneOf(Struct, frozen=True):
    """Alternatives told apart by the node's kind: at most one scalar, one list and one map."""

    scalar: Scalar | None = None
    list: ListOf | None = None
    map: "Map | MapOf | None" = None


class Anything(Struct, frozen=True):
    """Any value at all."""


Grammar = Scalar | ListOf | MapOf | Map | OneOf | Anything

TEXT = Scalar(("string",))
NUMBER = Scalar(("number",))
BOOL = Scalar(("boolean",))
NAME_PATTERN = "^[A-Za-z_][A-Za-z0-9_-]{0,99}$"
NAME_SAYS = "a name: letters, digits, _ and -, beginning with a letter"
NAME = Scalar(("string",), NAME_PATTERN, NAME_SAYS, "bad-name")
DURATION = Scalar(
    ("string", "number"), quantity.DURATION_PATTERN, "a duration, such as 90s, 20m, 1h30m or 1d", "bad-duration", (), 0
)
SIZE = Scalar(("string", "integer"), quantity.SIZE_PATTERN, "a size, such as 512MB or 2GiB", "bad-size", (), 0)
SHARE = Scalar(("string", "number"), quantity.SHARE_PATTERN, "a share, such as 0.2 or 20%", "bad-share", (), 0, 1)


def check(node: Node, grammar: Grammar, path: str) -> list[Problem]:
    """Every place where a tree leaves the grammar, with the place, the caret and a hint."""
    problems: list[Problem] = []
    _check(node, grammar, path, "the file", problems)
    return problems[:MOST]


def json_schema(grammar: Grammar, title: str, description: str, address: str) -> dict[str, Any]:
    """The grammar as a JSON Schema; `address` is its `$id`."""
    return {"$schema": DRAFT, "$id": address, "title": title, "description": description, **_render(grammar)}


# checking


def _check(node: Node, grammar: Grammar, path: str, name: str, out: list[Problem]) -> None:
    if len(out) < MOST:
        _CHECKS[type(grammar)](node, grammar, path, name, out)


def _check_one_of(node: Node, grammar: OneOf, path: str, name: str, out: list[Problem]) -> None:
    chosen: Grammar | None = getattr(grammar, node.kind)
    if chosen is None:
        out.append(_wrong(node, _expected(grammar), path, name))
    else:
        _CHECKS[type(chosen)](node, chosen, path, name, out)


def _check_list(node: Node, grammar: ListOf, path: str, name: str, out: list[Problem]) -> None:
    if node.kind != "list":
        out.append(_wrong(node, _expected(grammar), path, name))
        return
    if len(node.value) < grammar.least:
        out.append(Problem("bad-value", f"{name} needs at least {grammar.least} items", node.at(path)))
    for item in node.value:
        _check(item, grammar.item, path, f"an item of {name}", out)


def _check_map_of(node: Node, grammar: MapOf, path: str, name: str, out: list[Problem]) -> None:
    if node.kind != "map":
        out.append(_wrong(node, "a map", path, name))
        return
    if len(node.value) < grammar.least:
        out.append(Problem("bad-value", f"{name} needs at least {grammar.least} entries", node.at(path)))
    value, reserved, matches = grammar.value, grammar.reserved, _matcher(grammar.pattern)
    for key, child in node.value.items():
        if not matches(key):
            place = node.keys[key]
            text = f"'{key[:80]}' is not {grammar.says}"
            out.append(Problem("bad-name", text, place.at(path), length=place.length))
        elif key in reserved:
            place = node.keys[key]
            text = f"'{key}' is a word of the format and cannot be a name here"
            out.append(Problem("reserved-name", text, place.at(path), "choose another name", length=place.length))
        _check(child, value, path, f"'{key[:80]}'", out)


def _check_map(node: Node, grammar: Map, path: str, name: str, out: list[Problem]) -> None:
    if node.kind != "map":
        out.append(_wrong(node, "a map", path, name))
        return
    fields = grammar.fields
    for key, child in node.value.items():
        if len(out) >= MOST:
            return
        field = fields.get(key)
        if field is not None:
            inner = field.grammar
            _CHECKS[type(inner)](child, inner, path, f"'{key}'", out)
        elif grammar.others is not None:
            _check(child, grammar.others, path, f"'{key[:80]}'", out)
        else:
            place = node.keys[key]
            hint = did_you_mean(key, fields)
            out.append(
                Problem("unknown-key", f"{name} has no key '{key[:80]}'", place.at(path), hint, length=place.length)
            )
    for key in grammar.required:
        if key not in node.value:
            hint = fields[key].description
            out.append(Problem("missing-key", f"{name} needs the key '{key}'", node.at(path), hint))
    if grammar.one_of:
        _check_one_key(node, grammar, path, name, out)


def _check_one_key(node: Node, grammar: Map, path: str, name: str, out: list[Problem]) -> None:
    present = [key for key in grammar.one_of if key in node.value]
    if len(present) == 1:
        return
    listed = " or ".join(f"'{key}'" for key in grammar.one_of)
    if not present:
        out.append(Problem("missing-key", f"{name} needs {listed}", node.at(path)))
    for key in present[1:]:
        place = node.keys[key]
        text = f"{name} has both '{present[0]}' and '{key}'"
        out.append(Problem("conflicting-keys", text, place.at(path), f"keep one of {listed}", length=place.length))


def _check_scalar(node: Node, grammar: Scalar, path: str, name: str, out: list[Problem]) -> None:
    value = node.value
    if type(value) is str and not grammar.choices and grammar.longest is None and "string" in grammar.types:
        if _matcher(grammar.pattern)(value):
            return  # as nearly all of a file
    elif node.kind != "scalar" or not _is_a(value, grammar.types):
        out.append(_wrong(node, _expected(grammar), path, name, grammar.code))
        return
    text = ""
    if grammar.choices and not any(value == choice and type(value) is type(choice) for choice in grammar.choices):
        text = f"{name} is one of {', '.join(map(str, grammar.choices))}, not {_shown(node)}"
    elif isinstance(value, str) and grammar.pattern and not _matcher(grammar.pattern)(value):
        text = f"{_shown(node)} is not {grammar.says}"
    elif isinstance(value, str) and grammar.longest is not None and len(value) > grammar.longest:
        text = f"{name} has at most {grammar.longest} characters"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if grammar.least is not None and not value >= grammar.least:
            text = f"{name} is at least {grammar.least:g}, not {_shown(node)}"
        elif grammar.most is not None and not value <= grammar.most:
            text = f"{name} is at most {grammar.most:g}, not {_shown(node)}"
    if text:
        hint = did_you_mean(value, map(str, grammar.choices)) if grammar.choices and isinstance(value, str) else ""
        out.append(Problem(grammar.code, text, node.at(path), hint, length=node.length))


def _check_nothing(node: Node, grammar: Anything, path: str, name: str, out: list[Problem]) -> None:
    """Anything goes."""


_CHECKS: dict[type, Callable[[Node, Any, str, str, list[Problem]], None]] = {
    Scalar: _check_scalar,
    ListOf: _check_list,
    MapOf: _check_map_of,
    Map: _check_map,
    OneOf: _check_one_of,
    Anything: _check_nothing,
}


def _wrong(node: Node, expected: str, path: str, name: str, code: str = "") -> Problem:
    seen = {"map": "a map", "list": "a list"}.get(node.kind) or _shown(node)
    code = code if code and code != "bad-value" and node.kind == "scalar" else "wrong-type"
    length = node.length if node.kind == "scalar" else 1
    return Problem(code, f"{name} takes {expected}, not {seen}", node.at(path), length=length)


def _expected(grammar: Grammar) -> str:
    if isinstance(grammar, OneOf):
        found = [_expected(part) for part in (grammar.scalar, grammar.list, grammar.map) if part is not None]
        return " or ".join(found)
    if isinstance(grammar, ListOf):
        return "a list"
    if isinstance(grammar, Scalar):
        words = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
        return grammar.says or " or ".join(words.get(kind, "nothing") for kind in grammar.types)
    return "a map"


def _shown(node: Node) -> str:
    value = node.value
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text[:60]}{'…' if len(text) > 60 else ''}'"


def _is_a(value: Any, types: tuple[str, ...]) -> bool:
    if isinstance(value, bool):
        return "boolean" in types
    if isinstance(value, str):
        return "string" in types
    if value is None:
        return "null" in types
    if isinstance(value, float) and not value.is_integer():
        return "number" in types
    return "number" in types or "integer" in types


_matchers: dict[str, Callable[[str], Any]] = {"": lambda text: True}


def _matcher(pattern: str) -> Callable[[str], Any]:
    """What says whether a text is of a pattern; compiled when first asked for."""
    found = _matchers.get(pattern)
    if found is None:
        found = _matchers[pattern] = re.compile(pattern.replace("$", r"\Z")).search
    return found


# rendering


def _render(grammar: Grammar) -> dict[str, Any]:
    if isinstance(grammar, Anything):
        return {}
    if isinstance(grammar, OneOf):
        return {"anyOf": [_render(part) for part in (grammar.scalar, grammar.list, grammar.map) if part is not None]}
    if isinstance(grammar, Scalar):
        return _render_scalar(grammar)
    if isinstance(grammar, ListOf):
        return {"type": "array", "items": _render(grammar.item)} | (
            {"minItems": grammar.least} if grammar.least else {}
        )
    if isinstance(grammar, MapOf):
        rendered: dict[str, Any] = {"type": "object", "additionalProperties": _render(grammar.value)}
        names: dict[str, Any] = {"pattern": grammar.pattern} if grammar.pattern else {}
        if grammar.reserved:
            names["not"] = {"enum": list(grammar.reserved)}
        return (
            rendered
            | ({"propertyNames": names} if names else {})
            | ({"minProperties": grammar.least} if grammar.least else {})
        )
    return _render_map(grammar)


def _render_map(grammar: Map) -> dict[str, Any]:
    properties = {
        key: {**_render(field.grammar), "description": field.description, "examples": [field.example]}
        for key, field in grammar.fields.items()
    }
    rendered: dict[str, Any] = {"type": "object", "properties": properties}
    rendered["additionalProperties"] = False if grammar.others is None else _render(grammar.others)
    if grammar.required:
        rendered["required"] = list(grammar.required)
    if grammar.one_of:
        rendered["oneOf"] = [{"required": [key]} for key in grammar.one_of]
    return rendered


def _render_scalar(grammar: Scalar) -> dict[str, Any]:
    types = list(grammar.types)
    rendered: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    if grammar.choices:
        rendered["enum"] = list(grammar.choices)
    if grammar.pattern:
        rendered["pattern"] = grammar.pattern
    if grammar.least is not None:
        rendered["minimum"] = grammar.least
    if grammar.most is not None:
        rendered["maximum"] = grammar.most
    if grammar.longest is not None:
        rendered["maxLength"] = grammar.longest
    return rendered
