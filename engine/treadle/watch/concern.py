"""Whether a change concerns what runs now. Pure, but for what `Project` reads."""

from collections.abc import Iterable, Mapping, Set
from typing import Any

from msgspec import structs, to_builtins

from treadle.code import CodeError, Project
from treadle.domain.plan import Plan, PlannedStep


def concerned(before: Plan, old: Project, after: Plan, new: Project) -> frozenset[str]:
    """The steps whose definition or code differs, those that came or went, and all below them.

    Data and files that code opens are not looked at. The pipeline's text may move: places in it make no difference.
    """
    was, now = _pictures(before, old), _pictures(after, new)
    found = {step for step in was.keys() | now.keys() if was.get(step) != now.get(step)}
    for step in after.steps:
        if not found.isdisjoint(step.needs):
            found.add(step.id)
    return frozenset(found)


def overtaken(plan: Plan, concerned: Set[str], running: Iterable[str]) -> bool:
    """Whether a step that a change concerns runs now, or could: nothing that runs now is above it."""
    needs = {step.id: step.needs for step in plan.steps}
    below = set(running)
    if not below.isdisjoint(concerned):
        return True
    for step in plan.steps:
        if not below.isdisjoint(needs[step.id]):
            below.add(step.id)
    return not concerned <= below


def _pictures(plan: Plan, code: Project) -> Mapping[str, Any]:
    return {step.id: _picture(step, plan, code) for step in plan.steps}


def _picture(step: PlannedStep, plan: Plan, code: Project) -> object:
    sources = [source for each in step.inputs.values() for source in each if source.step is None]
    data = [_placeless(to_builtins(plan.data[source.output])) for source in sources if source.output in plan.data]
    made_of: object = None
    try:
        if step.kind == "function":
            closure = code.closure(step.call)
            made_of = (closure.parts, closure.imports)
        elif step.kind == "command":
            made_of = code.command(step.call, step.env).parts
    except (CodeError, OSError) as error:
        made_of = str(error)
    sets = {name: sorted(value) for name, value in structs.asdict(step).items() if isinstance(value, frozenset)}
    return _placeless(to_builtins(structs.replace(step, listed=frozenset()))), sets, data, made_of


def _placeless(value: Any) -> Any:
    """Plain data without the places in the file that it came from."""
    if isinstance(value, dict):
        return {name: _placeless(item) for name, item in value.items() if name != "where"}
    if isinstance(value, list | tuple):
        return [_placeless(item) for item in value]
    return value
