"""Fits the two models in a peer's own environment and stores them as that peer wants them: prepare.py PEER FOLDER."""

import json
import sys
from pathlib import Path

import joblib
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

peer, folder = sys.argv[1], Path(sys.argv[2])
x = np.random.default_rng(0).normal(size=(4000, 10))
y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.1 * np.random.default_rng(1).normal(size=4000)
models = {
    "trees": HistGradientBoostingRegressor(max_iter=200).fit(x, y),
    "linear": make_pipeline(StandardScaler(), LogisticRegression()).fit(x, (y > 0).astype(int)),
}
for name, model in models.items():
    own = folder / name
    own.mkdir(parents=True)
    (own / "expected.json").write_text(json.dumps(model.predict(x[:100]).tolist()))
    if peer == "mlflow":
        import mlflow.sklearn
        import pandas as pd
        from mlflow.models import infer_signature

        frame = pd.DataFrame(x[:100], columns=[f"x{n}" for n in range(10)])
        fitted = model.fit(pd.DataFrame(x, columns=frame.columns), y if name == "trees" else (y > 0).astype(int))
        options = {"signature": infer_signature(frame, fitted.predict(frame)), "pip_requirements": ["scikit-learn"]}
        try:
            mlflow.sklearn.save_model(fitted, own / "model", serialization_format="cloudpickle", **options)
        except TypeError:  # an older one has one format only
            mlflow.sklearn.save_model(fitted, own / "model", **options)
    else:
        joblib.dump(model, own / "model.joblib")
    if peer == "mlserver":
        settings = {
            "name": name,
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": "./model.joblib"},
        }
        (own / "model-settings.json").write_text(json.dumps(settings))
