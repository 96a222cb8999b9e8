"""From columns to a matrix of numbers: numeric columns, and what scales and fills them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from treadle_steps.compiled.program import Columns, Matrix, NotCompiled

Change = Callable[[Any], Any]  # float64 (rows, features) → the same of another width, or None: not sure


def numbers(names: Sequence[str]) -> Matrix:
    """The matrix of these numeric columns; not sure about anything that is no array of numbers or booleans."""
    width = len(names)
    wanted = tuple(names)

    def matrix(columns: Columns) -> Any:
        flat = np.concatenate([columns[name] for name in wanted])
        if flat.dtype != np.float64:
            if flat.dtype.kind not in "biu":
                return None
            flat = flat.astype(np.float64)
        return flat.reshape(width, -1).T

    return matrix


def then(matrix: Matrix, change: Change) -> Matrix:
    """A matrix with a change applied; what is not sure stays not sure."""

    def changed(columns: Columns) -> Any:
        found = matrix(columns)
        return None if found is None else change(found)

    return changed


def without_infinite(matrix: Matrix) -> Matrix:
    """A matrix that is not sure where a value is infinite: scalers and imputers refuse these, but not missing ones."""
    return then(matrix, lambda x: None if np.isinf(x).any() else x)


def beside(parts: Sequence[Matrix]) -> Matrix:
    """Several matrices side by side."""
    if len(parts) == 1:
        return parts[0]

    def joined(columns: Columns) -> Any:
        found = [part(columns) for part in parts]
        return None if any(part is None for part in found) else np.concatenate(found, axis=1)

    return joined


def change_of(step: Any) -> Change:
    """What a fitted transformer of numbers does, operation by operation; raises NotCompiled for any other."""
    maker = CHANGES.get(type(step))
    if maker is None:
        raise NotCompiled(f"{type(step).__name__} has no compiled form here")
    return maker(step)


def _standard(step: Any) -> Change:
    return _shift_and_divide(step.mean_ if step.with_mean else None, step.scale_ if step.with_std else None)


def _robust(step: Any) -> Change:
    return _shift_and_divide(step.center_ if step.with_centering else None, step.scale_ if step.with_scaling else None)


def _max_abs(step: Any) -> Change:
    if getattr(step, "clip", False):
        raise NotCompiled("MaxAbsScaler(clip=True) has no compiled form here")
    return _shift_and_divide(None, step.scale_)


def _shift_and_divide(shift: Any, scale: Any) -> Change:
    if shift is None and scale is None:
        return lambda x: x
    if shift is None:
        return lambda x: x / scale
    if scale is None:
        return lambda x: x - shift
    return lambda x: (x - shift) / scale


def _min_max(step: Any) -> Change:
    scale, least = step.scale_, step.min_
    if step.clip:
        low, high = step.feature_range
        # an infinite value would be hidden from what follows, and is refused by the original
        return lambda x: None if np.isinf(x).any() else np.clip(x * scale + least, low, high)
    return lambda x: x * scale + least


def _impute(step: Any) -> Change:
    fill = step.statistics_
    if step.add_indicator or not _is_nan(step.missing_values) or fill.dtype.kind != "f":
        raise NotCompiled("SimpleImputer with an indicator, other missing values or text has no compiled form here")
    if np.isnan(fill).any():
        if not step.keep_empty_features:
            raise NotCompiled("SimpleImputer drops a column that was empty in training")
        fill = np.where(np.isnan(fill), 0.0, fill)

    def filled(x: Any) -> Any:
        gaps = np.isnan(x)
        return np.where(gaps, fill, x) if gaps.any() else x

    return filled


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


CHANGES: dict[type, Callable[[Any], Change]] = {
    StandardScaler: _standard,
    RobustScaler: _robust,
    MaxAbsScaler: _max_abs,
    MinMaxScaler: _min_max,
    SimpleImputer: _impute,
}
