"""Early cut-off: a step ran and made what was known already, so that what reads it need not run."""

from collections.abc import Mapping

from treadle.domain.plan import Plan
from treadle.domain.run import HIT, RUN


def saved(plan: Plan, fates: Mapping[str, str]) -> dict[str, int]:
    """How many steps each step cut off: hits that would have run, had the step made something new.

    A hit that reads what a step made that ran proves the cut; hits that read such hits go with it. Each saved step
    counts once, for the first cut that its inputs lead to. A matrix passes the cut of its cells on uncounted.
    """
    origin: dict[str, str] = {}  # a step → the step above it, or itself, that ran
    counts: dict[str, int] = {}
    for step in plan.steps:  # every step after its needs
        reads = [source.step for sources in step.inputs.values() for source in sources if source.step is not None]
        above = next((origin[need] for need in reads if need in origin), None)
        fate = fates.get(step.id)
        if step.kind != "gather" and fate == RUN:
            origin[step.id] = step.id
        elif above is not None and fate in (HIT, RUN):
            origin[step.id] = above
            if step.kind != "gather":
                counts[above] = counts.get(above, 0) + 1
    return counts
