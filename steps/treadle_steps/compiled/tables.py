"""Encoders as tables: what each known category becomes, asked of the encoder itself."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from treadle_steps.compiled.forms import Categories, Encoded
from treadle_steps.compiled.program import NotCompiled

MISSING = object()  # the key of every missing value: NaN is not equal to itself
UNSEEN = object()  # the key of every value that was not there in training
MOST = 5_000  # categories of one column


def encoded(encoder: Any, names: Sequence[str]) -> Encoded:
    """What a fitted encoder makes of these columns, category by category; what it refuses has no row.

    Raises NotCompiled for what is no encoder of categories.
    """
    if type(encoder) not in (OneHotEncoder, OrdinalEncoder):
        raise NotCompiled(f"{type(encoder).__name__} has no compiled form here")
    widths = list(encoder._n_features_outs) if isinstance(encoder, OneHotEncoder) else [1] * len(names)
    if max(map(len, encoder.categories_), default=0) > MOST:
        raise NotCompiled(f"a column has more than {MOST:,} categories")
    found = []
    for table in _tables(encoder, list(names), widths):
        missing, unseen = table.pop(MISSING, None), table.pop(UNSEEN, None)
        if not all(isinstance(key, str | int | float) for key in table):
            raise NotCompiled("categories that are neither text nor numbers have no compiled form here")
        found.append(Categories(list(table), np.array(list(table.values())), missing, unseen))
    return Encoded(tuple(names), tuple(found))


def _tables(encoder: Any, names: list[str], widths: list[int]) -> list[dict[Any, Any]]:
    """For each column, category → the numbers it becomes."""
    longest = max(len(known) for known in encoder.categories_)
    probe = {name: _cycled(known, longest) for name, known in zip(names, encoder.categories_, strict=True)}
    rows = _dense(encoder, probe)
    tables: list[dict[Any, Any]] = []
    begin = 0
    for name, known, width in zip(names, encoder.categories_, widths, strict=True):
        own = rows[:, begin : begin + width]
        table = {_key(value): own[row].copy() for row, value in enumerate(known.tolist())}
        for key, value in ((MISSING, np.nan), (UNSEEN, _unseen(known))):
            if key not in table:
                found = _probed(encoder, {**_first(probe), name: _column(known, value)})
                if found is not None:
                    table[key] = found[0, begin : begin + width].copy()
        tables.append(table)
        begin += width
    return tables


def _probed(encoder: Any, columns: Mapping[str, Any]) -> Any:
    try:
        return _dense(encoder, columns)
    except (ValueError, TypeError):
        return None  # the encoder refuses, so the model itself must answer


def _dense(encoder: Any, columns: Mapping[str, Any]) -> Any:
    frame = pd.DataFrame(dict(columns))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unknown categories are what is asked about
        found = encoder.transform(frame if hasattr(encoder, "feature_names_in_") else frame.to_numpy())
    found = found.toarray() if hasattr(found, "toarray") else found
    return np.asarray(found, dtype=np.float64)


def _cycled(known: Any, count: int) -> Any:
    return np.resize(known, count)


def _first(probe: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[:1] for name, values in probe.items()}


def _column(known: Any, value: Any) -> Any:
    kind = known.dtype if known.dtype.kind == "f" else float if known.dtype.kind in "iub" else object
    return np.array([value], dtype=kind)


def _unseen(known: Any) -> Any:
    """A value that is not among the known ones, of their kind."""
    if known.dtype.kind in "iufb":
        return float(np.nanmax(known.astype(float))) + 1.5 if len(known) else 0.5
    return "\x00unseen"


def _key(value: Any) -> Any:
    return MISSING if value is None or value != value else value
