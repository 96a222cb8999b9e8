"""A column seen the quick way: numbers by their extremes, texts by their distinct values.

Most rules hold. The least and the greatest number of a column prove its ranges in one pass, and a set or a pattern is
tried on the distinct texts alone; only where that fails are the rows looked at.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

BLOCK = 1 << 15  # numbers that stay in the processor's cache between two looks at them
DENSE = 4  # a table of counts may be so many times as long as the column


class Texts(NamedTuple):
    """Distinct texts, and for each row the place of its own, -1 where it is missing."""

    distinct: pd.Series
    codes: Any
    missing: int

    def rows(self, bad: Any) -> Any:
        """The rows whose text is among the `bad` of the distinct ones; None when there are none."""
        marked = np.asarray(bad, dtype=bool)
        return np.append(marked, False)[self.codes] if marked.any() else None


def texts(values: pd.Series) -> Texts | None:
    """The column's distinct texts; None when it holds something else."""
    if not isinstance(values.dtype, pd.StringDtype | pd.CategoricalDtype) and values.dtype != object:
        return None
    try:
        found = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError):
        return None
    found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    if not isinstance(found, pa.DictionaryArray):
        if not (pa.types.is_string(found.type) or pa.types.is_large_string(found.type)):
            return None
        found = found.dictionary_encode()
    kind = found.dictionary.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    codes = found.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Texts(pd.Series(found.dictionary.to_pandas(), dtype="str"), codes, int(found.null_count))


def extremes(values: pd.Series) -> tuple[Any, Any] | None:
    """The least and the greatest number; None for a column of another kind, with missing values, or without rows."""
    if not isinstance(values.dtype, np.dtype) or values.dtype.kind not in "iuf" or not len(values):
        return None
    numbers = values.to_numpy()
    low = high = numbers[0]
    for start in range(0, len(numbers), BLOCK):
        block = numbers[start : start + BLOCK]
        low, high = np.minimum(low, block.min()), np.maximum(high, block.max())
    return None if low != low or high != high else (low, high)  # a missing value is no number


def repeated(values: pd.Series) -> Any:
    """The rows that repeat an earlier one; None when there are none. Whole numbers are counted, not hashed."""
    limits = extremes(values) if values.dtype.kind in "iu" else None
    if limits is not None and int(limits[1]) - int(limits[0]) < DENSE * len(values):
        places = values.to_numpy() - limits[0]
        counts = np.bincount(places.astype(np.intp, copy=False))
        if counts.max() <= 1:
            return None
        several = np.flatnonzero(counts[places] > 1)
        bad = np.zeros(len(values), dtype=bool)
        bad[several[values.iloc[several].duplicated(keep="first").to_numpy()]] = True
        return bad
    return values.duplicated(keep="first").to_numpy()


def by_text(seen: Texts | None, values: pd.Series, judge: Callable[[pd.Series], Any]) -> Any:
    """The rows of which `judge`, given texts, says that they are bad; None when there are none."""
    if seen is not None:
        return seen.rows(judge(seen.distinct))
    return np.asarray(judge(values.astype("str")), dtype=bool) & ~values.isna().to_numpy()
