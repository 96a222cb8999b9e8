"""One source file → what counts of it: a digest without comments, docstrings and layout, and its imports."""

import ast
from typing import Any

from msgspec import Struct

from treadle.code.modules import absolute
from treadle.digest import of_bytes, of_value

FRAMES = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Summary(Struct, frozen=True):
    """What a file is worth to a key: its digest, the modules it may import, and what cannot be followed."""

    digest: str
    imports: tuple[str, ...]  # full names; `a.b` for `from a import b` too, since b may be a module
    notes: tuple[str, ...] = ()
    strings: tuple[str, ...] = ()  # literal texts that look like project files


def summarize(data: bytes, module: str, package: bool) -> Summary:
    """The summary of a file's text; one that does not parse counts by its bytes."""
    try:
        tree = ast.parse(data)
        digest = of_value(_canonical(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError, TypeError):
        return Summary(of_bytes(data), (), (f"{module} does not parse: it counts byte by byte",))
    imports: set[str] = set()
    notes: list[str] = []
    strings: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(node.level, node.module, module, package)
            imports.add(origin)
            imports.update(f"{origin}.{alias.name}" for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.Call):
            _call(node, module, imports, notes)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _like_a_path(node.value):
            strings.add(node.value)
    return Summary(digest, tuple(sorted(imports - {""})), tuple(notes), tuple(sorted(strings)))


def _call(node: ast.Call, module: str, imports: set[str], notes: list[str]) -> None:
    name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
    if name in ("import_module", "__import__") and node.args:
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            imports.add(first.value)
        else:
            notes.append(f"{module}:{node.lineno} imports a module by a computed name, which cannot be followed")
    elif name in ("exec", "eval") and isinstance(node.func, ast.Name):
        notes.append(f"{module}:{node.lineno} runs text as code, which cannot be followed")


def _like_a_path(text: str) -> bool:
    return (
        2 < len(text) < 200 and "." in text and "\n" not in text and " " not in text and not text.startswith(("/", "."))
    )


def _canonical(node: Any) -> Any:
    """A tree as plain values without positions, docstrings and empty fields, alike on all Pythons."""
    if isinstance(node, ast.AST):
        fields: list[Any] = [type(node).__name__]
        for name in node._fields:
            value = getattr(node, name, None)
            empty = name in ("ctx", "type_comment", "kind") or value is None or value == []
            if empty and not (isinstance(node, ast.Constant) and name == "value"):
                continue
            if name == "body" and isinstance(node, FRAMES) and isinstance(value, list):
                value = _without_docstring(value)
            fields.append([name, _canonical(value)])
        return fields
    if isinstance(node, list):
        return [_canonical(item) for item in node]
    return repr(node) if isinstance(node, complex) or node is Ellipsis else node


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return body[1:]
    return body
