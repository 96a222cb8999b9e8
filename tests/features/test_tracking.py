"""`ctx`: what a step tells while it runs, from outside."""

import json
import time
from pathlib import Path

import pytest

from support.project import Project, a_project

PIPELINE = """
    version: 1
    name: demo
    params: {epochs: 5}
    steps:
      fit: {uses: "work:fit", with: {epochs: "${params.epochs}"}, gate: ["loss < 0.5"]}
      after: {uses: "work:after", in: {model: fit}}
"""
WORK = """
    def fit(*, epochs: int, ctx):
        for epoch in range(epochs):
            ctx.metric("loss", 1 / (epoch + 1), step=epoch)
            ctx.progress(epoch + 1, epochs)
        ctx.log("as good as it gets")
        ctx.table("worst rows", [{"row": 3, "error": 0.5}])
        ctx.plot("roc", [[0, 0], [1, 1]])
        return {"size": epochs}


    def after(model, ctx=None):
        return {"seen": model["size"]}
"""


@pytest.fixture
def demo(tmp_path: Path) -> Project:
    return a_project(tmp_path).write("p.yaml", PIPELINE).write("work.py", WORK)


def of_kind(events: list[dict[str, object]], kind: str) -> list[dict[str, object]]:
    return [event for event in events if event["event"] == kind]


def test_a_step_tells_and_the_run_passes_it_on(demo: Project) -> None:
    assert demo.treadle("check", "p.yaml").code == 0
    events = demo.treadle("run", "p.yaml", "--json").events()
    points = [point for event in of_kind(events, "metric") for point in event["points"]]  # type: ignore[attr-defined]
    assert points == [[epoch, 1 / (epoch + 1)] for epoch in range(5)]
    assert of_kind(events, "step_advanced")[-1] | {"run_id": "", "at": 0} == {
        **{"event": "step_advanced", "run_id": "", "at": 0},
        **{"step": "fit", "done": 5.0, "total": 5.0},
    }
    assert [event["text"] for event in of_kind(events, "noted")] == ["as good as it gets"]
    assert of_kind(events, "step_finished")[0]["metrics"] == {"loss": 0.2, "size": 5.0}  # the gate held on it


def test_the_record_keeps_it_and_so_does_a_hit(demo: Project) -> None:
    demo.treadle("run", "p.yaml", "-q")
    shown = demo.treadle("show", "last", "fit").stdout.splitlines()
    told = [line for line in shown if line.split()[0] in ("curve", "note", "progress", "report")]
    assert told == [
        "  progress 5 of 5",
        "  curve    loss: 1 at 0 → 0.2 at 4, 5 values █▄▂▁▁",
        "  note     as good as it gets",
        "  report   table worst rows, plot roc (treadle runs report)",
    ]
    assert demo.treadle("run", "p.yaml", "-q").stdout.startswith("nothing to do")
    again = demo.treadle("show", "last", "fit").stdout.splitlines()
    assert again[0].startswith("fit: hit")
    assert [line for line in again if line in told] == told
    assert demo.treadle("logs", "fit").stdout == "as good as it gets\n"
    assert demo.treadle("cache", "gc", "--all").code in (0, 2)
    assert not list((demo.root / ".treadle").glob("logs/*/*.track"))


def test_a_step_that_tells_nothing_has_no_track(demo: Project) -> None:
    demo.treadle("run", "p.yaml", "-q")
    assert demo.treadle("show", "last", "after", "--json").json()["track"] is None


def test_what_a_killed_step_told_is_kept_and_the_last_attempt_counts(tmp_path: Path) -> None:
    project = a_project(tmp_path).write(
        "p.yaml",
        """
        version: 1
        name: demo
        steps:
          dies: {uses: "work:dies"}
          twice: {uses: "work:twice", retry: {times: 1, backoff: 0s}}
        """,
    )
    project.write(
        "work.py",
        """
        import os, pathlib, signal


        def dies(ctx):
            ctx.metric("loss", 7.5)
            ctx.metric("loss", 9.5)
            os.kill(os.getpid(), signal.SIGKILL)


        def twice(ctx):
            mark = pathlib.Path("mark")
            first = not mark.exists()
            mark.touch()
            ctx.metric("loss", 1.0 if first else 2.0)
            if first:
                raise ValueError("once more")
            return 3
        """,
    )
    assert project.treadle("run", "p.yaml", "-q").code == 1
    assert "  curve    loss: 7.5 at 0 → " in project.treadle("show", "last", "dies").stdout
    track = project.treadle("show", "last", "twice", "--json").json()["told"]
    assert (track["attempt"], [point["value"] for point in track["series"]["loss"]]) == (2, [2.0])


def test_a_run_that_goes_on_shows_what_its_steps_tell(tmp_path: Path) -> None:
    project = (
        a_project(tmp_path)
        .write("p.yaml", PIPELINE)
        .write(
            "work.py",
            """
        import pathlib, time


        def fit(*, epochs: int, ctx):
            for epoch in range(3):
                ctx.metric("loss", 1 / (epoch + 1))
            ctx.progress(3, 8)
            pathlib.Path("told").touch()
            for _ in range(600):
                if pathlib.Path("go").exists():
                    break
                time.sleep(0.1)
            return {}


        def after(model):
            return 1
        """,
        )
    )
    with project.start("run", "p.yaml", "-q") as process:
        for _ in range(600):
            if (project.root / "told").exists():
                break
            time.sleep(0.1)
        whole = project.treadle("runs", "show", "last").stdout.splitlines()
        one = project.treadle("show", "last", "fit").stdout.splitlines()
        report = project.treadle("runs", "report", "last", "-o", "r.html")
        (project.root / "go").touch()
        process.communicate(timeout=60)
    assert whole[-1] == "running: fit  ━━━━──────── 3/8  loss 0.3333 █▃▁"
    assert one[0] == "fit: running (attempt 1)"
    assert "  progress 3 of 8" in one
    assert report.code == 0
    assert "fit: loss" in project.read("r.html")


def test_ctx_is_neither_input_nor_parameter(demo: Project) -> None:
    demo.write("p.yaml", PIPELINE.replace('epochs: "${params.epochs}"', "epochs: 5, ctx: 1"))
    found = demo.treadle("check", "p.yaml")
    assert found.code == 2
    assert "'work:fit' has no parameter 'ctx'" in found.stderr + found.stdout
    demo.write("p.yaml", PIPELINE).treadle("run", "p.yaml", "-q")
    key = demo.treadle("explain", "p.yaml", "fit", "--json").json()
    assert "ctx" not in json.dumps(key.get("changes", []))


def test_what_cannot_be_told_names_the_fault_without_a_traceback(demo: Project) -> None:
    demo.write("work.py", WORK.replace("1 / (epoch + 1), step=epoch", '"low"'))
    found = demo.treadle("run", "p.yaml", "-q")
    assert found.code == 1
    assert "failed: fit: ctx.metric: 'loss' is a str, not a number" in found.stdout
    assert "Traceback" not in found.stdout


def test_items_of_a_list_have_metrics_and_no_curves(tmp_path: Path) -> None:
    project = a_project(tmp_path).write(
        "p.yaml",
        """
        version: 1
        name: demo
        steps:
          many: {uses: "work:many"}
          each: {uses: "work:each", foreach: many}
        """,
    )
    project.write(
        "work.py",
        """
        def many():
            return [1, 2, 3]


        def each(item, ctx):
            ctx.metric("square", item * item)
            ctx.progress(1, 1)
            ctx.log(f"item {item}")
            return item
        """,
    )
    assert project.treadle("run", "p.yaml", "-q").code == 0
    assert project.treadle("show", "last", "each", "--json").json()["track"] is None
    assert sorted(project.treadle("logs", "each").stdout.splitlines()) == ["item 1", "item 2", "item 3"]
