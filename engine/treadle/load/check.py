"""The meaning of a pipeline: every semantic problem at once.

check
├── params.check                 defaults against types and limits
├── placeholders.check_data, .check     ${...} and {in.x}
├── references.check             in, after, foreach
├── calls.check                  arguments of functions
├── outputs.check                out, save, secrets, no_key, matrix, executor
├── expressions.check_step       if, gate, select
├── triggers.check
├── cycle.check
└── reach.unreachable, .unused   gates that are never judged, steps that nobody uses
"""

from treadle.domain.location import Location
from treadle.errors import Problem
from treadle.load import calls, cycle, expressions, outputs, params, placeholders, reach, references, triggers
from treadle.load.facts import Facts, Need
from treadle.load.places import Places, caret, shift_of


def check(facts: Facts) -> list[Problem]:
    """All problems of meaning, in no particular order; linear in the size of the pipeline."""
    problems = [*params.check(facts), *placeholders.check_data(facts)]
    needs: dict[str, list[Need]] = {}
    never = []
    for step in facts.spec.steps.values():
        problems += placeholders.check(facts, step)
        problems += references.check(facts, step)
        found = expressions.Found(list(references.needs(step)))
        problems += expressions.check_step(facts, step, found)
        needs[step.id] = found.needs
        if found.never:
            never.append(step.id)
    problems += calls.check(facts)
    problems += outputs.check(facts)
    problems += triggers.check(facts)
    problems += cycle.check(_edges(facts, needs))
    problems += reach.unreachable(facts, needs, never)
    if not facts.broken and not any(problem.severity == "error" for problem in problems):
        problems += reach.unused(facts, needs)  # a misspelt reference leaves a step without a reader
    return problems


def _edges(facts: Facts, needs: dict[str, list[Need]]) -> cycle.Edges:
    """The edges between steps that exist, with the place of each; self references are problems of their own."""
    chosen = {
        step: {need.name: need for need in reversed(found) if need.name in needs and need.name != step}
        for step, found in needs.items()
    }
    inside = set().union(*cycle.circles(chosen))  # places are looked up for the few edges that are told
    return {
        step: {name: _place(facts.places, step, need) for name, need in chosen[step].items() if name in inside}
        for step in chosen
        if step in inside
    }


def _place(places: Places, step: str, need: Need) -> tuple[Location, int]:
    node = places.value("steps", step, *need.path)
    shift = shift_of(node)
    if shift is None:
        return places.at(node), caret(node)
    return Location(places.path, node.line, node.column + shift + max(0, need.offset)), len(need.name)
