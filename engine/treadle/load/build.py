"""Tree of nodes → PipelineSpec.

build
├── _param, _data, _triggers     each entry of `params`, `data`, `triggers`
└── _Steps.step                  each entry of `steps`, `defaults` merged in

The tree has been checked against the grammar already. Building is tolerant all the same: what has
the wrong shape is left out, so that the checks that follow can report on everything else.
"""

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import structs

from treadle import quantity
from treadle.document.parse import Node, plain
from treadle.domain.location import Location
from treadle.domain.spec import (
    Caching,
    DataSource,
    Output,
    Param,
    PipelineSpec,
    Reference,
    Resources,
    Retry,
    Select,
    StepSpec,
    Text,
    Trigger,
)
from treadle.errors import Problem
from treadle.load.places import caret

TRIGGER_KINDS = ("drift", "performance", "cron", "files", "webhook", "pipeline")
DATA_KINDS = ("path", "url", "predictions", "model")
DEFAULTS = ("retry", "timeout", "resources", "executor")


def build(root: Node, path: str) -> tuple[PipelineSpec, list[Problem]]:
    """The spec of a file, and the quantities in it that are none."""
    problems: list[Problem] = []
    top = entries(root)
    steps = _Steps(path, entries(top.get("defaults")), problems)
    spec = PipelineSpec(
        name=_string(top.get("name")) or path.rpartition("/")[2].partition(".")[0],
        path=path,
        where=root.at(path),
        description=_string(top.get("description")) or "",
        params={name: _param(name, node, path) for name, node in entries(top.get("params")).items()},
        data={name: _data(name, node, path, problems) for name, node in entries(top.get("data")).items()},
        steps={
            name: steps.step(name, node, _key(top["steps"], name)) for name, node in entries(top.get("steps")).items()
        },
        triggers={
            trigger.name: trigger
            for name, node in entries(top.get("triggers")).items()
            for trigger in _triggers(name, node, path)
        },
    )
    return spec, problems


def entries(node: Node | None) -> dict[str, Node]:
    """The entries of a map, or nothing."""
    return node.value if node is not None and node.kind == "map" else {}


def items(node: Node | None) -> list[Node]:
    """The items of a list; a single value stands for a list of one."""
    if node is None or node.kind == "map" or (node.kind == "scalar" and node.value is None):
        return []
    return node.value if node.kind == "list" else [node]


def kind_of(value: Any) -> str:
    """The name of a plain value's type, as in `type:` of a parameter."""
    if value is None:
        return "null"
    names = {bool: "bool", int: "int", float: "float", str: "str", list: "list", dict: "map"}
    return names.get(type(value), "str")


def _key(node: Node, name: str) -> Node:
    return node.keys.get(name) or node.value[name]


def _string(node: Node | None) -> str | None:
    if node is None or node.kind != "scalar" or node.value is None:
        return None
    return node.value if isinstance(node.value, str) else _written(node.value)


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _strings(node: Node | None) -> tuple[str, ...]:
    return tuple(text for text in map(_string, items(node)) if text is not None)


def _string_map(node: Node | None) -> dict[str, str]:
    return {name: text for name, inner in entries(node).items() if (text := _string(inner)) is not None}


def _number(node: Node | None) -> float | None:
    if node is None or isinstance(node.value, bool) or not isinstance(node.value, int | float):
        return None
    return node.value


def _param(name: str, node: Node, path: str) -> Param:
    where = node.at(path)
    if node.kind != "map":
        value = plain(node)
        return Param(name, kind_of(value), value, where)
    fields = node.value
    default = plain(fields["default"]) if "default" in fields else None
    kind = _string(fields.get("type")) or kind_of(default)
    if kind == "float" and type(default) is int:
        default = float(default)
    return Param(
        name,
        kind,
        default,
        where,
        min=_number(fields.get("min")),
        max=_number(fields.get("max")),
        choices=tuple(plain(item) for item in items(fields.get("choices"))),
        help=_string(fields.get("help")) or "",
    )


def _data(name: str, node: Node, path: str, problems: list[Problem]) -> DataSource:
    where = node.at(path)
    if node.kind != "map":
        target = _string(node) or ""
        return DataSource(name, "url" if "://" in target else "path", target, where)
    fields = node.value
    kind = next((kind for kind in DATA_KINDS if kind in fields), "path")
    window = _measured(fields.get("window"), quantity.duration, path, problems)
    optional = "optional" in fields and fields["optional"].value is True
    return DataSource(name, kind, _string(fields.get(kind)) or "", where, window, optional)


def _triggers(name: str, node: Node, path: str) -> Iterator[Trigger]:
    """The trigger of this name, or, with `any`, one for each cause, with the options of them all."""
    fields = entries(node)
    place = ("triggers", name)
    causes = fields.get("any")
    if causes is None or causes.kind != "list":
        yield _trigger(name, fields, node.at(path), place)
        return
    shared = {key: plain(value) for key, value in fields.items() if key != "any"}
    seen: dict[str, int] = {}
    for number, cause in enumerate(causes.value):
        one = _trigger(name, entries(cause), cause.at(path), (*place, "any", number))
        seen[one.kind] = seen.get(one.kind, 0) + 1
        called = f"{name}.{one.kind}" + (f"-{seen[one.kind]}" if seen[one.kind] > 1 else "")
        yield structs.replace(one, name=called, options={**shared, **one.options}, group=name)


def _trigger(name: str, fields: dict[str, Node], where: Location, place: tuple[str | int, ...]) -> Trigger:
    kind = next((kind for kind in TRIGGER_KINDS if kind in fields), "")
    subject = _string(fields.get(kind)) or ""
    options = {key: plain(value) for key, value in fields.items() if key != kind}
    return Trigger(name, kind, subject, where, options, place)


def _measured(node: Node | None, convert: Callable[[Any], float], path: str, problems: list[Problem]) -> Any:
    """A duration or size as a number; what is none becomes a problem and None."""
    if node is None or node.kind != "scalar" or node.value is None:
        return None
    try:
        return convert(node.value)
    except (ValueError, OverflowError) as error:
        problems.append(Problem("bad-value", str(error), node.at(path), length=caret(node)))
        return None


class _Steps:
    """Builds steps; `defaults` are the entries that a step takes over where it has none."""

    def __init__(self, path: str, defaults: dict[str, Node], problems: list[Problem]) -> None:
        self.path = path
        self.defaults = {key: node for key, node in defaults.items() if key in DEFAULTS}
        self.problems = problems

    def step(self, name: str, node: Node, key: Node) -> StepSpec:
        """The step called `name`; `key` is where its name stands. What it does not say is as `StepSpec` has it."""
        found: dict[str, Any] = {}
        for word, value in self._merged(entries(node)).items():
            if word == "in":
                found["inputs"], found["listed"] = self._inputs(value)
            elif word in _FIELDS:
                field, read = _FIELDS[word]
                found[field] = read(self, value)
        return StepSpec(id=name, where=key.at(self.path), **found)

    def reference(self, node: Node) -> Reference | None:
        """`data.NAME`, `STEP` or `STEP.OUTPUT`; None for what is no text."""
        text = node.value if node.kind == "scalar" else None
        if not isinstance(text, str) or not text:
            return None
        head, _, tail = text.partition(".")
        if head == "data" and tail:
            return Reference("data", tail, node.at(self.path))
        return Reference("step", head, node.at(self.path), tail or None)

    def _merged(self, fields: dict[str, Node]) -> dict[str, Node]:
        if not self.defaults:
            return fields
        merged = {**self.defaults, **fields}
        for key in ("retry", "resources"):
            above, own = self.defaults.get(key), fields.get(key)
            if above is not None and own is not None and above.kind == own.kind == "map":
                merged[key] = Node(
                    kind="map",
                    value={**above.value, **own.value},
                    line=own.line,
                    column=own.column,
                    length=own.length,
                    keys={**above.keys, **own.keys},
                )
        return merged

    def _text(self, node: Node) -> Text | None:
        text = _string(node)
        return Text(text, node.at(self.path)) if text is not None else None

    def _inputs(self, node: Node | None) -> tuple[dict[str, tuple[Reference, ...]], frozenset[str]]:
        found: dict[str, tuple[Reference, ...]] = {}
        listed = []
        for name, value in entries(node).items():
            found[name] = tuple(ref for item in items(value) if (ref := self.reference(item)))
            if value.kind == "list":
                listed.append(name)
        return found, frozenset(listed)

    def _outputs(self, node: Node) -> tuple[Output, ...]:
        if node.kind != "map":
            return tuple(Output(name) for name in _strings(node))
        found = []
        for name, value in entries(node).items():
            fields = entries(value)
            path = _string(fields.get("path")) if fields else _string(value)
            found.append(Output(name, path, _string(fields.get("codec"))))
        return tuple(found)

    def _caching(self, node: Node) -> Caching:
        if isinstance(node.value, bool):
            return Caching(node.value)
        ttl = entries(node).get("ttl") if node.kind == "map" else node
        return Caching(True, _measured(ttl, quantity.duration, self.path, self.problems))

    def _retry(self, node: Node) -> Retry:
        fields = entries(node)
        backoff = _measured(fields.get("backoff"), quantity.duration, self.path, self.problems)
        when = tuple(item.value for item in items(fields.get("when")) if item.kind == "scalar")
        return Retry(int(_number(fields.get("times")) or 0), 1.0 if backoff is None else backoff, when)

    def _texts(self, node: Node) -> tuple[Text, ...]:
        return tuple(text for item in items(node) if (text := self._text(item)))

    def _references(self, node: Node) -> tuple[Reference, ...]:
        return tuple(ref for item in items(node) if (ref := self.reference(item)))

    def _timeout(self, node: Node) -> float | None:
        return _measured(node, quantity.duration, self.path, self.problems)  # type: ignore[no-any-return]

    def _resources(self, node: Node) -> Resources | None:
        fields = entries(node)
        if not fields:
            return None
        cpu = _number(fields.get("cpu"))
        others = {name: _number(value) for name, value in fields.items() if name not in ("cpu", "memory", "gpu")}
        return Resources(
            cpu=1.0 if cpu is None else cpu,
            memory=_measured(fields.get("memory"), quantity.size, self.path, self.problems),
            gpu=int(_number(fields.get("gpu")) or 0),
            tokens={name: number for name, number in others.items() if number is not None},
        )


def _select(node: Node | None) -> Select | None:
    fields = entries(node)
    for key in ("min", "max"):
        metric = _string(fields.get(key))
        if metric is not None:
            return Select(metric, key == "max")
    return None


def _plain_map(node: Node) -> dict[str, Any]:
    return {name: plain(value) for name, value in entries(node).items()}


def _cells(node: Node) -> dict[str, tuple[Any, ...]]:
    return {name: tuple(plain(item) for item in items(values)) for name, values in entries(node).items()}


def _alone(read: Callable[[Node], Any]) -> Callable[[_Steps, Node], Any]:
    return lambda steps, node: read(node)


# A step's key → the field of StepSpec and what reads it. A step has few of them, and there may be 100,000 steps.
_FIELDS: dict[str, tuple[str, Callable[[_Steps, Node], Any]]] = {
    "uses": ("uses", _Steps._text),
    "run": ("command", _Steps._text),
    "with": ("params", _alone(_plain_map)),
    "out": ("outputs", _Steps._outputs),
    "after": ("after", _Steps._references),
    "if": ("condition", _Steps._text),
    "gate": ("gates", _Steps._texts),
    "matrix": ("matrix", _alone(_cells)),
    "select": ("select", _alone(_select)),
    "foreach": ("foreach", _Steps.reference),
    "save": ("save", _alone(_string_map)),
    "env": ("env", _alone(_string_map)),
    "secrets": ("secrets", _alone(_strings)),
    "cache": ("caching", _Steps._caching),
    "no_key": ("no_key", _alone(_strings)),
    "code": ("code", _alone(_strings)),
    "priority": ("priority", _alone(lambda node: int(_number(node) or 0))),
    "retry": ("retry", _Steps._retry),
    "timeout": ("timeout", _Steps._timeout),
    "resources": ("resources", _Steps._resources),
    **{
        key: (key, _alone(_string))
        for key in ("code_version", "environment", "isolation", "executor", "stage", "mutex")
    },
}
