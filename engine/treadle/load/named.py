"""Texts in `with` that name a class or function of an installed package: is it there, does it take its arguments?

An argument annotated `Annotated[str, Takes("params")]` names one; the map called `params`, and whatever else a function
with `**settings` is given, are its arguments. What is not installed here may be where the step runs: nothing is said.
"""

from collections.abc import Iterator, Mapping

from treadle.code import CodeError, Project, UnknownName, takes
from treadle.domain.signature import Argument, Signature
from treadle.domain.spec import StepSpec
from treadle.errors import Problem, did_you_mean
from treadle.load.calls import free_cells, values_of
from treadle.load.facts import Facts

Found = Signature | CodeError


def check(facts: Facts, project: Project) -> Iterator[Problem]:
    """Problems with what such texts name; each name is read once."""
    known: dict[str, Found] = {}
    for step in facts.spec.steps.values():
        signature = facts.signatures.get(step.id)
        for argument in signature.arguments if signature is not None else ():
            parameter = takes(argument.annotation) if argument.annotation is not None else None
            if signature is not None and parameter is not None and argument.name in step.params:
                yield from _check(facts, project, known, step, (signature, argument, parameter))


def _check(
    facts: Facts, project: Project, known: dict[str, Found], step: StepSpec, asked: tuple[Signature, Argument, str]
) -> Iterator[Problem]:
    signature, argument, parameter = asked
    names = [name for name in values_of(facts, step, step.params[argument.name]) if isinstance(name, str)]
    for name in names:
        if name not in known:
            known[name] = _read(name, project)
        found = known[name]
        if isinstance(found, UnknownName) and found.certain:
            module, _, word = name.rpartition(".")
            text = f"'{module}' has no '{word}'"
            node = facts.places.value("steps", step.id, "with", argument.name)
            yield facts.places.problem("unknown-name", text, node, did_you_mean(word, found.known))
        elif isinstance(found, CodeError) and found.code == "unknown-module" and _is_installed(name, project):
            text = f"there is no module '{name.rpartition('.')[0]}'"
            node = facts.places.value("steps", step.id, "with", argument.name)
            yield facts.places.problem("unknown-name", text, node, "is it whole, as in package.module.Class?")
        elif isinstance(found, Signature) and len(names) == 1:
            yield from _arguments(facts, step, (signature, parameter), name, found)


def _read(name: str, project: Project) -> Found:
    module, _, word = name.rpartition(".")
    try:
        return project.signature(f"{module}:{word}")
    except CodeError as error:
        return error


def _is_installed(name: str, project: Project) -> bool:
    """Whether the package that a name begins with can be found at all."""
    error = _read(f"{name.partition('.')[0]}.no_such_name", project)
    return isinstance(error, CodeError) and error.code != "unknown-module"


def _arguments(
    facts: Facts, step: StepSpec, given: tuple[Signature, str], name: str, found: Signature
) -> Iterator[Problem]:
    """Problems with the arguments, from the map and from the step's own further parameters."""
    signature, parameter = given
    if found.accepts_any:
        return
    known = [argument.name for argument in found.arguments]
    own = {argument.name for argument in signature.arguments}
    block = step.params.get(parameter)
    paths: list[tuple[str, ...]] = [("with", parameter, key) for key in block] if isinstance(block, Mapping) else []
    if signature.accepts_any:
        paths += [("with", key) for key in step.params if key not in own]
        paths += [("matrix", key) for key in free_cells(step) if key not in own]
    for path in paths:
        if path[-1] not in known:
            node = facts.places.key("steps", step.id, *path)
            hint = did_you_mean(path[-1], known) or "known: " + ", ".join(known)
            yield facts.places.problem("unknown-argument", f"'{name}' has no parameter '{path[-1]}'", node, hint)
