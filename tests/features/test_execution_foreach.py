"""`foreach` from outside: one item per element, each cached, retried and reported for itself."""

import json
import time
from typing import Any

import pytest

from support.project import Project, Result
from treadle.api.project import open_project
from treadle.store.sweep import plan, sweep

PIPELINE = """
    version: 1
    data: {numbers: {path: numbers.json}}
    steps:
      list: {uses: "work:read", in: {source: data.numbers}}
      square: {uses: "work:square", foreach: list, in: {number: list}, retry: {times: 1, backoff: 10ms}}
      total: {uses: "work:total", in: {parts: square}}
"""
WORK = """
    import json
    import os
    from pathlib import Path


    def note(text: str) -> None:
        with open("calls", "a") as file:
            file.write(text + "\\n")


    def read(source: Path) -> list:
        return json.loads(source.read_text())


    def square(number):
        note(str(number))
        if number == "flaky" and not Path("tried").exists():
            Path("tried").write_text("x")
            raise ValueError("the first time")
        if number == "bad":
            return 1 / 0
        if number == "dies":
            os._exit(3)
        return number * 2


    def total(parts: list) -> list:
        assert type(parts) is list
        return parts
"""


@pytest.fixture
def squares(project: Project) -> Project:
    return project.write("pipeline.yaml", PIPELINE).write("work.py", WORK)


def calls(project: Project) -> list[str]:
    """The elements that ran since the last time one asked."""
    path = project.root / "calls"
    found = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return sorted(found)


def run(project: Project, numbers: str, code: int = 0, *arguments: str) -> Result:
    project.write("numbers.json", numbers)
    result = project.treadle("run", "pipeline.yaml", "--json", *arguments)
    assert result.code == code, result.stderr + result.stdout
    return result


def progress(result: Result) -> dict[str, Any]:
    """The last announcement of how far the items are."""
    return [event for event in result.events() if event["event"] == "step_progress"][-1]


def value(project: Project, step: str) -> Any:
    (artifact,) = project.treadle("show", "last", step, "--json").json()["outputs"].values()
    digest = artifact["digest"]
    return json.loads((project.root / ".treadle/objects" / digest[:2] / digest[2:]).read_text())


def test_only_new_elements_run_and_the_order_is_that_of_the_list(squares: Project) -> None:
    run(squares, "[3, 1, 2, 1.5]")
    assert calls(squares) == ["1", "1.5", "2", "3"]
    assert value(squares, "total") == [6, 2, 4, 3.0]
    result = run(squares, "[7, 2, 3, 1, 1.5]")
    assert calls(squares) == ["7"]
    assert value(squares, "total") == [14, 4, 6, 2, 3.0]
    assert progress(result) | {"at": 0, "run_id": ""} == {
        **{"event": "step_progress", "step": "square", "at": 0, "run_id": ""},
        **{"total": 5, "hit": 4, "run": 1, "failed": 0},
    }
    run(squares, "[3, 1, 2, 1.5]")
    assert calls(squares) == []  # the whole list is known


def test_an_empty_list(squares: Project) -> None:
    run(squares, "[]")
    assert value(squares, "total") == []


def test_equal_elements_run_once(squares: Project) -> None:
    result = run(squares, "[5, 7, 5, 5]")
    assert calls(squares) == ["5", "7"]
    assert value(squares, "total") == [10, 14, 10, 10]
    assert (progress(result)["run"], progress(result)["hit"]) == (2, 2)
    run(squares, "[5, 7, 5, 5]", 0, "--force", "square")
    assert calls(squares) == ["5", "7"]
    run(squares, '["flaky", 5, "flaky"]')
    assert calls(squares) == ["flaky", "flaky"]  # one item, two attempts
    squares.write("pipeline.yaml", PIPELINE.replace("retry:", "cache: false, retry:"))
    run(squares, "[5, 7, 5]")
    assert calls(squares) == ["5", "5", "7"]  # what is not cached may differ each time


def test_equal_elements_fail_alike(squares: Project) -> None:
    result = run(squares, '["bad", 1, "bad"]', 1)
    assert calls(squares) == ["1", "bad", "bad"]  # one item, two attempts
    assert progress(result)["failed"] == 2
    failed = [event["index"] for event in result.events() if event["event"] == "item_failed"]
    assert failed == [0, 0, 2]
    run(squares, '["bad", 1]', 1)
    assert calls(squares) == ["bad", "bad"]


def test_one_changed_shard_costs_one_item_and_the_merge(squares: Project) -> None:
    shards = list(range(1000))
    run(squares, json.dumps(shards))
    assert len(calls(squares)) == 1000
    shards[500] = 5000
    result = run(squares, json.dumps(shards))
    assert calls(squares) == ["5000"]
    assert (progress(result)["run"], progress(result)["hit"]) == (1, 999)
    ran = [event["step"] for event in result.events() if event["event"] == "step_started"]
    assert sorted(ran) == ["list", "square", "total"]
    assert sum(value(squares, "total")) == 2 * sum(shards)


def test_other_code_runs_every_item(squares: Project) -> None:
    run(squares, "[1, 2]")
    calls(squares)
    squares.write("work.py", WORK.replace("number * 2", "number * 3"))
    run(squares, "[1, 2]")
    assert calls(squares) == ["1", "2"]
    assert value(squares, "total") == [3, 6]


def test_forced_items_run_again(squares: Project) -> None:
    run(squares, "[1, 2]")
    calls(squares)
    run(squares, "[1, 2]", 0, "--force", "square")
    assert calls(squares) == ["1", "2"]


def test_failed_items_are_retried_named_and_the_only_ones_to_run_again(squares: Project) -> None:
    text = '[1, "flaky", "bad", 2, "dies", 3]'
    result = run(squares, text, 1)
    assert calls(squares) == sorted(["1", "2", "3", "flaky", "flaky", "bad", "bad", "dies", "dies"])
    assert {k: progress(result)[k] for k in ("total", "run", "failed")} == {"total": 6, "run": 4, "failed": 2}
    failed = [e for e in result.events() if e["event"] == "item_failed"]
    assert sorted((e["index"], e["attempt"], e["wait"] is None) for e in failed) == [
        (1, 1, False),
        *((2, 1, False), (2, 2, True)),
        *((4, 1, False), (4, 2, True)),
    ]
    shown = squares.treadle("show", "last", "square").stdout
    assert "6: 0 unchanged, 4 ran, 2 failed" in shown
    assert 'item     2 ("bad"), attempt 2: ZeroDivisionError: division by zero' in shown
    assert "return 1 / 0" in shown
    assert 'item     4 ("dies"), attempt 2: the process ended itself with code 3' in shown
    run(squares, text, 1)
    assert calls(squares) == ["bad", "bad", "dies", "dies"]
    run(squares, '[1, "flaky", 2, 3]')
    assert calls(squares) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"a": 1}', "foreach needs a list, and this is a dict"),
        ('"text"', "and this is a text"),
        ("3", "this is a int"),
    ],
)
def test_what_is_no_list_is_said(squares: Project, content: str, words: str) -> None:
    result = run(squares, content, 1)
    (failed,) = [event for event in result.events() if event["event"] == "step_failed"]
    assert failed["step"] == "square"
    assert words in failed["failure"]["message"]


def test_files_folders_patterns_and_commands(project: Project) -> None:
    project.write(
        "pipeline.yaml",
        """
        version: 1
        data: {shards: {path: "shards/*.txt"}}
        steps:
          upper: {run: "tr a-z A-Z < {in.shard} > {out.u}", foreach: data.shards, in: {shard: data.shards},
                  out: {u: u.txt}}
          split: {run: "mkdir -p {out.parts}; cat {in.us} | while read w; do echo $w > {out.parts}/$w; done",
                  in: {us: upper}, out: {parts: parts}}
          size: {uses: "work:size", foreach: split}
          paths: {uses: "work:paths", in: {sizes: size}}
          copied: {run: "cat {in.p} > {out.c}; echo x >> $HOME/copies", foreach: paths, in: {p: paths}, out: {c: c.txt}}
          words: {uses: "work:words"}
          said: {run: "echo {in.w} > {out.s}", foreach: words, in: {w: words}, out: {s: s.txt}}
          all: {run: "cat {in.cs} {in.ss} > {out.all}", in: {cs: copied, ss: said}, out: {all: all.txt},
                save: {all: all.txt}}
        """,
    ).write(
        "work.py",
        """
        import os
        from collections.abc import Iterable
        from pathlib import Path


        def size(part: Path) -> dict:
            return {"name": part.name, "size": part.stat().st_size}


        def paths(sizes: Iterable[dict]) -> list:
            assert not isinstance(sizes, list)
            made = []
            for one in sizes:
                path = Path(os.environ["TREADLE_SCRATCH"]) / one["name"]
                path.write_text(f"{one['name']} {one['size']}\\n")
                made.append(path)
            return made


        def words() -> list:
            return ["it's", 2, True]
        """,
    )
    project.write("shards/a.txt", "one\n").write("shards/b.txt", "three\n")
    result = project.treadle("run", "pipeline.yaml")
    assert result.code == 0, result.stdout + result.stderr
    assert project.read("all.txt") == "ONE 4\nTHREE 6\nit's\n2\ntrue\n"
    assert (project.home / "copies").read_text() == "x\nx\n"
    project.write("shards/b.txt", "four\n")
    assert project.treadle("run", "pipeline.yaml").code == 0
    assert project.read("all.txt") == "FOUR 5\nONE 4\nit's\n2\ntrue\n"
    assert (project.home / "copies").read_text() == "x\nx\nx\n"


def test_a_condition_behind_the_items(squares: Project) -> None:
    text = PIPELINE.replace('total"', 'total", if: "params.on"').replace("data:", "params: {on: false}\n    data:", 1)
    squares.write("pipeline.yaml", text)
    result = run(squares, "[1]")
    (skipped,) = [event for event in result.events() if event["event"] == "step_skipped"]
    assert (skipped["step"], skipped["reason"]) == ("total", "if: params.on is false")


def test_a_damaged_item_alone_is_made_again(squares: Project) -> None:
    run(squares, "[1, 2, 3]")
    calls(squares)
    artifacts = value(squares, "square")
    lost = squares.root / ".treadle/objects" / artifacts[1]["digest"][:2] / artifacts[1]["digest"][2:]
    lost.chmod(0o644)
    lost.unlink()
    run(squares, "[1, 2, 3]")
    assert calls(squares) == ["2"]
    assert value(squares, "total") == [2, 4, 6]


def test_the_items_of_a_list_that_is_kept_survive_a_sweep(squares: Project) -> None:
    run(squares, "[1, 2]")
    run(squares, "[3]")
    later = time.time() + 10 * 86400
    store = open_project(squares.root).store
    waste = plan(store, keep_runs=1, now=later)
    sweep(store, waste, now=later)
    store.database.close()
    calls(squares)
    run(squares, "[3, 1]")
    assert calls(squares) == ["1"]


def test_a_file_that_changes_while_its_item_runs_is_not_recorded(project: Project) -> None:
    project.write(
        "pipeline.yaml",
        """
        version: 1
        data: {shards: {path: "shards/*.txt"}}
        steps: {read: {uses: "work:read", foreach: data.shards, in: {shard: data.shards}}}
        """,
    ).write(
        "work.py",
        """
        from pathlib import Path


        def read(shard: Path) -> str:
            with open("calls", "a") as file:
                file.write(shard.name + "\\n")
            text = shard.read_text()
            if text == "old":
                shard.write_text("new!")
            return text
        """,
    )
    project.write("shards/a.txt", "old").write("shards/b.txt", "same")
    assert project.treadle("run", "pipeline.yaml").code == 0
    assert calls(project) == ["a.txt", "b.txt"]
    project.write("shards/a.txt", "old")
    assert project.treadle("run", "pipeline.yaml").code == 0
    assert calls(project) == ["a.txt"]  # what it made of `old` cannot be trusted; b.txt can


def test_a_timeout_of_one_item(project: Project) -> None:
    project.write(
        "pipeline.yaml",
        """
        version: 1
        steps:
          list: {uses: "work:four"}
          nap: {uses: "work:nap", foreach: list, in: {seconds: list}, timeout: 500ms}
        """,
    ).write(
        "work.py",
        """
        import time


        def four() -> list:
            return [0, 0.001, 60, 0.002]


        def nap(seconds):
            time.sleep(seconds)
            return seconds
        """,
    )
    result = project.treadle("run", "pipeline.yaml")
    assert result.code == 1
    assert "1 of 4 items failed" in result.stdout
    assert "item 2 (60): took longer than its timeout of 500 ms" in result.stdout
