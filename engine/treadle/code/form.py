"""In which form an argument wants its value, by the name of the type it is annotated with."""

import ast
from collections.abc import Iterable, Iterator, Mapping

from treadle.code.modules import absolute

_FIRST = frozenset(("Optional", "Annotated", "Union", "Final"))  # what counts is their first argument
_MANY = frozenset(("list", "List", "tuple", "Tuple", "Sequence", "Iterable", "Collection"))  # what counts are elements


def imported(statements: Iterable[ast.stmt], module: str, package: bool) -> dict[str, str]:
    """The full name of everything that a module's statements import, by the name it has there."""
    found: dict[str, str] = {}
    for node in statements:
        if isinstance(node, ast.Import):
            for alias in node.names:
                head = alias.name.partition(".")[0]
                found[alias.asname or head] = alias.name if alias.asname else head
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(node.level, node.module, module, package)
            found.update({alias.asname or alias.name: f"{origin}.{alias.name}" for alias in node.names})
    return found


def form(annotation: ast.expr | None, names: Mapping[str, str]) -> str:
    """The full name of the first imported type that an annotation names: `polars.DataFrame` for `list[pl.DataFrame]`.

    `names` are those that the module imports. Empty when there is none.
    """
    return next((name for name in _types(annotation, names) if name), "") if annotation is not None else ""


def _types(node: ast.expr, names: Mapping[str, str]) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            node = ast.parse(node.value.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            return
    if isinstance(node, ast.BinOp):
        yield from _types(node.left, names)
        yield from _types(node.right, names)
    elif isinstance(node, ast.Subscript) and _last(node.value) in _FIRST | _MANY:
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for part in inner if _last(node.value) == "Union" else inner[:1]:
            yield from _types(part, names)
    else:
        head, _, rest = ast.unparse(node).partition(".")
        yield f"{names[head]}.{rest}".rstrip(".") if head in names else ""


def _last(node: ast.expr) -> str:
    return str(getattr(node, "id", None) or getattr(node, "attr", ""))
