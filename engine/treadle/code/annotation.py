"""Whether a literal fits an annotation, by the annotation's text."""

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ast

_PLAIN: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}
_LISTS = ("list", "List", "Sequence", "Iterable", "Collection", "tuple", "Tuple", "set", "Set")
_ANNOTATED = re.compile(r"(?:\w+\.)?Annotated\[(.+), (?:\w+\.)?\w+\(.*\)\]")
_MAPS = ("dict", "Dict", "Mapping", "MutableMapping")


def accepts(annotation: str, value: Any) -> bool | None:
    """True or False when the annotation says whether it takes the value, None when it does not say."""
    try:
        return _accepts(_parsed(annotation), value)
    except (SyntaxError, ValueError, RecursionError):
        return None


def culprit(annotation: str, value: Any) -> tuple[str | int, ...]:
    """The path into a value that does not fit, to the innermost part that is to blame; () for the value itself."""
    return _culprit(_parsed(annotation), value)


@lru_cache(1000)  # many steps call one function
def _parsed(annotation: str) -> "ast.expr":
    import ast  # lazy: 5 ms that a run with nothing to do spares

    return ast.parse(annotation, mode="eval").body


def takes(annotation: str) -> tuple[str, ...]:
    """The parameters with arguments of what a text names: `params` of Annotated[str, Takes("params")]."""
    return _marked(annotation, "Takes")


def checked_by(annotation: str) -> str | None:
    """The function that judges values: `module:function` of Annotated[dict, Checked("module:function")]."""
    return next(iter(_marked(annotation, "Checked")), None)


def _marked(annotation: str, mark: str) -> tuple[str, ...]:
    """The texts that a mark holds."""
    if f"{mark}(" not in annotation:
        return ()
    import ast  # lazy: 5 ms that a run with nothing to do spares

    for node in ast.walk(ast.parse(annotation, mode="eval")):
        if isinstance(node, ast.Call) and _last(node.func) == mark and node.args:
            return tuple(str(value) for one in node.args if (value := getattr(one, "value", "")))
    return ()


def plain(annotation: str) -> str:
    """The annotation without what Annotated adds to it, to show it to people."""
    return _ANNOTATED.sub(r"\1", annotation)


def _culprit(node: Any, value: Any) -> tuple[str | int, ...]:
    """Only where one reading of the annotation is of the value's kind is there a part to blame."""
    kind = type(node).__name__
    if kind == "BinOp":
        sides = [side for side in (node.left, node.right) if _like(side, value)]
        return _culprit(sides[0], value) if len(sides) == 1 else ()
    if kind != "Subscript" or not _like(node, value):
        return ()
    inner = node.slice.elts if type(node.slice).__name__ == "Tuple" else [node.slice]
    if _last(node.value) in ("Optional", "Annotated", "Final"):
        return _culprit(inner[0], value)
    parts: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in parts:
        if _accepts(inner[-1], item) is False:
            return (key, *_culprit(inner[-1], item))
    return ()


def _like(node: Any, value: Any) -> bool:
    """Whether an annotation is of the value's kind, whatever its parts."""
    if type(node).__name__ == "BinOp":
        return _like(node.left, value) or _like(node.right, value)
    if type(node).__name__ != "Subscript":
        return False
    name = _last(node.value)
    if name in ("Optional", "Annotated", "Final"):
        return _like(node.slice.elts[0] if type(node.slice).__name__ == "Tuple" else node.slice, value)
    return (name in _MAPS and isinstance(value, dict)) or (name in _LISTS and isinstance(value, list))


def _accepts(node: "ast.expr", value: Any) -> bool | None:
    kind = type(node).__name__
    if kind == "Constant":
        constant = node.value  # type: ignore[attr-defined]
        return value is None if constant is None else accepts(constant, value) if isinstance(constant, str) else None
    if kind == "BinOp":
        return _any([_accepts(node.left, value), _accepts(node.right, value)])  # type: ignore[attr-defined]
    if kind == "Subscript":
        return _subscript(node, value)
    name = _last(node)
    if name in _PLAIN:
        if isinstance(value, bool):
            return name == "bool"
        return isinstance(value, _PLAIN[name])
    if name in _LISTS:
        return isinstance(value, list | tuple)
    if name in _MAPS:
        return isinstance(value, dict)
    return value is None if name == "None" else None


def _subscript(node: Any, value: Any) -> bool | None:
    name = _last(node.value)
    inner = node.slice.elts if type(node.slice).__name__ == "Tuple" else [node.slice]
    if name == "Optional":
        return True if value is None else _accepts(inner[0], value)
    if name == "Union":
        return _any([_accepts(part, value) for part in inner])
    if name == "Literal":
        return any(getattr(part, "value", None) == value and type(part.value) is type(value) for part in inner)
    if name in ("Annotated", "Final"):
        return _accepts(inner[0], value)
    if name in _LISTS:
        if not isinstance(value, list | tuple):
            return False
        return None if name in ("tuple", "Tuple") else _all([_accepts(inner[0], item) for item in value])
    if name in _MAPS:
        return _all([_accepts(inner[-1], item) for item in value.values()]) if isinstance(value, dict) else False
    return None


def _last(node: Any) -> str:
    return str(getattr(node, "id", None) or getattr(node, "attr", ""))


def _any(found: list[bool | None]) -> bool | None:
    return True if True in found else None if None in found else False


def _all(found: list[bool | None]) -> bool | None:
    return False if False in found else None if None in found else True
