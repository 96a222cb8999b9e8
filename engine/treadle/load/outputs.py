"""`out`, `save`, `secrets`, `no_key`, `executor` and `matrix`: names and paths within one step, and between steps."""

import posixpath
from collections.abc import Iterator
from math import prod

from treadle.document.parse import Node
from treadle.domain.spec import StepSpec
from treadle.errors import Problem, Related, did_you_mean
from treadle.load import placeholders
from treadle.load.facts import Facts
from treadle.load.places import Places

MOST_CELLS = 10_000
OWN_FOLDERS = (".git", ".treadle")


def check(facts: Facts) -> Iterator[Problem]:
    """Problems with what steps make and where they leave it."""
    saved: dict[str, tuple[str, Node]] = {}
    reported = set()
    for step in facts.spec.steps.values():
        if step.outputs is not None:
            yield from _declared(facts, step)
        if step.save:
            yield from _saved(facts, step, saved)
        if step.secrets or step.no_key:
            yield from _listed(facts, step)
        if step.matrix:
            yield from _matrix(facts, step)
        if step.executor and facts.executors and step.executor not in facts.executors:
            problem = _executor(facts, step.id, step.executor)
            if problem.where not in reported:  # one default serves many steps
                reported.add(problem.where)
                yield problem


def escapes(path: str) -> str:
    """Why a path may not be written to, or nothing."""
    normal = posixpath.normpath(path)
    if path.startswith(("/", "~")):
        return f"'{path}' is not relative to the project's root"
    if normal == ".." or normal.startswith("../"):
        return f"'{path}' leaves the project"
    if normal == ".":
        return f"'{path}' is the project itself"
    if normal.partition("/")[0] in OWN_FOLDERS:
        return f"'{path}' lies in a folder that is not yours to write to"
    return ""


def _escape(places: Places, node: Node, path: str) -> Iterator[Problem]:
    reason = escapes(path)
    if reason:
        hint = "write a path below the project's root, such as data/train.parquet"
        yield places.problem("escaping-path", reason, node, hint)


def _declared(facts: Facts, step: StepSpec) -> Iterator[Problem]:
    assert step.outputs is not None
    places = facts.places
    names: dict[str, int] = {}
    paths: dict[str, Node] = {}
    is_list = places.value("steps", step.id, "out").kind == "list"
    for position, output in enumerate(step.outputs):
        if output.name in names:
            node = places.value("steps", step.id, "out", position)
            first = places.value("steps", step.id, "out", names[output.name])
            related = (Related("first here", places.at(first)),)
            yield places.problem("duplicate-output", f"two outputs are called '{output.name}'", node, related=related)
        names[output.name] = position
        if output.path is None or is_list:
            continue
        node = places.value("steps", step.id, "out", output.name)
        node = places.value("steps", step.id, "out", output.name, "path") if node.kind == "map" else node
        if step.uses is not None:
            text = f"'{output.name}' is returned by a function, so it has no path of its own"
            hint = f"to keep a copy write save: {{{output.name}: {output.path}}}"
            yield places.problem("path-of-function-output", text, node, hint)
            continue
        yield from _escape(places, node, output.path)
        normal = posixpath.normpath(output.path)
        if normal in paths:
            related = (Related("first here", places.at(paths[normal])),)
            yield places.problem("duplicate-path", f"two outputs have the path '{normal}'", node, related=related)
        paths.setdefault(normal, node)
    yield from _against_function(facts, step, tuple(names))


def _against_function(facts: Facts, step: StepSpec, names: tuple[str, ...]) -> Iterator[Problem]:
    """Names in `out` that a function's NamedTuple does not have; a single one stands for the whole."""
    signature = facts.signatures.get(step.id)
    if signature is None or not signature.outputs or len(names) == 1:
        return
    for name in names:
        if name not in signature.outputs:
            node = facts.places.item(("steps", step.id, "out"), name)
            text = f"'{signature.name}' returns {', '.join(signature.outputs)}, not '{name}'"
            hint = did_you_mean(name, signature.outputs)
            yield facts.places.problem("unknown-output", text, node, hint)


def _saved(facts: Facts, step: StepSpec, saved: dict[str, tuple[str, Node]]) -> Iterator[Problem]:
    places = facts.places
    names = facts.outputs(step)
    for name, path in step.save.items():
        if names is not None and name not in names and step.id not in facts.broken:
            text = f"'{step.id}' has no output '{name}' to save"
            hint = did_you_mean(name, names) or "a command declares its outputs in `out`"
            yield places.problem("unknown-output", text, places.key("steps", step.id, "save", name), hint)
        node = places.value("steps", step.id, "save", name)
        yield from _escape(places, node, path)
        normal = posixpath.normpath(path)
        if normal in saved:
            other, first = saved[normal]
            text = f"'{normal}' is saved twice" if other == step.id else f"'{normal}' is saved by '{other}' already"
            related = (Related("first here", places.at(first)),)
            yield places.problem("duplicate-path", text, node, "choose another path", related=related)
        saved.setdefault(normal, (step.id, node))


def _listed(facts: Facts, step: StepSpec) -> Iterator[Problem]:
    places = facts.places
    for name in step.secrets:
        if name in step.env:
            node = places.item(("steps", step.id, "secrets"), name)
            related = (Related("given in plain text here", places.at(places.key("steps", step.id, "env", name))),)
            text = f"'{name}' is a secret and stands in `env` too, which is recorded"
            yield places.problem("secret-in-env", text, node, "take it out of `env`", related=related)
    signature = facts.signatures.get(step.id)
    if step.uses is not None and signature is None:
        return
    known = {*step.params, *step.matrix, *(arg.name for arg in (signature.arguments if signature else ()))}
    if step.command is not None:
        known |= {name for group, name in placeholders.COMMAND.findall(step.command.text) if group == "params"}
    for name in step.no_key:
        if name not in known and not (signature is not None and signature.accepts_any):
            node = places.item(("steps", step.id, "no_key"), name)
            hint = did_you_mean(name, known)
            yield places.problem("unknown-argument", f"the step has no parameter '{name}'", node, hint)


def _matrix(facts: Facts, step: StepSpec) -> Iterator[Problem]:
    cells = prod(map(len, step.matrix.values()))
    if cells > MOST_CELLS:
        node = facts.places.key("steps", step.id, "matrix")
        text = f"this matrix has {cells:,} combinations; {MOST_CELLS:,} is the most"
        yield facts.places.problem("too-many-cells", text, node, "take values out, or split the step")
    for name, values in step.matrix.items():
        seen: dict[str, int] = {}
        for position, value in enumerate(values):
            text = str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)
            if seen.setdefault(text, position) != position:
                node = facts.places.value("steps", step.id, "matrix", name, position)
                related = (
                    Related(
                        "first here", facts.places.at(facts.places.value("steps", step.id, "matrix", name, seen[text]))
                    ),
                )
                hint = "keep one of them: the steps of a matrix are named by their values"
                yield facts.places.problem("equal-cells", f"'{name}' is {text} twice", node, hint, related=related)
    if step.command is None:
        return  # what a function does not take is an unknown argument
    used = placeholders.names([step.params, step.env])
    used |= {("matrix", name) for group, name in placeholders.COMMAND.findall(step.command.text) if group == "params"}
    for name in step.matrix:
        if ("matrix", name) not in used:
            node = facts.places.key("steps", step.id, "matrix", name)
            hint = f"write {{params.{name}}} in the command"
            text = f"the command never uses '{name}', so its runs would all be the same"
            yield facts.places.problem("unused-matrix-name", text, node, hint)


def _executor(facts: Facts, step: str, name: str) -> Problem:
    own = facts.places.value("steps", step)
    path = ("steps", step, "executor") if own.kind == "map" and "executor" in own.value else ("defaults", "executor")
    hint = did_you_mean(name, facts.executors)
    node = facts.places.value(*path)
    return facts.places.problem("unknown-executor", f"no executor is called '{name}'", node, hint)
