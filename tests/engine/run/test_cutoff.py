"""Steps that an early cut-off saved, each counted once."""

from treadle.domain.location import Location
from treadle.domain.plan import Plan, PlannedStep, Source
from treadle.run.cutoff import saved


def a_plan(reads: dict[str, list[str]], gathers: tuple[str, ...] = (), after: dict[str, str] | None = None) -> Plan:
    steps = []
    for name, needs in reads.items():
        inputs = {f"in{number}": (Source(need, "out"),) for number, need in enumerate(needs)}
        order = [(after or {})[name]] if name in (after or {}) else []
        kind = "gather" if name in gathers else "function"
        steps.append(
            PlannedStep(id=name, kind=kind, call="", where=Location("p", 1, 1), inputs=inputs, needs=(*needs, *order))
        )
    return Plan(pipeline="p", path="p.yaml", digest="", steps=tuple(steps))


def test_all_that_a_cut_off_step_leads_to_is_saved() -> None:
    plan = a_plan({"a": [], "b": ["a"], "c": ["b"], "d": ["b", "c"]})
    assert saved(plan, {"a": "run", "b": "hit", "c": "hit", "d": "hit"}) == {"a": 3}


def test_a_step_below_two_cuts_counts_once() -> None:
    plan = a_plan({"a": [], "b": [], "c": ["a", "b"]})
    assert saved(plan, {"a": "run", "b": "run", "c": "hit"}) == {"a": 1}


def test_a_step_that_changed_something_saves_nothing() -> None:
    plan = a_plan({"a": [], "b": ["a"]})
    assert saved(plan, {"a": "run", "b": "run"}) == {}


def test_a_cut_in_the_middle() -> None:
    plan = a_plan({"a": [], "b": ["a"], "c": ["b"], "other": []})
    assert saved(plan, {"a": "run", "b": "run", "c": "hit", "other": "hit"}) == {"b": 1}


def test_order_alone_saves_nothing() -> None:
    plan = a_plan({"a": [], "b": []}, after={"b": "a"})
    assert saved(plan, {"a": "run", "b": "hit"}) == {}


def test_a_matrix_passes_on_the_cut_of_its_cells_and_is_no_step_saved() -> None:
    plan = a_plan({"m[1]": [], "m[2]": [], "m": ["m[1]", "m[2]"], "c": ["m"]}, gathers=("m",))
    assert saved(plan, {"m[1]": "hit", "m[2]": "run", "m": "run", "c": "hit"}) == {"m[2]": 1}
    assert saved(plan, {"m[1]": "hit", "m[2]": "hit", "m": "hit", "c": "hit"}) == {}


def test_failures_and_skips_save_nothing() -> None:
    plan = a_plan({"a": [], "b": ["a"], "c": ["b"]})
    assert saved(plan, {"a": "run", "b": "failed", "c": "skip"}) == {}
