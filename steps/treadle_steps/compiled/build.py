"""From a fitted model to a program over columns, or the reason why there is none."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from treadle_steps.compiled import inputs, tables, trees
from treadle_steps.compiled.linear import linear
from treadle_steps.compiled.program import Columns, Matrix, NotCompiled, Predict, Program


def program(model: Any, names: Sequence[str]) -> Program:
    """The compiled form of a fitted model over these columns; raises NotCompiled naming the part that has none."""
    if isinstance(model, TransformedTargetRegressor):
        return _back(program(model.regressor_, names), model)
    *before, last = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    # a linear model turns what is infinite into a result that is not finite, so nothing need look before
    reading = _Reading(strict=type(last) in (*trees.BOOSTED, *trees.CLASSIC, *trees.FORESTS, *trees.SINGLE))
    matrix = reading.chain([step for step in before if not _passes(step)], names)
    if isinstance(last, trees.BOOSTED) and last._preprocessor is not None:
        if before:
            raise NotCompiled("categorical boosting behind another step has no compiled form here")
        matrix = reading.transformed(last._preprocessor, list(names))
    predict = _predict(last)

    def run(columns: Columns) -> Any:
        x = matrix(columns)
        return None if x is None else predict(x)

    return run


def _predict(model: Any) -> Predict:
    kind = type(model)
    if kind in trees.BOOSTED:
        return trees.boosted(model)
    if kind in trees.CLASSIC:
        return trees.classic(model)
    if kind in trees.FORESTS or kind in trees.SINGLE:
        return trees.forest(model)
    return linear(model)


class _Reading(NamedTuple):
    """How columns become a matrix; `strict` looks for infinite values wherever scikit-learn does."""

    strict: bool

    def chain(self, steps: Sequence[Any], names: Sequence[str]) -> Matrix:
        """Steps one after the other, the first over columns and the rest over what the one before made."""
        if not steps:
            return inputs.numbers(names)
        matrix = self.first(steps[0], names)
        for step in steps[1:]:
            matrix = inputs.then(self._looked(matrix), inputs.change_of(step))
        return matrix

    def first(self, step: Any, names: Sequence[str]) -> Matrix:
        if type(step) is Pipeline:
            return self.chain([inner for _, inner in step.steps if not _passes(inner)], names)
        if type(step) is ColumnTransformer:
            return self.transformed(step, list(names))
        if type(step) in (OneHotEncoder, OrdinalEncoder):
            return tables.encoded(step, names)
        if _is_identity(step):
            return inputs.numbers(names)
        return inputs.then(self._looked(inputs.numbers(names)), inputs.change_of(step))

    def transformed(self, transformer: Any, names: list[str]) -> Matrix:
        parts = []
        for _, step, chosen in transformer.transformers_:
            own = _chosen(chosen, names)
            if own and not (isinstance(step, str) and step == "drop"):
                parts.append(inputs.numbers(own) if _passes(step) else self.first(step, own))
        if not parts or transformer.transformer_weights:
            raise NotCompiled("a ColumnTransformer with weights or without columns has no compiled form here")
        return inputs.beside(parts)

    def _looked(self, matrix: Matrix) -> Matrix:
        return inputs.without_infinite(matrix) if self.strict else matrix


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


def _back(inner: Program, model: Any) -> Program:
    """Predictions brought back to the scale of the target."""
    turn = model.transformer_
    if type(turn) is StandardScaler:
        mean = turn.mean_[0] if turn.with_mean else 0.0
        scale = turn.scale_[0] if turn.with_std else 1.0
        inverse: Any = lambda y: y * scale + mean  # noqa: E731
    elif type(turn) is FunctionTransformer:
        inverse = turn.inverse_func or (lambda y: y)
    else:
        raise NotCompiled(f"a target transformed by {type(turn).__name__} has no compiled form here")

    def run(columns: Columns) -> Any:
        found = inner(columns)
        if found is None or found.ndim != 1:
            return None
        turned = inverse(found)
        return turned if np.isfinite(turned).all() else None

    return run
