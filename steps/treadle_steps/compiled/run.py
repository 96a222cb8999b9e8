"""From a form to what answers: numpy alone, in the order of operations that scikit-learn has."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from treadle_steps.compiled import forms
from treadle_steps.compiled.program import Columns, Matrix, Program
from treadle_steps.compiled.walk import totals

Scores = Callable[[Any], Any]  # float64 (rows, features) → (rows, outputs) or (rows,), or None: not sure
NEAR = 1e-9  # scores closer to each other than this, relative to their size, are left to the model itself


def program(form: forms.Form) -> Program:
    """What answers by a form."""
    matrix = _matrix(form.matrix)
    predict, probabilities = _PREDICT[type(form.predict)](form.predict)
    if form.back is not None:
        predict = _back(predict, form.back)

    def over(finish: Scores) -> Callable[[Columns], Any]:
        def run(columns: Columns) -> Any:
            x = matrix(columns)
            return None if x is None else finish(x)

        return run

    return Program(over(predict), over(probabilities) if probabilities is not None else None)


# columns → matrix


def _matrix(form: forms.Matrix) -> Matrix:
    if isinstance(form, forms.Numbers):
        return _numbers(form.names)
    if isinstance(form, forms.Encoded):
        return _encoded(form)
    if isinstance(form, forms.Beside):
        return _beside([_matrix(part) for part in form.parts])
    inner = _matrix(form.matrix)
    change = _finite if isinstance(form, forms.Finite) else _CHANGE[type(form.change)](form.change)

    def changed(columns: Columns) -> Any:
        found = inner(columns)
        return None if found is None else change(found)

    return changed


def _numbers(names: tuple[str, ...]) -> Matrix:
    """Not sure about anything that is no array of numbers or booleans."""
    width = len(names)

    def matrix(columns: Columns) -> Any:
        block = getattr(columns, "block", None)
        if block is not None and columns.fields == names:  # type: ignore[attr-defined]
            return block  # a request's table, in the order of the model
        flat = np.concatenate([columns[name] for name in names])
        if flat.dtype != np.float64:
            if flat.dtype.kind not in "biu":
                return None
            flat = flat.astype(np.float64)
        return flat.reshape(width, -1).T

    return matrix


def _encoded(form: forms.Encoded) -> Matrix:
    spans: list[tuple[str, dict[Any, Any], Any, Any, int, int]] = []
    end = 0
    for name, one in zip(form.names, form.categories, strict=True):
        begin, end = end, end + one.rows.shape[1]
        spans.append((name, dict(zip(one.keys, one.rows, strict=True)), one.missing, one.unseen, begin, end))
    total = end

    def matrix(columns: Columns) -> Any:
        out = np.empty((len(columns[spans[0][0]]), total))
        for name, known, missing, unseen, begin, end in spans:
            for row, value in enumerate(columns[name].tolist()):
                found = missing if value is None or value != value else known.get(value, unseen)
                if found is None:
                    return None
                out[row, begin:end] = found
        return out

    return matrix


def _beside(parts: list[Matrix]) -> Matrix:
    if len(parts) == 1:
        return parts[0]

    def joined(columns: Columns) -> Any:
        found = [part(columns) for part in parts]
        return None if any(part is None for part in found) else np.concatenate(found, axis=1)

    return joined


def _finite(x: Any) -> Any:
    return None if np.isinf(x).any() else x


def _shift(form: forms.Shift) -> Scores:
    shift, scale = form.shift, form.scale
    if shift is None and scale is None:
        return lambda x: x
    if shift is None:
        return lambda x: x / scale
    if scale is None:
        return lambda x: x - shift
    return lambda x: (x - shift) / scale


def _stretch(form: forms.Stretch) -> Scores:
    scale, least = form.scale, form.least
    if form.within is None:
        return lambda x: x * scale + least
    low, high = form.within
    # an infinite value would be hidden from what follows, and is refused by the original
    return lambda x: None if np.isinf(x).any() else np.clip(x * scale + least, low, high)


def _fill(form: forms.Fill) -> Scores:
    fill = form.values

    def filled(x: Any) -> Any:
        gaps = np.isnan(x)
        return np.where(gaps, fill, x) if gaps.any() else x

    return filled


_CHANGE: dict[type, Callable[[Any], Scores]] = {forms.Shift: _shift, forms.Stretch: _stretch, forms.Fill: _fill}


# matrix → predictions


def _linear(form: forms.Linear) -> tuple[Scores, None]:
    link = forms.function(form.link) if form.link else None
    slope, constant = form.slope, form.constant

    def predict(x: Any) -> Any:
        # a product with a missing or infinite value is never finite, not even with a coefficient of 0
        scores = _product(x, slope) + constant
        if not _all_finite(scores):
            return None
        return scores if link is None else link(scores)

    return predict, None


def _scores(form: forms.Scores) -> tuple[Scores, Scores | None]:
    slope, constant, classes = form.slope, form.constant, form.classes
    binary = slope.shape[1] == 1
    size, room = np.abs(slope), np.abs(constant) + 1.0

    def predict(x: Any) -> Any:
        scores = _product(x, slope) + constant
        if not _all_finite(scores):
            return None
        doubt = NEAR * (np.abs(x) @ size + room)
        if binary:
            own = scores[:, 0]
            return None if (np.abs(own) <= doubt[:, 0]).any() else classes[(own > 0).astype(np.intp)]
        order = np.partition(scores, -2, axis=1)
        if (order[:, -1] - order[:, -2] <= doubt.max(axis=1)).any():
            return None
        return classes[scores.argmax(axis=1)]

    def probabilities(x: Any) -> Any:
        scores = _product(x, slope) + constant
        return _shares(scores) if _all_finite(scores) else None

    return predict, probabilities if form.logistic else None


def _product(x: Any, slope: Any) -> Any:
    """x @ slope, each row added up in the order of the columns.

    BLAS adds in an order that depends on the number of rows: a row would have one answer alone and another in a table.
    """
    if slope.ndim == 1:
        return np.add.accumulate(x * slope, axis=1)[:, -1]
    return np.stack([np.add.accumulate(x * one, axis=1)[:, -1] for one in slope.T], axis=1)


def _all_finite(scores: Any) -> bool:
    if scores.size == 1:
        return math.isfinite(scores.item())  # a microsecond less than asking numpy
    return bool(np.isfinite(scores).all())


def _shares(scores: Any) -> Any:
    """Logits as probabilities of the classes: (rows, classes)."""
    if scores.shape[1] == 1:
        second = 1.0 / (1.0 + np.exp(-scores))
        return np.concatenate((1.0 - second, second), axis=1)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _trees(form: forms.Trees) -> tuple[Scores, Scores | None]:
    total = totals(form)
    link = forms.function(form.link) if form.link else None
    classes = form.classes
    if classes is None:

        def predict(x: Any) -> Any:
            found = total(x)
            return None if found is None else found[:, 0] if link is None else link(found[:, 0])

        return predict, None

    def label(x: Any) -> Any:
        found = total(x)
        return None if found is None else _class_of(found, classes)

    def probabilities(x: Any) -> Any:
        found = total(x)
        if found is None or form.total == "sum":
            return None if found is None else _shares(found)
        return found

    return label, probabilities if form.logistic or form.total != "sum" else None


def _class_of(found: Any, classes: Any) -> Any:
    """The class by its score; not sure about a single score of exactly 0, which releases treat differently."""
    if found.shape[1] > 1:
        return classes.take(found.argmax(axis=1), axis=0)
    own = found[:, 0]
    return None if (own == 0).any() else classes[(own > 0).astype(np.intp)]


_PREDICT: dict[type, Callable[[Any], tuple[Scores, Scores | None]]] = {
    forms.Linear: _linear,
    forms.Scores: _scores,
    forms.Trees: _trees,
}


def _back(inner: Scores, form: forms.Back) -> Scores:
    """Predictions brought back to the scale of the target."""
    turn = forms.function(form.function) if form.function else lambda y: y * form.scale + form.mean

    def run(x: Any) -> Any:
        found = inner(x)
        if found is None or found.ndim != 1:
            return None
        turned = turn(found)
        return turned if np.isfinite(turned).all() else None

    return run
