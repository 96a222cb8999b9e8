"""Linear models: one product, in the order of operations that scikit-learn has."""

import math
from typing import Any

import numpy as np
from sklearn import linear_model, svm

from treadle_steps.compiled.program import NotCompiled, Predict

REGRESSORS = (
    *(linear_model.LinearRegression, linear_model.Ridge, linear_model.RidgeCV, linear_model.Lasso),
    *(linear_model.LassoCV, linear_model.ElasticNet, linear_model.ElasticNetCV, linear_model.SGDRegressor),
    *(linear_model.HuberRegressor, linear_model.BayesianRidge, linear_model.ARDRegression, linear_model.Lars),
    *(linear_model.LassoLars, linear_model.TheilSenRegressor, svm.LinearSVR),
)
LINKED = (linear_model.PoissonRegressor, linear_model.GammaRegressor)  # exp of the linear predictor
CLASSIFIERS = (
    *(linear_model.LogisticRegression, linear_model.LogisticRegressionCV, linear_model.SGDClassifier),
    *(linear_model.RidgeClassifier, linear_model.RidgeClassifierCV, linear_model.Perceptron, svm.LinearSVC),
)
NEAR = 1e-9  # scores closer to each other than this, relative to their size, are left to the model itself


def linear(model: Any) -> Predict:
    """What a fitted linear model predicts; not sure about infinite results, missing values and near ties.

    Raises NotCompiled for any other model.
    """
    kind = type(model)
    if kind not in (*REGRESSORS, *LINKED, *CLASSIFIERS):
        raise NotCompiled(f"{kind.__name__} has no compiled form here")
    coefficients, constant = np.asarray(model.coef_), model.intercept_
    if coefficients.dtype != np.float64:
        raise NotCompiled(f"{kind.__name__} was trained in {coefficients.dtype}")
    slope = np.ascontiguousarray(coefficients.T) if coefficients.ndim > 1 else coefficients
    if kind in CLASSIFIERS:
        return _classify(model, slope, constant)
    exponential = kind in LINKED

    def predict(x: Any) -> Any:
        # a product with a missing or infinite value is never finite, not even with a coefficient of 0
        scores = _product(x, slope) + constant
        if not _finite(scores):
            return None
        return np.exp(scores) if exponential else scores

    return predict


def _product(x: Any, slope: Any) -> Any:
    """x @ slope, each row added up in the order of the columns.

    BLAS adds in an order that depends on the number of rows: a row would have one answer alone and another in a table.
    """
    if slope.ndim == 1:
        return np.add.accumulate(x * slope, axis=1)[:, -1]
    return np.stack([np.add.accumulate(x * one, axis=1)[:, -1] for one in slope.T], axis=1)


def _finite(scores: Any) -> bool:
    if scores.size == 1:
        return math.isfinite(scores.item())  # a microsecond less than asking numpy
    return bool(np.isfinite(scores).all())


def _classify(model: Any, slope: Any, constant: Any) -> Predict:
    classes = model.classes_
    if slope.ndim != 2 or slope.shape[1] not in (1, len(classes)):
        raise NotCompiled(f"{type(model).__name__} with several outputs has no compiled form here")
    binary = slope.shape[1] == 1
    size = np.abs(slope)
    room = np.abs(constant) + 1.0

    def predict(x: Any) -> Any:
        scores = _product(x, slope) + constant
        if not _finite(scores):
            return None
        doubt = NEAR * (np.abs(x) @ size + room)
        if binary:
            own = scores[:, 0]
            return None if (np.abs(own) <= doubt[:, 0]).any() else classes[(own > 0).astype(np.intp)]
        order = np.partition(scores, -2, axis=1)
        if (order[:, -1] - order[:, -2] <= doubt.max(axis=1)).any():
            return None
        return classes[scores.argmax(axis=1)]

    return predict
