"""Population stability index on mergeable counts, with a test against a least effect.

A profile of a column is plain data: its bins, frozen from the reference, and how many rows fell into each. Counts of
two windows in the same bins may be added.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from treadle.authoring import StepError
from treadle_steps.refusals import is_moment, is_number, need_plain
from treadle_steps.words import shown

BINS = 10
TOP = 20
BLOCK = 16_384  # rows compared at a time


def freeze(column: pd.Series, most_values: int | None = None) -> dict[str, Any]:
    """The profile of a reference column: kind, bins and counts.

    Numbers and moments (as nanoseconds): up to ten quantile bins with open ends, then missing. Everything else, and
    numbers with ten or fewer distinct values: the 20 most frequent values, other, unseen, missing. With more than
    `most_values` distinct values the rare ones are not kept, and a new value counts as other, not as unseen.
    """
    kind = "moment" if is_moment(column) else "number" if is_number(column) else "text"
    bins: dict[str, Any] = {"kind": kind}
    if kind == "moment" or (kind == "number" and column.nunique() > BINS):
        known = _floats(column)
        known = known[~np.isnan(known)]
        # a quantile that is a value of the column: between -inf and inf there is nothing to interpolate
        edges = np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1], method="inverted_cdf") if len(known) else known
        bins["edges"] = np.unique(edges[np.isfinite(edges)]).tolist()
    else:
        values = list(dict.fromkeys(_plain(value) for value in column.value_counts().index))
        bins["values"], rest = values[:TOP], values[TOP:]
        bins["rest"] = rest if most_values is None or len(values) <= most_values else None
    return {**bins, "counts": count(bins, column)}


def count(bins: dict[str, Any], column: pd.Series) -> list[int]:
    """How many rows of `column` fall into each of `bins`; raises StepError when it is of another kind."""
    return count_slices(bins, column, [slice(0, len(column))])[0]


def count_slices(
    bins: dict[str, Any], column: pd.Series, slices: list[slice], order: Any | None = None
) -> list[list[int]]:
    """The counts of each slice of the rows, taken in `order`; as `count`, of all windows in one pass."""
    _need_kind(bins, column)
    if "edges" in bins:
        values = _floats(column)
        values = values if order is None else values[order]
        return [_binned(values[part], bins["edges"]) for part in slices]
    codes, known = _codes(bins, column)
    codes = codes if order is None else codes[order]
    return [_named(np.bincount(codes[part], minlength=len(known) + 1), known, bins) for part in slices]


def _binned(values: Any, edges: list[float]) -> list[int]:
    """Counts between edges, then of missing ones. Comparing block by block stays in the cache: 7 × searchsorted."""
    above = [0] * len(edges)
    missing = 0
    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK]
        missing += int(np.count_nonzero(block != block))
        for number, edge in enumerate(edges):
            above[number] += int(np.count_nonzero(block >= edge))
    reached = [len(values) - missing, *above]
    return [*(low - high for low, high in pairwise([*reached, 0])), missing]


def _codes(bins: dict[str, Any], column: pd.Series) -> tuple[Any, list[Any]]:
    """For each row the number of its value, and the values; the number after the last is of a missing value."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, values = column.cat.codes.to_numpy(), column.cat.categories
    else:
        need_plain(column)
        codes, values = pd.factorize(column)
    known = [_plain(value) for value in values]
    return np.where(codes < 0, len(known), codes).astype(np.intp), known


def _named(rows: Any, known: list[Any], bins: dict[str, Any]) -> list[int]:
    found: dict[Any, int] = {}
    for value, number in zip(known, rows.tolist(), strict=False):
        found[value] = found.get(value, 0) + number
    missing, total = int(rows[len(known)]), sum(found.values())
    named = [found.get(value, 0) for value in bins["values"]]
    left = total - sum(named)
    other = left if bins["rest"] is None else sum(found.get(value, 0) for value in bins["rest"])
    return [*named, other, left - other, missing]


def counts(reference: pd.Series, current: pd.Series) -> tuple[list[int], list[int]]:
    """Counts of both columns in the same bins, frozen from the reference."""
    bins = freeze(reference)
    return bins["counts"], count(bins, current)


def labels(bins: dict[str, Any]) -> list[str]:
    """A name for each bin, in the order of the counts."""
    if "edges" not in bins:
        return [*(str(value) for value in bins["values"]), "other", "unseen", "missing"]
    edges = [f"{edge:g}" for edge in bins["edges"]]
    if bins["kind"] == "moment":
        edges = [str(pd.Timestamp(int(edge))) for edge in bins["edges"]]
    if not edges:
        return ["any", "missing"]
    between = [f"{low} to {high}" for low, high in pairwise(edges)]
    return [f"below {edges[0]}", *between, f"{edges[-1]} and above", "missing"]


def parts(reference: Any, current: Any) -> Any:
    """What each bin adds to the PSI: (p − q) ln(p / q) with p, q = (count + ½) / (n + B / 2).

    A bin that is empty in both adds 0 and is not counted in B: the halves alone would differ when n and m do, and
    make an unchanged column look moved.
    """
    r, c = np.asarray(reference, dtype=float), np.asarray(current, dtype=float)
    used = (r + c) > 0
    half = used.sum() / 2
    p, q = (r[used] + 0.5) / (r.sum() + half), (c[used] + 0.5) / (c.sum() + half)
    made = np.zeros(len(r))
    made[used] = (p - q) * np.log(p / q)
    return made


def index(reference: Any, current: Any) -> float:
    """PSI: the sum of `parts`."""
    return float(np.sum(parts(reference, current)))


def p_value(reference: Any, current: Any, delta: float, phi: float = 1.0) -> float:
    """The chance of such a PSI when the true one is at most `delta`: 1 − F(n_e PSI), non-central χ² with
    B − 1 degrees and non-centrality n_e δ, where n_e = n m / (n + m) / φ (arXiv 2307.11878)."""
    from scipy.special import chndtr  # lazy: 0.3 s that counting alone spares

    r, c = np.asarray(reference, dtype=float), np.asarray(current, dtype=float)
    n, m, used = float(r.sum()), float(c.sum()), int(((r + c) > 0).sum())
    if not n or not m or used < 2:
        return 1.0
    effective = n * m / (n + m) / phi
    return float(1 - chndtr(effective * index(r, c), used - 1, effective * delta))


def overdispersion(windows: Any) -> float:
    """φ of the windows of a reference: how much more they differ than independent rows would, at least 1.

    φ = max(1, mean of n_e PSI(window, all others) / (B − 1)): day effects, autocorrelation and clustered rows make
    windows differ without any drift. Shape of `windows`: (windows, bins).
    """
    counts = np.asarray(windows, dtype=float)
    total = counts.sum(axis=0)
    used = int((total > 0).sum())
    if len(counts) < 2 or used < 2:
        return 1.0
    found = []
    for one in counts:
        rest = total - one
        n, m = rest.sum(), one.sum()
        if n and m:
            found.append(n * m / (n + m) * index(rest, one) / (used - 1))
    return max(1.0, float(np.mean(found))) if found else 1.0


def rejected(p_values: list[float], rate: float) -> list[bool]:
    """Which hypotheses fall at this false discovery rate (Benjamini and Hochberg 1995)."""
    order = np.argsort(p_values, kind="stable")
    limit = -1
    for rank, at in enumerate(order, 1):
        if p_values[at] <= rate * rank / len(p_values):
            limit = rank
    fallen = {int(at) for at in order[: max(0, limit)]}
    return [number in fallen for number in range(len(p_values))]


def _need_kind(bins: dict[str, Any], column: pd.Series) -> None:
    """A text where numbers were is a break of the schema, not drift; a column of nothing but gaps has no kind."""
    now = "moment" if is_moment(column) else "number" if is_number(column) else "text"
    if now != bins["kind"] and column.notna().any() and sum(bins.get("counts", [1])[:-1]):
        example = column.dropna().iloc[0]
        raise StepError(
            f"column '{column.name}' was {bins['kind']} in the reference and is {now} now (such as {shown(example)})",
            f"repair it upstream, or leave it out: exclude: [{column.name}]",
        )


def _floats(column: pd.Series) -> Any:
    """Numbers as floats, moments as nanoseconds; NaN where missing."""
    if not is_moment(column):
        return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    unit = "timedelta64[ns]" if pd.api.types.is_timedelta64_dtype(column.dtype) else "datetime64[ns]"
    ticks = column.to_numpy().astype(unit).astype("int64").astype(float)
    return np.where(column.isna().to_numpy(), np.nan, ticks)


def _plain(value: Any) -> Any:
    """A value as JSON knows it."""
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, bool | int | float | str) else str(value)
