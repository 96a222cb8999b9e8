"""Is the model better than repeating last week?"""

from typing import Any, TypedDict

import pandas as pd
from sklearn.metrics import mean_absolute_error


class Verdict(TypedDict):
    mae: float
    naive_mae: float
    gain: float


def against_last_week(model: Any, test: pd.DataFrame) -> Verdict:
    """The mean absolute errors of the model and of the same hour last week, on the same rows."""
    guess = model.predict(test[list(model.feature_names_in_)])
    mae = float(mean_absolute_error(test["pickups"], guess))
    naive = float(mean_absolute_error(test["pickups"], test["same_hour_last_week"]))
    return {"mae": mae, "naive_mae": naive, "gain": 1 - mae / naive}
