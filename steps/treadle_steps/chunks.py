"""The rows of a table or of files in pieces, so that a file of any length takes the memory of one piece."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from treadle.authoring import StepError
from treadle_steps.ingest import file_format, suffix
from treadle_steps.refusals import need_columns, table


def pieces(data: Any, columns: list[str] | None, size: int) -> Iterator[pd.DataFrame]:
    """The rows in pieces of `size`, the last of each file shorter; only `columns`, where they are given.

    `data` is a table, a file, a folder of files or a list of them. Raises StepError naming the file.
    """
    files = [data] if isinstance(data, Path) else data if isinstance(data, list) else None
    if files is None or not all(isinstance(file, Path) for file in files):
        frame = table(data)
        for start in range(0, len(frame), size):
            yield frame.iloc[start : start + size].reset_index(drop=True)
        return
    for file in files:
        if file.is_dir():
            inside = sorted(path for path in file.rglob("*") if path.is_file() and not path.name.startswith("."))
            yield from pieces(inside, columns, size)
        elif file_format(file) == "parquet":
            yield from _row_groups(file, columns, size)
        else:
            yield from _lines(file, columns, size)


def _row_groups(file: Path, columns: list[str] | None, size: int) -> Iterator[pd.DataFrame]:
    try:
        opened = parquet.ParquetFile(file, pre_buffer=False)  # else it keeps what it has read
    except (pa.ArrowException, OSError) as error:
        raise StepError(f"{file.name} cannot be read as parquet: {error}") from None
    with opened:
        if columns is not None:
            need_columns(pd.DataFrame(columns=opened.schema_arrow.names), columns, "the column", file.name)
        for piece in opened.iter_batches(batch_size=size, columns=columns):
            yield table(piece.to_pandas())


def _lines(file: Path, columns: list[str] | None, size: int) -> Iterator[pd.DataFrame]:
    """The rows of a csv or json lines file, read twice: all pieces of a column have the type of the whole column."""
    try:
        kinds = _kinds(_read(file, size, None))
        if columns is not None:
            need_columns(pd.DataFrame(columns=list(kinds)), columns, "the column", file.name)
        names = list(kinds) if columns is None else columns
        fixed = {name: kind for name, kind in kinds.items() if kind}
        with _read(file, size, fixed) as parts:
            for piece in parts:
                whole = piece.reindex(columns=names).reset_index(drop=True)
                yield table(
                    whole.astype({name: kind for name, kind in fixed.items() if kind != "str" and name in names})
                )
    except (ValueError, OSError, EOFError) as error:  # decoding and parsing raise kinds of ValueError
        what = file_format(file)
        raise StepError(f"{file.name} cannot be read as {what}: {error}", "is it whole, and in UTF-8?") from None


def _read(file: Path, size: int, dtypes: dict[str, str] | None) -> Any:
    """A reader of pieces; with `dtypes` json's texts stay texts, which pandas would take for numbers where it can."""
    if file_format(file) == "jsonl":
        return pd.read_json(file, lines=True, chunksize=size, dtype=dtypes is None, precise_float=True)
    separator = "\t" if suffix(file) == ".tsv" else ","
    return pd.read_csv(file, sep=separator, chunksize=size, dtype=dtypes, encoding="utf-8-sig")


def _kinds(parts: Any) -> dict[str, str]:
    """The type of each column over all pieces; empty where each piece may have its own: texts of json, yes and no."""
    seen: dict[str, set[str]] = {}
    with parts:
        for part in parts:
            for name in part.columns:
                column = part[name]
                kind = column.dtype.kind if column.dtype.kind in "biuf" else "O"
                found = seen.setdefault(str(name), set())
                found.add("" if column.isna().all() else kind)
    text = "str" if type(parts).__name__ == "TextFileReader" else ""
    return {name: _kind(found - {""}, "" in found, text) for name, found in seen.items()}


def _kind(found: set[str], gaps: bool, text: str) -> str:
    if found == {"i"} and not gaps:
        return "int64"
    if found and found <= {"i", "u", "f"}:
        return "float64" if found != {"u"} else ""
    return "" if found <= {"b"} else text
