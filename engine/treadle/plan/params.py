"""Values of the pipeline's parameters: the file's defaults under what the user gave for this run."""

import os
from collections.abc import Mapping
from typing import Any

from treadle.domain.spec import Param, PipelineSpec
from treadle.errors import InputError, Problem, did_you_mean

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def resolve(spec: PipelineSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters by name; text given for a number or a bool is converted.

    Raises InputError for unknown names, wrong types and values out of range, all at once.
    """
    problems: list[Problem] = []
    values = {name: _default(param) for name, param in spec.params.items()}
    for name, value in given.items():
        param = spec.params.get(name)
        if param is None:
            problems.append(_unknown(name, spec))
            continue
        try:
            values[name] = _convert(param, value)
        except ValueError as error:
            problems.append(Problem("bad-parameter", f"parameter '{name}': {error}", param.where, param.help))
    if problems:
        raise InputError(problems)
    return values


def _unknown(name: str, spec: PipelineSpec) -> Problem:
    hint = did_you_mean(name, spec.params) or "the pipeline has no parameters"
    return Problem("unknown-parameter", f"{spec.path} has no parameter called '{name}'", None, hint)


def _default(param: Param) -> Any:
    """The default, of the type that the parameter has when a run gives the same value."""
    return float(param.default) if param.type == "float" and type(param.default) is int else param.default


def plain(value: Any) -> Any:
    """A value that a program gives, in plain types: numpy's as numbers and lists, tuples as lists, paths as text.

    Raises ValueError for what no pipeline file could hold either.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError(f"the keys of {value!r:.200} must be text")
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain(item) for item in value]
    value = getattr(value, "_value_", value)  # of a member of an enumeration
    if type(value) is int and not -(1 << 63) <= value < 1 << 64:
        raise ValueError(f"{value} has more than 64 bits")
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    raise ValueError(f"{value!r:.200} is a {type(value).__qualname__}, not a number, text, list or map of them")


def _convert(param: Param, value: Any) -> Any:
    value = plain(value)
    converted = plain(_from_text(param.type, value)) if isinstance(value, str) else value
    if param.type == "float" and isinstance(converted, int) and not isinstance(converted, bool):
        converted = float(converted)
    if not fits(param.type, converted):
        raise ValueError(f"{value!r} is not of type {param.type}")
    if param.choices and converted not in param.choices:
        raise ValueError(f"{value!r} is not one of {', '.join(map(str, param.choices))}")
    if isinstance(converted, int | float) and not isinstance(converted, bool):
        if param.min is not None and converted < param.min:
            raise ValueError(f"{converted} is below the least value {param.min:g}")
        if param.max is not None and converted > param.max:
            raise ValueError(f"{converted} is above the greatest value {param.max:g}")
    return converted


def _from_text(kind: str, text: str) -> Any:
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number of type {kind}") from None
    if kind == "bool":
        if text.lower() in TRUE:
            return True
        if text.lower() in FALSE:
            return False
        raise ValueError(f"{text!r} is neither true nor false")
    if kind in ("list", "map", "null"):
        from msgspec import DecodeError, json  # lazy: only for parameters that are lists or maps

        try:
            return json.decode(text)
        except DecodeError:
            raise ValueError(f"{text!r} is not JSON") from None
    return text


def fits(kind: str, value: Any) -> bool:
    """Say whether a value is of a parameter's type; an int is a float, a bool is neither."""
    if kind == "null":
        return True
    if kind in ("int", "float") and isinstance(value, bool):
        return False
    types: dict[str, type | tuple[type, ...]] = {
        "int": int,
        "float": (int, float),
        "str": str,
        "bool": bool,
        "list": (list, tuple),
        "map": dict,
    }
    return isinstance(value, types[kind])
