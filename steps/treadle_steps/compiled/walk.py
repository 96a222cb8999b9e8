"""Rows through all trees of a model at once.

by bits     a row's value in each column picks a row of bit sets, one set per tree: the leaves that it can still reach.
            Their intersection begins with the leaf that it does reach (QuickScorer: Lucchese and others, SIGIR 2015).
            A few operations of numpy for all trees, whatever their depth; for trees of at most 64 leaves.
by levels   all trees are walked together, one level at a time; for larger trees.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import numpy as np

from treadle_steps.compiled import forms

Leaves = Callable[[Any], Any]  # float64 (rows, features) → (rows, trees): the node that each row reaches in each tree
MOST = 64  # leaves of a tree whose set is one word
LARGEST = 32 << 20  # bytes of bit sets
CODES = 257  # a categorical split is a table over codes 0..255; the last place is for missing and unknown ones
FEW = 32  # rows that are looked up one by one: a call of numpy costs as much as ten look-ups
PORTION = 1 << 15  # numbers looked at in one go: they stay in the cache


def totals(form: forms.Trees) -> Callable[[Any], Any]:
    """What the leaves of a row add up to, as scikit-learn adds them: float64 (rows, outputs), or None: not sure."""
    leaves = by_bits(form) or by_levels(form)
    values, start, outputs, count = form.values, form.start, len(form.start), len(form.roots)
    flat = values[:, 0].copy() if form.total == "sum" or values.shape[1] == 1 else None
    portion = max(1, PORTION // count)

    def some(x: Any) -> Any:
        if form.total == "only":
            return values.take(leaves(x)[:, 0], axis=0)
        if form.total == "mean":
            return np.add.accumulate(values.take(leaves(x), axis=0), axis=1)[:, -1] / count
        assert flat is not None
        found = np.empty((len(x), count // outputs + 1, outputs))
        found[:, 0] = start
        found[:, 1:] = flat.take(leaves(x)).reshape(len(x), -1, outputs)
        return np.add.accumulate(found, axis=1)[:, -1]

    def total(x: Any) -> Any:
        if form.narrow:
            x = _narrow(x, form.narrow == "gaps")
            if x is None:
                return None
        if len(x) <= portion:
            return some(x)
        return np.concatenate([some(x[at : at + portion]) for at in range(0, len(x), portion)])

    return total


def _narrow(x: Any, gaps: bool) -> Any:
    """As float32 and back, as these trees compare; None where scikit-learn would refuse a value."""
    with np.errstate(over="ignore"):
        narrow = x.astype(np.float32).astype(np.float64)
    if gaps:
        return None if np.isinf(narrow).any() else narrow
    return narrow if np.isfinite(narrow).all() else None


def by_bits(form: forms.Trees) -> Leaves | None:
    """The walk by sets of leaves; None when the trees or their sets are too large."""
    if form.spans is None:
        return None
    inner = np.flatnonzero(form.left != form.right)
    leaf = np.flatnonzero(form.left == form.right)
    trees = np.searchsorted(form.roots, np.arange(len(form.left)), "right") - 1
    rank = form.spans[leaf, 0]
    word = np.uint32 if int(rank.max(initial=0)) < 32 else np.uint64
    nodes = np.zeros((len(form.roots), int(rank.max(initial=0)) + 1), dtype=np.intp)
    nodes[trees[leaf], rank] = leaf
    columns = _columns(form, inner)
    rows = sum(len(one.edges) + 2 if one.codes is None else CODES for one in columns)
    if rows * len(form.roots) * np.dtype(word).itemsize > LARGEST:
        return None
    spans = form.spans.astype(np.uint64)
    one = np.uint64(1)
    below = ((one << (spans[:, 1] - spans[:, 0])) - one) << spans[:, 0]  # leaves lost to a row that goes right
    masks = (~below).astype(word)
    sets = np.concatenate([np.full((0, len(form.roots)), 0, word), *(c.sets(form, trees, masks) for c in columns)])
    begins = np.cumsum([0, *(len(one.edges) + 2 if one.codes is None else CODES for one in columns)])[:-1].tolist()
    return _reached(columns, begins, sets, nodes)


class _Column:
    """One column that trees split: its thresholds, or the tables of its categorical splits."""

    def __init__(self, feature: int, inner: Any, edges: Any, codes: Any) -> None:
        self.feature = feature
        self.inner = inner  # its nodes
        self.edges = edges.tolist()
        self.array = edges
        self.codes = codes

    def sets(self, form: forms.Trees, trees: Any, masks: Any) -> Any:
        """A row for each interval between thresholds, or for each code, and the last for what is missing."""
        own, tree = masks[self.inner], trees[self.inner]
        if self.codes is not None:
            found = np.full((CODES, len(form.roots)), ~masks.dtype.type(0))
            for table, node_tree, mask in zip(self.codes, tree, own, strict=True):
                found[~table, node_tree] &= mask
            return found
        count = len(self.edges)
        found = np.full((count + 2, len(form.roots)), ~masks.dtype.type(0))
        place = np.searchsorted(self.array, form.thresholds[self.inner])
        np.bitwise_and.at(found, (place + 1, tree), own)
        np.bitwise_and.accumulate(found[: count + 1], axis=0, out=found[: count + 1])
        right = ~form.missing_left[self.inner]
        np.bitwise_and.at(found, (np.full(right.sum(), count + 1), tree[right]), own[right])
        return found

    def place(self, value: float) -> int:
        """The row of a value."""
        if self.codes is not None:
            return min(int(value), CODES - 1) if value == value and 0 <= value < CODES else CODES - 1
        return bisect_left(self.edges, value) if value == value else len(self.edges) + 1

    def places(self, values: Any) -> Any:
        """The rows of many values."""
        gaps = np.isnan(values)
        if self.codes is not None:
            known = ~gaps & (values >= 0)
            return np.minimum(np.where(known, values, CODES - 1), CODES - 1).astype(np.intp)
        found = np.searchsorted(self.array, values)
        return np.where(gaps, len(self.edges) + 1, found) if gaps.any() else found


def _columns(form: forms.Trees, inner: Any) -> list[_Column]:
    found = []
    for feature in np.unique(form.features[inner]):
        own = inner[form.features[inner] == feature]
        codes = None
        if form.table_of is not None and form.tables is not None and (form.table_of[own] >= 0).any():
            codes = form.tables[form.table_of[own]]
        edges = np.unique(form.thresholds[own]) if codes is None else np.empty(0)
        found.append(_Column(int(feature), own, edges, codes))
    return found


def _reached(columns: list[_Column], begins: list[int], sets: Any, nodes: Any) -> Leaves:
    trees, width = nodes.shape
    nodes = nodes.ravel()
    signed, shift, bias = (np.int32, 23, 127) if sets.dtype == np.uint32 else (np.int64, 52, 1023)
    floating = np.float32 if sets.dtype == np.uint32 else np.float64
    base = np.arange(trees) * width - bias
    plain = all(one.codes is None for one in columns)
    looks = [
        (one.feature, one.edges, one.place, begin, begin + len(one.edges) + 1)
        for one, begin in zip(columns, begins, strict=True)
    ]

    def picked(row: list[float]) -> list[int]:
        if plain:
            return [
                begin + bisect_left(edges, row[feature]) if row[feature] == row[feature] else missing
                for feature, edges, _, begin, missing in looks
            ]
        return [begin + place(row[feature]) for feature, _, place, begin, _ in looks]

    def alive(x: Any) -> Any:
        if not columns:
            return np.ones((len(x), trees), dtype=sets.dtype)
        if len(x) <= FEW:
            rows = sets.take([place for row in x.tolist() for place in picked(row)], axis=0)
            return np.bitwise_and.reduce(rows.reshape(len(x), len(looks), trees), axis=1)
        found = None
        for one, begin in zip(columns, begins, strict=True):
            own = sets.take(one.places(x[:, one.feature]) + begin, axis=0)
            found = own if found is None else np.bitwise_and(found, own, out=found)
        return found

    def leaves(x: Any) -> Any:
        left = alive(x)
        first = (left & (~left + 1)).astype(floating)  # the lowest bit; its exponent as a float is its number
        return nodes.take((first.view(signed) >> shift) + base)

    return leaves


def by_levels(form: forms.Trees) -> Leaves:
    """The walk of all trees together, one level at a time."""
    # at 2 * node the way of a comparison that does not hold, at 2 * node + 1 of one that does; children doubled too
    children = np.empty(2 * len(form.left), dtype=np.intp)
    children[0::2] = 2 * form.right.astype(np.intp)
    children[1::2] = 2 * form.left.astype(np.intp)
    features2, thresholds2 = np.repeat(form.features.astype(np.intp), 2), np.repeat(form.thresholds, 2)
    missing2 = np.repeat(form.missing_left, 2)
    roots, levels = 2 * form.roots.astype(np.intp), range(form.depth)
    tables, table_of2 = form.tables, None if form.table_of is None else np.repeat(form.table_of, 2)

    def left(at: Any, x: Any) -> Any:
        """Whether rows with a missing value or a categorical split go left."""
        gone = x <= thresholds2.take(at)
        gaps = np.isnan(x)
        gone |= gaps & missing2.take(at)
        if tables is not None and table_of2 is not None:
            own = table_of2.take(at)
            known = ~gaps & (x >= 0)
            code = np.minimum(np.where(known, x, CODES - 1), CODES - 1).astype(np.intp)
            gone = np.where(own >= 0, tables[own, code], gone)
        return gone

    def walk(x: Any) -> Any:
        at = roots if len(x) == 1 else np.broadcast_to(roots, (len(x), len(roots)))
        plain = tables is None and not np.isnan(x).any()
        flat = np.ascontiguousarray(x).ravel()
        offsets = None if len(x) == 1 else (np.arange(len(x)) * x.shape[1])[:, None]
        for _ in levels:
            place = features2.take(at)
            found = flat.take(place if offsets is None else place + offsets)
            at = children.take(at + (found <= thresholds2.take(at) if plain else left(at, found)))
        return (at >> 1).reshape(len(x), -1)

    return walk
