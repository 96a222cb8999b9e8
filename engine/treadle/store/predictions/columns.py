"""Frames of the log → Arrow tables, a column at a time: one row per predicted row, one per outcome.

Predictions: features by name, `prediction` (or `prediction.OUTPUT`), the rest as `_NAME`. Outcomes: their fields, the
value in the column of its kind (`number`, `flag` or `text`), so that metrics of several kinds stay what they are.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from operator import attrgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from treadle.domain.serving import Outcome, Prediction
from treadle.store.predictions.segments import Answers, Fields, Frame, Results, prediction_names

DOUBLE = 8  # bytes
KINDS = {"number": pa.float64(), "flag": pa.bool_(), "text": pa.string()}
NAMES = {bool: "flag", str: "text"}
KNOWN = {"metric": pa.string(), **KINDS, "at": pa.float64(), "received": pa.float64(), "request_id": pa.string()}
RESULTS = pa.schema({**KNOWN, "row": pa.int64(), "unit": pa.string()})
OWN = pa.schema(
    {
        **{"_request_id": pa.string(), "_row": pa.int64(), "_at": pa.float64(), "_version": pa.int64()},
        **{"_arm": pa.string(), "_unit": pa.string(), "_propensity": pa.float64(), "_latency_ms": pa.float64()},
        **{"_status": pa.int64(), "_shadow_of": pa.int64()},
    }
)


def answers(frames: Sequence[Frame]) -> pa.Table:
    """The predicted rows of one segment."""
    fields: dict[int, Fields] = {}
    alike: dict[tuple[Any, ...], list[Prediction]] = {}
    for frame in frames:
        if isinstance(frame, Fields):
            fields[frame.version] = frame
        elif isinstance(frame, Answers):
            for record in frame.records:
                alike.setdefault(_shape(record), []).append(record)
    made = [
        _alike(records, fields.get(records[0].version, Fields(records[0].version, (), ())))
        for records in alike.values()
    ]
    return stacked([OWN.empty_table(), *made])


def results(frames: Iterable[Frame]) -> pa.Table:
    """The outcomes of one segment, in the order in which they arrived."""
    return outcome_table([record for frame in frames if isinstance(frame, Results) for record in frame.records])


def outcome_table(records: Sequence[Outcome]) -> pa.Table:
    """Outcomes as a table with the schema RESULTS."""
    values = _each(records, "value")
    kinds = [NAMES.get(kind, "number") for kind in map(type, values)]
    own: dict[str, list[Any]] = {
        name: [value if kind == name else None for kind, value in zip(kinds, values, strict=True)] for name in KINDS
    }
    own |= {name: _each(records, name) for name in RESULTS.names if name not in KINDS}
    return pa.table(own, schema=RESULTS)


def _each(records: Sequence[Any], name: str) -> list[Any]:
    """One field of all records; no tuple is made, which the garbage collector would count."""
    return list(map(attrgetter(name), records))


def results_of(table: pa.Table) -> pa.Table:
    """A compacted file of outcomes with the schema RESULTS; older files have one column `value`."""
    if "value" in table.column_names:
        value = table["value"].combine_chunks()
        kind = "flag" if pa.types.is_boolean(value.type) else "text" if pa.types.is_string(value.type) else "number"
        table = table.append_column(kind, value)
    filled = {
        field.name: table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in RESULTS
    }
    return pa.table(filled, schema=RESULTS)


def stacked(tables: Sequence[pa.Table]) -> pa.Table:
    """One table of several: columns by name, with the type that holds all of them, text where they differ in kind."""
    types: dict[str, pa.DataType] = {}
    for table in tables:
        for field in table.schema:
            types[field.name] = _common(types.get(field.name, pa.null()), field.type)
    schema = pa.schema(types)
    return pa.concat_tables([_shaped(table, schema) for table in tables])


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    numbers = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (one, other))
    return pa.float64() if numbers else pa.string()


def _shaped(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(len(table), field.type))
        elif table[field.name].type == field.type:
            columns.append(table[field.name])
        elif pa.types.is_string(field.type):
            values = table[field.name].to_pylist()
            columns.append(pa.array([None if one is None else str(one) for one in values], field.type))
        else:
            columns.append(table[field.name].cast(field.type))
    return pa.table(columns, schema=schema)


def _shape(record: Prediction) -> tuple[Any, ...]:
    """What records must have in common to be turned into columns together."""
    answer: Any = record.prediction
    names = None if isinstance(record.features, bytes) else tuple(record.features)
    if isinstance(answer, bytes):
        return record.version, names, "block", len(answer) // record.rows if record.rows else 0
    nested = bool(answer) and type(answer[0]) is list
    return record.version, names, "none" if answer is None else "list", len(answer[0]) if nested else 0


def _alike(records: Sequence[Prediction], fields: Fields) -> pa.Table:
    columns = _own(records)
    first = records[0]
    given, told = _each(records, "features"), _each(records, "prediction")
    if isinstance(first.features, bytes):
        columns |= _block(b"".join(given), fields.inputs)
    else:
        columns |= {name: _array(chain.from_iterable(one[name] for one in given)) for name in first.features}
    if isinstance(first.prediction, bytes):
        width = len(first.prediction) // DOUBLE // first.rows if first.rows else 1
        columns |= _block(b"".join(told), prediction_names(fields.outputs, width))
    elif first.prediction is not None:
        values = list(chain.from_iterable(told))
        if values and type(values[0]) is list:
            columns |= {f"prediction.{n}": _array(one[n] for one in values) for n in range(len(values[0]))}
        else:
            columns["prediction"] = _array(values)
    return pa.table(columns)


def _own(records: Sequence[Prediction]) -> dict[str, Any]:
    """The columns that every prediction has, one value per row."""
    made: dict[str, Any] = {
        "row": repeat(0, len(records)),
        "unit": [units[0] if units else "" for units in _each(records, "units")],
        "latency_ms": [one * 1000 for one in _each(records, "latency")],
    }
    columns = {
        field.name: pa.array(made.get(field.name[1:]) or _each(records, field.name[1:]), field.type) for field in OWN
    }
    if any(one.rows != 1 for one in records):
        owner = pa.array(chain.from_iterable([place] * one.rows for place, one in enumerate(records)), pa.int64())
        columns = {name: values.take(owner) for name, values in columns.items()}
        units = chain.from_iterable(
            one.units if len(one.units) > 1 else (one.units or [""]) * one.rows for one in records
        )
        columns["_unit"] = pa.array(units, pa.string())
    if any(one.rows != 1 or one.positions for one in records):
        places = chain.from_iterable(one.positions or range(one.rows) for one in records)
        columns["_row"] = pa.array(places, pa.int64())
    return columns


def _block(data: bytes, names: Sequence[str]) -> Mapping[str, Any]:
    """The columns of doubles that lie row by row."""
    if not names:
        return {}
    flat = pa.Array.from_buffers(pa.float64(), len(data) // DOUBLE, [None, pa.py_buffer(data)])
    rows = pa.FixedSizeListArray.from_arrays(flat, len(names))
    return {name: pc.list_element(rows, place) for place, name in enumerate(names)}


def _array(values: Iterable[Any]) -> pa.Array:
    listed = list(values)
    try:
        return pa.array(listed)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # callers that disagree on a column's type
        return pa.array([None if value is None else str(value) for value in listed])
