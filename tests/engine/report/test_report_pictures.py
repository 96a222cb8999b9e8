"""Layers, order, critical path and plots, from records alone."""

import xml.etree.ElementTree as tree

from msgspec import structs

from treadle.domain.location import Location
from treadle.domain.plan import Plan, PlannedStep
from treadle.domain.run import RunRecord, StepRecord
from treadle.domain.spec import Select
from treadle.report import compare, dag, gantt, plots, run, sections
from treadle.report.page import Page

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


def test_a_whisker_below_zero_stays_in_the_picture() -> None:
    picture = tree.fromstring(plots.bars([("a", 0.1), ("b", 0.02)], "losses", {"a": 0.05, "b": 0.2}))
    places = [float(line.get(end, "").rstrip("%")) for line in picture.findall(".//{*}line") for end in ("x1", "x2")]
    assert len(places) == 4
    assert min(places) >= 0
    assert max(places) <= 100


def test_a_metric_and_its_interval_are_one_row_with_the_change_since_the_run_before() -> None:
    metrics = {"mae": 0.5, "rows": 40.0, "mae_low": 0.4, "mae_high": 0.6, "tail_low": 1.0}
    judge = StepRecord(id="judge", fate="run", metrics=metrics)
    told = run.Told(run=a_run([judge]), until=2.0, before="r0", earlier={"judge": {"mae": 0.75, "rows": 40.0}})
    [table] = block_of(run.page(told), "All metrics")
    assert table.head == ("step", "metric", "value", "interval", "change")
    assert table.rows == (
        ("judge", "mae", "0.5", "0.4 … 0.6", "-0.25"),
        ("judge", "rows", "40", "", ""),
        ("judge", "tail_low", "1", "", ""),
    )
    [plain] = block_of(
        run.page(run.Told(run=a_run([StepRecord(id="a", fate="run", metrics={"n": 1.0})]), until=2.0)), "All metrics"
    )
    assert plain.head == ("step", "metric", "value")
    sides = compare.page(
        ["r0", "r1"], (), [(f"judge.{name}", (value, 2 * value)) for name, value in metrics.items()], (), 0
    )
    assert list(block_of(sides, "Metrics")[0].rows) == [
        ("judge.mae", "0.5", "1 (+0.5)"),
        ("judge.rows", "40", "80 (+40)"),
        ("judge.tail_low", "1", "2 (+1)"),
    ]


def test_the_cells_of_a_matrix_are_compared_by_what_selects_one() -> None:
    cells = [StepRecord(id=f"m[k={k}]", fate="run", metrics={"accuracy": 1.0, "auc": float(k)}) for k in (1, 2)]
    plan = a_plan({"m[k=1]": [], "m[k=2]": [], "m": ["m[k=1]", "m[k=2]"]})
    gather = structs.replace(plan.steps[2], select=Select("auc", True))
    chosen = structs.replace(plan, steps=(*plan.steps[:2], gather))
    assert block_of(run.page(run.Told(run=a_run(cells), until=2.0, plan=chosen)), "m.auc of each cell")
    assert block_of(run.page(run.Told(run=a_run(cells), until=2.0)), "m.accuracy of each cell")


def a_run(steps: list[StepRecord]) -> RunRecord:
    return RunRecord(
        run_id="r1",
        pipeline="p",
        path="p.yaml",
        plan="",
        status="ok",
        started=1.0,
        finished=2.0,
        params={},
        git="",
        steps={step.id: step for step in steps},
    )


def block_of(page: Page, title: str) -> list[sections.Block]:
    return [block for section in page.sections for block in section.blocks if block.title == title]
