"""The loader and the published schema accept and refuse the same documents."""

import copy
import json
import random
import re
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from treadle.document import grammar as g
from treadle.document.parse import parse, plain
from treadle.document.pipeline import PIPELINE, pipeline_schema
from treadle.document.table import TABLE, table_schema

FORMATS = {"pipeline": (PIPELINE, pipeline_schema()), "table": (TABLE, table_schema())}
VALIDATORS = {name: jsonschema.Draft202012Validator(schema) for name, (_, schema) in FORMATS.items()}
JUNK: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    2.0,
    "",
    "x",
    "5q",
    "20m",
    "1GiB",
    "20%",
    "a.b",
    "no",
    [],
    ["a"],
    {},
    {"a": 1},
    1e300,
]
NAMES = ["name", "a_b", "x-1", "other", "more", "b", "c", "d", "data", "1x"]
TEXTS = ["name", "a_b", "x-1", "1x", "", "data", "20m", "2GiB", "50%", "timeout", "a.b", "a.b.c", "false"]


def make(grammar: g.Grammar, draw: random.Random) -> Any:
    """A document of the grammar, most of the time a valid one."""
    if isinstance(grammar, g.Anything) or draw.random() < 0.003:
        return copy.deepcopy(draw.choice(JUNK))
    if isinstance(grammar, g.OneOf):
        return make(draw.choice([p for p in (grammar.scalar, grammar.list, grammar.map) if p is not None]), draw)
    if isinstance(grammar, g.Scalar):
        if grammar.choices:
            return draw.choice(grammar.choices)
        kind = draw.choice(grammar.types)
        return {
            "string": draw.choice([t for t in TEXTS if not grammar.pattern or re.search(grammar.pattern, t)] or TEXTS),
            "integer": draw.choice([0, 1, 7, 3.0]),
            "number": draw.choice([0, 0.5, 1, 100]),
            "boolean": draw.random() < 0.5,
            "null": None,
        }[kind]
    if isinstance(grammar, g.ListOf):
        return [make(grammar.item, draw) for _ in range(draw.randint(grammar.least, 3))]
    if isinstance(grammar, g.MapOf):
        return {draw.choice(NAMES): make(grammar.value, draw) for _ in range(draw.randint(1, 2))}
    keys = [k for k, f in grammar.fields.items() if f.required or (k not in grammar.one_of and draw.random() < 0.25)]
    keys += [draw.choice(grammar.one_of)] if grammar.one_of else []
    made = {key: make(grammar.fields[key].grammar, draw) for key in keys}
    if draw.random() < 0.01:
        made[draw.choice(["extra", "uses", "x-1"])] = 1
    return made


def accepted(name: str, value: Any) -> bool:
    text = json.dumps(value)
    node, problems = parse(text.encode(), "x.yaml")
    assert node is not None
    assert problems == []
    assert plain(node) == value
    return g.check(node, FORMATS[name][0], "x.yaml") == []


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=600, deadline=None)
@given(seed=st.integers(0, 2**40))
def test_both_judge_alike(name: str, seed: int) -> None:
    value = make(FORMATS[name][0], random.Random(seed))
    errors = [f"{error.json_path}: {error.message}" for error in VALIDATORS[name].iter_errors(value)]
    assert accepted(name, value) == (errors == []), errors


@pytest.mark.parametrize("name", FORMATS)
def test_the_strategy_makes_both_kinds(name: str) -> None:
    verdicts = [VALIDATORS[name].is_valid(make(FORMATS[name][0], random.Random(seed))) for seed in range(400)]
    assert 20 < sum(verdicts) < 380


def test_every_example_of_the_schema_is_valid_for_its_key() -> None:
    def walk(grammar: g.Grammar) -> None:
        if isinstance(grammar, g.Map):
            for key, field in grammar.fields.items():
                node, _ = parse(json.dumps(field.example).encode(), key)
                assert node is not None
                assert g.check(node, field.grammar, key) == [], key
                walk(field.grammar)
        elif isinstance(grammar, g.OneOf):
            for part in (grammar.scalar, grammar.list, grammar.map):
                if part is not None:
                    walk(part)
        elif isinstance(grammar, g.MapOf):
            walk(grammar.value)
        elif isinstance(grammar, g.ListOf):
            walk(grammar.item)

    for grammar, _ in FORMATS.values():
        walk(grammar)


def test_the_tree_is_what_a_yaml_1_2_reader_sees() -> None:
    node, problems = parse(b"a: on\nb: [no, 012, 0o12, 1_000, .5, 1e3, 2024-01-01, 12:30]\nc: ~\nd: 'true'\n", "x")
    assert problems == []
    assert node is not None
    assert plain(node) == {
        "a": "on",
        "b": ["no", 12, 10, "1_000", 0.5, 1000.0, "2024-01-01", "12:30"],
        "c": None,
        "d": "true",
    }
    assert yaml.safe_load("a: on") == {"a": True}, "the trap that this parser closes"


def test_places_are_those_of_the_file() -> None:
    node, _ = parse(b"steps:\n  train:\n    uses: x\n", "x")
    assert node is not None
    step = node.value["steps"].value["train"]
    assert (step.value["uses"].line, step.value["uses"].column) == (3, 11)
    assert (step.keys["uses"].line, step.keys["uses"].column) == (3, 5)
