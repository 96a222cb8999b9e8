"""`${...}` in values: what is one, what is not, what it becomes."""

import pytest

from treadle.load.placeholders import fill, names, scan
from treadle.plan import fill as plan_fill


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain $x {y} $", []),
        ("${params.a}", [("params", "a", "")]),
        ("x${ matrix.a }y${env.B-c}", [("matrix", "a", ""), ("env", "B-c", "")]),
        ("$${params.a}", []),
        ("$${params.a} ${params.b}", [("params", "b", "")]),
        ("${params.a", [("", "", "this placeholder is not closed")]),
        ("${params.${params.a}}", [("params", "${params.a", "this placeholder is not closed")]),
        ("${HOME}", [("HOME", "", "'${HOME}' names neither a parameter nor a matrix nor a variable")]),
        ("${}", [("", "", "'${}' names neither a parameter nor a matrix nor a variable")]),
        ("${params.a.b}", [("params", "a.b", "'a.b' is not a name")]),
    ],
)
def test_scan(text: str, found: list[tuple[str, str, str]]) -> None:
    assert [(one.group, one.name, one.error) for one in scan(text)] == found


def test_names_at_any_depth() -> None:
    value = {"a": ["${params.x}", {"${env.K}": ("${matrix.y}",)}], "b": 3, "c": None}
    assert names(value) == {("params", "x"), ("env", "K"), ("matrix", "y")}


def test_a_value_keeps_its_type_and_a_text_stays_a_text() -> None:
    values = {"params.n": 3, "params.s": "x"}
    assert fill({"a": ["${params.n}", "n=${params.n}", 4]}, values)["a"][0] == 3
    assert isinstance(fill("n=${params.n}", values), str)
    with pytest.raises(KeyError):
        fill("${params.unknown}", values)


@pytest.mark.parametrize("text", ["${params.a}", "x ${ env.A } $${params.b} ${matrix.c}", "no $ {params.x}", "$${x}"])
def test_what_is_checked_is_what_is_filled_in(text: str) -> None:
    assert names(text) == plan_fill.names(text)
