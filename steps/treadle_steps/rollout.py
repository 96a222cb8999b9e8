"""The `rollout:` block of a model card: every key and value checked, nothing filled in."""

from typing import Any

from treadle.authoring import StepError, rollout_problems


def checked(block: dict[str, Any] | None) -> dict[str, Any]:
    """Return the block as written, {} for None; raises StepError that names every mistake in it."""
    if not block:
        return {}
    found = rollout_problems(block)
    if found:
        raise StepError("; ".join(found), "docs/rollouts.md lists every key")
    return block
