"""Metrics of monitor steps as signals: alarming, quiet, or nobody can say."""

import pytest

from treadle.domain.trigger import Rule
from treadle.monitor import signals

DRIFT = Rule(name="d", kind="drift", subject="monitor")
WORSE = Rule(name="w", kind="performance", subject="mae > 1.1 * reference.mae")
NAN = float("nan")


@pytest.mark.parametrize(
    ("metrics", "alarms", "reason"),
    [
        ({"alarm": 1.0, "windows": 4.0}, True, "monitor alarms"),
        ({"alarm": 0.0}, False, "monitor does not alarm"),
        ({"alarm": 0.0, "windows": 0.0}, None, "monitor has no window with enough rows"),
        ({"alarm": NAN}, None, "monitor has no figures yet"),
        ({}, None, "monitor has no figures yet"),
        (None, None, "monitor has no figures yet"),
    ],
)
def test_drift(metrics: dict[str, float] | None, alarms: bool | None, reason: str) -> None:
    found = signals.drift(DRIFT, metrics)
    assert (found.alarms, found.reason) == (alarms, reason)


@pytest.mark.parametrize(
    ("values", "alarms", "reason"),
    [
        ({"mae": 1.2, "reference.mae": 1.0}, True, "mae > 1.1 * reference.mae holds"),
        ({"mae": 1.0, "reference.mae": 1.0}, False, "mae > 1.1 * reference.mae does not hold"),
        ({"mae": NAN, "reference.mae": 1.0}, None, "mae is not known"),
        ({"mae": 1.0}, None, "reference.mae is not known"),
    ],
)
def test_performance(values: dict[str, float], alarms: bool | None, reason: str) -> None:
    found = signals.performance(WORSE, values)
    assert (found.alarms, found.reason) == (alarms, reason)
    assert NAN not in found.evidence.values()


def test_broken_data_is_named_by_its_step() -> None:
    assert signals.broken({"a": {"blocked": 0.0}, "c": {"blocked": 1.0}, "b": {"blocked": 2.0}}) == "b"
    assert signals.broken({"a": {"alarm": 1.0}}) == ""
