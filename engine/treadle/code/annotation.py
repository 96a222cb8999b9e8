"""Whether a literal fits an annotation, by the annotation's text."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ast

_PLAIN: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}
_LISTS = ("list", "List", "Sequence", "Iterable", "Collection", "tuple", "Tuple", "set", "Set")
_MAPS = ("dict", "Dict", "Mapping", "MutableMapping")


def accepts(annotation: str, value: Any) -> bool | None:
    """True or False when the annotation says whether it takes the value, None when it does not say."""
    import ast  # lazy: 5 ms that a run with nothing to do spares

    try:
        return _accepts(ast.parse(annotation, mode="eval").body, value)
    except (SyntaxError, ValueError, RecursionError):
        return None


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
