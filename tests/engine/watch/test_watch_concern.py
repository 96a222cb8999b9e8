"""Whether a change concerns what runs now."""

import pytest

from treadle.domain.location import Location
from treadle.domain.plan import Plan, PlannedStep
from treadle.watch.concern import overtaken

NEEDS = {"read": (), "train": ("read",), "judge": ("train",), "report": ("read",), "alone": ()}


def step(name: str) -> PlannedStep:
    return PlannedStep(id=name, kind="gather", call="", where=Location("p.yaml", 1, 1), needs=NEEDS[name])


PLAN = Plan(pipeline="p", path="p.yaml", digest="", steps=tuple(map(step, NEEDS)))


@pytest.mark.parametrize(
    ("concerned", "running", "stops"),
    [
        ([], ["train"], False),  # a comment
        (["judge"], ["train"], False),  # it could not begin anyway
        (["judge"], ["read"], False),
        (["train", "judge"], ["train"], True),
        (["report"], ["train"], True),  # it could begin at once
        (["judge", "alone"], ["train"], True),
        (["judge"], ["judge"], True),
        (["judge"], [], True),
        (["gone"], ["train"], True),  # a step that is no longer there
    ],
)
def test_a_run_is_overtaken_where_something_else_should_run_now(
    concerned: list[str], running: list[str], stops: bool
) -> None:
    assert overtaken(PLAN, frozenset(concerned), running) is stops
