"""What a model reads and returns, in MLflow's words for types, with a few real rows and what moves its predictions."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from treadle_steps.compiled.frame import dtype_of

WORDS = {"bool": "boolean", "int": "long", "float": "double", "datetime": "datetime"}  # the others are strings
EXAMPLES = 5
ROWS = 300  # looked at for importance
MOST_COLUMNS = 200


def inputs(model: Any, features: list[str], kinds: dict[str, str], frame: pd.DataFrame | None) -> list[dict[str, Any]]:
    """The fields that a model reads: name, dtype, whether it is required, and the categories it was trained on.

    A column that has gaps in the reference is not required.
    """
    known = dict(_categories(model, features))
    found = []
    for name in features:
        dtype = WORDS.get(kinds.get(name, ""), "string" if name in kinds else "double")
        required = True
        if frame is not None:
            dtype, required = dtype_of(frame[name]), not bool(frame[name].isna().any())
        choices = known.get(name)
        if choices is None and frame is not None and isinstance(frame[name].dtype, pd.CategoricalDtype):
            choices = frame[name].cat.categories.tolist()
        listed = None if choices is None else [str(one) for one in choices if one is not None and one == one]
        found.append({"name": name, "dtype": dtype, "required": required, "choices": listed})
    return found


def outputs(model: Any, target: str | None, answers: Any = None) -> list[dict[str, Any]]:
    """The field that a model returns: its target, or `prediction`; `answers` are some of its predictions.

    A classifier returns what its classes are, any other model numbers, unless its answers are text.
    """
    classes = getattr(model, "classes_", None) if is_classifier(model) else None
    text = classes is None and answers is not None and answers.dtype.kind in "OU"
    dtype = "string" if text else "double" if classes is None else dtype_of(np.asarray(classes))
    choices = None if classes is None else [str(label) for label in classes]
    return [{"name": target or "prediction", "dtype": dtype, "required": True, "choices": choices}]


def probabilities(model: Any) -> list[str]:
    """The classes that a model tells probabilities of, in its order; none for others."""
    labels = np.asarray(getattr(model, "classes_", []))
    known = is_classifier(model) and hasattr(model, "predict_proba") and labels.ndim == 1
    return [str(label) for label in labels] if known else []


def example(frame: pd.DataFrame, features: list[str]) -> list[dict[str, Any]]:
    """Up to five real rows, whole ones where there are any; missing values are None, dates are in ISO 8601."""
    whole = frame[features].dropna()
    rows = (whole if len(whole) else frame[features]).head(EXAMPLES)
    return [{name: _plain(rows[name].iloc[at]) for name in features} for at in range(len(rows))]


def importance(model: Any, frame: pd.DataFrame, features: list[str]) -> dict[str, float]:
    """How far predictions move when one column is shuffled: as a share of their spread, or of the rows for classes.

    Over at most 300 rows and 200 columns; the same rows give the same figures.
    """
    rows = frame[features].head(ROWS).reset_index(drop=True)
    before = np.asarray(model.predict(rows))
    order = np.random.default_rng(0).permutation(len(rows))
    spread = float(np.std(before)) if before.dtype.kind == "f" else 0.0
    found = {}
    for name in features[:MOST_COLUMNS]:
        after = np.asarray(model.predict(rows.assign(**{name: rows[name].iloc[order].set_axis(rows.index)})))
        if before.dtype.kind == "f":
            moved = float(np.mean(np.abs(after - before))) / spread if spread else 0.0
        else:
            moved = float(np.mean(after != before))
        found[name] = moved
    return found


def _categories(model: Any, names: list[str]) -> Iterator[tuple[str, list[Any]]]:
    """The categories of every column that an encoder at the front of the model knows."""
    if isinstance(model, Pipeline):
        yield from _categories(model.steps[0][1], names)
    elif isinstance(model, ColumnTransformer):
        for _, step, chosen in model.transformers_:
            if isinstance(chosen, list) and all(isinstance(one, str) for one in chosen) and not isinstance(step, str):
                yield from _categories(step, chosen)
    elif isinstance(model, OneHotEncoder | OrdinalEncoder):
        yield from zip(names, (known.tolist() for known in model.categories_), strict=True)


def _plain(value: Any) -> Any:
    if value is None or value is pd.NaT or value != value:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value
