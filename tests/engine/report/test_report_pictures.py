"""Layers, order, critical path and plots, from records alone."""

import xml.etree.ElementTree as tree

from treadle.domain.location import Location
from treadle.domain.plan import Plan, PlannedStep
from treadle.domain.run import StepRecord
from treadle.report import dag, gantt, plots, sections

HERE = Location("p.yaml", 1, 1)


def a_plan(needs: dict[str, list[str]], stages: dict[str, str] | None = None) -> Plan:
    steps = tuple(
        PlannedStep(id=n, kind="command", call="true", where=HERE, needs=tuple(above), stage=(stages or {}).get(n, ""))
        for n, above in needs.items()
    )
    return Plan(pipeline="p", path="p.yaml", digest="", steps=steps)


def ran(name: str, started: float, finished: float) -> StepRecord:
    return StepRecord(id=name, fate="run", started=started, finished=finished)


def test_layers_follow_the_longest_path() -> None:
    needs = {"a": [], "b": ["a"], "c": ["b"], "d": ["a", "c"]}
    assert dag.layer(needs) == [["a"], ["b"], ["c"], ["d"]]


def test_a_circle_made_by_grouping_is_drawn_all_the_same() -> None:
    layers = dag.layer({"a": ["b"], "b": ["a"]})
    assert sorted(name for names in layers for name in names) == ["a", "b"]


def test_neighbours_are_put_next_to_each_other() -> None:
    needs = {"a": [], "b": [], "c": ["b"], "d": ["a"]}
    arranged = dag.arrange([["a", "b"], ["c", "d"]], needs)
    assert [names.index(x) for names, x in zip(arranged, ("a", "d"), strict=True)] in ([0, 0], [1, 1])


def test_the_cells_of_a_matrix_are_one_box_and_many_steps_are_stages() -> None:
    plan = a_plan({"a": [], "m[k=1]": ["a"], "m[k=2]": ["a"], "m": ["m[k=1]", "m[k=2]"]})
    assert [(box.name, len(box.steps)) for box in dag.group(plan)] == [("a", 1), ("m", 3)]
    many = a_plan({f"load_{n}": [] for n in range(50)} | {f"fit_{n}": [f"load_{n}"] for n in range(50)})
    assert [(box.name, len(box.steps)) for box in dag.group(many)] == [("load", 50), ("fit", 50)]
    picture = tree.fromstring(dag.draw(many, {}))
    assert len(picture.findall(".//{*}rect")) == 2
    assert len(picture.findall(".//{*}path")) == 1


def test_a_deep_chain_is_drawn_without_recursion() -> None:
    plan = a_plan({"s0": []} | {f"s{n}": [f"s{n - 1}"] for n in range(1, 5000)})
    assert tree.fromstring(dag.draw(plan, {})) is not None


def test_the_critical_path_goes_back_along_what_ended_last() -> None:
    plan = a_plan({"a": [], "b": [], "pick": ["a", "b"], "c": ["pick"], "d": []})
    records = {"a": ran("a", 0, 3), "b": ran("b", 0, 5), "c": ran("c", 5, 9), "d": ran("d", 0, 4)}
    assert gantt.critical_path(plan, records) == ["b", "c"]
    assert gantt.draw(plan, {}) == ""


def test_names_and_figures_cannot_break_a_picture() -> None:
    values = [("<a&\"'>", 1.0), ("nothing", float("nan")), ("less", -2.0)]
    picture = tree.fromstring(plots.bars(values, "a < b"))
    assert [one.text for one in picture.findall(".//{*}text")] == ["<a&\"'>", "1", "less", "-2"]
    assert plots.bars([("x", float("inf"))], "t") == ""
    assert plots.lines({"a": []}, "t") == ""
    assert plots.confusion([[1]], [str(n) for n in range(99)]) == ""


def test_a_report_that_means_something_else_is_no_error() -> None:
    found = sections.blocks({"importance": "very", "confusion": 3, "checks": [1], "curves": {"a": 1}, "note": "fine"})
    assert [(block.title, block.rows) for block in found] == [("more", (("note", "fine"),))]
