"""The report of a run in a real browser: whole, offline, light and dark, and on a phone."""

import re
from pathlib import Path

import pytest

from support.browser import a_page, needs_browser
from support.project import Project, a_project

PIPELINE = """
    version: 1
    name: demo
    params: {rate: 2}
    steps:
      first: {uses: "work:first", with: {rate: "${params.rate}"}}
      cells: {uses: "work:cell", in: {x: first}, matrix: {k: [1, 2, 3]}, select: {max: score}}
      judge: {uses: "work:judge", in: {x: cells}}
      broken: {uses: "work:broken", in: {x: first}}
"""
WORK = """
    from typing import Any, NamedTuple


    class Judged(NamedTuple):
        report: dict[str, Any]
        metrics: dict[str, float]


    def first(*, rate: int) -> int:
        return rate


    def cell(x: int, *, k: int) -> dict[str, float]:
        return {"score": float(x * k)}


    def judge(x: dict, ctx) -> Judged:
        for epoch in range(2000):
            ctx.metric("loss", 1 / (epoch + 1), step=epoch)
        ctx.log("<b>stopped</b> early")
        ctx.table("worst rows", [{"row": 3, "error": 0.5}])
        ctx.plot("roc", {"model": [[0, 0], [0.2, 0.9], [1, 1]], "chance": [[0, 0], [1, 1]]})
        report = {
            "importance": [{"column": "<b>age</b>", "loss": 0.4, "sd": 0.1}, {"column": "fee", "loss": 0.2, "sd": 0.0}],
            "confusion": [[40, 2], [5, 13]],
            "classes": ["no", "yes"],
            "calibration": [{"predicted": 0.1, "observed": 0.2}, {"predicted": 0.9, "observed": 0.8}],
            "curves": {"loss": [[0, 1.0], [1, 0.5], [2, 0.3]]},
            "checks": [{"column": "fee", "check": "min", "ok": False, "failed": 3, "message": "fee: below 0"}],
            "slices": {"plan": {"basic": {"mae": 0.2}, "pro": {"mae": 0.1}}},
        }
        return Judged(report, {"mae": 0.5})


    def broken(x: int) -> None:
        raise ValueError("<script>document.title = 'owned'</script>")
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = a_project(tmp_path_factory.mktemp("demo")).write("p.yaml", PIPELINE).write("work.py", WORK)
    project.treadle("run", "p.yaml", "-q")
    project.write("work.py", WORK.replace("float(x * k)", "float(x * k + 1)"))
    project.treadle("run", "p.yaml", "-q", "-p", "rate=5")
    assert project.treadle("runs", "report", "-o", "report.html").code == 0
    assert project.treadle("runs", "report", "--compare", "-o", "compare.html").code == 0
    return project


def test_an_older_run_has_its_own_lineage(demo: Project) -> None:
    """Each run's page shows what that run made, with what it was made from."""
    older = demo.treadle("show", "last~1", "--json").json()["steps"]["first"]["outputs"]["out"]["digest"][:12]
    newer = demo.treadle("show", "last", "--json").json()["steps"]["first"]["outputs"]["out"]["digest"][:12]
    assert older != newer
    demo.treadle("runs", "report", "last~1", "-o", "older.html")
    for name, shown, other in (("older.html", older, newer), ("report.html", newer, older)):
        lineage = demo.read(name).rpartition("Lineage")[2]
        assert (shown in lineage, other in lineage) == (True, False)
        assert "<td>cells.out</td>" in lineage  # what judge was made from


def test_the_file_is_small_and_needs_nothing_else(demo: Project) -> None:
    for name in ("report.html", "compare.html"):
        html = demo.read(name)
        assert len(html) < 2_000_000
        assert re.findall(r"(?:src|href)=|url\(|<script|@import", html) == []


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1100, False), (1100, True), (390, False)])
def test_it_looks_right(demo: Project, width: int, dark: bool) -> None:
    with a_page(width, dark) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"file://{demo.root}/report.html")
        assert [url for url in asked if not url.startswith("file:")] == []
        assert page.title() == "demo: failed"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = page.locator("svg rect.fate").evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")
        assert len(boxes) >= 8
        assert min(boxes) > 5
        letters = page.locator("svg text").evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")
        assert min(letters) > 8  # a picture that would become smaller than that scrolls instead
        beyond = page.locator("svg:not([viewBox]) text").evaluate_all(
            "all => all.filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth).length"
        )
        assert beyond == 0
        headings = page.locator("h2").all_text_contents()
        for heading in ("Failures", "Steps", "Metrics", "Report of judge", "Told by judge", "Every step", "Lineage"):
            assert heading in headings
        blocks = page.locator("h3").all_text_contents()
        for block in (
            "permutation importance",
            "confusion matrix",
            "calibration",
            "curves",
            "checks",
            "slices",
            "judge: loss",
            "roc",
        ):
            assert block in blocks
        paper, ink = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        assert (sum(_rgb(paper)) < sum(_rgb(ink))) is dark
        assert page.get_by_text("<b>age</b>").count() == 1
        changes = page.locator("section", has_text="Changes since").inner_text()
        assert "params.rate" in changes
        assert '+    return {"score": float(x * k + 1)}' in changes
        assert '-    return {"score": float(x * k)}' in changes
        told = page.locator("section", has=page.get_by_role("heading", name="Told by judge")).inner_text()
        assert "<b>stopped</b> early" in told
        assert "worst rows" in told


@needs_browser
def test_the_comparison_shows_every_difference(demo: Project) -> None:
    with a_page() as page:
        page.goto(f"file://{demo.root}/compare.html")
        text = page.locator("body").inner_text()
        assert "cells.score" in text
        assert page.locator("svg rect.bar").count() >= 8


@needs_browser
def test_a_thousand_steps_are_drawn_as_stages(tmp_path: Path) -> None:
    steps = "".join(f"      s{n}: {{run: 'true', stage: stage{n // 100}}}\n" for n in range(300))
    project = a_project(tmp_path).write("p.yaml", "    version: 1\n    steps:\n" + steps)
    assert project.treadle("run", "p.yaml", "-q").code == 0
    project.treadle("runs", "report", "-o", "r.html")
    with a_page() as page:
        page.goto(f"file://{project.root}/r.html")
        assert page.locator("svg").first.locator("rect.fate").count() == 3
        assert "stage0 × 100" in page.locator("svg").first.text_content()


def _rgb(colour: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", colour)[:3]]
