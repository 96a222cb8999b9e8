"""The words that the parts of a compiled model share."""

from collections.abc import Callable, Mapping
from typing import Any

Columns = Mapping[str, Any]  # name → 1-D array of equal length
Matrix = Callable[[Columns], Any]  # columns → float64 (rows, features), or None: not sure
Answer = Callable[[Columns], Any]  # columns → predictions, or None: not sure


class Program:
    """What a form does: answers for columns, and the probabilities of classes where it has them."""

    def __init__(self, predict: Answer, probabilities: Answer | None = None) -> None:
        self._predict = predict
        self.probabilities = probabilities

    def __call__(self, columns: Columns) -> Any:
        return self._predict(columns)


class NotCompiled(Exception):
    """A model that has no compiled form; the text says which part of it, for people."""
