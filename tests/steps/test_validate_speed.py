"""The quick way of seeing a column says what the slow one says, and does not look at rows it need not see."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle_steps import columns, rules, validate

TEXTS = st.lists(st.sampled_from(["a", "bb", "", None, "Z9"]), min_size=1, max_size=30)
NUMBERS = st.lists(st.one_of(st.integers(-5, 5), st.floats(-5, 5), st.none()), min_size=1, max_size=30)


@given(TEXTS, st.sampled_from(["str", "object", "category"]))
def test_rules_about_texts_are_those_of_each_row(values: list[Any], dtype: str) -> None:
    column = pd.Series(values, dtype="object").astype(dtype)
    rule = {"dtype": "string" if dtype != "category" else "category", "in": ["a", "bb"], "regex": "[a-z]+$"}
    rule["length"] = {"min": 1, "max": 1}
    found = {check.check: check.failed for check in rules.of_column("c", rule, column, 5)}
    known = [value for value in values if value is not None]
    assert found["null"] == len(values) - len(known)
    assert found["in"] == sum(value not in ("a", "bb") for value in known)
    assert found["regex"] == sum(not (value.isalpha() and value.islower()) for value in known)
    assert found["length"] == sum(len(value) != 1 for value in known)


@given(NUMBERS)
def test_rules_about_numbers_are_those_of_each_row(values: list[Any]) -> None:
    column = pd.Series(values, dtype="float64")
    found = {c.check: c.failed for c in rules.of_column("c", {"dtype": "float", "min": -1, "max": 2}, column, 5)}
    known = [value for value in values if value is not None]
    assert found["null"] == len(values) - len(known)
    assert found["min"] == sum(value < -1 for value in known)
    assert found["max"] == sum(value > 2 for value in known)


@given(st.lists(st.one_of(st.integers(-9, 9), st.sampled_from([2**62, -(2**62)])), min_size=1, max_size=40))
def test_repeated_numbers_are_those_that_pandas_finds(values: list[int]) -> None:
    column = pd.Series(values, dtype="int64")
    found = columns.repeated(column)
    expected = column.duplicated(keep="first").to_numpy()
    assert (expected == (np.zeros(len(values), dtype=bool) if found is None else found)).all()


def test_a_set_is_tried_on_distinct_texts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    isin = pd.Series.isin
    monkeypatch.setattr(pd.Series, "isin", lambda self, values: seen.append(len(self)) or isin(self, values))
    rules.of_column("c", {"dtype": "string", "in": ["a", "b"]}, pd.Series(["a", "b"] * 5000), 5)
    assert seen == [2]


def test_a_long_table_is_judged_as_a_short_one_is() -> None:
    rows = validate.LONG
    data = pd.DataFrame({"a": np.arange(rows) % 1000, "b": np.tile(["x", "y"], rows // 2), "c": np.arange(rows)})
    wanted = {"a": {"dtype": "int", "max": 998}, "b": {"dtype": "string", "in": ["x"]}, "c": {"dtype": "int"}}
    found = validate.table(data, schema={"version": 1, "columns": wanted}, on_fail="warn").report["checks"]
    assert [(check["column"], check["check"], check["failed"]) for check in found if check["failed"]] == [
        ("a", "max", rows // 1000),
        ("b", "in", rows // 2),
    ]
