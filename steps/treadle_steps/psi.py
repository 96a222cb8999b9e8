"""Population stability index on mergeable counts, with a test against a least effect."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chndtr

from treadle_steps.refusals import is_moment, is_number

BINS = 10
TOP = 20


def counts(reference: pd.Series, current: pd.Series) -> tuple[Any, Any]:
    """Counts of both columns in the same bins, frozen from the reference.

    Numbers: ten quantile bins with open ends (distinct values if ten or fewer) and missing; others: the
    20 most frequent values, other, unseen and missing.
    """
    if is_moment(reference):
        reference, current = reference.astype("int64"), current.astype("int64")
    if is_number(reference) and reference.nunique() > BINS:
        known = reference.dropna().to_numpy(dtype=float)
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]))
        return _numbers(reference, edges), _numbers(current, edges)
    values = list(reference.value_counts().index)
    top, rest = values[:TOP], set(values[TOP:])
    return _values(reference, top, rest), _values(current, top, rest)


def index(reference: Any, current: Any) -> float:
    """PSI = Σ (p − q) ln(p / q) with p, q = (count + ½) / (n + B / 2)."""
    r, c = np.asarray(reference, dtype=float), np.asarray(current, dtype=float)
    half = len(r) / 2
    p, q = (r + 0.5) / (r.sum() + half), (c + 0.5) / (c.sum() + half)
    return float(np.sum((p - q) * np.log(p / q)))


def p_value(reference: Any, current: Any, delta: float) -> float:
    """The chance of such a PSI when the true one is at most `delta`: 1 − F(n_e PSI), non-central χ² with
    B − 1 degrees and non-centrality n_e δ, where n_e = n m / (n + m) (arXiv 2307.11878)."""
    n, m = float(np.sum(reference)), float(np.sum(current))
    if not n or not m:
        return 1.0
    effective = n * m / (n + m)
    return float(1 - chndtr(effective * index(reference, current), len(reference) - 1, effective * delta))


def rejected(p_values: list[float], rate: float) -> list[bool]:
    """Which hypotheses fall at this false discovery rate (Benjamini and Hochberg 1995)."""
    order = np.argsort(p_values, kind="stable")
    limit = -1
    for rank, at in enumerate(order, 1):
        if p_values[at] <= rate * rank / len(p_values):
            limit = rank
    fallen = {int(at) for at in order[: max(0, limit)]}
    return [number in fallen for number in range(len(p_values))]


def _numbers(column: pd.Series, edges: Any) -> Any:
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    known = values[~np.isnan(values)]
    binned = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return np.append(binned, len(values) - len(known))


def _values(column: pd.Series, top: list[Any], rest: set[Any]) -> Any:
    found = column.value_counts()
    named = [int(found.get(value, 0)) for value in top]
    other = int(sum(found.get(value, 0) for value in rest))
    known = int(found.sum())
    return np.array([*named, other, known - sum(named) - other, len(column) - known])
