"""The ledger: list, verify, and walk from what serves back to what admitted and made it."""

import os

from msgspec import Struct

from treadle.api.models import get_model
from treadle.api.project import open_project
from treadle.domain.ledger import LedgerCheck, LedgerEntry
from treadle.domain.model import CHAMPION, AliasEvent, ModelVersion
from treadle.domain.run import RunRecord

MOST = 10_000  # entries of one version that a walk looks at


class Walk(Struct, frozen=True, kw_only=True):
    """From an alias back to the beginning; None where a link was never recorded.

    `moved` put the version there, `admitted` is the evaluation that let it pass, `fired` the trigger that asked for
    the run; commit and data digests are in the version.
    """

    version: ModelVersion
    alias: str
    moved: AliasEvent | None
    admitted: LedgerEntry | None
    run: RunRecord | None
    fired: LedgerEntry | None


def list_entries(
    kind: str = "", subject: str = "", limit: int = 50, path: str | os.PathLike[str] = "."
) -> list[LedgerEntry]:
    """The newest entries of the project that contains `path`, oldest of them first."""
    return open_project(path).store.ledger.entries(kind, subject, limit)


def verify(head: str = "", path: str | os.PathLike[str] = ".") -> LedgerCheck:
    """Walk the chain; with `head`, a digest noted earlier, also see that nothing was cut off its end."""
    return open_project(path).store.ledger.verify(head)


def why(reference: str, path: str | os.PathLike[str] = ".") -> Walk:
    """How the version of NAME, NAME@alias or NAME/version came to be; raises InputError when there is none."""
    found = get_model(reference, path)
    version, store = found.version, open_project(path).store
    alias = reference.partition("@")[2] or CHAMPION
    moves = [event for event in found.history if event.alias == alias and event.new == version.version]
    tests = store.ledger.entries("rollout.evaluation", f"{version.name}/{version.version}", MOST)
    admitted = [entry for entry in tests if str(entry.evidence.get("decision", "")).startswith("succeed")]
    fires = store.ledger.entries("trigger.fire", limit=MOST) if version.run_id else []
    return Walk(
        version=version,
        alias=alias,
        moved=moves[-1] if moves else None,
        admitted=admitted[-1] if admitted else None,
        run=store.history.get(version.run_id) if version.run_id else None,
        fired=next((entry for entry in fires if entry.evidence.get("run") == version.run_id), None),
    )
