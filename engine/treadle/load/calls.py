"""`uses`, `in` and `with` against the function: does it exist, and does it take what the step gives?"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from treadle.code import CodeError, Project, accepts, culprit, plain
from treadle.document.parse import Node
from treadle.domain.signature import Argument, Signature
from treadle.domain.spec import PipelineSpec, StepSpec
from treadle.errors import Problem, Related, did_you_mean
from treadle.load import placeholders
from treadle.load.facts import Facts
from treadle.load.places import Places

MOST_RELATED = 20


def read_signatures(
    spec: PipelineSpec, places: Places, library: Mapping[str, str], project: Project
) -> tuple[dict[str, Signature], list[Problem]]:
    """The signature of every step's function by step, and one problem for each function that cannot be read."""
    known: dict[str, Signature | None] = {}
    failed: dict[str, tuple[Problem, list[Related]]] = {}
    signatures = {}
    for step in spec.steps.values():
        if step.uses is None:
            continue
        uses = step.uses.text
        if uses not in known:
            known[uses], problem = _read(uses, places.value("steps", step.id, "uses"), places, library, project)
            if problem is not None:
                failed[uses] = problem, []
        elif uses in failed and len(failed[uses][1]) < MOST_RELATED:
            failed[uses][1].append(Related("used here too", step.uses.where))
        signature = known[uses]
        if signature is not None:
            signatures[step.id] = signature
    problems = [_with_related(problem, related) for problem, related in failed.values()]
    return signatures, problems


def _with_related(problem: Problem, more: list[Related]) -> Problem:
    related = (*problem.related, *more)
    return Problem(problem.code, problem.text, problem.where, problem.hint, problem.severity, related, problem.length)


def _read(
    uses: str, node: Node, places: Places, library: Mapping[str, str], project: Project
) -> tuple[Signature | None, Problem | None]:
    call = library.get(uses, "") if ":" not in uses else uses
    if not call:
        hint = _nearest(uses, library, project)
        text = f"the library has no step '{uses}'"
        return None, places.problem("unknown-library-step", text, node, hint)
    try:
        return project.signature(call), None
    except CodeError as error:
        if error.code == "syntax-error" and error.where is not None:
            used = Related("the step that uses it", places.at(node))
            text = f"this is not Python: {error.text}"
            return None, Problem("syntax-error", text, error.where, error.hint, related=(used,))
        related = (Related("this is what was found", error.where),) if error.where is not None else ()
        return None, places.problem(error.code, error.text, node, error.hint, related=related)


def _nearest(uses: str, library: Mapping[str, str], project: Project) -> str:
    """What the user may have meant by a library step that does not exist."""
    module, dot, name = uses.rpartition(".")
    if dot:
        try:
            project.signature(f"{module}:{name}")
        except CodeError:
            pass
        else:
            return f"for a function of your project write {module}:{name}"
    hint = did_you_mean(uses, library)
    return hint or "write module:function for a function of your project; `treadle steps` lists the library"


class _Shape:
    """What one function takes, prepared once for all steps that use it."""

    def __init__(self, signature: Signature, is_library: bool) -> None:
        self.name = signature.name
        self.arguments = {arg.name: arg for arg in signature.arguments}
        self.required = tuple(arg.name for arg in signature.arguments if arg.required)
        self.accepts_any = signature.accepts_any
        # A library step keeps inputs and parameters apart by the star in its signature.
        self.split = is_library and any(arg.keyword_only for arg in signature.arguments)


def check(facts: Facts) -> Iterator[Problem]:
    """Problems with what steps give to their functions."""
    shapes: dict[str, _Shape] = {}
    for step in facts.spec.steps.values():
        signature = facts.signatures.get(step.id)
        yield from _twice(facts, step)
        if step.uses is None:
            continue
        if signature is None:
            continue
        uses = step.uses.text
        if uses not in shapes:
            shapes[uses] = _Shape(signature, ":" not in uses)
        yield from _arguments(facts, step, shapes[uses])


def _twice(facts: Facts, step: StepSpec) -> Iterator[Problem]:
    if not step.params or not (step.inputs or step.matrix):
        return
    for name in step.params:
        first = "in" if name in step.inputs else "matrix" if name in step.matrix else ""
        if first and not (first == "matrix" and ("matrix", name) in placeholders.names(step.params)):
            node = facts.places.key("steps", step.id, "with", name)
            related = (Related("given here", facts.places.at(facts.places.key("steps", step.id, first, name))),)
            text = f"'{name}' is given twice: in `{first}` and in `with`"
            yield facts.places.problem("given-twice", text, node, "keep one of them", related=related)


def _arguments(facts: Facts, step: StepSpec, shape: _Shape) -> Iterator[Problem]:
    cells = free_cells(step)
    given = {**step.inputs, **step.params, **cells}
    missing = [name for name in shape.required if name not in given]
    for key, names in (("in", step.inputs), ("with", step.params), ("matrix", cells)):
        for name in names:
            argument = shape.arguments.get(name)
            if argument is None:
                if not shape.accepts_any:
                    problem, meant = _unknown(facts, step, shape, key, name, given)
                    missing = [other for other in missing if other != meant]
                    yield problem
            elif argument.positional_only:
                yield _positional(facts, step, shape, key, name)
            elif key == "with":
                yield from _parameter(facts, step, shape, argument)
    if step.foreach is not None and all(step.foreach not in refs for refs in step.inputs.values()):
        return  # the element of the list fills one of the arguments
    if missing and step.id not in facts.broken:
        yield _missing(facts, step, shape, missing)


def free_cells(step: StepSpec) -> dict[str, tuple[Any, ...]]:
    """The names of the matrix that are arguments, because no placeholder uses them."""
    if not step.matrix:
        return {}
    used = placeholders.names([step.params, step.env])
    return {name: values for name, values in step.matrix.items() if ("matrix", name) not in used}


def _unknown(
    facts: Facts, step: StepSpec, shape: _Shape, key: str, name: str, given: Iterable[str]
) -> tuple[Problem, str]:
    """An argument that the function does not have, and the one that was most likely meant."""
    free = [known for known in shape.arguments if known not in given] or list(shape.arguments)
    hint = did_you_mean(name, free)
    meant = hint.split("'")[1] if hint.startswith("did you mean") else ""
    if key == "matrix":
        hint = f"{hint}{'; ' if hint else ''}or use it as ${{matrix.{name}}} in `with`"
    node = facts.places.key("steps", step.id, key, name)
    assert step.uses is not None
    text = f"'{step.uses.text}' has no {'input' if key == 'in' else 'parameter'} '{name}'"
    return facts.places.problem("unknown-argument", text, node, hint or "the function takes no arguments"), meant


def _positional(facts: Facts, step: StepSpec, shape: _Shape, key: str, name: str) -> Problem:
    node = facts.places.key("steps", step.id, key, name)
    text = f"'{name}' of '{shape.name}' cannot be given by name"
    return facts.places.problem("positional-only", text, node, "remove the / from the function's arguments")


def _missing(facts: Facts, step: StepSpec, shape: _Shape, missing: list[str]) -> Problem:
    assert step.uses is not None
    node = facts.places.value("steps", step.id, "uses")
    inputs = [name for name in missing if not shape.arguments[name].keyword_only]
    params = [name for name in missing if shape.arguments[name].keyword_only]
    listed = " and ".join(f"'{name}'" for name in missing)
    text = f"'{step.uses.text}' needs {listed}"
    parts = []
    if inputs:
        other = "" if shape.split else " or `with`"
        parts.append(f"add {', '.join(inputs)} to `in`{other}")
    if params:
        parts.append(f"add {', '.join(params)} to `with`")
    return facts.places.problem("missing-argument", text, node, "; ".join(parts))


def _parameter(facts: Facts, step: StepSpec, shape: _Shape, argument: Argument) -> Iterator[Problem]:
    """Problems with one entry of `with` that the function has."""
    assert step.uses is not None
    name = argument.name
    if shape.split and not argument.keyword_only:
        node = facts.places.key("steps", step.id, "with", name)
        text = f"'{name}' is an input of '{step.uses.text}', not a parameter"
        hint = f"write it under `in`: in: {{{name}: data.NAME}} or in: {{{name}: STEP}}"
        yield facts.places.problem("wrong-section", text, node, hint)
        return
    if argument.annotation is None:
        return
    for value in values_of(facts, step, step.params[name]):
        if accepts(argument.annotation, value) is False:
            inside = culprit(argument.annotation, value)
            node = facts.places.value("steps", step.id, "with", name, *inside)
            part, written = _part(value, inside), _part(step.params[name], inside)
            blamed = f": {_shown(part)} does not fit" if inside else f", not {_shown(value)}"
            text = f"'{name}' of '{step.uses.text}' takes {plain(argument.annotation)}{blamed}"
            hint = _how(written, part) or _choice(argument.annotation, value)
            yield facts.places.problem("wrong-argument-type", text, node, hint)
            return


def _part(value: Any, path: tuple[str | int, ...]) -> Any:
    """What stands there; a text where a placeholder stands for a list or a map."""
    for step in path:
        if isinstance(value, str):
            return value
        value = value[step]
    return value


def _choice(annotation: str, value: Any) -> str:
    """The word of a Literal that a misspelt one is nearest to."""
    if not annotation.startswith("Literal[") or not isinstance(value, str):
        return ""
    hint = did_you_mean(value, re.findall(r"'([^']*)'", annotation))
    return hint if hint.startswith("did you mean") else ""


def values_of(facts: Facts, step: StepSpec, value: Any) -> list[Any]:
    """The values that a parameter can have; none where a placeholder's value is known only to a run."""
    if type(value) in (int, float, bool) or value is None:
        return [value]
    used = placeholders.names(value)
    if not used:
        return [value]
    known: dict[str, Any] = {f"params.{name}": param.default for name, param in facts.spec.params.items()}
    known.update((f"env.{name}", "") for group, name in used if group == "env")
    cells = [name for group, name in used if group == "matrix"]
    try:
        if len(cells) != 1:
            known.update((f"matrix.{name}", step.matrix[name][0]) for name in cells)
            filled = placeholders.fill(value, known)
            return [] if filled is None else [filled]
        return [placeholders.fill(value, {**known, f"matrix.{cells[0]}": cell}) for cell in step.matrix[cells[0]]]
    except (KeyError, IndexError):
        return []


def _how(written: Any, value: Any) -> str:
    if isinstance(written, str) and "${" in written:
        return f"this is the value of {written}"
    if isinstance(value, str) and value.replace(".", "", 1).isdigit():
        return "write the number without quotes"
    if value in ("yes", "no", "on", "off"):
        return "write true or false: yes, no, on and off are text"
    return ""


def _shown(value: Any) -> str:
    words = {"True": "true", "False": "false", "None": "null"}
    text = repr(value)
    return words.get(text, text if len(text) <= 60 else f"{text[:57]}...")
