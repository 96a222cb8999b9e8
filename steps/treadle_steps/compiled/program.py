"""The words that the parts of a compiled model share."""

from collections.abc import Callable, Mapping
from typing import Any

Columns = Mapping[str, Any]  # name → 1-D array of equal length
Matrix = Callable[[Columns], Any]  # columns → float64 (rows, features), or None: not sure
Predict = Callable[[Any], Any]  # float64 (rows, features) → predictions, or None: not sure
Program = Callable[[Columns], Any]  # columns → predictions, or None: not sure


class NotCompiled(Exception):
    """A model that has no compiled form; the text says which part of it, for people."""
