"""The ledger: every automatic act with its evidence, each entry sealed with the digest of the one before."""

from typing import Any

from msgspec import Struct


class LedgerEntry(Struct, frozen=True, kw_only=True):
    """One act. `kind` is a word such as `trigger.fire` or `rollout.promote`, `subject` what it was about.

    `evidence` is plain data: statistics, windows, versions, digests. `digest` covers everything else of the entry and
    the digest of the entry before, so that none can be changed, taken out or put between.
    """

    number: int
    at: float
    kind: str
    subject: str
    actor: str
    evidence: dict[str, Any]
    previous: str
    digest: str


class Broken(Struct, frozen=True):
    """The first entry that is not what was written, and how that shows."""

    number: int
    reason: str


class LedgerCheck(Struct, frozen=True):
    """How many entries hold, the digest of the last one, and the first broken one."""

    entries: int
    head: str
    broken: Broken | None = None
