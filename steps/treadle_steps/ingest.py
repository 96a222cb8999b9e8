"""Read tables from files: csv, json lines and Parquet; one file, many, or a folder of them."""

import gzip
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd

from treadle.authoring import StepError
from treadle_steps.words import shown, suggestion


class Dates(NamedTuple):
    """Columns to read as points in time, and how they are written; None where it shows."""

    columns: list[str]
    format: str | None


SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


def table(
    source: Path | list[Path],
    *,
    format: Literal["auto", "csv", "jsonl", "parquet"] = "auto",
    columns: list[str] | None = None,
    dtypes: dict[str, str] | None = None,
    parse_dates: list[str] | None = None,
    date_format: str | None = None,
    na_values: list[str] | None = None,
    keep_default_na: bool = True,
    delimiter: str | None = None,
    encoding: str = "utf-8-sig",
) -> pd.DataFrame:
    """Read a table from a file, a folder or many files, stacked in the order of their names.

    Line endings of csv may be LF, CRLF or CR; files may be gzipped. `keep_default_na: false` keeps
    texts such as NA as they are; `na_values` then names what is missing. Raises StepError naming the file.

    Example:

        trips:
          uses: ingest.table
          in: {source: data.trips}
          with: {parse_dates: [ts]}
    """
    files = _files(source)
    options: dict[str, Any] = {"na_values": na_values, "keep_default_na": keep_default_na, "encoding": encoding}
    options |= {"sep": delimiter} if delimiter else {}
    frames = [_read(file, file_format(file, format), options) for file in files]
    for file, frame in zip(files[1:], frames[1:], strict=True):
        if list(frame.columns) != list(frames[0].columns):
            odd = sorted(set(frame.columns) ^ set(frames[0].columns)) or ["their order"]
            raise StepError(f"{file.name} and {files[0].name} differ in columns: {', '.join(map(str, odd))}")
    data = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    lengths = [(file.name, len(frame)) for file, frame in zip(files, frames, strict=True)]
    return _typed(data, lengths, columns, dtypes or {}, Dates(parse_dates or [], date_format))


def _files(source: Path | list[Path]) -> list[Path]:
    sources = source if isinstance(source, list) else [source]
    for one in sources:
        if not isinstance(one, Path):
            raise StepError(f"source is {one!r}, not a file", "in: {source: data.NAME}, with a path under data")
    if isinstance(source, list) or not source.is_dir():
        return sources
    found = sorted(p for p in source.rglob("*") if suffix(p) in SUFFIXES and not p.name.startswith("."))
    if not found:
        raise StepError(f"the folder {source} holds no table", f"files end in {', '.join(SUFFIXES)}")
    return found


def suffix(file: Path) -> str:
    """The ending of a file's name that says what it holds, without that of its compression."""
    suffixes = file.suffixes[:-1] if file.suffix == ".gz" else file.suffixes
    return suffixes[-1].lower() if suffixes else ""


def file_format(file: Path, format: str = "auto") -> str:
    """csv, jsonl or parquet, as `format` or the file's name says; raises StepError when neither does."""
    if format != "auto":
        return format
    if suffix(file) not in SUFFIXES:
        raise StepError(f"the format of {file.name} does not show in its name", "say it: with: {format: csv}")
    return SUFFIXES[suffix(file)]


def _read(file: Path, format: str, options: dict[str, Any]) -> pd.DataFrame:
    try:
        if format == "parquet":
            return pd.read_parquet(file)
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        if not data.strip():
            raise StepError(
                f"{file.name} is empty", "was it written to its end? a table without rows still has a header"
            )
        if format == "jsonl":
            return pd.read_json(io.BytesIO(data), lines=True, precise_float=True)
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        separator = {} if "sep" in options or suffix(file) != ".tsv" else {"sep": "\t"}
        options = {**options, **separator}
        _need_different(file, data, options)
        frame: pd.DataFrame = pd.read_csv(io.BytesIO(data), **options)
        return frame
    except (UnicodeDecodeError, LookupError) as error:
        raise StepError(
            f"{file.name} cannot be decoded: {error}", "say its encoding: with: {encoding: latin-1}"
        ) from None
    except (ValueError, OSError) as error:
        hint = "is it written with another delimiter? with: {delimiter: ';'}" if format == "csv" else ""
        raise StepError(f"{file.name} cannot be read as {format}: {str(error).strip()}", hint) from None


def _need_different(file: Path, data: bytes, options: dict[str, Any]) -> None:
    """Raise StepError for a csv whose header has a name twice, which pandas would number and go on."""
    names = pd.read_csv(io.BytesIO(data), header=None, nrows=1, dtype=str, **{**options, "na_values": None}).iloc[0]
    twice = names[names.notna() & names.duplicated()]
    if len(twice):
        raise StepError(
            f"{file.name} has the column '{twice.iloc[0]}' more than once", "rename one of them in the file"
        )


def _typed(
    data: pd.DataFrame,
    lengths: list[tuple[str, int]],
    columns: list[str] | None,
    dtypes: dict[str, str],
    dates: Dates,
) -> pd.DataFrame:
    for name in [*(columns or []), *dtypes, *dates.columns]:
        if name not in data.columns:
            hint = suggestion(name, map(str, data.columns)) or f"columns: {', '.join(map(str, data.columns))}"
            raise StepError(f"{lengths[0][0]} has no column '{name}'", hint)
    data = data[columns] if columns else data
    for name, dtype in dtypes.items():
        try:
            data = data.assign(**{name: _astype(data[name], dtype)})
        except (ValueError, TypeError) as error:
            odd = _first(data[name], partial(_astype, dtype=dtype), lengths)
            hint = f"mend the value, or say that it is missing: with: {{na_values: […], dtypes: {{{name}: float64}}}}"
            raise StepError(f"column '{name}' is not {dtype}: {odd or error}", hint) from None
    for name in dates.columns:
        try:
            data = data.assign(**{name: pd.to_datetime(data[name], format=dates.format)})
        except (ValueError, TypeError) as error:
            odd = _first(data[name], partial(pd.to_datetime, format=dates.format), lengths)
            hint = "with: {date_format: '%m/%d/%Y %H:%M'}"
            raise StepError(f"column '{name}' holds no dates: {odd or error}", hint) from None
    return data


def _astype(column: pd.Series, dtype: Any) -> pd.Series:
    return column.astype(dtype)


def _first(column: pd.Series, convert: Callable[[pd.Series], Any], lengths: list[tuple[str, int]]) -> str:
    """The first value that cannot be converted, with its row and file; "" when each one can by itself."""
    low, high = 0, len(column)
    while high - low > 1:  # it is between the two
        middle = (low + high) // 2
        try:
            convert(column.iloc[low:middle])
            low = middle
        except (ValueError, TypeError):
            high = middle
    try:
        convert(column.iloc[low:high])
        return ""
    except (ValueError, TypeError):
        value, row = shown(column.iloc[low]), low
    for file, length in lengths:
        if row < length:
            return f"{value} in row {row} of {file}"
        row -= length
    return value
