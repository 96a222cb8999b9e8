"""How far the answers of a compiled form and of the model itself are apart on the same rows."""

import warnings
from typing import Any, NamedTuple

import numpy as np

from treadle_steps.compiled.program import Answer, Columns

CLOSE = 1e-9  # a difference up to this, relative to the prediction or absolute below 1, counts as equal


class Refused(NamedTuple):
    """The model itself raised."""

    kind: type


def attempt(program: Answer, columns: Columns) -> Any:
    """The answer of a compiled form, or None when it is not sure or cannot read the columns."""
    try:
        with np.errstate(all="ignore"):
            return program(columns)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def difference(program: Answer, original: Answer, columns: Columns) -> str:
    """How a compiled form differs from the model on these rows, in words; empty when it does not, or is not sure."""
    found = attempt(program, columns)
    if found is None:
        return ""
    told = asked(original, columns)
    if isinstance(told, Refused):
        return "the compiled form answers where the model refuses"
    apart = gap(found, told)
    return "" if apart <= CLOSE else f"the compiled form differs by {apart:.2g}"


def asked(original: Answer, columns: Columns) -> Any:
    """What the model itself answers, or that it refuses."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return original(columns)
    except (ValueError, TypeError, OverflowError, FloatingPointError) as error:
        return Refused(type(error))


def gap(found: Any, told: Any) -> float:
    """The greatest difference, relative to the size of the prediction or absolute below 1; inf for another shape."""
    if found.shape != told.shape or found.dtype.kind != told.dtype.kind:
        return float(np.inf)
    if found.dtype.kind not in "fc":
        return 0.0 if bool((found == told).all()) else float(np.inf)
    same = (found == told) | (np.isnan(found) & np.isnan(told))
    if bool(same.all()):
        return 0.0
    with np.errstate(all="ignore"):
        gaps = np.abs(found - told)[~same] / np.maximum(1.0, np.abs(told[~same]))
    return float(np.inf) if np.isnan(gaps).any() else float(gaps.max())
