"""What a look at the triggers leaves in the ledger: (kind, subject, evidence), one for each decision."""

from typing import Any

from treadle.domain.trigger import Decision, Fire

Entry = tuple[str, str, dict[str, Any]]


def entries(pipeline: str, decisions: tuple[Decision, ...], run_id: str = "") -> list[Entry]:
    """Kinds are trigger.fire, trigger.merge and trigger.suppress; subjects are `PIPELINE/TRIGGER`.

    `run_id` is that of the run which the firing starts: `ledger why` finds the trigger by it.
    """
    found: list[Entry] = []
    for one in decisions:
        names = one.triggers if isinstance(one, Fire) else (one.trigger,)
        evidence: dict[str, Any] = {"reason": one.reason, "evidence": one.evidence}
        if isinstance(one, Fire):
            evidence |= {"triggers": list(names), "target": one.target, "run": run_id}
        found.append((f"trigger.{type(one).__name__.lower()}", f"{pipeline}/{names[0]}", evidence))
    return found
