"""A trigger as the pipeline file has it, resolved: durations in seconds, defaults filled in."""

from typing import Any

from treadle import quantity
from treadle.domain.spec import Trigger
from treadle.domain.trigger import Backoff, Budget, Rule


def rule(trigger: Trigger) -> Rule:
    """The rule of a trigger that has been checked."""
    given = trigger.options
    unless = given.get("unless", ())
    return Rule(
        name=trigger.name,
        kind=trigger.kind,
        subject=trigger.subject,
        target=given.get("run", ""),
        timezone=given.get("timezone", "UTC"),
        debounce=quantity.duration(given.get("debounce", 0)),
        cooldown=quantity.duration(given.get("cooldown", 0)),
        max_per_day=given.get("max_per_day"),
        budget=_budget(given.get("budget")),
        unless=(unless,) if isinstance(unless, str) else tuple(unless),
        on_fail=_backoff(given.get("on_fail", {})),
        group=trigger.group,
    )


def _budget(given: dict[str, Any] | None) -> Budget | None:
    return None if given is None else Budget(quantity.duration(given["per"]), given["runs"])


def _backoff(given: dict[str, Any]) -> Backoff:
    usual = Backoff()
    return Backoff(quantity.duration(given.get("backoff", usual.seconds)), given.get("max", usual.most))
