"""What every evaluation begins with: the rows that a model is judged on, and its predictions for them."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.inspection import permutation_importance

from treadle.authoring import StepError
from treadle_steps.bare import usable
from treadle_steps.refusals import need_columns, need_usable, need_values, table

SAMPLE = 2000  # rows that permutation importance is measured on


def need_model(model: Any, what: str = "the model") -> None:
    """Raise StepError for what predicts nothing."""
    if not hasattr(asked(model), "predict"):
        raise StepError(f"{what} is a {type(model).__name__}, which predicts nothing", "in: {model: a train step}")


def asked(model: Any) -> Any:
    """The model as it is asked: itself, or a bare booster or graph behind `predict`; raises StepError."""
    try:
        return usable(model)
    except (ValueError, ImportError) as error:
        raise StepError(f"the model cannot be asked: {error}") from error


def rows_of(model: Any, data: Any, target: str | None) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame]:
    """Features, target and the whole table; raises StepError when something of it is not there or infinite."""
    need_model(model)
    frame = table(data)
    name = target or getattr(model, "target_name_", None)
    if name is None:
        raise StepError("the model does not say what it predicts", "with: {target: COLUMN}")
    need_columns(frame, [name], "target:")
    need_values(frame[name], "target")
    return features_of(model, frame, str(name)), frame[name], frame


def features_of(model: Any, frame: pd.DataFrame, target: str, what: str = "the model") -> pd.DataFrame:
    """The columns that a model was fitted on, or all but the target where it does not say; raises StepError."""
    wanted = getattr(asked(model), "feature_names_in_", None)
    features = list(wanted) if wanted is not None else [c for c in frame.columns if c != target]
    need_columns(frame, features, f"{what}'s feature")
    for feature in features:
        need_usable(frame[feature], "feature")
    return frame[features]


def predicted(model: Any, x: pd.DataFrame, method: str = "predict") -> Any:
    """What the model says of each row; raises StepError when it cannot."""
    try:
        return getattr(asked(model), method)(x)
    except (ValueError, TypeError) as error:
        gaps = [str(name) for name in x.columns if x[name].isna().any()]
        hint = f"missing values in: {', '.join(gaps)}" if gaps else ""
        raise StepError(f"the model cannot predict these rows: {str(error).splitlines()[0]}", hint) from error


def numbers(guess: Any) -> Any:
    """Predictions as floats, one for each row; raises StepError for others."""
    try:
        found = np.asarray(guess, dtype=float)
    except (TypeError, ValueError):
        text = f"the model predicts {np.ravel(np.asarray(guess, dtype=object))[0]!r}, no number"
        raise StepError(text, "a classifier? use evaluate.classification") from None
    found = found.reshape(-1) if found.ndim == 2 and found.shape[1] == 1 else found
    wrong = ~np.isfinite(found)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise StepError(f"{int(wrong.sum()):,} predictions are no finite number (first: row {row}, {found[row]})")
    return found


def importance(
    model: Any, x: pd.DataFrame, y: pd.Series, repeats: int, seed: int, scoring: str
) -> list[dict[str, Any]]:
    """How much worse the model gets when a column is shuffled, the worst first; on at most 2,000 rows."""
    if repeats < 1:
        return []
    if len(x) > SAMPLE:
        chosen = np.sort(np.random.default_rng(seed).choice(len(x), SAMPLE, replace=False))
        x, y = x.iloc[chosen], y.iloc[chosen]
    measured = permutation_importance(asked(model), x, y, n_repeats=repeats, random_state=seed, scoring=scoring)
    rows = [
        {"column": name, "loss": float(mean), "sd": float(sd)}
        for name, mean, sd in zip(x.columns, measured.importances_mean, measured.importances_std, strict=True)
    ]
    return sorted(rows, key=lambda row: (-float(row["loss"]), str(row["column"])))
