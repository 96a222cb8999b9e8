"""Where a monitor's rows come from: a table in memory, or Parquet files read one column after the other."""

import os
from typing import Any, Protocol

import pandas as pd

from treadle.authoring import StepError
from treadle_steps.refusals import table
from treadle_steps.words import suggestion


class Source(Protocol):
    """Columns by name; `column` may be costly, and holds one column in memory."""

    names: list[str]
    rows: int

    def column(self, name: str) -> pd.Series:
        """One column; text as categories where that is cheap."""


class TableSource:
    """A table in memory."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self.names = [str(name) for name in frame.columns]
        self.rows = len(frame)

    def column(self, name: str) -> pd.Series:
        return self._frame[name]


class ParquetSource:
    """Parquet files of one schema: 1,000,000 rows of 50 columns need the memory of one column."""

    def __init__(self, paths: list[str]) -> None:
        import pyarrow as pa  # lazy: only files need it
        import pyarrow.parquet as pq  # lazy: only files need it

        try:
            schema = pq.read_schema(paths[0])
            kinds = {str(field.name): field.type for field in schema}
            texts = [name for name, kind in kinds.items() if pa.types.is_string(kind) or pa.types.is_large_string(kind)]
            # text is read as codes: the strings themselves are never made
            self._files = [pq.ParquetFile(path, read_dictionary=texts) for path in paths]
        except (OSError, ValueError) as error:
            raise StepError(f"{paths[0]} cannot be read as Parquet: {error}") from None
        self._texts = frozenset(texts)
        self.names = list(kinds)
        self.rows = sum(file.metadata.num_rows for file in self._files)

    def column(self, name: str) -> pd.Series:
        import pyarrow as pa  # lazy: only files need it

        tables = [file.read(columns=[name]) for file in self._files]
        column = pa.concat_tables(tables, promote_options="permissive").column(name)
        found: pd.Series = (column.unify_dictionaries() if name in self._texts else column).to_pandas()
        return found.rename(name)


def open_source(data: Any, what: str) -> Source:
    """The source of a table, of the path of a Parquet file or folder, or of a list of paths; raises StepError."""
    paths = data if isinstance(data, list) and data and all(isinstance(p, str | os.PathLike) for p in data) else [data]
    if not isinstance(paths[0], str | os.PathLike):
        return TableSource(table(data, what))
    found: list[str] = []
    for path in map(os.fspath, paths):
        inside = sorted(os.listdir(path)) if os.path.isdir(path) else []
        found += [os.path.join(path, name) for name in inside if name.endswith(".parquet")] or [str(path)]
    return ParquetSource(found)


def need(source: Source, name: str, what: str) -> None:
    """Raise StepError when the source has no such column."""
    if name not in source.names:
        raise StepError(f"{what} '{name}' is no column of the current rows", suggestion(name, source.names))
