"""How much each column moves each prediction: Shapley values, through the optional package shap."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from treadle.authoring import StepError
from treadle_steps import judging
from treadle_steps.refusals import is_number, table
from treadle_steps.words import suggestion


class Explained(NamedTuple):
    """A row for each explained one, with the contribution of each column; the report with their mean sizes."""

    contributions: pd.DataFrame
    report: dict[str, Any]


class Coded(NamedTuple):
    """A table as numbers, which is what shap masks: numbers as they are, other values by their place in a list."""

    matrix: Any
    back: Callable[[Any], pd.DataFrame]


def shap(
    model: Any,
    data: pd.DataFrame,
    background: pd.DataFrame | None = None,
    *,
    of: str | None = None,
    rows: int = 200,
    background_rows: int = 50,
    seed: int = 0,
) -> Explained:
    """Shapley values of a model of any kind: what each column adds to each prediction, beside the mean prediction.

    `rows` are drawn from `data`, `background_rows` from `background` (default: `data`); a column's contribution is what
    its value changes beside the values that the background has there, over random orders of the columns (Permutation
    explainer of shap; Lundberg and Lee 2017). The contributions of a row and `base` add up to `prediction`. For a
    classifier they are parts of the chance of the class `of`, which needs no name where there are two: it is the
    second then. Needs `pip install 'treadle[shap]'`. Raises StepError for missing columns and infinite values.

    Example:

        explained:
          uses: explain.shap
          in: {model: acceptance, data: split.test, background: split.train}
          with: {rows: 10, background_rows: 10}
    """
    try:
        from shap import maskers  # lazy: an extra
        from shap.explainers import PermutationExplainer  # lazy: an extra
    except ImportError:
        raise StepError("shap is not installed", "pip install 'treadle[shap]'") from None
    judging.need_model(model)
    model = judging.asked(model)
    if min(rows, background_rows) < 1:
        raise StepError(f"rows is {rows} and background_rows is {background_rows}", "give at least 1 of each")
    frame = table(data)
    x = judging.features_of(model, frame, str(getattr(model, "target_name_", "")))
    beside = x if background is None else judging.features_of(model, table(background, "background"), "")
    chosen, beside = _drawn(x, rows, seed), _drawn(beside, background_rows, seed)
    coded = _coded(pd.concat([chosen, beside], ignore_index=True))
    answer = _answer(model, of)
    explain = PermutationExplainer(
        lambda matrix: answer(coded.back(matrix)),
        maskers.Independent(coded.matrix[len(chosen) :], background_rows),
        seed=seed,
    )
    found = explain(coded.matrix[: len(chosen)], max_evals=10 * (2 * x.shape[1] + 1), silent=True)
    values = pd.DataFrame(np.asarray(found.values, dtype=float), columns=x.columns)
    base = float(np.ravel(found.base_values)[0])
    size = values.abs().mean().sort_values(ascending=False, kind="stable")
    report = {
        "contributions": [{"column": str(name), "size": float(value)} for name, value in size.items()],
        "explained": len(chosen),
        "base": base,
        **({} if of is None else {"of": of}),
    }
    made = values.assign(base=base, prediction=base + values.sum(axis=1))
    made.insert(0, "row", chosen.index.to_numpy())
    return Explained(made, report)


def _drawn(frame: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    frame = frame.reset_index(drop=True)
    return frame if len(frame) <= count else frame.sample(count, random_state=seed).sort_index()


def _answer(model: Any, of: str | None) -> Callable[[pd.DataFrame], Any]:
    """The number that is explained: the prediction, or the chance of a class."""
    if not hasattr(model, "predict_proba"):
        if of is not None:
            raise StepError(f"of: '{of}' names a class, and a {type(model).__name__} tells no chances", "leave out of")
        return lambda x: judging.numbers(judging.predicted(model, x))
    classes = [str(name) for name in model.classes_]
    if of is None and len(classes) != 2:
        raise StepError(
            f"the model tells {len(classes)} classes: {', '.join(classes[:20])}", f"with: {{of: {classes[0]}}}"
        )
    if of is not None and of not in classes:
        raise StepError(f"of: '{of}' is no class of the model", suggestion(of, classes))
    place = 1 if of is None else classes.index(of)
    return lambda x: judging.predicted(model, x, "predict_proba")[:, place]


def _coded(frame: pd.DataFrame) -> Coded:
    lists: dict[str, Any] = {}
    columns = []
    for name in frame.columns:
        column = frame[name]
        if is_number(column):
            columns.append(column.to_numpy(dtype=float, na_value=np.nan))
        else:
            codes, lists[name] = pd.factorize(column)  # -1 is a missing value
            columns.append(codes.astype(float))
    kinds = {name: frame[name].dtype for name in lists}

    def back(matrix: Any) -> pd.DataFrame:
        found = pd.DataFrame(matrix, columns=frame.columns)
        for name, values in lists.items():
            if not len(values):
                continue  # nothing but gaps
            taken = pd.Series(values).take(np.maximum(found[name].to_numpy(dtype=int), 0)).reset_index(drop=True)
            found[name] = taken.where(found[name] >= 0).astype(kinds[name])
        return found

    return Coded(np.column_stack(columns), back)
