"""A booster or an ONNX model without scikit-learn's interface, behind that interface."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from treadle_steps import graphs, native


class Bare(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts what the model itself says: for a booster of classes that is their probability."""

    def __init__(self, model: Any) -> None:
        self.model = model
        how: Any = graphs if graphs.fits(model) else native
        self._ask = how.asker(model)
        names = how.names(model)
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)

    def fit(self, x: Any, y: Any) -> "Bare":
        """A bare model is trained by its own library."""
        raise TypeError("a bare model is trained by its own library")

    def predict(self, x: Any) -> Any:
        """One value a row, or one for each class."""
        return np.asarray(self._ask(x))


def usable(model: Any) -> Any:
    """The model as steps and servers ask it: itself, or a bare one behind `predict`.

    Raises ValueError for an ONNX model that does not run.
    """
    bare = graphs.fits(model) or f"{type(model).__module__}.{type(model).__qualname__}" in native.BARE
    return Bare(model) if bare else model


def own_categories(model: Any) -> bool:
    """Whether a model takes categorical columns and no text in their place: boosters of other libraries."""
    return type(own(model)).__module__.partition(".")[0] in (native.XGBOOST, native.LIGHTGBM)


def own(model: Any) -> Any:
    """The model as its library made it."""
    return model.model if isinstance(model, Bare) else model
