"""From fitted transformers of numbers to the changes of a form."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from treadle_steps.compiled.forms import Change, Fill, Shift, Stretch
from treadle_steps.compiled.program import NotCompiled


def change_of(step: Any) -> Change:
    """What a fitted transformer of numbers does, operation by operation; raises NotCompiled for any other."""
    maker = CHANGES.get(type(step))
    if maker is None:
        raise NotCompiled(f"{type(step).__name__} has no compiled form here")
    return maker(step)


def _standard(step: Any) -> Change:
    return Shift(step.mean_ if step.with_mean else None, step.scale_ if step.with_std else None)


def _robust(step: Any) -> Change:
    return Shift(step.center_ if step.with_centering else None, step.scale_ if step.with_scaling else None)


def _max_abs(step: Any) -> Change:
    if getattr(step, "clip", False):
        raise NotCompiled("MaxAbsScaler(clip=True) has no compiled form here")
    return Shift(None, step.scale_)


def _min_max(step: Any) -> Change:
    within = tuple(map(float, step.feature_range)) if step.clip else None
    return Stretch(step.scale_, step.min_, within)  # type: ignore[arg-type]


def _impute(step: Any) -> Change:
    fill = step.statistics_
    if step.add_indicator or not _is_nan(step.missing_values) or fill.dtype.kind != "f":
        raise NotCompiled("SimpleImputer with an indicator, other missing values or text has no compiled form here")
    if np.isnan(fill).any():
        if not step.keep_empty_features:
            raise NotCompiled("SimpleImputer drops a column that was empty in training")
        fill = np.where(np.isnan(fill), 0.0, fill)

    return Fill(fill)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


CHANGES: dict[type, Callable[[Any], Change]] = {
    StandardScaler: _standard,
    RobustScaler: _robust,
    MaxAbsScaler: _max_abs,
    MinMaxScaler: _min_max,
    SimpleImputer: _impute,
}
