"""`in`, `after` and `foreach`: whether what they name exists; and which step needs which."""

from collections.abc import Iterator

from treadle.domain.spec import Reference, StepSpec
from treadle.errors import Problem, did_you_mean
from treadle.load.facts import Facts, Need, ambiguous
from treadle.load.places import Path


def references(step: StepSpec) -> Iterator[tuple[Reference, Path]]:
    """Every reference of a step that carries a value, with the path to it."""
    for name, refs in step.inputs.items():
        for position, ref in enumerate(refs):
            yield ref, ("in", name, position)
    if step.foreach is not None:
        yield step.foreach, ("foreach",)


def needs(step: StepSpec) -> Iterator[Need]:
    """The steps that a step needs, by value or by order."""
    for ref, path in references(step):
        if ref.kind == "step":
            yield Need(ref.name, path)
    for position, ref in enumerate(step.after):
        yield Need(ref.name, ("after", position))


def check(facts: Facts, step: StepSpec) -> Iterator[Problem]:
    """Problems with the references of one step."""
    spec = facts.spec
    for ref, path in references(step):
        if ref.kind == "data":
            if ref.name not in spec.data:
                yield _unknown_data(facts, ref, ("steps", step.id, *path))
        elif ref.name == step.id or ref.name not in spec.steps:
            yield _bad_step(facts, step, ref.name, ("steps", step.id, *path))
        else:
            yield from _output(facts, ref, ("steps", step.id, *path))
    for position, ref in enumerate(step.after):
        if ref.name == step.id or ref.name not in spec.steps:
            yield _bad_step(facts, step, ref.name, ("steps", step.id, "after", position))


def _bad_step(facts: Facts, step: StepSpec, name: str, path: Path) -> Problem:
    node = facts.places.value(*path)
    if name == step.id:
        text = f"'{name}' refers to itself"
        return facts.places.problem_inside(
            "self-reference", text, node, 0, len(name), "name the step that comes before it"
        )
    return unknown_step(facts, name, path)


def unknown_step(facts: Facts, name: str, path: Path, offset: int = 0) -> Problem:
    """No step has this name; a data entry of the name is what people most often mean."""
    if name in facts.spec.data:
        hint = f"write data.{name} for the data entry"
    else:
        hint = did_you_mean(name, facts.spec.steps)
    node = facts.places.value(*path)
    return facts.places.problem_inside("unknown-step", f"no step is called '{name}'", node, offset, len(name), hint)


def _unknown_data(facts: Facts, ref: Reference, path: Path) -> Problem:
    node = facts.places.value(*path)
    hint = did_you_mean(ref.name, facts.spec.data)
    if not hint.startswith("did") and ref.name in facts.spec.steps:
        hint = f"write {ref.name} for the step"
    text = f"no data entry is called '{ref.name}'"
    hint = hint or f"declare it at the top: data: {{{ref.name}: {{path: ...}}}}"
    return facts.places.problem_inside("unknown-data", text, node, len("data."), len(ref.name), hint)


def _output(facts: Facts, ref: Reference, path: Path) -> Iterator[Problem]:
    """Problems with the output that a reference names, or leaves open."""
    step = facts.spec.steps[ref.name]
    names = facts.outputs(step)
    if names is None or step.id in facts.broken:
        return
    if names and (ref.output in names if ref.output is not None else not ambiguous(step, names)):
        return
    node = facts.places.value(*path)
    if not names:
        text = f"'{ref.name}' has no outputs"
        hint = f"declare one: out: {{NAME: FILE}}; or write after: [{ref.name}] for the order alone"
        yield facts.places.problem_inside("unknown-output", text, node, 0, len(str(ref)), hint)
    elif ref.output is not None:
        text = f"'{ref.name}' has no output '{ref.output}'"
        if names == ("out",) and step.outputs is None:
            hint = f"it has one output, named by '{ref.name}' alone; or name the parts: out: [{ref.output}, ...]"
        else:
            hint = did_you_mean(ref.output, names)
        yield facts.places.problem_inside("unknown-output", text, node, len(ref.name) + 1, len(ref.output), hint)
    else:
        choices = ambiguous(step, names)
        text = f"'{ref.name}' has several outputs: {', '.join(choices)}"
        hint = f"name one: {' or '.join(f'{ref.name}.{choice}' for choice in choices)}"
        yield facts.places.problem_inside("ambiguous-output", text, node, 0, len(ref.name), hint)
