"""The small typed language of `if`, `gate` and `performance`: names, numbers, strings, comparisons,
arithmetic, and/or/not. It is parsed to a tree and walked; nothing is ever handed to Python to evaluate.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from treadle.errors import TreadleError

if TYPE_CHECKING:
    import ast

LONGEST = 1000
DEEPEST = 50

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "Mod": operator.mod,
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Eq": operator.eq,
    "NotEq": operator.ne,
}
_WORDS = {"true": True, "false": False, "null": None}


class ExpressionError(TreadleError):
    """An expression is wrong; `offset` is the character at which, counted from 0."""

    def __init__(self, text: str, offset: int = 0) -> None:
        self.text = text
        self.offset = offset
        super().__init__(text)


class Expression:
    """A parsed expression, whose tree holds only nodes of the language."""

    __slots__ = ("text", "tree")

    def __init__(self, text: str, tree: "ast.expr") -> None:
        self.text = text
        self.tree = tree


def parse(text: str) -> Expression:
    """The tree of an expression; raises ExpressionError where it leaves the language."""
    import ast  # lazy: 5 ms that a pipeline without expressions spares

    if len(text) > LONGEST:
        raise ExpressionError(f"an expression has at most {LONGEST} characters", LONGEST)
    try:
        tree = ast.parse(text.strip() or " ", mode="eval").body
    except SyntaxError as error:
        _refuse_one_equals(text)
        raise ExpressionError(_plain(error.msg), max(0, (error.offset or 1) - 1)) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError("this is not an expression") from None
    _allow(tree, 0)
    return Expression(text, tree)


def _refuse_one_equals(text: str) -> None:
    """Raise ExpressionError for `a = b`, which is what many other languages call a comparison."""
    import re  # lazy: only for a mistake

    bare = re.sub(r"'[^']*'|\"[^\"]*\"", lambda quoted: " " * len(quoted.group()), text)
    found = re.search(r"(?<![=<>!])=(?!=)", bare)
    if found:
        raise ExpressionError("two values are compared by ==", found.start())


def names(expression: Expression) -> list[tuple[str, int]]:
    """Every dotted name with its offset, in the order of the text."""
    return sorted(_names(expression.tree), key=lambda pair: pair[1])


def check(expression: Expression, types: Mapping[str, str]) -> list[tuple[str, int]]:
    """What is wrong with the types, as (text, offset); names not in `types` may be anything.

    Types are number, string, bool and unknown; the whole must be a bool.
    """
    problems: list[tuple[str, int]] = []
    kind = _type(expression.tree, types, problems)
    if kind not in ("bool", "unknown"):
        problems.append((f"this is a {kind}, not a condition: compare it with something", expression.tree.col_offset))
    return problems


def constant(expression: Expression) -> bool | None:
    """The value of an expression that names nothing, or None."""
    if names(expression):
        return None
    try:
        return bool(evaluate(expression, {}))
    except ExpressionError:
        return None


def evaluate(expression: Expression, values: Mapping[str, Any]) -> Any:
    """The value of an expression; raises ExpressionError for a missing name or a wrong type."""
    return _value(expression.tree, values)


def _plain(message: str) -> str:
    return "this is not an expression" if message == "invalid syntax" else message.split(". Perhaps")[0]


def _allow(node: "ast.expr", depth: int) -> None:
    if depth > DEEPEST:
        raise ExpressionError("this expression is nested too deeply", node.col_offset)
    kind = type(node).__name__
    if kind == "Constant":
        if not isinstance(node.value, str | int | float | bool | None):  # type: ignore[attr-defined]
            raise ExpressionError("only numbers and strings may stand here", node.col_offset)
    elif kind in ("Name", "Attribute"):
        _dotted(node)
    elif kind == "UnaryOp" and type(node.op).__name__ not in ("Not", "USub", "UAdd"):  # type: ignore[attr-defined]
        raise ExpressionError("this operator is not known here", node.col_offset)
    elif kind == "BinOp" and type(node.op).__name__ not in _ARITHMETIC:  # type: ignore[attr-defined]
        raise ExpressionError("this operator is not known here: use + - * / %", node.col_offset)
    elif kind == "Compare" and any(type(op).__name__ not in _COMPARE for op in node.ops):  # type: ignore[attr-defined]
        raise ExpressionError("this comparison is not known here: use < <= > >= == !=", node.col_offset)
    elif kind not in ("UnaryOp", "BinOp", "BoolOp", "Compare"):
        text = "only names, numbers, strings, comparisons, arithmetic and and/or/not are known here"
        raise ExpressionError(text, node.col_offset)
    for child in _children(node):
        _allow(child, depth + 1)


def _children(node: "ast.expr") -> list["ast.expr"]:
    kind = type(node).__name__
    if kind == "UnaryOp":
        return [node.operand]  # type: ignore[attr-defined]
    if kind == "BinOp":
        return [node.left, node.right]  # type: ignore[attr-defined]
    if kind == "BoolOp":
        return list(node.values)  # type: ignore[attr-defined]
    if kind == "Compare":
        return [node.left, *node.comparators]  # type: ignore[attr-defined]
    return []


def _dotted(node: "ast.expr") -> str:
    kind = type(node).__name__
    if kind == "Name":
        return str(node.id)  # type: ignore[attr-defined]
    if kind == "Attribute":
        return f"{_dotted(node.value)}.{node.attr}"  # type: ignore[attr-defined]
    raise ExpressionError("a name is made of words and dots", node.col_offset)


def _names(node: "ast.expr") -> Iterator[tuple[str, int]]:
    if type(node).__name__ in ("Name", "Attribute"):
        name = _dotted(node)
        if name not in _WORDS and name not in ("True", "False", "None"):
            yield name, node.col_offset
        return
    for child in _children(node):
        yield from _names(child)


def _type(node: "ast.expr", types: Mapping[str, str], problems: list[tuple[str, int]]) -> str:
    kind = type(node).__name__
    if kind == "Constant":
        return _type_of(node.value)  # type: ignore[attr-defined]
    if kind in ("Name", "Attribute"):
        name = _dotted(node)
        return "bool" if name in ("true", "false") else types.get(name, "unknown")
    found = [_type(child, types, problems) for child in _children(node)]
    if kind == "BoolOp" or (kind == "UnaryOp" and type(node.op).__name__ == "Not"):  # type: ignore[attr-defined]
        for child, seen in zip(_children(node), found, strict=True):
            if seen in ("number", "string"):
                problems.append((f"and, or and not take conditions, not a {seen}", child.col_offset))
        return "bool"
    if kind == "Compare":
        for child, seen in zip(_children(node)[1:], found[1:], strict=True):
            if "unknown" not in (seen, found[0]) and seen != found[0]:
                problems.append((f"a {found[0]} is compared with a {seen}", child.col_offset))
        return "bool"
    for child, seen in zip(_children(node), found, strict=True):
        if seen in ("string", "bool"):
            problems.append((f"arithmetic takes numbers, not a {seen}", child.col_offset))
    return "number"


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "unknown"


def _value(node: "ast.expr", values: Mapping[str, Any]) -> Any:
    kind = type(node).__name__
    if kind == "Constant":
        return node.value  # type: ignore[attr-defined]
    if kind in ("Name", "Attribute"):
        name = _dotted(node)
        if name in _WORDS:
            return _WORDS[name]
        if name not in values:
            raise ExpressionError(f"'{name}' has no value", node.col_offset)
        return values[name]
    if kind == "BoolOp":
        both = type(node.op).__name__ == "And"  # type: ignore[attr-defined]
        results = (bool(_value(child, values)) for child in _children(node))
        return all(results) if both else any(results)
    try:
        return _compute(node, kind, [_value(child, values) for child in _children(node)])
    except (TypeError, ZeroDivisionError, OverflowError) as error:
        raise ExpressionError(f"{error}", node.col_offset) from None


def _compute(node: "ast.expr", kind: str, found: list[Any]) -> Any:
    if kind == "UnaryOp":
        sign = type(node.op).__name__  # type: ignore[attr-defined]
        return (not found[0]) if sign == "Not" else -found[0] if sign == "USub" else +found[0]
    if kind == "BinOp":
        return _ARITHMETIC[type(node.op).__name__](found[0], found[1])  # type: ignore[attr-defined]
    tests = zip(node.ops, found, found[1:], strict=False)  # type: ignore[attr-defined]
    return all(_COMPARE[type(test).__name__](left, right) for test, left, right in tests)
