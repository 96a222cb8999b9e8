"""Early stopping: no more rounds of boosting than a held-out share of the rows is better for.

Estimators of scikit-learn hold rows out themselves, in every fit. XGBoost and LightGBM are fitted once with the share
as their evaluation set; the model is then made with that number of rounds and learns from all rows.
"""

from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import train_test_split

from treadle.authoring import StepError
from treadle_steps.estimators import final


def applied(model: Any, rows: Any, patience: int, share: float, seed: int) -> Any:
    """The unfitted model with early stopping after `patience` rounds without an improvement.

    `rows` are fitting.Rows; in order of time the last `share` of them is held out. Raises StepError for an estimator
    without rounds, and for a share that is none.
    """
    if patience < 1 or not 0 < share < 1:
        raise StepError(
            f"early_stopping is {patience} with validation_share {share}", "give rounds, 1 or more, and a share below 1"
        )
    last = final(model)
    known = last.get_params()
    if "validation_fraction" in known and "n_iter_no_change" in known:
        switch = {"early_stopping": True} if "early_stopping" in known else {}
        last.set_params(n_iter_no_change=patience, validation_fraction=share, **switch)
        return model
    package = type(last).__module__.partition(".")[0]
    if package not in ("xgboost", "lightgbm"):
        raise StepError(f"{type(last).__name__} has no rounds that could be stopped", "leave early_stopping out")
    rounds = _rounds(clone(model), rows, package, patience, (share, seed))
    return model.set_params(**{f"{model.steps[-1][0]}__n_estimators" if model is not last else "n_estimators": rounds})


def _rounds(model: Any, rows: Any, package: str, patience: int, held: tuple[float, int]) -> int:
    """The number of rounds after which the held-out rows are predicted best."""
    share, seed = held
    learn, judge = _divided(rows, share, seed, is_classifier(final(model)))
    x, y = rows.x.iloc[learn], rows.y.iloc[learn]
    other = rows.x.iloc[judge]
    booster = final(model)
    if model is not booster:
        prepare = model[:-1].fit(x, y)
        x, other = prepare.transform(x), prepare.transform(other)
    options: dict[str, Any] = {"eval_set": [(other, rows.y.iloc[judge])]}
    if rows.weights is not None:
        options["sample_weight"] = rows.weights[learn]
    if package == "xgboost":
        booster.set_params(early_stopping_rounds=patience).fit(x, y, verbose=False, **options)
        return int(booster.best_iteration) + 1
    from lightgbm import early_stopping  # lazy: only a booster of that package needs it

    booster.fit(x, y, callbacks=[early_stopping(patience, verbose=False)], **options)
    return int(booster.best_iteration_)


def _divided(rows: Any, share: float, seed: int, classify: bool) -> tuple[Any, Any]:
    places = np.arange(len(rows.y))
    if rows.in_order:
        cut = max(1, round(len(places) * (1 - share)))
        return places[:cut], places[cut:]
    stratify = rows.y if classify else None
    learn, judge = train_test_split(places, test_size=share, random_state=seed, stratify=stratify)
    return np.sort(learn), np.sort(judge)
