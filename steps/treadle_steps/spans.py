"""Parameters of the monitors that are words or have limits: spans of time, k of m, rates, detectors.

`check` asks the functions that return mistakes, so this imports nothing heavy; the steps ask those that raise.
"""

import re
from typing import Any

from treadle.authoring import Mistake, StepError

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
WRITE = "write a number and a unit, such as 15m, 1h30m or 7d"
DETECTORS, DEFAULT = "treadle.detectors", "psi_min_effect"


def seconds(text: str | float, what: str) -> float:
    """Seconds of `15m`, `1h30m`, `7d` or a number; raises StepError that names `what`."""
    if isinstance(text, int | float) and not isinstance(text, bool) and text >= 0:
        return float(text)
    if isinstance(text, str) and text and not SPAN.sub("", text):
        return sum(float(number) * UNITS[unit] for number, unit in SPAN.findall(text))
    raise StepError(f"{what} is {text!r}, which is no duration", WRITE)


def k_of_m(text: str, what: str) -> tuple[int, int]:
    """(k, m) of `3/4`: alarm when k of the last m windows reject; raises StepError."""
    found = re.fullmatch(r"([1-9]\d?)/([1-9]\d?)", str(text))
    if not found or int(found[1]) > int(found[2]):
        raise StepError(f"{what} is {text!r}", "write how many of how many windows, such as 3/4")
    return int(found[1]), int(found[2])


def detectors() -> list[str]:
    """The names of the detectors that are installed."""
    from importlib.metadata import entry_points  # lazy: 15 ms that a check without `method:` spares

    return sorted({entry.name for entry in entry_points(group=DETECTORS)} | {DEFAULT})


def span(value: Any) -> list[Mistake]:
    """What is wrong with a span of time, which may be nothing."""
    try:
        if value is not None:
            seconds(value, "")
    except StepError:
        return [Mistake((), f"{value!r} is no duration", WRITE)]
    return []


def length(value: Any) -> list[Mistake]:
    """What is wrong with the length of a window."""
    found = span(value)
    return found or ([] if value is None or seconds(value, "") else [Mistake((), "a window of no length", WRITE)])


def persistence(value: Any) -> list[Mistake]:
    """What is wrong with k of m."""
    try:
        k_of_m(value, "")
    except StepError:
        return [Mistake((), f"{value!r} is not k of m windows", "such as 3/4: at most as many as there are")]
    return []


def rate(value: Any) -> list[Mistake]:
    """What is wrong with a rate of errors."""
    return [] if 0 < value < 1 else [Mistake((), f"{value} is no rate", "between 0 and 1, such as 0.01")]


def effect(value: Any) -> list[Mistake]:
    """What is wrong with a least effect."""
    return [] if value > 0 else [Mistake((), f"{value} is no effect", "above 0, such as 0.1")]


def method(value: Any) -> list[Mistake]:
    """What is wrong with the name of a detector; one that is installed elsewhere alone is not known here."""
    known = detectors()
    if value in known:
        return []
    from treadle_steps.words import suggestion  # lazy: difflib, which only a mistake needs

    return [Mistake((), f"no detector is called '{value}'", suggestion(str(value), known))]
