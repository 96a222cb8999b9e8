"""Values that a run gives for parameters: what programs hold becomes what a file could hold."""

from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from treadle.domain.location import Location
from treadle.domain.spec import Param, PipelineSpec
from treadle.plan.params import plain, resolve


class Mode(StrEnum):
    FAST = "fast"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.array([[1, 2]]), [[1, 2]]),
        ((1, (2, None)), [1, [2, None]]),
        (range(2), [0, 1]),
        (Path("data/a b"), "data/a b"),
        (Mode.FAST, "fast"),
        ({"a": np.float64(0.1)}, {"a": 0.1}),
    ],
)
def test_plain(given: Any, expected: Any) -> None:
    found = plain(given)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("given", "text"), [(1 << 64, "64 bits"), ({1: 2}, "must be text"), ({1}, "is a set"), ([object()], "is a object")]
)
def test_not_plain(given: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        plain(given)


def test_the_default_of_a_float_is_one() -> None:
    here = Location("p.yaml", 1, 1)
    param = Param("rate", "float", 1, here)
    spec = PipelineSpec(name="p", path="p.yaml", where=here, params={"rate": param})
    assert [repr(resolve(spec, given)) for given in ({}, {"rate": "1"}, {"rate": 1})] == ["{'rate': 1.0}"] * 3
