"""Compiled models as data: what answers for a model can be stored, proved by its digest and read without scikit-learn.

Nothing in a form is code: the only functions are numpy's own of one number, by name. Arrays keep their type and shape.
"""

from collections.abc import Callable
from typing import Any, Union

import numpy as np
from msgspec import DecodeError, Struct, ValidationError, msgpack

Array = Any  # a numpy array
PLAIN = "biufU"  # kinds of arrays that are stored as their bytes


class Numbers(Struct, frozen=True, tag="numbers"):
    """The matrix of numeric columns."""

    names: tuple[str, ...]


class Categories(Struct, frozen=True):
    """What each known value of a column becomes: a row of `rows`; `missing` and `unseen` are rows, or refused."""

    keys: list[str | int | float | bool]
    rows: Array
    missing: Array | None
    unseen: Array | None


class Encoded(Struct, frozen=True, tag="encoded"):
    """The matrix that an encoder of categories makes of columns."""

    names: tuple[str, ...]
    categories: tuple[Categories, ...]


class Shift(Struct, frozen=True, tag="shift"):
    """(x - shift) / scale, each only if it is there."""

    shift: Array | None
    scale: Array | None


class Stretch(Struct, frozen=True, tag="stretch"):
    """x * scale + least, clipped to `within` if it is there."""

    scale: Array
    least: Array
    within: tuple[float, float] | None


class Fill(Struct, frozen=True, tag="fill"):
    """Missing values replaced, column by column."""

    values: Array


class Changed(Struct, frozen=True, tag="changed"):
    """A matrix with a change applied."""

    matrix: "Matrix"
    change: "Change"


class Finite(Struct, frozen=True, tag="finite"):
    """A matrix that is not sure where a value is infinite: scalers and imputers refuse these, but not missing ones."""

    matrix: "Matrix"


class Beside(Struct, frozen=True, tag="beside"):
    """Several matrices side by side."""

    parts: "tuple[Matrix, ...]"


class Linear(Struct, frozen=True, tag="linear"):
    """x @ slope + constant, behind numpy's `link` if it names one."""

    slope: Array
    constant: Array
    link: str = ""


class Scores(Struct, frozen=True, tag="scores"):
    """The class with the greatest of x @ slope + constant; of two classes the second where it is above 0.

    `logistic` says that the scores are logits.
    """

    slope: Array
    constant: Array
    classes: Array
    logistic: bool = False


class Trees(Struct, frozen=True, tag="trees", kw_only=True):
    """The nodes of many trees under numbers of their own, and what becomes of the leaves that a row reaches.

    A leaf has itself as both children. `spans` has for each node the first leaf below it and the first leaf of its
    right child, counted from the left within its tree; it is left out when a tree has more than 64 leaves.
    `tables` are categorical splits over codes 0..255 and one place for the rest, `table_of` is -1 for numeric splits.
    `narrow` rounds to float32 first: "finite" refuses missing values, "gaps" takes them, "" does not round.
    `total` is how values add up: "sum" one tree after the other from `start`, "mean" over trees, "only" the one tree.
    `link` is one of numpy's functions; `logistic` says that the totals are logits, else they are shares or numbers.
    """

    roots: Array
    features: Array
    thresholds: Array
    missing_left: Array
    left: Array
    right: Array
    values: Array  # (nodes, outputs)
    depth: int
    start: Array
    total: str
    spans: Array | None = None
    tables: Array | None = None
    table_of: Array | None = None
    narrow: str = ""
    link: str = ""
    classes: Array | None = None
    logistic: bool = False


class Back(Struct, frozen=True):
    """How a prediction comes back to the scale of the target: numpy's `function`, or y * scale + mean."""

    function: str = ""
    scale: float = 1.0
    mean: float = 0.0


Change = Shift | Stretch | Fill
Matrix = Union[Numbers, Encoded, Changed, Finite, Beside]  # noqa: UP007  it names itself
Predict = Linear | Scores | Trees


class Form(Struct, frozen=True):
    """A whole model: columns → matrix → predictions, and back to the target's own scale."""

    matrix: Matrix
    predict: Predict
    back: Back | None = None


def encode(form: Form) -> bytes:
    """The form as bytes, the same for the same form."""
    return msgpack.encode(form, enc_hook=_packed)


def decode(data: bytes) -> Form:
    """The form in bytes of ours; raises ValueError for others."""
    try:
        return msgpack.decode(data, type=Form, ext_hook=_unpacked)
    except (DecodeError, ValidationError) as error:
        raise ValueError(f"this is no compiled form: {error}") from None


def function(name: str) -> Callable[[Any], Any]:
    """One of numpy's own functions of one number; raises ValueError for anything else."""
    found = getattr(np, name, None)
    if not isinstance(found, np.ufunc) or (found.nin, found.nout) != (1, 1):
        raise ValueError(f"{name!r} is no function of numpy")
    return found


def _packed(value: Any) -> msgpack.Ext:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"a {type(value).__name__} is no part of a form")
    plain = value.dtype.kind in PLAIN
    kind = value.dtype.str if plain else "O"
    content = np.ascontiguousarray(value).tobytes() if plain else value.reshape(-1).tolist()
    return msgpack.Ext(1, msgpack.encode((kind, value.shape, content)))


def _unpacked(code: int, data: memoryview) -> Any:
    kind, shape, content = msgpack.decode(data)
    if kind == "O":
        found = np.empty(len(content), dtype=object)
        found[:] = content
        return found.reshape(shape)
    if np.dtype(kind).kind not in PLAIN:
        raise ValueError(f"an array of {kind!r} is no part of a form")
    return np.frombuffer(content, dtype=kind).reshape(shape)
