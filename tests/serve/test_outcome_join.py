"""The join of predictions and outcomes by columns, against the same told row by row."""

import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from treadle.domain.serving import Outcome, Prediction
from treadle.store.predictions import OUTCOMES, PREDICTIONS, SegmentWriter, find_window, model_folder
from treadle.store.predictions.parquet import compact, outcomes_in, write_window
from treadle.store.predictions.segments import Answers, Fields, Results

HOUR = 3600.0
NOON = 494_400 * HOUR
UNITS = ("u", "v", "w", "")


def a_log(rng: random.Random) -> tuple[list[Prediction], list[Outcome]]:
    """Requests of one row and of several, whole and divided, in few moments so that many things happen at once."""
    predictions = []
    for number in range(rng.randrange(1, 40)):
        rows = rng.choice((1, 1, 1, 3))
        version = rng.choice((1, 2))
        features = {
            "a": [float(rng.randrange(9)) for _ in range(rows)],
            "zone": [rng.choice("xyz") for _ in range(rows)],
        }
        predictions.append(
            Prediction(
                f"r{rng.randrange(30)}", NOON + rng.randrange(12) * 900, version, rng.choice(("champion", "shadow")),
                [rng.choice(UNITS) for _ in range(rng.choice((1, rows)))], 0.5, 0.001, rng.choice((200, 200, 500)),
                rows, features, [float(number)] * rows if version == 1 else [[1.0, number * 1.0]] * rows,
                rng.sample(range(9), rows) if rows > 1 and rng.random() < 0.5 else [],
            )
        )  # fmt: skip
    outcomes = []
    for _ in range(rng.randrange(60)):
        metric = rng.choice(("ok", "price", "word", "mixed", "a"))
        value = {
            "ok": rng.random() < 0.5, "price": rng.random(), "word": rng.choice("pq"),
            "mixed": rng.choice((True, 1.5, "x")), "a": 3.0,
        }[metric]  # fmt: skip
        at = NOON + rng.randrange(16) * 900
        by: dict[str, Any] = (
            {"request_id": f"r{rng.randrange(30)}", "row": rng.randrange(3)}
            if rng.random() < 0.5
            else {"unit": rng.choice("uvw")}
        )
        outcomes.append(Outcome(metric, value, at, at + rng.randrange(8) * 900, **by))
    return predictions, outcomes


def write(folder: str, predictions: list[Prediction], outcomes: list[Outcome]) -> None:
    writer = SegmentWriter(folder, PREDICTIONS)
    for one in predictions:
        writer.describe(Fields(one.version, ("a", "zone"), ("y",)), one.at)
        writer.append(Answers([one]), one.at)
    writer.close()
    writer = SegmentWriter(folder, OUTCOMES)
    for outcome in outcomes:
        writer.append(Results([outcome]), outcome.received)
    writer.close()


def told(predictions: list[Prediction], outcomes: list[Outcome], features: set[str]) -> list[dict[str, Any]]:
    """What the join means, row by row."""
    rows: list[dict[str, Any]] = []
    for one in predictions:
        for at in range(one.rows):
            row: dict[str, Any] = {
                "_request_id": one.request_id, "_row": one.positions[at] if one.positions else at, "_at": one.at,
                "_unit": one.units[at if len(one.units) > 1 else 0], "_version": one.version,
                **{name: values[at] for name, values in one.features.items()},  # type: ignore[union-attr]
            }  # fmt: skip
            if one.arm != "shadow" and one.status == 200:
                rows.append(row)
    rows.sort(key=lambda row: (row["_at"], row["_request_id"], row["_row"]))
    for outcome in sorted(outcomes, key=lambda one: (one.at, one.received)):
        if outcome.request_id:
            mine = [row for row in rows if (row["_request_id"], row["_row"]) == (outcome.request_id, outcome.row)]
        else:
            mine = [row for row in rows if row["_unit"] == outcome.unit and row["_at"] <= outcome.at]
        if mine:
            name = outcome.metric
            mine[-1][f"outcome.{name}" if name in features else name] = outcome.value
    return rows


@pytest.mark.parametrize("seed", range(12))
def test_columns_tell_what_rows_tell(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    predictions, outcomes = a_log(rng)
    # of what happened to the same row in the same moment any may count: here they happen one after the other
    outcomes = [
        Outcome(o.metric, o.value, o.at, o.received + n / 100, o.request_id, o.row, o.unit)
        for n, o in enumerate(outcomes)
    ]
    folder = model_folder(str(tmp_path / ".treadle"), "m")
    write(folder, predictions, outcomes)
    expected = told(predictions, outcomes, {"a", "zone"})
    for packed in (False, True):
        if packed:
            compact(folder, NOON + 100 * HOUR, keep_days=10**6)
        window = find_window(folder, None)
        assert window is not None
        path = tmp_path / "window" / f"{packed}.parquet"
        write_window(window, str(path), str(tmp_path))
        found = pq.read_table(path).to_pylist()
        known = [(row["_request_id"], row["_row"], row["_at"], row["_unit"], row["_version"]) for row in found]
        assert known == [
            tuple(row[name] for name in ("_request_id", "_row", "_at", "_unit", "_version")) for row in expected
        ]
        for metric in ("ok", "price", "word", "mixed", "outcome.a", "a", "zone"):
            mine, theirs = [row.get(metric) for row in found], [row.get(metric) for row in expected]
            if len({type(one) for one in theirs if one is not None}) > 1:  # now a number, now something else: text
                theirs = [None if one is None else str(one) for one in theirs]
            assert mine == theirs, metric


def test_compacted_outcomes_are_what_they_were(tmp_path: Path) -> None:
    """Metrics of several kinds in one hour keep their kinds."""
    folder = model_folder(str(tmp_path / ".treadle"), "m")
    outcomes = [
        Outcome("ok", True, NOON, NOON, request_id="r"),
        Outcome("price", 2.5, NOON, NOON + 1, unit="u"),
        Outcome("word", "x", NOON, NOON + 2, request_id="r", row=2),
    ]
    write(folder, [], outcomes)
    [made] = compact(folder, NOON + 10 * HOUR, keep_days=10**6)
    assert outcomes_in(made) == outcomes
