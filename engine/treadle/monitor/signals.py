"""Metrics of monitor steps as signals: does a trigger's level alarm, is the data broken, or can nobody say?"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from treadle import expression
from treadle.domain.trigger import Observed, Rule

ALARM, BLOCKED, WINDOWS = "alarm", "blocked", "windows"


def drift(rule: Rule, metrics: Mapping[str, float] | None, evidence: dict[str, Any] | None = None) -> Observed:
    """What a monitor step found for a drift trigger; a step without figures, or without a full window, cannot say."""
    if not metrics or not isfinite(metrics.get(ALARM, float("nan"))):
        return Observed(rule.name, None, f"{rule.subject} has no figures yet", evidence or {})
    if metrics.get(WINDOWS) == 0:
        return Observed(rule.name, None, f"{rule.subject} has no window with enough rows", evidence or {})
    alarms = metrics[ALARM] > 0
    found = {name: value for name, value in metrics.items() if isfinite(value)}
    reason = f"{rule.subject} alarms" if alarms else f"{rule.subject} does not alarm"
    return Observed(rule.name, alarms, reason, {**found, **(evidence or {})})


def performance(rule: Rule, values: Mapping[str, float]) -> Observed:
    """Whether the expression of a performance trigger holds; names are metrics, `reference.x` and `champion.x`.

    A metric that is missing or no number says nothing: missing data is neither good nor bad.
    """
    parsed = expression.parse(rule.subject)
    used = {name: values.get(name) for name, _ in expression.names(parsed)}
    missing = [name for name, value in used.items() if value is None or not isfinite(value)]
    known = {name: value for name, value in used.items() if name not in missing}
    if missing:
        return Observed(rule.name, None, f"{missing[0]} is not known", dict(known))
    try:
        holds = bool(expression.evaluate(parsed, values))
    except expression.ExpressionError as error:
        return Observed(rule.name, None, f"{rule.subject}: {error}", dict(known))
    return Observed(rule.name, holds, f"{rule.subject} {'holds' if holds else 'does not hold'}", dict(known))


def broken(steps: Mapping[str, Mapping[str, float]]) -> str:
    """The first step, by name, whose metric `blocked` says that the data is broken, or ""."""
    return next((name for name in sorted(steps) if steps[name].get(BLOCKED, 0.0) > 0), "")
