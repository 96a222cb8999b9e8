"""The `rollout:` block of a model card: every key checked, nothing filled in."""

from typing import Any

from treadle.authoring import StepError
from treadle_steps.refusals import known_keys, one_of

KEYS = (
    "metric", "unit", "shadow", "steps", "ramp", "success", "guardrails", "limits", "on_inconclusive", "rollback",
    "after", "target", "goal", "margin", "alpha", "maturity", "champion", "challenger", "approve",
)  # fmt: skip
BLOCKS = {
    "shadow": ("share", "for", "max_error_rate", "max_disagreement"),
    "success": ("metric", "goal", "margin", "alpha", "maturity"),
    "limits": ("min_duration", "max_duration", "min_units", "max_units"),
    "rollback": ("automatic", "keep_warm", "quarantine"),
    "after": ("bake", "holdback", "holdback_for"),
}
LISTS = {
    "steps": ("enrol", "hold", "check", "until", "approve"),
    "guardrails": ("metric", "max", "min", "max_ratio", "harm", "alpha", "min_requests", "consecutive"),
}
WORDS = {
    "goal": ("superior", "non_inferior"),
    "on_inconclusive": ("keep_champion", "promote", "extend"),
    "target": ("local", "sagemaker", "kserve", "argo"),
    "approve": ("manual", "automatic"),
}


def checked(block: dict[str, Any] | None) -> dict[str, Any]:
    """Return the block as written, {} for None; raises StepError for an unknown key or word and for no metric."""
    if not block:
        return {}
    known_keys(block, KEYS, "rollout")
    for name, keys in BLOCKS.items():
        if name in block:
            known_keys(block[name], keys, f"rollout.{name}")
    for name, keys in LISTS.items():
        if not isinstance(block.get(name, []), list):
            raise StepError(f"rollout.{name} must be a list, not {block[name]!r}")
        for number, item in enumerate(block.get(name, [])):
            known_keys(item, keys, f"rollout.{name}[{number}]")
    success = block.get("success", {})
    _check_words("rollout", block)
    _check_words("rollout.success", success)
    if "metric" not in block and "metric" not in success:
        raise StepError("rollout names no metric", "rollout: {metric: the outcome that decides}")
    _check_unit(block.get("unit", "request"))
    return block


def _check_words(where: str, part: dict[str, Any]) -> None:
    for word, choices in WORDS.items():
        if word in part:
            one_of(part[word], choices, f"{where}.{word}")
    alpha = part.get("alpha", 0.05)
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < alpha < 1:
        raise StepError(f"{where}.alpha is {alpha!r}", "give a number between 0 and 1, such as 0.05")


def _check_unit(unit: Any) -> None:
    if isinstance(unit, dict):
        known_keys(unit, ("switchback",), "rollout.unit")
        known_keys(unit.get("switchback"), ("by", "window", "burn_in"), "rollout.unit.switchback")
    elif not isinstance(unit, str) or not unit:
        raise StepError(f"rollout.unit is {unit!r}", "give a column, request, or {switchback: {by: zone, window: 30m}}")
