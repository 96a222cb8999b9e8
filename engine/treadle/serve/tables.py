"""Columns of a request, checked against a model's signature; an error names field, row, value and what was expected."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from treadle.domain.model import Field, Signature
from treadle.errors import did_you_mean
from treadle.serve.refusal import Refusal, shown

WORDS = {
    "boolean": "true or false",
    "integer": "an integer of 32 bits",
    "long": "an integer of 64 bits",
    "float": "a finite number",
    "double": "a finite number",
    "string": "text",
    "datetime": "a time in ISO 8601",
}
TYPES: dict[str, frozenset[type]] = {
    "boolean": frozenset((bool,)),
    "integer": frozenset((int,)),
    "long": frozenset((int,)),
    "float": frozenset((int, float)),
    "double": frozenset((int, float)),
    "string": frozenset((str,)),
    "datetime": frozenset((str,)),
}
NUMPY = {"boolean": "?", "integer": "<i4", "long": "<i8", "float": "<f4", "double": "<f8", "string": "O"}
SIMPLE = {name: np.dtype(NUMPY[name]) for name in ("boolean", "long", "double", "string")}
RANGES = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
MISSING = type(None)
NUMBERS = TYPES["double"]
FLOAT32 = 3.4028234663852886e38


class Block(Mapping[str, Any]):
    """The columns of a matrix by name; who wants the whole matrix finds it in `block`, in the order of `fields`."""

    __slots__ = ("block", "fields")

    def __init__(self, fields: tuple[str, ...], block: Any) -> None:
        self.fields = fields
        self.block = block

    def __getitem__(self, name: str) -> Any:
        try:
            return self.block[:, self.fields.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)


class Table:
    """`rows` rows of named 1-D arrays; `block` holds all of them as (rows, fields) when every field is a double."""

    __slots__ = ("_columns", "block", "extra", "fields", "rows")

    def __init__(self, fields: tuple[str, ...], rows: int, columns: dict[str, Any] | None, block: Any = None) -> None:
        self.fields = fields
        self.rows = rows
        self.block = block
        self._columns = columns
        self.extra: dict[str, list[Any]] = {}  # columns that name units, not features

    @property
    def columns(self) -> Mapping[str, Any]:
        """name → 1-D array, in the order of the signature."""
        return Block(self.fields, self.block) if self._columns is None else self._columns

    def take(self, positions: Sequence[int]) -> "Table":
        """The table of some of its rows."""
        chosen = np.asarray(positions)
        if self.block is not None:
            return Table(self.fields, len(positions), None, self.block[chosen])
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return Table(self.fields, len(positions), columns)

    def logged(self) -> bytes | dict[str, list[Any]]:
        """The features as the prediction log keeps them."""
        if self.block is not None:
            return bytes(self.block.tobytes())
        return {name: _plain(column) for name, column in self.columns.items()}


def joined(tables: Sequence[Table]) -> Table:
    """The rows of all tables, which have the same fields, in order."""
    if len(tables) == 1:
        return tables[0]
    rows = sum(table.rows for table in tables)
    fields = tables[0].fields
    if all(table.block is not None for table in tables):
        return Table(fields, rows, None, np.concatenate([table.block for table in tables]))
    return Table(fields, rows, {n: np.concatenate([table.columns[n] for table in tables]) for n in fields})


class Checker:
    """Makes tables of what clients send; `units` are columns that may come along without being features."""

    def __init__(self, signature: Signature, units: Sequence[str] = ()) -> None:
        self.signature = signature
        self.fields = tuple(field.name for field in signature.inputs)
        self.units = frozenset(units) - set(self.fields)
        self._by_name = {field.name: field for field in signature.inputs}
        self.doubles = all(field.dtype == "double" and field.required for field in signature.inputs)
        self.first = 0  # the number of the first row, for errors about a part of a table

    def rows(self, data: Sequence[Any]) -> Table:
        """A table from rows in the order of the signature, each a list with a value for every field."""
        width = len(self.fields)
        for number, row in enumerate(data):
            if type(row) is not list:
                raise Refusal(400, f"row {number}: {shown(row)} is not a list of {width} values")
            if len(row) != width:
                raise Refusal(400, f"row {number}: {len(row)} values, expected {width}: {listing(self.fields)}")
        if self.doubles and data:
            return self.flat([value for row in data for value in row], len(data))
        return self._listed({name: [row[place] for row in data] for place, name in enumerate(self.fields)}, len(data))

    def flat(self, values: list[Any], rows: int) -> Table:
        """A table from rows * fields values in row order."""
        if rows and self.doubles and set(map(type, values)) <= NUMBERS:
            try:
                block = np.array(values, dtype="<f8").reshape(rows, len(self.fields))
            except OverflowError:
                block = None  # an integer beyond any double: found and named below
            if block is not None:
                return Table(self.fields, rows, None, block)
        width = len(self.fields)
        return self._listed({name: values[place::width] for place, name in enumerate(self.fields)}, rows)

    def records(self, data: Sequence[Any]) -> Table:
        """A table from objects, one a row."""
        for number, row in enumerate(data):
            if type(row) is not dict:
                raise Refusal(
                    400, f"row {number}: {shown(row)} is not an object with the fields {listing(self.fields)}"
                )
            if not row.keys() <= self._by_name.keys():
                self._known(row)
        if not self.doubles or not data:
            names = {name for row in data for name in row}
            return self.named({name: [row.get(name) for row in data] for name in names}, len(data))
        try:
            table = self.flat([row[name] for row in data for name in self.fields], len(data))
        except KeyError as error:
            raise self._absent(str(error.args[0])) from None
        for name in self.units:
            if any(name in row for row in data):
                table.extra[name] = [row.get(name) for row in data]
        return table

    def named(self, columns: Mapping[str, Any], rows: int) -> Table:
        """A table from columns by name: lists of plain values, or arrays from binary tensors."""
        if not columns.keys() <= self._by_name.keys():
            self._known(columns)
        lists: dict[str, Any] = {}
        for field in self.signature.inputs:
            if field.name in columns:
                lists[field.name] = columns[field.name]
            elif field.required:
                raise self._absent(field.name)
            else:
                lists[field.name] = [None] * rows
        table = self._listed(lists, rows)
        table.extra = {name: list(columns[name]) for name in self.units if name in columns}
        return table

    def array(self, block: Any) -> Table:
        """A table from a 2-D array with a column for every field."""
        if len(block) and self.doubles and block.dtype.kind == "f":
            if not np.isfinite(block).all():
                row, place = np.argwhere(~np.isfinite(block))[0]
                raise self.bad(self.signature.inputs[place], int(row), float(block[row, place]))
            return Table(self.fields, len(block), None, np.ascontiguousarray(block, dtype="<f8"))
        return self._listed({name: block[:, place] for place, name in enumerate(self.fields)}, len(block))

    def bad(self, field: Field, row: int, value: object) -> Refusal:
        """What is said of a value that a field does not take."""
        place, expected = f"field '{field.name}', row {self.first + row}", WORDS[field.dtype]
        if value is None:
            return Refusal(400, f"{place}: the value is missing; expected {expected}")
        gaps = "; a missing value is taken only where the training data had gaps" if value != value else ""
        return Refusal(400, f"{place}: {shown(value)} is not {expected}{gaps}")

    def _absent(self, name: str) -> Refusal:
        return Refusal(400, f"field '{name}' is missing; expected {WORDS[self._by_name[name].dtype]}")

    def _known(self, names: Mapping[str, Any]) -> None:
        for name in names:
            if name not in self._by_name and name not in self.units:
                hint = did_you_mean(name, self.fields[:1000])
                text = f"field {shown(name)} is unknown" + (f"; {hint}" if hint else "")
                raise Refusal(400, f"{text}; expected {listing(self.fields)}")

    def _listed(self, lists: Mapping[str, Any], rows: int) -> Table:
        if rows == 0:
            raise Refusal(400, "the request has no rows; expected at least one")
        columns = {}
        for field in self.signature.inputs:
            values = lists[field.name]
            if len(values) != rows:
                raise Refusal(400, f"field '{field.name}': {len(values)} values, expected {rows}, one a row")
            if type(values) is list:
                columns[field.name] = self._column(field, values)
            else:
                columns[field.name] = self._array_column(field, values)
        return Table(self.fields, rows, columns)

    def _column(self, field: Field, values: list[Any]) -> Any:
        kinds = set(map(type, values))
        allowed = TYPES[field.dtype]
        if field.dtype in SIMPLE and kinds <= allowed:  # nearly all columns of nearly all requests
            try:
                return np.array(values, dtype=SIMPLE[field.dtype])
            except OverflowError:
                pass  # the value that is too large is named below
        missing = MISSING in kinds
        if field.dtype in RANGES and float in kinds:
            values = [int(v) if type(v) is float and v.is_integer() else v for v in values]
            kinds = set(map(type, values))
        if not kinds <= (allowed | {MISSING}) or (missing and field.required):
            wrong = allowed if field.required else allowed | {MISSING}
            place = next(n for n, value in enumerate(values) if type(value) not in wrong)
            raise self.bad(field, place, values[place])
        if field.dtype == "datetime":
            return self._times(field, values)
        if field.dtype in RANGES:
            low, high = RANGES[field.dtype]
            for place, value in enumerate(values):
                if value is not None and not low <= value <= high:
                    raise self.bad(field, place, value)
        if missing and field.dtype not in ("float", "double"):
            return np.array(values, dtype="<f8" if field.dtype in RANGES else "O")
        return self._numbers(field, values)

    def _numbers(self, field: Field, values: list[Any]) -> Any:
        try:
            with np.errstate(over="ignore"):  # found and named below
                column = np.array(values, dtype=NUMPY[field.dtype])
        except OverflowError:
            column = None
        if column is None or (field.dtype == "float" and np.isinf(column).any()):
            largest = FLOAT32 if field.dtype == "float" else 1.7976931348623157e308
            place = next(n for n, value in enumerate(values) if value is not None and abs(value) > largest)
            raise self.bad(field, place, values[place])
        return column

    def _times(self, field: Field, values: list[Any]) -> Any:
        found: list[Any] = []
        for place, value in enumerate(values):
            if value is None:
                found.append(np.datetime64("NaT"))
                continue
            try:
                when = datetime.fromisoformat(value)
                found.append(np.datetime64(when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when, "ns"))
            except (ValueError, OverflowError):
                raise self.bad(field, place, value) from None
        return np.array(found, dtype="datetime64[ns]")

    def _array_column(self, field: Field, values: Any) -> Any:
        kind = values.dtype.kind
        if kind == "O" or field.dtype in ("string", "datetime", "boolean") or kind == "b":
            return self._column(field, values.tolist())
        if kind == "f":
            wrong = ~np.isfinite(values) if field.required else np.isinf(values)
            if field.dtype in RANGES:
                if not field.required:
                    return self._column(field, [None if v != v else v for v in values.tolist()])
                wrong = wrong | (values != np.floor(values))
            if wrong.any():
                place = int(np.argmax(wrong))
                raise self.bad(field, place, values[place].item())
        if field.dtype in RANGES:
            return self._column(field, values.tolist())
        if field.dtype == "float" and kind == "f" and values.dtype.itemsize > 4:
            return self._numbers(field, [None if v != v else v for v in values.tolist()])
        return values.astype(NUMPY[field.dtype])


def listing(names: Sequence[str]) -> str:
    """Names for an error, at most ten."""
    head = ", ".join(names[:10])
    return head if len(names) <= 10 else f"{head} and {len(names) - 10} more"


def _plain(column: Any) -> list[Any]:
    if column.dtype.kind == "M":
        return [None if np.isnat(v) else str(v) for v in column]
    plain: list[Any] = column.tolist()
    return [None if v != v else v for v in plain] if column.dtype.kind == "f" else plain
