"""What the last accepted run used and made: no times, hosts or paths, so that equal work gives equal locks."""

from msgspec import Struct

from treadle.domain.artifact import Artifact


class LockedStep(Struct, frozen=True, kw_only=True):
    """One step: its key, the manifest of it with all code in one part `code`, what it made and measured."""

    key: str
    parts: dict[str, str]
    outputs: dict[str, Artifact] = {}
    metrics: dict[str, float] = {}


class Lock(Struct, frozen=True, kw_only=True):
    """`data` maps each data entry to its digest, `code` each piece of code that any step reaches to its own."""

    data: dict[str, str] = {}
    code: dict[str, str] = {}
    steps: dict[str, LockedStep] = {}


class LockDifference(Struct, frozen=True):
    """One thing that is not as locked: of a step the part, or an output; `before` is what the lock says."""

    step: str
    part: str
    before: str | None
    after: str | None
    text: str
