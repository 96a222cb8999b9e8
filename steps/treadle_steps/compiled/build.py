"""From a fitted model to its form, or the reason why there is none."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from treadle_steps.compiled import forms, inputs, tables, trees
from treadle_steps.compiled.linear import linear
from treadle_steps.compiled.program import NotCompiled, Program
from treadle_steps.compiled.run import program as run


def program(model: Any, names: Sequence[str]) -> Program:
    """What answers for a fitted model over these columns; raises NotCompiled naming the part that has no form."""
    return run(form(model, names))


def form(model: Any, names: Sequence[str]) -> forms.Form:
    """The compiled form of a fitted model over these columns; raises NotCompiled naming the part that has none."""
    if type(model) is TransformedTargetRegressor:
        inner = form(model.regressor_, names)
        return forms.Form(inner.matrix, inner.predict, _back(model))
    *before, last = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    # a linear model turns what is infinite into a result that is not finite, so nothing need look before
    reading = _Reading(strict=type(last) in trees.ALL)
    matrix = reading.chain([step for step in before if not _passes(step)], names)
    if type(last) in trees.BOOSTED and last._preprocessor is not None:
        if before:
            raise NotCompiled("categorical boosting behind another step has no compiled form here")
        matrix = reading.transformed(last._preprocessor, list(names))
    return forms.Form(matrix, trees.trees(last) if type(last) in trees.ALL else linear(last))


class _Reading(NamedTuple):
    """How columns become a matrix; `strict` looks for infinite values wherever scikit-learn does."""

    strict: bool

    def chain(self, steps: Sequence[Any], names: Sequence[str]) -> forms.Matrix:
        """Steps one after the other, the first over columns and the rest over what the one before made."""
        if not steps:
            return forms.Numbers(tuple(names))
        matrix = self.first(steps[0], names)
        for step in steps[1:]:
            matrix = forms.Changed(self._looked(matrix), inputs.change_of(step))
        return matrix

    def first(self, step: Any, names: Sequence[str]) -> forms.Matrix:
        if type(step) is Pipeline:
            return self.chain([inner for _, inner in step.steps if not _passes(inner)], names)
        if type(step) is ColumnTransformer:
            return self.transformed(step, list(names))
        if type(step) in (OneHotEncoder, OrdinalEncoder):
            return tables.encoded(step, names)
        if _is_identity(step):
            return forms.Numbers(tuple(names))
        return forms.Changed(self._looked(forms.Numbers(tuple(names))), inputs.change_of(step))

    def transformed(self, transformer: Any, names: list[str]) -> forms.Matrix:
        parts = []
        for _, step, chosen in transformer.transformers_:
            own = _chosen(chosen, names)
            if own and not (isinstance(step, str) and step == "drop"):
                parts.append(forms.Numbers(tuple(own)) if _passes(step) else self.first(step, own))
        if not parts or transformer.transformer_weights:
            raise NotCompiled("a ColumnTransformer with weights or without columns has no compiled form here")
        return parts[0] if len(parts) == 1 else forms.Beside(tuple(parts))

    def _looked(self, matrix: forms.Matrix) -> forms.Matrix:
        return forms.Finite(matrix) if self.strict else matrix


def _passes(step: Any) -> bool:
    return step is None or (isinstance(step, str) and step == "passthrough")


def _chosen(chosen: Any, names: list[str]) -> list[str]:
    """The columns that a part of a ColumnTransformer names: by name, position, slice or mask."""
    if isinstance(chosen, str):
        raise NotCompiled("a ColumnTransformer over a single column as a vector has no compiled form here")
    if isinstance(chosen, slice):
        if isinstance(chosen.start, str) or isinstance(chosen.stop, str):
            raise NotCompiled("a ColumnTransformer over a slice of names has no compiled form here")
        return names[chosen]
    listed = list(chosen)
    if listed and all(isinstance(one, bool | np.bool_) for one in listed):
        return [name for name, taken in zip(names, listed, strict=True) if taken]
    return [one if isinstance(one, str) else names[one] for one in listed]


def _is_identity(step: Any) -> bool:
    """Whether a transformer only passes numbers on; the check of histogram boosting counts, as it only converts."""
    if type(step) is not FunctionTransformer:
        return False
    return step.func is None or getattr(getattr(step.func, "func", None), "__name__", "") == "check_array"


def _back(model: Any) -> forms.Back:
    """How predictions come back to the scale of the target."""
    turn = model.transformer_
    if type(turn) is StandardScaler:
        mean = float(turn.mean_[0]) if turn.with_mean else 0.0
        return forms.Back(scale=float(turn.scale_[0]) if turn.with_std else 1.0, mean=mean)
    if type(turn) is FunctionTransformer:
        name = getattr(turn.inverse_func, "__name__", "positive" if turn.inverse_func is None else "")
        known = getattr(np, name, None)
        if isinstance(known, np.ufunc) and turn.inverse_func in (None, known):
            return forms.Back(function=name)
        raise NotCompiled("a target that a function of the project's own brings back has no compiled form here")
    raise NotCompiled(f"a target transformed by {type(turn).__name__} has no compiled form here")
