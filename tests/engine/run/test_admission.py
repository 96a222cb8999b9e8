"""What fits beside what, and what never does."""

from typing import Any

import pytest

from treadle.domain.artifact import StepKey
from treadle.domain.location import Location
from treadle.domain.plan import Plan, PlannedStep
from treadle.domain.spec import Resources
from treadle.run.admission import Admission, impossible
from treadle.run.decide import Decision
from treadle.run.queue import Queue, kind_of

WHERE = Location("x", 1, 1)


def step(name: str = "a", mutex: str | None = None, **needs: Any) -> PlannedStep:
    return PlannedStep(id=name, kind="function", call="w:f", where=WHERE, resources=Resources(**needs), mutex=mutex)


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        (step(), step(), True),
        (step(cpu=3), step(), True),
        (step(cpu=3), step(cpu=2), False),
        (step(memory=60), step(memory=40), True),
        (step(memory=60), step(memory=41), False),
        (step(gpu=1), step(gpu=1), True),
        (step(gpu=2), step(gpu=1), False),
        (step(tokens={"licence": 1}), step(tokens={"licence": 1}), False),
        (step(tokens={"licence": 1}), step(tokens={"other": 1}), True),
        (step(tokens={"seat": 2}), step(tokens={"seat": 1}), True),
        (step(tokens={"seat": 2}), step(tokens={"seat": 2}), False),
        (step(mutex="disk"), step(mutex="disk"), False),
        (step(mutex="disk"), step(mutex="net"), True),
    ],
)
def test_what_fits_beside_what(one: PlannedStep, other: PlannedStep, fits: bool) -> None:
    admission = Admission({"cpu": 4, "memory": 100, "gpu": 2, "seat": 3})
    assert admission.admit("one", one)
    assert admission.admit("other", other) is fits
    if not fits:
        admission.release("one")
        assert admission.admit("other", other)


def test_more_cores_than_there_are_is_all_of_them() -> None:
    admission = Admission({"cpu": 2})
    assert admission.admit("large", step(cpu=64))
    assert not admission.admit("small", step())
    admission.release("large")
    assert admission.admit("small", step())
    assert not admission.admit("large", step(cpu=64))


def test_devices_are_nobody_elses() -> None:
    admission = Admission({"cpu": 9, "gpu": 3})
    assert admission.admit("one", step(gpu=1))
    assert admission.admit("two", step(gpu=2))
    assert admission.devices("one") == admission.devices("one") == (0,)
    assert admission.devices("two") == (1, 2)
    admission.release("one")
    assert admission.admit("three", step(gpu=1))
    assert admission.devices("three") == (0,)


def test_what_would_wait_for_ever_is_a_problem() -> None:
    steps = (
        *(step("cores", cpu=64), step("fine", memory=100, gpu=2, tokens={"seat": 3, "licence": 1})),
        *(step("memory", memory=101), step("gpu", gpu=3), step("token", tokens={"licence": 2})),
    )
    plan = Plan(pipeline="p", path="p", digest="", steps=steps)
    found = impossible(plan, {"cpu": 2, "memory": 100, "gpu": 2, "seat": 3})
    assert [problem.text for problem in found] == [
        "step 'memory' needs 101 B of memory, and there is 100 B in all",
        "step 'gpu' needs 3 of gpu, and there is 2 in all",
        "step 'token' needs 2 of licence, and there is 1 in all",
    ]
    assert found[2].hint.endswith("[resources]: licence = 2")


def test_the_queue_looks_at_one_step_of_each_kind() -> None:
    queue = Queue()
    plain, token = [step(f"s{n}") for n in range(3)], [step(f"t{n}", tokens={"licence": 1}) for n in range(3)]
    for number, one in enumerate([*token, *plain]):
        queue.push((0.0, 0.0, number), one, Decision(one.id, "run", "", StepKey("", {})))
    first = queue.pop(set())
    assert first is not None
    assert first.step == "t0"
    full = {kind_of(token[0])}
    assert [found.step for _ in range(3) if (found := queue.pop(full))] == ["s0", "s1", "s2"]
    assert queue.pop(full) is None
    queue.drop(token[1])
    assert [found.step for _ in range(2) if (found := queue.pop(set()))] == ["t2"]
