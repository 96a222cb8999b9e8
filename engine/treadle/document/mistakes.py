"""A plain value against a grammar: what is wrong with it, by paths into the value instead of places in a file."""

from collections.abc import Iterator
from typing import Any

from msgspec import json

from treadle.document import grammar
from treadle.document.parse import Node, parse
from treadle.errors import Mistake

Path = tuple[str | int, ...]


def find(value: Any, shape: grammar.Grammar, name: str) -> list[Mistake]:
    """Every place where a value leaves the grammar; `name` is what texts call the value as a whole."""
    try:
        text = json.encode(value)
    except TypeError as error:
        return [Mistake((), f"{name}: {error}")]
    node, found = parse(text, name)
    if node is not None and not found:
        found = grammar.check(node, shape, name)
    if not found:
        return []
    places = dict(_places(node, ())) if node is not None else {}
    mistakes = []
    for problem in found:
        where = (problem.where.line, problem.where.column) if problem.where is not None else (0, 0)
        path, at_key = places.get(where, ((), False))
        mistakes.append(Mistake(path, problem.text.replace("the file", name), problem.hint, at_key))
    return mistakes


def _places(node: Node, path: Path) -> Iterator[tuple[tuple[int, int], tuple[Path, bool]]]:
    """Where each value and each key stands in the text that was made of the value."""
    yield (node.line, node.column), (path, False)
    if node.kind == "map":
        for key, child in node.value.items():
            yield (node.keys[key].line, node.keys[key].column), ((*path, key), True)
            yield from _places(child, (*path, key))
    elif node.kind == "list":
        for number, child in enumerate(node.value):
            yield from _places(child, (*path, number))
