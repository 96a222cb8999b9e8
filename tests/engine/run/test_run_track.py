"""What a step tells through `ctx`: bounded on disk and in the record, whole after a death, without secrets."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle.domain.task import Item, Task
from treadle.domain.track import MOST, NOTES, ROWS, Point, stride_of, thinned
from treadle.errors import StepError
from treadle.executors.output import Mask
from treadle.run.context import Context
from treadle.run.tracks import read_file


def a_task(folder: Path, items: tuple[Item, ...] = ()) -> Task:
    names = {name: str(folder / name) for name in ("root", "objects", "scratch", "log")}
    track = str(folder / "step.track")
    return Task(run_id="r", step_id="fit", attempt=1, kind="function", call="", track=track, items=items, **names)


def a_context(folder: Path, secrets: tuple[str, ...] = ()) -> Context:
    return Context(a_task(folder), Mask(secrets))


def test_a_short_series_is_kept_point_by_point(tmp_path: Path) -> None:
    ctx = a_context(tmp_path)
    for epoch in range(10):
        ctx.metric("loss", 1.0 / (epoch + 1), step=epoch * 5)
    ctx.metric("lr", 0.1)
    ctx.metric("lr", 0.2)
    ctx.close()
    track = read_file(str(tmp_path / "step.track"))
    assert track is not None
    assert [(p.step, p.value) for p in track.series["loss"]] == [(e * 5, 1.0 / (e + 1)) for e in range(10)]
    assert [p.step for p in track.series["lr"]] == [0, 1]
    assert ctx.last == {"loss": 0.1, "lr": 0.2}
    assert (track.step, track.attempt) == ("fit", 1)


def test_a_long_series_has_a_bounded_file_and_keeps_its_first_and_last_point(tmp_path: Path) -> None:
    ctx = a_context(tmp_path)
    for step in range(100_000):
        ctx.metric("loss", float(step))
    ctx.close()
    assert (tmp_path / "step.track").stat().st_size < 1_500_000
    track = read_file(str(tmp_path / "step.track"))
    assert track is not None
    steps = [point.step for point in track.series["loss"]]
    assert len(steps) <= MOST + 1
    assert (steps[0], steps[-1]) == (0, 99_999)
    gaps = {after - before for before, after in pairwise(steps[:-1])}
    assert gaps == {stride_of(99_999)}  # evenly


@given(st.integers(1, 20_000))
def test_thinned_points_are_few_and_even(count: int) -> None:
    points = [Point(0.0, "x", index, 0.0, index) for index in range(count)]
    kept = thinned(points)
    assert len(kept) <= MOST + 1
    assert len(kept) >= min(count, MOST // 2)
    assert (kept[0].index, kept[-1].index) == (0, count - 1)


def test_a_line_that_was_not_written_whole_is_left_out(tmp_path: Path) -> None:
    ctx = a_context(tmp_path)
    ctx.metric("loss", 1.0)
    ctx.close()
    path = tmp_path / "step.track"
    path.write_bytes(path.read_bytes() + b'{"is":"metric","at":1.0,"na')
    track = read_file(str(path))
    assert track is not None
    assert len(track.series["loss"]) == 1


def test_what_is_no_number_is_shown_as_a_gap(tmp_path: Path) -> None:
    ctx = a_context(tmp_path)
    ctx.metric("loss", math.nan)
    ctx.close()
    track = read_file(str(tmp_path / "step.track"))
    assert track is not None
    assert track.series["loss"][0].value is None
    assert math.isnan(ctx.last["loss"])


def test_secrets_are_masked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ctx = a_context(tmp_path, ("hunter22",))
    ctx.log("with hunter22")
    ctx.metric("hunter22", 1)
    ctx.table("hunter22", [{"hunter22": "hunter22"}])
    ctx.plot("hunter22", {"hunter22": [[0, 1]]})
    ctx.close()
    text = (tmp_path / "step.track").read_text()
    assert "hunter22" not in text
    assert text.count("***") == 7
    assert "hunter22" not in ctx.last


def test_notes_are_kept_up_to_a_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ctx = a_context(tmp_path)
    for number in range(NOTES + 50):
        ctx.log(number)
    ctx.close()
    track = read_file(str(tmp_path / "step.track"))
    assert track is not None
    assert [note.text for note in track.notes] == [str(number) for number in range(NOTES)]
    assert capsys.readouterr().out.count("\n") == NOTES + 50  # the log has them all


def test_tables_of_any_kind(tmp_path: Path) -> None:
    pandas, arrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": range(80), "b": "x"})
    ctx = a_context(tmp_path)
    ctx.table("frame", frame)
    ctx.table("arrow", arrow.table({"a": [1, 2]}))
    ctx.table("counts", pandas.Series({"yes": 3, "no": 4}, name="n"))
    ctx.table("columns", {"a": [1.23456789]})
    ctx.close()
    track = read_file(str(tmp_path / "step.track"))
    assert track is not None
    found = {table.name: table for table in track.tables}
    assert (len(found["frame"].rows), found["frame"].rows_left) == (ROWS, 80 - ROWS)
    assert found["arrow"].rows == (("1",), ("2",))
    assert found["counts"].rows == (("yes", "3"), ("no", "4"))
    assert found["columns"].rows == (("1.23457",),)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda ctx: ctx.metric("loss", "high"), "ctx.metric: 'loss' is a str, not a number"),
        (lambda ctx: ctx.metric("loss", True), "ctx.metric: 'loss' is a bool, not a number"),
        (lambda ctx: ctx.metric("loss", 1, step="a"), "ctx.metric: step of 'loss' is 'a'"),
        (lambda ctx: ctx.metric(3, 1), "ctx.metric: a name is a text, not a int"),
        (lambda ctx: ctx.progress("half"), "ctx.progress takes two numbers"),
        (lambda ctx: ctx.table("t", 3), "ctx.table: 't' is a int"),
        (lambda ctx: ctx.plot("p", [1, 2]), "ctx.plot: 'p' is no list of points"),
    ],
)
def test_what_cannot_be_shown_is_an_error(call: object, says: str, tmp_path: Path) -> None:
    with pytest.raises(StepError) as caught:
        call(a_context(tmp_path))  # type: ignore[operator]
    assert says in str(caught.value)


def test_a_disk_that_is_full_fails_no_step(tmp_path: Path) -> None:
    task = a_task(tmp_path)
    (tmp_path / "step.track").mkdir()  # cannot be opened as a file
    ctx = Context(task, Mask(()))
    ctx.metric("loss", 1.0)
    ctx.close()
    assert ctx.last == {"loss": 1.0}
