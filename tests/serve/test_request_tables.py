"""The check against a signature: every refusal names field, row, value and what was expected."""

import numpy as np
import pytest

from support.served import MIXED, THREE
from treadle.domain.model import Field, Signature
from treadle.serve.refusal import Refusal, shown
from treadle.serve.tables import Checker, joined

ROW = {"zone": "z", "riders": 3, "speed": 1.5, "rain": True, "at": "2026-01-02T03:04:05+01:00"}


def refusal(row: dict[str, object]) -> str:
    with pytest.raises(Refusal) as caught:
        Checker(MIXED).records([ROW, row])
    assert caught.value.status == 400
    return caught.value.text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"zone": 3}, "field 'zone', row 1: 3 is not text"),
        ({"zone": None}, "field 'zone', row 1: the value is missing; expected text"),
        ({"riders": 2.5}, "field 'riders', row 1: 2.5 is not an integer of 64 bits"),
        ({"riders": True}, "field 'riders', row 1: True is not an integer of 64 bits"),
        ({"riders": 2**63}, f"field 'riders', row 1: {2**63} is not an integer of 64 bits"),
        ({"riders": "3"}, "field 'riders', row 1: '3' is not an integer of 64 bits"),
        ({"speed": "fast"}, "field 'speed', row 1: 'fast' is not a finite number"),
        ({"speed": 10**400}, f"field 'speed', row 1: 1{'0' * 56}... is not a finite number"),
        ({"speed": [1]}, "field 'speed', row 1: [1] is not a finite number"),
        ({"rain": 1}, "field 'rain', row 1: 1 is not true or false"),
        ({"at": "yesterday"}, "field 'at', row 1: 'yesterday' is not a time in ISO 8601"),
        ({"zoen": "z"}, "field 'zoen' is unknown; did you mean 'zone'?; expected zone, riders, speed, rain, at"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(change: dict[str, object], text: str) -> None:
    assert refusal({**ROW, **change}) == text


def test_what_may_be_missing_is_missing() -> None:
    table = Checker(MIXED).records([ROW, {"zone": "y", "riders": 4.0, "rain": False}])
    columns = table.columns
    assert columns["riders"].tolist() == [3, 4]
    assert columns["speed"].tolist()[0] == 1.5 and np.isnan(columns["speed"][1])
    assert str(columns["at"][0]) == "2026-01-02T02:04:05.000000000" and np.isnat(columns["at"][1])
    assert columns["rain"].dtype == bool and columns["zone"].dtype == object


def test_what_is_required_is_missed_by_name() -> None:
    with pytest.raises(Refusal, match="field 'rain' is missing; expected true or false"):
        Checker(MIXED).records([{"zone": "z", "riders": 1}])
    with pytest.raises(Refusal, match="field 'c' is missing; expected a finite number"):
        Checker(THREE).records([{"a": 1, "b": 2}])


def test_all_doubles_are_one_block_and_joined_in_order() -> None:
    checker = Checker(THREE)
    one, two = checker.rows([[1, 2, 3]]), checker.records([{"c": 6, "b": 5, "a": 4}])
    both = joined([one, two])
    assert both.block.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert both.columns["b"].tolist() == [2, 5]
    assert both.take([1]).columns["c"].tolist() == [6]


@pytest.mark.parametrize("value", [None, True, "1", [1], {}, 10**400])
def test_a_block_takes_numbers_alone(value: object) -> None:
    with pytest.raises(Refusal, match=r"field 'b', row 0"):
        Checker(THREE).rows([[1, value, 3]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_arrays_are_checked_for_what_json_cannot_say(bad: float) -> None:
    with pytest.raises(Refusal, match="field 'b', row 1"):
        Checker(THREE).array(np.array([[1.0, 2, 3], [4, bad, 6]]))
    optional = Checker(Signature((Field("x", "double", required=False),)))
    if np.isnan(bad):
        assert np.isnan(optional.named({"x": np.array([bad])}, 1).columns["x"][0])
    else:
        with pytest.raises(Refusal, match="field 'x', row 0"):
            optional.named({"x": np.array([bad])}, 1)


def test_floats_of_32_bits_do_not_become_infinite() -> None:
    checker = Checker(Signature((Field("x", "float"),)))
    assert checker.named({"x": [1.5]}, 1).columns["x"].dtype == np.float32
    for column in ([1e39], np.array([1e39])):
        with pytest.raises(Refusal, match=r"field 'x', row 0: 1e[+]39 is not a finite number"):
            checker.named({"x": column}, 1)


def test_a_unit_may_come_along_without_being_a_feature() -> None:
    table = Checker(THREE, ["rider"]).records([{"a": 1, "b": 2, "c": 3, "rider": "r1"}])
    assert table.extra == {"rider": ["r1"]}
    assert table.block.tolist() == [[1, 2, 3]]


def test_values_are_shown_short_and_never_fail() -> None:
    assert len(shown("x" * 10_000)) <= 60
    assert shown("\x1b[31m") == "'\\x1b[31m'"
    assert shown(10**5000) == "a number of thousands of digits"
