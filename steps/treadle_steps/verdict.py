"""From figures by window and column to alarms: persistence, importance, the dataset."""

from typing import Any, NamedTuple

TOP_COLUMNS, TOP_ALARMS = 5, 2


class Alarm(NamedTuple):
    """Whether the dataset alarms and why; the importance that alarmed columns hold together."""

    raised: bool
    reason: str
    importance: float


def persists(rejections: list[bool], k: int, m: int) -> bool:
    """Whether k of the last m windows reject; with fewer windows than m it still takes k."""
    return sum(rejections[-m:]) >= k


def weights(columns: list[str], importance: dict[str, float] | None) -> dict[str, float]:
    """The importance of each column, summing to 1; equal when nothing is known."""
    known = {name: max(0.0, float((importance or {}).get(name, 0.0))) for name in columns}
    total = sum(known.values())
    return {name: value / total if total else 1 / len(columns) for name, value in known.items()}


def dataset(alarmed: list[str], weight: dict[str, float], prediction: str | None, share: float, known: bool) -> Alarm:
    """The dataset alarms when the prediction does, when alarmed columns hold `share` of all importance, or when two of
    the five most important ones alarm; the last only if importances are `known`."""
    held = sum(weight.get(name, 0.0) for name in alarmed)
    if prediction is not None and prediction in alarmed:
        return Alarm(True, f"the prediction '{prediction}' drifted", held)
    if alarmed and held >= share:
        names = ", ".join(alarmed[:TOP_COLUMNS])
        return Alarm(True, f"{names} drifted: {held:.0%} of the importance", held)
    top = sorted(weight, key=lambda name: -weight[name])[:TOP_COLUMNS]
    among = [name for name in alarmed if name in top]
    if known and len(weight) > TOP_COLUMNS and len(among) >= TOP_ALARMS:
        return Alarm(True, f"{' and '.join(among)} drifted, of the {TOP_COLUMNS} most important columns", held)
    if alarmed:
        return Alarm(False, f"{', '.join(alarmed[:TOP_COLUMNS])} drifted, with {held:.0%} of the importance", held)
    return Alarm(False, "no column drifted", held)


def sentence(name: str, facts: dict[str, Any]) -> str:
    """The verdict on a column in a sentence."""
    seen = f"{facts['rejected']} of its last {facts['windows']} windows" if facts["windows"] > 1 else "this window"
    figure = f"{facts['statistic']} {facts['value']:.3g}"
    limit = f"limit {facts['limit']:g}"
    if facts["drifted"]:
        return f"{name} drifted: {figure} ({limit}) passed the test in {seen}."
    if facts["rejected"]:
        return f"{name} moved in {seen} ({figure}, {limit}); that is not yet often enough to alarm."
    if facts["value"] > facts["limit"]:
        return f"{name} looks moved ({figure}, {limit}), which so few rows do not prove."
    return f"{name} is as before: {figure} ({limit})."
