"""From fitted linear models to their forms."""

from typing import Any

import numpy as np
from sklearn import linear_model, svm

from treadle_steps.compiled.forms import Linear, Scores
from treadle_steps.compiled.program import NotCompiled

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
LOGISTIC = (linear_model.LogisticRegression, linear_model.LogisticRegressionCV)


def linear(model: Any) -> Linear | Scores:
    """The form of a fitted linear model; raises NotCompiled for any other model."""
    kind = type(model)
    if kind not in (*REGRESSORS, *LINKED, *CLASSIFIERS):
        raise NotCompiled(f"{kind.__name__} has no compiled form here")
    coefficients, constant = np.asarray(model.coef_), np.asarray(model.intercept_)
    if coefficients.dtype != np.float64:
        raise NotCompiled(f"{kind.__name__} was trained in {coefficients.dtype}")
    slope = np.ascontiguousarray(coefficients.T) if coefficients.ndim > 1 else coefficients
    if kind not in CLASSIFIERS:
        return Linear(slope, constant, "exp" if kind in LINKED else "")
    if slope.ndim != 2 or slope.shape[1] not in (1, len(model.classes_)):
        raise NotCompiled(f"{kind.__name__} with several outputs has no compiled form here")
    return Scores(slope, constant, np.asarray(model.classes_), kind in LOGISTIC)
