"""`${params.x}`, `${matrix.x}` and `${env.X}` in values, and `{in.x}` in commands: their syntax and their names."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from treadle.document.parse import Node
from treadle.domain.spec import StepSpec
from treadle.errors import Problem, did_you_mean
from treadle.load.facts import Facts
from treadle.load.places import Path

GROUPS = ("params", "matrix", "env")
COMMAND = re.compile(r"\{(in|out|params)\.([A-Za-z_][A-Za-z0-9_-]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


class Placeholder(Struct, frozen=True):
    """One `${group.name}` of a string; `error` says what is wrong with its syntax."""

    start: int
    end: int
    group: str
    name: str
    error: str = ""


def scan(text: str) -> list[Placeholder]:
    """Every placeholder of a string, good or bad; `$${` stands for a plain `${`."""
    found = []
    at = text.find("${")
    while at >= 0:
        if at and text[at - 1] == "$":
            at = text.find("${", at + 2)
            continue
        end = text.find("}", at)
        if end < 0:
            found.append(Placeholder(at, len(text), "", "", "this placeholder is not closed"))
            break
        found.append(_read(text, at, end + 1))
        at = text.find("${", end)
    return found


def _read(text: str, start: int, end: int) -> Placeholder:
    inner = text[start + 2 : end - 1].strip()
    group, dot, name = inner.partition(".")
    error = ""
    if "${" in inner:
        error = "this placeholder is not closed"
    elif not dot or group not in GROUPS:
        error = f"'${{{inner}}}' names neither a parameter nor a matrix nor a variable"
    elif not _NAME.match(name):
        error = f"'{name}' is not a name"
    return Placeholder(start, end, group, name, error)


def names(value: Any) -> set[tuple[str, str]]:
    """All (group, name) that the placeholders anywhere in a value refer to."""
    found: set[tuple[str, str]] = set()
    todo = [value]
    while todo:
        inner = todo.pop()
        if isinstance(inner, str):
            if "${" in inner:
                found.update((one.group, one.name) for one in scan(inner))
        elif isinstance(inner, dict):
            todo += [*inner, *inner.values()]
        elif isinstance(inner, list | tuple):
            todo += inner
    return found


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """The value with its placeholders replaced by `values` (`params.x` → value).

    Raises KeyError when one of them has no value here.
    """
    if isinstance(value, list):
        return [fill(item, values) for item in value]
    if isinstance(value, dict):
        return {key: fill(item, values) for key, item in value.items()}
    if not isinstance(value, str) or "${" not in value:
        return value
    found = scan(value)
    if len(found) == 1 and (found[0].start, found[0].end) == (0, len(value)):
        return values[f"{found[0].group}.{found[0].name}"]
    for one in found:
        values[f"{one.group}.{one.name}"]
    return value


def check(facts: Facts, step: StepSpec) -> Iterator[Problem]:
    """Problems with the placeholders of one step."""
    for key, value in (("with", step.params), ("env", step.env), ("matrix", step.matrix), ("save", step.save)):
        if value and "${" in repr(value):  # as quick as the walk is long
            yield from _below(facts, step, ("steps", step.id, key))
    for output in step.outputs or ():
        if output.path and "${" in output.path:
            yield from _below(facts, step, ("steps", step.id, "out", output.name))
    if step.command is not None:
        yield from _command(facts, step)


def check_data(facts: Facts) -> Iterator[Problem]:
    """Problems with the placeholders of the data entries."""
    for name, source in facts.spec.data.items():
        if "${" in source.target:
            yield from _below(facts, None, ("data", name))


def _below(facts: Facts, step: StepSpec | None, path: Path) -> Iterator[Problem]:
    """Problems of all strings in the tree below a path, keys included."""
    todo = [facts.places.value(*path)]
    while todo:
        node = todo.pop()
        if node.kind == "map":
            todo += [*node.keys.values(), *node.value.values()]
        elif node.kind == "list":
            todo += node.value
        elif isinstance(node.value, str) and "${" in node.value:
            for one in scan(node.value):
                yield from _one(facts, step, node, one)


def _one(facts: Facts, step: StepSpec | None, node: Node, one: Placeholder) -> Iterator[Problem]:
    places = facts.places
    if one.error:
        hint = "write ${params.NAME}, ${matrix.NAME} or ${env.NAME}; $${ stands for a plain ${"
        yield places.problem_inside("bad-placeholder", one.error, node, one.start, one.end - one.start, hint)
        return
    start = node.value.index(one.name, one.start + 2 + len(one.group))
    if one.group == "params" and one.name not in facts.spec.params:
        yield places.problem_inside("unknown-param", *unknown_param(facts, one.name, node, start))
    elif one.group == "matrix":
        cells = step.matrix if step is not None else {}
        if one.name not in cells:
            text = f"the matrix has no name '{one.name}'" if cells else "there is no matrix here"
            hint = did_you_mean(one.name, cells) or f"add it to the step: matrix: {{{one.name}: [...]}}"
            yield places.problem_inside("unknown-matrix-name", text, node, start, len(one.name), hint)


def unknown_param(facts: Facts, name: str, node: Node, start: int) -> tuple[str, Node, int, int, str]:
    """What to say of a parameter that the pipeline does not have."""
    hint = did_you_mean(name, facts.spec.params) or f"declare it at the top: params: {{{name}: ...}}"
    return f"no parameter is called '{name}'", node, start, len(name), hint


def _command(facts: Facts, step: StepSpec) -> Iterator[Problem]:
    """Unknown placeholders of a command, and what the command never uses."""
    assert step.command is not None
    text = step.command.text
    node = facts.places.value("steps", step.id, "run")
    outputs = facts.outputs(step) or ()
    known: dict[str, set[str]] = {
        "in": set(step.inputs),
        "out": set(outputs),
        "params": {*step.params, *step.matrix, *facts.spec.params},
    }
    used = set()
    for match in COMMAND.finditer(text):
        group, name = match[1], match[2]
        used.add((group, name))
        if name not in known[group] and not (step.id in facts.broken and group != "params"):
            hint = did_you_mean(name, known[group]) or _declare(group, name)
            message = f"the step has no {_WORDS[group]} '{name}'"
            yield facts.places.problem_inside("unknown-placeholder", message, node, match.start(2), len(name), hint)
    yield from _unused(facts, step, "unused-input", "in", step.inputs, used)
    yield from _unused(facts, step, "unused-output", "out", outputs, used)


def _unused(
    facts: Facts, step: StepSpec, code: str, group: str, declared: Iterable[str], used: set[tuple[str, str]]
) -> Iterator[Problem]:
    for name in declared:
        if (group, name) not in used:
            node = facts.places.item(("steps", step.id, group), name)
            text = f"the command never uses the {_WORDS[group]} '{name}'"
            hint = f"write {{{group}.{name}}} where the command names the file"
            yield facts.places.problem(code, text, node, hint, "warning")


_WORDS = {"in": "input", "out": "output", "params": "parameter"}


def _declare(group: str, name: str) -> str:
    written = {"in": f"in: {{{name}: STEP}}", "out": f"out: {{{name}: FILE}}", "params": f"with: {{{name}: VALUE}}"}
    return f"declare it: {written[group]}"
