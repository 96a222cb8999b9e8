"""`if`, `gate`, `select` and `performance`: do the expressions read, and do their names exist?

A name is `params.x`, `STEP.METRIC`, in a gate also a metric of the step itself, `champion.METRIC` and
`reference.METRIC`, in `if` also `matrix.x`. Metrics are checked only where the code shows their names.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from treadle import expression
from treadle.document.parse import Node
from treadle.domain.spec import StepSpec, Text
from treadle.errors import Problem, did_you_mean
from treadle.load import placeholders
from treadle.load.facts import Facts, Need
from treadle.load.places import Path

CONDITION, GATE, PERFORMANCE = "if", "gate", "performance"
OTHERS = ("champion", "reference")
_TYPES = {"int": "number", "float": "number", "str": "string", "bool": "bool"}


class Found(Struct):
    """What the expressions of one step give beside problems: the steps they need, and whether `if` is never true."""

    needs: list[Need]
    never: bool = False


class _Scope(Struct, frozen=True):
    """Where an expression stands: its kind, its step (None in a trigger), the path to its text."""

    kind: str
    step: StepSpec | None
    path: Path
    node: Node
    shift: int


def check_step(facts: Facts, step: StepSpec, found: Found) -> Iterator[Problem]:
    """Problems with the expressions of one step; what they need goes to `found`."""
    if step.condition is not None:
        scope = _scope(facts, CONDITION, step, ("steps", step.id, "if"), step.condition.text)
        yield from _expression(facts, scope, step.condition, found)
    for position, gate in enumerate(step.gates):
        scope = _scope(facts, GATE, step, ("steps", step.id, "gate", position), gate.text)
        yield from _expression(facts, scope, gate, found)
    if step.select is not None:
        yield from _select(facts, step)


def check_performance(facts: Facts, place: Path, text: Text) -> Iterator[Problem]:
    """Problems with the expression of a `performance` trigger."""
    scope = _scope(facts, PERFORMANCE, None, (*place, "performance"), text.text)
    yield from _expression(facts, scope, text, Found([]))


def _scope(facts: Facts, kind: str, step: StepSpec | None, path: Path, text: str) -> _Scope:
    shift = len(text) - len(text.lstrip())  # offsets count from the first character that is not blank
    return _Scope(kind, step, path, facts.places.value(*path), shift)


def _expression(facts: Facts, scope: _Scope, text: Text, found: Found) -> Iterator[Problem]:
    try:
        parsed = expression.parse(text.text)
    except expression.ExpressionError as error:
        hint = "write params.NAME without ${}" if "${" in text.text else _syntax_hint(text.text)
        yield facts.places.problem_inside("bad-expression", error.text, scope.node, scope.shift + error.offset, 1, hint)
        return
    types = {}
    wrong = False
    for name, offset in expression.names(parsed):
        problem = _name(facts, scope, name, _characters(text.text, scope.shift, offset))
        if problem is not None:
            wrong = True
            dashed = _dashed(facts, scope, text.text)
            yield problem if dashed is None else dashed
            continue
        types[name] = _type(facts, scope, name)
        head, _, tail = name.partition(".")
        if tail and head in facts.spec.steps and (scope.step is None or head != scope.step.id):
            path = scope.path[2:] if scope.step is not None else scope.path
            found.needs.append(Need(head, path, _characters(text.text, scope.shift, offset)))
    if wrong:
        return
    for message, offset in expression.check(parsed, types):
        start = _characters(text.text, scope.shift, offset)
        yield facts.places.problem_inside("expression-type", message, scope.node, start, 1, _type_hint(scope))
        wrong = True
    value = None if wrong else expression.constant(parsed)
    if value is not None and scope.kind == CONDITION:
        found.never = not value
    elif value is not None and scope.kind == GATE:
        verdict = "always holds" if value else "never holds"
        message = f"this gate names no metric: it {verdict}"
        yield facts.places.problem("constant-gate", message, scope.node, "compare a metric of the step with a limit")


def _characters(text: str, shift: int, offset: int) -> int:
    """A byte offset of the parsed text as a number of characters of the whole."""
    if text.isascii():
        return shift + offset
    return shift + len(text.strip().encode()[:offset].decode(errors="ignore"))


def _syntax_hint(text: str) -> str:
    for sign, word in (("&&", "and"), ("||", "or"), ("!", "not")):
        if sign in text and f"{sign}=" not in text:
            return f"write {word} for {sign}"
    if "=" in text.replace("==", "").replace("<=", "").replace(">=", "").replace("!=", ""):
        return "write == to compare"
    return "names, numbers, strings, comparisons, arithmetic, and, or, not"


def _type_hint(scope: _Scope) -> str:
    return {
        CONDITION: "such as params.full == true",
        GATE: "such as mae < 0.15",
        PERFORMANCE: "such as mae > 1.1 * reference.mae",
    }[scope.kind]


def _type(facts: Facts, scope: _Scope, name: str) -> str:
    head, _, tail = name.partition(".")
    if head == "params":
        return _TYPES.get(facts.spec.params[tail].type, "unknown")
    return "unknown" if head == "matrix" else "number"


def _name(facts: Facts, scope: _Scope, name: str, offset: int) -> Problem | None:
    """What is wrong with one name, or None."""
    head, _, tail = name.partition(".")
    if head == "params" and tail:
        if tail in facts.spec.params:
            return None
        start = offset + len("params.")
        return facts.places.problem_inside("unknown-param", *placeholders.unknown_param(facts, tail, scope.node, start))
    if head == "matrix" and tail:
        return _matrix_name(facts, scope, tail, offset)
    if head in OTHERS and tail:
        return _other(facts, scope, head, tail, offset)
    if not tail:
        return _bare(facts, scope, name, offset)
    step = facts.spec.steps.get(head)
    if step is None:
        return _unknown_head(facts, scope, head, offset)
    if scope.kind == CONDITION and scope.step is not None and head == scope.step.id:
        text = f"'{head}' cannot decide on its own metrics: they exist when it has run"
        return facts.places.problem_inside("self-reference", text, scope.node, offset, len(name), "use `gate` for that")
    return _metric(facts, scope, step, tail, offset + len(head) + 1)


def _matrix_name(facts: Facts, scope: _Scope, name: str, offset: int) -> Problem | None:
    cells: Mapping[str, object] = scope.step.matrix if scope.step is not None and scope.kind == CONDITION else {}
    if name in cells:
        return None
    text = f"the matrix has no name '{name}'" if cells else "there is no matrix here"
    start = offset + len("matrix.")
    hint = did_you_mean(name, cells)
    return facts.places.problem_inside("unknown-matrix-name", text, scope.node, start, len(name), hint)


def _other(facts: Facts, scope: _Scope, head: str, tail: str, offset: int) -> Problem | None:
    """`champion.x` and `reference.x`: the same metric of another model, or of another time."""
    if scope.kind == CONDITION:
        text = f"'{head}' is known only in `gate` and `performance`"
        return facts.places.problem_inside(
            "unknown-name", text, scope.node, offset, len(head), "move the rule to `gate`"
        )
    if scope.step is None:
        return _live_metric(facts, scope, tail, offset + len(head) + 1)
    return _metric(facts, scope, scope.step, tail, offset + len(head) + 1)


def _bare(facts: Facts, scope: _Scope, name: str, offset: int) -> Problem | None:
    if scope.kind == GATE and scope.step is not None:
        return _metric(facts, scope, scope.step, name, offset)
    if scope.kind == PERFORMANCE:
        return _live_metric(facts, scope, name, offset)
    if name in facts.spec.params:
        hint = f"write params.{name}"
    elif name in facts.spec.steps:
        hint = f"write {name}.METRIC"
    else:
        owners = [step.id for step in facts.spec.steps.values() if name in (facts.metrics(step) or ())]
        hint = f"write {owners[0]}.{name}" if owners else "write params.NAME or STEP.METRIC"
    return facts.places.problem_inside(
        "unknown-name", f"nothing is called '{name}' here", scope.node, offset, len(name), hint
    )


def _unknown_head(facts: Facts, scope: _Scope, head: str, offset: int) -> Problem:
    words = ["params"] if scope.kind == CONDITION else ["params", *OTHERS]
    hint = did_you_mean(head, [*facts.spec.steps, *words])
    return facts.places.problem_inside(
        "unknown-step", f"no step is called '{head}'", scope.node, offset, len(head), hint
    )


def _dashed(facts: Facts, scope: _Scope, text: str) -> Problem | None:
    """A step with a dash in its name, which an expression cannot tell from a minus."""
    for name in facts.spec.steps:
        if "-" in name and f"{name}." in text:
            message = f"the '-' of '{name}' is a minus here"
            hint = "give a step that an expression names a name with _"
            return facts.places.problem_inside("unknown-step", message, scope.node, text.index(name), len(name), hint)
    return None


def _metric(facts: Facts, scope: _Scope, step: StepSpec, name: str, offset: int) -> Problem | None:
    known = facts.metrics(step)
    if known is None or name in known or step.id in facts.broken:
        return None
    if not known:
        text = f"'{step.id}' has no metrics"
        hint = "a step's metrics are its output called 'metrics', or the numbers of its only output"
        if step.matrix and step.select is None:
            hint = "add `select`: without it a matrix goes on as a list"
        elif step.command is not None:
            hint = "a command writes its metrics as JSON to an output called 'metrics'"
        return facts.places.problem_inside("no-metrics", text, scope.node, offset, len(name), hint)
    hint = did_you_mean(name, known)
    if name in facts.spec.params and not hint.startswith("did"):
        hint = f"write params.{name} for the parameter"
    text = f"'{step.id}' has no metric '{name}'"
    return facts.places.problem_inside("unknown-metric", text, scope.node, offset, len(name), hint)


def _live_metric(facts: Facts, scope: _Scope, name: str, offset: int) -> Problem | None:
    """A metric measured in service; checked only when all metrics of the pipeline are known."""
    known: set[str] = set()
    for step in facts.spec.steps.values():
        own = facts.cell_metrics(step)
        if own is None:
            return None
        known.update(own)
    if not known or name in known:
        return None
    hint = did_you_mean(name, known)
    return facts.places.problem_inside(
        "unknown-metric", f"no step has a metric '{name}'", scope.node, offset, len(name), hint
    )


def _select(facts: Facts, step: StepSpec) -> Iterator[Problem]:
    assert step.select is not None
    if not step.matrix:
        node = facts.places.key("steps", step.id, "select")
        hint = "add a `matrix`, or remove `select`"
        yield facts.places.problem("select-without-matrix", "there is no matrix to select from", node, hint)
        return
    node = facts.places.value("steps", step.id, "select", "max" if step.select.largest else "min")
    scope = _Scope(GATE, step, (), node, 0)
    problem = _metric(facts, scope, step, step.select.metric, 0)
    if problem is not None:
        yield problem
