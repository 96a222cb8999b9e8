"""A matrix comes together: the best cell goes on, or the list of all."""

from collections.abc import Mapping

from msgspec import Struct

from treadle.domain.artifact import Artifact
from treadle.domain.plan import PlannedStep
from treadle.store import Objects, add_list


class Gathered(Struct, frozen=True):
    """What a matrix hands on: outputs, metrics, and which cell they come from, in words."""

    outputs: dict[str, Artifact]
    metrics: dict[str, float]
    reason: str


def gather(
    step: PlannedStep,
    outputs: Mapping[str, Mapping[str, Artifact]],
    metrics: Mapping[str, Mapping[str, float]],
    objects: Objects,
) -> Gathered:
    """The outputs of a matrix from those of its cells that ran.

    Raises ValueError when `select` finds its metric in none of them.
    """
    cells = [cell for cell in step.needs if cell in outputs]
    if step.select is None:
        lists = {o.name: add_list(objects, [outputs[cell][o.name] for cell in cells]) for o in step.outputs}
        return Gathered(lists, {}, f"a list of {len(cells)}")
    name = step.select.metric
    scored = [(metrics.get(cell, {}).get(name), cell) for cell in cells]
    known = [(value, cell) for value, cell in scored if value is not None and value == value]
    if not known:
        raise ValueError(f"select needs the metric '{name}', which no cell of '{step.id}' has")
    best = max(known, key=lambda pair: pair[0]) if step.select.largest else min(known, key=lambda pair: pair[0])
    reason = f"{best[1]}: {'greatest' if step.select.largest else 'least'} {name} of {len(known)} ({best[0]:.6g})"
    return Gathered(dict(outputs[best[1]]), dict(metrics.get(best[1], {})), reason)
