"""Read tables from files: csv, json lines and Parquet; one file, many, or a folder of them."""

import gzip
import io
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from treadle.authoring import StepError

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
    return _typed(data, columns, dtypes or {}, parse_dates or [], date_format)


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
            raise StepError(f"{file.name} is empty")
        if format == "jsonl":
            return pd.read_json(io.BytesIO(data), lines=True, precise_float=True)
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        separator = {} if "sep" in options or suffix(file) != ".tsv" else {"sep": "\t"}
        frame: pd.DataFrame = pd.read_csv(io.BytesIO(data), **{**options, **separator})
        return frame
    except (UnicodeDecodeError, LookupError) as error:
        raise StepError(
            f"{file.name} cannot be decoded: {error}", "say its encoding: with: {encoding: latin-1}"
        ) from None
    except (ValueError, OSError) as error:
        raise StepError(f"{file.name} cannot be read as {format}: {error}") from None


def _typed(
    data: pd.DataFrame, columns: list[str] | None, dtypes: dict[str, str], dates: list[str], date_format: str | None
) -> pd.DataFrame:
    for name in [*(columns or []), *dtypes, *dates]:
        if name not in data.columns:
            raise StepError(f"there is no column '{name}'", f"columns: {', '.join(map(str, data.columns))}")
    data = data[columns] if columns else data
    for name, dtype in dtypes.items():
        try:
            data = data.assign(**{name: data[name].astype(dtype)})  # type: ignore[call-overload]
        except (ValueError, TypeError) as error:
            raise StepError(f"column '{name}' is not {dtype}: {error}") from None
    for name in dates:
        try:
            data = data.assign(**{name: pd.to_datetime(data[name], format=date_format)})
        except (ValueError, TypeError) as error:
            raise StepError(
                f"column '{name}' holds no dates: {error}", "with: {date_format: '%m/%d/%Y %H:%M'}"
            ) from None
    return data
