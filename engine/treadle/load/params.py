"""`params`: do the defaults keep the types and limits that they declare?"""

from collections.abc import Iterator
from typing import Any

from treadle.domain.spec import Param
from treadle.errors import Problem, did_you_mean
from treadle.load.facts import Facts

TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "list": (list,),
    "map": (dict,),
}


def check(facts: Facts) -> Iterator[Problem]:
    """Problems with the declarations of parameters."""
    for param in facts.spec.params.values():
        if facts.places.value("params", param.name).kind == "map":
            yield from _limits(facts, param)
            yield from _default(facts, param)


def fits(kind: str, value: Any) -> bool:
    """Say whether a value is of a parameter's type; an int is a float, a bool is neither."""
    if kind not in TYPES:
        return True
    return isinstance(value, TYPES[kind]) and (kind == "bool" or not isinstance(value, bool))


def _limits(facts: Facts, param: Param) -> Iterator[Problem]:
    places = facts.places
    for key, limit in (("min", param.min), ("max", param.max)):
        if limit is not None and param.type not in ("int", "float"):
            node = places.key("params", param.name, key)
            yield places.problem("wrong-limits", f"a parameter of type {param.type} has no '{key}'", node, "remove it")
    if param.min is not None and param.max is not None and param.min > param.max:
        node = places.value("params", param.name, "min")
        yield places.problem("wrong-limits", f"min {param.min:g} is above max {param.max:g}", node, "swap them")
    for position, choice in enumerate(param.choices):
        if not fits(param.type, choice):
            node = places.value("params", param.name, "choices", position)
            yield places.problem("wrong-limits", f"the choice {choice!r} is not of type {param.type}", node)


def _default(facts: Facts, param: Param) -> Iterator[Problem]:
    value = param.default
    if value is None:
        return
    node = facts.places.value("params", param.name, "default")
    text = hint = ""
    if not fits(param.type, value):
        text = f"the default {value!r} is not of type {param.type}"
    elif param.choices and value not in param.choices:
        text = f"the default {value!r} is not one of the choices"
        hint = did_you_mean(str(value), map(str, param.choices))
    elif isinstance(value, int | float) and param.min is not None and value < param.min:
        text = f"the default {value:g} is below min {param.min:g}"
    elif isinstance(value, int | float) and param.max is not None and value > param.max:
        text = f"the default {value:g} is above max {param.max:g}"
    if text:
        yield facts.places.problem("wrong-default", text, node, hint)
