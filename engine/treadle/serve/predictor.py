"""What a loaded model is to everyone who asks it."""

from collections.abc import Mapping
from typing import Any, Protocol

from treadle.domain.model import ModelVersion


class Unmade(Exception):
    """These rows need a part of the model that is not made yet: `complete` makes it, which may take seconds."""


class Predictor(Protocol):
    """A model ready to answer; used by one process. `predict` and `probabilities` may raise Unmade."""

    version: ModelVersion

    def predict(self, columns: Mapping[str, Any]) -> Any:
        """columns: name -> 1-D numpy array of equal length (object dtype for strings, NaN/None for missing), in any
        order; returns a numpy array, 1-D of rows, or 2-D (rows, outputs)."""

    def probabilities(self, columns: Mapping[str, Any]) -> Any:
        """The probability of each class for the same columns: (rows, classes). For models whose signature has them."""

    def complete(self) -> None:
        """Do what can wait until the model has answered once; from any thread. Raises TreadleError."""

    def close(self) -> None:
        """Let go of what it holds; it answers no more."""
