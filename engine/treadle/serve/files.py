"""Tables on disk, chunk by chunk: CSV, JSON lines and Parquet, read and written in bounded memory."""

import csv as text_csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

import pyarrow as pa
from msgspec import DecodeError, Struct, json
from pyarrow import compute, csv, parquet

from treadle.domain.model import Field, Signature
from treadle.errors import TreadleError
from treadle.serve.mlflow import cell

CHUNK = 8192  # rows
BLOCK = 4 << 20  # bytes of a CSV file read at a time
KINDS = (".csv", ".jsonl", ".parquet")


class BadTable(TreadleError):
    """A file that cannot be read or written as a table; the text says where and why."""


class Chunk(Struct, frozen=True):
    """Some rows: as Arrow columns to be passed on, and the model's fields as lists or arrays to be checked."""

    table: pa.Table
    fields: Mapping[str, Any]


def kind_of(path: str) -> str:
    """The ending that says how a table is stored, or an empty string."""
    return next((kind for kind in KINDS if path.lower().endswith(kind)), "")


def read(path: str, signature: Signature) -> Iterator[Chunk]:
    """The rows of a file, at most CHUNK at a time; raises BadTable."""
    reader: Callable[[str, Signature], Iterator[Chunk]] = _READERS[kind_of(path)]
    try:
        yield from reader(path, signature)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise BadTable(f"{path} cannot be read: {str(error) or type(error).__name__}") from None


def _csv(path: str, signature: Signature) -> Iterator[Chunk]:
    """Everything as text first: what is only passed on comes out as it was."""
    with open(path, "rb") as file:
        first = file.readline(1 << 20)
    if not first.strip():
        return
    names = csv.read_csv(pa.BufferReader(first), parse_options=_PARSE).column_names
    convert = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    with csv.open_csv(path, csv.ReadOptions(block_size=BLOCK), _PARSE, convert) as batches:
        for batch in batches:
            for start in range(0, batch.num_rows, CHUNK):
                table = pa.Table.from_batches([batch.slice(start, CHUNK)])
                yield Chunk(table, {f.name: _parsed(f, table[f.name]) for f in _present(path, table, signature)})


def _parquet(path: str, signature: Signature) -> Iterator[Chunk]:
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(CHUNK):
            table = pa.Table.from_batches([batch])
            yield Chunk(table, {f.name: _plain(table[f.name]) for f in _present(path, table, signature)})


def _jsonl(path: str, signature: Signature) -> Iterator[Chunk]:
    schema = None
    for rows in _records(path):
        names = {name for row in rows for name in row}
        fields = {f.name: [row.get(f.name) for row in rows] for f in signature.inputs if f.name in names}
        try:
            table = pa.Table.from_pylist(rows, schema)
        except pa.ArrowException:  # columns whose type changes on the way are text from here on
            table = pa.table({name: [_text(row.get(name)) for row in rows] for name in dict.fromkeys(names)})
        schema = table.schema if schema is None else schema
        yield Chunk(table, fields)


def _records(path: str) -> Iterator[list[dict[str, Any]]]:
    decode = json.Decoder(dict[str, Any]).decode
    rows: list[dict[str, Any]] = []
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                rows.append(decode(line))
            except DecodeError as error:
                raise BadTable(f"{path}:{number}: this line is no JSON object: {error}") from None
            if len(rows) == CHUNK:
                yield rows
                rows = []
    if rows:
        yield rows


def _present(path: str, table: pa.Table, signature: Signature) -> list[Field]:
    known = set(table.column_names)
    if len(known) != len(table.column_names):
        twice = next(name for name in table.column_names if table.column_names.count(name) > 1)
        raise BadTable(f"{path}: two columns are called '{twice}'")
    return [field for field in signature.inputs if field.name in known]


def _parsed(field: Field, column: Any) -> Any:
    """A column of text as the field's type; where that fails it is parsed cell by cell, as the server does."""
    if field.dtype == "string":
        return column.to_pylist()
    if field.dtype in ("double", "long"):
        try:
            filled = compute.if_else(compute.equal(column, ""), None, column)
            made = compute.cast(filled, pa.float64() if field.dtype == "double" else pa.int64())
            return _plain(made)
        except pa.ArrowInvalid:
            pass
    return [cell(field, text) for text in column.to_pylist()]


def _plain(column: Any) -> Any:
    """An Arrow column as an array of numbers, or as a list of plain values."""
    kind = column.type
    if pa.types.is_floating(kind) or (
        (pa.types.is_integer(kind) or pa.types.is_boolean(kind)) and not column.null_count
    ):
        return column.to_numpy()
    if pa.types.is_decimal(kind):
        return compute.cast(column, pa.float64()).to_numpy()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return [None if value is None else value.isoformat() for value in column.to_pylist()]
    return column.to_pylist()


def _text(value: Any) -> str | None:
    return value if value is None or type(value) is str else json.encode(value).decode()


class Writer:
    """Writes chunks of one schema to a file of the ending's kind; use as a context manager."""

    def __init__(self, path: str, kind: str) -> None:
        self._path = path
        self._kind = kind
        self._inner: Any = None
        self._file: IO[str] | None = None
        self._schema: pa.Schema | None = None

    def __enter__(self) -> "Writer":
        if self._kind != ".parquet":
            self._file = open(self._path, "w", encoding="utf-8", newline="")
        return self

    def write(self, table: pa.Table) -> None:
        """Append rows; raises BadTable when they do not fit what was written before."""
        try:
            first, self._schema = self._schema is None, self._schema or table.schema
            if self._kind == ".jsonl" and self._file is not None:
                self._file.writelines(json.encode(row).decode() + "\n" for row in table.to_pylist())
            elif self._file is not None:
                rows = text_csv.writer(self._file, lineterminator="\n")  # quotes only where it must, unlike Arrow's
                if first:
                    rows.writerow(table.column_names)
                rows.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
            else:
                if self._inner is None:
                    self._inner = parquet.ParquetWriter(self._path, table.schema)
                self._inner.write_table(table.cast(self._schema))
        except (pa.ArrowException, ValueError, TypeError) as error:
            raise BadTable(f"the rows do not fit into {self._kind[1:]}: {error}") from None

    def __exit__(self, *_: object) -> None:
        for one in (self._inner, self._file):
            if one is not None:
                one.close()


def with_columns(table: pa.Table, columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    """The table with columns appended."""
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    return table


def retyped(table: pa.Table, columns: Mapping[str, Any]) -> pa.Table:
    """The table with text replaced by what it was parsed to, for files that know types."""
    for name, values in columns.items():
        if values.dtype.kind in "bif":
            table = table.set_column(table.column_names.index(name), name, pa.array(values, from_pandas=True))
    return table


_PARSE = csv.ParseOptions(newlines_in_values=True)
_READERS = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}


def remove(path: str) -> None:
    """Take away a file that was not finished."""
    if os.path.exists(path):
        os.unlink(path)
