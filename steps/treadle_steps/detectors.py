"""Detectors of drift between two columns; plug-ins like anyone's, under `treadle.detectors`.

A detector takes the reference and the current column and returns `value`, the `limit` that people compare it with, and
a `p_value`: small means moved. `monitor.drift` controls the false discovery rate over the p-values of all columns.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import numpy as np
import pandas as pd

from treadle.authoring import StepError
from treadle_steps import psi, spans
from treadle_steps.refusals import is_moment, is_number

Found = dict[str, float]
Detector = Callable[[pd.Series, pd.Series], Found]
ROUNDS = 200  # permutations behind a p-value that has no formula
SAMPLE = 2000  # rows of either side that a permutation shuffles


def load(name: str) -> Detector:
    """The detector of that name; raises StepError when nothing installed offers it."""
    for entry in entry_points(group=spans.DETECTORS):
        if entry.name == name:
            module, _, attribute = entry.value.partition(":")
            found: Detector = getattr(import_module(module), attribute)
            return found
    raise StepError(f"no detector is called '{name}'", "known: " + ", ".join(spans.detectors()))


def psi_min_effect(reference: pd.Series, current: pd.Series) -> Found:
    """PSI above 0.1, as `monitor.drift` tests it by default, for independent rows."""
    before, now = psi.counts(reference, current)
    return {"value": psi.index(before, now), "limit": 0.1, "p_value": psi.p_value(before, now, 0.1)}


def ks(reference: pd.Series, current: pd.Series) -> Found:
    """Kolmogorov–Smirnov: D = sup |F − G|, p ≈ Q(√n_e D). With many rows it sees moves that do not matter."""
    from scipy.special import kolmogorov  # lazy: 0.3 s that the default spares

    before, now = np.sort(_numbers(reference, "ks")), np.sort(_numbers(current, "ks"))
    every = np.concatenate([before, now])
    below = np.searchsorted(before, every, side="right") / len(before)
    beyond = np.searchsorted(now, every, side="right") / len(now)
    value = float(np.max(np.abs(below - beyond)))
    effective = len(before) * len(now) / (len(before) + len(now))
    return {"value": value, "limit": 0.1, "p_value": float(kolmogorov(np.sqrt(effective) * value))}


def wasserstein(reference: pd.Series, current: pd.Series) -> Found:
    """W₁ = ∫ |F − G| over the reference's deviation; p by permutation of at most 2,000 rows a side."""
    before, now = _numbers(reference, "wasserstein"), _numbers(current, "wasserstein")
    scale = float(np.std(before)) or 1.0
    return {"value": _w1(before, now) / scale, "limit": 0.1, "p_value": _permuted(_w1, before, now)}


def js(reference: pd.Series, current: pd.Series) -> Found:
    """Jensen–Shannon distance, natural logarithm (0 to 0.8326), on the bins of the reference; p by its null law:
    8 n_e JS² is χ² with B − 1 degrees when nothing moved."""
    from scipy.special import chdtrc  # lazy: 0.3 s that the default spares

    r, c = (np.asarray(one, dtype=float) for one in psi.counts(reference, current))
    p, q = r / r.sum(), c / c.sum()
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        halves = [np.where(one > 0, one * np.log(one / middle), 0.0).sum() / 2 for one in (p, q)]
    value = float(np.sqrt(max(0.0, sum(halves))))
    used, effective = int(((r + c) > 0).sum()), r.sum() * c.sum() / (r.sum() + c.sum())
    return {"value": value, "limit": 0.1, "p_value": float(chdtrc(max(1, used - 1), 8 * effective * value * value))}


def chi2(reference: pd.Series, current: pd.Series) -> Found:
    """χ² of the two by k table; bins in which fewer than five rows are expected are joined. Both sides are samples."""
    from scipy.special import chdtrc  # lazy: 0.3 s that the default spares

    table = np.asarray(psi.counts(reference, current), dtype=float)
    expected = table.sum(axis=0) * table.sum(axis=1, keepdims=True).min() / table.sum()
    rare = expected < 5
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    even = table.sum(axis=0) * table.sum(axis=1, keepdims=True) / table.sum()
    value, degrees = float(((table - even) ** 2 / even).sum()), table.shape[1] - 1
    chance = float(chdtrc(degrees, value)) if degrees else 1.0
    return {"value": value, "limit": float(degrees), "p_value": chance}


def domain_classifier(reference: pd.Series, current: pd.Series) -> Found:
    """Can a classifier tell the sides apart? ROC AUC in cross-validation, p by the rank-sum law of random scores."""
    from scipy.special import ndtr  # lazy: 0.3 s that the default spares
    from sklearn.feature_extraction.text import TfidfVectorizer  # lazy: only this detector needs it
    from sklearn.linear_model import LogisticRegression  # lazy: only this detector needs it
    from sklearn.metrics import roc_auc_score  # lazy: only this detector needs it
    from sklearn.model_selection import cross_val_predict  # lazy: only this detector needs it
    from sklearn.pipeline import make_pipeline  # lazy: only this detector needs it

    rng = np.random.default_rng(0)
    sides = [_sample(column, rng) for column in (reference, current)]
    side = np.r_[np.zeros(len(sides[0])), np.ones(len(sides[1]))]
    words = pd.concat(sides).astype(str).to_numpy()
    reader = TfidfVectorizer(token_pattern=r"\S+", max_features=5000)
    model = make_pipeline(reader, LogisticRegression(solver="liblinear"))
    try:
        scores = cross_val_predict(model, words, side, cv=5, method="decision_function")
    except ValueError as error:
        raise StepError(f"domain_classifier cannot learn from '{reference.name}': {error}") from None
    value = float(roc_auc_score(side, scores))
    n, m = len(sides[0]), len(sides[1])
    return {"value": value, "limit": 0.55, "p_value": float(ndtr(-(value - 0.5) / np.sqrt((n + m + 1) / (12 * n * m))))}


def _sample(column: pd.Series, rng: np.random.Generator) -> pd.Series:
    known = column.dropna()
    return known if len(known) <= SAMPLE else known.iloc[rng.choice(len(known), SAMPLE, replace=False)]


def _numbers(column: pd.Series, method: str) -> Any:
    if not is_number(column) or is_moment(column):
        raise StepError(f"{method} compares numbers, and '{column.name}' has none", "leave it out, or use chi2 or js")
    values = column.to_numpy(dtype=float, na_value=np.nan)
    values = values[np.isfinite(values)]
    if not len(values):
        raise StepError(f"'{column.name}' holds no number at all", "monitor.quality says why")
    return values


def _w1(before: Any, now: Any) -> float:
    every = np.sort(np.concatenate([before, now]))
    below = np.searchsorted(np.sort(before), every[:-1], side="right") / len(before)
    beyond = np.searchsorted(np.sort(now), every[:-1], side="right") / len(now)
    return float(np.sum(np.abs(below - beyond) * np.diff(every)))


def _permuted(distance: Callable[[Any, Any], float], before: Any, now: Any) -> float:
    """The share of random splits of the same rows that are as far apart: exact, at least 1 / 201."""
    rng = np.random.default_rng(0)
    before = before if len(before) <= SAMPLE else rng.choice(before, SAMPLE, replace=False)
    now = now if len(now) <= SAMPLE else rng.choice(now, SAMPLE, replace=False)
    seen, every = distance(before, now), np.concatenate([before, now])
    worse = 0
    for _ in range(ROUNDS):
        rng.shuffle(every)
        worse += distance(every[: len(before)], every[len(before) :]) >= seen
    return (worse + 1) / (ROUNDS + 1)
