"""Between the columns of a request and the table that a model was trained on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from treadle_steps.compiled.program import Columns

WORDS = {"b": "boolean", "i": "long", "u": "long", "f": "double", "M": "datetime"}  # kind of dtype → MLflow's word
NUMBERS = ("boolean", "integer", "long", "float", "double")

Fields = Sequence[Mapping[str, Any]]  # {name, dtype, required, choices} of each input, in the model's order


def dtype_of(column: Any) -> str:
    """MLflow's word for the type of a column or array: integer and float are those of 32 bits, text is string."""
    kind = getattr(column.dtype, "kind", "O")
    if isinstance(column.dtype, pd.CategoricalDtype):
        kind = column.dtype.categories.dtype.kind
    word = WORDS.get(kind, "string")
    size = getattr(column.dtype, "itemsize", 8)
    if kind in "iu" and size < 4 + (kind == "i"):
        return "integer"
    return "float" if kind == "f" and size < 8 else word


def columns_of(frame: pd.DataFrame, fields: Fields) -> dict[str, Any]:
    """The columns of a table as a server hands them over: numbers, or objects with None for what is missing."""
    found: dict[str, Any] = {}
    for field in fields:
        name = field["name"]
        column = frame[name]
        if field["dtype"] in NUMBERS:
            values = column.astype(object).where(column.notna(), np.nan)
            plain = column.to_numpy() if column.dtype.kind in "biuf" else values.to_numpy(dtype=np.float64)
            found[name] = plain
        else:
            found[name] = column.astype(object).where(column.notna(), None).to_numpy(dtype=object)
    return found


def table(columns: Columns, fields: Fields, named: bool, categories: bool = False) -> Any:
    """What the model's own `predict` takes: a data frame, or a matrix for a model that was trained without names.

    With `categories` the columns that have choices are categorical, as boosters that divide by categories ask for.
    Raises ValueError for a column that is not there though it must be, and for text where a number is expected.
    """
    found = {field["name"]: _column(columns, field) for field in fields}
    if named:
        listed = [field for field in fields if categories and field.get("choices")]
        return pd.DataFrame({**found, **{one["name"]: _categorical(found[one["name"]], one) for one in listed}})
    return np.column_stack(list(found.values()))


def _categorical(values: Any, field: Mapping[str, Any]) -> Any:
    """The values as categories, in the order of the choices; what is none of them is missing."""
    kind = {"integer": np.int64, "long": np.int64, "float": np.float64, "double": np.float64}.get(field["dtype"])
    choices = list(field["choices"]) if kind is None else np.array(field["choices"]).astype(kind)
    return pd.Categorical(values, categories=choices)


def _column(columns: Columns, field: Mapping[str, Any]) -> Any:
    name, dtype = field["name"], field["dtype"]
    values = columns.get(name)
    if values is None:
        if field.get("required", True):
            raise ValueError(f"the column '{name}' is missing")
        rows = max(map(len, columns.values()), default=0)
        return np.full(rows, np.nan, dtype=np.float64 if dtype in NUMBERS else object)
    if dtype == "datetime":
        return pd.to_datetime(pd.Series(values))
    if dtype in NUMBERS:
        if values.dtype.kind not in "biuf":
            try:
                values = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
            except (ValueError, TypeError):
                raise ValueError(f"the column '{name}' holds what is no number") from None
        return values.astype(np.float32) if dtype == "float" else values
    return np.array([np.nan if value is None else value for value in values.tolist()], dtype=object)
