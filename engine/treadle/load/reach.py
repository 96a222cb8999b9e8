"""What never runs and what nobody uses: gates below a false `if`, steps whose outputs go nowhere.

A step is called unused only when nobody could want it for its own sake. Nobody reads it, waits for it,
saves it or is started by it; it has no gate, no metrics and `cache: false` does not say that it acts on the
world; it is not the pipeline's only end; and it is one of
- a step of the library that only prepares data (ingest, split, features, simulate),
- a function whose outputs were given names in `out`, though nobody reads them,
- a function that takes nothing from data or from steps, beside other steps that are connected.
"""

from collections.abc import Iterator, Mapping

from treadle.domain.spec import StepSpec
from treadle.errors import Problem, Related
from treadle.load.facts import METRICS, Facts, Need

PREPARES = ("ingest.", "split.", "features.", "simulate.")
Needs = Mapping[str, list[Need]]


def unreachable(facts: Facts, needs: Needs, never: list[str]) -> Iterator[Problem]:
    """Gates of the steps `never`, whose `if` is always false, and of all that needs them."""
    if not never:
        return
    users: dict[str, list[str]] = {}
    for user, found in needs.items():
        for need in found:
            users.setdefault(need.name, []).append(user)
    reported = set()
    for root in never:
        todo, seen = [root], {root}
        while todo:
            name = todo.pop()
            step = facts.spec.steps[name]
            if step.gates and name not in reported:
                reported.add(name)
                node = facts.places.value("steps", name, "gate", 0)
                condition = facts.places.at(facts.places.value("steps", root, "if"))
                text = f"this gate is never judged: '{root}' never runs"
                hint = "use a parameter in `if`, or take the steps out"
                related = (Related("this condition is always false", condition),)
                yield facts.places.problem("unreachable-gate", text, node, hint, related=related)
            for user in users.get(name, ()):
                if user not in seen:
                    seen.add(user)
                    todo.append(user)


def unused(facts: Facts, needs: Needs) -> Iterator[Problem]:
    """Warnings for steps that nobody uses; only for a pipeline without errors."""
    steps = facts.spec.steps
    used = {need.name for found in needs.values() for need in found}
    for trigger in facts.spec.triggers.values():
        used.update(name for name in (trigger.subject, trigger.options.get("run")) if isinstance(name, str))
    ends = [name for name in steps if name not in used]
    if len(ends) < 2:
        return
    connected = any(needs.values())
    for name in ends:
        step = steps[name]
        if step.uses is None or name in facts.broken or name not in facts.signatures or _acts(facts, step):
            continue
        prepares = ":" not in step.uses.text and step.uses.text.startswith(PREPARES)
        alone = connected and ":" in step.uses.text and not step.inputs and not needs.get(name) and not step.foreach
        if prepares or step.outputs or alone:
            node = facts.places.key("steps", name)
            text = f"nothing uses '{name}'"
            hint = "use its output in another step, keep it with `save`, or remove the step"
            yield facts.places.problem("unused-step", text, node, hint, "warning")


def _acts(facts: Facts, step: StepSpec) -> bool:
    """Say whether a step is worth running though nobody reads it."""
    if step.gates or step.save or step.secrets or not step.caching.enabled or step.select is not None:
        return True
    names = facts.outputs(step)
    return names is None or METRICS in names or bool(facts.metrics(step))
