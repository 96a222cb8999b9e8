"""Words of messages: a value as it is shown, and what somebody may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


def suggestion(word: str, choices: Iterable[str]) -> str:
    """Name the nearest of `choices`, or list them when there are few; "" when neither helps."""
    known = sorted(set(choices))
    close = get_close_matches(word[:100], known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return "known: " + ", ".join(known) if 0 < len(known) <= 20 else ""


def shown(value: Any) -> str:
    """A value as a message shows it: as Python's own, not numpy's."""
    return repr(value.item() if hasattr(value, "item") else value)
