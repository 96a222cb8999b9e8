"""Texts in `with` that name a class or function of an installed package: is it there, does it take its arguments?

An argument annotated `Annotated[str, Takes("params", "space")]` names one; the keys of these maps, and whatever else a
function with `**settings` is given, are its arguments. What is not installed here may be where the step runs: nothing
is said of it.
"""

from collections.abc import Iterator, Mapping

from treadle.code import CodeError, Project, UnknownName, takes
from treadle.domain.signature import Argument, Signature
from treadle.domain.spec import StepSpec
from treadle.errors import Problem, did_you_mean
from treadle.load.calls import free_cells, values_of
from treadle.load.facts import Facts

Found = Signature | CodeError
Asked = tuple[Signature, Argument, tuple[str, ...]]  # a step's, its argument with the name, the maps with arguments


def check(facts: Facts, project: Project) -> Iterator[Problem]:
    """Problems with what such texts name; each name is read once."""
    known: dict[str, Found] = {}
    for step in facts.spec.steps.values():
        signature = facts.signatures.get(step.id)
        for argument in signature.arguments if signature is not None else ():
            maps = takes(argument.annotation) if argument.annotation is not None else ()
            if signature is not None and maps and argument.name in step.params:
                yield from _check(facts, project, known, step, (signature, argument, maps))


def _check(facts: Facts, project: Project, known: dict[str, Found], step: StepSpec, asked: Asked) -> Iterator[Problem]:
    signature, argument, maps = asked
    names = [name for name in values_of(facts, step, step.params[argument.name]) if isinstance(name, str)]
    for name in names:
        node = facts.places.value("steps", step.id, "with", argument.name)
        if "." not in name.replace(":", "."):
            hint = "write it in full, as in package.module.Class"
            yield facts.places.problem("unknown-name", f"'{name}' has no module", node, hint)
            continue
        if name not in known:
            known[name] = _read(name, project)
        found = known[name]
        if isinstance(found, UnknownName) and found.certain:
            module, _, word = name.rpartition(".")
            text = f"'{module}' has no '{word}'"
            yield facts.places.problem("unknown-name", text, node, did_you_mean(word, found.known))
        elif isinstance(found, CodeError) and found.code == "unknown-module" and _is_installed(name, project):
            text = f"there is no module '{name.rpartition('.')[0]}'"
            yield facts.places.problem("unknown-name", text, node, "is it whole, as in package.module.Class?")
        elif isinstance(found, Signature) and len(names) == 1:
            yield from _arguments(facts, step, (signature, maps), name, found)


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
    facts: Facts, step: StepSpec, given: tuple[Signature, tuple[str, ...]], name: str, found: Signature
) -> Iterator[Problem]:
    """Problems with the arguments, from the maps and from the step's own further parameters."""
    signature, maps = given
    if found.accepts_any:
        return
    known = [argument.name for argument in found.arguments]
    own = {argument.name for argument in signature.arguments}
    blocks = {name: block for name in maps if isinstance(block := step.params.get(name), Mapping)}
    paths: list[tuple[str, ...]] = [("with", name, key) for name, block in blocks.items() for key in block]
    if signature.accepts_any:
        paths += [("with", key) for key in step.params if key not in own]
        paths += [("matrix", key) for key in free_cells(step) if key not in own]
    for path in paths:
        if path[-1] not in known:
            node = facts.places.key("steps", step.id, *path)
            meant = [*known, *own] if len(path) == 2 else known  # beside the step's own parameters, or in a map
            hint = did_you_mean(path[-1], meant) or "known: " + ", ".join(known)
            yield facts.places.problem("unknown-argument", f"'{name}' has no parameter '{path[-1]}'", node, hint)
