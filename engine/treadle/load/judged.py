"""Values in `with` that their library judges: an argument annotated `Annotated[dict, Checked("module:function")]`.

The function is called with the value and returns its mistakes, so that `check` tells them where the file has them and
not a run hours later. Only steps of the library are asked: `check` never runs the project's own code.
"""

from collections.abc import Iterator
from typing import Any

from treadle import plugins
from treadle.code import accepts, checked_by
from treadle.domain.spec import StepSpec
from treadle.errors import Mistake, Problem
from treadle.load.calls import values_of
from treadle.load.facts import Facts


def check(facts: Facts) -> Iterator[Problem]:
    """Problems with such values; of a matrix the first cell that has any."""
    for step in facts.spec.steps.values():
        signature = facts.signatures.get(step.id)
        if signature is None or step.uses is None or ":" in step.uses.text:
            continue
        for argument in signature.arguments:
            if argument.annotation is not None and argument.name in step.params:
                yield from _judge(facts, step, argument.name, argument.annotation)


def _judge(facts: Facts, step: StepSpec, name: str, annotation: str) -> Iterator[Problem]:
    function = checked_by(annotation)
    if function is None:
        return
    judge: Any = plugins.load(function)
    for value in values_of(facts, step, step.params[name]):
        if accepts(annotation, value) is False:
            return  # one cause, one problem
        mistakes: list[Mistake] = judge(value)
        for one in mistakes:
            path = ("steps", step.id, "with", name, *one.path)
            node = facts.places.key(*path) if one.at_key else facts.places.value(*path)
            yield facts.places.problem("refused-value", one.text, node, one.hint)
        if mistakes:
            return
