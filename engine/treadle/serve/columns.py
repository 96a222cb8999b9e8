"""Rows to columns, by the signature of a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from treadle.domain.model import Field

NUMBERS = ("integer", "long", "float", "double", "boolean")


def columns(rows: Sequence[Mapping[str, Any]], fields: Sequence[Field]) -> dict[str, Any]:
    """Each field as a 1-D array over the rows: float64 for numbers (NaN where missing), else object.

    Raises ValueError for text where a number is expected.
    """
    found: dict[str, Any] = {}
    for field in fields:
        values = [row.get(field.name) for row in rows]
        if field.dtype in NUMBERS:
            found[field.name] = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        else:
            found[field.name] = np.array(values, dtype=object)
    return found
