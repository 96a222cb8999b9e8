"""The log as data: windows, late and repeated outcomes, torn segments, compaction that loses and doubles nothing."""

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.project import Project
from treadle.domain.serving import Outcome, Prediction
from treadle.store.predictions import OUTCOMES, PREDICTIONS, SegmentWriter, find_window, model_folder
from treadle.store.predictions.parquet import compact, write_window
from treadle.store.predictions.segments import Answers, Fields, Results

HOUR = 3600.0
NOON = 494_400 * HOUR  # an hour's beginning


def a_prediction(request_id: str, at: float, unit: str = "", arm: str = "champion", status: int = 200) -> Prediction:
    features = {"a": [float(len(request_id))], "zone": ["z"]}
    return Prediction(request_id, at, 1, arm, [unit], 0.0, 0.001, status, 1, features, [at])


def write(folder: str, predictions: list[Prediction], outcomes: list[Outcome] | None = None) -> None:
    writer = SegmentWriter(folder, PREDICTIONS)
    for one in predictions:
        writer.describe(Fields(1, ("a", "zone"), ("y",)), one.at)
        writer.append(Answers([one]), one.at)
    writer.close()
    writer = SegmentWriter(folder, OUTCOMES)
    for outcome in outcomes or []:
        writer.append(Results([outcome]), outcome.received)
    writer.close()


def rows(folder: str, tmp_path: Path, seconds: float | None = None) -> list[dict[str, object]]:
    window = find_window(folder, seconds)
    assert window is not None
    path = tmp_path / f"{window.digest}.parquet"
    write_window(window, str(path), str(tmp_path / "scratch"))
    found: list[dict[str, object]] = pq.read_table(path).to_pylist()
    return found


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return model_folder(str(tmp_path / ".treadle"), "m")


def test_a_window_counts_back_from_the_newest_record(folder: str, tmp_path: Path) -> None:
    assert find_window(folder, HOUR) is None
    write(folder, [a_prediction(f"r{n}", NOON + n * HOUR / 2) for n in range(6)])
    assert [row["_request_id"] for row in rows(folder, tmp_path, HOUR)] == ["r3", "r4", "r5"]
    assert len(rows(folder, tmp_path)) == 6


def test_shadows_and_failures_are_left_out(folder: str, tmp_path: Path) -> None:
    write(folder, [
        a_prediction("seen", NOON), a_prediction("seen", NOON, arm="shadow"), a_prediction("failed", NOON, status=500),
    ])  # fmt: skip
    assert [(row["_request_id"], row["_arm"]) for row in rows(folder, tmp_path)] == [("seen", "champion")]


def test_outcomes_come_late_out_of_order_repeated_and_by_unit(folder: str, tmp_path: Path) -> None:
    predictions = [a_prediction("r1", NOON, "u"), a_prediction("r2", NOON + 100, "u"), a_prediction("r3", NOON + 200)]
    outcomes = [
        Outcome("ok", 2.0, NOON + 50, NOON + 9 * HOUR, request_id="r1"),  # the later in time, arrived first
        Outcome("ok", 1.0, NOON + 10, NOON + 9 * HOUR + 1, request_id="r1"),
        Outcome("ok", 2.0, NOON + 50, NOON + 9 * HOUR + 2, request_id="r1"),
        Outcome("ok", 3.0, NOON + 150, NOON + 150, unit="u"),  # of the unit's last prediction before it: r2
        Outcome("ok", 9.0, NOON - 5, NOON, unit="u"),  # before any of its predictions
        Outcome("a", 7.0, NOON + 300, NOON + 300, request_id="r3"),  # a metric with the name of a feature
        Outcome("ok", 8.0, NOON, NOON, request_id="nobody"),
    ]
    write(folder, predictions, outcomes)
    found = rows(folder, tmp_path)
    assert [row["ok"] for row in found] == [2.0, 3.0, None]
    assert [row["outcome.a"] for row in found] == [None, None, 7.0]
    assert [row["a"] for row in found] == [2.0, 2.0, 2.0]


def test_a_torn_frame_ends_its_segment_and_no_other(folder: str, tmp_path: Path) -> None:
    write(folder, [a_prediction("r1", NOON), a_prediction("r2", NOON)])
    [name] = [name for name in os.listdir(folder) if name.startswith(PREDICTIONS)]
    path = Path(folder, name)
    data = path.read_bytes()
    for cut in range(len(data) - 40, len(data)):
        path.write_bytes(data[:cut])
        assert [row["_request_id"] for row in rows(folder, tmp_path)] == ["r1"]
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    write(folder, [a_prediction("r3", NOON)])
    assert {row["_request_id"] for row in rows(folder, tmp_path)} == {"r1", "r3"}


def test_compaction_keeps_rows_and_digest(folder: str, tmp_path: Path) -> None:
    write(folder, [a_prediction(f"r{n}", NOON + n * HOUR) for n in range(3)],
          [Outcome("ok", True, NOON, NOON, request_id="r0")])  # fmt: skip
    before, digest = rows(folder, tmp_path), find_window(folder, None)
    made = compact(folder, NOON + 10 * HOUR, keep_days=30)
    assert len(made) == 4 and not [name for name in os.listdir(folder) if name.endswith(".log")]
    after = find_window(folder, None)
    assert digest is not None and after is not None and after.digest == digest.digest
    assert rows(folder, tmp_path) == before
    assert compact(folder, NOON + 10 * HOUR, keep_days=30) == []


def test_a_segment_in_use_or_of_this_hour_is_left_alone(folder: str) -> None:
    writer = SegmentWriter(folder, PREDICTIONS)
    writer.describe(Fields(1, ("a", "zone"), ("y",)), NOON)
    writer.append(Answers([a_prediction("r", NOON)]), NOON)
    assert compact(folder, NOON + 2 * HOUR, keep_days=30) == []
    writer.close()
    assert compact(folder, NOON + 1.0, keep_days=30) == []
    assert len(compact(folder, NOON + 2 * HOUR, keep_days=30)) == 1


def test_a_crash_between_commit_and_delete_doubles_nothing(folder: str, tmp_path: Path) -> None:
    write(folder, [a_prediction("r", NOON)])
    [name] = [name for name in os.listdir(folder) if name.startswith(PREDICTIONS)]
    data = Path(folder, name).read_bytes()
    compact(folder, NOON + 2 * HOUR, keep_days=30)
    Path(folder, name).write_bytes(data)
    assert len(rows(folder, tmp_path)) == 1
    compact(folder, NOON + 2 * HOUR, keep_days=30)
    assert not Path(folder, name).exists()
    for path in Path(folder).glob("*.json"):  # and a crash before the commit: the segment counts, the orphan does not
        path.unlink()
    Path(folder, name).write_bytes(data)
    assert len(rows(folder, tmp_path)) == 1


def test_what_is_too_old_goes(folder: str) -> None:
    write(folder, [a_prediction("old", NOON), a_prediction("new", NOON + 40 * 24 * HOUR)])
    compact(folder, NOON + 41 * 24 * HOUR, keep_days=30)
    window = find_window(folder, None)
    assert window is not None and len(window.sources) == 1


def test_names_lead_nowhere(tmp_path: Path) -> None:
    for name in ("", ".", "..", "a/b", "../x", "a\0b"):
        with pytest.raises(Exception, match="cannot name a model"):
            model_folder(str(tmp_path), name)


PIPELINE = """
    version: 1
    data:
      live: {predictions: m, window: 24h}
    steps:
      count: {uses: "work:count", in: {live: data.live}}
"""
WORK = """
    def count(live):
        import pyarrow.parquet as pq

        table = pq.read_table(live)
        return {"rows": table.num_rows, "columns": sorted(table.column_names)}
"""


def test_a_step_reads_the_window_and_is_a_hit_until_something_is_logged(project: Project) -> None:
    project.write("pipeline.yaml", PIPELINE).write("work.py", WORK)
    refused = project.treadle("run", "pipeline.yaml")
    assert refused.code == 1
    assert "reads the predictions of 'm'" in refused.stdout
    folder = model_folder(str(project.root / ".treadle"), "m")
    write(folder, [a_prediction("r1", NOON), a_prediction("r2", NOON + 60)])
    first = project.treadle("run", "pipeline.yaml")
    assert first.code == 0, first.stdout + first.stderr
    assert "hit" in project.treadle("run", "pipeline.yaml").stdout
    compact(folder, NOON + 2 * HOUR, keep_days=10**6)
    assert "hit" in project.treadle("run", "pipeline.yaml").stdout  # other files, the same content
    write(folder, [], [Outcome("ok", True, NOON, NOON, request_id="r1")])
    again = project.treadle("run", "pipeline.yaml")
    assert (again.code, again.stderr) == (0, "run   count: input live changed\n")
