"""From fitted trees, forests and boosted trees to one form: their nodes in one row of arrays."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import ensemble, tree

from treadle_steps.compiled.forms import Trees
from treadle_steps.compiled.program import NotCompiled
from treadle_steps.compiled.walk import MOST

BOOSTED = (ensemble.HistGradientBoostingRegressor, ensemble.HistGradientBoostingClassifier)
CLASSIC = (ensemble.GradientBoostingRegressor, ensemble.GradientBoostingClassifier)
FORESTS = (
    *(ensemble.RandomForestRegressor, ensemble.RandomForestClassifier),
    *(ensemble.ExtraTreesRegressor, ensemble.ExtraTreesClassifier),
)
SINGLE = (tree.DecisionTreeRegressor, tree.DecisionTreeClassifier, tree.ExtraTreeRegressor, tree.ExtraTreeClassifier)
ALL = (*BOOSTED, *CLASSIC, *FORESTS, *SINGLE)


class Nodes:
    """The nodes of many trees in one row of arrays, under numbers of their own."""

    def __init__(self) -> None:
        self.trees: list[tuple[Any, ...]] = []
        self.tables: list[Any] = []  # of categorical splits
        self.table_of: list[Any] = []  # node → table, -1 for numeric splits
        self.roots: list[int] = []
        self.depth = 0
        self.count = 0

    def add(self, split: Sequence[Any], values: Any, depth: int, table_of: Any = None) -> None:
        """One tree: feature, threshold, missing goes left, left, right by node (a leaf has itself as children)."""
        features, thresholds, missing_left, left, right = split
        self.roots.append(self.count)
        self.trees.append((features, thresholds, missing_left, left + self.count, right + self.count, values))
        self.table_of.append(np.full(len(features), -1) if table_of is None else table_of)
        self.depth = max(self.depth, depth)
        self.count += len(features)

    def form(self, **facts: Any) -> Trees:
        """The form of these trees; `facts` are its other fields."""
        features, thresholds, missing_left, left, right, values = map(np.concatenate, zip(*self.trees, strict=True))
        left, right = left.astype(np.int32), right.astype(np.int32)
        return Trees(
            roots=np.array(self.roots, dtype=np.int32),
            features=features.astype(np.int32),
            thresholds=thresholds.astype(np.float64),
            missing_left=missing_left.astype(bool),
            left=left,
            right=right,
            values=np.ascontiguousarray(values.reshape(self.count, -1), dtype=np.float64),
            depth=self.depth,
            spans=spans(self.roots, left.tolist(), right.tolist()),
            tables=np.array(self.tables, dtype=bool) if self.tables else None,
            table_of=np.concatenate(self.table_of) if self.tables else None,
            **facts,
        )


def spans(roots: Sequence[int], left: Sequence[int], right: Sequence[int]) -> Any:
    """For each node the first leaf below it and the first of its right child, from the left; None for large trees."""
    found = np.zeros((len(left), 2), dtype=np.uint8)
    for root in roots:
        leaves, todo = 0, [(root, -1)]
        while todo:
            node, above = todo.pop()
            if leaves == MOST:
                return None
            if above >= 0:
                found[above, 1] = leaves
            found[node] = leaves
            if left[node] == node:
                leaves += 1
            else:
                todo += [(right[node], node), (left[node], -1)]
    return found


def trees(model: Any) -> Trees:
    """The form of a model that is one of ALL; raises NotCompiled with the reason when it has none."""
    kind = type(model)
    return boosted(model) if kind in BOOSTED else classic(model) if kind in CLASSIC else forest(model)


def boosted(model: Any) -> Trees:
    """Histogram gradient boosting, categorical splits and missing values included; `model` is one of BOOSTED."""
    nodes = Nodes()
    known = None
    if model._bin_mapper.is_categorical_.any():
        known, places = model._bin_mapper.make_known_categories_bitsets()
    for stage in model._predictors:
        for predictor in stage:
            raw = predictor.nodes
            own = np.arange(len(raw))
            leaf = raw["is_leaf"].astype(bool)
            table_of = np.full(len(raw), -1)
            for node in np.flatnonzero(raw["is_categorical"].astype(bool) & ~leaf):
                assert known is not None
                table_of[node] = len(nodes.tables)
                goes_left = _bits(predictor.raw_left_cat_bitsets[raw["bitset_idx"][node]])
                unknown = ~goes_left & ~_bits(known[places[raw["feature_idx"][node]]])
                missing = bool(raw["missing_go_to_left"][node])
                nodes.tables.append([*np.where(unknown, missing, goes_left), missing])
            split = (
                *(np.where(leaf, 0, raw["feature_idx"]), np.where(leaf, np.inf, raw["num_threshold"])),
                *(raw["missing_go_to_left"], np.where(leaf, own, raw["left"]), np.where(leaf, own, raw["right"])),
            )
            nodes.add(split, raw["value"], int(raw["depth"].max()), table_of)
    start = model._baseline_prediction.astype(np.float64).reshape(-1)
    if isinstance(model, ensemble.HistGradientBoostingClassifier):
        return nodes.form(start=start, total="sum", classes=np.asarray(model.classes_), logistic=True)
    return nodes.form(start=start, total="sum", link=_link(model._loss.link))


def classic(model: Any) -> Trees:
    """Gradient boosting of the classic kind, over float32 inputs; `model` is one of CLASSIC.

    Raises NotCompiled when it begins with an estimator of the user's own.
    """
    if model.init is not None and model.init != "zero":
        raise NotCompiled(f"{type(model).__name__} with an init of its own has no compiled form here")
    nodes = Nodes()
    for stage in model.estimators_:
        for one in stage:
            _add_tree(nodes, one.tree_, model.learning_rate * one.tree_.value[:, 0, 0])
    start = np.asarray(model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32))).reshape(-1)
    classes = getattr(model, "classes_", None)
    return nodes.form(
        start=start.astype(np.float64),
        total="sum",
        narrow="finite",
        classes=None if classes is None else np.asarray(classes),
        logistic=model.loss == "log_loss",
    )


def forest(model: Any) -> Trees:
    """Random forests, extra trees and single trees, over float32 inputs; `model` is one of FORESTS or SINGLE."""
    if model.n_outputs_ != 1:
        raise NotCompiled(f"{type(model).__name__} with several outputs has no compiled form here")
    nodes = Nodes()
    single = isinstance(model, SINGLE)
    for one in (model,) if single else model.estimators_:
        _add_tree(nodes, one.tree_, one.tree_.value[:, 0, :])
    classes = getattr(model, "classes_", None)
    return nodes.form(
        start=np.zeros(1),
        total="only" if single else "mean",
        narrow="gaps" if _takes_gaps(model) else "finite",
        classes=None if classes is None else np.asarray(classes),
    )


def _add_tree(nodes: Nodes, one: Any, values: Any) -> None:
    own = np.arange(one.node_count)
    leaf = one.children_left < 0
    missing = one.__getstate__()["nodes"]["missing_go_to_left"]
    left, right = np.where(leaf, own, one.children_left), np.where(leaf, own, one.children_right)
    split = (np.where(leaf, 0, one.feature), np.where(leaf, np.inf, one.threshold), missing, left, right)
    nodes.add(split, values, int(one.max_depth))


def _takes_gaps(model: Any) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the columns have no names
            model.predict(np.full((1, model.n_features_in_), np.nan, dtype=np.float32))
    except ValueError:
        return False
    return True


def _link(link: Any) -> str:
    """The function of numpy behind the raw prediction of a loss."""
    name = {"IdentityLink": "", "LogLink": "exp"}.get(type(link).__name__)
    if name is None:
        raise NotCompiled(f"a loss with a {type(link).__name__} has no compiled form here")
    return name


def _bits(words: Any) -> Any:
    """A bit set of 256 places in eight words of 32 bits, as booleans."""
    return np.unpackbits(np.ascontiguousarray(words, dtype="<u4").view(np.uint8), bitorder="little").astype(bool)
