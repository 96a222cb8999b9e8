"""The last line of a run."""

from treadle.quantity import format_duration

TYPE_CHECKING = False  # importing typing for it would take 3 ms
if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = {"run": "ran", "hit": "unchanged", "skip": "skipped", "failed": "failed", "cancelled": "cancelled"}


def last_line(status: str, fates: "Mapping[str, int]", seconds: float, run_id: str) -> str:
    """How a run ended: how many steps met each fate, and how long it took."""
    counts = ", ".join(f"{fates[fate]} {word}" for fate, word in WORDS.items() if fate in fates)
    took = format_duration(seconds)
    if set(fates) == {"hit"}:
        return f"nothing to do: {counts} ({took})"
    return f"{status}: {counts} in {took}  [run {run_id}]"
