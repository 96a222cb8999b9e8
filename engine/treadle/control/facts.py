"""What a controller needs to know of one pipeline file."""

from msgspec import Struct

from treadle.domain.spec import DataSource
from treadle.domain.trigger import Rule


class Facts(Struct, frozen=True, kw_only=True):
    """A pipeline as its controller sees it.

    `models` are what it deploys, `makers` the steps that a run for a new model needs to reach (everything but
    monitors and what hangs on them), `monitors` the steps that look at traffic. `every` is how often these look, in
    seconds; `watched` are the data entries of `files` triggers.
    """

    pipeline: str
    path: str
    rules: dict[str, Rule] = {}
    models: tuple[str, ...] = ()
    makers: tuple[str, ...] = ()
    monitors: tuple[str, ...] = ()
    every: float = 60.0
    watched: dict[str, DataSource] = {}
    reads: tuple[str, ...] = ()  # models whose logged predictions it reads
