"""Judge the order in which a model puts the rows of each group, such as the results of one search."""

from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd

from treadle.authoring import StepError
from treadle_steps import bootstrap as draws
from treadle_steps import judging
from treadle_steps.refusals import is_number, need_columns, need_values
from treadle_steps.scores import of_champion

CURVE = (1, 3, 5, 10, 20, 50)


class RankingMetrics(TypedDict, total=False):
    """Means over the groups that have something relevant, at the first `k` places; 1 is perfect.

    `ndcg` with the relevance as gain, discounted by log2(place + 1), ties averaged, as scikit-learn's ndcg_score;
    `map` is mean average precision over the relevant rows that fit into k places; `mrr` the reciprocal place of the
    first relevant row; `recall` the share of a group's relevant rows that are found.
    """

    ndcg: float
    map: float
    mrr: float
    recall: float
    groups: float
    groups_without_relevant: float
    rows: float
    ndcg_low: float
    ndcg_high: float
    map_low: float
    map_high: float
    mrr_low: float
    mrr_high: float
    recall_low: float
    recall_high: float
    champion_ndcg: float
    champion_map: float
    champion_mrr: float
    champion_recall: float


class RankingReport(NamedTuple):
    """The report as plain data, and the metrics that gates name."""

    report: dict[str, Any]
    metrics: RankingMetrics


def ranking(
    model: Any,
    data: pd.DataFrame,
    champion: Any = None,
    *,
    group: str,
    target: str | None = None,
    k: int = 10,
    bootstrap: int = 200,
    seed: int = 0,
) -> RankingReport:
    """ndcg, map, mrr and recall at `k` of the order that a model gives to the rows of each `group`.

    The target is the relevance of a row, 0 or more; what is above 0 is relevant. Rows are ordered by the model's
    prediction, or by the chance of its last class. Groups without a relevant row are counted and left out. Intervals
    draw groups, not rows. `champion` is another model, judged on the same rows. Raises StepError for a negative
    relevance, for data without a relevant row, and for what `evaluate.regression` refuses.

    Example:

        ranking:
          uses: evaluate.ranking
          in: {model: acceptance, data: split.test}
          with: {group: zone, k: 5}
    """
    if k < 1:
        raise StepError(f"k is {k}", "give the number of places that are looked at, 1 or more")
    x, y, frame = judging.rows_of(model, data, target)
    need_columns(frame, [group], "group:")
    need_values(frame[group], "group")
    if not is_number(y) or (y.to_numpy(dtype=float) < 0).any():
        raise StepError(f"target '{y.name}' is no relevance", "give numbers, 0 or more")
    groups = pd.factorize(frame[group], sort=True)[0]
    relevance = y.to_numpy(dtype=float)
    mine = _judged(relevance, _strength(model, x), groups, k)
    if not len(mine["ndcg"]):
        raise StepError(f"no row is relevant: '{y.name}' is 0 everywhere", "is this the right target?")
    found = {name: float(values.mean()) for name, values in mine.items()}
    samples = draws.resampled(_means(mine), len(mine["ndcg"]), bootstrap, seed)
    limits = draws.intervals(samples)
    counts = {"groups": float(len(mine["ndcg"])), "rows": float(len(frame))}
    counts["groups_without_relevant"] = float(groups.max() + 1) - counts["groups"]
    strength = _strength(model, x)
    curve = [[at, float(_judged(relevance, strength, groups, at)["ndcg"].mean())] for at in CURVE]
    report: dict[str, Any] = {
        "target": y.name,
        "metrics": {**found, **counts},
        "intervals": limits,
        "curves": {"ndcg by k": curve},
    }
    beaten: dict[str, float] = {}
    if champion is not None:
        judging.need_model(champion, "the champion")
        features = judging.features_of(champion, frame, str(y.name), "the champion")
        theirs = _judged(relevance, _strength(champion, features), groups, k)
        beaten = of_champion({name: float(values.mean()) for name, values in theirs.items()})
        again = draws.resampled(_means(theirs), len(theirs["ndcg"]), bootstrap, seed)
        report["champion"] = {"metrics": beaten, "difference": draws.differences(samples, again)}
    return RankingReport(report, RankingMetrics(**found, **counts, **draws.as_metrics(limits), **beaten))  # type: ignore[typeddict-item]


def _strength(model: Any, x: pd.DataFrame) -> Any:
    if hasattr(model, "predict_proba"):
        return judging.numbers(judging.predicted(model, x, "predict_proba")[:, -1])
    return judging.numbers(judging.predicted(model, x))


def _means(judged: dict[str, Any]) -> dict[str, draws.Figure]:
    def mean(values: Any) -> draws.Figure:
        return lambda counts: float(counts @ values) / len(values)

    return {name: mean(values) for name, values in judged.items()}


def _judged(relevance: Any, strength: Any, groups: Any, k: int) -> dict[str, Any]:
    """Each figure for each group with something relevant, in the order of the groups."""
    number = int(groups.max()) + 1
    order = np.lexsort((-strength, groups))  # stable: ties stay in the order of the table
    in_order, group = relevance[order], groups[order]
    starts = np.searchsorted(group, np.arange(number))
    place = np.arange(len(group)) - starts[group] + 1
    gain = np.bincount(group, weights=_tied(in_order, strength[order], group) * _discount(place, k), minlength=number)
    best = np.lexsort((-relevance, groups))
    ideal = np.bincount(group, weights=relevance[best] * _discount(place, k), minlength=number)
    hit = in_order > 0
    within = hit & (place <= k)
    relevant = np.bincount(group, weights=hit, minlength=number)
    so_far = np.cumsum(hit) - (np.cumsum(hit) - hit)[starts][group]
    precision = np.bincount(group, weights=np.where(within, so_far / place, 0.0), minlength=number)
    first = np.zeros(number)
    np.maximum.at(first, group[within], 1 / place[within])
    some = relevant > 0
    return {
        "ndcg": gain[some] / ideal[some],
        "map": precision[some] / np.minimum(relevant[some], k),
        "mrr": first[some],
        "recall": np.bincount(group, weights=within, minlength=number)[some] / relevant[some],
    }


def _discount(place: Any, k: int) -> Any:
    return np.where(place <= k, 1 / np.log2(place + 1), 0.0)


def _tied(relevance: Any, strength: Any, group: Any) -> Any:
    """The mean relevance of the rows of a group that the model does not tell apart."""
    new = np.r_[True, (strength[1:] != strength[:-1]) | (group[1:] != group[:-1])]
    tie = np.cumsum(new) - 1
    return (np.bincount(tie, weights=relevance) / np.bincount(tie))[tie]
