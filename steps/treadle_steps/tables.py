"""Tables of any kind as Arrow, which Parquet stores, and back as the kind that an argument asks for."""

import base64
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from treadle.authoring import CodecError, StepError
from treadle_steps.refusals import need_usable

SERIES = b"treadle.series"  # marks a file whose one column was a series; its value is empty when that had no name
CATEGORIES = b"treadle.categories"  # those that are no text, which Parquet forgets: one row, a list for each column

REFUSALS = (pa.ArrowException, ValueError, TypeError, OverflowError)  # what pyarrow raises for what it cannot store
UNNAMED = "__index_level_"  # an index of pandas without a name, which no other kind of table knows


def to_arrow(value: Any) -> pa.Table:
    """A table or series of pandas or polars, or an Arrow table, as Arrow; an index that says nothing is left out."""
    if type(value).__name__ == "LazyFrame":
        value = value.collect()
    if type(value).__name__ == "Series":
        nameless = value.name is None or value.name == ""
        table = to_arrow(value.to_frame("value" if nameless else value.name))
        mark = b"" if nameless else str(value.name).encode()
        return table.replace_schema_metadata({**(table.schema.metadata or {}), SERIES: mark})
    if isinstance(value, pd.DataFrame):
        plain = isinstance(value.index, pd.RangeIndex) and value.index.equals(pd.RangeIndex(len(value)))
        frame = _labelled(value)
        return _with_categories(frame, pa.Table.from_pandas(frame, preserve_index=None if plain else True))
    return value if isinstance(value, pa.Table) else value.to_arrow()


def why_not(value: Any) -> str:
    """Why a table of pandas is none that Parquet stores, with the column and what to do; "" where it does not show."""
    if not isinstance(value, pd.DataFrame):
        return ""
    twice = value.columns[value.columns.duplicated()]
    if len(twice):
        return f"the table has the column '{twice[0]}' more than once\nrename one of them"
    for name in value.columns:
        try:
            column = pa.table({"column": pa.array(value[name], from_pandas=True)})
            parquet.write_table(column, pa.BufferOutputStream())
        except REFUSALS as error:
            try:
                need_usable(value[name], "column")
            except StepError as refused:
                return str(refused)
            return f"column '{name}' cannot be stored as Parquet: {error}"
    return ""


def read(path: Path) -> pd.DataFrame | pd.Series:
    """What a Parquet file holds, as pandas: a table, or the series that was stored."""
    told = parquet.read_schema(path).metadata or {}
    frame = pd.read_parquet(path)
    if CATEGORIES in told:
        known = pa.ipc.open_stream(base64.b64decode(told[CATEGORIES])).read_all()
        for field in known.schema:
            place, ordered = int(field.name), field.metadata[b"ordered"] == b"1"
            values = known.column(field.name).chunk(0).flatten().to_pandas()
            kind = pd.CategoricalDtype(pd.Index(values), ordered)
            frame.isetitem(place, frame.iloc[:, place].astype(kind).array)
    if SERIES not in told:
        return frame
    return frame.iloc[:, 0] if told[SERIES] else frame.iloc[:, 0].rename(None)


def _labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with names of columns that are read back as they are; what is not, such as a mixture, becomes text."""
    names = frame.columns
    if names.nlevels == 1 and names.inferred_type == "string" and not isinstance(names.dtype, pd.CategoricalDtype):
        return frame
    same = False
    if names.inferred_type != "mixed-integer":
        try:
            same = pa.Table.from_pandas(frame.iloc[:0]).to_pandas().columns.equals(names)
        except REFUSALS:
            same = False
    return frame if same else frame.set_axis([str(name) for name in names], axis=1)


def _with_categories(frame: pd.DataFrame, table: pa.Table) -> pa.Table:
    """The table with the categories of its columns that are no text, by their places."""
    fields, lists = [], []
    for place, kind in enumerate(frame.dtypes):
        known = table.schema.field(place).type
        if isinstance(kind, pd.CategoricalDtype) and not pa.types.is_large_string(known.value_type):
            values = pa.array(kind.categories)
            lists.append(pa.ListArray.from_arrays([0, len(values)], values))
            fields.append(pa.field(str(place), lists[-1].type, metadata={"ordered": str(int(bool(kind.ordered)))}))
    if not fields:
        return table
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema(fields)) as stream:
        stream.write_table(pa.Table.from_arrays(lists, schema=pa.schema(fields)))
    kept = base64.b64encode(sink.getvalue().to_pybytes())
    return table.replace_schema_metadata({**table.schema.metadata, CATEGORIES: kept})


def read_as(path: Path, form: str) -> Any:
    """The same as another type; raises CodecError for a series of a table with several columns."""
    package, _, kind = form.rpartition(".")
    if package == "pandas":
        found = read(path)
        if kind == "DataFrame" and isinstance(found, pd.Series):
            return found.to_frame("value" if found.name is None else found.name)
        return _only(found, list(found.columns)) if kind == "Series" and isinstance(found, pd.DataFrame) else found
    names = [name for name in parquet.read_schema(path).names if not name.startswith(UNNAMED)]
    if package == "pyarrow":
        return parquet.read_table(path, columns=names)
    import polars as pl  # lazy: only for who asks for it, and has it then

    if kind == "LazyFrame":
        return pl.scan_parquet(path).select(names)
    frame = pl.read_parquet(path, columns=names)
    return _only(frame, names) if kind == "Series" else frame


def _only(frame: Any, columns: list[str]) -> Any:
    if len(columns) != 1:
        shown = ", ".join(map(str, columns[:10]))
        raise CodecError(f"a series is asked for, and the table has {len(columns)} columns: {shown}")
    return frame[columns[0]]
