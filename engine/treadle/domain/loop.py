"""What a controller keeps between two looks: rollouts with their place in the log, triggers, and how it fares."""

from typing import Any

from msgspec import Struct

from treadle.domain.rollout import Rollout
from treadle.domain.trigger import Book, Event


class KeptRollout(Struct, frozen=True, kw_only=True):
    """A rollout as the store has it.

    `floor` is the time of the newest record of the prediction log when it began, by the server's clock: what was
    recorded up to there belongs to it no more. `noted` is when its last entry went into the ledger, `decision` what
    that said; `figures` are those of the last evaluation.
    """

    rollout: Rollout
    floor: float = 0.0
    noted: float = 0.0
    decision: str = ""
    figures: dict[str, Any] = {}


class Watched(Struct, frozen=True, kw_only=True):
    """What the monitor steps last said: metrics by step, the run they ran in, and why those failed that failed."""

    run_id: str = ""
    at: float = 0.0
    metrics: dict[str, dict[str, float]] = {}
    failed: dict[str, str] = {}


class Beat(Struct, frozen=True, kw_only=True):
    """What the process of a pipeline's controller says of itself; `pid` and `began` tell it from others."""

    host: str
    boot: str
    pid: int
    began: str
    at: float
    server: str = ""  # its address, empty when it serves elsewhere
    server_pid: int = 0
    hooks: str = ""  # where triggers are posted
    said: tuple[str, ...] = ()  # the last lines, newest last
    trouble: str = ""  # when the store was last away, and why


class Desk(Struct, frozen=True, kw_only=True):
    """All that the triggers of one pipeline remember: the book of the decider, and what goes on around it.

    `tries` counts the runs in a row that died of something outside them, or that had no model to begin with.
    """

    book: Book = Book()
    nonces: dict[str, float] = {}  # of posts, with the time until which each must not be seen again
    inbox: tuple[Event, ...] = ()  # what happened, written down and not yet decided upon
    watched: Watched = Watched()
    looked: str = ""  # what the log was like at the last look of the monitors
    files: dict[str, str] = {}  # digest of each data entry that a trigger watches
    pipelines: dict[str, str] = {}  # last run of each pipeline that a trigger follows
    tries: int = 0
    retry_at: float = 0.0
    last: dict[str, Any] = {}  # what became of the last run: id, whether it ended well, when
