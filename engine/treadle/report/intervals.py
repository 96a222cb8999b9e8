"""Metrics with their intervals: `mae` with `mae_low` and `mae_high` is one figure, not three."""

from collections.abc import Mapping

LOW, HIGH = "_low", "_high"


def folded(metrics: Mapping[str, float]) -> list[tuple[str, float, str]]:
    """Name, value and `low … high`, or nothing; in the order of the metrics."""
    return [(name, value, _interval(metrics, name)) for name, value in metrics.items() if not is_end(name, metrics)]


def is_end(name: str, known: Mapping[str, object]) -> bool:
    """Whether a metric is an end of another one's interval."""
    base = name.removesuffix(LOW).removesuffix(HIGH)
    return base != name and {base, base + LOW, base + HIGH} <= known.keys()


def _interval(metrics: Mapping[str, float], name: str) -> str:
    low, high = metrics.get(name + LOW), metrics.get(name + HIGH)
    return "" if low is None or high is None else f"{low:.5g} … {high:.5g}"
