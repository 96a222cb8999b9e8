"""Outcomes beside the predictions that they belong to, as columns of Arrow.

join
├── by request: the row with the request's id and place
├── by unit: the unit's last row before the outcome, by sorting rows and outcomes together and filling forward
└── of several outcomes of a row and metric the latest counts, by `at` and then by arrival
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from treadle.store.predictions.columns import KINDS


def join(rows: pa.Table, outcomes: pa.Table) -> pa.Table:
    """The rows, in order of time, with a column for each metric: its name, or `outcome.METRIC` beside such a feature.

    `outcomes` are those of `columns.RESULTS`, in the order in which they arrived.
    """
    if not len(outcomes) or not len(rows):
        return rows
    outcomes = outcomes.take(pc.sort_indices(outcomes, sort_keys=[("at", "ascending"), ("received", "ascending")]))
    asked = pc.not_equal(outcomes["request_id"], "")
    places = pc.if_else(asked, _by_request(rows, outcomes), _by_unit(rows, outcomes))
    found = outcomes.append_column("place", places).filter(pc.is_valid(places))
    features = set(rows.column_names)
    for name in sorted(pc.unique(found["metric"]).to_pylist()):
        own = found.filter(pc.equal(found["metric"], name))
        rows = rows.append_column(f"outcome.{name}" if name in features else name, _latest(own, len(rows)))
    return rows


def _by_request(rows: pa.Table, outcomes: pa.Table) -> Any:
    """The place of the row that each outcome names, the last of several, or null."""
    known = _named(rows["_request_id"], rows["_row"])
    backwards = pc.index_in(_named(outcomes["request_id"], outcomes["row"]), known.take(_downwards(len(rows))))
    return pc.subtract(len(rows) - 1, backwards.cast(pa.int64()))


def _by_unit(rows: pa.Table, outcomes: pa.Table) -> Any:
    """The place of the last row of each outcome's unit that is not after it, or null."""
    count, late = len(rows), len(outcomes)
    both = pa.table(
        {
            "unit": pa.concat_arrays([*rows["_unit"].chunks, *outcomes["unit"].chunks]),
            "at": pa.concat_arrays([*rows["_at"].chunks, *outcomes["at"].chunks]),
            "late": pa.concat_arrays([pa.repeat(0, count), pa.repeat(1, late)]),
            "place": pa.concat_arrays([_upwards(count), pa.nulls(late, pa.int64())]),
        }
    )
    keys = ("unit", "at", "late")
    order = pc.sort_indices(both, sort_keys=[(key, "ascending") for key in keys])  # stable: equal rows stay in order
    filled = pc.fill_null_forward(both["place"].combine_chunks().take(order))
    back = pc.sort_indices(order)
    mine = filled.take(back.slice(count))
    same = pc.equal(rows["_unit"].take(mine), outcomes["unit"])
    return pc.if_else(same, mine, None)


def _latest(own: pa.Table, count: int) -> Any:
    """For each of `count` rows the value of its last outcome in the table, or null."""
    last = pc.index_in(_upwards(count), own["place"].combine_chunks().take(_downwards(len(own))))
    chosen = own.select(list(KINDS)).take(pc.subtract(len(own) - 1, last.cast(pa.int64())))
    used = [kind for kind in KINDS if chosen[kind].null_count < count]
    if len(used) == 1:
        return chosen[used[0]]
    rows = zip(*(chosen[kind].to_pylist() for kind in used), strict=True)  # now a number and now something else
    told = [[str(value) for value in row if value is not None] for row in rows]
    return pa.array([row[0] if row else None for row in told], pa.string())


def _named(ids: Any, rows: Any) -> Any:
    """Request id and row as one word, in one array."""
    word = pc.binary_join_element_wise(ids, rows.cast(pa.string()), "\n")
    return word.combine_chunks() if isinstance(word, pa.ChunkedArray) else word


def _upwards(count: int) -> pa.Array:
    return pa.array(range(count), pa.int64())


def _downwards(count: int) -> pa.Array:
    return pa.array(range(count - 1, -1, -1), pa.int64())
