"""An annotation's text → JSON Schema of the values that `accepts` takes; what it does not say is left open."""

import ast
from typing import Any

PLAIN = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "None": "null"}
LISTS = ("list", "List", "Sequence", "Iterable", "Collection", "tuple", "Tuple", "set", "Set")
MAPS = ("dict", "Dict", "Mapping", "MutableMapping")


def of_annotation(annotation: str | None) -> dict[str, Any]:
    """The schema; {} takes anything."""
    if annotation is None:
        return {}
    try:
        return _schema(ast.parse(annotation, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError):
        return {}


def _schema(node: ast.expr) -> dict[str, Any]:
    if isinstance(node, ast.Constant):
        if node.value is None:
            return {"type": "null"}
        return of_annotation(node.value) if isinstance(node.value, str) else {}
    if isinstance(node, ast.BinOp):
        return _either([node.left, node.right])
    if isinstance(node, ast.Subscript):
        return _subscript(node)
    name = _last(node)
    if name in PLAIN:
        return {"type": PLAIN[name]}
    if name in LISTS:
        return {"type": "array"}
    return {"type": "object"} if name in MAPS else {}


def _subscript(node: ast.Subscript) -> dict[str, Any]:
    name = _last(node.value)
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Optional":
        return _either([inner[0], ast.Constant(None)])
    if name == "Union":
        return _either(inner)
    if name == "Literal":
        return {"enum": [part.value for part in inner if isinstance(part, ast.Constant)]}
    if name in ("Annotated", "Final"):
        return _schema(inner[0])
    if name in LISTS:
        items = {} if name in ("tuple", "Tuple") else _schema(inner[0])
        return {"type": "array", **({"items": items} if items else {})}
    if name in MAPS:
        values = _schema(inner[-1])
        return {"type": "object", **({"additionalProperties": values} if values else {})}
    return {}


def _either(parts: list[ast.expr]) -> dict[str, Any]:
    """The alternatives side by side; one that takes anything takes the others with it."""
    found: list[dict[str, Any]] = []
    for part in parts:
        schema = _schema(part)
        found += schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
    return {} if {} in found else {"anyOf": found}


def _last(node: ast.expr) -> str:
    return str(getattr(node, "id", None) or getattr(node, "attr", ""))
