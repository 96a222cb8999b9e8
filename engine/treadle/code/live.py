"""The functions of the program that runs: a script's or a notebook's `__main__`, as the text of a module.

Nothing is pickled. What a function needs is written down from what the program holds: the source of functions and
classes, imports of what other modules define, plain constants. That text is both what counts for keys and what
workers run, so they cannot differ. A function that needs anything else is `lost`, for a reason in words.
"""

import ast
import builtins
import inspect
import linecache
import math
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from types import FunctionType, ModuleType
from typing import Any

from msgspec import Struct

from treadle.code.canonical import FRAMES, Function
from treadle.code.summarize import summarize

MAIN = "__main__"
LARGEST = 100_000  # characters of a constant
_PLAIN = (type(None), bool, int, float, str, bytes)


class Main(Struct, frozen=True):
    """The text of `__main__`, and why functions are not in it, or lack something there, by their names."""

    text: str
    lost: dict[str, str]


class _Piece(Struct, frozen=True):
    """What binds one name: lines of source, the names that it needs, and those of them needed when it is bound."""

    text: str
    needs: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()
    lost: str = ""


def read_main() -> Main | None:
    """The program's own functions; None where it has none, as in the command line."""
    main = sys.modules.get(MAIN)
    spec = getattr(main, "__spec__", None)
    if main is None or (spec is not None and spec.name.partition(".")[0] == "treadle"):
        return None
    found = extract(vars(main))
    return found if found.text.strip() else None


def extract(namespace: Mapping[str, Any]) -> Main:
    """The text of all functions and classes that a namespace defines itself, with what they need."""
    pieces: dict[str, _Piece] = {}
    own = [name for name, value in namespace.items() if _is_own(value)]
    todo = list(own)
    while todo:
        name = todo.pop()
        if name not in pieces and (name in namespace or hasattr(builtins, name)):
            pieces[name] = _piece(name, namespace)
            todo += pieces[name].needs
    lost = {name: reason for name in own if (reason := _lost(name, pieces))}
    pieces.update({name: _Piece(_stub(name, namespace[name])) for name in lost})
    texts = [pieces[name].text for name in _ordered(pieces) if pieces[name].text]
    if getattr(namespace.get("annotations"), "compiler_flag", 0):
        texts.insert(0, "from __future__ import annotations")
    return Main("\n\n\n".join(texts) + "\n", lost)


def _is_own(value: Any) -> bool:
    if getattr(value, "__module__", None) != MAIN:
        return False
    return isinstance(value, FunctionType | type) or callable(getattr(value, "__wrapped__", None))


def _piece(name: str, namespace: Mapping[str, Any]) -> _Piece:
    value = namespace[name] if name in namespace else getattr(builtins, name)
    if _is_own(value):
        return _defined(name, value, namespace)
    if name.startswith("__") and name.endswith("__") and name != "__file__":
        return _Piece("")
    if isinstance(value, ModuleType):
        return _Piece(f"import {value.__name__} as {name}") if value.__name__ != MAIN else _Piece("")
    if name not in namespace and getattr(value, "__module__", "builtins") in ("builtins", "io", "_io", None):
        return _Piece("")
    origin, inner = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if origin and inner and getattr(sys.modules.get(origin), inner, None) is value:
        return _Piece(f"from {origin} import {inner} as {name}")
    constant = _constant(value)
    if constant is None:
        return _Piece(
            "", lost=f"it uses '{name}', and nothing says how its value, of type {type(value).__qualname__}, is made"
        )
    return _Piece(f"{name} = {constant}")


def _defined(name: str, value: Any, namespace: Mapping[str, Any]) -> _Piece:
    try:
        source = _source(name, value)
        [node] = ast.parse(source).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return _Piece("", lost=f"the source of '{name}' is not known")
    if not isinstance(node, FRAMES) or node.name != name:
        return _Piece("", lost=f"'{name}' is not defined under this name")
    if hasattr(value, "__wrapped__") and not node.decorator_list:
        return _Piece("", lost=f"'{name}' was wrapped after it was defined")
    uses = summarize(source.encode()).summary.definitions[name].uses
    lines = [f"import {module}" for use in uses for module in _inner_modules(use, namespace)]
    first = frozenset(_at_once(node)) - {name}
    needs = first.union(use.partition(".")[0] for use in uses)
    return _Piece("\n".join([*dict.fromkeys(lines), source]), needs, first)


def _source(name: str, value: Any) -> str:
    if not isinstance(value, type):
        if "<locals>" in value.__qualname__:
            raise OSError
        return textwrap.dedent(inspect.getsource(value))
    found = {text for file in _files(value) for text in _classes(name, file)}
    if len(found) != 1:
        raise OSError  # the class was defined more than once, and nothing says which one this is
    return found.pop()


def _files(value: type) -> set[str]:
    """Where a class may be written: where its methods are, or, where it has none of its own, in any cell or the script.

    `inspect` knows no file for a class of a notebook.
    """
    files = {name for name in linecache.cache if "ipykernel" in name or name.startswith("<ipython-input")}
    files.add(getattr(sys.modules.get(MAIN), "__file__", None) or "")
    methods = [getattr(each, "__func__", getattr(each, "fget", each)) for each in vars(value).values()]
    return files.intersection(m.__code__.co_filename for m in methods if isinstance(m, FunctionType)) or files


def _classes(name: str, file: str) -> Iterator[str]:
    text = "".join(linecache.getlines(file))
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return  # a cell with magics
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def _stub(name: str, value: Any) -> str:
    """The head of a function without source, so that its arguments are known; it is never run."""
    if isinstance(value, type):
        return ""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    arguments = []
    for argument in signature.parameters.values():
        known = argument.default is argument.empty or _is_plain(argument.default)
        default = argument.default if known else None
        arguments.append(argument.replace(annotation=argument.empty, default=default))
    shown = str(signature.replace(parameters=arguments, return_annotation=signature.empty))
    return f"def {name}{shown}:\n    raise NotImplementedError"


def _constant(value: Any) -> str | None:
    """A plain value or a path as source; None for any other."""
    if isinstance(value, PurePath):
        return f"__import__('pathlib').{type(value).__name__}({str(value)!r})"
    if type(value) is float and not math.isfinite(value):
        return f"float('{value}')"
    if type(value) in (set, frozenset) and all(map(_is_plain, value)):  # in an order that no hash seed changes
        text = f"{type(value).__name__}({sorted(value, key=repr)!r})"
    else:
        text = repr(value) if _is_plain(value) else ""
    return text if 0 < len(text) <= LARGEST else None


def _is_plain(value: Any) -> bool:
    """Whether `repr` is source of the same value."""
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(_is_plain(key) and _is_plain(item) for key, item in value.items())
    return type(value) in _PLAIN and not (type(value) is float and not math.isfinite(value))


def _inner_modules(chain: str, namespace: Mapping[str, Any]) -> Iterator[str]:
    """`sklearn.linear_model` of `sklearn.linear_model.Ridge`: importing `sklearn` alone would not bring it."""
    head, *rest = chain.split(".")
    value = namespace.get(head)
    for name in rest:
        inner = getattr(value, name, None)
        if not isinstance(value, ModuleType) or not isinstance(inner, ModuleType):
            return
        value = inner
        if value.__name__.startswith(f"{head}."):
            yield value.__name__


def _at_once(node: ast.AST) -> Iterator[str]:
    """The names that a definition needs when it is made, not only when it is called."""
    if isinstance(node, ast.Name):
        yield node.id
    left_out = node.body if isinstance(node, Function | ast.Lambda) else []
    for child in ast.iter_child_nodes(node):
        if child is not left_out and not (isinstance(left_out, list) and child in left_out):
            yield from _at_once(child)


def _ordered(pieces: Mapping[str, _Piece]) -> list[str]:
    """The names so that each follows what it needs when it is bound."""
    found: dict[str, None] = {}
    begun: set[str] = set()

    def add(name: str) -> None:
        if name in begun or name not in pieces:
            return
        begun.add(name)
        for need in sorted(pieces[name].first):
            add(need)
        found[name] = None

    for name in sorted(pieces):
        add(name)
    return list(found)


def _lost(start: str, pieces: Mapping[str, _Piece]) -> str:
    """Why a name cannot be written down with all that it reaches, or nothing."""
    todo, seen = [start], set()
    while todo:
        name = todo.pop()
        piece = pieces.get(name)
        if name in seen or piece is None:
            continue
        seen.add(name)
        if piece.lost:
            return piece.lost
        todo += piece.needs
    return ""
