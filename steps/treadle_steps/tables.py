"""Tables of any kind as Arrow, which Parquet stores, and back as the kind that an argument asks for."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from treadle.authoring import CodecError, StepError
from treadle_steps.refusals import need_usable

SERIES = b"treadle.series"  # marks a file whose one column was a series; its value is the series' name

UNNAMED = "__index_level_"  # an index of pandas without a name, which no other kind of table knows


def to_arrow(value: Any) -> pa.Table:
    """A table or series of pandas or polars, or an Arrow table, as Arrow; an index that says nothing is left out."""
    if type(value).__name__ == "LazyFrame":
        value = value.collect()
    if type(value).__name__ == "Series":
        name = value.name
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the series is called {name!r}, and a name must be text")
        table = to_arrow(value.to_frame(name or "value"))
        return table.replace_schema_metadata({**(table.schema.metadata or {}), SERIES: (name or "").encode()})
    if isinstance(value, pd.DataFrame):
        plain = isinstance(value.index, pd.RangeIndex) and value.index.equals(pd.RangeIndex(len(value)))
        return pa.Table.from_pandas(value, preserve_index=not plain)
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
            pa.array(value[name], from_pandas=True)
        except (pa.ArrowException, ValueError, TypeError) as error:
            try:
                need_usable(value[name], "column")
            except StepError as refused:
                return str(refused)
            return f"column '{name}' cannot be stored as Parquet: {error}"
    return ""


def read(path: Path) -> pd.DataFrame | pd.Series:
    """What a Parquet file holds, as pandas: a table, or the series that was stored."""
    name = (parquet.read_schema(path).metadata or {}).get(SERIES)
    frame = pd.read_parquet(path)
    return frame if name is None else frame.iloc[:, 0].rename(name.decode() or None)


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
