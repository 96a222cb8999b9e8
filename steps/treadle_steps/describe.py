"""What a table, an array or a model is, in figures; and how two tables differ."""

from pathlib import Path
from typing import Any

import pandas as pd

from treadle_steps import psi
from treadle_steps.ingest import table
from treadle_steps.refusals import is_moment, is_number

TOP = 5
QUANTILES = (0.25, 0.5, 0.75)


def describe_table(path: Path) -> dict[str, Any]:
    """`rows`, and for each column: name, dtype, missing, distinct, and its range and quartiles or its top values."""
    frame = _read(path)
    return {"rows": len(frame), "columns": [_column(str(name), frame[name]) for name in frame.columns]}


def difference(before: Path, after: Path) -> dict[str, Any]:
    """How two tables differ: rows, columns added, removed or of another dtype, and how each column's values moved.

    `moved` has, for each column in both, the population stability index, the share missing and the mean on both
    sides, the greatest PSI first.
    """
    old, new = _read(before), _read(after)
    both = [str(name) for name in old.columns if name in new.columns]
    moved = [_moved(name, old[name], new[name]) for name in both]
    return {
        "rows": [len(old), len(new)],
        "added": [str(name) for name in new.columns if name not in old.columns],
        "removed": [str(name) for name in old.columns if name not in new.columns],
        "retyped": {n: [str(old[n].dtype), str(new[n].dtype)] for n in both if old[n].dtype != new[n].dtype},
        "moved": sorted(moved, key=lambda one: (-(one["psi"] or 0.0), one["name"])),
    }


def _read(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path) if path.suffix == ".parquet" and path.is_file() else table(path)
    return frame.set_axis([str(name) for name in frame.columns], axis=1)


def _column(name: str, column: pd.Series) -> dict[str, Any]:
    known = column.dropna()
    found: dict[str, Any] = {"name": name, "dtype": str(column.dtype), "missing": len(column) - len(known)}
    try:
        found["distinct"] = int(known.nunique())
    except TypeError:  # lists and dicts
        return found
    if not len(known):
        return found
    if is_moment(column):
        return {**found, "min": str(known.min()), "max": str(known.max())}
    if is_number(column) and found["distinct"] > TOP:
        numbers = known.astype(float)
        quartiles = [float(q) for q in numbers.quantile(list(QUANTILES))]
        return {
            **found,
            "min": float(numbers.min()),
            "quartiles": quartiles,
            "max": float(numbers.max()),
            "mean": float(numbers.mean()),
        }
    top = known.value_counts().head(TOP)
    return {**found, "top": {str(value): int(rows) for value, rows in top.items()}}


def _moved(name: str, old: pd.Series, new: pd.Series) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "psi": None,
        "missing": [float(old.isna().mean()) if len(old) else 0.0, float(new.isna().mean()) if len(new) else 0.0],
        "mean": [_mean(old), _mean(new)],
    }
    try:
        if len(old) and len(new):
            found["psi"] = psi.index(*psi.counts(old, new))
    except (TypeError, ValueError):  # values without an order or a hash, or of another kind
        found["psi"] = None
    return found


def _mean(column: pd.Series) -> float | None:
    return float(column.dropna().astype(float).mean()) if is_number(column) and column.notna().any() else None
