"""The `rollout:` block of a model card: every key and value checked, nothing filled in."""

from typing import Any

from treadle.authoring import Mistake, StepError, rollout_mistakes


def mistakes(block: Any) -> list[Mistake]:
    """Everything that is wrong with a block; what `check` asks."""
    return rollout_mistakes(block) if block else []


def checked(block: dict[str, Any] | None) -> dict[str, Any]:
    """Return the block as written, {} for None; raises StepError that names every mistake in it."""
    found = mistakes(block)
    if found:
        texts = [f"{one.text} ({one.hint})" if one.hint else one.text for one in found]
        raise StepError("; ".join(texts), "docs/rollouts.md lists every key")
    return block or {}
