"""What crosses to a worker and what comes back."""

from typing import Any

from msgspec import Struct

from treadle.domain.artifact import Artifact
from treadle.domain.spec import Output

INLINE = "inline"  # the executor that works in the program itself
BATCH = 0.3  # seconds of work after which a batch returns


class Files(Struct, frozen=True, tag="files"):
    """Data from outside, handed over as absolute paths.

    `shape` is `file` (one path), `folder` (one path) or `files` (a list of paths).
    """

    shape: str
    paths: tuple[str, ...]


class Stored(Struct, frozen=True, tag="stored"):
    """An artifact in the object store."""

    artifact: Artifact


class Given(Struct, frozen=True, tag="given"):
    """A plain value, as JSON text."""

    json: str


Element = Files | Stored | Given  # what one item of a step with `foreach` works on


class Item(Struct, frozen=True):
    """One element of a list, by its place in it."""

    index: int
    attempt: int
    element: Element


class Task(Struct, frozen=True, kw_only=True):
    """One attempt at one step: all that a worker needs, as plain data; paths are absolute.

    With `items` it is a batch of a step with `foreach`: a worker performs them in turn, each with its element for
    the inputs named in `each`, and returns when BATCH seconds are over, at least one of them done.
    """

    run_id: str
    step_id: str
    attempt: int
    kind: str  # function | command
    call: str
    root: str
    objects: str
    scratch: str
    log: str
    params: dict[str, Any] = {}
    inputs: dict[str, tuple[Element, ...]] = {}
    listed: frozenset[str] = frozenset()
    forms: dict[str, str] = {}  # the type that an input asks for, where its codec has a choice
    outputs: tuple[Output, ...] = ()
    declared: bool = False
    items: tuple[Item, ...] = ()
    each: tuple[str, ...] = ()
    env: dict[str, str] = {}
    secrets: tuple[str, ...] = ()
    timeout: float | None = None
    cpu: float = 1.0
    memory: int | None = None
    devices: tuple[int, ...] | None = None  # the devices it may use, None when it asked for none
    isolation: str = "fresh"
    track: str = ""  # where the step's `ctx` writes; empty when it has none
    program: str = ""  # the text of `__main__`, where functions of the program itself are steps


class Failure(Struct, frozen=True):
    """Why an attempt did not succeed.

    `kind` is error (the step raised), exit (a command's code), crash (a signal), timeout,
    output (a value that cannot be stored), input (a value that cannot be read) or cancelled.
    """

    kind: str
    message: str
    traceback: str = ""
    code: int | None = None


class Usage(Struct, frozen=True):
    """What an attempt took: seconds of CPU, peak bytes of memory, bytes read and written.

    `limit` is what kept its memory in bounds: `cgroup v2`, `cgroup v1`, `RLIMIT_DATA`, … or nothing.
    """

    cpu_seconds: float = 0.0
    peak_memory: int = 0
    read: int = 0
    written: int = 0
    limit: str = ""


class ItemOutcome(Struct, frozen=True, kw_only=True):
    """The end of one attempt at one item; times are seconds since the epoch."""

    index: int
    outputs: dict[str, Artifact] = {}
    metrics: dict[str, float] = {}
    failure: Failure | None = None
    started: float = 0.0
    finished: float = 0.0


class Outcome(Struct, frozen=True, kw_only=True):
    """The end of one attempt: outputs, or a failure; times are seconds since the epoch.

    That of a batch has the `items` that it came to; what is missing there was not begun, or did not end.
    """

    step_id: str
    attempt: int
    outputs: dict[str, Artifact] = {}
    metrics: dict[str, float] = {}
    failure: Failure | None = None
    started: float = 0.0
    finished: float = 0.0
    worker: int = 0
    usage: Usage = Usage()
    items: tuple[ItemOutcome, ...] = ()
    track: Artifact | None = None  # what it told meanwhile, added by the run
    kept: bool = False  # whether the worker keeps the scratch folder, to give it to a later task
