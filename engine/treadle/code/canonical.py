"""Syntax tree → digest of what it means: comments, docstrings, layout and the spelling of annotations do not count.

Annotations of arguments, results and variables are left out, unless an unknown decorator could read them. Those of
a class body stay, since dataclasses, named tuples and validators are made of them, but in one spelling:
`Optional[int]`, `"int | None"` and `Union[None, int]` are the same.
"""

import ast
from collections.abc import Callable, Sequence
from typing import Any

from treadle.digest import of_bytes

Put = Callable[[str], None]
Function = ast.FunctionDef | ast.AsyncFunctionDef
FRAMES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_BLIND_WORDS = """
    staticmethod classmethod property cached_property lru_cache cache wraps contextmanager asynccontextmanager
    abstractmethod override overload final setter getter deleter total_ordering njit jit no_grad
"""
BLIND = frozenset(_BLIND_WORDS.split())  # decorators that never look at annotations
_LEFT_OUT = frozenset(("ctx", "type_comment", "kind", "annotation", "returns"))
_SPELLINGS = {"List": "list", "Dict": "dict", "Tuple": "tuple", "Set": "set", "FrozenSet": "frozenset", "Type": "type"}


def digest_of(nodes: Sequence[ast.AST], docstrings: bool = False) -> str:
    """The digest of statements or expressions; `docstrings` where the code reads them."""
    found: list[str] = []
    for node in nodes:
        _write(node, found.append, docstrings)
    return of_bytes("".join(found).encode("utf-8", "surrogatepass"))


def reads_annotations(node: Function) -> bool:
    """Whether a decorator of a function may look at its annotations."""
    return any(last_name(d.func if isinstance(d, ast.Call) else d) not in BLIND for d in node.decorator_list)


def last_name(node: ast.AST) -> str:
    """`c` of `a.b.c`; empty for what is no name."""
    return str(getattr(node, "id", None) or getattr(node, "attr", ""))


def is_docstring(node: ast.stmt) -> bool:
    """Whether a statement is nothing but a text."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def parsed(annotation: ast.expr) -> ast.expr:
    """An annotation as a tree, also when it is written as a text."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return ast.parse(annotation.value.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            return annotation
    return annotation


def _write(node: Any, put: Put, docstrings: bool) -> None:
    kind = type(node)
    if kind is ast.Name:
        put(f"N{node.id};")
    elif kind is ast.Constant:
        put(f"{type(node.value).__name__}:{node.value!r};")
    elif kind is list:
        put("[")
        for item in node:
            _write(item, put, docstrings)
        put("]")
    elif kind is ast.AnnAssign:  # the same as an assignment; a class body adds the annotation
        if node.value is not None:
            _assign([node.target], node.value, put, docstrings)
    elif kind is ast.Assign:
        _assign(node.targets, node.value, put, docstrings)
    elif isinstance(node, ast.AST):
        _fields(node, put, docstrings)
    else:
        put(f"{node!r};")


def _assign(targets: Sequence[ast.expr], value: ast.expr, put: Put, docstrings: bool) -> None:
    put("Assign(")
    _write(list(targets), put, docstrings)
    _write(value, put, docstrings)
    put(")")


def _fields(node: ast.AST, put: Put, docstrings: bool) -> None:
    frame = isinstance(node, FRAMES)
    put(f"{type(node).__name__}(")
    for name in node._fields:
        if name in _LEFT_OUT:
            continue
        value = getattr(node, name, None)
        if value is None or value == []:
            continue
        if frame and name == "body" and not docstrings and is_docstring(value[0]):
            value = value[1:]
        put(f"{name}=")
        _write(value, put, docstrings)
    if not frame:
        put(")")
        return
    if isinstance(node, ast.ClassDef):
        for field in node.body:
            if isinstance(field, ast.AnnAssign):
                put(f"field {last_name(field.target)}:{spelled(field.annotation)};")
    elif isinstance(node, Function) and reads_annotations(node):
        arguments = node.args
        for arg in (*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg):
            if arg is not None and arg.annotation is not None:
                put(f"annotation {arg.arg}:{spelled(arg.annotation)};")
        if node.returns is not None:
            put(f"returns {spelled(node.returns)};")
    put(")")


def spelled(annotation: ast.expr) -> str:
    """An annotation in the one spelling that all its spellings share."""
    node = parsed(annotation)
    if isinstance(node, ast.Attribute | ast.Name):
        return _SPELLINGS.get(last_name(node), last_name(node))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union([node.left, node.right])
    if isinstance(node, ast.Subscript):
        name = last_name(node.value)
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name == "Optional":
            return _union([*inner, ast.Constant(None)])
        if name == "Union":
            return _union(inner)
        if name in ("Literal", "Annotated"):
            return f"{name}[{', '.join(ast.unparse(part) for part in inner)}]"
        return f"{_SPELLINGS.get(name, name)}[{', '.join(spelled(part) for part in inner)}]"
    return ast.unparse(node)


def _union(parts: Sequence[ast.expr]) -> str:
    found: set[str] = set()
    for part in parts:
        found.update(spelled(part).split(" | "))
    return " | ".join(sorted(found))
