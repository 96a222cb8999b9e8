"""Expressions over the columns of a table, for rules across columns; walked, never evaluated as Python."""

import ast
import operator
from collections.abc import Callable
from typing import Any

import pandas as pd

from treadle.authoring import StepError
from treadle_steps.refusals import need_columns

OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def holds(expression: str, frame: pd.DataFrame) -> pd.Series:
    """For each row whether the expression is true; raises StepError for what is no such expression."""
    try:
        found = _value(ast.parse(expression.strip(), mode="eval").body, frame)
    except (SyntaxError, RecursionError):
        raise StepError(f"'{expression}' is not an expression over columns") from None
    except TypeError as error:
        raise StepError(f"'{expression}' cannot be computed: {error}") from None
    if not isinstance(found, pd.Series):
        raise StepError(f"'{expression}' names no column")
    return found.fillna(False).astype(bool)


def _value(node: ast.expr, frame: pd.DataFrame) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | bool):
        return node.value
    if isinstance(node, ast.Name):
        need_columns(frame, [node.id], "the expression's column")
        return frame[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        value = _value(node.operand, frame)
        return ~value if isinstance(node.op, ast.Not) else -value
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](_value(node.left, frame), _value(node.right, frame))
    if isinstance(node, ast.BoolOp):
        parts = [_value(part, frame) for part in node.values]
        result = parts[0]
        for part in parts[1:]:
            result = result & part if isinstance(node.op, ast.And) else result | part
        return result
    if isinstance(node, ast.Compare) and all(type(op) in OPERATORS for op in node.ops):
        values = [_value(part, frame) for part in (node.left, *node.comparators)]
        result = True
        for op, left, right in zip(node.ops, values, values[1:], strict=False):
            result = OPERATORS[type(op)](left, right) & result
        return result
    raise StepError(
        f"'{ast.unparse(node)}' is not known in expressions", "use columns, numbers, texts, < + - * / and or not"
    )
