"""Trees as flat arrays: all trees of a model are walked at once, one level at a time.

A node's two children lie side by side, so that a comparison is the offset of the next node; a leaf leads to itself.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import ensemble, tree

from treadle_steps.compiled.program import NotCompiled, Predict

BOOSTED = (ensemble.HistGradientBoostingRegressor, ensemble.HistGradientBoostingClassifier)
CLASSIC = (ensemble.GradientBoostingRegressor, ensemble.GradientBoostingClassifier)
FORESTS = (
    *(ensemble.RandomForestRegressor, ensemble.RandomForestClassifier),
    *(ensemble.ExtraTreesRegressor, ensemble.ExtraTreesClassifier),
)
SINGLE = (tree.DecisionTreeRegressor, tree.DecisionTreeClassifier, tree.ExtraTreeRegressor, tree.ExtraTreeClassifier)
ALL = (*BOOSTED, *CLASSIC, *FORESTS, *SINGLE)
NEEDLESS = 8  # comparisons made for each one on the way of a row, up to which making all at once is faster
CODES = 257  # a categorical split is a table over codes 0..255; the last place is for missing and unknown ones


class Nodes:
    """The nodes of many trees in one row of arrays, under numbers of their own.

    `values` may have one number per node (nodes,) or several (nodes, outputs).
    """

    def __init__(self) -> None:
        self.features: list[Any] = []
        self.thresholds: list[Any] = []
        self.missing_left: list[Any] = []
        self.left: list[Any] = []
        self.right: list[Any] = []
        self.values: list[Any] = []
        self.tables: list[Any] = []  # of categorical splits
        self.table_of: list[Any] = []  # node → table, -1 for numeric splits
        self.roots: list[int] = []
        self.depth = 0
        self.count = 0

    def add(self, split: Sequence[Any], values: Any, depth: int, table_of: Any = None) -> None:
        """One tree: feature, threshold, missing goes left, left, right by node (a leaf has itself as children)."""
        features, thresholds, missing_left, left, right = split
        self.roots.append(self.count)
        self.features.append(features)
        self.thresholds.append(thresholds)
        self.missing_left.append(missing_left)
        self.left.append(left + self.count)
        self.right.append(right + self.count)
        self.values.append(values)
        self.table_of.append(np.full(len(features), -1) if table_of is None else table_of)
        self.depth = max(self.depth, depth)
        self.count += len(features)

    def leaves(self) -> Any:
        """A function from (rows, features) to the number of the leaf that each row reaches in each tree."""
        features = np.concatenate(self.features).astype(np.intp)
        thresholds = np.concatenate(self.thresholds).astype(np.float64)
        missing_left = np.concatenate(self.missing_left).astype(bool)
        # at 2 * node the way of a comparison that does not hold, at 2 * node + 1 of one that does; children doubled too
        children = np.empty(2 * self.count, dtype=np.intp)
        children[0::2] = 2 * np.concatenate(self.right)
        children[1::2] = 2 * np.concatenate(self.left)
        features2, thresholds2 = np.repeat(features, 2), np.repeat(thresholds, 2)
        missing2 = np.repeat(missing_left, 2)
        roots = 2 * np.array(self.roots, dtype=np.intp)
        levels = range(self.depth)
        table_of2 = np.repeat(np.concatenate(self.table_of), 2)
        tables = np.array(self.tables, dtype=bool).reshape(-1, CODES)
        categorical = len(tables) > 0

        def left(at: Any, x: Any) -> Any:
            """Whether rows with a missing value or a categorical split go left."""
            gone = x <= thresholds2.take(at)
            gaps = np.isnan(x)
            gone |= gaps & missing2.take(at)
            if categorical:
                own = table_of2.take(at)
                known = ~gaps & (x >= 0)
                code = np.minimum(np.where(known, x, CODES - 1), CODES - 1).astype(np.intp)
                gone = np.where(own >= 0, tables[own, code], gone)
            return gone

        whole = self._single(features, thresholds, missing_left)

        def walk(x: Any) -> Any:
            if len(x) == 1 and whole is not None:
                return whole(x)
            at = roots if len(x) == 1 else np.broadcast_to(roots, (len(x), len(roots)))
            plain = not categorical and not np.isnan(x).any()
            flat = np.ascontiguousarray(x).ravel()
            offsets = None if len(x) == 1 else (np.arange(len(x)) * x.shape[1])[:, None]
            for _ in levels:
                place = features2.take(at)
                found = flat.take(place if offsets is None else place + offsets)
                at = children.take(at + (found <= thresholds2.take(at) if plain else left(at, found)))
            return (at >> 1).reshape(len(x), -1)

        return walk

    def _single(self, features: Any, thresholds: Any, missing_left: Any) -> Any:
        """For one row: every comparison of every tree at once, then one look-up per level.

        Of a call of numpy on a few hundred numbers most is overhead: a few for all nodes and one per level are faster
        than seven per level, as long as trees are not much larger than the ways through them; None where they are.
        """
        left, right = np.concatenate(self.left), np.concatenate(self.right)
        inner = np.flatnonzero(left != right)
        if self.tables or not len(inner) or len(inner) > NEEDLESS * len(self.roots) * self.depth:
            return None
        order = np.concatenate((inner, np.flatnonzero(left == right)))
        place = np.empty(self.count, dtype=np.intp)
        place[order] = np.arange(self.count)
        size, total = len(inner), self.count
        own_features, own_thresholds, own_missing = features[inner], thresholds[inner], missing_left[inner]
        lefts = place[left[inner]]
        otherwise = np.concatenate((place[right[inner]], np.arange(size, total)))
        roots, levels = place[np.array(self.roots, dtype=np.intp)], range(self.depth)

        def walk(x: Any) -> Any:
            found = x[0].take(own_features)
            goes_left = found <= own_thresholds
            if np.isnan(x).any():
                goes_left |= np.isnan(found) & own_missing
            following = otherwise.copy()
            np.copyto(following[:size], lefts, where=goes_left)
            at = roots
            for _ in levels:
                at = following.take(at)
            return order.take(at)[None]

        return walk


def _sums(values: Any, start: Any, leaves: Any, outputs: int) -> Any:
    """The sum over trees, one after the other as scikit-learn adds them: (rows, outputs)."""
    found = values.take(leaves).reshape(len(leaves), -1, outputs)
    begin = np.broadcast_to(start, (len(leaves), 1, outputs))
    return np.add.accumulate(np.concatenate((begin, found), axis=1), axis=1)[:, -1]


def boosted(model: Any) -> Predict:
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
    walk, values = nodes.leaves(), np.concatenate(nodes.values)
    start = model._baseline_prediction.astype(np.float64).reshape(-1)
    outputs = len(start)
    if isinstance(model, ensemble.HistGradientBoostingClassifier):
        return lambda x: _class_of(_sums(values, start, walk(x), outputs), model.classes_)
    inverse = model._loss.link.inverse
    return lambda x: inverse(_sums(values, start, walk(x), outputs).ravel())


def classic(model: Any) -> Predict:
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
    walk, values, outputs = nodes.leaves(), np.concatenate(nodes.values), len(start)

    def predict(x: Any) -> Any:
        narrow = _narrow(x, False)
        if narrow is None:
            return None
        sums = _sums(values, start, walk(narrow), outputs)
        return _class_of(sums, model.classes_) if hasattr(model, "classes_") else sums.ravel()

    return predict


def forest(model: Any) -> Predict:
    """Random forests, extra trees and single trees, over float32 inputs; `model` is one of FORESTS or SINGLE."""
    if model.n_outputs_ != 1:
        raise NotCompiled(f"{type(model).__name__} with several outputs has no compiled form here")
    nodes = Nodes()
    single = isinstance(model, SINGLE)
    for one in (model,) if single else model.estimators_:
        _add_tree(nodes, one.tree_, one.tree_.value[:, 0, :])
    gaps = _takes_gaps(model)
    walk, values = nodes.leaves(), np.concatenate(nodes.values)
    count = len(nodes.roots)
    classes = getattr(model, "classes_", None)

    def predict(x: Any) -> Any:
        narrow = _narrow(x, gaps)
        if narrow is None:
            return None
        found = values[walk(narrow)]
        sums = found[:, 0] if single else np.add.accumulate(found, axis=1)[:, -1] / count
        return sums[:, 0] if classes is None else classes.take(sums.argmax(axis=1), axis=0)

    return predict


def _add_tree(nodes: Nodes, one: Any, values: Any) -> None:
    own = np.arange(one.node_count)
    leaf = one.children_left < 0
    missing = one.__getstate__()["nodes"]["missing_go_to_left"]
    left, right = np.where(leaf, own, one.children_left), np.where(leaf, own, one.children_right)
    split = (np.where(leaf, 0, one.feature), np.where(leaf, np.inf, one.threshold), missing, left, right)
    nodes.add(split, values, int(one.max_depth))


def _narrow(x: Any, gaps: bool) -> Any:
    """As float32 and back, as these trees compare; None where scikit-learn would refuse a value."""
    with np.errstate(over="ignore"):
        narrow = x.astype(np.float32).astype(np.float64)
    if gaps:
        return None if np.isinf(narrow).any() else narrow
    return narrow if np.isfinite(narrow).all() else None


def _takes_gaps(model: Any) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the columns have no names
            model.predict(np.full((1, model.n_features_in_), np.nan, dtype=np.float32))
    except ValueError:
        return False
    return True


def _class_of(sums: Any, classes: Any) -> Any:
    """The class by the raw score; not sure about a score of exactly 0, which releases treat differently."""
    if sums.shape[1] > 1:
        return classes[sums.argmax(axis=1)]
    own = sums[:, 0]
    return None if (own == 0).any() else classes[(own > 0).astype(np.intp)]


def _bits(words: Any) -> Any:
    """A bit set of 256 places in eight words of 32 bits, as booleans."""
    return np.unpackbits(np.ascontiguousarray(words, dtype="<u4").view(np.uint8), bitorder="little").astype(bool)
