"""Which parameters to try: every combination of lists, or draws."""

import math
from itertools import product
from typing import Any

import numpy as np

from treadle.authoring import StepError
from treadle_steps.refusals import known_keys

MOST = 10_000
DRAWS = ("uniform", "log", "int")


def grid(space: dict[str, Any]) -> list[dict[str, Any]]:
    """Every combination, in the order of scikit-learn's ParameterGrid."""
    _need_space(space)
    for name, values in space.items():
        if not isinstance(values, list) or not values:
            raise StepError(f"space: '{name}' is {values!r}", "a grid needs a list of values; or strategy: random")
    if math.prod(len(values) for values in space.values()) > MOST:
        raise StepError(f"the grid has more than {MOST:,} candidates", "draw some: with: {strategy: random}")
    names = sorted(space)
    return [dict(zip(names, values, strict=True)) for values in product(*(space[name] for name in names))]


def random(space: dict[str, Any], count: int, seed: int) -> list[dict[str, Any]]:
    """`count` draws, the same for the same seed."""
    _need_space(space)
    if not 1 <= count <= MOST:
        raise StepError(f"count is {count}", f"give 1 to {MOST:,} candidates")
    draw = np.random.default_rng(seed)
    return [{name: _drawn(name, space[name], draw) for name in sorted(space)} for _ in range(count)]


def _drawn(name: str, values: Any, draw: np.random.Generator) -> Any:
    if isinstance(values, list) and values:
        return values[int(draw.integers(len(values)))]
    block = known_keys(values, DRAWS, f"space: '{name}'")
    if len(block) != 1:
        raise StepError(f"space: '{name}' is {values!r}", "give a list, or one of uniform, log and int with two limits")
    [(kind, limits)] = block.items()
    try:
        low, high = (float(limit) for limit in limits)
    except (TypeError, ValueError):
        raise StepError(f"space: '{name}' has the limits {limits!r}", "give two numbers: [low, high]") from None
    if low > high or (kind == "log" and low <= 0):
        raise StepError(f"space: '{name}' has the limits {limits!r}", "low first; above 0 for log")
    if kind == "int":
        return int(draw.integers(int(low), int(high), endpoint=True))
    return float(draw.uniform(low, high) if kind == "uniform" else np.exp(draw.uniform(np.log(low), np.log(high))))


def _need_space(space: Any) -> None:
    if not isinstance(space, dict) or not space:
        raise StepError("the space has no parameter", "with: {space: {alpha: [0.1, 1, 10]}}")
