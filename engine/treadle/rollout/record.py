"""What an evaluation leaves in the ledger: (kind, subject, evidence), to be appended with the state it led to."""

from typing import Any

from msgspec import structs, to_builtins

from treadle.domain.rollout import Action, Journal, Rollout

Entry = tuple[str, str, dict[str, Any]]


def entries(rollout: Rollout, actions: tuple[Action, ...]) -> list[Entry]:
    """One entry for each action: kinds begin with `rollout.`, the subject is the challenger's `MODEL/VERSION`."""
    subject = f"{rollout.model}/{rollout.challenger}"
    found: list[Entry] = []
    for action in actions:
        kind = "evaluation" if isinstance(action, Journal) else _kebab(type(action).__name__)
        plain: dict[str, Any] = to_builtins(structs.asdict(action), str_keys=True)
        found.append((f"rollout.{kind}", subject, {"rollout": rollout.rollout_id, **plain}))
    return found


def _kebab(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")
