"""What crosses to a worker and what comes back."""

from typing import Any

from msgspec import Struct

from treadle.domain.artifact import Artifact
from treadle.domain.spec import Output


class Files(Struct, frozen=True, tag="files"):
    """Data from outside, handed over as absolute paths.

    `shape` is `file` (one path), `folder` (one path) or `files` (a list of paths).
    """

    shape: str
    paths: tuple[str, ...]


class Stored(Struct, frozen=True, tag="stored"):
    """An artifact in the object store."""

    artifact: Artifact


class Task(Struct, frozen=True, kw_only=True):
    """One attempt at one step: all that a worker needs, as plain data; paths are absolute."""

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
    inputs: dict[str, tuple[Files | Stored, ...]] = {}
    listed: frozenset[str] = frozenset()
    outputs: tuple[Output, ...] = ()
    declared: bool = False
    env: dict[str, str] = {}
    secrets: tuple[str, ...] = ()
    timeout: float | None = None
    cpu: float = 1.0
    memory: int | None = None
    isolation: str = "fresh"


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
    """What an attempt took: seconds of CPU, peak bytes of memory, bytes read and written."""

    cpu_seconds: float = 0.0
    peak_memory: int = 0
    read: int = 0
    written: int = 0


class Outcome(Struct, frozen=True, kw_only=True):
    """The end of one attempt: outputs, or a failure; times are seconds since the epoch."""

    step_id: str
    attempt: int
    outputs: dict[str, Artifact] = {}
    metrics: dict[str, float] = {}
    failure: Failure | None = None
    started: float = 0.0
    finished: float = 0.0
    worker: int = 0
    usage: Usage = Usage()
