"""What people see while steps run: on a real pseudo-terminal of 80 columns, and where there is none."""

import argparse
import io
import os
import random
import subprocess
import sys
import time

import pytest

from support.project import Project, clean_environment
from support.terminal import Terminal, replay
from treadle.cli.live import PERIOD
from treadle.cli.options import retyped
from treadle.cli.progress import Progress, Work, advanced
from treadle.cli.summary import summary
from treadle.cli.table import render
from treadle.cli.width import columns, cut
from treadle.domain import event as events
from treadle.domain.advance import Advance
from treadle.domain.location import Location
from treadle.domain.plan import Plan, PlannedStep
from treadle.domain.run import GateVerdict, RunRecord, StepRecord
from treadle.domain.task import Failure
from treadle.run.estimate import PERIOD as REPORT
from treadle.run.estimate import Pace
from treadle.run.groups import group_of

ANY = {"run_id": "r", "at": 0.0}
BROKEN = Failure("error", "ValueError: a message\nof two lines, the first of which is " + "long " * 30)


def a_large_run(progress: Progress, count: int, failing: int = 50) -> None:
    """`count` steps in stages and matrices, four at a time, some failing; the last four are still running."""
    progress.notify(events.RunStarted(**ANY, pipeline="p", steps=count, stages={"clean": "prepare", "load": "prepare"}))
    names = [f"{('clean', 'load', 'train', 'a_step_with_a_rather_long_name')[n % 4]}[shard={n}]" for n in range(count)]
    order = random.Random(1)
    for position, name in enumerate(names):
        progress.notify(events.StepStarted(**ANY, step=name, reason="first run"))
        if position >= 4:
            step = names[position - 4]
            if order.random() < failing / count:
                progress.notify(events.StepFailed(**ANY, step=step, failure=BROKEN))
            else:
                progress.notify(events.StepFinished(**ANY, step=step, seconds=1.0))
        if position == count // 2:
            progress.notify(events.RunProgress(**ANY, steps=count, ended=position, remaining=125.0))


def test_ten_thousand_steps_stay_readable() -> None:
    with Terminal() as terminal:
        progress = Progress(terminal.stream)
        began = time.monotonic()
        a_large_run(progress, 10_000)
        time.sleep(2 * PERIOD)
        progress.notify(events.Notice(**ANY, text="the end"))
        progress.close()
        took = time.monotonic() - began
        text = terminal.end()
    last = replay(text.split("\033[J")[-2])[0]  # what stood there before it was taken away
    assert terminal.widest() <= 79
    assert text.count("\033[J") <= took / PERIOD + 2 + text.count("failed ") + text.count("note ")  # no flicker
    assert len(last) <= 16, last
    shown = "\n".join(last)
    assert "note  the end" in text
    assert "prepare" in shown
    assert "9996/10000, about 2m 0" in shown
    assert "running: clean[shard=9996]" in shown
    assert "failed: " in shown
    assert "first run" not in text  # no line per step


def items(progress: Progress, done: int) -> None:
    """A step with `foreach` beside the others: 100,000 items, `done` of them, of which every tenth was there."""
    hit, failed = done // 10, 7
    counts = {"total": 100_000, "hit": hit, "run": done - hit - failed, "failed": failed}
    progress.notify(events.StepProgress(**ANY, step="square", **counts))


def test_the_items_of_a_step_are_counted_on_a_line_of_their_own() -> None:
    with Terminal() as terminal:
        progress = Progress(terminal.stream)
        a_large_run(progress, 10_000)
        items(progress, 100)
        time.sleep(2 * PERIOD)
        items(progress, 50_000)
        progress.notify(events.Notice(**ANY, text="now"))
        progress.close()
        text = terminal.end()
    last = "\n".join(replay(text.split("\033[J")[-2])[0])
    assert "square  ━━━━━━────── 50000/100000 items, 5000 hit, 7 failed" in last
    assert terminal.widest() <= 79


def test_failed_items_are_told_until_they_are_too_many() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    again = events.ItemFailed(**ANY, step="square", index=3, element="x", attempt=1, failure=BROKEN, wait=2.0)
    progress.notify(again)
    for index in range(100):
        progress.notify(
            events.ItemFailed(**ANY, step="square", index=index, element=f"e{index}", attempt=2, failure=BROKEN)
        )
    assert stream.getvalue().splitlines() == [
        "again item 3 (x) of square in 2.0 s: ValueError: a message",
        *(f"failed item {index} (e{index}) of square: ValueError: a message" for index in range(4)),
        "note  more items of square fail; they are counted from here on, not named",
    ]


def test_closing_leaves_only_the_lines_that_stay() -> None:
    with Terminal() as terminal:
        progress = Progress(terminal.stream)
        progress.notify(events.RunStarted(**ANY, pipeline="p", steps=2))
        progress.notify(events.StepStarted(**ANY, step="one", reason="first run"))
        progress.notify(events.StepFailed(**ANY, step="one", failure=BROKEN))
        progress.close()
        screen = terminal.screen()
    assert screen[0] == "run   one: first run"
    assert screen[1].startswith("failed one: ValueError: a message")
    assert screen[2:] == [""]


def test_the_time_left_goes_on_while_nothing_happens() -> None:
    with Terminal() as terminal:
        progress = Progress(terminal.stream)
        progress.notify(events.RunStarted(**ANY, pipeline="p", steps=2))
        progress.notify(events.RunProgress(**ANY, steps=2, ended=0, remaining=90.0))
        progress.notify(events.StepStarted(**ANY, step="one", reason="first run"))
        time.sleep(1.2)
        progress.close()
        text = terminal.end()
    assert "about 1m 30s left" in text
    assert "about 1m 29s left" in text


def test_without_a_terminal_there_are_no_signs_that_move() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    progress.notify(events.RunStarted(**ANY, pipeline="p", steps=2))
    progress.notify(events.StepStarted(**ANY, step="one", reason="first run"))
    progress.notify(events.StepFailed(**ANY, step="one", failure=BROKEN))
    progress.close()
    assert stream.getvalue() == "run   one: first run\nfailed one: ValueError: a message\n"


def test_a_log_of_ten_thousand_steps_is_short() -> None:
    stream = io.StringIO()
    a_large_run(Progress(stream), 10_000)
    lines = stream.getvalue().splitlines()
    assert lines
    assert all(line.startswith("failed ") or "/10000" in line for line in lines)


def test_quiet_is_quiet() -> None:
    with Terminal() as terminal:
        progress = Progress(terminal.stream, quiet=True)
        a_large_run(progress, 100)
        progress.close()
        assert terminal.end() == ""


@pytest.mark.parametrize(
    ("step", "group"),
    [
        ("train[rate=0.1]", "train"),
        ("load_users", "load"),
        ("shard12", "shard"),
        ("train-small", "train"),
        ("evaluate", "evaluate"),
        ("_x", "_x"),
        ("report[a=1]", "the end"),
    ],
)
def test_the_group_of_a_step(step: str, group: str) -> None:
    assert group_of(step, {"report": "the end"}) == group


def record(count: int) -> RunRecord:
    steps = {}
    for n in range(count):
        name = f"{'clean' if n % 2 else 'train'}[n={n}]"
        failed = n == 7
        steps[name] = StepRecord(
            id=name,
            fate="failed" if failed else "run",
            reason=BROKEN.message if failed else "first run",
            failure=BROKEN if failed else None,
            started=100.0,
            finished=100.0 + (50.0 if n == 33 else 1.0),
        )
    return RunRecord(
        run_id="r", pipeline="p", path="p.yaml", plan="", status="failed", started=0, finished=9, steps=steps
    )


def test_a_large_summary_has_groups_the_failures_and_the_slowest() -> None:
    text = summary(record(10_000), "p.yaml", colour=False, stages={"train": "fit"})
    lines = text.splitlines()
    assert len(lines) < 40
    assert any(line.startswith("fit ") and "5000" in line and "5000 ran" in line for line in lines)
    assert any(line.startswith("clean ") and "4999 ran, 1 failed" in line for line in lines)
    assert any(line.startswith("clean[n=7] ") and "failed" in line for line in lines)
    assert any(line.startswith("clean[n=33] ") and "50.0 s" in line for line in lines)
    assert lines[-1] == "failed: 9999 ran, 1 failed in 9.0 s  [run r]"


def test_a_small_summary_has_every_step() -> None:
    lines = summary(record(60), "p.yaml", colour=False).splitlines()
    assert sum(line.startswith(("clean[", "train[")) for line in lines) == 60


def test_a_group_of_one_keeps_its_metrics_and_a_gate_its_verdict() -> None:
    run = record(100)
    gate = GateVerdict("mae < 0.15", True, {"mae": 0.1})
    run.steps["evaluate"] = StepRecord(id="evaluate", fate="run", metrics={"mae": 0.1}, gates=(gate,))
    lines = summary(run, "p.yaml", colour=False).splitlines()
    assert any(line.startswith("evaluate ") and "mae 0.1; gate held: mae < 0.15" in line for line in lines)


def test_many_failures_are_all_named_and_ten_are_told_in_full() -> None:
    broken = {f"s{n}": StepRecord(id=f"s{n}", fate="failed", failure=BROKEN) for n in range(500)}
    run = RunRecord(run_id="r", pipeline="p", path="p.yaml", plan="", status="failed", started=0, steps=broken)
    text = summary(run, "p.yaml", colour=False)
    assert text.count("again: treadle run") == 10
    assert "failed as well: s10, s11" in text
    assert "s499\n" in text


@pytest.mark.parametrize("edge", [30, 60, 80])
def test_no_row_is_wider_than_the_terminal(edge: int) -> None:
    rows = [("a" * 50, "failed", "1.0 s", "why " * 40), ("ü漢字" * 20, "run", "", "漢" * 80)]
    table = render(("step", "fate", "time", "what"), rows, colour=False, edge=edge)
    assert [line for line in table.splitlines() if columns(line) > edge] == []


def test_a_line_is_cut_by_columns_and_cannot_move_the_cursor() -> None:
    assert cut("plain", 10) == "plain"
    assert cut("plainly too long", 10) == "plainly t…"
    assert columns(cut("漢字" * 10, 9)) <= 9
    assert cut("a\033[2Jb\tc\nd", 20) == "a [2Jb c"


def test_long_work_has_a_bar_with_the_time_left() -> None:
    assert advanced(Advance("checking", 25, 100), 10.0).endswith("checking: 25 of 100 files, about 30.0 s left")
    assert advanced(Advance("hashing", 1 << 30, 4 << 30, "bytes"), 1.0).endswith("1.0 GiB of 4.0 GiB, about 3.0 s left")
    assert advanced(Advance("fetching", 2048, 0, "bytes"), 5.0) == "fetching: 2.0 KiB"


def test_how_to_run_again_names_the_parameters() -> None:
    args = argparse.Namespace(pipeline="my pipes/p.yaml", param=["n=4", "text=a b"])
    assert retyped(args) == "'my pipes/p.yaml' -p n=4 -p 'text=a b'"


def test_short_work_has_none() -> None:
    with Terminal() as terminal:
        work = Work(terminal.stream)
        for number in range(100):
            work.tell(Advance("checking", number, 100))
        work.close()
        assert terminal.end() == ""


def test_estimates_are_made_now_and_then_and_follow_the_longest_path() -> None:
    where = Location("p.yaml", 1, 1)
    steps = tuple(
        PlannedStep(id=name, kind="function", call="m:f", where=where, needs=needs)
        for name, needs in (("a", ()), ("b", ("a",)), ("c", ()))
    )
    pace = Pace(Plan(pipeline="p", path="p.yaml", digest="", steps=steps), {"a": 10.0, "b": 5.0, "c": 1.0})
    pace.begin("a", 100.0)
    told = pace.report("r", 100.0, set(), 2)
    assert told is not None
    assert (told.ended, told.remaining) == (0, 15.0)
    assert pace.report("r", 100.0 + REPORT / 2, set(), 2) is None
    told = pace.report("r", 104.0, {"c"}, 2)
    assert told is not None
    assert (told.ended, told.remaining) == (1, 11.0)


PIPELINE = """
    version: 1
    steps:
      make: {run: "echo {params.n} > {out.file}", matrix: {n: NUMBERS}, out: {file: a.txt}, stage: prepare}
""".replace("NUMBERS", str(list(range(70))))


@pytest.mark.parametrize("no_color", [False, True])
def test_a_real_run_on_a_real_terminal(project: Project, no_color: bool) -> None:
    project.write("pipeline.yaml", PIPELINE)
    with Terminal() as terminal:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "treadle", "run", "pipeline.yaml"],
            cwd=project.root,
            env=clean_environment(project.home, {"NO_COLOR": "1", "TERM": "xterm"} if no_color else {"TERM": "xterm"}),
            stdin=subprocess.DEVNULL,
            stdout=terminal.handle,
            stderr=terminal.handle,
            check=False,
            timeout=120,
        )
        text = terminal.end()
    assert done.returncode == 0, text
    assert terminal.widest() <= 80
    assert "prepare" in text
    assert text.rstrip().splitlines()[-1].startswith("ok: 71 ran in ")
    assert ("\033[36m" in text or "\033[2m" in text) is not no_color
    assert os.path.isdir(project.root / ".treadle")
