"""Tensors of the Open Inference Protocol V2: JSON data and raw bytes ↔ numpy arrays.

Raw layout (Triton's extension_binary_data.md): little endian, row-major, no padding; BOOL one byte; BYTES elements
are a uint32 length and as many bytes.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from treadle.serve.refusal import Refusal, shown

DTYPES = {
    "BOOL": "?",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "BYTES": "O",
}
OF_FIELD = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
    "datetime": "BYTES",
}
LARGEST = 1 << 40  # elements; a product of dimensions beyond it is a lie whatever the body holds


def count(name: str, shape: Sequence[Any]) -> int:
    """How many elements a shape has; refuses dimensions that are no natural numbers."""
    total = 1
    for size in shape:
        if type(size) is not int or size < 0:
            raise Refusal(400, f"input {shown(name)}: shape {shown(list(shape))} has a dimension that is not 0 or more")
        total *= size
        if total > LARGEST:
            raise Refusal(400, f"input {shown(name)}: shape {shown(list(shape))} is too large")
    return total


def flatten(name: str, data: Any, shape: Sequence[int]) -> list[Any]:
    """Elements in row-major order of data that is flat, or nested as the shape says."""
    if type(data) is not list:
        raise Refusal(400, f"input {shown(name)}: data is {shown(data)}, expected a list")
    expected = count(name, shape)
    values: list[Any] = data
    depth = 0
    while values and type(values[0]) is list and depth < len(shape):
        if len(values) != _product(shape[: depth + 1]):
            break
        if any(type(part) is not list or len(part) != len(values[0]) for part in values):
            raise Refusal(400, f"input {shown(name)}: data is ragged, expected shape {shown(list(shape))}")
        values = [value for part in values for value in part]
        depth += 1
    if len(values) != expected:
        text = f"input {shown(name)}: {len(values)} values, expected {expected} for shape {shown(list(shape))}"
        raise Refusal(400, text)
    return values


def from_bytes(name: str, datatype: str, shape: Sequence[int], raw: memoryview) -> Any:
    """The flat array that raw bytes hold; BYTES become str where they are UTF-8, as an object array."""
    expected = count(name, shape)
    if datatype == "BYTES":
        values = list(_elements(name, raw))
        if len(values) != expected:
            text = f"input {shown(name)}: {len(values)} elements, expected {expected} for shape {shown(list(shape))}"
            raise Refusal(400, text)
        column = np.empty(len(values), dtype=object)
        column[:] = values
        return column
    dtype = np.dtype(DTYPES[datatype])
    if len(raw) != expected * dtype.itemsize:
        text = f"input {shown(name)}: {len(raw)} bytes, expected {expected * dtype.itemsize}"
        raise Refusal(400, f"{text} for {datatype} of shape {shown(list(shape))}")
    if datatype == "BOOL":
        return np.frombuffer(raw, dtype="u1") != 0
    return np.frombuffer(raw, dtype=dtype)


def to_bytes(datatype: str, values: Any) -> bytes:
    """The raw bytes of an array."""
    if datatype == "BYTES":
        parts = []
        for value in values.reshape(-1).tolist():
            data = value if type(value) is bytes else str(value).encode()
            parts += [len(data).to_bytes(4, "little"), data]
        return b"".join(parts)
    return bytes(np.ascontiguousarray(values, dtype=DTYPES[datatype]).tobytes())


def datatype_of(values: Any) -> str:
    """The protocol's name for an array's type."""
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "b":
        return "BOOL"
    if kind in "iu":
        return ("INT" if kind == "i" else "UINT") + str(8 * size)
    if kind == "f":
        return f"FP{8 * size}"
    return "BYTES"


def _product(sizes: Sequence[int]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


def _elements(name: str, raw: memoryview) -> Iterator[str]:
    place, end = 0, len(raw)
    while place < end:
        stop = place + 4 + int.from_bytes(raw[place : place + 4], "little")
        if place + 4 > end or stop > end:
            raise Refusal(400, f"input {shown(name)}: a BYTES element at byte {place} reaches beyond the tensor")
        try:
            yield str(raw[place + 4 : stop], "utf-8")
        except UnicodeDecodeError:
            raise Refusal(400, f"input {shown(name)}: the BYTES element at byte {place} is not UTF-8 text") from None
        place = stop
