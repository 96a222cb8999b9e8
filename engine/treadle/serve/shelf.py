"""What a server asks of a registry: which versions are in charge, and to load them."""

from typing import Protocol

from msgspec import Struct

from treadle.domain.serving import Traffic
from treadle.serve.predictor import Predictor


class State(Struct, frozen=True):
    """What the registry says about one model: versions by arm, and how requests are divided."""

    champion: int | None
    challenger: int | None = None
    traffic: Traffic | None = None


class Shelf(Protocol):
    """Where a server finds what to serve; used from one thread that is not the loop's."""

    def state(self, name: str) -> State:
        """What should be served now."""

    def load(self, name: str, version: int) -> Predictor:
        """A version in memory; raises TreadleError when it cannot be loaded."""
